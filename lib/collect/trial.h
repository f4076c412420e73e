/* trial.h - trial deletion over a set of objects; world stopped, under the collection lock. */
#ifndef OI_TRIAL_H
#define OI_TRIAL_H

#include "collect/graph.h"

struct oi_trial {
	struct oi_vector members; /* headers */
	struct oi_graph graph;    /* guessed: some members are taken for held */
	/* the stack could not grow: some children of marked objects are unvisited */
	bool overflowed;
	int64_t collector_refs;   /* references on each object that are the collector's own */
	size_t n_reached;         /* the result: members that something outside holds */
};

/*
 * Makes an object, whose side byte is @side, a member, once. Returns false if there is no memory.
 */
OI_INLINE bool oi_trial_add_at(struct oi_trial *tr, struct oi_header *h, uint8_t *side)
{
	if (*side)
		return true;
	if (unlikely(!oi_vector_push(&tr->members, h)))
		return false;
	*side = 1;
	return true;
}
bool oi_trial_add(struct oi_trial *tr, struct oi_header *h);
/*
 * Counts and marks; afterwards oi_trial_result tells the members apart. Returns false if they have
 * more than @most references: those past the object with which @most was reached are members no
 * more.
 */
bool oi_trial_run(struct oi_trial *tr, size_t most);
#define OI_TRIAL_MARK 0x80
/*
 * Returns true if the object was reached. Clears its side byte, which must be done for each member,
 * once.
 */
OI_INLINE bool oi_trial_result_at(uint8_t *side)
{
	uint8_t v = *side;
	*side = 0;
	return v & OI_TRIAL_MARK;
}
bool oi_trial_result(struct oi_header *h);
/* Forgets the members, whose side bytes are cleared. */
void oi_trial_end(struct oi_trial *tr);
/* Clears the side bytes and forgets the members, whatever the results. */
void oi_trial_give_up(struct oi_trial *tr);
void oi_trial_free(struct oi_trial *tr);

#endif
