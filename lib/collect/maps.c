/* maps.c - the maps of a concurrent collection. See maps.h. */
#include "collect/maps.h"

#include <string.h>

#include "base/os.h"
#include "base/vector.h"
#include "heap/heap.h"
#include "world/context.h"
#include "world/gate.h"

#define FORGET 16 /* maps, in one gate */

void oi_map_forget_exact(struct oi_thread *t, struct oi_graph *g)
{
	oi_assert_outside(t);
	for (bool more = true; more;) {
		if (t)
			oi_gate_enter(t); /* as in oi_map_drop */
		more = oi_graph_forget(g, OI_GRAPH_CONCURRENT, FORGET);
		if (t)
			oi_gate_leave(t);
	}
}

/*
 * One bit for each 32 MiB that has a map. Of a region that is larger it is the first, where its one
 * object begins.
 */
static uint64_t covered[OI_REGIONS_MAX / 64];

bool oi_map_covers(const void *word)
{
	uintptr_t i = (uintptr_t)word >> OI_REGION_SHIFT;
	return i < OI_REGIONS_MAX && covered[i / 64] >> (i % 64) & 1 &&
	       oi_page_number(word) >= OI_FIRST_PAGE;
}

static void cover(const struct oi_region *r, bool mine)
{
	uintptr_t i = (uintptr_t)r >> OI_REGION_SHIFT;
	uint64_t bit = UINT64_C(1) << (i % 64);
	covered[i / 64] = mine ? covered[i / 64] | bit : covered[i / 64] & ~bit;
}

/*
 * A region of one huge object that cannot be traversed is left out: it may vanish at any time, and
 * nothing in it is looked at.
 */
static bool list_regions(struct oi_vector *regions)
{
	bool ok = true;
	oi_heap_lock();
	for (struct oi_region *r = oi_regions; r && ok; r = r->next)
		if (r->bytes == OI_REGION || r->page[OI_FIRST_PAGE].tracked)
			ok = oi_vector_push(regions, r);
	oi_heap_unlock();
	return ok;
}

/* Notes, and lists unless @pages is NULL, the pages of a region whose objects can be traversed. */
static bool list_pages(struct oi_region *r, struct oi_vector *pages)
{
	bool ok = true;
	oi_heap_lock();
	for (size_t i = OI_FIRST_PAGE; i < OI_PAGES && ok;
	     i += r->page[i].n_pages ? r->page[i].n_pages : 1) {
		/* [H2] */
		if (oi_load_acquire(&r->page[i].state) == OI_PAGE_FREE || !r->page[i].tracked)
			continue;
		r->map->reciprocal[i] = r->page[i].reciprocal;
		ok = !pages || oi_vector_push(pages, &r->page[i]);
	}
	oi_heap_unlock();
	return ok;
}

/*
 * Maps what will be written, at once: otherwise each 4 KiB takes a fault that reads, and one that
 * writes and interrupts all threads.
 */
static void populate(struct oi_map *map, uint8_t (*bytes)[OI_BLOCKS])
{
	for (size_t i = OI_FIRST_PAGE, n; i < OI_PAGES; i += n + 1) {
		for (n = 0; i + n < OI_PAGES && map->reciprocal[i + n]; n++)
			;
		if (n < 4)
			continue;
		if (bytes == map->count)
			oi_os_populate(map->bits[i], n * sizeof *map->bits);
		oi_os_populate(bytes[i], n * sizeof *bytes);
	}
}

#define BYTES ((size_t)OI_PAGES * OI_BLOCKS)

/* Maps memory, and notes where; in one gate: the child of a fork finds both, or neither. */
static void *make_noted(struct oi_thread *t, void *where, size_t bytes)
{
	oi_gate_enter(t);
	void *p = oi_os_map_list(bytes);
	memcpy(where, &p, sizeof p);
	oi_gate_leave(t);
	return p;
}

bool oi_map_make_bytes(struct oi_thread *t, struct oi_vector *regions, unsigned number)
{
	for (size_t i = 0; i < regions->n; i++) {
		struct oi_map *map = ((struct oi_region *)regions->data[i])->map;
		if (!make_noted(t, &map->bytes[number], BYTES))
			return false;
		populate(map, map->bytes[number]);
	}
	return true;
}

int64_t oi_map_sum(const struct oi_place *at, const struct oi_header *h, unsigned n)
{
	int64_t sum = 0;
	bool exactly = false;
	for (unsigned i = 0; i < n; i++) {
		uint8_t one = at->map->bytes[i][at->page_index][at->block];
		if (likely(one < oi_graph_full(OI_GRAPH_CONCURRENT)))
			sum += one;
		else
			exactly = true;
	}
	int64_t rest = exactly ? oi_graph_degree(OI_GRAPH_CONCURRENT, h) : 0;
	return rest < 0 ? rest : sum + rest;
}

static void drop_map(struct oi_region *r)
{
	struct oi_map *map = r->map;
	for (unsigned i = 1; map && i < OI_CREW_MAX; i++)
		if (map->bytes[i])
			oi_os_unmap_list(map->bytes[i], BYTES);
	if (map)
		oi_os_unmap_list(map, sizeof *map);
	r->map = NULL;
}

/* One that was kept is dropped: its counts may be anything. */
static void drop_kept(struct oi_thread *t, struct oi_region *r)
{
	oi_gate_enter(t); /* the child of a fork finds it there, or gone */
	drop_map(r);
	oi_gate_leave(t);
}

bool oi_map_make(struct oi_thread *t, struct oi_vector *regions, struct oi_vector *pages)
{
	bool ok = list_regions(regions);
	for (size_t i = 0; i < regions->n && ok; i++) {
		struct oi_region *r = regions->data[i];
		if (r->map)
			drop_kept(t, r);
		ok = make_noted(t, &r->map, sizeof *r->map) != NULL;
		cover(r, true);
		ok = ok && list_pages(r, pages);
		if (ok)
			populate(r->map, r->map->bytes[0] = r->map->count);
	}
	return ok;
}

bool oi_map_renew(struct oi_thread *t, struct oi_vector *regions)
{
	bool ok = list_regions(regions);
	for (size_t i = 0; i < regions->n && ok; i++) {
		struct oi_region *r = regions->data[i];
		if (r->map)
			memset(r->map->reciprocal, 0, sizeof r->map->reciprocal);
		else
			ok = make_noted(t, &r->map, sizeof *r->map) != NULL;
		cover(r, true);
		ok = ok && list_pages(r, NULL);
	}
	return ok;
}

void oi_map_keep(struct oi_thread *t, struct oi_vector *regions)
{
	oi_assert_outside(t);
	for (size_t i = 0; i < regions->n; i++) {
		struct oi_region *r = regions->data[i];
		oi_gate_enter(t); /* as in oi_map_drop */
		if (r->bytes != OI_REGION)
			drop_map(r); /* the region may go */
		cover(r, false);
		oi_gate_leave(t);
	}
	oi_gate_enter(t);
	regions->n = 0;
	oi_gate_leave(t);
}

void oi_map_shutdown(void)
{
	for (struct oi_region *r = oi_regions; r; r = r->next)
		drop_map(r);
}

void oi_map_drop(struct oi_thread *t, struct oi_vector *regions)
{
	oi_assert_outside(t);
	for (size_t i = 0; i < regions->n; i++) {
		struct oi_region *r = regions->data[i];
		if (t)
			oi_gate_enter(t); /* the child of a fork finds it there, or gone */
		drop_map(r);
		cover(r, false);
		if (t)
			oi_gate_leave(t);
	}
}
