/*
 * slot.c - strong references inside objects and globals
 *
 * [S1] Putting a reference into a slot is a release, reading it an acquire: what was written to the object before it was
 * stored is seen by whoever loads it. A slot holds one counted reference; taking the pointer out moves that reference.
 * Reading and counting are two steps: between them the slot's reference may go, and the object die. Its memory stays,
 * since it was published and the reader is inside the gate; oi_try_retain then says no, and the slot is read again.
 * Model: tests/models/slot.pml.
 */
#include "candidate.h"
#include "check.h"
#include "count.h"
#include "death.h"

/* Drops a reference, and leaves the gate. */
OI_INLINE void release(struct oi_thread *t, void *obj)
{
	if (unlikely(oi_release(t, oi_header_of(obj))))
		oi_death_inside(t, oi_header_of(obj));
	else
		oi_gate_leave(t);
}

static void bury(struct oi_thread *t, struct oi_header *h)
{
	oi_gate_leave(t);
	oi_death(t, h);
	oi_gate_enter(t);
}

/*
 * The object in the slot is dying. If its finalizer runs, storing it there is its resurrection, and the slot's reference is
 * as good as any: a count taken now is covered by it if the slot still holds the object afterwards, and if it came before the
 * decision (which ends FINALIZING first, then looks at the count), or the decision was for life.
 */
static bool retain_finalizing(struct oi_thread *t, void **slot, struct oi_header *h)
{
	oi_add_acq_rel(&h->shared, OI_ONE);
	oi_perturb();
	bool counted = (oi_load_acquire(&h->flags) & OI_FLAG_FINALIZING) || !(oi_load_acquire(&h->shared) & OI_DEAD); /* [C1] */
	if (counted && oi_load_acquire(slot) == oi_object_of(h)) /* [S1] */
		return true;
	if (oi_release_foreign(t, h))
		bury(t, h);
	return false;
}

static OI_NOINLINE void *load_again(struct oi_thread *t, void **slot, void *obj, enum oi_tried tried)
{
	for (;;) {
		struct oi_header *h = oi_header_of(obj);
		bool finalizing = oi_flags(h) & OI_FLAG_FINALIZING;
		if (tried == OI_TRIED_LAST)
			bury(t, h);
		else if (finalizing && (oi_perturb(), retain_finalizing(t, slot, h)))
			return obj;
		void *now = oi_load_acquire(slot); /* [S1] */
		if (!now || (now == obj && tried == OI_TRIED_DYING && !finalizing))
			return NULL; /* the latter: the slot lies in an object that is dying itself */
		tried = oi_try_retain(t, oi_header_of(now));
		if (tried == OI_TRIED_OK)
			return now;
		obj = now;
	}
}

void *ouro_slot_load(void *slot)
{
	struct oi_thread *t = oi_enter();
	oi_check_slot(slot, "ouro_load");
	void *obj = oi_load_acquire((void **)slot); /* [S1] */
	if (obj) {
		enum oi_tried tried = oi_try_retain(t, oi_header_of(obj));
		if (unlikely(tried != OI_TRIED_OK))
			obj = load_again(t, slot, obj, tried);
	}
	oi_gate_leave(t);
	return obj;
}

static void replace(struct oi_thread *t, void *slot, void *obj)
{
	void *old = oi_exchange((void **)slot, obj); /* [S1] */
	if (old)
		release(t, old);
	else
		oi_gate_leave(t);
}

void ouro_slot_store(void *slot, void *obj)
{
	struct oi_thread *t = oi_enter();
	oi_check_slot_write(slot, "ouro_store");
	if (obj) {
		oi_check_live(oi_header_of(obj), "ouro_store");
		oi_publish(oi_header_of(obj));
		oi_retain(t, oi_header_of(obj));
	}
	replace(t, slot, obj);
}

void ouro_slot_give(void *slot, void *obj)
{
	struct oi_thread *t = oi_enter();
	oi_check_slot_write(slot, "ouro_give");
	if (obj) {
		oi_check_live(oi_header_of(obj), "ouro_give");
		oi_publish(oi_header_of(obj));
	}
	replace(t, slot, obj);
}

/* A reference has left a slot, uncounted: a collection that counted it there must hear of it. Leaves the gate. */
OI_INLINE void *taken(struct oi_thread *t, void *obj)
{
	if (obj)
		oi_event_on(oi_header_of(obj));
	oi_gate_leave(t);
	return obj;
}

void *ouro_slot_take(void *slot)
{
	struct oi_thread *t = oi_enter();
	oi_check_slot_write(slot, "ouro_take");
	return taken(t, oi_exchange((void **)slot, NULL)); /* [S1] */
}

void *ouro_slot_exchange(void *slot, void *obj)
{
	struct oi_thread *t = oi_enter();
	oi_check_slot_write(slot, "ouro_exchange");
	if (obj) {
		oi_check_live(oi_header_of(obj), "ouro_exchange");
		oi_publish(oi_header_of(obj));
	}
	return taken(t, oi_exchange((void **)slot, obj)); /* [S1] */
}

bool ouro_slot_compare_exchange(void *slot, const void *expected, void *obj)
{
	struct oi_thread *t = oi_enter();
	oi_check_slot_write(slot, "ouro_compare_exchange");
	if (obj) {
		oi_check_live(oi_header_of(obj), "ouro_compare_exchange");
		oi_publish(oi_header_of(obj));
		oi_retain(t, oi_header_of(obj));
	}
	void *old = (void *)expected;
	bool done = oi_cas((void **)slot, &old, obj); /* [S1] */
	void *drop = done ? (void *)expected : obj;
	if (drop)
		release(t, drop);
	else
		oi_gate_leave(t);
	return done;
}

void *ouro_slot_peek(const void *slot)
{
	oi_check_pinned("ouro_peek");
	return oi_load_acquire((void *const *)slot); /* [S1] */
}
