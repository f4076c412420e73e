/* heap.h - per-thread allocation buffers: bins of pages by block size, foreign frees, pages of threads that left. */
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
 * @bytes > 0, up to the next multiple of 16. From both ends, which meet or overlap: no loop, for which clang would call memset.
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
	oi_store_relaxed(bits, oi_load_relaxed(bits) | UINT64_C(1) << (i % 64)); /* owner; full.c looks */
}

/* The first of the page's free blocks, of which there is one; as oi_block_alloc. */
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
 * What a freed block contains, in checked builds and for AddressSanitizer: its counts and its payload may not be touched, but for
 * the link. The first word of the header, which says that it is free, is for walks to read.
 */
void oi_block_spoil(struct oi_header *h, const struct oi_page *p);
/*
 * Inside the gate. A block for @bytes (header included) with its payload zeroed up to there; its header is not yet
 * written. NULL: no memory. @bin as in oi_type.
 */
struct oi_header *oi_block_alloc(struct oi_thread *t, size_t bytes, unsigned bin, bool tracked);
/*
 * Frees a block of @p, a page of this thread (INV-H2), where that is nothing but linking it there: the page allocates or is
 * listed, and does not become empty in a list. False: not done.
 */
OI_INLINE bool oi_block_put(struct oi_page *p, struct oi_header *h)
{
	if (!oi_recycles() || (unlikely(!p->current) && (!p->listed || p->used == 1)))
		return false;
	if (p->tracked && oi_heap_walked())
		return false;
	oi_store_relaxed(&h->own, OI_OWN_FREE); /* elsewhere: nobody can reach the object */
	if (OI_SPOILS)
		oi_block_spoil(h, p);
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
	if (OI_SPOILS)
		oi_block_spoil(h, p);
	link->next = c->first;
	if (!c->n++)
		c->last = link;
	c->first = link;
}

/* If there are any. */
void oi_chain_free(struct oi_thread *t, struct oi_page *p, const struct oi_chain *c);

void oi_heap_init(struct oi_heap *heap);
/* Nobody is left: the pages without a thread are forgotten. */
void oi_heap_shutdown(void);
/* The thread leaves: its pages go to whoever needs their size next. Inside the gate. */
void oi_heap_abandon(struct oi_thread *t);
/*
 * Takes in what others freed in pages of this thread, of threads that are outside and do not come by, and of none, so that empty
 * pages go back. Outside the gate.
 */
void oi_heap_harvest_idle(struct oi_thread *self);
/*
 * @t, which is kept out of its gate, does nothing: what it has empty goes back, and what is not is no more than listed, so that
 * no stop looks at it for its young objects.
 */
void oi_heap_tidy(struct oi_thread *t);
/* In pages of no thread alone. */
void oi_heap_harvest_orphans(struct oi_thread *self);
/* No collection walks the heap any more: what was kept for it goes back. Outside the gate of @t; NULL: in the child of a fork. */
void oi_heap_end_walk(struct oi_thread *t);
/* Purges what is free and cached. */
void oi_heap_purge(void);
/* The tick: gives back memory that has been cached for long. True: there is more. */
bool oi_heap_trim(void);
/* World stopped: @p, on no list, goes onto that of its heap. */
void oi_heap_add_young(struct oi_page *p);
/* The list of pages with young objects of heaps without a thread. */
extern struct oi_heap oi_orphans;

/* What large objects that can be traversed occupy. */
int64_t oi_heap_large_bytes(void);
/* What all that were ever made did. */
int64_t oi_heap_large_made(void);

void oi_heap_lock(void);
void oi_heap_unlock(void);

#endif
