/*
 * generation.h - which objects a young collection examines, and how they grow older; world stopped,
 * under the collection lock.
 */
#ifndef OI_GENERATION_H
#define OI_GENERATION_H

#include "collect/trial.h"
#include "heap/region.h"
#include "world/object.h"

/*
 * The age of an object is two bits of its page, by block: young bit 0 (just made), young bit 1
 * (survived one collection), neither (old). Both are set if the block was used again: then the age
 * is 0.
 */
int oi_generation_of(struct oi_header *h);
void oi_generation_make_old(struct oi_header *h);
/*
 * Makes old an object that is declared garbage while it is, perhaps, young: what is counted as
 * young follows.
 */
void oi_generation_leave(struct oi_header *h);

/*
 * Adds the young objects of generation 0, or of both, to the trial's members, up to @cap, beginning
 * where the last call ended: so each has its turn, however many are made meanwhile. Returns false
 * if there is no memory; then it has no members again. *more: some were left for want of room under
 * the cap.
 */
bool oi_generation_select(struct oi_trial *tr, int generation, size_t cap, bool *more);
/* Like oi_generation_make_old, for block @i of a page. */
OI_INLINE void oi_generation_make_old_at(uint64_t (*young)[OI_BITMAP], size_t i)
{
	uint64_t others = ~(UINT64_C(1) << (i % 64));
	young[0][i / 64] &= others;
	young[1][i / 64] &= others;
}
/* Returns the age, 0 or 1, of the young object in block @i. */
OI_INLINE unsigned oi_generation_age_at(uint64_t (*young)[OI_BITMAP], size_t i)
{
	return young[0][i / 64] >> (i % 64) & 1 ? 0 : 1;
}
/*
 * Makes a survivor of a young collection older. Returns true if it became old, as it does even from
 * age 0 if @straight.
 */
bool oi_generation_grow_older(uint64_t (*young)[OI_BITMAP], size_t i, bool straight);
/*
 * World stopped. Counts the objects of either age, including dying ones whose deaths are not
 * counted yet. Returns false if a part of them is being made old, and in no list.
 */
bool oi_generation_population(int64_t n[2]);
/* World stopped: counts anew what is young. */
void oi_generation_recount(void);
/*
 * World stopped, under the collection lock: compares what is counted with what there is. Returns
 * NULL if they agree.
 */
const char *oi_generation_check(void);
/*
 * Makes all that is young old, in stops of its own. @lists: of pages still to do; empty before and
 * after. With @members the objects also become members of the pass that runs (maps.h). Outside the
 * gate.
 */
void oi_generation_make_all_old(struct oi_vector *lists, bool members);
/* In the child of a fork, world stopped: what was still to be made old is young again. */
void oi_generation_inherit(struct oi_vector *lists);
#if OURO_CHECKED
/* Adds all objects, of any age. Returns false if there is no memory. */
bool oi_generation_select_all(struct oi_trial *tr);
#endif
/* Returns true for a live object that collections look at: not free, dying, garbage or frozen. */
bool oi_generation_member(const struct oi_header *h);

#endif
