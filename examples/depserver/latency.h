/* latency.h - how long commands took: a histogram that one thread writes and others may read */
#ifndef DEPSERVER_LATENCY_H
#define DEPSERVER_LATENCY_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * Four buckets an octave from 1 us up: a percentile is an upper bound, at most a quarter too high.
 */
enum { LATENCY_BUCKETS = 4 * 24 };

struct latency {
	_Atomic uint64_t bucket[LATENCY_BUCKETS];
	_Atomic uint64_t max_ns;
};

/* A sum of histograms, private to whoever sums. Zero bytes are an empty one. */
struct latency_sum {
	uint64_t bucket[LATENCY_BUCKETS];
	uint64_t n, max_ns;
};

/* latency_add - by the owning thread only */
void latency_add(struct latency *l, uint64_t ns);
void latency_sum(struct latency_sum *sum, struct latency *l);
/* latency_percentile_us - @p: 0 to 100. Return: microseconds; 0 where nothing was counted. */
double latency_percentile_us(const struct latency_sum *sum, double p);

#endif
