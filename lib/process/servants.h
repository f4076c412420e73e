/* servants.h - the library's threads: the collector and the reapers. */
#ifndef OI_SERVANTS_H
#define OI_SERVANTS_H

#include "base/compiler.h"

/* Starts the two threads. Returns 0, EAGAIN or ENOMEM. */
int oi_servants_start(void);
/* After that has failed: the threads count as missing, and the next need starts them. */
void oi_servants_start_later(void);
/* Asks all to end and waits for them. */
void oi_servants_stop(void);
/*
 * In the child of a fork, before and after what was left to the two threads is handed over. The
 * second returns true if something was: then the child's first operation is to call
 * oi_servants_need.
 */
void oi_servants_fork_child(void);
bool oi_servants_forked(void);
/* Outside the gate. Starts the threads if they are missing and something waits for them. */
void oi_servants_need(void);

#endif
