/*
 * log.h - what is to be said to the program, and aborts. Never allocates.
 *
 * The log function is the program's: it may block, and take locks whose holders wait for this very
 * thread. So what is to be said is noted, from wherever, and delivered where nothing of the library
 * is held: deliver.h.
 */
#ifndef OI_LOG_H
#define OI_LOG_H

#include "base/compiler.h"

#include <stdarg.h>

#define OI_LOG_MESSAGE 512 /* bytes of one, with the zero */

/*
 * Notes a message, and asks the reaper to deliver it. Callable anywhere: inside a gate, with locks
 * held, in a stop.
 */
void oi_log(const char *format, ...) OI_PRINTF(1, 2);
/* For corruption or misuse: writes the message to stderr and aborts. */
_Noreturn void oi_abort(const char *format, ...) OI_PRINTF(1, 2);

/* ---- for deliver.c ---- */

/* Notes a message and asks nobody. */
void oi_log_note(const char *format, va_list ap);
/* Returns true if a message waits. Whoever noted it delivers it, or has asked for that. */
bool oi_log_waiting(void);
/* Under the lock: takes the oldest. Returns false if there is none. */
bool oi_log_next(char message[OI_LOG_MESSAGE]);
/* Under the lock: forgets all. */
void oi_log_clear(void);
/* Writes a message to stderr, if the program has set no function. */
void oi_log_write(const char *message);

#endif
