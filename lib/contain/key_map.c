/*
 * key_map.c - ouro_key_map: values that go with an object, and with a map
 *
 * The way from a key to its value is one of ordinary strong references, so that no collector has to
 * know of it:
 *   key -> list -> holder -> value
 * The list, in a slot of the key's, is never changed but replaced by another (compare-and-swap of
 * the slot); it has a holder for each map that the key is in. A value that refers to its key closes
 * an ordinary cycle. A key that dies lets go of its list, and so of all values.
 *
 * States of a holder: made, with a value; linked, in a list, when its key is there; over, when its
 * slot is empty, which it stays: whoever empties it has removed the key. It is over, too, when the
 * weak references to its key are expired: if a finalizer brings the key back, the map may not find
 * the holder any more, to which weak references have expired as well. What is over leaves the list
 * when that is next replaced.
 *
 * The map knows its holders by number, each by a box that refers to it weakly:
 *   map -> boxes -> box ~> holder
 * for what concerns all keys (size, each, clear), and for two deaths. A holder that dies takes its
 * box out, through a weak cell. A box that dies, because its map does, empties its holder: so
 * values go with the map, though the keys live. Both do it in their destroy, which is no sooner
 * than it is decided that they really die: a map that a finalizer brings back is whole.
 */
#include <errno.h>

#include "base/perturb.h"
#include "contain/parts.h"
#include "heap/check.h"
#include "world/object.h"
#include "ouro.h"

struct ouro_key_map {
	ouro_map *boxes; /* a slot; never changes */
	uint64_t id;     /* of no other map, ever */
};

static const ouro_type key_map_type = {
	.name = "ouro_key_map",
	.size = sizeof(struct ouro_key_map),
	.slots = OURO_SLOTS(struct ouro_key_map, boxes),
};

#define CHECK(m) oi_check_type(m, &key_map_type, __func__)

/* All but the value never changes. The cells hold nothing, and need not be emptied. */
struct holder {
	void *value; /* a slot */
	uint64_t map, number;
	ouro_weak key, boxes;
};

static void leave_boxes(void *obj)
{
	struct holder *h = obj;
	ouro_map *boxes OURO_AUTO = ouro_weak_load(&h->boxes);
	if (boxes)
		ouro_map_remove_int(boxes, h->number);
}

static const ouro_type holder_type = {
	.name = "ouro_key_map holder",
	.size = sizeof(struct holder),
	.slots = OURO_SLOTS(struct holder, value),
	.destroy = leave_boxes,
};

struct holder_box {
	ouro_weak holder;
};

static void empty_holder(void *obj)
{
	struct holder_box *b = obj;
	struct holder *h OURO_AUTO = ouro_weak_load(&b->holder);
	if (h)
		ouro_slot_store(&h->value, NULL);
}

static const ouro_type holder_box_type = {
	.name = "ouro_key_map box",
	.size = sizeof(struct holder_box),
	.destroy = empty_holder,
	.flags = OURO_ACYCLIC,
};

struct holders {
	uint64_t n;
	struct holder *item[];
};

static const ouro_type holders_type = {
	.name = "ouro_key_map list",
	.size = offsetof(struct holders, item),
	.item_size = sizeof(struct holder *),
	.item_slots = OURO_ITEM_REFS,
};

/* ---- a key's list ---- */

/* Returns the slot of @key, or NULL if it may not be one. */
static struct holders **list_of(const void *key)
{
	const ouro_type *t = oi_type_of(oi_header_of(key));
	if (!(t->flags & OURO_KEY))
		return NULL;
	return (struct holders **)((uintptr_t)key + t->slots.field[0].offset);
}

static bool holder_over(struct holder *h)
{
	/* recheck: what is done with it sees it again */
	return !oi_load_relaxed(&h->value) || ouro_weak_expired(&h->key);
}

/* Returns the holder of the map with that number that is not over, borrowed like @list, or NULL. */
static struct holder *holder_in(const struct holders *list, uint64_t map)
{
	for (uint64_t i = 0; list && i < list->n; i++)
		if (list->item[i]->map == map && !holder_over(list->item[i]))
			return list->item[i];
	return NULL;
}

