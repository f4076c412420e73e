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
#include "base/urcu.h"
#include "contain/places.h"
#include "contain/siphash.h"
#include "contain/split.h"
#include "world/gate.h"
#include "ouro.h"

#define COUNTERS 8

/* A line apart from the next. */
struct counter {
	int64_t n;
	char apart[OI_LINE - sizeof(int64_t)];
};

struct ouro_map {
	struct oi_split split;
	struct oi_places places;
	struct oi_seed seed;
	struct counter count[COUNTERS]; /* keys put less keys removed, of some threads each */
};

static const ouro_type map_type = {
	.name = "ouro_map",
	.size = sizeof(struct ouro_map),
	.slots = OURO_SLOTS(struct ouro_map, split.table, places.part),
};

struct entry {
	struct oi_node node;
	void *value; /* a slot */
	void **place;
	uint64_t number; /* the key; or how many bytes it has */
	bool is_number;
	bool linked;
	char bytes[];
};

static const ouro_type entry_type = {
	.name = "ouro_map entry",
	.size = offsetof(struct entry, bytes),
	.slots = OURO_SLOTS(struct entry, value),
	.item_size = 1,
};

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
	const struct entry *e = caa_container_of(node, struct entry, node);
	const struct key *k = key;
	if (e->number != k->number || e->is_number != !k->bytes)
		return false;
	return e->is_number || !memcmp(e->bytes, k->bytes, e->number);
}

/* ---- entries ---- */

static unsigned who(void)
{
	return oi_mine->key;
}

static void count_keys(struct ouro_map *m, int64_t by)
{
	oi_add_relaxed(&m->count[who() % COUNTERS].n, by); /* count */
}

size_t ouro_map_size(const ouro_map *map)
{
	int64_t n = 0;
	for (unsigned i = 0; map && i < COUNTERS; i++)
		n += oi_load_relaxed(&map->count[i].n); /* count */
	return n > 0 ? (size_t)n : 0;
}

/* In a pinned region. Returns the entry, peeked, or NULL. */
static struct entry *peek_entry(struct ouro_map *m, const struct key *k)
{
	struct oi_node *node = oi_split_find(&m->split, k->order, same_key, k);
	return node ? caa_container_of(node, struct entry, node) : NULL;
}

/* Returns a new reference to the entry, or NULL. */
static struct entry *find_entry(struct ouro_map *m, const struct key *k)
{
	ouro_pin();
	struct entry *e = ouro_try_retain(peek_entry(m, k));
	ouro_unpin();
	return e;
}

/* Returns a new reference to an entry that is in a place, or NULL without memory. */
static struct entry *make_entry(struct ouro_map *m, const struct key *k, void *value)
{
	struct entry *e = ouro_new_items(&entry_type, k->bytes ? k->number : 0);
	if (!e)
		return NULL;
	e->node.order = k->order;
	e->number = k->number;
	e->is_number = !k->bytes;
	if (k->bytes)
		memcpy(e->bytes, k->bytes, k->number);
	ouro_slot_store(&e->value, value);
	e->place = oi_places_put(&m->places, e, who(), ouro_map_size(m));
	if (e->place)
		return e;
	ouro_release(e);
	return NULL;
}

/* The entry, borrowed, whose value this thread has taken, leaves the map. */
static void unlink_entry(struct ouro_map *m, struct entry *e)
{
	ouro_pin();
	oi_split_remove(&m->split, &e->node);
	ouro_unpin();
	ouro_release(ouro_slot_take(e->place));
}

/* Takes the value of @e, borrowed, and the entry out of the map; NULL if others have. */
static void *take_value(struct ouro_map *m, struct entry *e)
{
	void *value = ouro_slot_take(&e->value);
	if (value) {
		count_keys(m, -1);
		unlink_entry(m, e);
	}
	return value;
}

/* Returns true if the entry, borrowed, is in the table now; false if another of its key is. */
static bool link_entry(struct ouro_map *m, const struct key *k, struct entry *e, bool *crowded)
{
	for (;;) {
		ouro_pin();
		struct oi_node *met = oi_split_insert(&m->split, &e->node, same_key, k, crowded);
		struct entry *other = met ? caa_container_of(met, struct entry, node) : NULL;
		bool lives = other && oi_load_acquire(&other->value); /* [J1] */
		if (met && !lives)
			oi_split_remove(&m->split, met);
		ouro_unpin();
		if (!met || lives)
			return !met;
	}
}

