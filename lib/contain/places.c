/*
 * places.c - a container's own references to what is in it, in slots that the collector sees
 *
 * A place is empty if its slot is NULL, and a compare-and-swap takes it; there is no list of empty
 * ones. They are looked for in a row from a hint, of which there is one for a few threads, then
 * here and there; if that fails, or half of them are taken, their number is doubled. Segments of at
 * most 1024 places keep the slots of one object few; they are made when they are first used. The
 * places never move, so who goes through them meets each entry once.
 */
#include "contain/places.h"

#include "world/object.h"

#define FIRST OI_PLACES_TOGETHER /* places of the first part */
#define FIRST_LOG 4
/* Up to here a part is one segment, from here on it lists segments. */
#define SEGMENT_LOG OI_PLACES_SEGMENT_LOG
#define ROW 16         /* places that are looked at in a row */
#define THROWS 8       /* rows that are looked at here and there */

struct list {
	uint64_t unused;
	void *item[];
};

static const ouro_type list_type = {
	.name = "ouro places",
	.size = offsetof(struct list, item),
	.item_size = sizeof(void *),
	.item_slots = OURO_ITEM_REFS,
};

bool oi_places_init(struct oi_places *p)
{
	struct list *first = ouro_new_items(&list_type, FIRST);
	if (!first)
		return false;
	ouro_slot_give(&p->part[0], first);
	p->n = FIRST;
	return true;
}

/* Makes a list in @slot, unless one is there. Returns false without memory. */
static bool make_list(void **slot, uint64_t n)
{
	if (oi_load_relaxed(slot)) /* recheck: by the exchange */
		return true;
	struct list *made OURO_AUTO = ouro_new_items(&list_type, n);
	if (made)
		ouro_slot_compare_exchange(slot, NULL, made);
	return made;
}

static unsigned log_of(uint64_t i)
{
	return 63 - (unsigned)__builtin_clzll(i);
}

/* Where the segment that place @i lies in is kept, and which place of it that is in *@within. */
static void **segment_of(struct oi_places *p, uint64_t i, uint64_t *within)
{
	unsigned log = i < FIRST ? FIRST_LOG - 1 : log_of(i);
	void **part = &p->part[log - (FIRST_LOG - 1)];
	*within = i < FIRST ? i : i - (UINT64_C(1) << log);
	if (log <= SEGMENT_LOG)
		return part;
	struct list *segments = oi_load_acquire(part); /* [J2] */
	uint64_t which = *within >> SEGMENT_LOG;
	*within &= (1u << SEGMENT_LOG) - 1;
	return &segments->item[which];
}

void **oi_place(struct oi_places *p, uint64_t i)
{
	uint64_t within;
	void **segment = segment_of(p, i, &within);
	struct list *list = oi_load_acquire(segment); /* [J4] */
	return list ? &list->item[within] : NULL;
}

/* Returns the place, whose segment it makes if need be; NULL without memory. */
static void **place_made(struct oi_places *p, uint64_t i)
{
	uint64_t within;
	void **segment = segment_of(p, i, &within);
	if (!make_list(segment, UINT64_C(1) << SEGMENT_LOG))
		return NULL;
	struct list *list = oi_load_acquire(segment); /* [J4] */
	return &list->item[within];
}

/* Looks for an empty place among up to @n from *@i on. */
static void **put_in_row(struct oi_places *p, void *obj, uint64_t *i, uint64_t n)
{
	uint64_t all = oi_load_acquire(&p->n); /* [J2] */
	for (; n; n--, (*i)++) {
		void **place = place_made(p, *i & (all - 1));
		if (!place)
			return NULL;
		/* recheck: by the exchange */
		if (!oi_load_relaxed(place) && ouro_slot_compare_exchange(place, NULL, obj)) {
			(*i)++;
			return place;
		}
	}
	return NULL;
}

/* The threads begin in different eighths of the new places. */
static void move_hints(struct oi_places *p, uint64_t from, uint64_t n)
{
	for (uint64_t i = 0; i < OI_PLACES_HINTS; i++)
		oi_store_relaxed(&p->hint[i], from + n / OI_PLACES_HINTS * i); /* count */
}

/* Returns false without memory, or if there are as many as there can be. */
static bool grow_places(struct oi_places *p)
{
	uint64_t n = oi_load_acquire(&p->n); /* [J2] */
	unsigned log = log_of(n);
	if (log == OI_PLACES_PARTS + FIRST_LOG - 1)
		return false;
	void **part = &p->part[log - (FIRST_LOG - 1)];
	if (!make_list(part, log <= SEGMENT_LOG ? n : n >> SEGMENT_LOG))
		return false;
	if (oi_cas(&p->n, &n, n * 2)) /* [J2] */
		move_hints(p, n, n);
	return true;
}

void **oi_place_there(struct oi_places *p, uint64_t i)
{
	return i < oi_load_acquire(&p->n) ? oi_place(p, i) : NULL; /* [J2] */
}

void **oi_place_make(struct oi_places *p, uint64_t i)
{
	while (i >= oi_load_acquire(&p->n)) /* [J2] */
		if (!grow_places(p))
			return NULL;
	return place_made(p, i);
}

static uint64_t scatter(uint64_t x)
{
	return (x + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 20;
}

/* From the hint on, then here and there. */
static void **put_near(struct oi_places *p, void *obj, uint64_t *hint)
{
	uint64_t i = oi_load_relaxed(hint); /* count */
	void **place = put_in_row(p, obj, &i, ROW);
	for (unsigned n = 0; !place && n < THROWS; n++) {
		i = scatter(i);
		place = put_in_row(p, obj, &i, ROW / 2);
	}
	oi_store_relaxed(hint, i); /* count */
	return place;
}

void **oi_places_put(struct oi_places *p, void *obj, unsigned who, uint64_t used)
{
	uint64_t *hint = &p->hint[who % OI_PLACES_HINTS];
	void **place;
	do
		place = put_near(p, obj, hint);
	while (!place && (used < oi_load_relaxed(&p->n) / 2 || grow_places(p))); /* recheck */
	if (place)
		return place;
	uint64_t i = 0;
	return put_in_row(p, obj, &i, oi_load_relaxed(&p->n)); /* recheck */
}

bool oi_places_are(uint32_t type)
{
	return oi_type_given[type] == &list_type;
}

uint64_t oi_places_first(uint64_t part)
{
	return part ? (uint64_t)FIRST << (part - 1) : 0;
}

bool oi_places_segmented(uint64_t part)
{
	return part + FIRST_LOG - 1 > SEGMENT_LOG;
}
