/*
 * Goal: the three generations, their counts, thresholds and statistics, and freezing, go as in
 * Python's gc.
 * Method: listings of each generation between collections; garbage until automatic collections
 * happen.
 * A failure would mean: collections that never start or always run, or free what old objects hold.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

#include "base/wake.h"

/* ---- ages ---- */

static bool count_object(void *obj, void *arg)
{
	(void)obj;
	(void)arg;
	return true;
}

static void assert_generations(ssize_t young, ssize_t middle, ssize_t old)
{
	assert_int_equal(ouro_gc_objects(0, count_object, NULL), young);
	assert_int_equal(ouro_gc_objects(1, count_object, NULL), middle);
	assert_int_equal(ouro_gc_objects(2, count_object, NULL), old);
	assert_int_equal(ouro_gc_objects(-1, count_object, NULL), young + middle + old);
}

static void generation_survivors_grow_older(void **state)
{
	struct node *n = make_ring(&node_type, 10);

	(void)state;
	assert_generations(10, 0, 0);
	assert_int_equal(ouro_gc_collect(0), 0);
	assert_generations(0, 10, 0);
	assert_int_equal(ouro_gc_collect(0), 0);
	assert_generations(0, 10, 0);
	assert_int_equal(ouro_gc_collect(1), 0);
	assert_generations(0, 0, 10);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_generations(0, 0, 10);
	ouro_release(n);
	assert_int_equal(ouro_gc_collect(0), 0);
	assert_int_equal(ouro_gc_collect(1), 0);
	assert_int_equal(ouro_gc_collect(2), 10);
	assert_generations(0, 0, 0);
}

/* New objects are young, whatever lies beside them. */
static void generation_new_objects_are_young(void **state)
{
	struct node *old = make_ring(&node_type, 100);

	(void)state;
	ouro_gc_collect(0);
	ouro_gc_collect(1);
	assert_generations(0, 0, 100);
	struct node *young = make_ring(&node_type, 50);
	assert_generations(50, 0, 100);
	ouro_release(young);
	assert_int_equal(ouro_gc_collect(0), 50);
	assert_generations(0, 0, 100);
	ouro_release(old);
	assert_int_equal(ouro_gc_collect(2), 100);
}

/* A young cycle that an old object holds stays, though the old one is not looked at. */
static void generation_young_only_respects_old_references(void **state)
{
	struct node *old = make(1);

	(void)state;
	ouro_gc_collect(0);
	ouro_gc_collect(1);
	ouro_give(&old->left, make_pair(&loud_type, 2));
	assert_int_equal(ouro_gc_collect(0), 0);
	assert_journal("");
	ouro_store(&old->left, NULL);
	assert_int_equal(ouro_gc_collect(1), 2);
	ouro_release(old);
}

static void generation_leaves_old_garbage_to_a_full_one(void **state)
{
	struct node *old = make_pair(&node_type, 1);

	(void)state;
	ouro_gc_collect(0);
	ouro_gc_collect(1);
	ouro_give(&old->left, make_pair(&node_type, 3));
	ouro_store(&old->left->left, old);
	ouro_release(old);
	assert_int_equal(ouro_gc_collect(0), 0);
	assert_int_equal(ouro_gc_collect(2), 4);
}

/* ---- counts, statistics, thresholds ---- */

static void assert_counts_are(int c1, int c2)
{
	int count[3] = { -1, -1, -1 };

	ouro_gc_get_count(count);
	assert_true(count[0] >= 0);
	assert_int_equal(count[1], c1);
	assert_int_equal(count[2], c2);
}

static void generation_counts_go_as_in_python(void **state)
{
	int count[3];

	(void)state;
	assert_counts_are(0, 0);
	for (int i = 1; i <= 3; i++) {
		ouro_gc_collect(0);
		assert_counts_are(i, 0);
	}
	ouro_gc_collect(1);
	assert_counts_are(0, 1);
	ouro_gc_collect(0);
	ouro_gc_collect(1);
	assert_counts_are(0, 2);
	ouro_gc_collect(2);
	assert_counts_are(0, 0);
	struct node *list = make_list(&node_type, LOAD(100000));
	ouro_gc_get_count(count);
	assert_true(count[0] > 0 && count[0] <= LOAD(100000));
	ouro_release(list);
	ouro_flush();
	ouro_gc_get_count(count);
	assert_true(count[0] >= 0);
}

