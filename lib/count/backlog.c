/*
 * backlog.c - deaths that are put off: dead objects that wait for their dismantling
 *
 * Past release_batch objects a release stops dismantling, and what is on its thread's stack waits.
 * If the next of these objects runs no user code, they wait on that stack, below whatever the
 * thread pushes later: deaths.waiting says how much of it they are. They are cheapest there: their
 * owner frees them without atomics, and wants their memory next. So it works off, whenever a page
 * runs out of blocks, as many as a page has (oi_death_catch_up, new.c). If it does not get on with
 * that for the length of a tick, or has user code in the way, or leaves, the reaper gets them.
 *
 * What is on a thread's stack also waits behind its callbacks: one that blocks, or whose coroutine
 * is not resumed for a while, holds up the deaths of objects that have nothing to do with it, and
 * of all that the thread releases meanwhile. So the tick looks after threads in callbacks with
 * something on their stacks (armed). If such a thread has begun no other callback for a tick, the
 * reapers get what is there; what it has in its hand stays. A thread that is inside its gate then
 * does that itself, at its next operation.
 *
 * deaths.frames, waiting and armed are changed by their thread, inside the gate, or by a thread
 * that keeps it out of its gate. (armed alone is also taken down outside, when nothing is left.)
 * The thread looks into its stack only inside the gate. [D1] A flush looks at what waits as at a
 * queue: it counts as served while it is worked off. deaths.stamp is written before waiting.
 */
#include "count/backlog.h"

#include <string.h>

#include "base/flight.h"
#include "base/lock.h"
#include "base/os.h"
#include "base/perturb.h"
#include "base/probe.h"
#include "base/wake.h"
#include "count/death.h"
#include "count/merge.h"
#include "count/stray.h"
#include "count/ticket.h"
#include "count/watch.h"
#include "world/context.h"
#include "world/gate.h"
#include "world/keyset.h"

#define SLICE 4096 /* frames that are moved while others wait */
#define SLICES 16  /* of one thread's, in a tick */

/*
 * The reaper's, under the lock. It is first in, first out, so that nothing waits for ever behind
 * what callbacks make more of.
 */
static struct fifo {
	struct oi_vector frames; /* as on a thread's stack */
	size_t first;
	struct oi_watch *watches; /* frames with OI_AT_WATCHES: a chain, which needs no memory */
} reapers[2]; /* [1]: what is old, Note [TICKET] */
static uint64_t made_old; /* when all was made old; what came since is no older */

static size_t n_frames; /* in both; written under the lock */

static void note_frames(void)
{
	size_t n = 0;
	for (size_t i = 0; i < 2; i++)
		n += (reapers[i].frames.n - reapers[i].first) / 2;
	oi_store_relaxed(&n_frames, n); /* recheck */
}

static bool has_no_frames(const struct fifo *f)
{
	return f->first == f->frames.n;
}

static bool is_empty(const struct fifo *f)
{
	return has_no_frames(f) && !f->watches;
}

static void put(struct fifo *f, struct oi_header *h, size_t cursor)
{
	if (unlikely(cursor == OI_AT_WATCHES))
		oi_watch_chain((struct oi_watch *)h, &f->watches);
	else if (unlikely(!oi_backlog_push(&f->frames, h, cursor)))
		oi_stray_death(h, cursor);
	note_frames();
}

/* Uses the room of what has been taken again, when that is more than half. */
static void close_up(struct fifo *f)
{
	struct oi_vector *v = &f->frames;
	if (has_no_frames(f)) {
		oi_vector_trim(v, 4096);
	} else if (f->first > v->n / 2 && f->first > 1024) {
		memmove(v->data, v->data + f->first, (v->n - f->first) * sizeof *v->data);
		v->n -= f->first;
	} else {
		return;
	}
	f->first = 0;
}

/* ---- a stack's memory ---- */

/*
 * Without memory for a stack every death would be a stray, and each node of a list would be looked
 * for in the whole heap. With the reserve in its record a thread gets on with all that is not wide.
 */
