/*
 * large.c - objects too large for a page's blocks
 *
 * The state of a run becomes LARGE, without the heap lock, once it is zeroed: until then nobody
 * else looks at it. [H2]
 */
#include "heap/large.h"

#include <string.h>

#include "base/perturb.h"
#include "heap/empty.h"
#include "heap/heap.h"
#include "heap/huge.h"
#include "heap/orphan.h"
#include "heap/region.h"
#include "world/gate.h"
#include "world/thread.h"

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
struct oi_header *oi_large_alloc(struct oi_thread *t, size_t bytes, bool tracked)
{
	size_t n = (bytes + OI_PAGE - 1) / OI_PAGE;
	bool huge = n > OI_PAGES - OI_FIRST_PAGE;
	oi_heap_lock();
	struct oi_page *p = huge ? oi_huge_alloc(bytes) : oi_pages_alloc(n);
	if (p) {
		oi_page_init(p, tracked ? OI_CLASSES : 0, (bytes + 15) & ~(size_t)15);
		p->used = p->bump = 1;
		p->tracked = tracked;
		p->bin = OI_BIN_LARGE;
		/* recheck: queue_pages, by a freer that is late */
		oi_store_release(&p->heap, &oi_orphans);
	}
	oi_heap_unlock_taken();
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

void oi_large_free(struct oi_page *p)
{
	if (p->tracked)
		oi_add_relaxed(&large_bytes, -(int64_t)p->block_size); /* count */
	oi_heap_lock();
	if (!oi_page_keep(p))
		oi_pages_free(p);
	oi_heap_unlock_freed();
}

void oi_large_shutdown(void)
{
	large_bytes = large_made = 0;
}
