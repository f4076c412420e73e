/*
 * holdup.c - what holds threads up for longer than the pause budget
 *
 * A thread that notes something may be inside a gate, hold locks, or have the world stopped. So
 * nothing is locked here, and no listener is called: counters are added to, and the collector
 * thread is woken. It takes what has come together for each cause, how many and the longest, and
 * tells it (events.c). All of them are counts: nothing rests on their order, except that a note
 * must be there before the wake. [B1]
 */
#include "base/holdup.h"

#include "base/probe.h"
#include "base/runtime.h"
#include "base/wake.h"

struct held {
	uint64_t n, sum_ns, max_ns;
	uint64_t untold_max_ns;
	struct oi_buckets times;
	/* The collector thread's: how many it told, and the longest of the last event. */
	uint64_t n_told, told_ns;
};
static struct held held[OURO_HOLDUPS];
static uint32_t listened;
__thread bool oi_holdup_ours;
_Static_assert(OURO_HOLDUPS <= OURO_HOLDUPS_ROOM, "the arrays of ouro_stats have room");

static const char *const names[OURO_HOLDUPS] = {
	[OURO_HOLDUP_STOP] = "stop",   [OURO_HOLDUP_SEIZE] = "seize", [OURO_HOLDUP_MERGE] = "merge",
	[OURO_HOLDUP_PACE] = "pace",   [OURO_HOLDUP_LIMIT] = "limit", [OURO_HOLDUP_LOCK] = "lock",
	[OURO_HOLDUP_MEMORY] = "memory",
};

const char *oi_holdup_name(ouro_holdup cause)
{
	return names[cause];
}

static void raise_to(uint64_t *max, uint64_t ns)
{
	uint64_t seen = oi_load_relaxed(max); /* count */
	while (ns > seen && !oi_cas(max, &seen, ns))
		;
}

void oi_holdup_listened(bool any)
{
	oi_store_relaxed(&listened, (uint32_t)any); /* recheck */
}

void oi_holdup(ouro_holdup cause, uint64_t ns)
{
	OI_PROBE2(held__up, cause, ns);
	if (likely(ns <= oi_runtime.config.pause_budget_ns) || oi_holdup_ours)
		return;
	struct held *h = &held[cause];
	oi_add_relaxed(&h->sum_ns, ns); /* count */
	oi_buckets_add(&h->times, ns);
	raise_to(&h->max_ns, ns);
	raise_to(&h->untold_max_ns, ns);
	oi_add_acq_rel(&h->n, UINT64_C(1)); /* elsewhere: [B1] */
	if (oi_load_relaxed(&listened)) /* recheck: a new listener is told after the next wake */
		oi_wake_trim();
}

/* Of two notes made at once the first may already be told with the longer one's time. */
bool oi_holdup_take(ouro_holdup cause, uint64_t *n, uint64_t *longest_ns)
{
	struct held *h = &held[cause];
	uint64_t noted = oi_load_acquire(&h->n); /* elsewhere: [B1] */
	if (likely(noted == h->n_told))
		return false;
	uint64_t longest = oi_exchange(&h->untold_max_ns, UINT64_C(0)); /* count */
	h->told_ns = longest ? longest : h->told_ns;
	*longest_ns = h->told_ns;
	*n = noted - h->n_told;
	h->n_told = noted;
	return true;
}

const struct oi_buckets *oi_holdup_times(ouro_holdup cause)
{
	return &held[cause].times;
}

void oi_holdup_statistics(ouro_stats *out)
{
	for (int i = 0; i < OURO_HOLDUPS; i++) {
		out->holdups[i] = oi_load_relaxed(&held[i].n); /* count */
		out->holdup_sum_ns[i] = oi_load_relaxed(&held[i].sum_ns);
		out->holdup_max_ns[i] = oi_load_relaxed(&held[i].max_ns); /* count */
	}
}

void oi_holdup_reset(void)
{
	/* A thread without a record may note something meanwhile. */
	for (struct held *h = held; h < held + OURO_HOLDUPS; h++) {
		oi_store_relaxed(&h->n, UINT64_C(0));             /* count */
		oi_store_relaxed(&h->sum_ns, UINT64_C(0));        /* count */
		oi_store_relaxed(&h->max_ns, UINT64_C(0));        /* count */
		oi_store_relaxed(&h->untold_max_ns, UINT64_C(0)); /* count */
		oi_buckets_reset(&h->times);
		h->n_told = h->told_ns = 0;
	}
}