bool oi_backlog_grow(struct oi_thread *t)
{
	struct oi_death_stack *d = &t->deaths;
	struct oi_vector more = { 0 };
	if (d->frames.data && d->frames.data != d->reserve)
		return oi_vector_grow(&d->frames);
	if (oi_vector_grow(&more))
		memcpy(more.data, d->reserve, d->frames.n * sizeof *d->reserve);
	else if (d->frames.data)
		return false;
	d->frames.data = more.data ? more.data : d->reserve;
	d->frames.capacity = more.data ? more.capacity : OI_DEATH_RESERVE;
	return true;
}

void oi_backlog_free(struct oi_thread *t)
{
	if (t->deaths.frames.data == t->deaths.reserve)
		t->deaths.frames.data = NULL;
	oi_vector_free(&t->deaths.frames);
}

/* Moves up to @n frames, and all of watches, onto the thread's stack. Returns how many. */
static size_t take_frames(struct fifo *f, struct oi_thread *t, size_t n)
{
	size_t taken = 0;
	for (; f->watches &&
	       oi_backlog_push_own(t, (struct oi_header *)f->watches, OI_AT_WATCHES); taken++)
		oi_watch_unchain(&f->watches);
	for (; taken < n && !has_no_frames(f); taken++, f->first += 2)
		if (!oi_backlog_push_own(t, f->frames.data[f->first],
					 (size_t)f->frames.data[f->first + 1]))
			break;
	close_up(f);
	note_frames();
	return taken;
}

static void hand_over_frame(struct oi_header *h, size_t cursor, uint64_t stamp)
{
	oi_lock(OI_LOCK_BACKLOG);
	put(&reapers[oi_is_old(stamp)], h, cursor);
	oi_unlock(OI_LOCK_BACKLOG);
}

void oi_backlog_hand_over(struct oi_header *h, uint64_t stamp)
{
	hand_over_frame(h, 0, stamp);
	oi_wake_reap();
}

/*
 * Does nothing if some of its references are released already: what they referred to may be
 * anything by now.
 */
static void merge_ahead_of(struct oi_thread *t, struct oi_header *h, size_t cursor)
{
	if (!cursor)
		oi_merge_ahead(t, h, OI_MERGE_SLICE);
}

void oi_backlog_pass_on(struct oi_thread *t, struct oi_header *h, size_t cursor)
{
	oi_assert_inside(t);
	merge_ahead_of(t, h, cursor);
	hand_over_frame(h, cursor, t->stamp);
	oi_wake_reap();
}

/* Returns the stamp of all that is on the thread's stack. */
static uint64_t oldest(const struct oi_thread *t)
{
	/* [D1]; recheck */
	uint64_t stamp = oi_load_acquire(&t->dying) ? oi_load_relaxed(&t->stamp) : OI_STAMP_NEW;
	return t->deaths.waiting && t->deaths.stamp < stamp ? t->deaths.stamp : stamp;
}

/*
 * Hands over a slice of the thread's frames, from the top: the child of a fork finds each either
 * there or here. A slice, since what a callback lets die has no bound, and others wait meanwhile,
 * for this lock, the registry's, or the thread's gate. Returns true if something is left.
 */
static bool hand_over_frames(struct oi_thread *t)
{
	struct oi_vector *v = &t->deaths.frames;
	size_t n = v->n > 2 * SLICE ? v->n - 2 * SLICE : 0;
	oi_lock(OI_LOCK_BACKLOG);
	struct fifo *f = &reapers[oi_is_old(oldest(t))];
	for (size_t i = n; i < v->n; i += 2)
		put(f, v->data[i], (size_t)v->data[i + 1]);
	oi_store_relaxed(&v->n, n); /* owner, or one that keeps it out: oi_backlog_any_frames */
	if (t->deaths.waiting > n)
		oi_store_release(&t->deaths.waiting, n); /* [D1] */
	oi_unlock(OI_LOCK_BACKLOG);
	if (!n)
		oi_vector_trim(v, 4096);
	return n;
}

static void note_handed(size_t n)
{
	OI_PROBE1(left__to__reaper, n);
	if (!oi_flight())
		return;
	uint64_t now = oi_now_ns();
	oi_flight_span(OI_FLIGHT_HANDED, 0, now, now, n, 0);
}

static struct oi_header *top(const struct oi_thread *t, size_t *cursor)
{
	const struct oi_vector *v = &t->deaths.frames;
	*cursor = (size_t)v->data[v->n - 1];
	return v->data[v->n - 2];
}

