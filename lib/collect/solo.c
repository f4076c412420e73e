/*
 * solo.c - a thread collects what it alone has touched
 *
 * Most young garbage was made, tied into cycles and dropped by one thread. That thread can find it
 * by itself, in its own cache, without a stop and without the collector.
 *
 * Note [SOLO]. Let S be young objects of this thread that no other thread has touched: each time a
 * count of theirs went down, or a reference to them left a slot, it was this thread's doing, since
 * an operation of another thread that does that sets touched before it ends [U1]. Inside its gate,
 * where no stop can be, the thread counts the references from S to S, as trial.c does; let G be
 * what nothing outside S holds. It notes G and the epoch. Once a grace period is over that began
 * after that, if no stop has been since, and no member of G is touched, G is garbage, and nobody
 * has even its bare address:
 *   - From the counting to the end of the grace period nothing happened to any o in G. This thread
 *     has no reference to o, as all of them are in slots of G. What another thread did would show,
 *     in touched, or in shared if all it did was to count up: its operation either began after the
 *     grace period did, and then found no way to o (below), or was over before its end [G1] [G4].
 *     So what was read while others may have written is still true: all references to G are in
 *     slots of G.
 *   - A thread that had a bare address of o left its gate before the end. One that entered later
 *     [G3] finds none: no slot outside G has one, and to read one inside G it needs another one.
 * So the members are freed there and then. Whatever walks the heap, or hands out references to what
 * it finds, does so in a stop; after a stop G is forgotten, and found again. Until then its members
 * are young objects like others, so nothing has to know of it: neither a fork, nor the end of the
 * thread or of the heap.
 * What another thread finds before its gate ends it may also take apart, so that members die by
 * count, and their blocks are used again, by an object that nobody has touched. So members bear a
 * mark, noted, which the header of a new object does not have; and the page of a member must be
 * what it was: this thread's, with a block where the member is. (A peeked pointer is only for the
 * thread that peeked. If this thread were handed one, what it does with it would not be seen.)
 * Members have no callbacks, weak references, or traverse; what has is left to the collector, and
 * so is what two threads have touched, and what has become old.
 * (Thread-local collection of what has not escaped: Domani and others 2002; that an object has not
 * is found here by what was done with it, not by a write barrier. The sums: Bacon and Rajan 2001.)
 * Model: tests/models/solo.pml.
 *
 * How often. A thread looks when it has made OI_SOLO_EVERY objects more than died; while hardly any
 * of them is garbage, half as often each time, down to what the lists hold. What it looks at and
 * finds alive is of age 1 then. Only where the threshold of generation 0 is the library's to choose
 * (-1): a number is the number of objects after which the collector looks.
 */
#include "collect/solo.h"

#include <sched.h>

#include "base/doors.h"
#include "base/os.h"
#include "base/perturb.h"
#include "base/wake.h"
#include "collect/debug.h"
#include "collect/oracle.h"
#include "collect/policy.h"
#include "count/count.h"
#include "count/death.h"
#include "heap/heap.h"
#include "heap/pace.h"
#include "heap/type.h"
#include "world/context.h"
#include "world/events.h"
#include "world/gate.h"
#include "world/thread.h"
#include "world/world.h"

/*
 * A side byte of this thread's page is 0, or a member's: the number of references from members,
 * and one; at MANY too many to tell, so that it counts as held. HELD: something outside holds it.
 */
#define HELD 0x80
#define MANY 0x7f
#define LATER (OI_SOLO_EVERY / 4) /* objects, until a grace period is asked for again */

struct item {
	struct oi_header *h;
	uint8_t *side;
};

struct oi_solo_lists {
	size_t n, n_stack;
	struct item members[OI_SOLO_MOST];
	struct oi_header *stack[OI_SOLO_MOST];
};

/* Collections of all threads, and what they found and looked at, in ns. */
static uint64_t n_collections, n_found, n_examined, duration_ns;

void oi_solo_statistics(struct oi_solo_statistics *s)
{
	s->collections = oi_load_relaxed(&n_collections); /* count */
	s->examined = oi_load_relaxed(&n_examined);       /* count */
	s->found = oi_load_relaxed(&n_found);             /* count */
	s->ns = oi_load_relaxed(&duration_ns);            /* count */
}

void oi_solo_shutdown(void)
{
	n_collections = n_found = n_examined = duration_ns = 0;
}

/* ---- members ---- */

/* In the first word of a header: touched, and the flags; that it was noted. */
#define OTHERS (UINT64_C(0xff) << 16 | UINT64_C(0xff) << 32)
#define NOTED (UINT64_C(1) << 24)

