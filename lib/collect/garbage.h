/* garbage.h - what a collection found dead: watches, finalizers, resurrection, clearing. */
#ifndef OI_GARBAGE_H
#define OI_GARBAGE_H

#include "base/urcu.h"
#include "base/vector.h"
#include "world/object.h"
#include "world/thread.h"
#include "world/world.h"

struct oi_watch;
struct oi_work;

enum oi_garbage_phase {
	OI_GARBAGE_WATCHES,
	OI_GARBAGE_FINALIZERS,
	OI_GARBAGE_CHECK,
	OI_GARBAGE_CLEAR,
	OI_GARBAGE_DESTROY
};

struct oi_garbage {
	struct cds_list_head link;
	/* what the thread had in hand before: a finalizer may collect */
	struct oi_garbage *outer;
	/* headers; each bears GARBAGE and one reference, the collector's */
	struct oi_vector objects;
	enum oi_garbage_phase phase;
	size_t cursor;            /* the next object of the phase */
	/* of an object with many items, at the cursor: the next whose references are dropped */
	size_t item;
	/* one more than the index of the object whose clear or destroy was called last */
	size_t called;
	struct oi_watch *watches; /* of the object at the cursor, still to run */
	bool has_callbacks;       /* some object has a finalizer, destroy, clear or a watch */
	bool finalized;           /* a finalizer ran: its objects may have been seen from outside */
	int generation;
	uint64_t stamp;           /* while it is queued: Note [TICKET] */
	/* what the collection that found it examined, and how long that took */
	size_t n_examined;
	uint64_t found_ns;
	struct oi_stops stops; /* which it made */
	/*
	 * its objects, and the bytes they occupy: what it counts for from when it is queued until
	 * it is done with
	 */
	size_t n_waiting, bytes;
	size_t n_dead;            /* the result: unreachable and not resurrected */
};

/*
 * There is no malloc here, nor elsewhere on the library's threads: the child of a fork could find
 * the allocator locked.
 */
struct oi_garbage *oi_garbage_new(int generation);
void oi_garbage_free(struct oi_garbage *g);
void oi_garbage_shutdown(void);
/*
 * It goes into the hand of @t, where the child of a fork finds it should @t vanish. That is done
 * while it is empty, in the stop that fills it, or under the lock of the queue that it leaves. It
 * stays there until it is queued, worked on to its end, or put away (empty). Hands are stacks: a
 * finalizer may collect.
 */
void oi_garbage_take_in_hand(struct oi_thread *t, struct oi_garbage *g);
void oi_garbage_put_away(struct oi_thread *t, struct oi_garbage *g);
/*
 * Declares @h garbage; it is or will be on the list. It is dead, and its weak references have
 * expired: the world is stopped, or @h is committed (candidate.h) and this thread inside its gate.
 * Only a thread that leaves may be merging it at the same time, to the same sum. own is stored
 * last: the flag of a candidate stands for GARBAGE until then. Model: halves.pml.
 */
OI_INLINE void oi_garbage_declare(struct oi_garbage *g, struct oi_header *h)
{
	uint32_t shared = oi_load_acquire(&h->shared); /* [C1] */
	/* elsewhere: its owner does not touch it */
	uint32_t local = shared & OI_MERGED ? 0 : oi_load_relaxed(&h->local);
	/* elsewhere: own, below; one is the collector's */
	oi_store_relaxed(&h->shared, (shared + (local + 1) * OI_ONE) | OI_MERGED);
	/* elsewhere: own, below */
	oi_store_relaxed(&h->flags,
			 (uint8_t)(oi_flags(h) | OI_FLAG_GARBAGE | OI_FLAG_SEALED));
	oi_store_release(&h->own, (uint16_t)OI_OWN_MERGED); /* [K2] */
	if (oi_has_callbacks(h))
		g->has_callbacks = true;
}
/*
 * Likewise, inside the gate of @t, for a candidate that is dead since the commit, like all that
 * bear the flag now, and is silent, as all of @g are: also drops its references to others, which is
 * what the phase CLEAR does.
 */
void oi_garbage_declare_and_clear(struct oi_thread *t, struct oi_garbage *g, struct oi_header *h);
bool oi_garbage_reserve(struct oi_garbage *g, size_t n);
/*
 * Works on it, on this thread, outside the gate, serving: at most *budget finalizers and watches,
 * which it counts down, and @quantum objects cleared or destroyed (SIZE_MAX: all). Returns true if
 * all is done: it is gone then, and *n_dead says how many died.
 */
bool oi_garbage_work(struct oi_thread *t, struct oi_garbage *g, size_t *budget, size_t quantum,
		     size_t *n_dead);

/*
 * Statistics: objects that collections of that generation found unreachable, and that were not
 * resurrected.
 */
uint64_t oi_garbage_dead(int generation);
void oi_garbage_reset_statistics(void);

/* What automatic collections left: for the reaper, or for ouro_run_finalizers. */
void oi_garbage_queue(struct oi_thread *t, struct oi_garbage *g);
/*
 * Works on the oldest whose stamp is below @before; returns false if there is none. @budget: as
 * above. @w: for what dies of it by count.
 */
bool oi_garbage_serve(struct oi_thread *t, size_t *budget, uint64_t before, struct oi_work w);
bool oi_garbage_any_before(uint64_t before);
bool oi_garbage_any_queued(void);
uint32_t oi_garbage_queued(void);
/* The innermost in the hand of @t is queued again, where it was: a callback did not return. */
void oi_garbage_put_back(struct oi_thread *t);
/* In the child of a fork, for a thread that vanished: what it worked on is queued again, first. */
void oi_garbage_inherit(struct oi_thread *t);

#endif
