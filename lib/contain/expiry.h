/* expiry.h - values whose time is over go, though nobody comes by. See expiry.c. */
#ifndef OI_EXPIRY_H
#define OI_EXPIRY_H

#include "contain/layout.h"

/* @m has times, and others do not know it yet. Returns false without memory. */
bool oi_expiry_add(struct ouro_map *m);
/* A value that lives for @ns was put into @m. Outside pinned regions. */
void oi_expiry_note(struct ouro_map *m, uint64_t ns);

/* Returns true if a pass is due: a reaper is wanted. */
bool oi_expiry_due(void);
/* For the collector thread. Returns how many ns it may sleep until then, at most @most. */
uint64_t oi_expiry_wait_ns(uint64_t most);
/* For a reaper: a slice of each pass that is due. Returns true if there is more. */
bool oi_expiry_serve(void);

void oi_expiry_fork_child(void);
void oi_expiry_shutdown(void);

#endif
