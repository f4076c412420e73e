/*
 * Goal: the heap starts by itself, stops completely, says what was left, and starts again, a
 * hundred times.
 * Method: shut down with objects held in every way; count threads and memory of the process over
 * many rounds.
 * A failure would mean: leaks that nobody reports, or a library that can be used only once in a
 * process.
 */
#include <dirent.h>

#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

#include "base/log.h"
#include "base/perturb.h"
#include "process/servants.h"

static size_t resident_bytes(void)
{
	unsigned long all = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%lu %lu", &all, &resident) != 2)
		abort();
	fclose(f);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- starting ---- */

static void start_by_new(void)
{
	ouro_release(make(1));
}

static void start_by_items(void)
{
	void *obj = ouro_new_items(&node_type, 0);

	ouro_release(obj);
}

static void start_by_collect(void)
{
	assert_int_equal(ouro_gc_collect(2), 0);
}

static void start_by_stats(void)
{
	assert_int_equal(objects_live(), 0);
}

static void start_by_pin(void)
{
	ouro_pin();
	ouro_unpin();
}

static void start_by_attach(void)
{
	assert_int_equal(ouro_thread_attach("first"), 0);
}

static void start_by_enable(void)
{
	assert_true(ouro_gc_enable());
}

static void start_by_threshold(void)
{
	assert_int_equal(ouro_gc_set_threshold(1, 2, 3), 0);
}

static void start_by_flush(void)
{
	assert_int_equal(ouro_flush(), 0);
}

static bool see_nothing(void *obj, void *arg)
{
	(void)arg;
	return obj == NULL;
}

static void start_by_listing(void)
{
	assert_int_equal(ouro_gc_objects(-1, see_nothing, NULL), 0);
}

static void start_by_freeze(void)
{
	ouro_gc_freeze();
	assert_int_equal(ouro_gc_freeze_count(), 0);
}

static void hear_nothing(const ouro_gc_event *event, void *arg)
{
	(void)event;
	(void)arg;
}

static void start_by_event(void)
{
	assert_int_equal(ouro_gc_on_event(hear_nothing, NULL), 0);
}

static void lifecycle_any_call_starts_the_heap(void **state)
{
	static void (*const starts[])(void) = {
		start_by_new, start_by_items, start_by_collect, start_by_stats, start_by_pin,
		start_by_attach, start_by_enable, start_by_threshold, start_by_flush, start_by_listing,
		start_by_freeze, start_by_event,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		starts[i]();
		assert_int_equal(ouro_init(NULL), EALREADY);
		assert_int_equal(heap_stop().objects, 0);
	}
}

static void *start_main(void *arg)
{
	ouro_release(make_pair(&node_type, 1));
	return arg;
}

/* Several threads whose first call is the heap's first call. */
static void lifecycle_starts_once_for_many_threads(void **state)
{
	pthread_t t[8];

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 8; i++)
			t[i] = thread_start(start_main, NULL);
		for (int i = 0; i < 8; i++)
			pthread_join(t[i], NULL);
		ouro_gc_collect(2);
		assert_int_equal(objects_live(), 0);
		assert_int_equal(heap_stop().objects, 0);
	}
}

#if OURO_CHECKED

static pthread_t starter;
static atomic_int n_started, n_elsewhere;

/* Something is to be reaped when the collector runs, and there is no reaper yet. */
static void start_slowly(const char *point)
{
	if (strcmp(point, "servant: starts") != 0)
		return;
	if (!pthread_equal(pthread_self(), starter)) {
		atomic_fetch_add(&n_elsewhere, 1);
		return;
	}
	if (atomic_fetch_add(&n_started, 1) == 0)
		return;
	oi_log("said at the start");
	for (int i = 0; i < 100 && atomic_load(&n_elsewhere) == 0; i++)
		sleep_ms(1);
}

#endif

