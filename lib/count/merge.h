/* merge.h - handing the last foreign release of a biased object to its owner, or doing it for a sleeping owner. */
#ifndef OI_MERGE_H
#define OI_MERGE_H

#include "world/object.h"
#include "world/thread.h"

/* After setting QUEUED, inside the gate. True: the object is dead after all, and the caller's to bury. */
bool oi_merge_queue(struct oi_thread *t, struct oi_header *h);
/* own := merged, where it still is @key: not if it became immortal, or the block is free again. */
void oi_merge_disown(struct oi_header *h, uint16_t key);
/*
 * The owner itself, on its way into the gate: a slice. True: there is more, and its next operation is asked for it. Leaves the gate for
 * the deaths and comes back, unless inside a death.
 */
bool oi_merge_drain_own(struct oi_thread *t);
/*
 * On behalf of every thread that has a queue and is outside, in slices; from the collector's tick. True if something was left: an owner
 * is inside, or there is very much.
 */
bool oi_merge_drain_all(void);
/*
 * The owner, inside its gate, has dropped a reference to an object that waits in its own queue, perhaps the last: drains a slice of
 * the queue, so that the death need not wait for the tick. True: @h is dead and the caller's; others that died are the reaper's.
 */
bool oi_merge_recover(struct oi_thread *t, struct oi_header *h);
bool oi_merge_any(void);
/* A flush begins: all that is in a queue is old (ticket.h). Is any of it left, or not handed over yet? */
void oi_merge_make_old(void);
bool oi_merge_any_old(void);
/*
 * Merges the objects below @h, which is dead, as far as they look like dying with it and @owner owns them. Caller: as for a
 * merge, the owner inside its gate or whoever keeps it outside. @h still has all its references: its slots are followed, and
 * what a released one names may be anything. Uses 8 KiB of stack. Merges at most @budget, which is no more than a slice, and
 * returns how many.
 */
#define OI_MERGE_SLICE 1024 /* objects */
size_t oi_merge_ahead(struct oi_thread *owner, struct oi_header *h, size_t budget);
/* World stopped: merges the object. For collections, and for objects whose owner vanished. */
void oi_merge_stopped(struct oi_header *h);
/* Registry lock held, the record gets a new user: its queue takes objects again. */
void oi_merge_open(struct oi_thread *t);
/* The thread leaves: merges all it owns; afterwards its key may be given out again. Outside the gate. */
void oi_merge_leave(struct oi_thread *t);
/* A thread that vanished in a fork: what waits in its queue. */
void oi_merge_inherit(struct oi_thread *t);
/* The stray fallback: an object that could not be queued. Its owner is merged in a stop. */
bool oi_merge_stray(struct oi_header *h);

/* @t is kept out of its gate and does nothing: an empty queue keeps no memory. */
void oi_merge_tidy(struct oi_thread *t);

#endif
