/*
 * events.c - listeners
 *
 * Events are told by the thread that holds the collection lock, by the one that runs a full
 * collection, and, of hold-ups, by the collector thread: several at a time. No lock of this file is
 * held while a listener runs, so that it may call the library. Each listener counts the calls that
 * are under way, so that ouro_gc_off_event can wait for its own, and for no other's: these may wait
 * for what its caller has. Its index is used again when its last call is over; a thread that waited
 * for that sees another listener there, or none and no calls. A caller that is in a callback, or
 * pinned, does not wait: a listener may wait for what the caller has in hand, or for a stop, which
 * waits for pinned threads, and two listeners could wait for each other. All under the lock.
 * A thread may be in several calls at once, as a listener may collect when it is told of a hold-up.
 * The child of a fork counts those of its own thread.
 */
#include "world/events.h"

#include <errno.h>
#include <string.h>

#include "base/holdup.h"
#include "base/lock.h"
#include "base/os.h"
#include "base/perturb.h"
#include "world/callback.h"
#include "world/context.h"
#include "world/gate.h"

#define LISTENERS 64

static struct {
	ouro_gc_listener fn;
	void *arg;
	uint32_t n_calls; /* under way */
} listener[LISTENERS];
static uint32_t n_listeners; /* indices in use, holes included; looked at without the lock, too */

struct call {
	const struct call *outer;
	uint32_t index;
	ouro_gc_listener fn;
	void *arg;
	const ouro_gc_event *event;
};
static __thread const struct call *innermost; /* of this thread's */

static void call_listener(void *arg)
{
	struct call *c = arg;
	c->fn(c->event, c->arg);
}

static bool begin_call(struct call *c)
{
	oi_lock(OI_LOCK_LISTENERS);
	c->fn = listener[c->index].fn;
	c->arg = listener[c->index].arg;
	if (c->fn) {
		listener[c->index].n_calls++;
		innermost = c;
	}
	oi_unlock(OI_LOCK_LISTENERS);
	return c->fn;
}

static void end_call(const struct call *c)
{
	oi_lock(OI_LOCK_LISTENERS);
	listener[c->index].n_calls--;
	innermost = c->outer;
	oi_unlock(OI_LOCK_LISTENERS);
}

static void call(uint32_t i, const ouro_gc_event *e)
{
	struct call c = { .outer = innermost, .index = i, .event = e };
	if (!begin_call(&c))
		return;
	unsigned before = oi_context_listener(e->phase == OURO_PAUSE_START);
	oi_callback_event(oi_self, call_listener, &c);
	oi_context_listener_over(before);
	end_call(&c);
}

static void tell(const ouro_gc_event *e)
{
	for (uint32_t i = 0; i < oi_load_relaxed(&n_listeners); i++) /* recheck */
		call(i, e);
}

bool oi_events_any(void)
{
	return oi_load_relaxed(&n_listeners); /* recheck */
}

void oi_event(ouro_gc_phase phase, int generation, uint64_t candidates, uint64_t collected,
	      uint64_t ns)
{
	ouro_gc_event e = { .phase = phase, .generation = generation, .candidates = candidates,
			    .collected = collected, .duration_ns = ns };
	if (!oi_events_any())
		return;
	e.at_ns = oi_now_ns();
	tell(&e);
}

void oi_event_pause(ouro_gc_phase phase, int generation, const struct oi_stop *stop, uint64_t ns)
{
	ouro_gc_event e = { .phase = phase, .generation = generation, .duration_ns = ns,
			    .at_ns = stop->asked_ns, .stop = stop->cause,
			    .stop_ns = stop->stopped_ns - stop->asked_ns,
			    .waited_ns = stop->waited_ns, .waited_tid = stop->waited_tid,
			    .off_ns = phase == OURO_PAUSE_STOP ? stop->off_ns : 0 };
	if (!oi_events_any())
		return;
	memcpy(e.waited_name, stop->waited_name, sizeof e.waited_name);
	tell(&e);
}

void oi_events_holdups(void)
{
	for (int i = 0; i < OURO_HOLDUPS; i++) {
		ouro_gc_event e = { .phase = OURO_HOLDUP, .generation = -1, .at_ns = oi_now_ns() };
		e.cause = (ouro_holdup)i;
		if (oi_holdup_take(e.cause, &e.holdups, &e.duration_ns))
			tell(&e);
	}
}

/* Under the lock. */
static void set_n_listeners(uint32_t n)
{
	oi_store_relaxed(&n_listeners, n); /* recheck */
	oi_holdup_listened(n != 0);
}

int ouro_gc_on_event(ouro_gc_listener fn, void *arg)
{
	oi_current();
	if (!fn)
		return EINVAL;
	oi_lock(OI_LOCK_LISTENERS);
	uint32_t i = 0;
	while (i < n_listeners && (listener[i].fn || listener[i].n_calls))
		i++;
	if (i < LISTENERS) {
		listener[i].fn = fn;
		listener[i].arg = arg;
		if (i == n_listeners)
			set_n_listeners(i + 1);
	}
	oi_unlock(OI_LOCK_LISTENERS);
	return i < LISTENERS ? 0 : ENOMEM;
}

/* Returns true while a listener that was taken out of index @i is being called. */
static bool is_called(uint32_t i)
{
	oi_lock(OI_LOCK_LISTENERS);
	bool called = !listener[i].fn && listener[i].n_calls;
	oi_unlock(OI_LOCK_LISTENERS);
	return called;
}

int ouro_gc_off_event(ouro_gc_listener fn, void *arg)
{
	oi_current();
	if (!fn)
		return EINVAL;
	uint32_t i = 0;
	oi_lock(OI_LOCK_LISTENERS);
	while (i < n_listeners && (listener[i].fn != fn || listener[i].arg != arg))
		i++;
	bool found = i < n_listeners;
	if (found)
		listener[i].fn = NULL;
	oi_unlock(OI_LOCK_LISTENERS);
	while (found && !oi_callback_keeps_others() && !oi_lock_forking && is_called(i)) {
		oi_point("off waits");
		oi_sleep_ns(20000);
	}
	return found ? 0 : ENOENT;
}

void oi_events_shutdown(void)
{
	oi_lock(OI_LOCK_LISTENERS);
	for (uint32_t i = 0; i < n_listeners; i++)
		listener[i].fn = NULL;
	set_n_listeners(0);
	oi_unlock(OI_LOCK_LISTENERS);
}

void oi_events_fork_child(void)
{
	for (uint32_t i = 0; i < LISTENERS; i++)
		listener[i].n_calls = 0;
	for (const struct call *c = innermost; c; c = c->outer)
		listener[c->index].n_calls++;
}
