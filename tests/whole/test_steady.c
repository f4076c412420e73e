/*
 * Goal: memory is bounded. What the pacing counts is what there is; each object has its turn;
 * threads that outrun the collector, or the reaper, are held up; nobody is for the sake of what
 * does not come.
 * Method: programs whose reachable objects stay as many as they are; what is left is counted, not
 * timed. In checked builds each stop compares the counters with the population.
 * A failure would mean: a server that grows until it is killed.
 */
#define TEST_COUNTS_COLLECTIONS
#include "fixture.h"

#include "collect/verify.h"

enum { SHARED = 250, MB = 1 << 20 };

static struct node *shared[SHARED];

/* ---- counters ---- */

static void make_garbage(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct node *s = make(1);

		ouro_give(&s->left, s);
	}
}

/* Old objects that die leave what is young as young as it was: they are not taken off its number. */
static void steady_deaths_of_old_objects_do_not_hide_young_ones(void **state)
{
	enum { N = 60000 };
	static struct node *old[N];

	(void)state;
	for (int i = 0; i < N; i++)
		old[i] = make(i);
	ouro_gc_collect(2); /* they are old */
	assert_int_equal(ouro_gc_set_threshold(500, 10, 10), 0);
	ouro_gc_enable();
	for (int i = 0; i < N; i++) {
		make_garbage(1);
		ouro_release(old[i]);
		old[i] = NULL;
	}
	ouro_gc_disable();
	assert_null(oi_verify_heap()); /* of as many as are young the counters say that they are */
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

/* ---- what hangs on shared objects and is taken off again ---- */

struct hanger {
	atomic_size_t most;
	size_t n;
};

static void hang(uint64_t random, size_t i)
{
	struct node *n = make((int)i), *on = ouro_load(&shared[random % SHARED]), *other = ouro_load(&shared[(random >> 20) % SHARED]);
	struct node *held = ouro_load(&other->left);

	if (i % 2)
		ouro_store(&n->right, n);
	if (held)
		ouro_store(&held->left, (struct node *)NULL);
	ouro_give(&n->left, held);
	ouro_give(&on->left, n);
	ouro_release(on);
	ouro_release(other);
}

static void *hang_and_take_off(void *arg)
{
	struct hanger *h = arg;
	uint64_t random = (uintptr_t)&random;

	for (size_t i = 0; i < h->n; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		hang(random >> 24, i);
		if (i % 512)
			continue;
		uint64_t now = objects_live();
		if (now > atomic_load(&h->most))
			atomic_store(&h->most, now);
	}
	return NULL;
}

static bool hanging_is_bounded(int threads, size_t each, const int threshold[3])
{
	struct hanger h = { .n = each };
	pthread_t t[64];

	for (int i = 0; i < SHARED; i++)
		shared[i] = make(i);
	assert_int_equal(ouro_gc_set_threshold(threshold[0], threshold[1], threshold[2]), 0);
	ouro_gc_enable();
	for (int i = 0; i < threads; i++)
		t[i] = thread_start(hang_and_take_off, &h);
	for (int i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	ouro_gc_disable();
	for (int i = 0; i < SHARED; i++)
		ouro_store(&shared[i], (struct node *)NULL);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
	return h.most >= 1 && h.most <= (size_t)threads * each / 4;
}

static void check_hanging(int threads, size_t each, const int threshold[3])
{
	assert_true(IN_ONE_OF_SEVERAL_TRIES(hanging_is_bounded(threads, each, threshold)));
}

static void steady_what_hangs_on_shared_objects_is_bounded(void **state)
{
	(void)state;
	if (SANITIZED)
		skip(); /* threads may leave so few objects to themselves: policy.c */
	check_hanging(4, LOAD(500000), (int[3]){ -1, 10, 10 });
}

static void steady_whatever_the_thresholds(void **state)
{
	(void)state;
	check_hanging(4, LOAD(400000), (int[3]){ 700, 10, 10 });
	if (!SANITIZED) /* as above */
		check_hanging(4, LOAD(400000), (int[3]){ -1, 1, 1 });
}

static void steady_with_more_threads_than_processors(void **state)
{
	(void)state;
	if (SANITIZED)
		skip(); /* so few objects are tolerated in any case */
	check_hanging(64, LOAD(30000), (int[3]){ -1, 10, 10 });
}

/* ---- few objects with much memory ---- */

struct holder {
	struct holder *self;
	struct leaf *leaf;
};

static const ouro_type holder_type = {
	.name = "holder", .size = sizeof(struct holder), .slots = OURO_SLOTS(struct holder, self, leaf),
};

static const ouro_type bytes_type = { .name = "bytes", .size = 8, .item_size = 1, .flags = OURO_ACYCLIC };

/* The threshold is never reached: what they hold, which the collector does not look at, is what counts. */
static bool what_garbage_holds_counts(void)
{
	enum { N = 2000, BYTES = 200000 };
	uint64_t most = 0;

	assert_int_equal(ouro_gc_set_threshold(1000000, 10, 10), 0);
	ouro_gc_enable();
	for (int i = 0; i < N; i++) {
		struct holder *h = ouro_new(&holder_type);

		assert_non_null(h);
		ouro_slot_give(&h->leaf, ouro_new_items(&bytes_type, BYTES));
		ouro_give(&h->self, h);
		most = bytes_reserved() > most ? bytes_reserved() : most;
	}
	ouro_gc_disable();
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
	return most >= 1 && most <= 200 * MB; /* 400 MB were made */
}

static void steady_what_garbage_holds_counts(void **state)
{
	(void)state;
	assert_true(IN_ONE_OF_SEVERAL_TRIES(what_garbage_holds_counts()));
}

/* ---- the reaper ---- */

static void slow(void *obj)
{
	volatile unsigned n = 0;

	(void)obj;
	while (n < 2000)
		n++;
}

static const ouro_type slow_type = {
	.name = "slow", .size = sizeof(struct holder), .slots = OURO_SLOTS(struct holder, self, leaf), .finalize = slow,
};

/* Finalizers take longer than making what they are for. */
static bool the_reaper_is_not_outrun(void)
{
	size_t n = LOAD(300000), most = 0;

	ouro_gc_enable();
	for (size_t i = 0; i < n; i++) {
		struct holder *h = ouro_new(&slow_type);

		assert_non_null(h);
		ouro_give(&h->self, h);
		if (i % 1024 == 0)
			most = objects_live() > most ? objects_live() : most;
	}
	ouro_gc_disable();
	assert_int_equal(ouro_flush(), 0);
	assert_true(EVENTUALLY((ouro_gc_collect(2), objects_live() == 0)));
	return most >= 1 && most <= n / 2;
}

static void steady_the_reaper_is_not_outrun(void **state)
{
	(void)state;
	if (SANITIZED)
		skip(); /* so few objects are tolerated in any case */
	assert_true(IN_ONE_OF_SEVERAL_TRIES(the_reaper_is_not_outrun()));
}

/* It waits for ever in its first finalizer: nobody else does. */
static atomic_bool let_go;

static void wait_until_let_go(void *obj)
{
	(void)obj;
	while (!atomic_load(&let_go))
		sleep_ms(1);
}

static const ouro_type blocking_type = {
	.name = "blocking", .size = sizeof(struct holder), .slots = OURO_SLOTS(struct holder, self, leaf),
	.finalize = wait_until_let_go,
};

static void steady_a_finalizer_that_blocks_holds_nobody_up(void **state)
{
	(void)state;
	atomic_store(&let_go, false);
	ouro_gc_enable();
	for (int i = 0; i < LOAD(200000); i++) {
		struct holder *h = ouro_new(&blocking_type);

		assert_non_null(h);
		ouro_give(&h->self, h);
	}
	ouro_gc_disable();
	atomic_store(&let_go, true);
	ouro_gc_collect(2);
	assert_int_equal(ouro_flush(), 0);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

/* ---- counters, with everything that changes them ---- */

static void *churn(void *arg)
{
	struct node *old[64] = { NULL };

	for (int i = 0; i < LOAD(60000); i++) {
		struct node **place = &old[i % 64];

		ouro_release(*place);
		*place = make_pair(&node_type, i);
		make_garbage(1);
		if (i % 3 == 0)
			ouro_release(make_list(&node_type, 4));
		if (i % 5000 == 0)
			ouro_gc_collect(i / 5000 % 3);
		if (i % 7000 == 0)
			ouro_gc_freeze();
	}
	for (int i = 0; i < 64; i++)
		ouro_release(old[i]);
	return arg;
}

/*
 * Deaths of every age, garbage, bursts, collections asked for, freezing, threads that leave:
 * checked builds compare in each stop.
 */
static void steady_counters_are_what_there_is(void **state)
{
	pthread_t t[4];

	(void)state;
	assert_int_equal(ouro_gc_set_threshold(300, 3, 3), 0);
	ouro_gc_enable();
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 4; i++)
			t[i] = thread_start(churn, NULL);
		for (int i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
	}
	ouro_gc_disable();
	ouro_gc_unfreeze();
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(steady_deaths_of_old_objects_do_not_hide_young_ones),
		HEAP_CASE(steady_counters_are_what_there_is),
		HEAP_CASE(steady_what_hangs_on_shared_objects_is_bounded),
		HEAP_CASE(steady_whatever_the_thresholds),
		HEAP_CASE(steady_with_more_threads_than_processors),
		HEAP_CASE(steady_what_garbage_holds_counts),
		HEAP_CASE(steady_the_reaper_is_not_outrun),
		HEAP_CASE(steady_a_finalizer_that_blocks_holds_nobody_up),
	};

	return cmocka_run_group_tests_name("steady", tests, NULL, NULL);
}
