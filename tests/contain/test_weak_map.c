/*
 * Goal: a weak map answers with values that live, keeps none, and nothing of those that died.
 * Method: values that die by count, in cycles and while another is put; maps that die before their
 * values; threads that put, ask and let go; memory that is refused at each step.
 * A failure would mean: a value is kept or brought back, a newer one is lost, or entries pile up.
 */
#include "base/perturb.h"
#include "fixture.h"

#define KEYS ((uint64_t)LOAD(20000))

static ouro_weak_map *weak_map_make(void)
{
	ouro_weak_map *m = ouro_weak_map_new();

	if (m == NULL)
		abort();
	return m;
}

static struct node *put_node(ouro_weak_map *m, uint64_t key)
{
	struct node *n = make_of(&counted_type, (int)key);

	if (ouro_weak_map_put_int(m, key, n) != 0)
		abort();
	return n;
}

static int weak_id(ouro_weak_map *m, uint64_t key)
{
	struct node *n OURO_AUTO = ouro_weak_map_get_int(m, key);

	return n != NULL ? n->id : -1;
}

static void weak_map_does_not_keep_its_values(void **state)
{
	ouro_weak_map *m = weak_map_make();
	struct node *n = put_node(m, 3);

	(void)state;
	counters_clear();
	assert_int_equal(ouro_refcount(n), 1);
	assert_int_equal(weak_id(m, 3), 3);
	assert_int_equal(weak_id(m, 4), -1);
	assert_int_equal(ouro_weak_map_put(m, "key", 3, n), 0);
	struct node *got = ouro_weak_map_get(m, "key", 3);
	assert_ptr_equal(got, n);
	assert_null(ouro_weak_map_get(m, "kex", 3));
	assert_int_equal(ouro_weak_map_size(m), 2);
	ouro_release(got);
	ouro_release(n);
	assert_int_equal(n_destroyed, 1);
	assert_int_equal(weak_id(m, 3), -1);
	assert_true(EVENTUALLY(ouro_weak_map_size(m) == 0));
	ouro_release(m);
}

static void weak_map_refuses_null(void **state)
{
	ouro_weak_map *m = weak_map_make();
	struct node *n = make(1);

	(void)state;
	assert_int_equal(ouro_weak_map_put_int(NULL, 1, n), EINVAL);
	assert_int_equal(ouro_weak_map_put_int(m, 1, NULL), EINVAL);
	assert_int_equal(ouro_weak_map_put(m, NULL, 1, n), EINVAL);
	assert_int_equal(ouro_weak_map_put_if_absent(NULL, "", 0, n), EINVAL);
	assert_null(ouro_weak_map_get_int(NULL, 1));
	assert_null(ouro_weak_map_get(m, NULL, 1));
	assert_false(ouro_weak_map_remove(m, NULL, 1));
	assert_null(ouro_weak_map_get_or_create_int(m, 1, NULL, NULL));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ouro_weak_map_size(NULL), 0);
	ouro_weak_map_clear(NULL);
	assert_true(ouro_weak_map_each(NULL, NULL, NULL));
	ouro_release(n);
	ouro_release(m);
}

static void weak_map_puts_only_if_absent(void **state)
{
	ouro_weak_map *m = weak_map_make();
	struct node *a = make(1), *b = make(2);

	(void)state;
	assert_int_equal(ouro_weak_map_put_if_absent(m, "k", 1, a), 0);
	assert_int_equal(ouro_weak_map_put_if_absent(m, "k", 1, b), EEXIST);
	assert_int_equal(ouro_weak_map_put_if_absent_int(m, 1, a), 0);
	assert_int_equal(weak_id(m, 1), 1);
	assert_int_equal(ouro_weak_map_put_int(m, 1, b), 0);
	assert_int_equal(weak_id(m, 1), 2);
	ouro_release(a);
	assert_true(EVENTUALLY(ouro_weak_map_size(m) == 1));
	assert_int_equal(ouro_weak_map_put_if_absent(m, "k", 1, b), 0);
	assert_true(ouro_weak_map_remove(m, "k", 1));
	assert_false(ouro_weak_map_remove(m, "k", 1));
	assert_true(ouro_weak_map_remove_int(m, 1));
	assert_int_equal(ouro_weak_map_size(m), 0);
	ouro_release(b);
	ouro_release(m);
}

struct seen {
	uint64_t n, sum;
};

