/* concurrent.h - collections that run concurrently with the program. */
#ifndef OI_CONCURRENT_H
#define OI_CONCURRENT_H

#include "collect/garbage.h"
#include "world/thread.h"

enum oi_scope {
	OI_SCOPE_OLD,   /* what is old */
	OI_SCOPE_YOUNG, /* what is young, and becomes old, in short stops */
	OI_SCOPE_ALL    /* both */
};

/*
 * Under the lock, outside the gate: find what is unreachable within the scope, which is settled
 * when oi_concurrent_begin returns. The collection counts as one of @generation. @between, unless
 * it is NULL, is called now and then outside the gate. oi_concurrent_begin returns the struct for
 * what dies, in this thread's hand; NULL if there is no memory to begin: then there is nothing to
 * finish. oi_concurrent_finish fills it, calls oi_serve_begin, and returns how many objects were
 * looked at.
 */
struct oi_garbage *oi_concurrent_begin(struct oi_thread *t, int generation, enum oi_scope scope,
				       void (*between)(void));
size_t oi_concurrent_finish(struct oi_thread *t);
/*
 * Under the lock, outside the gate: searches what was noted as loose (near.h) for garbage. Returns
 * the set of what it found, perhaps empty, in this thread's hand; NULL if there is no memory. Calls
 * oi_serve_begin. *@n_looked: at how many objects it looked; *@n_left: how many wait for the next
 * search.
 */
struct oi_garbage *oi_concurrent_search(struct oi_thread *t, void (*between)(void),
					size_t *n_looked, size_t *n_left);
/*
 * For the collector thread, perhaps between two slices of its own: all that is young becomes old,
 * in short stops. Returns false if another thread has the lock.
 */
bool oi_concurrent_promote(void);
/*
 * Takes the lock. Finds the objects of the garbage that are reachable from outside, and all they
 * reach: these leave it, and live. Outside the gate. Returns false if there is no memory; then
 * nothing has changed.
 */
bool oi_concurrent_resurrect(struct oi_thread *t, struct oi_garbage *g);

void oi_concurrent_shutdown(void);
/* In the child of a fork, world stopped: ends the collection of a thread that is gone. */
void oi_concurrent_inherit(void);

#endif
