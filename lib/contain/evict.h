/* evict.h - a map that holds no more than it should. See evict.c. */
#ifndef OI_EVICT_H
#define OI_EVICT_H

#include "contain/layout.h"

/* Before others know the map. */
void oi_evict_init(struct ouro_map *m, const ouro_map_options *o);

/* The entry, which may be dying, was asked for. Hot keys cost no line that is written to. */
OI_INLINE void oi_evict_mark(const struct ouro_map *m, struct oi_map_entry *e)
{
	if ((m->kinds & OI_MAP_COUNTS) && !oi_load_relaxed(&e->used)) /* count */
		oi_store_relaxed(&e->used, true);                     /* count */
}

/*
 * An entry is about to be linked. Returns true if the map holds too much with it; then
 * oi_evict_one is to follow when it is linked, or oi_evict_unreserve if it is not.
 */
bool oi_evict_reserve(struct ouro_map *m);
void oi_evict_unreserve(struct ouro_map *m);
/* Evicts an entry, unless others have. @own, borrowed: the caller's, linked; the last choice. */
void oi_evict_one(struct ouro_map *m, struct oi_map_entry *own);
/*
 * Of a map with times. Evicts the entry in place @i if its time is over. Returns true if there was
 * one whose time is over some day.
 */
bool oi_evict_late(struct ouro_map *m, uint64_t i);
/* Tells the program that @held, counted, has left the entry, borrowed. */
void oi_evict_tell(struct ouro_map *m, const struct oi_map_entry *e, void *held,
		   ouro_map_reason reason);

#endif
