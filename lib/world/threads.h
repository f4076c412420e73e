/* threads.h - questions about all threads at once. */
#ifndef OI_THREADS_H
#define OI_THREADS_H

#include "base/compiler.h"

/* Attached ones of the program's. */
size_t oi_threads_count(void);
/* Is any other thread pinned? */
bool oi_threads_pinned(void);
/* From now on every operation, of every thread, takes the slow way in: at the end of the heap. */
void oi_threads_divert(void);

#endif
