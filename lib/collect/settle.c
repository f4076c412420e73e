/*
 * settle.c - what a thread has found by itself is garbage still, and is freed
 *
 * The second half of Note [SOLO] in solo.c, behind the grace period: each member must be there, in
 * a page that is what it was, and no other thread may have touched it.
 */
#include "collect/settle.h"

#include "base/perturb.h"
#include "collect/member.h"
#include "collect/oracle.h"
#include "count/death.h"
#include "world/gate.h"
#include "world/world.h"

static void unmark(struct oi_thread *t, const struct oi_member_run *r, uint64_t bits)
{
	struct oi_member_place at = oi_member_place_of(t, r->p, r->word);
	struct oi_header *h;
	oi_for_each_member(h, &at, bits)
		oi_store_relaxed(&h->noted, (uint8_t)OI_FOUND); /* owner */
}

/* Makes all of the runs before @r OI_FOUND again. */
static void unmark_before(struct oi_thread *t, const struct oi_member_run *r)
{
	while (r-- > t->solo.lists->run)
		unmark(t, r, r->members);
}

/* Returns true if the run's page is what it was, with blocks where the members are. */
OI_INLINE bool is_same_page(const struct oi_thread *t, const struct oi_member_run *r)
{
	return oi_member_own_page(t, r->p) && r->p->block_size == r->size &&
	       r->word * 64 + 63 - (size_t)__builtin_clzll(r->members) < r->p->bump;
}

/*
 * Makes members, which may have died meanwhile, OI_SETTLED. Returns 0, or those from the first on
 * that is not there, or that another thread has touched.
 */
static uint64_t settle_run(struct oi_thread *t, const struct oi_member_run *r)
{
	struct oi_member_place at = oi_member_place_of(t, r->p, r->word);
	uint64_t fields = OI_WORD_OWN | OI_WORD_OTHERS | OI_WORD_NOTED;
	uint64_t alone = oi_member_word(t->key, OI_FOUND);
	struct oi_header *h;
	if (unlikely(!is_same_page(t, r)))
		return r->members;
	oi_for_each_member(h, &at, r->members) {
		uint64_t word = oi_load_relaxed(&h->word); /* owner */
		if (unlikely(!oi_member_alone(h, word, fields, alone)))
			return r->members & (UINT64_MAX << oi_member_block(&at, h) % 64);
		oi_store_relaxed(&h->noted, (uint8_t)OI_SETTLED); /* owner */
	}
	return 0;
}

bool oi_settle(struct oi_thread *t)
{
	const struct oi_solo_lists *l = t->solo.lists;
	for (const struct oi_member_run *r = l->run; r < l->run + l->n_runs; r++) {
		uint64_t left = settle_run(t, r);
		if (likely(!left))
			continue;
		unmark(t, r, r->members & ~left);
		unmark_before(t, r);
		return false;
	}
	return true;
}

struct drop {
	struct oi_thread *t;
	uint64_t member, freed;
};

/* Another thread's object may be OI_SETTLED, too, for a moment: so it matters whose it is. */
OI_INLINE void drop_reference(void *child, void *arg)
{
	struct drop *d = arg;
	struct oi_header *h = oi_header_of(child);
	uint64_t word = oi_load_relaxed(&h->word); /* owner, or not a member */
	word &= OI_WORD_OWN | OI_WORD_NOTED;
	if (likely(word == d->member) || likely(word == d->freed))
		return;
	if (oi_release(d->t, h))
		oi_death_later(d->t, h);
}

/* Makes a list of the members, in place of the stack. */
static void list_members(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	size_t n = 0;
	for (const struct oi_member_run *r = l->run; r < l->run + l->n_runs; r++) {
		struct oi_member_place at = oi_member_place_of(t, r->p, r->word);
		struct oi_header *h;
		oi_for_each_member(h, &at, r->members)
			l->stack[n++] = h;
	}
}

static void free_slowly(struct oi_thread *t, struct drop *d)
{
	struct oi_solo_lists *l = t->solo.lists;
	list_members(t);
	for (size_t i = 0; i < l->n; i++)
		oi_visit_slots(l->stack[i], drop_reference, d);
	for (size_t i = 0; i < l->n; i++)
		oi_death_free(t, l->stack[i], oi_page_of(l->stack[i]), false);
}

/* Drops what the members refer to, and links them. No page goes before all are. */
static void link_run(struct oi_member_run *r, struct oi_member_kind *k, struct drop *d)
{
	struct oi_chain c = { .n = 0 };
	struct oi_member_place at = oi_member_place_of(d->t, r->p, r->word);
	struct oi_header *h;
	oi_member_clear_age(&at, r->members);
	oi_for_each_member(h, &at, r->members) {
		uint64_t word = oi_load_relaxed(&h->word); /* owner */
		oi_member_visit(h, oi_member_kind(k, word), drop_reference, d);
		oi_chain_add(&c, h, r->p);
	}
	r->chain = c;
}

static void free_runs(struct oi_thread *t, struct drop *d)
{
	struct oi_solo_lists *l = t->solo.lists;
	struct oi_member_kind k = { 0 };
	for (struct oi_member_run *r = l->run; r < l->run + l->n_runs; r++)
		link_run(r, &k, d);
	for (struct oi_member_run *r = l->run; r < l->run + l->n_runs; r++) {
		oi_own_add(&t->freed.n[r->p->bin], r->chain.n);
		oi_chain_free(t, r->p, &r->chain);
	}
}

void oi_settle_free(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	struct drop d = { t, oi_member_word(t->key, OI_SETTLED),
			  oi_member_word(OI_OWN_FREE, OI_SETTLED) };
	oi_death_begin(t);
	/* owner; read in a stop */
	oi_store_relaxed(&t->tracked_delta, t->tracked_delta - (int64_t)l->n);
	if (!oi_recycles() || oi_heap_walked())
		free_slowly(t, &d);
	else
		free_runs(t, &d);
	l->n = l->n_runs = 0;
	oi_gate_leave(t);
	/* no code of the program's runs in an allocation */
	oi_death_end(t, oi_work_quietly(OI_SOLO_MOST));
	oi_point("solo: freed");
	oi_gate_enter(t);
}

bool oi_settle_judge(struct oi_thread *t)
{
	const struct oi_solo_lists *l = t->solo.lists;
	if (!oi_settle(t))
		return false;
	unmark_before(t, l->run + l->n_runs);
	list_members(t);
	oi_gate_leave(t);
	t->solo.n_stops += oi_oracle_judge_alone(l->stack, l->n);
	oi_point("solo: judged");
	oi_gate_enter(t);
	return t->solo.lists &&
	       t->solo.n_stops == oi_load_relaxed(&oi_world.n_stops); /* elsewhere: the gate [G2] */
}
