/*
 * Goal: thousands of attached threads that do nothing cost a stop nothing and hold next to no
 * memory; who comes back is seen.
 * Method: idle threads on small stacks, each of which made, published and dropped an object; stops
 * are compared with and without
 *         them; threads that were parked come back in the middle of a stop, and into a pinned region.
 * A failure would mean: a server whose pauses grow with its connections, or an object freed under a
 * thread that came back.
 */
#include "fixture.h"
#include "base/lock.h"
#include "base/os.h"
#include "heap/candidate.h"
#include "heap/empty.h"
#include "heap/heap.h"
#include "world/park.h"
#include "world/thread.h"
#include "world/world.h"

enum { MANY = SANITIZED ? 100 : 1500, FEW = 40 }; /* more than may stay active */

/* ---- threads that sleep until they are told to do something ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t told;
	void (*command)(int i);
	unsigned round;
	bool end;
	int n;
	atomic_int done;
	pthread_t thread[MANY];
	struct oi_thread *record[MANY];
} idlers = { .lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER };

static void publish_and_drop(int i)
{
	static struct node *slot[MANY];

	ouro_give(&slot[i], make(i));
	ouro_store(&slot[i], NULL);
	idlers.record[i] = oi_self;
}

static void *idle(void *arg)
{
	int i = (int)(intptr_t)arg;
	unsigned seen = 0;

	for (;;) {
		pthread_mutex_lock(&idlers.lock);
		while (idlers.round == seen && !idlers.end)
			pthread_cond_wait(&idlers.told, &idlers.lock);
		void (*command)(int) = idlers.end ? NULL : idlers.command;
		seen = idlers.round;
		pthread_mutex_unlock(&idlers.lock);
		if (command == NULL)
			return NULL;
		command(i);
		atomic_fetch_add(&idlers.done, 1);
	}
}

/* Returns at once. */
static void tell(void (*command)(int))
{
	atomic_store(&idlers.done, 0);
	pthread_mutex_lock(&idlers.lock);
	idlers.command = command;
	idlers.round++;
	pthread_cond_broadcast(&idlers.told);
	pthread_mutex_unlock(&idlers.lock);
}

static bool all_done(void)
{
	return atomic_load(&idlers.done) == idlers.n;
}

static void idlers_start(int n)
{
	pthread_attr_t attr;

	idlers.n = n;
	idlers.round = 0;
	idlers.end = false;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, SMALL_STACK_BYTES);
	for (int i = 0; i < n; i++)
		if (pthread_create(&idlers.thread[i], &attr, idle, (void *)(intptr_t)i) != 0)
			abort();
	pthread_attr_destroy(&attr);
	tell(publish_and_drop);
	assert_true(EVENTUALLY(all_done()));
}

static void idlers_stop(void)
{
	pthread_mutex_lock(&idlers.lock);
	idlers.end = true;
	pthread_cond_broadcast(&idlers.told);
	pthread_mutex_unlock(&idlers.lock);
	for (int i = 0; i < idlers.n; i++)
		pthread_join(idlers.thread[i], NULL);
}

static bool is_parked(int i)
{
	oi_registry_lock();
	oi_park_take_arrivals();
	bool parked = idlers.record[i]->parked;
	oi_registry_unlock();
	return parked;
}

static int n_parked(void)
{
	int n = 0;

	for (int i = 0; i < idlers.n; i++)
		n += is_parked(i);
	return n;
}

static bool nearly_all_parked(void)
{
	return n_parked() >= idlers.n - OI_PARK_ABOVE;
}

/* ---- what a stop costs ---- */

/* The shortest of 20, in ns. */
static uint64_t a_stop(void)
{
	uint64_t best = UINT64_MAX;
	ouro_stats a, b;

	for (int i = 0; i < 20; i++) {
		ouro_stats_get(&a);
		ouro_gc_collect(0);
		ouro_stats_get(&b);
		uint64_t ns = (b.pause_sum_ns - a.pause_sum_ns) / (b.pauses - a.pauses);

		best = ns < best ? ns : best;
	}
	return best;
}

static void many_idle_threads_cost_a_stop_nothing(void **state)
{
	uint64_t alone = a_stop();
	uint64_t bound = 4 * alone + MANY * 20; /* 0.3 us each otherwise */

	(void)state;
	idlers_start(MANY);
	assert_true(EVENTUALLY(nearly_all_parked()));
	assert_true(EVENTUALLY(a_stop() < bound));
	print_message("a stop: %.1f us alone, %.1f us beside %d idle threads\n", (double)alone / 1e3, (double)a_stop() / 1e3, MANY);
	idlers_stop();
}

