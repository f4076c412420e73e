/* trial.h - trial deletion over a set of objects; world stopped, under the collection lock. */
#ifndef OI_TRIAL_H
#define OI_TRIAL_H

#include "object.h"
#include "vector.h"

struct oi_trial {
	struct oi_vector set;   /* headers */
	struct oi_vector stack; /* to visit while marking */
	bool overflowed;        /* the stack could not grow: some children of marked objects are unvisited */
	int64_t hold;           /* references on each object that are the collector's own */
};

/* Puts an object into the set, once; false: no memory. */
bool oi_trial_add(struct oi_trial *tr, struct oi_header *h);
/* Counts, marks; afterwards oi_trial_reached tells the set's members apart. */
void oi_trial_run(struct oi_trial *tr);
bool oi_trial_reached(const struct oi_header *h);
/* Clears the side arrays for the whole set. */
void oi_trial_reset(struct oi_trial *tr);
void oi_trial_free(struct oi_trial *tr);

#endif
