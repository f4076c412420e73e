/*
 * region.h - address space in regions of 32 MiB, cut into pages of 64 KiB
 *
 * A region is aligned to its size, so an address leads to its region, its page and its block by
 * arithmetic. Its head holds the page descriptors, and, indexed by page and block, the side arrays
 * in which collections keep what they know about objects, so as not to write into live ones. The
 * arrays lie apart from the pages, because at each page's start they would all fall into the same
 * cache sets (30 ns an object, 24 as it is).
 */
#ifndef OI_REGION_H
#define OI_REGION_H

#include "base/compiler.h"
#include "base/urcu.h"

#define OI_PAGE_SHIFT 16
#define OI_PAGE ((size_t)1 << OI_PAGE_SHIFT)
#define OI_REGION_SHIFT 25
#define OI_REGION ((size_t)1 << OI_REGION_SHIFT)
#define OI_PAGES (OI_REGION / OI_PAGE)
#define OI_BLOCK_MIN 32
#define OI_BLOCKS (OI_PAGE / OI_BLOCK_MIN) /* per page, at most */
#define OI_BITMAP (OI_BLOCKS / 64)
/* What the system can map as one, where its pages are of 4 KiB: unit.h */
#define OI_UNIT ((size_t)2 << 20)
#define OI_UNIT_PAGES (OI_UNIT / OI_PAGE)

/*
 * The maps of the address space have a bit for each region, and cover all that Linux hands out
 * unasked: 47 bits on x86-64, 48 on arm64. Where addresses have more bits, a program has to ask for
 * each of those; what lies beyond the maps is refused.
 */
#define OI_ADDRESS_BITS 48
#define OI_REGIONS_MAX ((uintptr_t)1 << (OI_ADDRESS_BITS - OI_REGION_SHIFT))
extern uintptr_t oi_address_end OI_HIDDEN; /* tests lower it */

struct oi_heap;
struct oi_page_graph;

enum oi_page_state { OI_PAGE_FREE, OI_PAGE_SMALL, OI_PAGE_LARGE };

/* Collections in a stop, and concurrent ones: graph.h. */
enum oi_graph_kind { OI_GRAPH_STOPPED, OI_GRAPH_CONCURRENT, OI_GRAPHS };

/*
 * The first line is what making and freeing an object look at; most of the time the owner alone
 * writes there. The last line is where other threads free.
 */
struct oi_page {
	/* ---- the owner, its heap's thread; if it has none, whoever holds the heap lock ---- */
	/* Free blocks, new ones among them; linked through the first words of their payloads. */
	struct cds_lfs_node *free;
	uint32_t used;          /* handed out, and not freed here or harvested: foreign.c */
	uint32_t bump;          /* blocks below it have been handed out, or put into free */
	uint32_t capacity;
	uint32_t reciprocal;    /* ceil(2^32 / block_size) */
	uint64_t block_size;
	struct oi_heap *heap;   /* any thread: whose page it is; changes under the heap lock */
	uint32_t *weak_index;   /* any thread: block -> entry of the side table; made when needed */
	uint32_t n_pages;       /* of the run; > 1 only for large ones */
	uint8_t state;          /* enum oi_page_state; who changes it: heap.c */
	uint8_t bin;
	bool tracked;           /* its objects are traversable */
	bool listed;            /* in the bin's list */
	bool current;           /* the bin allocates from it */
	bool zeroed;            /* fresh from the system: blocks above bump are zero */
	bool committed;         /* counted in bytes reserved */
	/* Free, but the system did not take its memory back: not offered before it is used. */
	bool stays;
	bool on_young;          /* linked below */
	/* Empty, or large and dead, but kept for a walk: empty.c; under the heap lock. */
	bool kept;

	/* In its bin's list of pages with room. */
	struct oi_page *next __attribute__((aligned(OI_LINE))), *previous;
	struct oi_page *heap_next, *heap_previous; /* in its heap's list of all pages */
	struct oi_page *young_next, *kept_next;

	/* ---- collector ---- */
	struct oi_page_graph *graph[OI_GRAPHS]; /* what is known of few objects: graph.h */

	/* ---- any thread ---- */
	/*
	 * Blocks freed by others, linked through their payload: the address of the newest, and
	 * above its bits, how many of them used still counts. foreign.h
	 */
	uint64_t remote __attribute__((aligned(OI_LINE)));
	uint32_t remote_queued;          /* 1: on some heap's remote stack, or about to be */
	struct cds_lfs_node remote_link;
} __attribute__((aligned(OI_LINE)));
_Static_assert(offsetof(struct oi_page, next) == OI_LINE && sizeof(struct oi_page) == 3 * OI_LINE,
	       "three lines");

struct oi_region {
	struct oi_region *next;
	size_t bytes;                     /* OI_REGION, or more for one huge object */
	uint32_t n_free;                  /* pages */
	uint32_t full, refused, huge;     /* under the heap lock; a bit for each unit: unit.c */
	uint64_t free[OI_PAGES / 64];     /* bit set: free */
	struct oi_page page[OI_PAGES];
	struct oi_map *map;               /* maps.h */
	/* Bit set: the block holds a tracked object of age 0, of age 1. */
	uint64_t young[OI_PAGES][2][OI_BITMAP];
	uint8_t side[OI_PAGES][OI_BLOCKS];
};

