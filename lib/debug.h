/* debug.h - the collector's debug flags, and the garbage that SAVEALL keeps. */
#ifndef OI_DEBUG_H
#define OI_DEBUG_H

#include "set.h"

/* After a collection: log lines, if asked for. */
void oi_debug_report(const struct oi_set *s, size_t candidates, uint64_t ns);
/* With SAVEALL: keeps what is left of the set instead of clearing it; true if it did. */
bool oi_debug_save(struct oi_set *s);
uint64_t oi_debug_kept(int generation);
void oi_debug_shutdown(void);

#endif
