/* debug.h - the collector's debug flags, and the garbage that SAVEALL keeps. */
#ifndef OI_DEBUG_H
#define OI_DEBUG_H

#include "collect/set.h"

/*
 * After a collection: log lines, by @say, if the flags ask for them. @s is what it found, or NULL
 * if it found nothing.
 */
void oi_debug_report(const struct oi_set *s, void (*say)(const char *format, ...) OI_PRINTF(1, 2));
/*
 * With SAVEALL: keeps what is left of the set instead of clearing it, and returns true. What there
 * is no memory to list stays in the set, as it was before it was condemned but for the hold: the
 * caller gives it back, for a later collection.
 */
bool oi_debug_save(struct oi_set *s);
/* Returns true if a flag is set. */
bool oi_debug_any(void);
uint64_t oi_debug_kept(int generation);
void oi_debug_shutdown(void);

#endif
