/*
 * solo.c - a thread collects what it alone has touched
 *
 * Most young garbage was made, tied into cycles and dropped by one thread. That thread can find it
 * by itself, in its own cache, without a stop and without the collector.
 *
 * Note [SOLO]. Let S be young objects of this thread that no other thread has touched: each time a
 * count of theirs went down, or a reference to them left a slot, it was this thread's doing, since
 * an operation of another thread that does that sets touched before it ends [U1]. Inside its gate,
 * where no stop can be, the thread counts the references from S to S, each object's as it is added
 * to S; marks what has more than these, and what that reaches; and lets G be the rest. (If it
 * cannot follow all that is held, as the stack is full, G is empty.) It notes G and the epoch. Once
 * a grace period is over that began after that, if no stop has been since, and no member of G is
 * touched, G is garbage, and nobody has even its bare address:
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
 * mark, noted, which the header of a new object does not have; and the page of members must be what
 * it was: this thread's, with blocks of their size as far as the last of them. (A peeked pointer is
 * only for the thread that peeked. If this thread were handed one, what it does with it would not
 * be seen.)
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
#include <string.h>

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
 * While a thread looks, the side byte of a young object in its pages is the number of references
 * from members; at MANY too many to tell, so that it counts as held. Otherwise it is 0.
 */
#define MANY 0xff
#define LATER (OI_SOLO_EVERY / 4) /* objects, until a grace period is asked for again */

/* The members of one page, in the order of addresses. */
struct run {
	struct oi_page *p;
	uint64_t size;
	size_t end; /* the index after them */
	struct oi_chain chain;
};

struct oi_solo_lists {
	size_t n, n_runs, n_stack, n_elsewhere;
	bool overflow; /* something held had no room on the stack, so that it is not followed */
	struct oi_header *members[OI_SOLO_MOST];
	struct run run[OI_SOLO_MOST];
	struct oi_header *stack[OI_SOLO_MOST]; /* while looking: what is held */
	uint8_t *elsewhere[OI_SOLO_MOST];      /* side bytes, in other pages than the referrer's */
};

#if OURO_CHECKED
size_t oi_solo_stack_room = OI_SOLO_MOST;
#else
enum { oi_solo_stack_room = OI_SOLO_MOST };
#endif

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

/*
 * In the first word of a header: whose it is; that others touched it, and the flags; noted, which
 * is FOUND from when the thread has found it garbage, whatever comes of that, to the next look at
 * it, and SETTLED while the thread frees it. 0 otherwise.
 */
#define OWN (UINT64_C(0xffff) << 48)
#define OTHERS (UINT64_C(0xff) << 16 | UINT64_C(0xff) << 32)
#define NOTED (UINT64_C(0xff) << 24)
enum { FOUND = 1, SETTLED = 2 };

/* Returns what these fields of an object of @key hold. */
OI_INLINE uint64_t fields(uint64_t key, uint64_t noted)
{
	return key << 48 | noted << 24;
}

