/*
 * Goal: a checked build with OURO_PERTURB gets on, however many programs want the processor.
 * Method: a sched_yield of this file's, which returns at once, or after as long as others take.
 * A failure would mean: suites that are cut off on a busy machine, with nothing wrong in them.
 */
#include "fixture.h"

#include "base/perturb.h"

#define PLACES 1000
#define OTHERS_MS 10

static _Thread_local bool counts;
static unsigned n_yields, takes_ms;

int sched_yield(void)
{
	if (counts) {
		n_yields++;
		if (takes_ms != 0)
			sleep_ms(takes_ms);
	}
	return 0;
}

static unsigned yields_at_places(unsigned ms)
{
	n_yields = 0;
	takes_ms = ms;
	counts = true;
	for (int i = 0; i < PLACES; i++)
		oi_perturb();
	counts = false;
	return n_yields;
}

static int perturb_setup(void **state)
{
	setenv("OURO_PERTURB", "1", 1);
	unsetenv("OURO_STALL");
	return heap_setup(state);
}

static int perturb_teardown(void **state)
{
	int result = heap_teardown(state);

	unsetenv("OURO_PERTURB");
	return result;
}

/* Half of them, but where this thread lost its processor in one. */
static void perturb_yields_often_where_nobody_waits(void **state)
{
	(void)state;
	if (!CHECKED_BUILD)
		skip();
	assert_true(IN_ONE_OF_SEVERAL_TRIES(yields_at_places(0) > PLACES * 2 / 5));
}

/* All the places take some milliseconds, in which there is time for one yield or two. */
static void perturb_yields_seldom_where_others_take_long(void **state)
{
	(void)state;
	if (!CHECKED_BUILD)
		skip();
	unsigned n = yields_at_places(OTHERS_MS);
	assert_true(n > 0);
	assert_true(n < PLACES / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(perturb_yields_often_where_nobody_waits,
						perturb_setup, perturb_teardown),
		cmocka_unit_test_setup_teardown(perturb_yields_seldom_where_others_take_long,
						perturb_setup, perturb_teardown),
	};

	return cmocka_run_group_tests_name("perturb", tests, NULL, NULL);
}
