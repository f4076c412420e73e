/*
 * weakly.c - a weak map in a fuzzed program, beside a model of it
 *
 * Each key is a weak cell of the model: what is put under it is there as long as it lives.
 */
#include <errno.h>

#include "containers.h"
#include "place.h"

#define NONE MODEL_NONE

static ouro_weak_map *map;

/* ---- keys ---- */

static struct model_place *place_of(int k)
{
	return &model.cell[MODEL_CELLS + k];
}

static int key_of(uint8_t operand)
{
	return operand % MODEL_KEYS;
}

static struct thing *get(int k)
{
	return key_is_number(k) ? ouro_weak_map_get_int(map, (uint64_t)k) :
				  ouro_weak_map_get(map, key_bytes(k), (size_t)k);
}

static int put(int k, struct thing *x, bool if_absent)
{
	size_t n = (size_t)k;
	if (key_is_number(k))
		return if_absent ? ouro_weak_map_put_if_absent_int(map, n, x) :
				   ouro_weak_map_put_int(map, n, x);
	return if_absent ? ouro_weak_map_put_if_absent(map, key_bytes(k), n, x) :
			   ouro_weak_map_put(map, key_bytes(k), n, x);
}

/* ---- changes ---- */

struct change {
	int old;
	bool lives, dead; /* it is held, it is gone; neither: that is not known */
	uint64_t version;
};

static bool begins(int k, struct change *c)
{
	struct model_place *p = place_of(k);
	model_lock();
	bool gone = p->gone, maybe = p->maybe, ok = model_begin(p, &c->old);
	c->dead = ok && (c->old == NONE || gone);
	c->lives = ok && !c->dead && !maybe && model_reaches(c->old);
	c->version = model.version;
	model_unlock();
	return ok;
}

/* Under the lock: was it held to the end? */
static bool lived(const struct change *c)
{
	return c->lives && c->version == model.version;
}

/* What was there before has stayed: as it may have died meanwhile, less is known of it. */
static void ends(int k, const struct change *c, int id)
{
	struct model_place *p = place_of(k);
	model_end(p, id);
	p->maybe = id != NONE && id == c->old;
}

void step_weak_map_put(int t, const struct step *s)
{
	struct thing *x = program_held(t, s->a);
	int k = key_of(s->b);
	bool if_absent = s->b & 0x40;
	struct change c;
	if (!map || !x || !begins(k, &c))
		return;
	int error = put(k, x, if_absent);
	model_lock();
	if (error && error != ENOMEM && (error != EEXIST || !if_absent || c.dead))
		model_broken("weak map: put answers %d", error);
	if (!error && if_absent && lived(&c))
		model_broken("weak map: object %d is replaced, and it lives", c.old);
	ends(k, &c, error ? c.old : thing_id(x));
	model_unlock();
}

void step_weak_map_remove(int t, const struct step *s)
{
	int k = key_of(s->b);
	struct change c;
	(void)t;
	if (!map || !begins(k, &c))
		return;
	bool done = key_is_number(k) ? ouro_weak_map_remove_int(map, (uint64_t)k) :
				       ouro_weak_map_remove(map, key_bytes(k), (size_t)k);
	model_lock();
	if (done ? c.dead : lived(&c))
		model_broken("weak map: remove of object %d says %d", c.old, done);
	ends(k, &c, NONE);
	model_unlock();
}

static void *make_it(const ouro_map_item *item, void *arg)
{
	(void)item;
	return ouro_retain(arg);
}

void step_weak_map_create(int t, const struct step *s)
{
	struct thing *new = program_held(t, s->a);
	int k = key_of(s->b);
	struct change c;
	if (!map || !new || !begins(k, &c))
		return;
	struct thing *x = key_is_number(k) ?
		ouro_weak_map_get_or_create_int(map, (uint64_t)k, make_it, new) :
		ouro_weak_map_get_or_create(map, key_bytes(k), (size_t)k, make_it, new);
	model_lock();
	if (x && x != new && (thing_id(x) != c.old || c.dead))
		model_broken("weak map: create makes object %d", thing_id(x));
	if (x && thing_id(x) != c.old && lived(&c))
		model_broken("weak map: object %d is made anew, and it lives", c.old);
	ends(k, &c, x ? thing_id(x) : c.old);
	model_unlock();
	program_keep(t, s->a >> 4, x);
}

