/*
 * map.c - ouro_map: keys to values
 *
 * An entry is an object: its node is in the table (split.c), through which it is found, and a place
 * holds a reference to it (places.c), which the collector sees. What decides whether a key is there
 * is the entry's value: from NULL it never comes back, and whoever empties the slot has removed the
 * key, and takes the entry out of the table, then out of its place.
 *   made      in a place, has a value; nobody finds it, and ouro_map_each leaves it out. (The flag
 *             that it is linked comes a little later than the link: without it, the table says.)
 *   linked    in the table: the key is there. Its value changes by compare-and-swap
 *   removed   no value; a new entry of the same key is linked only when the node is out
 * An entry that is not in its place any more may be found by who is pinned, until that thread
 * unpins (limbo); it cannot be retained then, which says the same as an empty slot.
 */
#include "contain/map.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/os.h"
#include "base/perturb.h"
#include "base/sized.h"
#include "base/urcu.h"
#include "contain/evict.h"
#include "contain/expiry.h"
#include "contain/items.h"
#include "contain/once.h"
#include "heap/check.h"

static const ouro_type map_type = {
	.name = "ouro_map",
	.size = sizeof(struct ouro_map),
	.slots = OURO_SLOTS(struct ouro_map, split.table, places.part, pending, keeps),
};

static const ouro_type entry_type = {
	.name = "ouro_map entry",
	.size = offsetof(struct oi_map_entry, bytes),
	.slots = OURO_SLOTS(struct oi_map_entry, value),
	.item_size = 1,
};

#define CHECK(m) oi_check_type(m, &map_type, __func__)

/* A key that is asked for. */
struct key {
	const void *bytes; /* NULL: it is a number */
	uint64_t number;   /* or how many bytes */
	uint64_t order;
};

/* ---- keys ---- */

/* Returns false if the call is to answer that there is no such key, or EINVAL. */
static bool key_of_bytes(struct key *k, const ouro_map *m, const void *bytes, size_t size)
{
	static const char none[1];
	if (!m || (!bytes && size))
		return false;
	*k = (struct key){ .bytes = bytes ? bytes : none, .number = size };
	k->order = oi_split_order(oi_siphash(&m->seed, k->bytes, size));
	return true;
}

static bool key_of_number(struct key *k, const ouro_map *m, uint64_t number)
{
	if (!m)
		return false;
	*k = (struct key){ .number = number };
	k->order = oi_split_order(oi_siphash_number(&m->seed, number));
	return true;
}

static bool same_key(const struct oi_node *node, const void *key)
{
	const struct oi_map_entry *e = caa_container_of(node, struct oi_map_entry, node);
	const struct key *k = key;
	if (e->number != k->number || e->is_number != !k->bytes)
		return false;
	return e->is_number || !memcmp(e->bytes, k->bytes, e->number);
}

/* ---- entries ---- */

static void count_keys(struct ouro_map *m, int64_t by)
{
	oi_add_relaxed(oi_map_own_count(m), by); /* count */
}

size_t ouro_map_size(const ouro_map *map)
{
	CHECK(map);
	int64_t n = 0;
	for (unsigned i = 0; map && i < OI_MAP_COUNTERS; i++)
		n += oi_load_relaxed(&map->count[i].n); /* count */
	return n > 0 ? (size_t)n : 0;
}

/* In a pinned region. Returns the entry, peeked, or NULL. */
static struct oi_map_entry *peek_entry(struct ouro_map *m, const struct key *k)
{
	struct oi_node *node = oi_split_find(&m->split, k->order, same_key, k);
	return node ? caa_container_of(node, struct oi_map_entry, node) : NULL;
}

/* Returns a new reference to the entry, or NULL. */
static struct oi_map_entry *find_entry(struct ouro_map *m, const struct key *k)
{
	ouro_pin();
	struct oi_map_entry *e = ouro_try_retain(peek_entry(m, k));
	ouro_unpin();
	return e;
}

/* Returns a new reference to an entry that is in a place, or NULL without memory. */
static struct oi_map_entry *make_entry(struct ouro_map *m, const struct key *k, void *held)
{
	struct oi_map_entry *e = ouro_new_items(&entry_type, k->bytes ? k->number : 0);
	if (!e)
		return NULL;
	e->node.order = k->order;
	e->number = k->number;
	e->is_number = !k->bytes;
	if (k->bytes)
		memcpy(e->bytes, k->bytes, k->number);
	ouro_slot_store(&e->value, held);
	e->place = oi_places_put(&m->places, e, oi_mine->key, ouro_map_size(m));
	if (e->place)
		return e;
	ouro_release(e);
	return NULL;
}

