/*
 * adjacency.h - a directed graph over 0..n-1 in plain arrays, as it is while an index is being read
 */
#ifndef DEPSERVER_ADJACENCY_H
#define DEPSERVER_ADJACENCY_H

#include <stddef.h>
#include <stdint.h>

struct pair {
	uint32_t from, to;
};

/* A growing list of edges. Zero bytes are an empty one. */
struct pairs {
	struct pair *pair;
	size_t n, size;
};

/* The edges of node i are to[start[i]] .. to[start[i + 1] - 1]. */
struct adjacency {
	uint32_t n;
	uint32_t *start; /* n + 1 */
	uint32_t *to;
};

/* All that return int: 0 or ENOMEM. */
int pairs_add(struct pairs *pairs, uint32_t from, uint32_t to);
void pairs_free(struct pairs *pairs);

/*
 * adjacency_build - from edges in any order; edges of a node to itself and repeated ones are left
 * out
 */
int adjacency_build(struct adjacency *a, uint32_t n, const struct pairs *pairs);
/* adjacency_reverse - the same edges the other way round */
int adjacency_reverse(struct adjacency *a, const struct adjacency *of);
void adjacency_free(struct adjacency *a);

/* Strongly connected components of more than one node. */
struct components {
	uint32_t count, largest;
};

int adjacency_components(const struct adjacency *a, struct components *out);

#endif
