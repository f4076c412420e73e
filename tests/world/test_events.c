/*
 * Goal: listeners hear every collection and every pause, in order, with fitting figures, until they
 * leave.
 * Method: a listener that records; others that use the library where they may; off while events
 * fly.
 * A failure would mean: monitoring that misses pauses, or a listener that is called after it was
 * removed.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

#include "base/holdup.h"
#include "base/perturb.h"
#include "world/gate.h"

struct record {
	ouro_gc_event event[256];
	atomic_size_t n;
};

static void record_event(const ouro_gc_event *event, void *arg)
{
	struct record *r = arg;
	if (event->phase == OURO_HOLDUP)
		return; /* it depends on the machine whether there is one */
	size_t at = atomic_fetch_add(&r->n, 1);

	if (at < 256)
		r->event[at] = *event;
}

/* START, then pauses that do not overlap, then STOP. Returns the number of pauses. */
static size_t assert_in_order(const struct record *r, int generation)
{
	const ouro_gc_event *last = &r->event[r->n - 1];
	size_t pauses = 0;

	assert_true(r->n >= 4 && r->n <= 256);
	assert_int_equal(r->event[0].phase, OURO_GC_START);
	assert_int_equal(last->phase, OURO_GC_STOP);
	for (size_t i = 0; i < r->n; i++)
		assert_int_equal(r->event[i].generation, generation);
	for (size_t i = 1; i + 1 < r->n; i += 2) {
		assert_int_equal(r->event[i].phase, OURO_PAUSE_START);
		assert_int_equal(r->event[i + 1].phase, OURO_PAUSE_STOP);
		assert_true(r->event[i + 1].duration_ns > 0);
		assert_true(r->event[i + 1].duration_ns <= last->duration_ns);
		pauses++;
	}
	return pauses;
}

static void events_come_in_order(void **state)
{
	static struct record r;

	(void)state;
	assert_int_equal(ouro_gc_on_event(record_event, &r), 0);
	for (int g = 0; g < 3; g++) {
		memset(&r, 0, sizeof(r));
		ouro_release(make_ring(&node_type, 10));
		assert_int_equal(ouro_gc_collect(g), 10);
		assert_true(assert_in_order(&r, g) >= 1);
		const ouro_gc_event *stop = &r.event[r.n - 1];
		assert_int_equal(stop->collected, 10);
		assert_true(stop->candidates >= 10);
		assert_true(stop->duration_ns > 0);
	}
	assert_int_equal(ouro_gc_off_event(record_event, &r), 0);
}

static void events_end_with_off(void **state)
{
	static struct record r;

	(void)state;
	memset(&r, 0, sizeof(r));
	assert_int_equal(ouro_gc_on_event(record_event, &r), 0);
	ouro_gc_collect(0);
	size_t n = r.n;
	assert_true(n > 0);
	assert_int_equal(ouro_gc_off_event(record_event, &r), 0);
	ouro_gc_collect(0);
	assert_int_equal(r.n, n);
	assert_int_equal(ouro_gc_off_event(record_event, &r), ENOENT);
}

static void events_refuse_bad_arguments(void **state)
{
	int arg = 0;

	(void)state;
	assert_int_equal(ouro_gc_on_event(NULL, &arg), EINVAL);
	assert_int_equal(ouro_gc_off_event(record_event, &arg), ENOENT);
}

/* The same function with two arguments is two listeners. */
static void events_reach_every_listener(void **state)
{
	static struct record r[8];

	(void)state;
	memset(r, 0, sizeof(r));
	for (int i = 0; i < 8; i++)
		assert_int_equal(ouro_gc_on_event(record_event, &r[i]), 0);
	ouro_gc_collect(1);
	size_t first = r[0].n;
	assert_true(first > 0);
	assert_int_equal(ouro_gc_off_event(record_event, &r[3]), 0);
	ouro_gc_collect(1);
	assert_true(r[0].n > first);
	for (int i = 0; i < 8; i++)
		assert_int_equal(r[i].n, i == 3 ? first : r[0].n);
	for (int i = 0; i < 8; i++)
		assert_int_equal(ouro_gc_off_event(record_event, &r[i]), i == 3 ? ENOENT : 0);
}

