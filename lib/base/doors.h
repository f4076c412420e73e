/*
 * doors.h - the calls that go up
 *
 * A file includes only what lies in its own layer or below, and asks for what is above it by what
 * it returns. These are the exceptions: calls that lead from below to who stands above, because
 * nothing may be done before they are.
 */
#ifndef OI_DOORS_H
#define OI_DOORS_H

#include "base/compiler.h"

struct oi_callback;
struct oi_thread;

/*
 * Implemented by servants.c. The library's threads are missing, since a fork or since they were
 * refused, and something is asked of them: starts them, unless another thread is at it or the last
 * refusal is too recent. Callable anywhere; never waits.
 */
OI_COLD void oi_servants_start_missing(void);

/*
 * Implemented by serve.c. Something is asked of @t, which has entered its gate: does it, or waits
 * until it is done, and returns inside the gate. May leave the gate meanwhile; runs none of the
 * program's code.
 */
OI_COLD void oi_gate_slow(struct oi_thread *t);

/*
 * Implemented by attach.c. Attaches the calling thread, and starts the heap if nothing has. NULL,
 * only if @may_fail: no memory; else it waits if there is none at all.
 */
struct oi_thread *oi_thread_first_call(bool may_fail);
/*
 * Likewise. The heap that @t, the caller's, belonged to was shut down: it joins, or starts, the
 * next one. Outside the gate.
 */
void oi_thread_reattach(struct oi_thread *t);

/*
 * Implemented by collect.c. Memory please: an allocation has found none. Outside the gate, by a
 * thread that is neither pinned nor in a death; the caller may hold any lock of the program's.
 * The first makes a full collection on this thread, which runs no code of the program's: that is
 * the reaper's. The second, afterwards, waits a little if other threads are freeing something;
 * false: there is nothing to wait for.
 */
void oi_collect_for_memory(struct oi_thread *t);
bool oi_collect_await_memory(struct oi_thread *t);

/*
 * Implemented by left.c. The callbacks inside @outer, or all, will not return: what was in hand
 * below them goes to others, and the record says what it said when @outer was called. Outside the
 * gate, by the thread itself.
 */
void oi_left(struct oi_thread *t, const struct oi_callback *outer);

#if OURO_CHECKED
/*
 * Implemented by context.c, for lock.c. Does a stop wait for the calling thread: is it inside its
 * gate, and not about to fork?
 */
bool oi_context_waited_for(void);
#endif

#endif
