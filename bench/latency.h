/*
 * latency.h - recording how long each single operation took, cheaply enough to do it for every one
 *
 * Times are in ticks of the processor's counter where there is a steady one, else nanoseconds. A histogram is
 * log-linear: 32 buckets for each power of two, so that a percentile is an upper bound within 3 %; the
 * maximum is exact. One thread writes one histogram; add them up when the threads have ended.
 */
#ifndef OURO_BENCH_LATENCY_H
#define OURO_BENCH_LATENCY_H

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

enum { LATENCY_STEPS = 32, LATENCY_BUCKETS = 60 * LATENCY_STEPS };

struct latency {
	uint64_t n, max;
	uint64_t bucket[LATENCY_BUCKETS];
};

static inline uint64_t latency_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t latency_ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return latency_ns(CLOCK_MONOTONIC);
#endif
}

/* latency_ns_per_tick - measured for @ms milliseconds */
static inline double latency_ns_per_tick(int ms)
{
	struct timespec nap = { 0, ms * 1000000L };
	uint64_t ns = latency_ns(CLOCK_MONOTONIC), ticks = latency_ticks();

	nanosleep(&nap, NULL);
	ns = latency_ns(CLOCK_MONOTONIC) - ns;
	return (double)ns / (double)(latency_ticks() - ticks);
}

static inline unsigned latency_bucket(uint64_t v)
{
	unsigned shift;

	if (v < 2 * LATENCY_STEPS)
		return (unsigned)v;
	shift = 58 - (unsigned)__builtin_clzll(v);
	return (shift + 1) * LATENCY_STEPS + (unsigned)(v >> shift) - LATENCY_STEPS;
}

/* The largest value that falls into bucket @i. */
static inline uint64_t latency_bucket_max(unsigned i)
{
	unsigned shift;

	if (i < 2 * LATENCY_STEPS)
		return i;
	shift = i / LATENCY_STEPS - 1;
	return ((uint64_t)(LATENCY_STEPS + i % LATENCY_STEPS + 1) << shift) - 1;
}

static inline void latency_record(struct latency *l, uint64_t v)
{
	l->n++;
	l->bucket[latency_bucket(v)]++;
	if (v > l->max)
		l->max = v;
}

static inline void latency_add(struct latency *to, const struct latency *from)
{
	to->n += from->n;
	to->max = from->max > to->max ? from->max : to->max;
	for (int i = 0; i < LATENCY_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
}

/* latency_percentile - what @per_million of the recorded values do not exceed; 0 if there are none */
static inline uint64_t latency_percentile(const struct latency *l, unsigned per_million)
{
	uint64_t seen = 0, rank = (l->n * per_million + 999999) / 1000000;

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		seen += l->bucket[i];
		if (seen >= rank && seen)
			return latency_bucket_max(i) < l->max ? latency_bucket_max(i) : l->max;
	}
	return l->max;
}

#endif
