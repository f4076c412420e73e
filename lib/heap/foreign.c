/*
 * foreign.c - blocks that other threads than the page's own have freed
 *
 * A freer pushes its blocks onto the page's stack (remote), with their number in the same word, and
 * the page, once, onto its heap's (remote_queued says so). The owner harvests a page when it needs
 * one: it takes the number off used. The blocks stay where they are until it allocates from the
 * page and has no others (heap.c); then it takes them all, as they are linked. So nobody walks
 * them, which are cold. This is mimalloc's scheme (Leijen, Zorn, de Moura 2019) with that number,
 * and for pages liburcu's lock-free stack.
 *
 * An empty page may go back with blocks in its stack. Nobody pushes there then: what was handed out
 * has all been pushed.
 *
 * [H1] A freer pushes its blocks, then looks at remote_queued; the owner clears remote_queued, then
 * takes the count. All are sequentially consistent: either the owner takes the count or the freer
 * queues the page again. Model: tests/models/fences.pml.
 * [H3] A freer queues the page at its heap, then looks whether that is still its heap; a thread
 * that leaves moves its pages, then takes what is queued.
 */
#include "heap/foreign.h"

#include "base/perturb.h"
#include "heap/bin.h"
#include "heap/empty.h"
#include "heap/orphan.h"
#include "world/context.h"
#include "world/gate.h"
#include "world/thread.h"

/*
 * Returns the heap at which to queue the page, or NULL if it need not be queued. remote_queued was
 * set by the caller. A freer can be so late that the owner has taken its count and given the empty
 * page back. So a page without a heap is not queued, unless it has meanwhile been put to use again
 * and has a count waiting.
 */
static struct oi_heap *heap_to_queue_at(struct oi_page *p)
{
	struct oi_heap *heap;
	while (!(heap = oi_load_acquire(&p->heap))) { /* recheck: queue_pages looks again [H3] */
		oi_exchange_seq_cst(&p->remote_queued, 0u); /* [H1] */
		if (!oi_remote_count(__atomic_load_n(&p->remote, __ATOMIC_SEQ_CST)) || /* [H1] */
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
		oi_heap_note(OI_KEYS_REMOTE, heap); /* [B2] */
		if (unlikely(oi_load_acquire(&p->heap) != heap)) /* [H3] */
			todo = join(oi_stack_take_all(&heap->remote), todo);
	}
}

void oi_foreign_queue(struct oi_page *p)
{
	p->remote_link.next = NULL;
	queue_pages(&p->remote_link);
}

/*
 * Takes in how much others freed in a page of this heap. Called by the owner, or under the heap
 * lock for orphans; only for a page just popped from a remote stack: to clear remote_queued while
 * the page is still linked there would let it be linked twice. The owner may have taken the blocks
 * already, and their count with them.
 */
static void harvest_page(struct oi_heap *heap, struct oi_page *p)
{
	oi_exchange_seq_cst(&p->remote_queued, 0u); /* [H1] */
	oi_point("harvest");
	uint64_t addresses = OI_REMOTE_ONE - 1;
	/* [H1] */
	uint32_t n = oi_remote_count(__atomic_fetch_and(&p->remote, addresses, __ATOMIC_SEQ_CST));
	p->used -= n;
	if (n && !p->listed && !p->current)
		oi_bin_add(heap, p);
}

void oi_foreign_harvest(struct oi_heap *heap, unsigned max)
{
	for (struct cds_lfs_node *node;
	     max && ((node = heap->pending) || (node = oi_stack_take_all(&heap->remote))); max--) {
		/* recheck: oi_heap_harvest_idle looks */
		oi_store_relaxed(&heap->pending, node->next);
		struct oi_page *p = caa_container_of(node, struct oi_page, remote_link);
		struct oi_heap *owner = oi_load_acquire(&p->heap); /* recheck: oi_foreign_queue */
		if (owner == heap) {
			harvest_page(heap, p);
			if (p->used == 0)
				oi_page_emptied(heap, p);
		} else {
			/* it changed hands after the freer looked: to its new heap */
			oi_foreign_queue(p);
		}
	}
}

static void harvest_for(struct oi_thread *t, void *arg)
{
	(void)arg;
	oi_foreign_harvest(&t->heap, OI_HARVEST_LONG);
}

void oi_heap_harvest_orphans(struct oi_thread *self)
{
	oi_assert_unpinned(self);
	while (oi_foreign_waits(&oi_orphans)) {
		oi_gate_enter(self); /* pages do not vanish during a stop */
		oi_heap_lock();
		oi_foreign_harvest(&oi_orphans, OI_HARVEST_LONG);
		oi_heap_unlock_freed();
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
		while (oi_foreign_waits(&t->heap) && oi_world_seize(t, harvest_for, NULL))
			;
		if (oi_foreign_waits(&t->heap))
			oi_keyset_add(OI_KEYS_REMOTE, key);
	}
	while (oi_foreign_waits(&self->heap)) {
		oi_gate_enter(self);
		oi_foreign_harvest(&self->heap, OI_HARVEST_LONG);
		oi_gate_leave(self);
	}
	oi_heap_harvest_orphans(self);
}
