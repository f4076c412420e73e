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
 * Several threads may do it (Note [CREW]). What one does for each object it does alone, or beside
 * others (shared): that is a constant in two instances of the same code.
 */
#include "collect/scan.h"

#include "collect/commit.h"
#include "collect/crew.h"
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
	return oi_is_young_beside(p, i) ? NULL : d;
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
			      uint32_t from, uint32_t to, oi_child_fn child)
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
		oi_pass_visit(p, h, d, child, p);
	}
	return member;
}

OI_INLINE void count_page_as(struct oi_pass *p, struct oi_page *page, oi_child_fn child)
{
	uint32_t n = oi_load_acquire(&page->bump); /* [A1] */
	struct oi_bits *bits = oi_region_of(page)->map->bits[oi_page_index(page)];
	for (uint32_t i = 0; i < n && !p->failed; i += 64) {
		uint64_t member = count_word(p, page, oi_block_at(page, i), i,
					     n - i < 64 ? n : i + 64, child);
		bits[i / 64].member |= member;
		p->n_members += (unsigned)__builtin_popcountll(member);
		oi_pass_step(p, 8 + 24 * (unsigned)__builtin_popcountll(member));
	}
}

static void count_page(struct oi_pass *p, struct oi_page *page)
{
	count_page_as(p, page, oi_pass_count_child);
}

/* For a pass whose members are known already: what was young. */
OI_INLINE void count_member_as(struct oi_pass *p, struct oi_header *h, const struct oi_place *at,
			       oi_child_fn child)
{
	const struct oi_type *d = look_at_old(at->page, h, at->block);
	if (!d) {
		oi_map_bits(at)->member &= ~oi_map_bit(at);
		return;
	}
	p->n_members++;
	oi_pass_visit(p, h, d, child, p);
}

static void count_member(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	count_member_as(p, h, at, oi_pass_count_child);
}

static void count_members(struct oi_pass *p, struct oi_page *page)
{
	oi_pass_each_open(p, page, count_member);
}

/* ---- marking ---- */

OI_INLINE void mark_child_as(void *child, void *arg, bool shared)
{
	struct oi_pass *p = arg;
	struct oi_header *h = oi_header_of(child);
	struct oi_place at;
	if (!oi_place_of(h, &at) || !oi_map_open(&at) || !oi_map_mark(&at, shared))
		return;
	fetch(h);
	oi_pass_push(p, &p->graph.stack, h);
	if (shared) /* there may be more below one object than anywhere else */
		oi_crew_offer(p->number, &p->graph.stack);
}

OI_INLINE void mark_child(void *child, void *arg)
{
	mark_child_as(child, arg, false);
}

OI_INLINE void mark_child_shared(void *child, void *arg)
{
	mark_child_as(child, arg, true);
}

OI_INLINE void visit_marked_as(struct oi_pass *p, struct oi_header *h, const struct oi_type *d,
			       bool shared)
{
	if (shared)
		oi_pass_visit(p, h, d, mark_child_shared, p);
	else
		oi_pass_visit(p, h, d, mark_child, p);
	oi_pass_step(p, 24);
}

OI_INLINE void mark_reached_as(struct oi_pass *p, bool shared)
{
	struct oi_ahead ahead;
	struct oi_header *h;
	ahead.first = ahead.n = 0;
	while (!p->failed && (h = oi_graph_next(&p->graph, &ahead, fetch))) {
		const struct oi_type *d = oi_pass_look(h, OI_FLAG_GARBAGE);
		if (d)
			visit_marked_as(p, h, d, shared);
		if (shared)
			oi_crew_offer(p->number, &p->graph.stack);
	}
	p->graph.stack.n = 0;
}

static void mark_reached(struct oi_pass *p)
{
	mark_reached_as(p, false);
}

