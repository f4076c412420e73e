/*
 * malloc_load.h - the work of bench/pause with malloc and free, for the controls: nothing to collect
 *
 * The program knows when to free, so the graph is plain cycles whatever was asked for: links between them would be left
 * dangling.
 */
#ifndef OURO_BENCH_MALLOC_LOAD_H
#define OURO_BENCH_MALLOC_LOAD_H

#include "../pause_run.h"

static inline struct node *new_node(struct node *other)
{
	struct node *n = load_must(calloc(1, sizeof *n));

	n->other = other;
	return n;
}

static inline void free_cycle(struct node *a)
{
	if (a)
		free(a->other);
	free(a);
}

static inline void replace(struct load *l, size_t i)
{
	struct node **cycle = (struct node **)l->tables[l->self] + i;
	struct node *a = new_node(NULL);

	a->other = new_node(a);
	free_cycle(*cycle);
	*cycle = a;
}

static inline void operation(struct load *l)
{
	replace(l, load_index(l, l->n_replaced));
	for (unsigned i = 0; i < l->n_acyclic; i++) {
		struct node *n = new_node(NULL);

		__asm__ volatile("" : : "r"(n) : "memory"); /* else the compiler makes none */
		free(n);
	}
}

static inline void *make_table(size_t n_cycles)
{
	return load_must(calloc(n_cycles, sizeof(struct node *)));
}

static inline void drop_table(struct load *l)
{
	struct node **table = l->tables[l->self];

	for (size_t i = 0; i < l->n_cycles; i++)
		free_cycle(table[i]);
	free(table);
}

static inline void *make_ring(size_t n)
{
	struct node *last = new_node(NULL), *head = last;

	for (size_t i = 1; i < n; i++)
		head = new_node(head);
	last->other = head;
	return head;
}

static inline void drop_ring(void *ring)
{
	struct node *n = ring;

	do {
		struct node *next = n->other;

		free(n);
		n = next;
	} while (n != ring);
}

#endif
