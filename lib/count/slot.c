/*
 * slot.c - strong references inside objects and globals
 *
 * [S1] Putting a reference into a slot is a release, reading it an acquire: what was written to the
 * object before it was stored is seen by whoever loads it. A slot holds one counted reference;
 * taking the pointer out moves that reference. Reading and counting are two steps: between them the
 * slot's reference may go, and the object die. Its memory stays, since it was published and the
 * reader is inside the gate; oi_try_retain then says no, and the slot is read again.
 * Model: tests/models/slot.pml.
 */
#include "base/os.h"
#include "count/count.h"
#include "count/death.h"
#include "count/loose.h"
#include "heap/candidate.h"
#include "heap/check.h"

/*
 * Each operation is written for objects of the thread's own, and then has no stack frame: whatever
 * else it meets is a tail call (as in count.c), to functions that leave the gate.
 */

static void let_die(struct oi_thread *t, struct oi_header *h)
{
	oi_death_leaving(t, h);
	oi_gate_enter(t);
}

/*
 * The object in the slot is dying. If its finalizer runs, storing it there is its resurrection, and
 * the slot's reference is as good as any: a count taken now is covered by it if the slot still
 * holds the object afterwards, and if it came before the decision (which ends FINALIZING first,
 * then looks at the count), or the decision was for life.
 */
static bool retain_finalizing(struct oi_thread *t, void **slot, struct oi_header *h)
{
	oi_add_acq_rel(&h->shared, OI_ONE); /* [C1] */
	oi_perturb();
	bool counted = (oi_load_acquire(&h->flags) & OI_FLAG_FINALIZING) || /* [C1] */
		       !(oi_load_acquire(&h->shared) & OI_DEAD);    /* [C1] */
	if (counted && oi_load_acquire(slot) == oi_object_of(h)) /* [S1] */
		return true;
	if (oi_release_foreign(t, h))
		let_die(t, h);
	return false;
}

/* What is known of an object that an attempt found dying, before its slot is read once more. */
struct dying {
	uint8_t flags;
	uint32_t shared;
};

static struct dying look_at(const struct oi_header *h)
{
	/* [C1] flags before shared: decide_resurrection changes them in that order */
	uint8_t flags = oi_load_acquire(&h->flags);
	return (struct dying){ flags, oi_load_acquire(&h->shared) }; /* [C1] */
}

/*
 * Called if the object is still in the slot. Returns true if it was dead for good, so that the slot
 * lies in an object that is dying itself. It was not if a finalizer, which may have stored it, has
 * begun since; and while the decision after a finalizer may be pending, the finalizer's reference
 * is in the count. (A count may also be another thread's attempt. Either is over soon.)
 */
static bool is_lost(const struct oi_header *h, struct dying d)
{
	if (!(d.shared & OI_DEAD) || (d.flags & OI_FLAG_FINALIZING))
		return false;
	if (d.flags & OI_FLAG_FINALIZED)
		return oi_shared_count(d.shared) == 0;
	return !(oi_load_acquire(&h->flags) & OI_FLAG_FINALIZED); /* [C1] */
}

static void back_off(unsigned *n)
{
	if (++*n % 64)
		oi_pause();
	else
		oi_sleep_ns(20000); /* the thread that we wait for may need this core */
}

static void *load_retry(struct oi_thread *t, void **slot, void *obj, enum oi_tried tried)
{
	for (unsigned n = 0;; back_off(&n)) {
		struct oi_header *h = oi_header_of(obj);
		oi_point("load: tried");
		struct dying d = look_at(h);
		if (tried == OI_TRIED_LAST)
			let_die(t, h);
		else if ((d.flags & OI_FLAG_FINALIZING) &&
			 (oi_perturb(), retain_finalizing(t, slot, h)))
			return obj;
		void *now = oi_load_acquire(slot); /* [S1] */
		if (!now || (now == obj && tried == OI_TRIED_DYING && is_lost(h, d)))
			return NULL;
		tried = oi_try_retain(t, oi_header_of(now));
		if (tried == OI_TRIED_OK)
			return now;
		obj = now;
	}
}

