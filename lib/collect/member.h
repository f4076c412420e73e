/*
 * member.h - the objects that a look of solo.c is about: where they lie, and going through them
 *
 * Most of them are neighbours, as their thread has made them one after the other: so they are noted
 * as bits, a word for 64 blocks of a page, beside the bits of their age.
 */
#ifndef OI_MEMBER_H
#define OI_MEMBER_H

#include "count/count.h"
#include "heap/heap.h"
#include "heap/type.h"
#include "world/object.h"
#include "world/thread.h"

/* Members that are neighbours: among 64 blocks of a page, whose bits of age 0 are one word. */
struct oi_member_run {
	struct oi_page *p;
	uint64_t size;    /* of a block */
	uint64_t members; /* a bit for each */
	size_t word;
	struct oi_chain chain;
};

struct oi_solo_lists {
	size_t n, n_runs, n_stack, n_elsewhere; /* n: members */
	size_t older;  /* objects that the look has made older */
	bool straight; /* what is held becomes old at once */
	bool overflow; /* something held had no room on the stack, so that it is not followed */
	struct oi_member_run run[OI_SOLO_MOST];
	struct oi_header *stack[OI_SOLO_MOST]; /* while looking: what is held */
	uint8_t *elsewhere[OI_SOLO_MOST];      /* side bytes, in other pages than the referrer's */
};

/*
 * In the first word of a header: whose it is; that others touched it, and the flags; noted, which
 * is OI_FOUND from when the thread has found it garbage, whatever comes of that, to the next look
 * at it, and OI_SETTLED while the thread frees it. 0 otherwise.
 */
#define OI_WORD_OWN (UINT64_C(0xffff) << 48)
#define OI_WORD_OTHERS (UINT64_C(0xff) << 16 | UINT64_C(0xff) << 32)
#define OI_WORD_NOTED (UINT64_C(0xff) << 24)
enum { OI_FOUND = 1, OI_SETTLED = 2 };

/* Returns what the word is, but for its type, of an object of @key that nobody else touched. */
OI_INLINE uint64_t oi_member_word(uint64_t key, uint64_t noted)
{
	return key << 48 | noted << 24;
}

/* Returns true if nobody else has touched @h, and @fields of its @word are @alone. */
OI_INLINE bool oi_member_alone(const struct oi_header *h, uint64_t word, uint64_t fields,
			       uint64_t alone)
{
	return likely((word & fields) == alone) && /* [U1] */
	       likely(!oi_load_relaxed(&h->shared)); /* elsewhere: as touched */
}

OI_INLINE bool oi_member_unused(uint64_t word)
{
	return word >> 48 == OI_OWN_FREE || word >> 48 == OI_OWN_GONE;
}

/* Returns true if @p is a page of @t's, and will be while the thread is inside its gate. */
OI_INLINE bool oi_member_own_page(const struct oi_thread *t, const struct oi_page *p)
{
	/* [H2]: then the heap is that of the thread which made the page small */
	return oi_load_acquire(&p->state) == OI_PAGE_SMALL &&
	       oi_load_relaxed(&p->heap) == &t->heap; /* owner: only this thread makes it so */
}

/* A type as members' types are looked at: most objects have that of the one before. */
struct oi_member_kind {
	uint16_t number; /* 0: none yet */
	bool plain;
	bool row; /* its slots are these, one after another: */
	uint16_t first, n_slots;
};

/* Looks a type up by its number. */
struct oi_member_kind oi_member_kind_of(uint16_t number);

OI_INLINE const struct oi_member_kind *oi_member_kind(struct oi_member_kind *k, uint64_t word)
{
	if (unlikely((uint16_t)word != k->number))
		*k = oi_member_kind_of((uint16_t)word);
	return k;
}

OI_INLINE void oi_member_visit(struct oi_header *h, const struct oi_member_kind *k, oi_child_fn fn,
			       void *arg)
{
	if (likely(k->row))
		oi_visit_row((void **)oi_object_of(h) + k->first, k->n_slots, fn, arg);
	else
		oi_visit_slots(h, fn, arg);
}

/* Where members are, or may be. */
struct oi_member_place {
	struct oi_thread *t;
	uint8_t *side;    /* the page's */
	uintptr_t page;
	uint64_t reciprocal;
	char *first;      /* of the 64 blocks */
	uint64_t size;
	uint64_t *age0;
};

OI_INLINE struct oi_member_place oi_member_place_of(struct oi_thread *t, struct oi_page *p,
						    size_t word)
{
	struct oi_region *r = oi_region_of(p);
	size_t i = oi_page_index(p);
	char *start = oi_page_start(p);
	return (struct oi_member_place){
		.t = t,
		.side = r->side[i],
		.page = (uintptr_t)start >> OI_PAGE_SHIFT,
		.reciprocal = p->reciprocal,
		.first = start + word * 64 * p->block_size,
		.size = p->block_size,
		.age0 = &r->young[i][0][word],
	};
}

/* Which of 64 blocks come next. */
struct oi_member_cursor {
	char *at;
	uint64_t bits; /* from there on */
	uint64_t size;
};

/* Most young objects are neighbours. */
OI_INLINE void oi_member_skip_gap(struct oi_member_cursor *c)
{
	if (likely(c->bits & 1) || !c->bits)
		return;
	unsigned n = (unsigned)__builtin_ctzll(c->bits);
	c->bits >>= n;
	c->at += n * c->size;
}

OI_INLINE struct oi_member_cursor oi_member_first(const struct oi_member_place *at, uint64_t bits)
{
	struct oi_member_cursor c = { at->first, bits, at->size };
	oi_member_skip_gap(&c);
	return c;
}

OI_INLINE void oi_member_step(struct oi_member_cursor *c)
{
	c->bits >>= 1;
	c->at += c->size;
	oi_member_skip_gap(c);
}

/* For each of the blocks whose bits are set in @those. */
#define oi_for_each_member(h, place, those) \
	for (struct oi_member_cursor c_ = oi_member_first(place, those); \
	     c_.bits && (h = (struct oi_header *)c_.at, true); oi_member_step(&c_))

OI_INLINE size_t oi_member_block(const struct oi_member_place *at, const struct oi_header *h)
{
	return ((uintptr_t)h & (OI_PAGE - 1)) * at->reciprocal >> 32;
}

OI_INLINE void oi_member_clear_age(const struct oi_member_place *at, uint64_t bits)
{
	oi_store_relaxed(at->age0, *at->age0 & ~bits); /* owner */
}

#endif
