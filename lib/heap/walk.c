/* walk.c - going through all pages of the heap in short stops. See walk.h. */
#include "heap/walk.h"

#include "base/os.h"
#include "world/context.h"
#include "world/world.h"

/* Returns the first region at @from or behind it; NULL if there is none. */
static struct oi_region *region_from(const void *from)
{
	struct oi_region *first = NULL;
	for (struct oi_region *r = oi_regions; r; r = r->next)
		if ((uintptr_t)r >= (uintptr_t)from && (!first || r < first))
			first = r;
	return first;
}

static size_t after(const struct oi_region *r, size_t i)
{
	return i + (r->page[i].n_pages ? r->page[i].n_pages : 1);
}

static bool walk_on(struct oi_walk *w, uint64_t budget_ns,
		    bool (*fn)(void *arg, struct oi_page *p), void *arg)
{
	oi_assert_stopped();
	uint64_t began = oi_now_ns();
	bool any = false;
	struct oi_region *r = region_from(w->region);
	size_t i = r == w->region ? w->page : OI_FIRST_PAGE;
	for (; r; r = region_from((char *)r + 1), i = OI_FIRST_PAGE)
		for (; i < OI_PAGES; i = after(r, i)) {
			if (r->page[i].state == OI_PAGE_FREE)
				continue;
			*w = (struct oi_walk){ r, i };
			if ((any && oi_now_ns() - began > budget_ns) || !fn(arg, &r->page[i]))
				return false;
			any = true;
		}
	*w = (struct oi_walk){ .region = NULL };
	return true;
}

bool oi_walk_in_stop(struct oi_walk *w, uint64_t budget_ns,
		     bool (*fn)(void *arg, struct oi_page *p), void *arg)
{
	struct oi_stop stop;
	oi_world_stop(&stop, OURO_STOP_WALK);
	bool over = walk_on(w, budget_ns, fn, arg);
	oi_world_start(&stop);
	return over;
}
