/*
 * walk.h - going through all pages of the heap in stops that are short, each from where the last
 * one ended.
 */
#ifndef OI_WALK_H
#define OI_WALK_H

#include "heap/region.h"

/* Zeroed, it is at the beginning. */
struct oi_walk {
	/* it may be gone: only its address counts */
	struct oi_region *region;
	size_t page;
};

/*
 * Outside the gate, not pinned. Stops the world, and calls @fn for each page in use, for one at
 * least, until @budget_ns have gone by or @fn returns false: then that page comes next again.
 * Returns true if that was the end of the heap. The walk goes by addresses, so that it meets no page
 * twice, and comes to an end, whatever regions come and go meanwhile.
 */
bool oi_walk_in_stop(struct oi_walk *w, uint64_t budget_ns,
		     bool (*fn)(void *arg, struct oi_page *p), void *arg);

#endif