static bool holds(const struct holders *list, const struct holder *h)
{
	for (uint64_t i = 0; list && i < list->n; i++)
		if (list->item[i] == h)
			return true;
	return false;
}

/* Returns a new list: @old, which may be NULL, without what is over, and @h. */
static struct holders *list_with(const struct holders *old, struct holder *h)
{
	uint64_t n = 0;
	for (uint64_t i = 0; old && i < old->n; i++)
		n += !holder_over(old->item[i]);
	struct holders *list = ouro_new_items(&holders_type, n + 1);
	if (!list)
		return NULL;
	for (uint64_t i = 0; old && i < old->n && list->n < n; i++)
		if (!holder_over(old->item[i]))
			ouro_slot_store(&list->item[list->n++], old->item[i]);
	ouro_slot_store(&list->item[list->n++], h);
	return list;
}

/* ---- holders ---- */

static uint64_t next_id(void)
{
	static uint64_t last;
	return oi_add_relaxed(&last, 1) + 1; /* count */
}

/* The map's box for @h. Returns false without memory. */
static bool box_holder(struct ouro_key_map *m, struct holder *h)
{
	struct holder_box *b OURO_AUTO = ouro_new(&holder_box_type);
	return b && !ouro_weak_store(&b->holder, h) && !ouro_map_put_int(m->boxes, h->number, b);
}

/* Returns a new reference to a holder that the map knows and no list has; NULL without memory. */
static struct holder *make_holder(struct ouro_key_map *m, void *key, void *value)
{
	struct holder *h = ouro_new(&holder_type);
	if (!h)
		return NULL;
	h->map = m->id;
	h->number = next_id();
	ouro_slot_store(&h->value, value);
	if (!ouro_weak_store(&h->key, key) && !ouro_weak_store(&h->boxes, m->boxes) &&
	    box_holder(m, h))
		return h;
	ouro_release(h);
	return NULL;
}

/* Returns false if @h, borrowed, is over. */
static bool set_held(struct holder *h, void *value)
{
	for (;;) {
		void *old OURO_AUTO = ouro_slot_load(&h->value);
		if (!old)
			return false;
		oi_point("key map: sets");
		if (ouro_slot_compare_exchange(&h->value, old, value))
			return true;
	}
}

/* ---- one key ---- */

/*
 * Links *@made, which it makes if need be, unless the key is there. Returns 0; EEXIST; ENOMEM; or
 * EAGAIN if the list has changed.
 */
static int link_holder(struct ouro_key_map *m, struct holders **slot, void *key, void *value,
		       struct holder **made)
{
	struct holders *list OURO_AUTO = ouro_load(slot);
	if (holder_in(list, m->id))
		return EEXIST;
	if (!*made)
		*made = make_holder(m, key, value);
	if (!*made)
		return ENOMEM;
	if (ouro_weak_expired(&(*made)->key))
		return 0; /* the key is dying: the entry goes at once */
	oi_point("key map: made");
	struct holders *longer OURO_AUTO = list_with(list, *made);
	if (!longer)
		return ENOMEM;
	return ouro_compare_exchange(slot, list, longer) ? 0 : EAGAIN;
}

static int key_add(struct ouro_key_map *m, void *key, void *value)
{
	struct holders **slot = list_of(key);
	struct holder *made OURO_AUTO = NULL;
	int error = slot ? EAGAIN : EINVAL;
	while (error == EAGAIN)
		error = link_holder(m, slot, key, value, &made);
	return error;
}

/* Returns false if the key is not there. */
static bool key_replace(struct ouro_key_map *m, void *key, void *value)
{
	struct holders **slot = list_of(key);
	struct holders *list OURO_AUTO = slot ? ouro_load(slot) : NULL;
	struct holder *h = holder_in(list, m->id);
	return h && set_held(h, value);
}

/* Returns true if this call has taken its value. */
static bool end_holder(struct ouro_key_map *m, struct holder *h)
{
	void *value OURO_AUTO = ouro_slot_take(&h->value);
	if (value)
		ouro_map_remove_int(m->boxes, h->number);
	return value;
}

