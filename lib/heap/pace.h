/*
 * pace.h - what asks for automatic collections: how much was made since the last ones, and how much
 * may be made before the next.
 */
#ifndef OI_PACE_H
#define OI_PACE_H

#include "base/runtime.h"
#include "world/gate.h"

struct oi_pace {
	/* ---- written rarely, and quota is read by every allocation: a line of its own ---- */
	int64_t quota;          /* how many objects a thread counts to itself */
	int64_t threshold;      /* effective g0: given, or sized by the pause budget; 0: never */
	int64_t alone;          /* so many more, where threads look at what they made: solo.c */
	bool enabled;
	/* ---- added to by every thread, a quota at a time ---- */
	/* Allocations minus deaths of tracked objects since the last collection. */
	int64_t young __attribute__((aligned(OI_LINE)));
	/*
	 * Objects of age 0, of age 1: what has bits, and is alive or not dismantled yet; without
	 * what threads still count to themselves.
	 */
	int64_t aged[2];
	/*
	 * Old ones that died by count since the last full collection, less large ones that were
	 * made.
	 */
	int64_t old_gone;
	/* ---- by collections: policy.c ---- */
	int threshold_set[3];   /* as ouro_gc_set_threshold */
	/* [1]: collections of generation 0 since the last of 1; [2]: of 1 since the last of 2 */
	int count[3];
	/* Objects old after the last full collection; objects that became old since it began. */
	uint64_t old_then, old_new;
	/* so many make searches worth their while: near.c */
	uint64_t search_from;
	/*
	 * After the last full collection, without what was made since it began: bytes of large
	 * objects; pages worth of bytes in use, or the fewest since.
	 */
	int64_t large_then;
	size_t pages_then;
	/* Likewise of pages, after the last young collection, with all that is in use. */
	size_t pages_young;
	/* What had ever been made when the last full collection began. */
	uint64_t tracked_begun, bytes_begun;
	int64_t large_begun;
	/*
	 * Bytes made for each small object that can be traversed, between the beginnings of the
	 * last two full collections; then for each object of any kind.
	 */
	uint64_t average;
	uint64_t average_any, all_begun; /* all_begun: as tracked_begun, of any objects */
	uint64_t old_before; /* old_then as it was when pages_then was set last */
	uint64_t old_begun;  /* old_new when the full collection that runs began */
	/* How many objects may become old and be garbage meanwhile, in a heap of any size. */
	uint64_t room;
	bool more;              /* the last young collection left objects for the next */
	/*
	 * The key of the thread whose full collection runs, or whose garbage is being freed; of
	 * several that of the last; 0: none.
	 */
	uint32_t full;
	uint32_t cost;          /* of an object in a young stop, in 1/64 ns; moving average */
	uint32_t width;         /* references of an object, in 1/64; moving average */
	uint32_t survival;      /* of objects in young collections, in 1/256; moving average */
	uint32_t unseen;        /* young collections left out since the last that looked */
	/*
	 * Dead in the last full collection for each object that had become old before it, in 1/256;
	 * at most 256.
	 */
	uint32_t yield;
	uint32_t turn;          /* futex: counts collections; delayed threads sleep on it */
	/*
	 * Bytes that objects own outside of the heap; after the last full collection, or the fewest
	 * since.
	 */
	int64_t external, external_then;
} __attribute__((aligned(OI_LINE)));
extern struct oi_pace oi_pace OI_HIDDEN;

#define OI_LAG_FLOOR 20000 /* objects: tiny thresholds are for tests */
/* a full collection for fewer, new old ones or in all, is not worth it */
#define OI_OLD_FLOOR 10000

/* ---- counting ---- */

/*
 * Takes in what the thread, which is inside its gate or kept out of it, has counted; and asks for a
 * collection that is due.
 */
OI_COLD void oi_pace_flush(struct oi_thread *t);
/* World stopped. Returns what the threads have not added yet to the numbers of either age. */
void oi_pace_unflushed(int64_t n[2]);

/* Counts an object more. Returns true if oi_delay_allocated is due. */
OI_INLINE bool oi_pace_count_allocated(struct oi_thread *t)
{
	int64_t n = t->tracked_delta + 1;
	oi_store_relaxed(&t->tracked_delta, n); /* owner; read in a stop */
	/* count */
	return unlikely(n >= oi_load_relaxed(&oi_pace.quota)) || oi_perturb_collect();
}

/* Counts an object less. Returns true if oi_pace_flush is due. */
OI_INLINE bool oi_pace_count_freed(struct oi_thread *t)
{
	int64_t n = t->tracked_delta - 1;
	oi_store_relaxed(&t->tracked_delta, n); /* owner; read in a stop */
	return unlikely(n <= -oi_load_relaxed(&oi_pace.quota)); /* count */
}

