/*
 * solo.c - a thread collects what it alone has touched
 *
 * Most young garbage was made, tied into cycles and dropped by one thread. That thread can find it
 * by itself, in its own cache, without a stop and without the collector.
 *
 * Note [SOLO]. Let S be young objects of this thread that no other thread has touched: each time a
 * count of theirs went down, or a reference to them left a slot, it was this thread's doing, since
 * an operation of another thread that does that sets touched before it ends [U1]. Inside its gate,
 * where no stop can be, the thread counts the references from S to S, each object's as it is added
 * to S; marks what has more than these, and what that reaches; and lets G be the rest. (If it
 * cannot follow all that is held, as the stack is full, G is empty.) It notes G and the epoch. Once
 * a grace period is over that began after that, if no stop has been since, and no member of G is
 * touched, G is garbage, and nobody has even its bare address:
 *   - From the counting to the end of the grace period nothing happened to any o in G. This thread
 *     has no reference to o, as all of them are in slots of G. What another thread did would show,
 *     in touched, or in shared if all it did was to count up: its operation either began after the
 *     grace period did, and then found no way to o (below), or was over before its end [G1] [G4].
 *     So what was read while others may have written is still true: all references to G are in
 *     slots of G.
 *   - A thread that had a bare address of o left its gate before the end. One that entered later
 *     [G3] finds none: no slot outside G has one, and to read one inside G it needs another one.
 * So the members are freed there and then. Whatever walks the heap, or hands out references to what
 * it finds, does so in a stop; after a stop G is forgotten, and found again. Until then its members
 * are young objects like others, so nothing has to know of it: neither a fork, nor the end of the
 * thread or of the heap.
 * What another thread finds before its gate ends it may also take apart, so that members die by
 * count, and their blocks are used again, by an object that nobody has touched. So members bear a
 * mark, noted, which the header of a new object does not have; and the page of members must be what
 * it was: this thread's, with blocks of their size as far as the last of them. (A peeked pointer is
 * only for the thread that peeked. If this thread were handed one, what it does with it would not
 * be seen.)
 * Members have no callbacks, weak references, or traverse; what has is left to the collector, and
 * so is what two threads have touched, and what has become old.
 * (Thread-local collection of what has not escaped: Domani and others 2002; that an object has not
 * is found here by what was done with it, not by a write barrier. The sums: Bacon and Rajan 2001.)
 * The counting and marking is look.c, what follows behind the grace period settle.c, and what both
 * go through member.h. Model: tests/models/solo.pml.
 *
 * How often. A thread looks when it has made OI_SOLO_EVERY objects more than died; while hardly any
 * of them is garbage, half as often each time, down to what the lists hold. After IN_VAIN looks
 * that found next to nothing it leaves out three of four, until one finds something again. What it
 * looks at and finds alive, or leaves out, is of age 1 then; or old, if a stop has no time for more
 * of age 1. Only where the threshold of generation 0 is the library's to choose (-1): a number is
 * the number of objects after which the collector looks.
 */
#include "collect/solo.h"

#include "base/doors.h"
#include "base/holdup.h"
#include "base/os.h"
#include "base/perturb.h"
#include "base/wake.h"
#include "collect/debug.h"
#include "collect/look.h"
#include "collect/member.h"
#include "collect/policy.h"
#include "collect/settle.h"
#include "heap/pace.h"
#include "world/context.h"
#include "world/events.h"
#include "world/gate.h"
#include "world/world.h"

#define LATER (OI_SOLO_EVERY / 4) /* objects, until a grace period is asked for again */
#define NAP_NS 20000u
#define IN_VAIN 8 /* looks, after which some are left out */

#if OURO_CHECKED
size_t oi_solo_stack_room = OI_SOLO_MOST;
#endif

/* Collections of all threads, and what they found and looked at, in ns. */
static uint64_t n_collections, n_found, n_examined, duration_ns;

void oi_solo_statistics(struct oi_solo_statistics *s)
{
	s->collections = oi_load_relaxed(&n_collections); /* count */
	s->examined = oi_load_relaxed(&n_examined);       /* count */
	s->found = oi_load_relaxed(&n_found);             /* count */
	s->ns = oi_load_relaxed(&duration_ns);            /* count */
}

void oi_solo_shutdown(void)
{
	n_collections = n_found = n_examined = duration_ns = 0;
}

