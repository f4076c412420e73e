/*
 * bin.h - the lists a page is in: its heap's, of all pages, and its bin's, of those with room
 *
 * A bin is a heap's pages of one block size. A page is either current, the one that its bin
 * allocates from, or listed if it has room, or full. Called by the heap's thread, or under the heap
 * lock for orphans; a page's heap changes under that lock alone.
 */
#ifndef OI_BIN_H
#define OI_BIN_H

#include "base/compiler.h"
#include "heap/orphan.h"
#include "heap/region.h"
#include "world/keyset.h"
#include "world/thread.h"

OI_INLINE void oi_bin_add(struct oi_heap *heap, struct oi_page *p)
{
	struct oi_bin *b = &heap->bin[p->bin];
	p->previous = NULL;
	p->next = b->pages;
	if (b->pages)
		b->pages->previous = p;
	b->pages = p;
	p->listed = true;
}

OI_INLINE void oi_bin_remove(struct oi_heap *heap, struct oi_page *p)
{
	if (p->previous)
		p->previous->next = p->next;
	else
		heap->bin[p->bin].pages = p->next;
	if (p->next)
		p->next->previous = p->previous;
	p->listed = false;
}

OI_INLINE void oi_heap_add_page(struct oi_heap *heap, struct oi_page *p)
{
	p->heap_previous = NULL;
	p->heap_next = heap->all;
	if (heap->all)
		heap->all->heap_previous = p;
	/* recheck: oi_orphan_adopt looks at the orphans' without the lock */
	oi_store_relaxed(&heap->all, p);
	oi_store_release(&p->heap, heap); /* recheck: queue_pages looks again [H3] */
}

OI_INLINE void oi_heap_remove_page(struct oi_heap *heap, struct oi_page *p)
{
	if (p->heap_previous)
		p->heap_previous->heap_next = p->heap_next;
	else
		oi_store_relaxed(&heap->all, p->heap_next); /* recheck: as in oi_heap_add_page */
	if (p->heap_next)
		p->heap_next->heap_previous = p->heap_previous;
}

/* Returns true if its owner can take a block without looking at what others have freed. */
OI_INLINE bool oi_page_has_room(const struct oi_page *p)
{
	return p->free || p->bump < p->capacity;
}

/* Lists a page that is neither listed nor current, if it has any block to take. */
OI_INLINE void oi_bin_offer(struct oi_heap *heap, struct oi_page *p)
{
	/* recheck: who frees there after this look queues the page */
	if (oi_page_has_room(p) || oi_load_relaxed(&p->remote))
		oi_bin_add(heap, p);
}

/* Makes no page current; returns the one that was, or NULL. */
OI_INLINE struct oi_page *oi_bin_close(struct oi_heap *heap, struct oi_bin *b)
{
	struct oi_page *p = b->current;
	if (!p)
		return NULL;
	b->current = NULL;
	p->current = false;
	oi_bin_offer(heap, p); /* others may have freed in it */
	return p;
}

/* Pages without a thread need no note: they are looked at anyway. */
OI_INLINE void oi_heap_note(enum oi_keys which, struct oi_heap *heap)
{
	if (heap != &oi_orphans)
		oi_keyset_add(which, caa_container_of(heap, struct oi_thread, heap)->key);
}

#endif
