/* backlog.h - how far the collector lags behind, and holding up the threads that make its work. */
#ifndef OI_BACKLOG_H
#define OI_BACKLOG_H

#include "base/compiler.h"

struct oi_thread;

/* One of the library's threads has done with a callback. */
void oi_backlog_progress(void);
/* Returns true if some backlog is larger than what is tolerated. */
bool oi_backlog_lags(void);
/* Returns about how many pages are dead and wait for the reaper. */
size_t oi_backlog_pages_waiting(void);
/* Sets, by the lag, how many allocations a thread keeps to itself. */
void oi_backlog_set_batch(void);
/*
 * Inside the gate, which it leaves for a while if something lags, unless this thread is one that
 * others wait for. @pages is how many pages it has begun; 0: it has made a batch.
 */
OI_COLD void oi_backlog_delay(struct oi_thread *t, size_t pages);
/*
 * Inside the gate: the thread has made a batch of objects, and begun so many pages, or made a large
 * object. The first leaves the gate for a while if the collector lags behind.
 */
OI_COLD void oi_backlog_allocated(struct oi_thread *t, size_t pages);
OI_COLD void oi_backlog_allocated_large(struct oi_thread *t);

#endif
