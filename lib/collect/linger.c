/*
 * linger.c - garbage that only weak upgrades keep, which come and go
 *
 * Note [DOOR]. A thread that polls a weak reference has a counted reference for a moment each time:
 * the object looks held, or, if it is a candidate, is rescued by that mutation. Several such
 * threads can keep garbage for ever: no commit finds it untouched. So a stop decides about what was
 * rescued in a collection, and about what looked held for reasons that come and go (it had a few
 * references more than members have to it, and another number of them when looked at again). It
 * does so by trial deletion over these and what they reach, as a young collection would. In order
 * that the stop does not find them held again, upgrades are kept out for as long as that takes:
 *   open   -> closed  the collection, once the candidates bear their flags again; then a handshake,
 *                     as for any flag
 *   closed -> open    the collection, after the stop, when no flag is left; it wakes whoever waits
 * An upgrade of a flagged object that finds the door closed leaves its gate, waits for it to
 * open, or DOOR_NS at most, and begins anew, 50 times at most: then it goes on as if there were
 * no door. A thread that has a reference already goes on; dropping it leaves the flag where it is
 * (oi_rescue), since it is the stop that decides. So within a moment all references that only
 * upgrades have are gone, unless a thread keeps one, and then it is right that all of it lives.
 * Pinned threads do not wait, as the handshake would wait for them, nor do listeners of a
 * collection, as the stop waits for its lock: what they poll lives on. The bound of 50 is for
 * threads that such a listener waits for.
 * About what does not fit a stop only commits decide.
 */
#include "collect/linger.h"

#include "base/os.h"
#include "base/perturb.h"
#include "collect/garbage.h"
#include "collect/generation.h"
#include "collect/policy.h"
#include "collect/trial.h"
#include "count/count.h"
#include "count/weak.h"
#include "world/context.h"

#define TRIES 5
#define DOUBTS 256  /* objects */
#define EXCESS 16   /* references of upgrades to one */
#define LOOKS 20    /* whether their number changes */
#define LOOK_NS 50000
#define SETTLE_NS 100000 /* until whoever has a reference has had the time to drop it */

/* ---- which ---- */

/*
 * Returns as how many objects it counts, for the time it takes, with its items; 0 if it is not
 * there any more.
 */
static size_t weight(const struct oi_header *h)
{
	const struct oi_type *d = oi_pass_look(h, OI_FLAG_GARBAGE | OI_FLAG_FROZEN);
	return !d ? 0 : d->flat || !d->type->item_slots.n ? 1 : 1 + oi_items(h, d->type);
}

void oi_linger_doubt(struct oi_pass *p, struct oi_header *h, int64_t excess)
{
	oi_assert_inside(p->t);
	if (excess > 0 && excess <= EXCESS && p->doubts.n < 2 * DOUBTS &&
	    oi_vector_push(&p->doubts, h) &&
	    !oi_vector_push(&p->doubts, (void *)(uintptr_t)oi_references(h)))
		p->doubts.n--;
}

/*
 * Those that have another number of references than before are decided about. The others are held,
 * and stay on the list.
 */
static void sort_doubts(struct oi_pass *p)
{
	size_t n = 0;
	oi_gate_enter(p->t);
	for (size_t i = 0; i < p->doubts.n; i += 2) {
		struct oi_header *h = p->doubts.data[i];
		bool gone = !weight(h),
		     same = !gone &&
			    oi_references(h) == (int64_t)(uintptr_t)p->doubts.data[i + 1];
		if (same || (!gone && !oi_vector_push(&p->rescued, h))) {
			p->doubts.data[n] = h;
			p->doubts.data[n + 1] = p->doubts.data[i + 1];
			n += 2;
		}
	}
	p->doubts.n = n;
	oi_gate_leave(p->t);
}

static void note_rescued(struct oi_pass *p)
{
	size_t left = oi_policy_cap();
	struct oi_vector *list = p->list;
	oi_gate_enter(p->t);
	for (size_t i = 0; i < list->n && left; i++) {
		size_t n = oi_is_candidate(list->data[i]) ? 0 : weight(list->data[i]);
		left -= n < left ? n : left;
		if (n && !oi_vector_push(&p->rescued, list->data[i]))
			left = 0;
		oi_pass_step(p, 16);
	}
	oi_gate_leave(p->t);
	if (!left)
		p->rescued.n = 0;
}

void oi_linger_note(struct oi_pass *p)
{
	oi_assert_unpinned(p->t);
	/* elsewhere: the commit, which is over [K1] */
	if (oi_load_relaxed(&oi_candidates.n_rescued) && !p->failed)
		note_rescued(p);
	for (int i = 0; i < LOOKS && p->doubts.n; i++) {
		if (i)
			oi_sleep_ns(LOOK_NS);
		sort_doubts(p);
	}
	p->doubts.n = 0;
}

