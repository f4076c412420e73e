/* heap.h - per-thread allocation buffers: bins of pages by block size, foreign frees, pages of threads that left. */
#ifndef OI_HEAP_H
#define OI_HEAP_H

#include "compiler.h"
#include "region.h"

struct oi_thread;
struct ouro_type;

#define OI_CLASSES 39                /* block sizes 32..128 in steps of 16, then four to a doubling up to 32 KiB */
#define OI_BINS (2 * OI_CLASSES)     /* plain, then tracked: the collector skips plain pages whole */
#define OI_BIN_LARGE 255
#define OI_BLOCK_MAX 32768

struct oi_bin {
	struct oi_page *current;
	struct oi_page *pages; /* with room, not current */
};

struct oi_heap {
	struct oi_bin bin[OI_BINS];
	struct oi_page *all;           /* every page it owns */
	struct oi_page *young;         /* pages that may hold objects of age 0 or 1 */
	/* any thread: pages in which others freed blocks */
	struct __cds_lfs_stack remote __attribute__((aligned(OI_LINE)));
};

OI_INLINE unsigned oi_class_of(size_t bytes)
{
	if (bytes <= 128)
		return bytes <= 32 ? 0 : (unsigned)((bytes + 15) / 16 - 2);
	unsigned b = 63 - (unsigned)__builtin_clzll(bytes - 1);
	return 7 + (b - 7) * 4 + (unsigned)((bytes - 1) >> (b - 2)) - 4;
}

OI_INLINE unsigned oi_bin_of(size_t bytes, bool tracked)
{
	return oi_class_of(bytes) + (tracked ? OI_CLASSES : 0);
}

size_t oi_class_bytes(unsigned class_index);

/*
 * Inside the gate. A block for @bytes (header included) with its payload zeroed up to there; its header is not yet
 * written. NULL: no memory. @bin as in oi_type_info.
 */
struct oi_header *oi_block_alloc(struct oi_thread *t, size_t bytes, unsigned bin, bool tracked);
/* Inside the gate, or world stopped. */
void oi_block_free(struct oi_thread *t, struct oi_header *h);
/* Several retired blocks of one page, linked from first to last. */
void oi_chain_free(struct oi_thread *t, struct oi_page *p, struct cds_lfs_node *first, struct cds_lfs_node *last, uint32_t n);
/* Marks a dead block free; its link, for a chain. */
struct cds_lfs_node *oi_block_retire(struct oi_header *h);

void oi_heap_init(struct oi_heap *heap);
/* The thread leaves: its pages go to whoever needs their size next. Inside the gate. */
void oi_heap_abandon(struct oi_thread *t);
/* World stopped: takes in all foreign frees everywhere, so that empty pages are seen. */
void oi_heap_harvest_all(void);
/* On behalf of threads that are outside and do not come by: the same for them. Outside the gate. */
void oi_heap_harvest_idle(struct oi_thread *self);
/* Purges what is free and cached. */
void oi_heap_purge(void);
/* The list of pages with young objects of heaps without a thread. */
extern struct oi_heap oi_orphans;

void oi_heap_lock(void);
void oi_heap_unlock(void);

#endif