/* The collector is there before the reaper, and starts reapers, too. */
static void lifecycle_starts_each_thread_once(void **state)
{
	(void)state;
#if OURO_CHECKED
	starter = pthread_self();
	atomic_store(&n_started, 0);
	atomic_store(&n_elsewhere, 0);
	oi_point_hook = start_slowly;
	assert_int_equal(ouro_init(NULL), 0);
	oi_point_hook = NULL;
	assert_int_equal(n_started, 2);
	assert_int_equal(n_elsewhere, 0);
#else
	skip();
#endif
}

static void lifecycle_shutdown_without_a_heap(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		ouro_report r = { 7, 7 };

		assert_int_equal(ouro_shutdown(&r), 0);
		assert_int_equal(r.objects, 0);
		assert_int_equal(r.bytes, 0);
		assert_int_equal(ouro_shutdown(NULL), 0);
	}
}

static void lifecycle_version_is_the_headers(void **state)
{
	char expected[40];

	(void)state;
	snprintf(expected, sizeof(expected), "%d.%d.%d",
		OURO_VERSION_MAJOR, OURO_VERSION_MINOR, OURO_VERSION_PATCH);
	assert_string_equal(ouro_version(), expected);
}

/* ---- a hundred times ---- */

static ouro_weak cell;

static void use_everything(void)
{
	struct node *n = make_ring(&loud_type, 50);
	pthread_t t = thread_start(start_main, NULL);

	if (ouro_weak_store(&cell, n) != 0)
		abort();
	ouro_release(make_list(&node_type, 200));
	pthread_join(t, NULL);
	ouro_gc_collect(0);
	ouro_release(n);
	ouro_gc_collect(2);
	if (!ouro_weak_expired(&cell))
		abort();
	ouro_weak_clear(&cell);
}

/* Caches of the C library grow now and then, a leak in each of several tries. Sanitizers keep something of everything. */
static bool keeps_little(void (*use)(void))
{
	size_t before = resident_bytes();

	use();
	return SANITIZED || resident_bytes() < before + (4u << 20);
}

static void use_many_heaps(void)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT;
	size_t threads = process_threads();

	for (int i = 0; i < 80; i++) {
		heap_start(i % 2 ? &cfg : NULL);
		use_everything();
		assert_int_equal(heap_stop().objects, 0);
		assert_true(EVENTUALLY(process_threads() == threads));
	}
}

static void lifecycle_a_hundred_times(void **state)
{
	(void)state;
	assert_true(IN_ONE_OF_SEVERAL_TRIES(keeps_little(use_many_heaps)));
}

/* The stop may meet the library's threads anywhere; in a checked build their steps are stretched. */
static int starts_and_stops(void *arg)
{
	(void)arg;
	setenv("OURO_PERTURB", "1", 1);
	REQUIRE(ouro_init(NULL) == 0);
	uint64_t enough = now_ns() + UINT64_C(10000000000); /* on a slow machine */
	for (unsigned i = 0; i < LOAD(5000) && now_ns() < enough; i++) {
		uint64_t until = now_ns() + i * 7919 % 200 * 1000;

		while (now_ns() < until)
			;
		oi_servants_stop();
		REQUIRE(oi_servants_start() == 0);
	}
	return ouro_shutdown(NULL);
}

static void lifecycle_stop_meets_the_threads_anywhere(void **state)
{
	(void)state;
	child_run(starts_and_stops, NULL);
}

/* A hundred times with nothing in between, and with memory in use at the end each time. */
static void fill_heaps(void)
{
	for (int i = 0; i < 10; i++) {
		ouro_config cfg = test_config();

		heap_start(&cfg);
		struct node *list = make_list(&node_type, 200000);
		assert_non_null(list);
		assert_int_equal(heap_stop().objects, 200000);
	}
	for (int i = 0; i < 100; i++) {
		assert_int_equal(ouro_init(NULL), 0);
		assert_int_equal(heap_stop().objects, 0);
	}
}

static void lifecycle_returns_all_memory(void **state)
{
	(void)state;
	assert_true(IN_ONE_OF_SEVERAL_TRIES(keeps_little(fill_heaps)));
}

/* ---- the report ---- */

