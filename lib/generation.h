/* generation.h - which objects a collection examines, and growing older; world stopped, under the collection lock. */
#ifndef OI_GENERATION_H
#define OI_GENERATION_H

#include "object.h"
#include "trial.h"

/*
 * The ages of an object are bits of its page, by block: young bit 0 (just made), young bit 1 (survived one collection),
 * neither (old). Both set means that the block was used again: age 0.
 */
int oi_generation_of(struct oi_header *h);
void oi_generation_make_old(struct oi_header *h);

/*
 * Adds the objects of generations 0..@generation to the set; young ones up to @cap. False: no memory, the set is empty again.
 * *more: some were left for want of room under the cap.
 */
bool oi_generation_select(struct oi_trial *tr, int generation, size_t cap, bool *more);
/* A survivor of a young collection; true: it became old, as it does from age 0 already if @straight. */
bool oi_generation_grow_older(struct oi_header *h, bool straight);
/* After a full collection everything is. */
void oi_generation_all_old(void);
/* Is it a live object that collections look at: not free, dying, condemned or frozen? */
bool oi_generation_member(const struct oi_header *h);

#endif
