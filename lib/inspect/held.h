/* held.h - objects that a walk has found, held until the program has been shown them. */
#ifndef OI_HELD_H
#define OI_HELD_H

#include "base/vector.h"
#include "world/object.h"

struct oi_held {
	struct oi_vector v;
	size_t i; /* the first that is still held */
};

/*
 * World stopped. Takes a reference to an object, unless it is dead: then *@dead, if that is not
 * NULL. Returns false if there is no memory.
 */
bool oi_held_add(struct oi_held *held, struct oi_header *h, bool *dead);
/* Releases the first that is still held. Outside the gate. */
void oi_held_release_one(struct oi_held *held);
/*
 * Releases what is still held, wherever the program's code was left, and frees the list. Outside
 * the gate.
 */
void oi_held_let_go(struct oi_held *held);

#endif
