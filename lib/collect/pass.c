/*
 * pass.c - safepoints of a concurrent collection, and looking at large and opaque objects. See
 * pass.h.
 */
#include "collect/pass.h"

#include "base/os.h"
#include "base/runtime.h"
#include "world/context.h"
#include "world/events.h"
#include "world/gclock.h"

#define ITEMS 1024 /* between two safepoints */
#define CALLS 16   /* calls of traverse between two looks at the clock */

void oi_pass_breathe(struct oi_pass *p)
{
	oi_assert_inside(p->t);
	p->work = 0;
	oi_gate_leave(p->t);
	oi_perturb();
	if (p->between)
		p->between();
	oi_gate_enter(p->t);
}

/*
 * Only large objects have that many items, and a large block is not used again while the heap is
 * walked.
 */
void oi_pass_visit_items(struct oi_pass *p, struct oi_header *h, const ouro_type *type,
			 oi_child_fn fn, void *arg)
{
	oi_assert_at_rest(p->t);
	char *items = (char *)oi_object_of(h) + type->size;
	size_t n = oi_items(h, type);
	for (size_t i = 0; i < n; i += ITEMS) {
		size_t end = n - i < ITEMS ? n : i + ITEMS;
		oi_visit_items(items, i, end, type, fn, arg);
		p->work += (unsigned)(end - i) * type->item_slots.n;
		if (end == n || oi_page_of(h)->state != OI_PAGE_LARGE)
			continue;
		oi_pass_breathe(p);
		uint16_t own = (uint16_t)(oi_load_acquire(&h->word) >> 48); /* [A1] */
		if (own == OI_OWN_FREE || own == OI_OWN_GONE)
			/* dismantled: each reference it had was released, which is a mutation */
			return;
		if (!oi_pass_look(h, oi_pass_skips(p)) && fn != p->any_word)
			return; /* it died: what it referred to may be gone */
	}
}

void oi_pass_visit_rest(struct oi_pass *p, struct oi_header *h, const ouro_type *type,
			oi_child_fn fn, void *arg)
{
	oi_assert_at_rest(p->t);
	if (type->item_slots.n)
		oi_pass_visit_items(p, h, type, fn, arg);
	if (!type->traverse)
		return;
	if (oi_type_opaque(type) || p->shared) /* crew.h */
		oi_pass_push(p, &p->opaque, h);
	else if (oi_pass_look(h, oi_pass_skips(p))) /* there may have been safepoints */
		oi_pass_call_traverse(h, type, fn, arg);
}

struct filter {
	oi_child_fn fn;
	void *arg;
};

static void filter_child(void *child, void *arg)
{
	struct filter *f = arg;
	if (oi_map_covers(child))
		f->fn(child, f->arg);
}

void oi_pass_call_traverse(struct oi_header *h, const ouro_type *type, oi_child_fn fn, void *arg)
{
	oi_assert_at_rest(oi_self);
	struct filter f = { fn, arg };
	ouro_visitor v = { filter_child, &f };
	oi_call_traverse_of_living(type, h, &v);
}

static struct oi_stops stops; /* under the lock */

struct oi_stops oi_pass_stops(void)
{
	struct oi_stops s = stops;
	stops = (struct oi_stops){ .n = 0 };
	return s;
}

/*
 * Under the collection lock, as are the stops of young collections: listeners hear of one pause
 * after the other.
 */
void oi_pass_stop(struct oi_stop *stop)
{
	oi_assert_unpinned(oi_self);
	oi_collect_lock();
	oi_world_stop(stop, OURO_STOP_FULL);
	oi_event_pause(OURO_PAUSE_START, 2, stop, 0);
}

void oi_pass_start(struct oi_stop *stop)
{
	oi_assert_stopped();
	uint64_t ns = oi_world_start(stop);
	oi_stops_add(&stops, stop, ns);
	oi_event_pause(OURO_PAUSE_STOP, 2, stop, ns);
	oi_collect_unlock();
}

/* World stopped. Traverses as many objects as half the budget allows. */
static void traverse_some(struct oi_pass *p, oi_child_fn fn, void *arg,
			  void (*follow)(struct oi_pass *p))
{
	uint64_t until = oi_now_ns() + oi_runtime.config.pause_budget_ns / 2;
	do {
		for (unsigned i = 0; i < CALLS && p->opaque.n; i++) {
			struct oi_header *h = p->opaque.data[--p->opaque.n];
			const struct oi_type *d = oi_pass_look(h, oi_pass_skips(p));
			if (d && d->type->traverse)
				oi_pass_call_traverse(h, d->type, fn, arg);
		}
		if (follow)
			follow(p);
	} while (p->opaque.n && oi_now_ns() < until);
}

void oi_pass_traverse_opaque(struct oi_pass *p, oi_child_fn fn, void *arg,
			     void (*follow)(struct oi_pass *p))
{
	oi_assert_inside(p->t);
	struct oi_stop stop;
	oi_gate_leave(p->t);
	while (p->opaque.n) {
		oi_pass_stop(&stop);
		traverse_some(p, fn, arg, follow);
		oi_pass_start(&stop);
		if (p->between)
			p->between();
	}
	oi_gate_enter(p->t);
}