static void generation_stats_add_up(void **state)
{
	ouro_gc_stats s[3];
	ouro_stats all;

	(void)state;
	for (int g = 0; g < 3; g++) {
		ouro_release(make_ring(&node_type, 10 * (size_t)(g + 1)));
		ouro_gc_collect(g);
	}
	ouro_gc_collect(1);
	ouro_gc_get_stats(s);
	ouro_stats_get(&all);
	for (int g = 0; g < 3; g++) {
		assert_int_equal(s[g].collections, g == 1 ? 2 : 1);
		assert_int_equal(s[g].collected, 10 * (g + 1));
		assert_int_equal(s[g].uncollectable, 0);
		assert_true(s[g].duration_ns > 0);
		assert_int_equal(all.collections[g], s[g].collections);
		assert_int_equal(all.collected[g], s[g].collected);
		assert_int_equal(all.collection_ns[g], s[g].duration_ns);
	}
}

static void generation_threshold_is_kept_or_refused(void **state)
{
	static const int bad[][3] = { { -2, 1, 1 }, { 1, -1, 1 }, { 1, 1, -1 }, { INT32_MIN, 0, 0 } };
	int t[3];

	(void)state;
	ouro_gc_get_threshold(t);
	assert_int_equal(t[0], -1);
	assert_int_equal(t[1], 10);
	assert_int_equal(t[2], 10);
	assert_int_equal(ouro_gc_set_threshold(700, 0, 12), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ouro_gc_set_threshold(bad[i][0], bad[i][1], bad[i][2]), EINVAL);
	ouro_gc_get_threshold(t);
	assert_int_equal(t[0], 700);
	assert_int_equal(t[1], 0);
	assert_int_equal(t[2], 12);
}

static uint64_t collections(int generation)
{
	ouro_gc_stats s[3];

	ouro_gc_get_stats(s);
	return s[generation].collections;
}

static uint64_t all_collections(void)
{
	return collections(0) + collections(1) + collections(2);
}

/* Makes cyclic garbage until so many collections of a generation have been, or patience is over. */
static bool churn_until(int generation, uint64_t n)
{
	uint64_t end = now_ns() + PATIENCE_S * 1000000000ull;

	while (collections(generation) < n && now_ns() < end)
		for (int i = 0; i < 100; i++)
			ouro_release(make_pair(&node_type, i));
	return collections(generation) >= n;
}

static void generation_automatically_past_the_threshold(void **state)
{
	(void)state;
	assert_int_equal(ouro_gc_set_threshold(1000, 3, 2), 0);
	assert_false(ouro_gc_enable());
	assert_true(churn_until(0, 10));
	assert_true(churn_until(1, 3));
	ouro_gc_disable();
	ouro_gc_stats s[3];
	ouro_gc_get_stats(s);
	assert_true(s[0].collected > 0);
	assert_true(ouro_gc_collect(2) >= 0);
	assert_int_equal(objects_live(), 0);
}

/* Generation 2 follows too while most of what survives is new: here everything made is kept. */
static void generation_automatically_all_generations(void **state)
{
	uint64_t end = now_ns() + PATIENCE_S * 1000000000ull;
	struct node *kept = NULL;

	(void)state;
	assert_int_equal(ouro_gc_set_threshold(500, 1, 1), 0);
	ouro_gc_enable();
	while (collections(2) == 0 && now_ns() < end) {
		struct node *n = make_pair(&node_type, 1);

		ouro_give(&n->left, kept);
		kept = n;
	}
	ouro_gc_disable();
	assert_true(collections(2) > 0);
	ouro_release(kept);
	ouro_gc_collect(2);
	assert_true(EVENTUALLY(objects_live() == 0));
}

/*
 * Full collections while twenty of generation 1 come by. If that takes a second, on a machine so
 * busy that the program looks quiet, there may be one for that reason (idle.c): then -1.
 */
static int full_ones_meanwhile(void)
{
	ouro_gc_collect(2);
	uint64_t began = now_ns(), before = collections(2);
	assert_int_equal(ouro_gc_set_threshold(500, 1, 1), 0);
	ouro_gc_enable();
	assert_true(churn_until(1, collections(1) + 20));
	ouro_gc_disable();
	int n = (int)(collections(2) - before);
	return now_ns() - began < 900000000 ? n : -1;
}

