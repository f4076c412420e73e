/* flush.h - waiting until what is dead is gone. */
#ifndef OI_FLUSH_H
#define OI_FLUSH_H

#include "base/compiler.h"

struct oi_thread;

/*
 * Outside the gate and outside any death: returns when all that was dead at the call, and what died
 * of it, is gone.
 */
void oi_flush(struct oi_thread *t);
/*
 * Like oi_flush, but for a collection: what a callback on another thread keeps from being gone is
 * not waited for for ever.
 */
void oi_flush_patiently(struct oi_thread *t);

/*
 * Returns true if something dead waits in a queue. In manual mode the garbage there waits for the
 * program, and does not count.
 */
bool oi_flush_any_waiting(void);
/* Returns true if another thread works on something that was in a queue. */
bool oi_flush_any_serving(const struct oi_thread *self);

/* The thread leaves, perhaps in the middle of a flush. */
void oi_flush_leave(struct oi_thread *t);
/* In the child of a fork: the thread that led a flush may be gone. */
void oi_flush_fork_child(struct oi_thread *self);

#endif