#define OI_WEAK_INDEX_BYTES (OI_BLOCKS * sizeof(uint32_t))
#define OI_FIRST_PAGE ((sizeof(struct oi_region) + OI_PAGE - 1) / OI_PAGE)
/* What one page costs, with its share of the head. */
#define OI_PAGE_COST (OI_PAGE + sizeof(struct oi_page) + 2 * OI_BITMAP * 8 + OI_BLOCKS)

extern struct oi_region *oi_regions; /* under the heap lock, or stopped */

OI_INLINE struct oi_region *oi_region_of(const void *p)
{
	return (struct oi_region *)((uintptr_t)p & ~(OI_REGION - 1));
}

OI_INLINE size_t oi_page_number(const void *p)
{
	return ((uintptr_t)p & (OI_REGION - 1)) >> OI_PAGE_SHIFT;
}

OI_INLINE struct oi_page *oi_page_of(const void *header)
{
	return &oi_region_of(header)->page[oi_page_number(header)];
}

OI_INLINE size_t oi_page_index(const struct oi_page *p)
{
	return (size_t)(p - oi_region_of(p)->page);
}

OI_INLINE char *oi_page_start(const struct oi_page *p)
{
	return (char *)oi_region_of(p) + (oi_page_index(p) << OI_PAGE_SHIFT);
}

/*
 * Returns the number of the block within its page. This is exact, because offsets are multiples of
 * the size below 2^16.
 */
OI_INLINE size_t oi_block_index(const struct oi_page *p, const void *header)
{
	return (size_t)(((uintptr_t)header & (OI_PAGE - 1)) * p->reciprocal >> 32);
}

OI_INLINE struct oi_header *oi_block_at(const struct oi_page *p, size_t i)
{
	return (struct oi_header *)(oi_page_start(p) + i * p->block_size);
}

OI_INLINE uint8_t *oi_side_of(const void *header)
{
	struct oi_page *p = oi_page_of(header);
	return &oi_region_of(header)->side[oi_page_number(header)][oi_block_index(p, header)];
}

/* Returns the bitmap of age @age (0 or 1) of a page. */
OI_INLINE uint64_t *oi_young_bits(const struct oi_page *p, int age)
{
	return oi_region_of(p)->young[oi_page_index(p)][age];
}

/* Returns true if block @i is of either age, as far as can be seen beside its owner. */
OI_INLINE bool oi_is_young_beside(const struct oi_page *p, size_t i)
{
	uint64_t young = oi_load_relaxed(&oi_young_bits(p, 0)[i / 64]) | /* owner */
			 oi_load_relaxed(&oi_young_bits(p, 1)[i / 64]);
	return young >> (i % 64) & 1;
}

/*
 * Where the entries of a page's blocks are, for lists that are mostly in the order of addresses: it
 * is looked up once a page, as that takes three loads that wait for each other.
 */
struct oi_side_place {
	uintptr_t page; /* its address / OI_PAGE; 0: none yet */
	uint8_t *side;
	uint64_t (*young)[OI_BITMAP];
	uint32_t reciprocal;
};

/* Returns the number of the block; afterwards *s is of its page. */
OI_INLINE size_t oi_side_block(struct oi_side_place *s, const void *header)
{
	uintptr_t page = (uintptr_t)header >> OI_PAGE_SHIFT;
	if (unlikely(page != s->page)) {
		struct oi_region *r = oi_region_of(header);
		size_t i = oi_page_number(header);
		*s = (struct oi_side_place){ page, r->side[i], r->young[i], r->page[i].reciprocal };
	}
	return (size_t)(((uintptr_t)header & (OI_PAGE - 1)) * s->reciprocal >> 32);
}

/*
 * Returns true if the address lies inside a region, in the first 32 MiB of it. Any pointer will do.
 */
bool oi_region_contains(const void *p);
/*
 * Returns the block in which an address lies, whether in use or free; NULL if it is in none, or in
 * a large one. For checks.
 */
struct oi_header *oi_region_block(const void *p);

/*
 * Under the heap lock. Returns the descriptor of the first of @n adjacent pages; NULL if there is
 * no memory, or the heap limit would be passed.
 */
struct oi_page *oi_pages_alloc(size_t n);
void oi_pages_free(struct oi_page *p);
/* Under the heap lock. Makes a region for one object of @bytes; returns as oi_pages_alloc. */
struct oi_page *oi_huge_alloc(size_t bytes);
/*
 * Returns the number of pages in use by small blocks and by large ones that have no region to
 * themselves. At any time, about. For tests.
 */
size_t oi_pages_used(void);
/*
 * Under the heap lock. Gives the memory of some cached free pages back to the system, as far as it
 * takes it. Returns true if there are more.
 */
bool oi_pages_purge(void);
/* Under the heap lock. What the system refused to take back will be offered again. */
void oi_pages_retry(void);
/*
 * Under the heap lock. Returns true if so much is cached that oi_pages_trim must be called every
 * few ms.
 */
bool oi_pages_excess(void);
/*
 * Under the heap lock. Gives a little of what has been cached for long back; returns how many pages
 * it tried, or 0 if that is all for now.
 */
size_t oi_pages_trim(void);
/* At shutdown. */
void oi_regions_unmap(void);

/* Loops over the pages in use. World stopped, or under the heap lock. */
#define oi_for_each_page(p) \
	for (struct oi_region *r_ = oi_regions; r_; r_ = r_->next) \
		for (struct oi_page *p = r_->page + OI_FIRST_PAGE; p < r_->page + OI_PAGES; \
		     p += p->n_pages ? p->n_pages : 1) \
			if (p->state != OI_PAGE_FREE)

#endif
