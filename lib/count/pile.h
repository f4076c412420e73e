/* pile.h - dead objects that wait for their dismantling: in their thread's own pile, and in the reaper's. */
#ifndef OI_PILE_H
#define OI_PILE_H

#include "world/object.h"
#include "world/thread.h"

/*
 * A frame: a dead object, and how far it is. With this for the latter: watches that still have to run, which say what object they come
 * before, and how far that is (watch.h): one of them did not return.
 */
#define OI_AT_WATCHES SIZE_MAX
/* Whole or not at all, for the child of a fork. False: no memory. */
OI_INLINE bool oi_pile_push(struct oi_vector *v, struct oi_header *h, size_t cursor)
{
	if (unlikely(v->n + 2 > v->capacity) && !oi_vector_grow(v))
		return false;
	v->data[v->n] = h;
	v->data[v->n + 1] = (void *)cursor;
	oi_store_release(&v->n, v->n + 2);
	return true;
}

/* More room on the thread's stack; without memory its reserve. False: that is full. */
OI_COLD bool oi_pile_grow(struct oi_thread *t);
/* The memory of that stack. */
void oi_pile_free(struct oi_thread *t);

/* The same onto the thread's stack. */
OI_INLINE bool oi_pile_push_own(struct oi_thread *t, struct oi_header *h, size_t cursor)
{
	struct oi_vector *v = &t->deaths.frames;
	return (likely(v->n + 2 <= v->capacity) || oi_pile_grow(t)) && oi_pile_push(v, h, cursor);
}

/* There is one. */
OI_INLINE struct oi_header *oi_pile_pop(struct oi_vector *v, size_t *cursor)
{
	size_t n = v->n - 2;
	*cursor = (size_t)v->data[n + 1];
	oi_store_relaxed(&v->n, n); /* owner: oi_pile_any_frames */
	return v->data[n];
}

/* ---- a thread's own ---- */

/* Is there something on its stack that does not wait? */
OI_INLINE bool oi_pile_any_frames(const struct oi_thread *t)
{
	return oi_load_relaxed(&t->deaths.frames.n) > oi_load_relaxed(&t->deaths.waiting); /* owner, or recheck inside the gate */
}

/*
 * Inside the gate, dying. Past release_batch: all that is on the thread's stack waits, on it if what is next runs no user code; else in
 * the reaper's pile.
 */
void oi_pile_keep(struct oi_thread *t);
/* Inside the gate, dying. What waited is to be worked off now. */
void oi_pile_take_back(struct oi_thread *t);
/*
 * Inside the gate, or on behalf of who is kept out. What waits goes to the reaper, unless the thread is about to get on with it: a slice of
 * it. True: something is left.
 */
bool oi_pile_leave(struct oi_thread *t);
/* Inside the gate. What is on the stack waits behind a callback that comes next, or is running: the tick is to look after it. */
void oi_pile_arm(struct oi_thread *t);
/*
 * The reaper gets the piles of other threads that are not getting on with them, and what waits behind callbacks; with @old, those that are old (ticket.h), whether
 * or not. True: again later, since a thread is getting on, or in the middle of an operation: it is asked to do it at its next.
 */
bool oi_pile_collect(bool old);

/* ---- the reaper's ---- */

/* From anywhere. @stamp: of what it died of, or when (ticket.h). */
void oi_pile_hand_over(struct oi_header *h, uint64_t stamp);
/* Inside the gate: one that has been taken off the thread's stack, with how far it is. */
void oi_pile_pass_on(struct oi_thread *t, struct oi_header *h, size_t cursor);
/* The reaper, or a thread that flushes: what waits in its own pile, and some of this; false if there was nothing. */
bool oi_pile_serve(struct oi_thread *t, bool only_old);
/* Anybody: some of what runs no user code, among what has waited longest; false if there was nothing of the kind. */
bool oi_pile_serve_quietly(struct oi_thread *t);
bool oi_pile_any_handed_over(void);
/* A flush begins: all that is in there is old. Is any of it left, or in a thread's own pile? */
void oi_pile_make_old(void);
bool oi_pile_any_old(void);
bool oi_pile_any(void);
/* How many wait for the reaper. */
size_t oi_pile_waiting(void);

/* A thread that vanished in a fork: what it had not dismantled yet goes to the reaper. */
void oi_pile_inherit(struct oi_thread *t);
void oi_pile_drop(void);

/* @t is kept out of its gate and does nothing: an empty stack keeps no memory. */
void oi_pile_tidy(struct oi_thread *t);

#endif
