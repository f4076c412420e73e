/*
 * attach.h - how threads come and go. Their first call, and the first after a shutdown, are
 * doors: doors.h.
 */
#ifndef OI_ATTACH_H
#define OI_ATTACH_H

#include "world/thread.h"

/* 0 or ENOMEM: for its record, or for what has it leave when it exits. */
int oi_thread_attach(const char *name, bool internal);
/*
 * The same for calls that cannot fail: out of a store of records that needs no memory, and
 * without a destructor if there is no room for it: then the tick sees that the thread is gone.
 * False: everything is used up, too.
 */
bool oi_thread_attach_anyhow(const char *name, bool internal);
void oi_thread_detach(struct oi_thread *t);
/* Detaches records whose threads are gone without having done it; true: there may be more later. */
bool oi_threads_reap_gone(void);
/* At the end of the heap, everybody gone: no record is attached any more. */
void oi_threads_shut_down(void);
void oi_threads_fork_child(struct oi_thread *self);

#endif
