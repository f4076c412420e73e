/* full.h - collections beside the mutators. */
#ifndef OI_FULL_H
#define OI_FULL_H

#include "collect/set.h"
#include "world/thread.h"

enum oi_scope {
	OI_SCOPE_OLD,   /* what is old */
	OI_SCOPE_YOUNG, /* what is young, and becomes old, in short stops */
	OI_SCOPE_ALL    /* both */
};

/*
 * Under the lock, outside the gate: find what is unreachable within the scope, which is settled
 * when oi_full_begin returns. The collection counts as one of @generation. @between, unless it is
 * NULL, is called now and then outside the gate. oi_full_begin returns the set for what dies, in
 * this thread's hand; NULL if there is no memory to begin: then there is nothing to finish.
 * oi_full_finish fills the set, calls oi_serve_begin, and returns how many objects were looked at.
 */
struct oi_set *oi_full_begin(struct oi_thread *t, int generation, enum oi_scope scope,
			     void (*between)(void));
size_t oi_full_finish(struct oi_thread *t);
/*
 * For the collector thread, perhaps between two slices of its own: all that is young becomes old,
 * in short stops. Returns false if another thread has the lock.
 */
bool oi_full_promote(void);
/*
 * Takes the lock. Finds the members of a condemned set that are reachable from outside, and all
 * they reach: these leave the set, and live. Outside the gate. Returns false if there is no memory;
 * then nothing has changed.
 */
bool oi_full_resurrect(struct oi_thread *t, struct oi_set *s);

void oi_full_shutdown(void);
/* In the child of a fork, world stopped: ends the collection of a thread that is gone. */
void oi_full_inherit(void);

#endif
