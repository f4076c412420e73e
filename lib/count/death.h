/* death.h - carrying out deaths: what follows when an object's last reference is gone. */
#ifndef OI_DEATH_H
#define OI_DEATH_H

#include "base/runtime.h"
#include "count/count.h"
#include "count/loose.h"
#include "heap/check.h"
#include "heap/heap.h"
#include "heap/limbo.h"
#include "heap/pace.h"
#include "heap/tally.h"
#include "world/object.h"
#include "world/thread.h"

/*
 * Inside the gate, which it leaves; by then the dead object is on the stack, where the child of a
 * fork finds it. @h is DEAD, and its death is the caller's: dismantles it and everything that dies
 * with it, up to release_batch objects; the rest waits (backlog.h). Inside another death of this
 * thread it only queues @h.
 */
void oi_death_leaving(struct oi_thread *t, struct oi_header *h);
/*
 * Inside the gate, which it leaves, and inside a death of this thread's. Queues @h, whose death
 * goes on where @cursor says. If there is no memory for that, it goes on at once, or, inside
 * another object's death, @h becomes a stray.
 */
void oi_death_resume(struct oi_thread *t, struct oi_header *h, size_t cursor);
/*
 * Inside the gate, which it does not leave, and inside a death of this thread's: before that ends,
 * the death of @h is carried out.
 */
void oi_death_later(struct oi_thread *t, struct oi_header *h);
/* Like oi_death_leaving, but an object that runs no user code dies at once, inside the gate. */
void oi_death_inside(struct oi_thread *t, struct oi_header *h);
/*
 * Inside the gate, which it leaves. The caller owns @h, which was never published, and holds the
 * only reference to it: drops that, and carries out the death like oi_death_leaving.
 */
void oi_death_private(struct oi_thread *t, struct oi_header *h);
/* How far the deaths go that one thread carries out at a time. */
struct oi_work {
	size_t left;     /* so many objects more; what is left then waits (backlog.h) */
	bool callbacks;  /* objects that run user code die here, too; else they go to the reaper */
	bool hands_over; /* what is left goes to the reaper, even if this thread could go on */
};

/* As far as a release may be held up. */
OI_INLINE struct oi_work oi_work_of_release(void)
{
	return (struct oi_work){ .left = oi_runtime.config.release_batch, .callbacks = true };
}

/* All of it, within reason: for the reaper, and for a caller that waits until it is done. */
OI_INLINE struct oi_work oi_work_thoroughly(void)
{
	return (struct oi_work){ .left = 65536, .callbacks = true, .hands_over = true };
}

/* Some, of what runs no user code. */
OI_INLINE struct oi_work oi_work_quietly(size_t n)
{
	return (struct oi_work){ .left = n, .callbacks = false };
}
#define OI_QUIET_MOST 512

/*
 * Make several deaths one: between the two, oi_death_leaving only queues, and flush takes the
 * thread for busy. oi_death_end works off what is queued. They nest.
 */
void oi_death_begin(struct oi_thread *t);
void oi_death_end(struct oi_thread *t, struct oi_work w);
/*
 * A callback did not return. Sets the two counters back to what they were before; what was in hand
 * has been given to others.
 */
void oi_death_unwind(struct oi_thread *t, uint32_t dying, uint32_t serving);
/*
 * Outside the gate. Gives a reference back. What dies of it goes to the reaper, so that no code of
 * the program's runs here.
 */
void oi_death_release_aside(struct oi_thread *t, struct oi_header *h);
/* Between begin and end: works off what is queued so far. */
void oi_death_settle(struct oi_thread *t, struct oi_work w);
/*
 * Like oi_death_begin and oi_death_end, but around work on what was taken from a queue that others
 * wait on: flush sees either the queue or this.
 */
void oi_serve_begin(struct oi_thread *t);
void oi_serve_end(struct oi_thread *t, struct oi_work w);
/*
 * Inside the gate, in the middle of some other operation. Carries out the deaths of @n objects. No
 * user code runs (objects that need it go to the reaper), and the work is bounded. Leaves the gate
 * and enters it again, unless inside a death, which then carries these out before it ends.
 */
void oi_death_quietly(struct oi_thread *t, void **h, size_t n, uint64_t stamp);
/*
 * Inside the gate, which it leaves and enters again; outside any death. Carries out up to @n deaths
 * of what waits in the thread's own backlog (backlog.h); no user code runs.
 */
