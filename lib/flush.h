/* flush.h - waiting until what is dead is gone. */
#ifndef OI_FLUSH_H
#define OI_FLUSH_H

#include "compiler.h"

struct oi_thread;

/*
 * Merges and handed-over deaths, done on this thread; waits for other threads' deaths unless a finalizer or a watch holds
 * them up.
 */
void oi_flush_quick(struct oi_thread *t);
/* Does something dead wait in a queue? In manual mode the sets there do so for good. */
bool oi_flush_any_waiting(void);
/* The waiting alone. */
void oi_flush_await(struct oi_thread *t);
/* No other thread is carrying out deaths, but for those in a finalizer or a watch. */
bool oi_flush_all_quiet(struct oi_thread *self);
/* That and everything else: sets, running finalizers. */
void oi_flush(struct oi_thread *t);

#endif