static void mark_reached_shared(struct oi_pass *p)
{
	mark_reached_as(p, true);
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

OI_INLINE bool all_from_members(const struct oi_header *h, const struct oi_place *at,
				unsigned n_crew)
{
	return !(oi_flags(h) & OI_FLAG_IMMORTAL) &&
	       oi_references(h) == oi_map_internal(at, h, n_crew);
}

/* @h may have died: it has no counts then, and goes when others are flagged. */
OI_INLINE void mark_held_as(struct oi_pass *p, struct oi_header *h, const struct oi_place *at,
			    bool shared)
{
	const struct oi_type *d = oi_pass_look(h, OI_FLAG_GARBAGE);
	unsigned n_crew = shared ? p->n_crew : 1;
	if (!d || all_from_members(h, at, n_crew))
		return;
	if (unlikely(oi_flags(h) & OI_FLAG_WEAK))
		oi_linger_doubt(p, h, oi_references(h) - oi_map_internal(at, h, n_crew));
	if (!oi_map_mark(at, shared))
		return;
	visit_marked_as(p, h, d, shared);
	if (shared)
		mark_reached_shared(p);
	else
		mark_reached(p);
}

static void mark_held(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	mark_held_as(p, h, at, false);
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
	oi_pass_push(p, p->list, h);
	if (p->failed)
		oi_unflag(h);
}

static void flag_page(struct oi_pass *p, struct oi_page *page)
{
	oi_pass_each_open(p, page, flag);
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

/* ---- lies ---- */

#if OURO_CHECKED
/*
 * Notes that @h has fewer references than members have to it: it was looked at too early, or a
 * traverse lies. The oracle tells these apart.
 */
static void note_excess(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	p->excess |= oi_pass_look(h, OI_FLAG_IMMORTAL) &&
		     oi_map_internal(at, h, p->n_crew) > oi_references(h);
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

/* ---- by several threads ---- */

static struct oi_pass *together;           /* the pass of the collecting thread */
static struct oi_pass helper[OI_CREW_MAX]; /* [0] is not used */

static void count_child_shared(void *child, void *arg)
{
	struct oi_pass *p = arg;
	oi_map_count_later_by(&p->graph, p->number, oi_header_of(child));
}

static void count_page_shared(struct oi_pass *p, struct oi_page *page)
{
	count_page_as(p, page, count_child_shared);
}

static void count_member_shared(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	count_member_as(p, h, at, count_child_shared);
}

static void count_members_shared(struct oi_pass *p, struct oi_page *page)
{
	oi_pass_each_open(p, page, count_member_shared);
}

static void mark_held_shared(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	mark_held_as(p, h, at, true);
}

static void mark_page_shared(struct oi_pass *p, struct oi_page *page)
{
	oi_pass_each_open(p, page, mark_held_shared);
}

static struct oi_pass *pass_of(unsigned number)
{
	if (!number)
		return together;
	helper[number].t = oi_self;
	return &helper[number];
}

static void share_pages(struct oi_pass *p, void (*fn)(struct oi_pass *p, struct oi_page *page))
{
	oi_point(p->number ? "scan: helper" : "scan: first");
	oi_gate_enter(p->t);
	for (size_t i; !p->failed && (i = oi_crew_take_page(p->pages.n)) != SIZE_MAX;) {
		oi_point("scan: page taken");
		fn(p, p->pages.data[i]);
		oi_pass_step(p, 32);
	}
	oi_graph_count_rest(&p->graph, OI_GRAPH_CONCURRENT);
	oi_gate_leave(p->t);
	if (p->number)
		oi_point("scan: helped");
}

static void share_counting(unsigned number)
{
	struct oi_pass *p = pass_of(number);
	share_pages(p, p->young_only ? count_members_shared : count_page_shared);
}

static void share_marking(unsigned number)
{
	struct oi_pass *p = pass_of(number);
	share_pages(p, mark_page_shared);
	oi_gate_enter(p->t);
	mark_reached_shared(p); /* of a gift */
	oi_gate_leave(p->t);
}

static void prepare_helper(const struct oi_pass *p, unsigned number)
{
	struct oi_pass *h = &helper[number];
	struct oi_vector stack = h->graph.stack, opaque = h->opaque, doubts = h->doubts;
	*h = *p;
	h->between = NULL;
	h->number = number;
	h->work = 0;
	h->n_members = 0;
	stack.n = opaque.n = doubts.n = 0;
	h->graph = (struct oi_graph){ .stack = stack };
	h->opaque = opaque;
	h->doubts = doubts;
}

static void take_over_maps(struct oi_pass *p, struct oi_pass *h)
{
	for (struct oi_page_graph *map; (map = h->graph.maps);) {
		h->graph.maps = map->next;
		map->next = p->graph.maps;
		p->graph.maps = map;
	}
}

/* What a helper has found is the collection's. */
static void take_over(struct oi_pass *p, struct oi_pass *h)
{
	p->failed |= h->failed;
	p->n_members += h->n_members;
	oi_crew_note(0, h->n_members);
	for (size_t i = 0; i < h->opaque.n; i++)
		oi_pass_push(p, &p->opaque, h->opaque.data[i]);
	for (size_t i = 0; i < h->doubts.n; i++)
		oi_pass_push(p, &p->doubts, h->doubts.data[i]);
	take_over_maps(p, h);
	h->opaque.n = h->doubts.n = 0;
}

static void run_together(struct oi_pass *p, void (*work)(unsigned number))
{
	struct oi_phase phase = { .n_crew = p->n_crew, .work = work, .meanwhile = p->between };
	oi_gate_enter(p->t); /* the child of a fork finds them whole */
	together = p;
	for (unsigned i = 1; i < p->n_crew; i++)
		prepare_helper(p, i);
	oi_gate_leave(p->t);
	for (unsigned i = 0; i < p->n_crew; i++) {
		phase.stack[i] = i ? &helper[i].graph.stack : &p->graph.stack;
		phase.failed[i] = i ? &helper[i].failed : &p->failed;
	}
	oi_crew_run(&phase);
	oi_gate_enter(p->t);
	for (unsigned i = 1; i < p->n_crew; i++)
		take_over(p, &helper[i]);
	oi_gate_leave(p->t);
}

/* Calls the traverses that may run beside mutators; the others stay in the list. */
static void traverse_concurrent(struct oi_pass *p, oi_child_fn child)
{
	size_t n = 0;
	for (size_t i = 0; i < p->opaque.n && !p->failed; i++) {
		struct oi_header *h = p->opaque.data[i];
		const struct oi_type *d = oi_pass_look(h, oi_pass_skips(p));
		if (d && oi_type_opaque(d->type))
			p->opaque.data[n++] = h;
		else if (d)
			oi_pass_call_traverse(h, d->type, child, p);
		oi_pass_step(p, 16);
	}
	p->opaque.n = n;
}

/* What has a traverse was left to this thread. */
static void traverse_rest(struct oi_pass *p, oi_child_fn child)
{
	oi_gate_enter(p->t);
	p->shared = false;
	traverse_concurrent(p, child);
	mark_reached(p);
	while (p->opaque.n && !p->failed) {
		oi_pass_traverse_opaque(p, child, p, mark_some);
		mark_reached(p);
	}
	oi_graph_count_rest(&p->graph, OI_GRAPH_CONCURRENT);
	p->shared = true;
	oi_gate_leave(p->t);
}

static void find_together(struct oi_pass *p)
{
	p->shared = true;
	oi_crew_begin(p->n_crew);
	run_together(p, share_counting);
	traverse_rest(p, oi_pass_count_child);
	oi_point("scan: counted");
	find_lies(p);
	run_together(p, share_marking);
	oi_crew_end();
	traverse_rest(p, mark_child);
	p->shared = false;
}

static void free_list(struct oi_pass *p, struct oi_vector *v)
{
	oi_gate_enter(p->t); /* the child of a fork finds it there, or gone */
	struct oi_vector old = *v;
	*v = (struct oi_vector){ 0 };
	oi_gate_leave(p->t);
	oi_vector_free(&old);
}

static void end_together(struct oi_pass *p)
{
	p->n_crew = 1;
	for (unsigned i = 1; i < OI_CREW_MAX; i++) {
		free_list(p, &helper[i].graph.stack);
		free_list(p, &helper[i].opaque);
		free_list(p, &helper[i].doubts);
	}
}

bool oi_scan_inherit(struct oi_pass *p)
{
	for (unsigned i = 1; i < OI_CREW_MAX; i++)
		take_over_maps(p, &helper[i]);
	return oi_crew_inherit();
}

/* ---- all of it ---- */

static void find_alone(struct oi_pass *p)
{
	each_page(p, p->young_only ? count_members : count_page, oi_pass_count_child);
	oi_graph_count_rest(&p->graph, OI_GRAPH_CONCURRENT);
	oi_point("scan: counted");
	find_lies(p);
	each_page(p, mark_page, mark_child);
}

void oi_scan(struct oi_pass *p)
{
	oi_assert_unpinned(p->t);
	unsigned n = oi_crew_size(p->pages.n);
	while (p->n_crew < n && oi_map_make_bytes(p->t, &p->regions, p->n_crew))
		p->n_crew++;
	if (p->n_crew > 1)
		find_together(p);
	else
		find_alone(p);
	oi_crew_note(p->n_members, 0);
	end_together(p);
	oi_map_forget_exact(p->t, &p->graph);
	each_page(p, flag_page, NULL);
	oi_point("scan: flagged");
}
