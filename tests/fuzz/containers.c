/*
 * containers.c - a map and a vector in a fuzzed program, beside models of them
 *
 * Each key, and each index, is a place of the model (model.h): one operation at a time changes it,
 * as many as like look at it. The end of the vector is one more, for who pushes or pops.
 */
#include <errno.h>
#include <string.h>

#include "containers.h"
#include "place.h"

#define NONE MODEL_NONE

static ouro_map *map;
static ouro_vec *vec;
static int vec_n; /* in the hands of who has begun model.end */

/* ---- keys ---- */

static struct model_place *place_of(uint8_t operand)
{
	return &model.key[operand % MODEL_KEYS];
}

static uint8_t key_of(const struct model_place *p)
{
	return (uint8_t)(p - model.key);
}

static struct thing *get(uint8_t k)
{
	return key_is_number(k) ? ouro_map_get_int(map, k) : ouro_map_get(map, key_bytes(k), k);
}

static int put(uint8_t k, struct thing *x, bool if_absent)
{
	if (key_is_number(k))
		return if_absent ? ouro_map_put_if_absent_int(map, k, x) :
				   ouro_map_put_int(map, k, x);
	return if_absent ? ouro_map_put_if_absent(map, key_bytes(k), k, x) :
			   ouro_map_put(map, key_bytes(k), k, x);
}

static int replace(uint8_t k, const struct thing *expected, struct thing *x)
{
	return key_is_number(k) ? ouro_map_replace_int(map, k, expected, x) :
			      ouro_map_replace(map, key_bytes(k), k, expected, x);
}

static struct thing *take(uint8_t k)
{
	return key_is_number(k) ? ouro_map_take_int(map, k) : ouro_map_take(map, key_bytes(k), k);
}

/* ---- the map ---- */

void step_map_put(int t, const struct step *s)
{
	struct thing *x = program_held(t, s->a);
	struct model_place *p = place_of(s->b);
	bool if_absent = s->b & 0x40;
	int old;
	if (!map || !x || !place_begins(p, &old))
		return;
	int error = put(key_of(p), x, if_absent);
	place_must_answer(error, if_absent && old != NONE ? EEXIST : 0, "put");
	place_ends(p, error ? old : thing_id(x));
}

void step_map_get(int t, const struct step *s)
{
	struct model_place *p = place_of(s->b);
	if (!map)
		return;
	struct glance g = place_look(p);
	struct thing *x = get(key_of(p));
	int id = thing_id(x);
	place_seen(p, &g, id, "map: get");
	program_keep(t, s->a, x);
}

void step_map_take(int t, const struct step *s)
{
	struct model_place *p = place_of(s->b);
	int old;
	if (!map || !place_begins(p, &old))
		return;
	struct thing *x = take(key_of(p));
	place_must_be(thing_id(x), old, "map: take");
	place_ends(p, NONE);
	program_keep(t, s->a, x);
}

/* What it expects is what another handle holds, what is there, or anything. */
void step_map_replace(int t, const struct step *s)
{
	struct thing *x = program_held(t, s->a), *guess = program_held(t, s->a >> 4);
	struct model_place *p = place_of(s->b);
	int old;
	if (!map || !x || !place_begins(p, &old))
		return;
	if (s->b & 0x40) /* the key is busy: what is there stays */
		guess = old == NONE ? NULL : thing_address[old];
	bool right = old != NONE && (!guess || thing_id(guess) == old);
	int error = replace(key_of(p), guess, x);
	place_must_answer(error, right ? 0 : ENOENT, "replace");
	place_ends(p, error ? old : thing_id(x));
}

void step_map_remove(int t, const struct step *s)
{
	struct model_place *p = place_of(s->b);
	uint8_t k = key_of(p);
	int old;
	(void)t;
	if (!map || !place_begins(p, &old))
		return;
	bool done = key_is_number(k) ? ouro_map_remove_int(map, k) :
				   ouro_map_remove(map, key_bytes(k), k);
	if (done != (old != NONE))
		model_broken("map: remove says %d", done);
	place_ends(p, NONE);
}

