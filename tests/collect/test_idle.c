/*
 * Goal: what a program dropped goes though it makes nothing more, or nothing that can be in a
 * cycle; and then it is left alone.
 * Method: old cycles are dropped in programs that are idle, that make other things, that were
 * collected, that forked; those that only read, and heaps that are small, or in which automatic
 * collection is off, have nothing to come.
 * A failure would mean: a program that keeps for good what it needs no more, or one that is woken
 * up again and again.
 */
#define TEST_COUNTS_COLLECTIONS
#include "fixture.h"

#include "base/wake.h"
#include "collect/idle.h"
#include "heap/pace.h"

/* With sanitizers a program that asks all the time is not quiet. */
#define QUIETLY(condition) EVENTUALLY_EVERY(50, condition)

/* Under ASan on a busy machine the process is not quiet whatever it does, and 1024 times what a collection costs is minutes. */
static void needs_quiet(void)
{
#if defined(TEST_ASAN)
	skip();
#endif
}

enum { NODES = LOAD(200000), RING = 100, RINGS = NODES / RING, MB = 1 << 20 };

static struct node *ring[RINGS];

static const ouro_type plain_type = { .name = "plain", .size = 64, .flags = OURO_ACYCLIC };

static void make_rings(int from, int to)
{
	for (int i = from; i < to; i++)
		ring[i] = make_ring(&node_type, RING);
}

static void drop_rings(void)
{
	for (int i = 0; i < RINGS; i++) {
		ouro_release(ring[i]);
		ring[i] = NULL;
	}
}

static bool asleep_for(unsigned ms)
{
	return library_asleep_for("ouro-gc", ms);
}

/*
 * With thresholds so small that half of them are old; the rest nothing has looked at, as automatic
 * collection is off by then.
 */
static void make_old_rings(void)
{
	assert_int_equal(ouro_gc_set_threshold(500, 2, 2), 0);
	ouro_gc_enable();
	make_rings(0, RINGS / 2);
	ouro_gc_disable();
	make_rings(RINGS / 2, RINGS);
}

/* On again; the collector thread would find that out within ten seconds. */
static void go_on(void)
{
	ouro_gc_enable();
	oi_wake_tick();
}

/* ---- what goes ---- */

static bool little_is_held(void)
{
	ouro_stats s = stats();

	return s.objects_live == 0 && s.bytes_reserved < 4 * MB;
}

static void idle_what_was_dropped_goes(void **state)
{
	(void)state;
	needs_quiet();
	make_old_rings();
	drop_rings();
	go_on();
	assert_true(QUIETLY(little_is_held()));
	assert_true(QUIETLY(asleep_for(100)));
	assert_true(QUIETLY(asleep_for(1000)));
	assert_false(oi_idle_to_come());
}

/* Objects that no collection looks at, and such as die by count. */
static atomic_bool enough;

static void *make_what_dies(void *arg)
{
	while (!atomic_load(&enough)) {
		for (int i = 0; i < 20; i++) {
			ouro_release(ouro_new(&plain_type));
			ouro_release(make_list(&node_type, 2));
		}
		sleep_ms(SANITIZED ? 20 : 1); /* else it is no quiet program there */
	}
	return arg;
}

static void idle_beside_a_thread_that_makes_no_cycles(void **state)
{
	pthread_t t;

	(void)state;
	needs_quiet();
	make_old_rings();
	atomic_store(&enough, false);
	t = thread_start(make_what_dies, NULL);
	drop_rings();
	go_on();
	/* A young stop of what the thread makes may keep some from the look; so few are no reason for another: oi_pace_worth. */
	bool gone = QUIETLY(stats().objects_live < OI_OLD_FLOOR);
	atomic_store(&enough, true);
	pthread_join(t, NULL);
	assert_true(gone);
}

/* Nothing is made, nothing dies, and nothing is young when they are dropped. */
static void idle_what_a_collection_found_alive_is_looked_at_once_more(void **state)
{
	(void)state;
	needs_quiet();
	make_old_rings();
	ouro_gc_collect(2);
	assert_int_equal(stats().objects_live, NODES);
	drop_rings();
	go_on();
	assert_true(QUIETLY(stats().objects_live == 0));
}

static uint64_t full_collections(void)
{
	return stats().collections[2];
}

/* Is there a look to come, or has it been, beside a thread that got no processor for so long? */
static bool comes_or_came(uint64_t before)
{
	return oi_idle_to_come() || full_collections() > before;
}

static void go_on_and_look(void)
{
	uint64_t before = full_collections();

	go_on();
	assert_true(comes_or_came(before));
	assert_true(QUIETLY(!oi_idle_to_come()));
}

/* Of a list each node refers to one that refers to itself; all has been looked at when it dies. */
static void idle_deaths_of_old_objects_count(void **state)
{
	(void)state;
	needs_quiet();
	make_old_rings();
	struct node *list = NULL;
	for (int i = 0; i < RINGS * 10; i++) {
		struct node *head = make(i), *own = make(i);

		ouro_store(&own->left, own);
		ouro_give(&head->left, own);
		ouro_give(&head->right, list);
		list = head;
	}
	ouro_gc_collect(2);
	go_on_and_look();
	ouro_release(list);
	assert_int_equal(ouro_flush(), 0);
	assert_true(QUIETLY((oi_wake_tick(), stats().objects_live == NODES)));
	drop_rings();
	ouro_gc_collect(2);
}

/* ---- what is left alone ---- */

