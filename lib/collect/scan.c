/*
 * scan.c - finding the candidates of a concurrent collection
 *
 *   COUNT   references from members, the objects in the scope, to members
 *   MARK    from every member that has more references than that
 *   FLAG    the members that are not marked: the candidates
 * COUNT and MARK read while others write, so their errors make live objects candidates, and hide
 * garbage that was not garbage when they began. They are never believed (commit.c). Garbage that
 * was there from the start is touched by nobody: its counts are right, and nothing marks it.
 * Objects made meanwhile are young, and no members: what they refer to has references that were
 * not counted.
 */
#include "collect/scan.h"

#include "collect/commit.h"
#include "collect/linger.h"
#include "collect/oracle.h"
#include "count/count.h"
#include "world/context.h"

#define FEW 32
#define OPAQUE 256 /* so many objects wait for a stop before there is one */

/*
 * Returns the type of an old object that is nobody else's concern, or NULL. @i is the number of the
 * block in the page.
 */
OI_INLINE const struct oi_type *look_at_old(const struct oi_page *p, const struct oi_header *h,
					    size_t i)
{
	const struct oi_type *d = oi_pass_look(h, OI_FLAG_GARBAGE | OI_FLAG_FROZEN);
	uint64_t young = oi_load_relaxed(&oi_young_bits(p, 0)[i / 64]) | /* owner */
			 oi_load_relaxed(&oi_young_bits(p, 1)[i / 64]);
	return young >> (i % 64) & 1 ? NULL : d;
}

/* Small objects lie in two lines as often as not. */
OI_INLINE void fetch(const struct oi_header *h)
{
	__builtin_prefetch(h);
	__builtin_prefetch(h + 3);
}

/* ---- counting ---- */

/* Counts what up to 64 blocks refer to, and returns which are members. */
OI_INLINE uint64_t count_word(struct oi_pass *p, struct oi_page *page, struct oi_header *h,
			      uint32_t from, uint32_t to)
{
	uint64_t member = 0;
	size_t size = page->block_size;
	for (uint32_t i = from; i < to && !p->failed;
	     i++, h = (struct oi_header *)((char *)h + size)) {
		__builtin_prefetch((char *)h + 8 * size);
		const struct oi_type *d = look_at_old(page, h, i);
		if (!d)
			continue;
		member |= UINT64_C(1) << (i % 64);
		oi_pass_visit(p, h, d, oi_pass_count_child, p);
	}
	return member;
}

static void count_page(struct oi_pass *p, struct oi_page *page)
{
	uint32_t n = oi_load_acquire(&page->bump); /* [A1] */
	struct oi_bits *bits = oi_region_of(page)->map->bits[oi_page_index(page)];
	for (uint32_t i = 0; i < n && !p->failed; i += 64) {
		uint64_t member = count_word(p, page, oi_block_at(page, i), i,
					     n - i < 64 ? n : i + 64);
		bits[i / 64].member |= member;
		p->n_members += (unsigned)__builtin_popcountll(member);
		oi_pass_step(p, 8 + 24 * (unsigned)__builtin_popcountll(member));
	}
}

/* ---- marking ---- */

OI_INLINE void mark_child(void *child, void *arg)
{
	struct oi_pass *p = arg;
	struct oi_header *h = oi_header_of(child);
	struct oi_place at;
	if (!oi_place_of(h, &at) || !oi_map_open(&at))
		return;
	oi_map_bits(&at)->mark |= oi_map_bit(&at);
	fetch(h);
	oi_pass_push(p, &p->graph.stack, h);
}

OI_INLINE void visit_marked_as(struct oi_pass *p, struct oi_header *h, const struct oi_type *d)
{
	oi_pass_visit(p, h, d, mark_child, p);
	oi_pass_step(p, 24);
}

static void visit_marked(struct oi_pass *p, struct oi_header *h)
{
	const struct oi_type *d = oi_pass_look(h, OI_FLAG_GARBAGE);
	if (d)
		visit_marked_as(p, h, d);
}

static void mark_reached(struct oi_pass *p)
{
	struct oi_ahead ahead;
	struct oi_header *h;
	ahead.first = ahead.n = 0;
	while (!p->failed && (h = oi_graph_next(&p->graph, &ahead, fetch)))
		visit_marked(p, h);
	p->graph.stack.n = 0;
}

/*
 * Marks only a few, as it is called in a stop: from one object that only traverse leads to, to the
 * next.
 */
