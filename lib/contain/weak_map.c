/*
 * weak_map.c - ouro_weak_map: keys to values that they do not keep
 *
 * In a map (map.c) lies a box for each key, which refers to the value weakly. A box is made for one
 * put, and never refers to another value. So whoever finds its value dead removes just this box, by
 * compare-and-swap, and what was put later stays: the watch of the value's, and who comes by.
 *
 * The watch has to find the box, and must not keep it: else a value that lives long would keep what
 * is left of each map that it was in. Its argument is the word of a weak cell: that names the
 * side table's entry of the box and its version, so it is never taken for another's, and needs no
 * memory that somebody frees. A box that dies undoes its watch.
 *   made      watched; in no map
 *   in        its key is there if the value lives
 *   out       removed or replaced, or its map is dead: it dies as soon as nobody looks at it
 * What is between the death of a value and its watch (manual mode, a fork's child) looks as if the
 * key were not there: a put replaces the box, a get removes it.
 */
#include <errno.h>
#include <string.h>

#include "base/perturb.h"
#include "contain/items.h"
#include "contain/once.h"
#include "contain/parts.h"
#include "heap/check.h"

struct ouro_weak_map {
	ouro_map *boxes;   /* slots: never changes... */
	ouro_map *pending; /* ... what is being made, once.c */
};

static const ouro_type weak_map_type = {
	.name = "ouro_weak_map",
	.size = sizeof(struct ouro_weak_map),
	.slots = OURO_SLOTS(struct ouro_weak_map, boxes, pending),
};

struct box {
	ouro_weak value;
	ouro_weak boxes; /* the map it is made for */
	ouro_watch_id watch;
	uint64_t number; /* the key; or how many bytes it has */
	bool is_number;
	char bytes[];
};

static void undo_watch(void *obj)
{
	const struct box *b = obj;
	ouro_unwatch(b->watch);
}

/* Its cells hold nothing, and need not be emptied. */
static const ouro_type box_type = {
	.name = "ouro_weak_map box",
	.size = offsetof(struct box, bytes),
	.item_size = 1,
	.destroy = undo_watch,
	.flags = OURO_ACYCLIC,
};

#define CHECK(m) oi_check_type(m, &weak_map_type, __func__)

/* ---- boxes ---- */

static ouro_map_item key_of_box(const struct box *b)
{
	return b->is_number ? oi_item_of_number(b->number) :
			      oi_item_of_bytes(b->bytes, b->number);
}

/* The value of a box has died; @arg: the word of a cell. */
static void remove_dead(void *arg)
{
	ouro_weak cell = { (uintptr_t)arg };
	struct box *b OURO_AUTO = ouro_weak_load(&cell);
	ouro_map *boxes OURO_AUTO = b ? ouro_weak_load(&b->boxes) : NULL;
	if (!boxes)
		return;
	ouro_map_item k = key_of_box(b);
	oi_point("weak map: dead");
	oi_item_remove_if(boxes, &k, b);
}

static bool point_box(struct box *b, ouro_map *boxes, void *value)
{
	ouro_weak self = { 0 };
	return !ouro_weak_store(&b->value, value) && !ouro_weak_store(&b->boxes, boxes) &&
	       !ouro_weak_store(&self, b) &&
	       !ouro_watch(value, remove_dead, (void *)(uintptr_t)self.word, &b->watch);
}

/* Returns a new reference, or NULL without memory. */
static struct box *make_box(ouro_map *boxes, const ouro_map_item *k, void *value)
{
	struct box *b = ouro_new_items(&box_type, k->bytes ? k->size : 0);
	if (!b)
		return NULL;
	b->is_number = !k->bytes;
	b->number = k->bytes ? k->size : k->number;
	if (k->bytes)
		memcpy(b->bytes, k->bytes, k->size);
	if (point_box(b, boxes, value))
		return b;
	ouro_release(b);
	return NULL;
}

/* ---- one key ---- */

static void *weak_get(void *map, const ouro_map_item *k)
{
	struct ouro_weak_map *m = map;
	struct box *b OURO_AUTO = oi_item_get(m->boxes, k);
	void *value = b ? ouro_weak_load(&b->value) : NULL;
	if (b && !value)
		oi_item_remove_if(m->boxes, k, b);
	return value;
}

static int weak_put(struct ouro_weak_map *m, const ouro_map_item *k, void *value)
{
	struct box *b OURO_AUTO = make_box(m->boxes, k, value);
	return b ? oi_item_put(m->boxes, k, b) : ENOMEM;
}

/* Puts @b there, unless a box is there whose value lives. */
static int add_box(struct ouro_weak_map *m, const ouro_map_item *k, struct box *b)
{
	int error;
	while ((error = oi_item_add(m->boxes, k, b)) == EEXIST) {
		struct box *there OURO_AUTO = oi_item_get(m->boxes, k);
		void *value OURO_AUTO = there ? ouro_weak_load(&there->value) : NULL;
		if (value)
			return EEXIST;
		if (there && !(error = oi_item_replace(m->boxes, k, there, b)))
			return 0;
		if (error == ENOMEM)
			return ENOMEM;
	}
	return error;
}