/* Between START and STOP, outside pauses, a listener may use the library. */
struct user {
	struct node *slot;
	atomic_int calls;
	bool in_pause;
};

static void use_library(const ouro_gc_event *event, void *arg)
{
	struct user *u = arg;

	if (event->phase == OURO_GC_START || event->phase == OURO_GC_STOP) {
		struct node *n = make(1);

		ouro_give(&u->slot, n);
		ouro_release(ouro_load(&u->slot));
		ouro_release(make_pair(&node_type, 2));
		objects_live();
		atomic_fetch_add(&u->calls, 1);
	}
}

static void events_listener_may_use_the_library(void **state)
{
	struct user u = { .slot = NULL };

	(void)state;
	assert_int_equal(ouro_gc_on_event(use_library, &u), 0);
	for (int i = 0; i < 10; i++)
		assert_true(ouro_gc_collect(2) >= 0);
	assert_int_equal(u.calls, 20);
	assert_int_equal(ouro_gc_off_event(use_library, &u), 0);
	ouro_store(&u.slot, NULL);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

/* Nobody runs an operation between PAUSE_START and PAUSE_STOP. */
static atomic_bool paused;
static atomic_int pauses, overlaps;

static void watch_pauses(const ouro_gc_event *event, void *arg)
{
	(void)arg;
	if (event->phase == OURO_PAUSE_START && atomic_exchange(&paused, true))
		atomic_fetch_add(&overlaps, 1);
	if (event->phase == OURO_PAUSE_STOP && !atomic_exchange(&paused, false))
		atomic_fetch_add(&overlaps, 1);
	if (event->phase == OURO_PAUSE_STOP)
		atomic_fetch_add(&pauses, 1);
}

static void *collect_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < LOAD(300); i++) {
		ouro_release(make_pair(&node_type, i));
		ouro_gc_collect(i % 3);
	}
	return NULL;
}

