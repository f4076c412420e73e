/*
 * keyed.c - a key map in a fuzzed program, beside a model of it
 *
 * What goes with an object is one more of its slots, as far as the model knows. Of an object that
 * a finalizer has brought back, or that is reached from one, the model does not know whether
 * something still goes with it: at rest that ends.
 */
#include <errno.h>

#include "containers.h"
#include "place.h"

#define NONE MODEL_NONE

static ouro_key_map *map;

static struct model_place *place_of(int id)
{
	return &model.object[id].slot[MODEL_KEYED];
}

static bool is_key(const struct thing *x)
{
	return thing_is_key((enum thing_kind)model.object[x->id].kind);
}

static bool is_sure(int id)
{
	return !model.object[id].excused;
}

static void ends(int id, int value)
{
	model_lock();
	model_end(place_of(id), is_sure(id) ? value : NONE);
	model.object[id].stale |= !is_sure(id);
	model_unlock();
}

void step_key_put(int t, const struct step *s)
{
	struct thing *key = program_held(t, s->a), *x = program_held(t, s->b);
	bool if_absent = s->b & 0x40;
	int old;
	if (!map || !key || !x || !place_begins(place_of(key->id), &old))
		return;
	int error = if_absent ? ouro_key_map_put_if_absent(map, key, x) :
				ouro_key_map_put(map, key, x);
	int should = if_absent && old != NONE ? EEXIST : 0;
	if (!is_key(key) || is_sure(key->id))
		place_must_answer(error, is_key(key) ? should : EINVAL, "key map: put");
	ends(key->id, error ? old : thing_id(x));
}

void step_key_get(int t, const struct step *s)
{
	struct thing *key = program_held(t, s->a);
	if (!map || !key)
		return;
	struct glance g = place_look(place_of(key->id));
	struct thing *x = ouro_key_map_get(map, key);
	if (is_sure(key->id))
		place_seen(place_of(key->id), &g, thing_id(x), "key map: get");
	program_keep(t, s->b, x);
}

void step_key_remove(int t, const struct step *s)
{
	struct thing *key = program_held(t, s->a);
	int old;
	if (!map || !key || !place_begins(place_of(key->id), &old))
		return;
	bool done = ouro_key_map_remove(map, key);
	if (done != (old != NONE) && is_sure(key->id))
		model_broken("key map: remove says %d", done);
	ends(key->id, NONE);
}

/* Only while nobody changes any key. */
void step_key_clear(int t, const struct step *s)
{
	bool ok = map;
	int old;
	(void)t, (void)s;
	model_lock();
	for (int i = 0; i < MODEL_OBJECTS; i++)
		ok = ok && !place_of(i)->busy;
	for (int i = 0; i < MODEL_OBJECTS && ok; i++)
		model_begin(place_of(i), &old);
	model_unlock();
	if (!ok)
		return;
	ouro_key_map_clear(map);
	for (int i = 0; i < MODEL_OBJECTS; i++)
		place_ends(place_of(i), NONE);
}

struct meeting {
	int times[MODEL_OBJECTS], id[MODEL_OBJECTS];
};

static bool meet(void *key, void *value, void *arg)
{
	struct meeting *m = arg;
	int k = thing_id(key);
	m->times[k]++;
	m->id[k] = thing_id(value);
	return true;
}

/* Under the lock; model_reach has been called. A key that nobody holds may go meanwhile. */
static void check_met(int k, const struct glance *g, const struct meeting *m, bool held)
{
	if (!place_unchanged(place_of(k), g) || !is_sure(k))
		return;
	if (m->times[k] > (g->value != NONE) || (held && !m->times[k] && g->value != NONE))
		model_broken("key map: object %d, of kind %d, is met %d times", k,
			     model.object[k].kind, m->times[k]);
	if (m->times[k])
		place_must_be(m->id[k], g->value, "key map: each");
}

void step_key_each(int t, const struct step *s)
{
	struct meeting m = { { 0 }, { 0 } };
	struct glance g[MODEL_OBJECTS];
	(void)t, (void)s;
	if (!map)
		return;
	model_lock();
	for (int i = 0; i < MODEL_OBJECTS; i++)
		g[i] = place_glance(place_of(i));
	uint64_t version = model.version;
	model_unlock();
	ouro_key_map_each(map, meet, &m);
	model_lock();
	bool same = model.version == version;
	model_reach();
	for (int i = 0; i < model.n; i++)
		check_met(i, &g[i], &m, same && model.object[i].reached);
	model_unlock();
}

/* ---- begin and end ---- */

void keyed_begin(void)
{
	map = ouro_key_map_new();
	if (!map)
		model_broken("no memory");
}

void keyed_end(void)
{
	model_lock();
	for (int i = 0; i < MODEL_OBJECTS; i++)
		place_of(i)->value = NONE;
	model.version++;
	model_unlock();
	ouro_release(map);
	map = NULL;
}

static bool is_stale(int id)
{
	model_lock();
	model_reach();
	bool stale = model.object[id].stale && model.object[id].reached;
	model_unlock();
	return stale;
}

static void know(int id)
{
	model_lock();
	model.object[id].stale = false;
	model.version++;
	model_unlock();
}

/* What is put, and found, has taken the place of what was there. */
bool keyed_rest(void)
{
	bool all = true;
	for (int i = 0; map && i < model.n; i++) {
		if (!is_stale(i))
			continue;
		struct thing *x = thing_address[i];
		bool done = !is_key(x) ||
			    (!ouro_key_map_put(map, x, x) && ouro_key_map_remove(map, x));
		if (done)
			know(i);
		all = all && done;
	}
	return all;
}

void keyed_check(void)
{
	size_t n = 0;
	if (!map)
		return;
	step_key_each(0, NULL);
	for (int i = 0; i < model.n; i++)
		n += model.object[i].reached && place_of(i)->value != NONE;
	if (ouro_key_map_size(map) != n)
		model_broken("key map: size is %zu, and should be %zu", ouro_key_map_size(map), n);
}
