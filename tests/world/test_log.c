/*
 * Goal: the program's log function runs with nothing of the library held, one call at a time, and
 * everything that was said arrives.
 * Method: log functions that block on what a thread inside the library holds; a standard error that
 * nobody reads; floods.
 * A failure would mean: a warning stops a server for good.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

#include "base/log.h"
#include "world/deliver.h"
#include "world/object.h"

/* ---- a log function that waits for a mutex ---- */

static pthread_mutex_t programs_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int n_waiting_in_log, n_logged;

static void log_under_lock(const char *message, void *arg)
{
	(void)arg;
	atomic_fetch_add(&n_waiting_in_log, 1);
	pthread_mutex_lock(&programs_lock);
	book_add(&log_book, message);
	pthread_mutex_unlock(&programs_lock);
	atomic_fetch_add(&n_logged, 1);
}

static void log_counters_clear(void)
{
	atomic_store(&n_waiting_in_log, 0);
	atomic_store(&n_logged, 0);
}

static atomic_bool pinned, unpin_now;

static void *stay_pinned(void *arg)
{
	(void)arg;
	ouro_thread_attach("dawdler");
	ouro_pin();
	atomic_store(&pinned, true);
	while (!atomic_load(&unpin_now))
		sleep_ms(1);
	ouro_unpin();
	return NULL;
}

static pthread_t start_dawdler(void)
{
	pthread_t thread;

	atomic_store(&pinned, false);
	atomic_store(&unpin_now, false);
	assert_int_equal(pthread_create(&thread, NULL, stay_pinned, NULL), 0);
	assert_true(EVENTUALLY(atomic_load(&pinned)));
	return thread;
}

static void *collect_young(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)ouro_gc_collect(0);
}

/*
 * A thread is pinned, another waits to stop the world, and the log function is being told of it.
 * The reaper tells, unless the stop has caught it in the middle of something: then the next time.
 */
static bool warned(pthread_t *dawdler, pthread_t *collector, atomic_int *heard)
{
	for (int i = 0; i < 100; i++) {
		*dawdler = start_dawdler();
		assert_int_equal(pthread_create(collector, NULL, collect_young, NULL), 0);
		for (int ms = 0; ms < 100 + 5 * i && atomic_load(heard) == 0; ms++)
			sleep_ms(1);
		if (atomic_load(heard) != 0)
			return true;
		atomic_store(&unpin_now, true);
		pthread_join(*collector, NULL);
		pthread_join(*dawdler, NULL);
	}
	return false;
}

/*
 * Holds the mutex, and enters the library while the log function, which has been told that a stop
 * takes long, waits for the mutex: the stop goes on all the same.
 */
static void log_function_waits_for_a_thread_in_the_library(void **state)
{
	pthread_t collector, dawdler;

	(void)state;
	log_counters_clear();
	ouro_set_log(log_under_lock, NULL);
	pthread_mutex_lock(&programs_lock);
	assert_true(warned(&dawdler, &collector, &n_waiting_in_log));
	atomic_store(&unpin_now, true);
	struct node *n = make(1); /* waits for the stop, if there still is one */
	ouro_release(n);
	ouro_stats stats;
	ouro_stats_get(&stats);
	pthread_mutex_unlock(&programs_lock);
	pthread_join(collector, NULL);
	pthread_join(dawdler, NULL);
	assert_true(EVENTUALLY(book_count(&log_book, "dawdler") >= 1));
}

/* The count of an object as far as it goes: one more, and the object is immortal, of which the log tells. */
static void saturate(struct node *n)
{
	struct oi_header *h = oi_header_of(n);

	oi_store_relaxed(&h->shared, oi_load_relaxed(&h->shared) + ((uint32_t)OI_COUNT_MAX + 1) * OI_ONE);
}

static void *retain_once(void *obj)
{
	return ouro_retain(obj);
}

static void log_of_saturation_comes_from_outside_the_gate(void **state)
{
	struct node *n = make(1);
	pthread_t other;

	(void)state;
	log_counters_clear();
	ouro_set_log(log_under_lock, NULL);
	saturate(n);
	pthread_mutex_lock(&programs_lock);
	assert_int_equal(pthread_create(&other, NULL, retain_once, n), 0);
	assert_true(EVENTUALLY(atomic_load(&n_waiting_in_log) > 0));
	assert_int_equal(ouro_gc_collect(0), 0); /* a stop: nobody is kept inside by the log */
	pthread_mutex_unlock(&programs_lock);
	pthread_join(other, NULL);
	assert_logged("saturated", 1);
}

/* ---- a log function that uses the library ---- */

static struct node *kept;

static void log_with_the_library(const char *message, void *arg)
{
	atomic_fetch_add(&n_logged, 1);
	struct node *n = make(2); /* waits for the stop that it is told of */

	(void)arg;
	ouro_store(&kept->left, n);
	ouro_release(n);
	ouro_gc_collect(0);
	ouro_set_log(log_to_book, &log_book); /* itself is not waited for */
	book_add(&log_book, message);
}

