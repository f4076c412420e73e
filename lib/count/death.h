/* death.h - carrying out deaths: what follows when an object's last reference is gone. */
#ifndef OI_DEATH_H
#define OI_DEATH_H

#include "count/count.h"
#include "heap/check.h"
#include "heap/heap.h"
#include "heap/limbo.h"
#include "heap/pace.h"
#include "heap/tally.h"
#include "world/object.h"
#include "world/thread.h"

/*
 * Inside the gate, which it leaves; then the dead object is on the stack already, where the child of a fork finds it. @h is DEAD and
 * the caller's: dismantles it and everything that dies with it, up to release_batch objects; the rest waits (pile.h). Inside
 * another death of this thread it only queues.
 */
void oi_death_leaving(struct oi_thread *t, struct oi_header *h);
/*
 * Inside the gate, which it leaves, and inside a death of this thread's: that of @h goes on where the cursor says. At once if there
 * is no memory to queue it; if it cannot, as inside another object's, it is a stray.
 */
void oi_death_resume(struct oi_thread *t, struct oi_header *h, size_t cursor);
/* Inside the gate, which it does not leave, and inside a death of this thread's, at whose end that of @h is carried out. */
void oi_death_later(struct oi_thread *t, struct oi_header *h);
/* The same from inside the gate, which it leaves: what runs no user code dies there and then. */
void oi_death_inside(struct oi_thread *t, struct oi_header *h);
/*
 * Inside the gate, which it leaves. The caller, its owner, holds the one reference there is to @h, which was never published:
 * drops it, and carries out the death, as oi_death_leaving.
 */
void oi_death_private(struct oi_thread *t, struct oi_header *h);
/*
 * Several deaths as one: between the two, oi_death_leaving only queues, and flush takes the thread for busy. The end works off what
 * is left. They nest.
 */
void oi_death_begin(struct oi_thread *t);
void oi_death_end(struct oi_thread *t);
/* A callback did not return: as many have begun as before, and what they had in hand is with others. */
void oi_death_unwind(struct oi_thread *t, uint32_t dying, uint32_t serving);
/* Outside the gate. Gives a reference back; what dies of it is the reaper's, so that no code of the program's runs here. */
void oi_death_release_aside(struct oi_thread *t, struct oi_header *h);
/* In the middle: works off what is queued so far. What would run user code goes to the reaper. */
void oi_death_settle_quietly(struct oi_thread *t);
/* The same around what was taken from a queue that others wait on: flush sees either the queue or this. */
void oi_serve_begin(struct oi_thread *t);
void oi_serve_end(struct oi_thread *t);
/* With no user code run: as oi_death_settle_quietly. */
void oi_serve_end_quietly(struct oi_thread *t);
/*
 * Inside the gate, in the middle of some other operation: @n dead objects. No user code runs, such objects go to the reaper; and
 * there is an end to how much is done. Leaves the gate and enters it again, unless inside a death, at whose end they are carried out.
 */
void oi_death_quietly(struct oi_thread *t, void **h, size_t n, uint64_t stamp);
/*
 * Inside the gate, which it leaves and enters again; outside any death. Up to @n objects of what waits in the thread's own pile
 * (pile.h); no user code runs.
 */
void oi_death_catch_up(struct oi_thread *t, size_t n);

/*
 * What refers weakly to a dead object expires, and its watches run; *watches are those that still have to. Its own weak cells are
 * emptied. Outside the gate.
 */
void oi_death_end_weak(struct oi_thread *t, struct oi_header *h, struct oi_watch **watches);
/*
 * The end of an object whose references are dropped, as part of a set: destroy, memory. Outside the gate.
 * @recycle: nobody can hold its address, whatever published says. @destroy: false: has been called. @next: counted up, inside
 * the gate, when it is gone.
 */
void oi_death_destroy(struct oi_thread *t, struct oi_header *h, bool recycle, bool destroy, size_t *next);
/* Runs fn(obj) as user code: outside the gate, counted as a callback. */
void oi_call(struct oi_thread *t, void (*fn)(void *obj), struct oi_header *h);

/* ---- steps of a death, inside the gate ---- */

/* Statistics of one object that is gone. */
OI_INLINE void oi_death_count(struct oi_thread *t, const struct oi_header *h, const struct oi_page *p)
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
}

OI_INLINE void oi_death_mark(struct oi_header *h)
{
	oi_store_relaxed(&h->own, OI_OWN_GONE);
	oi_store_relaxed(&h->shared, OI_MERGED | OI_DEAD);
}

/* The block of an object that was published, in the most frequent case, and not counted; @p: its page. False: not done. */
OI_INLINE bool oi_death_put(struct oi_thread *t, struct oi_header *h, const struct oi_page *p)
{
	if (!oi_load_relaxed(&h->published) || unlikely(!oi_limbo_put(&t->limbo, h, p->block_size)))
		return false;
	oi_death_mark(h);
	return true;
}

/* The same in any case, and counted. */
void oi_death_free(struct oi_thread *t, struct oi_header *h, const struct oi_page *p);

/* By count, of a tracked object, whose block is still its own: of which age was it? */
OI_INLINE void oi_death_note_age(struct oi_thread *t, const struct oi_header *h, const struct oi_page *p)
{
	uint64_t (*young)[OI_BITMAP] = oi_region_of(h)->young[oi_page_number(h)];
	size_t i = oi_block_index(p, h);
	if (oi_load_relaxed(&young[0][i / 64]) >> (i % 64) & 1) /* elsewhere: this one's bit changes in stops alone, here and below */
		return;
	int64_t *n = &t->died[oi_load_relaxed(&young[1][i / 64]) >> (i % 64) & 1 ? 0 : 1];
	oi_store_relaxed(n, *n + 1); /* owner */
}

/* The end of a death by count. Members of a set do not come here: the pacing has done with them. */
OI_INLINE void oi_death_free_counted(struct oi_thread *t, struct oi_header *h)
{
	const struct oi_page *p = oi_page_of(h);
	oi_keep(p);
	if (p->tracked) {
		oi_death_note_age(t, h, p);
		oi_pace_freed(t);
	}
	if (likely(oi_death_put(t, h, p)))
		oi_death_count(t, h, p);
	else
		oi_death_free(t, h, p);
}

#endif
