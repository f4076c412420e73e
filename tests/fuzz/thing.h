/*
 * thing.h - the objects of a fuzzed program: one struct, of several types, each with a number by
 * which the model knows it
 */
#ifndef FUZZ_THING_H
#define FUZZ_THING_H

#include <ouro.h>

#include "model.h"

enum thing_kind {
	THING_PLAIN,     /* no callbacks: it dies inside the release */
	THING_DESTROYED,
	THING_FINALIZED,
	THING_LAZARUS,   /* its finalizer brings it back, once */
	THING_TRAVERSED, /* its reference is known to traverse alone */
	THING_ITEMS,     /* its slots are items */
	THING_LARGE,     /* likewise, and it has a run of pages to itself */
	THING_LEAF,      /* acyclic */
	THING_KINDS
};

enum { THING_CANARY = 0x7a11ab1e, THING_LARGE_ITEMS = 5000 };

struct thing {
	uint32_t canary;
	int id;
	void *values; /* the library's, of what may be a key */
	struct thing *slot[MODEL_SLOTS]; /* not of THING_ITEMS and THING_LARGE */
	struct thing *items[];
};

extern struct thing *thing_address[MODEL_OBJECTS]; /* of what is not destroyed */

/* Returns NULL without memory. @child: what a THING_TRAVERSED holds; stolen. */
struct thing *thing_new(enum thing_kind kind, int id, struct thing *child);
struct thing **thing_slot(struct thing *x, enum thing_kind kind, int i);
bool thing_has_slots(enum thing_kind kind);
/* Returns true if such an object may be a key of a key map. */
bool thing_is_key(enum thing_kind kind);
/* Returns true if the model hears of the death. */
bool thing_tells(enum thing_kind kind);
/* Returns its number, or MODEL_NONE for NULL; aborts if it is none, or no more. */
int thing_id(const struct thing *x);

#endif
