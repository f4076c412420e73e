/*
 * cache.c - a map with room for few entries in a fuzzed program
 *
 * Which entry goes, and when, is the map's business. So the model knows what was put last under a
 * key: that is there, or nothing is; and that nothing is told of that was not put, nor more often.
 * What only the cache holds may die at any time; at rest the model is told what is there.
 */
#include <errno.h>

#include "containers.h"
#include "place.h"

#define NONE MODEL_NONE

enum { ROOM = 4 };

static ouro_map *cache;
/* Under the lock of the model. */
static bool was_put[MODEL_KEYS][MODEL_OBJECTS];
static int n_put[MODEL_KEYS], n_told[MODEL_KEYS];

static void tell(const ouro_map_item *item, ouro_map_reason why, void *arg)
{
	uint64_t k = item->bytes ? item->size : item->number;
	int id = thing_id(item->value);
	if (arg != n_told || why != OURO_MAP_FULL || k >= MODEL_KEYS)
		model_broken("cache: told of %d because of %d", id, (int)why);
	model_lock();
	if (!was_put[k][id] || ++n_told[k] > n_put[k])
		model_broken("cache: told of object %d, which was not put", id);
	model_unlock();
}

static struct thing *get(int k)
{
	return key_is_number(k) ? ouro_map_get_int(cache, (uint64_t)k) :
				  ouro_map_get(cache, key_bytes(k), (size_t)k);
}

static int put(int k, struct thing *x, bool if_absent)
{
	size_t n = (size_t)k;
	if (key_is_number(k))
		return if_absent ? ouro_map_put_if_absent_int(cache, n, x) :
				   ouro_map_put_int(cache, n, x);
	return if_absent ? ouro_map_put_if_absent(cache, key_bytes(k), n, x) :
			   ouro_map_put(cache, key_bytes(k), n, x);
}

void step_cache_put(int t, const struct step *s)
{
	struct thing *x = program_held(t, s->a);
	int k = s->b % MODEL_KEYS, old;
	bool if_absent = s->b & 0x40;
	if (!cache || !x || !place_begins(&model.last[k], &old))
		return;
	model_lock();
	was_put[k][thing_id(x)] = true;
	n_put[k]++;
	model_unlock();
	int error = put(k, x, if_absent);
	if (error && error != ENOMEM && (error != EEXIST || !if_absent || old == NONE))
		model_broken("cache: put answers %d, and the last was %d", error, old);
	place_ends(&model.last[k], error ? old : thing_id(x));
	if (ouro_map_size(cache) > ROOM + MODEL_THREADS)
		model_broken("cache: %zu entries", ouro_map_size(cache));
}

void step_cache_get(int t, const struct step *s)
{
	int k = s->b % MODEL_KEYS;
	if (!cache)
		return;
	struct glance g = place_look(&model.last[k]);
	struct thing *x = get(k);
	if (x)
		place_seen(&model.last[k], &g, thing_id(x), "cache: get");
	program_keep(t, s->a, x);
}

void step_cache_remove(int t, const struct step *s)
{
	int k = s->b % MODEL_KEYS, old;
	(void)t;
	if (!cache || !place_begins(&model.last[k], &old))
		return;
	bool done = key_is_number(k) ? ouro_map_remove_int(cache, (uint64_t)k) :
				       ouro_map_remove(cache, key_bytes(k), (size_t)k);
	if (done && old == NONE)
		model_broken("cache: something is removed, and nothing was put");
	place_ends(&model.last[k], NONE);
}

/* ---- begin, rest and end ---- */

void cache_begin(void)
{
	ouro_map_options o = { .max_entries = ROOM, .on_evict = tell, .on_evict_arg = n_told };
	for (int k = 0; k < MODEL_KEYS; k++) {
		n_put[k] = n_told[k] = 0;
		for (int i = 0; i < MODEL_OBJECTS; i++)
			was_put[k][i] = false;
	}
	cache = ouro_map_new_with(&o);
	if (!cache)
		model_broken("no memory");
}

void cache_end(void)
{
	ouro_release(cache);
	cache = NULL;
}

static void rest_at(int k, int id)
{
	model_lock();
	int last = model.last[k].value;
	if (id != NONE && id != last)
		model_broken("cache: object %d, and the last was %d", id, last);
	if (id == NONE && last != NONE && !n_told[k])
		model_broken("cache: object %d is gone, and nobody was told", last);
	model.cached[k] = id;
	model.version++;
	model_unlock();
}

void cache_rest(void)
{
	size_t n = 0;
	for (int k = 0; cache && k < MODEL_KEYS; k++) {
		struct thing *x = get(k);
		rest_at(k, thing_id(x));
		ouro_release(x);
		n += x != NULL;
	}
	if (cache && (n > ROOM || n != ouro_map_size(cache)))
		model_broken("cache: %zu keys, and size is %zu", n, ouro_map_size(cache));
}

void cache_goes_on(void)
{
	model_lock();
	for (int k = 0; k < MODEL_KEYS; k++)
		model.cached[k] = NONE;
	model.version++;
	model_unlock();
}
