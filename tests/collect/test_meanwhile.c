/*
 * Goal: everything else the library offers goes on, and stays right, while a full collection runs.
 * Method: listings, freezing, immortals, frees of all sizes beside collections in a loop, or one
 * held in its middle.
 * A failure would mean: crashes in monitoring code, memory that is never given back, errors that
 * are not told.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "mutators.h"

/* ---- looking at what changes ---- */

/* Some are so new that their makers have not filled them in: only what the library knows of them can be looked at. */
static bool look(void *obj, void *arg)
{
	++*(size_t *)arg;
	if (ouro_typeof(obj) == NULL || ouro_refcount(obj) == 0)
		atomic_fetch_add(&graph.wrong, 1);
	return true;
}

static bool look_at_one(void *obj, void *arg)
{
	look(obj, arg);
	return false;
}

static void try_to_retain(struct node **root)
{
	ouro_pin();
	struct node *n = whole(ouro_try_retain(ouro_peek(root)));
	ouro_unpin();
	ouro_release(n);
}

/* Everything that looks, at one object that we hold. Returns how many calls failed. */
static size_t look_all_round(struct node *n, FILE *sink)
{
	size_t seen = 0, failed = 0;

	failed += ouro_gc_objects(-1, look, &seen) < 0;
	failed += ouro_gc_objects(2, look_at_one, &seen) < 0;
	failed += ouro_gc_referrers(n, look, &seen) < 0;
	failed += ouro_gc_referents(n, look, &seen) < 0;
	failed += ouro_dump_dot(sink, n, 500) != 0;
	failed += ouro_refcount(n) == 0 || !ouro_gc_is_tracked(n);
	return failed + (seen == 0);
}

static void meanwhile_all_can_be_looked_at(void **state)
{
	FILE *sink = fopen("/dev/null", "w");
	uint64_t seed = 1;
	size_t failed = 0;

	(void)state;
	mutators_start(NULL);
	collecting_start();
	for (int i = 0; i < LOAD(40) + 5; i++) {
		struct node *n = whole(ouro_load(&graph.root[pick(&seed, ROOTS)]));

		try_to_retain(&graph.root[pick(&seed, ROOTS)]);
		if (n != NULL)
			failed += look_all_round(n, sink);
		ouro_release(n);
	}
	collecting_stop();
	mutators_stop();
	fclose(sink);
	assert_int_equal(failed, 0);
	assert_all_is_collected(0);
}

static void *list_main(void *arg)
{
	struct node *n = arg;
	size_t seen = 0;

	while (!atomic_load(&graph.stop)) {
		ouro_gc_referrers(n, look, &seen);
		ouro_gc_objects(0, look, &seen);
	}
	return NULL;
}

struct vector {
	struct vector *next;
	void *items[];
};

static const ouro_type vector_type = {
	.name = "vector", .size = offsetof(struct vector, items), .slots = OURO_SLOTS(struct vector, next),
	.item_size = sizeof(void *), .item_slots = OURO_ITEM_REFS,
};

static struct vector *vectors(size_t n, size_t n_items)
{
	struct vector *head = NULL;

	while (n--) {
		struct vector *v = ouro_new_items(&vector_type, n_items);

		assert_non_null(v);
		ouro_give(&v->next, head);
		head = v;
	}
	return head;
}

/* What is large goes back when the collection ends: not while somebody walks through it. */
static void meanwhile_large_objects_go_while_others_list(void **state)
{
	struct node *ring = make_ring(&node_type, 20000);

	(void)state;
	atomic_store(&graph.stop, false);
	pthread_t t = thread_start(list_main, ring);
	collecting_start();
	for (int i = 0; i < LOAD(20) + 10; i++)
		ouro_release(vectors(100, 10000));
	collecting_stop();
	atomic_store(&graph.stop, true);
	pthread_join(t, NULL);
	ouro_release(ring);
	assert_all_is_collected(0);
}

/* ---- what may not die ---- */

