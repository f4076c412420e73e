/*
 * count.c - biased reference counting
 *
 * The layout and the states are in object.h. Who moves the shared word:
 *   biased -> QUEUED   a foreign release that takes the count below 0 (oi_release_foreign); this
 *                      happens once. For a published object the release notices it only afterwards.
 *                      Until then the count alone says so, and a thread that merges the object, and
 *                      finds that no reference is left, has a dead object on its hands
 *   biased -> MERGED   the owner whose local count reaches 0 (oi_merge_zero); merge.c, for a queued
 *                      object, for the objects of a thread that leaves, and ahead of deaths
 *   MERGED -> DEAD     the thread that takes the count to 0 and wins the exchange 0 -> DEAD. A
 *                      failed exchange means that another thread got a reference in between and
 *                      will see to it. This "sticky zero" (Anderson, Blelloch, Wei 2021) lets an
 *                      attempt to retain be one fetch_add instead of a loop.
 * Orders: every atomic decrement of shared is acquire-release [C1]: what a thread did to the object
 * happens before its last decrement, and the thread that carries out the death has seen all of
 * them. (The decrements that are plain are of objects that nobody else can find.) A thread that
 * holds a reference increments relaxed. An attempt to retain is acquire-release, since it may have
 * to be taken back; its pointer came by an acquire [S1], [W1].
 * A foreign release of a published object touches it after its own decrement (to set DEAD or
 * QUEUED). Others may have revived and killed it meanwhile, but the memory of a published object
 * waits for a grace period, and this thread is inside the gate. Others cannot revive an
 * unpublished object.
 */
#include "count/count.h"

#include "base/log.h"
#include "count/death.h"
#include "count/merge.h"
#include "heap/candidate.h"
#include "heap/check.h"
#include "world/context.h"

void oi_local_spill(struct oi_header *h)
{
	oi_assert_at_rest(oi_self);
	uint32_t old = oi_add_relaxed(&h->shared, OI_LOCAL_MAX / 2 * OI_ONE); /* count */
	oi_store_relaxed(&h->local, OI_LOCAL_MAX - OI_LOCAL_MAX / 2); /* owner */
	if (unlikely(oi_shared_count(old) > OI_COUNT_MAX))
		oi_saturate(h);
}

void oi_make_immortal(struct oi_header *h)
{
	oi_before_mutation(h);
	/* count: it only picks the one thread that goes on */
	if (oi_or_acq_rel(&h->flags, (uint8_t)OI_FLAG_IMMORTAL) & OI_FLAG_IMMORTAL)
		return;
	/* count: never given back, for operations that have not seen the mark yet: Note [SEEN] */
	oi_add_relaxed(&h->shared, OI_IMMORTAL_BIAS * OI_ONE);
	uint16_t own = oi_load_relaxed(&h->own); /* recheck: by the exchange */
	while (!oi_cas(&h->own, &own, (uint16_t)OI_OWN_IMMORTAL))
		;
}

void oi_saturate(struct oi_header *h)
{
	if (!(oi_flags(h) & OI_FLAG_IMMORTAL))
		oi_log(
		    "the reference count of a \"%s\" at %p saturated: it is immortal from now on",
		    oi_type_of(h)->name, oi_object_of(h));
	oi_make_immortal(h);
}

/*
 * For an object whose own is neither merged nor a thread's key. Returns true if it is immortal, and
 * hence not counted (a stale view only counts once too often); false if it was a candidate of a
 * collection, which is rescued here, or is dying.
 */
static OI_NOINLINE bool diverted(struct oi_header *h)
{
	if (oi_owner_of(h) == OI_OWN_IMMORTAL)
		return true;
	oi_before_mutation(h);
	return false;
}

bool oi_try_diverted(struct oi_header *h, enum oi_tried *tried)
{
	bool immortal = oi_owner_of(h) == OI_OWN_IMMORTAL;
	*tried = immortal ? OI_TRIED_OK : OI_TRIED_DYING;
	return immortal || !oi_before_mutation(h);
}

void oi_retain_foreign(struct oi_header *h)
{
	oi_assert_at_rest(oi_self);
	if (unlikely(oi_load_relaxed(&h->own) > OI_OWN_KEY_MAX) && diverted(h)) /* count */
		return;
	uint32_t old = oi_add_relaxed(&h->shared, OI_ONE); /* count: the caller holds a reference */
	if (unlikely(oi_shared_count(old) > OI_COUNT_MAX))
		oi_saturate(h);
}

