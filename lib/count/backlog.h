/* backlog.h - deaths that are put off: in their thread's own backlog, and in the reaper's. */
#ifndef OI_BACKLOG_H
#define OI_BACKLOG_H

#include "world/object.h"
#include "world/thread.h"

struct oi_work;

/*
 * A frame is a dead object and a cursor, which says how far its death has come. With this cursor it
 * is instead a list of watches that still have to run, after one that did not return; they say what
 * object they belong to, and how far that has come (watch.h).
 */
#define OI_AT_WATCHES SIZE_MAX
/*
 * Pushes a frame whole or not at all, for the child of a fork. Returns false if there is no memory.
 */
OI_INLINE bool oi_backlog_push(struct oi_vector *v, struct oi_header *h, size_t cursor)
{
	if (unlikely(v->n + 2 > v->capacity) && !oi_vector_grow(v))
		return false;
	v->data[v->n] = h;
	v->data[v->n + 1] = (void *)cursor;
	oi_store_release(&v->n, v->n + 2); /* owner: release for the child of a fork */
	return true;
}

/*
 * Makes room on the thread's stack; without memory, uses its reserve. Returns false if that is
 * full.
 */
OI_COLD bool oi_backlog_grow(struct oi_thread *t);
/* Frees the memory of that stack. */
void oi_backlog_free(struct oi_thread *t);

/* Like oi_backlog_push, onto the thread's own stack. */
OI_INLINE bool oi_backlog_push_own(struct oi_thread *t, struct oi_header *h, size_t cursor)
{
	struct oi_vector *v = &t->deaths.frames;
	return (likely(v->n + 2 <= v->capacity) || oi_backlog_grow(t)) &&
	       oi_backlog_push(v, h, cursor);
}

/* Pops a frame; there must be one. */
OI_INLINE struct oi_header *oi_backlog_pop(struct oi_vector *v, size_t *cursor)
{
	size_t n = v->n - 2;
	*cursor = (size_t)v->data[n + 1];
	oi_store_relaxed(&v->n, n); /* owner: oi_backlog_any_frames */
	return v->data[n];
}

/* ---- a thread's own ---- */

/* Returns true if there is something on the thread's stack that does not wait. */
OI_INLINE bool oi_backlog_any_frames(const struct oi_thread *t)
{
	/* owner, or recheck inside the gate */
	return oi_load_relaxed(&t->deaths.frames.n) > oi_load_relaxed(&t->deaths.waiting);
}

/*
 * Inside the gate, dying, past release_batch. All that is on the thread's stack waits from now on:
 * on the stack if what is next runs no user code, else, or if it is to be handed over, in the
 * reaper's backlog.
 */
void oi_backlog_keep(struct oi_thread *t, bool hand_over);
/* Inside the gate, dying. What waited is worked off from now on. */
void oi_backlog_take_back(struct oi_thread *t);
/*
 * Inside the gate, or on behalf of a thread that is kept out. A slice of what waits goes to the
 * reaper, unless the thread is about to get on with it. Returns true if something is left.
 */
bool oi_backlog_leave(struct oi_thread *t);
/*
 * Inside the gate. What is on the stack waits for a callback that comes next or is running: the
 * tick must look after it.
 */
void oi_backlog_arm(struct oi_thread *t);
/*
 * Gives the reaper the backlogs of threads that are not getting on with them, and what waits behind
 * callbacks; with @old, all that are old (ticket.h). Returns true if it must be called again later,
 * since a thread is getting on with its backlog, or is in the middle of an operation: its next
 * operation is asked to do it.
 */
bool oi_backlog_collect(bool old);

/* ---- the reaper's ---- */

/* From anywhere: gives the reaper a dead object. @stamp: of what it died of, or when (ticket.h). */
void oi_backlog_hand_over(struct oi_header *h, uint64_t stamp);
/* Inside the gate. Gives the reaper a frame that was taken off the thread's stack. */
void oi_backlog_pass_on(struct oi_thread *t, struct oi_header *h, size_t cursor);
/*
 * By the reaper, or a thread that flushes: works off its own backlog, and some of this one, as far
 * as @w says. Returns false if there was nothing.
 */
bool oi_backlog_serve(struct oi_thread *t, bool only_old, struct oi_work w);
/*
 * By anybody: works off some of what runs no user code, among what has waited longest. Returns
 * false if there was no such thing.
 */
bool oi_backlog_serve_quietly(struct oi_thread *t);
bool oi_backlog_any_handed_over(void);
/* A flush begins: all that is in the reaper's backlog becomes old. */
void oi_backlog_make_old(void);
/* Returns true if any of it is left, or is in a thread's own backlog. */
bool oi_backlog_any_old(void);
bool oi_backlog_any(void);
/* Returns how many wait for the reaper. */
size_t oi_backlog_waiting(void);

/* A thread that vanished in a fork: what it had not dismantled yet goes to the reaper. */
void oi_backlog_inherit(struct oi_thread *t);
void oi_backlog_drop(void);

/* @t is kept out of its gate and does nothing. Frees the memory of its stack if that is empty. */
void oi_backlog_tidy(struct oi_thread *t);

#endif
