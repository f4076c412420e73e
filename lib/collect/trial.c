/*
 * trial.c - trial deletion
 *
 * (Christopher 1984; in the form of CPython's gc: subtract internal references, mark from the rest)
 *
 * For a set S of objects, with the world stopped: count for each member the references from
 * members. One that has more references than that is held from outside. Mark what those reach
 * inside S; the rest is garbage. This is sound for any S: all counted references to garbage G are
 * inside S, and none is from a marked member, so all are inside G. That is why generations need
 * no write barrier, and why a set may be cut short to fit the pause, even when some of it has been
 * counted, since nothing is known yet but the references from those that stay.
 *
 * There is one side byte per object: 0 means not in S; else bits 0..6 hold the internal count + 1,
 * and bit 7 the mark. From 126 on the exact count lives in an array of the page, made when the
 * first of its objects needs it: otherwise garbage with an in-degree of 126 would never be found.
 * Nothing is written into objects. That array also leads to what traverse told of (below), so it
 * stays until the trial ends: an object that is cut off the set must not take it from the others
 * of its page.
 *
 * A stop does not stop plain code: while it lasts, a thread may move references in and out of
 * containers that only traverse can see. So traverse is called once for each object, when
 * references are counted, and its answer is written down; marking goes by that. A container that a
 * thread works on is held by that thread or by what the thread holds: so it marks whatever was
 * counted in it, wherever the reference has gone since. (If traverse were called again for marking,
 * it would no longer tell of what has just been moved out, and that would look like garbage.)
 *
 * Memory is touched ahead by rings of 16 (150 ns an object over a cold random graph without, 30
 * with).
 */
#include "collect/trial.h"

#include "base/os.h"
#include "count/count.h"
#include "heap/check.h"
#include "heap/region.h"
#include "heap/type.h"
#include "world/context.h"

#define MARK OI_TRIAL_MARK
#define EXACT OI_TRIAL_EXACT
#define RING 16

bool oi_trial_add(struct oi_trial *tr, struct oi_header *h)
{
	oi_assert_stopped();
	return oi_trial_add_at(tr, h, oi_side_of(h));
}

/* ---- counting ---- */

/* What only few objects of a page need, by block. */
struct oi_page_trial {
	struct oi_page_trial *next; /* all of a trial's are linked */
	struct oi_page *page;
	uint32_t degree[OI_BLOCKS]; /* exact internal counts */
	/* where in the edges begins what traverse told of; 0: nowhere */
	uint32_t note[OI_BLOCKS];
};

/* Returns NULL if there is no memory. */
static OI_COLD struct oi_page_trial *map_of(struct oi_trial *tr, const struct oi_header *h)
{
	struct oi_page *p = oi_page_of(h);
	if (!p->trial && (p->trial = oi_os_map(sizeof *p->trial))) {
		p->trial->page = p;
		p->trial->next = tr->maps;
		tr->maps = p->trial;
	}
	return p->trial;
}

/*
 * Returns false if there is no memory; then @h counts as held from outside, which is conservative.
 */
static OI_COLD bool count_exactly(struct oi_trial *tr, struct oi_header *h)
{
	struct oi_page_trial *map = map_of(tr, h);
	if (!map)
		return false;
	uint32_t *d = &map->degree[oi_block_index(oi_page_of(h), h)];
	*d = *d ? *d + 1 : EXACT - 1;
	return true;
}

struct counter {
	struct {
		uint8_t *side;
		struct oi_header *h;
	} ring[RING];
	size_t next;
	struct oi_trial *tr;
	bool guessed;
};

OI_INLINE void count_one(struct counter *c, uint8_t *side, struct oi_header *h)
{
	uint8_t v = *side;
	if (!v)
		return;
	if (likely(v < EXACT))
		*side = v = (uint8_t)(v + 1);
	if (unlikely(v == EXACT))
		c->guessed |= !count_exactly(c->tr, h);
}

OI_INLINE void count_child(void *child, void *arg)
{
	struct counter *c = arg;
	struct oi_header *h = oi_header_of(child);
	uint8_t *side = oi_side_of(h);
	__builtin_prefetch(side, 1);
	size_t i = c->next++ % RING;
	if (c->ring[i].side)
		count_one(c, c->ring[i].side, c->ring[i].h);
	c->ring[i].side = side;
	c->ring[i].h = h;
}