static void events_pauses_never_overlap(void **state)
{
	pthread_t t[2];

	(void)state;
	atomic_store(&pauses, 0);
	assert_int_equal(ouro_gc_on_event(watch_pauses, NULL), 0);
	for (int i = 0; i < 2; i++)
		t[i] = thread_start(collect_many, NULL);
	collect_many(NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(overlaps, 0);
	assert_false(paused);
	assert_true(pauses > 0);
	assert_int_equal(ouro_gc_off_event(watch_pauses, NULL), 0);
}

/* Once off has returned, fn(arg) is not running anywhere: its argument may go. */
static void count_alive(const ouro_gc_event *event, void *arg)
{
	(void)event;
	if (atomic_load((atomic_int *)arg) != 1)
		atomic_fetch_add(&overlaps, 1);
}

static void events_off_waits_for_running_calls(void **state)
{
	pthread_t t = thread_start(collect_many, NULL);

	(void)state;
	atomic_store(&overlaps, 0);
	for (int i = 0; i < LOAD(300); i++) {
		atomic_int *alive = malloc(sizeof(*alive));

		atomic_init(alive, 1);
		assert_int_equal(ouro_gc_on_event(count_alive, alive), 0);
		sched_yield();
		assert_int_equal(ouro_gc_off_event(count_alive, alive), 0);
		atomic_store(alive, 0);
		free(alive);
	}
	pthread_join(t, NULL);
	assert_int_equal(overlaps, 0);
}

/* One call, which waits for off to be called elsewhere, and sees that this does not return before it. */
static struct {
	atomic_bool called, off_begins, off_returned, too_early;
} slow;

static void listen_slowly(const ouro_gc_event *event, void *arg)
{
	(void)arg;
	if (event->phase != OURO_GC_START || atomic_exchange(&slow.called, true))
		return;
	while (!atomic_load(&slow.off_begins))
		sleep_ms(1);
	for (int ms = 0; ms < 100 && !atomic_load(&slow.off_returned); ms++)
		sleep_ms(1);
	atomic_store(&slow.too_early, atomic_load(&slow.off_returned));
}

static void events_off_waits_for_a_slow_call(void **state)
{
	(void)state;
	assert_int_equal(ouro_gc_on_event(listen_slowly, NULL), 0);
	pthread_t t = thread_start(collect_many, NULL);
	assert_true(EVENTUALLY(atomic_load(&slow.called)));
	atomic_store(&slow.off_begins, true);
	assert_int_equal(ouro_gc_off_event(listen_slowly, NULL), 0);
	atomic_store(&slow.off_returned, true);
	pthread_join(t, NULL);
	assert_false(slow.too_early);
}

static void events_of_automatic_collections(void **state)
{
	static struct record r;
	uint64_t end = now_ns() + PATIENCE_S * 1000000000ull;

	(void)state;
	memset(&r, 0, sizeof(r));
	assert_int_equal(ouro_gc_on_event(record_event, &r), 0);
	assert_int_equal(ouro_gc_set_threshold(100, 1000, 1000), 0);
	ouro_gc_enable();
	while (r.n < 8 && now_ns() < end)
		ouro_release(make_pair(&node_type, 1));
	ouro_gc_disable();
	ouro_gc_collect(2);
	assert_int_equal(ouro_gc_off_event(record_event, &r), 0);
	assert_true(r.n >= 8);
	assert_int_equal(r.event[0].phase, OURO_GC_START);
	assert_int_equal(r.event[0].generation, 0);
}

/* ---- what a listener may call ---- */

static struct {
	int depth;
	size_t n_run, heard;
	bool wrong;
} caller;

static bool look_at_one(void *obj, void *arg)
{
	(void)obj;
	*(size_t *)arg += 1;
	return false;
}

/* Whatever would wait for a collection is answered; the rest works. */
static void call_everything(const ouro_gc_event *event, void *arg)
{
	size_t seen = 0;

	(void)arg;
	if (event->phase != OURO_GC_STOP && event->phase != OURO_GC_START)
		return;
	if (caller.depth++ == 0) {
		caller.heard++;
		caller.wrong |= ouro_flush() != EDEADLK;
		caller.wrong |= ouro_gc_collect(0) != -1 || errno != EDEADLK;
		caller.wrong |= ouro_gc_collect(2) != -1 || errno != EDEADLK;
		caller.wrong |= ouro_shutdown(NULL) != EDEADLK;
		caller.wrong |= ouro_gc_objects(-1, look_at_one, &seen) != -1 || errno != EDEADLK;
		ouro_gc_freeze();
		caller.wrong |= ouro_gc_freeze_count() != 0;
		ouro_release(make_pair(&node_type, 1));
		caller.n_run += ouro_run_finalizers(SIZE_MAX);
	}
	caller.depth--;
}

/*
 * Garbage waits for ouro_run_finalizers, a little and too much for a stop, and a listener runs
 * them, at a full collection's end too.
 */
static void events_listener_runs_finalizers(void **state)
{
	(void)state;
	for (int generation = 0; generation < 3; generation++) {
		struct node *ring = make_ring(&node_type, LOAD(200000)), *loud = make_of(&loud_type, 1);

		books_clear();
		memset(&caller, 0, sizeof(caller));
		ouro_give(&loud->right, ouro_take(&ring->right));
		ouro_give(&ring->right, loud);
		ouro_release(ring);
		assert_true(ouro_gc_collect(2) > 1);
		assert_journal("");
		assert_int_equal(ouro_gc_on_event(call_everything, NULL), 0);
		assert_true(ouro_gc_collect(generation) >= 0);
		assert_int_equal(ouro_gc_off_event(call_everything, NULL), 0);
		assert_int_equal(caller.heard, 2);
		assert_false(caller.wrong);
		assert_int_equal(caller.n_run, 1);
		assert_journal("f1 d1 ");
		assert_true(ouro_gc_collect(2) >= 0);
	}
}

/* ---- listeners that do not come back, or not soon ---- */

static struct stay {
	atomic_bool entered, let_go;
} blocking;

static void block_at_start(const ouro_gc_event *event, void *arg)
{
	struct stay *stay = arg;

	if (event->phase != OURO_GC_START)
		return;
	atomic_store(&stay->entered, true);
	while (!atomic_load(&stay->let_go))
		sleep_ms(1);
}

static void *collect_young(void *arg)
{
	ouro_gc_collect(0);
	return arg;
}

static pthread_t start_blocking(void)
{
	atomic_store(&blocking.entered, false);
	atomic_store(&blocking.let_go, false);
	assert_int_equal(ouro_gc_on_event(block_at_start, &blocking), 0);
	pthread_t thread = thread_start(collect_young, NULL);
	assert_true(EVENTUALLY(atomic_load(&blocking.entered)));
	return thread;
}

/* A listener may wait for something that its caller has: off must not wait for that one. */
static void events_off_waits_for_no_other_listener(void **state)
{
	static struct record r, other;

	(void)state;
	memset(&r, 0, sizeof(r));
	pthread_t thread = start_blocking();
	assert_int_equal(ouro_gc_on_event(record_event, &r), 0);
	assert_int_equal(ouro_gc_off_event(record_event, &r), 0);
	ouro_pin(); /* the blocking one's slot is not free as long as it is called */
	assert_int_equal(ouro_gc_off_event(block_at_start, &blocking), 0);
	ouro_unpin();
	assert_int_equal(ouro_gc_on_event(record_event, &other), 0);
	assert_int_equal(ouro_gc_off_event(record_event, &other), 0);
	atomic_store(&blocking.let_go, true);
	pthread_join(thread, NULL);
}

/* It may be waiting for a stop, which waits for whoever is pinned. */
static void events_off_does_not_wait_when_pinned(void **state)
{
	(void)state;
	pthread_t thread = start_blocking();
	ouro_pin();
	assert_int_equal(ouro_gc_off_event(block_at_start, &blocking), 0);
	assert_int_equal(ouro_gc_off_event(block_at_start, &blocking), ENOENT);
	ouro_unpin();
	atomic_store(&blocking.let_go, true);
	pthread_join(thread, NULL);
}

static atomic_int n_heard_stops;

static void cancel_in_listener(const ouro_gc_event *event, void *arg)
{
	(void)arg;
	if (event->phase == OURO_GC_START) {
		pthread_cancel(pthread_self());
		pthread_testcancel();
	} else if (event->phase == OURO_GC_STOP) {
		atomic_fetch_add(&n_heard_stops, 1);
	}
}

static void *collect_and_be_cancelled(void *arg)
{
	ouro_release(make_ring(&counted_type, 10));
	if (ouro_gc_collect(2) != 10)
		return &n_heard_stops;
	pthread_testcancel();
	return arg;
}

static void events_cancellation_waits_for_the_end_of_the_call(void **state)
{
	void *result = NULL;

	(void)state;
	counters_clear();
	atomic_store(&n_heard_stops, 0);
	assert_int_equal(ouro_gc_on_event(cancel_in_listener, NULL), 0);
	pthread_t thread = thread_start(collect_and_be_cancelled, NULL);
	pthread_join(thread, &result);
	assert_ptr_equal(result, PTHREAD_CANCELED);
	assert_int_equal(ouro_gc_off_event(cancel_in_listener, NULL), 0);
	assert_int_equal(n_heard_stops, 1);
	assert_int_equal(n_destroyed, 10);
	assert_int_equal(ouro_gc_collect(2), 0);
}

static void exit_in_listener(const ouro_gc_event *event, void *arg)
{
	if (event->phase == *(ouro_gc_phase *)arg)
		pthread_exit(NULL);
}

static int child_exits_in_listener(void *arg)
{
	ouro_gc_on_event(exit_in_listener, arg);
	ouro_gc_collect(2);
	return 0;
}

static void events_listener_that_exits_is_named(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	needs_forced_unwinds();
	for (ouro_gc_phase phase = OURO_GC_START; phase <= OURO_PAUSE_STOP; phase++) {
		char text[8192];
		int status = child_status(child_exits_in_listener, &phase, text, sizeof(text));

		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		assert_non_null(strstr(text, "the event function did not return"));
	}
}

/* ---- what off waits for: not for the next user of the slot ---- */

#if OURO_CHECKED

static atomic_bool off_waits;
static struct stay next; /* its listener uses the slot again */

static void stand_in_off(const char *point)
{
	if (strcmp(point, "off waits") != 0)
		return;
	atomic_store(&off_waits, true);
	(void)EVENTUALLY(atomic_load(&next.entered));
}

static void *off_blocking(void *arg)
{
	ouro_gc_off_event(block_at_start, &blocking);
	return arg;
}

static void events_off_does_not_wait_for_the_next_in_its_place(void **state)
{
	(void)state;
	atomic_store(&off_waits, false);
	atomic_store(&next.entered, false);
	atomic_store(&next.let_go, false);
	pthread_t caller_of_it = start_blocking();
	oi_point_hook = stand_in_off;
	pthread_t waiter = thread_start(off_blocking, NULL);
	assert_true(EVENTUALLY(atomic_load(&off_waits)));
	atomic_store(&blocking.let_go, true);
	pthread_join(caller_of_it, NULL);
	assert_int_equal(ouro_gc_on_event(block_at_start, &next), 0);
	caller_of_it = thread_start(collect_young, NULL);
	pthread_join(waiter, NULL); /* hangs, if it takes the next one's call for what it waits for */
	oi_point_hook = NULL;
	atomic_store(&next.let_go, true);
	pthread_join(caller_of_it, NULL);
	assert_int_equal(ouro_gc_off_event(block_at_start, &next), 0);
}

#endif

/* ---- a fork inside two listeners ---- */

enum { SLOTS = 64 };

static atomic_bool outer_is_over;
static int nested_status = -1;

static void hear_nothing(const ouro_gc_event *event, void *arg)
{
	(void)event;
	(void)arg;
}

/* All places are free when no call is under way. */
static bool can_fill_all(void)
{
	static char mark[SLOTS];
	int n = 0;

	while (n < SLOTS && ouro_gc_on_event(hear_nothing, &mark[n]) == 0)
		n++;
	for (int i = 0; i < n; i++)
		ouro_gc_off_event(hear_nothing, &mark[i]);
	return n == SLOTS;
}

static void *end_when_all_are_free(void *arg)
{
	(void)arg;
	if (!EVENTUALLY(atomic_load(&outer_is_over)))
		_exit(2);
	_exit(EVENTUALLY(can_fill_all()) ? 0 : 3);
}

static void fork_inside(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		thread_start(end_when_all_are_free, NULL);
		return;
	}
	while (waitpid(pid, &nested_status, 0) < 0 && errno == EINTR)
		;
}