static int weak_add(void *map, const ouro_map_item *k, void *value)
{
	struct ouro_weak_map *m = map;
	void *there OURO_AUTO = weak_get(m, k);
	if (there)
		return EEXIST;
	struct box *b OURO_AUTO = make_box(m->boxes, k, value);
	return b ? add_box(m, k, b) : ENOMEM;
}

static bool weak_remove(struct ouro_weak_map *m, const ouro_map_item *k)
{
	struct box *b OURO_AUTO = oi_item_take(m->boxes, k);
	return b && !ouro_weak_expired(&b->value);
}

static void *weak_make(ouro_weak_map *m, const ouro_map_item *k, ouro_map_factory factory,
		       void *arg)
{
	struct oi_once how = { weak_get, weak_add, factory, arg };
	if (m && factory && k)
		return oi_once(m, &m->pending, k, &how);
	errno = EINVAL;
	return NULL;
}

/* ---- all of them ---- */

struct weak_visit {
	ouro_map_visitor fn;
	void *arg;
};

static bool visit_box(const ouro_map_item *item, void *arg)
{
	const struct weak_visit *v = arg;
	struct box *b = item->value;
	void *value OURO_AUTO = ouro_weak_load(&b->value);
	ouro_map_item shown = *item;
	shown.value = value;
	return !value || v->fn(&shown, v->arg);
}

bool ouro_weak_map_each(ouro_weak_map *map, ouro_map_visitor fn, void *arg)
{
	struct weak_visit v = { fn, arg };
	CHECK(map);
	return !map || ouro_map_each(map->boxes, visit_box, &v);
}

void ouro_weak_map_clear(ouro_weak_map *map)
{
	CHECK(map);
	if (map)
		ouro_map_clear(map->boxes);
}

size_t ouro_weak_map_size(const ouro_weak_map *map)
{
	CHECK(map);
	return map ? ouro_map_size(map->boxes) : 0;
}

/* ---- public ---- */

ouro_weak_map *ouro_weak_map_new(void)
{
	struct ouro_weak_map *m = ouro_new(&weak_map_type);
	if (m)
		ouro_slot_give(&m->boxes, ouro_map_new());
	if (m && m->boxes)
		return m;
	ouro_release(m);
	errno = ENOMEM;
	return NULL;
}

void *ouro_weak_map_get(ouro_weak_map *map, const void *key, size_t size)
{
	ouro_map_item k = oi_item_of_bytes(key, size);
	CHECK(map);
	return map && (key || !size) ? weak_get(map, &k) : NULL;
}

void *ouro_weak_map_get_int(ouro_weak_map *map, uint64_t key)
{
	ouro_map_item k = oi_item_of_number(key);
	CHECK(map);
	return map ? weak_get(map, &k) : NULL;
}

int ouro_weak_map_put(ouro_weak_map *map, const void *key, size_t size, void *value)
{
	ouro_map_item k = oi_item_of_bytes(key, size);
	CHECK(map);
	return map && value && (key || !size) ? weak_put(map, &k, value) : EINVAL;
}

int ouro_weak_map_put_int(ouro_weak_map *map, uint64_t key, void *value)
{
	ouro_map_item k = oi_item_of_number(key);
	CHECK(map);
	return map && value ? weak_put(map, &k, value) : EINVAL;
}

int ouro_weak_map_put_if_absent(ouro_weak_map *map, const void *key, size_t size, void *value)
{
	ouro_map_item k = oi_item_of_bytes(key, size);
	CHECK(map);
	return map && value && (key || !size) ? weak_add(map, &k, value) : EINVAL;
}

int ouro_weak_map_put_if_absent_int(ouro_weak_map *map, uint64_t key, void *value)
{
	ouro_map_item k = oi_item_of_number(key);
	CHECK(map);
	return map && value ? weak_add(map, &k, value) : EINVAL;
}

void *ouro_weak_map_get_or_create(ouro_weak_map *map, const void *key, size_t size,
				  ouro_map_factory factory, void *arg)
{
	ouro_map_item k = oi_item_of_bytes(key, size);
	CHECK(map);
	return weak_make(map, key || !size ? &k : NULL, factory, arg);
}

void *ouro_weak_map_get_or_create_int(ouro_weak_map *map, uint64_t key, ouro_map_factory factory,
				      void *arg)
{
	ouro_map_item k = oi_item_of_number(key);
	CHECK(map);
	return weak_make(map, &k, factory, arg);
}

bool ouro_weak_map_remove(ouro_weak_map *map, const void *key, size_t size)
{
	ouro_map_item k = oi_item_of_bytes(key, size);
	CHECK(map);
	return map && (key || !size) && weak_remove(map, &k);
}

bool ouro_weak_map_remove_int(ouro_weak_map *map, uint64_t key)
{
	ouro_map_item k = oi_item_of_number(key);
	CHECK(map);
	return map && weak_remove(map, &k);
}

/* ---- seen from outside ---- */

bool oi_weak_map_is(uint32_t type)
{
	return oi_type_given[type] == &weak_map_type;
}

bool oi_weak_map_is_part(uint32_t type)
{
	return oi_type_given[type] == &box_type;
}
