/*
 * huge.h - the heap's parts that are in use as a whole, mapped by huge pages
 *
 * Collections, and programs with more objects than caches, look at memory all over the heap, and
 * with pages of 4 KiB each look waits for the processor to find out where that is.
 */
#ifndef OI_HUGE_H
#define OI_HUGE_H

#include "base/compiler.h"

/*
 * For the tick. Has the system make huge pages of units of 2 MiB of which each page is in use, if
 * that is wanted, for a millisecond. Each is copied, and page faults of other threads wait
 * meanwhile; no lock of the library is held. Returns true if there is more to do.
 */
bool oi_huge_tick(void);
/* Releases the heap lock after pages were taken; the tick is asked for if it has work. */
void oi_heap_unlock_taken(void);

#endif