/* ---- loading ---- */

static OI_NOINLINE void *load_tried(void **slot, struct oi_thread *t, void *obj,
				    enum oi_tried tried)
{
	if (tried != OI_TRIED_OK)
		obj = load_retry(t, slot, obj, tried);
	oi_gate_leave(t);
	return obj;
}

static OI_NOINLINE void *load_leaving(void **slot, struct oi_thread *t, void *obj)
{
	return load_tried(slot, t, obj, oi_try_retain(t, oi_header_of(obj)));
}

static OI_NOINLINE void *load_dead_or_saturated(void **slot, struct oi_thread *t, void *obj,
						uint32_t old)
{
	return load_tried(slot, t, obj, oi_try_dead_or_saturated(oi_header_of(obj), old));
}

static OI_NOINLINE void *load_foreign(void **slot, struct oi_thread *t, void *obj)
{
	struct oi_header *h = oi_header_of(obj);
	oi_point("load: another's");
	uint16_t own = oi_load_relaxed(&h->own); /* count */
	if (unlikely(own > OI_OWN_KEY_MAX) || unlikely(own == t->key))
		return load_leaving(slot, t, obj);
	oi_see(t, h); /* what is in a slot is published */
	uint32_t old = oi_add_acq_rel(&h->shared, OI_ONE); /* [C1] */
	if (oi_dead_or_saturated(old))
		return load_dead_or_saturated(slot, t, obj, old);
	oi_gate_leave(t);
	return obj;
}

static OI_NOINLINE void *load_seen_odd(void **slot, struct oi_thread *t, void *obj, uint32_t old)
{
	return load_tried(slot, t, obj, oi_try_seen_odd(t, oi_header_of(obj), old));
}

/* t->seen is what the slot holds: Note [SEEN]. */
static OI_NOINLINE void *load_seen(void **slot, struct oi_thread *t, void *obj)
{
	uint32_t old;
	if (unlikely(!oi_try_seen(t, oi_header_of(obj), &old)))
		return load_leaving(slot, t, obj);
	if (!oi_is_even(old))
		return load_seen_odd(slot, t, obj, old);
	oi_gate_leave(t);
	return obj;
}

OI_INLINE void *load_slot(struct oi_thread *t, void **slot)
{
	oi_check_slot(slot, "ouro_load");
	void *obj = oi_load_acquire(slot); /* [S1] */
	if (unlikely(!obj))
		goto leave;
	if (unlikely(t->seen == obj))
		return load_seen(slot, t, obj);
	if (unlikely(!oi_retain_fast(t, oi_header_of(obj))))
		return load_foreign(slot, t, obj);
leave:
	oi_gate_leave(t);
	return obj;
}

static OI_NOINLINE void *load_slow(void **slot)
{
	return load_slot(oi_gate_come(), slot);
}

void *ouro_slot_load(void *slot)
{
	struct oi_thread *t = oi_mine;
	return likely(oi_gate_try_enter(t)) ? load_slot(t, slot) : load_slow(slot);
}

/* ---- storing ---- */

/* Before a reference goes into a slot. */
OI_INLINE void show(void *obj, const char *operation)
{
	(void)operation;
	oi_check_live(oi_header_of(obj), operation);
	oi_publish(oi_header_of(obj));
}

/* For an object that is not this thread's, or has one local reference. Leaves the gate. */
static OI_NOINLINE void drop_any(struct oi_thread *t, void *obj)
{
	const struct oi_header *h = oi_header_of(obj);
	bool seen = t->seen == obj;
	bool mine = !seen && oi_load_relaxed(&h->own) == t->key; /* owner */
	if (!mine || oi_load_relaxed(&h->shared)) /* recheck: else it dies */
		oi_loose(t, obj);
	if (seen)
		oi_release_seen(obj, t);
	else if (mine && oi_load_relaxed(&h->local) == 1) /* owner */
		oi_release_last(obj, t);
	else if (mine)
		oi_release_leaving(obj, t);
	else
		oi_release_foreign_leaving(obj, t);
}

