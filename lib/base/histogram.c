/* histogram.c - log-linear histogram (the layout of HdrHistogram, with 5 bits of mantissa). */
#include "base/histogram.h"

static unsigned bucket_of(uint64_t ns)
{
	if (ns < 32)
		return (unsigned)ns;
	unsigned octave = 63 - (unsigned)__builtin_clzll(ns); /* >= 5 */
	unsigned b = (octave - 4) * 32 + (unsigned)((ns >> (octave - 5)) & 31);
	return b < OI_HISTOGRAM_BUCKETS ? b : OI_HISTOGRAM_BUCKETS - 1;
}

static uint64_t upper_bound(unsigned b)
{
	if (b < 32)
		return b;
	unsigned shift = b / 32 - 1;
	return ((uint64_t)(32 + b % 32 + 1) << shift) - 1;
}

void oi_histogram_add(struct oi_histogram *h, uint64_t ns)
{
	oi_own_add(&h->bucket[bucket_of(ns)], 1);
	oi_own_add(&h->sum, ns);
	oi_own_add(&h->n, 1);
	if (ns > oi_load_relaxed(&h->max)) /* count */
		oi_store_relaxed(&h->max, ns);
}

uint64_t oi_histogram_quantile(const struct oi_histogram *h, double q)
{
	uint64_t n = oi_load_relaxed(&h->n), max = oi_load_relaxed(&h->max); /* count */
	uint64_t rank = (uint64_t)(q * (double)n + 0.999999), seen = 0;
	for (unsigned b = 0; b < OI_HISTOGRAM_BUCKETS && n; b++) {
		seen += oi_load_relaxed(&h->bucket[b]); /* count */
		if (seen >= rank && seen)
			return upper_bound(b) < max ? upper_bound(b) : max;
	}
	return max;
}