static void lifecycle_report_counts_what_is_held(void **state)
{
	struct node *ring = make_ring(&node_type, 3), *list = make_list(&node_type, 4);

	(void)state;
	ouro_slot_give(&ring->left, leaf_new(1));
	ouro_release(make_pair(&node_type, 1));
	ouro_report r = heap_stop();
	assert_int_equal(r.objects, 8);
	assert_true(r.bytes >= 7 * (sizeof(*list) + 16) + sizeof(struct leaf) + 16);
	assert_true(r.bytes < 8 * 4 * sizeof(*list));
	assert_journal("l1 ");
}

static void lifecycle_log_names_what_is_held(void **state)
{
	(void)state;
	assert_non_null(make_list(&loud_type, 3));
	assert_non_null(leaf_new(1));
	ouro_release(make_pair(&node_type, 1));
	assert_int_equal(heap_stop().objects, 4);
	assert_true(book_find(&log_book, "loud") >= 0);
	assert_true(book_find(&log_book, "leaf") >= 0);
	assert_true(book_find(&log_book, "node") < 0);
}

static void lifecycle_nothing_held_nothing_logged(void **state)
{
	(void)state;
	ouro_release(make_ring(&node_type, 100));
	ouro_release(make_list(&node_type, 100));
	assert_int_equal(heap_stop().objects, 0);
	assert_logged("\n", 0);
}

static void lifecycle_immortal_is_not_counted(void **state)
{
	struct node *immortal = make_of(&loud_type, 1), *held = make_of(&loud_type, 2);

	(void)state;
	ouro_immortalize(immortal);
	assert_int_equal(held->id, 2);
	assert_int_equal(heap_stop().objects, 1);
	assert_int_equal(book_count(&journal, "f1 "), 1);
	assert_int_equal(book_count(&journal, "d1 "), 1);
	assert_int_equal(book_count(&journal, "d2 "), 1);
}

/* A reference in a static slot is held from outside like one on a stack. */
static struct node *global_slot;

static void lifecycle_static_slot_is_outside(void **state)
{
	(void)state;
	ouro_give(&global_slot, make_pair(&loud_type, 1));
	assert_int_equal(heap_stop().objects, 2);
	assert_int_equal(book_count(&journal, "f"), 2);
	assert_int_equal(book_count(&journal, "d"), 2);
	global_slot = NULL;
}

/* Cyclic garbage, queued deaths and held objects: every one is finalized and destroyed exactly once. */
static void lifecycle_everything_is_finalized_and_destroyed(void **state)
{
	struct node *held = make_ring(&loud_type, 3);

	(void)state;
	held->id = 90;
	ouro_release(make_pair(&loud_type, 10));
	ouro_give(&held->left, make_list(&loud_type, 5));
	assert_int_equal(heap_stop().objects, 8);
	assert_int_equal(book_count(&journal, "f"), 10);
	assert_int_equal(book_count(&journal, "d"), 10);
	assert_before("f10 ", "d10 ");
	assert_before("f90 ", "d90 ");
}

/* Finalizers at shutdown may use the library: make objects, which are destroyed, but not finalized. */
static struct node *made_late;

static void make_late(void *obj)
{
	loud_finalize(obj);
	made_late = make_pair(&loud_type, 70);
	ouro_release(make_of(&loud_type, 80));
}

static const ouro_type late_type = {
	.name = "late", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = make_late, .destroy = loud_destroy,
};

static void lifecycle_finalizers_at_shutdown_may_allocate(void **state)
{
	(void)state;
	assert_non_null(make_of(&late_type, 1));
	assert_true(heap_stop().objects >= 1);
	assert_int_equal(book_count(&journal, "d80 "), 1);
	assert_int_equal(book_count(&journal, "d70 "), 1);
	assert_int_equal(book_count(&journal, "d71 "), 1);
	assert_int_equal(book_count(&journal, "f70 "), 0);
	assert_int_equal(book_count(&journal, "f80 "), 0);
	assert_logged("3 objects with a finalizer were made during the shutdown", 1);
	assert_int_equal(book_count(&journal, "d1 "), 1);
}

