/*
 * heap.h - per-thread allocation buffers: block sizes, making and freeing blocks
 */
#ifndef OI_HEAP_H
#define OI_HEAP_H

#include "base/compiler.h"
#include "base/perturb.h"
#include "base/poison.h"
#include "heap/candidate.h"
#include "heap/region.h"
#include "world/keyset.h"
#include "world/object.h"
#include "world/record.h"

#include <string.h>

struct oi_thread;
struct ouro_type;

#define OI_BLOCK_MAX 32768

#define OI_ZERO_MAX 128  /* bytes that are zeroed without a call */
#define OI_SMALL_MAX 128 /* bytes; up to there blocks are multiples of 16 */
_Static_assert(OI_SMALL_MAX <= OI_ZERO_MAX, "small blocks are zeroed without a call");

OI_INLINE size_t oi_small_block(size_t bytes)
{
	return bytes <= OI_BLOCK_MIN ? OI_BLOCK_MIN : (bytes + 15) / 16 * 16;
}

OI_INLINE unsigned oi_class_of(size_t bytes)
{
	if (bytes <= OI_SMALL_MAX)
		return bytes <= 32 ? 0 : (unsigned)((bytes + 15) / 16 - 2);
	unsigned b = 63 - (unsigned)__builtin_clzll(bytes - 1);
	return 7 + (b - 7) * 4 + (unsigned)((bytes - 1) >> (b - 2)) - 4;
}

OI_INLINE unsigned oi_bin_of(size_t bytes, bool tracked)
{
	return oi_class_of(bytes) + (tracked ? OI_CLASSES : 0);
}

size_t oi_class_bytes(unsigned class_index);

/* A free block is linked through the first word of its payload. */
OI_INLINE struct cds_lfs_node *oi_link_of(struct oi_header *h)
{
	return (struct cds_lfs_node *)oi_object_of(h);
}

OI_INLINE struct oi_header *oi_block_of(struct cds_lfs_node *link)
{
	return (struct oi_header *)link - 1;
}

/*
 * Zeroes @bytes > 0, rounded up to a multiple of 16. It does so from both ends, which meet or
 * overlap, without a loop, for which clang would call memset.
 */
OI_INLINE void oi_zero(void *p, size_t bytes)
{
	char *first = p, *last = first + (bytes - 1) / 16 * 16;
	if (unlikely(bytes > OI_ZERO_MAX)) {
		memset(p, 0, bytes);
		return;
	}
	memset(first, 0, 16);
	memset(last, 0, 16);
	if (bytes > 32) {
		memset(first + 16, 0, 16);
		memset(last - 16, 0, 16);
	}
	if (bytes > 64) {
		memset(first + 32, 0, 32);
		memset(last - 48, 0, 32);
	}
}

OI_INLINE void oi_make_young(const struct oi_header *h, size_t i)
{
	uint64_t *bits = &oi_region_of(h)->young[oi_page_number(h)][0][i / 64];
	/* owner; scan.c looks */
	oi_store_relaxed(bits, oi_load_relaxed(bits) | UINT64_C(1) << (i % 64));
}

/* Like oi_block_alloc, for a page that has a free block: takes the first one. */
OI_INLINE struct oi_header *oi_block_take(struct oi_page *p, size_t bytes, bool tracked)
{
	if (bytes <= sizeof(struct oi_header))
		__builtin_unreachable(); /* no object is empty */
	struct oi_header *h = oi_block_of(p->free);
	oi_unpoison(h, p->block_size);
	p->free = p->free->next;
	__builtin_prefetch(p->free, 1); /* the next one: it died a while ago */
	oi_zero(oi_object_of(h), bytes - sizeof *h);
	p->used++;
	if (tracked)
		oi_make_young(h, oi_block_index(p, h));
	return h;
}

/*
 * Makes the contents of a freed block unusable, in checked builds and for AddressSanitizer: nobody
 * may touch its counts and its payload, except the link. Walks read the first word of the header,
 * which says that it is free.
 */
void oi_block_poison(struct oi_header *h, const struct oi_page *p);
/*
 * Inside the gate. Returns a block for @bytes (header included), with its payload zeroed up to
 * there and its header not yet written; NULL if there is no memory. @bin as in oi_type.
 */
struct oi_header *oi_block_alloc(struct oi_thread *t, size_t bytes, unsigned bin, bool tracked);
/*
 * Frees a block of @p, a page of this thread (INV-H2), if all it takes is to link it there: the
 * page is allocated from or listed, and does not become empty in a list. Returns false if it did
 * nothing.
 */
OI_INLINE bool oi_block_put(struct oi_page *p, struct oi_header *h)
{
	if (!oi_recycles() || (unlikely(!p->current) && (!p->listed || p->used == 1)))
		return false;
	if (p->tracked && oi_heap_walked())
		return false;
	oi_store_relaxed(&h->own, OI_OWN_FREE); /* elsewhere: nobody can reach the object */
	if (OI_POISONS)
		oi_block_poison(h, p);
	oi_link_of(h)->next = p->free;
	p->free = oi_link_of(h);
	p->used--;
	return true;
}
/* Inside the gate, or world stopped. */
void oi_block_free(struct oi_thread *t, struct oi_header *h);
/* Dead blocks of one page that are freed at once. */
struct oi_chain {
	struct cds_lfs_node *first, *last;
	uint32_t n;
};

OI_INLINE void oi_chain_add(struct oi_chain *c, struct oi_header *h, const struct oi_page *p)
{
	struct cds_lfs_node *link = oi_link_of(h);
	oi_store_relaxed(&h->own, OI_OWN_FREE); /* elsewhere: nobody can reach the object */
	if (OI_POISONS)
		oi_block_poison(h, p);
	link->next = c->first;
	if (!c->n++)
		c->last = link;
	c->first = link;
}

/* Frees the blocks of the chain, if there are any. Inside the gate, or world stopped. */
void oi_chain_free(struct oi_thread *t, struct oi_page *p, const struct oi_chain *c);

void oi_heap_init(struct oi_heap *heap);
/* Nobody is left: forgets the pages without a thread. */
void oi_heap_shutdown(void);
/* World stopped. Puts @p, which is on no list of young pages, onto that of its heap. */
void oi_heap_add_young(struct oi_page *p);
/* Under the heap lock. Begins a page, or a run, of blocks of that size; its state is left. */
void oi_page_init(struct oi_page *p, unsigned bin, size_t block_size);

void oi_heap_lock(void);
void oi_heap_unlock(void);

#endif
