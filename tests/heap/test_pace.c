/*
 * Goal: garbage cannot outrun the collector, whatever its age, and who is held up for that is
 * counted.
 * Method: threads replace live objects at random as fast as they can; the memory held is looked at
 * all the time.
 * A failure would mean: a server under load that grows until it is killed.
 */
#include "fixture.h"

#include <limits.h>

#include "base/perturb.h"
#include "collect/collect.h"
#include "count/delay.h"
#include "heap/pace.h"

enum { LIVE = 4000, THREADS = 3, MB = 1 << 20 };

static _Atomic uint64_t peak;

static void look_at_memory(void)
{
	ouro_stats s;

	ouro_stats_get(&s);
	uint64_t now = s.bytes_reserved, seen = atomic_load(&peak);

	while (now > seen && !atomic_compare_exchange_weak(&peak, &seen, now))
		;
}

/* Pairs that live until they are replaced: most of the garbage is old by then. */
static void *replace_at_random(void *arg)
{
	struct node **live = calloc(LIVE, sizeof *live);
	uint64_t random = (uintptr_t)arg + 1;

	for (int i = 0; i < LOAD(600000); i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		struct node **place = &live[(random >> 33) % LIVE];

		ouro_release(*place);
		*place = make_pair(&node_type, 1);
		if (i % 1000 == 0)
			look_at_memory();
	}
	for (int i = 0; i < LIVE; i++)
		ouro_release(live[i]);
	free(live);
	return NULL;
}

