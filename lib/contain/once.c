/*
 * once.c - a value that is made once, however many ask for it at a time
 *
 * Beside a map lies another, of what is being made: a key leads to its promise (promise.c). Who
 * puts a promise there makes the value; the others wait for it. The value is put into the map
 * before the promise is taken out, and who has put a promise there looks into the map once more: so
 * who comes between the two finds the value, and does not make another.
 * A promise whose maker is gone without a word (its thread ended without unwinding, or is not in
 * the child of a fork) stays there, left, until somebody asks: one replaces it by its own, in one
 * step. A factory that is left by unwinding takes its promise out.
 */
#include "contain/once.h"

#include <errno.h>

#include "base/perturb.h"
#include "contain/items.h"
#include "contain/promise.h"
#include "world/gate.h"

/* ---- the map of promises ---- */

/* Puts @p there, in place of @old, if that is not NULL. Returns 0; EEXIST, ENOENT or ENOMEM. */
static int offer(ouro_map *pending, const ouro_map_item *k, struct oi_promise *old,
		 struct oi_promise *p)
{
	return old ? oi_item_replace(pending, k, old, p) : oi_item_add(pending, k, p);
}

/* Returns a new reference, or NULL without memory. */
static ouro_map *pending_of(ouro_map **slot)
{
	ouro_map *pending = ouro_load(slot);
	if (likely(pending))
		return pending;
	ouro_map *made OURO_AUTO = ouro_map_new();
	if (made)
		ouro_compare_exchange(slot, NULL, made);
	return made ? ouro_load(slot) : NULL;
}

enum { AGAIN = -1 }; /* something has changed meanwhile; no errno */

/* ---- making ---- */

struct making {
	void *map;
	ouro_map *pending;
	const ouro_map_item *key;
	const struct oi_once *how;
	struct oi_promise *promise;
	void *value; /* a reference */
	int error;
	bool over;
};

/* However the factory was left. Nobody waits for it any more. */
static void end_making(struct making *g)
{
	if (!g->over) {
		ouro_release(g->value);
		g->value = NULL;
	}
	ouro_release(oi_item_take(g->pending, g->key));
	if (g->over)
		oi_promise_keep(g->promise, g->value, g->error);
	else
		oi_promise_leave(g->promise);
}

static void call_factory(void *arg)
{
	struct making *g = arg;
	errno = 0;
	g->value = g->how->factory(g->key, g->how->arg);
	g->error = g->value ? 0 : errno ? errno : ENOENT;
}

/* What the factory made goes into the map, unless somebody has put a value there meanwhile. */
static void add_made(struct making *g)
{
	while (g->value) {
		int error = g->how->add(g->map, g->key, g->value);
		if (!error)
			return;
		void *theirs = error == EEXIST ? g->how->get(g->map, g->key) : NULL;
		if (!theirs && error == EEXIST)
			continue;
		ouro_release(g->value);
		g->value = theirs;
		g->error = theirs ? 0 : error;
		return;
	}
}

/* @p is in the map of promises. Returns 0, with *value; or why there is none. */
static int make_it(struct making *init, void **value)
{
	__attribute__((cleanup(end_making))) struct making g = *init;
	oi_point("once: promised");
	g.value = g.how->get(g.map, g.key);
	if (!g.value) {
		oi_callback_aside(oi_current(), call_factory, &g, "factory of a map");
		add_made(&g);
	}
	g.over = true;
	*value = g.value;
	return g.error;
}

/* ---- asking ---- */

/* One try. Returns 0, with *value; AGAIN; or why there is no value. */
static int ask(struct making *g, void **value)
{
	struct oi_promise *there OURO_AUTO = oi_item_get(g->pending, g->key);
	if (there) {
		int error = oi_promise_wait(oi_current(), there);
		if (!error) {
			*value = ouro_slot_load(&there->value);
			return *value ? 0 : there->error;
		}
		if (error != ECANCELED)
			return error;
	}
	struct oi_promise *mine OURO_AUTO = oi_promise_new(oi_current());
	if (!mine)
		return ENOMEM;
	int error = offer(g->pending, g->key, there, mine);
	if (error) {
		oi_promise_leave(mine);
		return error == ENOMEM ? ENOMEM : AGAIN;
	}
	g->promise = mine;
	return make_it(g, value);
}

void *oi_once(void *map, ouro_map **slot, const ouro_map_item *key, const struct oi_once *how)
{
	void *value = how->get(map, key);
	if (likely(value))
		return value;
	if (oi_current()->pin_depth) {
		errno = EDEADLK;
		return NULL;
	}
	ouro_map *pending OURO_AUTO = pending_of(slot);
	struct making g = { .map = map, .pending = pending, .key = key, .how = how };
	int error = pending ? AGAIN : ENOMEM;
	while (error == AGAIN && !(value = how->get(map, key)))
		error = ask(&g, &value);
	if (!value)
		errno = error;
	return value;
}
