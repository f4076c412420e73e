/*
 * idle.h - a full collection that no birth asks for, of what was dropped by a program that is idle,
 * or makes nothing that can be in a cycle.
 */
#ifndef OI_IDLE_H
#define OI_IDLE_H

#include "base/compiler.h"

/* Any full collection, under its lock, on its thread: it begins to look; what it found. */
void oi_idle_full_begins(void);
void oi_idle_full_done(size_t live, size_t dead);
/* The same, after full_done: it was one of those that oi_idle_due says are due. */
void oi_idle_looked(void);

/* Is there one to come, if the program does nothing more? */
bool oi_idle_to_come(void);
/* The collector thread: is it due? */
bool oi_idle_due(void);
/* The same: how long it may sleep for the sake of that, in ns, at most @most. */
uint64_t oi_idle_wait_ns(uint64_t most);

void oi_idle_init(void);
/* In the child of a fork: what there was before is the parent's to tidy up. */
void oi_idle_fork_child(void);

#endif
