/*
 * callback.h - calling the program's code
 *
 * The program's code need not come back the way it went in. It may be cancelled, call pthread_exit,
 * let a C++ exception out, or leave by longjmp. What the thread had in hand then must not be lost,
 * and nobody may wait for it any more. callback.c says how.
 */
#ifndef OI_CALLBACK_H
#define OI_CALLBACK_H

#include "ouro.h"
#include "world/thread.h"

/* What the record of a thread said before it called the program; on the stack of the call. */
struct oi_callback {
	const struct oi_callback *outer; /* further out: a finalizer that collects, for one */
	uintptr_t frame;                 /* where the stack was */
	struct oi_garbage *hand_garbage;
	uint32_t dying, serving, in_callback, in_finalizer;
	unsigned holding_off;
};

/* What is called, for messages. */
struct oi_callback_name {
	char text[128];
};
struct oi_callback_name oi_callback_name(const struct oi_called *c);

/* The innermost callback of a thread while it traverses: type.c. */
extern const struct oi_callback oi_in_traverse OI_HIDDEN;

/* Calls fn(arg). Outside the gate. @type: whose function it is; NULL: a watch. */
void oi_callback(struct oi_thread *t, void (*fn)(void *), void *arg, const struct ouro_type *type);
/*
 * Calls what belongs to no object: the log function, a visitor; @name says which. It is not counted
 * as a callback, but may be left like one. Outside the gate. @t may be NULL.
 */
void oi_callback_aside(struct oi_thread *t, void (*fn)(void *), void *arg, const char *name);
bool oi_callback_visit(struct oi_thread *t, ouro_object_visitor fn, void *obj, void *arg);
/*
 * Calls an event function, with whatever locks the collection has; in a stop, perhaps. Cancellation
 * is put off, and the program is stopped if the function does not return.
 */
void oi_callback_event(struct oi_thread *t, void (*fn)(void *), void *arg);
/*
 * Returns true if this thread is in a callback, or pinned: others may wait for it, for what it has
 * in hand, or for a stop that waits for it. So it must not wait for them.
 */
bool oi_callback_keeps_others(void);
/* Aborts if the innermost callback was left by longjmp, as far as this can be told: callback.c. */
void oi_callback_check(const struct oi_thread *t);

#endif