/*
 * Called after this thread took the count of a merged object to 0; returns true if it won the
 * object's death. If the object is DEAD already, its death was won before: the reference came from
 * its finalizer, whose end decides (death.c).
 */
static bool win_death(struct oi_header *h, uint32_t zero)
{
	return !(zero & OI_DEAD) && oi_cas(&h->shared, &zero, zero | OI_DEAD); /* [C1] */
}

static bool release_merged(struct oi_header *h, uint32_t s)
{
	/* elsewhere: the acquire that read s shows it */
	if (s == (OI_MERGED | OI_ONE) && !oi_load_relaxed(&h->published)) {
		/* owner: nobody else can find it; 9.0 ns, 11.4 with a read-modify-write */
		oi_store_relaxed(&h->shared, OI_MERGED | OI_DEAD);
		return true;
	}
	uint32_t old = oi_sub_acq_rel(&h->shared, OI_ONE); /* [C1] */
	if (likely(oi_shared_count(old) != 1))
		return false;
	return win_death(h, old - OI_ONE);
}

/*
 * The count of a biased object went below 0: the owner's half may make up for it, or the object may
 * be dead. Unless another thread has merged it meanwhile, or queued it, or counted up, it goes to
 * the owner's queue, with a reference.
 */
static OI_NOINLINE bool queue_negative(struct oi_thread *t, struct oi_header *h)
{
	uint32_t s = oi_load_acquire(&h->shared); /* [C1] */
	do
		if ((s & (OI_MERGED | OI_QUEUED)) || oi_shared_count(s) >= 0)
			return false;
	while (!oi_cas(&h->shared, &s, (s + OI_ONE) | OI_QUEUED)); /* [C1] */
	return oi_merge_queue(t, h);
}

/*
 * For a published object one subtraction, which found @old, is enough: this thread may touch the
 * object afterwards, since its memory waits for a grace period.
 */
static bool after_published(struct oi_thread *t, struct oi_header *h, uint32_t old)
{
	int32_t n = oi_shared_count(old);
	if (likely(n > 1))
		return false;
	oi_perturb();
	if (old & OI_MERGED)
		return n == 1 && win_death(h, old - OI_ONE);
	return n <= 0 && !(old & OI_QUEUED) && queue_negative(t, h);
}

bool oi_release_foreign(struct oi_thread *t, struct oi_header *h)
{
	oi_assert_inside(t);
	if (unlikely(oi_load_relaxed(&h->own) > OI_OWN_KEY_MAX)) { /* count */
		if (diverted(h))
			return false;
		if (oi_load_relaxed(&h->own) == t->key) /* owner: it was a candidate */
			return oi_release(t, h);
	}
	oi_touch(h);
	if (oi_load_relaxed(&h->published)) /* recheck: a stale 0 takes the longer way */
		return after_published(t, h, oi_sub_acq_rel(&h->shared, OI_ONE)); /* [C1] */
	uint32_t s = oi_load_acquire(&h->shared), next; /* [C1] */
	do {
		if (s & OI_MERGED)
			return release_merged(h, s);
		if (oi_shared_count(s) <= 0 && !(s & OI_QUEUED))
			next = s | OI_QUEUED; /* the reference moves to the owner's queue */
		else
			next = s - OI_ONE;
		oi_perturb();
	} while (!oi_cas(&h->shared, &s, next)); /* [C1] */
	if ((next & OI_QUEUED) && !(s & OI_QUEUED))
		return oi_merge_queue(t, h);
	return false;
}

/* The owner's last reference is gone; others have or had some. */
static OI_NOINLINE bool merge_zero_shared(struct oi_thread *t, struct oi_header *h)
{
	uint32_t s = oi_load_acquire(&h->shared), next; /* [C1] */
	do
		next = s | OI_MERGED | (oi_shared_count(s) == 0 && !(s & OI_QUEUED) ? OI_DEAD : 0);
	while (!oi_cas(&h->shared, &s, next)); /* [C1] */
	if (next & OI_DEAD) {
		oi_store_relaxed(&h->own, OI_OWN_MERGED); /* owner: it is this thread's alone now */
		return true;
	}
	/*
	 * Others may count in shared now, and even free the block, which writes own: so no plain
	 * store.
	 */
	oi_merge_disown(h, t->key);
	if (unlikely((next & OI_QUEUED) && oi_shared_count(next) == 1))
		return oi_merge_recover(t, h); /* all that is left waits in our own queue */
	return false;
}

