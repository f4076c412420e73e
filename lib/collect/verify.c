/*
 * verify.c - the heap verifier
 *
 * Invariants, by number (lib/README.md has the table). Each is defined at the module named:
 *   C1 object.h      a live object has at least one reference, unless a merge waits for it
 *   C2 object.h      DEAD implies MERGED
 *   C3 object.h      biased implies a local count, a queue or a shared count
 *   C4 object.h      own is merged, a thread's key, immortal, gone or free; own merged implies
 *                    MERGED
 *   C5 trial.c       references from live objects never exceed an object's count
 *   H1 heap.c        blocks handed out = blocks in use + free ones in the page's lists
 *   H2 heap.c        a biased object lies in a page of its owner's heap
 *   P1 generation.c  what the pacing counts as young, of either age, is what has bits and is not
 *                    gone
 *   S1 slot.c        a slot of a live object holds NULL or an object that is not free
 *   T1 trial.c       the side arrays are zero between collections
 *   W1 weak.c        the flag WEAK and an index in the page's table go together; the entry names
 *                    the object, or nothing
 */
#include "collect/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "collect/generation.h"
#include "count/count.h"
#include "count/weak.h"
#include "heap/foreign.h"
#include "heap/candidate.h"
#include "heap/heap.h"
#include "heap/type.h"
#include "world/gate.h"
#include "world/gclock.h"

static char message[256];

static OI_PRINTF(1, 2) const char *violated(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(message, sizeof message, format, ap);
	va_end(ap);
	return message;
}

static const char *check_counts(struct oi_header *h)
{
	uint32_t s = h->shared;
	uint16_t own = oi_owner_of(h);
	const char *name = oi_type_of(h)->name;
	void *obj = oi_object_of(h);
	if ((s & OI_DEAD) && !(s & OI_MERGED))
		return violated("INV-C2: \"%s\" at %p is dead but not merged", name, obj);
	if (own == OI_OWN_MERGED && !(s & OI_MERGED))
		return violated("INV-C4: \"%s\" at %p has no owner and is not merged", name, obj);
	if (own > OI_OWN_KEY_MAX && own != OI_OWN_IMMORTAL && own != OI_OWN_GONE)
		return violated("INV-C4: \"%s\" at %p has owner %u", name, obj, own);
	if (s & OI_DEAD)
		return NULL;
	if (!(s & OI_MERGED) && own != OI_OWN_IMMORTAL && !h->local && !(s & OI_QUEUED) &&
	    oi_shared_count(s) <= 0)
		return violated("INV-C3: \"%s\" at %p is biased without a count", name, obj);
	if ((s & OI_MERGED) && !(s & OI_QUEUED) && oi_shared_count(s) <= 0)
		return violated("INV-C1: \"%s\" at %p lives without a reference", name, obj);
	return NULL;
}

static const char *check_home(struct oi_page *p, struct oi_header *h)
{
	uint16_t own = oi_owner_of(h);
	if (own == OI_OWN_MERGED || own > OI_OWN_KEY_MAX || oi_is_committed(h))
		return NULL;
	struct oi_thread *t = oi_thread_of_key(own);
	if (!t || (p->heap != &t->heap && !t->dead))
		return violated("INV-H2: \"%s\" at %p lies outside its owner's pages",
				oi_type_of(h)->name, oi_object_of(h));
	return NULL;
}

struct slot_check {
	struct oi_header *parent;
	const char *error;
};

static void check_child(void *child, void *arg)
{
	struct slot_check *c = arg;
	struct oi_header *h = oi_header_of(child);
	if (c->error)
		return;
	if (!oi_region_contains(h) || ((uintptr_t)h & 15) || h->own == OI_OWN_FREE)
		c->error = violated("INV-S1: a slot of \"%s\" at %p holds %p, which is no object",
				    oi_type_of(c->parent)->name, oi_object_of(c->parent), child);
}

static const char *check_weak(struct oi_page *p, struct oi_header *h)
{
	uint32_t index = p->weak_index ? p->weak_index[oi_block_index(p, h)] : 0;
	bool flag = h->flags & OI_FLAG_WEAK;
	if (flag != (index != 0))
		return violated("INV-W1: \"%s\" at %p: flag %d, index %u", oi_type_of(h)->name,
				oi_object_of(h), flag, index);
	if (index && !oi_weak_names(index, h))
		return violated("INV-W1: \"%s\" at %p: entry %u is another object's",
				oi_type_of(h)->name, oi_object_of(h), index);
	return NULL;
}

