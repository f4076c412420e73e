/*
 * picture.c - which objects there are and what refers to what. See picture.h.
 *
 * What a stop finds goes into room that was there before it, all of it mapped: a list that grew in
 * the stop, of a heap of a million objects, would have it wait while the system moves tens of
 * megabytes. The room also bounds what a stop looks at. Behind the stop it is added to the lists.
 */
#include "inspect/picture.h"

#include <string.h>

#include "base/os.h"
#include "base/perturb.h"
#include "base/runtime.h"
#include "contain/map.h"
#include "contain/parts.h"
#include "count/count.h"
#include "heap/candidate.h"
#include "heap/edge.h"
#include "heap/type.h"
#include "heap/walk.h"

#define EDGES 16384     /* the room, unless one object needs more */
#define ITEM_EDGES 4096 /* of a large object, looked at in a row */
#define LOOKS 64        /* objects between two looks at the clock */
#define TEXT (OI_PICTURE_OBJECTS * (size_t)OI_MAP_KEY_NAME)

struct look {
	struct oi_picture *p;
	bool keys;
	/* ---- where it is ---- */
	uintptr_t at; /* nothing below is looked at any more */
	size_t item;  /* of the object there, which is large: the next; 0: it was not begun */
	uint64_t until;
	unsigned looks;
	/* ---- the room ---- */
	struct oi_seen *seen;
	struct oi_seen_edge *edges;
	char *text;
	size_t n, n_edges, n_text, capacity;
	size_t needed; /* edges, of one object that does not fit */
	size_t n_more; /* edges in front that are of the last object of the picture */
};

/* ---- looking, in a stop ---- */

static void keep_edge(void *child, uint64_t place, void *arg)
{
	struct look *l = arg;
	if (l->n_edges < l->capacity)
		l->edges[l->n_edges] = (struct oi_seen_edge){ (uintptr_t)child, place };
	l->n_edges++;
}

static unsigned flags_of(const struct oi_header *h)
{
	uint8_t flags = oi_flags(h);
	bool part = oi_is_part(oi_load_relaxed(&h->type)); /* stopped */
	bool dying = oi_is_dead(h) || (flags & OI_FLAG_GARBAGE) || oi_is_committed(h);
	return (flags & OI_FLAG_IMMORTAL ? OI_SEEN_IMMORTAL : 0u) |
	       (flags & OI_FLAG_FROZEN ? OI_SEEN_FROZEN : 0u) | (dying ? OI_SEEN_DYING : 0u) |
	       (part ? OI_SEEN_PART : 0u);
}

static uint32_t references_of(const struct oi_header *h)
{
	int64_t n = oi_references(h);
	if (oi_flags(h) & OI_FLAG_IMMORTAL)
		return 0;
	if (oi_flags(h) & (OI_FLAG_FINALIZING | OI_FLAG_GARBAGE))
		n--; /* the finalizer's, or the collector's */
	if (oi_load_relaxed(&h->shared) & OI_QUEUED) /* stopped */
		n--; /* the queue's */
	return n > 0 ? (uint32_t)n : 0;
}

/* How many items are looked at in a row. */
static size_t items_in_a_row(const ouro_type *t)
{
	size_t each = 0;
	for (uint32_t i = 0; i < t->item_slots.n; i++)
		each += t->item_slots.field[i].count;
	return each < ITEM_EDGES ? ITEM_EDGES / (each ? each : 1) : 1;
}

/* Returns where in its items the look at @h ends; 0 if that is at their end. */
static size_t look_at_items(struct look *l, struct oi_header *h, const ouro_type *t, size_t from)
{
	size_t n = t->item_slots.n ? oi_items(h, t) : 0;
	size_t to = n - from > items_in_a_row(t) ? from + items_in_a_row(t) : n;
	if (from < n)
		oi_edge_visit_items(h, t, from, to, keep_edge, l);
	return to < n ? to : 0;
}

struct told {
	struct look *l;
	uint64_t n;
};

static void note_told(void *child, void *arg)
{
	struct told *told = arg;
	keep_edge(child, OI_EDGE_TOLD | told->n++, told->l);
}

static size_t look_at_edges(struct look *l, struct oi_header *h)
{
	const ouro_type *t = oi_type_of(h);
	struct told told = { l, 0 };
	ouro_visitor v = { note_told, &told };
	if (!oi_is_whole(h))
		return 0;
	oi_edge_visit_fixed(h, t, keep_edge, l);
	if (t->traverse)
		oi_call_traverse(t, h, &v);
	return look_at_items(l, h, t, 0);
}

/* Puts what an entry's key is called behind its edges. */
static void note_key(struct look *l, struct oi_seen *s, struct oi_header *h)
{
	size_t n = oi_map_key_name(l->text + l->n_text, h);
	if (!n)
		return;
	keep_edge((void *)(l->p->text.n * sizeof(void *) + l->n_text), 0, l);
	l->n_text += n + 1;
	s->flags |= OI_SEEN_NAMED;
}

