/*
 * inspect.c - listings of objects, and freezing them
 *
 * A listing stops the world once, for as long as its walk takes, and takes a reference to each
 * object that it finds; the visitor runs afterwards, outside the stop.
 */
#include <errno.h>

#include "base/log.h"
#include "collect/generation.h"
#include "collect/policy.h"
#include "count/count.h"
#include "count/death.h"
#include "heap/candidate.h"
#include "heap/pace.h"
#include "heap/type.h"
#include "inspect/held.h"
#include "world/callback.h"
#include "world/context.h"
#include "world/gate.h"
#include "world/gclock.h"

/* Frees the list of held objects, and visits them first if all went well. */
static ssize_t visit_held(struct oi_held *found, bool ok, ouro_object_visitor fn, void *arg)
{
	/* something is still held only if the visitor, or a callback of what died, was left */
	__attribute__((cleanup(oi_held_let_go))) struct oi_held held = *found;
	ssize_t n = 0;
	bool go_on = ok;
	while (held.i < held.v.n) {
		if (go_on) {
			go_on = oi_callback_visit(oi_self, fn, held.v.data[held.i], arg);
			n++;
		}
		oi_held_release_one(&held);
	}
	if (!ok)
		errno = ENOMEM;
	return ok ? n : -1;
}

/* Returns -1 with errno set, or 0. */
static ssize_t refuse(bool bad)
{
	struct oi_thread *t = oi_current();
	errno = bad ? EINVAL : EDEADLK;
	return bad || t->pin_depth || oi_collect_locked_by_me() ? -1 : 0;
}

ssize_t ouro_gc_objects(int generation, ouro_object_visitor fn, void *arg)
{
	struct oi_held held = { .i = 0 };
	struct oi_stop stop;
	bool ok = true;
	if (refuse(!fn || generation < -1 || generation > 2))
		return -1;
	oi_world_stop(&stop, OURO_STOP_LISTING);
	oi_for_each_page(p)
		for (uint32_t i = 0; p->tracked && i < p->bump && ok; i++) {
			struct oi_header *h = oi_block_at(p, i);
			if (oi_generation_member(h) &&
			    (generation == -1 || oi_generation_of(h) == generation))
				ok = oi_held_add(&held, h, NULL);
		}
	oi_world_start(&stop);
	return visit_held(&held, ok, fn, arg);
}

struct search {
	struct oi_held held;
	void *wanted; /* NULL if every child is */
	bool found, ok;
};

static void take_child(void *child, void *arg)
{
	struct search *s = arg;
	if (oi_generation_member(oi_header_of(child)) && s->ok)
		s->ok = oi_held_add(&s->held, oi_header_of(child), NULL);
}

static void look_for(void *child, void *arg)
{
	struct search *s = arg;
	s->found |= child == s->wanted;
}

ssize_t ouro_gc_referents(void *obj, ouro_object_visitor fn, void *arg)
{
	struct search s = { .ok = true };
	struct oi_stop stop;
	if (refuse(!fn || !obj))
		return -1;
	oi_world_stop(&stop, OURO_STOP_LISTING);
	if (oi_is_whole(oi_header_of(obj)))
		oi_visit_all(oi_header_of(obj), take_child, &s);
	oi_world_start(&stop);
	return visit_held(&s.held, s.ok, fn, arg);
}

ssize_t ouro_gc_referrers(void *obj, ouro_object_visitor fn, void *arg)
{
	struct search s = { .ok = true, .wanted = obj };
	struct oi_stop stop;
	if (refuse(!fn || !obj))
		return -1;
	oi_world_stop(&stop, OURO_STOP_LISTING);
	oi_for_each_page(p)
		for (uint32_t i = 0; p->tracked && i < p->bump && s.ok; i++) {
			struct oi_header *h = oi_block_at(p, i);
			if (!oi_generation_member(h))
				continue;
			s.found = false;
			oi_visit_all(h, look_for, &s);
			if (s.found)
				s.ok = oi_held_add(&s.held, h, NULL);
		}
	oi_world_start(&stop);
	return visit_held(&s.held, s.ok, fn, arg);
}

/* ---- freezing ---- */

static void freeze_all(void)
{
	oi_assert_stopped();
	oi_for_each_page(p)
		for (uint32_t i = 0; p->tracked && i < p->bump; i++) {
			struct oi_header *h = oi_block_at(p, i);
			oi_generation_make_old(h); /* dying ones too: nothing is young afterwards */
			if (!oi_generation_member(h))
				continue;
			if (!oi_before_mutation(h))
				continue;
			oi_or_acq_rel(&h->flags, (uint8_t)OI_FLAG_FROZEN); /* stopped */
			oi_pace_n_frozen++;
		}
	oi_policy_frozen();
}

static void unfreeze_all(void)
{
	oi_assert_stopped();
	oi_for_each_page(p)
		for (uint32_t i = 0; p->tracked && i < p->bump; i++)
			if (oi_flags(oi_block_at(p, i)) & OI_FLAG_FROZEN)
				oi_and_acq_rel(&oi_block_at(p, i)->flags, /* stopped */
					       (uint8_t)~OI_FLAG_FROZEN);
	oi_pace_n_frozen = 0;
}

static void in_a_stop(void (*fn)(void), const char *operation)
{
	struct oi_stop stop;
	if (refuse(false)) {
		oi_log("%s: not inside a pinned region or an event function", operation);
		return;
	}
	oi_collect_lock(); /* the counts of young objects belong to collections */
	oi_world_stop(&stop, OURO_STOP_LISTING);
	fn();
	oi_world_start(&stop);
	oi_collect_unlock();
}

void ouro_gc_freeze(void)
{
	in_a_stop(freeze_all, "ouro_gc_freeze");
}

void ouro_gc_unfreeze(void)
{
	oi_current();
	if (ouro_gc_freeze_count()) /* else it would look at all there is, as at each shutdown */
		in_a_stop(unfreeze_all, "ouro_gc_unfreeze");
}

size_t ouro_gc_freeze_count(void)
{
	int64_t n = oi_load_relaxed(&oi_pace_n_frozen); /* count */
	return n > 0 ? (size_t)n : 0;
}

bool ouro_gc_is_tracked(const void *obj)
{
	return obj && oi_type_tracked(oi_type_of(oi_header_of(obj)));
}

bool ouro_gc_is_finalized(const void *obj)
{
	return obj && (oi_flags(oi_header_of(obj)) & OI_FLAG_FINALIZED);
}
