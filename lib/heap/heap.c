/*
 * heap.c - per-thread allocation buffers
 *
 * Each thread owns pages of one block size and allocates from them without atomics: from the page's
 * free list, to which extend adds new blocks, some at a time; blocks of more than 1 KiB come by
 * bumping instead. A block freed by another thread is pushed onto its page's remote stack, and the
 * page, once, onto its heap's (remote_queued says so); the owner takes both in when it needs a
 * page. Large objects own runs of pages and belong to no thread. This is mimalloc's scheme (Leijen,
 * Zorn, de Moura 2019) with liburcu's lock-free stack.
 *
 * A page: free -> small (page_new) -> current <-> listed or full -> free (give_up). It is an orphan
 * when its thread leaves, or when it is empty but must stay for a walk (make_orphan), and current
 * again in the heap of the thread that adopts it. A page's heap and state change under the heap
 * lock, except that a large run becomes LARGE once it is zeroed: until then nobody else looks at
 * it.
 * [H1] A freer pushes the block, then looks at remote_queued; the owner clears remote_queued, then
 * takes the blocks. All are sequentially consistent: either the owner takes the block or the freer
 * queues the page again.
 * [H3] A freer queues the page at its heap, then looks whether that is still its heap; a thread
 * that leaves moves its pages, then takes what is queued.
 * [H2] state is stored last, with release, and read with acquire by walkers (beside.c).
 * INV-H1 (outside operations) used = blocks neither in free nor above bump; those in remote still
 * count in used.
 * INV-H2 (always) all objects whose own is a thread's key lie in pages of that thread's heap.
 */
#include "heap/heap.h"

#include <limits.h>
#include <string.h>

#include "base/lock.h"
#include "base/os.h"
#include "base/perturb.h"
#include "base/remnant.h"
#include "base/wake.h"
#include "world/context.h"
#include "world/gate.h"
#include "world/object.h"
#include "world/thread.h"

#define HARVEST 4 /* pages */
/* pages, while another thread is kept out of its gate, or waits for it: about 0.1 ms */
#define HARVEST_FOR 16

struct oi_heap oi_orphans; /* the pages of no thread; under the heap lock */
static struct oi_page *kept; /* under the heap lock */
static int64_t large_made;
static int64_t large_bytes; /* of large objects that can be traversed */

int64_t oi_heap_large_bytes(void)
{
	return oi_load_relaxed(&large_bytes); /* count */
}

int64_t oi_heap_large_made(void)
{
	return oi_load_relaxed(&large_made); /* count */
}

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
	large_bytes = large_made = 0;
}

/* ---- lists ---- */

static void bin_add(struct oi_heap *heap, struct oi_page *p)
{
	struct oi_bin *b = &heap->bin[p->bin];
	p->previous = NULL;
	p->next = b->pages;
	if (b->pages)
		b->pages->previous = p;
	b->pages = p;
	p->listed = true;
}

static void bin_remove(struct oi_heap *heap, struct oi_page *p)
{
	if (p->previous)
		p->previous->next = p->next;
	else
		heap->bin[p->bin].pages = p->next;
	if (p->next)
		p->next->previous = p->previous;
	p->listed = false;
}

static void heap_add(struct oi_heap *heap, struct oi_page *p)
{
	p->heap_previous = NULL;
	p->heap_next = heap->all;
	if (heap->all)
		heap->all->heap_previous = p;
	oi_store_relaxed(&heap->all, p); /* recheck: adopt looks at the orphans' without the lock */
	oi_store_release(&p->heap, heap); /* recheck: queue_pages looks again [H3] */
}

static void heap_remove(struct oi_heap *heap, struct oi_page *p)
{
	if (p->heap_previous)
		p->heap_previous->heap_next = p->heap_next;
	else
		oi_store_relaxed(&heap->all, p->heap_next); /* recheck: as in heap_add */
	if (p->heap_next)
		p->heap_next->heap_previous = p->heap_previous;
}

static bool has_room(const struct oi_page *p)
{
	return p->free || p->bump < p->capacity;
}