/* ---- what a flush costs ---- */

/* The shortest of 20, in ns. */
static uint64_t a_flush(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 20; i++) {
		uint64_t began = now_ns();

		ouro_flush();
		uint64_t ns = now_ns() - began;

		best = ns < best ? ns : best;
	}
	return best;
}

/* The shortest of 20, in ns: to look at all counters of all records. */
static uint64_t a_look_at_all_counters(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 20; i++) {
		uint64_t began = now_ns();

		(void)objects_live(); /* of the statistics, which add up all of them */
		uint64_t ns = now_ns() - began;

		best = ns < best ? ns : best;
	}
	return best;
}

/* A few lines of each record are looked at, not all its counters. */
static void many_idle_threads_cost_a_flush_little(void **state)
{
	uint64_t alone = a_flush();

	(void)state;
	idlers_start(MANY);
	assert_true(EVENTUALLY(nearly_all_parked()));
	assert_true(EVENTUALLY(a_flush() < 4 * alone + a_look_at_all_counters() / 2));
	print_message("a flush: %.1f us beside %d idle threads\n", (double)a_flush() / 1e3, MANY);
	idlers_stop();
}

/* ---- what they hold ---- */

static void many_idle_threads_hold_little(void **state)
{
	uint64_t before = bytes_reserved();

	(void)state;
	idlers_start(MANY);
	/* A page, and a batch of limbo, were 64 and 16 KiB each. 2 MiB of free pages are kept for whoever needs some next. */
	assert_true(EVENTUALLY(bytes_reserved() < before + MANY * 8192 + OI_PARK_ABOVE * (80 << 10) + (3 << 20)));
	print_message("%llu bytes for each of %d idle threads\n", (unsigned long long)((bytes_reserved() - before) / MANY), MANY);
	idlers_stop();
	/* 20 MB of pages are kept for others for a while, the records for good. */
	assert_true(EVENTUALLY(bytes_reserved() < before + MANY * 6000 + (4 << 20)));
}

static int n_with_pages(void)
{
	int n = 0;

	for (int i = 0; i < MANY; i++)
		n += oi_load_acquire(&idlers.record[i]->heap.all) != NULL;
	return n;
}

/* What they emptied must stay what it is until the walk is over; but not with them, who do not come by to give it back. */
static void many_idle_threads_keep_nothing_for_a_walk(void **state)
{
	uint64_t before = bytes_reserved();

	(void)state;
	oi_store_relaxed(&oi_candidates.walking, 1u);
	idlers_start(MANY);
	bool few = EVENTUALLY(n_with_pages() <= OI_PARK_ABOVE + 2);
	oi_heap_end_walk(oi_self);
	assert_true(few);
	ouro_gc_collect(0);
	assert_true(EVENTUALLY(bytes_reserved() < before + MANY * 8192 + OI_PARK_ABOVE * (80 << 10) + (3 << 20)));
	idlers_stop();
}

/* ---- coming back ---- */

static void make_and_drop(int i)
{
	for (int k = 0; k < 10; k++) {
		ouro_release(make_pair(&node_type, i));
		ouro_release(make_list(&node_type, 3));
		publish_and_drop(i);
	}
}

static void many_threads_come_back_all_the_time(void **state)
{
	(void)state;
	idlers_start(FEW);
	for (int round = 0; round < LOAD(200) + 10; round++) {
		tell(make_and_drop);
		while (!all_done())
			ouro_gc_collect(round % 10 == 0 ? 2 : 0);
		if (round % 10 == 0)
			assert_true(EVENTUALLY(nearly_all_parked()));
	}
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
	idlers_stop();
}

static atomic_int entered;

static void enter(int i)
{
	publish_and_drop(i);
	atomic_fetch_add(&entered, 1);
}

/* In a stop: they come back, and wait. */
static void wake_them(const ouro_gc_event *event, void *arg)
{
	atomic_int *seen = arg;

	if (event->phase != OURO_PAUSE_START)
		return;
	tell(enter);
	uint64_t end = now_ns() + PATIENCE_S * 1000000000ull;
	while (__atomic_load_n(&oi_world.n_waiting, __ATOMIC_SEQ_CST) < (uint32_t)FEW && !atomic_load(&entered) && now_ns() < end)
		sched_yield();
	atomic_store(seen, atomic_load(&entered));
}