/* ---- putting ---- */

/*
 * Sets the value of @e, borrowed, if it is @expected, or has any if that is NULL. Returns 0; ENOENT
 * if it has another or none.
 */
static int set_value(struct entry *e, const void *expected, void *value)
{
	for (;;) {
		void *old OURO_AUTO = ouro_slot_load(&e->value);
		if (!old || (expected && old != expected))
			return ENOENT;
		if (ouro_slot_compare_exchange(&e->value, old, value))
			return 0;
	}
}

static int replace_value(struct ouro_map *m, const struct key *k, const void *expected, void *value)
{
	struct entry *e OURO_AUTO = find_entry(m, k);
	return e ? set_value(e, expected, value) : ENOENT;
}

/* Returns 0; EEXIST; ENOMEM. */
static int add_entry(struct ouro_map *m, const struct key *k, void *value)
{
	bool crowded;
	struct entry *e OURO_AUTO = make_entry(m, k, value);
	if (!e)
		return ENOMEM;
	oi_point("map: made");
	if (!link_entry(m, k, e, &crowded)) {
		ouro_release(ouro_slot_take(e->place));
		return EEXIST;
	}
	count_keys(m, 1);
	oi_store_release(&e->linked, true); /* [J5] */
	if (crowded && ouro_map_size(m) >= oi_load_relaxed(&m->split.n_buckets)) /* recheck */
		oi_split_grow(&m->split);
	return 0;
}

static int put_value(struct ouro_map *m, const struct key *k, void *value)
{
	int error;
	do {
		error = replace_value(m, k, NULL, value);
		if (error == ENOENT)
			error = add_entry(m, k, value);
	} while (error == EEXIST);
	return error;
}

static int put_absent(struct ouro_map *m, const struct key *k, void *value)
{
	void *there OURO_AUTO = NULL;
	struct entry *e OURO_AUTO = find_entry(m, k);
	there = e ? ouro_slot_load(&e->value) : NULL;
	return there ? EEXIST : add_entry(m, k, value);
}

/* ---- getting and taking ---- */

static void *get_value(struct ouro_map *m, const struct key *k)
{
	ouro_pin();
	struct entry *e = peek_entry(m, k);
	void *value = e ? ouro_slot_load(&e->value) : NULL;
	ouro_unpin();
	return value;
}

static void *take_key(struct ouro_map *m, const struct key *k)
{
	struct entry *e OURO_AUTO = find_entry(m, k);
	return e ? take_value(m, e) : NULL;
}

/* ---- all of them ---- */

static bool is_node(const struct oi_node *node, const void *key)
{
	return node == key;
}

/* Returns true if @e, borrowed, has got into the table, even if it is out again. */
static bool was_linked(struct ouro_map *m, struct entry *e)
{
	if (likely(oi_load_acquire(&e->linked))) /* [J5] */
		return true;
	ouro_pin();
	bool linked = oi_split_find(&m->split, e->node.order, is_node, &e->node);
	ouro_unpin();
	return linked;
}

/* Returns a new reference to the entry in place @i, or NULL. */
static struct entry *entry_at(struct ouro_map *m, uint64_t i)
{
	void **place = oi_place(&m->places, i);
	struct entry *e = place ? ouro_slot_load(place) : NULL;
	if (!e || was_linked(m, e))
		return e;
	ouro_release(e);
	return NULL;
}

static bool show_entry(struct entry *e, ouro_map_visitor fn, void *arg)
{
	void *value OURO_AUTO = ouro_slot_load(&e->value);
	ouro_map_item item = { .bytes = e->is_number ? NULL : e->bytes, .value = value };
	*(e->is_number ? &item.number : &item.size) = e->number;
	return !value || fn(&item, arg);
}

bool ouro_map_each(ouro_map *map, ouro_map_visitor fn, void *arg)
{
	bool on = true;
	uint64_t n = map ? oi_load_acquire(&map->places.n) : 0; /* [J2] */
	for (uint64_t i = 0; on && i < n; i++) {
		struct entry *e OURO_AUTO = entry_at(map, i);
		on = !e || show_entry(e, fn, arg);
	}
	return on;
}

