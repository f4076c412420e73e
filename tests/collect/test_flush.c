/*
 * Goal: ouro_flush and ouro_gc_collect return, and keep their promise, whatever other threads go on
 * doing.
 * Method: threads that drop lists for ever, with and without callbacks, of their own and of each
 * other's objects; callbacks that do not return, or make more of what they are called for.
 * A failure would mean: a server that hangs in a call that was to tidy it up, or one that returns
 * too early.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include <semaphore.h>

#include "fixture.h"

#include "count/ticket.h"

enum { BUSY_MAX = 16, CALLS = 5, CALLS_MAX = 100 };

/* Longer than it takes to make one: so most threads are at a death at any time. */
static void small_destroy(void *obj)
{
	for (volatile int i = 0; i < 500; i++)
		((struct node *)obj)->id = i;
}

static const ouro_type small_type = {
	.name = "small", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.destroy = small_destroy,
};

/* ---- threads that drop lists for ever ---- */

static struct {
	const ouro_type *type;
	struct node *slot[BUSY_MAX]; /* by which they pass them on */
	atomic_bool stop;
	atomic_size_t rounds;
	pthread_t thread[BUSY_MAX];
	size_t n;
} busy;

static void *drop_lists(void *arg)
{
	while (!atomic_load(&busy.stop)) {
		for (int i = 0; i < 1000 && objects_live() > 200000 && !atomic_load(&busy.stop); i++)
			sleep_ms(1);
		ouro_release(make_list(busy.type, LOAD(9000)));
		atomic_fetch_add(&busy.rounds, 1);
	}
	return arg;
}

/* What one has made another drops: every node needs a merge. */
static void *drop_lists_of_others(void *arg)
{
	size_t me = (uintptr_t)arg;

	while (!atomic_load(&busy.stop)) {
		struct node *mine = make_list(busy.type, LOAD(2000));

		ouro_release(ouro_exchange(&busy.slot[(me + 1) % busy.n], mine));
		atomic_fetch_add(&busy.rounds, 1);
	}
	return NULL;
}

static void busy_start(void *(*fn)(void *), size_t n, const ouro_type *type)
{
	busy.type = type;
	busy.n = n;
	atomic_store(&busy.stop, false);
	atomic_store(&busy.rounds, 0);
	for (size_t i = 0; i < n; i++)
		busy.thread[i] = thread_start(fn, (void *)i);
	assert_true(EVENTUALLY(atomic_load(&busy.rounds) >= n));
}

static void busy_stop(void)
{
	atomic_store(&busy.stop, true);
	for (size_t i = 0; i < busy.n; i++)
		pthread_join(busy.thread[i], NULL);
	for (size_t i = 0; i < busy.n; i++)
		ouro_store(&busy.slot[i], NULL);
}

/* Past a batch the rest goes to the reaper, which has something in hand, and more waiting, all the time. */
static int small_batch_setup(void **state)
{
	ouro_config cfg = test_config();

	bare_setup(state);
	cfg.release_batch = 1000;
	heap_start(&cfg);
	return 0;
}

/* ---- beside them ---- */

/* Some calls, of which each must be back while the others go on. The longest, in ms. */
static double flush_often(void)
{
	uint64_t longest = 0;

	for (int i = 0; i < CALLS; i++) {
		size_t before = atomic_load(&n_destroyed);
		ouro_release(make_list(&counted_type, 3000));
		uint64_t began = now_ns();
		assert_int_equal(ouro_flush(), 0);
		uint64_t took = now_ns() - began;
		assert_int_equal(atomic_load(&n_destroyed), before + 3000);
		assert_true(took < PATIENCE_S * 1000000000ull);
		longest = took > longest ? took : longest;
	}
	return (double)longest / 1e6;
}

/*
 * The same. A ring may be found by another thread's collection, and that thread be in a callback while it gets no
 * processor: then it is left out. One call at least finds its own ring gone.
 */
static double collect_often(void)
{
	uint64_t longest = 0;
	int prompt = 0;

	for (int i = 0; i < CALLS || (i < CALLS_MAX && !prompt); i++) {
		size_t before = atomic_load(&n_destroyed);
		ouro_release(make_ring(&counted_type, 3000));
		uint64_t began = now_ns();
		assert_true(ouro_gc_collect(2) >= 0);
		uint64_t took = now_ns() - began;
		prompt += atomic_load(&n_destroyed) == before + 3000;
		assert_true(EVENTUALLY(atomic_load(&n_destroyed) == before + 3000));
		assert_true(took < PATIENCE_S * 1000000000ull);
		longest = took > longest ? took : longest;
	}
	assert_true(prompt > 0);
	return (double)longest / 1e6;
}