static void many_come_back_in_a_stop_and_wait(void **state)
{
	static atomic_int seen;

	(void)state;
	idlers_start(FEW);
	for (int round = 0; round < 5; round++) {
		assert_true(EVENTUALLY(nearly_all_parked()));
		atomic_store(&entered, 0);
		atomic_store(&seen, -1);
		assert_int_equal(ouro_gc_on_event(wake_them, &seen), 0);
		ouro_gc_collect(0);
		assert_int_equal(ouro_gc_off_event(wake_them, &seen), 0);
		assert_int_equal(atomic_load(&seen), 0); /* nobody ran an operation in the stop */
		assert_true(EVENTUALLY(all_done()));
	}
	idlers_stop();
}

/* While a thread is pinned no grace period is over that began after; the first look comes at once, before any tick. */
static atomic_int violations;

static void come_back_and_look(int i)
{
	ouro_pin();
	for (int k = 0; k < 20; k++) {
		oi_grace_try(true);
		if (oi_load_acquire(&oi_world.epoch_done) > oi_load_relaxed(&oi_self->gate))
			atomic_fetch_add(&violations, 1);
	}
	ouro_unpin();
	(void)i;
}

static void many_come_back_and_a_grace_period_waits(void **state)
{
	(void)state;
	atomic_store(&violations, 0);
	idlers_start(FEW);
	for (int round = 0; round < 5; round++) {
		assert_true(EVENTUALLY(nearly_all_parked()));
		tell(come_back_and_look);
		assert_true(EVENTUALLY(all_done()));
	}
	assert_int_equal(atomic_load(&violations), 0);
	idlers_stop();
}

/* The stop waits for pinned threads, which go when it has been under way for a while. */
static atomic_bool unpin;
static atomic_int pinned, n_pins_over;

static void come_back_pinned(int i)
{
	ouro_pin();
	atomic_fetch_add(&pinned, 1);
	while (!atomic_load(&unpin))
		sleep_ms(1);
	atomic_fetch_add(&n_pins_over, 1);
	ouro_unpin();
	(void)i;
}

static void *unpin_in_the_stop(void *arg)
{
	for (int ms = 0; ms < 100 && !oi_load_acquire(&oi_world.stopping); ms++)
		sleep_ms(1);
	sleep_ms(5); /* for a stop that does not wait to be over */
	atomic_store(&unpin, true);
	return arg;
}

static void many_come_back_and_a_stop_waits(void **state)
{
	(void)state;
	idlers_start(FEW);
	for (int round = 0; round < 5; round++) {
		assert_true(EVENTUALLY(nearly_all_parked()));
		atomic_store(&unpin, false);
		atomic_store(&pinned, 0);
		atomic_store(&n_pins_over, 0);
		tell(come_back_pinned);
		assert_true(EVENTUALLY(atomic_load(&pinned) == FEW));
		pthread_t t = thread_start(unpin_in_the_stop, NULL);
		ouro_gc_collect(0);
		assert_int_equal(atomic_load(&n_pins_over), FEW);
		pthread_join(t, NULL);
		assert_true(EVENTUALLY(all_done()));
	}
	idlers_stop();
}

/* Whoever leaves, or forks, or is left behind, may be parked. */
static int child(void *arg)
{
	(void)arg;
	oi_registry_lock();
	oi_park_take_arrivals();
	int n = 0;
	struct oi_thread *t;
	oi_for_each_active(t)
		n += t->attached;
	oi_registry_unlock();
	REQUIRE(n <= 3); /* itself and the library's */
	ouro_release(make_pair(&node_type, 1));
	REQUIRE(ouro_gc_collect(2) == 2);
	return 0;
}

static void many_parked_threads_are_not_in_a_child(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	idlers_start(FEW);
	child_run(child, NULL); /* some active, some parked */
	assert_true(EVENTUALLY(nearly_all_parked()));
	child_run(child, NULL);
	idlers_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(many_idle_threads_cost_a_stop_nothing),
		HEAP_CASE(many_idle_threads_cost_a_flush_little),
		HEAP_CASE(many_idle_threads_hold_little),
		HEAP_CASE(many_idle_threads_keep_nothing_for_a_walk),
		HEAP_CASE(many_threads_come_back_all_the_time),
		HEAP_CASE(many_come_back_in_a_stop_and_wait),
		HEAP_CASE(many_come_back_and_a_grace_period_waits),
		HEAP_CASE(many_come_back_and_a_stop_waits),
		HEAP_CASE(many_parked_threads_are_not_in_a_child),
	};

	return cmocka_run_group_tests_name("many", tests, NULL, NULL);
}