/* With a large old generation that does not grow, no full collection is worth it. */
static void generation_full_needs_growth(void **state)
{
	struct node *old = make_ring(&node_type, 100000);
	int n;

	(void)state;
	ouro_gc_collect(0);
	ouro_gc_collect(1);
	assert_true(EVENTUALLY((n = full_ones_meanwhile()) >= 0));
	assert_int_equal(n, 0);
	ouro_release(old);
	ouro_gc_collect(2);
}

static void generation_automatically_with_the_default_threshold(void **state)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT;

	(void)state;
	heap_start(&cfg);
	assert_true(ouro_gc_is_enabled());
	assert_true(churn_until(0, 3));
	ouro_gc_disable();
	ouro_gc_collect(2);
	ouro_flush();
	assert_true(EVENTUALLY(objects_live() == 0));
}

static void make_garbage(int n)
{
	for (int i = 0; i < n; i++)
		ouro_release(make_pair(&node_type, i));
}

/* Has the collector's thread been asked, and gone back to sleep with nothing to do? */
static void let_it_look(void)
{
	oi_wake_collect();
	assert_true(EVENTUALLY(library_asleep_for("ouro-gc", 20)));
}

static void generation_never_with_threshold_zero(void **state)
{
	(void)state;
	assert_int_equal(ouro_gc_set_threshold(0, 1, 1), 0);
	ouro_gc_enable();
	make_garbage(LOAD(100000));
	let_it_look();
	assert_int_equal(all_collections(), 0);
	assert_int_equal(objects_live(), 2 * LOAD(100000));
	assert_int_equal(ouro_gc_set_threshold(100, 1, 1), 0);
	let_it_look(); /* with another threshold it does collect */
	assert_true(all_collections() > 0);
	ouro_gc_disable();
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

static void generation_not_while_disabled(void **state)
{
	(void)state;
	assert_int_equal(ouro_gc_set_threshold(100, 1, 1), 0);
	make_garbage(LOAD(20000));
	let_it_look();
	assert_int_equal(all_collections(), 0);
	assert_int_equal(objects_live(), 2 * LOAD(20000));
	ouro_gc_enable();
	let_it_look();
	ouro_gc_disable();
	assert_true(all_collections() > 0);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

static void generation_enable_and_disable_return_what_was(void **state)
{
	(void)state;
	assert_false(ouro_gc_is_enabled());
	assert_false(ouro_gc_enable());
	assert_true(ouro_gc_enable());
	assert_true(ouro_gc_is_enabled());
	assert_true(ouro_gc_disable());
	assert_false(ouro_gc_disable());
	assert_false(ouro_gc_is_enabled());
}

/* Deallocations count against allocations: acyclic and short-lived objects start nothing. */
static void generation_not_for_what_dies_by_count(void **state)
{
	(void)state;
	assert_int_equal(ouro_gc_set_threshold(10000, 1, 1), 0);
	ouro_gc_enable();
	for (int i = 0; i < LOAD(200000); i++)
		ouro_release(make(i));
	for (int i = 0; i < LOAD(200000); i++)
		ouro_release(leaf_new(i));
	let_it_look();
	assert_int_equal(all_collections(), 0);
	make_garbage(LOAD(200000)); /* what does not die by count does */
	let_it_look();
	assert_true(all_collections() > 0);
	ouro_gc_disable();
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

/* ---- freezing ---- */

static void generation_ignores_the_frozen(void **state)
{
	struct node *ring = make_ring(&loud_type, 6);

	(void)state;
	assert_int_equal(ouro_gc_freeze_count(), 0);
	ouro_gc_freeze();
	assert_int_equal(ouro_gc_freeze_count(), 6);
	assert_generations(0, 0, 0);
	ouro_release(ring);
	for (int g = 0; g < 3; g++)
		assert_int_equal(ouro_gc_collect(g), 0);
	assert_journal("");
	ouro_gc_unfreeze();
	assert_int_equal(ouro_gc_freeze_count(), 0);
	assert_generations(0, 0, 6);
	assert_int_equal(ouro_gc_collect(1), 0);
	assert_int_equal(ouro_gc_collect(2), 6);
	assert_int_equal(book_count(&journal, "d"), 6);
}

/* As in Python: nothing is young afterwards, by the counts either. */
static void generation_freeze_empties_the_counts(void **state)
{
	int count[3];

	(void)state;
	ouro_release(make_ring(&node_type, 100));
	for (int i = 0; i < 3; i++)
		assert_true(ouro_gc_collect(i % 2) >= 0);
	struct node *list = make_list(&node_type, 5000);
	ouro_gc_get_count(count);
	assert_true(count[0] >= 5000 && count[1] > 0 && count[2] > 0);
	ouro_gc_freeze();
	ouro_gc_get_count(count);
	assert_int_equal(count[0], 0);
	assert_int_equal(count[1], 0);
	assert_int_equal(count[2], 0);
	ouro_release(list);
	ouro_gc_unfreeze();
}

static void generation_frozen_objects_die_by_count(void **state)
{
	struct node *list = make_list(&loud_type, 5), *n = make_of(&loud_type, 9);

	(void)state;
	ouro_gc_freeze();
	assert_int_equal(ouro_gc_freeze_count(), 6);
	ouro_release(list);
	assert_noted("d", 5);
	assert_true(EVENTUALLY(ouro_gc_freeze_count() == 1));
	ouro_gc_unfreeze();
	assert_generations(0, 0, 1);
	ouro_release(n);
}

/* What is made after the freeze is collected as usual; what frozen objects refer to is held. */
static void generation_beside_the_frozen(void **state)
{
	struct node *frozen = make_ring(&node_type, 4);

	(void)state;
	ouro_gc_freeze();
	struct node *young = make_pair(&loud_type, 1);
	ouro_store(&young->left, frozen);
	assert_int_equal(ouro_refcount(frozen), 3);
	ouro_release(young);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(ouro_refcount(frozen), 2);
	ouro_give(&frozen->left, make_pair(&loud_type, 3));
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(ouro_gc_freeze_count(), 4);
	ouro_gc_unfreeze();
	ouro_release(frozen);
	assert_int_equal(ouro_gc_collect(2), 6);
	assert_int_equal(book_count(&journal, "d"), 4);
}

/* It would look at the whole heap. */
static void generation_unfreeze_stops_nobody_for_nothing(void **state)
{
	struct node *list = make_list(&node_type, 3);

	(void)state;
	uint64_t pauses = stats().pauses;
	ouro_gc_unfreeze();
	assert_int_equal(stats().pauses, pauses);
	ouro_gc_freeze();
	ouro_gc_unfreeze();
	assert_int_equal(stats().pauses, pauses + 2);
	ouro_gc_freeze();
	ouro_release(list);
	assert_true(EVENTUALLY(ouro_gc_freeze_count() == 0));
	ouro_gc_unfreeze();
	assert_int_equal(stats().pauses, pauses + 3);
}

static void generation_freeze_again_adds(void **state)
{
	struct node *a = make_ring(&node_type, 4), *b;

	(void)state;
	ouro_gc_freeze();
	b = make_ring(&node_type, 3);
	assert_int_equal(ouro_gc_freeze_count(), 4);
	ouro_gc_freeze();
	assert_int_equal(ouro_gc_freeze_count(), 7);
	ouro_gc_unfreeze();
	ouro_release(a);
	ouro_release(b);
	assert_int_equal(ouro_gc_collect(2), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(generation_survivors_grow_older),
		HEAP_CASE(generation_new_objects_are_young),
		HEAP_CASE(generation_young_only_respects_old_references),
		HEAP_CASE(generation_leaves_old_garbage_to_a_full_one),
		HEAP_CASE(generation_counts_go_as_in_python),
		HEAP_CASE(generation_stats_add_up),
		HEAP_CASE(generation_threshold_is_kept_or_refused),
		HEAP_CASE(generation_automatically_past_the_threshold),
		HEAP_CASE(generation_automatically_all_generations),
		HEAP_CASE(generation_full_needs_growth),
		BARE_CASE(generation_automatically_with_the_default_threshold),
		HEAP_CASE(generation_never_with_threshold_zero),
		HEAP_CASE(generation_not_while_disabled),
		HEAP_CASE(generation_enable_and_disable_return_what_was),
		HEAP_CASE(generation_not_for_what_dies_by_count),
		HEAP_CASE(generation_ignores_the_frozen),
		HEAP_CASE(generation_freeze_empties_the_counts),
		HEAP_CASE(generation_frozen_objects_die_by_count),
		HEAP_CASE(generation_beside_the_frozen),
		HEAP_CASE(generation_freeze_again_adds),
		HEAP_CASE(generation_unfreeze_stops_nobody_for_nothing),
	};

	return cmocka_run_group_tests_name("generation", tests, NULL, NULL);
}
