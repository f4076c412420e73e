/*
 * large.h - objects too large for a page's blocks
 *
 * Each has a run of pages, or a region, to itself, which belongs to no thread.
 */
#ifndef OI_LARGE_H
#define OI_LARGE_H

#include "base/compiler.h"
#include "world/object.h"

struct oi_page;
struct oi_thread;

/*
 * Inside the gate, which may be left meanwhile and entered again. Returns a block as
 * oi_block_alloc.
 */
struct oi_header *oi_large_alloc(struct oi_thread *t, size_t bytes, bool tracked);
void oi_large_free(struct oi_page *p);

/* Returns the bytes of all large objects that can be traversed. */
int64_t oi_heap_large_bytes(void);
/* Returns the bytes of all that were ever made. */
int64_t oi_heap_large_made(void);
/* Nobody is left. */
void oi_large_shutdown(void);

#endif