static void meanwhile_the_frozen_live(void **state)
{
	size_t early = 0;

	(void)state;
	counters_clear();
	mutators_start(NULL);
	collecting_start();
	for (int i = 0; i < LOAD(20) + 5; i++) {
		struct node *ring = make_ring(&counted_type, 50);

		ouro_gc_freeze();
		ouro_release(ring);
		size_t n = collecting.n;
		early += !EVENTUALLY(collecting.n >= n + 2) || n_destroyed != (size_t)i * 50;
		ouro_gc_unfreeze();
		early += !EVENTUALLY(n_destroyed == (size_t)(i + 1) * 50);
	}
	collecting_stop();
	mutators_stop();
	assert_int_equal(early, 0);
	assert_all_is_collected(0);
}

enum { IMMORTALS = 20, RING = 5 };

static ouro_weak cell[IMMORTALS];
static atomic_uint now_at;

/* As soon as one has been dropped: it becomes immortal, or it was dead already. */
static void *immortalize_main(void *arg)
{
	(void)arg;
	while (!atomic_load(&graph.stop)) {
		struct node *n = ouro_weak_load(&cell[atomic_load(&now_at)]);

		if (n != NULL)
			ouro_immortalize(n);
		ouro_release(n);
	}
	return NULL;
}

static void meanwhile_immortals_live(void **state)
{
	size_t n_alive = 0, n_wrong = 0;

	(void)state;
	counters_clear();
	atomic_store(&now_at, 0);
	mutators_start(immortalize_main);
	for (unsigned i = 0; i < IMMORTALS; i++) {
		struct node *ring = make_ring(&counted_type, RING);

		ouro_weak_store(&cell[i], ring->right);
		ouro_gc_collect(1);
		ouro_release(ring);
		if (i % 2)
			atomic_store(&now_at, i);
		n_wrong += ouro_gc_collect(2) < 0;
		atomic_store(&now_at, i);
		struct node *n = ouro_weak_load(&cell[i]);
		n_alive += n != NULL;
		ouro_release(n);
	}
	ouro_gc_collect(2);
	mutators_stop();
	assert_int_equal(n_wrong, 0);
	assert_int_equal(n_destroyed, (IMMORTALS - n_alive) * RING);
	for (unsigned i = 0; i < IMMORTALS; i++) {
		struct node *n = ouro_weak_load(&cell[i]);

		n_alive -= n != NULL && ouro_refcount(n) == SIZE_MAX;
		ouro_release(n);
		ouro_weak_clear(&cell[i]);
	}
	assert_int_equal(n_alive, 0);
}

/* ---- memory ---- */

enum { MB = 1 << 20 };

/* Freed in the middle of a collection, which keeps it to its end. Returns what was reserved before. */
static uint64_t free_in_the_middle(struct vector *v)
{
	uint64_t peak = bytes_reserved();

	holding_begin();
	ouro_release(v);
	assert_true(bytes_reserved() >= peak / 2);
	holding_end();
	return peak;
}

/* The thread that freed them goes on. */
static void meanwhile_large_objects_are_given_back(void **state)
{
	static const size_t n[][2] = { { 200, 20000 }, { 3, 5 * MB } };

	(void)state;
	for (int i = 0; i < 2; i++) {
		holding_prepare();
		uint64_t peak = free_in_the_middle(vectors(n[i][0], n[i][1]));

		ouro_gc_collect(2);
		assert_true(EVENTUALLY(bytes_reserved() < peak / 2));
	}
}

static void meanwhile_empty_pages_are_given_back(void **state)
{
	(void)state;
	holding_prepare();
	uint64_t peak = free_in_the_middle(vectors((size_t)LOAD(50000) * 2, 30));
	ouro_gc_collect(2);
	assert_true(EVENTUALLY(bytes_reserved() < peak / 2));
}

/* The thread that freed it does nothing with the heap any more. */
static void meanwhile_idle_threads_keep_nothing(void **state)
{
	(void)state;
	holding_prepare();
	uint64_t peak = free_in_the_middle(vectors(200, 20000));
	for (int i = 0; i < PATIENCE_S * 10 && bytes_reserved() >= peak / 2; i++)
		sleep_ms(10);
	assert_true(bytes_reserved() < peak / 2);
}

