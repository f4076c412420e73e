/*
 * commit.c - which candidates are dead, and their death in one instant, concurrently with the
 * mutators
 *
 * Note [COMMIT]. On entry the candidates, found by any means (concurrent.c), bear the flag. See
 * Note [CANDIDATE] for the mutators' side. (After Bacon and Rajan 2001, whose tests of a fixed set
 * of candidates these are, without their buffers of counts.)
 *   1 handshake: from now on every mutation of a candidate takes its flag away, and is logged
 *   2 COUNT   the references from candidates to candidates; what only traverse tells of, in one
 *             stop
 *   3 CHECK   a candidate with more references than that, or without its flag, lives: it is dropped
 *             (its flag is taken away), with all candidates it reaches
 *   4 the commit word becomes OPEN; handshake; what was rescued is dropped likewise. If there was
 *     anything, 4 is repeated; else OPEN -> DEAD, which fails if there was a rescue since, and
 *     then 4 is repeated. That is the instant at which all that still bear the flag are dead
 *
 * Why it is sound. Let o bear the flag at the commit. No mutation of o happened between 1 and the
 * last handshake: else it was logged before that handshake was over, and o dropped. So the
 * references that 2 counted are where they were, in candidates, and their number is still what 3
 * read: nothing else refers to o. A candidate s that was dropped had its references dropped while
 * they were still there, as their leaving s would have been a mutation of o, and a handshake came
 * after. So all references to o are in what bears the flag. Uncounted pointers ended at the
 * handshakes; weak upgrades go through the commit word.
 * The candidates may be counted and checked in parts, one after the other (near.c): what 2 counted
 * for o is then only what its part, and those before it, refer to it; if that is all there is, the
 * above holds, and if not, o is dropped.
 * Two traps. To drop and commit at once, without the handshake between, is wrong. And a candidate
 * that dies by count after it was counted holds its references until it is dismantled, perhaps much
 * later: it must be followed although it is dead.
 * Termination: each failed commit removes at least one candidate.
 *
 * What only traverse tells of is written down when it is counted, and when its object is dropped,
 * what was written down is dropped: traverse may not be called any more for a dying object. As to
 * opaque objects (pass.h): references may leave them without a mutation, and could be counted in
 * two of them; hence one stop for all that are candidates.
 * Models: tests/models/commit.pml; halves.pml for reading the two halves of a count.
 */
#include "collect/commit.h"

#include "collect/oracle.h"
#include "count/count.h"
#include "world/context.h"

bool oi_commit_flag(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	oi_assert_inside(p->t);
	uint16_t own = oi_load_relaxed(&h->own); /* recheck */
	while (own <= OI_OWN_KEY_MAX &&
	       !oi_cas(&h->own, &own, (uint16_t)(own | OI_OWN_CANDIDATE))) /* [K2] */
		;
	if (own > OI_OWN_KEY_MAX)
		return false;
	*oi_map_count(at) = 0;
	p->n_open++;
	return true;
}

/*
 * Calls fn(p, h, at) for each candidate that is not dropped yet, of a part of the list. Inside the
 * gate.
 */
OI_INLINE void each_candidate(struct oi_pass *p, size_t from, size_t to, oi_member_fn fn)
{
	const struct oi_vector *list = p->list;
	for (size_t i = from; i < to && !p->failed; i++) {
		struct oi_place at;
		oi_vector_prefetch(list, i);
		if (oi_place_of(list->data[i], &at) && oi_map_open(&at))
			fn(p, list->data[i], &at);
		oi_pass_step(p, 16);
	}
}

/* Like oi_pass_look, but where garbage is looked through for the resurrected, all is garbage. */
OI_INLINE const struct oi_type *look(const struct oi_pass *p, const struct oi_header *h)
{
	return oi_pass_look(h, oi_pass_skips(p));
}

/* ---- 2: counting ---- */

