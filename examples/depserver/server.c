/* server.c - the process: starts the workers, waits for a signal, stops them */
#include "server.h"
#include "graph.h"
#include "http.h"
#include "load.h"
#include "worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int server_reload(struct server *server)
{
	if (atomic_exchange_explicit(&server->loading, true, memory_order_acquire))
		return EBUSY;
	int error = load_graph(server->options.file, server->options.copies);
	/* relaxed: count. */
	atomic_store_explicit(&server->reload_error, error, memory_order_relaxed);
	atomic_store_explicit(&server->loading, false, memory_order_release);
	if (!error)
		counter_add(&server->reloads, 1);
	return error;
}

uint64_t server_sum(const struct server *server, size_t offset)
{
	uint64_t sum = 0;
	for (unsigned w = 0; w < server->options.threads; w++) {
		const char *counters = (const char *)&server->workers[w].counters;
		sum += counter_get((const void *)(counters + offset));
	}
	return sum;
}

void server_stop(struct server *server)
{
	uv_async_send(&server->stop);
}

static void server_close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	uv_close(handle, NULL);
}

/* The handle stays open: workers may send it again until they are stopped. */
static void on_stop_asked(uv_async_t *stop)
{
	uv_stop(stop->loop);
}

static void on_signal(uv_signal_t *handle, int number)
{
	(void)number;
	uv_stop(handle->loop);
}

static int server_failed(const char *what, const char *why)
{
	fprintf(stderr, "depserver: %s: %s\n", what, why);
	return 1;
}

/* ---- SIGHUP ---- */

static void on_hangup_work(uv_work_t *work)
{
	struct server *server = work->data;
	pthread_setname_np(pthread_self(), "pool");
	server->hangup.error = server_reload(server);
}

static void hangup_start(struct server *server);

static void on_hangup_later(uv_timer_t *timer)
{
	hangup_start(timer->data);
}

static void hangup_say(int error)
{
	OURO_AUTO struct index *x = graph_current();
	if (error)
		server_failed("not reloaded", strerror(error));
	else if (x)
		printf("depserver: reloaded, %u packages from %s\n", x->n_packages, x->source);
	fflush(stdout);
}

/*
 * The file may have changed after a reload that is under way has read it: that one does not do, nor
 * for a signal that comes meanwhile.
 */
static void on_hangup_done(uv_work_t *work, int status)
{
	struct server *server = work->data;
	struct hangup *h = &server->hangup;
	(void)status;
	h->busy = false;
	if (server->ending)
		return;
	if (h->error == EBUSY) {
		h->busy = true;
		uv_timer_start(&h->later, on_hangup_later, 100, 0);
		return;
	}
	hangup_say(h->error);
	if (h->again)
		hangup_start(server);
}

static void hangup_start(struct server *server)
{
	struct hangup *h = &server->hangup;
	h->busy = true;
	h->again = false;
	uv_queue_work(&server->loop, &h->work, on_hangup_work, on_hangup_done);
}

static void on_hangup(uv_signal_t *handle, int number)
{
	struct server *server = handle->data;
	(void)number;
	if (server->hangup.busy)
		server->hangup.again = true;
	else
		hangup_start(server);
}

static int hangup_watch(struct server *server)
{
	struct hangup *h = &server->hangup;
	h->work.data = h->later.data = h->signal.data = server;
	int error = uv_timer_init(&server->loop, &h->later);
	if (!error)
		error = uv_signal_init(&server->loop, &h->signal);
	return error ? error : uv_signal_start(&h->signal, on_hangup, SIGHUP);
}

/* ---- each second ---- */

static void on_second(uv_timer_t *timer);

/* Just behind the next full second of the clock, so that none is left out. */
static void seconds_start(struct server *server)
{
	uint64_t ms = uv_hrtime() / 1000000 % 1000;
	uv_timer_start(&server->seconds, on_second, 1005 - ms, 0);
}

static void on_second(uv_timer_t *timer)
{
	struct server *server = timer->data;
	http_second(server->http, uv_hrtime());
	seconds_start(server);
}

static int server_watch(struct server *server)
{
	static const int numbers[N_SIGNALS] = { SIGINT, SIGTERM };
	int error = uv_async_init(&server->loop, &server->stop, on_stop_asked);
	if (!error)
		error = uv_timer_init(&server->loop, &server->seconds);
	server->seconds.data = server;
	for (int i = 0; i < N_SIGNALS && !error; i++) {
		error = uv_signal_init(&server->loop, &server->signals[i]);
		if (!error)
			error = uv_signal_start(&server->signals[i], on_signal, numbers[i]);
	}
	return error ? error : hangup_watch(server);
}

/*
 * Another server on the port, which SO_REUSEPORT would let us share, is found by binding once
 * without it.
 */
static int port_check(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return uv_translate_sys_error(errno);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	int error = bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ? errno : 0;
	close(fd);
	return error ? uv_translate_sys_error(error) : 0;
}

/* Opens and starts all workers, or none. Signals stay with the main thread. */
static int server_start_workers(struct server *server)
{
	unsigned n = server->options.threads, opened = 0, started = 0;
	sigset_t all, old;
	int error = port_check(server->port);
	while (!error && opened < n) {
		error = worker_open(&server->workers[opened], server, opened, &server->port);
		opened++;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (!error)
		error = uv_translate_sys_error(http_open(&server->http, server));
	while (!error && started < n) {
		error = uv_translate_sys_error(worker_start(&server->workers[started]));
		started += !error;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	for (unsigned i = 0; error && i < opened; i++)
		i < started ? worker_stop(&server->workers[i]) :
			      worker_abandon(&server->workers[i]);
	if (error)
		http_close(server->http);
	return error;
}

static void server_say(const struct server *server)
{
	OURO_AUTO struct index *x = graph_current();
	printf("depserver: %u packages from %s, %u threads, listening on 127.0.0.1:%d\n",
	       x->n_packages, x->source, server->options.threads, server->port);
	fflush(stdout);
}

static int server_serve(struct server *server)
{
	int error = server_start_workers(server);
	if (error)
		return server_failed("cannot listen", uv_strerror(error));
	server_say(server);
	seconds_start(server);
	uv_run(&server->loop, UV_RUN_DEFAULT);
	for (unsigned i = 0; i < server->options.threads; i++)
		worker_stop(&server->workers[i]);
	http_close(server->http);
	return 0;
}

int server_run(const struct options *options)
{
	struct server server = {
		.options = *options,
		.began_ns = uv_hrtime(),
		.port = options->port,
		.workers = calloc(options->threads, sizeof(struct worker)),
	};
	if (!server.workers || uv_loop_init(&server.loop)) {
		free(server.workers);
		return server_failed("cannot start", "out of memory");
	}
	int status, error = server_watch(&server);
	if (error)
		status = server_failed("cannot start", uv_strerror(error));
	else if ((error = load_graph(options->file, options->copies)))
		status = server_failed("no package index", strerror(error));
	else
		status = server_serve(&server);
	server.ending = true;
	uv_walk(&server.loop, server_close_handle, NULL);
	uv_run(&server.loop, UV_RUN_DEFAULT);
	uv_loop_close(&server.loop);
	uv_library_shutdown(); /* its pool threads end, and so detach */
	graph_publish(NULL);
	free(server.workers);
	return status;
}
