/*
 * worker.c - one thread with a libuv loop
 *
 * Each worker listens on the same port by SO_REUSEPORT, so the kernel spreads the connections and
 * no worker hands anything to another. All that workers share is the graph and the counters.
 */
#include "worker.h"
#include "server.h"
#include "session.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

enum { BACKLOG = 511, CLOCK_MS = 250 };

_Static_assert((int)GRAPH_RECENT >= (int)THREADS_MAX, "each thread has a ring of recent closures");

static void on_connection(uv_stream_t *listener, int status)
{
	if (status == 0)
		session_accept(listener->data, listener);
}

static void on_clock(uv_timer_t *clock)
{
	struct worker *w = clock->data;
	graph_hold(&w->graph); /* an idle worker must not keep an old one */
	for (struct session *s = w->sessions, *next; s; s = next) {
		next = s->next;
		session_check(s);
	}
}

/*
 * Each session that yielded gets its next turn; when none is left this stops, and the loop may
 * sleep again.
 */
static void on_turns(uv_idle_t *turns)
{
	struct worker *w = turns->data;
	bool again = false;
	for (struct session *s = w->sessions, *next; s; s = next) {
		next = s->next;
		if (!s->yielded)
			continue;
		session_advance(s);
		again |= !s->closing && s->yielded;
	}
	if (!again)
		uv_idle_stop(turns);
}

void worker_next_turn(struct worker *w)
{
	uv_idle_start(&w->turns, on_turns);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

/*
 * The loop ends when all handles are closed, and the job that may still run for a session is done.
 */
static void on_stop(uv_async_t *stop)
{
	struct worker *w = stop->data;
	while (w->sessions)
		session_close(w->sessions);
	uv_walk(&w->loop, close_handle, NULL);
}

/* SO_REUSEPORT has to be set between the making of the socket and the binding. */
static int worker_bind(struct worker *w, int *port)
{
	struct sockaddr_in address;
	int fd, yes = 1, len = sizeof address;
	int error = uv_tcp_init_ex(&w->loop, &w->listener, AF_INET);
	w->listener.data = w;
	if (!error)
		error = uv_fileno((uv_handle_t *)&w->listener, &fd);
	if (!error && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) < 0)
		error = UV_ENOTSUP;
	if (!error)
		error = uv_ip4_addr("127.0.0.1", *port, &address);
	if (!error)
		error = uv_tcp_bind(&w->listener, (struct sockaddr *)&address, 0);
	if (!error)
		error = uv_listen((uv_stream_t *)&w->listener, BACKLOG, on_connection);
	if (!error)
		error = uv_tcp_getsockname(&w->listener, (struct sockaddr *)&address, &len);
	if (!error)
		*port = ntohs(address.sin_port);
	return error;
}

int worker_open(struct worker *w, struct server *server, unsigned number, int *port)
{
	w->server = server;
	w->number = number;
	w->scratch.thread = number;
	w->scratch.threads = server->options.threads;
	int error = uv_loop_init(&w->loop);
	if (error)
		return error;
	uv_idle_init(&w->loop, &w->turns);
	w->turns.data = w;
	uv_timer_init(&w->loop, &w->clock);
	w->clock.data = w;
	uv_timer_start(&w->clock, on_clock, CLOCK_MS, CLOCK_MS);
	error = uv_async_init(&w->loop, &w->stop, on_stop);
	w->stop.data = w;
	return error ? error : worker_bind(w, port);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	char name[16];
	snprintf(name, sizeof name, "worker %u", w->number);
	pthread_setname_np(pthread_self(), name);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	closure_scratch_free(&w->scratch);
	ouro_release(w->graph);
	return NULL;
}

int worker_start(struct worker *w)
{
	return pthread_create(&w->thread, NULL, worker_main, w);
}

void worker_stop(struct worker *w)
{
	uv_async_send(&w->stop);
	pthread_join(w->thread, NULL);
	uv_loop_close(&w->loop);
}

void worker_abandon(struct worker *w)
{
	uv_walk(&w->loop, close_handle, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	uv_loop_close(&w->loop);
}
