/*
 * path.c - why an object is alive: a shortest path of holders that leads to it
 *
 * Found in a picture (picture.h), breadth first, from all objects at once that something holds
 * which is no object. A picture is of many moments, so the path is looked at again, from the object
 * upwards, in stops of a few steps; each holder that still holds what it should gets a reference.
 * If one does not, its edge is cut out of the picture, and another path looked for; when the
 * picture has no more, or too many were cut, the next one is taken.
 */
#include <errno.h>
#include <string.h>

#include "base/os.h"
#include "base/perturb.h"
#include "contain/map.h"
#include "contain/parts.h"
#include "contain/places.h"
#include "heap/edge.h"
#include "heap/type.h"
#include "inspect/held.h"
#include "inspect/picture.h"
#include "world/callback.h"
#include "world/gate.h"
#include "world/gclock.h"

#define PICTURES 4
#define CUTS 32    /* in each */
#define CHECKS 256 /* steps of a path looked at again in one stop */
#define ROOT UINT64_MAX

struct why {
	struct oi_picture p;
	void *obj;
	uint64_t target;
	uint64_t *from;  /* by object: the edge that led there and 1; 0: none did; ROOT */
	uint64_t *queue;
	/* Of the path, upwards: pairs of a holder's number, and its edge. */
	struct oi_vector steps;
	struct oi_held held; /* and the holders themselves */
	size_t broken;       /* which step did not hold */
};

/* ---- searching ---- */

static bool is_root(const struct oi_seen *s)
{
	return !(s->flags & (OI_SEEN_DYING | OI_SEEN_PART)) &&
	       ((s->flags & OI_SEEN_IMMORTAL) || oi_picture_outside(s));
}

/* Puts what @i refers to into the queue. Returns true if the target is among that. */
static bool spread(struct why *w, uint64_t i, uint64_t *n)
{
	const struct oi_seen *s = oi_picture_seen(&w->p, i);
	for (uint64_t k = s->edge; k < s->edge + s->n_edges; k++) {
		uint64_t to = oi_picture_edge(&w->p, k)->to;
		if (to == OI_NOBODY || w->from[to] ||
		    (oi_picture_seen(&w->p, to)->flags & OI_SEEN_DYING && to != w->target))
			continue;
		w->from[to] = k + 1;
		if (to == w->target)
			return true;
		w->queue[(*n)++] = to;
	}
	return false;
}

static bool search_picture(struct why *w)
{
	uint64_t n = 0;
	for (uint64_t i = 0; i < w->p.n; i++) {
		bool root = i != w->target && is_root(oi_picture_seen(&w->p, i));
		w->from[i] = root ? ROOT : 0;
		if (root)
			w->queue[n++] = i;
	}
	for (uint64_t next = 0; next < n; next++)
		if (spread(w, w->queue[next], &n))
			return true;
	return false;
}