/* A finalizer that makes another of its type, held, dropped, and in a ring: there is an end to it. */
static atomic_size_t n_more;

static void make_more(void *obj);

static const ouro_type more_type = {
	.name = "more", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right), .finalize = make_more,
	.destroy = counted_destroy,
};

static void make_more(void *obj)
{
	struct node *n = make_of(&more_type, 0);

	atomic_fetch_add(&n_more, 1);
	if (((struct node *)obj)->id)
		ouro_store(&n->left, n);
	n->id = ((struct node *)obj)->id;
	ouro_release(n);
}

static void lifecycle_finalizers_that_make_more_have_an_end(void **state)
{
	struct node *dropped = make_of(&more_type, 0), *ring = make_of(&more_type, 1);

	(void)state;
	counters_clear();
	atomic_store(&n_more, 0);
	ouro_store(&ring->left, ring);
	ouro_give(&dropped->right, make_of(&more_type, 1));
	assert_int_equal(heap_stop().objects, 3);
	assert_int_equal(n_more, 3);
	assert_int_equal(n_destroyed, 6);
	assert_logged("3 objects with a finalizer were made during the shutdown", 1);
}

/* One walk for all that is held: with one for each this would take a quarter of an hour. */
static void lifecycle_many_held_objects_with_a_finalizer(void **state)
{
	enum { HELD = LOAD(500000) };
	struct node *list = NULL;

	(void)state;
	atomic_store(&n_finalized, 0);
	static const ouro_type finalized_type = {
		.name = "finalized", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
		.weaks = OURO_WEAKS(struct node, weak), .finalize = counted_finalize,
	};
	for (size_t i = 0; i < HELD; i++) {
		struct node *n = make_of(&finalized_type, 0);

		ouro_give(&n->right, list);
		if (i % 100 == 0)
			assert_int_equal(ouro_weak_store(&n->weak, n), 0);
		list = n;
	}
	assert_int_equal(heap_stop().objects, HELD);
	assert_int_equal(n_finalized, HELD);
}

/* ---- refusals ---- */

struct pinned {
	atomic_bool pinned, unpin;
};

static void *pin_until_told(void *arg)
{
	struct pinned *p = arg;

	ouro_pin();
	atomic_store(&p->pinned, true);
	while (!atomic_load(&p->unpin))
		sleep_ms(1);
	ouro_unpin();
	return NULL;
}

static void lifecycle_shutdown_is_busy_while_others_are_pinned(void **state)
{
	struct pinned p = { .pinned = false };
	pthread_t t = thread_start(pin_until_told, &p);
	struct node *n = make_of(&loud_type, 1);
	ouro_report r = { 5, 5 };

	(void)state;
	assert_true(EVENTUALLY(p.pinned));
	assert_int_equal(ouro_shutdown(&r), EBUSY);
	assert_journal("");
	assert_int_equal(ouro_refcount(n), 1);
	ouro_release(make_pair(&node_type, 1));
	atomic_store(&p.unpin, true);
	pthread_join(t, NULL);
	assert_int_equal(ouro_gc_collect(2), 2);
	ouro_release(n);
	assert_journal("f1 d1 ");
}

static void lifecycle_shutdown_refuses_when_pinned(void **state)
{
	struct node *n = make_of(&loud_type, 1);

	(void)state;
	ouro_pin();
	assert_int_equal(ouro_shutdown(NULL), EDEADLK);
	ouro_pin();
	ouro_unpin();
	assert_int_equal(ouro_shutdown(NULL), EDEADLK);
	ouro_unpin();
	assert_journal("");
	ouro_release(n);
	assert_journal("f1 d1 ");
}

/* ---- threads that outlive a heap ---- */

struct survivor {
	pthread_t thread;
	atomic_int turn; /* odd: the thread's, even: ours; negative: exit */
	atomic_int wrong;
};

static void *survive(void *arg)
{
	struct survivor *s = arg;

	for (int turn; (turn = atomic_load(&s->turn)) >= 0; sched_yield()) {
		if (turn % 2 == 0)
			continue;
		struct node *n = make_ring(&node_type, 10);
		if (ouro_refcount(n) != 2 || n->right->id != 1)
			atomic_fetch_add(&s->wrong, 1);
		ouro_release(n);
		atomic_store(&s->turn, turn + 1);
	}
	return NULL;
}