/* Counts what traverse tells of, and writes it down. */
static void note_edge(void *child, void *arg)
{
	struct oi_pass *p = arg;
	struct oi_place at;
	if (!oi_place_of(oi_header_of(child), &at) || !oi_map_open(&at) ||
	    oi_block_at(at.page, at.block) != oi_header_of(child))
		return;
	oi_graph_count_one(&p->graph, OI_GRAPH_CONCURRENT, oi_map_count(&at), oi_header_of(child));
	oi_pass_push(p, &p->graph.edges, oi_header_of(child));
}

static void note_edges(struct oi_pass *p, struct oi_header *h, const ouro_type *type)
{
	size_t note = oi_graph_begin_note(&p->graph, OI_GRAPH_CONCURRENT, h);
	if (!note) {
		p->failed = true;
		return;
	}
	oi_pass_call_traverse(h, type, note_edge, p);
	oi_graph_end_note(&p->graph, note);
}

static void note_candidate(struct oi_pass *p, struct oi_header *h)
{
	const struct oi_type *d = oi_is_candidate(h) ? look(p, h) : NULL;
	if (d)
		note_edges(p, h, d->type);
}

/* There may have been safepoints since @h was looked at. */
static void count_rest(struct oi_pass *p, struct oi_header *h, const ouro_type *type)
{
	if (type->item_slots.n)
		oi_pass_visit_items(p, h, type, oi_pass_count_child, p);
	if (oi_type_opaque(type))
		oi_pass_push(p, &p->opaque, h);
	else if (type->traverse)
		note_candidate(p, h);
}

static void count_among_candidates(struct oi_pass *p, struct oi_header *h,
				   const struct oi_place *at)
{
	const struct oi_type *d = oi_is_candidate(h) ? look(p, h) : NULL;
	(void)at;
	if (!d)
		return;
	oi_visit_fixed(h, d, oi_pass_count_child, p);
	if (unlikely(!d->flat))
		count_rest(p, h, d->type);
}

static void note_opaque(struct oi_pass *p)
{
	struct oi_stop stop;
	if (!p->opaque.n)
		return;
	oi_gate_leave(p->t);
	oi_pass_stop(&stop);
	while (p->opaque.n && !p->failed)
		note_candidate(p, p->opaque.data[--p->opaque.n]);
	p->opaque.n = 0;
	oi_pass_start(&stop);
	oi_gate_enter(p->t);
}

/* ---- 3: dropping ---- */

static void drop_candidate(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	oi_map_bits(at)->mark |= oi_map_bit(at);
	oi_unflag(h);
	p->n_open--;
	oi_pass_push(p, &p->graph.stack, h);
}

static void drop_if_rescued(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	if (!oi_is_candidate(h))
		drop_candidate(p, h, at);
}

/* @child may be any word: see drop_children. */
static void drop_word(void *child, void *arg)
{
	struct oi_place at;
	if (oi_map_covers(child) && oi_place_of(oi_header_of(child), &at) &&
	    oi_map_open(&at) &&
	    oi_block_at(at.page, at.block) == oi_header_of(child))
		drop_candidate(arg, oi_header_of(child), &at);
}

/*
 * Drops the children of a dying object, too, until all its references are released. Those that have
 * been, each by a mutation, are still in its slots, though what they referred to may be gone: so
 * they are looked at as if they were any words.
 */
static void drop_children(struct oi_pass *p, struct oi_header *h)
{
	uint64_t word = oi_load_acquire(&h->word); /* [A1] */
	uint16_t own = (uint16_t)(word >> 48);
	if (own != OI_OWN_FREE && own != OI_OWN_GONE) {
		const struct oi_type *d = &oi_types[(uint16_t)word];
		oi_visit_fixed(h, d, drop_word, p);
		if (unlikely(d->type->item_slots.n))
			oi_pass_visit_items(p, h, d->type, drop_word, p);
	}
	size_t n = oi_graph_each_noted(&p->graph, OI_GRAPH_CONCURRENT, h, drop_word, p);
	oi_pass_step(p, 16 + (unsigned)n);
}

