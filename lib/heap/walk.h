/* walk.h - going through all pages of the heap in stops that are short, each from where the last one ended. */
#ifndef OI_WALK_H
#define OI_WALK_H

#include "heap/region.h"

/* Zeroed: at the beginning. */
struct oi_walk {
	struct oi_region *region; /* NULL: the beginning. It may be gone: only compared */
	size_t page;
};

/*
 * World stopped. Calls @fn for each page, of those that are in use the first one at least, until it is late or @fn says false: then that
 * page is the next again. True: that was the end of the heap. A walk begins anew if the region where it was has gone.
 */
bool oi_walk_on(struct oi_walk *w, uint64_t until_ns, bool (*fn)(void *arg, struct oi_page *p), void *arg);

#endif