static void unlink_entry(struct ouro_map *m, struct oi_map_entry *e)
{
	ouro_pin();
	oi_split_remove(&m->split, &e->node);
	ouro_unpin();
	ouro_release(ouro_slot_take(e->place));
}

void oi_map_gone(struct ouro_map *m, struct oi_map_entry *e)
{
	oi_point("map: emptied");
	count_keys(m, -1);
	oi_evict_unreserve(m);
	unlink_entry(m, e);
}

/* Returns true if the entry, borrowed, is in the table now; false if another of its key is. */
static bool link_entry(struct ouro_map *m, const struct key *k, struct oi_map_entry *e,
		       bool *crowded)
{
	for (;;) {
		ouro_pin();
		struct oi_node *met = oi_split_insert(&m->split, &e->node, same_key, k, crowded);
		struct oi_map_entry *other = met ? caa_container_of(met, struct oi_map_entry, node) : NULL;
		bool lives = other && oi_load_acquire(&other->value); /* [J1] */
		if (met && !lives)
			oi_split_remove(&m->split, met);
		ouro_unpin();
		if (!met || lives)
			return !met;
	}
}

/* ---- putting ---- */

/* What may be done with a key. */
#define OVER_LIVE 1u /* a value that is there is replaced */
#define OVER_LATE 2u /* so is one whose time is over */
#define ADD 4u       /* and it is added if it is not there */
#define PUT (OVER_LIVE | OVER_LATE | ADD)
#define PUT_IF_ABSENT (OVER_LATE | ADD)
#define REPLACE OVER_LIVE

struct change {
	unsigned how;
	const void *expected; /* only this value is replaced; NULL: any */
	void *held;           /* borrowed: what goes into the slot */
};

/* Returns 0; EEXIST or ENOENT, if it may not be changed because something is there, or is not. */
static int allowed(const struct ouro_map *m, const struct change *c, void *old, bool late)
{
	if (!old || (late && !(c->how & OVER_LATE)))
		return ENOENT;
	if (late)
		return 0;
	if (!(c->how & OVER_LIVE))
		return EEXIST;
	return c->expected && oi_map_value(m, old) != c->expected ? ENOENT : 0;
}

/* @e: borrowed. Returns 0; EEXIST; ENOENT, also if it has no value any more. */
static int change_entry(struct ouro_map *m, struct oi_map_entry *e, const struct change *c)
{
	for (;;) {
		void *old OURO_AUTO = ouro_slot_load(&e->value);
		bool late = old && oi_map_late(m, old);
		int error = allowed(m, c, old, late);
		if (error)
			return error;
		if (!ouro_slot_compare_exchange(&e->value, old, c->held))
			continue;
		oi_evict_mark(m, e);
		if (late)
			oi_evict_tell(m, e, old, OURO_MAP_EXPIRED);
		return 0;
	}
}

static int change_there(struct ouro_map *m, const struct key *k, const struct change *c)
{
	struct oi_map_entry *e OURO_AUTO = find_entry(m, k);
	return e ? change_entry(m, e, c) : ENOENT;
}

/* Returns 0; EEXIST; ENOMEM. */
static int add_entry(struct ouro_map *m, const struct key *k, void *held)
{
	bool crowded;
	struct oi_map_entry *e OURO_AUTO = make_entry(m, k, held);
	if (!e)
		return ENOMEM;
	oi_point("map: made");
	bool full = oi_evict_reserve(m);
	oi_point("map: reserved");
	if (!link_entry(m, k, e, &crowded)) {
		oi_evict_unreserve(m);
		ouro_release(ouro_slot_take(e->place));
		return EEXIST;
	}
	count_keys(m, 1);
	oi_store_release(&e->linked, true); /* [J5] */
	if (crowded && ouro_map_size(m) >= oi_load_relaxed(&m->split.n_buckets)) /* recheck */
		oi_split_grow(&m->split);
	if (full)
		oi_evict_one(m, e);
	return 0;
}

static int change_held(struct ouro_map *m, const struct key *k, const struct change *c)
{
	int error;
	do {
		error = change_there(m, k, c);
		if (error != ENOENT || !(c->how & ADD))
			return error;
		error = add_entry(m, k, c->held);
	} while (error == EEXIST);
	return error;
}

