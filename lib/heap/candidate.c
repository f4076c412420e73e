/* candidate.c - rescuing candidates of a collection. See Note [CANDIDATE]. */
#include "heap/candidate.h"

#include "base/os.h"
#include "base/perturb.h"
#include "world/context.h"
#include "world/thread.h"

struct oi_candidates oi_candidates;

/* Returns true if this call took it away. */
static bool take_flag(struct oi_header *h)
{
	uint16_t own = oi_load_relaxed(&h->own); /* recheck */
	do
		if (!(own & OI_OWN_CANDIDATE))
			return false;
	while (!oi_cas(&h->own, &own, (uint16_t)(own & ~OI_OWN_CANDIDATE))); /* [K2] */
	return true;
}

bool oi_rescue(struct oi_header *h)
{
	oi_assert_at_rest(oi_self);
	uint32_t c = oi_load_acquire(&oi_candidates.commit); /* [K1] */
	/* [K3] a stop decides, not the flag */
	if (c == OI_COMMIT_IDLE && oi_load_acquire(&oi_candidates.door))
		return true;
	do
		if (c == OI_COMMIT_DEAD)
			return false;
	while (c == OI_COMMIT_OPEN &&
	       !oi_cas(&oi_candidates.commit, &c, (uint32_t)OI_COMMIT_DIRTY)); /* [K1] */
	oi_perturb();
	if (!take_flag(h))
		return true;
	uint64_t i = oi_add_acq_rel(&oi_candidates.n_rescued, UINT64_C(1)); /* [K1] */
	if (i < OI_RESCUE_LOG)
		oi_store_release(&oi_candidates.rescued[i], h); /* [K1] */
	return true;
}

#define DOOR_NS 2000000

void oi_door_wait(void)
{
	oi_assert_unpinned(oi_self);
	if (oi_load_acquire(&oi_candidates.door)) /* [K3] */
		oi_futex_wait(&oi_candidates.door, 1, DOOR_NS);
}

void oi_unflag(struct oi_header *h)
{
	take_flag(h);
}