/* Drops all that the dropped reach. */
static void drop_reached(struct oi_pass *p)
{
	while (p->graph.stack.n && !p->failed)
		drop_children(p, p->graph.stack.data[--p->graph.stack.n]);
}

/* Returns true if only candidates refer to @h. */
static bool is_closed(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	if (!oi_is_candidate(h) || !look(p, h))
		return false;
	int64_t references = oi_references(h) - p->collector_refs,
		internal = oi_map_internal(at, h, 1);
	return references == internal && (references || p->collector_refs);
}

static void check(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	if (!is_closed(p, h, at))
		drop_candidate(p, h, at);
	else
		p->silent &= oi_is_silent(h);
}

static void check_part(struct oi_pass *p, size_t from, size_t to)
{
	each_candidate(p, from, to, count_among_candidates);
	note_opaque(p);
	oi_graph_count_rest(&p->graph, OI_GRAPH_CONCURRENT);
	oi_point("commit: counted");
	each_candidate(p, from, to, check);
}

/*
 * Counts and checks what the cache has room for, and then the next, where that is possible: the
 * references to a candidate are in its part.
 */
static void check_all(struct oi_pass *p)
{
	size_t from = 0;
	for (size_t i = 0; i < p->parts.n; i++) {
		check_part(p, from, (size_t)p->parts.data[i]);
		from = (size_t)p->parts.data[i];
	}
	check_part(p, from, p->list->n);
}

/* ---- 4: the commit ---- */

/*
 * Drops what was rescued since the last call, which is in the log up to @n, or anywhere if that ran
 * over. Returns true if something was dropped, and a handshake must follow before a commit. An
 * entry that is not written yet is of a rescue that is under way: then the commit word is DIRTY.
 */
static bool drop_rescued(struct oi_pass *p, uint64_t *n)
{
	uint64_t end = oi_load_acquire(&oi_candidates.n_rescued); /* [K1] */
	size_t before = p->graph.stack.n;
	struct oi_header *h;
	if (end > OI_RESCUE_LOG) {
		each_candidate(p, 0, p->list->n, drop_if_rescued);
	} else {
		/* [K1] */
		for (; *n < end && (h = oi_load_acquire(&oi_candidates.rescued[*n])); ++*n) {
			struct oi_place at;
			if (oi_place_of(h, &at) && oi_map_open(&at))
				drop_candidate(p, h, &at);
		}
	}
	if (p->graph.stack.n == before)
		return false;
	drop_reached(p);
	return true;
}

static bool try_commit(void)
{
	uint32_t open = OI_COMMIT_OPEN;
	oi_perturb();
	oi_point("commit: try");
	return oi_cas(&oi_candidates.commit, &open, (uint32_t)OI_COMMIT_DEAD); /* [K1] */
}

static bool commit(struct oi_pass *p)
{
	uint64_t n = 0;
	while (!p->failed) {
		oi_store_release(&oi_candidates.commit, (uint32_t)OI_COMMIT_OPEN); /* [K1] */
		oi_grace_wait();
		oi_gate_enter(p->t);
		bool dropped = drop_rescued(p, &n),
		     dead = !dropped && !p->failed && (!p->n_open || try_commit());
		oi_gate_leave(p->t);
		if (dead)
			return p->n_open != 0;
	}
	return false;
}

bool oi_commit(struct oi_pass *p)
{
	oi_assert_unpinned(p->t);
	p->any_word = drop_word;
	oi_grace_wait();
	oi_gate_enter(p->t);
	check_all(p);
	drop_reached(p);
	oi_gate_leave(p->t);
	oi_point("commit: checked");
	bool dead = commit(p);
	if (dead)
		oi_oracle_judge(p);
	return dead;
}
