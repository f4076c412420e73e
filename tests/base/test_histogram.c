/*
 * Goal: what the histogram of pauses says is within a thirty-second of what was put in.
 * Method: every power of two and its neighbours, alone; distributions whose quantiles are known.
 * A failure would mean: a pause of a second that monitoring takes for one of a millisecond.
 */
#include "fixture.h"

#include "base/buckets.h"
#include "base/histogram.h"

static struct oi_histogram h;

static void fresh(void)
{
	memset(&h, 0, sizeof(h));
}

static void histogram_that_is_empty_says_zero(void **state)
{
	(void)state;
	fresh();
	assert_int_equal(oi_histogram_quantile(&h, 0.5), 0);
	assert_int_equal(oi_histogram_quantile(&h, 1.0), 0);
}

/* A value alone is every quantile, exactly. */
static void check_alone(uint64_t ns)
{
	fresh();
	oi_histogram_add(&h, ns);
	assert_int_equal(h.n, 1);
	assert_int_equal(h.sum, ns);
	assert_int_equal(h.max, ns);
	assert_true(oi_histogram_quantile(&h, 0.001) == ns);
	assert_true(oi_histogram_quantile(&h, 1.0) == ns);
}

static void histogram_of_one_value(void **state)
{
	(void)state;
	for (uint64_t ns = 0; ns < 70; ns++)
		check_alone(ns);
	for (unsigned bit = 6; bit < 44; bit++)
		for (int d = -1; d <= 1; d++)
			check_alone((UINT64_C(1) << bit) + (uint64_t)d);
}

/* Beside a larger one: what is said is never less, and at most a thirty-second more. */
static void check_bound(uint64_t ns)
{
	fresh();
	oi_histogram_add(&h, ns);
	oi_histogram_add(&h, UINT64_C(1) << 50);
	uint64_t said = oi_histogram_quantile(&h, 0.5);
	assert_true(said >= ns);
	assert_true(said - ns <= ns / 32);
}

static void histogram_says_no_less_and_hardly_more(void **state)
{
	(void)state;
	for (uint64_t ns = 0; ns < 5000; ns++)
		check_bound(ns);
	for (uint64_t ns = 5000; ns < UINT64_C(1) << 43; ns += ns / 97)
		check_bound(ns);
}

static void assert_near(double q, uint64_t expected)
{
	uint64_t said = oi_histogram_quantile(&h, q);

	assert_in_range(said, expected, expected + expected / 32);
}

static void histogram_quantiles_of_a_thousand(void **state)
{
	(void)state;
	fresh();
	for (uint64_t i = 1000; i > 0; i--)
		oi_histogram_add(&h, i * 1000);
	assert_int_equal(h.n, 1000);
	assert_int_equal(h.sum, 500500000);
	assert_near(0.001, 1000);
	assert_near(0.5, 500000);
	assert_near(0.99, 990000);
	assert_near(0.999, 999000);
	assert_int_equal(oi_histogram_quantile(&h, 1.0), 1000000);
}

/* What is longer than any bucket is for is counted, and is the maximum. */
static void histogram_of_more_than_there_are_buckets(void **state)
{
	(void)state;
	fresh();
	oi_histogram_add(&h, 7);
	oi_histogram_add(&h, UINT64_MAX - 10);
	assert_int_equal(h.n, 2);
	assert_true(h.max == UINT64_MAX - 10);
	assert_int_equal(oi_histogram_quantile(&h, 0.5), 7);
	assert_true(oi_histogram_quantile(&h, 1.0) >= UINT64_C(1) << 43);
}

/* A bucket holds its bound, and what is longer than all bounds is in the last. */
static void buckets_hold_their_bounds(void **state)
{
	static const uint64_t last = OI_BUCKETS - 1;
	struct oi_buckets b = { 0 };

	(void)state;
	oi_buckets_add(&b, 0);
	for (unsigned i = 0; i < last; i++) {
		uint64_t ns = (uint64_t)(strtod(oi_buckets_bound(i), NULL) * 1e9 + 0.5);

		oi_buckets_add(&b, ns);
		oi_buckets_add(&b, ns + 1);
	}
	assert_string_equal(oi_buckets_bound(last), "+Inf");
	assert_int_equal(b.n[last], 1);
	for (unsigned i = 0; i < last; i++)
		assert_int_equal(b.n[i], 2);
	oi_buckets_reset(&b);
	for (unsigned i = 0; i <= last; i++)
		assert_int_equal(b.n[i], 0);
	assert_int_equal(b.sum_ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(histogram_that_is_empty_says_zero),
		BARE_CASE(histogram_of_one_value),
		BARE_CASE(histogram_says_no_less_and_hardly_more),
		BARE_CASE(histogram_quantiles_of_a_thousand),
		BARE_CASE(histogram_of_more_than_there_are_buckets),
		BARE_CASE(buckets_hold_their_bounds),
	};

	return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
