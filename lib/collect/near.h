/* near.h - searching for garbage from where something was let go of. See near.c. */
#ifndef OI_NEAR_H
#define OI_NEAR_H

#include "collect/pass.h"

/* Under the full collection lock: takes what was noted since the last time (count/loose.h). */
void oi_near_take(void);
/*
 * The collector, outside the gate, between two slices of whatever it is at: takes some of that, if
 * it is at a collection. Threads have room for a few thousand, and one may take long.
 */
void oi_near_keep_up(void);
/*
 * Outside the gate. Searches from what was left alone since; what may be garbage goes onto the list
 * of p->set, flagged. p->n_members: how many objects it looked at.
 */
void oi_near_find(struct oi_pass *p);
/* Under that lock, at the end of the pass: takes all bits out of the maps. */
void oi_near_clear(void);
/* Under that lock. Returns how many it has taken, and not searched from. */
size_t oi_near_waiting(void);
/* Under the full collection lock, or in the child of a fork: forgets all that was noted. */
void oi_near_forget(void);
/* When the heap ends. */
void oi_near_shutdown(void);
/* Statistics: objects searched from, looked at, and what may have been garbage. */
struct oi_near_statistics {
	uint64_t searches, looked_at, found;
};
void oi_near_statistics(struct oi_near_statistics *out);

#endif