static void inner_listener(const ouro_gc_event *event, void *arg)
{
	(void)arg;
	if (event->phase == OURO_GC_START && nested_status == -1)
		fork_inside();
}

static void outer_listener(const ouro_gc_event *event, void *arg)
{
	if (event->phase != OURO_HOLDUP || atomic_load(&outer_is_over))
		return;
	ouro_gc_collect(0);
	ouro_gc_off_event(inner_listener, arg);
	ouro_gc_off_event(outer_listener, arg);
	atomic_store(&outer_is_over, true);
}

static void events_fork_inside_two_listeners_leaves_no_call_behind(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	atomic_store(&outer_is_over, false);
	assert_int_equal(ouro_gc_on_event(outer_listener, NULL), 0);
	assert_int_equal(ouro_gc_on_event(inner_listener, NULL), 0);
	ouro_release(make(1));
	oi_holdup(OURO_HOLDUP_LOCK, 1000000000);
	assert_true(EVENTUALLY(atomic_load(&outer_is_over)));
	assert_int_equal(nested_status, 0);
	assert_true(EVENTUALLY(can_fill_all())); /* the call that has said so is to return, too */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(events_come_in_order),
		HEAP_CASE(events_end_with_off),
		HEAP_CASE(events_refuse_bad_arguments),
		HEAP_CASE(events_reach_every_listener),
		HEAP_CASE(events_listener_may_use_the_library),
		HEAP_CASE(events_pauses_never_overlap),
		HEAP_CASE(events_off_waits_for_running_calls),
		HEAP_CASE(events_off_waits_for_a_slow_call),
		HEAP_CASE(events_off_waits_for_no_other_listener),
		HEAP_CASE(events_off_does_not_wait_when_pinned),
#if OURO_CHECKED
		HEAP_CASE(events_off_does_not_wait_for_the_next_in_its_place),
#endif
		HEAP_CASE(events_fork_inside_two_listeners_leaves_no_call_behind),
		HEAP_CASE(events_cancellation_waits_for_the_end_of_the_call),
		HEAP_CASE(events_listener_that_exits_is_named),
		HEAP_CASE(events_of_automatic_collections),
		MANUAL_CASE(events_listener_runs_finalizers),
	};

	return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
