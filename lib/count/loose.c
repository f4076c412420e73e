/*
 * loose.c - handing over what lost a reference to the collector. See loose.h.
 *
 * What is waiting already is left out, as far as a table tells that has one place for several
 * addresses. It is emptied when the collector takes them: so what is touched again after that comes
 * again.
 */
#include "count/loose.h"

#include <string.h>

#include "base/lock.h"
#include "base/vector.h"
#include "base/wake.h"
#include "heap/pace.h"
#include "world/context.h"

#define MOST (1u << 20) /* addresses; beyond that they are lost */
#define RECENT 4096     /* a power of two */

/* Under the lock. */
static struct oi_vector waiting;
static void *recent[RECENT];
static size_t n_waiting; /* how many waiting has; read anywhere */
static size_t due = SIZE_MAX;

static void add_note(void *obj)
{
	uintptr_t word = (uintptr_t)obj;
	void **place = &recent[(word >> 4 ^ word >> 16) % RECENT];
	bool room = waiting.n < waiting.capacity || waiting.capacity < OI_LOOSE_FIRST;
	if (*place == obj || !room || !oi_vector_push(&waiting, obj))
		return;
	*place = obj;
}

void oi_loose_hand_over(struct oi_thread *t, unsigned n)
{
	oi_assert_inside(t);
	t->n_loose = 0;
	if (!oi_pace_searches())
		return;
	oi_lock(OI_LOCK_LOOSE);
	size_t before = n_waiting;
	for (unsigned i = 0; i < n; i++)
		add_note(t->loose[i]);
	oi_store_relaxed(&n_waiting, waiting.n); /* recheck */
	bool ask = before < due && n_waiting >= due;
	oi_unlock(OI_LOCK_LOOSE);
	if (ask)
		oi_wake_collect();
}

size_t oi_loose_waiting(void)
{
	return oi_load_relaxed(&n_waiting); /* recheck */
}

static void empty_notes(void)
{
	waiting.n = 0;
	oi_store_relaxed(&n_waiting, (size_t)0); /* recheck */
	memset(recent, 0, sizeof recent);
}

/* Outside the lock: makes room for twice what waits now, as far as there is memory. */
static void make_room_in(struct oi_vector *v)
{
	size_t want = 2 * oi_loose_waiting();
	while (v->capacity < MOST && v->capacity < want && oi_vector_grow(v))
		;
}

void oi_loose_take(struct oi_vector *to)
{
	make_room_in(to);
	struct oi_vector old = *to;
	oi_lock(OI_LOCK_LOOSE);
	*to = waiting;
	waiting = old;
	empty_notes();
	oi_unlock(OI_LOCK_LOOSE);
}

void oi_loose_set_due(size_t n)
{
	oi_lock(OI_LOCK_LOOSE);
	due = n;
	oi_unlock(OI_LOCK_LOOSE);
}

void oi_loose_forget(void)
{
	oi_lock(OI_LOCK_LOOSE);
	struct oi_vector old = waiting;
	waiting = (struct oi_vector){ 0 };
	empty_notes();
	oi_unlock(OI_LOCK_LOOSE);
	oi_vector_free(&old);
}