/* Pages without a thread need no note: they are looked at anyway. */
static void note_heap(enum oi_keys which, struct oi_heap *heap)
{
	if (heap != &oi_orphans)
		oi_keyset_add(which, caa_container_of(heap, struct oi_thread, heap)->key);
}

static void add_young(struct oi_heap *heap, struct oi_page *p)
{
	if (p->on_young || !p->tracked)
		return;
	p->on_young = true;
	p->young_next = heap->young;
	if (!heap->young)
		note_heap(OI_KEYS_YOUNG, heap);
	heap->young = p;
}

void oi_heap_add_young(struct oi_page *p)
{
	oi_assert_stopped();
	add_young(p->heap, p);
}

/* ---- freeing ---- */

void oi_block_spoil(struct oi_header *h, const struct oi_page *p)
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

/*
 * Under the heap lock. @p is empty, or large and its object dead. Returns true if it must stay what
 * it is since a collection walks, and it is on the list for the end of that.
 */
static bool keep(struct oi_page *p)
{
	oi_assert_locked(OI_LOCK_HEAP);
	if (!p->tracked || (!p->kept && !oi_heap_walked()))
		return false;
	if (!p->kept) {
		p->kept = true;
		p->kept_next = kept;
		kept = p;
	}
	return true;
}

/* Releases the heap lock after something was freed; the tick is asked for if much is cached. */
static void unlock_freed(void)
{
	bool excess = oi_pages_excess();
	oi_heap_unlock();
	if (unlikely(excess))
		oi_wake_trim();
}

/* Under the heap lock. The page stays on the list of young pages of @heap. */
static void make_orphan(struct oi_heap *heap, struct oi_page *p)
{
	if (p->listed)
		bin_remove(heap, p);
	heap_remove(heap, p);
	heap_add(&oi_orphans, p);
	if (has_room(p))
		bin_add(&oi_orphans, p);
}

/*
 * Under the heap lock. Gives an empty page back; if it must stay what it is, it goes to the threads
 * that need one of that size. Otherwise the pages that each thread had at its peak would be kept
 * from all others for as long as collections walk, which on a busy machine is always.
 */
static void give_up(struct oi_heap *heap, struct oi_page *p)
{
	if (!keep(p)) {
		if (p->listed)
			bin_remove(heap, p);
		heap_remove(heap, p);
		oi_pages_free(p);
	} else if (heap != &oi_orphans) {
		make_orphan(heap, p);
	}
}

/* Under the heap lock. Returns true if the page was empty, and is given up. */
static bool retire(struct oi_heap *heap, struct oi_page *p)
{
	/* recheck: heap_to_queue_at, by a freer that is late */
	if (p->used || oi_load_acquire(&p->remote_queued))
		return false;
	give_up(heap, p);
	return true;
}

/*
 * Gives an empty page back, unless it is the only one of that size in which its thread has room, or
 * the thread walks its pages as it leaves: then oi_heap_abandon gives it back. Called by the owner,
 * or under the heap lock for orphans.
 */
static void page_empty(struct oi_heap *heap, struct oi_page *p)
{
	bool orphan = heap == &oi_orphans;
	if (p->current || heap->leaving ||
	    (!orphan && p->listed && !p->next && !p->previous && !heap->bin[p->bin].current))
		return;
	/* recheck: a stack still links the page, and harvesting comes back here */
	if (oi_load_acquire(&p->remote_queued))
		return;
	if (!orphan)
		oi_heap_lock();
	give_up(heap, p);
	if (!orphan)
		unlock_freed();
}

static void local_free(struct oi_heap *heap, struct oi_page *p, const struct oi_chain *c)
{
	c->last->next = p->free;
	p->free = c->first;
	p->used -= c->n;
	if (unlikely(!p->listed) && !p->current)
		bin_add(heap, p);
	if (unlikely(p->used == 0))
		page_empty(heap, p);
}

/*
 * Returns the heap at which to queue the page, or NULL if it need not be queued. remote_queued was
 * set by the caller. A freer can be so late that the owner has taken its block in and given the
 * empty page back. So a page without a heap is not queued, unless it has meanwhile been put to use
 * again and has blocks waiting.
 */
