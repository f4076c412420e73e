/*
 * promise.c - something that one thread makes, and others wait for
 *
 * States: made now, by its maker; kept, with a value or an error; left, without: the program's
 * function was left by an exception, its thread ended or is not in the child of a fork. The last
 * two are for ever. All changes are made under one lock, so that no thread waits for itself:
 * whoever is going to wait notes in its record for what, and before that follows, from the promise
 * to its maker to what that waits for, and so on, until somebody does not wait, or it is itself.
 * Two that close a circle do so one after the other, and the second sees it. A maker that is gone
 * has left its promises, so that no record is looked at that may be another's.
 *
 * Those that wait sleep outside the gate, so they hold up no stop; how long it takes is the
 * program's matter.
 */
#include "contain/promise.h"

#include <errno.h>

#include "base/lock.h"
#include "base/os.h"
#include "base/perturb.h"
#include "contain/parts.h"
#include "world/context.h"
#include "world/object.h"
#include "world/thread.h"
#include "ouro.h"

static const ouro_type promise_type = {
	.name = "ouro_map promise",
	.size = sizeof(struct oi_promise),
	.slots = OURO_SLOTS(struct oi_promise, value),
};

struct oi_promise *oi_promise_new(struct oi_thread *t)
{
	struct oi_promise *p = ouro_new(&promise_type);
	if (!p)
		return NULL;
	p->maker = t;
	oi_lock(OI_LOCK_PROMISES);
	p->next = t->promises;
	t->promises = p;
	oi_unlock(OI_LOCK_PROMISES);
	return p;
}

static void take_off(struct oi_promise *p)
{
	oi_assert_locked(OI_LOCK_PROMISES);
	struct oi_promise **at = &p->maker->promises;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->maker = NULL;
}

static void end_promise(struct oi_promise *p, enum oi_promised how)
{
	oi_lock(OI_LOCK_PROMISES);
	bool ends = p->maker;
	if (ends) {
		take_off(p);
		oi_store_release(&p->state, (uint32_t)how); /* [O1] */
	}
	oi_unlock(OI_LOCK_PROMISES);
	if (ends)
		oi_futex_wake(&p->state);
}

void oi_promise_keep(struct oi_promise *p, void *value, int error)
{
	ouro_slot_store(&p->value, value);
	p->error = error;
	end_promise(p, OI_PROMISE_KEPT);
}

void oi_promise_leave(struct oi_promise *p)
{
	end_promise(p, OI_PROMISE_LEFT);
}

void oi_promises_leave(struct oi_thread *t)
{
	oi_lock(OI_LOCK_PROMISES);
	t->waits_for = NULL;
	while (t->promises) {
		struct oi_promise *p = t->promises;
		take_off(p);
		oi_store_release(&p->state, (uint32_t)OI_PROMISE_LEFT); /* [O1] */
		oi_futex_wake(&p->state);
	}
	oi_unlock(OI_LOCK_PROMISES);
}

/* ---- waiting ---- */

static bool waits_for_itself(const struct oi_thread *t, const struct oi_promise *p)
{
	oi_assert_locked(OI_LOCK_PROMISES);
	while (p && p->maker && p->maker != t)
		p = p->maker->waits_for;
	return p && p->maker;
}

/* Returns false if @t may not wait, or need not. */
static bool go_to_wait(struct oi_thread *t, struct oi_promise *p)
{
	oi_lock(OI_LOCK_PROMISES);
	bool waits = p->maker && !t->pin_depth && !t->in_callback && !waits_for_itself(t, p);
	if (waits)
		t->waits_for = p;
	oi_unlock(OI_LOCK_PROMISES);
	return waits;
}

static void back_from_wait(struct oi_thread *t)
{
	oi_lock(OI_LOCK_PROMISES);
	t->waits_for = NULL;
	oi_unlock(OI_LOCK_PROMISES);
}

int oi_promise_wait(struct oi_thread *t, struct oi_promise *p)
{
	oi_assert_outside(t);
	if (go_to_wait(t, p)) {
		oi_point("promise: waits");
		while (oi_load_acquire(&p->state) == OI_PROMISE_MADE_NOW) /* [O1] */
			oi_futex_wait(&p->state, OI_PROMISE_MADE_NOW, 0);
		back_from_wait(t);
	}
	uint32_t state = oi_load_acquire(&p->state); /* [O1] */
	return state == OI_PROMISE_KEPT ? 0 : state == OI_PROMISE_LEFT ? ECANCELED : EDEADLK;
}

bool oi_promise_is(uint32_t type)
{
	return oi_type_given[type] == &promise_type;
}
