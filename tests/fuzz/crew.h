/*
 * crew.h - the threads of a fuzzed program, of which one at a time does a step
 *
 * A thread may be told to stand still at a marked place inside the library (oi_perturb, oi_point:
 * in checked builds) in the middle of its next step, while others do theirs. One that is in the
 * way of another goes on. So the bytes of the program decide how threads interleave, up to what
 * the library's own threads do, and up to whether somebody is in the way.
 */
#ifndef FUZZ_CREW_H
#define FUZZ_CREW_H

#include <stdbool.h>

void crew_begin(int n);
/* Ends the threads. Nobody may stand still, or be at a step. */
void crew_end(void);
/* The next step of thread @i stands still at the @n-th marked place that it passes. */
void crew_stall(int i, unsigned n);
/*
 * Has thread @i do fn(i, arg), when it has finished what it was at. Returns when that is done, or
 * stands still; with @free at once.
 */
void crew_step(int i, void (*fn)(int thread, const void *arg), const void *arg, bool free);
/* Waits until all have finished what they were at. */
void crew_settle(void);

#endif