/* Returns true if @h, whose first word is @word, is @t's and nobody else has touched it. */
OI_INLINE bool is_alone(const struct oi_thread *t, const struct oi_header *h, uint64_t word)
{
	return (uint16_t)(word >> 48) == t->key && !(word & OTHERS) && /* [U1] */
	       !oi_load_relaxed(&h->shared); /* elsewhere: as touched */
}

OI_INLINE bool is_plain(uint64_t word)
{
	const struct oi_type *d = &oi_types[(uint16_t)word];
	return d->silent && (likely(d->flat) || !d->type->traverse);
}

OI_INLINE bool is_unused(uint64_t word)
{
	return word >> 48 == OI_OWN_FREE || word >> 48 == OI_OWN_GONE;
}

/* Returns true if @p is a page of @t's, and will be while the thread is inside its gate. */
OI_INLINE bool is_own_page(const struct oi_thread *t, const struct oi_page *p)
{
	/* [H2]: then the heap is that of the thread which made the page small */
	return oi_load_acquire(&p->state) == OI_PAGE_SMALL &&
	       oi_load_relaxed(&p->heap) == &t->heap; /* owner: only this thread makes it so */
}

/* Returns where the side byte of an object is; NULL if it is not in a page of this thread. */
OI_INLINE uint8_t *own_side(const struct oi_thread *t, const struct oi_header *h)
{
	struct oi_region *r = oi_region_of(h);
	size_t i = oi_page_number(h);
	const struct oi_page *p = &r->page[i];
	if (unlikely(oi_load_relaxed(&p->heap) != &t->heap)) /* owner */
		return NULL;
	return &r->side[i][oi_block_index(p, h)];
}

OI_INLINE void count_inside(void *child, void *arg)
{
	uint8_t *side = own_side(arg, oi_header_of(child));
	if (likely(side != NULL) && *side && likely(*side < MANY))
		++*side;
}

struct search {
	struct oi_thread *t;
	struct oi_solo_lists *l;
};

OI_INLINE void mark_member(struct oi_solo_lists *l, struct oi_header *h, uint8_t *side)
{
	*side |= HELD;
	l->stack[l->n_stack++] = h;
}

OI_INLINE void mark_reference(void *child, void *arg)
{
	struct search *s = arg;
	uint8_t *side = own_side(s->t, oi_header_of(child));
	if (likely(side != NULL) && *side && !(*side & HELD))
		mark_member(s->l, oi_header_of(child), side);
}

/* Returns false if the list is full. */
static bool gather_word(struct oi_thread *t, char *first, size_t size, uint8_t *side,
			uint64_t *age0)
{
	struct oi_solo_lists *l = t->solo.lists;
	for (uint64_t bits = *age0; bits; bits &= bits - 1) {
		size_t i = (size_t)__builtin_ctzll(bits);
		struct oi_header *h = (struct oi_header *)(first + i * size);
		uint64_t word = oi_load_relaxed(&h->word); /* owner */
		if (unlikely(!is_alone(t, h, word)) || unlikely(!is_plain(word))) {
			if (is_unused(word)) /* it died by count */
				oi_store_relaxed(age0, *age0 & ~(bits & -bits)); /* owner */
			continue;
		}
		if (l->n == OI_SOLO_MOST)
			return false;
		side[i] = 1;
		l->members[l->n++] = (struct item){ h, &side[i] };
	}
	return true;
}

static bool gather_page(struct oi_thread *t, struct oi_page *p)
{
	struct oi_region *r = oi_region_of(p);
	size_t page = oi_page_index(p), size = p->block_size;
	uint64_t *age0 = r->young[page][0];
	char *first = oi_page_start(p);
	for (size_t w = 0; w < (p->bump + 63) / 64; w++)
		if (age0[w] && !gather_word(t, first + w * 64 * size, size,
					    &r->side[page][w * 64], &age0[w]))
			return false;
	return true;
}

static void gather_young(struct oi_thread *t)
{
	t->solo.lists->n = 0;
	for (struct oi_page *p = t->heap.young; p; p = p->young_next)
		if (is_own_page(t, p) && !gather_page(t, p))
			return;
}

static void grow_older(struct oi_header *h)
{
	struct oi_page *p = oi_page_of(h);
	size_t i = oi_block_index(p, h);
	uint64_t bit = UINT64_C(1) << (i % 64);
	uint64_t *age0 = &oi_young_bits(p, 0)[i / 64], *age1 = &oi_young_bits(p, 1)[i / 64];
	oi_store_relaxed(age0, *age0 & ~bit); /* owner */
	oi_store_relaxed(age1, *age1 | bit);  /* owner */
}