/* What cannot be written down is not counted: then what it refers to is held from outside. */
static void note_child(void *child, void *arg)
{
	struct counter *c = arg;
	if (likely(oi_vector_push(&c->tr->edges, oi_header_of(child))))
		count_child(child, c);
	else
		c->guessed = true;
}

/* Without memory @h is not traversed, and what it refers to is held from outside. */
static OI_NOINLINE void note_references(struct oi_header *h, const ouro_type *type,
					struct counter *c)
{
	struct oi_page_trial *map = map_of(c->tr, h);
	struct oi_vector *e = &c->tr->edges;
	ouro_visitor v = { note_child, c };
	size_t first = e->n + 1;
	if (!map || first > UINT32_MAX || !oi_vector_push(e, NULL)) {
		c->guessed = true;
		return;
	}
	map->note[oi_block_index(oi_page_of(h), h)] = (uint32_t)first;
	oi_call_traverse(type, h, &v);
	e->data[first - 1] = (void *)(e->n - first);
}

OI_INLINE void count_references(struct oi_header *h, struct counter *c)
{
	const struct oi_type *d = oi_described(h);
	oi_visit_fixed(h, d, count_child, c);
	if (likely(d->flat))
		return;
	oi_visit_items_of(h, d->type, count_child, c);
	if (d->type->traverse)
		note_references(h, d->type, c);
}

/* The objects from @n on cease to be members. */
static void cut(struct oi_trial *tr, size_t n)
{
	for (size_t i = n; i < tr->set.n; i++)
		oi_trial_result(tr->set.data[i]);
	tr->set.n = n;
}

/* Returns false if there were more references than @most, and the set has been cut. */
static bool count_internal(struct oi_trial *tr, size_t most)
{
	struct counter c = { .tr = tr };
	void **set = tr->set.data;
	size_t i = 0, n = tr->set.n;
	for (; i < n && likely(c.next <= most); i++) {
		if (i + 8 < n)
			__builtin_prefetch(set[i + 8]);
		count_references(set[i], &c);
	}
	for (unsigned k = 0; k < RING; k++)
		if (c.ring[k].side)
			count_one(&c, c.ring[k].side, c.ring[k].h);
	cut(tr, i);
	tr->guessed = c.guessed;
	tr->n_references = c.next;
	return i == n;
}

/* Returns the number of references from the set; -1: too many to know. */
static int64_t internal_count(const struct oi_header *h, uint8_t side)
{
	unsigned n = side & ~MARK;
	if (likely(n < EXACT))
		return (int64_t)n - 1;
	struct oi_page *p = oi_page_of(h);
	return p->trial ? (int64_t)p->trial->degree[oi_block_index(p, h)] : -1;
}

#if OURO_CHECKED
struct recount {
	const struct oi_header *h;
	int64_t n;
};

static void recount_child(void *child, void *arg)
{
	struct recount *r = arg;
	r->n += oi_header_of(child) == r->h;
}

/*
 * Counts once more, as a reference that a thread moves from one container to another meanwhile may
 * have been counted in both.
 */
static int64_t recount(const struct oi_trial *tr, const struct oi_header *h)
{
	struct recount r = { h, 0 };
	for (size_t i = 0; i < tr->set.n; i++)
		oi_visit_all(tr->set.data[i], recount_child, &r);
	return r.n;
}

#define RECOUNTS 3

static void check_internal_counts(const struct oi_trial *tr)
{
	for (size_t i = 0; i < tr->set.n; i++) {
		struct oi_header *h = tr->set.data[i];
		if (oi_flags(h) & OI_FLAG_IMMORTAL)
			continue;
		int64_t references = oi_references(h) - tr->hold,
			internal = internal_count(h, *oi_side_of(h));
		for (int n = 0; internal > references && n < RECOUNTS; n++)
			internal = recount(tr, h);
		oi_check_internal(h, references, internal);
	}
}
#else
OI_INLINE void check_internal_counts(const struct oi_trial *tr)
{
	(void)tr;
}
#endif

static bool held_from_outside(const struct oi_trial *tr, const struct oi_header *h, uint8_t side)
{
	if (oi_flags(h) & OI_FLAG_IMMORTAL)
		return true;
	int64_t references = oi_references(h) - tr->hold, internal = internal_count(h, side);
	return internal < 0 || references != internal;
}

/* ---- marking ---- */

/*
 * There is no room to remember @h: it is marked at once, and all that is marked will be visited
 * again. Each overflow thus marks one object more, which is why that ends though memory may be
 * refused for ever.
 */
