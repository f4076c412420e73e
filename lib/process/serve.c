/*
 * serve.c - what is asked of a thread that enters its gate
 *
 * The bits of its request word (thread.h), and who sets them: world.c has the thread wait for a
 * stop or a seizure, park.c has it come back, merge.c and backlog.c ask it to work off what is its
 * own, fork.c has it start the library's threads, attach.c has it join another heap. What may wait
 * for other threads is done outside the gate; then all is looked at anew: Notes [STOP], [PARK],
 * [GATE].
 */
#include "base/doors.h"
#include "base/holdup.h"
#include "base/os.h"
#include "count/backlog.h"
#include "count/merge.h"
#include "process/servants.h"
#include "world/gate.h"
#include "world/park.h"
#include "world/thread.h"
#include "world/world.h"

/* Sleeps until the stop or the seizure that keeps @t out is over. */
static void wait_outside(struct oi_thread *t, bool arrived)
{
	for (;;) {
		/* [G6] after n_waiting was counted up, and before the request: Note [STOP] */
		uint32_t seq = __atomic_load_n(&oi_world.seq, __ATOMIC_SEQ_CST);
		bool stop = arrived && oi_load_acquire(&oi_world.stopping); /* [Q1] [G2] */
		if (!stop && !(oi_load_acquire(&t->request) & (OI_REQUEST_STOP | OI_REQUEST_SEIZE)))
			return;
		oi_futex_wait(&oi_world.seq, seq, 0);
	}
}

/*
 * Inside the gate; may leave it and come back. Does what others ask of this thread's own: once in
 * an operation, as a slice of it, and not at all in the middle of a death; what is left is the next
 * operation's. Returns true if there was something.
 */
static bool serve_own(struct oi_thread *t)
{
	/* recheck: what is asked for is looked for under its lock */
	uint32_t own = oi_load_acquire(&t->request) & (OI_REQUEST_DRAIN | OI_REQUEST_BACKLOG);
	if (!own || (t->dying && !t->in_callback))
		return false;
	oi_and_acq_rel(&t->request, ~own); /* recheck: before the look, so a later one stands */
	if (own & OI_REQUEST_DRAIN) {
		uint64_t began = oi_now_ns();
		oi_merge_drain_own(t);
		oi_holdup_from(OURO_HOLDUP_MERGE, began, oi_now_ns());
	}
	if ((own & OI_REQUEST_BACKLOG) && oi_backlog_leave(t))
		oi_or_acq_rel(&t->request, OI_REQUEST_BACKLOG); /* recheck: as above */
	return true;
}

/* Outside the gate: creating a thread takes a while. */
static void serve_start(struct oi_thread *t)
{
	/* owner: it was set in the child of a fork, by this thread */
	oi_and_acq_rel(&t->request, ~(uint32_t)OI_REQUEST_START);
	oi_servants_need();
}

/* How a call is kept outside. */
struct wait {
	uint64_t began; /* 0: not at all */
	ouro_holdup cause;
	bool arrived; /* it was parked: its request word shows no stop that has not taken it in */
};

/* Inside the gate. Returns what is asked of @t, and what a stop asks that it arrived in. */
static uint32_t requests(struct oi_thread *t, bool arrived)
{
	uint32_t r = oi_load_acquire(&t->request); /* [G2] */
	if (r & OI_REQUEST_FENCE) {
		oi_gate_fence();
		if (unlikely(!t->fenced))
			oi_store_release(&t->fenced, true); /* [G5] */
		r = oi_load_acquire(&t->request);
	}
	if (unlikely(arrived) && oi_load_acquire(&oi_world.stopping)) /* [Q1] */
		r |= OI_REQUEST_STOP;
	return r & ~(uint32_t)OI_REQUEST_FENCE;
}

static void begin_wait(struct oi_thread *t, struct wait *w, uint32_t r)
{
	if (w->began)
		return;
	/* [G6] before it sleeps: wake_waiters */
	__atomic_fetch_add(&oi_world.n_waiting, 1, __ATOMIC_SEQ_CST);
	oi_store_relaxed(&t->waiting, true); /* recheck: a hint */
	w->began = oi_now_ns();
	w->cause = r & OI_REQUEST_STOP ? OURO_HOLDUP_STOP : OURO_HOLDUP_SEIZE;
}

static void end_wait(struct oi_thread *t, const struct wait *w)
{
	if (!w->began)
		return;
	/* count: one too many costs a wake, or a stop 2 ms */
	__atomic_fetch_sub(&oi_world.n_waiting, 1, __ATOMIC_SEQ_CST);
	oi_store_relaxed(&t->waiting, false); /* recheck: a hint */
	oi_holdup_from(w->cause, w->began, oi_now_ns());
}

/* Outside the gate: does what cannot be done inside. */
static void step_outside(struct oi_thread *t, struct wait *w, uint32_t r)
{
	if (r & OI_REQUEST_START)
		serve_start(t);
	if (r & OI_REQUEST_PARKED) {
		oi_park_arrive(t);
		w->arrived = true;
	} else if (r & OI_REQUEST_ATTACH) {
		oi_thread_reattach(t);
	} else if (r & (OI_REQUEST_STOP | OI_REQUEST_SEIZE)) {
		begin_wait(t, w, r);
		wait_outside(t, w->arrived);
	}
}

/* Note [NOBODY] */
static void check_nobody(void)
{
	if (oi_load_relaxed(&oi_nobody.gate) || /* recheck: others store 0 there */
	    oi_nobody.rest || oi_nobody.pin_depth || oi_nobody.request != OI_REQUEST_NOBODY)
		oi_abort("somebody wrote to the record of nobody");
}

struct oi_thread *oi_gate_come(void)
{
	struct oi_thread *t = oi_self;
	if (OURO_CHECKED)
		check_nobody();
	if (!t)
		t = oi_thread_first_call(false);
	oi_gate_enter(t);
	return t;
}

void oi_gate_slow(struct oi_thread *t)
{
	if (t->pin_depth) /* Note [PINNED] */
		return;
	uint32_t r;
	bool served = false;
	struct wait w = { .began = 0 };
	const uint32_t outside = OI_REQUEST_STOP | OI_REQUEST_SEIZE | OI_REQUEST_ATTACH |
				 OI_REQUEST_PARKED | OI_REQUEST_START;
	for (;;) {
		r = requests(t, w.arrived);
		if (!(r & outside)) {
			if (served || !serve_own(t))
				break;
			served = true;
			continue;
		}
		oi_gate_leave(t);
		step_outside(t, &w, r);
		oi_gate_store_entry(t);
	}
	end_wait(t, &w);
}
