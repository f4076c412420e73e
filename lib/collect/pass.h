/*
 * pass.h - one pass of a concurrent collection: its lists, its safepoints, how it looks at objects
 * that others use
 *
 * Note [PASS]. The collection is inside its gate while it looks at objects, and leaves it every
 * few dozen microseconds, so that stops, grace periods and young collections hardly wait for it.
 * Between two such slices anything may die. What the collection keeps are addresses, and they
 * still are addresses of blocks: while oi_candidates.walking is set, pages of objects that can be
 * traversed are not given back, nor are large ones, and blocks wait for a grace period before they
 * are used again, published or not. So within a slice what was alive stays readable, and
 * afterwards it is looked at anew (oi_pass_look).
 * The state outside a slice is whole: the child of a fork, where the collecting thread is gone,
 * undoes it from there (concurrent.c).
 */
#ifndef OI_PASS_H
#define OI_PASS_H

#include "collect/maps.h"
#include "heap/candidate.h"
#include "heap/type.h"
#include "world/gate.h"

#define OI_SLICE 4096 /* units of work between two safepoints: an object is 16, a reference 1 */

struct oi_garbage;

struct oi_pass {
	struct oi_thread *t;
	struct oi_garbage *garbage; /* what becomes of the dead */
	struct oi_vector *list;     /* its: the candidates; after the commit, the dead */
	struct oi_vector regions;   /* that have maps */
	struct oi_vector pages;
	struct oi_graph graph;      /* its notes are of candidates: commit.c */
	struct oi_vector opaque;    /* objects whose traverse waits for a stop */
	/* pairs of an object that seems to be held and its references then: linger.c */
	struct oi_vector doubts;
	struct oi_vector rescued;   /* what is to be decided in a stop: linger.c */
	struct oi_vector young;     /* lists of young pages that are being made old: generation.c */
	void (*between)(void);      /* at each safepoint, outside the gate; or NULL */
	oi_child_fn any_word;       /* a visitor that can be given slots of the dying */
	int64_t collector_refs;     /* references on each candidate that are the collector's own */
	unsigned work;              /* units since the last safepoint */
	unsigned number, n_crew;    /* which of how many threads that find candidates: crew.h */
	bool shared;                /* others mark, too */
	/* the scope is what was young when the pass began; those are the first members */
	bool young_only;
	/* checked builds: an object seems to have fewer references than members have to it */
	bool excess;
	bool failed;              /* no memory for a list: nothing is found */
	/* of the candidates that were closed none has code of the program's to run, or is weak */
	bool silent;
	/*
	 * Where parts of the list of candidates end that nothing from behind refers to; without
	 * any, it is one part.
	 */
	struct oi_vector parts;
	size_t n_members;         /* the result: objects looked at */
	size_t n_open;            /* candidates not dropped */
	/* candidates dealt with, and still on the list, after the commit */
	size_t n_seen, n_kept;
};

void oi_pass_breathe(struct oi_pass *p);

OI_INLINE void oi_pass_step(struct oi_pass *p, unsigned units)
{
	if (unlikely((p->work += units) >= OI_SLICE))
		oi_pass_breathe(p);
}

OI_INLINE void oi_pass_push(struct oi_pass *p, struct oi_vector *v, void *item)
{
	if (unlikely(!oi_vector_push(v, item)))
		p->failed = true;
}

/*
 * Returns the type of the object in a block; NULL if none lives there, or if it has one of the
 * flags @not_with. (Garbage is another collection's, and its slots are no guide.)
 * [A1]: whoever sees the word sees the rest of the header; the block of an object that was not gone
 * when this thread entered its gate is not used again while the thread is inside.
 */
OI_INLINE const struct oi_type *oi_pass_look(const struct oi_header *h, uint8_t not_with)
{
	uint64_t word = oi_load_acquire(&h->word); /* [A1] */
	uint16_t own = (uint16_t)(word >> 48);
	uint8_t flags = (uint8_t)(word >> 32);
	if (unlikely(own == OI_OWN_FREE) || unlikely(own == OI_OWN_GONE) ||
	    unlikely(flags & not_with) ||
	    unlikely(oi_load_acquire(&h->shared) & OI_DEAD)) /* [C1] */
		return NULL;
	return &oi_types[(uint16_t)word];
}