bool oi_merge_zero(struct oi_thread *t, struct oi_header *h)
{
	oi_assert_inside(t);
	uint32_t s = oi_load_acquire(&h->shared); /* [C1] */
	if (unlikely(s))
		return merge_zero_shared(t, h);
	/*
	 * Unless it was published, nobody else has a reference or can find one: it dies without an
	 * atomic.
	 */
	if (!oi_load_relaxed(&h->published)) /* elsewhere: the acquire that read s shows it */
		oi_store_relaxed(&h->shared, OI_MERGED | OI_DEAD); /* owner */
	else if (unlikely(!oi_cas(&h->shared, &s, OI_MERGED | OI_DEAD))) /* [C1] */
		return merge_zero_shared(t, h);
	oi_store_relaxed(&h->own, OI_OWN_MERGED); /* owner: this thread's alone now */
	return true;
}

enum oi_tried oi_try_dead_or_saturated(struct oi_header *h, uint32_t added_to)
{
	if (!(added_to & OI_DEAD)) {
		oi_saturate(h);
		return OI_TRIED_OK;
	}
	oi_perturb();
	uint32_t old = oi_sub_acq_rel(&h->shared, OI_ONE); /* [C1] */
	/* It may have been resurrected in between, and this may have become its last reference. */
	if (unlikely(!(old & OI_DEAD) && oi_shared_count(old) == 1) && win_death(h, old - OI_ONE))
		return OI_TRIED_LAST;
	return OI_TRIED_DYING;
}

/* ---- public ---- */

/*
 * Retain and release are a handful of instructions around one add, and need no stack frame:
 * whatever else may have to be done is a tail call (6.5 -> 4 ns for the two by the owner).
 */

/* Returns true if the object is not counted at all. False for a candidate: diverted rescues it. */
OI_INLINE bool is_immortal(const struct oi_header *h)
{
	return oi_load_relaxed(&h->own) == OI_OWN_IMMORTAL; /* count */
}

/* Inside the gate, which these four leave. */
static OI_NOINLINE void *retain_leaving(struct oi_thread *t, struct oi_header *h)
{
	oi_retain(t, h);
	oi_gate_leave(t);
	return oi_object_of(h);
}

static OI_NOINLINE void *retain_saturated(struct oi_thread *t, struct oi_header *h)
{
	oi_saturate(h);
	oi_gate_leave(t);
	return oi_object_of(h);
}

static OI_NOINLINE void *retain_diverted(struct oi_thread *t, struct oi_header *h)
{
	if (!is_immortal(h))
		return retain_leaving(t, h);
	oi_gate_leave(t);
	return oi_object_of(h);
}

static OI_NOINLINE void *retain_foreign(void *obj, struct oi_thread *t)
{
	struct oi_header *h = oi_header_of(obj);
	uint16_t own = oi_load_relaxed(&h->own); /* count */
	if (unlikely(own > OI_OWN_KEY_MAX) || unlikely(own == t->key))
		return retain_diverted(t, h);
	if (likely(oi_load_relaxed(&h->published))) /* recheck: a stale 0 is not remembered */
		oi_see(t, h);
	uint32_t old = oi_add_relaxed(&h->shared, OI_ONE); /* count: the caller holds a reference */
	if (unlikely(oi_shared_count(old) > OI_COUNT_MAX))
		return retain_saturated(t, h);
	oi_gate_leave(t);
	return oi_object_of(h);
}

/* Inside the gate, which these leave. t->seen is @h: Note [SEEN]. */
static OI_NOINLINE void *retain_plenty(struct oi_thread *t, struct oi_header *h, uint32_t old)
{
	t->seen = NULL;
	if (oi_shared_count(old) > OI_COUNT_MAX)
		oi_saturate(h);
	oi_gate_leave(t);
	return oi_object_of(h);
}

static OI_NOINLINE void *retain_seen(void *obj, struct oi_thread *t)
{
	struct oi_header *h = oi_header_of(obj);
	if (!oi_seen_holds(t))
		return retain_foreign(obj, t);
	uint32_t old = oi_add_relaxed(&h->shared, OI_ONE); /* count: the caller holds a reference */
	if (unlikely(oi_shared_count(old) > OI_SEEN_MAX))
		return retain_plenty(t, h, old);
	oi_gate_leave(t);
	return oi_object_of(h);
}