static void note_yield(struct oi_thread *t, size_t n, size_t older)
{
	bool hardly_any = older > n - n / 8, all = n && older > n - n / 64;
	t->solo.in_vain += all && t->solo.in_vain < IN_VAIN;
	t->solo.in_vain *= all;
	hardly_any &= t->solo.every < OI_SOLO_MOST / 2;
	t->solo.every = hardly_any ? t->solo.every * 2 : OI_SOLO_EVERY;
}

static void look_for_garbage(struct oi_thread *t)
{
	size_t n = oi_look(t);
	const struct oi_solo_lists *l = t->solo.lists;
	oi_add_relaxed(&n_examined, (uint64_t)n); /* count */
	note_yield(t, n, l->older);
	t->solo.epoch = oi_add_acq_rel(&oi_world.epoch, 0); /* [G3] release */
	t->solo.n_stops = oi_load_relaxed(&oi_world.n_stops); /* elsewhere: the gate [G2] */
	if (l->n)
		oi_grace_try(true);
}

/* In checked builds the oracle sees what one collection of four finds. */
static bool judged(struct oi_thread *t)
{
	if (!OURO_CHECKED || oi_load_relaxed(&n_collections) % 4) /* recheck */
		return true;
	return oi_settle_judge(t);
}

static bool grace_is_over(const struct oi_thread *t)
{
	return oi_load_acquire(&oi_world.epoch_done) > t->solo.epoch; /* [G4] */
}

/* Returns false if the grace period is not over. Leaves the gate and enters it again. */
static bool free_found(struct oi_thread *t)
{
	/* elsewhere: the gate [G2] */
	if (!t->solo.lists->n || t->solo.n_stops != oi_load_relaxed(&oi_world.n_stops))
		return true;
	/* The first of the two tries may end a grace period that began before. */
	for (int i = 0; i < 2 && !grace_is_over(t); i++)
		oi_grace_try(true);
	if (!grace_is_over(t))
		return false;
	oi_point("solo: settled");
	if (judged(t) && oi_settle(t)) {
		oi_add_relaxed(&n_found, (uint64_t)t->solo.lists->n); /* count */
		oi_settle_free(t);
	}
	return true;
}

static bool may(struct oi_thread *t)
{
	return !t->pin_depth && !t->dying && !t->callback && !t->internal && oi_policy_solo() &&
	       !oi_debug_any();
}

static bool make_lists(struct oi_thread *t)
{
	if (!t->solo.lists && (t->solo.lists = oi_os_map(sizeof *t->solo.lists)))
		oi_policy_solo_threads(1);
	return t->solo.lists;
}

/* As if the thread had made so many objects since it looked. */
static void take_for_made(struct oi_thread *t, int64_t made)
{
	t->solo.made = made - t->tracked_delta;
}

/*
 * A thread that stands in its gate without a processor holds the grace period up: as in limbo.c.
 * One that has a processor leaves soon, while this one goes on. Not sched_yield: beside programs
 * that are busy it waits for a turn of each, 6 ms, and here it would be called every 256 objects.
 */
static void let_others_leave(struct oi_thread *t)
{
	if (!t->solo.late) {
		t->solo.late = true;
		return;
	}
	uint64_t began = oi_now_ns();
	oi_gate_leave(t);
	oi_sleep_ns(NAP_NS);
	oi_holdup_from(OURO_HOLDUP_PACE, began, oi_now_ns());
	oi_gate_enter(t);
}

void oi_solo(struct oi_thread *t)
{
	oi_assert_inside(t);
	if (!may(t) || !make_lists(t)) {
		take_for_made(t, 0);
		return;
	}
	uint64_t began = oi_now_ns();
	bool over = free_found(t);
	if (!over) {
		take_for_made(t, t->solo.every - LATER);
	} else if (make_lists(t)) {
		t->solo.late = false;
		if (t->solo.in_vain < IN_VAIN || ++t->solo.unseen % 4 == 0) {
			look_for_garbage(t);
			oi_add_relaxed(&n_collections, UINT64_C(1)); /* count */
		} else {
			oi_look_left_out(t);
		}
		take_for_made(t, 0);
	}
	oi_add_relaxed(&duration_ns, oi_now_ns() - began); /* count */
	if (!over)
		let_others_leave(t);
	if (unlikely(oi_events_any()) || oi_flight())
		oi_wake_trim(); /* the collector's thread tells of it */
}

void oi_solo_tidy(struct oi_thread *t)
{
	if (!t->solo.lists)
		return;
	oi_os_unmap(t->solo.lists, sizeof *t->solo.lists);
	t->solo = (struct oi_solo){ 0 };
	oi_policy_solo_threads(-1);
}
