/* places.h - a container's own references to what is in it, in slots that the collector sees. */
#ifndef OI_PLACES_H
#define OI_PLACES_H

#include "base/compiler.h"

#define OI_PLACES_PARTS 33
#define OI_PLACES_HINTS 8
#define OI_PLACES_TOGETHER 16 /* that is made with a place, from a multiple of it on */
struct oi_places {
	void *part[OI_PLACES_PARTS]; /* slots: each has as many places as those before it */
	uint64_t n;                  /* places there are */
	uint64_t hint[OI_PLACES_HINTS];
};

/* Before others know them. Returns false without memory. */
bool oi_places_init(struct oi_places *p);
/*
 * Outside pinned regions. Puts @obj (borrowed) into a place that was empty, and returns that; NULL
 * without memory. @who spreads threads over the places; @used is how many are about taken.
 */
void **oi_places_put(struct oi_places *p, void *obj, unsigned who, uint64_t used);
/* Returns place @i, which is below n, or NULL if nothing was ever put there. */
void **oi_place(struct oi_places *p, uint64_t i);
/* The same for any @i: NULL where there are not so many. */
void **oi_place_there(struct oi_places *p, uint64_t i);
/* Outside pinned regions. Returns place @i, which it makes if need be; NULL without memory. */
void **oi_place_make(struct oi_places *p, uint64_t i);
/* Returns true if that is the number of the type of objects that have places. */
bool oi_places_are(uint32_t type);
/*
 * For a look at the heap: of the part in that slot the first place, and whether it lists segments,
 * each with OI_PLACES_SEGMENT places, or has its places itself.
 */
#define OI_PLACES_SEGMENT_LOG 10
#define OI_PLACES_SEGMENT (UINT64_C(1) << OI_PLACES_SEGMENT_LOG)
uint64_t oi_places_first(uint64_t part);
bool oi_places_segmented(uint64_t part);

#endif
