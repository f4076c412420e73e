/* gctrace.h - one log line for each collection. */
#ifndef OI_GCTRACE_H
#define OI_GCTRACE_H

#include "collect/garbage.h"

/* The heap starts. Returns true if OURO_GCTRACE asks for lines. */
bool oi_gctrace_start(void);
/* @g: what a collection found, before any of it is freed. */
void oi_gctrace_line(const struct oi_garbage *g,
		     void (*say)(const char *format, ...) OI_PRINTF(1, 2));

#endif
