/*
 * count.h - retain and release, with the fast paths inline for the library's own use. All are
 * called inside the gate.
 */
#ifndef OI_COUNT_H
#define OI_COUNT_H

#include "count/merge.h"
#include "world/gate.h"
#include "world/object.h"

OI_COLD void oi_local_spill(struct oi_header *h);
void oi_retain_foreign(struct oi_header *h);
/*
 * These and oi_release return true if that was the last reference: the object is DEAD, and the
 * caller must carry out its death (death.h).
 */
bool oi_release_foreign(struct oi_thread *t, struct oi_header *h);
bool oi_merge_zero(struct oi_thread *t, struct oi_header *h);
OI_COLD void oi_saturate(struct oi_header *h);
void oi_make_immortal(struct oi_header *h);

/*
 * Returns the number of references in both halves. It is exact if nobody changes them; beside
 * mutators, if there is no mutation of the object meanwhile: a merge leaves local as it is, so the
 * sum is right whether the two are read before the merge or after it (model halves).
 */
OI_INLINE int64_t oi_references(const struct oi_header *h)
{
	uint32_t s = oi_load_acquire(&h->shared); /* [C1] */
	return oi_shared_count(s) +
	       (s & OI_MERGED ? INT64_C(0) : (int64_t)oi_load_acquire(&h->local)); /* [C1] */
}

/*
 * By the owner, which adds to local: only the owner, and a thread that keeps it outside its gate,
 * write there.
 */
OI_INLINE void oi_retain_owned(struct oi_header *h)
{
	uint32_t local = oi_load_relaxed(&h->local) + 1u; /* owner */
	oi_store_relaxed(&h->local, local);
	if (unlikely(local == OI_LOCAL_MAX))
		oi_local_spill(h);
}

OI_INLINE void oi_retain(struct oi_thread *t, struct oi_header *h)
{
	oi_gate_check(t);
	if (likely(oi_load_relaxed(&h->own) == t->key)) /* owner: equal only if we wrote it */
		oi_retain_owned(h);
	else
		oi_retain_foreign(h);
}

OI_INLINE bool oi_release(struct oi_thread *t, struct oi_header *h)
{
	oi_gate_check(t);
	if (unlikely(oi_load_relaxed(&h->own) != t->key)) /* owner */
		return oi_release_foreign(t, h);
	uint32_t local = oi_load_relaxed(&h->local) - 1; /* owner */
	oi_store_relaxed(&h->local, local);
	if (likely(local && !(oi_load_relaxed(&h->shared) & OI_QUEUED))) /* recheck */
		return false;
	return local ? oi_merge_recover(t, h) : oi_merge_zero(t, h);
}

/*
 * Note [SEEN]. An operation on another thread's object reads own, in a line that some processor has
 * just written, and then asks for that line again, to add to shared. Between the two the line may
 * go elsewhere: two transfers for one operation. So a thread remembers one object that it has seen
 * to be published and to bear neither its key nor a mark in own, and the epoch that its gate held
 * then. While the world's epoch is that, it counts the object in shared without another look.
 * States of the memory, which only its thread moves: nothing; (object, epoch). It is stale as soon
 * as the epoch is another one, and is then forgotten where it would be used.
 * Until then nothing has changed that an operation must know:
 *   its memory   a published object is not used again before a grace period is over that began
 *                after this operation entered its gate (or a stop, which is one)
 *   the flag of a candidate  may be there, but an operation need not see it before the handshake
 *   merged, dead the old value of shared says so
 *   immortal     IMMORTAL_BIAS in the old value says so
 *   its owner    is another thread, as own only ever names whoever made the object. (If it were
 *                this one: the owner may count in shared like all others.)
 * The epoch is looked at after the gate was entered, since what entering stored may be old: whoever
 * begins a grace period stores the epoch, then looks at the gates; this thread stores its gate,
 * then looks at the epoch: Note [GATE]. It is the world's epoch also if the thread is pinned: what
 * ouro_pin stored may have been old, too. [G3] acquire, with the read-modify-writes of the epoch.
 * Model: tests/models/seen.pml.
 */
OI_INLINE bool oi_seen_holds(const struct oi_thread *t)
{
	return likely(oi_load_acquire(&oi_world.epoch) == t->seen_epoch); /* [G3] */
}

/* Inside the gate; own of @h is neither this thread's key nor beyond OI_OWN_KEY_MAX. */
OI_INLINE void oi_see(struct oi_thread *t, struct oi_header *h)
{
	oi_touch(h); /* for the releases that do not look: [U1] */
	t->seen = oi_object_of(h);
	t->seen_epoch = oi_load_relaxed(&t->gate); /* owner */
}

/* t->seen is @obj. Leaves the gate, like those below. */
void oi_release_seen(void *obj, struct oi_thread *t);

/*
 * Like oi_retain and oi_release, but only where that is a plain add; for functions that do without
 * a stack frame, and leave the rarer cases to a tail call. They return false if they did nothing.
 */
OI_INLINE bool oi_retain_fast(struct oi_thread *t, struct oi_header *h)
{
	uint32_t local = oi_load_relaxed(&h->local); /* owner */
	if (unlikely(oi_load_acquire(&h->own) != t->key) || /* owner: if equal, it is not dead */
	    unlikely(local == OI_LOCAL_MAX - 1))
		return false;
	oi_point("retain: owned");
	oi_store_relaxed(&h->local, local + 1); /* owner */
	return true;
}