static void log_function_may_call_the_library(void **state)
{
	pthread_t collector, dawdler;

	(void)state;
	log_counters_clear();
	kept = make(1);
	ouro_set_log(log_with_the_library, NULL);
	assert_true(warned(&dawdler, &collector, &n_logged));
	atomic_store(&unpin_now, true);
	pthread_join(collector, NULL);
	pthread_join(dawdler, NULL);
	assert_true(EVENTUALLY(book_count(&log_book, "dawdler") >= 1));
	ouro_release(kept);
}

/* ---- setting another one ---- */

static atomic_bool in_old, let_old_go, old_is_over;

static void old_log(const char *message, void *arg)
{
	(void)message;
	(void)arg;
	atomic_store(&in_old, true);
	while (!atomic_load(&let_old_go))
		sleep_ms(1);
	atomic_store(&old_is_over, true);
}

static void *say_something(void *arg)
{
	(void)arg;
	oi_say("something");
	return NULL;
}

/* Its thread stands in the log function until let_old_go. */
static pthread_t speak_and_get_stuck(void)
{
	pthread_t speaker;

	atomic_store(&in_old, false);
	atomic_store(&let_old_go, false);
	atomic_store(&old_is_over, false);
	ouro_set_log(old_log, NULL);
	assert_int_equal(pthread_create(&speaker, NULL, say_something, NULL), 0);
	assert_true(EVENTUALLY(atomic_load(&in_old)));
	return speaker;
}

static void *set_book(void *arg)
{
	(void)arg;
	ouro_set_log(log_to_book, &log_book);
	return (void *)(intptr_t)atomic_load(&old_is_over);
}

static void log_function_is_not_running_when_another_was_set(void **state)
{
	pthread_t setter;
	void *was_over = NULL;

	(void)state;
	pthread_t speaker = speak_and_get_stuck();
	ouro_pin();
	ouro_set_log(log_to_book, &log_book); /* pinned: does not wait */
	ouro_unpin();
	assert_int_equal(pthread_create(&setter, NULL, set_book, NULL), 0);
	oi_say("for the new one"); /* nor does this */
	sleep_ms(5);
	atomic_store(&let_old_go, true);
	pthread_join(setter, &was_over);
	pthread_join(speaker, NULL);
	assert_int_equal((intptr_t)was_over, 1);
	assert_logged("for the new one\n", 1);
}

/* ---- losing ---- */

static void log_says_how_many_messages_were_lost(void **state)
{
	(void)state;
	pthread_t speaker = speak_and_get_stuck();
	ouro_pin();
	ouro_set_log(log_to_book, &log_book);
	ouro_unpin();
	for (int i = 0; i < 100; i++)
		oi_log("message %d", i);
	atomic_store(&let_old_go, true);
	pthread_join(speaker, NULL);
	assert_logged("messages lost", 1);
	assert_logged("message ", 64);
	assert_true(book_find(&log_book, "message 63\n36 messages lost\n") >= 0);
}

/* ---- a thread that goes in the middle of a call ---- */

static void log_and_exit(const char *message, void *arg)
{
	(void)message;
	(void)arg;
	pthread_exit(NULL);
}

static void log_goes_on_after_a_thread_exited_in_it(void **state)
{
	pthread_t speaker;

	(void)state;
	needs_forced_unwinds();
	ouro_set_log(log_and_exit, NULL);
	assert_int_equal(pthread_create(&speaker, NULL, say_something, NULL), 0);
	pthread_join(speaker, NULL);
	ouro_set_log(log_to_book, &log_book); /* does not wait for who is gone */
	oi_say("afterwards");
	assert_logged("afterwards\n", 1);
}

static void *collect_all(void *arg)
{
	(void)arg;
	ouro_gc_collect(2);
	return NULL;
}

/* Of a collection it is told while the collecting thread has what it found in hand. */
static void log_function_that_is_left_by_a_collection_loses_nothing(void **state)
{
	(void)state;
	needs_forced_unwinds();
	counters_clear();
	ouro_set_log(log_and_exit, NULL);
	ouro_gc_set_debug(OURO_DEBUG_STATS);
	ouro_release(make_ring(&counted_type, 10));
	thread_run(collect_all, NULL);
	ouro_gc_set_debug(0);
	ouro_set_log(log_to_book, &log_book);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(n_destroyed, 10);
}

/* Within the time after which the reaper looks of itself. */
static void assert_is_said_soon(const char *needle)
{
	for (int ms = 0; ms < 7000 && book_count(&log_book, needle) == 0; ms++)
		sleep_ms(1);
	assert_int_equal(book_count(&log_book, needle), 1);
}

static atomic_int n_exits;

static void log_and_exit_first(const char *message, void *arg)
{
	if (atomic_fetch_add(&n_exits, 1) == 0) {
		oi_log("two");
		sleep_ms(20); /* the reaper comes, finds that somebody is at it, and sleeps */
		pthread_exit(NULL);
	}
	log_to_book(message, arg);
}