static struct oi_heap *heap_to_queue_at(struct oi_page *p)
{
	struct oi_heap *heap;
	while (!(heap = oi_load_acquire(&p->heap))) { /* recheck: queue_pages looks again [H3] */
		oi_exchange_seq_cst(&p->remote_queued, 0u); /* [H1] */
		if (!__atomic_load_n(&p->remote.head, __ATOMIC_SEQ_CST) || /* [H1] */
		    oi_exchange_seq_cst(&p->remote_queued, 1u)) /* [H1] */
			break;
	}
	return heap;
}

static struct cds_lfs_node *join(struct cds_lfs_node *first, struct cds_lfs_node *rest)
{
	struct cds_lfs_node *last = first;
	while (last && last->next)
		last = last->next;
	if (last)
		last->next = rest;
	return last ? first : rest;
}

/*
 * Before a page is pushed it can change hands, and the heap onto which it is pushed may belong to a
 * thread that is gone, where nobody would look. So we look again: what lies there goes on to the
 * heap it belongs to. [H3] A thread that leaves moves its pages, then takes its stack; pushes and
 * takings are in one order. So either it takes this page, or we see here that the page has moved.
 */
static void queue_pages(struct cds_lfs_node *todo)
{
	while (todo) {
		struct oi_page *p = caa_container_of(todo, struct oi_page, remote_link);
		todo = todo->next;
		struct oi_heap *heap = heap_to_queue_at(p);
		if (!heap)
			continue;
		oi_point("queue a page");
		oi_stack_push(&heap->remote, &p->remote_link);
		note_heap(OI_KEYS_REMOTE, heap); /* [B2] */
		if (unlikely(oi_load_acquire(&p->heap) != heap)) /* [H3] */
			todo = join(oi_stack_take_all(&heap->remote), todo);
	}
}

static void queue_page(struct oi_page *p)
{
	p->remote_link.next = NULL;
	queue_pages(&p->remote_link);
}

static void remote_free(struct oi_page *p, const struct oi_chain *c)
{
	oi_stack_push_chain(&p->remote, c->first, c->last);
	if (__atomic_load_n(&p->remote_queued, __ATOMIC_SEQ_CST) == 0 && /* [H1] */
	    oi_exchange_seq_cst(&p->remote_queued, 1u) == 0) /* [H1] */
		queue_page(p);
}

static void large_free(struct oi_page *p)
{
	if (p->tracked)
		oi_add_relaxed(&large_bytes, -(int64_t)p->block_size); /* count */
	oi_heap_lock();
	if (!keep(p))
		oi_pages_free(p);
	unlock_freed();
}

void oi_chain_free(struct oi_thread *t, struct oi_page *p, const struct oi_chain *c)
{
	oi_assert_at_rest(t);
	if (unlikely(!c->n))
		return;
	if (unlikely(p->state == OI_PAGE_LARGE))
		large_free(p);
	else if (oi_load_relaxed(&p->heap) == &t->heap) /* owner: only this thread makes it so */
		local_free(&t->heap, p, c);
	else
		remote_free(p, c);
}

void oi_block_free(struct oi_thread *t, struct oi_header *h)
{
	struct oi_page *p = oi_page_of(h);
	struct oi_chain c = { .n = 0 };
	oi_chain_add(&c, h, p);
	oi_chain_free(t, p, &c);
}

/*
 * Takes in what others freed in a page of this heap. Called by the owner, or under the heap lock
 * for orphans; only for a page just popped from a remote stack: to clear remote_queued while the
 * page is still linked there would let it be linked twice.
 */
static void harvest_page(struct oi_heap *heap, struct oi_page *p)
{
	oi_exchange_seq_cst(&p->remote_queued, 0u); /* [H1] */
	oi_point("harvest");
	struct cds_lfs_node *node = oi_stack_take_all(&p->remote);
	if (!node)
		return;
	uint32_t n = 1;
	struct cds_lfs_node *last = node;
	for (; last->next; last = last->next)
		n++;
	last->next = p->free;
	p->free = node;
	p->used -= n;
	if (!p->listed && !p->current)
		bin_add(heap, p);
}

/*
 * Takes in up to @max pages: each may mean walking a thousand cold blocks, and a thread that
 * allocates is inside its gate.
 */
