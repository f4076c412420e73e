/*
 * buckets.h - histogram of times for a monitoring system: few buckets, with decimal bounds
 *
 * histogram.h has the finer one, for percentiles.
 */
#ifndef OI_BUCKETS_H
#define OI_BUCKETS_H

#include "base/compiler.h"

#define OI_BUCKETS 19 /* the last is without a bound */

/* Any thread adds to it, and reads it: all of them are counts. */
struct oi_buckets {
	uint64_t sum_ns;
	uint64_t n[OI_BUCKETS];
};

void oi_buckets_add(struct oi_buckets *b, uint64_t ns);
void oi_buckets_reset(struct oi_buckets *b);
/* The bound of a bucket, which is in it, in seconds, as OpenMetrics writes a number. */
const char *oi_buckets_bound(unsigned i);

#endif
