/*
 * pause_load.h - the work that bench/pause and its peers give their threads
 *
 * The live heap is LIVE nodes of 48 bytes as two-node cycles in one table for each thread. One operation
 * replaces a random cycle of the thread's own table, which leaves two nodes of cyclic garbage, and makes
 * and drops some nodes more, which are in no cycle. In the random graph each cycle also refers to a random
 * one in any table, so that nearly everything hangs together; a replaced cycle drops that reference
 * first, so that garbage keeps nothing else. With a window only so many cycles at the front of each
 * table are replaced, so that what becomes garbage is young, and the others are live and old.
 *
 * Here is what all of them share; making, tying and dropping nodes is each heap's own.
 */
#ifndef OURO_BENCH_PAUSE_LOAD_H
#define OURO_BENCH_PAUSE_LOAD_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct node {
	struct node *other, *link;
	uint64_t value[4];
};

struct load {
	void **tables; /* every thread's, of one size; self: which is this one's */
	unsigned n_tables, self;
	size_t n_cycles;    /* in each table */
	size_t n_replaced;  /* of these, from the front, those that operations replace */
	unsigned n_acyclic; /* nodes made and dropped beside each replaced cycle */
	bool random;        /* graph */
	uint64_t seed;
};

static inline uint64_t load_random(struct load *l)
{
	l->seed ^= l->seed << 13;
	l->seed ^= l->seed >> 7;
	l->seed ^= l->seed << 17;
	return l->seed;
}

static inline size_t load_index(struct load *l, size_t n)
{
	return (size_t)((unsigned __int128)load_random(l) * n >> 64);
}

static inline _Noreturn void load_die(const char *what)
{
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
	exit(1);
}

static inline void *load_must(void *p)
{
	if (!p)
		load_die("out of memory");
	return p;
}

#endif
