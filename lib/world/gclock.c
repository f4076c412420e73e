/*
 * gclock.c - the two locks of collections, and keeping automatic ones away
 *
 * Young collections take the one, concurrent collections the other, and the first as well while
 * they stop the world. A thread knows which it holds: what a listener may do depends on it. They
 * are not in the collector's folder, as a thread that waits for memory, for a weak reference or for
 * a death must know whether it holds one of them.
 */
#include "world/gclock.h"

#include "base/lock.h"
#include "base/wake.h"

static __thread unsigned locked_by_me; /* how often: it nests */
static __thread bool concurrent_locked_by_me;
/* Full collections that had to flush again: others that are asked for wait for them to begin. */
static unsigned n_insisting;
static __thread unsigned insisting; /* this thread's, of these; no more than holding_off */
/* Requests for a full collection: while there are any, no automatic one may begin. */
static unsigned n_holding_off;
static __thread unsigned holding_off;

void oi_collect_lock(void)
{
	if (!locked_by_me++)
		oi_lock(OI_LOCK_COLLECT);
}

bool oi_collect_trylock(void)
{
	bool locked = locked_by_me || oi_trylock(OI_LOCK_COLLECT);
	locked_by_me += locked;
	return locked;
}

void oi_collect_unlock(void)
{
	if (!--locked_by_me)
		oi_unlock(OI_LOCK_COLLECT);
}

void oi_concurrent_lock(void)
{
	oi_lock(OI_LOCK_CONCURRENT);
	concurrent_locked_by_me = true;
}

bool oi_concurrent_trylock(void)
{
	bool locked = oi_trylock(OI_LOCK_CONCURRENT);
	concurrent_locked_by_me |= locked;
	return locked;
}

void oi_concurrent_unlock(void)
{
	concurrent_locked_by_me = false;
	oi_unlock(OI_LOCK_CONCURRENT);
}

bool oi_concurrent_locked_by_me(void)
{
	return concurrent_locked_by_me;
}

bool oi_collect_locked_by_me(void)
{
	return locked_by_me || concurrent_locked_by_me || oi_lock_forking;
}

void oi_collect_lock_both(void)
{
	oi_concurrent_lock();
	oi_collect_lock();
}

void oi_collect_unlock_both(void)
{
	oi_collect_unlock();
	oi_concurrent_unlock();
}

/* ---- keeping automatic collections away ---- */

bool oi_collect_held_off(void)
{
	/* recheck: under the lock, which oi_collect_hold_off has held since */
	return oi_load_relaxed(&n_holding_off) != 0;
}

/* When it returns, what earlier collections found is in the queue or in a thread's hands. */
void oi_collect_hold_off(void)
{
	holding_off++;
	oi_add_relaxed(&n_holding_off, 1u); /* elsewhere: the locks taken below */
	oi_collect_lock_both();
	oi_collect_unlock_both();
}

void oi_collect_hold_off_no_more(void)
{
	holding_off--;
	if (oi_add_relaxed(&n_holding_off, -1u) == 1) /* count */
		oi_wake_collect();
}

void oi_collect_insist(void)
{
	insisting++;
	oi_add_acq_rel(&n_insisting, 1u); /* count: whoever misses it goes first, once more */
}

void oi_collect_insist_no_more(void)
{
	insisting--;
	oi_sub_acq_rel(&n_insisting, 1u); /* count */
}

bool oi_collect_any_insisting(void)
{
	return oi_load_acquire(&n_insisting) != 0; /* count */
}

unsigned oi_collect_holding_off(void)
{
	return holding_off;
}

void oi_collect_hold_off_only(unsigned n)
{
	while (insisting > n)
		oi_collect_insist_no_more();
	while (holding_off > n)
		oi_collect_hold_off_no_more();
}

/* ---- fork ---- */

void oi_collect_fork_prepare(void)
{
	oi_collect_lock();
}

void oi_collect_fork_done(void)
{
	oi_collect_unlock();
}

void oi_collect_fork_child(void)
{
	oi_store_relaxed(&n_insisting, insisting);     /* stopped: nobody looks yet */
	oi_store_relaxed(&n_holding_off, holding_off); /* stopped: other threads are gone */
	if (!locked_by_me)
		oi_lock_renew(OI_LOCK_COLLECT);
}
