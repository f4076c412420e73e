/* layout.h - what a map and its entries are made of, for map.c and what sees to a map's limits. */
#ifndef OI_LAYOUT_H
#define OI_LAYOUT_H

#include "contain/dated.h"
#include "contain/places.h"
#include "contain/siphash.h"
#include "contain/split.h"
#include "world/thread.h"
#include "ouro.h"

#define OI_MAP_COUNTERS 8

/* A line apart from the next. */
struct oi_map_counter {
	int64_t n;
	char apart[OI_LINE - sizeof(int64_t)];
};

/* What limits there are: set before others know the map. */
#define OI_MAP_COUNTS 1u /* of entries: evict.c */
#define OI_MAP_TIMES 2u  /* of time: then the slot of an entry holds a dated value, dated.c */

struct oi_map_limits {
	int64_t max;
	uint64_t ttl_ns;
	ouro_map_evicted on_evict; /* or NULL */
	void *arg;
	char apart[OI_LINE];
	/* From here on written by threads that put. */
	int64_t held;  /* entries in the table, and those about to be: with OI_MAP_COUNTS */
	uint64_t hand; /* the place that the next look for an entry to evict begins at */
	/* expiry.c: its row; the shortest time that a value has had; that before a trial */
	uint64_t row, least_ns, before_ns;
};

struct ouro_map {
	struct oi_split split;
	struct oi_places places;
	ouro_map *pending; /* slots: what is being made, once.c... */
	void *keeps;       /* ... and what the program's function is called with lies in */
	struct oi_seed seed;
	uint32_t kinds; /* of limits; beside the seed, which each operation reads */
	struct oi_map_limits limits;
	/* Keys put less keys removed, of some threads each. */
	struct oi_map_counter count[OI_MAP_COUNTERS];
};

struct oi_map_entry {
	struct oi_node node;
	void *value; /* a slot */
	void **place;
	uint64_t number; /* the key; or how many bytes it has */
	bool is_number;
	bool linked;
	bool used; /* since the hand came by */
	char bytes[];
};

/* The counter of keys that this thread counts in. */
OI_INLINE int64_t *oi_map_own_count(struct ouro_map *m)
{
	return &m->count[oi_mine->key % OI_MAP_COUNTERS].n;
}

/* Returns a new reference to the entry in place @i, if it has got into the table, or NULL. */
struct oi_map_entry *oi_map_entry_at(struct ouro_map *m, uint64_t i);
/* The entry, borrowed, whose slot this thread has emptied, leaves the map. */
void oi_map_gone(struct ouro_map *m, struct oi_map_entry *e);

/* @held: what the slot of an entry held, counted or peeked. Returns true if its time is over. */
OI_INLINE bool oi_map_late(const struct ouro_map *m, const void *held)
{
	return unlikely(m->kinds & OI_MAP_TIMES) && oi_dated_late(held);
}

/* Returns the value, borrowed for as long as @held is. */
OI_INLINE void *oi_map_value(const struct ouro_map *m, void *held)
{
	return unlikely(m->kinds & OI_MAP_TIMES) ? oi_dated_value(held) : held;
}

OI_INLINE ouro_map_item oi_map_item(const struct oi_map_entry *e, void *value)
{
	ouro_map_item item = { .bytes = e->is_number ? NULL : e->bytes, .value = value };
	*(e->is_number ? &item.number : &item.size) = e->number;
	return item;
}

#endif