void oi_death_catch_up(struct oi_thread *t, size_t n);

/* ---- steps of a death, outside the gate ---- */

/*
 * Weak references to the dead object expire, and its watches run; *watches are those that still
 * have to.
 */
void oi_death_expire(struct oi_thread *t, struct oi_header *h, struct oi_watch **watches);
/* Runs the finalizer, which the type has, and of which FINALIZED says already that it ran. */
void oi_death_finalize(struct oi_thread *t, struct oi_header *h);
/*
 * Like oi_death_expire, for an object whose references are dropped; its own weak cells are emptied,
 * and destroy is called, unless *@note is @called already. It becomes that before the call.
 */
void oi_death_destroy(struct oi_thread *t, struct oi_header *h, struct oi_watch **watches,
		      size_t *note, size_t called);
/* Runs fn(obj) as user code, counted as a callback. */
void oi_call(struct oi_thread *t, void (*fn)(void *obj), struct oi_header *h);

/* ---- steps of a death, inside the gate ---- */

/* Statistics of one object that is gone. */
OI_INLINE void oi_death_count(struct oi_thread *t, const struct oi_header *h,
			      const struct oi_page *p)
{
	oi_tally_add(&t->freed, p);
	if (unlikely(oi_flags(h) & OI_FLAG_FROZEN))
		oi_pace_frozen_died();
}

/* A reference that the dead object had. */
OI_INLINE void oi_death_release(void *child, void *arg)
{
	struct oi_thread *t = arg;
	struct oi_header *h = oi_header_of(child);
	oi_check_release(h, "death of its referrer");
	if (oi_release(t, h))
		oi_death_later(t, h);
	else
		oi_loose(t, child);
}

OI_INLINE void oi_death_mark(struct oi_header *h)
{
	oi_store_relaxed(&h->own, OI_OWN_GONE); /* owner: it won the death */
	oi_store_relaxed(&h->shared, OI_MERGED | OI_DEAD); /* owner: attempts fail in any case */
}

/*
 * Frees the block of an object in the most frequent case, without counting it: it was published, or
 * it is @private, which says that the caller owns it and nobody else ever could find it. @p is its
 * page. Returns false if nothing was done.
 */
OI_INLINE bool oi_death_put(struct oi_thread *t, struct oi_header *h, struct oi_page *p,
			    bool private)
{
	if (private)
		return oi_block_put(p, h);
	if (!oi_load_relaxed(&h->published) || /* elsewhere: the last release shows it */
	    unlikely(!oi_limbo_put(&t->limbo, h, p->block_size)))
		return false;
	oi_death_mark(h);
	return true;
}

/*
 * Frees the block in any case, and counts it. @recycle says that nobody can hold its address,
 * whatever published says.
 */
void oi_death_free(struct oi_thread *t, struct oi_header *h, const struct oi_page *p, bool recycle);

/* Notes the age of a tracked object that died by count, while its block is still its own. */
OI_INLINE void oi_death_note_age(struct oi_thread *t, const struct oi_header *h,
				 const struct oi_page *p)
{
	uint64_t (*young)[OI_BITMAP] = oi_region_of(h)->young[oi_page_number(h)];
	size_t i = oi_block_index(p, h);
	/* elsewhere: this object's bits change only in stops */
	if (oi_load_relaxed(&young[0][i / 64]) >> (i % 64) & 1)
		return;
	/* elsewhere */
	int64_t *n = &t->died[oi_load_relaxed(&young[1][i / 64]) >> (i % 64) & 1 ? 0 : 1];
	oi_store_relaxed(n, *n + 1); /* owner */
}

/*
 * The end of a death by count. What a collection found does not come here: the pacing has done with
 * it.
 */
OI_INLINE void oi_death_free_counted(struct oi_thread *t, struct oi_header *h, bool private)
{
	struct oi_page *p = oi_page_of(h);
	oi_keep(p);
	if (p->tracked) {
		oi_death_note_age(t, h, p);
		oi_pace_freed(t);
	}
	if (likely(oi_death_put(t, h, p, private)))
		oi_death_count(t, h, p);
	else
		oi_death_free(t, h, p, false);
}

#endif
