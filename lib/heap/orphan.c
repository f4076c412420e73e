/*
 * orphan.c - pages of no thread
 *
 * A page is an orphan when its thread has left, or when it is empty but must stay for a walk
 * (empty.c), and becomes current in the heap of the thread that adopts it.
 */
#include "heap/orphan.h"

#include <limits.h>

#include "base/perturb.h"
#include "heap/bin.h"
#include "heap/empty.h"
#include "heap/foreign.h"
#include "heap/heap.h"
#include "world/context.h"
#include "world/gate.h"
#include "world/thread.h"

struct oi_heap oi_orphans;

void oi_orphan_make(struct oi_heap *heap, struct oi_page *p)
{
	if (p->listed)
		oi_bin_remove(heap, p);
	oi_heap_remove_page(heap, p);
	oi_heap_add_page(&oi_orphans, p);
	oi_bin_offer(&oi_orphans, p);
}

struct oi_page *oi_orphan_adopt(struct oi_heap *heap, unsigned bin)
{
	if (!oi_load_relaxed(&oi_orphans.all)) /* recheck */
		return NULL;
	oi_heap_lock();
	oi_foreign_harvest(&oi_orphans, OI_HARVEST);
	struct oi_page *p = oi_orphans.bin[bin].pages;
	if (p) {
		oi_bin_remove(&oi_orphans, p);
		oi_heap_remove_page(&oi_orphans, p);
		oi_heap_add_page(heap, p);
	}
	oi_heap_unlock();
	return p;
}

/* Leaves no page current: a page must not be when it leaves the heap. */
static void close_bins(struct oi_heap *heap)
{
	for (struct oi_bin *b = heap->bin; b < heap->bin + OI_BINS; b++)
		oi_bin_close(heap, b);
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
		if (!oi_page_retire(heap, heap->all))
			oi_orphan_make(heap, heap->all);
	oi_heap_unlock_freed();
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
	for (oi_foreign_harvest(heap, OI_HARVEST_LONG); oi_foreign_waits(heap);
	     oi_foreign_harvest(heap, OI_HARVEST_LONG))
		pass_gate(t);
	close_bins(heap);
	while (orphan_some(heap))
		pass_gate(t);
	hand_over_young(heap);
	oi_heap_lock();
	oi_foreign_harvest(heap, UINT_MAX); /* [H3] what was queued meanwhile goes to the orphans */
	oi_heap_unlock_freed();
}
