/*
 * idle.c - a full collection that no birth asks for
 *
 * Births start collections (pace.c), and a program that drops a large cycle need not make anything
 * after that, or nothing but objects that cannot be in one. The drop itself cannot be seen: a
 * reference that goes and kills nothing looks like each of the thousands that a program takes and
 * lets go of while it reads. So some time after a full collection there is another look, once:
 *   looked = false  after one that the pacing started or the program asked for: what it found alive
 *                   may have been dropped since;
 *   looked = true   after a look, or when there was nothing yet: nothing is to come until what can
 *                   be garbage has changed: objects are young, became old, old ones died by count;
 *                   LEAST_CHANGED of them, and a LEAST_SHARE-th of what there is.
 * A program that only reads changes nothing of that, and is left alone. So is a heap in which not
 * much can lie (oi_pace_worth).
 *
 * When: after WAIT_NS, or SHARE times what the last full collection took of a processor, if that is
 * longer: so these looks cost 1/64 of one at most. That doubles, MOST_FUTILE times at most, with
 * each look that finds hardly anything: in a program that changes all the time and drops little
 * they cost a thousandth. Finding something ends that. A full collection for another reason begins
 * the time anew. Cost is the measure since heaps differ in size by thousands: a time, or a number
 * of changes, would be too much for one and nothing for the other.
 *
 * Nobody is asked to wake the collector thread, and it does not look every so often: it knows of
 * changes when it has collected, or from the ten seconds after which it wakes up in any case
 * (background.c), and sleeps until the time has come.
 *
 * The state is changed under the full collection lock and read by the collector thread, to which it
 * is a matter of time only. In the child of a fork what was there before counts as looked at: to
 * free it would copy its pages, which are the parent's too.
 */
#include "idle.h"

#include "collect.h"
#include "lock.h"
#include "os.h"
#include "pace.h"

#define WAIT_NS UINT64_C(1000000000)
#define SHARE 64
#define MOST_FUTILE 4
#define LEAST_CHANGED 64
#define LEAST_SHARE 1024
#define LITTLE 16          /* less than such a part of what there is */
#define SOON_NS UINT64_C(1000000)

static struct {
	uint64_t began_cpu_ns; /* of the full collection that runs */
	uint64_t cost_ns, ended_ns; /* of the last one */
	uint64_t seen_ns; /* when a change was noticed first; 0: not yet */
	uint64_t before;  /* changes that were there at the fork */
	uint32_t futile;  /* looks in a row that found little */
	bool looked;
	bool found;       /* the last one something */
} idle = { .looked = true };

void oi_idle_init(void)
{
	oi_store_relaxed(&idle.cost_ns, UINT64_C(0)); /* nobody looks yet */
	oi_store_relaxed(&idle.ended_ns, UINT64_C(0));
	oi_store_relaxed(&idle.seen_ns, UINT64_C(0));
	oi_store_relaxed(&idle.before, UINT64_C(0));
	oi_store_relaxed(&idle.futile, 0u);
	oi_store_relaxed(&idle.looked, true);
}

void oi_idle_fork_child(void)
{
	oi_idle_init();
	oi_store_relaxed(&idle.before, oi_pace_changed()); /* nobody looks yet */
}

/* ---- full collections ---- */

void oi_idle_full_begins(void)
{
	oi_assert_locked(OI_LOCK_FULL);
	idle.began_cpu_ns = oi_cpu_ns();
}

void oi_idle_full_done(size_t live, size_t dead)
{
	oi_assert_locked(OI_LOCK_FULL);
	uint64_t cpu = oi_cpu_ns(), began = idle.began_cpu_ns;
	oi_store_relaxed(&idle.cost_ns, cpu > began ? cpu - began : 0); /* recheck, here and below */
	oi_store_relaxed(&idle.ended_ns, oi_now_ns());
	oi_store_relaxed(&idle.seen_ns, UINT64_C(0));
	oi_store_relaxed(&idle.before, UINT64_C(0));
	oi_store_relaxed(&idle.looked, false);
	idle.found = dead > live / LITTLE;
	if (idle.found)
		oi_store_relaxed(&idle.futile, 0u);
}

void oi_idle_looked(void)
{
	oi_assert_locked(OI_LOCK_FULL);
	oi_store_relaxed(&idle.looked, true); /* recheck, here and below */
	if (!idle.found && oi_load_relaxed(&idle.futile) < MOST_FUTILE)
		oi_own_add(&idle.futile, 1);
}

/* ---- the collector thread ---- */

static bool changed(void)
{
	uint64_t least = oi_pace_population() / LEAST_SHARE, n = oi_pace_changed();
	return n >= oi_load_relaxed(&idle.before) + (least > LEAST_CHANGED ? least : LEAST_CHANGED);
}

bool oi_idle_to_come(void)
{
	if (!oi_pace_may() || !oi_pace_worth())
		return false;
	return !oi_load_relaxed(&idle.looked) || changed(); /* recheck, here and below */
}

static uint64_t wait_ns(void)
{
	uint64_t share = oi_load_relaxed(&idle.cost_ns) * SHARE;
	return (share > WAIT_NS ? share : WAIT_NS) << oi_load_relaxed(&idle.futile);
}

/* From the last full collection, or from when the change was noticed. */
static uint64_t due_ns(uint64_t now)
{
	if (!oi_load_relaxed(&idle.looked))
		return oi_load_relaxed(&idle.ended_ns) + wait_ns();
	if (!oi_load_relaxed(&idle.seen_ns))
		oi_store_relaxed(&idle.seen_ns, now);
	return oi_load_relaxed(&idle.seen_ns) + wait_ns();
}

bool oi_idle_due(void)
{
	if (!oi_idle_to_come())
		return false;
	uint64_t now = oi_now_ns();
	return due_ns(now) <= now;
}

uint64_t oi_idle_wait_ns(uint64_t most)
{
	if (!oi_idle_to_come())
		return most;
	uint64_t now = oi_now_ns(), due = due_ns(now), ns = due > now + SOON_NS ? due - now : SOON_NS;
	return ns < most ? ns : most;
}
