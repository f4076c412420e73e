/*
 * heap.c - per-thread allocation buffers
 *
 * Each thread owns pages of one block size and allocates from them without atomics: from the page's
 * free list, to which extend adds new blocks, some at a time; blocks of more than 1 KiB come by
 * bumping instead. What other threads free comes back by way of foreign.c; large objects belong to
 * no thread (large.c).
 *
 * A page: free -> small (page_new) -> current <-> listed or full -> free (empty.c). It is an orphan
 * without a thread (orphan.c), and current again in the heap of the thread that adopts it. A page's
 * heap and state change under the heap lock, except that a large run becomes LARGE without it.
 * [H2] state is stored last, with release, and read with acquire by walkers (maps.c).
 * INV-H1 (outside operations) used - the count in remote = blocks neither in free, nor in remote,
 * nor above bump.
 * INV-H2 (always) all objects whose own is a thread's key lie in pages of that thread's heap.
 */
#include "heap/heap.h"

#include <string.h>

#include "base/lock.h"
#include "base/os.h"
#include "heap/bin.h"
#include "heap/empty.h"
#include "heap/foreign.h"
#include "heap/huge.h"
#include "heap/large.h"
#include "heap/orphan.h"
#include "world/context.h"
#include "world/object.h"
#include "world/thread.h"

void oi_heap_lock(void)
{
	oi_lock(OI_LOCK_HEAP);
}

void oi_heap_unlock(void)
{
	oi_unlock(OI_LOCK_HEAP);
}

size_t oi_class_bytes(unsigned c)
{
	if (c < 7)
		return 32 + 16 * c;
	return (size_t)(5 + (c - 7) % 4) << (5 + (c - 7) / 4);
}

void oi_heap_init(struct oi_heap *heap)
{
	__cds_lfs_init(&heap->remote);
}

void oi_heap_shutdown(void)
{
	memset(&oi_orphans, 0, sizeof oi_orphans);
	oi_heap_init(&oi_orphans);
	oi_large_shutdown();
}

static void add_young(struct oi_heap *heap, struct oi_page *p)
{
	if (p->on_young || !p->tracked)
		return;
	p->on_young = true;
	p->young_next = heap->young;
	if (!heap->young)
		oi_heap_note(OI_KEYS_YOUNG, heap);
	heap->young = p;
}

void oi_heap_add_young(struct oi_page *p)
{
	oi_assert_stopped();
	add_young(p->heap, p);
}

/* ---- freeing ---- */

void oi_block_poison(struct oi_header *h, const struct oi_page *p)
{
	char *rest = (char *)(oi_link_of(h) + 1);
	size_t n = p->block_size - sizeof *h - sizeof(struct cds_lfs_node);
	if (OURO_CHECKED && p->state == OI_PAGE_SMALL)
		memset(rest, 0xdb, n);
	if (OURO_CHECKED)
		h->counts = UINT64_C(0xdbdbdbd8dbdbdbdb) | (uint64_t)(OI_MERGED | OI_DEAD) << 32;
	oi_poison(&h->counts, sizeof h->counts);
	oi_poison(rest, n);
}

static void local_free(struct oi_heap *heap, struct oi_page *p, const struct oi_chain *c)
{
	c->last->next = p->free;
	p->free = c->first;
	p->used -= c->n;
	if (unlikely(!p->listed) && !p->current)
		oi_bin_add(heap, p);
	if (unlikely(p->used == 0))
		oi_page_emptied(heap, p);
}

void oi_chain_free(struct oi_thread *t, struct oi_page *p, const struct oi_chain *c)
{
	oi_assert_at_rest(t);
	if (unlikely(!c->n))
		return;
	if (unlikely(p->state == OI_PAGE_LARGE))
		oi_large_free(p);
	else if (oi_load_relaxed(&p->heap) == &t->heap) /* owner: only this thread makes it so */
		local_free(&t->heap, p, c);
	else
		oi_foreign_free(p, c);
}

void oi_block_free(struct oi_thread *t, struct oi_header *h)
{
	struct oi_page *p = oi_page_of(h);
	struct oi_chain c = { .n = 0 };
	oi_chain_add(&c, h, p);
	oi_chain_free(t, p, &c);
}

/* ---- getting pages ---- */

void oi_page_init(struct oi_page *p, unsigned bin, size_t block_size)
{
	p->free = NULL;
	p->used = p->bump = 0;
	p->block_size = block_size;
	p->capacity = block_size > OI_BLOCK_MAX ? 1 : (uint32_t)(OI_PAGE / block_size);
	p->reciprocal = (uint32_t)(((UINT64_C(1) << 32) + block_size - 1) / block_size);
	p->bin = (uint8_t)bin;
	p->tracked = bin >= OI_CLASSES;
	p->listed = p->current = false;
	/* recheck: heap_to_queue_at, by a late freer; remote_queued stays, for it as well */
	oi_store_relaxed(&p->remote, UINT64_C(0));
	memset(oi_young_bits(p, 0), 0, 2 * OI_BITMAP * 8);
}

