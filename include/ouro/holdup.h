/*
 * ouro/holdup.h - what can hold a thread up
 *
 * Whatever keeps a call of the program's for longer than pause_budget_ns, and is not what the call is for, has a name here. Each
 * is counted in ouro_stats, and told to the listeners as OURO_HOLDUP. The library's own threads are not held up.
 */
#ifndef OURO_HOLDUP_H
#define OURO_HOLDUP_H

#include "base.h"

typedef enum ouro_holdup {
	OURO_HOLDUP_STOP,   /* waited until a stop of the world was over */
	OURO_HOLDUP_SEIZE,  /* waited until another thread had done what it did on this one's behalf */
	OURO_HOLDUP_MERGE,  /* carried out what other threads' releases had left to it */
	OURO_HOLDUP_PACE,   /* an allocation waited because the collector lagged behind, or let threads run that keep memory waiting */
	OURO_HOLDUP_LIMIT,  /* an allocation at heap_limit collected */
	OURO_HOLDUP_LOCK,   /* waited for a lock: ouro_gc_collect for another collection; attaching, or leaving, during a stop */
	OURO_HOLDUP_MEMORY, /* the system took long to hand out memory or to take it back, or had none */
	OURO_HOLDUPS
} ouro_holdup;

#define OURO_HOLDUPS_ROOM 16 /* of arrays that have an element for each: there may be more of them one day */

#endif