static bool see(const ouro_map_item *item, void *arg)
{
	struct seen *s = arg;
	struct node *n = item->value;

	s->n++;
	s->sum += item->number;
	return n->id == (int)item->number;
}

static void weak_map_each_meets_what_lives(void **state)
{
	ouro_weak_map *m = weak_map_make();
	struct node *n[10];
	struct seen s = { 0, 0 };

	(void)state;
	for (uint64_t i = 0; i < 10; i++)
		n[i] = put_node(m, i);
	ouro_release(n[7]);
	assert_true(ouro_weak_map_each(m, see, &s));
	assert_int_equal(s.n, 9);
	assert_int_equal(s.sum, 45 - 7);
	ouro_weak_map_clear(m);
	assert_int_equal(ouro_weak_map_size(m), 0);
	for (int i = 0; i < 10; i++)
		if (i != 7)
			ouro_release(n[i]);
	ouro_release(m);
}

/* More die than are looked at: nothing of them stays. */
static void weak_map_keeps_nothing_of_the_dead(void **state)
{
	ouro_weak_map *m = weak_map_make();
	uint64_t before = 0;

	(void)state;
	for (uint64_t i = 0; i < KEYS; i++) {
		ouro_release(put_node(m, i));
		if (i == KEYS / 2)
			before = objects_live();
	}
	assert_true(EVENTUALLY(ouro_weak_map_size(m) == 0));
	assert_true(objects_live() <= before + 50);
	ouro_release(m);
}

static struct node *put_ring(ouro_weak_map *m)
{
	struct node *a = put_node(m, 1), *b = put_node(m, 2);

	ouro_slot_store(&a->left, b);
	ouro_slot_give(&b->left, a);
	return b;
}

static void weak_map_entries_of_collected_values_go(void **state)
{
	ouro_weak_map *m = weak_map_make();
	struct node *b = put_ring(m);

	(void)state;
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(weak_id(m, 1), 1);
	ouro_release(b);
	assert_true(ouro_gc_collect(2) >= 2);
	assert_int_equal(weak_id(m, 1), -1);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(ouro_weak_map_size(m), 0);
	ouro_release(m);
}

