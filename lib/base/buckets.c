/* buckets.c - histogram of times for a monitoring system: few buckets, with decimal bounds. */
#include "base/buckets.h"

static const struct {
	uint64_t ns;
	const char *seconds;
} bounds[OI_BUCKETS] = {
	{ 10000, "1e-05" },	  { 25000, "2.5e-05" },	    { 50000, "5e-05" },
	{ 100000, "0.0001" },	  { 250000, "0.00025" },    { 500000, "0.0005" },
	{ 1000000, "0.001" },	  { 2500000, "0.0025" },    { 5000000, "0.005" },
	{ 10000000, "0.01" },	  { 25000000, "0.025" },    { 50000000, "0.05" },
	{ 100000000, "0.1" },	  { 250000000, "0.25" },    { 500000000, "0.5" },
	{ 1000000000, "1.0" },	  { 2500000000, "2.5" },    { 10000000000, "10.0" },
	{ UINT64_MAX, "+Inf" },
};

void oi_buckets_add(struct oi_buckets *b, uint64_t ns)
{
	unsigned i = 0;
	while (ns > bounds[i].ns)
		i++;
	oi_add_relaxed(&b->n[i], UINT64_C(1)); /* count */
	oi_add_relaxed(&b->sum_ns, ns);        /* count */
}

void oi_buckets_reset(struct oi_buckets *b)
{
	for (unsigned i = 0; i < OI_BUCKETS; i++)
		oi_store_relaxed(&b->n[i], UINT64_C(0)); /* count */
	oi_store_relaxed(&b->sum_ns, UINT64_C(0));       /* count */
}

const char *oi_buckets_bound(unsigned i)
{
	return bounds[i].seconds;
}