static OI_NOINLINE void mark_unvisited(struct oi_trial *tr, struct oi_header *h)
{
	uint8_t *side = oi_side_of(h);
	if (!*side || (*side & MARK))
		return;
	*side |= MARK;
	tr->n_reached++;
	tr->overflowed = true;
}

OI_INLINE void push_child(void *child, void *arg)
{
	struct oi_trial *tr = arg;
	struct oi_header *h = oi_header_of(child);
	if (unlikely(!oi_vector_push(&tr->stack, h)))
		mark_unvisited(tr, h);
}

/* Pushes the references of @h that were written down. */
static OI_NOINLINE void push_noted(struct oi_trial *tr, struct oi_header *h)
{
	struct oi_page *p = oi_page_of(h);
	size_t first = p->trial ? p->trial->note[oi_block_index(p, h)] : 0;
	size_t n = first ? (size_t)tr->edges.data[first - 1] : 0;
	for (size_t i = first; i < first + n; i++)
		push_child(oi_object_of(tr->edges.data[i]), tr);
}

OI_INLINE void push_references(struct oi_trial *tr, struct oi_header *h)
{
	const struct oi_type *d = oi_described(h);
	oi_visit_fixed(h, d, push_child, tr);
	if (likely(d->flat))
		return;
	oi_visit_items_of(h, d->type, push_child, tr);
	if (d->type->traverse)
		push_noted(tr, h);
}

static void mark_from_stack(struct oi_trial *tr)
{
	struct oi_header *ring[RING];
	unsigned first = 0, n = 0;
	while (tr->stack.n || n) {
		while (n < RING && tr->stack.n) {
			struct oi_header *h = tr->stack.data[--tr->stack.n];
			__builtin_prefetch(oi_side_of(h), 1);
			__builtin_prefetch(h + 1);
			ring[(first + n++) % RING] = h;
		}
		struct oi_header *h = ring[first++ % RING];
		n--;
		uint8_t *side = oi_side_of(h);
		if (!*side || (*side & MARK))
			continue;
		*side |= MARK;
		tr->n_reached++;
		push_references(tr, h);
	}
}

/*
 * After an overflow: whatever a marked object refers to is visited again, until the stack holds it
 * all.
 */
static void mark_again(struct oi_trial *tr)
{
	while (tr->overflowed) {
		tr->overflowed = false;
		for (size_t i = 0; i < tr->set.n; i++)
			if (*oi_side_of(tr->set.data[i]) & MARK) {
				push_references(tr, tr->set.data[i]);
				mark_from_stack(tr);
			}
	}
}

static void mark(struct oi_trial *tr)
{
	void **set = tr->set.data;
	struct oi_spot at = { 0 };
	for (size_t i = 0, n = tr->set.n; i < n; i++) {
		if (i + 8 < n)
			__builtin_prefetch(set[i + 8]);
		size_t block = oi_spot_block(&at, set[i]);
		uint8_t *side = &at.side[block];
		if ((*side & MARK) || !held_from_outside(tr, set[i], *side))
			continue;
		*side |= MARK;
		tr->n_reached++;
		push_references(tr, set[i]);
		mark_from_stack(tr);
	}
	mark_again(tr);
}

bool oi_trial_run(struct oi_trial *tr, size_t most)
{
	oi_assert_stopped();
	bool whole = count_internal(tr, most);
	check_internal_counts(tr);
	mark(tr);
	return whole;
}

bool oi_trial_result(struct oi_header *h)
{
	return oi_trial_result_at(oi_side_of(h));
}

static void forget_maps(struct oi_trial *tr)
{
	for (struct oi_page_trial *map; (map = tr->maps);) {
		tr->maps = map->next;
		map->page->trial = NULL;
		oi_os_unmap(map, sizeof *map);
	}
}

void oi_trial_end(struct oi_trial *tr)
{
	tr->overflowed = tr->guessed = false;
	tr->n_reached = 0;
	forget_maps(tr);
	oi_vector_trim(&tr->edges, 1 << 16);
	oi_vector_trim(&tr->set, 1 << 16);
	oi_vector_trim(&tr->stack, 1 << 16);
}

void oi_trial_give_up(struct oi_trial *tr)
{
	oi_assert_stopped();
	cut(tr, 0);
	oi_trial_end(tr);
}

void oi_trial_free(struct oi_trial *tr)
{
	oi_vector_free(&tr->set);
	oi_vector_free(&tr->stack);
	oi_vector_free(&tr->edges);
}
