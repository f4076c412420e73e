/*
 * pile.c - dead objects that wait for their dismantling
 *
 * Past release_batch objects a release stops dismantling, and what is on its thread's stack waits. If the next of them runs no user
 * code it waits on that stack, below whatever the thread pushes later: deaths.waiting says how much of it. Such objects are
 * cheapest where they are: their owner frees them without atomics and wants their memory next. So it works off, whenever a page
 * runs out of blocks, as many as a page has (oi_death_catch_up, new.c). If it does not get on with that for the length of
 * a tick, or has user code in the way, or leaves, the reaper gets them.
 *
 * Who changes deaths.waiting: its thread, inside the gate or while dying is not zero; or who keeps it out of its gate, and finds that it
 * is not dying. A thread raises dying before it pushes or pops, and passes its gate in between: so one of the two sees the other.
 * [D1] What waits is looked at by flush like a queue: it counts as served while it is worked off.
 */
#include "pile.h"

#include "background.h"
#include "death.h"
#include "gate.h"
#include "lock.h"
#include "merge.h"
#include "stray.h"

static struct oi_vector reapers; /* frames, as on a thread's stack */

/* Under the lock. */
static void hand_over_locked(struct oi_header *h, size_t cursor)
{
	if (unlikely(!oi_pile_push(&reapers, h, cursor)))
		oi_stray_add(h, OI_STRAY_DEATH);
}

static void hand_over_frame(struct oi_header *h, size_t cursor)
{
	oi_lock(OI_LOCK_PILE);
	hand_over_locked(h, cursor);
	oi_unlock(OI_LOCK_PILE);
}

void oi_pile_hand_over(struct oi_header *h)
{
	hand_over_frame(h, 0);
	oi_background_reap();
}

/* Not if some of its references are released already: what those referred to may be anything by now. */
static void merge_ahead_of(struct oi_thread *t, struct oi_header *h, size_t cursor)
{
	if (!cursor)
		oi_merge_ahead(t, h, OI_MERGE_SLICE);
}

void oi_pile_pass_on(struct oi_thread *t, struct oi_header *h, size_t cursor)
{
	merge_ahead_of(t, h, cursor);
	hand_over_frame(h, cursor);
	oi_background_reap();
}

/* All frames of the thread at once: the child of a fork finds each either there or here. */
static void hand_over_frames(struct oi_thread *t)
{
	struct oi_vector *v = &t->deaths.frames;
	oi_lock(OI_LOCK_PILE);
	for (size_t i = 0; i < v->n; i += 2)
		hand_over_locked(v->data[i], (size_t)v->data[i + 1]);
	oi_vector_trim(v, 4096);
	oi_store_release(&t->deaths.waiting, (size_t)0); /* [D1] */
	oi_unlock(OI_LOCK_PILE);
}

static struct oi_header *top(const struct oi_thread *t, size_t *cursor)
{
	const struct oi_vector *v = &t->deaths.frames;
	*cursor = (size_t)v->data[v->n - 1];
	return v->data[v->n - 2];
}

/* By the owner inside its gate, or by who keeps it out of it. */
static void hand_over_all(struct oi_thread *t)
{
	size_t cursor;
	struct oi_header *h = top(t, &cursor);
	merge_ahead_of(t, h, cursor);
	hand_over_frames(t);
	oi_background_reap();
}

void oi_pile_keep(struct oi_thread *t)
{
	size_t cursor;
	struct oi_header *h = top(t, &cursor);
	if (!cursor && oi_dies_inside(oi_described(h), oi_flags(h)) && !t->internal && !t->pin_depth) {
		oi_store_release(&t->deaths.waiting, t->deaths.frames.n); /* [D1] */
		oi_background_tick();
	} else {
		hand_over_all(t);
	}
}

void oi_pile_take_back(struct oi_thread *t)
{
	oi_store_release(&t->deaths.waiting, (size_t)0); /* [D1] */
}

void oi_pile_leave(struct oi_thread *t)
{
	if (t->deaths.waiting && !oi_load_acquire(&t->dying)) /* [D1] */
		hand_over_all(t);
}

static void leave_for(struct oi_thread *t, void *arg)
{
	(void)arg;
	oi_pile_leave(t);
}

/* True: not now. */
static bool collect_from(struct oi_thread *t, bool all)
{
	uint32_t n = oi_load_acquire(&t->n_served);
	if (!all && n != t->deaths.n_served) {
		t->deaths.n_served = n;
		return true;
	}
	bool seized = oi_world_seize(t, leave_for, NULL);
	if (!seized)
		oi_or_acq_rel(&t->request, OI_REQUEST_PILE);
	return !seized;
}

bool oi_pile_collect(bool all)
{
	bool again = false;
	struct oi_thread *t;
	for (size_t i = 0; (t = oi_thread_record(i)); i++)
		if (t != oi_self && oi_load_acquire(&t->deaths.waiting) && collect_from(t, all)) /* [D1] */
			again = true;
	return again;
}

static bool any_waiting(void)
{
	struct oi_thread *t;
	for (size_t i = 0; (t = oi_thread_record(i)); i++)
		if (oi_load_acquire(&t->deaths.waiting)) /* [D1] */
			return true;
	return false;
}

bool oi_pile_any(void)
{
	oi_lock(OI_LOCK_PILE);
	bool any = reapers.n || any_waiting();
	oi_unlock(OI_LOCK_PILE);
	return any;
}

/* Frames are taken, and what is left of them handed over, under the lock while the thread counts as serving. */
bool oi_pile_all_served(void)
{
	struct oi_thread *t;
	oi_lock(OI_LOCK_PILE);
	bool idle = !reapers.n && !any_waiting();
	for (size_t i = 0; idle && (t = oi_thread_record(i)); i++)
		if (t != oi_self && !oi_load_relaxed(&t->dead) && oi_load_acquire(&t->serving)) /* [D1] */
			idle = false;
	oi_unlock(OI_LOCK_PILE);
	return idle;
}

bool oi_pile_serve(struct oi_thread *t)
{
	size_t n = 0;
	oi_gate_enter(t); /* a fork must not find the stack while it is moved */
	oi_lock(OI_LOCK_PILE);
	if (t->deaths.waiting && !t->dying) {
		oi_pile_take_back(t);
		n = 1;
	}
	for (; n < 64 && reapers.n; n++) {
		if (!oi_pile_push(&t->deaths.frames, reapers.data[reapers.n - 2], (size_t)reapers.data[reapers.n - 1]))
			break;
		reapers.n -= 2;
	}
	if (!reapers.n)
		oi_vector_trim(&reapers, 4096);
	if (n)
		oi_serve_begin(t); /* under the lock */
	oi_unlock(OI_LOCK_PILE);
	oi_gate_leave(t);
	if (n)
		oi_serve_end(t);
	return n != 0;
}

void oi_pile_inherit(struct oi_thread *t)
{
	if (t->hand)
		hand_over_frame(t->hand, t->hand_cursor);
	t->hand = NULL;
	hand_over_frames(t);
	oi_vector_free(&t->deaths.frames);
}

void oi_pile_drop(void)
{
	oi_vector_free(&reapers);
}
