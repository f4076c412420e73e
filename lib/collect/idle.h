/*
 * idle.h - a full collection that no birth asks for, of what was dropped by a program that is idle,
 * or makes nothing that can be in a cycle
 */
#ifndef OI_IDLE_H
#define OI_IDLE_H

#include "base/compiler.h"

/*
 * Called by every full collection, under its lock, on its thread: it begins to look; it is done,
 * and this is what it found.
 */
void oi_idle_full_begins(void);
void oi_idle_full_done(size_t live, size_t dead);
/* Called after oi_idle_full_done: the collection was made because oi_idle_due said so. */
void oi_idle_looked(void);

/* Returns true if there is one to come even if the program does nothing more. */
bool oi_idle_to_come(void);
/* For the collector thread. Returns true if it is due. */
bool oi_idle_due(void);
/* For the collector thread. Returns how many ns it may sleep until then, at most @most. */
uint64_t oi_idle_wait_ns(uint64_t most);

void oi_idle_init(void);
/* In the child of a fork: what there was before is left alone. */
void oi_idle_fork_child(void);

#endif
