/* unit.h - units of 2 MiB, which the system may map by one huge page each: which may become one. */
#ifndef OI_UNIT_H
#define OI_UNIT_H

#include "base/compiler.h"

struct oi_region;

/* Under the heap lock. @n pages from number @first on have been taken. */
void oi_unit_taken(struct oi_region *r, size_t first, size_t n);
/* Under the heap lock. A page's memory was given back to the system. */
void oi_unit_purged(const void *page);
/* Under the heap lock. Returns true if there is a unit for oi_unit_take. */
bool oi_unit_any(void);
/*
 * Under the heap lock. Returns the address of a unit of which every page is in use, to be made a
 * huge page; NULL if there is none. oi_unit_settle must follow.
 */
void *oi_unit_take(void);
/*
 * Under the heap lock. The system has been asked; @ok: and has done it. What was given back
 * meanwhile is so again.
 */
void oi_unit_settle(void *unit, bool ok);
/* Under the heap lock. What was refused is to be tried once more. */
void oi_unit_try_again(void);
/* World stopped. Forgets the units that wait. After a fork: parent and child share them. */
void oi_unit_forget(void);
/* How many bytes were made huge pages, and were not given back since. At any time, about. */
uint64_t oi_unit_bytes(void);
/* At shutdown. */
void oi_unit_end(void);

#endif
