/* split.h - a lock-free hash table of nodes that lie in managed objects. See split.c. */
#ifndef OI_SPLIT_H
#define OI_SPLIT_H

#include "base/compiler.h"

struct oi_node {
	uintptr_t next; /* its lowest bit: this node, not the next, is out of the table */
	uint64_t order; /* the reversed bits of the hash, and what kind of node it is */
};

#define OI_SPLIT_TABLES 29
struct oi_split {
	/* Slots. All but the first have as many buckets as those before. */
	void *table[OI_SPLIT_TABLES];
	uint64_t n_buckets;
};

typedef bool (*oi_match_fn)(const struct oi_node *node, const void *key);

/* Before others know the table. Returns false without memory. */
bool oi_split_init(struct oi_split *s);
/* What an entry's node has as its order. */
uint64_t oi_split_order(uint64_t hash);

/*
 * The next three in a pinned region, in which what they return stays readable. The nodes of one
 * order are told apart by match(node, key).
 */
struct oi_node *oi_split_find(struct oi_split *s, uint64_t order, oi_match_fn match,
			      const void *key);
/*
 * Puts @node, whose order is set, into the table, unless one that matches is there, which it
 * returns. *@crowded: the node's bucket has more of them than it should.
 */
struct oi_node *oi_split_insert(struct oi_split *s, struct oi_node *node, oi_match_fn match,
				const void *key, bool *crowded);
/*
 * Takes @node out. When it returns, who comes into the table does not meet the node any more. It
 * may be called more than once for one.
 */
void oi_split_remove(struct oi_split *s, struct oi_node *node);

/* Outside pinned regions. Doubles the buckets; without memory they stay as they are. */
void oi_split_grow(struct oi_split *s);

/* Returns true if that is the number of the type of tables. */
bool oi_split_is_table(uint32_t type);

#endif
