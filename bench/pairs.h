/*
 * pairs.h - what bench/read and bench/snapshot go through: a table of objects, two and two of which
 * refer to each other
 */
#ifndef OURO_BENCH_PAIRS_H
#define OURO_BENCH_PAIRS_H

#include <ouro.h>

struct pair {
	struct pair *other, *link;
	uint64_t value[2];
};
struct table {
	uint64_t n;
	struct pair *at[];
};
static const ouro_type pair_type = {
	.name = "pair", .size = sizeof(struct pair), .slots = OURO_SLOTS(struct pair, other, link),
};
static const ouro_type table_type = {
	.name = "table", .size = offsetof(struct table, at),
	.item_size = sizeof(struct pair *), .item_slots = OURO_ITEM_REFS,
};

static struct table *table;

#endif