/* c->held is the value here; @ttl_ns: its time, 0 for the map's. */
static OI_NOINLINE int change_dated(struct ouro_map *m, const struct key *k,
				    const struct change *c, uint64_t ttl_ns)
{
	uint64_t ns = ttl_ns ? ttl_ns : m->limits.ttl_ns;
	struct oi_dated *d OURO_AUTO = oi_dated_new(c->held, ns);
	struct change dated = { .how = c->how, .expected = c->expected, .held = d };
	int error = d ? change_held(m, k, &dated) : ENOMEM;
	if (!error)
		oi_expiry_note(m, ns);
	return error;
}

static int change_key(struct ouro_map *m, const struct key *k, const struct change *c)
{
	return likely(!(m->kinds & OI_MAP_TIMES)) ? change_held(m, k, c) : change_dated(m, k, c, 0);
}

/* ---- getting and taking ---- */

static OI_NOINLINE void *get_limited(const struct ouro_map *m, struct oi_map_entry *e)
{
	oi_evict_mark(m, e);
	return m->kinds & OI_MAP_TIMES ? oi_dated_load(&e->value) : ouro_slot_load(&e->value);
}

OI_INLINE void *get_value(struct ouro_map *m, const struct key *k)
{
	void *value = NULL;
	ouro_pin();
	struct oi_map_entry *e = peek_entry(m, k);
	if (e)
		value = unlikely(m->kinds) ? get_limited(m, e) : ouro_slot_load(&e->value);
	ouro_unpin();
	return value;
}

/* Takes the value of @e, borrowed, and the entry out of the map; NULL if others have. */
static void *take_value(struct ouro_map *m, struct oi_map_entry *e)
{
	void *held = ouro_slot_take(&e->value);
	if (held)
		oi_map_gone(m, e);
	return held;
}

/* Of a map whose values have a time. What is over is left to who evicts it. */
static OI_NOINLINE void *take_dated(struct ouro_map *m, struct oi_map_entry *e)
{
	for (;;) {
		struct oi_dated *d OURO_AUTO = ouro_slot_load(&e->value);
		if (!d || oi_dated_late(d))
			return NULL;
		if (!ouro_slot_compare_exchange(&e->value, d, NULL))
			continue;
		oi_map_gone(m, e);
		return ouro_retain(oi_dated_value(d));
	}
}

static void *take_key(struct ouro_map *m, const struct key *k)
{
	struct oi_map_entry *e OURO_AUTO = find_entry(m, k);
	if (!e)
		return NULL;
	return likely(!(m->kinds & OI_MAP_TIMES)) ? take_value(m, e) : take_dated(m, e);
}

/* ---- all of them ---- */

static bool is_node(const struct oi_node *node, const void *key)
{
	return node == key;
}

/* Returns true if @e, borrowed, has got into the table, even if it is out again. */
static bool was_linked(struct ouro_map *m, struct oi_map_entry *e)
{
	if (likely(oi_load_acquire(&e->linked))) /* [J5] */
		return true;
	ouro_pin();
	bool linked = oi_split_find(&m->split, e->node.order, is_node, &e->node);
	ouro_unpin();
	return linked;
}

struct oi_map_entry *oi_map_entry_at(struct ouro_map *m, uint64_t i)
{
	void **place = oi_place(&m->places, i);
	struct oi_map_entry *e = place ? ouro_slot_load(place) : NULL;
	if (!e || was_linked(m, e))
		return e;
	ouro_release(e);
	return NULL;
}

static bool show_entry(struct ouro_map *m, struct oi_map_entry *e, ouro_map_visitor fn, void *arg)
{
	void *held OURO_AUTO = ouro_slot_load(&e->value);
	if (!held || oi_map_late(m, held))
		return true;
	ouro_map_item item = oi_map_item(e, oi_map_value(m, held));
	return fn(&item, arg);
}

bool ouro_map_each(ouro_map *map, ouro_map_visitor fn, void *arg)
{
	CHECK(map);
	bool on = true;
	uint64_t n = map ? oi_load_acquire(&map->places.n) : 0; /* [J2] */
	for (uint64_t i = 0; on && i < n; i++) {
		struct oi_map_entry *e OURO_AUTO = oi_map_entry_at(map, i);
		on = !e || show_entry(map, e, fn, arg);
	}
	return on;
}

