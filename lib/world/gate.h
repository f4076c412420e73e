/*
 * gate.h - every operation is a pinned region of a few nanoseconds
 *
 * Note [GATE]. Entering: store the current grace period number into the thread's gate, then load the thread's request
 * word; if it is not zero, step back and take the slow way. Stopping: store the request, then look at the gates. This is
 * a Dekker handshake: one of the two must see the other's store. The mutator pays for it with a compiler barrier only,
 * because the other side issues membarrier(PRIVATE_EXPEDITED) between its store and its loads, which is a full fence in
 * the middle of whatever every running thread of the process does (where the kernel has none, OI_REQUEST_FENCE sends
 * every entry the slow way, through a full fence).
 *
 *   mutator: gate = n; (membarrier hits here or earlier: then request is seen; or later: then gate is seen); if (request)
 *   stopper: request = STOP; membarrier; wait until gate == 0
 *
 * Note [CHANGEOVER]. A filter of system calls that is installed after the start can refuse membarrier from some moment on. The first
 * who sees that holds the registry lock, as whoever asks for a membarrier does, and changes over to the fence for good:
 *   1 new records begin with FENCE (oi_world.membarrier, under that lock), and FENCE goes into every request word there is
 *   2 it waits until each thread has passed the fence of its slow way (t->fenced), or SETTLE_NS have gone by
 *   3 a fence of its own, whose entry may be on its way, too; then it looks at the gates as ever
 * A thread that sees FENCE is right from then on, by that fence. What 2 is for is a thread that had looked at its request word
 * before, and whose store to its gate is on its way still, in a store buffer: its request would not be seen by it, nor its gate by us.
 * One that is fenced has done that store before its fence [G5], so that it is seen. One that is not, because it
 * sleeps, computes, or is pinned, and does not come by: if it was off its processor at any moment of SETTLE_NS, the
 * scheduler's full barrier was between its store and our look, and its next load comes after FENCE; that is what sleeps and what
 * shares a processor. If it ran throughout, it was interrupted by the tick, or at the least has executed for that long: C11
 * promises that a store becomes visible in a reasonable time (7.17.3), processors drain their buffers in order and at
 * once, in less than a microsecond. No stronger promise is to be had without membarrier and without signals, which are the
 * program's: mprotect interrupts other processors on some machines only (not on arm64, and no more on x86 with broadcast
 * invalidation), nothing that forces a thread off its processor can be undone without a privilege.
 * It happens once in the life of a heap, takes SETTLE_NS at most, and needs nothing from any thread: so it cannot hang.
 *
 * States of a thread, seen from a stopper:
 *   outside  gate == 0                    may enter unless request has STOP or SEIZE
 *   inside   gate == n > 0, leaves by itself (an operation) or at ouro_unpin, ouro_safepoint
 *   waiting  gate == 0 and in oi_gate_slow, asleep on the world's generation word
 * Orders: the owner's stores to gate are release, the stopper's loads acquire [G1]: what the operation did happens before
 * the stop. A stopper clears request with release, the mutator's load is acquire [G2]: what the stop did happens before
 * the operation.
 *
 * Why not liburcu-memb's read_lock and synchronize_rcu, which is the same idea: its domain is the application's too, so a
 * thread that holds rcu_read_lock for its own reasons, outside this library, would delay every stop; synchronize_rcu can
 * neither say who holds it up nor give up; and it costs more (bench/bench_gate.cc has both side by side).
 * Model: tests/models/stop.pml.
 */
#ifndef OI_GATE_H
#define OI_GATE_H

#include "base/doors.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/perturb.h"
#include "world/callback.h"
#include "world/context.h"
#include "world/thread.h"
#include "world/world.h"

OI_COLD void oi_gate_fence(void);

OI_INLINE void oi_gate_enter(struct oi_thread *t)
{
	if (unlikely(t->pin_depth))
		return;
	oi_context_enter();
	oi_lock_check_gate();
	/* [G3] acquire: pairs with the exchange that seals a batch, seal in limbo.c. */
	oi_store_release(&t->gate, oi_load_acquire(&oi_world.epoch)); /* [G1] */
	oi_compiler_barrier();
	if (unlikely(oi_load_acquire(&t->request))) /* [G2] */
		oi_gate_slow(t);
	oi_perturb();
}

OI_INLINE void oi_gate_leave(struct oi_thread *t)
{
	oi_perturb();
	if (likely(!t->pin_depth))
		oi_store_release(&t->gate, (uint64_t)0); /* [G1] */
}

/* Checked builds: a count may only change where no stop can be. */
OI_INLINE void oi_gate_check(const struct oi_thread *t)
{
	if (OURO_CHECKED && unlikely(!oi_load_relaxed(&t->gate))) /* owner */
		oi_abort("a count was to be changed outside the gate");
}

/* The way into every public call: the calling thread's record, inside the gate. */
OI_INLINE struct oi_thread *oi_enter(void)
{
	struct oi_thread *t = oi_self;
	if (unlikely(!t))
		t = oi_thread_first_call(false);
	oi_gate_enter(t);
	return t;
}

/*
 * The way in and out for the shortest calls, which keep whatever is less common out of their own code: false if the thread is
 * not attached, is pinned, or something is asked of it; then oi_enter does it.
 */
OI_INLINE bool oi_gate_try_enter(struct oi_thread *t)
{
	if (unlikely(!t) || unlikely(t->pin_depth))
		return false;
	oi_context_enter();
	oi_lock_check_gate();
	oi_store_release(&t->gate, oi_load_acquire(&oi_world.epoch)); /* [G1] [G3], as oi_gate_enter */
	oi_compiler_barrier();
	if (unlikely(oi_load_acquire(&t->request))) { /* [G2] */
		oi_store_release(&t->gate, (uint64_t)0); /* [G1] */
		return false;
	}
	oi_perturb();
	return true;
}

OI_INLINE void oi_gate_leave_again(struct oi_thread *t)
{
	oi_perturb();
	oi_store_release(&t->gate, (uint64_t)0); /* [G1] */
}

/* For what either of the two may have entered; @pinned, a constant: the thread may be. */
OI_INLINE void oi_gate_leave_either(struct oi_thread *t, bool pinned)
{
	if (pinned)
		oi_gate_leave(t);
	else
		oi_gate_leave_again(t);
}

/* The same without the gate: for calls that go in and out themselves. */
OI_INLINE struct oi_thread *oi_current(void)
{
	struct oi_thread *t = oi_self;
	oi_context_enter();
	if (unlikely(!t))
		t = oi_thread_first_call(false);
	if (unlikely(oi_load_acquire(&t->request) & OI_REQUEST_ATTACH))
		oi_thread_reattach(t);
	if (unlikely(t->callback != NULL))
		oi_callback_check(t);
	return t;
}

#endif
