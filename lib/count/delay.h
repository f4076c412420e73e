/* delay.h - how far the collector lags behind, and delaying the threads that make its work. */
#ifndef OI_DELAY_H
#define OI_DELAY_H

#include "base/buckets.h"
#include "base/compiler.h"

struct oi_thread;

/* One of the library's threads has done with a callback. */
void oi_delay_progress(void);
/* Returns true if something lags further behind than is tolerated. */
bool oi_delay_due(void);
/* Returns about how many pages are dead and wait for the reaper. */
size_t oi_delay_pages_waiting(void);
/* Sets, by the lag, how many allocations a thread keeps to itself. */
void oi_delay_set_quota(void);
/*
 * Inside the gate, which it leaves for a while if something lags, unless this thread is one that
 * others wait for. @pages is how many pages it has begun; 0: it has used up its quota.
 */
OI_COLD void oi_delay_thread(struct oi_thread *t, size_t pages);
/*
 * Inside the gate: the thread has used up its quota of objects, and begun so many pages, or made a
 * large object. The first leaves the gate for a while if the collector lags behind.
 */
OI_COLD void oi_delay_allocated(struct oi_thread *t, size_t pages);
OI_COLD void oi_delay_allocated_large(struct oi_thread *t);
/* The histogram of the waits since the start of the heap. */
const struct oi_buckets *oi_delay_times(void);
void oi_delay_reset(void);

#endif