static void assert_they_return(void *(*fn)(void *), size_t n, const ouro_type *type)
{
	counters_clear();
	busy_start(fn, n, type);
	double flush = flush_often(), collect = collect_often();
	size_t rounds = atomic_load(&busy.rounds);
	assert_true(EVENTUALLY(atomic_load(&busy.rounds) > rounds)); /* they go on */
	busy_stop();
	print_message("beside %zu threads: ouro_flush %.1f ms, ouro_gc_collect %.1f ms at most\n", n, flush, collect);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

static void flush_beside_lists_with_a_destroy(void **state)
{
	(void)state;
	assert_they_return(drop_lists, 8, &small_type);
}

static void flush_beside_lists_past_a_batch(void **state)
{
	(void)state;
	assert_they_return(drop_lists, 8, &small_type);
}

static void flush_beside_plain_lists(void **state)
{
	(void)state;
	assert_they_return(drop_lists, 16, &node_type);
}

static void flush_beside_lists_of_others(void **state)
{
	(void)state;
	assert_they_return(drop_lists_of_others, 4, &node_type);
	assert_they_return(drop_lists_of_others, 4, &small_type);
}

static void *flush_for_ever(void *arg)
{
	while (!atomic_load(&busy.stop)) {
		if (ouro_flush() != 0 || ouro_gc_collect((int)(uintptr_t)arg % 3) < 0)
			abort();
		atomic_fetch_add(&busy.rounds, 1);
	}
	return NULL;
}

/* Those that flush and collect for ever do not keep one another from returning. */
static void flush_beside_others_that_flush(void **state)
{
	(void)state;
	assert_they_return(flush_for_ever, 4, &node_type);
}

/* ---- what the promise covers ---- */

static struct node *shared;

/* Puts a node on top of a list: so its nodes come from as many threads as call this. */
static void *put_on_top(void *arg)
{
	struct node *n = make_of(&counted_type, 0);

	(void)arg;
	ouro_give(&n->right, ouro_take(&shared));
	ouro_give(&shared, n);
	return NULL;
}

struct owner {
	pthread_t thread;
	sem_t wanted, done;
	atomic_bool stop;
};

static void *owner_main(void *arg)
{
	struct owner *o = arg;

	while (sem_wait(&o->wanted), !atomic_load(&o->stop)) {
		put_on_top(NULL);
		sem_post(&o->done);
	}
	return NULL;
}

/*
 * Of a list whose owners alternate each death needs a merge of the next one, which leads through
 * all queues there are.
 */
static void flush_follows_what_dies_from_owner_to_owner(void **state)
{
	enum { NODES = 400 };
	static struct owner owner[2];

	(void)state;
	counters_clear();
	for (int i = 0; i < 2; i++) {
		sem_init(&owner[i].wanted, 0, 0);
		sem_init(&owner[i].done, 0, 0);
		atomic_store(&owner[i].stop, false);
		owner[i].thread = thread_start(owner_main, &owner[i]);
	}
	for (int i = 0; i < NODES; i++) {
		sem_post(&owner[i % 2].wanted);
		sem_wait(&owner[i % 2].done);
	}
	busy_start(drop_lists, 4, &small_type);
	ouro_store(&shared, NULL);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(atomic_load(&n_destroyed), NODES);
	busy_stop();
	for (int i = 0; i < 2; i++) {
		atomic_store(&owner[i].stop, true);
		sem_post(&owner[i].wanted);
		pthread_join(owner[i].thread, NULL);
	}
}

/* ---- garbage in other hands ---- */

static atomic_size_t n_watched;

static void watched(void *arg)
{
	(void)arg;
	usleep(200);
	atomic_fetch_add(&n_watched, 1);
}

/*
 * Rings, some of which bear a watch, and refer to the next: what garbage has in hand holds what
 * another collection is to find.
 */
static void *make_watched_rings(void *arg)
{
	struct node *last = NULL;

	for (size_t i = 0; i < LOAD(400); i++) {
		struct node *ring = make_ring(&node_type, 3);

		if (i % 4 == 0 && ouro_watch(ring, watched, NULL, NULL) != 0)
			abort();
		ouro_store(&ring->left, last);
		ouro_release(last);
		last = ring;
		if (i % 50 == 0) {
			ouro_release(last);
			last = NULL;
		}
	}
	ouro_release(last);
	return arg;
}

static bool collect_all_at_once(void)
{
	uint64_t began = now_ns();

	assert_true(ouro_gc_collect(2) >= 0);
	bool at_once = !took_too_long_to_prove(began);
	if (at_once)
		assert_int_equal(objects_live(), 0);
	assert_int_equal(ouro_flush(), 0);
	assert_true(ouro_gc_collect(2) >= 0);
	return at_once;
}

static void flush_collect_waits_for_sets_in_other_hands(void **state)
{
	int at_once = 0;

	(void)state;
	ouro_gc_enable();
	ouro_gc_set_threshold(500, 3, 1);
	for (int round = 0; round < 20 && at_once < 5; round++) {
		pthread_t t[3];

		for (int i = 0; i < 3; i++)
			t[i] = thread_start(make_watched_rings, NULL);
		for (int i = 0; i < 3; i++)
			pthread_join(t[i], NULL);
		at_once += collect_all_at_once();
	}
	print_message("%d collections were back at once\n", at_once);
}

/* ---- callbacks that do not return, or not soon ---- */

static sem_t entered, leave;

static void block(void *obj)
{
	if (((struct node *)obj)->id == 0)
		return;
	sem_post(&entered);
	sem_wait(&leave);
}

static const ouro_type blocking_type = {
	.name = "blocking", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = block,
	.destroy = counted_destroy,
};

static void *release_it(void *arg)
{
	ouro_release(arg);
	return NULL;
}

static void *flush_once(void *arg)
{
	if (ouro_flush() != 0)
		abort();
	atomic_store((atomic_bool *)arg, true);
	return NULL;
}

/* A finalizer that does not return holds up a collection only so far, but a flush until it returns. */
static void flush_waits_for_a_finalizer_a_collection_does_not(void **state)
{
	atomic_bool flushed = false;
	struct node *n = make_of(&blocking_type, 1);

	(void)state;
	counters_clear();
	sem_init(&entered, 0, 0);
	sem_init(&leave, 0, 0);
	ouro_give(&n->right, make_ring(&counted_type, 10));
	pthread_t releaser = thread_start(release_it, n);
	sem_wait(&entered);
	pthread_t flusher = thread_start(flush_once, &flushed);
	ouro_release(make_ring(&counted_type, 100));
	assert_int_equal(ouro_gc_collect(2), 100);
	assert_int_equal(n_destroyed, 100);
	assert_false(atomic_load(&flushed));
	sem_post(&leave);
	pthread_join(releaser, NULL);
	pthread_join(flusher, NULL);
	assert_true(atomic_load(&flushed));
	assert_int_equal(n_destroyed, 101);
	assert_int_equal(ouro_gc_collect(2), 10);
}

/* ---- callbacks that make more ---- */

static atomic_bool enough;
static atomic_size_t n_made;

static void make_another(void *obj);

static const ouro_type another_type = {
	.name = "another", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = make_another,
};

static void make_another(void *obj)
{
	struct node *n = obj;

	if (atomic_load(&enough))
		return;
	atomic_fetch_add(&n_made, 1);
	if (n->id == 0)
		ouro_release(make_of(&another_type, 0));
	else
		ouro_give(&n->left, make_of(&another_type, 1));
}

/*
 * By a finalizer that drops another of its type, or refers to it: there is an end, and what was
 * there at the call has had its turn.
 */
static void flush_has_an_end_though_finalizers_make_more(void **state)
{
	(void)state;
	counters_clear();
	atomic_store(&enough, false);
	for (int id = 0; id < 2; id++) {
		struct node *list = make_list(&counted_type, LOAD(50000)), *n = make_of(&another_type, id), *last = list;

		while (last->right)
			last = last->right;
		ouro_give(&last->right, n);
		ouro_release(list);
		assert_int_equal(ouro_flush(), 0);
		assert_int_equal(n_destroyed, (size_t)(id + 1) * LOAD(50000));
		assert_true(ouro_gc_collect(2) >= 0);
	}
	assert_true(atomic_load(&n_made) > 10);
	atomic_store(&enough, true);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

/* As an object with many items: it is one, and more work than one. */
static void be_much_work(void *obj)
{
	(void)obj;
	__atomic_fetch_add(&oi_ticket.n_objects, 1000, __ATOMIC_RELAXED);
}

static const ouro_type laborious_type = {
	.name = "laborious", .size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, left, right), .finalize = be_much_work,
};

/* The limit for callbacks that make more is one of objects, not of work. */
static void flush_does_not_give_up_because_of_much_work(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		ouro_release(make_list(&laborious_type, LOAD(50000)));
		assert_int_equal(ouro_flush(), 0); /* the reaper may have done it before */
		assert_int_equal(objects_live(), 0);
	}
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(book_count(&log_book, "gives up"), 0);
}

static int give_up_teardown(void **state)
{
	atomic_store(&busy.stop, true);
	atomic_store(&enough, true);
	return heap_teardown(state);
}

#define BUSY_CASE(f) cmocka_unit_test_setup_teardown(f, heap_setup, give_up_teardown)

#define SMALL_BATCH_CASE(f) cmocka_unit_test_setup_teardown(f, small_batch_setup, give_up_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BUSY_CASE(flush_beside_lists_with_a_destroy),
		SMALL_BATCH_CASE(flush_beside_lists_past_a_batch),
		BUSY_CASE(flush_beside_plain_lists),
		BUSY_CASE(flush_beside_lists_of_others),
		BUSY_CASE(flush_beside_others_that_flush),
		BUSY_CASE(flush_follows_what_dies_from_owner_to_owner),
		BUSY_CASE(flush_collect_waits_for_sets_in_other_hands),
		BUSY_CASE(flush_waits_for_a_finalizer_a_collection_does_not),
		BUSY_CASE(flush_has_an_end_though_finalizers_make_more),
		BUSY_CASE(flush_does_not_give_up_because_of_much_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
