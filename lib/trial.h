/* trial.h - trial deletion over a set of objects; world stopped, under the collection lock. */
#ifndef OI_TRIAL_H
#define OI_TRIAL_H

#include "object.h"
#include "vector.h"

struct oi_trial {
	struct oi_vector set;   /* headers */
	struct oi_vector stack; /* to visit while marking */
	bool guessed;           /* no memory to count exactly: some members are taken for held */
	bool overflowed;        /* the stack could not grow: some children of marked objects are unvisited */
	int64_t hold;           /* references on each object that are the collector's own */
	size_t n_reached;       /* the result: members of the set that something outside it holds */
};

/* Puts an object into the set, once; false: no memory. */
bool oi_trial_add(struct oi_trial *tr, struct oi_header *h);
/* Counts, marks; afterwards oi_trial_result tells the set's members apart. */
void oi_trial_run(struct oi_trial *tr);
/* Was it reached? Clears its side byte, which must be done for each member, once. */
bool oi_trial_result(struct oi_header *h);
/* Forgets the set, whose side bytes are cleared. */
void oi_trial_end(struct oi_trial *tr);
/* Clears the side bytes and forgets the set, whatever the results. */
void oi_trial_give_up(struct oi_trial *tr);
void oi_trial_free(struct oi_trial *tr);

#endif
