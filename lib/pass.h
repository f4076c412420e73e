/*
 * pass.h - one pass of a collection beside the mutators: its lists, its safepoints, how it looks at objects others use
 *
 * Note [PASS]. The collection is inside its gate while it looks at objects and leaves it every few dozen microseconds, so that
 * stops, grace periods and young collections hardly wait for it. Between two such slices anything may die; what it keeps are
 * addresses, and they still are blocks' addresses: while oi_candidates.walking is set, pages of objects that can be traversed are
 * not given back, large ones neither, and blocks wait for a grace period before they are used again, published or not. So
 * within a slice what was alive stays readable, and afterwards it is looked at anew (oi_pass_look).
 * State outside a slice is whole: the child of a fork, where the collecting thread is gone, undoes it from there (full.c).
 */
#ifndef OI_PASS_H
#define OI_PASS_H

#include "beside.h"
#include "candidate.h"
#include "gate.h"
#include "set.h"
#include "type.h"

#define OI_SLICE 4096 /* units of work between two safepoints: an object is 16, a reference 1 */

struct oi_pass {
	struct oi_thread *t;
	struct oi_set *set;       /* its objects: the candidates; after the commit, the dead */
	struct oi_vector regions; /* that have maps */
	struct oi_vector pages;
	struct oi_vector stack;   /* objects to visit */
	struct oi_vector opaque;  /* objects whose traverse waits for a stop */
	struct oi_vector edges;   /* of opaque candidates: commit.c */
	struct oi_vector young;   /* lists of young pages that are being made old: generation.c */
	void (*between)(void);    /* at each safepoint, outside the gate; or NULL */
	oi_child_fn any_word;     /* a visitor that can be given slots of the dying */
	int64_t hold;             /* references on each candidate that are the collector's own */
	unsigned work;            /* units since the last safepoint */
	bool young_only;          /* the scope: what was young when it began; those are the first members */
	bool stopped;             /* the world is, for this collection: no safepoints */
	bool odd;                 /* an object seems to have fewer references than members have to it: checked builds */
	bool failed;              /* no memory for a list: nothing is found */
	size_t n_members;         /* the result: objects looked at */
	size_t n_open;            /* candidates not dropped */
	size_t n_seen, n_kept;    /* candidates dealt with, and still on the list, after the commit */
};

void oi_pass_breathe(struct oi_pass *p);

OI_INLINE void oi_pass_step(struct oi_pass *p, unsigned units)
{
	if (unlikely((p->work += units) >= OI_SLICE))
		oi_pass_breathe(p); /* unless stopped */
}

OI_INLINE void oi_pass_push(struct oi_pass *p, struct oi_vector *v, void *item)
{
	if (unlikely(!oi_vector_push(v, item)))
		p->failed = true;
}

/*
 * The type of the object in a block; NULL if none lives there, or it has one of the flags. (Condemned ones are another
 * collection's, and their slots are no guide.) [A1]: who sees the word sees the rest of the header; the block of an object that
 * was not gone when this thread entered its gate is not used again while it is inside.
 */
OI_INLINE const ouro_type *oi_pass_look(const struct oi_header *h, uint8_t not_with)
{
	uint64_t word = oi_load_acquire(&h->word); /* [A1] */
	uint16_t own = (uint16_t)(word >> 48);
	uint8_t flags = (uint8_t)(word >> 32);
	if (unlikely(own == OI_OWN_FREE) || unlikely(own == OI_OWN_GONE) ||
	    unlikely(flags & not_with) || unlikely(oi_load_acquire(&h->shared) & OI_DEAD)) /* [C1] */
		return NULL;
	return oi_types[(uint32_t)word].type;
}

/* May its traverse run beside mutators? */
OI_INLINE bool oi_type_opaque(const ouro_type *type)
{
	return type->traverse && !(type->flags & OURO_TRAVERSE_CONCURRENT);
}

/* Slots in items, and what traverse tells of, if it may run now; else the object goes to p->opaque. */
void oi_pass_visit_items(struct oi_pass *p, struct oi_header *h, const ouro_type *type, oi_child_fn fn, void *arg);
void oi_pass_traverse(struct oi_pass *p, struct oi_header *h, const ouro_type *type, oi_child_fn fn, void *arg);

/* Inside the gate, with safepoints in large objects. */
OI_INLINE void oi_pass_visit_slots(struct oi_pass *p, struct oi_header *h, const ouro_type *type, oi_child_fn fn, void *arg)
{
	oi_visit_fields(oi_object_of(h), &type->slots, fn, arg);
	if (unlikely(type->item_slots.n))
		oi_pass_visit_items(p, h, type, fn, arg);
}

OI_INLINE void oi_pass_visit(struct oi_pass *p, struct oi_header *h, const ouro_type *type, oi_child_fn fn, void *arg)
{
	oi_pass_visit_slots(p, h, type, fn, arg);
	if (unlikely(type->traverse != NULL))
		oi_pass_traverse(p, h, type, fn, arg);
}

/*
 * Calls a traverse, in a stop or of a type that allows it beside mutators: then it has begun before the object's clear or destroy
 * (oi_pass_await_traverse), or does not begin. What it reports is looked at as if it were any words: references
 * that traverse tells of leave their objects published to nobody, and what they referred to is gone at once.
 */
void oi_pass_call_traverse(struct oi_header *h, const ouro_type *type, oi_child_fn fn, void *arg);
/* Outside the gate, @h is DEAD: until no traverse of it is under way. For types that allow it at any time. */
void oi_pass_await_traverse(const struct oi_header *h);

/*
 * Runs what traverse tells of the objects in p->opaque, in stops of their own within the pause budget; inside the gate, which it
 * leaves. @follow, or NULL: takes a little from p->stack, which may put more into p->opaque; called in the stop.
 */
void oi_pass_traverse_opaque(struct oi_pass *p, oi_child_fn fn, void *arg, void (*follow)(struct oi_pass *p));

/* A stop of this collection's, with its events. Outside the gate. */
void oi_pass_stop(struct oi_stop *stop);
void oi_pass_start(struct oi_stop *stop);

#endif