/* Its values refer to the map, which does not keep them. */
static void weak_map_in_a_cycle_is_no_cycle(void **state)
{
	ouro_weak_map *m = weak_map_make();
	struct node *n = put_node(m, 1);

	(void)state;
	counters_clear();
	ouro_slot_store(&n->left, m);
	ouro_release(m);
	assert_int_equal(weak_id((ouro_weak_map *)(void *)n->left, 1), 1);
	ouro_release(n);
	assert_int_equal(n_destroyed, 1);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

/* What waits in manual mode is not found, and its watch does not remove what came later. */
static void weak_map_of_manual_mode_forgets_at_once(void **state)
{
	ouro_weak_map *m = weak_map_make();
	struct node *later = make(9);

	(void)state;
	ouro_release(put_ring(m));
	assert_true(ouro_gc_collect(2) >= 0);
	assert_int_equal(ouro_weak_map_put_if_absent_int(m, 1, later), 0);
	assert_int_equal(weak_id(m, 2), -1);
	while (ouro_run_finalizers(100) > 0)
		;
	assert_int_equal(weak_id(m, 1), 9);
	assert_int_equal(ouro_weak_map_size(m), 1);
	ouro_release(later);
	ouro_release(m);
}

/* A value outlives many maps: nothing of them stays with it, and no watch is left to run. */
static void weak_map_that_dies_leaves_no_watch(void **state)
{
	struct node *n = make(1);

	(void)state;
	ouro_slot_store(&n->left, n);
	for (int i = 0; i < 100; i++) {
		ouro_weak_map *m = weak_map_make();

		assert_int_equal(ouro_weak_map_put_int(m, 1, n), 0);
		assert_int_equal(ouro_weak_map_put_int(m, 1, n), 0);
		assert_int_equal(ouro_weak_map_put_int(m, 2, n), 0);
		assert_true(ouro_weak_map_remove_int(m, 2));
		ouro_release(m);
	}
	assert_int_equal(objects_live(), 1);
	ouro_release(n);
	assert_int_equal(ouro_gc_collect(2), 1);
	assert_int_equal(ouro_run_finalizers(1000), 0);
}

/* ---- making values once ---- */

static atomic_int n_made;

static void *make_node(const ouro_map_item *item, void *arg)
{
	(void)arg;
	atomic_fetch_add(&n_made, 1);
	return make_of(&counted_type, (int)item->number);
}

static void weak_map_makes_again_what_died(void **state)
{
	ouro_weak_map *m = weak_map_make();

	(void)state;
	atomic_store(&n_made, 0);
	struct node *a = ouro_weak_map_get_or_create_int(m, 5, make_node, NULL);
	struct node *b = ouro_weak_map_get_or_create_int(m, 5, make_node, NULL);
	assert_non_null(a);
	assert_ptr_equal(a, b);
	assert_int_equal(ouro_refcount(a), 2);
	ouro_release(a);
	ouro_release(b);
	assert_int_equal(weak_id(m, 5), -1);
	a = ouro_weak_map_get_or_create(m, "five", 4, make_node, NULL);
	b = ouro_weak_map_get_or_create_int(m, 5, make_node, NULL);
	assert_int_equal(n_made, 3);
	ouro_release(a);
	ouro_release(b);
	ouro_release(m);
}

/* ---- several threads ---- */

enum { THREADS = 4, SHARED_KEYS = 16, ROUNDS = LOAD(20000) };

struct worker {
	ouro_weak_map *map;
	unsigned seed;
	int wrong;
};

static void one_step(struct worker *w)
{
	uint64_t r = (uint64_t)rand_r(&w->seed), key = r % SHARED_KEYS;
	struct node *n OURO_AUTO = NULL;

	if (r >> 8 & 1)
		n = ouro_weak_map_get_or_create_int(w->map, key, make_node, NULL);
	else if (r >> 9 & 1)
		n = ouro_weak_map_get_int(w->map, key);
	else
		n = put_node(w->map, key);
	struct node *same OURO_AUTO = ouro_weak_map_get_int(w->map, key);
	w->wrong += n != NULL && n->id != (int)key;
	w->wrong += same != NULL && same->id != (int)key;
	if ((r >> 10 & 7) == 0)
		ouro_weak_map_remove_int(w->map, key);
}

static void *work_on_map(void *arg)
{
	for (int i = 0; i < ROUNDS; i++)
		one_step(arg);
	return NULL;
}

static void weak_map_of_many_threads_is_right(void **state)
{
	struct worker w[THREADS];
	pthread_t t[THREADS];
	ouro_weak_map *m = weak_map_make();

	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ m, i + 1, 0 };
		t[i] = thread_start(work_on_map, &w[i]);
	}
	for (int i = 0; i < 5; i++)
		ouro_gc_collect(2);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(w[i].wrong, 0);
	}
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(ouro_weak_map_size(m), 0);
	ouro_release(m);
}

/* ---- steps in chosen orders ---- */

#if OURO_CHECKED
static ouro_weak_map *stage;
static struct node *newer;
static _Thread_local bool acts;

static const char *at_point;

/* The old value is dead, and its watch is about to run, or to remove: another is put. */
static void put_before_the_watch(const char *point)
{
	if (!acts || strcmp(point, at_point) != 0)
		return;
	acts = false;
	newer = put_node(stage, 1);
}
#endif

#if OURO_CHECKED
static void die_late(const char *point)
{
	at_point = point;
	stage = weak_map_make();
	struct node *n = put_node(stage, 1);

	oi_point_hook = put_before_the_watch;
	acts = true;
	ouro_release(n);
	oi_point_hook = NULL;
	assert_false(acts);
	assert_int_equal(weak_id(stage, 1), 1);
	assert_int_equal(ouro_weak_map_size(stage), 1);
	ouro_release(newer);
	assert_int_equal(weak_id(stage, 1), -1);
	ouro_release(stage);
	stage = NULL;
}
#endif

static void weak_map_late_death_leaves_the_newer_value(void **state)
{
	(void)state;
#if OURO_CHECKED
	die_late("callback");
	die_late("weak map: dead");
#else
	skip();
#endif
}

/* ---- memory, forks, misuse ---- */

