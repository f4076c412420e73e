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
 * of them is garbage, half as often each time, down to what the lists hold. After IN_VAIN looks
 * that found next to nothing it leaves out three of four, until one finds something again. What it
 * looks at and finds alive, or leaves out, is of age 1 then; or old, if a stop has no time for more
 * of age 1. Only where the threshold of generation 0 is the library's to choose (-1): a number is
 * the number of objects after which the collector looks.
 */
#include "collect/solo.h"

#include <string.h>

#include "base/doors.h"
#include "base/holdup.h"
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
 * While a thread looks, the side byte of an object in its pages is the number of references from
 * members, modulo 256. Otherwise it is 0. An object that nobody else has touched has at least as
 * many references as were counted, all in local. So if local is what the byte is, that is right.
 */
#define LATER (OI_SOLO_EVERY / 4) /* objects, until a grace period is asked for again */
#define NAP_NS 20000u
#define IN_VAIN 8 /* looks, after which some are left out */

/* Members that are neighbours: among 64 blocks of a page, whose bits of age 0 are one word. */
struct run {
	struct oi_page *p;
	uint64_t size;    /* of a block */
	uint64_t members; /* a bit for each */
	size_t word;
	struct oi_chain chain;
};

#define ENOUGH (OI_SOLO_MOST - 64) /* members: then no more are sought */