/* Returns whose edge it is. */
static uint64_t holder_of(const struct why *w, uint64_t edge)
{
	uint64_t low = 0, high = w->p.n;
	while (high - low > 1) {
		uint64_t middle = (low + high) / 2;
		if (oi_picture_seen(&w->p, middle)->edge <= edge)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Returns false if there is no memory. */
static bool list_steps(struct why *w)
{
	uint64_t i = w->target;
	w->steps.n = 0;
	while (w->from[i] != ROOT) {
		uint64_t edge = w->from[i] - 1;
		i = holder_of(w, edge);
		if (!oi_vector_push(&w->steps, (void *)i) ||
		    !oi_vector_push(&w->steps, (void *)edge))
			return false;
	}
	return true;
}

static struct oi_seen *seen_at(const struct why *w, size_t step)
{
	return oi_picture_seen(&w->p, (uint64_t)w->steps.data[2 * step]);
}

static struct oi_seen_edge *edge_at(const struct why *w, size_t step)
{
	return oi_picture_edge(&w->p, (uint64_t)w->steps.data[2 * step + 1]);
}

/* ---- looking again ---- */

struct told {
	const void *wanted;
	bool found;
};

static void compare_told(void *child, void *arg)
{
	struct told *told = arg;
	told->found |= child == told->wanted;
}

static bool still_holds(struct oi_header *h, uint64_t place, const void *child)
{
	const ouro_type *t = oi_type_of(h);
	struct told told = { child, false };
	ouro_visitor v = { compare_told, &told };
	if (place & OI_EDGE_TOLD) {
		if (t->traverse)
			oi_call_traverse(t, h, &v);
		return told.found;
	}
	void **slot = oi_edge_slot(h, t, place);
	return slot && oi_load_acquire(slot) == child; /* [S1] */
}

enum answer { HOLDS, BROKEN, NO_MEMORY };

/* World stopped. */
static enum answer look_again(struct why *w, size_t step)
{
	void *child = step ? w->held.v.data[step - 1] : w->obj;
	struct oi_header *h = oi_picture_now(seen_at(w, step));
	uint64_t place = edge_at(w, step)->place;
	bool dead = !h || !oi_is_whole(h) || (oi_flags(h) & OI_FLAG_GARBAGE) ||
		    !still_holds(h, place, child);
	if (!dead && !oi_held_add(&w->held, h, &dead))
		return NO_MEMORY;
	return dead ? BROKEN : HOLDS;
}

static enum answer look_at_some(struct why *w)
{
	enum answer a = HOLDS;
	struct oi_stop stop;
	oi_world_stop(&stop, OURO_STOP_LISTING);
	for (size_t n = 0; a == HOLDS && n < CHECKS && w->held.v.n < w->steps.n / 2; n++)
		a = look_again(w, w->held.v.n);
	oi_world_start(&stop);
	return a;
}

/* Afterwards the holders are held, or none of them is. */
static enum answer hold_path(struct why *w)
{
	enum answer a = HOLDS;
	while (a == HOLDS && w->held.v.n < w->steps.n / 2)
		a = look_at_some(w);
	w->broken = w->held.v.n;
	if (a != HOLDS)
		oi_held_let_go(&w->held);
	return a;
}

static void cut_step(struct why *w)
{
	edge_at(w, w->broken)->to = OI_NOBODY;
}

/* Looks for a path in one picture. Returns BROKEN if another picture is needed. */
static enum answer find_path(struct why *w)
{
	for (unsigned cuts = 0; cuts < CUTS; cuts++) {
		w->steps.n = 0;
		if (!search_picture(w))
			return cuts ? BROKEN : HOLDS;
		if (!list_steps(w))
			return NO_MEMORY;
		enum answer a = hold_path(w);
		if (a != BROKEN)
			return a;
		cut_step(w);
	}
	return BROKEN;
}

/* ---- one picture after the other ---- */

static void forget_search(struct why *w)
{
	if (w->from)
		oi_os_unmap_list(w->from, w->p.n * sizeof *w->from);
	if (w->queue)
		oi_os_unmap_list(w->queue, w->p.n * sizeof *w->queue);
	w->from = w->queue = NULL;
}

static bool begin_search(struct why *w)
{
	w->from = oi_os_map_list(w->p.n * sizeof *w->from);
	w->queue = oi_os_map_list(w->p.n * sizeof *w->queue);
	return w->from && w->queue;
}

static void forget_path(struct why *w)
{
	forget_search(w);
	oi_picture_free(&w->p);
	oi_vector_free(&w->steps);
	oi_held_let_go(&w->held);
}

static enum answer find_in_picture(struct why *w)
{
	w->p = (struct oi_picture){ .n = 0 };
	if (!oi_picture_take(&w->p, false))
		return NO_MEMORY;
	oi_point("path: picture");
	w->target = oi_picture_find(&w->p, w->obj);
	enum answer a = BROKEN;
	if (w->target != OI_NOBODY)
		a = begin_search(w) ? find_path(w) : NO_MEMORY;
	forget_search(w);
	if (a != HOLDS)
		oi_picture_free(&w->p);
	return a;
}

/* ---- showing ---- */

struct show {
	ouro_path_visitor fn;
	void *arg;
};

static bool show_step(void *step, void *arg)
{
	const struct show *s = arg;
	return s->fn(step, s->arg);
}

static bool is_part_at(const struct why *w, size_t i)
{
	return seen_at(w, i)->flags & OI_SEEN_PART;
}

/* Step @i is a vector, the next one or two, downwards, are its places. */
static void name_element(const struct why *w, size_t i, char out[OI_EDGE_NAME])
{
	uint64_t part = edge_at(w, i)->place, index = oi_places_first(part);
	if (oi_places_segmented(part))
		index += edge_at(w, --i)->place * OI_PLACES_SEGMENT;
	index += edge_at(w, i - 1)->place;
	oi_edge_index(out, 0, index);
}

/* Step @i is a key map's list in a slot of the key's, whose name is in @out. */
static void name_item(const struct why *w, size_t i, char out[OI_EDGE_NAME])
{
	oi_edge_index(out, strlen(out), edge_at(w, i)->place);
}

/* Writes the name of the place where step @i, or what is inside it, has what comes next. */
static void name_step(const struct why *w, size_t i, char out[OI_EDGE_NAME])
{
	char key[OI_MAP_KEY_NAME];
	oi_edge_name(out, oi_picture_type(seen_at(w, i)), edge_at(w, i)->place);
	if (oi_container_of(seen_at(w, i)->type) == OI_IS_VEC && i && is_part_at(w, i - 1))
		name_element(w, i, out);
	else if (i && oi_key_map_is_list(seen_at(w, i - 1)->type))
		name_item(w, i - 1, out);
	for (; i && is_part_at(w, i - 1); i--)
		if (oi_map_key_name(key, oi_header_of(w->held.v.data[i - 1])))
			memcpy(out, key, sizeof key);
}

/* What containers are made of is no step of its own. */
static bool is_shown(const struct why *w, size_t i)
{
	return i == w->steps.n / 2 - 1 || !is_part_at(w, i);
}

static bool show_object(const struct oi_seen *s, struct show *show, void *obj, const char *slot)
{
	bool immortal = s->flags & OI_SEEN_IMMORTAL;
	ouro_path_step step = {
		.obj = obj, .slot = slot,
		.references = immortal ? SIZE_MAX : s->references,
		.outside = immortal ? 0 : oi_picture_outside(s),
		.frozen = s->flags & OI_SEEN_FROZEN,
	};
	return oi_callback_visit(oi_self, show_step, &step, show);
}

/* From the root down. Returns how many were shown. */
static ssize_t show_path(const struct why *w, struct show *show)
{
	char name[OI_EDGE_NAME];
	ssize_t n = 0;
	for (size_t i = w->steps.n / 2; i--;) {
		if (!is_shown(w, i))
			continue;
		name_step(w, i, name);
		n++;
		if (!show_object(seen_at(w, i), show, w->held.v.data[i], name))
			return n;
	}
	show_object(oi_picture_seen(&w->p, w->target), show, w->obj, "");
	return n + 1;
}

ssize_t ouro_gc_path(void *obj, ouro_path_visitor fn, void *arg)
{
	struct oi_thread *t = oi_current();
	__attribute__((cleanup(forget_path))) struct why w = { .obj = obj };
	struct show show = { fn, arg };
	enum answer a = BROKEN;
	errno = !obj || !fn ? EINVAL : EDEADLK;
	if (!obj || !fn || t->pin_depth || oi_collect_locked_by_me())
		return -1;
	for (unsigned i = 0; a == BROKEN && i < PICTURES; i++)
		a = find_in_picture(&w);
	errno = a == NO_MEMORY ? ENOMEM : EAGAIN;
	if (a != HOLDS)
		return -1;
	ssize_t n = show_path(&w, &show);
	while (w.held.i < w.held.v.n)
		oi_held_release_one(&w.held);
	return n;
}
