/*
 * oracle_walk.h - the judgement of stress_oracle: a walk over the quiet graph by plain reads
 *
 * walk_begin, walk_see(each reference the program holds outside the heap), walk_end: follows all
 * references, then checks that the ids reached are exactly those alive, that every count is the
 * number of references seen, and that weak cells lead to reached nodes or nowhere. Reached ids are
 * renumbered from 0, so that a run may go on for ever.
 */
#ifndef OURO_ORACLE_WALK_H
#define OURO_ORACLE_WALK_H

#include "oracle_graph.h"

static struct {
	uint32_t *seen;       /* by id: references found */
	struct node **by_id;
	struct node **reached; /* in the order found; those before `done` have been followed */
	size_t n, done;
} walk;

static void walk_init(void)
{
	walk.seen = calloc(IDS_MAX, sizeof(*walk.seen));
	walk.by_id = calloc(IDS_MAX, sizeof(*walk.by_id));
	walk.reached = calloc(IDS_MAX, sizeof(*walk.reached));
	CHECK(walk.seen && walk.by_id && walk.reached);
}

static void walk_free(void)
{
	free(walk.seen);
	free(walk.by_id);
	free(walk.reached);
}

static void walk_begin(void)
{
	memset(walk.seen, 0, atomic_load(&next_id) * sizeof(*walk.seen));
	walk.n = 0;
	walk.done = 0;
}

static void walk_see(struct node *n)
{
	if (!n)
		return;
	canary_alive(&n->canary);
	CHECK(n->id < atomic_load(&next_id), "node %u of %u", n->id, atomic_load(&next_id));
	CHECK(atomic_load(&alive[n->id]), "node %u is reachable, but was destroyed", n->id);
	if (walk.seen[n->id]++) {
		CHECK(walk.by_id[n->id] == n, "two nodes %u", n->id);
		return;
	}
	walk.by_id[n->id] = n;
	walk.reached[walk.n++] = n;
}

static void walk_follow(struct node *n)
{
	for (int i = 0; i < LINKS; i++)
		walk_see(n->link[i]);
	for (int i = 0; i < BAG; i++)
		walk_see(atomic_load(&n->bag[i]));
	for (size_t i = 0; i < ouro_items(n); i++)
		walk_see(n->entry[i].ref);
}

static void walk_check_record(void)
{
	uint32_t ids = atomic_load(&next_id);

	for (uint32_t id = 0; id < ids; id++)
		CHECK(atomic_load(&alive[id]) == !!walk.seen[id], "node %u lives, but is unreachable", id);
}

static void walk_check_counts(void)
{
	for (size_t i = 0; i < walk.n; i++) {
		struct node *n = walk.reached[i];

		CHECK(ouro_refcount(n) == walk.seen[n->id], "node %u (%s): count %zu, %u references", n->id,
		      ouro_typeof(n)->name, ouro_refcount(n), walk.seen[n->id]);
	}
}

/* A cell leads to a reached node or nowhere. */
static void walk_check_cell(ouro_weak *cell)
{
	struct node *n = ouro_weak_load(cell);

	CHECK(ouro_weak_expired(cell) == !n);
	if (!n)
		return;
	canary_alive(&n->canary);
	CHECK(n->id < atomic_load(&next_id) && walk.seen[n->id] && walk.by_id[n->id] == n,
	      "a weak cell led to node %u, which is unreachable", n->id);
	ouro_release(n);
}

static void walk_check_weaks(void)
{
	for (size_t i = 0; i < walk.n; i++) {
		struct node *n = walk.reached[i];

		for (int k = 0; k < WEAKS; k++)
			walk_check_cell(&n->weak[k]);
		for (size_t k = 0; k < ouro_items(n); k++)
			walk_check_cell(&n->entry[k].weak);
	}
	for (int i = 0; i < CELLS; i++)
		walk_check_cell(&cells[i]);
}

/*
 * A private cell that was pointed at the node @id leads there if that is reached, else nowhere. Changes
 * the id to the one that walk_renumber gives.
 */
static void walk_check_memo(ouro_weak *cell, uint32_t *id)
{
	struct node *n = ouro_weak_load(cell);
	struct node *expected = *id < IDS_MAX && walk.seen[*id] ? walk.by_id[*id] : NULL;

	CHECK(n == expected, "a weak cell to node %u gave %p, not %p", *id, (void *)n, (void *)expected);
	*id = IDS_MAX;
	for (size_t i = 0; n && i < walk.n; i++)
		if (walk.reached[i] == n)
			*id = (uint32_t)i;
	ouro_release(n);
}

/* After every check: the reached nodes are 0 .. walk.n - 1 from now on, and no others have ids. */
static void walk_renumber(void)
{
	uint32_t ids = atomic_load(&next_id);

	for (uint32_t id = 0; id < ids; id++)
		atomic_store_explicit(&alive[id], id < walk.n, memory_order_relaxed);
	for (size_t i = 0; i < walk.n; i++)
		walk.reached[i]->id = (uint32_t)i;
	atomic_store(&next_id, (uint32_t)walk.n);
}

static void walk_end(void)
{
	while (walk.done < walk.n)
		walk_follow(walk.reached[walk.done++]);
	walk_check_record();
	walk_check_counts();
	walk_check_weaks();
	walk_check_counts();
}

#endif