void ouro_map_clear(ouro_map *map)
{
	CHECK(map);
	uint64_t n = map ? oi_load_acquire(&map->places.n) : 0; /* [J2] */
	for (uint64_t i = 0; i < n; i++) {
		struct oi_map_entry *e OURO_AUTO = oi_map_entry_at(map, i);
		if (e)
			ouro_release(take_value(map, e));
	}
}

/* ---- seen from outside ---- */

/* The books may have a copy of the type. */
bool oi_map_is_entry(uint32_t type)
{
	return oi_type_given[type] == &entry_type;
}

bool oi_map_is_map(uint32_t type)
{
	return oi_type_given[type] == &map_type;
}

/* Behind those of table and places there are two: pending, and what it keeps. */
bool oi_map_place_is_part(uint64_t place)
{
	return place <= OI_SPLIT_TABLES + OI_PLACES_PARTS;
}

#define QUOTED (OI_MAP_KEY_NAME - sizeof "[\"\"...]")

/* Returns how many bytes of @out it wrote for the key's bytes, as many as fit. */
static size_t quote(char *out, const char *bytes, size_t size, bool *cut)
{
	size_t n = 0;
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)bytes[i];
		bool plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\';
		*cut = n + 4 > QUOTED;
		if (*cut)
			break;
		if (plain)
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, 5, "\\x%02x", c);
	}
	return n;
}

size_t oi_map_key_name(char out[OI_MAP_KEY_NAME], const struct oi_header *h)
{
	const struct oi_map_entry *e = (const struct oi_map_entry *)(h + 1);
	bool cut = false;
	*out = 0;
	if (!oi_map_is_entry(oi_load_relaxed(&h->type))) /* elsewhere: however h was got */
		return 0;
	if (!oi_load_acquire(&e->linked)) /* [J5] a stop may come while it is being filled */
		return 0;
	if (e->is_number)
		return (size_t)snprintf(out, OI_MAP_KEY_NAME, "[%llu]",
					(unsigned long long)e->number);
	size_t n = (size_t)sprintf(out, "[\"");
	n += quote(out + n, e->bytes, e->number, &cut);
	return n + (size_t)sprintf(out + n, cut ? "\"...]" : "\"]");
}

/* ---- public ---- */

static ouro_map *map_with(const ouro_map_options *o)
{
	struct ouro_map *m = ouro_new(&map_type);
	if (m) {
		oi_os_random(&m->seed, sizeof m->seed);
		oi_evict_init(m, o);
	}
	if (m && oi_split_init(&m->split) && oi_places_init(&m->places) &&
	    (!(m->kinds & OI_MAP_TIMES) || oi_expiry_add(m)))
		return m;
	ouro_release(m);
	errno = ENOMEM;
	return NULL;
}

ouro_map *ouro_map_new(void)
{
	return map_with(&(ouro_map_options){ 0 });
}

ouro_map *ouro_map_new_sized(const ouro_map_options *options, size_t size)
{
	ouro_map_options o = { 0 };
	if (!options || oi_sized_in(&o, sizeof o, options, size))
		return map_with(&o);
	errno = EINVAL;
	return NULL;
}

void *ouro_map_get(ouro_map *map, const void *key, size_t size)
{
	struct key k;
	CHECK(map);
	return key_of_bytes(&k, map, key, size) ? get_value(map, &k) : NULL;
}

void *ouro_map_get_int(ouro_map *map, uint64_t key)
{
	struct key k;
	CHECK(map);
	return key_of_number(&k, map, key) ? get_value(map, &k) : NULL;
}

int ouro_map_put(ouro_map *map, const void *key, size_t size, void *value)
{
	struct key k;
	CHECK(map);
	if (!value || !key_of_bytes(&k, map, key, size))
		return EINVAL;
	return change_key(map, &k, &(struct change){ .how = PUT, .held = value });
}

int ouro_map_put_int(ouro_map *map, uint64_t key, void *value)
{
	struct key k;
	CHECK(map);
	if (!value || !key_of_number(&k, map, key))
		return EINVAL;
	return change_key(map, &k, &(struct change){ .how = PUT, .held = value });
}

int ouro_map_put_for(ouro_map *map, const void *key, size_t size, void *value, uint64_t ttl_ns)
{
	struct key k;
	CHECK(map);
	if (!value || !key_of_bytes(&k, map, key, size) || !(map->kinds & OI_MAP_TIMES))
		return EINVAL;
	return change_dated(map, &k, &(struct change){ .how = PUT, .held = value }, ttl_ns);
}

