/*
 * model.h - what the heap of a fuzzed program must be, in plain C
 *
 * The model knows of each object which references there are: what threads hold, roots, slots. A
 * reference that an operation adds is in the model when the operation is over, one that it takes
 * away is not from before it begins: so whatever the model reaches, the heap must hold, whichever
 * way threads interleave. When nobody does anything, both must be the same.
 * Under model_lock, from any thread; nothing of the library is called with it held.
 */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum {
	MODEL_OBJECTS = 256,
	MODEL_SLOTS = 3,
	MODEL_THREADS = 3,
	MODEL_HANDLES = 4,
	MODEL_ROOTS = 4,
	MODEL_CELLS = 4,
	MODEL_WATCHES = 32,
	MODEL_KEYS = 8, /* of each map; and as many indices of the vector */
	MODEL_WEAKS = MODEL_CELLS + MODEL_KEYS,
	MODEL_KEYED = MODEL_SLOTS, /* the slot of what goes with the object in the key map */
	MODEL_ALL_SLOTS,
	MODEL_NONE = -1
};

/* A slot, a root or a weak cell. Of operations that would change it, one at a time does. */
struct model_place {
	int value; /* an object; MODEL_NONE */
	bool busy;
	uint32_t version; /* counts changes: their begin, and their end */
	/* Of a cell: it must load nothing any more; it may, as its object was dead for a while. */
	bool gone, maybe;
};

enum model_state { MODEL_ABSENT, MODEL_ALIVE, MODEL_DESTROYED };

struct model_object {
	enum model_state state;
	int kind;
	bool fixed;     /* its slots never change */
	bool immortal;
	bool finalized;
	bool lifted;    /* its finalizer holds it */
	bool excused;   /* it was dead, perhaps, and came back with another */
	bool reached;   /* model_reach */
	bool stale;     /* since then its key map's value may be there, or not */
	struct model_place slot[MODEL_ALL_SLOTS];
};

enum model_watch_state { MODEL_ARMED, MODEL_FIRED, MODEL_UNDONE };

struct model_watch {
	int object;
	enum model_watch_state state;
};

struct model {
	int n; /* objects */
	int n_watches;
	bool ending; /* everything dies now */
	uint64_t version; /* counts all changes */
	struct model_object object[MODEL_OBJECTS];
	struct model_place root[MODEL_ROOTS];
	struct model_place cell[MODEL_WEAKS]; /* the last are the keys of the weak map */
	struct model_place key[MODEL_KEYS], element[MODEL_KEYS], end; /* of containers */
	struct model_place last[MODEL_KEYS]; /* put into the cache: it may be gone */
	int cached[MODEL_KEYS];              /* at rest: what is there */
	int handle[MODEL_THREADS][MODEL_HANDLES];
	struct model_watch watch[MODEL_WATCHES];
};
extern struct model model;

void model_reset(void);
void model_lock(void);
void model_unlock(void);
/* Prints why, and aborts: the heap is not as the model says. */
void model_broken(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Marks what is reached from threads, roots, immortal and lifted objects. Returns how many. */
int model_reach(void);
bool model_reaches(int object);

/*
 * Begins a change of a place: returns false if there is one under way. Until it ends, the place
 * holds nothing, as far as the model knows.
 */
bool model_begin(struct model_place *p, int *old);
void model_end(struct model_place *p, int value);

/*
 * A weak reference to @target loads @id, or NONE: is that right? @must: it was held all the time.
 */
void model_loaded(const struct model_place *p, int target, bool must, int id);

/* What callbacks tell: the object was found dead, dies, was brought back by its finalizer. */
void model_finalized(int object, bool lifts);
void model_destroyed(int object, bool has_finalizer);
void model_fired(struct model_watch *w);

#endif
