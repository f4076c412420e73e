/*
 * maps.h - what a concurrent collection knows of objects: maps of its own
 *
 * Of each object a byte counts the references from members, and two bits say member and marked.
 * Young collections run in the middle of such a collection and use the side bytes of the region's
 * head, so these lie elsewhere: in a map for each region, made when the collection begins and given
 * back when it ends. Regions made meanwhile have none, and pages made meanwhile are not in it: what
 * lies there is new, and no member.
 * Only the collection writes here. What few objects need lies elsewhere: graph.h.
 */
#ifndef OI_MAPS_H
#define OI_MAPS_H

#include "collect/crew.h"
#include "collect/graph.h"

struct oi_thread;

struct oi_map {
	/* Of the page's block size; 0: not looked at. Its head would be two cold lines. */
	uint32_t reciprocal[OI_PAGES];
	struct oi_bits {
		uint64_t member, mark; /* of 64 blocks; they are read together */
	} bits[OI_PAGES][OI_BITMAP];
	/* Whose bytes those are: of the collecting thread, below, and of its helpers. */
	uint8_t (*bytes[OI_CREW_MAX])[OI_BLOCKS];
	uint8_t count[OI_PAGES][OI_BLOCKS];
};

/* Where an object's byte and bits are. */
struct oi_place {
	struct oi_map *map;
	struct oi_page *page;
	uint32_t page_index, block;
};

/*
 * Inside the gate. Returns false if the object has none: it cannot be traversed, or lies in a new
 * region or page.
 */
OI_INLINE bool oi_place_of(const struct oi_header *h, struct oi_place *at)
{
	struct oi_region *r = oi_region_of(h);
	at->map = r->map;
	at->page_index = (uint32_t)oi_page_number(h);
	at->page = &r->page[at->page_index];
	uint32_t reciprocal = likely(at->map) ? at->map->reciprocal[at->page_index] : 0;
	/* as oi_block_index */
	at->block = (uint32_t)(((uintptr_t)h & (OI_PAGE - 1)) * reciprocal >> 32);
	return reciprocal != 0;
}

/*
 * Returns true if oi_place_of may be asked about @word, which need not be the address of an object,
 * or not any more.
 */
bool oi_map_covers(const void *word);

OI_INLINE uint8_t *oi_map_count(const struct oi_place *at)
{
	return &at->map->count[at->page_index][at->block];
}

OI_INLINE struct oi_bits *oi_map_bits(const struct oi_place *at)
{
	return &at->map->bits[at->page_index][at->block / 64];
}

OI_INLINE uint64_t oi_map_bit(const struct oi_place *at)
{
	return UINT64_C(1) << (at->block % 64);
}

/* Returns true for a member that is not marked. */
OI_INLINE bool oi_map_open(const struct oi_place *at)
{
	const struct oi_bits *bits = oi_map_bits(at);
	return bits->member & ~oi_load_relaxed(&bits->mark) & oi_map_bit(at); /* recheck */
}

/*
 * Marks it. Returns false if another thread has done so; @shared: there may be others.
 */
OI_INLINE bool oi_map_mark(const struct oi_place *at, bool shared)
{
	uint64_t *mark = &oi_map_bits(at)->mark, bit = oi_map_bit(at);
	if (shared)
		return !(oi_or_acq_rel(mark, bit) & bit); /* elsewhere: only who visits it */
	*mark |= bit;
	return true;
}

OI_INLINE void oi_map_count_later(struct oi_graph *g, const struct oi_header *h)
{
	struct oi_place at;
	if (oi_place_of(h, &at))
		oi_graph_count_later(g, OI_GRAPH_CONCURRENT, oi_map_count(&at), h);
}

/* Likewise, by one of several threads. */
OI_INLINE void oi_map_count_later_by(struct oi_graph *g, unsigned number, const struct oi_header *h)
{
	struct oi_place at;
	if (oi_place_of(h, &at))
		oi_graph_count_later(g, OI_GRAPH_CONCURRENT,
				     &at.map->bytes[number][at.page_index][at.block], h);
}

/* Returns what @n threads have counted; -1 if they are too many to know. */
int64_t oi_map_sum(const struct oi_place *at, const struct oi_header *h, unsigned n);
OI_INLINE int64_t oi_map_internal(const struct oi_place *at, const struct oi_header *h,
				  unsigned n)
{
	return n == 1 ? oi_graph_internal(OI_GRAPH_CONCURRENT, *oi_map_count(at), h)
		      : oi_map_sum(at, h, n);
}

/*
 * Makes maps for all regions there are, which go into @regions; the pages of objects that can be
 * traversed go into @pages. Called when oi_candidates.walking is set and a handshake is over, so
 * that none of them changes. Outside the gate of @t. Returns false if there is no memory; then drop
 * what there is.
 */
bool oi_map_make(struct oi_thread *t, struct oi_vector *regions, struct oi_vector *pages);
/* Maps bytes for helper @number, in all regions. Likewise. */
bool oi_map_make_bytes(struct oi_thread *t, struct oi_vector *regions, unsigned number);
/*
 * Like oi_map_make, but uses the maps that were kept, and lists no page. No bit is set there; a
 * count may be anything.
 */
bool oi_map_renew(struct oi_thread *t, struct oi_vector *regions);
/*
 * Keeps the maps in @regions, which becomes empty, for oi_map_renew; no bit may be set any more.
 * Outside the gate of @t.
 */
void oi_map_keep(struct oi_thread *t, struct oi_vector *regions);
/* When the heap ends: gives back what was kept. */
void oi_map_shutdown(void);
/* Forgets the exact counts and notes. Outside the gate of @t, which is NULL in a fork's child. */
void oi_map_forget_exact(struct oi_thread *t, struct oi_graph *g);
/* Gives the maps back. @t as above. */
void oi_map_drop(struct oi_thread *t, struct oi_vector *regions);

#endif
