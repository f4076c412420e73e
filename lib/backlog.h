/* backlog.h - how far the collector lags behind, and holding up those who make its work. */
#ifndef OI_BACKLOG_H
#define OI_BACKLOG_H

#include "compiler.h"

struct oi_thread;

/* Did large objects, which are born old, grow so much that a full collection is due? */
bool oi_backlog_large_due(void);
/* The reaper has done with a callback. */
void oi_backlog_progress(void);
/* Is some backlog larger than what is tolerated? */
bool oi_backlog_lags(void);
/* After a look at it: how many allocations a thread keeps to itself. */
void oi_backlog_set_batch(void);
/* Inside the gate, which it leaves for a while, unless this thread is one that others wait for. @pages: it has begun so many. */
OI_COLD void oi_backlog_delay(struct oi_thread *t, size_t pages);

#endif
