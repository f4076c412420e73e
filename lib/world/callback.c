/*
 * callback.c - calling the program's code
 *
 * All that a thread is at while it calls the program is in its record: dead objects on its stack,
 * one in its hand, garbage in its hand, and counters that tell others of it. No function between a
 * public call and a callback keeps anything of this to itself, or holds a lock. So there is one
 * place to undo it from, whatever the way out:
 *   returns       the counters of this one callback are undone
 *   unwinds       a cleanup here. Cancellation and pthread_exit unwind through it, and so do C++
 *                 exceptions (the library is compiled with -fexceptions). What is between the
 *                 callback and the call that led to it is given to others (left.c): the thread's
 *                 record then says what it did when that call was made, by the program itself or by
 *                 a callback further out
 *   ends          a thread that ends without having unwound, for want of unwind tables: the
 *                 destructor of its record does what the cleanup would have done
 *   longjmp       unwinds nothing, and is not seen until the thread calls again with the callback's
 *                 frame no longer on its stack. That is told by its address, and only if both lie
 *                 on the stack that the thread began with: a coroutine has another. Then the
 *                 program is stopped, with the name of what was left
 *   never         the callback blocks, or its coroutine is not resumed: what waits behind it is
 *                 taken away (backlog.c)
 * A pinned region that a callback began and left open ends with it: else the library would wait for
 * its own thread. Checked builds stop the program if it returns so.
 * A callback that was left counts as having run, like one that a fork cut off: what is in hand says
 * so before the call.
 *
 * Event functions, the log function and visitors belong to no object, and nobody waits for them
 * (oi_callback_aside). But what they call may run callbacks, and these may be left for a handler in
 * there: so what the thread was at before is on record as well. The log function and visitors may
 * be left like callbacks. Event functions may not: a collection goes on behind them, with locks
 * held. Nor may traverse (type.c), which runs in stops.
 */
#include "world/callback.h"

#include <pthread.h>
#include <stdio.h>

#include "base/callers.h"
#include "base/cancel.h"
#include "base/doors.h"
#include "base/log.h"
#include "world/context.h"
#include "world/gate.h"
#include "world/gclock.h"

/* ---- what is called ---- */

static const char *kind(const struct oi_called *c)
{
	return c->fn == c->type->finalize ? "finalizer" :
	       c->fn == c->type->clear    ? "clear" : "destroy";
}

struct oi_callback_name oi_callback_name(const struct oi_called *c)
{
	struct oi_callback_name n;
	if (c->aside)
		snprintf(n.text, sizeof n.text, "the %s", c->aside);
	else if (c->type)
		snprintf(n.text, sizeof n.text, "the %s of a \"%s\"", kind(c), c->type->name);
	else
		snprintf(n.text, sizeof n.text, "the watch of a \"watched object\"");
	return n;
}

/* ---- longjmp ---- */

const struct oi_callback oi_in_traverse = { .outer = NULL };

static bool on_own_stack(uintptr_t a)
{
	struct oi_stack stack = oi_stack_of_thread();
	return a >= stack.from && a < stack.to;
}

/* Stacks grow down: what was called by something lies below it. */
void oi_callback_check(const struct oi_thread *t)
{
	if (t->traversed)
		oi_abort("the traverse of a \"%s\" called the library, or was left by longjmp",
			 t->traversed->name);
	uintptr_t here = (uintptr_t)__builtin_frame_address(0), there = t->callback_frame;
	if (here > there && on_own_stack(here) && on_own_stack(there))
		oi_abort("%s was left by longjmp, past what the library was at",
			 oi_callback_name(&t->called).text);
}

/* ---- calling ---- */

struct call {
	struct oi_callback c;
	struct oi_thread *t;
	struct oi_called called, outer; /* what is called here, and what was, further out */
	uint32_t pins;                  /* regions that are open when it is called */
	bool counts, must_return, returned;
};

static void count(struct call *k)
{
	struct oi_thread *t = k->t;
	k->counts = true;
	if (!t->in_callback) /* if one never returns, those that it calls are no sign of progress */
		oi_store_release(&t->n_callbacks, t->n_callbacks + 1); /* owner; others read it */
	oi_store_release(&t->in_callback, t->in_callback + 1);         /* owner; others read it */
}

/*
 * Notes what the thread is at inside this call: if a callback further in is left, and that is
 * caught here, this is what the thread comes back to.
 */