/* The public calls inside the gate, which they leave; one body for either way in. */
OI_INLINE void *retain(struct oi_thread *t, void *obj)
{
	struct oi_header *h = oi_header_of(obj);
	oi_check_live(h, "ouro_retain");
	if (unlikely(t->seen == obj))
		return retain_seen(obj, t);
	if (unlikely(!oi_retain_fast(t, h)))
		return retain_foreign(obj, t);
	oi_gate_leave(t);
	return obj;
}

static OI_NOINLINE void *retain_slow(void *obj)
{
	return retain(oi_gate_come(), obj);
}

void *ouro_retain(void *obj)
{
	struct oi_thread *t = oi_mine;
	if (unlikely(!obj))
		return NULL;
	return likely(oi_gate_try_enter(t)) ? retain(t, obj) : retain_slow(obj);
}

OI_NOINLINE void oi_release_leaving(void *obj, struct oi_thread *t)
{
	struct oi_header *h = oi_header_of(obj);
	oi_assert_inside(t);
	if (oi_release(t, h))
		oi_death_inside(t, h);
	else
		oi_gate_leave(t);
}

OI_NOINLINE void oi_release_last(void *obj, struct oi_thread *t)
{
	struct oi_header *h = oi_header_of(obj);
	oi_assert_inside(t);
	bool counted = oi_load_acquire(&h->shared) != 0; /* [C1] */
	/* elsewhere: that acquire shows whether it was published */
	if (likely(!counted) && !oi_load_relaxed(&h->published))
		oi_death_private(t, h); /* nobody else has a reference or can find one */
	else if (likely(!counted) && likely(oi_release_only(h)))
		oi_death_inside(t, h);
	else
		oi_release_leaving(obj, t);
}

static OI_NOINLINE void release_low(struct oi_thread *t, struct oi_header *h, uint32_t old)
{
	if (after_published(t, h, old))
		oi_death_inside(t, h);
	else
		oi_gate_leave(t);
}

static OI_NOINLINE void release_diverted(struct oi_thread *t, struct oi_header *h)
{
	if (is_immortal(h))
		oi_gate_leave(t);
	else
		oi_release_leaving(oi_object_of(h), t);
}

/* It was never in a slot. Tries once where it is simple; else oi_release_leaving does it. */
static OI_NOINLINE void release_unpublished(struct oi_thread *t, struct oi_header *h)
{
	uint32_t s = oi_load_acquire(&h->shared); /* [C1] */
	if ((s & OI_MERGED) && release_merged(h, s))
		oi_death_inside(t, h);
	else if ((s & OI_MERGED) ||
		 (oi_shared_count(s) > 0 && oi_cas(&h->shared, &s, s - OI_ONE))) /* [C1] */
		oi_gate_leave(t);
	else
		oi_release_leaving(oi_object_of(h), t);
}

OI_NOINLINE void oi_release_foreign_leaving(void *obj, struct oi_thread *t)
{
	struct oi_header *h = oi_header_of(obj);
	oi_assert_inside(t);
	if (unlikely(oi_load_relaxed(&h->own) > OI_OWN_KEY_MAX)) { /* count */
		release_diverted(t, h);
		return;
	}
	oi_touch(h);
	if (!oi_load_relaxed(&h->published)) { /* recheck */
		release_unpublished(t, h);
		return;
	}
	uint32_t old = oi_sub_acq_rel(&h->shared, OI_ONE); /* [C1] */
	if (likely(oi_shared_count(old) > 1))
		oi_gate_leave(t);
	else
		release_low(t, h, old);
}

/* Few are left, or so many that it may be immortal. */
static OI_NOINLINE void release_seldom(struct oi_thread *t, struct oi_header *h, uint32_t old)
{
	if (oi_shared_count(old) > OI_SEEN_MAX) {
		t->seen = NULL;
		oi_gate_leave(t);
	} else {
		release_low(t, h, old);
	}
}

OI_NOINLINE void oi_release_seen(void *obj, struct oi_thread *t)
{
	struct oi_header *h = oi_header_of(obj);
	oi_assert_inside(t);
	if (!oi_seen_holds(t)) {
		t->seen = NULL;
		oi_release_leaving(obj, t);
		return;
	}
	uint32_t old = oi_sub_acq_rel(&h->shared, OI_ONE); /* [C1] */
	if (likely((uint32_t)oi_shared_count(old) - 2 <= OI_SEEN_MAX - 2))
		oi_gate_leave(t);
	else
		release_seldom(t, h, old);
}

OI_INLINE void release(struct oi_thread *t, void *obj)
{
	oi_check_release(oi_header_of(obj), "ouro_release");
	if (oi_release_fast(t, obj))
		oi_gate_leave(t);
}

