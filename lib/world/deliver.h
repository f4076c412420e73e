/* deliver.h - delivering messages of the log to the program's function. */
#ifndef OI_DELIVER_H
#define OI_DELIVER_H

#include "base/compiler.h"

/* Notes a message, then does as oi_log_deliver. */
void oi_say(const char *format, ...) OI_PRINTF(1, 2);
/*
 * Delivers what waits, unless another thread is at it, which then delivers that, too. Only where
 * the program's code may be called.
 */
void oi_log_deliver(void);
/* Returns true if something waits that nobody delivers. */
bool oi_log_any(void);
/* Called by a thread that ends, and may have left the function without unwinding. */
void oi_log_leave(void);
/* In the child of a fork: forgets what the parent noted, as the parent says it. */
void oi_log_fork_child(void);

#endif
