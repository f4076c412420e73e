/*
 * death.c - carrying out deaths
 *
 * The order for one object: weak references and watches, finalizer (which may resurrect it),
 * children released, clear, weak cells emptied, destroy, memory. Children that die on the way do
 * not recurse: they are pushed onto the thread's stack of dead objects, which the outermost death
 * works off, so that stack use does not depend on the structure. An object with many items is done
 * in slices of 1024, its frame (object, next item) waiting below the children.
 *
 * Past release_batch objects the rest of the stack waits (backlog.c), so that the delay of the
 * caller is bounded. User code runs outside the gate, with no lock held; objects without callbacks
 * are dismantled inside the gate, which is left every 64 objects to let a stop pass.
 *
 * A finalizer runs with DEAD set, so that weak references and attempts to retain fail, and with one
 * reference of its own. What it stores or retains counts on top. If that is the only reference left
 * afterwards, the death goes on; if not, DEAD is taken back, and the object is resurrected.
 * FINALIZED keeps the finalizer from running again.
 */
#include "count/death.h"

#include "count/backlog.h"
#include "count/cascade.h"
#include "count/count.h"
#include "count/delay.h"
#include "count/stray.h"
#include "count/ticket.h"
#include "count/sample.h"
#include "count/watch.h"
#include "count/weak.h"
#include "heap/limbo.h"
#include "heap/pace.h"
#include "heap/type.h"
#include "world/callback.h"
#include "world/context.h"
#include "world/gate.h"

#define QUIET_SLICE 64 /* a slice of items counts for so many objects that run no user code */
#define ITEM_SLICE OI_CURSOR_UNIT

/* ---- the stack of the thread: pairs of object and cursor ---- */

static bool push(struct oi_thread *t, struct oi_header *h, size_t cursor)
{
	return oi_backlog_push_own(t, h, cursor);
}

void oi_death_later(struct oi_thread *t, struct oi_header *h)
{
	oi_assert_inside(t);
	if (unlikely(!push(t, h, 0)))
		oi_stray_death(h, 0);
	if (unlikely(t->in_callback))
		oi_backlog_arm(t);
}

/* ---- user code ---- */

void oi_call(struct oi_thread *t, void (*fn)(void *obj), struct oi_header *h)
{
	oi_callback(t, fn, oi_object_of(h), oi_type_of(h));
	if (t->internal)
		oi_delay_progress();
}

void oi_death_expire(struct oi_thread *t, struct oi_header *h, struct oi_watch **watches)
{
	oi_assert_outside(t);
	if (oi_flags(h) & OI_FLAG_WEAK)
		oi_weak_sever(t, h, watches);
	while (*watches)
		oi_watch_run_one(t, watches);
}

void oi_death_destroy(struct oi_thread *t, struct oi_header *h, struct oi_watch **watches,
		      size_t *note, size_t called)
{
	oi_assert_outside(t);
	const ouro_type *type = oi_type_of(h);
	bool due = *note != called;
	if (type->weaks.n || type->item_weaks.n)
		oi_clear_weaks(h, type);
	oi_death_expire(t, h, watches);
	if (due && unlikely(oi_described(h)->sampled))
		oi_sample_died(h);
	*note = called;
	if (due && type->destroy)
		oi_call(t, type->destroy, h);
}

void oi_death_finalize(struct oi_thread *t, struct oi_header *h)
{
	t->in_finalizer++;
	oi_call(t, oi_type_of(h)->finalize, h);
	t->in_finalizer--;
}

/*
 * The finalizer is over. Returns true if the object was resurrected, and hence is no longer in
 * hand. It happens within one gate, so that the child of a fork finds either a death to go on with
 * or a living object.
 */
