/*
 * worker.h - one thread with a libuv loop, a listening socket of its own and the sessions it
 * accepted
 */
#ifndef DEPSERVER_WORKER_H
#define DEPSERVER_WORKER_H

#include "closure.h"
#include "commands.h"
#include "latency.h"
#include "resp.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

/* Written by the worker, read by anybody. */
struct counters {
	_Atomic uint64_t connections, refused, dropped, commands, errors;
	_Atomic uint64_t closure_hits, closure_misses;
};

struct worker {
	struct server *server;
	unsigned number;
	pthread_t thread;
	uv_loop_t loop;
	uv_tcp_t listener;
	uv_async_t stop; /* sent by the main thread */
	uv_timer_t clock;
	uv_idle_t turns; /* runs while a session has yielded */
	struct session *sessions;
	struct index *graph; /* a reference to the one it serves */
	struct closure_scratch scratch;
	struct resp_request request; /* the one being run: one at a time */
	struct counters counters;
	struct latency latency[COMMANDS_MAX];
};

static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
	/* relaxed: count. */
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t counter_get(const _Atomic uint64_t *counter)
{
	/* relaxed: count. */
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/*
 * worker_open - the loop and the listening socket of a worker; no thread yet
 * @port: in and out; 0: any free one
 *
 * Return:  0 or a libuv error; worker_start or worker_abandon is next in either case.
 */
int worker_open(struct worker *w, struct server *server, unsigned number, int *port);
/* worker_start - Return: 0 or an errno value */
int worker_start(struct worker *w);
/* worker_stop - close its sessions, end its thread, free what it has */
void worker_stop(struct worker *w);
/* worker_abandon - undo worker_open without a thread */
void worker_abandon(struct worker *w);
/* worker_next_turn - a session has more to do; on the worker's thread */
void worker_next_turn(struct worker *w);

#endif
