/* background.h - the library's two threads: the collector and the reaper. */
#ifndef OI_BACKGROUND_H
#define OI_BACKGROUND_H

#include "compiler.h"

/* 0 or EAGAIN, ENOMEM. */
int oi_background_start(void);
/* Asks both to end and waits for them. */
void oi_background_stop(void);
void oi_background_fork_child(void);

/* From anywhere, cheap when already asked. */
void oi_background_collect(void); /* a collection may be due */
void oi_background_tick(void);    /* a merge queue became non-empty */
void oi_background_trim(void);    /* memory waits, or is free and cached; no reason to start the threads in the child of a fork */
void oi_background_reap(void);    /* dead objects, sets or strays wait */

#endif
