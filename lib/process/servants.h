/* servants.h - the library's threads: the collector and the reapers. */
#ifndef OI_SERVANTS_H
#define OI_SERVANTS_H

#include "base/compiler.h"

/* 0 or EAGAIN, ENOMEM. */
int oi_servants_start(void);
/* Instead, after that failed: they are missing, and started at the next need. */
void oi_servants_start_later(void);
/* Asks both to end and waits for them. */
void oi_servants_stop(void);
/*
 * In the child of a fork, before and after what was left to the two threads is handed over. The second: true: some was, and the first
 * operation of the child is to call oi_servants_need.
 */
void oi_servants_fork_child(void);
bool oi_servants_forked(void);
/* Outside the gate: starts the threads if they are missing and something waits for them. */
void oi_servants_need(void);

#endif
