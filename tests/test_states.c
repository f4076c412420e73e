/*
 * Goal: any call in any state answers as its header says.
 * Method: the state is forced, by a callback or by another thread that is known to be at its point; then each call is made there.
 * A failure would mean: a server hangs in a call that its header allows. What hangs here runs into the alarm of its case.
 */
#include "fixture.h"

#include "gate.h"

/* ---- pinned, while another thread stops the world ---- */

static void *collect_young(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)ouro_gc_collect(0);
}

/* Another thread has asked this one for its gate, and holds what it holds meanwhile. */
static bool stop_waits_for_me(void)
{
	return EVENTUALLY(oi_load_acquire(&oi_self->request) & OI_REQUEST_STOP);
}

static void states_pinned_thread_reads_statistics_during_a_stop(void **state)
{
	ouro_stats stats;
	FILE *f = tmpfile();
	pthread_t stopper;

	(void)state;
	ouro_pin();
	assert_int_equal(pthread_create(&stopper, NULL, collect_young, NULL), 0);
	assert_true(stop_waits_for_me());
	ouro_stats_get(&stats);
	assert_int_equal(stats.threads, 2);
	assert_int_equal(ouro_stats_write(f, OURO_STATS_JSON), 0);
	ouro_unpin();
	assert_int_equal(pthread_join(stopper, NULL), 0);
	fclose(f);
}

/* The reaper brings the message, unless the stop has caught it in the middle of something: then the next time. */
static bool logged_while_pinned(const char *needle)
{
	bool logged = false;
	pthread_t stopper;

	for (int i = 0; i < 100 && !logged; i++) {
		ouro_pin();
		assert_int_equal(pthread_create(&stopper, NULL, collect_young, NULL), 0);
		assert_true(stop_waits_for_me());
		assert_int_equal(ouro_thread_attach("renamed"), 0);
		for (int ms = 0; ms < 50 && !logged; ms++, sleep_ms(1))
			logged = book_count(&log_book, needle) > 0;
		ouro_unpin();
		assert_int_equal(pthread_join(stopper, NULL), 0);
	}
	return logged;
}

static void states_pinned_thread_is_renamed_during_a_stop(void **state)
{
	(void)state;
	assert_true(logged_while_pinned("\"renamed\"")); /* it has been pinned for long */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(states_pinned_thread_reads_statistics_during_a_stop),
		HEAP_CASE(states_pinned_thread_is_renamed_during_a_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
