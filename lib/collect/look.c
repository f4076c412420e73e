/*
 * look.c - a thread looks for garbage among what it alone has touched
 *
 * One look, the first half of Note [SOLO] in solo.c: the members are gathered, and the references
 * from members to members counted; who has more of them is held from outside, and so is what it
 * reaches; the others are noted as found. What was looked at and is held is older afterwards. A
 * look that is left out makes all of it older unseen.
 */
#include "collect/look.h"

#include <string.h>

#include "collect/member.h"
#include "collect/policy.h"
#include "collect/solo.h"

/*
 * While a thread looks, the side byte of an object in its pages is the number of references from
 * members, modulo 256. Otherwise it is 0. An object that nobody else has touched has at least as
 * many references as were counted, all in local. So if local is what the byte is, that is right.
 */
#define ENOUGH (OI_SOLO_MOST - 64) /* members: then no more are sought */

#if !OURO_CHECKED
enum { oi_solo_stack_room = OI_SOLO_MOST };
#endif

/* ---- gathering ---- */

static OI_NOINLINE void count_elsewhere(const struct oi_thread *t, const struct oi_header *h)
{
	struct oi_region *r = oi_region_of(h);
	size_t i = oi_page_number(h);
	const struct oi_page *p = &r->page[i];
	struct oi_solo_lists *l = t->solo.lists;
	/* owner; what is not counted is held */
	if (oi_load_relaxed(&p->heap) != &t->heap || l->n_elsewhere == OI_SOLO_MOST)
		return;
	uint8_t *side = &r->side[i][oi_block_index(p, h)];
	++*side;
	l->elsewhere[l->n_elsewhere++] = side;
}

OI_INLINE void count_inside(void *child, void *arg)
{
	const struct oi_member_place *at = arg;
	const struct oi_header *h = oi_header_of(child);
	if (likely((uintptr_t)h >> OI_PAGE_SHIFT == at->page))
		++at->side[oi_member_block(at, h)];
	else
		count_elsewhere(at->t, h);
}

/* Of an object that is no member; one that died by count is not young any more. */
static OI_NOINLINE uint64_t pass_over(const struct oi_member_place *at, const struct oi_header *h)
{
	uint64_t bit = UINT64_C(1) << oi_member_block(at, h) % 64;
	if (oi_member_unused(oi_load_relaxed(&h->word))) /* owner, or recheck */
		oi_member_clear_age(at, bit);
	return bit;
}

/* Returns which are members; counts what they refer to. */
OI_INLINE uint64_t gather_word(struct oi_member_place *at, struct oi_member_kind *k)
{
	uint64_t bits = *at->age0, members = bits, alone = oi_member_word(at->t->key, 0);
	struct oi_header *h;
	oi_for_each_member(h, at, bits) {
		uint64_t word = oi_load_relaxed(&h->word); /* owner */
		if (likely(oi_member_alone(h, word, OI_WORD_OWN | OI_WORD_OTHERS, alone)) &&
		    likely(oi_member_kind(k, word)->plain))
			oi_member_visit(h, k, count_inside, at);
		else
			members &= ~pass_over(at, h);
	}
	return members;
}

/* It stops if another 64 may be too many. */
static void gather_page(struct oi_thread *t, struct oi_page *p)
{
	struct oi_solo_lists *l = t->solo.lists;
	const uint64_t *age0 = oi_young_bits(p, 0);
	struct oi_member_kind k = { 0 };
	for (size_t w = 0, end = (p->bump + 63) / 64; w < end && l->n <= ENOUGH; w++) {
		if (!age0[w])
			continue;
		struct oi_member_place at = oi_member_place_of(t, p, w);
		uint64_t members = gather_word(&at, &k);
		if (!members)
			continue;
		l->run[l->n_runs++] = (struct oi_member_run){ p, p->block_size, members, w, { 0 } };
		l->n += (size_t)__builtin_popcountll(members);
	}
}

static bool any_young(const struct oi_page *p)
{
	const uint64_t *age0 = oi_young_bits(p, 0), *age1 = oi_young_bits(p, 1);
	uint64_t any = 0;
	for (size_t w = 0, end = (p->bump + 63) / 64; w < end && !any; w++)
		any = age0[w] | age1[w];
	return any;
}

/*
 * Returns what follows *@link in the list of young pages. An own page where nothing is young any
 * more leaves the list, as in a stop, which may not come for long: otherwise each look would go
 * over all pages.
 */
static struct oi_page **next_young(struct oi_heap *heap, struct oi_page **link, bool own)
{
	struct oi_page *p = *link;
	if (!own || p->current || any_young(p))
		return &p->young_next;
	*link = p->young_next;
	p->on_young = false;
	heap->resume = NULL; /* it may be this link */
	return link;
}

static void gather_young(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	l->n = l->n_runs = l->n_elsewhere = 0;
	for (struct oi_page *p, **link = &t->heap.young; (p = *link) && l->n <= ENOUGH;) {
		bool own = oi_member_own_page(t, p);
		if (own)
			gather_page(t, p);
		link = next_young(&t->heap, link, own);
	}
}

/* ---- what is held ---- */