static void note_garbage(struct oi_solo_lists *l, size_t i, struct item it)
{
	oi_store_relaxed(&it.h->noted, (uint8_t)1); /* owner */
	l->members[i] = it;
}

/* Keeps in the list what nothing holds; the rest grows older. Returns how many that are. */
static size_t sort_out(struct oi_solo_lists *l)
{
	size_t n = l->n, kept = 0;
	for (size_t i = 0; i < n; i++) {
		struct item it = l->members[i];
		if (*it.side & HELD)
			grow_older(it.h);
		else
			note_garbage(l, kept++, it);
		*it.side = 0;
	}
	l->n = kept;
	return n - kept;
}

/* Marks what has references from elsewhere, and what that reaches. */
static void mark_all(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	struct search s = { t, l };
	l->n_stack = 0; /* each member comes there once */
	for (size_t i = 0; i < l->n; i++) {
		struct oi_header *h = l->members[i].h;
		uint8_t *side = l->members[i].side;
		/* owner */
		if ((*side & HELD) || (oi_load_relaxed(&h->local) == *side - 1u && *side != MANY))
			continue;
		mark_member(l, h, side);
		while (l->n_stack) {
			h = l->stack[--l->n_stack];
			oi_visit_slots(h, mark_reference, &s);
		}
	}
}

static void look_for_garbage(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	gather_young(t);
	for (size_t i = 0; i < l->n; i++)
		oi_visit_slots(l->members[i].h, count_inside, t);
	mark_all(t);
	size_t n = l->n, older = sort_out(l);
	oi_policy_solo_done(older);
	oi_add_relaxed(&n_examined, (uint64_t)n); /* count */
	t->solo.every = older > n - n / 8 && t->solo.every < OI_SOLO_MOST / 2 ? t->solo.every * 2 :
										 OI_SOLO_EVERY;
	t->solo.epoch = oi_add_acq_rel(&oi_world.epoch, 0); /* [G3] release */
	t->solo.n_stops = oi_load_relaxed(&oi_world.n_stops); /* elsewhere: the gate [G2] */
	if (l->n)
		oi_grace_try(true);
}

/* ---- the end ---- */

OI_INLINE void drop_reference(void *child, void *arg)
{
	struct oi_thread *t = arg;
	struct oi_header *h = oi_header_of(child);
	uint8_t *side = own_side(t, h);
	if (likely(side != NULL) && likely(*side))
		return;
	if (oi_release(t, h))
		oi_death_later(t, h);
}

/* Returns true if the member, which may have died meanwhile, is there and nobody has touched it. */
OI_INLINE bool is_still_there(const struct oi_thread *t, const struct oi_header *h)
{
	const struct oi_page *p = oi_page_of(h);
	if (unlikely(!is_own_page(t, p)))
		return false;
	size_t i = oi_block_index(p, h);
	uint64_t word = oi_load_relaxed(&h->word); /* owner */
	return likely(i < p->bump) && likely(oi_block_at(p, i) == h) && likely(word & NOTED) &&
	       is_alone(t, h, word);
}

static void unmark(const struct oi_solo_lists *l, size_t n)
{
	while (n--)
		*l->members[n].side = 0;
}

/* Returns true if nobody has touched a member; they are marked then. */
static bool still_alone(const struct oi_thread *t)
{
	const struct oi_solo_lists *l = t->solo.lists;
	size_t i = 0;
	for (; i < l->n; i++) {
		struct item it = l->members[i];
		if (unlikely(!is_still_there(t, it.h)))
			break;
		*it.side = 1;
	}
	if (likely(i == l->n))
		return true;
	unmark(l, i);
	return false;
}

static void free_slowly(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	for (size_t i = 0; i < l->n; i++) {
		*l->members[i].side = 0;
		oi_death_free(t, l->members[i].h, oi_page_of(l->members[i].h), false);
	}
}

/* Frees the members from @i on that lie in one page. Returns the index after them. */
OI_INLINE size_t free_in_page(struct oi_thread *t, size_t i)
{
	const struct oi_solo_lists *l = t->solo.lists;
	struct oi_page *p = oi_page_of(l->members[i].h);
	struct oi_chain c = { .n = 0 };
	struct oi_side_place at = { 0 };
	oi_side_block(&at, l->members[i].h);
	for (; i < l->n && (uintptr_t)l->members[i].h >> OI_PAGE_SHIFT == at.page; i++) {
		size_t block = (size_t)(l->members[i].side - at.side);
		uint64_t *age0 = &at.young[0][block / 64];
		oi_store_relaxed(age0, *age0 & ~(UINT64_C(1) << (block % 64))); /* owner */
		*l->members[i].side = 0;
		oi_chain_add(&c, l->members[i].h, p);
	}
	oi_own_add(&t->freed.n[p->bin], c.n);
	oi_chain_free(t, p, &c);
	return i;
}

