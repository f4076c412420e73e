/*
 * crew.c - the threads of a fuzzed program
 *
 * States of a thread: IDLE -> RUNNING (crew_step), RUNNING -> STANDING (itself, at a marked place),
 * STANDING -> RUNNING (release_all, or its own next step), RUNNING -> IDLE (itself). All under one
 * mutex.
 */
#include "crew.h"

#include <pthread.h>
#include <time.h>

#include "base/perturb.h"

enum { CREW_MAX = 8, IN_THE_WAY_NS = 4000000 };

enum crew_state { IDLE, RUNNING, STANDING, OVER };

struct member {
	pthread_t thread;
	int i;
	enum crew_state state;
	unsigned stall; /* marked places to pass before it stands still; 0: it does not */
	void (*fn)(int thread, const void *arg);
	const void *arg;
};

static struct member member[CREW_MAX];
static int n_members;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static _Thread_local struct member *self;

/* Under the lock. */
static void set(struct member *m, enum crew_state state)
{
	m->state = state;
	pthread_cond_broadcast(&changed);
}

#if OURO_CHECKED
static void pass(void)
{
	struct member *m = self;
	if (!m || !m->stall || --m->stall)
		return;
	pthread_mutex_lock(&lock);
	set(m, STANDING);
	while (m->state == STANDING)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void pass_point(const char *point)
{
	(void)point;
	pass();
}

static void hook(bool on)
{
	oi_point_hook = on ? pass_point : NULL;
	oi_perturb_hook = on ? pass : NULL;
}
#else
static void hook(bool on)
{
	(void)on;
}
#endif

static void *work(void *arg)
{
	struct member *m = self = arg;
	pthread_mutex_lock(&lock);
	while (m->state != OVER) {
		if (m->state != RUNNING) {
			pthread_cond_wait(&changed, &lock);
			continue;
		}
		pthread_mutex_unlock(&lock);
		m->fn(m->i, m->arg);
		m->stall = 0;
		pthread_mutex_lock(&lock);
		set(m, IDLE);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

void crew_begin(int n)
{
	hook(true);
	n_members = n;
	for (int i = 0; i < n; i++) {
		member[i] = (struct member){ .i = i };
		pthread_create(&member[i].thread, NULL, work, &member[i]);
	}
}

void crew_end(void)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < n_members; i++)
		set(&member[i], OVER);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < n_members; i++)
		pthread_join(member[i].thread, NULL);
	hook(false);
}

void crew_stall(int i, unsigned n)
{
	pthread_mutex_lock(&lock);
	if (member[i].state == IDLE)
		member[i].stall = n;
	pthread_mutex_unlock(&lock);
}

/* Under the lock. */
static void release_all(void)
{
	for (int i = 0; i < n_members; i++)
		if (member[i].state == STANDING)
			set(&member[i], RUNNING);
}

static struct timespec in_the_way(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += IN_THE_WAY_NS;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

/* Under the lock. Waits while @m is at its step; if that takes long, nobody stands still. */
static void await(struct member *m)
{
	while (m->state == RUNNING) {
		struct timespec until = in_the_way();
		if (pthread_cond_timedwait(&changed, &lock, &until))
			release_all();
	}
}

void crew_step(int i, void (*fn)(int thread, const void *arg), const void *arg, bool free)
{
	struct member *m = &member[i];
	pthread_mutex_lock(&lock);
	while (m->state != IDLE) {
		if (m->state == STANDING)
			set(m, RUNNING);
		await(m);
	}
	m->fn = fn;
	m->arg = arg;
	set(m, RUNNING);
	if (!free)
		await(m);
	pthread_mutex_unlock(&lock);
}

void crew_settle(void)
{
	pthread_mutex_lock(&lock);
	release_all();
	for (int i = 0; i < n_members; i++)
		while (member[i].state != IDLE) {
			release_all();
			await(&member[i]);
		}
	pthread_mutex_unlock(&lock);
}