static bool decide_resurrection(struct oi_thread *t, struct oi_header *h)
{
	oi_gate_enter(t);
	/* owner: only this thread sets or clears the bit */
	oi_and_acq_rel(&h->flags, (uint8_t)~OI_FLAG_FINALIZING);
	uint32_t s = oi_load_acquire(&h->shared), next; /* [C1] */
	do {
		next = s - OI_ONE; /* the finalizer's */
		if (oi_shared_count(s) > 1)
			next &= ~(uint32_t)OI_DEAD;
	} while (!oi_cas(&h->shared, &s, next)); /* [C1] */
	if (!(next & OI_DEAD))
		t->hand = NULL;
	oi_gate_leave(t);
	return !(next & OI_DEAD);
}

static void finalize(struct oi_thread *t, struct oi_header *h)
{
	oi_gate_enter(t);
	/* owner: only this thread sets or clears these bits */
	oi_or_acq_rel(&h->flags, (uint8_t)(OI_FLAG_FINALIZED | OI_FLAG_FINALIZING));
	oi_add_acq_rel(&h->shared, OI_ONE); /* [C1] the finalizer's */
	oi_gate_leave(t);
	oi_death_finalize(t, h);
}

/* ---- children ---- */

/*
 * Inside the gate. Releases a slice of the object's references. Returns true if that was all; else
 * a frame for the rest was pushed below the children of this slice, so that they go first and the
 * stack stays small.
 */
static bool release_children(struct oi_thread *t, struct oi_header *h, const ouro_type *type,
			     size_t cursor)
{
	oi_assert_inside(t);
	if (cursor == 0)
		oi_visit_fixed(h, oi_described(h), oi_death_release, t);
	if (likely(!type->item_slots.n))
		return true;
	size_t n = oi_items(h, type), end = n;
	if (n - cursor > ITEM_SLICE && push(t, h, cursor + ITEM_SLICE))
		end = cursor + ITEM_SLICE;
	oi_visit_items((char *)oi_object_of(h) + type->size, cursor, end, type, oi_death_release,
		       t);
	return end == n;
}

/* ---- the end ---- */

void oi_death_free(struct oi_thread *t, struct oi_header *h, const struct oi_page *p, bool recycle)
{
	oi_assert_inside(t);
	oi_death_count(t, h, p);
	oi_death_mark(h);
	bool walked = oi_heap_walked() && p->tracked;
	/* elsewhere: the release that won the death shows it [C1] */
	if (oi_recycles() && !walked && (recycle || !oi_load_relaxed(&h->published)))
		oi_block_free(t, h);
	else if (unlikely(!oi_limbo_put(&t->limbo, h, p->block_size)) && !oi_limbo_add(t, h))
		oi_stray_block(h);
}

/*
 * Outside the gate. Weak references and the finalizer; returns false if the object was resurrected.
 */
static bool begin(struct oi_thread *t, struct oi_header *h, const ouro_type *type)
{
	oi_assert_outside(t);
	oi_death_expire(t, h, &t->hand_watches);
	uint8_t flags = oi_flags(h);
	if (!type->finalize ||
	    (flags & (OI_FLAG_FINALIZED | OI_FLAG_FINALIZING)) == OI_FLAG_FINALIZED)
		return true;
	if (!(flags & OI_FLAG_FINALIZING)) /* else it did not return */
		finalize(t, h);
	return !decide_resurrection(t, h);
}

/*
 * The steps of an object that is dismantled outside the gate. What a thread has in hand, and how
 * far it has come, is kept in its record for two cases: the thread vanishes in the child of a fork,
 * or a callback does not return. Then the reaper goes on; a callback that had begun counts as done.
 * A cursor of AT_STEP or more names a step; the last one is OI_AT_WATCHES (backlog.h).
 */
enum { STEP_CLEAR, STEP_DESTROY, STEP_FREE };
#define AT_STEP (OI_AT_WATCHES - 1 - STEP_FREE)

static void take_in_hand(struct oi_thread *t, struct oi_header *h, size_t cursor)
{
	t->hand_cursor = cursor;
	t->hand = h;
}

