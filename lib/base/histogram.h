/* histogram.h - log-linear histogram of nanoseconds, fixed size; 32 buckets an octave, so within 4 %. */
#ifndef OI_HISTOGRAM_H
#define OI_HISTOGRAM_H

#include "base/compiler.h"

#define OI_HISTOGRAM_BUCKETS (32 * 40)

/* One writer at a time (whoever holds the lock that serialises the events); any reader. */
struct oi_histogram {
	uint64_t n, sum, max;
	uint64_t bucket[OI_HISTOGRAM_BUCKETS];
};

void oi_histogram_add(struct oi_histogram *h, uint64_t ns);
/* Upper bound of the bucket that holds the q-quantile (0 < q <= 1), never above the maximum; 0 when empty. */
uint64_t oi_histogram_quantile(const struct oi_histogram *h, double q);

#endif
