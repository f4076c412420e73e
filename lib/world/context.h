/*
 * context.h - what holds where a function runs, asserted in checked builds; nothing in others
 *
 * "Inside the gate", "outside the gate", "in a stop", "under the lock" (lock.h) are preconditions
 * of half the library. A thread that the program has pinned is inside throughout; "outside" then
 * means outside but for that pin.
 *
 * The program's code (finalizers, clear, destroy, watches, listeners, visitors, the log function)
 * is called with no lock of the library held, outside every stop, and outside the gate, unless
 * the program has pinned the thread itself. Two kinds of it are told more by their headers and
 * may do less: traverse, which runs in stops, and listeners, which are called by a collection
 * that holds its long locks, and for OURO_PAUSE_START in the stop.
 */
#ifndef OI_CONTEXT_H
#define OI_CONTEXT_H

#include "base/compiler.h"

struct oi_thread;

#if OURO_CHECKED
#define oi_assert_inside(t) oi_context_inside(t, __func__)
#define oi_assert_outside(t) oi_context_outside(t, __func__)
#define oi_assert_unpinned(t) oi_context_unpinned(t, __func__)
#define oi_assert_at_rest(t) oi_context_at_rest(t, __func__)
#define oi_assert_stopped() oi_context_stopped(__func__)
#define oi_assert_dying(t) oi_context_dying(t, true, __func__)
#define oi_assert_not_dying(t) oi_context_dying(t, false, __func__)
#define oi_assert_may_call_program() oi_context_program(__func__)
void oi_context_inside(const struct oi_thread *t, const char *where);
void oi_context_outside(const struct oi_thread *t, const char *where);
/* Outside the gate, and not pinned either: it is going to wait for other threads' gates. */
void oi_context_unpinned(const struct oi_thread *t, const char *where);
/*
 * What is @t's alone does not change meanwhile: @t is the caller, inside its gate, or is kept
 * outside it.
 */
void oi_context_at_rest(const struct oi_thread *t, const char *where);
void oi_context_stopped(const char *where);
/* @t is in a death, or in none: whoever flushes looks at what it leaves. */
void oi_context_dying(const struct oi_thread *t, bool dying, const char *where);
void oi_context_program(const char *where);
/*
 * Around a listener. @pause: it is told of a stop, within that stop, and may not call the library.
 * Returns what to give to oi_context_listener_over.
 */
unsigned oi_context_listener(bool pause);
void oi_context_listener_over(unsigned before);
/* At the door of a public call. */
void oi_context_enter(void);
#else
#define oi_assert_inside(t) ((void)0)
#define oi_assert_outside(t) ((void)0)
#define oi_assert_unpinned(t) ((void)0)
#define oi_assert_at_rest(t) ((void)0)
#define oi_assert_stopped() ((void)0)
#define oi_assert_dying(t) ((void)0)
#define oi_assert_not_dying(t) ((void)0)
#define oi_assert_may_call_program() ((void)0)
#define oi_context_listener(pause) ((void)(pause), 0u)
#define oi_context_listener_over(before) ((void)(before))
#define oi_context_enter() ((void)0)
#endif

/*
 * How many listeners, log functions or visitors this thread is inside: the library goes on behind
 * them with what it has begun. So the heap is not shut down there, and the thread not detached.
 */
extern __thread unsigned oi_inside_program OI_HIDDEN;

#endif
