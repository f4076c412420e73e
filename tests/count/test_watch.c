/*
 * Goal: every watch runs exactly once, newest first, before the finalizer, at shutdown at the
 * latest.
 * Method: watches that write to the journal; deaths by count, in a cycle, at shutdown, after rising
 * again.
 * A failure would mean: a program's clean-up is skipped, done twice, or done in the wrong order.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

static void watch_note(void *arg)
{
	note('w', (int)(intptr_t)arg);
}

static ouro_watch_id watch(void *obj, int number)
{
	ouro_watch_id id = 0;

	assert_int_equal(ouro_watch(obj, watch_note, (void *)(intptr_t)number, &id), 0);
	assert_true(id != 0);
	return id;
}

static void watch_runs_newest_first_by_count(void **state)
{
	struct node *n = make_of(&loud_type, 1);

	(void)state;
	watch(n, 1);
	watch(n, 2);
	watch(n, 3);
	assert_journal("");
	ouro_release(n);
	assert_journal("w3 w2 w1 f1 d1 ");
}

static void watch_runs_newest_first_in_a_cycle(void **state)
{
	struct node *n = make_pair(&loud_type, 1);

	(void)state;
	watch(n, 11);
	watch(n->right, 21);
	watch(n, 12);
	watch(n->right, 22);
	ouro_release(n);
	assert_journal("");
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_before("w12 ", "w11 ");
	assert_before("w22 ", "w21 ");
	assert_before("w11 ", "f1 ");
	assert_before("w21 ", "f2 ");
	assert_before("f1 ", "d1 ");
	assert_int_equal(book_count(&journal, "w"), 4);
}

static void watch_id_may_be_null(void **state)
{
	struct node *n = make_of(&loud_type, 1);

	(void)state;
	assert_int_equal(ouro_watch(n, watch_note, (void *)5, NULL), 0);
	ouro_release(n);
	assert_journal("w5 f1 d1 ");
}

static void watch_refuses_null(void **state)
{
	struct node *n = make(1);
	ouro_watch_id id = 0;

	(void)state;
	assert_int_equal(ouro_watch(NULL, watch_note, NULL, &id), EINVAL);
	assert_int_equal(ouro_watch(n, NULL, NULL, &id), EINVAL);
	ouro_release(n);
	assert_journal("");
}

static void watch_undone_does_not_run(void **state)
{
	struct node *n = make_of(&loud_type, 1);
	ouro_watch_id id[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		id[i] = watch(n, i);
	assert_true(ouro_unwatch(id[0]));
	assert_true(ouro_unwatch(id[2]));
	assert_false(ouro_unwatch(id[2]));
	ouro_release(n);
	assert_journal("w3 w1 f1 d1 ");
	for (int i = 0; i < 4; i++)
		assert_false(ouro_unwatch(id[i]));
	assert_false(ouro_unwatch(0));
	assert_false(ouro_unwatch(UINT64_MAX));
}

static void watch_ids_are_never_used_twice(void **state)
{
	struct node *n = make(1);
	ouro_watch_id first = watch(n, 1);

	(void)state;
	assert_true(ouro_unwatch(first));
	for (int i = 0; i < 1000; i++) {
		ouro_watch_id id = watch(n, i);

		assert_true(id != first);
		assert_false(ouro_unwatch(first));
		assert_true(ouro_unwatch(id));
	}
	ouro_release(n);
	assert_journal("");
}

static void watch_ids_outlive_the_heap(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	heap_start(&cfg);
	struct node *n = make(1);
	ouro_watch_id old = watch(n, 1);
	ouro_release(n);
	heap_stop();
	heap_start(&cfg);
	n = make(1);
	ouro_watch_id fresh = watch(n, 2);
	assert_true(fresh != old);
	assert_false(ouro_unwatch(old));
	ouro_release(n);
	assert_journal("w2 ");
}

static void watch_runs_at_shutdown_for_held_objects(void **state)
{
	struct node *held = make_of(&loud_type, 1), *immortal = make_of(&loud_type, 2);

	(void)state;
	watch(held, 1);
	watch(held, 2);
	watch(immortal, 3);
	ouro_immortalize(immortal);
	assert_int_equal(heap_stop().objects, 1);
	assert_before("w2 ", "w1 ");
	assert_before("w1 ", "f1 ");
	assert_before("w3 ", "f2 ");
	assert_int_equal(book_count(&journal, "w"), 3);
}

static void watch_finalize(void *obj)
{
	note('f', ((struct node *)obj)->id);
	ouro_watch(obj, watch_note, (void *)9, NULL);
}

static const ouro_type watching_type = {
	.name = "watching", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = watch_finalize, .destroy = loud_destroy,
};

static void watch_added_in_the_finalizer_runs_before_destroy(void **state)
{
	struct node *n = make_of(&watching_type, 1);

	(void)state;
	watch(n, 1);
	ouro_release(n);
	assert_journal("w1 f1 w9 d1 ");
	book_clear(&journal);
	ouro_release(make_pair(&watching_type, 1));
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(book_count(&journal, "w9 "), 2);
	assert_before("f1 ", "w9 ");
	assert_before("w9 ", "d1 ");
	assert_before("w9 ", "d2 ");
}

static struct node *risen;

static void rise(void *obj)
{
	note('f', ((struct node *)obj)->id);
	ouro_store(&risen, (struct node *)obj);
}

static const ouro_type rising_type = {
	.name = "rising", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = rise, .destroy = loud_destroy,
};

/* The old watches have run with the first death; those of the second life run with the second. */
static void watch_of_a_second_life_runs(void **state)
{
	struct node *n = make_of(&rising_type, 1);

	(void)state;
	watch(n, 1);
	ouro_release(n);
	assert_journal("w1 f1 ");
	watch(risen, 2);
	ouro_store(&risen, NULL);
	assert_journal("w1 f1 w2 d1 ");
}