static void log_goes_on_with_what_waits_after_a_thread_exited_in_it(void **state)
{
	(void)state;
	needs_forced_unwinds();
	atomic_store(&n_exits, 0);
	ouro_set_log(log_and_exit_first, &log_book);
	thread_run(say_something, NULL);
	assert_is_said_soon("two\n");
}

static void stand_and_exit_at_the_last(const char *message, void *arg)
{
	if (strcmp(message, "something") == 0)
		old_log(message, arg);
	else if (strcmp(message, "message 63") == 0)
		pthread_exit(NULL);
	else
		log_to_book(message, &log_book);
}

/* That some were lost is all that waits then. */
static void log_says_what_was_lost_after_a_thread_exited_in_it(void **state)
{
	(void)state;
	needs_forced_unwinds();
	pthread_t speaker = speak_and_get_stuck();
	ouro_pin();
	ouro_set_log(stand_and_exit_at_the_last, NULL);
	ouro_unpin();
	for (int i = 0; i < 100; i++)
		oi_log("message %d", i);
	atomic_store(&let_old_go, true);
	pthread_join(speaker, NULL);
	assert_is_said_soon("36 messages lost");
}

static jmp_buf way_out;

static void log_and_jump(const char *message, void *arg)
{
	(void)message;
	(void)arg;
	longjmp(way_out, 1);
}

static void *jump_and_end(void *arg)
{
	ouro_thread_attach(NULL);
	if (setjmp(way_out) == 0)
		oi_say("something");
	return arg;
}

/* Its thread does nothing more with the library: as if it had ended without unwinding. */
static void log_goes_on_after_a_thread_left_by_longjmp_and_ended(void **state)
{
	(void)state;
	ouro_set_log(log_and_jump, NULL);
	thread_run(jump_and_end, NULL);
	ouro_set_log(log_to_book, &log_book); /* does not wait for who is gone */
	oi_say("afterwards");
	assert_is_said_soon("afterwards\n");
}

/* ---- standard error that nobody reads ---- */

static int stop_with_full_stderr(void *arg)
{
	ouro_config cfg = test_config();
	int fds[2];
	char junk[4096] = { 0 };
	pthread_t collector, dawdler;

	(void)arg;
	REQUIRE(pipe(fds) == 0);
	REQUIRE(fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
	while (write(fds[1], junk, sizeof(junk)) > 0)
		;
	REQUIRE(fcntl(fds[1], F_SETFL, 0) == 0);
	REQUIRE(dup2(fds[1], 2) == 2);
	REQUIRE(ouro_init(&cfg) == 0);
	REQUIRE(pthread_create(&dawdler, NULL, stay_pinned, NULL) == 0);
	REQUIRE(EVENTUALLY(atomic_load(&pinned)));
	REQUIRE(pthread_create(&collector, NULL, collect_young, NULL) == 0);
	sleep_ms(50); /* the warning is due after 10 */
	atomic_store(&unpin_now, true);
	REQUIRE(pthread_join(dawdler, NULL) == 0);
	struct node *n = make(1); /* waits for a stop, if there still is one */
	ouro_release(n);
	oi_log("more");
	return 0;
}

static void log_to_a_full_pipe_stops_nobody(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	child_run(stop_with_full_stderr, NULL);
}

/* ---- the child of a fork ---- */

static int logs_in_child(void *arg)
{
	(void)arg;
	book_clear(&log_book);
	oi_say("from the child");
	REQUIRE(book_count(&log_book, "from the child\n") == 1);
	REQUIRE(book_count(&log_book, "\n") == 1);
	return 0;
}

/* Another thread is in the middle of a call, and more waits: the parent says it. */
static void log_of_a_child_is_its_own(void **state)
{
	(void)state;
	pthread_t speaker = speak_and_get_stuck();
	ouro_pin();
	ouro_set_log(log_to_book, &log_book);
	ouro_unpin();
	oi_say("from the parent");
	child_run(logs_in_child, NULL);
	atomic_store(&let_old_go, true);
	pthread_join(speaker, NULL);
	assert_logged("from the parent\n", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(log_function_waits_for_a_thread_in_the_library),
		HEAP_CASE(log_of_saturation_comes_from_outside_the_gate),
		HEAP_CASE(log_function_may_call_the_library),
		HEAP_CASE(log_function_is_not_running_when_another_was_set),
		HEAP_CASE(log_says_how_many_messages_were_lost),
		HEAP_CASE(log_goes_on_after_a_thread_exited_in_it),
		HEAP_CASE(log_function_that_is_left_by_a_collection_loses_nothing),
		HEAP_CASE(log_goes_on_with_what_waits_after_a_thread_exited_in_it),
		HEAP_CASE(log_says_what_was_lost_after_a_thread_exited_in_it),
		HEAP_CASE(log_goes_on_after_a_thread_left_by_longjmp_and_ended),
		cmocka_unit_test(log_to_a_full_pipe_stops_nobody),
		HEAP_CASE(log_of_a_child_is_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
