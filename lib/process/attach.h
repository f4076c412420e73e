/*
 * attach.h - how threads come and go. What their first call does, and the first after a shutdown,
 * is a door: doors.h.
 */
#ifndef OI_ATTACH_H
#define OI_ATTACH_H

#include "world/thread.h"

/* Returns 0, or ENOMEM if there is none for its record, or for what has it leave at its exit. */
int oi_thread_attach(const char *name, bool internal);
/*
 * Like oi_thread_attach, but for calls that cannot fail: takes a record out of a store that needs
 * no memory, and does without a destructor if there is no room for it: then the tick sees that the
 * thread is gone. Returns false if the store is used up, too.
 */
bool oi_thread_attach_anyhow(const char *name, bool internal);
void oi_thread_detach(struct oi_thread *t);
/*
 * Detaches records whose threads are gone without having done so. Returns true if there may be more
 * later.
 */
bool oi_threads_reap_gone(void);
/* At the end of the heap, when nobody uses it: no record is attached any more. */
void oi_threads_shut_down(void);
void oi_threads_fork_child(struct oi_thread *self);

#endif