OI_INLINE bool is_shared(const struct oi_header *h)
{
	return oi_load_relaxed(&h->shared); /* elsewhere: as touched */
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

/* A type as members' types are looked at: most objects have that of the one before. */
struct kind {
	const struct oi_type *d;
	uint16_t number; /* 0: none yet */
	bool plain;
};

OI_INLINE void look_up_kind(struct kind *k, uint64_t word)
{
	if (likely((uint16_t)word == k->number))
		return;
	k->number = (uint16_t)word;
	k->d = &oi_types[k->number];
	k->plain = k->d->silent && (likely(k->d->flat) || !k->d->type->traverse);
}

OI_INLINE void visit_member(struct oi_header *h, const struct kind *k, oi_child_fn fn, void *arg)
{
	oi_visit_fixed(h, k->d, fn, arg);
	if (unlikely(!k->d->flat))
		oi_visit_items_of(h, k->d->type, fn, arg);
}

/* ---- looking ---- */

/* The page whose members are being gathered. */
struct place {
	struct oi_thread *t;
	uintptr_t page;
	uint8_t *side;
	uint64_t *age0;
	uint64_t size;
	char *first;
	uint32_t reciprocal;
};

OI_INLINE struct place place_of(struct oi_thread *t, struct oi_page *p)
{
	struct oi_region *r = oi_region_of(p);
	size_t i = oi_page_index(p);
	char *first = oi_page_start(p);
	return (struct place){ t, (uintptr_t)first >> OI_PAGE_SHIFT, r->side[i], r->young[i][0],
			       p->block_size, first, p->reciprocal };
}

OI_INLINE size_t block_in(const struct place *at, const struct oi_header *h)
{
	return (size_t)(((uintptr_t)h & (OI_PAGE - 1)) * at->reciprocal >> 32);
}

/* Of age 0, whether or not it is a member. */
OI_INLINE void count_at(uint8_t *side, const uint64_t *age0, size_t i)
{
	uint8_t n = side[i];
	if (likely(age0[i / 64] >> (i % 64) & 1))
		side[i] = (uint8_t)(n + (n != MANY));
}

static OI_NOINLINE void count_elsewhere(const struct oi_thread *t, const struct oi_header *h)
{
	struct oi_region *r = oi_region_of(h);
	size_t i = oi_page_number(h);
	const struct oi_page *p = &r->page[i];
	struct oi_solo_lists *l = t->solo.lists;
	/* owner; what is not counted is held */
	if (oi_load_relaxed(&p->heap) != &t->heap || l->n_elsewhere == OI_SOLO_MOST)
		return;
	size_t block = oi_block_index(p, h);
	count_at(r->side[i], r->young[i][0], block);
	l->elsewhere[l->n_elsewhere++] = &r->side[i][block];
}

OI_INLINE void count_inside(void *child, void *arg)
{
	const struct place *at = arg;
	const struct oi_header *h = oi_header_of(child);
	if (likely((uintptr_t)h >> OI_PAGE_SHIFT == at->page))
		count_at(at->side, at->age0, block_in(at, h));
	else
		count_elsewhere(at->t, h);
}

/*
 * Puts members into the list, from @n on, and counts what they refer to. Returns the index after
 * them; it stops if the list is full.
 */
OI_INLINE size_t gather_word(struct place *at, size_t w, size_t n, struct kind *k)
{
	struct oi_header **members = at->t->solo.lists->members;
	uint64_t alone = fields(at->t->key, 0);
	char *first = at->first + w * 64 * at->size;
	for (uint64_t bits = at->age0[w]; bits; bits &= bits - 1) {
		struct oi_header *h =
			(struct oi_header *)(first + (size_t)__builtin_ctzll(bits) * at->size);
		uint64_t word = oi_load_relaxed(&h->word); /* owner */
		if (unlikely((word & (OWN | OTHERS)) != alone) || /* [U1] */
		    unlikely(is_shared(h))) {
			if (is_unused(word)) /* it died by count */
				/* owner */
				oi_store_relaxed(&at->age0[w], at->age0[w] & ~(bits & -bits));
			continue;
		}
		look_up_kind(k, word);
		if (unlikely(!k->plain))
			continue;
		if (unlikely(n == OI_SOLO_MOST))
			break;
		members[n++] = h;
		visit_member(h, k, count_inside, at);
	}
	return n;
}

static size_t gather_page(struct oi_thread *t, struct oi_page *p, size_t n)
{
	struct place at = place_of(t, p);
	struct kind k = { 0 };
	for (size_t w = 0, end = (p->bump + 63) / 64; w < end; w++)
		if (at.age0[w])
			n = gather_word(&at, w, n, &k);
	return n;
}

static void add_run(struct oi_solo_lists *l, struct oi_page *p, size_t end)
{
	l->run[l->n_runs++] = (struct run){ .p = p, .size = p->block_size, .end = end };
	l->n = end;
}

static void gather_young(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	l->n = l->n_runs = l->n_elsewhere = 0;
	for (struct oi_page *p = t->heap.young; p && l->n < OI_SOLO_MOST; p = p->young_next) {
		size_t n = is_own_page(t, p) ? gather_page(t, p, l->n) : l->n;
		if (n > l->n)
			add_run(l, p, n);
	}
}

OI_INLINE void put_on_stack(struct oi_solo_lists *l, struct oi_header *h)
{
	if (likely(l->n_stack < oi_solo_stack_room))
		l->stack[l->n_stack++] = h;
	else
		l->overflow = true;
}

/* Notes which members of a page have no references but the counted; the rest is held. */
static void compare_run(struct oi_thread *t, const struct run *r, size_t i)
{
	struct oi_solo_lists *l = t->solo.lists;
	struct place at = place_of(t, r->p);
	for (; i < r->end; i++) {
		struct oi_header *h = l->members[i];
		uint8_t side = at.side[block_in(&at, h)];
		bool held = oi_load_relaxed(&h->local) != side || side == MANY; /* owner */
		oi_store_relaxed(&h->noted, (uint8_t)(held ? 0 : FOUND)); /* owner */
		if (unlikely(held))
			put_on_stack(l, h);
	}
	memset(at.side, 0, r->p->bump);
}

/* Clears the side bytes, too: what is not elsewhere was counted in the page of a member. */
static void compare_runs(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	size_t i = 0;
	l->n_stack = 0;
	l->overflow = false;
	for (const struct run *r = l->run; r < l->run + l->n_runs; i = r++->end)
		compare_run(t, r, i);
	while (l->n_elsewhere)
		*l->elsewhere[--l->n_elsewhere] = 0;
}

/* ---- what is held ---- */

/*
 * What was found at an earlier look, and is no member now, may be taken for one: that marks more,
 * so that the stack may not suffice.
 */
OI_INLINE void mark_reference(void *child, void *arg)
{
	const struct oi_thread *t = arg;
	struct oi_header *h = oi_header_of(child);
	uint64_t word = oi_load_relaxed(&h->word); /* owner, or not a member */
	if ((word & (OWN | NOTED)) != fields(t->key, FOUND))
		return;
	oi_store_relaxed(&h->noted, (uint8_t)0); /* owner */
	put_on_stack(t->solo.lists, h);
}

static void mark_all(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	while (l->n_stack)
		oi_visit_slots(l->stack[--l->n_stack], mark_reference, t);
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

/* Keeps in the list what nothing holds; the rest grows older. Returns how many that are. */
static size_t sort_out(struct oi_solo_lists *l)
{
	size_t n = l->n, i = 0, kept = 0, runs = 0;
	for (size_t k = 0; k < l->n_runs; k++) {
		struct run r = l->run[k];
		size_t began = kept;
		for (; i < r.end; i++) {
			struct oi_header *h = l->members[i];
			if (likely(oi_load_relaxed(&h->noted) == FOUND)) /* owner */
				l->members[kept++] = h;
			else
				grow_older(h);
		}
		r.end = kept;
		if (kept > began)
			l->run[runs++] = r;
	}
	l->n = kept;
	l->n_runs = runs;
	return n - kept;
}

static size_t leave_out_held(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	if (!l->n_stack)
		return 0;
	mark_all(t);
	size_t older = sort_out(l);
	if (unlikely(l->overflow)) /* what is left may be held */
		l->n = l->n_runs = 0;
	return older;
}

static void look_for_garbage(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	gather_young(t);
	compare_runs(t);
	size_t n = l->n, older = leave_out_held(t);
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

static void unmark(const struct oi_solo_lists *l, size_t n)
{
	while (n--)
		oi_store_relaxed(&l->members[n]->noted, (uint8_t)FOUND); /* owner */
}

/* Returns true if the run's page is what it was, with blocks where the members are. */
OI_INLINE bool is_same_page(const struct oi_thread *t, const struct run *r,
			    const struct oi_header *last)
{
	return is_own_page(t, r->p) && r->p->block_size == r->size &&
	       oi_block_index(r->p, last) < r->p->bump;
}

/*
 * Makes the members from @i to the end of the run, which may have died meanwhile, SETTLED. Returns
 * the index of the first that is not there, or that another thread has touched.
 */
static size_t settle_run(const struct oi_thread *t, const struct run *r, size_t i)
{
	const struct oi_solo_lists *l = t->solo.lists;
	uint64_t alone = fields(t->key, FOUND);
	if (unlikely(!is_same_page(t, r, l->members[r->end - 1])))
		return i;
	for (; i < r->end; i++) {
		struct oi_header *h = l->members[i];
		uint64_t word = oi_load_relaxed(&h->word); /* owner */
		if (unlikely((word & (OWN | OTHERS | NOTED)) != alone) || /* [U1] */
		    unlikely(is_shared(h)))
			break;
		oi_store_relaxed(&h->noted, (uint8_t)SETTLED); /* owner */
	}
	return i;
}

/* Returns true if all members are there, and nobody has touched one; they are SETTLED then. */
static bool still_alone(const struct oi_thread *t)
{
	const struct oi_solo_lists *l = t->solo.lists;
	size_t i = 0;
	for (const struct run *r = l->run; r < l->run + l->n_runs; r++) {
		i = settle_run(t, r, i);
		if (unlikely(i < r->end)) {
			unmark(l, i);
			return false;
		}
	}
	return true;
}

struct drop {
	struct oi_thread *t;
	uint64_t member, freed;
};

/* Another thread's object may be SETTLED, too, for a moment: so it matters whose it is. */
OI_INLINE void drop_reference(void *child, void *arg)
{
	struct drop *d = arg;
	struct oi_header *h = oi_header_of(child);
	uint64_t word = oi_load_relaxed(&h->word) & (OWN | NOTED); /* owner, or not a member */
	if (likely(word == d->member) || likely(word == d->freed))
		return;
	if (oi_release(d->t, h))
		oi_death_later(d->t, h);
}

static void free_slowly(struct oi_thread *t, struct drop *d)
{
	struct oi_solo_lists *l = t->solo.lists;
	for (size_t i = 0; i < l->n; i++)
		oi_visit_slots(l->members[i], drop_reference, d);
	for (size_t i = 0; i < l->n; i++)
		oi_death_free(t, l->members[i], oi_page_of(l->members[i]), false);
}

/* Drops what the members of a page refer to, and links them. No page goes before all are. */
static size_t link_run(const struct oi_solo_lists *l, struct run *r, size_t i, struct drop *d)
{
	struct kind k = { 0 };
	struct oi_chain c = { .n = 0 };
	struct place at = place_of(d->t, r->p);
	for (; i < r->end; i++) {
		struct oi_header *h = l->members[i];
		size_t block = block_in(&at, h);
		uint64_t *age0 = &at.age0[block / 64];
		oi_store_relaxed(age0, *age0 & ~(UINT64_C(1) << (block % 64))); /* owner */
		look_up_kind(&k, oi_load_relaxed(&h->word)); /* owner */
		visit_member(h, &k, drop_reference, d);
		oi_chain_add(&c, h, r->p);
	}
	r->chain = c;
	return i;
}

static void free_runs(struct oi_thread *t, struct drop *d)
{
	struct oi_solo_lists *l = t->solo.lists;
	size_t i = 0;
	for (size_t k = 0; k < l->n_runs; k++)
		i = link_run(l, &l->run[k], i, d);
	for (size_t k = 0; k < l->n_runs; k++) {
		struct run *r = &l->run[k];
		oi_own_add(&t->freed.n[r->p->bin], r->chain.n);
		oi_chain_free(t, r->p, &r->chain);
	}
}

/* Leaves the gate and enters it again: meanwhile oi_solo_tidy may have been there. */
static void free_all(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	struct drop d = { t, fields(t->key, SETTLED), fields(OI_OWN_FREE, SETTLED) };
	oi_add_relaxed(&n_found, (uint64_t)l->n); /* count */
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
	t->solo.n_stops += oi_oracle_judge_alone(l->members, l->n);
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
