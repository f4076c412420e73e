/*
 * empty.c - what becomes of empty pages, and of the memory they leave
 *
 * An empty page is given back to its region, from where the tick gives its memory back to the
 * system. While a collection walks the heap, a page of tracked objects must stay what it is: it is
 * kept, which is a flag and a list, until the walk ends, and is meanwhile an orphan.
 */
#include "heap/empty.h"

#include "base/lock.h"
#include "base/remnant.h"
#include "base/wake.h"
#include "heap/bin.h"
#include "heap/candidate.h"
#include "heap/foreign.h"
#include "heap/heap.h"
#include "heap/orphan.h"
#include "heap/region.h"
#include "world/context.h"
#include "world/gate.h"
#include "world/thread.h"

static struct oi_page *kept; /* under the heap lock */

bool oi_page_keep(struct oi_page *p)
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

void oi_heap_unlock_freed(void)
{
	bool excess = oi_pages_excess();
	oi_heap_unlock();
	if (unlikely(excess))
		oi_wake_trim();
}

/*
 * Under the heap lock. Gives an empty page back; if it must stay what it is, it goes to the threads
 * that need one of that size. Otherwise the pages that each thread had at its peak would be kept
 * from all others for as long as collections walk, which on a busy machine is always.
 */
static void give_up(struct oi_heap *heap, struct oi_page *p)
{
	if (!oi_page_keep(p)) {
		if (p->listed)
			oi_bin_remove(heap, p);
		oi_heap_remove_page(heap, p);
		oi_pages_free(p);
	} else if (heap != &oi_orphans) {
		oi_orphan_make(heap, p);
	}
}

bool oi_page_retire(struct oi_heap *heap, struct oi_page *p)
{
	/* recheck: heap_to_queue_at, by a freer that is late */
	if (p->used || oi_load_acquire(&p->remote_queued))
		return false;
	give_up(heap, p);
	return true;
}

void oi_page_emptied(struct oi_heap *heap, struct oi_page *p)
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
		oi_heap_unlock_freed();
}

static void tidy_bin(struct oi_heap *heap, struct oi_bin *b)
{
	struct oi_page *p = b->current;
	while (b->pages && oi_page_retire(heap, b->pages))
		;
	if (!p)
		return;
	p->current = false;
	b->current = NULL;
	if (!oi_page_retire(heap, p))
		oi_bin_offer(heap, p);
}

void oi_heap_tidy(struct oi_thread *t)
{
	oi_assert_at_rest(t);
	struct oi_heap *heap = &t->heap;
	if (heap->leaving)
		return;
	oi_foreign_harvest(heap, OI_HARVEST_LONG);
	oi_heap_lock();
	for (unsigned i = 0; i < OI_BINS && heap->all; i++)
		tidy_bin(heap, &heap->bin[i]);
	oi_heap_unlock_freed();
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
		oi_foreign_queue(p);
}

void oi_heap_end_walk(struct oi_thread *t)
{
	oi_assert_outside(t);
	bool more = true;
	oi_store_release(&oi_candidates.walking, 0u); /* [G7]; oi_page_keep looks under the lock */
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
		oi_heap_unlock_freed();
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
	oi_pages_retry();
	oi_heap_unlock();
	for (bool more = true; more;) { /* others want the lock, in their gates */
		oi_heap_lock();
		more = oi_pages_purge();
		oi_heap_unlock();
	}
	oi_remnant_retry(SIZE_MAX);
}
