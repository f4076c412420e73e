/*
 * oracle_graph.h - the nodes of stress_oracle, and the program's own record of which of them live
 *
 * A node has an id; the record says of each id whether it lives: set when the node is made, cleared
 * by destroy. Nothing here asks the library what it believes.
 */
#ifndef OURO_ORACLE_GRAPH_H
#define OURO_ORACLE_GRAPH_H

#include "stress.h"

enum { LINKS = 3, WEAKS = 2, BAG = 2, ROOTS = 48, CELLS = 24, IDS_MAX = 1 << 22 };

struct node;

struct entry {
	uint64_t number;
	struct node *ref;
	ouro_weak weak;
};

struct node {
	struct canary canary;
	uint32_t id;
	struct node *link[LINKS];
	ouro_weak weak[WEAKS];
	_Atomic(struct node *) bag[BAG]; /* counted references that only traverse tells of */
	struct entry entry[];
};

static struct node *roots[ROOTS];
static ouro_weak cells[CELLS];

static _Atomic bool *alive; /* by id */
static _Atomic uint32_t next_id;

/* ---- types ---- */

static void node_destroy(void *obj)
{
	struct node *n = obj;

	CHECK(n->id < atomic_load(&next_id));
	CHECK(atomic_exchange(&alive[n->id], false), "node %u destroyed twice", n->id);
	canary_destroy(&n->canary);
}

static void bag_traverse(void *obj, ouro_visitor *v)
{
	struct node *n = obj;

	for (int i = 0; i < BAG; i++)
		ouro_visit(v, atomic_load_explicit(&n->bag[i], memory_order_relaxed));
}

static void bag_clear(void *obj)
{
	struct node *n = obj;

	for (int i = 0; i < BAG; i++)
		ouro_release(atomic_exchange(&n->bag[i], NULL));
}

static const ouro_type plain_type = {
	.name = "plain",
	.size = offsetof(struct node, entry),
	.slots = OURO_SLOTS(struct node, link),
	.weaks = OURO_WEAKS(struct node, weak),
	.destroy = node_destroy,
};

static const ouro_type bag_type = {
	.name = "bag",
	.size = offsetof(struct node, entry),
	.slots = OURO_SLOTS(struct node, link),
	.weaks = OURO_WEAKS(struct node, weak),
	.traverse = bag_traverse,
	.clear = bag_clear,
	.destroy = node_destroy,
};

static const ouro_type wide_type = {
	.name = "wide",
	.size = offsetof(struct node, entry),
	.slots = OURO_SLOTS(struct node, link),
	.weaks = OURO_WEAKS(struct node, weak),
	.item_size = sizeof(struct entry),
	.item_slots = OURO_ITEM_SLOTS(struct entry, ref),
	.item_weaks = OURO_ITEM_WEAKS(struct entry, weak),
	.destroy = node_destroy,
};

/* Its links stay empty. */
static const ouro_type leaf_type = {
	.name = "leaf",
	.size = offsetof(struct node, entry),
	.weaks = OURO_WEAKS(struct node, weak),
	.destroy = node_destroy,
	.flags = OURO_ACYCLIC,
};

/* ---- making ---- */

/* A few are larger than any page of small objects. */
static size_t random_entries(struct rng *r)
{
	return rng_one_in(r, 500) ? 3000 : rng_one_in(r, 10) ? rng_below(r, 200) : rng_below(r, 6);
}

/* NULL when the ids of this round are used up. */
static struct node *node_new(struct rng *r)
{
	static const ouro_type *const types[] = {
		&plain_type, &plain_type, &bag_type, &wide_type, &leaf_type,
	};
	const ouro_type *type = types[rng_below(r, 5)];
	struct node *n;

	if (atomic_load(&next_id) >= IDS_MAX - 1000)
		return NULL;
	n = make(type, type == &wide_type ? random_entries(r) : 0);
	n->id = atomic_fetch_add(&next_id, 1);
	CHECK(!atomic_exchange(&alive[n->id], true));
	return n;
}

static bool is_leaf(const struct node *n)
{
	return ouro_typeof(n) == &leaf_type;
}

/* A node that is not a leaf; NULL as node_new. */
static struct node *linkable_new(struct rng *r)
{
	struct node *n = node_new(r);

	while (n && is_leaf(n)) {
		ouro_release(n);
		n = node_new(r);
	}
	return n;
}

/* Any slot of a node that is not a leaf. */
static struct node **node_slot(struct node *n, struct rng *r)
{
	size_t i = rng_below(r, LINKS + (unsigned)ouro_items(n));

	return i < LINKS ? &n->link[i] : &n->entry[i - LINKS].ref;
}

static ouro_weak *node_weak(struct node *n, struct rng *r)
{
	size_t i = rng_below(r, WEAKS + (unsigned)ouro_items(n));

	return i < WEAKS ? &n->weak[i] : &n->entry[i - WEAKS].weak;
}

#endif
