/* walk.c - going through all pages of the heap in short stops. See walk.h. */
#include "heap/walk.h"

#include "base/os.h"
#include "world/context.h"
#include "world/world.h"

static struct oi_region *first_region(const struct oi_walk *w, size_t *page)
{
	for (struct oi_region *r = oi_regions; r; r = r->next)
		if (r == w->region) {
			*page = w->page;
			return r;
		}
	*page = OI_FIRST_PAGE;
	return oi_regions;
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
	size_t i;
	for (struct oi_region *r = first_region(w, &i); r; r = r->next, i = OI_FIRST_PAGE)
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
