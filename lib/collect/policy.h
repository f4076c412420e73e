/* policy.h - when automatic collections start, and of how many objects. */
#ifndef OI_POLICY_H
#define OI_POLICY_H

#include "base/compiler.h"

void oi_policy_init(void);
void oi_policy_set_threshold(const int t[3]);

/* Returns the generation that is due now, at most @max, or -1. */
int oi_policy_due(int max);
/*
 * Return how many objects a young stop may examine, and about how many references of theirs it may
 * follow.
 */
size_t oi_policy_cap(void);
size_t oi_policy_references(void);
/*
 * Returns true if more objects are of age 1 than a stop may examine: then survivors become old at
 * once, for their turn would never come.
 */
bool oi_policy_middle_full(void);

/*
 * Returns true if what is young will probably live, and a young collection would find nothing: then
 * it may as well become old unseen.
 */
bool oi_policy_burst(void);
void oi_policy_burst_done(int generation);
/* What was young has become old, for a full collection. */
void oi_policy_promoted(void);
/* World stopped: everything was frozen, and nothing is young. */
void oi_policy_frozen(void);

/* What a young collection did. */
struct oi_policy_young {
	int generation;
	size_t n, references, survivors, promoted; /* examined; that these have; live; became old */
	uint64_t ns;
	bool more; /* objects were left for the next stop */
};
/* Under the collection lock. */
void oi_policy_young_done(const struct oi_policy_young *y);

/* Returns true if threads may collect what is theirs alone: solo.c. */
bool oi_policy_solo(void);
/*
 * A thread begins to do so (1), or has ceased to (-1): the collector leaves it time for what it has
 * made.
 */
void oi_policy_solo_threads(int more);
/* It has looked, and so many objects that live are of age 1 now, or @old. Inside the gate. */
void oi_policy_solo_done(size_t older, bool old);

/* A full collection begins. With @all what is young becomes old. */
void oi_policy_full_begins(bool all);
/* What a full collection looks at is settled: what becomes old from now on is the next one's. */
void oi_policy_full_begun(void);
/* A full collection found @old objects to live, and @dead not to. */
void oi_policy_full_done(size_t old, size_t dead);
/* What this thread's full collection found is freed, or the reaper's. */
void oi_policy_full_freed(void);

/* Returns true if there is enough to search for garbage from: near.h. */
bool oi_policy_search_due(void);
/* Returns true if a full collection, which is due, may wait for the next search. */
bool oi_policy_put_off_full(void);
/*
 * Under the full collection lock. A search found so many dead: there is the less to look for. @left
 * wait for the next one.
 */
void oi_policy_searched(size_t dead, size_t left);

/*
 * An automatic collection is over, and what it found dead is reclaimed: threads that were delayed
 * go on.
 */
void oi_policy_turn(void);
/*
 * In the child of a fork: a full collection that another thread ran is given up. One of this
 * thread's, in whose listener it forked, goes on.
 */
void oi_policy_fork_child(void);

#endif
