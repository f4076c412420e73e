/*
 * region.c - regions: handing out and taking back runs of pages. What changes something here runs
 * under the heap lock.
 */
#include "heap/region.h"

#include "base/lock.h"
#include "base/os.h"
#include "base/runtime.h"
#include "heap/unit.h"
#include "world/object.h"

#include <string.h>

/*
 * Pages that become free keep their memory for the next burst. Of the pages that are cached beyond
 * an eighth of what is in use, those that were not needed for TRIM_NS go back to the system: giving
 * them back at once, to ask for them a moment later, was a tenth of the time of binary trees with
 * parents. What is beyond a quarter, and CACHE_PAGES, goes at the next tick.
 */
#define CACHE_PAGES ((size_t)(16 << 20) / OI_PAGE)
#define TRIM_NS 64000000
#define TRIM_PAGES 16   /* under the lock */
#define PURGE_PAGES 16  /* at a time, at the heap limit */

struct oi_region *oi_regions;

uintptr_t oi_address_end = (uintptr_t)1 << OI_ADDRESS_BITS;
static uint64_t ours[OI_REGIONS_MAX / 64]; /* one bit for each 32 MiB: is it a region of ours? */
static size_t n_used_pages, n_cached_pages; /* cached: free, but still holding memory */
static size_t n_staying; /* of these, those that the system does not take back: mlock, a filter */
static struct {
	uint64_t until;  /* 0: nothing to trim */
	/* The fewest pages cached since the window began: so many were not needed. */
	size_t least;
	size_t to_purge; /* pages left to purge of the window before */
} window;

static void mark_ours(const struct oi_region *r, bool mine)
{
	uintptr_t from = (uintptr_t)r >> OI_REGION_SHIFT,
		  to = ((uintptr_t)r + r->bytes - 1) >> OI_REGION_SHIFT;
	for (uintptr_t i = from; i <= to; i++) {
		uint64_t bit = UINT64_C(1) << (i % 64);
		if (mine && i == from) /* a huge object begins in its region's first 32 MiB */
			oi_or_acq_rel(&ours[i / 64], bit); /* elsewhere: oi_region_contains */
		else
			oi_and_acq_rel(&ours[i / 64], ~bit); /* elsewhere: likewise */
	}
}

bool oi_region_contains(const void *p)
{
	uintptr_t i = (uintptr_t)p >> OI_REGION_SHIFT;
	if (i >= OI_REGIONS_MAX)
		return false;
	/* elsewhere: however the address was got; for any other address it is a diagnosis */
	return oi_load_acquire(&ours[i / 64]) >> (i % 64) & 1;
}

struct oi_header *oi_region_block(const void *p)
{
	if (!oi_region_contains(p) || oi_page_number(p) < OI_FIRST_PAGE)
		return NULL;
	struct oi_page *page = oi_page_of(p);
	if (page->state != OI_PAGE_SMALL)
		return NULL;
	size_t i = ((uintptr_t)p & (OI_PAGE - 1)) / page->block_size;
	/* recheck: a diagnosis */
	return i < oi_load_relaxed(&page->bump) ? oi_block_at(page, i) : NULL;
}

static bool over_limit(size_t bytes)
{
	/*
	 * Pages leave room for what cannot be refused: thread records, limbo batches, the side
	 * table. These come in whole pages of the system's.
	 */
	size_t limit = oi_runtime.config.heap_limit,
	       part = limit / (OI_OS_PAGE > 16384 ? 8 : 16);
	size_t room = part < (16 << 20) ? part : 16 << 20;
	return limit && oi_os_reserved() + bytes > limit - room;
}

static struct oi_region *new_region(size_t bytes)
{
	struct oi_region *r = oi_os_reserve(bytes, OI_REGION);
	if (!r)
		return NULL;
	if (unlikely((uintptr_t)r + bytes > oi_address_end)) {
		oi_os_unreserve(r, bytes);
		return NULL;
	}
	r->bytes = bytes;
	mark_ours(r, true);
	r->next = oi_regions;
	oi_regions = r;
	return r;
}

static bool is_free(const struct oi_region *r, size_t i)
{
	return r->free[i / 64] >> (i % 64) & 1;
}

/* Returns where the first run of @n free pages begins, or OI_PAGES if there is none. */
static size_t find_run(const struct oi_region *r, size_t n)
{
	size_t length = 0;
	for (size_t i = OI_FIRST_PAGE; i < OI_PAGES; i++) {
		if (n == 1 && i % 64 == 0 && !r->free[i / 64]) {
			i += 63;
			continue;
		}
		length = is_free(r, i) ? length + 1 : 0;
		if (length == n)
			return i + 1 - n;
	}
	return OI_PAGES;
}

