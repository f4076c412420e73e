/* wake.h - asking the library's threads for something, from anywhere. */
#ifndef OI_WAKE_H
#define OI_WAKE_H

#include "base/compiler.h"

/*
 * What is wanted of the collector and of the reapers, and whether they are there: wake.c. Read and
 * written by servants.c, too.
 */
struct oi_wanted {
	uint32_t collector_word, reaper_word; /* futexes: count requests */
	uint32_t collect, tick, reap;         /* [B1] */
	uint32_t n_idle;                      /* reapers at leisure [B3] */
	uint32_t missing;                     /* threads; the next need starts them [B4] */
};
extern struct oi_wanted oi_wanted OI_HIDDEN;

/* Callable anywhere, inside the gate and with locks held; cheap when it was asked for already. */
void oi_wake_collect(void); /* a collection may be due */
void oi_wake_tick(void);    /* a merge queue became non-empty */
void oi_wake_trim(void);    /* memory waits, or is free and cached: starts no missing threads */
void oi_wake_reap(void);    /* dead objects, garbage or strays wait */

/* Adds a request, and wakes whoever sleeps on the word. */
void oi_wake(uint32_t *word);

#endif