/* What was noted goes to the collector. Leaves the gate. */
static OI_NOINLINE void hand_over(struct oi_thread *t)
{
	oi_loose_hand_over(t, OI_LOOSE);
	oi_gate_leave(t);
}

/* Drops @obj, which was in a slot, if it is not NULL, and leaves the gate. */
OI_INLINE void drop(struct oi_thread *t, void *obj)
{
	if (obj) {
		if (unlikely(t->seen == obj) ||
		    unlikely(!oi_release_own(t, oi_header_of(obj)))) {
			drop_any(t, obj);
			return;
		}
		if (oi_loose_note(t, obj)) {
			hand_over(t);
			return;
		}
	}
	oi_gate_leave(t);
}

OI_INLINE void replace(struct oi_thread *t, void *slot, void *obj)
{
	drop(t, oi_exchange((void **)slot, obj)); /* [S1] */
}

static OI_NOINLINE void store_retained(struct oi_thread *t, void *slot, void *obj)
{
	oi_retain(t, oi_header_of(obj));
	replace(t, slot, obj);
}

OI_INLINE void store(struct oi_thread *t, void *slot, void *obj)
{
	oi_check_slot_write(slot, "ouro_store");
	if (obj) {
		show(obj, "ouro_store");
		if (unlikely(!oi_retain_fast(t, oi_header_of(obj)))) {
			store_retained(t, slot, obj);
			return;
		}
	}
	replace(t, slot, obj);
}

static OI_NOINLINE void store_slow(void *slot, void *obj)
{
	store(oi_gate_come(), slot, obj);
}

void ouro_slot_store(void *slot, void *obj)
{
	struct oi_thread *t = oi_mine;
	if (likely(oi_gate_try_enter(t)))
		store(t, slot, obj);
	else
		store_slow(slot, obj);
}

OI_INLINE void give(struct oi_thread *t, void *slot, void *obj)
{
	oi_check_slot_write(slot, "ouro_give");
	if (obj)
		show(obj, "ouro_give");
	replace(t, slot, obj);
}

static OI_NOINLINE void give_slow(void *slot, void *obj)
{
	give(oi_gate_come(), slot, obj);
}

void ouro_slot_give(void *slot, void *obj)
{
	struct oi_thread *t = oi_mine;
	if (likely(oi_gate_try_enter(t)))
		give(t, slot, obj);
	else
		give_slow(slot, obj);
}

/* ---- taking ---- */

/*
 * A reference has left a slot, uncounted: a collection that counted it there must hear of it.
 * Leaves the gate.
 */
static OI_NOINLINE void *taken_others(struct oi_thread *t, void *obj)
{
	oi_touch(oi_header_of(obj));
	oi_before_mutation(oi_header_of(obj));
	oi_gate_leave(t);
	return obj;
}

static OI_NOINLINE void *taken_and_full(struct oi_thread *t, void *obj)
{
	hand_over(t);
	return obj;
}

OI_INLINE void *taken(struct oi_thread *t, void *obj)
{
	if (obj && unlikely(oi_load_acquire(&oi_header_of(obj)->own) != t->key)) /* [K2] */
		return taken_others(t, obj);
	if (obj && oi_loose_note(t, obj))
		return taken_and_full(t, obj);
	oi_gate_leave(t);
	return obj;
}

OI_INLINE void *exchange(struct oi_thread *t, void *slot, void *obj, const char *operation)
{
	oi_check_slot_write(slot, operation);
	if (obj)
		show(obj, operation);
	return taken(t, oi_exchange((void **)slot, obj)); /* [S1] */
}