struct making {
	struct thing *made;
	bool asked;
};

static void *make_it(const ouro_map_item *item, void *arg)
{
	struct making *m = arg;
	(void)item;
	m->asked = true;
	return ouro_retain(m->made);
}

void step_map_create(int t, const struct step *s)
{
	struct making m = { .made = program_held(t, s->a) };
	struct model_place *p = place_of(s->b);
	uint8_t k = key_of(p);
	int old;
	if (!map || !m.made || !place_begins(p, &old))
		return;
	struct thing *x = key_is_number(k) ?
		ouro_map_get_or_create_int(map, k, make_it, &m) :
		ouro_map_get_or_create(map, key_bytes(k), k, make_it, &m);
	if (x)
		place_must_be(thing_id(x), old == NONE ? thing_id(m.made) : old, "map: create");
	if (x && m.asked != (old == NONE))
		model_broken("map: the factory is asked %d times", m.asked);
	place_ends(p, x ? thing_id(x) : old);
	program_keep(t, s->a >> 4, x);
}

static bool meet_element(size_t i, void *value, void *arg)
{
	struct place_meeting *m = arg;
	if (i < MODEL_KEYS) {
		m->times[i]++;
		m->id[i] = thing_id(value);
	}
	return true;
}

/* Each place that did not change meanwhile was met once, as what it is, or not, as it is empty. */
static void check_met(const struct model_place *p, const struct glance *g,
		      const struct place_meeting *m)
{
	model_lock();
	for (int i = 0; i < MODEL_KEYS; i++) {
		if (!place_unchanged(&p[i], &g[i]))
			continue;
		if (m->times[i] != (p[i].value != NONE))
			model_broken("%s: %d is met %d times", m->what, i, m->times[i]);
		if (m->times[i])
			place_must_be(m->id[i], p[i].value, m->what);
	}
	model_unlock();
}

static void glance_at_all(const struct model_place *p, struct glance *g)
{
	model_lock();
	for (int i = 0; i < MODEL_KEYS; i++)
		g[i] = place_glance(&p[i]);
	model_unlock();
}

void step_map_each(int t, const struct step *s)
{
	struct place_meeting m = { .what = "map: each" };
	struct glance g[MODEL_KEYS];
	(void)t, (void)s;
	if (!map)
		return;
	glance_at_all(model.key, g);
	ouro_map_each(map, place_meet_key, &m);
	check_met(model.key, g, &m);
}

/* Only while nobody changes any key: others may look. */
void step_map_clear(int t, const struct step *s)
{
	bool ok = true;
	int old;
	(void)t, (void)s;
	if (!map)
		return;
	model_lock();
	for (int i = 0; i < MODEL_KEYS; i++)
		ok = ok && !model.key[i].busy;
	for (int i = 0; i < MODEL_KEYS && ok; i++)
		model_begin(&model.key[i], &old);
	model_unlock();
	if (!ok)
		return;
	ouro_map_clear(map);
	for (int i = 0; i < MODEL_KEYS; i++)
		place_ends(&model.key[i], NONE);
}

/* ---- the vector ---- */

static struct model_place *element_of(uint8_t operand)
{
	return &model.element[operand % MODEL_KEYS];
}

/* Begins a change at the end and of the element there: @by 0 pushes, 1 pops. */
static struct model_place *begin_end(int by, int *old)
{
	struct model_place *p = NULL;
	int none;
	model_lock();
	int i = vec_n - by;
	if (i >= 0 && i < MODEL_KEYS && !model.element[i].busy && model_begin(&model.end, &none)) {
		p = &model.element[i];
		model_begin(p, old);
	}
	model_unlock();
	return p;
}

static void end_end(struct model_place *p, int value, int by)
{
	model_lock();
	vec_n += by;
	model_end(p, value);
	model_end(&model.end, NONE);
	model_unlock();
}

