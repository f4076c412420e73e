/* type.h - checking types, and walking the references and weak cells that they declare. */
#ifndef OI_TYPE_H
#define OI_TYPE_H

#include "base/runtime.h"
#include "world/object.h"
#include "world/thread.h"

/* The visitor of traverse: public type, private content. */
struct ouro_visitor {
	void (*fn)(void *child, void *arg);
	void *arg;
};

/* Returns 0 or EINVAL. */
int oi_type_check(const ouro_type *type);
/*
 * Finds or makes the number of a type, and puts it into the thread's cache: typebook.c. Inside the
 * gate, which it leaves for a while unless the thread is pinned. Returns 0 with errno EINVAL or
 * ENOMEM if there is none.
 */
OI_COLD uint32_t oi_type_learn(struct oi_thread *t, const ouro_type *type);

OI_INLINE struct oi_type_cache *oi_type_cached(struct oi_thread *t, const ouro_type *type)
{
	return &t->types[((uintptr_t)type >> 4 ^ (uintptr_t)type >> 10) % OI_TYPE_CACHE];
}

/*
 * Returns what the cache holds for a type that may go away, and at whose address another may come
 * to lie: an address that is no type's.
 */
OI_INLINE const ouro_type *oi_type_marked(const ouro_type *type)
{
	return (const ouro_type *)((uintptr_t)type | 1);
}

/*
 * Returns what the cache holds for other types whose objects are to be counted, while the heap
 * samples: an address that is no type's, too.
 */
OI_INLINE const ouro_type *oi_type_counted(const ouro_type *type)
{
	return (const ouro_type *)((uintptr_t)type | 2);
}

/* Returns that of the other kind; of a type that may go away, or of none, the same. */
OI_INLINE const ouro_type *oi_type_toggled(const ouro_type *cached)
{
	return cached && !((uintptr_t)cached & 1) ? (const ouro_type *)((uintptr_t)cached ^ 2) :
						    cached;
}

/*
 * Returns true if the thread counts objects of that type, whose blocks have so many bytes, or with
 * 0 differ: small ones now and then (sample.c).
 */
#define OI_TYPE_COUNTED_FROM 1024
OI_INLINE bool oi_type_counts(const struct oi_thread *t, size_t bytes)
{
	return oi_runtime.config.sample_bytes &&
	       (bytes > OI_TYPE_COUNTED_FROM || t->sample.counts_small);
}

OI_INLINE bool oi_type_is_counted(const struct oi_type_cache *c, const ouro_type *type)
{
	return type && c->type == oi_type_counted(type);
}

/*
 * Returns the number that objects of that type have which are sampled: that of its twin, which is
 * made when it is first asked for; 0 if there are no more numbers.
 */
uint32_t oi_type_twin(uint32_t number);
/* Returns the number of the type that objects of that number are of. */
OI_INLINE uint32_t oi_type_number(uint32_t number)
{
	return oi_types[number].sampled ? oi_types[number].next : number;
}

/* Outside the gate, not pinned. Returns true if objects of the type are left; walks the heap. */
bool oi_type_has_instances(const ouro_type *type);

/* Returns true if the program's type still says what it said when it got its number. */
bool oi_type_unchanged(const struct oi_type_cache *c, const ouro_type *type);

/* Returns true if @type may go away, and is the one that the cache has. */
OI_INLINE bool oi_type_is_unloadable(const struct oi_type_cache *c, const ouro_type *type)
{
	return type && c->type == oi_type_marked(type) && oi_type_unchanged(c, type);
}

/* Returns what ouro_new needs of a type; NULL where oi_type_learn returns 0. */
OI_INLINE const struct oi_type *oi_type_find(struct oi_thread *t, const ouro_type *type)
{
	const struct oi_type_cache *c = oi_type_cached(t, type);
	uint32_t number = c->number;
	if (unlikely(c->type != type || !number) && !oi_type_is_counted(c, type) &&
	    !oi_type_is_unloadable(c, type))
		number = oi_type_learn(t, type);
	return likely(number) ? &oi_types[number] : NULL;
}

