/*
 * flush.c - waiting until what is dead is gone
 *
 * What is dead and not yet destroyed can be: in a merge queue; in a pile, its thread's or the reaper's; in a set that waits; or in the
 * hands of a thread, whose dying counter is then not zero, and whose serving counter too if it came from a queue, raised before
 * the object left that [D1]. The first three are worked off here; the last is waited for: per thread until its outermost loop has
 * ended once, and until nobody serves a queue.
 */
#include "flush.h"

#include <errno.h>

#include "death.h"
#include "gate.h"
#include "merge.h"
#include "os.h"
#include "pile.h"
#include "runtime.h"
#include "set.h"
#include "stray.h"
#include "thread.h"

/* Finalizers and watches may take for ever; while clear and destroy run, what is left of a death still holds references. */
static bool busy(struct oi_thread *t, bool callbacks_too)
{
	bool dying = oi_load_acquire(&t->dying) && !oi_load_relaxed(&t->dead); /* [D1] */
	return dying && (callbacks_too || !oi_load_acquire(&t->in_callback) || oi_load_acquire(&t->in_last_call));
}

bool oi_flush_all_quiet(struct oi_thread *self)
{
	struct oi_thread *t;
	for (size_t i = 0; (t = oi_thread_record(i)); i++)
		if (t != self && busy(t, false))
			return false;
	return true;
}

/* Until every other thread's outermost loop has ended once. */
static void await_others(struct oi_thread *self, bool callbacks_too)
{
	struct oi_thread *t;
	for (size_t i = 0; (t = oi_thread_record(i)); i++) {
		if (t == self)
			continue;
		uint32_t n = oi_load_acquire(&t->n_deaths);
		while (busy(t, callbacks_too) && oi_load_acquire(&t->n_deaths) == n)
			oi_sleep_ns(20000);
	}
}

/* How often others have ended serving a queue: if it stands still between two looks, nothing moved behind our back. */
static uint32_t served_by_others(struct oi_thread *self)
{
	struct oi_thread *t;
	uint32_t n = 0;
	for (size_t i = 0; (t = oi_thread_record(i)); i++)
		if (t != self)
			n += oi_load_acquire(&t->n_served); /* [D1] */
	return n;
}

static bool quiet(struct oi_thread *self)
{
	uint32_t n = served_by_others(self);
	return !oi_merge_any() && !oi_stray_any() && oi_pile_all_served() && served_by_others(self) == n;
}

static bool some_left(void)
{
	bool merges = oi_merge_drain_all(), piles = oi_pile_collect(true);
	return merges || piles;
}

static void collect_all(void)
{
	for (unsigned n = 0; some_left() && n < 100; n++)
		oi_sleep_ns(20000); /* an owner in the middle of an operation, or pinned: it will do it itself */
}

/* To the end: nothing of it is left waiting in this thread's own pile. */
static void serve_piles(struct oi_thread *t)
{
	bool thorough = t->thorough;
	t->thorough = true;
	while (oi_pile_serve(t))
		;
	t->thorough = thorough;
}

bool oi_flush_any_waiting(void)
{
	bool sets = oi_set_any_queued() && oi_runtime.config.finalizers == OURO_FINALIZERS_THREAD;
	return sets || oi_merge_any() || oi_stray_any() || oi_pile_any();
}

void oi_flush_quick(struct oi_thread *t)
{
	collect_all();
	oi_stray_serve();
	serve_piles(t);
	oi_flush_await(t);
}

void oi_flush_await(struct oi_thread *t)
{
	if (!t->dying)
		await_others(t, false);
}

void oi_flush(struct oi_thread *t)
{
	size_t budget = SIZE_MAX;
	do {
		collect_all();
		oi_stray_serve();
		serve_piles(t);
		if (oi_runtime.config.finalizers == OURO_FINALIZERS_THREAD)
			while (oi_set_serve(t, &budget))
				;
		await_others(t, true);
	} while (!quiet(t));
}

int ouro_flush(void)
{
	struct oi_thread *t = oi_current();
	if (t->pin_depth || t->in_callback || t->dying)
		return EDEADLK;
	oi_flush(t);
	return 0;
}
