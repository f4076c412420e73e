/*
 * events.c - listeners
 *
 * Events are told by the thread that holds the collection lock, and by the one that runs a full collection: two at a time. No
 * lock is held while a listener runs, so that it may call the library; the count delivering lets ouro_gc_off_event wait until no
 * call is under way elsewhere.
 */
#include "events.h"

#include <errno.h>

#include "context.h"
#include "gate.h"
#include "lock.h"
#include "os.h"

#define LISTENERS 64

static struct {
	ouro_gc_listener fn;
	void *arg;
} listener[LISTENERS];
static uint32_t n_listeners; /* slots in use, holes included; to look at without the lock */
static uint32_t delivering;  /* [V1] threads; counted up, and slots taken out, under the lock: either sees the other */
static __thread bool in_listener;

static void call(uint32_t i, const ouro_gc_event *e)
{
	oi_lock(OI_LOCK_LISTENERS);
	ouro_gc_listener fn = listener[i].fn;
	void *arg = listener[i].arg;
	oi_add_relaxed(&delivering, 1u); /* [V1] */
	oi_unlock(OI_LOCK_LISTENERS);
	if (fn) {
		unsigned before = oi_context_listener(e->phase == OURO_PAUSE_START);
		in_listener = true;
		oi_inside_program++;
		fn(e, arg);
		oi_inside_program--;
		in_listener = false;
		oi_context_listener_over(before);
	}
	oi_sub_acq_rel(&delivering, 1u); /* [V1] */
}

static void tell(const ouro_gc_event *e)
{
	for (uint32_t i = 0; i < oi_load_relaxed(&n_listeners); i++) /* recheck */
		call(i, e);
}

void oi_event(ouro_gc_phase phase, int generation, uint64_t candidates, uint64_t collected, uint64_t ns)
{
	ouro_gc_event e = { .phase = phase, .generation = generation, .candidates = candidates, .collected = collected,
			    .duration_ns = ns };
	tell(&e);
}

void oi_event_holdup(ouro_holdup cause, uint64_t n, uint64_t longest_ns)
{
	ouro_gc_event e = { .phase = OURO_HOLDUP, .generation = -1, .duration_ns = longest_ns, .cause = cause, .holdups = n };
	tell(&e);
}

bool oi_events_any(void)
{
	return oi_load_relaxed(&n_listeners) != 0; /* recheck */
}

int ouro_gc_on_event(ouro_gc_listener fn, void *arg)
{
	oi_current();
	if (!fn)
		return EINVAL;
	oi_lock(OI_LOCK_LISTENERS);
	uint32_t i = 0;
	while (i < n_listeners && listener[i].fn)
		i++;
	if (i < LISTENERS) {
		listener[i].fn = fn;
		listener[i].arg = arg;
		if (i == n_listeners)
			oi_store_relaxed(&n_listeners, i + 1);
	}
	oi_unlock(OI_LOCK_LISTENERS);
	return i < LISTENERS ? 0 : ENOMEM;
}

int ouro_gc_off_event(ouro_gc_listener fn, void *arg)
{
	oi_current();
	if (!fn)
		return EINVAL;
	int error = ENOENT;
	oi_lock(OI_LOCK_LISTENERS);
	for (uint32_t i = 0; i < n_listeners && error; i++)
		if (listener[i].fn == fn && listener[i].arg == arg) {
			listener[i].fn = NULL;
			error = 0;
		}
	oi_unlock(OI_LOCK_LISTENERS);
	while (!error && !in_listener && !oi_lock_forking && oi_load_acquire(&delivering)) /* [V1] */
		oi_sleep_ns(20000);
	return error;
}

void oi_events_shutdown(void)
{
	oi_lock(OI_LOCK_LISTENERS);
	for (uint32_t i = 0; i < n_listeners; i++)
		listener[i].fn = NULL;
	oi_store_relaxed(&n_listeners, 0);
	oi_unlock(OI_LOCK_LISTENERS);
}

void oi_events_fork_child(void)
{
	oi_store_relaxed(&delivering, in_listener);
}