static void survivor_turn(struct survivor *s)
{
	int turn = atomic_fetch_add(&s->turn, 1) + 2;

	assert_true(EVENTUALLY(atomic_load(&s->turn) == turn));
}

static void survivor_end(struct survivor *s)
{
	atomic_store(&s->turn, -1);
	pthread_join(s->thread, NULL);
	assert_int_equal(s->wrong, 0);
}

static void lifecycle_threads_live_on_into_the_next_heap(void **state)
{
	struct survivor s = { .turn = 0 };
	ouro_config cfg = test_config();

	(void)state;
	s.thread = thread_start(survive, &s);
	for (int i = 0; i < 10; i++) {
		heap_start(&cfg);
		survivor_turn(&s);
		survivor_turn(&s);
		assert_int_equal(ouro_gc_collect(2), 20);
		assert_int_equal(heap_stop().objects, 0);
	}
	for (int i = 0; i < 3; i++) {
		survivor_turn(&s);
		assert_int_equal(ouro_init(NULL), EALREADY);
		ouro_gc_collect(2);
		assert_int_equal(objects_live(), 0);
		assert_int_equal(heap_stop().objects, 0);
	}
	survivor_end(&s);
}

/* A thread that used a heap which is gone, or another one by now, exits without harm. */
static void lifecycle_thread_exits_after_its_heap(void **state)
{
	struct survivor s = { .turn = 0 };
	ouro_config cfg = test_config();

	(void)state;
	for (int again = 0; again < 2; again++) {
		s.turn = 0;
		heap_start(&cfg);
		s.thread = thread_start(survive, &s);
		survivor_turn(&s);
		ouro_gc_collect(2);
		assert_int_equal(heap_stop().objects, 0);
		if (again)
			heap_start(&cfg);
		survivor_end(&s);
	}
	ouro_release(make(1));
}

static struct node *held_asleep;

static void hold_pair(void *arg)
{
	(void)arg;
	held_asleep = make_pair(&loud_type, 1);
}

static void lifecycle_references_of_sleeping_threads_are_reported(void **state)
{
	struct sleeper s;

	(void)state;
	sleeper_start(&s, hold_pair, NULL);
	assert_int_equal(heap_stop().objects, 2);
	sleeper_stop(&s);
	assert_int_equal(book_count(&journal, "d"), 2);
}

/* Something of every kind that the collector's tick sees to. */
static void *leave_something_behind(void *slot)
{
	for (int i = 0; i < LOAD(30000); i++) {
		struct node *pair = make_pair(&node_type, 1);

		ouro_slot_give(slot, make(1));
		ouro_slot_give((void **)&pair->left, leaf_new(i));
		ouro_release(pair);
	}
	ouro_release(make_list(&node_type, 30000));
	sleep_ms(20);
	return NULL;
}

static void lifecycle_idle_threads_sleep(void **state)
{
	pthread_t t[3];
	void *slot = NULL;
	bool asleep;

	(void)state;
	ouro_gc_enable();
	for (int i = 0; i < 3; i++)
		t[i] = thread_start(leave_something_behind, &slot);
	leave_something_behind(&slot);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_true(library_sleeps("ouro-", &asleep) > 0);
	assert_true(EVENTUALLY(library_asleep_for("ouro-", 200)));
	ouro_gc_disable();
	ouro_slot_store(&slot, NULL);
	ouro_gc_collect(2);
}

/* ---- two ends at once, and a beginning ---- */

static atomic_bool ending, may_end;

static void end_slowly(void *obj)
{
	(void)obj;
	atomic_store(&ending, true);
	while (!atomic_load(&may_end))
		sleep_ms(1);
}

static const ouro_type slow_end_type = {
	.name = "slow end", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right), .finalize = end_slowly,
};