OI_INLINE void oi_pace_freed(struct oi_thread *t)
{
	if (oi_pace_count_freed(t))
		oi_pace_flush(t);
}

/*
 * World stopped, under the collection lock. @n objects, which may be negative, are of @age no more.
 */
OI_INLINE void oi_pace_grown(unsigned age, int64_t n)
{
	oi_add_relaxed(&oi_pace.aged[age], -n); /* count */
}

/* Returns about how many objects are of that age. */
OI_INLINE uint64_t oi_pace_aged(unsigned age)
{
	int64_t n = oi_load_relaxed(&oi_pace.aged[age]); /* count */
	return n > 0 ? (uint64_t)n : 0;
}

/*
 * How many objects there are of either age, with what threads still count to themselves: exact when
 * the program is quiet. Callable anywhere.
 */
void oi_pace_young(uint64_t n[2]);

/*
 * Return about how many objects there are, old and young; and how many may have become garbage
 * since the last full collection, as far as is counted.
 */
uint64_t oi_pace_population(void);
uint64_t oi_pace_changed(void);

/*
 * Objects and bytes of the garbage that is queued, or that a thread has taken from the queue; the
 * first two functions add to them, and subtract.
 */
struct oi_pace_waiting {
	uint64_t n, bytes;
};
void oi_pace_garbage_waits(uint64_t n, uint64_t bytes);
void oi_pace_garbage_is_over(uint64_t n, uint64_t bytes);
struct oi_pace_waiting oi_pace_garbage_waiting(void);

/*
 * Objects that collections leave alone: freezing adds to it and unfreezing clears it, each in a
 * stop; a death by count takes one away.
 */
extern int64_t oi_pace_n_frozen OI_HIDDEN;
void oi_pace_frozen_died(void);

/* ---- what is due ---- */

/* Returns how many young objects are left to the threads that made them. */
OI_INLINE int64_t oi_pace_left_alone(void)
{
	bool chosen = oi_load_relaxed(&oi_pace.threshold_set[0]) == -1; /* recheck */
	return chosen ? oi_load_relaxed(&oi_pace.alone) : 0; /* recheck */
}

/* Returns beyond how many young objects the collector looks. */
OI_INLINE int64_t oi_pace_due_at(void)
{
	return oi_load_relaxed(&oi_pace.threshold) + oi_pace_left_alone(); /* recheck */
}

/*
 * Return true if a young collection is due: for the number of objects; for the bytes in use, if
 * anything is young.
 */
OI_INLINE bool oi_pace_young_due(void)
{
	return oi_load_relaxed(&oi_pace.more) || /* recheck */
	       oi_load_relaxed(&oi_pace.young) > /* recheck */
		       oi_pace_due_at();
}
bool oi_pace_young_pages_due(void);
/*
 * Returns true if so much is in use that a collection of all is worth its while. What is young
 * becomes old for it.
 */
bool oi_pace_pages_due(void);
/* Returns true if large objects, which are born old, grew so much that a full collection is due. */
bool oi_pace_large_due(void);
/*
 * The program says that objects own more, or less, outside of the heap; and how much that is now,
 * how much more than after the last full collection, whether one is due for it. What is young then
 * becomes old for it.
 */
void oi_pace_external_add(int64_t bytes);
uint64_t oi_pace_external(void);
uint64_t oi_pace_external_growth(void);
bool oi_pace_external_due(void);
/* Asks for a collection that is due for large objects, or for what lies outside. */
void oi_pace_ask_for_large(void);
/* Returns how many pages are in use beyond those there were after the last full collection. */
size_t oi_pace_growth(void);
/* Returns how many young objects there may be before they count as a lag. */
int64_t oi_pace_young_limit(void);
/* Returns true if automatic collection is on, and nobody is about to collect all there is. */
bool oi_pace_may(void);
/*
 * Returns true if garbage among old objects is searched for where it may be: near.c. Only while the
 * library chooses when to collect, and there are many of them.
 */
OI_INLINE bool oi_pace_searches(void)
{
	return oi_load_relaxed(&oi_pace.enabled) && /* recheck */
	       oi_load_relaxed(&oi_pace.threshold_set[0]) == -1 && /* recheck */
	       /* recheck */
	       oi_load_relaxed(&oi_pace.old_then) >= oi_load_relaxed(&oi_pace.search_from);
}
/* Returns true if there could be so much garbage that a full collection is worth its while. */
bool oi_pace_worth(void);

#endif
