/* asked.h - full collections that a call has asked the collector thread for. */
#ifndef OI_ASKED_H
#define OI_ASKED_H

#include "base/compiler.h"

/* By the collector thread: makes the collection that was asked for, if there is one. */
void oi_asked_serve(void (*between)(void));
/* Nobody is left: what was asked for is not wanted any more. */
void oi_asked_shutdown(void);

#endif
