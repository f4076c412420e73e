/*
 * tally.h - how many objects a thread has made, and freed, by bin: that is one counter to add to
 * for an object, and tells the bytes, too. Each counter has one writer; statistics read it.
 */
#ifndef OI_TALLY_H
#define OI_TALLY_H

#include "heap/heap.h"
#include "world/record.h"

OI_INLINE void oi_tally_add(struct oi_tally *t, const struct oi_page *p)
{
	oi_own_add(&t->n[p->bin], 1);
	if (unlikely(p->bin == OI_BIN_LARGE)) {
		oi_own_add(&t->large_bytes, p->block_size);
		oi_own_add(&t->large_tracked, (uint64_t)p->tracked);
	}
}

/* Returns the number of small objects that can be traversed. */
OI_INLINE uint64_t oi_tally_tracked(const struct oi_tally *t)
{
	uint64_t n = 0;
	for (unsigned bin = OI_CLASSES; bin < OI_BINS; bin++)
		n += oi_load_relaxed(&t->n[bin]); /* count */
	return n;
}

/* Adds what @t has to the totals. */
OI_INLINE void oi_tally_sum(const struct oi_tally *t, uint64_t *n, uint64_t *bytes)
{
	for (unsigned bin = 0; bin < OI_BINS; bin++) {
		uint64_t k = oi_load_relaxed(&t->n[bin]); /* count */
		if (!k) /* of most sizes there is none, and this is done for each page */
			continue;
		*n += k;
		*bytes += k * oi_class_bytes(bin % OI_CLASSES);
	}
	*n += oi_load_relaxed(&t->n[OI_BIN_LARGE]); /* count */
	*bytes += oi_load_relaxed(&t->large_bytes); /* count */
}

/*
 * Totals of all threads that there are or were since the start, including how long the pacing of
 * collections has delayed them.
 */
struct oi_totals {
	uint64_t n_allocated, n_tracked, n_freed, bytes_allocated, bytes_freed;
	uint64_t n_tracked_live; /* with large ones, unlike n_tracked, which were made */
	uint64_t n_delays, delay_ns, delay_max_ns;
};
void oi_tally_totals(struct oi_totals *out);

#endif
