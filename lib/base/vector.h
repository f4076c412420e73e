/*
 * vector.h - a growing array of words on mapped pages
 *
 * Usable while the world is stopped: no malloc.
 */
#ifndef OI_VECTOR_H
#define OI_VECTOR_H

#include "base/compiler.h"

#define OI_VECTOR_AHEAD 12

struct oi_vector {
	void **data;
	size_t n, capacity;
};

/* Doubles the room. Returns false, with nothing changed, if there is no memory. */
bool oi_vector_grow(struct oi_vector *v);
void oi_vector_free(struct oi_vector *v);
/* Empties it and gives the memory back if it holds more than @keep words. */
void oi_vector_trim(struct oi_vector *v, size_t keep);

OI_INLINE bool oi_vector_push(struct oi_vector *v, void *p)
{
	if (unlikely(v->n == v->capacity) && !oi_vector_grow(v))
		return false;
	v->data[v->n++] = p;
	return true;
}

/*
 * Called before item @i is looked at: fetches what a later item points to, so that all of them come
 * from memory in time.
 */
OI_INLINE void oi_vector_prefetch(const struct oi_vector *v, size_t i)
{
	if (likely(i + OI_VECTOR_AHEAD < v->n))
		__builtin_prefetch(v->data[i + OI_VECTOR_AHEAD], 1);
}

#endif
