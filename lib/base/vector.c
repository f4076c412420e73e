/* vector.c - a growing array of words on mapped pages. */
#include "base/vector.h"

#include "base/os.h"

bool oi_vector_grow(struct oi_vector *v)
{
	size_t bytes = v->capacity * sizeof *v->data;
	size_t new_bytes = bytes ? bytes * 2 : 4096;
	void *p = bytes ? oi_os_remap_list(v->data, bytes, new_bytes) : oi_os_map_list(new_bytes);
	if (!p)
		return false;
	v->data = p;
	v->capacity = new_bytes / sizeof *v->data;
	return true;
}

void oi_vector_free(struct oi_vector *v)
{
	if (v->data)
		oi_os_unmap_list(v->data, v->capacity * sizeof *v->data);
	v->data = NULL;
	v->capacity = 0;
	/* recheck: a thread looks at its stack's outside its gate (backlog.h) */
	oi_store_relaxed(&v->n, (size_t)0);
}

void oi_vector_trim(struct oi_vector *v, size_t keep)
{
	oi_store_relaxed(&v->n, (size_t)0); /* recheck: as above */
	if (v->capacity > keep)
		oi_vector_free(v);
}
