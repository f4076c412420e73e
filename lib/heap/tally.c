/* tally.c - what the counters of all threads come to. See tally.h. */
#include "heap/tally.h"

#include "world/thread.h"

/* With large ones. */
static uint64_t tracked(const struct oi_tally *t)
{
	return oi_tally_tracked(t) + oi_load_relaxed(&t->large_tracked); /* count */
}

static void sum(struct oi_totals *to, const struct oi_thread *t)
{
	oi_tally_sum(&t->allocated, &to->n_allocated, &to->bytes_allocated);
	to->n_tracked += oi_tally_tracked(&t->allocated);
	to->n_tracked_live += tracked(&t->allocated) - tracked(&t->freed);
	oi_tally_sum(&t->freed, &to->n_freed, &to->bytes_freed);
	to->n_delays += oi_load_relaxed(&t->n_delays); /* count */
	to->delay_ns += oi_load_relaxed(&t->delay_ns); /* count */
	uint64_t max = oi_load_relaxed(&t->delay_max_ns); /* count */
	if (max > to->delay_max_ns)
		to->delay_max_ns = max;
}

/*
 * A record's counters go on counting when another thread uses the record. So nothing moves when a
 * thread ends, and no lock is needed: a thread that is pinned while the world is being stopped may
 * ask, too.
 */
void oi_tally_totals(struct oi_totals *out)
{
	struct oi_thread *t;
	*out = (struct oi_totals){ 0 };
	for (size_t i = 0; (t = oi_thread_record(i)); i++)
		sum(out, t);
}
