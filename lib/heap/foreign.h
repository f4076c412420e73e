/*
 * foreign.h - blocks that other threads than the page's own have freed
 */
#ifndef OI_FOREIGN_H
#define OI_FOREIGN_H

#include "base/compiler.h"
#include "base/urcu.h"
#include "heap/heap.h"
#include "heap/region.h"
#include "world/record.h"

struct oi_thread;

#define OI_HARVEST 4 /* pages */
/* pages, while another thread is kept out of its gate, or waits for it: about 0.1 ms */
#define OI_HARVEST_LONG 16

/*
 * Queues a page in which others freed at its heap, for the owner to harvest. The caller has set
 * remote_queued.
 */
void oi_foreign_queue(struct oi_page *p);
/*
 * Called by the heap's thread, or under the heap lock for orphans. Takes in up to @max pages: each
 * may be empty then and go back, and a thread that allocates is inside its gate.
 */
void oi_foreign_harvest(struct oi_heap *heap, unsigned max);

/* Returns true if the heap has foreign frees that it has not taken in. */
OI_INLINE bool oi_foreign_waits(const struct oi_heap *heap)
{
	return oi_load_relaxed(&heap->remote.head) || oi_load_relaxed(&heap->pending); /* recheck */
}

#define OI_REMOTE_ONE (UINT64_C(1) << OI_ADDRESS_BITS) /* a page has fewer than 2^16 blocks */

/* Returns the newest of the blocks, which leads to the others, or NULL. */
OI_INLINE struct cds_lfs_node *oi_remote_first(uint64_t remote)
{
	return (struct cds_lfs_node *)(uintptr_t)(remote & (OI_REMOTE_ONE - 1));
}

/* Returns how many of them used counts. */
OI_INLINE uint32_t oi_remote_count(uint64_t remote)
{
	return (uint32_t)(remote >> OI_ADDRESS_BITS);
}

/* Frees the blocks in a page of another thread. */
OI_INLINE void oi_foreign_free(struct oi_page *p, const struct oi_chain *c)
{
	uint64_t old = oi_load_relaxed(&p->remote), now; /* recheck */
	do {
		c->last->next = oi_remote_first(old);
		now = old - (uintptr_t)c->last->next + (uintptr_t)c->first + c->n * OI_REMOTE_ONE;
		/* [H1] */
	} while (!__atomic_compare_exchange_n(&p->remote, &old, now, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	if (__atomic_load_n(&p->remote_queued, __ATOMIC_SEQ_CST) == 0 && /* [H1] */
	    oi_exchange_seq_cst(&p->remote_queued, 1u) == 0) /* [H1] */
		oi_foreign_queue(p);
}

/*
 * Outside the gate. Takes in what others freed in the pages of this thread, of threads that are
 * outside and do not come by, and of no thread, so that empty pages go back.
 */
void oi_heap_harvest_idle(struct oi_thread *self);
/* Like oi_heap_harvest_idle, but only in the pages of no thread. */
void oi_heap_harvest_orphans(struct oi_thread *self);

#endif
