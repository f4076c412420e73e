/*
 * ouro/holdup.h - what can hold a thread up
 *
 * Whatever keeps a call of the program's for longer than pause_budget_ns, and is not what the call
 * is for, has a name here. Each is counted in ouro_stats, and told to the listeners as OURO_HOLDUP.
 * The library's own threads are not held up.
 */
#ifndef OURO_HOLDUP_H
#define OURO_HOLDUP_H

#include "base.h"

typedef enum ouro_holdup {
	/* The call waited until a stop of the world was over. */
	OURO_HOLDUP_STOP,
	/* It waited until another thread had done what it did on this one's behalf. */
	OURO_HOLDUP_SEIZE,
	/* It carried out what other threads' releases had left to this one. */
	OURO_HOLDUP_MERGE,
	/*
	 * An allocation waited because the collector, or the reaper, lagged behind, or let threads
	 * run that keep memory waiting.
	 */
	OURO_HOLDUP_PACE,
	/* An allocation at heap_limit, or without memory, collected. */
	OURO_HOLDUP_LIMIT,
	/*
	 * It waited for a lock: ouro_gc_collect for another collection, mostly; attaching, or
	 * leaving, during a stop.
	 */
	OURO_HOLDUP_LOCK,
	/*
	 * A system call for memory, taken or given back, was long; or the first call of a thread
	 * waited for memory, of which the system had none.
	 */
	OURO_HOLDUP_MEMORY,
	OURO_HOLDUPS
} ouro_holdup;

/* The room of arrays that have an element for each: there may be more of them one day. */
#define OURO_HOLDUPS_ROOM 16

#endif