static void weak_map_without_memory_is_as_it_was(void **state)
{
	ouro_config cfg = test_config();
	uint64_t key = 0;
	int error;

	(void)state;
	cfg.heap_limit = (SANITIZED ? 4u : 8u) << 20; /* at the limit each try collects */
	heap_start(&cfg);
	ouro_weak_map *m = weak_map_make();
	struct node *n = make(1), *other = make(2);
	while ((error = ouro_weak_map_put_int(m, key, n)) == 0)
		key++;
	assert_int_equal(error, ENOMEM);
	assert_true(key > 1000);
	assert_int_equal(ouro_weak_map_size(m), key);
	error = ouro_weak_map_put_int(m, 0, other);
	assert_true(error == 0 || error == ENOMEM);
	assert_int_equal(weak_id(m, 0), error == 0 ? 2 : 1);
	for (uint64_t i = 1; i < key; i++)
		assert_int_equal(weak_id(m, i), 1);
	assert_int_equal(weak_id(m, key), -1);
	ouro_weak_map_clear(m);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(ouro_weak_map_put_int(m, 1, n), 0);
	ouro_release(n);
	ouro_release(other);
	ouro_release(m);
}

#if OURO_CHECKED
/* In a fresh heap, the nth request for memory that puts make fails. Returns how many puts failed. */
static int puts_refused(unsigned long nth)
{
	enum { PUTS = 400 };
	static struct node *n[PUTS];
	ouro_config cfg = test_config();
	int refused = 0;

	heap_start(&cfg);
	ouro_weak_map *m = weak_map_make();
	for (int i = 0; i < PUTS; i++)
		n[i] = make(i);
	oi_fail_arm(OI_FAIL_ALLOC, nth, false);
	for (int i = 0; i < PUTS; i++) {
		int error = ouro_weak_map_put_int(m, (uint64_t)i, n[i]);

		if (error != 0 && error != ENOMEM)
			fail_msg("put answers %d", error);
		refused += error != 0;
		assert_int_equal(weak_id(m, (uint64_t)i), error == 0 ? i : -1);
	}
	oi_fail_arm(OI_FAIL_ALLOC, 0, false);
	assert_int_equal(ouro_weak_map_size(m), PUTS - refused);
	for (int i = 0; i < PUTS; i++)
		ouro_release(n[i]);
	assert_true(EVENTUALLY(ouro_weak_map_size(m) == 0));
	ouro_release(m);
	assert_int_equal(heap_stop().objects, 0);
	return refused;
}
#endif

static void weak_map_refused_memory_changes_nothing(void **state)
{
	(void)state;
#if OURO_CHECKED
	int refused = 0;

	for (unsigned long nth = 1; nth <= 12; nth++)
		refused += puts_refused(nth);
	print_message("%d puts were refused\n", refused);
	assert_true(refused > 0);
#else
	skip();
#endif
}

static int use_in_child(void *arg)
{
	ouro_weak_map *m = arg;

	REQUIRE(weak_id(m, 1) == 1);
	struct node *n = put_node(m, 2);
	REQUIRE(weak_id(m, 2) == 2);
	ouro_release(n);
	REQUIRE(weak_id(m, 2) == -1);
	REQUIRE(EVENTUALLY(ouro_weak_map_size(m) == 1));
	return 0;
}

static void weak_map_goes_on_in_the_child_of_a_fork(void **state)
{
	ouro_weak_map *m = weak_map_make();
	struct node *n = put_node(m, 1);

	(void)state;
	child_run(use_in_child, m);
	assert_int_equal(weak_id(m, 1), 1);
	ouro_release(n);
	ouro_release(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(weak_map_does_not_keep_its_values),
		HEAP_CASE(weak_map_refuses_null),
		HEAP_CASE(weak_map_puts_only_if_absent),
		HEAP_CASE(weak_map_each_meets_what_lives),
		HEAP_CASE(weak_map_keeps_nothing_of_the_dead),
		HEAP_CASE(weak_map_entries_of_collected_values_go),
		HEAP_CASE(weak_map_in_a_cycle_is_no_cycle),
		MANUAL_CASE(weak_map_of_manual_mode_forgets_at_once),
		MANUAL_CASE(weak_map_that_dies_leaves_no_watch),
		HEAP_CASE(weak_map_makes_again_what_died),
		HEAP_CASE(weak_map_of_many_threads_is_right),
		HEAP_CASE(weak_map_late_death_leaves_the_newer_value),
		BARE_CASE(weak_map_without_memory_is_as_it_was),
		BARE_CASE(weak_map_refused_memory_changes_nothing),
		HEAP_CASE(weak_map_goes_on_in_the_child_of_a_fork),
	};

	return cmocka_run_group_tests_name("weak_map", tests, NULL, NULL);
}
