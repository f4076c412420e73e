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
 * There is one side byte per object (graph.h): 0 means not in S; else bits 0..6 hold the internal
 * count + 1, and bit 7 the mark. Nothing is written into objects. A page's exact counts and notes
 * stay until the trial ends: an object that is cut off the set must not take them from the others
 * of its page.
 *
 * A stop does not stop plain code: while it lasts, a thread may move references in and out of
 * containers that only traverse can see. So traverse is called once for each object, when
 * references are counted, and its answer is written down; marking goes by that. A container that a
 * thread works on is held by that thread or by what the thread holds: so it marks whatever was
 * counted in it, wherever the reference has gone since. (If traverse were called again for marking,
 * it would no longer tell of what has just been moved out, and that would look like garbage.)
 */
#include "collect/trial.h"

#include "count/count.h"
#include "heap/check.h"
#include "heap/type.h"
#include "world/context.h"

#define MARK OI_TRIAL_MARK
#define WALK OI_GRAPH_STOPPED

bool oi_trial_add(struct oi_trial *tr, struct oi_header *h)
{
	oi_assert_stopped();
	return oi_trial_add_at(tr, h, oi_side_of(h));
}

/* ---- counting ---- */

OI_INLINE void count_child(void *child, void *arg)
{
	struct oi_header *h = oi_header_of(child);
	oi_graph_count_later(arg, WALK, oi_side_of(h), h);
}

/* What cannot be written down is not counted: then what it refers to is held from outside. */
static void note_child(void *child, void *arg)
{
	struct oi_graph *g = arg;
	if (likely(oi_vector_push(&g->edges, oi_header_of(child))))
		count_child(child, g);
	else
		g->guessed = true;
}

/* Without memory @h is not traversed, and what it refers to is held from outside. */
static OI_NOINLINE void note_references(struct oi_header *h, const ouro_type *type,
					struct oi_graph *g)
{
	ouro_visitor v = { note_child, g };
	size_t note = oi_graph_begin_note(g, WALK, h);
	if (!note)
		return;
	oi_call_traverse(type, h, &v);
	oi_graph_end_note(g, note);
}

OI_INLINE void count_references(struct oi_header *h, struct oi_graph *g)
{
	const struct oi_type *d = oi_described(h);
	oi_visit_fixed(h, d, count_child, g);
	if (likely(d->flat))
		return;
	oi_visit_items_of(h, d->type, count_child, g);
	if (d->type->traverse)
		note_references(h, d->type, g);
}

/* The objects from @n on cease to be members. */
static void cut(struct oi_trial *tr, size_t n)
{
	for (size_t i = n; i < tr->members.n; i++)
		oi_trial_result(tr->members.data[i]);
	tr->members.n = n;
}

/* Returns false if there were more references than @most, and members have been cut off. */
static bool count_internal(struct oi_trial *tr, size_t most)
{
	struct oi_graph *g = &tr->graph;
	void **members = tr->members.data;
	size_t i = 0, n = tr->members.n;
	for (; i < n && likely(g->n_counted <= most); i++) {
		if (i + 8 < n)
			__builtin_prefetch(members[i + 8]);
		count_references(members[i], g);
	}
	oi_graph_count_rest(g, WALK);
	cut(tr, i);
	return i == n;
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
	for (size_t i = 0; i < tr->members.n; i++)
		oi_visit_all(tr->members.data[i], recount_child, &r);
	return r.n;
}

#define RECOUNTS 3

static void check_internal_counts(const struct oi_trial *tr)
{
	for (size_t i = 0; i < tr->members.n; i++) {
		struct oi_header *h = tr->members.data[i];
		if (oi_flags(h) & OI_FLAG_IMMORTAL)
			continue;
		int64_t references = oi_references(h) - tr->collector_refs,
			internal = oi_graph_internal(WALK, *oi_side_of(h), h);
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
	int64_t references = oi_references(h) - tr->collector_refs,
		internal = oi_graph_internal(WALK, side, h);
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
	if (unlikely(!oi_vector_push(&tr->graph.stack, h)))
		mark_unvisited(tr, h);
}

OI_INLINE void push_references(struct oi_trial *tr, struct oi_header *h)
{
	const struct oi_type *d = oi_described(h);
	oi_visit_fixed(h, d, push_child, tr);
	if (likely(d->flat))
		return;
	oi_visit_items_of(h, d->type, push_child, tr);
	if (d->type->traverse)
		oi_graph_each_noted(&tr->graph, WALK, h, push_child, tr);
}

OI_INLINE void fetch_side(const struct oi_header *h)
{
	__builtin_prefetch(oi_side_of(h), 1);
	__builtin_prefetch(h + 1);
}

static void mark_from_stack(struct oi_trial *tr)
{
	struct oi_ahead ahead;
	struct oi_header *h;
	ahead.first = ahead.n = 0;
	while ((h = oi_graph_next(&tr->graph, &ahead, fetch_side))) {
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
static void mark_overflowed(struct oi_trial *tr)
{
	while (tr->overflowed) {
		tr->overflowed = false;
		for (size_t i = 0; i < tr->members.n; i++)
			if (*oi_side_of(tr->members.data[i]) & MARK) {
				push_references(tr, tr->members.data[i]);
				mark_from_stack(tr);
			}
	}
}

static void mark(struct oi_trial *tr)
{
	void **members = tr->members.data;
	struct oi_side_place at = { 0 };
	for (size_t i = 0, n = tr->members.n; i < n; i++) {
		if (i + 8 < n)
			__builtin_prefetch(members[i + 8]);
		size_t block = oi_side_block(&at, members[i]);
		uint8_t *side = &at.side[block];
		if ((*side & MARK) || !held_from_outside(tr, members[i], *side))
			continue;
		*side |= MARK;
		tr->n_reached++;
		push_references(tr, members[i]);
		mark_from_stack(tr);
	}
	mark_overflowed(tr);
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

void oi_trial_end(struct oi_trial *tr)
{
	tr->overflowed = tr->graph.guessed = false;
	tr->n_reached = tr->graph.n_counted = 0;
	oi_graph_forget(&tr->graph, WALK, SIZE_MAX);
	oi_vector_trim(&tr->graph.edges, 1 << 16);
	oi_vector_trim(&tr->members, 1 << 16);
	oi_vector_trim(&tr->graph.stack, 1 << 16);
}

void oi_trial_give_up(struct oi_trial *tr)
{
	oi_assert_stopped();
	cut(tr, 0);
	oi_trial_end(tr);
}

void oi_trial_free(struct oi_trial *tr)
{
	oi_vector_free(&tr->members);
	oi_vector_free(&tr->graph.stack);
	oi_vector_free(&tr->graph.edges);
}