static void *read_all(void *arg)
{
	for (int n = 0; n < 20; n++)
		for (int i = 0; i < RINGS; i++) {
			struct node *at = ouro_load(&ring[i]);

			for (int k = 0; k < 10; k++) {
				struct node *next = ouro_load(&at->right);

				ouro_release(at);
				at = next;
			}
			ouro_release(at);
		}
	return arg;
}

static atomic_bool read_enough;

static void *read_on(void *arg)
{
	while (!atomic_load(&read_enough))
		read_all(arg);
	return arg;
}

static double process_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A quiet one is tidied up after a second; this one after 1024 times what a collection takes. */
static void idle_a_busy_program_is_not_hurried(void **state)
{
	pthread_t t[4];

	(void)state;
	needs_quiet();
	make_old_rings();
	ouro_gc_collect(2);
	atomic_store(&read_enough, false);
	for (int i = 0; i < 4; i++)
		t[i] = thread_start(read_on, NULL);
	double before = process_seconds();
	uint64_t began = now_ns();
	go_on();
	sleep_ms(800);
	double used = process_seconds() - before;
	sleep_ms(700);
	bool to_come = oi_idle_to_come(), in_time = now_ns() - began < 2000000000;
	atomic_store(&read_enough, true);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	/* It did get something of the processors, and so did this thread. With sanitizers' few objects 1024 times is a second. */
	if (used > 0.25 && in_time && !SANITIZED)
		assert_true(to_come);
	assert_true(QUIETLY(!oi_idle_to_come()));
	drop_rings();
	ouro_gc_collect(2);
}

static void idle_a_program_that_reads_is_left_alone(void **state)
{
	pthread_t t[4];

	(void)state;
	needs_quiet();
	make_old_rings();
	ouro_gc_collect(2);
	uint64_t before = full_collections();
	go_on_and_look();
	assert_int_equal(full_collections(), before + 1);
	for (int i = 0; i < 4; i++)
		t[i] = thread_start(read_all, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_false(oi_idle_to_come());
	assert_true(QUIETLY(asleep_for(300)));
	assert_int_equal(full_collections(), before + 1);
	/* What it makes after that counts, and is waited with twice as long, since nothing was found. */
	uint64_t began = now_ns();
	struct node *more = make_ring(&node_type, 10000);
	bool to_come = oi_idle_to_come();
	uint64_t wait = oi_idle_wait_ns(UINT64_MAX);
	if (now_ns() - began < 900000000) { /* else it may have been noticed some time ago */
		assert_true(to_come);
		assert_in_range(wait, 1000000001u, UINT64_MAX - 1);
	}
	ouro_release(more);
	drop_rings();
	ouro_gc_collect(2);
}

static void check_nothing_comes(void)
{
	uint64_t before = full_collections();

	assert_false(oi_idle_to_come());
	assert_false(oi_idle_due());
	assert_int_equal(oi_idle_wait_ns(UINT64_MAX), UINT64_MAX);
	oi_wake_tick(); /* it has looked once more when it is asleep */
	assert_true(QUIETLY(asleep_for(100)));
	assert_int_equal(full_collections(), before);
}

static void idle_not_where_automatic_collection_is_off(void **state)
{
	(void)state;
	make_old_rings();
	ouro_gc_collect(2); /* an automatic one that had begun is over */
	drop_rings();
	check_nothing_comes();
	assert_int_equal(stats().objects_live, NODES);
	assert_int_equal(ouro_gc_set_threshold(0, 2, 2), 0);
	ouro_gc_enable();
	check_nothing_comes();
	uint64_t before = full_collections();
	assert_int_equal(ouro_gc_set_threshold(500, 2, 2), 0);
	assert_true(comes_or_came(before));
	ouro_gc_collect(2);
}

static void idle_not_where_hardly_anything_is(void **state)
{
	(void)state;
	ouro_gc_enable();
	struct node *few = make_ring(&node_type, 1000);
	check_nothing_comes();
	ouro_gc_collect(2);
	ouro_release(few);
	check_nothing_comes();
	ouro_gc_collect(2);
}

/* ---- the child of a fork ---- */

/* What was there is the parent's, as its pages are; what the child makes and drops is its own. */
static int drop_in_a_child(void *arg)
{
	uint64_t before = objects_live();

	(void)arg;
	REQUIRE(!oi_idle_to_come());
	ouro_gc_set_threshold(500, 2, 2);
	struct node *own = make_ring(&node_type, NODES / 2);
	ouro_release(own);
	REQUIRE(QUIETLY(objects_live() <= before));
	return 0;
}

static void idle_in_the_child_of_a_fork(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	make_old_rings();
	ouro_gc_collect(2);
	uint64_t before = full_collections();
	go_on();
	assert_true(comes_or_came(before));
	child_run(drop_in_a_child, NULL);
	drop_rings();
	ouro_gc_collect(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(idle_what_was_dropped_goes),
		HEAP_CASE(idle_beside_a_thread_that_makes_no_cycles),
		HEAP_CASE(idle_what_a_collection_found_alive_is_looked_at_once_more),
		HEAP_CASE(idle_deaths_of_old_objects_count),
		HEAP_CASE(idle_a_busy_program_is_not_hurried),
		HEAP_CASE(idle_a_program_that_reads_is_left_alone),
		HEAP_CASE(idle_not_where_automatic_collection_is_off),
		HEAP_CASE(idle_not_where_hardly_anything_is),
		HEAP_CASE(idle_in_the_child_of_a_fork),
	};

	return cmocka_run_group_tests_name("idle", tests, NULL, NULL);
}
