/*
 * idle.c - a full collection that no birth asks for
 *
 * Births start collections (pace.c, policy.c). But a program that drops a large cycle need not make
 * anything after that, or only objects that cannot be in one. The drop itself cannot be seen: a
 * reference that goes and kills nothing looks like each of the thousands that a program takes and
 * lets go of while it reads. So some time after a full collection there is another look, once:
 *   looked = false  after one that the pacing started or the program asked for: what it found alive
 *                   may have been dropped since
 *   looked = true   after a look, or when there was nothing yet: no look is to come until what can
 *                   be garbage has changed. What is young, became old, or was old and died by count
 *                   is a change; there must be LEAST_CHANGED, and a LEAST_SHARE-th of all objects
 * A program that only reads changes nothing of that, and is left alone. So is a heap in which not
 * much can lie (oi_pace_worth).
 *
 * The look comes after SHARE times what the last full collection took of a processor, and WAIT_NS
 * at least, if the program has been quiet meanwhile, using less than a QUIET-th of a processor:
 * then it costs nobody anything. If it has not, this is asked again at twice that time, and so on,
 * until SHARE_BUSY times what it took have gone by: it costs a busy program a thousandth of a
 * processor at most. These times double with each look that finds hardly anything, MOST_FUTILE
 * times at most, and are the first ones again when a full collection finds something. A full
 * collection for another reason begins the time anew. Cost is the measure since heaps differ in
 * size by thousands: a time, or a number of changes, would be too much for one and nothing for the
 * other.
 *
 * Nobody is asked to wake the collector thread, and it does not look every so often: it knows of
 * changes when it has collected, or from the ten seconds after which it wakes up in any case
 * (servants.c), and sleeps until the time has come.
 *
 * The state is written under the lock of concurrent collections; seen_ns, check_ns and what was
 * asked are written by the collector thread without it, too. It is a matter of time only: a mixture
 * of old and new words makes a look come early or late. In the child of a fork what was there
 * before counts as looked at: to free it would copy its pages, which are the parent's too.
 */
#include "collect/idle.h"

#include "base/lock.h"
#include "base/os.h"
#include "heap/pace.h"

#define WAIT_NS UINT64_C(1000000000)
#define SHARE 16
#define SHARE_BUSY 1024
#define QUIET 8
#define MOST_FUTILE 4
#define LEAST_CHANGED 64
#define LEAST_SHARE 1024
#define LITTLE 16          /* so few of what lives are hardly anything */
#define SOON_NS UINT64_C(1000000)

static struct {
	uint64_t began_cpu_ns; /* of the full collection that runs */
	uint64_t cost_ns, ended_ns; /* of the last one */
	uint64_t seen_ns; /* when a change was noticed first; 0: not yet */
	uint64_t check_ns; /* when to ask whether the program is quiet; 0: not reckoned yet */
	uint64_t asked_ns, asked_cpu_ns; /* when that was asked last; the process's time then */
	uint64_t before;  /* changes that were there at the fork */
	uint32_t futile;  /* looks in a row that found little */
	bool looked;
	bool found;       /* the last full collection found more than hardly anything */
} idle = { .looked = true };

void oi_idle_init(void)
{
	oi_store_relaxed(&idle.cost_ns, UINT64_C(0)); /* stopped: nobody looks yet */
	oi_store_relaxed(&idle.ended_ns, UINT64_C(0)); /* stopped */
	oi_store_relaxed(&idle.seen_ns, UINT64_C(0)); /* stopped */
	oi_store_relaxed(&idle.check_ns, UINT64_C(0)); /* stopped */
	oi_store_relaxed(&idle.before, UINT64_C(0)); /* stopped */
	oi_store_relaxed(&idle.futile, 0u); /* stopped */
	oi_store_relaxed(&idle.looked, true); /* stopped */
}

void oi_idle_fork_child(void)
{
	oi_idle_init();
	oi_store_relaxed(&idle.before, oi_pace_changed()); /* stopped: nobody looks yet */
}

/* ---- full collections ---- */

void oi_idle_full_begins(void)
{
	oi_assert_locked(OI_LOCK_CONCURRENT);
	idle.began_cpu_ns = oi_cpu_ns();
}

