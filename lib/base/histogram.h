/*
 * histogram.h - log-linear histogram of nanoseconds, of fixed size
 *
 * It has 32 buckets an octave, so it is exact to 4 %.
 */
#ifndef OI_HISTOGRAM_H
#define OI_HISTOGRAM_H

#include "base/compiler.h"

#define OI_HISTOGRAM_BUCKETS (32 * 40)

/* One thread at a time writes it (the caller's lock sees to that); any may read it. */
struct oi_histogram {
	uint64_t n, sum, max;
	uint64_t bucket[OI_HISTOGRAM_BUCKETS];
};

void oi_histogram_add(struct oi_histogram *h, uint64_t ns);
/*
 * Returns the upper bound of the bucket that holds the q-quantile (0 < q <= 1), or the maximum if
 * that is less; 0 if it is empty.
 */
uint64_t oi_histogram_quantile(const struct oi_histogram *h, double q);

#endif