static void dismantle_from(struct oi_thread *t, struct oi_header *h, const ouro_type *type,
			   size_t step)
{
	take_in_hand(t, h, AT_STEP + (step > STEP_DESTROY ? step : STEP_DESTROY));
	if (unlikely(type->flags & OURO_TRAVERSE_CONCURRENT))
		oi_await_traverse(h);
	if (step == STEP_CLEAR && type->clear)
		oi_call(t, type->clear, h);
	oi_death_destroy(t, h, &t->hand_watches, &t->hand_cursor, AT_STEP + STEP_FREE);
	oi_gate_enter(t);
	oi_death_free_counted(t, h, false);
	t->hand = NULL;
	oi_gate_leave(t);
}

/*
 * Inside the gate. Callbacks of an object of @type come next, and what is on the stack waits for
 * them.
 */
static void arm_for(struct oi_thread *t, const ouro_type *type)
{
	if (oi_backlog_any_frames(t) && oi_type_has_callbacks(type))
		oi_backlog_arm(t);
}

/*
 * Outside the gate. Dismantles, step by step, the object in hand, which has callbacks, weak
 * references or cells.
 */
static void dismantle(struct oi_thread *t, struct oi_header *h, const ouro_type *type,
		      size_t cursor)
{
	if (unlikely(cursor >= AT_STEP)) {
		dismantle_from(t, h, type, cursor - AT_STEP);
		return;
	}
	if (cursor == 0 && !begin(t, h, type))
		return;
	oi_gate_enter(t);
	bool done = release_children(t, h, type, cursor);
	take_in_hand(t, done ? h : NULL, AT_STEP + STEP_CLEAR);
	if (done)
		arm_for(t, type);
	oi_gate_leave(t);
	if (done)
		dismantle_from(t, h, type, STEP_CLEAR);
}

void oi_death_resume(struct oi_thread *t, struct oi_header *h, size_t cursor)
{
	oi_assert_inside(t);
	oi_assert_dying(t);
	bool pushed = push(t, h, cursor), at_once = !pushed && t->dying == 1 && !t->hand;
	if (at_once)
		take_in_hand(t, h, cursor);
	else if (!pushed)
		oi_stray_death(h, cursor);
	oi_gate_leave(t);
	if (at_once)
		dismantle(t, h, oi_type_of(h), cursor);
}

/*
 * Inside the gate. Takes the next object that must be dismantled outside it into the thread's hand;
 * returns NULL if there is none for now.
 */
static struct oi_header *next_in_hand(struct oi_thread *t, struct oi_work *w)
{
	size_t cursor;
	struct oi_header *h = oi_cascade(t, &w->left, &cursor);
	if (!h)
		return NULL;
	bool watches = unlikely(cursor == OI_AT_WATCHES);
	size_t counts = !w->callbacks && !watches && oi_type_of(h)->item_slots.n ? QUIET_SLICE : 1;
	w->left -= w->left < counts ? w->left : counts;
	if (unlikely(!w->callbacks) && (watches || oi_has_callbacks(h))) {
		oi_backlog_pass_on(t, h, cursor);
		return NULL;
	}
	if (watches) {
		t->hand_watches = (struct oi_watch *)h;
		h = oi_watch_resume(t->hand_watches, &cursor);
	}
	take_in_hand(t, h, cursor);
	if (watches || (oi_flags(h) & OI_FLAG_WEAK))
		oi_backlog_arm(t);
	else
		arm_for(t, oi_type_of(h));
	return h;
}

/*
 * Works the stack off, and looks into it only inside the gate (backlog.c). What is left in the end
 * waits.
 */
static void work(struct oi_thread *t, struct oi_work w)
{
	oi_assert_outside(t);
	oi_assert_dying(t);
	size_t n = w.left;
	do {
		oi_gate_enter(t);
		struct oi_header *h = w.left ? next_in_hand(t, &w) : NULL;
		if (unlikely(!w.left) && !h && oi_backlog_any_frames(t))
			oi_backlog_keep(t, w.hands_over);
		oi_gate_leave(t);
		if (h)
			dismantle(t, h, oi_type_of(h), t->hand_cursor);
	} while (oi_backlog_any_frames(t));
	t->n_dismantled += n - w.left;
}