/*
 * Returns the flags of what this pass must not look at: GARBAGE, except in garbage that is looked
 * through for the resurrected.
 */
OI_INLINE uint8_t oi_pass_skips(const struct oi_pass *p)
{
	return p->collector_refs ? 0 : OI_FLAG_GARBAGE;
}

/* Returns true if the type's traverse must not run beside mutators. */
OI_INLINE bool oi_type_opaque(const ouro_type *type)
{
	return type->traverse && !(type->flags & OURO_TRAVERSE_CONCURRENT);
}

/* A visitor. It also counts references to what is no candidate: nobody looks at that. */
OI_INLINE void oi_pass_count_child(void *child, void *arg)
{
	struct oi_pass *p = arg;
	oi_map_count_later(&p->graph, oi_header_of(child));
}

/*
 * The first visits slots in items; the second also what traverse tells of, if it may run now, else
 * the object goes to p->opaque.
 */
void oi_pass_visit_items(struct oi_pass *p, struct oi_header *h, const ouro_type *type,
			 oi_child_fn fn, void *arg);
void oi_pass_visit_rest(struct oi_pass *p, struct oi_header *h, const ouro_type *type,
			oi_child_fn fn, void *arg);

/* Inside the gate, with safepoints in large objects. */
OI_INLINE void oi_pass_visit(struct oi_pass *p, struct oi_header *h, const struct oi_type *d,
			     oi_child_fn fn, void *arg)
{
	oi_visit_fixed(h, d, fn, arg);
	if (unlikely(!d->flat))
		oi_pass_visit_rest(p, h, d->type, fn, arg);
}

/*
 * Calls fn(p, h, at) for each member of the page that is not marked, with safepoints between, after
 * which what is marked by then is left out. Inside the gate.
 */
typedef void (*oi_member_fn)(struct oi_pass *p, struct oi_header *h, const struct oi_place *at);
OI_INLINE void oi_pass_each_open(struct oi_pass *p, struct oi_page *page, oi_member_fn fn)
{
	struct oi_place at = { .map = oi_region_of(page)->map,
			       .page = page,
			       .page_index = (uint32_t)oi_page_index(page) };
	char *start = oi_page_start(page);
	size_t size = page->block_size;
	uint32_t n_words = (oi_load_acquire(&page->bump) + 63) / 64; /* [A1] */
	for (uint32_t w = 0; w < n_words; w++) {
		struct oi_bits *bits = &at.map->bits[at.page_index][w];
		uint64_t todo = bits->member;
		unsigned n = 1;
		/* recheck */
		for (; (todo &= ~oi_load_relaxed(&bits->mark)) && !p->failed; n += 16) {
			at.block = w * 64 + (uint32_t)__builtin_ctzll(todo);
			todo &= todo - 1;
			char *h = start + at.block * size;
			__builtin_prefetch(h + 8 * size);
			fn(p, (struct oi_header *)h, &at);
		}
		oi_pass_step(p, n);
	}
}

/*
 * Calls a traverse, in a stop or of a type that allows it beside mutators
 * (oi_call_traverse_of_living). What it reports is looked at as if it were any words: references
 * that traverse tells of leave their objects published to nobody, and what they referred to is gone
 * at once.
 */
void oi_pass_call_traverse(struct oi_header *h, const ouro_type *type, oi_child_fn fn, void *arg);

/*
 * Visits what traverse tells of the objects in p->opaque, in stops of its own within the pause
 * budget; inside the gate, which it leaves. @follow, unless it is NULL, is called in the stop: it
 * takes a little from the graph's stack, which may put more into p->opaque. In a stop there are no
 * safepoints: neither is oi_pass_step called, nor a large object visited.
 */
void oi_pass_traverse_opaque(struct oi_pass *p, oi_child_fn fn, void *arg,
			     void (*follow)(struct oi_pass *p));

/* Begin and end a stop of this collection's, with its events. Outside the gate. */
void oi_pass_stop(struct oi_stop *stop);
void oi_pass_start(struct oi_stop *stop);
/* Returns the stops since it was last called. Under the lock of the concurrent collection. */
struct oi_stops oi_pass_stops(void);

#endif
