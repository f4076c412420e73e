/*
 * closure.h - what a package needs, directly or not: computed once, then kept through a weak cell
 * of the package
 */
#ifndef DEPSERVER_CLOSURE_H
#define DEPSERVER_CLOSURE_H

#include "graph.h"

/* Working memory of one thread. Zero bytes to begin with, but for the number of the thread. */
struct closure_scratch {
	uint32_t *seen; /* by package number: the round it was last seen in */
	uint32_t *queue;
	uint32_t size, round;
	uint32_t thread, threads; /* this one's number, of how many */
	uint32_t kept;            /* closures it entered among the recent ones */
};

/*
 * closure_of - the closure of @p (borrowed)
 * @cached: out: it was there already
 *
 * Return:  new reference; NULL with errno ENOMEM.
 */
struct closure *closure_of(struct package *p, struct closure_scratch *scratch, bool *cached);
void closure_scratch_free(struct closure_scratch *scratch);

#endif
