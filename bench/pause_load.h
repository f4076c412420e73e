/*
 * pause_load.h - the work that bench/pause gives its threads
 *
 * The live heap is LIVE nodes of 48 bytes as two-node cycles in one table for each thread. One operation
 * replaces a random cycle of the thread's own table, which leaves two nodes of cyclic garbage, and makes
 * and drops some nodes more, which die by count. In the random graph each cycle also refers to a random
 * one in any table, so that nearly everything hangs together; a replaced cycle drops that reference
 * first, so that garbage keeps nothing else.
 *
 * The same work with malloc is the baseline: what the machine and its scheduler alone do to the worst
 * operation. There the program knows when to free, and the graph is always plain cycles.
 */
#ifndef OURO_BENCH_PAUSE_LOAD_H
#define OURO_BENCH_PAUSE_LOAD_H

#include <ouro.h>
#include <stdio.h>
#include <stdlib.h>

struct node {
	struct node *other, *link;
	uint64_t value[4];
};

struct table {
	uint64_t n;
	struct node *cycle[];
};

static const ouro_type node_type = {
	.name = "node", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, other, link),
};

static const ouro_type table_type = {
	.name = "table", .size = offsetof(struct table, cycle),
	.item_size = sizeof(struct node *), .item_slots = OURO_ITEM_REFS,
};

struct load {
	void **tables; /* every thread's, of one size; self: which is this one's */
	unsigned n_tables, self;
	size_t n_cycles;    /* in each table */
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
	fprintf(stderr, "pause: %s\n", what);
	exit(1);
}

static inline void *load_must(void *p)
{
	if (!p)
		load_die("out of memory");
	return p;
}

/* ---- with ouro ---- */

static inline struct node **counted_cycle(struct load *l, unsigned table, size_t i)
{
	return ((struct table *)l->tables[table])->cycle + i;
}

static inline struct node *counted_new(void)
{
	return load_must(ouro_new(&node_type));
}

static inline void counted_link(struct load *l, struct node *to)
{
	unsigned table = (unsigned)load_index(l, l->n_tables);

	ouro_give(&to->link, ouro_load(counted_cycle(l, table, load_index(l, l->n_cycles))));
}

static inline void counted_unlink(struct node **cycle)
{
	struct node *old = ouro_load(cycle);

	if (old)
		ouro_store(&old->link, (struct node *)NULL);
	ouro_release(old);
}

static inline void counted_replace(struct load *l, size_t i)
{
	struct node *a = counted_new(), *b = counted_new();
	struct node **cycle = counted_cycle(l, l->self, i);

	ouro_store(&a->other, b);
	ouro_store(&b->other, a);
	if (l->random) {
		counted_unlink(cycle);
		counted_link(l, a);
	}
	ouro_release(b);
	ouro_give(cycle, a);
}

static inline void counted_operation(struct load *l)
{
	counted_replace(l, load_index(l, l->n_cycles));
	for (unsigned i = 0; i < l->n_acyclic; i++)
		ouro_release(counted_new());
}

/* All tables are made before any is filled: links go anywhere. */
static inline void counted_make(struct load *l)
{
	l->tables[l->self] = load_must(ouro_new_items(&table_type, l->n_cycles));
}

static inline void counted_drop(struct load *l)
{
	ouro_release(l->tables[l->self]);
}

/* ---- with malloc ---- */

static inline struct node *raw_new(struct node *other)
{
	struct node *n = load_must(calloc(1, sizeof *n));

	n->other = other;
	return n;
}

static inline void raw_free_cycle(struct node *a)
{
	if (a)
		free(a->other);
	free(a);
}

static inline void raw_replace(struct load *l, size_t i)
{
	struct node **cycle = (struct node **)l->tables[l->self] + i;
	struct node *a = raw_new(NULL);

	a->other = raw_new(a);
	raw_free_cycle(*cycle);
	*cycle = a;
}

static inline void raw_operation(struct load *l)
{
	raw_replace(l, load_index(l, l->n_cycles));
	for (unsigned i = 0; i < l->n_acyclic; i++) {
		struct node *n = raw_new(NULL);

		__asm__ volatile("" : : "r"(n) : "memory");
		free(n);
	}
}

static inline void raw_make(struct load *l)
{
	l->tables[l->self] = load_must(calloc(l->n_cycles, sizeof(struct node *)));
}

static inline void raw_drop(struct load *l)
{
	struct node **table = l->tables[l->self];

	for (size_t i = 0; i < l->n_cycles; i++)
		raw_free_cycle(table[i]);
	free(table);
}

#endif
