/*
 * record.h - what the record of a thread has for the layers above: structs without functions
 *
 * The record (thread.h) is made and kept without knowing what is done with these: each struct
 * belongs to the module that is named beside it.
 */
#ifndef OI_RECORD_H
#define OI_RECORD_H

#include "base/callers.h"
#include "base/compiler.h"
#include "base/urcu.h"
#include "base/vector.h"

struct oi_batch;
struct oi_page;
struct ouro_type;

/* ---- memory: heap.h ---- */

#define OI_CLASSES 39            /* sizes: 32..128 by 16, then four to a doubling, to 32 KiB */
#define OI_BINS (2 * OI_CLASSES) /* plain, then tracked: collectors skip plain pages whole */
#define OI_BIN_LARGE OI_BINS     /* larger than a page's blocks can be */

struct oi_bin {
	struct oi_page *current;
	struct oi_page *pages; /* with room, not current */
};

struct oi_heap {
	struct oi_bin bin[OI_BINS + 1]; /* the last one never has pages */
	struct oi_page *all;           /* every page it owns */
	struct oi_page *young;         /* pages that may hold objects of age 0 or 1 */
	/* where in young the next young collection begins; NULL: at its head. generation.c */
	struct oi_page **resume;
	struct cds_lfs_node *pending;  /* taken from remote, to be looked at */
	bool turned;                   /* a page has been begun: a moment to look at the lag */
	bool leaving;                  /* its thread goes and walks the pages: none is given back */
	/* any thread: pages in which others freed blocks */
	struct __cds_lfs_stack remote __attribute__((aligned(OI_LINE)));
};

/* Memory that waits for grace periods: limbo.h. */
struct oi_limbo {
	struct oi_batch *filling;
	struct oi_batch *oldest, *newest; /* sealed, in order */
	uint64_t since; /* the epoch at which the oldest was sealed; 0: there is none */
	struct oi_batch *spare;
	uint32_t n_sealed, n_spare;
	uint32_t n_turns; /* pages begun since the filling batch was begun */
	size_t bytes; /* of blocks in the filling batch */
};

/* Objects made, or freed: tally.h. */
struct oi_tally {
	uint64_t n[OI_BINS + 1]; /* the last: large ones */
	uint64_t large_bytes, large_tracked; /* of the large ones; those that can be traversed */
};

/* Which of the objects it makes is sampled next: sample.c. */
struct oi_sampling {
	int64_t left;       /* bytes until then */
	int64_t left_small; /* likewise, of small objects while they are counted */
	uint64_t seed;
	uint32_t visits;    /* of ouro_new to its slow way, which begin and end stretches */
	bool counts_small;  /* in this stretch */
	bool due;           /* it comes the slow way because the next one is sampled */
	bool knows_stack;
	struct oi_stack stack; /* the thread's, if it knows */
};

/* Where this thread last found a type's number: typebook.c. */
struct oi_type_cache {
	const struct ouro_type *type; /* NULL if this place is unused */
	uint32_t number;
	uint16_t bytes; /* of the block; 0: not of one size, or large */
	uint8_t bin;
	bool tracked;
} __attribute__((aligned(16))); /* so that none lies in two lines */
#define OI_TYPE_CACHE 64

/* What it found garbage among what it alone has touched: solo.h. */
#define OI_SOLO_MOST 4096  /* objects */
#define OI_SOLO_EVERY 1024 /* objects: so many are made between two looks, at least */
struct oi_solo {
	struct oi_solo_lists *lists; /* made when first needed */
	uint64_t epoch;   /* when they were found */
	uint64_t n_stops; /* there had been by then */
	int64_t made;     /* tracked objects since then, less those that died; and tracked_delta */
	int64_t every;    /* how many make it look again */
	uint8_t in_vain;  /* looks in a row that found next to nothing, up to eight */
	uint8_t unseen;   /* counts what was due since then: one in four is a look */
	bool late;        /* the grace period was not over, once */
};

/* Addresses of what lost a reference from a slot: loose.h. */
#define OI_LOOSE 256 /* so that the index of the next is a byte */

/* Dead objects that wait for their dismantling, or are half done: death.c. */
#define OI_DEATH_RESERVE 32 /* words */
struct oi_death_stack {
	struct oi_vector frames; /* pairs: object, cursor */
	size_t waiting;          /* words of frames, from the bottom, that wait: backlog.c */
	uint64_t stamp;          /* of what waits: Note [TICKET] */
	/* The collector's notes at the last tick: n_served and n_callbacks of the thread. */
	uint32_t n_served;
	uint32_t n_callbacks;
	bool armed;              /* the tick looks after what waits behind a callback: backlog.c */
	void *reserve[OI_DEATH_RESERVE]; /* holds the frames if there is no memory for them */
};

/* Objects that foreign threads released below their shared count: merge.c. */
struct oi_merge_queue {
	uint32_t lock; /* spin lock, held for a few instructions, only inside the gate */
	uint32_t n;    /* of objects, to look at without the lock */
	bool closed;   /* the thread has left */
	struct oi_vector objects;
	struct oi_vector old; /* likewise, those that a flush waits for: Note [TICKET] */
	uint32_t n_old;       /* objects in old, or taken and not yet merged and handed over */
	uint64_t made_old;    /* when all were made old; what came since is no older */
	/* Times something was taken, and was done; what n_taken was when all was made old. */
	uint32_t n_taken, n_done, awaited;
};

#endif