/* What is reached may have been found at an earlier look, and be old by now. */
static void grow_older(struct oi_solo_lists *l, struct oi_header *h)
{
	struct oi_page *p = oi_page_of(h);
	size_t i = oi_block_index(p, h);
	uint64_t bit = UINT64_C(1) << (i % 64);
	uint64_t *age0 = &oi_young_bits(p, 0)[i / 64], *age1 = &oi_young_bits(p, 1)[i / 64];
	if (!(*age0 & bit))
		return;
	oi_store_relaxed(age0, *age0 & ~bit); /* owner */
	/* the bit may be set, by an object that had the block before */
	oi_store_relaxed(age1, l->straight ? *age1 & ~bit : *age1 | bit); /* owner */
	l->older++;
}

/* It is no member any more, and what it refers to will not be. */
static void hold(struct oi_solo_lists *l, struct oi_header *h)
{
	oi_store_relaxed(&h->noted, (uint8_t)0); /* owner */
	grow_older(l, h);
	if (likely(l->n_stack < oi_solo_stack_room))
		l->stack[l->n_stack++] = h;
	else
		l->overflow = true;
}

/* Notes which members have no references but the counted; the rest is held. */
static void compare_run(struct oi_thread *t, const struct oi_member_run *r)
{
	struct oi_member_place at = oi_member_place_of(t, r->p, r->word);
	struct oi_header *h;
	oi_for_each_member(h, &at, r->members)
		/* owner */
		if (likely(oi_load_relaxed(&h->local) == at.side[oi_member_block(&at, h)]))
			oi_store_relaxed(&h->noted, (uint8_t)OI_FOUND); /* owner */
		else
			hold(t->solo.lists, h);
}

static void compare_runs(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	l->n_stack = l->older = 0;
	l->overflow = false;
	for (const struct oi_member_run *r = l->run; r < l->run + l->n_runs; r++)
		compare_run(t, r);
}

/* Where something was counted that is not elsewhere, the page has a member. */
static void clear_side_bytes(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	const struct oi_page *p = NULL;
	for (const struct oi_member_run *r = l->run; r < l->run + l->n_runs; p = r++->p)
		if (r->p != p)
			memset(oi_member_place_of(t, r->p, 0).side, 0, r->p->bump);
	while (l->n_elsewhere)
		*l->elsewhere[--l->n_elsewhere] = 0;
}

/*
 * What was found at an earlier look, and is no member now, may be taken for one: that marks more,
 * so that the stack may not suffice.
 */
OI_INLINE void mark_reference(void *child, void *arg)
{
	const struct oi_thread *t = arg;
	struct oi_header *h = oi_header_of(child);
	uint64_t word = oi_load_relaxed(&h->word); /* owner, or not a member */
	if ((word & (OI_WORD_OWN | OI_WORD_NOTED)) == oi_member_word(t->key, OI_FOUND))
		hold(t->solo.lists, h);
}

/* Members that are held have become older: the others are left. */
static void sort_out(struct oi_solo_lists *l)
{
	size_t kept = 0;
	for (size_t i = 0; i < l->n_runs; i++) {
		struct oi_member_run r = l->run[i];
		uint64_t held = r.members & ~oi_young_bits(r.p, 0)[r.word];
		l->n -= (size_t)__builtin_popcountll(held);
		r.members &= ~held;
		if (r.members)
			l->run[kept++] = r;
	}
	l->n_runs = kept;
}

static void leave_out_held(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	while (l->n_stack)
		oi_visit_slots(l->stack[--l->n_stack], mark_reference, t);
	if (l->older)
		sort_out(l);
	if (unlikely(l->overflow)) /* what is left may be held */
		l->n = l->n_runs = 0;
}

size_t oi_look(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	gather_young(t);
	size_t n = l->n;
	l->straight = oi_policy_middle_full();
	compare_runs(t);
	clear_side_bytes(t);
	leave_out_held(t);
	oi_policy_solo_done(l->older, l->straight);
	return n;
}

/*
 * Makes what is young in the page older, garbage or not. Returns how many objects that were. Those
 * that count as nobody's are left as they are: another thread may be about to count their deaths.
 */
static size_t age_page(struct oi_thread *t, struct oi_page *p, bool straight)
{
	uint64_t *age0 = oi_young_bits(p, 0), *age1 = oi_young_bits(p, 1);
	size_t n = 0;
	for (size_t w = 0, end = (p->bump + 63) / 64; w < end; w++) {
		struct oi_member_place at = oi_member_place_of(t, p, w);
		uint64_t older = 0, left = 0;
		struct oi_header *h;
		oi_for_each_member(h, &at, age0[w]) {
			uint64_t word = oi_load_relaxed(&h->word); /* owner, or recheck */
			uint64_t bit = UINT64_C(1) << oi_member_block(&at, h) % 64;
			older |= word >> 48 == t->key ? bit : 0;
			left |= word >> 48 == t->key || oi_member_unused(word) ? 0 : bit;
		}
		n += (size_t)__builtin_popcountll(older);
		/* a bit may be set, by an object that had the block before */
		if (older) /* owner */
			oi_store_relaxed(&age1[w], straight ? age1[w] & ~older : age1[w] | older);
		if (age0[w] != left)
			oi_store_relaxed(&age0[w], left); /* owner */
	}
	return n;
}

/* Most of this would be looking at what lives: of four looks three are left out. */
void oi_look_left_out(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	bool straight = oi_policy_middle_full();
	size_t n = 0;
	l->n = l->n_runs = 0;
	for (struct oi_page *p, **link = &t->heap.young; (p = *link);) {
		bool own = oi_member_own_page(t, p);
		if (own)
			n += age_page(t, p, straight);
		link = next_young(&t->heap, link, own);
	}
	oi_policy_solo_done(n, straight);
}
