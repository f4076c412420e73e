/* adjacency.c - a directed graph in plain arrays, and its strongly connected components */
#include "adjacency.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int pairs_add(struct pairs *pairs, uint32_t from, uint32_t to)
{
	if (pairs->n == pairs->size) {
		size_t size = pairs->size ? pairs->size * 2 : 4096;
		struct pair *pair = realloc(pairs->pair, size * sizeof *pair);
		if (!pair)
			return ENOMEM;
		pairs->pair = pair;
		pairs->size = size;
	}
	pairs->pair[pairs->n++] = (struct pair){ from, to };
	return 0;
}

void pairs_free(struct pairs *pairs)
{
	free(pairs->pair);
	*pairs = (struct pairs){ 0 };
}

void adjacency_free(struct adjacency *a)
{
	free(a->start);
	free(a->to);
	*a = (struct adjacency){ 0 };
}

static int adjacency_alloc(struct adjacency *a, uint32_t n, size_t n_edges)
{
	a->n = n;
	a->start = calloc((size_t)n + 2, sizeof *a->start);
	a->to = malloc((n_edges + 1) * sizeof *a->to);
	if (a->start && a->to)
		return 0;
	adjacency_free(a);
	return ENOMEM;
}

/* Counts in start[i + 2] become, by summing and filling, starts in start[i]. */
static void adjacency_sum(struct adjacency *a)
{
	for (uint32_t i = 1; i <= a->n; i++)
		a->start[i + 1] += a->start[i];
}

/* Leaves out repeated edges; @seen: n entries, overwritten. */
static void adjacency_unique(struct adjacency *a, uint32_t *seen)
{
	uint32_t out = 0, begin = 0;
	memset(seen, 0xff, a->n * sizeof *seen);
	for (uint32_t i = 0; i < a->n; i++) {
		uint32_t end = a->start[i + 1];
		for (uint32_t e = begin; e < end; e++) {
			uint32_t to = a->to[e];
			if (to == i || seen[to] == i)
				continue;
			seen[to] = i;
			a->to[out++] = to;
		}
		begin = end;
		a->start[i + 1] = out;
	}
}

int adjacency_build(struct adjacency *a, uint32_t n, const struct pairs *pairs)
{
	uint32_t *seen = malloc(((size_t)n + 1) * sizeof *seen);
	int error = seen ? adjacency_alloc(a, n, pairs->n) : ENOMEM;
	if (!error) {
		for (size_t i = 0; i < pairs->n; i++)
			a->start[pairs->pair[i].from + 2]++;
		adjacency_sum(a);
		for (size_t i = 0; i < pairs->n; i++)
			a->to[a->start[pairs->pair[i].from + 1]++] = pairs->pair[i].to;
		adjacency_unique(a, seen);
	}
	free(seen);
	return error;
}

int adjacency_reverse(struct adjacency *a, const struct adjacency *of)
{
	uint32_t n_edges = of->start[of->n];
	int error = adjacency_alloc(a, of->n, n_edges);
	if (error)
		return error;
	for (uint32_t e = 0; e < n_edges; e++)
		a->start[of->to[e] + 2]++;
	adjacency_sum(a);
	for (uint32_t i = 0; i < of->n; i++)
		for (uint32_t e = of->start[i]; e < of->start[i + 1]; e++)
			a->to[a->start[of->to[e] + 1]++] = i;
	return 0;
}

/*
 * Tarjan's algorithm without recursion. A node is on the path while its edges are being looked at,
 * and on the stack until its component is known. order is 0 for a node not seen; low is the
 * smallest order it is known to reach.
 */
struct tarjan {
	const struct adjacency *a;
	uint32_t *order, *low, *edge, *path, *stack;
	bool *stacked;
	uint32_t n_order, n_path, n_stack;
	struct components found;
};

static void tarjan_enter(struct tarjan *t, uint32_t node)
{
	t->order[node] = t->low[node] = ++t->n_order;
	t->edge[node] = t->a->start[node];
	t->path[t->n_path++] = node;
	t->stack[t->n_stack++] = node;
	t->stacked[node] = true;
}

static void tarjan_component(struct tarjan *t, uint32_t root)
{
	uint32_t n = 0, node;
	do {
		node = t->stack[--t->n_stack];
		t->stacked[node] = false;
		n++;
	} while (node != root);
	if (n > 1)
		t->found.count++;
	if (n > 1 && n > t->found.largest)
		t->found.largest = n;
}

static void tarjan_leave(struct tarjan *t, uint32_t node)
{
	t->n_path--;
	if (t->low[node] == t->order[node])
		tarjan_component(t, node);
	if (t->n_path) {
		uint32_t parent = t->path[t->n_path - 1];
		if (t->low[node] < t->low[parent])
			t->low[parent] = t->low[node];
	}
}

static void tarjan_step(struct tarjan *t)
{
	uint32_t node = t->path[t->n_path - 1];
	if (t->edge[node] == t->a->start[node + 1]) {
		tarjan_leave(t, node);
		return;
	}
	uint32_t to = t->a->to[t->edge[node]++];
	if (!t->order[to])
		tarjan_enter(t, to);
	else if (t->stacked[to] && t->order[to] < t->low[node])
		t->low[node] = t->order[to];
}

int adjacency_components(const struct adjacency *a, struct components *out)
{
	size_t n = (size_t)a->n + 1;
	uint32_t *memory = calloc(n * 5, sizeof *memory);
	bool *stacked = calloc(n, sizeof *stacked);
	int error = memory && stacked ? 0 : ENOMEM;
	if (!error) {
		struct tarjan t = {
			.a = a,
			.order = memory,
			.low = memory + n,
			.edge = memory + n * 2,
			.path = memory + n * 3,
			.stack = memory + n * 4,
			.stacked = stacked,
		};
		for (uint32_t i = 0; i < a->n; i++)
			if (!t.order[i])
				for (tarjan_enter(&t, i); t.n_path;)
					tarjan_step(&t);
		*out = t.found;
	}
	free(memory);
	free(stacked);
	return error;
}