/* Returns false, with nothing changed, if there is no room. */
static bool look_at_object(struct look *l, struct oi_page *page, struct oi_header *h)
{
	size_t before = l->n_edges, text = l->n_text;
	if (l->n == OI_PICTURE_OBJECTS)
		return false;
	size_t item = look_at_edges(l, h);
	struct oi_seen *s = &l->seen[l->n];
	*s = (struct oi_seen){
		.header = (uintptr_t)h, .type = oi_load_relaxed(&h->type), /* stopped */
		.edge = l->p->n_edges + before, .flags = flags_of(h),
		.references = references_of(h), .n_edges = (uint32_t)(l->n_edges - before),
		.units = (uint32_t)(page->block_size / 16),
	};
	if (l->keys && oi_is_whole(h))
		note_key(l, s, h);
	if (l->n_edges > l->capacity) {
		if (!before)
			l->needed = l->n_edges;
		l->n_edges = before;
		l->n_text = text;
		return false;
	}
	l->n++;
	l->item = item;
	return true;
}

/*
 * The rest of a large object, which may be gone: then another one lies there, or none. It comes
 * first in a stop, so the room is empty. Returns false if there was not enough.
 */
static bool look_at_rest(struct look *l, struct oi_header *h)
{
	const struct oi_seen *s = oi_picture_seen(l->p, l->p->n - 1);
	size_t item = 0;
	if (s->header == (uintptr_t)h && s->type == oi_load_relaxed(&h->type) && /* stopped */
	    oi_is_used(h) && oi_is_whole(h))
		item = look_at_items(l, h, oi_type_of(h), l->item);
	if (l->n_edges > l->capacity) {
		l->needed = l->n_edges;
		l->n_edges = 0;
		return false;
	}
	l->n_more = l->n_edges;
	l->item = item;
	return true;
}

static bool time_is_over(struct look *l)
{
	return l->looks++ % LOOKS == LOOKS - 1 && oi_now_ns() > l->until;
}

static size_t first_block(const struct look *l, const struct oi_page *page)
{
	uintptr_t start = (uintptr_t)oi_page_start(page);
	return l->at <= start ? 0 : (l->at - start + page->block_size - 1) / page->block_size;
}

static bool look_at_page(void *arg, struct oi_page *page)
{
	struct look *l = arg;
	if (!l->until)
		l->until = oi_now_ns() + oi_runtime.config.pause_budget_ns / 2;
	for (size_t i = first_block(l, page); i < page->bump; i++) {
		struct oi_header *h = oi_block_at(page, i);
		if (l->at != (uintptr_t)h)
			l->item = 0;
		l->at = (uintptr_t)h;
		if (l->item ? !look_at_rest(l, h) : oi_is_used(h) && !look_at_object(l, page, h))
			return false;
		if (l->item) /* large: it is looked at again, in another stop */
			return false;
		l->at++;
		if (time_is_over(l))
			return false;
	}
	return true;
}

/* ---- between stops ---- */

static bool append(struct oi_vector *v, const void *data, size_t bytes)
{
	size_t words = (bytes + sizeof(void *) - 1) / sizeof(void *);
	while (v->capacity - v->n < words)
		if (!oi_vector_grow(v))
			return false;
	if (bytes)
		memcpy(v->data + v->n, data, bytes);
	v->n += words;
	return true;
}

static bool add_room(struct look *l)
{
	struct oi_picture *p = l->p;
	if (l->n_more)
		oi_picture_seen(p, p->n - 1)->n_edges += (uint32_t)l->n_more;
	if (!append(&p->seen, l->seen, l->n * sizeof *l->seen) ||
	    !append(&p->edges, l->edges, l->n_edges * sizeof *l->edges) ||
	    !append(&p->text, l->text, l->n_text))
		return false;
	p->n += l->n;
	p->n_edges += l->n_edges;
	l->n = l->n_edges = l->n_text = l->n_more = 0;
	return true;
}

static void free_edges(struct look *l)
{
	if (l->edges)
		oi_os_unmap_list(l->edges, l->capacity * sizeof *l->edges);
	l->edges = NULL;
}

/* Makes room for @n edges. */
static bool make_edges(struct look *l, size_t n)
{
	free_edges(l);
	l->edges = oi_os_map_list(n * sizeof *l->edges);
	if (!l->edges)
		return false;
	oi_os_populate(l->edges, n * sizeof *l->edges);
	l->capacity = n;
	l->needed = 0;
	return true;
}

static void free_scratch(struct look *l)
{
	free_edges(l);
	if (l->seen)
		oi_os_unmap_list(l->seen, OI_PICTURE_OBJECTS * sizeof *l->seen);
	if (l->text)
		oi_os_unmap_list(l->text, TEXT);
}

