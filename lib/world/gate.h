/*
 * gate.h - every operation is a pinned region of a few nanoseconds
 *
 * Note [GATE]. To enter, a thread stores the number of the current grace period into its gate,
 * then loads its request word; if that is not zero, it steps back and takes the slow way. A
 * stopper stores the request, then looks at the gates. This is a Dekker handshake: one of the two
 * must see the other's store. The mutator pays only a compiler barrier for it, because the other
 * side issues membarrier(PRIVATE_EXPEDITED) between its store and its loads, which is a full fence
 * in the middle of whatever every running thread of the process does. (Where the kernel has no
 * membarrier, OI_REQUEST_FENCE sends every entry the slow way, through a full fence.)
 *
 *   mutator: gate = n; if (request)
 *            (if the membarrier hits before the load, the request is seen; if after, the gate is)
 *   stopper: request = STOP; membarrier; wait until gate == 0
 *
 * Note [CHANGEOVER]. A filter of system calls that is installed after the start can refuse
 * membarrier from some moment on. The first thread that sees this holds the registry lock, as
 * every caller of membarrier does, and changes over to the fence for good:
 *   1 new records begin with FENCE (oi_world.membarrier, under that lock), and FENCE goes into
 *     every request word there is
 *   2 it waits until each thread has passed the fence of its slow way (t->fenced), or SETTLE_NS
 *     have gone by
 *   3 it passes a fence of its own, as its own entry may be on its way, too; then it looks at the
 *     gates as ever
 * A thread that sees FENCE is right from then on, by its own fence. Step 2 is for a thread that
 * had looked at its request word before, and whose store to its gate is still in a store buffer:
 * that thread would not see our request, nor we its gate. A thread that is fenced has done that
 * store before its fence [G5], so we see it. A thread may never become fenced, because it sleeps,
 * computes or is pinned, and does not come by. If it was off its processor at any moment of
 * SETTLE_NS (it sleeps, or shares a processor), the scheduler's full barrier was between its store
 * and our look, and its next load comes after FENCE. If it ran throughout, the tick interrupted
 * it, or at the least it has executed for that long: C11 promises that a store becomes visible in
 * a reasonable time (7.17.3), and processors drain their buffers in order and at once, in less
 * than a microsecond. No stronger promise is to be had without membarrier and without signals,
 * which are the program's: mprotect interrupts other processors on some machines only (not on
 * arm64, and no more on x86 with broadcast invalidation), and nothing that forces a thread off its
 * processor can be undone without a privilege.
 * A changeover happens once in the life of a heap, takes SETTLE_NS at most, and needs nothing from
 * any thread: so it cannot hang.
 *
 * Note [PINNED]. What entering and leaving store is in the record, so that neither asks whether the
 * program has pinned the thread: entering stores what t->entry points at, leaving stores t->rest.
 *   not pinned  entry: the world's epoch   rest: 0
 *   pinned      entry: t->rest             rest: what the gate was at ouro_pin, and is throughout
 * The thread itself moves between the two (oi_gate_pin, oi_gate_unpin), or, for a thread that is
 * gone, whoever finds that out under the registry lock. A stopper looks at neither word. In a pinned
 * region an operation stores to the gate what was there, so that its epoch stays that of the pin: a
 * newer one would let go of what the program has peeked at. It does nothing that is asked of its
 * thread, and least of all waits: oi_gate_slow returns at once.
 *
 * Note [NOBODY]. Nor does entering ask whether the thread is attached. Until it is, and once it has
 * detached, oi_mine points to a record that all such threads share, oi_nobody. Its request word is
 * never 0, so each entry fails there, and oi_gate_come attaches the thread. The failed entry has
 * stored what entry points at, and then rest, which are both 0: so the shared gate is always 0, and
 * nothing else of that record is ever written. No stopper knows it.
 *
 * States of a thread, seen from a stopper:
 *   outside  gate == 0                    may enter unless request has STOP or SEIZE
 *   inside   gate == n > 0, leaves by itself (an operation) or at ouro_unpin, ouro_safepoint
 *   waiting  gate == 0 and in oi_gate_slow, asleep on the world's sequence number
 * Orders: the owner's stores to gate are release, the stopper's loads acquire [G1]: what the
 * operation did happens before the stop. A stopper clears request with release, the mutator's load
 * is acquire [G2]: what the stop did happens before the operation.
 *
 * Why not liburcu-memb's read_lock and synchronize_rcu, which work in the same way? Their domain
 * is the application's too, so a thread that holds rcu_read_lock for its own reasons, outside this
 * library, would delay every stop; synchronize_rcu can neither say which thread holds it up nor
 * give up; and it costs more (bench/bench_gate.cc measures both side by side).
 * Models: tests/models/stop.pml (with attaching), and limbo.pml for the epoch of a pinned thread.
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

/* The first half of entering; the second is a look at the request word. */
OI_INLINE void oi_gate_store_entry(struct oi_thread *t)
{
	const uint64_t *entry = oi_load_relaxed(&t->entry); /* owner */
	/* [G3] acquire: pairs with the read-modify-write that seals a batch, seal in limbo.c. */
	oi_store_release(&t->gate, oi_load_acquire(entry)); /* [G1] */
	oi_compiler_barrier();
}

