/* deliver.h - messages of the log are delivered to the program's function. */
#ifndef OI_DELIVER_H
#define OI_DELIVER_H

#include "base/compiler.h"

/* Notes a message and delivers what waits: for where the program's code may be called. */
void oi_say(const char *format, ...) OI_PRINTF(1, 2);
/*
 * Delivers what waits, unless another thread is at it, which then delivers that too. Where the
 * program's code may be called.
 */
void oi_log_deliver(void);
/* Is something waiting that nobody delivers? */
bool oi_log_any(void);
/* This thread ends, and may have left the function without unwinding. */
void oi_log_leave(void);
/* What the parent noted, it says. */
void oi_log_fork_child(void);

#endif