/* Only while nobody changes any key. */
void step_weak_map_clear(int t, const struct step *s)
{
	bool ok = map;
	int old;
	(void)t, (void)s;
	model_lock();
	for (int k = 0; k < MODEL_KEYS; k++)
		ok = ok && !place_of(k)->busy;
	for (int k = 0; k < MODEL_KEYS && ok; k++)
		model_begin(place_of(k), &old);
	model_unlock();
	if (!ok)
		return;
	ouro_weak_map_clear(map);
	for (int k = 0; k < MODEL_KEYS; k++)
		place_ends(place_of(k), NONE);
}

/* ---- looks ---- */

/* What is known of a key before it is looked at. */
struct expected {
	struct model_place p;
	struct glance g;
	bool held;
	uint64_t version;
};

/* Under the lock. */
static struct expected expect(int k)
{
	struct model_place *p = place_of(k);
	struct expected e = { *p, place_glance(p), false, model.version };
	e.held = p->value != NONE && !p->gone && !p->maybe && model_reaches(p->value);
	return e;
}

/* Under the lock. */
static void found(int k, const struct expected *e, int id, const char *what)
{
	if (!place_unchanged(place_of(k), &e->g))
		return;
	if (e->g.value == NONE)
		place_must_be(id, NONE, what);
	else
		model_loaded(&e->p, e->g.value, e->held && model.version == e->version, id);
	place_of(k)->gone |= id == NONE;
}

void step_weak_map_get(int t, const struct step *s)
{
	int k = key_of(s->b);
	if (!map)
		return;
	model_lock();
	struct expected e = expect(k);
	model_unlock();
	struct thing *x = get(k);
	model_lock();
	found(k, &e, thing_id(x), "weak map: get");
	model_unlock();
	program_keep(t, s->a, x);
}

void step_weak_map_each(int t, const struct step *s)
{
	struct place_meeting m = { .what = "weak map: each" };
	struct expected e[MODEL_KEYS];
	(void)t, (void)s;
	if (!map)
		return;
	model_lock();
	for (int k = 0; k < MODEL_KEYS; k++)
		e[k] = expect(k);
	model_unlock();
	ouro_weak_map_each(map, place_meet_key, &m);
	model_lock();
	for (int k = 0; k < MODEL_KEYS; k++) {
		if (place_unchanged(place_of(k), &e[k].g) && m.times[k] > 1)
			model_broken("weak map: key %d is met %d times", k, m.times[k]);
		found(k, &e[k], m.times[k] ? m.id[k] : NONE, m.what);
	}
	model_unlock();
}

/* ---- begin and end ---- */

void weakly_begin(void)
{
	map = ouro_weak_map_new();
	if (!map)
		model_broken("no memory");
}

void weakly_end(void)
{
	model_lock();
	for (int k = 0; k < MODEL_KEYS; k++)
		place_of(k)->value = NONE;
	model.version++;
	model_unlock();
	ouro_release(map);
	map = NULL;
}

/* All that is dead has left: the watches have run. */
void weakly_check(void)
{
	size_t n = 0, size = ouro_weak_map_size(map);
	if (!map)
		return;
	step_weak_map_each(0, NULL);
	for (int k = 0; k < MODEL_KEYS; k++) {
		struct thing *x = get(k);
		int id = thing_id(x);
		if (x && !model.object[id].reached)
			model_broken("weak map: object %d is held by nobody", id);
		ouro_release(x);
		n += x != NULL;
	}
	if (n != size)
		model_broken("weak map: %zu keys, and size is %zu", n, size);
}
