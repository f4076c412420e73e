/* threads.h - questions about all threads at once. */
#ifndef OI_THREADS_H
#define OI_THREADS_H

#include "thread.h"

struct oi_thread_totals {
	uint64_t n_allocated, n_tracked, n_freed, bytes_allocated, bytes_freed;
	uint64_t n_delays, delay_ns, delay_max_ns;
};

/* Of all threads there are and were since the start. */
void oi_threads_totals(struct oi_thread_totals *out);
/* Is any other thread pinned? */
bool oi_threads_pinned(void);
/* Detaches records whose threads are gone without having done it; true: there may be more later. */
bool oi_threads_reap_gone(void);

#endif