OI_INLINE bool oi_release_own(struct oi_thread *t, struct oi_header *h)
{
	uint32_t local = oi_load_relaxed(&h->local) - 1; /* owner */
	if (unlikely(oi_load_relaxed(&h->own) != t->key) || unlikely(!local) || /* owner */
	    unlikely(oi_load_relaxed(&h->shared) & OI_QUEUED)) /* recheck */
		return false;
	oi_store_relaxed(&h->local, local); /* owner */
	return true;
}

/*
 * By the owner, of a published object of which local is 1. Returns true if that was its only
 * reference: it is DEAD, as after oi_release; false if nothing was done.
 */
OI_INLINE bool oi_release_only(struct oi_header *h)
{
	uint32_t none = 0;
	oi_point("release: only");
	if (unlikely(!oi_cas(&h->shared, &none, OI_MERGED | OI_DEAD))) /* [C1] */
		return false;
	oi_store_relaxed(&h->local, 0u); /* owner: it is this thread's alone now */
	oi_store_relaxed(&h->own, OI_OWN_MERGED); /* owner */
	return true;
}

/*
 * These leave the gate, and carry out the death if that was the last reference. @obj is the first
 * parameter, as it is the first of the public calls: it need not be moved to get here.
 */
void oi_release_foreign_leaving(void *obj, struct oi_thread *t); /* own is not t->key */
void oi_release_last(void *obj, struct oi_thread *t); /* local is 1 */
void oi_release_leaving(void *obj, struct oi_thread *t);

/*
 * Returns true if the count was lowered and the caller must leave the gate; false if one of the
 * three above did both.
 */
OI_INLINE bool oi_release_fast(struct oi_thread *t, void *obj)
{
	struct oi_header *h = oi_header_of(obj);
	if (unlikely(t->seen == obj))
		return oi_release_seen(obj, t), false;
	if (unlikely(oi_load_relaxed(&h->own) != t->key)) /* owner */
		return oi_release_foreign_leaving(obj, t), false;
	uint32_t local = oi_load_relaxed(&h->local) - 1; /* owner */
	if (unlikely(!local))
		return oi_release_last(obj, t), false;
	if (unlikely(oi_load_relaxed(&h->shared) & OI_QUEUED)) /* recheck */
		return oi_release_leaving(obj, t), false;
	oi_store_relaxed(&h->local, local); /* owner */
	return true;
}

/*
 * What came of an attempt to retain through an uncounted pointer. OI_TRIED_DYING: no reference was
 * got, the object is dying. OI_TRIED_LAST: likewise, and when this thread took its attempt back it
 * dropped the last reference: it must carry out the death.
 */
enum oi_tried { OI_TRIED_OK, OI_TRIED_DYING, OI_TRIED_LAST };
/*
 * @old is what shared was before this thread added one. Returns true if oi_try_dead_or_saturated
 * must follow.
 */
OI_INLINE bool oi_dead_or_saturated(uint32_t old)
{
	return unlikely(old & OI_DEAD) || unlikely(oi_shared_count(old) > OI_COUNT_MAX);
}
/* If the object was DEAD, takes the added one back; else the count saturates. */
OI_COLD enum oi_tried oi_try_dead_or_saturated(struct oi_header *h, uint32_t old);

/*
 * For an object whose own is neither merged nor a key. Returns true if that settles the attempt;
 * *tried then says how.
 */
OI_COLD bool oi_try_diverted(struct oi_header *h, enum oi_tried *tried);

OI_INLINE enum oi_tried oi_try_retain_foreign(struct oi_header *h)
{
	enum oi_tried tried;
	if (unlikely(oi_load_relaxed(&h->own) > OI_OWN_KEY_MAX) && /* count */
	    oi_try_diverted(h, &tried))
		return tried;
	uint32_t old = oi_add_acq_rel(&h->shared, OI_ONE); /* [C1] */
	return oi_dead_or_saturated(old) ? oi_try_dead_or_saturated(h, old) : OI_TRIED_OK;
}

/*
 * Inside the gate, which it leaves. For an object that is most likely another thread's. Returns
 * NULL if the object is dying.
 */
void *oi_try_foreign_leaving(struct oi_thread *t, struct oi_header *h);
/* Inside the gate, which it leaves: the end of an attempt. Returns NULL if it failed. */
void *oi_tried(struct oi_thread *t, struct oi_header *h, enum oi_tried how);

OI_INLINE enum oi_tried oi_try_retain(struct oi_thread *t, struct oi_header *h)
{
	if (oi_load_acquire(&h->own) == t->key) { /* owner: alive, and only we can merge it */
		oi_retain_owned(h);
		return OI_TRIED_OK;
	}
	return oi_try_retain_foreign(h);
}

/*
 * t->seen is @h, which may be dying. Adds one to shared and returns true, with what was there in
 * *@old; or forgets it and returns false.
 */
OI_INLINE bool oi_try_seen(struct oi_thread *t, struct oi_header *h, uint32_t *old)
{
	if (unlikely(!oi_seen_holds(t))) {
		t->seen = NULL;
		return false;
	}
	*old = oi_add_acq_rel(&h->shared, OI_ONE); /* [C1] */
	return true;
}

/* Returns true if nothing more is to be done about what was added to @old. */
OI_INLINE bool oi_is_even(uint32_t old)
{
	return likely((uint32_t)oi_shared_count(old) <= OI_SEEN_MAX) && likely(!(old & OI_DEAD));
}

OI_COLD enum oi_tried oi_try_seen_odd(struct oi_thread *t, struct oi_header *h, uint32_t old);
/* Leaves the gate. What was added is taken back if it was added to a dying object. */
void *oi_tried_seen(struct oi_thread *t, struct oi_header *h, uint32_t old);

#endif
