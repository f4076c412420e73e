/* debug.h - the collector's debug flags, and the garbage that SAVEALL keeps. */
#ifndef OI_DEBUG_H
#define OI_DEBUG_H

#include "collect/garbage.h"

/*
 * After a collection: log lines, by @say, if the flags ask for them. @g is what it found, or NULL
 * if it found nothing.
 */
void oi_debug_report(const struct oi_garbage *g,
		     void (*say)(const char *format, ...) OI_PRINTF(1, 2));
/*
 * With SAVEALL: keeps what is left of the garbage instead of clearing it, and returns true. What
 * there is no memory to list stays in it, as it was before it was declared garbage but for the
 * collector's reference: the caller gives it back, for a later collection.
 */
bool oi_debug_save(struct oi_garbage *g);
/* Returns true if a flag is set that changes what collections do. */
bool oi_debug_any(void);
uint64_t oi_debug_kept(int generation);
/* The heap starts: with the flag that the environment sets, or none. */
void oi_debug_start(void);
void oi_debug_shutdown(void);

#endif