/* Leaves the gate and enters it again: meanwhile oi_solo_tidy may have been there. */
static void free_all(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	oi_add_relaxed(&n_found, (uint64_t)l->n); /* count */
	oi_death_begin(t);
	for (size_t i = 0; i < l->n; i++)
		oi_visit_slots(l->members[i].h, drop_reference, t);
	/* owner; read in a stop */
	oi_store_relaxed(&t->tracked_delta, t->tracked_delta - (int64_t)l->n);
	if (!oi_recycles() || oi_heap_walked())
		free_slowly(t);
	else
		for (size_t i = 0; i < l->n;)
			i = free_in_page(t, i);
	l->n = 0;
	oi_gate_leave(t);
	/* no code of the program's runs in an allocation */
	oi_death_end(t, oi_work_quietly(OI_SOLO_MOST));
	oi_point("solo: freed");
	oi_gate_enter(t);
}

/*
 * Has the oracle look, in checked builds, at what one collection of four finds, if nobody has
 * touched it. Returns false if there was another stop besides; this one's own changes nothing.
 * Leaves the gate and enters it again.
 */
static bool judged(struct oi_thread *t)
{
	const struct oi_solo_lists *l = t->solo.lists;
	if (!OURO_CHECKED || oi_load_relaxed(&n_collections) % 4) /* recheck */
		return true;
	if (!still_alone(t))
		return false;
	unmark(l, l->n);
	oi_gate_leave(t);
	t->solo.n_stops += oi_oracle_judge_alone(l->members, l->n, sizeof l->members[0]);
	oi_point("solo: judged");
	oi_gate_enter(t);
	return t->solo.lists &&
	       t->solo.n_stops == oi_load_relaxed(&oi_world.n_stops); /* elsewhere: the gate [G2] */
}

static bool grace_is_over(const struct oi_thread *t)
{
	return oi_load_acquire(&oi_world.epoch_done) > t->solo.epoch; /* [G4] */
}

/* Returns false if the grace period is not over. Leaves the gate and enters it again. */
static bool settle(struct oi_thread *t)
{
	/* elsewhere: the gate [G2] */
	if (!t->solo.lists->n || t->solo.n_stops != oi_load_relaxed(&oi_world.n_stops))
		return true;
	/* The first of the two tries may end a grace period that began before. */
	for (int i = 0; i < 2 && !grace_is_over(t); i++)
		oi_grace_try(true);
	if (!grace_is_over(t))
		return false;
	oi_point("solo: settled");
	if (judged(t) && still_alone(t))
		free_all(t);
	return true;
}

static bool may(struct oi_thread *t)
{
	return !t->pin_depth && !t->dying && !t->callback && !t->internal && oi_policy_solo() &&
	       !oi_debug_any();
}

static bool make_lists(struct oi_thread *t)
{
	if (!t->solo.lists && (t->solo.lists = oi_os_map(sizeof *t->solo.lists)))
		oi_policy_solo_threads(1);
	return t->solo.lists;
}

/* As if the thread had made so many objects since it looked. */
static void take_for_made(struct oi_thread *t, int64_t made)
{
	t->solo.made = made - t->tracked_delta;
}

/* A thread that stands in its gate without a processor holds the grace period up: as in limbo.c. */
static void let_others_leave(struct oi_thread *t)
{
	oi_gate_leave(t);
	sched_yield();
	oi_gate_enter(t);
}

void oi_solo(struct oi_thread *t)
{
	oi_assert_inside(t);
	if (!may(t) || !make_lists(t)) {
		take_for_made(t, 0);
		return;
	}
	uint64_t began = oi_now_ns();
	if (!settle(t)) {
		take_for_made(t, t->solo.every - LATER);
		let_others_leave(t);
	} else if (make_lists(t)) {
		look_for_garbage(t);
		take_for_made(t, 0);
		oi_add_relaxed(&n_collections, UINT64_C(1)); /* count */
	}
	oi_add_relaxed(&duration_ns, oi_now_ns() - began); /* count */
	if (unlikely(oi_events_any()))
		oi_wake_trim(); /* the collector's thread tells of it */
}

void oi_solo_tidy(struct oi_thread *t)
{
	if (!t->solo.lists)
		return;
	oi_os_unmap(t->solo.lists, sizeof *t->solo.lists);
	t->solo = (struct oi_solo){ 0 };
	oi_policy_solo_threads(-1);
}
