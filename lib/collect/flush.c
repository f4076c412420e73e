/*
 * flush.c - waiting until what is dead is gone
 *
 * What is dead and not yet destroyed can be
 *   in the merge queue of its owner                         merge.c
 *   in a backlog: its thread's own, or the reaper's         backlog.c
 *   in garbage that waits                                   garbage.c
 *   in the hand of a thread, whose dying counter is then not zero: it was raised before the thing
 *   left its queue [D1]
 * A flush waits for what is old (Note [TICKET]): what was dead at the call, and what dies of it.
 * One thread at a time leads a flush:
 *   idle    -> leading   a thread finds no leader. It counts now up and sets since, then makes old
 *                        what the queues have
 *   leading -> leading   it works off what is old in queues; what threads have in hand it leaves to
 *                        them, and looks again
 *   leading -> idle      nothing is old any more
 * Others that come meanwhile wait for that flush to be over, and then for the next, which may be
 * anybody's: they wait for two at most. [D3] A flush has its number (n_begun) before it counts now
 * up, so a thread that finds an older number waits for one that begins later; it has done its work
 * before that number is in n_over; and what a leader wrote comes before the next one leads.
 * A flush ends: the number of old things, and of their objects, is fixed. A loop of another thread
 * ends after release_batch objects (death.c), and its rest is in an old queue. The one exception is
 * objects that callbacks make, and that die in the same loop: they count as old, and could do so
 * without end. Hence a limit, twice as many objects as there were, and some, which is looked up
 * when so many are gone. Queues are first in first out by then, so that what was there at the call
 * had its turn.
 *
 * How it knows that nothing is old: it reads n_ended [D2], then looks at the queues, merges
 * first, as these go to a backlog without passing a hand, then at the hands, then at n_ended again.
 * Suppose that something old was in a queue at the first reading: then it was seen there, or had
 * left with a thread that was seen dying, or that has ended a loop since. It is the same if it was
 * in a hand. Between two such looks there is a fence in the middle of what every thread does (Note
 * [GATE]), as a loop that ended reads now without one.
 *
 * A collection cannot wait for a callback that does not return; it may be waiting for what the
 * caller has. A callback that another thread has been in for PATIENCE is left out: what it
 * belongs to keeps what it refers to until it returns.
 * Model: tests/models/flush.pml.
 */
#include "collect/flush.h"

#include <errno.h>

#include "base/log.h"
#include "base/os.h"
#include "base/runtime.h"
#include "base/wake.h"
#include "collect/garbage.h"
#include "count/backlog.h"
#include "count/death.h"
#include "count/merge.h"
#include "count/stray.h"
#include "count/ticket.h"
#include "heap/tally.h"
#include "world/context.h"
#include "world/gate.h"
#include "world/gclock.h"

#define PATIENCE_NS UINT64_C(100000000)
#define LIMIT_FLOOR 100000 /* objects */

static struct oi_thread *leader;
static uint64_t n_begun, n_over; /* flushes; written by the leader */
static bool waits_only;          /* the leader has found nothing to do for a while */

struct flush {
	struct oi_thread *t;
	bool patient;   /* waits for ever for callbacks */
	uint64_t next_look; /* at the limit, when oi_ticket.n_objects is past this */
	uint64_t limit;     /* of objects freed since the heap began; 0: not known yet */
	uint64_t idle_since;
};

/* ---- hands ---- */

/*
 * Returns true if @t has been in one callback for long. The notes (seen_ns, seen_callback) are
 * written by the leader and by those that wait for it: the time first.
 */
static bool is_stuck(struct oi_thread *t)
{
	uint64_t now = oi_now_ns();
	uint32_t n = oi_load_acquire(&t->n_callbacks); /* recheck */
	/* recheck */
	if (oi_load_acquire(&t->in_callback) && oi_load_acquire(&t->seen_callback) == n)
		/* elsewhere: seen_callback, above */
		return now - oi_load_relaxed(&t->seen_ns) > PATIENCE_NS;
	oi_store_relaxed(&t->seen_ns, now); /* elsewhere: seen_callback, below */
	oi_store_release(&t->seen_callback, n); /* recheck: a guess at how long */
	return false;
}

