/* latency.c - a histogram of durations */
#include "latency.h"

/* The upper bound of bucket @i in ns: 2^octave plus quarters of it, in units of 1.024 us. */
static uint64_t bucket_bound_ns(unsigned i)
{
	uint64_t quarter = (uint64_t)256 << (i / 4);
	return 4 * quarter + (i % 4) * quarter;
}

static unsigned bucket_of(uint64_t ns)
{
	if (ns < 1024)
		return 0;
	unsigned octave = 53 - (unsigned)__builtin_clzll(ns); /* 0 for 1024 to 2047 ns */
	unsigned i = octave * 4 + (unsigned)(ns >> (octave + 8) & 3) + 1;
	return i < LATENCY_BUCKETS ? i : LATENCY_BUCKETS - 1;
}

void latency_add(struct latency *l, uint64_t ns)
{
	/* relaxed: owner; readers of statistics may see it late. */
	atomic_fetch_add_explicit(&l->bucket[bucket_of(ns)], 1, memory_order_relaxed);
	if (ns > atomic_load_explicit(&l->max_ns, memory_order_relaxed))
		atomic_store_explicit(&l->max_ns, ns, memory_order_relaxed);
}

void latency_sum(struct latency_sum *sum, struct latency *l)
{
	/* relaxed: count. */
	uint64_t max_ns = atomic_load_explicit(&l->max_ns, memory_order_relaxed);
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		uint64_t n = atomic_load_explicit(&l->bucket[i], memory_order_relaxed);
		sum->bucket[i] += n;
		sum->n += n;
	}
	if (max_ns > sum->max_ns)
		sum->max_ns = max_ns;
}

double latency_percentile_us(const struct latency_sum *sum, double p)
{
	uint64_t below = 0;
	for (unsigned i = 0; i < LATENCY_BUCKETS && sum->n; i++) {
		uint64_t bound_ns = bucket_bound_ns(i);
		below += sum->bucket[i];
		if ((double)below >= (double)sum->n * p / 100)
			return (double)(bound_ns < sum->max_ns ? bound_ns : sum->max_ns) / 1000;
	}
	return (double)sum->max_ns / 1000;
}