/* 24 000 live nodes are 2 MB; all that was made is 180 MB. */
static bool garbage_of_every_age_is_bounded(void)
{
	pthread_t t[THREADS];

	ouro_gc_enable();
	atomic_store(&peak, 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		t[i] = thread_start(replace_at_random, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	ouro_gc_disable();
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
	return atomic_load(&peak) <= 64 * MB;
}

static void pace_garbage_of_every_age_is_bounded(void **state)
{
	(void)state;
	assert_true(IN_ONE_OF_SEVERAL_TRIES(garbage_of_every_age_is_bounded()));
}

/*
 * The first stop does not begin before it is let, so that the collector lags for sure: whoever makes garbage is held up, a
 * millisecond at a time, and goes on.
 */
static atomic_bool let_stop;

static void hold_first(const ouro_gc_event *event, void *arg)
{
	(void)arg;
	while (event->phase == OURO_GC_START && !atomic_load(&let_stop))
		sleep_ms(1);
}

static void make_lag(ouro_stats *after)
{
	uint64_t end = now_ns() + PATIENCE_S * 1000000000ull;

	do {
		for (int i = 0; i < 100; i++)
			ouro_release(make_pair(&node_type, i));
		ouro_stats_get(after);
	} while (after->delays < 20 && now_ns() < end);
}

static void pace_delays_are_counted_and_bounded(void **state)
{
	ouro_stats before, after;

	(void)state;
	atomic_store(&let_stop, false);
	assert_int_equal(ouro_gc_on_event(hold_first, NULL), 0);
	ouro_stats_get(&before);
	assert_int_equal(before.delays, 0);
	ouro_gc_enable();
	make_lag(&after);
	ouro_gc_disable();
	atomic_store(&let_stop, true);
	assert_int_equal(ouro_gc_off_event(hold_first, NULL), 0);
	assert_in_range(after.delays, 20, 1000);
	assert_true(after.delay_sum_ns >= after.delay_max_ns);
	/* Nobody ended one early: each lasts a millisecond, and what the system takes to wake a thread. */
	assert_true(after.delay_sum_ns >= after.delays * 900000);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

/* ---- one delay ---- */

#if !OURO_CHECKED
static void (*oi_point_hook)(const char *point);
#endif

static int n_waits; /* in one delay */

/* A collection comes to its end when nine tenths of the delay are over: so its first wait is over at once. */
static void end_first_wait_late(const char *point)
{
	if (strcmp(point, "delay") != 0 || n_waits++ != 0)
		return;
	for (uint64_t began = now_ns(); now_ns() - began < 900000;)
		;
	oi_add_relaxed(&oi_pace.turn, 1u);
}

/* Collections come to their ends all the time. */
static void end_every_wait(const char *point)
{
	if (strcmp(point, "delay") != 0)
		return;
	n_waits++;
	oi_add_relaxed(&oi_pace.turn, 1u);
}

/* Returns how long a delay took, which is measured inside. */
static uint64_t delay_once(void (*hook)(const char *))
{
	uint64_t before = stats().delay_sum_ns;

	n_waits = 0;
	oi_point_hook = hook;
	oi_gate_enter(oi_self);
	oi_delay_thread(oi_self, 0);
	oi_gate_leave(oi_self);
	oi_point_hook = NULL;
	return stats().delay_sum_ns - before;
}

/*
 * Whatever wakes the thread meanwhile, a delay ends a millisecond after it began: in one of many tries, as a busy machine wakes
 * threads late. If the second wait began anew it would take 1.9 ms at least, every time.
 */
static void pace_delay_is_not_begun_anew(void **state)
{
	(void)state;
	if (!CHECKED_BUILD)
		skip();
	atomic_store(&let_stop, false);
	assert_int_equal(ouro_gc_on_event(hold_first, NULL), 0);
	assert_int_equal(ouro_gc_set_threshold(5000, 10, 10), 0); /* else this thread looks at it */
	ouro_gc_enable();
	struct node *list = make_list(&node_type, 22000);
	oi_gate_enter(oi_self);
	oi_pace_flush(oi_self);
	oi_gate_leave(oi_self);
	assert_true(oi_delay_due());
	bool in_time = EVENTUALLY(delay_once(end_first_wait_late) < 1500000 && n_waits == 2);
	bool ends = EVENTUALLY(delay_once(end_every_wait) >= 1000000 && n_waits > 1);
	ouro_gc_disable();
	atomic_store(&let_stop, true);
	assert_int_equal(ouro_gc_off_event(hold_first, NULL), 0);
	ouro_release(list);
	assert_true(in_time);
	assert_true(ends);
}

/* ---- what the garbage holds ---- */

struct bulky {
	struct bulky *self;
	char bytes[16000];
};

static const ouro_type bulky_type = {
	.name = "bulky", .size = sizeof(struct bulky), .slots = OURO_SLOTS(struct bulky, self),
};

/* Garbage, or what the caller then has a reference to. */
static struct bulky *make_bulky(bool keep)
{
	struct bulky *b = ouro_new(&bulky_type);

	assert_non_null(b);
	if (!keep)
		ouro_slot_give(&b->self, b);
	return b;
}

/*
 * However few objects it is: threads are held up before half of what lives and 64 MiB have been
 * made, if the collector does not get round to anything. What it holds then is bounded: what can be
 * made in a millisecond falls with each MB.
 */
static void pace_lags_for_memory_though_objects_are_few(void **state)
{
	enum { LIVE_BULKY = 1200 };
	static struct bulky *living[LIVE_BULKY];
	size_t n = 0, bytes = sizeof(struct bulky);

	(void)state;
	atomic_store(&let_stop, false);
	for (int i = 0; i < LIVE_BULKY; i++)
		living[i] = make_bulky(true);
	ouro_gc_collect(2);
	assert_int_equal(ouro_gc_on_event(hold_first, NULL), 0);
	/* else this thread collects it */
	assert_int_equal(ouro_gc_set_threshold(1000000, 10, 10), 0);
	ouro_gc_enable();
	while (!oi_delay_due() && n * bytes < 128 * MB) {
		make_bulky(false);
		n++;
	}
	ouro_gc_disable();
	atomic_store(&let_stop, true);
	assert_int_equal(ouro_gc_off_event(hold_first, NULL), 0);
	for (int i = 0; i < LIVE_BULKY; i++)
		ouro_release(living[i]);
	ouro_gc_collect(2);
	assert_in_range(n * bytes, MB, LIVE_BULKY * bytes / 2 + 64 * MB);
}

/* A pinned thread holds up every stop, so nothing is collected; nor may it be held up itself. */
static void pace_never_delays_a_pinned_thread(void **state)
{
	ouro_stats before, after;

	(void)state;
	ouro_gc_enable();
	ouro_stats_get(&before);
	ouro_pin();
	for (int i = 0; i < 60000; i++)
		ouro_release(make_pair(&node_type, 1));
	ouro_unpin();
	ouro_stats_get(&after);
	assert_int_equal(after.delays, before.delays);
}

/* Nothing is collected, nobody waits for it. */
static void pace_never_delays_while_disabled(void **state)
{
	ouro_stats before, after;

	(void)state;
	assert_false(ouro_gc_is_enabled());
	ouro_stats_get(&before);
	for (int i = 0; i < 60000; i++)
		ouro_release(make_pair(&node_type, 1));
	ouro_stats_get(&after);
	assert_int_equal(after.delays, before.delays);
}

/* Objects that have pages of their own, each its own holder. */
struct wide {
	struct wide *self;
	struct node *items[];
};

static const ouro_type wide_type = {
	.name = "wide", .size = offsetof(struct wide, items), .slots = OURO_SLOTS(struct wide, self),
	.item_size = sizeof(struct node *), .item_slots = OURO_ITEM_REFS,
};

/* Delays are bounded: a slow collector falls behind more. */
static bool garbage_of_large_objects_is_bounded(void)
{
	enum { N = 4000 };

	assert_int_equal(ouro_gc_set_threshold(100, 10, 10), 0);
	ouro_gc_enable();
	for (int i = 0; i < N; i++) {
		struct wide *w = ouro_new_items(&wide_type, 9000);

		assert_non_null(w);
		ouro_give(&w->self, w);
	}
	ouro_gc_disable();
	uint64_t left = objects_live();
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
	return left <= (SANITIZED ? N * 9 / 10 : N / 2);
}

static void pace_garbage_of_large_objects_is_bounded(void **state)
{
	(void)state;
	assert_true(IN_ONE_OF_SEVERAL_TRIES(garbage_of_large_objects_is_bounded()));
}

/* ---- memory outside ---- */

enum { OUTSIDE = 1 << 20 };

static void no_longer_outside(void *obj)
{
	ouro_external_bytes(obj, -OUTSIDE);
}

static const ouro_type outside_type = {
	.name = "outside", .size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, left, right), .destroy = no_longer_outside,
};

static void pace_memory_outside_starts_collections(void **state)
{
	(void)state;
	uint64_t before = stats().collections[2];
	ouro_gc_enable();
	for (int i = 0; i < 40; i++) {
		struct node *n = make_of(&outside_type, 0);
		ouro_external_bytes(n, OUTSIDE);
		ouro_store(&n->left, n);
		ouro_release(n);
	}
	assert_true(EVENTUALLY(stats().collections[2] > before &&
			       stats().external_bytes < 40 * (uint64_t)OUTSIDE));
	ouro_gc_disable();
	ouro_gc_collect(2);
	assert_int_equal(stats().external_bytes, 0);
}

static void pace_memory_outside_is_a_sum(void **state)
{
	(void)state;
	ouro_external_bytes(NULL, 5000);
	ouro_external_bytes(NULL, -2000);
	assert_int_equal(stats().external_bytes, 3000);
	ouro_external_bytes(NULL, -3001);
	assert_int_equal(stats().external_bytes, 0);
	ouro_external_bytes(NULL, 1);
	assert_int_equal(stats().external_bytes, 0);
}

/* ---- what young collections look at ---- */

static atomic_size_t n_looked, n_found, n_most;

static void count_young(const ouro_gc_event *event, void *arg)
{
	(void)arg;
	if (event->phase != OURO_GC_STOP || event->generation == 2)
		return;
	atomic_fetch_add(&n_looked, event->candidates);
	atomic_fetch_add(&n_found, event->collected);
	if (event->candidates > atomic_load(&n_most))
		atomic_store(&n_most, event->candidates); /* one at a time */
}

static void start_counting(void)
{
	atomic_store(&n_looked, 0);
	atomic_store(&n_found, 0);
	atomic_store(&n_most, 0);
	assert_int_equal(ouro_gc_on_event(count_young, NULL), 0);
}

/* While a program builds what it will live with, young collections look at a sample; as soon as there is garbage, at all. */
static bool looks_at_little_of_what_survives(void)
{
	size_t n = SANITIZED ? 400000 : 1000000; /* twenty collections, 4000 objects each or more, go by before it is sure */

	start_counting();
	assert_int_equal(ouro_gc_set_threshold(-1, 10, 10), 0);
	ouro_gc_enable();
	struct node *list = make_list(&node_type, n);
	size_t looked = atomic_load(&n_looked);
	for (size_t i = 0; i < n / 2; i++)
		ouro_release(make_pair(&node_type, 1));
	uint64_t end = now_ns() + PATIENCE_S * 1000000000ull;
	while (atomic_load(&n_found) < n / 10 && now_ns() < end)
		ouro_release(make_pair(&node_type, 1)); /* the collector may be slow to come */
	assert_true(atomic_load(&n_found) >= n / 10);
	assert_int_equal(ouro_gc_off_event(count_young, NULL), 0);
	ouro_release(list);
	ouro_gc_disable();
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
	return looked >= 1 && looked <= n / 2;
}

static void pace_looks_at_little_of_what_survives(void **state)
{
	(void)state;
	assert_true(IN_ONE_OF_SEVERAL_TRIES(looks_at_little_of_what_survives()));
}

enum { WIDTH = 400 };

/* Garbage, each its own holder, that has many references besides. */
static void drop_wide(struct node *shared, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct wide *w = ouro_new_items(&wide_type, WIDTH);

		assert_non_null(w);
		for (int k = 0; k < WIDTH; k++)
			ouro_slot_store(&w->items[k], shared);
		ouro_slot_give(&w->self, w);
	}
}

static void wide_setup(void)
{
	ouro_config cfg = test_config();

	cfg.pause_budget_ns = 10000;
	heap_start(&cfg);
	start_counting();
}

/* They are more than a stop has time for long before there are as many of them as it may look at. */
static void pace_stops_early_at_objects_with_many_references(void **state)
{
	struct node *shared;

	(void)state;
	wide_setup();
	shared = ouro_new(&node_type);
	assert_int_equal(ouro_gc_set_threshold(100, 10, 10), 0);
	ouro_gc_enable();
	drop_wide(shared, (size_t)LOAD(5000));
	assert_true(EVENTUALLY((drop_wide(shared, 10), atomic_load(&n_found) > 0)));
	ouro_gc_disable();
	assert_in_range(atomic_load(&n_most), 1, 20000 / WIDTH);
	assert_int_equal(ouro_gc_off_event(count_young, NULL), 0);
	ouro_release(shared);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

/* Nor does a call look at them in one stop; but it looks at all. */
static void pace_finds_all_objects_with_many_references_when_asked(void **state)
{
	struct node *shared;

	(void)state;
	wide_setup();
	shared = ouro_new(&node_type);
	for (int generation = 0; generation < 3; generation++) {
		drop_wide(shared, 300);
		assert_int_equal(ouro_gc_collect(generation), 300);
	}
	assert_int_equal(ouro_gc_off_event(count_young, NULL), 0);
	ouro_release(shared);
}

/* ---- a reaper that is slow, and one that is stuck ---- */

enum { RINGS = 60, MEMBERS = 400 }; /* more than is tolerated */

static atomic_int n_slow;
static atomic_bool stuck, quick;

static void slowly(void *obj)
{
	(void)obj;
	atomic_fetch_add(&n_slow, 1);
	do
		sleep_ms(atomic_load(&quick) ? 0 : 5);
	while (atomic_load(&stuck));
}

static const ouro_type slow_clear_type = {
	.name = "slow clear", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right), .clear = slowly,
};
static const ouro_type slow_destroy_type = {
	.name = "slow destroy", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right), .destroy = slowly,
};

