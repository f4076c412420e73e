/* generation.h - which objects a young collection examines, and growing older; world stopped, under the collection lock. */
#ifndef OI_GENERATION_H
#define OI_GENERATION_H

#include "collect/trial.h"
#include "heap/region.h"
#include "world/object.h"

/*
 * The ages of an object are bits of its page, by block: young bit 0 (just made), young bit 1 (survived one collection),
 * neither (old). Both set means that the block was used again: age 0.
 */
int oi_generation_of(struct oi_header *h);
void oi_generation_make_old(struct oi_header *h);
/* The same of one that is condemned while it is young, perhaps: what is counted as young follows. */
void oi_generation_leave(struct oi_header *h);

/*
 * Adds the young objects, of generation 0 or both, to the set, up to @cap, beginning where the last call ended: so each has its
 * turn, however many are made meanwhile. False: no memory, the set is empty again. *more: some were left for want of room
 * under the cap.
 */
bool oi_generation_select(struct oi_trial *tr, int generation, size_t cap, bool *more);
/* The same for block @i of a page. */
OI_INLINE void oi_generation_make_old_at(uint64_t (*young)[OI_BITMAP], size_t i)
{
	uint64_t others = ~(UINT64_C(1) << (i % 64));
	young[0][i / 64] &= others;
	young[1][i / 64] &= others;
}
/* The same by their bits: 0 or 1, of an object that is young. */
OI_INLINE unsigned oi_generation_age_at(uint64_t (*young)[OI_BITMAP], size_t i)
{
	return young[0][i / 64] >> (i % 64) & 1 ? 0 : 1;
}
/* A survivor of a young collection; true: it became old, as it does from age 0 already if @straight. */
bool oi_generation_grow_older(uint64_t (*young)[OI_BITMAP], size_t i, bool straight);
/*
 * World stopped. How many objects there are of either age, dying ones included, whose deaths are not counted yet. False: a part
 * of them is being made old, and in no list.
 */
bool oi_generation_population(int64_t n[2]);
/* World stopped: counts anew what is young. */
void oi_generation_recount(void);
/* World stopped, under the collection lock: compares what is counted with what there is. NULL: they agree. */
const char *oi_generation_check(void);
/*
 * All that is young becomes old, in stops of their own. @lists: of pages still to do, empty before and after. @members: and
 * members of the pass that runs (beside.h). Outside the gate.
 */
void oi_generation_make_all_old(struct oi_vector *lists, bool members);
/* In the child of a fork, world stopped: what was still to do is young again. */
void oi_generation_inherit(struct oi_vector *lists);
#if OURO_CHECKED
/* All objects, of any age. False: no memory. */
bool oi_generation_select_all(struct oi_trial *tr);
#endif
/* Is it a live object that collections look at: not free, dying, condemned or frozen? */
bool oi_generation_member(const struct oi_header *h);

#endif