OI_INLINE void oi_gate_enter(struct oi_thread *t)
{
	oi_context_enter();
	oi_lock_check_gate();
	oi_gate_store_entry(t);
	if (unlikely(oi_load_acquire(&t->request))) /* [G2] */
		oi_gate_slow(t);
	oi_perturb();
}

OI_INLINE void oi_gate_leave(struct oi_thread *t)
{
	oi_perturb();
	oi_store_release(&t->gate, oi_load_relaxed(&t->rest)); /* [G1]; owner */
}

/* Inside the gate: the thread stays there, pinned @depth times. Note [PINNED] */
OI_INLINE void oi_gate_pin(struct oi_thread *t, uint32_t depth)
{
	oi_store_relaxed(&t->rest, oi_load_relaxed(&t->gate)); /* owner */
	oi_store_relaxed(&t->entry, &t->rest);                 /* owner */
	oi_store_release(&t->pin_depth, depth); /* [G1]: for who reaps it */
}

/* The thread is pinned no more, and leaves. */
OI_INLINE void oi_gate_unpin(struct oi_thread *t)
{
	oi_store_relaxed(&t->pin_depth, 0u);          /* owner */
	oi_store_relaxed(&t->entry, &oi_world.epoch); /* owner */
	oi_store_relaxed(&t->rest, (uint64_t)0);      /* owner */
	oi_store_release(&t->gate, (uint64_t)0);      /* [G1] */
}

/* In checked builds: a count may only change where no stop can be. */
OI_INLINE void oi_gate_check(const struct oi_thread *t)
{
	if (OURO_CHECKED && unlikely(!oi_load_relaxed(&t->gate))) /* owner */
		oi_abort("a count was to be changed outside the gate");
}

/*
 * The way in for the shortest calls, which keep whatever is less common out of their own code.
 * @t is oi_mine. Returns false if the thread is not attached, or something is asked of it; the
 * caller then uses oi_gate_come.
 */
OI_INLINE bool oi_gate_try_enter(struct oi_thread *t)
{
	oi_context_enter();
	oi_lock_check_gate();
	oi_gate_store_entry(t);
	if (unlikely(oi_load_acquire(&t->request))) { /* [G2] */
		oi_gate_leave(t);
		return false;
	}
	oi_perturb();
	return true;
}

/* The way into every public call: returns the calling thread's record, inside the gate. */
OI_INLINE struct oi_thread *oi_enter(void)
{
	struct oi_thread *t = oi_mine;
	return likely(oi_gate_try_enter(t)) ? t : oi_gate_come();
}

/* Like oi_enter, but does not enter the gate; for calls that enter and leave it themselves. */
OI_INLINE struct oi_thread *oi_current(void)
{
	struct oi_thread *t = oi_self;
	oi_context_enter();
	if (unlikely(!t))
		t = oi_thread_first_call(false);
	/* recheck: oi_thread_reattach looks again, under the registry lock */
	if (unlikely(oi_load_acquire(&t->request) & OI_REQUEST_ATTACH))
		oi_thread_reattach(t);
	if (unlikely(t->callback != NULL))
		oi_callback_check(t);
	return t;
}

#endif