int ouro_key_map_put_if_absent(ouro_key_map *map, void *key, void *value)
{
	CHECK(map);
	return map && key && value ? key_add(map, key, value) : EINVAL;
}

int ouro_key_map_put(ouro_key_map *map, void *key, void *value)
{
	CHECK(map);
	int error = map && key && value ? EEXIST : EINVAL;
	while (error == EEXIST)
		error = key_replace(map, key, value) ? 0 : key_add(map, key, value);
	return error;
}

void *ouro_key_map_get(ouro_key_map *map, const void *key)
{
	CHECK(map);
	struct holders **slot = map && key ? list_of(key) : NULL;
	struct holders *list OURO_AUTO = slot ? ouro_load(slot) : NULL;
	struct holder *h = list ? holder_in(list, map->id) : NULL;
	return h ? ouro_slot_load(&h->value) : NULL;
}

bool ouro_key_map_remove(ouro_key_map *map, const void *key)
{
	CHECK(map);
	struct holders **slot = map && key ? list_of(key) : NULL;
	struct holders *list OURO_AUTO = slot ? ouro_load(slot) : NULL;
	struct holder *h = list ? holder_in(list, map->id) : NULL;
	return h && end_holder(map, h);
}

/* ---- all of them ---- */

size_t ouro_key_map_size(const ouro_key_map *map)
{
	CHECK(map);
	return map ? ouro_map_size(map->boxes) : 0;
}

/*
 * A box whose holder has not taken it out: a fork cut that off, or a finalizer has brought the map
 * back since, and weak references to the boxes had expired.
 */
static void remove_orphan(struct ouro_key_map *m, const ouro_map_item *item)
{
	ouro_map_remove_int(m->boxes, item->number);
}

struct key_visit {
	struct ouro_key_map *map;
	ouro_key_map_visitor fn;
	void *arg;
};

/* What is made, and not linked yet, is left out. */
static bool visit_holder(const ouro_map_item *item, void *arg)
{
	const struct key_visit *v = arg;
	struct holder_box *b = item->value;
	struct holder *h OURO_AUTO = ouro_weak_load(&b->holder);
	if (!h)
		remove_orphan(v->map, item);
	void *key OURO_AUTO = h ? ouro_weak_load(&h->key) : NULL;
	struct holders *list OURO_AUTO = key ? ouro_load(list_of(key)) : NULL;
	void *value OURO_AUTO = holds(list, h) ? ouro_slot_load(&h->value) : NULL;
	return !value || v->fn(key, value, v->arg);
}

bool ouro_key_map_each(ouro_key_map *map, ouro_key_map_visitor fn, void *arg)
{
	struct key_visit v = { map, fn, arg };
	CHECK(map);
	return !map || ouro_map_each(map->boxes, visit_holder, &v);
}

static bool clear_holder(const ouro_map_item *item, void *arg)
{
	struct ouro_key_map *m = arg;
	struct holder_box *b = item->value;
	struct holder *h OURO_AUTO = ouro_weak_load(&b->holder);
	if (h)
		end_holder(m, h);
	else
		remove_orphan(m, item);
	return true;
}

void ouro_key_map_clear(ouro_key_map *map)
{
	CHECK(map);
	if (map)
		ouro_map_each(map->boxes, clear_holder, map);
}

ouro_key_map *ouro_key_map_new(void)
{
	struct ouro_key_map *m = ouro_new(&key_map_type);
	if (m) {
		m->id = next_id();
		ouro_slot_give(&m->boxes, ouro_map_new());
	}
	if (m && m->boxes)
		return m;
	ouro_release(m);
	errno = ENOMEM;
	return NULL;
}

/* ---- seen from outside ---- */

bool oi_key_map_is(uint32_t type)
{
	return oi_type_given[type] == &key_map_type;
}

bool oi_key_map_is_list(uint32_t type)
{
	return oi_type_given[type] == &holders_type;
}

bool oi_key_map_is_part(uint32_t type)
{
	return oi_key_map_is_list(type) || oi_type_given[type] == &holder_type ||
	       oi_type_given[type] == &holder_box_type;
}
