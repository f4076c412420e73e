/*
 * pace.c - when automatic collections start
 *
 * Generation 0: when allocations minus deaths of tracked objects since the last collection pass the threshold; by default
 * the threshold, and the number of objects one young stop may look at, follow from the pause budget and the measured cost
 * per object (a moving average), so that the stop stays inside the budget. What does not fit waits for the next stop:
 * any subset of the young objects is a sound set to collect.
 * Generation 1: after so many collections of 0, or as soon as the survivors would not fit the budget any more.
 * Generation 2: after so many of 1, and CPython's rule: only when more has become old since the last full collection than
 * a quarter of what was old then. Nothing waits on resident memory, which CPython tried and took back.
 */
#include "pace.h"

#include <errno.h>

#include "background.h"
#include "count.h"

#define CAP_MIN 500
#define CAP_MAX 200000
#define OLD_FLOOR 10000 /* a full collection below so many new old objects is not worth it */

struct oi_pace oi_pace;

size_t oi_pace_cap(void)
{
	double n = 0.7 * (double)oi_runtime.config.pause_budget_ns / oi_pace.ns_per_object;
	return n < CAP_MIN ? CAP_MIN : n > CAP_MAX ? CAP_MAX : (size_t)n;
}

static void set_effective(void)
{
	int g0 = oi_pace.threshold_set[0];
	int64_t threshold = g0 == -1 ? (int64_t)oi_pace_cap() / 2 : g0;
	int64_t batch = threshold / 16;
	oi_store_relaxed(&oi_pace.threshold, threshold);
	oi_store_relaxed(&oi_pace.batch, batch < 1 ? 1 : batch > 64 ? 64 : batch);
	if (!threshold)
		oi_store_relaxed(&oi_pace.batch, 64);
}

void oi_pace_set_threshold(const int t[3])
{
	for (int i = 0; i < 3; i++)
		oi_store_relaxed(&oi_pace.threshold_set[i], t[i]);
	set_effective();
}

void oi_pace_init(void)
{
	oi_pace = (struct oi_pace){ .ns_per_object = 60, .enabled = oi_runtime.config.enabled };
	oi_pace_set_threshold(oi_runtime.config.threshold);
}

void oi_pace_flush(struct oi_thread *t)
{
	int64_t n = oi_add_relaxed(&oi_pace.young, t->tracked_delta) + t->tracked_delta; /* count */
	oi_store_relaxed(&t->tracked_delta, 0);
	int64_t threshold = oi_load_relaxed(&oi_pace.threshold); /* recheck */
	if ((threshold && n > threshold && oi_load_relaxed(&oi_pace.enabled)) || oi_perturb_collect())
		oi_background_collect();
}

int oi_pace_due(void)
{
	int64_t threshold = oi_load_relaxed(&oi_pace.threshold), young = oi_load_relaxed(&oi_pace.young); /* recheck */
	if (!oi_load_relaxed(&oi_pace.enabled) || !threshold || young <= threshold)
		return -1;
	if (oi_load_relaxed(&oi_pace.count[1]) < oi_load_relaxed(&oi_pace.threshold_set[1]))
		return 0;
	if (oi_load_relaxed(&oi_pace.count[2]) < oi_load_relaxed(&oi_pace.threshold_set[2]))
		return 1;
	uint64_t share = oi_load_relaxed(&oi_pace.old_then) / 4;
	return oi_load_relaxed(&oi_pace.old_new) > (share > OLD_FLOOR ? share : OLD_FLOOR) ? 2 : 1;
}

/* @more: objects were left for the next stop, which is due at once. Threads' batches blur the count anyway. */
static void reset_young(bool more)
{
	oi_store_relaxed(&oi_pace.young, more ? oi_load_relaxed(&oi_pace.threshold) + 1 : 0); /* count */
}

void oi_pace_young_done(int generation, size_t n, uint64_t ns, size_t promoted, bool more)
{
	if (n >= 100) {
		double cost = (double)ns / (double)n;
		oi_pace.ns_per_object += (cost - oi_pace.ns_per_object) / 8;
		set_effective();
	}
	oi_add_relaxed(&oi_pace.old_new, promoted);
	reset_young(more);
	if (generation == 0) {
		oi_add_relaxed(&oi_pace.count[1], 1);
	} else {
		oi_store_relaxed(&oi_pace.count[1], 0);
		oi_add_relaxed(&oi_pace.count[2], 1);
	}
}

void oi_pace_full_done(size_t old)
{
	oi_store_relaxed(&oi_pace.old_then, (uint64_t)old);
	oi_store_relaxed(&oi_pace.old_new, UINT64_C(0));
	reset_young(false);
	oi_store_relaxed(&oi_pace.count[1], 0);
	oi_store_relaxed(&oi_pace.count[2], 0);
}

/* ---- public ---- */

bool ouro_gc_enable(void)
{
	oi_current();
	return __atomic_exchange_n(&oi_pace.enabled, true, __ATOMIC_ACQ_REL);
}

bool ouro_gc_disable(void)
{
	oi_current();
	return __atomic_exchange_n(&oi_pace.enabled, false, __ATOMIC_ACQ_REL);
}

bool ouro_gc_is_enabled(void)
{
	oi_current();
	return oi_load_relaxed(&oi_pace.enabled);
}

int ouro_gc_set_threshold(int g0, int g1, int g2)
{
	oi_current();
	if (g0 < -1 || g1 < 0 || g2 < 0)
		return EINVAL;
	oi_pace_set_threshold((int[3]){ g0, g1, g2 });
	return 0;
}

void ouro_gc_get_threshold(int out[3])
{
	oi_current();
	for (int i = 0; i < 3; i++)
		out[i] = oi_load_relaxed(&oi_pace.threshold_set[i]);
}

void ouro_gc_get_count(int out[3])
{
	struct oi_thread *t = oi_enter();
	int64_t young = oi_load_relaxed(&oi_pace.young) + t->tracked_delta; /* count */
	oi_gate_leave(t);
	out[0] = young < 0 ? 0 : young > INT32_MAX ? INT32_MAX : (int)young;
	out[1] = oi_load_relaxed(&oi_pace.count[1]);
	out[2] = oi_load_relaxed(&oi_pace.count[2]);
}
