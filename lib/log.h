/* log.h - warnings to the program's log function, and aborts. Never allocates. */
#ifndef OI_LOG_H
#define OI_LOG_H

#include "compiler.h"

void oi_log(const char *format, ...) OI_PRINTF(1, 2);
/* Corruption or misuse: the message goes to the log and to stderr, then abort. */
_Noreturn void oi_abort(const char *format, ...) OI_PRINTF(1, 2);

#endif