static bool make_scratch(struct look *l)
{
	l->seen = oi_os_map_list(OI_PICTURE_OBJECTS * sizeof *l->seen);
	l->text = oi_os_map_list(TEXT);
	if (!l->seen || !l->text || !make_edges(l, EDGES))
		return false;
	oi_os_populate(l->seen, OI_PICTURE_OBJECTS * sizeof *l->seen);
	if (l->keys)
		oi_os_populate(l->text, TEXT);
	return true;
}

/* One stop after the other, each followed by as long a time without, up to the budget. */
static bool look_at_all(struct look *l)
{
	struct oi_walk walk = { .region = NULL };
	uint64_t rest = oi_runtime.config.pause_budget_ns;
	for (bool over = false; !over;) {
		uint64_t began = oi_now_ns();
		l->until = 0;
		over = oi_walk_in_stop(&walk, UINT64_MAX, look_at_page, l);
		uint64_t ns = oi_now_ns() - began;
		l->p->stops++;
		oi_point("picture: between");
		if (!add_room(l) || (l->needed && !make_edges(l, l->needed * 2)))
			return false;
		if (!over)
			oi_sleep_ns(ns < rest ? ns : rest);
	}
	return true;
}

/* ---- what leads where ---- */

/* Lists where each page's objects begin: its number, the first of them. */
static bool list_its_pages(struct oi_picture *p)
{
	uintptr_t last = 0;
	for (uint64_t i = 0; i < p->n; i++) {
		uintptr_t page = oi_picture_seen(p, i)->header / OI_PAGE;
		if (page != last && (!oi_vector_push(&p->pages, (void *)page) ||
				     !oi_vector_push(&p->pages, (void *)i)))
			return false;
		last = page;
	}
	return oi_vector_push(&p->pages, (void *)UINTPTR_MAX) &&
	       oi_vector_push(&p->pages, (void *)p->n);
}

/* Returns which of the listed pages it is; the one before, if it is not among them. */
static size_t find_page(const struct oi_picture *p, uintptr_t page)
{
	size_t low = 0, high = p->pages.n / 2 - 1;
	while (high - low > 1) {
		size_t middle = (low + high) / 2;
		if ((uintptr_t)p->pages.data[2 * middle] <= page)
			low = middle;
		else
			high = middle;
	}
	return low;
}

uint64_t oi_picture_find(const struct oi_picture *p, const void *obj)
{
	uintptr_t header = (uintptr_t)oi_header_of(obj);
	if (!p->n)
		return OI_NOBODY;
	void *const *page = &p->pages.data[2 * find_page(p, header / OI_PAGE)];
	uint64_t low = (uint64_t)page[1], high = (uint64_t)page[3];
	while (high - low > 1) {
		uint64_t middle = (low + high) / 2;
		if (oi_picture_seen(p, middle)->header <= header)
			low = middle;
		else
			high = middle;
	}
	return oi_picture_seen(p, low)->header == header ? low : OI_NOBODY;
}

static void resolve(struct oi_picture *p)
{
	for (uint64_t i = 0; i < p->n; i++) {
		const struct oi_seen *s = oi_picture_seen(p, i);
		for (uint64_t k = s->edge; k < s->edge + s->n_edges; k++) {
			struct oi_seen_edge *e = oi_picture_edge(p, k);
			e->to = oi_picture_find(p, (void *)e->to);
			if (e->to == OI_NOBODY)
				continue;
			oi_picture_seen(p, e->to)->held++;
			if (oi_leads_to_part(s->type, e->place))
				oi_picture_seen(p, e->to)->flags |= OI_SEEN_PART;
		}
	}
}

const char *oi_picture_key(const struct oi_picture *p, const struct oi_seen *s)
{
	return (const char *)p->text.data + oi_picture_edge(p, s->edge + s->n_edges)->to;
}

void oi_picture_free(struct oi_picture *p)
{
	oi_vector_free(&p->seen);
	oi_vector_free(&p->edges);
	oi_vector_free(&p->text);
	oi_vector_free(&p->pages);
}

bool oi_picture_take(struct oi_picture *p, bool keys)
{
	struct look l = { .p = p, .keys = keys };
	bool ok = make_scratch(&l) && look_at_all(&l) && list_its_pages(p);
	free_scratch(&l);
	if (ok)
		resolve(p);
	else
		oi_picture_free(p);
	return ok;
}

struct oi_header *oi_picture_now(const struct oi_seen *s)
{
	struct oi_header *h = (struct oi_header *)(uintptr_t)s->header;
	if (!oi_region_contains(h))
		return NULL;
	const struct oi_page *page = oi_page_of(h);
	if (page->state == OI_PAGE_FREE)
		return NULL;
	size_t within = (size_t)((char *)h - oi_page_start(page));
	bool begins = within % page->block_size == 0 && within / page->block_size < page->bump;
	return begins && oi_is_used(h) ? h : NULL;
}
