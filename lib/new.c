/* new.c - making objects */
#include <errno.h>
#include <string.h>

#include "collect.h"
#include "gate.h"
#include "heap.h"
#include "os.h"
#include "pace.h"
#include "runtime.h"
#include "type.h"

/* The header, published last: a collector that walks the page sees free until then. */
OI_INLINE void write_header(struct oi_thread *t, struct oi_header *h, const ouro_type *type, bool large)
{
	/* Large objects belong to no thread's pages, so they are born merged (INV-H2). */
	uint16_t own = large ? (uint16_t)OI_OWN_MERGED : t->key;
	h->local = !large;
	h->flags = 0;
	h->published = 0;
	h->shared = large ? OI_MERGED | OI_ONE : 0;
	oi_store_release(&h->word, (uint64_t)(uintptr_t)type | (uint64_t)own << 48); /* [A1] pairs with walkers */
}

OI_INLINE struct oi_header *try_new(struct oi_thread *t, const struct oi_type_info *info, size_t bytes, unsigned bin)
{
	struct oi_header *h = oi_block_alloc(t, bytes, bin, info->tracked);
	if (unlikely(!h))
		return NULL;
	write_header(t, h, info->type, bin == OI_BIN_LARGE);
	oi_own_add(&t->n_allocated, 1);
	oi_own_add(&t->bytes_allocated, oi_page_of(h)->block_size);
	return h;
}

/* No memory: a full collection may make some, where the caller can wait for one. */
static OI_NOINLINE struct oi_header *new_after_collection(struct oi_thread *t, const ouro_type *type, size_t bytes,
							  unsigned bin)
{
	if (!t->pin_depth && !t->in_finalizer && !t->dying) {
		oi_gate_leave(t);
		oi_collect_for_memory(t);
		oi_gate_enter(t);
		struct oi_type_info *info = oi_type_cached(t, type);
		if (info->type == type || (info = (struct oi_type_info *)oi_type_learn(t, type)))
			return try_new(t, info, bytes, bin);
	}
	return NULL;
}

OI_INLINE void *make(const ouro_type *type, size_t n, bool items)
{
	struct oi_thread *t = oi_self;
	if (unlikely(!t) && !(t = oi_thread_first_call(true))) {
		errno = ENOMEM;
		return NULL;
	}
	oi_gate_enter(t);
	const struct oi_type_info *info = oi_type_cached(t, type);
	if (unlikely(info->type != type || !type) && !(info = oi_type_learn(t, type))) {
		oi_gate_leave(t);
		errno = EINVAL;
		return NULL;
	}
	size_t bytes = info->bytes;
	unsigned bin = info->bin;
	if (unlikely(items && n) || unlikely(bin == OI_BIN_LARGE)) {
		size_t fixed = sizeof(struct oi_header) + (type->item_size ? sizeof(size_t) : 0), more;
		int error = n && !type->item_size ? EINVAL : 0;
		if (!error && (__builtin_mul_overflow(n, type->item_size, &more) ||
			       __builtin_add_overflow(more, type->size, &bytes) ||
			       __builtin_add_overflow(bytes, fixed + 16, &bytes)))
			error = EOVERFLOW;
		if (error) {
			oi_gate_leave(t);
			errno = error;
			return NULL;
		}
		bytes -= 16;
		bin = bytes <= OI_BLOCK_MAX ? oi_bin_of(bytes, info->tracked) : OI_BIN_LARGE;
	}
	bool tracked = info->tracked;
	struct oi_header *h = try_new(t, info, bytes, bin);
	if (unlikely(!h) && !(h = new_after_collection(t, type, bytes, bin))) {
		oi_gate_leave(t);
		errno = ENOMEM;
		return NULL;
	}
	if (unlikely(type->item_size))
		*(size_t *)((char *)h + oi_page_of(h)->block_size - sizeof(size_t)) = n;
	if (tracked)
		oi_pace_allocated(t);
	oi_gate_leave(t);
	return oi_object_of(h);
}

void *ouro_new(const ouro_type *type)
{
	return make(type, 0, false);
}

void *ouro_new_items(const ouro_type *type, size_t n)
{
	return make(type, n, true);
}