typedef void (*oi_child_fn)(void *child, void *arg);

/* [S1] acquire: pairs with the release of the store that put the child there (slot.c). */
OI_INLINE void oi_visit_fields(char *base, const ouro_fields *f, oi_child_fn fn, void *arg)
{
	for (uint32_t i = 0; i < f->n; i++) {
		void **slot = (void **)(base + f->field[i].offset);
		for (uint32_t k = 0; k < f->field[i].count; k++) {
			void *child = oi_load_acquire(&slot[k]); /* [S1] */
			if (child)
				fn(child, arg);
		}
	}
}

/* Like oi_visit_fixed, for more slots than oi_type.slot holds. */
void oi_visit_many(char *obj, const ouro_fields *f, oi_child_fn fn, void *arg);
/* Visits @n slots, one after another. */
OI_INLINE void oi_visit_row(void **slot, size_t n, oi_child_fn fn, void *arg)
{
	for (void **end = slot + n; slot < end; slot++) {
		void *child = oi_load_acquire(slot); /* [S1] */
		if (child)
			fn(child, arg);
	}
}

/* Visits the slots of the fixed part. */
OI_INLINE void oi_visit_fixed(struct oi_header *h, const struct oi_type *d, oi_child_fn fn,
			      void *arg)
{
	void **obj = oi_object_of(h);
	unsigned n = d->n_slots;
	if (unlikely(n == OI_SLOTS_MANY)) {
		oi_visit_many((char *)obj, &d->type->slots, fn, arg);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		void *child = oi_load_acquire(&obj[d->slot[i]]); /* [S1] */
		if (child)
			fn(child, arg);
	}
}

OI_INLINE void oi_visit_items(char *items, size_t from, size_t to, const ouro_type *t,
			      oi_child_fn fn, void *arg)
{
	for (size_t i = from; i < to; i++)
		oi_visit_fields(items + i * t->item_size, &t->item_slots, fn, arg);
}

/*
 * Runs the type's traverse. As the caller has stopped the world, or has a walk in hand, traverse
 * must end by returning, and must not call the library: at the next call that shows either, the
 * program is ended with a message.
 */
void oi_call_traverse(const ouro_type *type, struct oi_header *h, ouro_visitor *v);
/*
 * Like oi_call_traverse, but perhaps beside mutators; by one collection at a time. It has begun
 * before the clear or destroy of the object, or does not begin. oi_await_traverse, outside the
 * gate, for an object that is DEAD, returns when no such traverse of it is under way.
 */
void oi_call_traverse_of_living(const ouro_type *type, struct oi_header *h, ouro_visitor *v);
void oi_await_traverse(const struct oi_header *h);

/*
 * Visit what is not in the slots of the fixed part: the items' slots; these and what traverse
 * reports.
 */
void oi_visit_items_of(struct oi_header *h, const ouro_type *t, oi_child_fn fn, void *arg);
void oi_visit_rest(struct oi_header *h, const ouro_type *t, oi_child_fn fn, void *arg);

/* Visits all slots: the fixed part's, then the items'. */
OI_INLINE void oi_visit_slots(struct oi_header *h, oi_child_fn fn, void *arg)
{
	const struct oi_type *d = oi_described(h);
	oi_visit_fixed(h, d, fn, arg);
	if (unlikely(!d->flat))
		oi_visit_items_of(h, d->type, fn, arg);
}

/*
 * Visits all slots and what traverse reports. World stopped, or for an object that nobody else can
 * reach.
 */
OI_INLINE void oi_visit_all(struct oi_header *h, oi_child_fn fn, void *arg)
{
	const struct oi_type *d = oi_described(h);
	oi_visit_fixed(h, d, fn, arg);
	if (unlikely(!d->flat))
		oi_visit_rest(h, d->type, fn, arg);
}

/* Empties the weak cells of a dying object. */
void oi_clear_weaks(struct oi_header *h, const ouro_type *t);

#endif