/* By the owner inside its gate, or by a thread that keeps it out. Returns true if some is left. */
static bool hand_over_some(struct oi_thread *t)
{
	size_t cursor;
	struct oi_header *h = top(t, &cursor);
	merge_ahead_of(t, h, cursor);
	size_t before = t->deaths.frames.n;
	bool more = hand_over_frames(t);
	note_handed((before - t->deaths.frames.n) / 2);
	oi_wake_reap();
	return more;
}

void oi_backlog_keep(struct oi_thread *t, bool hand_over)
{
	oi_assert_inside(t);
	oi_assert_dying(t);
	size_t cursor;
	struct oi_header *h = top(t, &cursor);
	if (!cursor && oi_dies_inside(oi_described(h), oi_flags(h)) && !t->internal &&
	    !hand_over && !t->pin_depth) {
		oi_store_relaxed(&t->deaths.stamp, oldest(t));            /* [D1] */
		oi_store_release(&t->deaths.waiting, t->deaths.frames.n); /* [D1] */
		oi_keyset_add(OI_KEYS_WAITING, t->key);                   /* [B2] */
		oi_wake_tick();
	} else {
		hand_over_some(t); /* the rest follows in the next gate: death.c */
	}
}

void oi_backlog_take_back(struct oi_thread *t)
{
	oi_assert_inside(t);
	oi_assert_dying(t);
	oi_hand_takes(t, t->deaths.stamp);
	oi_store_release(&t->deaths.waiting, (size_t)0); /* [D1] */
}

bool oi_backlog_leave(struct oi_thread *t)
{
	oi_assert_at_rest(t);
	bool behind = oi_load_acquire(&t->in_callback), more = false; /* recheck: it may end now */
	if (t->deaths.frames.n &&
	    (behind || (t->deaths.waiting && !oi_load_acquire(&t->dying)))) /* [D1] */
		more = hand_over_some(t);
	/*
	 * If a callback has ended since it was looked for, the next one may have been armed for
	 * before that: it must be found, too.
	 */
	bool next = !behind && oi_load_acquire(&t->dying) && t->deaths.frames.n; /* [D1] */
	/* owner, or a thread that keeps it out */
	oi_store_relaxed(&t->deaths.armed, (more && behind) || next);
	return more;
}

void oi_backlog_arm(struct oi_thread *t)
{
	oi_assert_inside(t);
	if (oi_load_relaxed(&t->deaths.armed)) /* owner: inside the gate */
		return;
	oi_store_relaxed(&t->deaths.armed, true); /* owner */
	oi_keyset_add(OI_KEYS_ARMED, t->key);     /* [B2] */
	oi_wake_tick();
}

static void leave_for(struct oi_thread *t, void *more)
{
	oi_point("backlog: leave");
	*(bool *)more = oi_backlog_leave(t);
}

/* In slices, between which others are let in, as in merge.c. Returns true if some is left. */
static bool leave_in_slices(struct oi_thread *t)
{
	bool more = false;
	for (unsigned n = 0; oi_world_seize(t, leave_for, &more); n++) {
		if (!more || n == SLICES)
			return more;
		oi_sleep_ns(20000);
	}
	oi_or_acq_rel(&t->request, OI_REQUEST_BACKLOG); /* recheck: it is inside, and will look */
	return true;
}

/* Leaves a thread alone that has served since the last tick. Returns true if some is left. */
static bool collect_from(struct oi_thread *t, bool at_once)
{
	uint32_t n = oi_load_acquire(&t->n_served); /* recheck: the next tick looks again */
	if (!at_once && n != t->deaths.n_served) {
		t->deaths.n_served = n;
		return true;
	}
	return leave_in_slices(t);
}

static bool has_waiting(const struct oi_thread *t, bool old)
{
	/* [D1] */
	return oi_load_acquire(&t->deaths.waiting) &&
	       (!old || oi_is_old(oi_load_relaxed(&t->deaths.stamp))); /* [D1] */
}

