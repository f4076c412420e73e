/* promise.h - something that one thread makes, and others wait for. See promise.c. */
#ifndef OI_PROMISE_H
#define OI_PROMISE_H

#include "base/compiler.h"

struct oi_thread;

enum oi_promised { OI_PROMISE_MADE_NOW, OI_PROMISE_KEPT, OI_PROMISE_LEFT };

struct oi_promise {
	void *value;    /* a slot; what was made, or NULL */
	int error;      /* then why */
	uint32_t state; /* futex: enum oi_promised */
	/* under the lock of promises, until it is kept or left */
	struct oi_thread *maker;
	struct oi_promise *next; /* of the same maker's */
};

/* Returns a new reference to a promise of the calling thread's; NULL without memory. */
struct oi_promise *oi_promise_new(struct oi_thread *t);
/* By its maker. @value: borrowed, may be NULL; then @error says why. */
void oi_promise_keep(struct oi_promise *p, void *value, int error);
/* It will not be kept. By its maker; may be called for one that is over. */
void oi_promise_leave(struct oi_promise *p);
/*
 * Outside the gate. Waits until it is over. Returns 0 if it was kept; ECANCELED if it was left;
 * EDEADLK if the caller may not wait, or what it makes itself is what it would wait for.
 */
int oi_promise_wait(struct oi_thread *t, struct oi_promise *p);
/* None of what @t makes will be kept: it ended, or is not in the child of a fork. */
void oi_promises_leave(struct oi_thread *t);

#endif