struct oi_solo_lists {
	size_t n, n_runs, n_stack, n_elsewhere; /* n: members */
	size_t older;  /* objects that the look has made older */
	bool straight; /* what is held becomes old at once */
	bool overflow; /* something held had no room on the stack, so that it is not followed */
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

/* Returns what the word is, but for its type, of an object of @key that nobody else touched. */
OI_INLINE uint64_t header_word(uint64_t key, uint64_t noted)
{
	return key << 48 | noted << 24;
}

/* Returns true if nobody else has touched @h, and @fields of its @word are @alone. */
OI_INLINE bool is_alone(const struct oi_header *h, uint64_t word, uint64_t fields, uint64_t alone)
{
	return likely((word & fields) == alone) && /* [U1] */
	       likely(!oi_load_relaxed(&h->shared)); /* elsewhere: as touched */
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
	uint16_t number; /* 0: none yet */
	bool plain;
	bool row; /* its slots are these, one after another: */
	uint16_t first, n_slots;
};

/* Returns true if the slots of the type are all in the fixed part, one after another. */
static bool has_row(const struct oi_type *d)
{
	if (!d->flat || d->n_slots == OI_SLOTS_MANY)
		return false;
	for (unsigned i = 0; i < d->n_slots; i++)
		if (d->slot[i] != d->slot[0] + i)
			return false;
	return true;
}

static OI_NOINLINE struct kind kind_of(uint16_t number)
{
	const struct oi_type *d = &oi_types[number];
	return (struct kind){ .number = number,
			      .plain = d->silent && (d->flat || !d->type->traverse),
			      .row = has_row(d),
			      .first = d->slot[0],
			      .n_slots = d->n_slots };
}

OI_INLINE const struct kind *look_up_kind(struct kind *k, uint64_t word)
{
	if (unlikely((uint16_t)word != k->number))
		*k = kind_of((uint16_t)word);
	return k;
}

OI_INLINE void visit_member(struct oi_header *h, const struct kind *k, oi_child_fn fn, void *arg)
{
	if (likely(k->row))
		oi_visit_row((void **)oi_object_of(h) + k->first, k->n_slots, fn, arg);
	else
		oi_visit_slots(h, fn, arg);
}

/* ---- looking ---- */

/* Where members are, or may be. */
struct place {
	struct oi_thread *t;
	uint8_t *side;    /* the page's */
	uintptr_t page;
	uint64_t reciprocal;
	char *first;      /* of the 64 blocks */
	uint64_t size;
	uint64_t *age0;
};

OI_INLINE struct place place_of(struct oi_thread *t, struct oi_page *p, size_t word)
{
	struct oi_region *r = oi_region_of(p);
	size_t i = oi_page_index(p);
	char *start = oi_page_start(p);
	return (struct place){ .t = t,
			       .side = r->side[i],
			       .page = (uintptr_t)start >> OI_PAGE_SHIFT,
			       .reciprocal = p->reciprocal,
			       .first = start + word * 64 * p->block_size,
			       .size = p->block_size,
			       .age0 = &r->young[i][0][word] };
}

/* Which of 64 blocks come next. */
struct cursor {
	char *at;
	uint64_t bits; /* from there on */
	uint64_t size;
};

/* Most young objects are neighbours. */
OI_INLINE void skip_gap(struct cursor *c)
{
	if (likely(c->bits & 1) || !c->bits)
		return;
	unsigned n = (unsigned)__builtin_ctzll(c->bits);
	c->bits >>= n;
	c->at += n * c->size;
}

OI_INLINE struct cursor first_of(const struct place *at, uint64_t bits)
{
	struct cursor c = { at->first, bits, at->size };
	skip_gap(&c);
	return c;
}

OI_INLINE void step(struct cursor *c)
{
	c->bits >>= 1;
	c->at += c->size;
	skip_gap(c);
}

/* For each of the blocks whose bits are set in @those. */
#define FOR_EACH(h, place, those) \
	for (struct cursor c_ = first_of(place, those); \
	     c_.bits && (h = (struct oi_header *)c_.at, true); step(&c_))

OI_INLINE size_t block_in(const struct place *at, const struct oi_header *h)
{
	return ((uintptr_t)h & (OI_PAGE - 1)) * at->reciprocal >> 32;
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
	uint8_t *side = &r->side[i][oi_block_index(p, h)];
	++*side;
	l->elsewhere[l->n_elsewhere++] = side;
}

OI_INLINE void count_inside(void *child, void *arg)
{
	const struct place *at = arg;
	const struct oi_header *h = oi_header_of(child);
	if (likely((uintptr_t)h >> OI_PAGE_SHIFT == at->page))
		++at->side[block_in(at, h)];
	else
		count_elsewhere(at->t, h);
}

OI_INLINE void clear_age(const struct place *at, uint64_t bits)
{
	oi_store_relaxed(at->age0, *at->age0 & ~bits); /* owner */
}

/* Of an object that is no member; one that died by count is not young any more. */
static OI_NOINLINE uint64_t pass_over(const struct place *at, const struct oi_header *h)
{
	uint64_t bit = UINT64_C(1) << block_in(at, h) % 64;
	if (is_unused(oi_load_relaxed(&h->word))) /* owner, or recheck */
		clear_age(at, bit);
	return bit;
}

/* Returns which are members; counts what they refer to. */
OI_INLINE uint64_t gather_word(struct place *at, struct kind *k)
{
	uint64_t bits = *at->age0, members = bits, alone = header_word(at->t->key, 0);
	struct oi_header *h;
	FOR_EACH(h, at, bits) {
		uint64_t word = oi_load_relaxed(&h->word); /* owner */
		if (likely(is_alone(h, word, OWN | OTHERS, alone)) &&
		    likely(look_up_kind(k, word)->plain))
			visit_member(h, k, count_inside, at);
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
	struct kind k = { 0 };
	for (size_t w = 0, end = (p->bump + 63) / 64; w < end && l->n <= ENOUGH; w++) {
		if (!age0[w])
			continue;
		struct place at = place_of(t, p, w);
		uint64_t members = gather_word(&at, &k);
		if (!members)
			continue;
		l->run[l->n_runs++] = (struct run){ p, p->block_size, members, w, { 0 } };
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
		bool own = is_own_page(t, p);
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
static void compare_run(struct oi_thread *t, const struct run *r)
{
	struct place at = place_of(t, r->p, r->word);
	struct oi_header *h;
	FOR_EACH(h, &at, r->members)
		if (likely(oi_load_relaxed(&h->local) == at.side[block_in(&at, h)])) /* owner */
			oi_store_relaxed(&h->noted, (uint8_t)FOUND); /* owner */
		else
			hold(t->solo.lists, h);
}

static void compare_runs(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	l->n_stack = l->older = 0;
	l->overflow = false;
	for (const struct run *r = l->run; r < l->run + l->n_runs; r++)
		compare_run(t, r);
}

/* Where something was counted that is not elsewhere, the page has a member. */
static void clear_side_bytes(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	const struct oi_page *p = NULL;
	for (const struct run *r = l->run; r < l->run + l->n_runs; p = r++->p)
		if (r->p != p)
			memset(place_of(t, r->p, 0).side, 0, r->p->bump);
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
	if ((word & (OWN | NOTED)) == header_word(t->key, FOUND))
		hold(t->solo.lists, h);
}

/* Members that are held have become older: the others are left. */
static void sort_out(struct oi_solo_lists *l)
{
	size_t kept = 0;
	for (size_t i = 0; i < l->n_runs; i++) {
		struct run r = l->run[i];
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

static void note_yield(struct oi_thread *t, size_t n, size_t older)
{
	bool hardly_any = older > n - n / 8, all = n && older > n - n / 64;
	t->solo.in_vain += all && t->solo.in_vain < IN_VAIN;
	t->solo.in_vain *= all;
	hardly_any &= t->solo.every < OI_SOLO_MOST / 2;
	t->solo.every = hardly_any ? t->solo.every * 2 : OI_SOLO_EVERY;
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
		struct place at = place_of(t, p, w);
		uint64_t older = 0, left = 0;
		struct oi_header *h;
		FOR_EACH(h, &at, age0[w]) {
			uint64_t word = oi_load_relaxed(&h->word); /* owner, or recheck */
			uint64_t bit = UINT64_C(1) << block_in(&at, h) % 64;
			older |= word >> 48 == t->key ? bit : 0;
			left |= word >> 48 == t->key || is_unused(word) ? 0 : bit;
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
static void pass_unseen(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	bool straight = oi_policy_middle_full();
	size_t n = 0;
	l->n = l->n_runs = 0;
	for (struct oi_page *p, **link = &t->heap.young; (p = *link);) {
		bool own = is_own_page(t, p);
		if (own)
			n += age_page(t, p, straight);
		link = next_young(&t->heap, link, own);
	}
	oi_policy_solo_done(n, straight);
}

static void look_for_garbage(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	gather_young(t);
	size_t n = l->n;
	l->straight = oi_policy_middle_full();
	compare_runs(t);
	clear_side_bytes(t);
	leave_out_held(t);
	oi_policy_solo_done(l->older, l->straight);
	oi_add_relaxed(&n_examined, (uint64_t)n); /* count */
	note_yield(t, n, l->older);
	t->solo.epoch = oi_add_acq_rel(&oi_world.epoch, 0); /* [G3] release */
	t->solo.n_stops = oi_load_relaxed(&oi_world.n_stops); /* elsewhere: the gate [G2] */
	if (l->n)
		oi_grace_try(true);
}

/* ---- the end ---- */

static void unmark(struct oi_thread *t, const struct run *r, uint64_t bits)
{
	struct place at = place_of(t, r->p, r->word);
	struct oi_header *h;
	FOR_EACH(h, &at, bits)
		oi_store_relaxed(&h->noted, (uint8_t)FOUND); /* owner */
}

/* Makes all of the runs before @r FOUND again. */
static void unmark_before(struct oi_thread *t, const struct run *r)
{
	while (r-- > t->solo.lists->run)
		unmark(t, r, r->members);
}

/* Returns true if the run's page is what it was, with blocks where the members are. */
OI_INLINE bool is_same_page(const struct oi_thread *t, const struct run *r)
{
	return is_own_page(t, r->p) && r->p->block_size == r->size &&
	       r->word * 64 + 63 - (size_t)__builtin_clzll(r->members) < r->p->bump;
}

/*
 * Makes members, which may have died meanwhile, SETTLED. Returns 0, or those from the first on that
 * is not there, or that another thread has touched.
 */
static uint64_t settle_run(struct oi_thread *t, const struct run *r)
{
	struct place at = place_of(t, r->p, r->word);
	uint64_t alone = header_word(t->key, FOUND);
	struct oi_header *h;
	if (unlikely(!is_same_page(t, r)))
		return r->members;
	FOR_EACH(h, &at, r->members) {
		uint64_t word = oi_load_relaxed(&h->word); /* owner */
		if (unlikely(!is_alone(h, word, OWN | OTHERS | NOTED, alone)))
			return r->members & (UINT64_MAX << block_in(&at, h) % 64);
		oi_store_relaxed(&h->noted, (uint8_t)SETTLED); /* owner */
	}
	return 0;
}

/* Returns true if all members are there, and nobody has touched one; they are SETTLED then. */
static bool still_alone(struct oi_thread *t)
{
	const struct oi_solo_lists *l = t->solo.lists;
	for (const struct run *r = l->run; r < l->run + l->n_runs; r++) {
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

/* Makes a list of the members, in place of the stack. */
static void list_members(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	size_t n = 0;
	for (const struct run *r = l->run; r < l->run + l->n_runs; r++) {
		struct place at = place_of(t, r->p, r->word);
		struct oi_header *h;
		FOR_EACH(h, &at, r->members)
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
static void link_run(struct run *r, struct kind *k, struct drop *d)
{
	struct oi_chain c = { .n = 0 };
	struct place at = place_of(d->t, r->p, r->word);
	struct oi_header *h;
	clear_age(&at, r->members);
	FOR_EACH(h, &at, r->members) {
		uint64_t word = oi_load_relaxed(&h->word); /* owner */
		visit_member(h, look_up_kind(k, word), drop_reference, d);
		oi_chain_add(&c, h, r->p);
	}
	r->chain = c;
}

static void free_runs(struct oi_thread *t, struct drop *d)
{
	struct oi_solo_lists *l = t->solo.lists;
	struct kind k = { 0 };
	for (struct run *r = l->run; r < l->run + l->n_runs; r++)
		link_run(r, &k, d);
	for (struct run *r = l->run; r < l->run + l->n_runs; r++) {
		oi_own_add(&t->freed.n[r->p->bin], r->chain.n);
		oi_chain_free(t, r->p, &r->chain);
	}
}

/* Leaves the gate and enters it again: meanwhile oi_solo_tidy may have been there. */
static void free_all(struct oi_thread *t)
{
	struct oi_solo_lists *l = t->solo.lists;
	struct drop d = { t, header_word(t->key, SETTLED), header_word(OI_OWN_FREE, SETTLED) };
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
	unmark_before(t, l->run + l->n_runs);
	list_members(t);
	oi_gate_leave(t);
	t->solo.n_stops += oi_oracle_judge_alone(l->stack, l->n);
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

/*
 * A thread that stands in its gate without a processor holds the grace period up: as in limbo.c.
 * One that has a processor leaves soon, while this one goes on. Not sched_yield: beside programs
 * that are busy it waits for a turn of each, 6 ms, and here it would be called every 256 objects.
 */
static void let_others_leave(struct oi_thread *t)
{
	if (!t->solo.late) {
		t->solo.late = true;
		return;
	}
	uint64_t began = oi_now_ns();
	oi_gate_leave(t);
	oi_sleep_ns(NAP_NS);
	oi_holdup_from(OURO_HOLDUP_PACE, began, oi_now_ns());
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
	bool over = settle(t);
	if (!over) {
		take_for_made(t, t->solo.every - LATER);
	} else if (make_lists(t)) {
		t->solo.late = false;
		if (t->solo.in_vain < IN_VAIN || ++t->solo.unseen % 4 == 0) {
			look_for_garbage(t);
			oi_add_relaxed(&n_collections, UINT64_C(1)); /* count */
		} else {
			pass_unseen(t);
		}
		take_for_made(t, 0);
	}
	oi_add_relaxed(&duration_ns, oi_now_ns() - began); /* count */
	if (!over)
		let_others_leave(t);
	if (unlikely(oi_events_any()) || oi_flight())
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
