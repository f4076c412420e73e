/*
 * doors.h - the calls that go up
 *
 * A file includes only what lies in its own layer or below, and asks for what is above it by what
 * it returns. These calls are the exceptions: they lead up, because the caller cannot go on before
 * they are done.
 */
#ifndef OI_DOORS_H
#define OI_DOORS_H

#include "base/compiler.h"

struct oi_callback;
struct oi_thread;

/*
 * Implemented by servants.c. The library's threads are missing, after a fork or because they were
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
 * The one slow way in, for a thread whose entry has failed: attaches it if need be, does what is
 * asked of it, and returns its record, inside the gate.
 */
OI_COLD struct oi_thread *oi_gate_come(void);

/*
 * Implemented by attach.c. Attaches the calling thread, and starts the heap if it does not run.
 * Without memory it returns NULL if @may_fail; else it waits until there is some.
 */
struct oi_thread *oi_thread_first_call(bool may_fail);
/*
 * Implemented by attach.c. The heap that @t, the caller's record, belonged to was shut down: joins
 * the next one, or starts it. Outside the gate.
 */
void oi_thread_reattach(struct oi_thread *t);

/*
 * Implemented by collect.c. An allocation has found no memory. Outside the gate, by a thread that
 * is neither pinned nor in a death; the program may hold any lock of its own. The first makes a
 * full collection on this thread, which runs none of the program's code: that is left to the
 * reaper. The second, called after it, waits a little if other threads are freeing something, and
 * returns false if there is nothing to wait for.
 */
void oi_collect_for_memory(struct oi_thread *t);
bool oi_collect_await_memory(struct oi_thread *t);

/*
 * Implemented by solo.c. Inside the gate, which it may leave and enter again: the thread has made
 * enough for a look at what it alone has touched.
 */
void oi_solo(struct oi_thread *t);

/*
 * Implemented by left.c. The callbacks inside @outer will not return; with NULL, none of the
 * thread's will. What it had in hand below them goes to others, and its record says again what it
 * said when @outer was called. Outside the gate, by the thread itself.
 */
void oi_left(struct oi_thread *t, const struct oi_callback *outer);

/*
 * Implemented by servants.c: creates a thread that attaches, calls fn(), and detaches, unless the
 * system refuses it, there is no room for its record, or the library's threads were ended. Nobody
 * waits for it but that end.
 * Under the lock of the full collection.
 */
void oi_servant_begin(void (*fn)(void));

#if OURO_CHECKED
/*
 * Implemented by context.c, for lock.c. Returns true if a stop would wait for the calling thread:
 * if it is inside its gate, and not about to fork.
 */
bool oi_context_waited_for(void);
#endif

#endif