static struct oi_page *page_new(struct oi_heap *heap, unsigned bin)
{
	oi_heap_lock();
	struct oi_page *p = oi_pages_alloc(1);
	if (p) {
		oi_page_init(p, bin, oi_class_bytes(bin % OI_CLASSES));
		oi_heap_add_page(heap, p);
		oi_store_release(&p->state, (uint8_t)OI_PAGE_SMALL); /* [H2] */
	}
	oi_heap_unlock_taken();
	return p;
}

/* Takes what others have freed in a page of this thread. */
static void take_remote(struct oi_page *p)
{
	uint64_t remote = oi_exchange(&p->remote, UINT64_C(0)); /* elsewhere: oi_foreign_free */
	p->free = oi_remote_first(remote);
	p->used -= oi_remote_count(remote);
}

static OI_NOINLINE struct oi_page *next_page(struct oi_thread *t, unsigned bin)
{
	struct oi_heap *heap = &t->heap;
	struct oi_bin *b = &heap->bin[bin];
	struct oi_page *p = oi_bin_close(heap, b);
	if (p && p->used == 0) /* as it was harvested while it was current */
		oi_page_emptied(heap, p);
	/* Even if there is room: empty pages go back, and come again with their blocks in order. */
	oi_foreign_harvest(heap, OI_HARVEST);
	p = b->pages;
	if (p)
		oi_bin_remove(heap, p);
	else if (!(p = oi_orphan_adopt(heap, bin)))
		p = page_new(heap, bin);
	if (!p)
		return NULL;
	p->current = true;
	b->current = p;
	if (!p->free)
		take_remote(p);
	heap->turned = true;
	add_young(heap, p);
	return p;
}

/* ---- allocating ---- */

static struct oi_header *take_new(struct oi_page *p, size_t bytes, bool tracked)
{
	size_t i = p->bump;
	struct oi_header *h = oi_block_at(p, i);
	oi_unpoison(h, p->block_size);
	if (!p->zeroed)
		oi_zero(oi_object_of(h), bytes - sizeof *h);
	h->own = OI_OWN_FREE;
	oi_store_release(&p->bump, (uint32_t)i + 1); /* [A1] */
	p->used++;
	if (tracked)
		oi_make_young(h, i);
	return h;
}

#define EXTEND_BYTES 4096

/*
 * Has the system map as much again as has been used, whenever that is used up: one call replaces a
 * page fault for each 4 KiB (28 ns an object in a heap that grows, 35 without).
 */
static void populate_ahead(struct oi_page *p, size_t from, size_t to)
{
	size_t used = (from + OI_OS_PAGE - 1) / OI_OS_PAGE, mapped = 2 * OI_OS_PAGE;
	while (mapped < used * OI_OS_PAGE)
		mapped *= 2;
	if (p->zeroed && used >= 2 && to > mapped && mapped < OI_PAGE)
		oi_os_populate(oi_page_start(p) + mapped, mapped);
}

/*
 * Puts the next EXTEND_BYTES of new blocks into the free list, in order: the calls that take them
 * are short (ouro_new).
 */
static void extend(struct oi_page *p)
{
	size_t i = p->bump, n = EXTEND_BYTES / p->block_size,
	       end = i + n < p->capacity ? i + n : p->capacity;
	struct cds_lfs_node **link = &p->free;
	populate_ahead(p, i * p->block_size, end * p->block_size);
	for (; i < end; i++) {
		struct oi_header *h = oi_block_at(p, i);
		oi_unpoison(h, sizeof *h + sizeof **link);
		h->own = OI_OWN_FREE;
		*link = oi_link_of(h);
		link = &(*link)->next;
	}
	*link = NULL;
	oi_store_release(&p->bump, (uint32_t)end); /* [A1] */
}

struct oi_header *oi_block_alloc(struct oi_thread *t, size_t bytes, unsigned bin, bool tracked)
{
	oi_assert_inside(t);
	if (bin == OI_BIN_LARGE)
		return oi_large_alloc(t, bytes, tracked);
	struct oi_page *p = t->heap.bin[bin].current;
	if (unlikely(!p || !oi_page_has_room(p)) && !(p = next_page(t, bin)))
		return NULL;
	if (!p->free && p->block_size <= EXTEND_BYTES / 4)
		extend(p);
	return p->free ? oi_block_take(p, bytes, tracked) : take_new(p, bytes, tracked);
}