static OI_NOINLINE void release_slow(void *obj)
{
	release(oi_gate_come(), obj);
}

void ouro_release(void *obj)
{
	struct oi_thread *t = oi_mine;
	if (unlikely(!obj))
		return;
	if (likely(oi_gate_try_enter(t)))
		release(t, obj);
	else
		release_slow(obj);
}

/* Inside the gate, which these leave: the end of an attempt to retain. */
OI_NOINLINE void *oi_tried(struct oi_thread *t, struct oi_header *h, enum oi_tried how)
{
	if (unlikely(how == OI_TRIED_LAST))
		oi_death_leaving(t, h);
	else
		oi_gate_leave(t);
	return how == OI_TRIED_OK ? oi_object_of(h) : NULL;
}

static OI_NOINLINE void *try_leaving(struct oi_thread *t, struct oi_header *h)
{
	return oi_tried(t, h, oi_try_retain(t, h));
}

static OI_NOINLINE void *try_dead_or_saturated(struct oi_thread *t, struct oi_header *h,
					       uint32_t old)
{
	return oi_tried(t, h, oi_try_dead_or_saturated(h, old));
}

/* A count below 0 comes here, too: there is nothing odd about it. */
enum oi_tried oi_try_seen_odd(struct oi_thread *t, struct oi_header *h, uint32_t old)
{
	if (oi_shared_count(old) > OI_SEEN_MAX)
		t->seen = NULL;
	return oi_dead_or_saturated(old) ? oi_try_dead_or_saturated(h, old) : OI_TRIED_OK;
}

OI_NOINLINE void *oi_tried_seen(struct oi_thread *t, struct oi_header *h, uint32_t old)
{
	return oi_tried(t, h, oi_try_seen_odd(t, h, old));
}

OI_NOINLINE void *oi_try_foreign_leaving(struct oi_thread *t, struct oi_header *h)
{
	oi_assert_inside(t);
	uint16_t own = oi_load_relaxed(&h->own); /* count */
	if (unlikely(own > OI_OWN_KEY_MAX) || unlikely(own == t->key))
		return try_leaving(t, h);
	oi_see(t, h); /* it came from a slot or an entry, and is published */
	uint32_t old = oi_add_acq_rel(&h->shared, OI_ONE); /* [C1] */
	if (oi_dead_or_saturated(old))
		return try_dead_or_saturated(t, h, old);
	oi_gate_leave(t);
	return oi_object_of(h);
}

OI_INLINE void *try_retain(struct oi_thread *t, void *obj)
{
	struct oi_header *h = oi_header_of(obj);
	oi_check_object(h, "ouro_try_retain");
	if (unlikely(oi_flags(h) & OI_FLAG_GARBAGE))
		return oi_tried(t, h, OI_TRIED_DYING);
	if (unlikely(!oi_retain_fast(t, h)))
		return oi_try_foreign_leaving(t, h);
	oi_gate_leave(t);
	return obj;
}

static OI_NOINLINE void *try_slow(void *obj)
{
	return try_retain(oi_gate_come(), obj);
}

void *ouro_try_retain(void *obj)
{
	struct oi_thread *t = oi_mine;
	if (unlikely(!obj))
		return NULL;
	return likely(oi_gate_try_enter(t)) ? try_retain(t, obj) : try_slow(obj);
}

size_t ouro_refcount(const void *obj)
{
	if (!obj)
		return 0;
	struct oi_thread *t = oi_enter();
	struct oi_header *h = oi_header_of(obj);
	oi_check_live(h, "ouro_refcount");
	int64_t n = oi_references(h);
	if (oi_flags(h) & (OI_FLAG_FINALIZING | OI_FLAG_GARBAGE))
		n--; /* the finalizer's, or the collector's */
	if (oi_load_relaxed(&h->shared) & OI_QUEUED) /* count: a snapshot */
		n--; /* the program has given that one back already */
	oi_gate_leave(t);
	if (oi_flags(h) & OI_FLAG_IMMORTAL)
		return SIZE_MAX;
	return n > 0 ? (size_t)n : 0;
}

void ouro_immortalize(void *obj)
{
	if (!obj)
		return;
	struct oi_thread *t = oi_enter();
	struct oi_header *h = oi_header_of(obj);
	oi_check_live(h, "ouro_immortalize");
	oi_publish(h);
	oi_make_immortal(h);
	oi_gate_leave(t);
}