/* ---- the door ---- */

static void flag_closure(struct oi_header *h)
{
	uint16_t own = oi_load_relaxed(&h->own); /* recheck */
	while (own <= OI_OWN_KEY_MAX &&
	       !oi_cas(&h->own, &own, (uint16_t)(own | OI_OWN_CANDIDATE))) /* [K2] */
		;
}

static void unflag_all(struct oi_vector *v)
{
	for (size_t i = 0; i < v->n; i++)
		oi_unflag(v->data[i]);
}

static void open_door(void)
{
	oi_store_release(&oi_candidates.door, 0u); /* [K3] */
	oi_futex_wake(&oi_candidates.door);
}

static void close_door(struct oi_pass *p)
{
	/* [K3] before the flags that make anybody look at it */
	oi_store_release(&oi_candidates.door, 1u);
	oi_gate_enter(p->t);
	for (size_t i = 0; i < p->rescued.n; i++)
		if (weight(p->rescued.data[i]))
			flag_closure(p->rescued.data[i]);
	oi_gate_leave(p->t);
	oi_grace_wait();
	oi_point("linger: closed");
	oi_sleep_ns(SETTLE_NS);
}

/* ---- the stop ---- */

struct closure {
	struct oi_trial tr;
	size_t left; /* objects that there is time for */
};

static void add_member(struct closure *c, struct oi_header *h)
{
	if (oi_page_of(h)->tracked && oi_generation_member(h) && !*oi_side_of(h) && c->left &&
	    oi_trial_add(&c->tr, h))
		c->left--;
}

static void add_child(void *child, void *arg)
{
	add_member(arg, oi_header_of(child));
}

/*
 * Follows slots alone: trial deletion is sound for any part of what is reached, and traverse must
 * not be called twice in a stop. Returns false if there is too much of it.
 */
static bool gather_closure(struct oi_pass *p, struct closure *c)
{
	for (size_t i = 0; i < p->rescued.n; i++)
		add_member(c, p->rescued.data[i]);
	for (size_t i = 0; i < c->tr.members.n && c->left; i++) {
		size_t n = weight(c->tr.members.data[i]);
		c->left -= n - 1 < c->left ? n - 1 : c->left;
		if (c->left)
			oi_visit_slots(c->tr.members.data[i], add_child, c);
	}
	return c->left;
}

/*
 * The dead are declared garbage and go onto the list. What lives and can be upgraded has its
 * upgrades kept out, too, the next time.
 */
static void judge_closure(struct oi_pass *p, struct oi_trial *tr)
{
	p->rescued.n = 0;
	for (size_t i = 0; i < tr->members.n; i++) {
		struct oi_header *h = tr->members.data[i];
		bool weak = oi_flags(h) & OI_FLAG_WEAK;
		if (oi_trial_result(h)) {
			if (weak && p->rescued.n < DOUBTS)
				oi_vector_push(&p->rescued, h); /* without memory it is not */
			continue;
		}
		if (weak)
			oi_weak_expire(h);
		oi_generation_leave(h); /* it may have been made since the collection began */
		oi_garbage_declare(p->garbage, h);
		p->list->data[p->list->n++] = h; /* there is room */
	}
	oi_trial_end(tr);
}

/* World stopped. Returns true if there is nothing more to be done, false if all are held. */
static bool try_stopped(struct oi_pass *p)
{
	struct closure c = { .left = oi_policy_cap() / 2 };
	size_t n = p->list->n;
	bool fits = gather_closure(p, &c) && oi_garbage_reserve(p->garbage, n + c.tr.members.n);
	unflag_all(&p->rescued);
	if (fits) {
		oi_trial_run(&c.tr, SIZE_MAX);
		judge_closure(p, &c.tr);
	} else {
		oi_trial_give_up(&c.tr);
	}
	p->n_seen = p->n_kept = p->list->n;
	oi_trial_free(&c.tr);
	return !fits || !p->rescued.n || p->list->n != n;
}

void oi_linger_decide(struct oi_pass *p)
{
	oi_assert_unpinned(p->t);
	bool decided = !p->rescued.n;
	for (int i = 0; i < TRIES && !decided; i++) {
		struct oi_stop stop;
		close_door(p);
		oi_pass_stop(&stop);
		decided = try_stopped(p);
		oi_pass_start(&stop);
		open_door();
	}
	oi_vector_trim(&p->rescued, 512);
}

void oi_linger_inherit(struct oi_pass *p)
{
	oi_assert_stopped();
	if (oi_load_relaxed(&oi_candidates.door)) /* stopped */
		unflag_all(&p->rescued);
	p->rescued.n = 0;
	oi_store_relaxed(&oi_candidates.door, 0u); /* stopped */
}