static void *end_and_begin(void *arg)
{
	if (ouro_new(&slow_end_type) == NULL || ouro_shutdown(NULL) != 0)
		abort();
	ouro_init(arg); /* at once */
	return arg;
}

static void *let_end(void *arg)
{
	sleep_ms(20); /* until the other waits, as a rule */
	atomic_store(&may_end, true);
	return arg;
}

/* Who waits for another's shutdown waits for that one, not for an instant without a heap. */
static void lifecycle_the_next_heap_may_begin_at_once(void **state)
{
	(void)state;
	ouro_config cfg = test_config();
	assert_int_equal(ouro_init(&cfg), 0);
	pthread_t first = thread_start(end_and_begin, &cfg);
	assert_true(EVENTUALLY(atomic_load(&ending)));
	pthread_t second = thread_start(let_end, NULL);
	assert_int_equal(ouro_shutdown(NULL), 0);
	pthread_join(first, NULL);
	pthread_join(second, NULL);
}

/* ---- a report of many types ---- */

enum { TYPES = 50000, HELD = LOAD(200000) };

static uint64_t ns_to_report(const ouro_type *types, size_t n_types)
{
	ouro_config cfg = test_config();

	heap_start(&cfg);
	for (size_t i = 0; i < HELD; i++)
		if (ouro_new(&types[i % n_types]) == NULL)
			abort();
	uint64_t began = cpu_ns();
	assert_int_equal(heap_stop().objects, HELD);
	return cpu_ns() - began;
}

/* It takes as long as there are objects, not times types. */
static void lifecycle_report_of_many_types(void **state)
{
	static char name[TYPES][8];
	static ouro_type types[TYPES];

	(void)state;
	for (int i = 0; i < TYPES; i++) {
		snprintf(name[i], sizeof(name[i]), "t%d", i);
		types[i] = (ouro_type){ .name = name[i], .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left) };
	}
	uint64_t few = ns_to_report(types, 10);
	assert_logged("still held", 10);
	assert_int_equal(book_count(&log_book, "of \"t9\""), 1);
	uint64_t many = ns_to_report(types, TYPES);
	assert_in_range(many, 0, 4 * few + 1000000000u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(lifecycle_any_call_starts_the_heap),
		BARE_CASE(lifecycle_starts_once_for_many_threads),
		BARE_CASE(lifecycle_starts_each_thread_once),
		BARE_CASE(lifecycle_shutdown_without_a_heap),
		BARE_CASE(lifecycle_version_is_the_headers),
		BARE_CASE(lifecycle_a_hundred_times),
		BARE_CASE(lifecycle_stop_meets_the_threads_anywhere),
		BARE_CASE(lifecycle_returns_all_memory),
		HEAP_CASE(lifecycle_report_counts_what_is_held),
		BARE_CASE(lifecycle_the_next_heap_may_begin_at_once),
		BARE_CASE(lifecycle_report_of_many_types),
		HEAP_CASE(lifecycle_log_names_what_is_held),
		HEAP_CASE(lifecycle_nothing_held_nothing_logged),
		HEAP_CASE(lifecycle_immortal_is_not_counted),
		HEAP_CASE(lifecycle_static_slot_is_outside),
		HEAP_CASE(lifecycle_everything_is_finalized_and_destroyed),
		HEAP_CASE(lifecycle_finalizers_at_shutdown_may_allocate),
		HEAP_CASE(lifecycle_finalizers_that_make_more_have_an_end),
		HEAP_CASE(lifecycle_many_held_objects_with_a_finalizer),
		HEAP_CASE(lifecycle_shutdown_is_busy_while_others_are_pinned),
		HEAP_CASE(lifecycle_shutdown_refuses_when_pinned),
		BARE_CASE(lifecycle_threads_live_on_into_the_next_heap),
		BARE_CASE(lifecycle_thread_exits_after_its_heap),
		HEAP_CASE(lifecycle_idle_threads_sleep),
		HEAP_CASE(lifecycle_references_of_sleeping_threads_are_reported),
	};

	return cmocka_run_group_tests_name("lifecycle", tests, NULL, NULL);
}