static bool is_old_hand(const struct oi_thread *t)
{
	bool dying = oi_load_acquire(&t->dying) && !oi_load_relaxed(&t->dead); /* [D1] */
	/* recheck: the stamp may be an earlier loop's, which is older: no harm */
	return dying && oi_is_old(oi_load_relaxed(&t->stamp));
}

static bool any_old_hand(const struct flush *f)
{
	struct oi_thread *t;
	for (size_t i = 0; (t = oi_thread_record(i)); i++)
		if (t != f->t && is_old_hand(t) && (f->patient || !is_stuck(t)))
			return true;
	return false;
}

/* ---- queues ---- */

static bool garbage_counts(void)
{
	return oi_runtime.config.finalizers == OURO_FINALIZERS_THREAD;
}

static bool is_settled(const struct flush *f)
{
	uint64_t n = oi_load_acquire(&oi_ticket.n_ended); /* [D2] */
	if (oi_merge_any_old() || oi_backlog_any_old() ||
	    (garbage_counts() && oi_garbage_any_before(oi_ticket.since)) || any_old_hand(f))
		return false;
	return oi_load_acquire(&oi_ticket.n_ended) == n; /* [D2] */
}

static bool is_over(const struct flush *f)
{
	if (!is_settled(f))
		return false;
	oi_world_fence();
	return is_settled(f);
}

/*
 * Returns true at the limit, which there is only from so much work on, and which is looked at once
 * in so much: to look through the counters of 10 000 threads takes 40 ms. Work alone does not tell:
 * an object with many items is more than one of it. What was alive when the limit was set can be
 * freed once; all beyond that has been made since.
 */
static bool is_too_much(struct flush *f)
{
	uint64_t n = oi_load_relaxed(&oi_ticket.n_objects); /* count */
	struct oi_totals all;
	if (likely(n <= f->next_look))
		return false;
	oi_tally_totals(&all);
	if (!f->limit)
		f->limit = all.n_freed + 3 * LIMIT_FLOOR + 2 * (all.n_allocated - all.n_freed);
	if (all.n_freed > f->limit)
		return true;
	f->next_look = n + LIMIT_FLOOR;
	return false;
}

/* Works for one round. Returns false if there was nothing to do here. */
static bool work_off(struct flush *f)
{
	bool any = false;
	size_t budget = SIZE_MAX;
	if (oi_merge_any_old())
		oi_merge_drain_all();
	oi_backlog_collect(true);
	while (!is_too_much(f) && oi_backlog_serve(f->t, true, oi_work_thoroughly()))
		any = true;
	while (garbage_counts() &&
	       oi_garbage_serve(f->t, &budget, oi_ticket.since, oi_work_thoroughly()))
		any = true;
	return any;
}

/* Growing naps: what is waited for may need this very core. */
static void nap(struct flush *f)
{
	uint64_t now = oi_now_ns();
	if (!f->idle_since)
		f->idle_since = now;
	oi_store_relaxed(&waits_only, now - f->idle_since > PATIENCE_NS); /* recheck */
	oi_sleep_ns(now - f->idle_since > 2000000 ? 500000 : 20000);
}

static void work_until_over(struct flush *f)
{
	while (!is_too_much(f)) {
		if (work_off(f))
			f->idle_since = 0;
		else if (is_over(f))
			return;
		else
			nap(f);
	}
	oi_log("a flush gives up after %llu objects: callbacks make more of them without end",
	       (unsigned long long)oi_load_relaxed(&oi_ticket.n_objects)); /* count */
}

/* ---- leading ---- */

static bool try_to_lead(struct oi_thread *t)
{
	struct oi_thread *none = NULL;
	return oi_cas(&leader, &none, t); /* [D3] */
}

