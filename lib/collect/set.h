/*
 * set.h - a set of objects that a collection found dead: watches, finalizers, resurrection,
 * clearing.
 */
#ifndef OI_SET_H
#define OI_SET_H

#include "base/urcu.h"
#include "base/vector.h"
#include "world/object.h"
#include "world/thread.h"

struct oi_watch;
struct oi_work;

enum oi_set_phase { OI_SET_WATCHES, OI_SET_FINALIZERS, OI_SET_CHECK, OI_SET_CLEAR, OI_SET_DESTROY };

struct oi_set {
	struct cds_list_head link;
	/* what the thread had in hand before this set: a finalizer may collect */
	struct oi_set *outer;
	/* headers; each bears GARBAGE and one reference of the set's, the hold */
	struct oi_vector objects;
	enum oi_set_phase phase;
	size_t cursor;            /* the next object of the phase */
	/* of an object with many items, at the cursor: the next whose references are dropped */
	size_t item;
	/* one more than the index of the object whose clear or destroy was called last */
	size_t called;
	struct oi_watch *watches; /* of the object at the cursor, still to run */
	bool has_callbacks;       /* some member has a finalizer, destroy, clear or a watch */
	bool finalized;           /* a finalizer ran: members may have been seen from outside */
	int generation;
	uint64_t stamp;           /* while it is queued: Note [TICKET] */
	/* what the collection that found it examined, and how long that took */
	size_t n_examined;
	uint64_t found_ns;
	/*
	 * members, and the bytes they occupy: what the set counts for from when it is queued until
	 * it is over
	 */
	size_t n_waiting, bytes;
	size_t n_dead;            /* the result: unreachable and not resurrected */
};

/*
 * There is no malloc here, nor elsewhere on the library's threads: the child of a fork could find
 * the allocator locked.
 */
struct oi_set *oi_set_new(int generation);
void oi_set_free(struct oi_set *s);
void oi_set_shutdown(void);
/*
 * The set goes into the hand of @t, where the child of a fork finds it should @t vanish. That is
 * done while the set is empty, in the stop that fills it, or under the lock of the queue that it
 * leaves. It stays there until it is queued, worked on to its end, or put away (empty). Hands are
 * stacks: a finalizer may collect.
 */
void oi_set_take_in_hand(struct oi_thread *t, struct oi_set *s);
void oi_set_put_away(struct oi_thread *t, struct oi_set *s);
/*
 * Condemns @h, which is or will be on the list. It is dead, and its weak references have expired:
 * the world is stopped, or @h is committed (candidate.h) and this thread inside its gate. Only a
 * thread that leaves may be merging it at the same time, to the same sum. own is stored last: the
 * flag of a candidate stands for GARBAGE until then. Model: halves.pml.
 */
OI_INLINE void oi_set_condemn(struct oi_set *s, struct oi_header *h)
{
	uint32_t shared = oi_load_acquire(&h->shared); /* [C1] */
	/* elsewhere: its owner does not touch it */
	uint32_t local = shared & OI_MERGED ? 0 : oi_load_relaxed(&h->local);
	/* elsewhere: own, below; one is the hold */
	oi_store_relaxed(&h->shared, (shared + (local + 1) * OI_ONE) | OI_MERGED);
	/* elsewhere: own, below */
	oi_store_relaxed(&h->flags,
			 (uint8_t)(oi_flags(h) | OI_FLAG_GARBAGE | OI_FLAG_SEALED));
	oi_store_release(&h->own, (uint16_t)OI_OWN_MERGED); /* [K2] */
	if (oi_has_callbacks(h))
		s->has_callbacks = true;
}
bool oi_set_reserve(struct oi_set *s, size_t n);
/*
 * Works on a set, on this thread, outside the gate, serving: at most *budget finalizers and
 * watches, which it counts down, and @quantum objects cleared or destroyed (SIZE_MAX: all). Returns
 * true if the set is done: it is gone then, and *n_dead says how many died.
 */
bool oi_set_work(struct oi_thread *t, struct oi_set *s, size_t *budget, size_t quantum,
		 size_t *n_dead);

/* Statistics: objects of that generation's sets that were unreachable, and not resurrected. */
uint64_t oi_set_dead(int generation);
void oi_set_reset_statistics(void);

/* The sets that automatic collections left: for the reaper, or for ouro_run_finalizers. */
void oi_set_queue(struct oi_thread *t, struct oi_set *s);
/*
 * Works on the oldest set whose stamp is below @before; returns false if there is none. @budget: as
 * above. @w: for what dies of it by count.
 */
bool oi_set_serve(struct oi_thread *t, size_t *budget, uint64_t before, struct oi_work w);
bool oi_set_any_before(uint64_t before);
bool oi_set_any_queued(void);
uint32_t oi_set_queued(void);
/* The innermost set in the hand of @t is queued again, where it was: a callback did not return. */
void oi_set_put_back(struct oi_thread *t);
/*
 * In the child of a fork, for a thread that vanished: the sets it worked on are queued again,
 * first.
 */
void oi_set_inherit(struct oi_thread *t);

#endif
