/*
 * orphan.h - pages of no thread
 */
#ifndef OI_ORPHAN_H
#define OI_ORPHAN_H

#include "base/compiler.h"
#include "world/record.h"

struct oi_page;
struct oi_thread;

/* The heap of the pages that have no thread; under the heap lock. */
extern struct oi_heap oi_orphans;

/* Under the heap lock. The page stays on the list of young pages of @heap. */
void oi_orphan_make(struct oi_heap *heap, struct oi_page *p);
/* Takes over a page with room that has no thread. */
struct oi_page *oi_orphan_adopt(struct oi_heap *heap, unsigned bin);
/*
 * The thread leaves: its pages go to the threads that need pages of their size next. Inside the
 * gate.
 */
void oi_heap_abandon(struct oi_thread *t);

#endif
