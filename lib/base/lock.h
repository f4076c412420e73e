/*
 * lock.h - every mutex of the library: a name and a rank each
 *
 * Locks are taken in the order of their ranks, outermost first; what fork does to each is in the
 * table of lock.c. A checked build keeps the locks that a thread holds, and aborts with the names
 * of both where one is taken out of order, and where
 * - a gate is entered with a lock held: a stop may wait for whoever waits for that lock. The
 *   exceptions are the long ones;
 * - a long one, or the registry's, is waited for inside a gate: its holder may be waiting for just
 *   that gate;
 * - the program's code is called with a lock held (context.h).
 * A lock is long if it is held throughout something that passes gates and waits for other threads:
 * a collection has two, as it is concurrent, between safepoints of its own. No thread waits for one
 * inside a gate, so that whoever holds it is never kept from getting on.
 * A release build checks nothing of this.
 */
#ifndef OI_LOCK_H
#define OI_LOCK_H

#include <pthread.h>

#include "base/compiler.h"

enum oi_rank {
	OI_LOCK_RUNTIME,    /* starting the heap, and ending it */
	OI_LOCK_CONCURRENT, /* a concurrent collection; long */
	OI_LOCK_COLLECT,    /* what one collection at a time may do; long */
	OI_LOCK_REGISTRY,   /* the attached threads; held from the request for a stop to its end */
	OI_LOCK_NAMES,      /* of threads */
	OI_LOCK_PROMISES,   /* who makes what for a map, and who waits */
	OI_LOCK_LISTENERS,  /* of events */
	OI_LOCK_GARBAGE,    /* the queue of what collections found */
	OI_LOCK_SAVED,      /* what SAVEALL keeps */
	OI_LOCK_BACKLOG,    /* the reaper's dead objects */
	OI_LOCK_WATCHES,
	OI_LOCK_WEAK,       /* free entries of the side table */
	OI_LOCK_LIMBO,      /* what threads that left have in limbo */
	OI_LOCK_HEAP,       /* pages */
	OI_LOCK_LOOSE,      /* what lost a reference from a slot */
	OI_LOCK_SNAPSHOT,   /* the numbers of regions in snapshots */
	OI_LOCK_SITES,      /* where sampled objects were made */
	OI_LOCK_TRACE,      /* whether there is a trace, and where it goes */
	OI_LOCK_LOG,        /* the log function, and what waits for it */
	OI_LOCKS
};

struct oi_lock {
	pthread_mutex_t mutex;
} __attribute__((aligned(OI_LINE)));

extern struct oi_lock oi_locks[OI_LOCKS] OI_HIDDEN;

#if OURO_CHECKED
void oi_lock_check(enum oi_rank rank);
void oi_lock_note(enum oi_rank rank);
void oi_lock_forget(enum oi_rank rank);
/* Aborts if this thread, about to enter its gate, holds a lock that is not long. */
void oi_lock_check_gate(void);
bool oi_lock_held(enum oi_rank rank);
/*
 * Returns the name of a lock held that is not long, or, with @any, of any that was taken since the
 * floor was set; NULL if there is none.
 */
const char *oi_lock_any_held(bool any);
/*
 * For code of the program's that is rightly called with long locks held: what it calls must hold no
 * others. Returns the old floor.
 */
unsigned oi_lock_floor(void);
void oi_lock_floor_back(unsigned floor);
#else
#define oi_lock_check(rank) ((void)0)
#define oi_lock_note(rank) ((void)0)
#define oi_lock_forget(rank) ((void)0)
#define oi_lock_check_gate() ((void)0)
#define oi_lock_floor() 0u
#define oi_lock_floor_back(floor) ((void)(floor))
#endif

/* Waits for the lock and takes it; the time that this takes is a hold-up. */
OI_COLD void oi_lock_wait(enum oi_rank rank);

/*
 * This thread is between the handlers of its fork, where it holds what another one could want:
 * handlers of the program's that run there take locks that are theirs already. What would wait for
 * other threads, which are stopped, answers EDEADLK there.
 */
extern __thread bool oi_lock_forking OI_HIDDEN;

OI_INLINE void oi_lock(enum oi_rank rank)
{
	oi_lock_check(rank);
	if (likely(!oi_lock_forking) && unlikely(pthread_mutex_trylock(&oi_locks[rank].mutex)))
		oi_lock_wait(rank);
	oi_lock_note(rank);
}

OI_INLINE bool oi_trylock(enum oi_rank rank)
{
	if (likely(!oi_lock_forking) && pthread_mutex_trylock(&oi_locks[rank].mutex))
		return false;
	oi_lock_note(rank);
	return true;
}

OI_INLINE void oi_unlock(enum oi_rank rank)
{
	oi_lock_forget(rank);
	if (likely(!oi_lock_forking))
		pthread_mutex_unlock(&oi_locks[rank].mutex);
}

/* In the child of a fork: makes a lock free whose holder, if it had one, may be gone. */
void oi_lock_renew(enum oi_rank rank);

/*
 * Before a fork, in its stop, the first takes all locks that the child must find free and whole, in
 * order; afterwards, in parent and child, the second lets them go. The child renews the others,
 * unless its own thread holds them.
 */
void oi_locks_prepare_fork(void);
void oi_locks_after_fork(void);

#if OURO_CHECKED
#define oi_assert_locked(rank) oi_lock_assert_held(rank, __func__)
void oi_lock_assert_held(enum oi_rank rank, const char *where);
#else
#define oi_assert_locked(rank) ((void)0)
#endif

#endif
