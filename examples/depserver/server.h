/* server.h - the process: options, workers, signals */
#ifndef DEPSERVER_SERVER_H
#define DEPSERVER_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum { THREADS_MAX = 64 };

struct options {
	int port;         /* 0: any free one */
	unsigned threads; /* 1 to THREADS_MAX */
	const char *file; /* NULL: apt-cache dumpavail, or the sample */
	unsigned copies;  /* of each package */
	bool gc;          /* automatic collection */
	unsigned timeout_s; /* for a client that stops in the middle of a request or of a reply */
	unsigned idle_s;    /* for one that asks nothing */
	unsigned clients_max;
};

#define N_SIGNALS 2 /* SIGINT and SIGTERM: each ends the process with a report */

/* SIGHUP reloads, on libuv's pool. All of it belongs to the main thread. */
struct hangup {
	uv_signal_t signal;
	uv_work_t work;
	uv_timer_t later; /* runs while somebody else's reload is under way */
	int error;        /* of the work; its own until it is done */
	bool busy, again; /* again: there was another signal meanwhile */
};

struct server {
	struct options options;
	uint64_t began_ns;
	int port;
	struct worker *workers;
	uv_loop_t loop; /* the main thread's */
	uv_async_t stop;
	uv_signal_t signals[N_SIGNALS];
	struct hangup hangup;
	bool ending; /* the main thread's */
	uv_timer_t seconds;
	struct http *http;
	_Atomic unsigned clients;
	_Atomic uint64_t reloads;
	_Atomic bool loading;
	_Atomic int reload_error; /* of the last one; 0 */
};

/*
 * server_run - load the graph and serve until a signal or SHUTDOWN; nothing is left running or
 * referenced then
 *
 * Return:  0 or 1, as the exit status; errors go to stderr.
 */
int server_run(const struct options *options);
/* server_stop - ask for the end; any thread */
void server_stop(struct server *server);
/*
 * server_reload - load the graph again; any thread but a worker. Return: 0; EBUSY: one is under
 * way; an errno value.
 */
int server_reload(struct server *server);
/* server_sum - of all workers, the counter at @offset in struct counters; any thread */
uint64_t server_sum(const struct server *server, size_t offset);

#endif