/* For what waits behind a callback. Returns true if some is left. */
static bool relieve(struct oi_thread *t)
{
	uint32_t n = oi_load_acquire(&t->n_callbacks); /* recheck: the next tick looks again */
	/* recheck */
	if (!oi_load_acquire(&t->in_callback) || n != t->deaths.n_callbacks) {
		t->deaths.n_callbacks = n;
		return true;
	}
	oi_point("backlog: relieve");
	bool more = leave_in_slices(t);
	return more || oi_load_relaxed(&t->deaths.armed); /* recheck: the next tick looks again */
}

static bool relieve_all(void)
{
	bool again = false;
	struct oi_key_walk walk = { 0 };
	uint16_t key;
	while ((key = oi_keyset_take(OI_KEYS_ARMED, &walk))) { /* [B2] */
		struct oi_thread *t = oi_thread_of_key(key);
		/* recheck */
		if (t == oi_self || oi_load_relaxed(&t->dead) || !oi_load_relaxed(&t->deaths.armed))
			continue;
		if (relieve(t)) {
			again = true;
			oi_keyset_add(OI_KEYS_ARMED, key);
		}
	}
	return again;
}

bool oi_backlog_collect(bool old)
{
	oi_assert_unpinned(oi_self);
	bool again = !old && relieve_all();
	struct oi_key_walk walk = { 0 };
	uint16_t key;
	while ((key = oi_keyset_take(OI_KEYS_WAITING, &walk))) { /* [B2] */
		struct oi_thread *t = oi_thread_of_key(key);
		if (t != oi_self && has_waiting(t, old) && collect_from(t, old))
			again = true;
		if (oi_load_acquire(&t->deaths.waiting)) /* [D1] */
			oi_keyset_add(OI_KEYS_WAITING, key);
	}
	return again;
}

/* Under the lock. Returns how many frames are to be moved: none, unless some are old already. */
static size_t begin_to_age(void)
{
	struct fifo none = reapers[1];
	if (is_empty(&none)) {
		reapers[1] = reapers[0];
		reapers[0] = none;
	}
	while (reapers[0].watches)
		oi_watch_chain(oi_watch_unchain(&reapers[0].watches), &reapers[1].watches);
	return (reapers[0].frames.n - reapers[0].first) / 2;
}

/* Under the lock: so many of the newer frames, or all. */
static void age_frames(size_t n)
{
	struct fifo *f = &reapers[0];
	for (; n && !has_no_frames(f); n--, f->first += 2)
		put(&reapers[1], f->frames.data[f->first],
		    (size_t)f->frames.data[f->first + 1]);
	close_up(f);
	note_frames();
}

/*
 * In slices, between which others are let in. What one of them takes meanwhile has the stamp of the
 * time before, and counts as old; what is new meanwhile comes behind what is to be moved.
 */
void oi_backlog_make_old(void)
{
	oi_lock(OI_LOCK_BACKLOG);
	size_t n = begin_to_age();
	for (; n > SLICE; n -= SLICE) {
		age_frames(SLICE);
		oi_unlock(OI_LOCK_BACKLOG);
		oi_point("backlog: some are old");
		oi_sleep_ns(20000);
		oi_lock(OI_LOCK_BACKLOG);
	}
	age_frames(n);
	made_old = oi_load_relaxed(&oi_ticket.now); /* owner: only the flush writes it */
	oi_unlock(OI_LOCK_BACKLOG);
}

bool oi_backlog_any_handed_over(void)
{
	oi_lock(OI_LOCK_BACKLOG);
	bool any = !is_empty(&reapers[0]) || !is_empty(&reapers[1]);
	oi_unlock(OI_LOCK_BACKLOG);
	return any;
}

bool oi_backlog_any(void)
{
	struct oi_thread *t;
	oi_lock(OI_LOCK_BACKLOG);
	bool any = !is_empty(&reapers[0]) || !is_empty(&reapers[1]);
	for (size_t i = 0; !any && (t = oi_thread_record(i)); i++)
		any = has_waiting(t, false);
	oi_unlock(OI_LOCK_BACKLOG);
	return any;
}

/* Looks at the threads' backlogs first: what they hand over later is then in the reaper's. */
bool oi_backlog_any_old(void)
{
	struct oi_thread *t;
	bool any = false;
	oi_lock(OI_LOCK_BACKLOG);
	for (size_t i = 0; !any && (t = oi_thread_record(i)); i++)
		any = has_waiting(t, true);
	any |= !is_empty(&reapers[1]);
	oi_unlock(OI_LOCK_BACKLOG);
	return any;
}