static void note(struct call *k)
{
	struct oi_thread *t = k->t;
	k->c = (struct oi_callback){
		.outer = t->callback, .frame = (uintptr_t)__builtin_frame_address(0),
		.hand_garbage = t->hand_garbage, .dying = t->dying, .serving = t->serving,
		.in_callback = t->in_callback, .in_finalizer = t->in_finalizer,
		.holding_off = oi_collect_holding_off(),
	};
	k->pins = t->pin_depth;
	k->outer = t->called;
	t->called = k->called;
	t->callback = &k->c;
	t->callback_frame = k->c.frame;
}

/* A region that the callback left open would have the library wait for its own thread's gate. */
static void end_pins(const struct call *k)
{
	struct oi_thread *t = oi_self; /* it may have attached meanwhile */
	if (likely(!t || t->pin_depth <= k->pins))
		return;
	if (OURO_CHECKED && k->returned)
		oi_abort("%s returned inside a pinned region that it had begun",
			 oi_callback_name(&k->called).text);
	if (k->pins)
		oi_store_relaxed(&t->pin_depth, k->pins); /* owner */
	else
		oi_gate_unpin(t);
}

/* The innermost ends: the record says again what it said before. */
static void back_to_outer(const struct call *k)
{
	struct oi_thread *t = k->t;
	t->callback = k->c.outer;
	t->called = k->outer;
	t->callback_frame = k->c.outer ? k->c.outer->frame : 0;
}

/* On the stack of the call, and constant only for its readers. */
static struct call *call_of(const struct oi_callback *c)
{
	return (struct call *)((uintptr_t)c - offsetof(struct call, c));
}

/*
 * Where coroutines are switched, callbacks need not end in the order in which they began: one that
 * began inside this one, and goes on, now lies inside what is around this one.
 */
static void note_end_crossing(const struct call *k)
{
	oi_callback_check(k->t);
	struct call *inner = call_of(k->t->callback);
	while (inner->c.outer != &k->c)
		inner = call_of(inner->c.outer);
	inner->c.outer = k->c.outer;
	inner->outer = k->outer;
}

static void end_invocation(struct call *k)
{
	struct oi_thread *t = k->t;
	if (unlikely(!k->returned)) {
		oi_left(t, k->c.outer);
		back_to_outer(k);
		return;
	}
	oi_store_release(&t->in_callback, t->in_callback - k->counts); /* owner; others read it */
	if (likely(t->callback == &k->c))
		back_to_outer(k);
	else
		note_end_crossing(k);
}

static void leave_callback(struct call *k)
{
	end_pins(k);
	end_invocation(k);
}

void oi_callback(struct oi_thread *t, void (*fn)(void *), void *arg, const ouro_type *type)
{
	__attribute__((cleanup(leave_callback))) struct call k = {
		.t = t, .called = { .fn = fn, .type = type }
	};
	oi_assert_may_call_program();
	oi_point("callback");
	count(&k);
	note(&k);
	fn(arg);
	k.returned = true;
}

/* ---- what belongs to no object ---- */

static void leave_aside(struct call *k)
{
	oi_inside_program--;
	if (!k->returned && k->must_return)
		oi_abort("%s did not return: an exception or pthread_exit left it",
			 oi_callback_name(&k->called).text);
	end_pins(k);
	if (k->t)
		end_invocation(k);
}

static void call_aside(struct call *init, void (*fn)(void *), void *arg)
{
	__attribute__((cleanup(leave_aside))) struct call k = *init;
	if (k.t)
		note(&k);
	oi_inside_program++;
	fn(arg);
	k.returned = true;
}

bool oi_callback_keeps_others(void)
{
	const struct oi_thread *t = oi_self;
	return oi_inside_program || (t && (t->pin_depth || t->in_callback));
}

void oi_callback_aside(struct oi_thread *t, void (*fn)(void *), void *arg, const char *name)
{
	struct call k = { .t = t, .called.aside = name };
	oi_assert_may_call_program();
	call_aside(&k, fn, arg);
}

void oi_callback_event(struct oi_thread *t, void (*fn)(void *), void *arg)
{
	struct call k = { .t = t, .called.aside = "event function", .must_return = true };
	int cancel = oi_cancel_off();
	call_aside(&k, fn, arg);
	oi_cancel_back(cancel);
}

struct visit {
	ouro_object_visitor fn;
	void *obj, *arg;
	bool go_on;
};

static void visit(void *arg)
{
	struct visit *v = arg;
	v->go_on = v->fn(v->obj, v->arg);
}

bool oi_callback_visit(struct oi_thread *t, ouro_object_visitor fn, void *obj, void *arg)
{
	struct visit v = { .fn = fn, .obj = obj, .arg = arg };
	oi_callback_aside(t, visit, &v, "visitor");
	return v.go_on;
}
