/*
 * events.c - listeners
 *
 * A recursive lock is held while a listener runs: taking one off returns only when no call of it is under way elsewhere, and
 * a listener may take itself off.
 */
#include "events.h"

#include <errno.h>
#include <pthread.h>

#include "fork.h"
#include "gate.h"

#define LISTENERS 64

static pthread_mutex_t listeners_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static struct {
	ouro_gc_listener fn;
	void *arg;
} listener[LISTENERS];
static uint32_t n_listeners; /* slots in use, holes included; to look at without the lock */

void oi_event(ouro_gc_phase phase, int generation, uint64_t candidates, uint64_t collected, uint64_t ns)
{
	if (!oi_load_relaxed(&n_listeners)) /* recheck */
		return;
	ouro_gc_event e = { phase, generation, candidates, collected, ns };
	pthread_mutex_lock(&listeners_lock);
	for (uint32_t i = 0; i < n_listeners; i++)
		if (listener[i].fn)
			listener[i].fn(&e, listener[i].arg);
	pthread_mutex_unlock(&listeners_lock);
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
	else if (phase == OI_FORK_PARENT)
		pthread_mutex_unlock(&listeners_lock);
	else /* a recursive lock knows its owner by thread id, which the child's thread has not */
		listeners_lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
}
