/*
 * empty.h - what becomes of empty pages, and of the memory they leave
 */
#ifndef OI_EMPTY_H
#define OI_EMPTY_H

#include "base/compiler.h"
#include "world/record.h"

struct oi_page;
struct oi_thread;

/*
 * Under the heap lock. @p is empty, or large and its object dead. Returns true if it must stay what
 * it is since a collection walks, and it is on the list for the end of that.
 */
bool oi_page_keep(struct oi_page *p);
/* Under the heap lock. Returns true if the page was empty, and is given up. */
bool oi_page_retire(struct oi_heap *heap, struct oi_page *p);
/*
 * Gives an empty page back, unless it is the only one of that size in which its thread has room, or
 * the thread walks its pages as it leaves: then oi_heap_abandon gives it back. Called by the owner,
 * or under the heap lock for orphans.
 */
void oi_page_emptied(struct oi_heap *heap, struct oi_page *p);
/* Releases the heap lock after something was freed; the tick is asked for if much is cached. */
void oi_heap_unlock_freed(void);
/*
 * @t, which is kept out of its gate, does nothing. Its empty pages go back. The others are no
 * longer allocated from, so that young collections need not look at one in which nothing is young.
 */
void oi_heap_tidy(struct oi_thread *t);
/*
 * No collection walks the heap any more: what was kept for it goes back. Outside the gate of @t,
 * which is NULL in the child of a fork.
 */
void oi_heap_end_walk(struct oi_thread *t);
/* Gives free memory that is cached back to the system, all of it. */
void oi_heap_purge(void);
/* For the tick: gives back memory that has been cached for long. Returns true if there is more. */
bool oi_heap_trim(void);

#endif
