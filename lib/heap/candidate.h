/*
 * candidate.h - objects that a concurrent collection takes for garbage, and how a mutator saves one
 *
 * Note [CANDIDATE]. Such a collection (commit.c) flags its candidates in the header word
 * (OI_OWN_CANDIDATE), which sends every operation on them the slow way. Later it decides, by one
 * compare-and-swap of the commit word, that all that still bear the flag are dead. In between, a
 * mutation of a flagged object (its count goes up or down, or a reference to it leaves a slot)
 * rescues it. States of the commit word and who moves it:
 *   IDLE  -> OPEN    the collection, before its last handshake
 *   OPEN  -> DIRTY   a mutator, before it takes a flag away [K1]
 *   DIRTY -> OPEN    the collection, which then looks at what was rescued, behind another handshake
 *   OPEN  -> DEAD    the collection [K1]: whatever bears the flag is dead from here on
 *   DEAD  -> IDLE    the collection, when nobody can find the dead any more
 *   OPEN, DIRTY -> IDLE  the collection, which gave up, when nothing bears the flag any more
 * These are no mutations: reading a slot; putting a reference that one has into a slot; merging the
 * two halves of a count, as the collection reads them so that it cannot miss one (oi_references).
 * The reference that a merge queue then gives back did not come from a candidate; if the object
 * dies of that, the check finds it dying.
 * An operation looks at the flag inside its gate. Flags are set before a handshake, oi_grace_wait,
 * that waits for every gate that was entered earlier [G3] [G4]; every operation after it sees them.
 * A thread that wipes a flag out by storing over it began before that handshake, and the
 * collection, which looks after it, takes the object for rescued.
 * [K1] The commit word: release by whoever moves it, acquire by whoever looks: a rescue that saw
 * OPEN or DIRTY comes before the collection's next look at the log. [K2] The flag, in own: by
 * compare-and-swap on both sides.
 * Models: tests/models/commit.pml, halves.pml.
 */
#ifndef OI_CANDIDATE_H
#define OI_CANDIDATE_H

#include "world/object.h"

enum { OI_COMMIT_IDLE, OI_COMMIT_OPEN, OI_COMMIT_DIRTY, OI_COMMIT_DEAD };

#define OI_RESCUE_LOG 4096

struct oi_candidates {
	/* ---- written rarely, read often ---- */
	/* If set, memory of traversable objects, dead ones too, stays what it is inside a gate. */
	uint32_t walking;
	uint32_t commit;
	uint32_t door; /* futex: closed if not 0, Note [DOOR] */
	/* ---- rescues ---- */
	/* If there are more than the log holds, they are found by looking at all candidates. */
	uint64_t n_rescued __attribute__((aligned(OI_LINE)));
	struct oi_header *rescued[OI_RESCUE_LOG];
};
extern struct oi_candidates oi_candidates OI_HIDDEN;

OI_INLINE bool oi_is_candidate(const struct oi_header *h)
{
	return oi_load_acquire(&h->own) & OI_OWN_CANDIDATE; /* [K2] */
}

/* Returns own without the flag. */
OI_INLINE uint16_t oi_owner_of(const struct oi_header *h)
{
	return oi_load_relaxed(&h->own) & (uint16_t)~OI_OWN_CANDIDATE; /* recheck */
}

/* Returns true if @h is dead since the commit, though nothing but the flag says so yet. */
OI_INLINE bool oi_is_committed(const struct oi_header *h)
{
	return oi_is_candidate(h) &&
	       oi_load_acquire(&oi_candidates.commit) == OI_COMMIT_DEAD; /* [K1] */
}

/*
 * Takes the flag away, and notes that for the collection. Returns false if it is too late: the
 * object is dead, and only an uncounted pointer can have led there.
 */
OI_COLD bool oi_rescue(struct oi_header *h);

/* Inside the gate, or in a stop, before a mutation of @h. Returns false as oi_rescue does. */
OI_INLINE bool oi_before_mutation(struct oi_header *h)
{
	return likely(!oi_is_candidate(h)) || oi_rescue(h);
}

/*
 * Returns true if an upgrade of @h, perhaps a candidate, has to wait: Note [DOOR]. [K3] release by
 * the collection, acquire here.
 */
OI_INLINE bool oi_is_shut_out(const struct oi_header *h)
{
	return unlikely(oi_load_acquire(&oi_candidates.door)) && oi_is_candidate(h); /* [K3] */
}

/* Outside the gate. Waits until the door is open, for 2 ms at most. */
OI_COLD void oi_door_wait(void);

/* Called by the collection: takes the flag away. */
void oi_unflag(struct oi_header *h);

/* Inside the gate, or in a stop. Returns true if a collection walks the heap. */
OI_INLINE bool oi_heap_walked(void)
{
	/*
	 * That it is set, the handshake shows; if it seems set, oi_page_keep looks again. That it
	 * is cleared, this does, and so that what the walk looked at may be overwritten.
	 */
	return unlikely(oi_load_acquire(&oi_candidates.walking)); /* [G7] */
}

#endif