size_t oi_backlog_waiting(void)
{
	return oi_load_relaxed(&n_frames); /* recheck */
}

/* Inside the gate, under the lock, serving. Returns 0 if it took nothing. */
static size_t take_some(struct oi_thread *t, struct fifo *f, bool own)
{
	if (own)
		oi_backlog_take_back(t);
	if (f)
		oi_hand_takes(t, f == &reapers[1] ? OI_STAMP_OLD : made_old);
	return own + (f ? take_frames(f, t, 64) : 0);
}

bool oi_backlog_serve(struct oi_thread *t, bool only_old, struct oi_work w)
{
	oi_assert_outside(t);
	size_t n = 0;
	if (t->in_callback) /* what it took would only wait behind that */
		return false;
	oi_gate_enter(t); /* a fork must not find the stack while it is moved */
	oi_lock(OI_LOCK_BACKLOG);
	bool own = t->deaths.waiting && !t->dying, more = false;
	struct fifo *f = !is_empty(&reapers[1])             ? &reapers[1] :
			 !only_old && !is_empty(&reapers[0]) ? &reapers[0] : NULL;
	bool any = own || f;
	if (any) {
		oi_serve_begin(t); /* under the lock */
		n = take_some(t, f, own);
		more = !is_empty(&reapers[0]) || !is_empty(&reapers[1]);
	}
	oi_unlock(OI_LOCK_BACKLOG);
	oi_gate_leave(t);
	if (more)
		oi_wake_tick(); /* in case this thread is long with what it took */
	if (any)
		oi_serve_end(t, w);
	return n != 0;
}

#define LOOK_AT 1024 /* frames */

/*
 * Under the lock, inside the gate. Takes objects without callbacks from among the first; the others
 * stay, in order. Returns how many it took.
 */
static size_t take_quiet(struct oi_thread *t, struct fifo *f)
{
	struct oi_vector *v = &f->frames;
	size_t n = 0, end = v->n - f->first > 2 * LOOK_AT ? f->first + 2 * LOOK_AT : v->n, to = end;
	for (size_t i = end; i > f->first; i -= 2) {
		struct oi_header *h = v->data[i - 2];
		size_t cursor = (size_t)v->data[i - 1];
		if (n < 64 && !oi_has_callbacks(h) && oi_backlog_push_own(t, h, cursor)) {
			n++;
			continue;
		}
		v->data[to - 1] = (void *)cursor;
		v->data[to - 2] = h;
		to -= 2;
	}
	f->first = to;
	close_up(f);
	note_frames();
	return n;
}

bool oi_backlog_serve_quietly(struct oi_thread *t)
{
	oi_assert_outside(t);
	oi_gate_enter(t);
	oi_lock(OI_LOCK_BACKLOG);
	oi_serve_begin(t); /* under the lock */
	oi_hand_takes(t, OI_STAMP_OLD);
	size_t n = take_quiet(t, &reapers[1]);
	if (!n)
		n = take_quiet(t, &reapers[0]);
	oi_unlock(OI_LOCK_BACKLOG);
	oi_gate_leave(t);
	oi_serve_end(t, oi_work_quietly(OI_QUIET_MOST));
	return n != 0;
}

void oi_backlog_inherit(struct oi_thread *t)
{
	oi_assert_at_rest(t);
	if (t->hand && t->hand_watches)
		hand_over_frame(oi_watch_suspend(t->hand_watches, t->hand, t->hand_cursor),
				OI_AT_WATCHES, t->stamp);
	else if (t->hand)
		hand_over_frame(t->hand, t->hand_cursor, t->stamp);
	t->hand = NULL;
	t->hand_watches = NULL;
	while (hand_over_frames(t))
		;
	oi_backlog_free(t);
}

void oi_backlog_tidy(struct oi_thread *t)
{
	oi_assert_at_rest(t);
	if (!oi_load_acquire(&t->dying) && !t->deaths.frames.n) /* [D1] */
		oi_backlog_free(t);
}

void oi_backlog_drop(void)
{
	for (int i = 0; i < 2; i++) {
		oi_vector_free(&reapers[i].frames);
		reapers[i] = (struct fifo){ .first = 0 };
	}
}