static void begin_flush(void)
{
	oi_store_relaxed(&waits_only, false); /* recheck */
	oi_store_release(&n_begun, n_begun + 1); /* [D3] */
	oi_store_relaxed(&oi_ticket.n_objects, UINT64_C(0)); /* count */
	uint64_t now = oi_add_acq_rel(&oi_ticket.now, UINT64_C(1)) + 1; /* [D3] */
	oi_store_release(&oi_ticket.since, now); /* recheck: by the locks of the queues */
	oi_merge_make_old();
	oi_backlog_make_old();
}

/* What is left, if anything, is the reaper's and the tick's. */
static void end_flush(struct oi_thread *t)
{
	oi_store_release(&oi_ticket.since, UINT64_C(0)); /* recheck: by the locks of the queues */
	oi_store_release(&n_over, n_begun); /* [D3] */
	if (oi_backlog_any_old())
		oi_wake_reap();
	if (oi_merge_any_old())
		oi_wake_tick();
	if (oi_load_relaxed(&leader) == t) /* owner: no other thread makes it t */
		oi_store_release(&leader, (struct oi_thread *)NULL); /* [D3] */
}

static void lead(struct oi_thread *t, bool patient)
{
	struct flush f = { .t = t, .patient = patient, .next_look = LIMIT_FLOOR };
	begin_flush();
	oi_stray_serve();
	work_until_over(&f);
	end_flush(t);
}

/* A callback keeps the leader: this thread sees to what is in queues all the same. */
static void do_without(struct oi_thread *t)
{
	oi_merge_drain_all();
	oi_backlog_collect(true);
	for (unsigned n = 0; n < 100 && oi_backlog_serve(t, false, oi_work_of_release()); n++)
		;
}

static bool is_leader_stuck(void)
{
	struct oi_thread *t = oi_load_acquire(&leader); /* recheck */
	return t && (is_stuck(t) || oi_load_relaxed(&waits_only)); /* recheck */
}

/* Waits until a flush that begins from now on is over. */
static void flush(struct oi_thread *t, bool patient)
{
	oi_assert_unpinned(t);
	uint64_t wanted = oi_load_acquire(&n_begun) + 1; /* [D3] */
	while (oi_load_acquire(&n_over) < wanted) { /* [D3] */
		if (try_to_lead(t)) {
			lead(t, patient);
		} else if (!patient && is_leader_stuck()) {
			do_without(t);
			return;
		} else {
			oi_sleep_ns(50000);
		}
	}
}

void oi_flush(struct oi_thread *t)
{
	oi_assert_not_dying(t);
	oi_assert_unpinned(t);
	flush(t, true);
}

void oi_flush_patiently(struct oi_thread *t)
{
	if (!t->dying)
		flush(t, false);
}

bool oi_flush_any_waiting(void)
{
	return (garbage_counts() && oi_garbage_any_queued()) || oi_merge_any() || oi_stray_any() ||
	       oi_backlog_any();
}

bool oi_flush_any_serving(const struct oi_thread *self)
{
	struct oi_thread *t;
	for (size_t i = 0; (t = oi_thread_record(i)); i++)
		/* [D1] */
		if (t != self && oi_load_acquire(&t->serving) && !oi_load_relaxed(&t->dead))
			return true;
	return false;
}

void oi_flush_leave(struct oi_thread *t)
{
	if (oi_load_relaxed(&leader) == t) /* owner: no other thread makes it t */
		end_flush(t);
}

void oi_flush_fork_child(struct oi_thread *self)
{
	if (!leader || leader == self)
		return;
	oi_ticket.since = 0;
	n_over = n_begun;
	leader = NULL;
}

int ouro_flush(void)
{
	struct oi_thread *t = oi_current();
	if (t->pin_depth || t->in_callback || t->dying || oi_collect_locked_by_me())
		return EDEADLK;
	oi_flush(t);
	return 0;
}