/* ---- what a watch may do ---- */

static ouro_weak cell;

static void busy_watch(void *arg)
{
	struct node *n = make(3);

	note(ouro_weak_load(&cell) == NULL ? 'w' : 'x', 1);
	ouro_store((struct node **)arg, n);
	ouro_release(n);
	ouro_release(make_pair(&node_type, 1));
	ouro_gc_collect(0);
}

static void watch_may_use_the_library_and_cannot_reach_the_object(void **state)
{
	struct node *n = make_of(&loud_type, 1);
	struct node *slot = NULL;

	(void)state;
	assert_int_equal(ouro_weak_store(&cell, n), 0);
	assert_int_equal(ouro_watch(n, busy_watch, &slot, NULL), 0);
	ouro_release(n);
	assert_journal("w1 f1 d1 ");
	assert_int_equal(slot->id, 3);
	ouro_release(slot);
	ouro_weak_clear(&cell);
}

static ouro_watch_id own_id;

static void self_unwatch(void *arg)
{
	(void)arg;
	note(ouro_unwatch(own_id) ? 'x' : 'w', 1);
}

static void watch_that_is_running_cannot_be_undone(void **state)
{
	struct node *n = make(1);

	(void)state;
	assert_int_equal(ouro_watch(n, self_unwatch, NULL, &own_id), 0);
	ouro_release(n);
	assert_journal("w1 ");
}

/* One of an object's watches may undo another that has not run yet. */
static void watch_may_undo_the_next(void **state)
{
	struct node *n = make_of(&loud_type, 1);

	(void)state;
	own_id = watch(n, 1);
	ouro_watch_id first = own_id;
	assert_int_equal(ouro_watch(n, self_unwatch, NULL, NULL), 0);
	ouro_release(n);
	assert_false(ouro_unwatch(first));
	assert_journal("x1 f1 d1 ");
}

static void watch_many_on_one_object(void **state)
{
	enum { N = 2000 };
	struct node *n = make(1);
	ouro_watch_id ids[N];

	(void)state;
	for (int i = 0; i < N; i++)
		ids[i] = watch(n, i);
	for (int i = 0; i < N; i += 2)
		assert_true(ouro_unwatch(ids[i]));
	ouro_release(n);
	assert_int_equal(book_count(&journal, "w"), N / 2);
	assert_before("w1999 ", "w1001 ");
}

