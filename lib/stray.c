/* stray.c - dead objects that could not be queued for want of memory. See stray.h. */
#include "stray.h"

#include "background.h"
#include "death.h"
#include "gate.h"
#include "heap.h"
#include "merge.h"
#include "ticket.h"

static uint64_t n_strays;

bool oi_stray_any(void)
{
	return oi_load_relaxed(&n_strays) != 0; /* recheck */
}

/* The kind is kept in local for the dead, who do not count there. */
void oi_stray_add(struct oi_header *h, enum oi_stray kind)
{
	if (kind != OI_STRAY_MERGE)
		oi_store_relaxed(&h->local, (uint32_t)kind);
	oi_or_acq_rel(&h->flags, (uint8_t)OI_FLAG_STRAY); /* [Y1] release: local; pairs with find */
	oi_add_relaxed(&n_strays, 1);
	oi_background_reap();
}

/* One stray object, or NULL. World stopped: then a merge on the owner's behalf is safe too. */
static struct oi_header *find(void)
{
	oi_for_each_page(p)
		for (uint32_t i = 0; i < p->bump; i++) {
			struct oi_header *h = oi_block_at(p, i);
			if (oi_load_relaxed(&h->own) != OI_OWN_FREE && (oi_flags(h) & OI_FLAG_STRAY)) /* [Y1] stopped */
				return h;
		}
	return NULL;
}

/* In one stop. False: there is none. */
static bool serve_one(struct oi_thread *t)
{
	struct oi_stop stop;
	oi_world_stop(&stop);
	struct oi_header *h = find();
	enum oi_stray kind = OI_STRAY_MERGE;
	if (h) {
		oi_and_acq_rel(&h->flags, (uint8_t)~OI_FLAG_STRAY);
		if (oi_is_dead(h))
			kind = (enum oi_stray)oi_load_relaxed(&h->local);
		else
			oi_merge_stray(h);
		oi_add_relaxed(&n_strays, (uint64_t)-1); /* in the stop: no fork between the two */
	}
	oi_world_start(&stop); /* which was a grace period */
	if (!h)
		return false;
	if (kind == OI_STRAY_DEATH) {
		oi_death(t, h);
	} else if (kind == OI_STRAY_BLOCK) {
		oi_gate_enter(t);
		oi_block_free(t, h);
		oi_gate_leave(t);
	}
	return true;
}

void oi_stray_serve(void)
{
	bool more = true;
	while (more && oi_stray_any()) {
		struct oi_thread *t = oi_current();
		oi_serve_begin(t); /* flush must not miss what is a stray no longer and not yet dead */
		oi_hand_takes(t, OI_STAMP_OLD);
		more = serve_one(t);
		oi_serve_end(t);
	}
}