static void mark_some(struct oi_pass *p)
{
	for (unsigned i = 0; i < FEW && p->graph.stack.n; i++) {
		struct oi_header *h = p->graph.stack.data[p->graph.stack.n - 1];
		if (oi_page_of(h)->state == OI_PAGE_LARGE)
			return; /* not in a stop */
		const struct oi_type *d = oi_pass_look(h, OI_FLAG_GARBAGE);
		p->graph.stack.n--;
		if (d)
			oi_pass_visit(p, h, d, mark_child, p);
	}
}

static bool referred_from_outside(const struct oi_header *h, const struct oi_place *at)
{
	if (oi_flags(h) & OI_FLAG_IMMORTAL)
		return true;
	return oi_references(h) != oi_map_internal(at, h);
}

static void mark_held(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	const struct oi_type *d = oi_pass_look(h, OI_FLAG_GARBAGE);
	if (!d || !referred_from_outside(h, at))
		/* @h may have died: it has no counts then, and goes when others are flagged */
		return;
	if (unlikely(oi_flags(h) & OI_FLAG_WEAK))
		oi_linger_doubt(p, h, oi_references(h) - oi_map_internal(at, h));
	oi_map_bits(at)->mark |= oi_map_bit(at);
	visit_marked_as(p, h, d);
	mark_reached(p);
}

/* For a pass whose members are known already: what was young. */
static void count_member(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	const struct oi_type *d = look_at_old(at->page, h, at->block);
	if (!d) {
		oi_map_bits(at)->member &= ~oi_map_bit(at);
		return;
	}
	p->n_members++;
	oi_pass_visit(p, h, d, oi_pass_count_child, p);
}

static void count_members(struct oi_pass *p, struct oi_page *page)
{
	oi_pass_each_open(p, page, count_member);
}

static void mark_page(struct oi_pass *p, struct oi_page *page)
{
	oi_pass_each_open(p, page, mark_held);
}

/* ---- flagging ---- */

static void flag(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	if (!look_at_old(at->page, h, at->block) || !oi_commit_flag(p, h, at)) {
		oi_map_bits(at)->mark |= oi_map_bit(at);
		return;
	}
	oi_pass_push(p, &p->garbage->objects, h);
	if (p->failed)
		oi_unflag(h);
}

/* Pages without candidates leave the list. */
static void flag_page(struct oi_pass *p, struct oi_page *page)
{
	size_t before = p->n_open;
	oi_pass_each_open(p, page, flag);
	if (p->n_open != before)
		p->pages.data[p->n_pages_left++] = page;
}

/* ---- pages ---- */

static void each_page(struct oi_pass *p, void (*fn)(struct oi_pass *p, struct oi_page *page),
		      oi_child_fn child)
{
	oi_gate_enter(p->t);
	for (size_t i = 0; i < p->pages.n && !p->failed; i++) {
		fn(p, p->pages.data[i]);
		oi_pass_step(p, 32);
		if (unlikely(p->opaque.n >= OPAQUE))
			oi_pass_traverse_opaque(p, child, p, mark_some);
		mark_reached(p);
	}
	while (p->opaque.n && !p->failed) {
		oi_pass_traverse_opaque(p, child, p, mark_some);
		mark_reached(p);
	}
	oi_gate_leave(p->t);
}

/* ---- all of it ---- */

#if OURO_CHECKED
/*
 * Notes that @h has fewer references than members have to it: it was looked at too early, or a
 * traverse lies. The oracle tells these apart.
 */
static void note_excess(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	p->excess |= oi_pass_look(h, OI_FLAG_IMMORTAL) && oi_map_internal(at, h) > oi_references(h);
}

static void find_lies_on(struct oi_pass *p, struct oi_page *page)
{
	oi_pass_each_open(p, page, note_excess);
}

static void find_lies(struct oi_pass *p)
{
	each_page(p, find_lies_on, NULL);
	if (p->excess)
		oi_oracle_judge(p);
}
#else
OI_INLINE void find_lies(struct oi_pass *p)
{
	(void)p;
}
#endif

void oi_scan(struct oi_pass *p)
{
	oi_assert_unpinned(p->t);
	each_page(p, p->young_only ? count_members : count_page, oi_pass_count_child);
	oi_graph_count_rest(&p->graph, OI_GRAPH_CONCURRENT);
	oi_point("scan: counted");
	find_lies(p);
	each_page(p, mark_page, mark_child);
	oi_map_forget_exact(p->t, &p->graph);
	each_page(p, flag_page, NULL);
	p->pages.n = p->n_pages_left;
	oi_point("scan: flagged");
}