static void commit_pages(struct oi_page *p, size_t n)
{
	bool zeroed = true;
	for (size_t i = 0; i < n; i++) {
		if (p[i].committed) {
			zeroed = false;
			n_staying -= p[i].stays;
			p[i].stays = false;
			if (--n_cached_pages < window.least)
				window.least = n_cached_pages;
		} else {
			oi_os_charge((int64_t)OI_PAGE_COST);
		}
		p[i].committed = true;
	}
	oi_store_relaxed(&n_used_pages, n_used_pages + n); /* count */
	p->zeroed = zeroed;
	p->n_pages = (uint32_t)n;
}

static struct oi_page *take_run(struct oi_region *r, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++)
		r->free[i / 64] &= ~(UINT64_C(1) << (i % 64));
	r->n_free -= (uint32_t)n;
	struct oi_page *p = &r->page[first];
	commit_pages(p, n);
	oi_unit_taken(r, first, n);
	return p;
}

/*
 * Gives a page back to the system. If the system refuses, the page keeps its memory and what is in
 * it, and still counts as cached.
 */
static void purge_page(struct oi_page *p)
{
	if (!oi_os_purge(oi_page_start(p), OI_PAGE)) {
		p->stays = true;
		n_staying++;
		return;
	}
	p->committed = false;
	n_cached_pages--;
	oi_os_charge(-(int64_t)OI_PAGE_COST);
	oi_unit_purged(oi_page_start(p));
}

/*
 * Purges at most @most pages that were not refused yet; those of high addresses first, as they are
 * handed out last.
 */
static void purge(size_t most)
{
	for (struct oi_region *r = oi_regions; r && n_cached_pages && most; r = r->next)
		for (size_t i = OI_PAGES; i-- > OI_FIRST_PAGE && r->n_free && most;)
			if (is_free(r, i) && r->page[i].committed && !r->page[i].stays) {
				purge_page(&r->page[i]);
				most--;
			}
}

size_t oi_pages_used(void)
{
	return oi_load_relaxed(&n_used_pages); /* count */
}

void oi_pages_retry(void)
{
	oi_assert_locked(OI_LOCK_HEAP);
	for (struct oi_region *r = oi_regions; r && n_staying; r = r->next)
		for (size_t i = OI_FIRST_PAGE; i < OI_PAGES; i++) {
			n_staying -= r->page[i].stays;
			r->page[i].stays = false;
		}
}

bool oi_pages_purge(void)
{
	oi_assert_locked(OI_LOCK_HEAP);
	purge(TRIM_PAGES);
	return n_cached_pages > n_staying;
}

/*
 * Makes room for @bytes under the limit, out of what is cached if need be. Returns false if there
 * is not so much.
 */
static bool make_room(size_t bytes)
{
	while (over_limit(bytes) && n_cached_pages > n_staying)
		purge(PURGE_PAGES);
	return !over_limit(bytes);
}

/* Returns what a run would add to the bytes reserved: its cached pages add nothing. */
static size_t cost_of(const struct oi_region *r, size_t first, size_t n)
{
	size_t cost = 0;
	for (size_t i = first; i < first + n; i++)
		cost += r->page[i].committed ? 0 : OI_PAGE_COST;
	return cost;
}

struct oi_page *oi_pages_alloc(size_t n)
{
	oi_assert_locked(OI_LOCK_HEAP);
	bool room = make_room(n * OI_PAGE_COST);
	for (struct oi_region *r = oi_regions; r; r = r->next) {
		if (r->n_free < n)
			continue;
		size_t first = find_run(r, n);
		if (first < OI_PAGES && (room || !cost_of(r, first, n)))
			return take_run(r, first, n);
	}
	struct oi_region *r = room ? new_region(OI_REGION) : NULL;
	if (!r)
		return NULL;
	for (size_t i = OI_FIRST_PAGE; i < OI_PAGES; i++)
		r->free[i / 64] |= UINT64_C(1) << (i % 64);
	r->n_free = OI_PAGES - OI_FIRST_PAGE;
	return take_run(r, OI_FIRST_PAGE, n);
}

/* Returns how many more pages than @keep are cached, of those that the system takes back. */
static size_t beyond(size_t keep)
{
	size_t cached = n_cached_pages - n_staying;
	return cached > keep ? cached - keep : 0;
}