static void count_call(void *arg)
{
	atomic_fetch_add((atomic_size_t *)arg, 1);
}

static ouro_watch_id undone_ids[2];
static struct node *watched_meanwhile;

/* The second and the last of those that are to come; what they leave is used for others at once. */
static void undo_some(void *arg)
{
	for (int i = 0; i < 2; i++)
		assert_true(ouro_unwatch(undone_ids[i]));
	for (int i = 0; i < 4; i++)
		assert_int_equal(ouro_watch(watched_meanwhile, count_call, arg, NULL), 0);
}

static void watch_may_undo_any_that_is_to_come(void **state)
{
	struct node *n = make(1);
	atomic_size_t calls = 0;

	(void)state;
	watched_meanwhile = make(2);
	undone_ids[0] = watch(n, 0);
	watch(n, 1);
	watch(n, 2);
	undone_ids[1] = watch(n, 3);
	watch(n, 4);
	assert_int_equal(ouro_watch(n, undo_some, &calls, NULL), 0);
	ouro_release(n);
	assert_journal("w4 w2 w1 ");
	assert_false(ouro_unwatch(undone_ids[0]));
	ouro_release(watched_meanwhile);
	assert_int_equal(calls, 4);
}

static void note_time(void *arg)
{
	if (*(uint64_t *)arg == 0)
		*(uint64_t *)arg = now_ns();
}

/* How long an object has its thread in its gate when it dies, as a part of what its watches take in all: in 1/1000. */
static uint64_t share_until_first(size_t n)
{
	struct node *o = make(1);
	uint64_t first = 0;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(ouro_watch(o, note_time, &first, NULL), 0);
	uint64_t began = now_ns();
	ouro_release(o);
	return (first - began) * 1000 / (now_ns() - began);
}

/*
 * In a gate, for which a stop waits, so none is looked at. (The shortest of some: the thread may
 * lose its processor. 290 if all are.)
 */
static void watch_millions_are_taken_at_once(void **state)
{
	uint64_t least = 1000;

	(void)state;
	for (int i = 0; i < 20 && least > 20; i++) {
		uint64_t share = share_until_first(LOAD(1 << 19));

		least = share < least ? share : least;
	}
	assert_in_range(least, 0, 20);
}

static void *undo(void *arg)
{
	return ouro_unwatch(*(ouro_watch_id *)arg) ? arg : NULL;
}

/* Undone by one thread while the object dies in another: it ran or it will not, and unwatch says which. */
static void watch_undone_during_death_runs_or_not(void **state)
{
	(void)state;
	for (int i = 0; i < LOAD(2000); i++) {
		struct node *n = make(i);
		atomic_size_t calls = 0;
		ouro_watch_id id;
		void *undone;

		assert_int_equal(ouro_watch(n, count_call, &calls, &id), 0);
		pthread_t t = thread_start(undo, &id);
		ouro_release(n);
		pthread_join(t, &undone);
		assert_int_equal(calls, undone ? 0 : 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(watch_runs_newest_first_by_count),
		HEAP_CASE(watch_runs_newest_first_in_a_cycle),
		HEAP_CASE(watch_id_may_be_null),
		HEAP_CASE(watch_refuses_null),
		HEAP_CASE(watch_undone_does_not_run),
		HEAP_CASE(watch_ids_are_never_used_twice),
		BARE_CASE(watch_ids_outlive_the_heap),
		HEAP_CASE(watch_runs_at_shutdown_for_held_objects),
		HEAP_CASE(watch_added_in_the_finalizer_runs_before_destroy),
		HEAP_CASE(watch_of_a_second_life_runs),
		HEAP_CASE(watch_may_use_the_library_and_cannot_reach_the_object),
		HEAP_CASE(watch_that_is_running_cannot_be_undone),
		HEAP_CASE(watch_may_undo_the_next),
		HEAP_CASE(watch_many_on_one_object),
		HEAP_CASE(watch_undone_during_death_runs_or_not),
		HEAP_CASE(watch_may_undo_any_that_is_to_come),
		HEAP_CASE(watch_millions_are_taken_at_once),
	};

	return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
