/* gclock.h - the two locks of collections, and keeping automatic ones away. */
#ifndef OI_GCLOCK_H
#define OI_GCLOCK_H

#include "base/compiler.h"

/*
 * One young collection at a time; also guards the side arrays. Never held while user code runs,
 * events excepted.
 */
void oi_collect_lock(void);
void oi_collect_unlock(void);
/*
 * One collection beside the mutators at a time; outside the collection lock, which young
 * collections take meanwhile.
 */
void oi_full_lock(void);
bool oi_full_trylock(void);
void oi_full_unlock(void);
/* Does this thread hold the second (inside an event function)? */
bool oi_full_locked_by_me(void);
/* Does this thread hold either, or the world for its fork? */
bool oi_collect_locked_by_me(void);
void oi_collect_lock_both(void);
void oi_collect_unlock_both(void);

/* May no automatic collection begin now? A full one that was asked for is about to. */
bool oi_collect_held_off(void);
/*
 * None begins from now on, until the second; those that have begun are over when the first returns.
 * They nest.
 */
void oi_collect_hold_off(void);
void oi_collect_hold_off_no_more(void);
/*
 * A collection that was asked for had to flush again: others that are asked for wait for it to
 * begin.
 */
void oi_collect_insist(void);
void oi_collect_insist_no_more(void);
bool oi_collect_any_insisting(void);
/*
 * How often this thread keeps automatic collections from beginning; and that it does so no more
 * often than @n times.
 */
unsigned oi_collect_holding_off(void);
void oi_collect_hold_off_only(unsigned n);

/*
 * A fork that can wait for a young collection holds its lock meanwhile. The child forgets what
 * others had of it.
 */
void oi_collect_fork_prepare(void);
void oi_collect_fork_done(void);
void oi_collect_fork_child(void);

#endif