void oi_death_begin(struct oi_thread *t)
{
	uint32_t dying = t->dying;
	oi_store_release(&t->dying, dying + 1); /* [D1] pairs with flush.c */
	if (!dying) {
		t->n_dismantled = 0;
		/*
		 * [D3] acquire: pairs with the flush that counted it up, so that this loop is not
		 * taken for one that began before.
		 */
		oi_store_relaxed(&t->stamp, oi_load_acquire(&oi_ticket.now));
	}
}

/* The outermost loop ends: what it leaves is in its queue. */
static void note_end(struct oi_thread *t)
{
	/* recheck: a flush looks twice, with a fence between */
	if (likely(t->stamp == oi_load_relaxed(&oi_ticket.now)))
		return;
	oi_add_relaxed(&oi_ticket.n_objects, (uint64_t)t->n_dismantled); /* count */
	oi_add_acq_rel(&oi_ticket.n_ended, UINT64_C(1)); /* [D2] */
}

void oi_death_settle(struct oi_thread *t, struct oi_work w)
{
	if (oi_backlog_any_frames(t))
		work(t, w);
}

static void count_down(struct oi_thread *t)
{
	if (t->dying == 1) {
		note_end(t);
		oi_store_relaxed(&t->deaths.armed, false); /* owner: nothing is left of it */
	}
	oi_store_release(&t->dying, t->dying - 1); /* [D1] */
}

void oi_death_end(struct oi_thread *t, struct oi_work w)
{
	if (t->dying == 1)
		oi_death_settle(t, w);
	count_down(t);
}

void oi_death_unwind(struct oi_thread *t, uint32_t dying, uint32_t serving)
{
	if (t->dying && !dying)
		note_end(t);
	oi_store_release(&t->dying, dying); /* [D1] */
	oi_store_release(&t->n_served, t->n_served + t->serving - serving); /* [D1] */
	oi_store_release(&t->serving, serving);
}

void oi_serve_begin(struct oi_thread *t)
{
	oi_store_release(&t->serving, t->serving + 1); /* [D1] */
	oi_death_begin(t);
}

void oi_serve_end(struct oi_thread *t, struct oi_work w)
{
	oi_death_end(t, w);
	oi_store_release(&t->n_served, t->n_served + 1); /* [D1] */
	oi_store_release(&t->serving, t->serving - 1);
}

void oi_death_release_aside(struct oi_thread *t, struct oi_header *h)
{
	oi_gate_enter(t);
	if (oi_release(t, h))
		oi_backlog_hand_over(h, OI_STAMP_NEW);
	oi_gate_leave(t);
}

void oi_death_leaving(struct oi_thread *t, struct oi_header *h)
{
	oi_death_begin(t);
	oi_death_later(t, h);
	oi_gate_leave(t);
	oi_point("death: on the stack");
	if (unlikely(t->callback != NULL))
		oi_callback_check(t);
	oi_death_end(t, oi_work_of_release());
}

/* ---- deaths that are over before their operation is ---- */

/*
 * The object's memory is given back. Leaves the gate, and goes on with the children that died with
 * it.
 */
OI_INLINE void leave(struct oi_thread *t)
{
	if (likely(!oi_backlog_any_frames(t))) {
		oi_gate_leave(t);
		return;
	}
	oi_death_begin(t);
	oi_gate_leave(t);
	oi_death_end(t, oi_work_of_release());
}

/* Returns true if the object refers to nothing: it has no slots, or all are NULL. */
OI_INLINE bool is_leaf(struct oi_header *h, const struct oi_type *d)
{
	void **obj = oi_object_of(h);
	unsigned n = d->n_slots;
	if (unlikely(n == OI_SLOTS_MANY))
		return false;
	for (unsigned i = 0; i < n; i++)
		if (oi_load_acquire(&obj[d->slot[i]])) /* [S1] */
			return false;
	return true;
}

static OI_NOINLINE void flush_and_leave(struct oi_thread *t)
{
	oi_pace_flush(t);
	oi_gate_leave(t);
}

/*
 * An object that refers to nothing is gone, and added nothing to the stack: so there is nothing to
 * go on with.
 */