static void harvest(struct oi_heap *heap, unsigned max)
{
	for (struct cds_lfs_node *node;
	     max && ((node = heap->pending) || (node = oi_stack_take_all(&heap->remote))); max--) {
		/* recheck: oi_heap_harvest_idle looks */
		oi_store_relaxed(&heap->pending, node->next);
		struct oi_page *p = caa_container_of(node, struct oi_page, remote_link);
		struct oi_heap *owner = oi_load_acquire(&p->heap); /* recheck: queue_page */
		if (owner == heap) {
			harvest_page(heap, p);
			if (p->used == 0)
				page_empty(heap, p);
		} else {
			/* it changed hands after the freer looked: to its new heap */
			queue_page(p);
		}
	}
}

/* Returns true if the heap has foreign frees that it has not taken in. */
static bool has_remote(const struct oi_heap *heap)
{
	return oi_load_relaxed(&heap->remote.head) || oi_load_relaxed(&heap->pending); /* recheck */
}

/* ---- getting pages ---- */

static void page_init(struct oi_page *p, unsigned bin, size_t block_size)
{
	p->free = NULL;
	p->used = p->bump = 0;
	p->block_size = block_size;
	p->capacity = block_size > OI_BLOCK_MAX ? 1 : (uint32_t)(OI_PAGE / block_size);
	p->reciprocal = (uint32_t)(((UINT64_C(1) << 32) + block_size - 1) / block_size);
	p->bin = (uint8_t)bin;
	p->tracked = bin >= OI_CLASSES;
	p->listed = p->current = false;
	/* remote and remote_queued stay as they are: a late freer may be at them */
	memset(oi_young_bits(p, 0), 0, 2 * OI_BITMAP * 8);
}

static struct oi_page *page_new(struct oi_heap *heap, unsigned bin)
{
	oi_heap_lock();
	struct oi_page *p = oi_pages_alloc(1);
	if (p) {
		page_init(p, bin, oi_class_bytes(bin % OI_CLASSES));
		heap_add(heap, p);
		oi_store_release(&p->state, (uint8_t)OI_PAGE_SMALL); /* [H2] */
	}
	oi_heap_unlock();
	return p;
}

/* Takes over a page with room that has no thread. */
static struct oi_page *adopt(struct oi_heap *heap, unsigned bin)
{
	if (!oi_load_relaxed(&oi_orphans.all)) /* recheck */
		return NULL;
	oi_heap_lock();
	harvest(&oi_orphans, HARVEST);
	struct oi_page *p = oi_orphans.bin[bin].pages;
	if (p) {
		bin_remove(&oi_orphans, p);
		heap_remove(&oi_orphans, p);
		heap_add(heap, p);
	}
	oi_heap_unlock();
	return p;
}

static OI_NOINLINE struct oi_page *next_page(struct oi_thread *t, unsigned bin)
{
	struct oi_heap *heap = &t->heap;
	struct oi_bin *b = &heap->bin[bin];
	if (b->current) {
		b->current->current = false;
		b->current = NULL;
	}
	/* Even if there is room: empty pages go back, and come again with their blocks in order. */
	harvest(heap, HARVEST);
	struct oi_page *p = b->pages;
	if (p)
		bin_remove(heap, p);
	else if (!(p = adopt(heap, bin)))
		p = page_new(heap, bin);
	if (!p)
		return NULL;
	p->current = true;
	b->current = p;
	heap->turned = true;
	add_young(heap, p);
	return p;
}

/* ---- allocating ---- */

#define ZERO_AT_A_TIME ((size_t)1 << 20) /* 0.1 ms */

/*
 * Zeroes a run that has been used before, of up to 31 MiB: 8 ms. Nobody else sees it yet, so the
 * gate may be passed meanwhile, if another thread waits for that.
 */
static void zero_run(struct oi_thread *t, char *p, size_t bytes)
{
	for (size_t n; bytes; p += n, bytes -= n) {
		n = bytes < ZERO_AT_A_TIME ? bytes : ZERO_AT_A_TIME;
		memset(p, 0, n);
		oi_point("zero");
		/* recheck */
		if (oi_load_relaxed(&t->request) & (OI_REQUEST_STOP | OI_REQUEST_SEIZE)) {
			oi_gate_leave(t);
			oi_gate_enter(t);
		}
	}
}

