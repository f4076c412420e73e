/*
 * events.c - listeners
 *
 * Events are told by the thread that holds the collection lock, and by the one that runs a full collection: two at a time. No
 * lock is held while a listener runs, so that it may call the library; the count delivering lets ouro_gc_off_event wait until no
 * call is under way elsewhere.
 */
#include "events.h"

#include <errno.h>
#include <pthread.h>

#include "fork.h"
#include "gate.h"
#include "os.h"

#define LISTENERS 64

static pthread_mutex_t listeners_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	ouro_gc_listener fn;
	void *arg;
} listener[LISTENERS];
static uint32_t n_listeners; /* slots in use, holes included; to look at without the lock */
static uint32_t delivering;  /* [V1] threads; counted up, and slots taken out, under the lock: either sees the other */
static __thread bool in_listener;

static void call(uint32_t i, const ouro_gc_event *e)
{
	pthread_mutex_lock(&listeners_lock);
	ouro_gc_listener fn = listener[i].fn;
	void *arg = listener[i].arg;
	oi_add_relaxed(&delivering, 1u); /* [V1] */
	pthread_mutex_unlock(&listeners_lock);
	if (fn) {
		in_listener = true;
		fn(e, arg);
		in_listener = false;
	}
	oi_sub_acq_rel(&delivering, 1u); /* [V1] */
}

void oi_event(ouro_gc_phase phase, int generation, uint64_t candidates, uint64_t collected, uint64_t ns)
{
	ouro_gc_event e = { phase, generation, candidates, collected, ns };
	for (uint32_t i = 0; i < oi_load_relaxed(&n_listeners); i++) /* recheck */
		call(i, &e);
}

int ouro_gc_on_event(ouro_gc_listener fn, void *arg)
{
	oi_current();
	if (!fn)
		return EINVAL;
	pthread_mutex_lock(&listeners_lock);
	uint32_t i = 0;
	while (i < n_listeners && listener[i].fn)
		i++;
	if (i < LISTENERS) {
		listener[i].fn = fn;
		listener[i].arg = arg;
		if (i == n_listeners)
			oi_store_relaxed(&n_listeners, i + 1);
	}
	pthread_mutex_unlock(&listeners_lock);
	return i < LISTENERS ? 0 : ENOMEM;
}

int ouro_gc_off_event(ouro_gc_listener fn, void *arg)
{
	oi_current();
	if (!fn)
		return EINVAL;
	int error = ENOENT;
	pthread_mutex_lock(&listeners_lock);
	for (uint32_t i = 0; i < n_listeners && error; i++)
		if (listener[i].fn == fn && listener[i].arg == arg) {
			listener[i].fn = NULL;
			error = 0;
		}
	pthread_mutex_unlock(&listeners_lock);
	while (!error && !in_listener && oi_load_acquire(&delivering)) /* [V1] */
		oi_sleep_ns(20000);
	return error;
}

void oi_events_shutdown(void)
{
	pthread_mutex_lock(&listeners_lock);
	for (uint32_t i = 0; i < n_listeners; i++)
		listener[i].fn = NULL;
	oi_store_relaxed(&n_listeners, 0);
	pthread_mutex_unlock(&listeners_lock);
}

void oi_events_fork(int phase)
{
	if (phase == OI_FORK_PREPARE)
		pthread_mutex_lock(&listeners_lock);
	else
		pthread_mutex_unlock(&listeners_lock);
	if (phase == OI_FORK_CHILD)
		oi_store_relaxed(&delivering, in_listener);
}
