/* gclock.h - the two locks of collections, and keeping automatic ones away. */
#ifndef OI_GCLOCK_H
#define OI_GCLOCK_H

#include "base/compiler.h"

/*
 * The collection lock: one young collection at a time. It also guards the side arrays. Of the
 * program's code, only event functions and traverse run while it is held.
 */
void oi_collect_lock(void);
bool oi_collect_trylock(void);
void oi_collect_unlock(void);
/*
 * The concurrent collection lock: one concurrent collection at a time. It is taken before the
 * collection lock, which young collections take meanwhile.
 */
void oi_concurrent_lock(void);
bool oi_concurrent_trylock(void);
void oi_concurrent_unlock(void);
/* Returns true if this thread holds the concurrent collection lock. */
bool oi_concurrent_locked_by_me(void);
/* Returns true if this thread holds either, or the world for its fork. */
bool oi_collect_locked_by_me(void);
void oi_collect_lock_both(void);
void oi_collect_unlock_both(void);

/*
 * Returns true if no automatic collection may begin now, since a full one that was asked for is
 * about to.
 */
bool oi_collect_held_off(void);
/*
 * Between the two no automatic collection begins; those that have begun are over when the first
 * returns. They nest.
 */
void oi_collect_hold_off(void);
void oi_collect_hold_off_no_more(void);
/*
 * Between the two, others wait with a collection that is asked for: this thread's had to flush
 * again, and is to begin first.
 */
void oi_collect_insist(void);
void oi_collect_insist_no_more(void);
bool oi_collect_any_insisting(void);
/*
 * Returns how often this thread keeps automatic collections from beginning; brings that down to @n,
 * where callbacks did not return.
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
