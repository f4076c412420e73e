/* timeline.h - the last events in the trace event format. */
#ifndef OI_TIMELINE_H
#define OI_TIMELINE_H

#include <stdio.h>

#include "base/compiler.h"

/* Writes all that flight.c has to @f, and flushes that. Returns 0, ENOMEM, or why that failed. */
int oi_timeline_write(FILE *f);

#endif