static void ask_from(uint64_t now)
{
	oi_store_relaxed(&idle.asked_ns, now); /* recheck */
	oi_store_relaxed(&idle.asked_cpu_ns, oi_process_cpu_ns()); /* recheck */
}

void oi_idle_full_done(size_t live, size_t dead)
{
	oi_assert_locked(OI_LOCK_CONCURRENT);
	uint64_t cpu = oi_cpu_ns(), began = idle.began_cpu_ns;
	oi_store_relaxed(&idle.cost_ns, cpu > began ? cpu - began : 0); /* recheck */
	oi_store_relaxed(&idle.ended_ns, oi_now_ns()); /* recheck */
	ask_from(oi_load_relaxed(&idle.ended_ns)); /* recheck */
	oi_store_relaxed(&idle.seen_ns, UINT64_C(0)); /* recheck */
	oi_store_relaxed(&idle.check_ns, UINT64_C(0)); /* recheck */
	oi_store_relaxed(&idle.before, UINT64_C(0)); /* recheck */
	oi_store_relaxed(&idle.looked, false); /* recheck */
	idle.found = dead > live / LITTLE;
	if (idle.found)
		oi_store_relaxed(&idle.futile, 0u); /* recheck */
}

void oi_idle_looked(void)
{
	oi_assert_locked(OI_LOCK_CONCURRENT);
	oi_store_relaxed(&idle.looked, true); /* recheck */
	if (!idle.found && oi_load_relaxed(&idle.futile) < MOST_FUTILE) /* recheck */
		oi_own_add(&idle.futile, 1);
}

/* ---- the collector thread ---- */

static bool changed(void)
{
	uint64_t least = oi_pace_population() / LEAST_SHARE, n = oi_pace_changed();
	/* recheck */
	return n >= oi_load_relaxed(&idle.before) + (least > LEAST_CHANGED ? least : LEAST_CHANGED);
}

bool oi_idle_to_come(void)
{
	if (!oi_pace_may() || !oi_pace_worth())
		return false;
	return !oi_load_relaxed(&idle.looked) || changed(); /* recheck */
}

static uint64_t wait_ns(uint64_t share)
{
	uint64_t ns = oi_load_relaxed(&idle.cost_ns) * share; /* recheck */
	return (ns > WAIT_NS ? ns : WAIT_NS) << oi_load_relaxed(&idle.futile); /* recheck */
}

/* Returns when the last full collection ended, or when the change was noticed. */
static uint64_t from_ns(uint64_t now)
{
	if (!oi_load_relaxed(&idle.looked)) /* recheck */
		return oi_load_relaxed(&idle.ended_ns); /* recheck */
	if (!oi_load_relaxed(&idle.seen_ns)) { /* recheck */
		oi_store_relaxed(&idle.seen_ns, now); /* recheck */
		oi_store_relaxed(&idle.check_ns, UINT64_C(0)); /* recheck */
		ask_from(now);
	}
	return oi_load_relaxed(&idle.seen_ns); /* recheck */
}

static uint64_t check_ns(uint64_t now)
{
	uint64_t from = from_ns(now);
	if (!oi_load_relaxed(&idle.check_ns)) /* recheck */
		oi_store_relaxed(&idle.check_ns, from + wait_ns(SHARE)); /* recheck */
	return oi_load_relaxed(&idle.check_ns); /* recheck */
}

static bool is_quiet(uint64_t now)
{
	uint64_t used = oi_process_cpu_ns() - oi_load_relaxed(&idle.asked_cpu_ns); /* recheck */
	return used < (now - oi_load_relaxed(&idle.asked_ns)) / QUIET; /* recheck */
}

bool oi_idle_due(void)
{
	if (!oi_idle_to_come())
		return false;
	uint64_t now = oi_now_ns();
	if (check_ns(now) > now)
		return false;
	uint64_t from = from_ns(now), last = from + wait_ns(SHARE_BUSY), twice = now + (now - from);
	if (now >= last || is_quiet(now))
		return true;
	oi_store_relaxed(&idle.check_ns, twice < last ? twice : last); /* recheck */
	ask_from(now);
	return false;
}

uint64_t oi_idle_wait_ns(uint64_t most)
{
	if (!oi_idle_to_come())
		return most;
	uint64_t now = oi_now_ns(), then = check_ns(now),
		 ns = then > now + SOON_NS ? then - now : SOON_NS;
	return ns < most ? ns : most;
}
