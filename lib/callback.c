/*
 * callback.c - calling the program's finalizers, clears, destroys and watches
 *
 * All that a thread is at while it calls the program is in its record: dead objects on its stack, one in its hand, sets in its hand, and
 * counters that tell others of it. No function between a public call and a callback keeps anything of it to itself, or holds a
 * lock. So there is one place to undo it from, whatever the way out:
 *   returns       the counters of this one callback
 *   unwinds       a cleanup here. Cancellation and pthread_exit unwind through it, and so do C++ exceptions (the library is compiled
 *                 with -fexceptions). What is between the callback and the call that led to it is given to others
 *                 (oi_callback_abandon): the thread's record then says what it did when that call was made, by the program itself or
 *                 by a callback further out
 *   ends          a thread that ends without having unwound, for want of unwind tables: the same, by the destructor of its record
 *   longjmp       unwinds nothing, and is not seen until the thread calls again with the callback's frame no longer on its stack. That
 *                 is told by its address, and only if both lie on the stack that the thread began with: a coroutine has
 *                 another. Then the program is stopped, with the name of what was left
 *   never         the callback blocks, or its coroutine is not resumed: what waits behind it is taken away (pile.c)
 * A callback that was left counts as having run, like one that a fork cut off: what is in hand says so before the call.
 */
#include "callback.h"

#include <pthread.h>

#include "background.h"
#include "collect.h"
#include "context.h"
#include "death.h"
#include "flush.h"
#include "gate.h"
#include "log.h"
#include "pile.h"
#include "runtime.h"
#include "set.h"

/* ---- left ---- */

static const char *what(const struct oi_thread *t)
{
	const ouro_type *type = t->called_type;
	return !type ? "watch" : t->called == type->finalize ? "finalizer" : t->called == type->clear ? "clear" : "destroy";
}

static const char *whose(const struct oi_thread *t)
{
	return t->called_type ? t->called_type->name : "watched object";
}

/* Those found by collections, and an object with its watches; the dead that wait, too, if nothing is left that will come to them. */
static void give_away(struct oi_thread *t, const struct oi_callback *to)
{
	while (t->hand_set != to->hand_set)
		oi_set_put_back(t);
	if (!to->dying) {
		oi_gate_enter(t);
		oi_pile_inherit(t);
		oi_gate_leave(t);
		oi_flush_leave(t);
	}
	oi_background_reap();
}

void oi_callback_abandon(struct oi_thread *t, const struct oi_callback *outer)
{
	static const struct oi_callback none;
	const struct oi_callback *to = outer ? outer : &none;
	if (oi_runtime_ends(t))
		oi_abort("the %s of a \"%s\" did not return to ouro_shutdown", what(t), whose(t));
	give_away(t, to);
	t->callback = outer;
	t->in_finalizer = to->in_finalizer;
	t->thorough = outer ? to->thorough : t->internal;
	oi_store_release(&t->in_callback, to->in_callback);
	oi_store_relaxed(&t->deaths.armed, false); /* owner: gone, or armed again at the next push */
	oi_death_unwind(t, to->dying, to->serving);
	oi_collect_hold_off_only(to->holding_off);
}

/* ---- longjmp ---- */

static bool on_own_stack(uintptr_t a)
{
	pthread_attr_t attr;
	void *from = NULL;
	size_t bytes = 0;
	if (pthread_getattr_np(pthread_self(), &attr))
		return false;
	pthread_attr_getstack(&attr, &from, &bytes);
	pthread_attr_destroy(&attr);
	return a - (uintptr_t)from < bytes;
}

/* Stacks grow down: what was called by something lies below it. */
void oi_callback_check(const struct oi_thread *t)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0), there = t->callback_frame;
	if (here > there && on_own_stack(here) && on_own_stack(there))
		oi_abort("the %s of a \"%s\" was left by longjmp, past what the library was at", what(t), whose(t));
}

/* ---- calling ---- */

struct call {
	struct oi_callback c;
	struct oi_thread *t;
	const ouro_type *called_type; /* of the one further out */
	void (*called)(void *arg);
	bool returned;
};

static void enter(struct call *k, void (*fn)(void *arg), const ouro_type *type)
{
	struct oi_thread *t = k->t;
	k->called = t->called;
	k->called_type = t->called_type;
	t->called = fn;
	t->called_type = type;
	oi_store_release(&t->n_callbacks, t->n_callbacks + 1);
	oi_store_release(&t->in_callback, t->in_callback + 1);
	k->c = (struct oi_callback){
		.outer = t->callback, .frame = (uintptr_t)__builtin_frame_address(0),
		.hand_set = t->hand_set, .dying = t->dying, .serving = t->serving,
		.in_callback = t->in_callback, .in_finalizer = t->in_finalizer, .holding_off = oi_collect_holding_off(),
		.thorough = t->thorough,
	};
	t->callback = &k->c;
	t->callback_frame = k->c.frame;
}

static void leave_callback(struct call *k)
{
	struct oi_thread *t = k->t;
	if (likely(k->returned)) {
		t->callback = k->c.outer;
		oi_store_release(&t->in_callback, t->in_callback - 1);
	} else {
		oi_callback_abandon(t, k->c.outer);
	}
	t->called = k->called;
	t->called_type = k->called_type;
	t->callback_frame = k->c.outer ? k->c.outer->frame : 0;
}

void oi_callback(struct oi_thread *t, void (*fn)(void *), void *arg, const ouro_type *type)
{
	__attribute__((cleanup(leave_callback))) struct call k = { .t = t };
	oi_assert_may_call_program();
	enter(&k, fn, type);
	fn(arg);
	k.returned = true;
}
