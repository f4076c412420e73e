/*
 * beside.h - what a collection beside the mutators knows of objects: maps of its own
 *
 * Of each object a byte counts the references from members, and two bits say member and marked.
 * Young collections run in the middle of such a collection and use the side bytes of the region's
 * head, so these lie elsewhere: in a map for each region, made when the collection begins and given
 * back when it ends. Regions made meanwhile have none, and pages made meanwhile are not in it: what
 * lies there is new, and no member.
 * Only the collection writes here. What few pages need is mapped for these alone: exact counts from
 * 255 on, and where an object's notes are.
 */
#ifndef OI_BESIDE_H
#define OI_BESIDE_H

#include "base/vector.h"
#include "heap/region.h"
#include "world/object.h"

struct oi_thread;

#define OI_BESIDE_EXACT 255

struct oi_beside {
	/* Of the page's block size; 0: not looked at. Its head would be two cold lines. */
	uint32_t reciprocal[OI_PAGES];
	struct oi_bits {
		uint64_t member, mark; /* of 64 blocks; they are read together */
	} bits[OI_PAGES][OI_BITMAP];
	uint8_t count[OI_PAGES][OI_BLOCKS];
};

struct oi_page_beside {
	struct oi_page_beside *next; /* in the list of all */
	struct oi_page *page;
	uint32_t count[OI_BLOCKS];
	uint32_t note[OI_BLOCKS]; /* commit.c */
};

/* Where an object's byte and bits are. */
struct oi_place {
	struct oi_beside *map;
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
	at->map = r->beside;
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
bool oi_beside_covers(const void *word);

OI_INLINE uint8_t *oi_beside_count(const struct oi_place *at)
{
	return &at->map->count[at->page_index][at->block];
}

OI_INLINE struct oi_bits *oi_beside_bits(const struct oi_place *at)
{
	return &at->map->bits[at->page_index][at->block / 64];
}

OI_INLINE uint64_t oi_beside_bit(const struct oi_place *at)
{
	return UINT64_C(1) << (at->block % 64);
}

/* Returns true for a member that is not marked. */
OI_INLINE bool oi_beside_open(const struct oi_place *at)
{
	const struct oi_bits *bits = oi_beside_bits(at);
	return bits->member & ~bits->mark & oi_beside_bit(at);
}

/* Returns the page's own map, which is made if there is none; NULL if there is no memory. */
struct oi_page_beside *oi_beside_of_page(struct oi_page *p);
/*
 * As many references as fit into a byte have been counted: counts one more, from now on in the map
 * of the page. @h may be any address that has a place.
 */
OI_COLD void oi_beside_count_exactly(const struct oi_header *h);

OI_INLINE void oi_beside_count_one(uint8_t *count, const struct oi_header *h)
{
	if (likely(*count < OI_BESIDE_EXACT - 1))
		++*count;
	else
		oi_beside_count_exactly(h);
}

/*
 * Like oi_beside_count_one, but later: the byte is fetched while others are counted. Over a cold
 * random graph this takes 30 ns an object, and 150 without. Before counts are read, call
 * oi_beside_count_rest.
 */
#define OI_BESIDE_RING 16
extern struct oi_beside_ring {
	struct {
		uint8_t *count; /* NULL: empty */
		const struct oi_header *h;
	} entry[OI_BESIDE_RING];
	unsigned next;
} oi_beside_ring OI_HIDDEN;

OI_INLINE void oi_beside_count_later(const struct oi_header *h)
{
	struct oi_place at;
	if (!oi_place_of(h, &at))
		return;
	uint8_t *count = oi_beside_count(&at);
	unsigned i = oi_beside_ring.next++ % OI_BESIDE_RING;
	__builtin_prefetch(count, 1);
	if (likely(oi_beside_ring.entry[i].count))
		oi_beside_count_one(oi_beside_ring.entry[i].count, oi_beside_ring.entry[i].h);
	oi_beside_ring.entry[i].count = count;
	oi_beside_ring.entry[i].h = h;
}

/* A visitor. It also counts references to what is no candidate: nobody looks at that. */
OI_INLINE void oi_beside_count_child(void *child, void *arg)
{
	(void)arg;
	oi_beside_count_later(oi_header_of(child));
}

void oi_beside_count_rest(void);

/*
 * Return the number of references from members; -1 if they are too many to know, for want of
 * memory.
 */
int64_t oi_beside_exactly(const struct oi_place *at);
OI_INLINE int64_t oi_beside_internal(const struct oi_place *at)
{
	uint8_t n = *oi_beside_count(at);
	return likely(n < OI_BESIDE_EXACT) ? n : oi_beside_exactly(at);
}

/*
 * Makes maps for all regions there are, which go into @regions; the pages of objects that can be
 * traversed go into @pages. Called when oi_candidates.walking is set and a handshake is over, so
 * that none of them changes. Returns false if there is no memory; then drop what there is.
 */
bool oi_beside_make(struct oi_vector *regions, struct oi_vector *pages);
/* Forgets the exact counts and notes. Outside the gate of @t, which is NULL in a fork's child. */
void oi_beside_forget_exact(struct oi_thread *t);
/* Gives the maps back, and forgets what was still to be counted. @t as above. */
void oi_beside_drop(struct oi_thread *t, struct oi_vector *regions);

#endif