/* The same again and again, beside one collection after the other, does not add up. */
static void meanwhile_memory_does_not_grow(void **state)
{
	uint64_t early = 0;

	(void)state;
	collecting_start();
	for (int i = 0; i < LOAD(20) + 10; i++) {
		ouro_release(vectors(5, 20000));
		ouro_release(vectors(1, 5 * MB));
		ouro_release(vectors(1000, (size_t)(i % 20)));
		if (i == LOAD(10))
			early = bytes_reserved();
	}
	collecting_stop();
	assert_true(EVENTUALLY(bytes_reserved() <= 2 * early + 64 * MB));
	assert_all_is_collected(0);
	assert_true(EVENTUALLY(bytes_reserved() < 16 * MB));
}

/* ---- answers ---- */

static void meanwhile_nothing_changes_and_nothing_is_found(void **state)
{
	struct leaf *l[100];

	(void)state;
	assert_int_equal(ouro_gc_collect(2), 0);
	for (int i = 0; i < 100; i++)
		l[i] = leaf_new(i);
	assert_int_equal(ouro_gc_collect(2), 0);
	for (int i = 0; i < 100; i++)
		ouro_release(l[i]);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(book_count(&journal, "l"), 100);
}

static void *collect_and_add(void *arg)
{
	ssize_t n = ouro_gc_collect(2);

	if (n >= 0)
		atomic_fetch_add((atomic_size_t *)arg, (size_t)n);
	return NULL;
}

/* One finds it, or each a part; when both have returned it is gone. */
static void meanwhile_another_collection_waits(void **state)
{
	(void)state;
	for (int i = 0; i < LOAD(100) + 5; i++) {
		atomic_size_t found = 0;
		pthread_t t[2];

		counters_clear();
		ouro_release(make_ring(&counted_type, 1000));
		for (int k = 0; k < 2; k++)
			t[k] = thread_start(collect_and_add, &found);
		for (int k = 0; k < 2; k++)
			pthread_join(t[k], NULL);
		assert_int_equal(found, 1000);
		assert_int_equal(n_destroyed, 1000);
	}
}

static void collect_inside(void *obj)
{
	note(ouro_gc_collect(2) >= 0 ? 'c' : '!', ((struct node *)obj)->id);
}

static const ouro_type collecting_type = {
	.name = "collecting", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = collect_inside,
};

static void meanwhile_a_finalizer_may_run(void **state)
{
	(void)state;
	collecting_start();
	for (int i = 0; i < 50; i++) {
		ouro_release(make_of(&collecting_type, 1));
		ouro_release(make_pair(&collecting_type, 2));
		ouro_gc_collect(2);
	}
	collecting_stop();
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(book_count(&journal, "c"), 150);
	assert_int_equal(book_count(&journal, "!"), 0);
}

static void collect_in_event(const ouro_gc_event *e, void *arg)
{
	atomic_int *refused = arg;

	for (int g = -1; g < 4 && (e->phase == OURO_GC_START || e->phase == OURO_GC_STOP); g++) {
		errno = 0;
		if (ouro_gc_collect(g) == -1 && errno == (g < 0 || g > 2 ? EINVAL : EDEADLK))
			atomic_fetch_add(refused, 1);
	}
}

static void meanwhile_one_of_its_own_is_refused(void **state)
{
	atomic_int refused = 0;

	(void)state;
	assert_int_equal(ouro_gc_on_event(collect_in_event, &refused), 0);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(ouro_gc_off_event(collect_in_event, &refused), 0);
	assert_int_equal(refused, 10);
	ouro_pin();
	errno = 0;
	assert_int_equal(ouro_gc_collect(2), -1);
	assert_int_equal(errno, EDEADLK);
	ouro_unpin();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(meanwhile_all_can_be_looked_at),
		HEAP_CASE(meanwhile_large_objects_go_while_others_list),
		HEAP_CASE(meanwhile_the_frozen_live),
		HEAP_CASE(meanwhile_immortals_live),
		HEAP_CASE(meanwhile_large_objects_are_given_back),
		HEAP_CASE(meanwhile_empty_pages_are_given_back),
		HEAP_CASE(meanwhile_idle_threads_keep_nothing),
		HEAP_CASE(meanwhile_memory_does_not_grow),
		HEAP_CASE(meanwhile_nothing_changes_and_nothing_is_found),
		HEAP_CASE(meanwhile_another_collection_waits),
		HEAP_CASE(meanwhile_a_finalizer_may_run),
		HEAP_CASE(meanwhile_one_of_its_own_is_refused),
	};

	return cmocka_run_group_tests_name("meanwhile", tests, NULL, NULL);
}
