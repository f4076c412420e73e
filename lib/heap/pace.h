/* pace.h - what asks for automatic collections: how much was made since the last ones, and how much is let pass. */
#ifndef OI_PACE_H
#define OI_PACE_H

#include "base/runtime.h"
#include "world/gate.h"

struct oi_pace {
	/* ---- written rarely, and batch read by every allocation: a line of its own ---- */
	int64_t batch;          /* how many a thread keeps to itself */
	int64_t threshold;      /* effective g0: given, or sized by the pause budget; 0: never */
	bool enabled;
	/* ---- added to by every thread, a batch at a time ---- */
	int64_t young __attribute__((aligned(OI_LINE))); /* allocations minus deaths of tracked objects since the last collection */
	int64_t aged[2];        /* objects of age 0, of age 1: what has bits, and is alive or not dismantled yet; less the threads' batches */
	int64_t old_gone;       /* old ones that died by count since the last full collection, less large ones that were made */
	/* ---- by collections: policy.c ---- */
	int threshold_set[3];   /* as ouro_gc_set_threshold */
	int count[3];           /* [1]: collections of 0 since the last of 1; [2]: of 1 since the last of 2 */
	uint64_t old_then, old_new; /* objects old after the last full collection; that became old since it began */
	int64_t large_then;         /* bytes of large objects after the last full collection */
	size_t pages_then;          /* pages worth of bytes in use after it, or the fewest since */
	size_t pages_young;         /* the same of the last young collection */
	uint64_t tracked_begun, bytes_begun; /* made when it began */
	int64_t large_begun;
	uint64_t average;           /* bytes made for each small object that can be traversed, between the beginnings of the last two */
	uint64_t average_any, all_begun; /* the same for any object; made when it began */
	uint64_t old_before;        /* old_then as it was when pages_then was set last */
	uint64_t old_begun;         /* old_new when the full collection that runs began */
	uint64_t room;              /* what may become old and be garbage meanwhile, in a heap of any size */
	bool more;                  /* the last young collection left objects for the next */
	bool full;                  /* one runs, or its garbage is being freed */
	uint32_t cost;          /* of an object in a young stop, in 1/64 ns; moving average */
	uint32_t width;         /* references that it has, in 1/64; moving average */
	uint32_t survival;      /* of objects in young collections, in 1/256; moving average */
	uint32_t unseen;        /* young collections left out since the last that looked */
	uint32_t yield;         /* dead for what had become old before the last full collection, in 1/256, at most 256 */
	uint32_t turn;          /* futex: counts collections; what delayed threads sleep on */
} __attribute__((aligned(OI_LINE)));
extern struct oi_pace oi_pace OI_HIDDEN;

#define OI_LAG_FLOOR 20000 /* objects: tiny thresholds are for tests */
#define OI_OLD_FLOOR 10000 /* a full collection below so many new old objects is not worth it */

/* ---- counting ---- */

/* Takes in what the thread has counted, which is inside its gate or kept out of it; and asks for a collection that is due. */
OI_COLD void oi_pace_flush(struct oi_thread *t);
/* World stopped: what the threads have not added yet to the numbers of either age. */
void oi_pace_unflushed(int64_t n[2]);

/* An object more. True: oi_backlog_allocated is due. */
OI_INLINE bool oi_pace_count_allocated(struct oi_thread *t)
{
	int64_t n = t->tracked_delta + 1;
	oi_store_relaxed(&t->tracked_delta, n); /* owner; a stop takes it in */
	return unlikely(n >= oi_load_relaxed(&oi_pace.batch)) || oi_perturb_collect();
}

/* An object less. True: oi_pace_flush is due. */
OI_INLINE bool oi_pace_count_freed(struct oi_thread *t)
{
	int64_t n = t->tracked_delta - 1;
	oi_store_relaxed(&t->tracked_delta, n);
	return unlikely(n <= -oi_load_relaxed(&oi_pace.batch));
}

OI_INLINE void oi_pace_freed(struct oi_thread *t)
{
	if (oi_pace_count_freed(t))
		oi_pace_flush(t);
}

/* World stopped, under the collection lock: @n objects of @age are of that age no more; may be negative. */
OI_INLINE void oi_pace_grown(unsigned age, int64_t n)
{
	oi_add_relaxed(&oi_pace.aged[age], -n);
}

/* Of that age, about. */
OI_INLINE uint64_t oi_pace_aged(unsigned age)
{
	int64_t n = oi_load_relaxed(&oi_pace.aged[age]); /* count */
	return n > 0 ? (uint64_t)n : 0;
}

/* Old objects and young ones, about; and how many may have become garbage since the last full collection, as far as is counted. */
uint64_t oi_pace_population(void);
uint64_t oi_pace_changed(void);

/* Members and bytes of sets that are queued, or that somebody has taken from the queue: so many more, or fewer. */
struct oi_pace_waiting {
	uint64_t n, bytes;
};
void oi_pace_set_waits(uint64_t n, uint64_t bytes);
void oi_pace_set_is_over(uint64_t n, uint64_t bytes);
struct oi_pace_waiting oi_pace_sets_waiting(void);

/* Objects that collections leave alone: a stop counts them anew, and one dies by count. */
extern int64_t oi_pace_n_frozen OI_HIDDEN;
void oi_pace_frozen_died(void);

/* ---- what is due ---- */

/* Is a young collection due for the number of objects? For the bytes in use, and what is young? */
OI_INLINE bool oi_pace_young_due(void)
{
	return oi_load_relaxed(&oi_pace.more) || oi_load_relaxed(&oi_pace.young) > oi_load_relaxed(&oi_pace.threshold); /* recheck */
}
bool oi_pace_young_pages_due(void);
/* Is so much in use that a collection of all is worth its while? What is young becomes old for it. */
bool oi_pace_pages_due(void);
/* Did large objects, which are born old, grow so much that a full collection is due? */
bool oi_pace_large_due(void);
/* Pages in use beyond those there were after the last full collection. */
size_t oi_pace_growth(void);
/* Objects beyond which young ones are a backlog. */
int64_t oi_pace_young_limit(void);
/* Is automatic collection on, and nobody about to collect all there is? */
bool oi_pace_may(void);
/* Could there be so much garbage that a full collection is worth its while? */
bool oi_pace_worth(void);

#endif