void ouro_map_clear(ouro_map *map)
{
	uint64_t n = map ? oi_load_acquire(&map->places.n) : 0; /* [J2] */
	for (uint64_t i = 0; i < n; i++) {
		struct entry *e OURO_AUTO = entry_at(map, i);
		if (e)
			ouro_release(take_value(map, e));
	}
}

/* ---- seen from outside ---- */

/* The books may have a copy of the type. */
static bool is_entry(uint32_t type)
{
	return oi_type_given[type] == &entry_type;
}

bool oi_map_is_part(uint32_t type)
{
	return is_entry(type) || oi_places_are(type) || oi_split_is_table(type);
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
	const struct entry *e = (const struct entry *)(h + 1);
	bool cut = false;
	*out = 0;
	if (!is_entry(oi_load_relaxed(&h->type))) /* elsewhere: however h was got */
		return 0;
	if (e->is_number)
		return (size_t)snprintf(out, OI_MAP_KEY_NAME, "[%llu]",
					(unsigned long long)e->number);
	size_t n = (size_t)sprintf(out, "[\"");
	n += quote(out + n, e->bytes, e->number, &cut);
	return n + (size_t)sprintf(out + n, cut ? "\"...]" : "\"]");
}

/* ---- public ---- */

ouro_map *ouro_map_new(void)
{
	struct ouro_map *m = ouro_new(&map_type);
	if (m)
		oi_os_random(&m->seed, sizeof m->seed);
	if (m && oi_split_init(&m->split) && oi_places_init(&m->places))
		return m;
	ouro_release(m);
	errno = ENOMEM;
	return NULL;
}

void *ouro_map_get(ouro_map *map, const void *key, size_t size)
{
	struct key k;
	return key_of_bytes(&k, map, key, size) ? get_value(map, &k) : NULL;
}

void *ouro_map_get_int(ouro_map *map, uint64_t key)
{
	struct key k;
	return key_of_number(&k, map, key) ? get_value(map, &k) : NULL;
}

int ouro_map_put(ouro_map *map, const void *key, size_t size, void *value)
{
	struct key k;
	return value && key_of_bytes(&k, map, key, size) ? put_value(map, &k, value) : EINVAL;
}

int ouro_map_put_int(ouro_map *map, uint64_t key, void *value)
{
	struct key k;
	return value && key_of_number(&k, map, key) ? put_value(map, &k, value) : EINVAL;
}

int ouro_map_put_if_absent(ouro_map *map, const void *key, size_t size, void *value)
{
	struct key k;
	return value && key_of_bytes(&k, map, key, size) ? put_absent(map, &k, value) : EINVAL;
}

int ouro_map_put_if_absent_int(ouro_map *map, uint64_t key, void *value)
{
	struct key k;
	return value && key_of_number(&k, map, key) ? put_absent(map, &k, value) : EINVAL;
}

int ouro_map_replace(ouro_map *map, const void *key, size_t size, const void *expected,
		     void *value)
{
	struct key k;
	if (!value || !key_of_bytes(&k, map, key, size))
		return EINVAL;
	return replace_value(map, &k, expected, value);
}

int ouro_map_replace_int(ouro_map *map, uint64_t key, const void *expected, void *value)
{
	struct key k;
	if (!value || !key_of_number(&k, map, key))
		return EINVAL;
	return replace_value(map, &k, expected, value);
}

void *ouro_map_take(ouro_map *map, const void *key, size_t size)
{
	struct key k;
	return key_of_bytes(&k, map, key, size) ? take_key(map, &k) : NULL;
}

void *ouro_map_take_int(ouro_map *map, uint64_t key)
{
	struct key k;
	return key_of_number(&k, map, key) ? take_key(map, &k) : NULL;
}

bool ouro_map_remove(ouro_map *map, const void *key, size_t size)
{
	void *value OURO_AUTO = ouro_map_take(map, key, size);
	return value;
}

bool ouro_map_remove_int(ouro_map *map, uint64_t key)
{
	void *value OURO_AUTO = ouro_map_take_int(map, key);
	return value;
}
