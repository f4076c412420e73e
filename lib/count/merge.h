/*
 * merge.h - handing the last foreign release of a biased object to its owner, or merging for a
 * sleeping owner.
 */
#ifndef OI_MERGE_H
#define OI_MERGE_H

#include "world/object.h"
#include "world/thread.h"

/*
 * Called after setting QUEUED, inside the gate. Returns true if the object is dead after all: the
 * caller must carry out its death.
 */
bool oi_merge_queue(struct oi_thread *t, struct oi_header *h);
/*
 * Sets own to merged if it still is @key: not if the object became immortal, or the block is free
 * again.
 */
void oi_merge_disown(struct oi_header *h, uint16_t key);
/*
 * Called by the owner on its way into the gate: drains a slice. Returns true if there is more,
 * which its next operation is asked to drain. Leaves the gate for the deaths and comes back, unless
 * inside a death.
 */
bool oi_merge_drain_own(struct oi_thread *t);
/*
 * Drains in slices on behalf of every thread that has a queue and is outside its gate; from the
 * collector's tick. Returns true if something was left, because an owner is inside its gate or
 * there is very much.
 */
bool oi_merge_drain_all(void);
/*
 * Called by the owner, inside its gate, when it has dropped a reference, perhaps the last, to an
 * object that waits in its own queue: drains a slice of the queue, so that the death need not wait
 * for the tick. Returns true if @h is dead: the caller must carry out its death. What else died
 * goes to the reaper.
 */
bool oi_merge_recover(struct oi_thread *t, struct oi_header *h);
/* Returns true if any queue has objects. */
bool oi_merge_any(void);
/* A flush begins: all that is in a queue becomes old (ticket.h). */
void oi_merge_make_old(void);
/*
 * Returns true if old objects are left in a queue, or have been taken out of one and not been
 * handed over yet.
 */
bool oi_merge_any_old(void);
/*
 * Merges the objects below @h, which is dead, if @owner owns them; goes on below those that look as
 * if they died with it. Called by the owner inside its gate, or by a thread that keeps it outside,
 * as for a merge. @h must still have all its references: its slots are followed, and what a
 * released one names may be anything. Uses 8 KiB of stack. Merges at most @budget objects, which is
 * no more than a slice, and returns how many.
 */
#define OI_MERGE_SLICE 1024 /* objects */
size_t oi_merge_ahead(struct oi_thread *owner, struct oi_header *h, size_t budget);
/* World stopped: merges the object. For collections, and for objects whose owner vanished. */
void oi_merge_stopped(struct oi_header *h);
/* Under the registry lock. The record gets a new user: its queue takes objects again. */
void oi_merge_open(struct oi_thread *t);
/*
 * Outside the gate. The thread leaves: merges all that it owns; afterwards its key may be given out
 * again.
 */
void oi_merge_leave(struct oi_thread *t);
/* Drains the queue of a thread that vanished in a fork, and frees it. */
void oi_merge_inherit(struct oi_thread *t);
/*
 * World stopped. Merges an object that there was no memory to queue (stray.c), and drops the
 * queue's reference. Returns true if it is dead now.
 */
bool oi_merge_stray(struct oi_header *h);

/* @t is kept out of its gate and does nothing. Frees the memory of its queue if that is empty. */
void oi_merge_tidy(struct oi_thread *t);

#endif
