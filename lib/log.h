/*
 * log.h - warnings to the program's log function, and aborts. Never allocates.
 *
 * The log function is the program's: it may block, and take locks whose holders wait for this very thread. So what is to be said
 * is noted, from wherever, and delivered where nothing of the library is held: see log.c.
 */
#ifndef OI_LOG_H
#define OI_LOG_H

#include "compiler.h"

/* Notes a message, and asks the reaper to deliver it. Callable anywhere: inside a gate, with locks held, in a stop. */
void oi_log(const char *format, ...) OI_PRINTF(1, 2);
/* Notes and delivers: for where the program's code may be called. */
void oi_say(const char *format, ...) OI_PRINTF(1, 2);
/* Delivers what waits, unless another thread is at it, which then delivers that too. Where the program's code may be called. */
void oi_log_deliver(void);
/* Is something waiting that nobody delivers? */
bool oi_log_any(void);
/* This thread ends, and may have left the function without unwinding. */
void oi_log_leave(void);
/* What the parent noted, it says. */
void oi_log_fork_child(void);
/* Corruption or misuse: the message goes to stderr, then abort. */
_Noreturn void oi_abort(const char *format, ...) OI_PRINTF(1, 2);

#endif
