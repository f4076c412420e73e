/*
 * Goal: what dies while memory is short, and stays short, is gone soon all the same, for few stops.
 * Method: every request of the library for memory is refused (checked builds), and thousands of
 * objects die in each of the ways that need some.
 * A failure would mean: memory that is lost just when there is none, a reference dropped twice, a
 * program that is stopped for each dead object. Other builds skip all of this.
 */
#include "fixture.h"

#include "base/perturb.h"
#include "count/stray.h"

#if OURO_CHECKED

enum { OBJECTS = 3000, STOPS = 100 };

static struct node *mine[OBJECTS];

static void make_all(const ouro_type *type, bool published)
{
	struct node *slot = NULL;

	for (int i = 0; i < OBJECTS; i++) {
		mine[i] = make_of(type, i);
		if (published)
			ouro_store(&slot, mine[i]);
	}
	ouro_store(&slot, NULL);
}

/* Pinned: else a thread that is starved meanwhile is stopped for every few of them. */
static void release_all(void)
{
	ouro_pin();
	for (int i = 0; i < OBJECTS; i++)
		ouro_release(mine[i]);
	ouro_unpin();
}

static void refuse_memory(void)
{
	oi_fail_arm(OI_FAIL_ALLOC, 1, true);
}

static void grant_memory(void)
{
	oi_fail_arm(OI_FAIL_ALLOC, 0, false);
}

/* While memory is refused still. */
static void assert_all_served(uint64_t before)
{
	assert_true(EVENTUALLY(!oi_stray_any() && objects_live() == 0));
	assert_true(oi_fail_failed(OI_FAIL_ALLOC) > 0);
	assert_true(stats().pauses < before + STOPS);
}

static void stray_blocks_are_served_while_memory_is_short(void **state)
{
	(void)state;
	make_all(&node_type, true);
	refuse_memory();
	uint64_t before = stats().pauses;
	release_all();
	assert_all_served(before);
	grant_memory();
}

static atomic_bool go;
static atomic_bool there;

static void *release_when_told(void *arg)
{
	(void)arg;
	ouro_release(make(0)); /* it has a record, and what a thread needs at first */
	atomic_store(&there, true);
	while (!atomic_load(&go))
		sched_yield();
	release_all();
	return NULL;
}

static void *start_releaser(pthread_t *t)
{
	atomic_store(&go, false);
	atomic_store(&there, false);
	*t = thread_start(release_when_told, NULL);
	while (!atomic_load(&there))
		sched_yield();
	return t;
}

/* They wait for their owner's half; then they are dead, and there is no room for that either. */
static void stray_merges_are_served_while_memory_is_short(void **state)
{
	static const ouro_type *const types[] = { &node_type, &counted_type };
	pthread_t t;

	(void)state;
	for (int i = 0; i < 2; i++) {
		make_all(types[i], false);
		start_releaser(&t);
		refuse_memory();
		uint64_t before = stats().pauses;
		atomic_store(&go, true);
		assert_all_served(before);
		grant_memory();
		pthread_join(t, NULL);
	}
	assert_int_equal(n_destroyed, OBJECTS);
}

/* ---- half done ---- */

struct wide {
	struct node *item[1];
};

static const ouro_type wide_type = {
	.name = "wide", .size = sizeof(void *), .slots = OURO_SLOTS(struct wide, item),
	.item_size = sizeof(void *), .item_slots = OURO_ITEM_REFS, .destroy = counted_destroy,
};

static struct wide *shown_wide; /* what the items refer to has references besides */

static void refuse_in_the_middle(void *obj)
{
	(void)obj;
	refuse_memory();
}

static const ouro_type refusing_type = {
	.name = "refusing", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.destroy = refuse_in_the_middle,
};

/*
 * Its first items are released when memory ends, and its frame finds no place with the reaper. Each
 * of the other objects loses one reference, no more.
 */
static void stray_death_goes_on_where_it_was(void **state)
{
	enum { ITEMS = 5000 };
	ouro_config cfg = test_config();
	struct node *kept;

	(void)state;
	cfg.release_batch = 2;
	heap_start(&cfg);
	kept = make(1);
	shown_wide = ouro_new_items(&wide_type, ITEMS);
	void **item = (void **)(shown_wide + 1);
	for (int i = 1; i < ITEMS; i++)
		ouro_slot_store(&item[i], kept);
	ouro_slot_give(&item[0], make_of(&refusing_type, 0));
	int32_t before = (int32_t)ouro_refcount(kept);
	assert_int_equal(before, ITEMS);
	ouro_release(shown_wide);
	assert_true(EVENTUALLY(n_destroyed == 1));
	grant_memory();
	assert_int_equal(ouro_refcount(kept), 1);
	ouro_release(kept);
	assert_int_equal(ouro_flush(), 0);
}

/* ---- served by a thread that a callback ends ---- */

static void end_thread(void *obj)
{
	(void)obj;
	grant_memory(); /* a thread costs some, and another one is to be started */
	counted_destroy(obj);
	pthread_exit(NULL);
}

static const ouro_type ending_type = {
	.name = "ending", .size = sizeof(struct node), .destroy = end_thread,
};

enum { LOT = 24 }; /* more than a thread has room for without memory */

static struct node *lot[LOT];

static void release_lot(void *obj)
{
	(void)obj;
	for (int i = 0; i < LOT; i++)
		ouro_release(lot[i]);
}

static const ouro_type lot_type = {
	.name = "lot", .size = sizeof(struct node), .finalize = release_lot,
};

/* What dies in a callback waits behind it: some on the stack, and the others are strays. */
static void *die_without_memory(void *arg)
{
	struct node *n = make_of(&lot_type, 1);

	for (int i = 0; i < LOT; i++)
		lot[i] = make_of(&ending_type, i);
	refuse_memory();
	ouro_release(n);
	return arg;
}

static void stray_that_ends_its_thread_leaves_the_rest_to_others(void **state)
{
	(void)state;
	needs_forced_unwinds();
	thread_run(die_without_memory, NULL);
	assert_true(EVENTUALLY(n_destroyed == LOT));
	assert_int_equal(ouro_flush(), 0);
}

static int stray_setup(void **state)
{
	counters_clear();
	return heap_setup(state);
}

static int bare_stray_setup(void **state)
{
	counters_clear();
	return bare_setup(state);
}

static int stray_teardown(void **state)
{
	grant_memory();
	return heap_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(stray_blocks_are_served_while_memory_is_short, stray_setup, stray_teardown),
		cmocka_unit_test_setup_teardown(stray_merges_are_served_while_memory_is_short, stray_setup, stray_teardown),
		cmocka_unit_test_setup_teardown(stray_death_goes_on_where_it_was, bare_stray_setup, stray_teardown),
		cmocka_unit_test_setup_teardown(stray_that_ends_its_thread_leaves_the_rest_to_others, stray_setup, stray_teardown),
	};

	return cmocka_run_group_tests_name("stray", tests, NULL, NULL);
}

#else

int main(void)
{
	printf("skipped: no request for memory is refused in this build\n");
	return 0;
}

#endif