void step_vec_push(int t, const struct step *s)
{
	struct thing *x = program_held(t, s->a);
	struct model_place *p;
	size_t i = SIZE_MAX;
	int old;
	if (!vec || !x || !(p = begin_end(0, &old)))
		return;
	int error = ouro_vec_push(vec, x, &i);
	place_must_answer(error, 0, "push");
	if (!error && i != (size_t)(p - model.element))
		model_broken("push to %zu, and it should be %d", i, (int)(p - model.element));
	end_end(p, error ? NONE : thing_id(x), !error);
}

void step_vec_pop(int t, const struct step *s)
{
	struct model_place *p;
	int old;
	if (!vec || !(p = begin_end(1, &old)))
		return;
	struct thing *x = ouro_vec_pop(vec);
	place_must_be(thing_id(x), old, "pop");
	end_end(p, NONE, -1);
	program_keep(t, s->a, x);
}

void step_vec_get(int t, const struct step *s)
{
	struct model_place *p = element_of(s->b);
	if (!vec)
		return;
	struct glance g = place_look(p);
	struct thing *x = ouro_vec_get(vec, (size_t)(p - model.element));
	int id = thing_id(x);
	place_seen(p, &g, id, "vec: get");
	program_keep(t, s->a, x);
}

/* With or without an expectation. */
void step_vec_set(int t, const struct step *s)
{
	struct thing *x = program_held(t, s->a), *guess = program_held(t, s->a >> 4);
	struct model_place *p = element_of(s->b);
	size_t i = (size_t)(p - model.element);
	int old;
	if (!vec || !x || !place_begins(p, &old))
		return;
	bool compares = s->b & 0x40 && guess;
	int should = old == NONE ? ERANGE : compares && thing_id(guess) != old ? EAGAIN : 0;
	int error = compares ? ouro_vec_compare_set(vec, i, guess, x) : ouro_vec_set(vec, i, x);
	place_must_answer(error, should, "vec: set");
	place_ends(p, error ? old : thing_id(x));
}

/* It ends at the first that is not there: so only if none came or went are all to be met. */
void step_vec_each(int t, const struct step *s)
{
	struct place_meeting m = { .what = "vec: each" };
	struct glance g[MODEL_KEYS], end = place_look(&model.end);
	(void)t, (void)s;
	if (!vec)
		return;
	glance_at_all(model.element, g);
	ouro_vec_each(vec, meet_element, &m);
	model_lock();
	bool all = place_unchanged(&model.end, &end);
	model_unlock();
	if (all)
		check_met(model.element, g, &m);
}

/* ---- begin and end ---- */

void containers_begin(void)
{
	vec_n = 0;
	map = ouro_map_new();
	vec = ouro_vec_new(0);
	if (!map || !vec)
		model_broken("no memory");
}

void later_containers_begin(void)
{
	weakly_begin();
	keyed_begin();
	cache_begin();
}

void containers_end(void)
{
	weakly_end();
	keyed_end();
	cache_end();
	model_lock();
	for (int i = 0; i < MODEL_KEYS; i++)
		model.key[i].value = model.element[i].value = NONE;
	model.version++;
	model_unlock();
	ouro_release(map);
	ouro_release(vec);
	map = NULL;
	vec = NULL;
}

/* The library's own objects have names that begin with its own. */
static size_t count_parts(void)
{
	ouro_type_stat row[64];
	ssize_t rows = ouro_type_stats(row, 64);
	size_t n = 0;
	for (ssize_t i = 0; i < rows && i < 64; i++)
		if (!strncmp(row[i].name, "ouro", 4))
			n += row[i].objects;
	return n;
}

size_t containers_check(void)
{
	size_t keys = 0;
	weakly_check();
	keyed_check();
	if (!map)
		return count_parts();
	step_map_each(0, NULL);
	step_vec_each(0, NULL);
	for (int i = 0; i < MODEL_KEYS; i++)
		keys += model.key[i].value != NONE;
	if (ouro_map_size(map) != keys || ouro_vec_size(vec) != (size_t)vec_n)
		model_broken("%zu keys, %zu elements, and there should be %zu, %d",
			     ouro_map_size(map), ouro_vec_size(vec), keys, vec_n);
	return count_parts();
}