/* Its object is born old: a stop that traverses it would take too long. */
static struct oi_header *large_alloc(struct oi_thread *t, size_t bytes, bool tracked)
{
	size_t n = (bytes + OI_PAGE - 1) / OI_PAGE;
	bool huge = n > OI_PAGES - OI_FIRST_PAGE;
	oi_heap_lock();
	struct oi_page *p = huge ? oi_huge_alloc(bytes) : oi_pages_alloc(n);
	if (p) {
		page_init(p, tracked ? OI_CLASSES : 0, (bytes + 15) & ~(size_t)15);
		p->used = p->bump = 1;
		p->tracked = tracked;
		p->bin = OI_BIN_LARGE;
		/* recheck: queue_pages, by a freer that is late */
		oi_store_release(&p->heap, &oi_orphans);
	}
	oi_heap_unlock();
	if (!p)
		return NULL;
	if (tracked) {
		oi_add_relaxed(&large_bytes, (int64_t)p->block_size); /* count */
		oi_add_relaxed(&large_made, (int64_t)p->block_size); /* count */
	}
	struct oi_header *h = oi_block_at(p, 0);
	oi_unpoison(h, p->block_size);
	if (!p->zeroed)
		zero_run(t, (char *)h, p->block_size);
	h->own = OI_OWN_FREE;
	oi_store_release(&p->state, (uint8_t)OI_PAGE_LARGE); /* [H2] */
	return h;
}

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
static void populate(struct oi_page *p, size_t from, size_t to)
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
	populate(p, i * p->block_size, end * p->block_size);
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
		return large_alloc(t, bytes, tracked);
	struct oi_page *p = t->heap.bin[bin].current;
	if (unlikely(!p || !has_room(p)) && !(p = next_page(t, bin)))
		return NULL;
	if (!p->free && p->block_size <= EXTEND_BYTES / 4)
		extend(p);
	return p->free ? oi_block_take(p, bytes, tracked) : take_new(p, bytes, tracked);
}

/* ---- leaving, stopping ---- */

/* Leaves no page current: a page must not be when it leaves the heap. */
static void close_bins(struct oi_heap *heap)
{
	for (struct oi_bin *b = heap->bin; b < heap->bin + OI_BINS; b++) {
		struct oi_page *p = b->current;
		if (!p)
			continue;
		b->current = NULL;
		p->current = false;
		if (has_room(p))
			bin_add(heap, p);
	}
}

/*
 * A thread that waits for the gate of one that leaves need not wait for all of its pages. Does
 * nothing in the child of a fork.
 */
static void pass_gate(struct oi_thread *t)
{
	if (t != oi_self)
		return;
	oi_gate_leave(t);
	oi_point("abandon");
	oi_gate_enter(t);
}

#define ORPHANS_AT_A_TIME 64 /* under the lock */

/* Returns true if there are more. */
static bool orphan_some(struct oi_heap *heap)
{
	oi_heap_lock();
	for (size_t i = 0; i < ORPHANS_AT_A_TIME && heap->all; i++)
		if (!retire(heap, heap->all))
			make_orphan(heap, heap->all);
	unlock_freed();
	return heap->all;
}

/*
 * Splices the list of young pages onto the orphans'. A page is on one list at most, so none is on
 * both.
 */
static void hand_over_young(struct oi_heap *heap)
{
	struct oi_page **end = &heap->young;
	while (*end)
		end = &(*end)->young_next;
	oi_heap_lock();
	*end = oi_orphans.young;
	oi_orphans.young = heap->young;
	heap->young = NULL;
	heap->resume = NULL;
	oi_heap_unlock();
}

void oi_heap_abandon(struct oi_thread *t)
{
	oi_assert_at_rest(t);
	struct oi_heap *heap = &t->heap;
	heap->leaving = false;
	for (harvest(heap, HARVEST_FOR); has_remote(heap); harvest(heap, HARVEST_FOR))
		pass_gate(t);
	close_bins(heap);
	while (orphan_some(heap))
		pass_gate(t);
	hand_over_young(heap);
	oi_heap_lock();
	harvest(heap, UINT_MAX); /* [H3] what was queued meanwhile goes on to the orphans */
	unlock_freed();
}

