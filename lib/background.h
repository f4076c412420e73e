/* background.h - the library's two threads: the collector and the reaper. */
#ifndef OI_BACKGROUND_H
#define OI_BACKGROUND_H

#include "compiler.h"

/* 0 or EAGAIN, ENOMEM. */
int oi_background_start(void);
/* Instead, after that failed: they are missing, and started at the next need. */
void oi_background_start_later(void);
/* Asks both to end and waits for them. */
void oi_background_stop(void);
/*
 * In the child of a fork, before and after what was left to the two threads is handed over. The second: true: some was, and the first
 * operation of the child is to call oi_background_need.
 */
void oi_background_fork_child(void);
bool oi_background_forked(void);
/* Outside the gate: starts the threads if they are missing and something waits for them. */
void oi_background_need(void);

/* From anywhere, cheap when already asked. */
void oi_background_collect(void); /* a collection may be due */
void oi_background_tick(void);    /* a merge queue became non-empty */
void oi_background_trim(void);    /* memory waits, or is free and cached: no reason to start threads that are missing */
void oi_background_reap(void);    /* dead objects, sets or strays wait */

#endif