/* Returns how many pages are cached beyond an eighth of what is in use, and 2 MiB. */
static size_t excess(void)
{
	return beyond(n_used_pages / 8 + 32);
}

bool oi_pages_excess(void)
{
	oi_assert_locked(OI_LOCK_HEAP);
	return excess() != 0;
}

size_t oi_pages_trim(void)
{
	oi_assert_locked(OI_LOCK_HEAP);
	uint64_t now = oi_now_ns();
	size_t n = excess();
	if (!n || !window.until) {
		window.until = n ? now + TRIM_NS : 0;
		window.least = n_cached_pages;
		window.to_purge = 0;
	} else if (now >= window.until) {
		window.to_purge = window.least < n ? window.least : n;
		window.least = n_cached_pages;
		window.until = now + TRIM_NS;
	}
	size_t at_once = beyond(n_used_pages / 4 + CACHE_PAGES);
	n = n < window.to_purge ? n : window.to_purge;
	n = n > at_once ? n : at_once;
	n = n < TRIM_PAGES ? n : TRIM_PAGES;
	purge(n);
	window.to_purge -= n < window.to_purge ? n : window.to_purge;
	return n;
}

static void drop_tables(struct oi_page *p)
{
	if (p->weak_index)
		oi_os_unmap(p->weak_index, OI_WEAK_INDEX_BYTES);
	p->weak_index = NULL;
}

static void free_huge(struct oi_page *p)
{
	struct oi_region *r = oi_region_of(p), **link = &oi_regions;
	while (*link != r)
		link = &(*link)->next;
	oi_store_release(link, r->next); /* elsewhere: the heap lock */
	mark_ours(r, false);
	oi_os_unreserve_later(r, r->bytes, r->bytes);
}

void oi_pages_free(struct oi_page *p)
{
	oi_assert_locked(OI_LOCK_HEAP);
	struct oi_region *r = oi_region_of(p);
	/* recheck: a thread that still has it in its list finds the heap another's, solo.c */
	oi_store_relaxed(&p->state, (uint8_t)OI_PAGE_FREE);
	oi_store_release(&p->heap, (struct oi_heap *)NULL); /* recheck: heap_to_queue_at */
	drop_tables(p);
	if (r->bytes > OI_REGION) {
		free_huge(p);
		return;
	}
	size_t first = oi_page_index(p), n = p->n_pages;
	p->n_pages = 1;
	for (size_t i = first; i < first + n; i++)
		r->free[i / 64] |= UINT64_C(1) << (i % 64);
	r->n_free += (uint32_t)n;
	oi_store_relaxed(&n_used_pages, n_used_pages - n); /* count */
	n_cached_pages += n;
}

struct oi_page *oi_huge_alloc(size_t bytes)
{
	oi_assert_locked(OI_LOCK_HEAP);
	size_t total = OI_FIRST_PAGE * OI_PAGE + bytes;
	total = (total + OI_PAGE - 1) & ~(OI_PAGE - 1);
	if (total < bytes || total > ((size_t)1 << 43))
		return NULL;
	if (total <= OI_REGION)
		total = OI_REGION + OI_PAGE;
	if (!make_room(total))
		return NULL;
	struct oi_region *r = new_region(total);
	if (!r)
		return NULL;
	oi_os_charge((int64_t)total);
	struct oi_page *p = &r->page[OI_FIRST_PAGE];
	p->n_pages = (uint32_t)(OI_PAGES - OI_FIRST_PAGE); /* nothing else begins in this region */
	p->zeroed = true;
	return p;
}

void oi_regions_unmap(void)
{
	while (oi_regions) {
		struct oi_region *r = oi_regions;
		oi_regions = r->next;
		mark_ours(r, false);
		for (size_t i = OI_FIRST_PAGE; i < OI_PAGES; i++)
			drop_tables(&r->page[i]);
		if (r->bytes > OI_REGION)
			oi_os_charge(-(int64_t)r->bytes);
		else
			for (size_t i = OI_FIRST_PAGE; i < OI_PAGES; i++)
				if (r->page[i].committed)
					oi_os_charge(-(int64_t)OI_PAGE_COST);
		oi_os_unreserve(r, r->bytes);
	}
	oi_store_relaxed(&n_used_pages, (size_t)0); /* count */
	n_cached_pages = n_staying = 0;
	oi_unit_end();
	memset(&window, 0, sizeof window);
}