OI_INLINE void leave_leaf(struct oi_thread *t, bool tracked)
{
	if (tracked && oi_pace_count_freed(t))
		flush_and_leave(t);
	else
		oi_gate_leave(t);
}

/* Like leave_leaf, for an object whose block nobody can have used again yet. */
OI_INLINE void leave_noted(struct oi_thread *t, const struct oi_header *h, const struct oi_page *p)
{
	if (!p->tracked) {
		oi_gate_leave(t);
		return;
	}
	oi_death_note_age(t, h, p);
	leave_leaf(t, true);
}

/*
 * What follows is inlined twice: for an object that others may know, which is DEAD, and for a
 * private one, which is not yet. An object that refers to nothing leaves only its block behind: for
 * it these need no stack frame, as in count.c.
 */
static OI_NOINLINE void private_leaving(struct oi_thread *t, struct oi_header *h)
{
	oi_store_relaxed(&h->local, 0u); /* owner */
	oi_store_relaxed(&h->own, OI_OWN_MERGED); /* owner */
	oi_store_relaxed(&h->shared, OI_MERGED | OI_DEAD); /* owner */
	oi_death_leaving(t, h);
}

OI_INLINE void die_node(struct oi_thread *t, struct oi_header *h, bool private)
{
	oi_visit_fixed(h, oi_described(h), oi_death_release, t);
	oi_death_free_counted(t, h, private);
	leave(t);
}

static OI_NOINLINE void inside_node(struct oi_thread *t, struct oi_header *h)
{
	die_node(t, h, false);
}

static OI_NOINLINE void private_node(struct oi_thread *t, struct oi_header *h)
{
	die_node(t, h, true);
}

static OI_NOINLINE void die_leaf(struct oi_thread *t, struct oi_header *h, const struct oi_page *p)
{
	bool tracked = p->tracked; /* read first: the page may go with the block */
	if (tracked)
		oi_death_note_age(t, h, p);
	oi_death_free(t, h, p, false);
	leave_leaf(t, tracked);
}

OI_INLINE void die(struct oi_thread *t, struct oi_header *h, bool private)
{
	oi_assert_inside(t);
	const struct oi_type *d = oi_described(h);
	uint8_t flags = oi_flags(h);
	if (!oi_dies_inside(d, flags) || unlikely(t->dying)) {
		private ? private_leaving(t, h) : oi_death_leaving(t, h);
		return;
	}
	struct oi_page *p = oi_page_of(h);
	oi_keep(p);
	if (!is_leaf(h, d) || unlikely(flags & OI_FLAG_FROZEN)) {
		private ? private_node(t, h) : inside_node(t, h);
	} else if (unlikely(!oi_death_put(t, h, p, private))) {
		die_leaf(t, h, p);
	} else {
		if (private) /* not large: those are nobody's own */
			oi_own_add(&t->freed.n[p->bin], 1);
		else
			oi_tally_add(&t->freed, p);
		leave_noted(t, h, p);
	}
}

void oi_death_inside(struct oi_thread *t, struct oi_header *h)
{
	die(t, h, false);
}

void oi_death_private(struct oi_thread *t, struct oi_header *h)
{
	die(t, h, true);
}

void oi_death_quietly(struct oi_thread *t, void **h, size_t n, uint64_t stamp)
{
	oi_assert_inside(t);
	oi_death_begin(t);
	oi_hand_takes(t, stamp);
	for (size_t i = 0; i < n; i++)
		oi_death_later(t, h[i]);
	if (t->dying == 1) {
		oi_gate_leave(t);
		oi_death_settle(t, oi_work_quietly(OI_QUIET_MOST));
		oi_point("drained");
		oi_gate_enter(t); /* still in a death: nothing is drained on the way */
	}
	count_down(t);
}

void oi_death_catch_up(struct oi_thread *t, size_t n)
{
	oi_assert_not_dying(t);
	oi_assert_inside(t);
	oi_serve_begin(t);
	oi_backlog_take_back(t);
	oi_gate_leave(t);
	oi_serve_end(t, oi_work_quietly(n));
	oi_gate_enter(t);
}
