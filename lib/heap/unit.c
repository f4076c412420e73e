/*
 * unit.c - units of 2 MiB, which the system may map by one huge page each
 *
 * A region has three bits for each of its units, and a unit at most one of them:
 *   full     each page of it is in use (or was, when the bit was set): it waits to become one
 *   refused  the system has been asked, and would not; it waits longer, until oi_unit_try_again
 *   huge     the system has been asked, and did it; no page of it has been given back since
 * full is set when the last of its pages is taken, and not taken away when a page becomes free:
 * oi_unit_take looks once more. Who gives a page back takes huge away.
 *
 * What changes something here runs under the heap lock, or in a stop.
 */
#include "heap/unit.h"

#include "base/lock.h"
#include "base/os.h"
#include "heap/region.h"
#include "world/context.h"

static size_t n_full, n_refused, n_huge; /* units with a bit in full, refused, huge */

static uint32_t unit_bit(const struct oi_region *r, const void *p)
{
	return UINT32_C(1) << (((uintptr_t)p - (uintptr_t)r) / OI_UNIT);
}

/*
 * Returns true if no page of unit @u is free, and the region's head is not in it: collections write
 * there, also in the child of a fork, which would then have a huge page to itself.
 */
static bool is_full(const struct oi_region *r, size_t u)
{
	return u > 0 && !(uint32_t)(r->free[u / 2] >> (u % 2 * 32));
}

void oi_unit_taken(struct oi_region *r, size_t first, size_t n)
{
	for (size_t u = first / OI_UNIT_PAGES; u <= (first + n - 1) / OI_UNIT_PAGES; u++) {
		uint32_t bit = UINT32_C(1) << u;
		if (is_full(r, u) && !((r->full | r->refused | r->huge) & bit)) {
			r->full |= bit;
			n_full++;
		}
	}
}

static void set_huge(struct oi_region *r, const void *unit, bool huge)
{
	uint32_t bit = unit_bit(r, unit);
	if (!(r->huge & bit) == !huge)
		return;
	r->huge ^= bit;
	oi_store_relaxed(&n_huge, huge ? n_huge + 1 : n_huge - 1); /* count */
}

void oi_unit_purged(const void *page)
{
	set_huge(oi_region_of(page), page, false);
}

bool oi_unit_any(void)
{
	oi_assert_locked(OI_LOCK_HEAP);
	return n_full != 0;
}

/* Returns the first unit that waits and is still full, and stops the others' waiting. */
static void *take_unit_of(struct oi_region *r)
{
	while (r->full) {
		size_t u = (size_t)__builtin_ctz(r->full);
		r->full &= r->full - 1;
		n_full--;
		if (is_full(r, u))
			return (char *)r + u * OI_UNIT;
	}
	return NULL;
}

void *oi_unit_take(void)
{
	oi_assert_locked(OI_LOCK_HEAP);
	void *unit = NULL;
	for (struct oi_region *r = oi_regions; r && n_full && !unit; r = r->next)
		unit = take_unit_of(r);
	if (unit)
		set_huge(oi_region_of(unit), unit, true);
	return unit;
}

void oi_unit_settle(void *unit, bool ok)
{
	oi_assert_locked(OI_LOCK_HEAP);
	struct oi_region *r = oi_region_of(unit);
	size_t first = oi_page_number(unit);
	for (size_t i = first; i < first + OI_UNIT_PAGES; i++)
		if (i >= OI_FIRST_PAGE && !r->page[i].committed)
			oi_os_purge(oi_page_start(&r->page[i]), OI_PAGE);
	if (ok)
		return;
	set_huge(r, unit, false);
	r->refused |= unit_bit(r, unit);
	n_refused++;
}

void oi_unit_try_again(void)
{
	oi_assert_locked(OI_LOCK_HEAP);
	for (struct oi_region *r = oi_regions; r && n_refused; r = r->next) {
		n_refused -= (size_t)__builtin_popcount(r->refused);
		n_full += (size_t)__builtin_popcount(r->refused);
		r->full |= r->refused;
		r->refused = 0;
	}
}

void oi_unit_forget(void)
{
	oi_assert_stopped();
	for (struct oi_region *r = oi_regions; r; r = r->next)
		if (r->full | r->refused) /* else nothing is written there */
			r->full = r->refused = 0;
	n_full = n_refused = 0;
}

uint64_t oi_unit_bytes(void)
{
	return (uint64_t)oi_load_relaxed(&n_huge) * OI_UNIT; /* count */
}

void oi_unit_end(void)
{
	n_full = n_refused = 0;
	oi_store_relaxed(&n_huge, (size_t)0); /* count */
}