/* While nothing is collected, nobody looks how far the reaper is. */
static void drop_rings(const ouro_type *type, bool is_stuck)
{
	atomic_store(&n_slow, 0);
	atomic_store(&stuck, is_stuck);
	atomic_store(&quick, false);
	for (int i = 0; i < RINGS; i++) {
		ouro_release(make_ring(type, MEMBERS));
		oi_collect_automatic(0, NULL);
	}
	assert_int_equal(ouro_gc_set_threshold(5000, 10, 10), 0);
}

static void let_reaper_go(void)
{
	atomic_store(&quick, true);
	atomic_store(&stuck, false);
	ouro_gc_disable();
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

/*
 * That the reaper has done with no callback since the process began, or since somebody looked, is no sign that it is stuck: it
 * had none. Nobody looks before this case does, so it is the first one.
 */
static void pace_reaper_is_not_stuck_when_one_looks_first(void **state)
{
	(void)state;
	drop_rings(&slow_clear_type, true);
	assert_true(EVENTUALLY(atomic_load(&n_slow) >= 1));
	ouro_gc_enable();
	bool waited_for = oi_delay_due();
	bool given_up = EVENTUALLY(!oi_delay_due());
	let_reaper_go();
	assert_true(waited_for);
	assert_true(given_up);
}

/* For longer than a callback that does not return is waited for. */
static void assert_slow_is_waited_for(const ouro_type *type)
{
	drop_rings(type, false);
	ouro_gc_enable();
	assert_true(EVENTUALLY(oi_delay_due()));
	assert_true(EVENTUALLY(n_slow >= 1));
	uint64_t end = now_ns() + 1500000000u, since = now_ns(), longest = 0;
	for (int seen = n_slow, n; now_ns() < end; sleep_ms(1), seen = n) {
		longest = now_ns() - since > longest ? now_ns() - since : longest;
		if ((n = n_slow) != seen)
			since = now_ns();
		/* That none is called is the processor's fault, and looks like one that is stuck. */
		assert_true(oi_delay_due() || longest > 500000000);
	}
	assert_in_range(n_slow, 1, RINGS * MEMBERS - 20001); /* or nothing would be proved */
	atomic_store(&stuck, true);
	assert_true(EVENTUALLY(!oi_delay_due()));
	let_reaper_go();
}

static void pace_waits_for_a_slow_reaper_and_not_for_one_that_is_stuck(void **state)
{
	(void)state;
	assert_slow_is_waited_for(&slow_clear_type);
	assert_slow_is_waited_for(&slow_destroy_type);
}

/* ---- counters ---- */

/* What a call makes old it looks at: that is no reason for the next full collection. */
static void pace_what_a_call_looked_at_is_not_new(void **state)
{
	struct node *ring = make_ring(&node_type, 30000);

	(void)state;
	ouro_gc_collect(2);
	assert_int_equal(oi_pace.old_then, 30000);
	assert_int_equal(oi_pace.old_new, 0);
	ouro_release(ring);
	assert_int_equal(ouro_gc_collect(2), 30000);
}

/* ---- full collections that overlap ---- */

static pthread_t first, second;
static atomic_bool second_held, let_second;

static void hold_second(const ouro_gc_event *event, void *arg)
{
	(void)arg;
	if (event->phase != OURO_PAUSE_STOP || event->generation != 2 || pthread_equal(pthread_self(), first))
		return;
	atomic_store(&second_held, true);
	while (!atomic_load(&let_second))
		sleep_ms(1);
}

static void *collect_second(void *arg)
{
	ouro_gc_collect(2);
	return arg;
}

static void begin_second(void *obj)
{
	(void)obj;
	second = thread_start(collect_second, NULL);
	(void)EVENTUALLY(atomic_load(&second_held));
}

static const ouro_type beginning_type = {
	.name = "beginning", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.destroy = begin_second,
};

/* The garbage of the first is being freed when the second begins; that this is over says nothing of the second. */
static void pace_knows_that_a_second_full_collection_runs(void **state)
{
	(void)state;
	first = pthread_self();
	atomic_store(&second_held, false);
	atomic_store(&let_second, false);
	assert_int_equal(ouro_gc_on_event(hold_second, NULL), 0);
	struct node *n = make_of(&beginning_type, 1);
	ouro_store(&n->right, n);
	ouro_release(n);
	assert_int_equal(ouro_gc_collect(2), 1);
	bool runs = oi_load_relaxed(&oi_pace.full), held = atomic_load(&second_held);
	atomic_store(&let_second, true);
	pthread_join(second, NULL);
	assert_int_equal(ouro_gc_off_event(hold_second, NULL), 0);
	assert_true(held);
	assert_true(runs);
	assert_false(oi_load_relaxed(&oi_pace.full));
}

/* A heap where nothing becomes old sees no full collection, and counts young ones for years. */
static void pace_counts_never_wrap(void **state)
{
	int count[3];

	(void)state;
	oi_store_relaxed(&oi_pace.count[1], INT_MAX);
	oi_store_relaxed(&oi_pace.count[2], INT_MAX);
	ouro_gc_collect(0);
	ouro_gc_get_count(count);
	assert_int_equal(count[1], INT_MAX);
	ouro_gc_collect(1);
	ouro_gc_get_count(count);
	assert_int_equal(count[1], 0);
	assert_int_equal(count[2], INT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(pace_reaper_is_not_stuck_when_one_looks_first),
		HEAP_CASE(pace_garbage_of_every_age_is_bounded),
		HEAP_CASE(pace_delays_are_counted_and_bounded),
		HEAP_CASE(pace_delay_is_not_begun_anew),
		HEAP_CASE(pace_lags_for_memory_though_objects_are_few),
		HEAP_CASE(pace_never_delays_a_pinned_thread),
		HEAP_CASE(pace_never_delays_while_disabled),
		HEAP_CASE(pace_garbage_of_large_objects_is_bounded),
		HEAP_CASE(pace_memory_outside_starts_collections),
		HEAP_CASE(pace_memory_outside_is_a_sum),
		HEAP_CASE(pace_looks_at_little_of_what_survives),
		HEAP_CASE(pace_waits_for_a_slow_reaper_and_not_for_one_that_is_stuck),
		HEAP_CASE(pace_what_a_call_looked_at_is_not_new),
		HEAP_CASE(pace_knows_that_a_second_full_collection_runs),
		HEAP_CASE(pace_counts_never_wrap),
		BARE_CASE(pace_stops_early_at_objects_with_many_references),
		BARE_CASE(pace_finds_all_objects_with_many_references_when_asked),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