#define KEPT_AT_A_TIME 64

/*
 * Under the heap lock. Large ones go back; empty ones are queued for their owner to give back,
 * unless a stack links them anyway.
 */
static void release_kept(struct oi_page *p)
{
	p->kept = false;
	if (p->state == OI_PAGE_LARGE)
		oi_pages_free(p);
	else if (oi_exchange_seq_cst(&p->remote_queued, 1u) == 0) /* [H1] */
		queue_page(p);
}

void oi_heap_end_walk(struct oi_thread *t)
{
	oi_assert_outside(t);
	bool more = true;
	oi_store_relaxed(&oi_candidates.walking, 0u); /* recheck: keep, under the heap lock */
	while (more) {
		if (t)
			oi_gate_enter(t); /* pages do not vanish during a stop */
		oi_heap_lock();
		for (size_t i = 0; i < KEPT_AT_A_TIME && kept; i++) {
			struct oi_page *p = kept;
			kept = p->kept_next;
			release_kept(p);
		}
		more = kept;
		unlock_freed();
		if (t)
			oi_gate_leave(t);
	}
}

#define TRIM_TIMES 16 /* the lock is taken, in one tick */

bool oi_heap_trim(void)
{
	bool excess = true;
	for (size_t i = 0, n = 1; i < TRIM_TIMES && n; i++) {
		oi_heap_lock();
		n = oi_pages_trim();
		excess = oi_pages_excess();
		oi_heap_unlock();
	}
	return excess;
}

void oi_heap_purge(void)
{
	oi_heap_lock();
	oi_pages_ask_again();
	oi_heap_unlock();
	for (bool more = true; more;) { /* others want the lock, in their gates */
		oi_heap_lock();
		more = oi_pages_purge();
		oi_heap_unlock();
	}
	oi_remnant_retry(SIZE_MAX);
}

static void harvest_for(struct oi_thread *t, void *arg)
{
	(void)arg;
	harvest(&t->heap, HARVEST_FOR);
}

static void tidy_bin(struct oi_heap *heap, struct oi_bin *b)
{
	struct oi_page *p = b->current;
	while (b->pages && retire(heap, b->pages))
		;
	if (!p)
		return;
	p->current = false;
	b->current = NULL;
	if (!retire(heap, p) && has_room(p))
		bin_add(heap, p);
}

void oi_heap_tidy(struct oi_thread *t)
{
	oi_assert_at_rest(t);
	struct oi_heap *heap = &t->heap;
	if (heap->leaving)
		return;
	harvest(heap, HARVEST_FOR);
	oi_heap_lock();
	for (unsigned i = 0; i < OI_BINS && heap->all; i++)
		tidy_bin(heap, &heap->bin[i]);
	unlock_freed();
}

void oi_heap_harvest_orphans(struct oi_thread *self)
{
	oi_assert_unpinned(self);
	while (has_remote(&oi_orphans)) {
		oi_gate_enter(self); /* pages do not vanish during a stop */
		oi_heap_lock();
		harvest(&oi_orphans, HARVEST_FOR);
		unlock_freed();
		oi_gate_leave(self);
	}
}

void oi_heap_harvest_idle(struct oi_thread *self)
{
	oi_assert_unpinned(self);
	struct oi_key_walk walk = { 0 };
	uint16_t key;
	while ((key = oi_keyset_take(OI_KEYS_REMOTE, &walk))) { /* [B2] */
		struct oi_thread *t = oi_thread_of_key(key);
		while (has_remote(&t->heap) && oi_world_seize(t, harvest_for, NULL))
			;
		if (has_remote(&t->heap))
			oi_keyset_add(OI_KEYS_REMOTE, key);
	}
	while (has_remote(&self->heap)) {
		oi_gate_enter(self);
		harvest(&self->heap, HARVEST_FOR);
		oi_gate_leave(self);
	}
	oi_heap_harvest_orphans(self);
}