int ouro_map_put_for_int(ouro_map *map, uint64_t key, void *value, uint64_t ttl_ns)
{
	struct key k;
	CHECK(map);
	if (!value || !key_of_number(&k, map, key) || !(map->kinds & OI_MAP_TIMES))
		return EINVAL;
	return change_dated(map, &k, &(struct change){ .how = PUT, .held = value }, ttl_ns);
}

int ouro_map_put_if_absent(ouro_map *map, const void *key, size_t size, void *value)
{
	struct key k;
	CHECK(map);
	if (!value || !key_of_bytes(&k, map, key, size))
		return EINVAL;
	return change_key(map, &k, &(struct change){ .how = PUT_IF_ABSENT, .held = value });
}

int ouro_map_put_if_absent_int(ouro_map *map, uint64_t key, void *value)
{
	struct key k;
	CHECK(map);
	if (!value || !key_of_number(&k, map, key))
		return EINVAL;
	return change_key(map, &k, &(struct change){ .how = PUT_IF_ABSENT, .held = value });
}

int ouro_map_replace(ouro_map *map, const void *key, size_t size, const void *expected,
		     void *value)
{
	struct key k;
	CHECK(map);
	if (!value || !key_of_bytes(&k, map, key, size))
		return EINVAL;
	return change_key(map, &k,
			  &(struct change){ .how = REPLACE, .expected = expected, .held = value });
}

int ouro_map_replace_int(ouro_map *map, uint64_t key, const void *expected, void *value)
{
	struct key k;
	CHECK(map);
	if (!value || !key_of_number(&k, map, key))
		return EINVAL;
	return change_key(map, &k,
			  &(struct change){ .how = REPLACE, .expected = expected, .held = value });
}

void *ouro_map_take(ouro_map *map, const void *key, size_t size)
{
	struct key k;
	CHECK(map);
	return key_of_bytes(&k, map, key, size) ? take_key(map, &k) : NULL;
}

void *ouro_map_take_int(ouro_map *map, uint64_t key)
{
	struct key k;
	CHECK(map);
	return key_of_number(&k, map, key) ? take_key(map, &k) : NULL;
}

bool ouro_map_remove(ouro_map *map, const void *key, size_t size)
{
	CHECK(map);
	void *value OURO_AUTO = ouro_map_take(map, key, size);
	return value;
}

bool ouro_map_remove_int(ouro_map *map, uint64_t key)
{
	CHECK(map);
	void *value OURO_AUTO = ouro_map_take_int(map, key);
	return value;
}

/* ---- for other kinds of maps ---- */

bool oi_item_remove_if(ouro_map *map, const ouro_map_item *k, const void *expected)
{
	struct key key;
	if (!(k->bytes ? key_of_bytes(&key, map, k->bytes, k->size) :
			 key_of_number(&key, map, k->number)))
		return false;
	struct oi_map_entry *e OURO_AUTO = find_entry(map, &key);
	if (!e || !ouro_slot_compare_exchange(&e->value, expected, NULL))
		return false;
	oi_map_gone(map, e);
	return true;
}

/* ---- making values once ---- */

static void *get_item(void *map, const ouro_map_item *k)
{
	return oi_item_get(map, k);
}

static int add_item(void *map, const ouro_map_item *k, void *value)
{
	return oi_item_add(map, k, value);
}

static void *get_or_create(ouro_map *map, const ouro_map_item *k, ouro_map_factory factory,
			   void *arg)
{
	struct oi_once how = { get_item, add_item, factory, arg };
	if (map && factory && k)
		return oi_once(map, &map->pending, k, &how);
	errno = EINVAL;
	return NULL;
}

void *ouro_map_get_or_create(ouro_map *map, const void *key, size_t size,
			     ouro_map_factory factory, void *arg)
{
	ouro_map_item k = oi_item_of_bytes(key, size);
	CHECK(map);
	return get_or_create(map, key || !size ? &k : NULL, factory, arg);
}

void *ouro_map_get_or_create_int(ouro_map *map, uint64_t key, ouro_map_factory factory, void *arg)
{
	ouro_map_item k = oi_item_of_number(key);
	CHECK(map);
	return get_or_create(map, &k, factory, arg);
}