static OI_NOINLINE void *exchange_slow(void *slot, void *obj, const char *operation)
{
	return exchange(oi_gate_come(), slot, obj, operation);
}

void *ouro_slot_take(void *slot)
{
	struct oi_thread *t = oi_mine;
	return likely(oi_gate_try_enter(t)) ? exchange(t, slot, NULL, "ouro_take")
					    : exchange_slow(slot, NULL, "ouro_take");
}

void *ouro_slot_exchange(void *slot, void *obj)
{
	struct oi_thread *t = oi_mine;
	return likely(oi_gate_try_enter(t)) ? exchange(t, slot, obj, "ouro_exchange")
					    : exchange_slow(slot, obj, "ouro_exchange");
}

/* ---- comparing ---- */

/* @obj is counted for the slot. Returns what must be dropped afterwards. */
OI_INLINE void *put_if(void *slot, const void *expected, void *obj, bool *done)
{
	void *old = (void *)expected;
	*done = oi_cas((void **)slot, &old, obj); /* [S1] */
	return *done ? (void *)expected : obj;
}

static OI_NOINLINE bool compared(struct oi_thread *t, void *dropped, bool done)
{
	drop(t, dropped);
	return done;
}

static OI_NOINLINE bool handed_over(struct oi_thread *t, bool done)
{
	hand_over(t);
	return done;
}

static OI_NOINLINE bool put_if_retained(struct oi_thread *t, void *slot, const void *expected,
					void *obj)
{
	bool done;
	if (obj)
		oi_retain(t, oi_header_of(obj));
	void *dropped = put_if(slot, expected, obj, &done);
	return compared(t, dropped, done);
}

OI_INLINE bool compare(struct oi_thread *t, void *slot, const void *expected, void *obj)
{
	bool done;
	oi_check_slot_write(slot, "ouro_compare_exchange");
	if (obj) {
		show(obj, "ouro_compare_exchange");
		if (unlikely(!oi_retain_fast(t, oi_header_of(obj))))
			return put_if_retained(t, slot, expected, obj);
	}
	void *dropped = put_if(slot, expected, obj, &done);
	if (dropped && unlikely(!oi_release_own(t, oi_header_of(dropped))))
		return compared(t, dropped, done);
	if (dropped && oi_loose_note(t, dropped))
		return handed_over(t, done);
	oi_gate_leave(t);
	return done;
}

static OI_NOINLINE bool compare_slow(void *slot, const void *expected, void *obj)
{
	return compare(oi_gate_come(), slot, expected, obj);
}

bool ouro_slot_compare_exchange(void *slot, const void *expected, void *obj)
{
	struct oi_thread *t = oi_mine;
	return likely(oi_gate_try_enter(t)) ? compare(t, slot, expected, obj)
					    : compare_slow(slot, expected, obj);
}

/* The caller's reference to @obj goes into the slot, or stays the caller's. */
OI_INLINE bool compare_give(struct oi_thread *t, void *slot, const void *expected, void *obj)
{
	void *old = (void *)expected;
	oi_check_slot_write(slot, "ouro_compare_give");
	if (obj)
		show(obj, "ouro_compare_give");
	bool done = oi_cas((void **)slot, &old, obj); /* [S1] */
	drop(t, done ? old : NULL);
	return done;
}

static OI_NOINLINE bool compare_give_slow(void *slot, const void *expected, void *obj)
{
	return compare_give(oi_gate_come(), slot, expected, obj);
}

bool ouro_slot_compare_give(void *slot, const void *expected, void *obj)
{
	struct oi_thread *t = oi_mine;
	return likely(oi_gate_try_enter(t)) ? compare_give(t, slot, expected, obj)
					    : compare_give_slow(slot, expected, obj);
}

void *ouro_slot_peek(const void *slot)
{
	oi_check_pinned("ouro_peek");
	return oi_load_acquire((void *const *)slot); /* [S1] */
}