static const char *check_block(struct oi_page *p, size_t i)
{
	struct oi_header *h = oi_block_at(p, i);
	const char *error;
	if (oi_region_of(h)->side[oi_page_index(p)][i])
		return violated("INV-T1: side byte of block %zu of the page at %p is set", i,
				(void *)oi_page_start(p));
	if (h->own == OI_OWN_FREE)
		return NULL;
	if ((error = check_counts(h)) || (error = check_home(p, h)))
		return error;
	if ((h->shared & OI_DEAD) || (h->flags & OI_FLAG_GARBAGE))
		return NULL; /* it is being taken apart */
	if ((error = check_weak(p, h)))
		return error;
	struct slot_check c = { h, NULL };
	oi_visit_all(h, check_child, &c);
	return c.error;
}

static uint32_t length(const struct cds_lfs_node *list)
{
	uint32_t n = 0;
	for (; list; list = list->next)
		n++;
	return n;
}

static const char *check_page(struct oi_page *p)
{
	uint32_t free_blocks = 0;
	const char *error;
	for (uint32_t i = 0; i < p->bump; i++) {
		if ((error = check_block(p, i)))
			return error;
		free_blocks += oi_block_at(p, i)->own == OI_OWN_FREE;
	}
	if (p->state != OI_PAGE_SMALL)
		return NULL;
	uint32_t used = p->used - oi_remote_count(p->remote),
		 in_list = length(p->free) + length(oi_remote_first(p->remote));
	if (used + in_list != p->bump || in_list > free_blocks)
		return violated("INV-H1: page at %p: %u used + %u free != %u handed out (%u marked free)",
				(void *)oi_page_start(p), used, in_list, p->bump, free_blocks);
	return NULL;
}

/*
 * ---- C5: each reference from a live object is taken off the count of what it refers to; then
 * counts are looked at, and get it back ----
 */

static void count_reference(void *child, void *arg)
{
	(void)arg;
	oi_header_of(child)->shared -= OI_ONE;
}

static void give_reference_back(void *child, void *arg)
{
	(void)arg;
	oi_header_of(child)->shared += OI_ONE;
}

static void for_each_live(void (*fn)(void *child, void *arg))
{
	oi_for_each_page(p)
		for (uint32_t i = 0; i < p->bump; i++) {
			struct oi_header *h = oi_block_at(p, i);
			if (h->own != OI_OWN_FREE && !oi_is_dead(h) &&
			    !(h->flags & OI_FLAG_GARBAGE))
				oi_visit_all(h, fn, NULL);
		}
}

static const char *check_degrees(void)
{
	const char *error = NULL;
	for_each_live(count_reference);
	oi_for_each_page(p)
		for (uint32_t i = 0; i < p->bump && !error; i++) {
			struct oi_header *h = oi_block_at(p, i);
			if (h->own != OI_OWN_FREE && !oi_is_dead(h) &&
			    !(h->flags & OI_FLAG_IMMORTAL) && oi_references(h) < 0)
				error = violated("INV-C5: \"%s\" at %p has %lld references fewer than live objects hold",
						 oi_type_of(h)->name, oi_object_of(h),
						 (long long)-oi_references(h));
		}
	for_each_live(give_reference_back);
	return error;
}

static const char *check_heap(void)
{
	const char *error = NULL;
	oi_for_each_page(p)
		if (!error)
			error = check_page(p);
	if (!error)
		error = oi_generation_check();
	return error ? error : check_degrees();
}

const char *oi_verify_heap(void)
{
	struct oi_stop stop;
	oi_current();
	oi_collect_lock(); /* the side bytes */
	oi_world_stop(&stop, OURO_STOP_CHECK);
	const char *error = check_heap();
	oi_world_start(&stop);
	oi_collect_unlock();
	return error;
}

#if OURO_CHECKED
void oi_verify_stopped(void)
{
	static int on = -1;
	if (on < 0) {
		const char *s = getenv("OURO_VERIFY");
		on = s && *s == '1';
	}
	const char *error = oi_generation_check();
	if (!error && on)
		error = check_heap();
	if (error)
		oi_abort("%s", error);
}
#endif
