/*
 * session.c - one client's connection
 *
 * What a client can make the server keep is bounded: IN_MAX bytes of requests not run yet, OUT_MAX
 * bytes of replies not written (and the one reply that crosses it). While the replies do not drain
 * no more requests are run or read. One turn of one client is TURN_NS at most, so that a long
 * pipeline does not hold up the other clients of the worker.
 */
#include "session.h"
#include "commands.h"
#include "http.h"
#include "server.h"
#include "worker.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	IN_MAX = 1024 * 1024,
	IN_CHUNK = 16 * 1024,
	OUT_MAX = 1024 * 1024,
	KEEP_MAX = 64 * 1024, /* memory an empty buffer keeps */
	TURN_NS = 2000000,
};

static const ouro_type session_type = {
	.name = "session",
	.size = sizeof(struct session),
	.slots = OURO_SLOTS(struct session, request),
};

static const ouro_type request_type = {
	.name = "request",
	.size = sizeof(struct request),
	.slots = OURO_SLOTS(struct request, session),
};

struct request *request_new(struct session *s, unsigned command, uint64_t began_ns)
{
	struct request *r = ouro_new(&request_type);
	if (!r)
		return NULL;
	r->command = command;
	r->began_ns = began_ns;
	ouro_store(&r->session, s);
	ouro_store(&s->request, r);
	return r;
}

static uv_stream_t *session_stream(struct session *s)
{
	return (uv_stream_t *)&s->tcp;
}

/* ---- closing ---- */

static void on_closed(uv_handle_t *handle)
{
	struct session *s = handle->data;
	buffer_free(&s->in);
	buffer_free(&s->out);
	buffer_free(&s->flight);
	ouro_release(s); /* the loop's */
}

void session_close(struct session *s)
{
	if (s->closing)
		return;
	s->closing = true;
	*(s->previous ? &s->previous->next : &s->worker->sessions) = s->next;
	if (s->next)
		s->next->previous = s->previous;
	atomic_fetch_sub_explicit(&s->worker->server->clients, 1, memory_order_relaxed);
	uv_close((uv_handle_t *)&s->tcp, on_closed);
}

/* ---- running requests ---- */

static bool session_may_run(const struct session *s)
{
	return !s->closing && !s->busy && !s->last && !s->out.failed && s->out.used <= OUT_MAX;
}

/* The requests that follow cannot be made out: say so, and hang up. */
static void session_lost(struct session *s, const char *error)
{
	resp_error(&s->out, "ERR Protocol error: %s", error);
	counter_add(&s->worker->counters.errors, 1);
	s->last = true;
}

/* One request at *at. Return: false: there is none, yet or ever. */
static bool session_step(struct session *s, size_t *at)
{
	struct resp_request *request = &s->worker->request;
	const char *error;
	size_t used;
	switch (resp_parse(s->in.data + *at, s->in.used - *at, request, &used, &error)) {
	case RESP_REQUEST:
		*at += used;
		s->partial_ms = 0;
		if (request->argc)
			command_run(s, request);
		return true;
	case RESP_MORE:
		if (s->in.used - *at >= IN_MAX)
			session_lost(s, "request too large");
		else if (s->in.used > *at && !s->partial_ms)
			s->partial_ms = uv_now(&s->worker->loop);
		return false;
	case RESP_ERROR:
	default:
		session_lost(s, error);
		return false;
	}
}

/* Return: true: stopped before the end of what can be run. */
static bool session_run(struct session *s, uint64_t turn_end_ns)
{
	size_t at = 0;
	bool more = true;
	while (more && session_may_run(s) && !s->yielded) {
		more = session_step(s, &at);
		s->yielded = uv_hrtime() > turn_end_ns;
	}
	buffer_consume(&s->in, at);
	if (!s->in.used)
		buffer_empty(&s->in, KEEP_MAX);
	return more;
}

/* ---- writing ---- */

static void on_written(uv_write_t *write, int status)
{
	struct session *s = write->data;
	if (s->closing)
		return;
	if (status < 0) {
		session_close(s);
		return;
	}
	buffer_empty(&s->flight, KEEP_MAX);
	session_advance(s);
}

/* The replies from @done on become the flight. */
static void session_take_off(struct session *s, size_t done)
{
	struct buffer empty = s->flight;
	s->flight = s->out;
	s->out = empty;
	s->write.data = s;
	s->unwritten = s->flight.used - done;
	s->written_ms = uv_now(&s->worker->loop);
	uv_buf_t buf = uv_buf_init(s->flight.data + done, (unsigned)s->unwritten);
	if (uv_write(&s->write, session_stream(s), &buf, 1, on_written) < 0)
		session_close(s);
}

static void session_flush(struct session *s)
{
	if (s->closing || s->flight.used)
		return;
	if (s->out.failed) {
		session_close(s);
		return;
	}
	if (!s->out.used)
		return;
	uv_buf_t buf = uv_buf_init(s->out.data, (unsigned)s->out.used);
	int n = uv_try_write(session_stream(s), &buf, 1);
	if (n < 0 && n != UV_EAGAIN)
		session_close(s);
	else if (n >= 0 && (size_t)n == s->out.used)
		buffer_empty(&s->out, KEEP_MAX);
	else
		session_take_off(s, n > 0 ? (size_t)n : 0);
}

/* ---- RESP or HTTP ---- */

/*
 * Looks at the first bytes of a connection, and leaves them in the socket. As long as they may be
 * the beginning of a word of HTTP, nothing is read: the next look comes with the worker's clock.
 */
static enum http_guess session_guess(struct session *s)
{
	char first[HTTP_FIRST_BYTES];
	uv_os_fd_t fd;
	if (uv_fileno((uv_handle_t *)&s->tcp, &fd) < 0)
		return HTTP_NO;
	ssize_t n = recv(fd, first, sizeof first, MSG_PEEK | MSG_DONTWAIT);
	return n > 0 ? http_begins(first, (size_t)n) : HTTP_NO;
}

/* A second descriptor of a handle's socket, or -1. */
static int session_dup(struct session *s)
{
	uv_os_fd_t fd;
	if (uv_fileno((uv_handle_t *)&s->tcp, &fd) < 0)
		return -1;
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* The descriptor is the handle's: a second one of the same socket goes, with all that was sent. */
static void session_give(struct session *s)
{
	int fd = session_dup(s);
	session_close(s);
	if (fd >= 0)
		http_take(s->worker->server->http, fd);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct session *s = handle->data;
	size_t room = IN_MAX - s->in.used;
	(void)suggested;
	*buf = uv_buf_init(NULL, 0);
	if (!s->known) {
		enum http_guess guess = session_guess(s);
		s->known = guess == HTTP_NO;
		s->given = guess == HTTP_YES;
	}
	if (!s->known)
		return;
	if (room > IN_CHUNK)
		room = IN_CHUNK;
	if (buffer_reserve(&s->in, room))
		*buf = uv_buf_init(s->in.data + s->in.used, (unsigned)room);
}

/* Nothing more is read before session_check looks again. */
static void session_doubt(struct session *s)
{
	uv_read_stop(session_stream(s));
	s->reading = false;
	s->heard_ms = uv_now(&s->worker->loop);
	if (!s->partial_ms)
		s->partial_ms = s->heard_ms;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct session *s = stream->data;
	(void)buf;
	if (s->given) {
		session_give(s);
		return;
	}
	if (!s->known && n == UV_ENOBUFS) {
		session_doubt(s);
		return;
	}
	if (n == UV_EOF)
		s->ended = true; /* half closed: what it asked is still answered */
	else if (n < 0)
		session_close(s);
	else
		s->in.used += (size_t)n;
	s->heard_ms = uv_now(&s->worker->loop);
	session_advance(s);
}

/* Reads while there is room for more, and while what is there is not held up. */
static void session_listen(struct session *s)
{
	bool read = !s->ended && !s->last && !s->yielded && s->in.used < IN_MAX &&
		    s->out.used <= OUT_MAX;
	if (read && !s->reading && uv_read_start(session_stream(s), on_alloc, on_read) < 0) {
		session_close(s);
		return;
	}
	if (!read && s->reading)
		uv_read_stop(session_stream(s));
	s->reading = read;
}

void session_advance(struct session *s)
{
	uint64_t turn_end_ns = uv_hrtime() + TURN_NS;
	bool more;
	s->yielded = false;
	do {
		more = session_run(s, turn_end_ns);
		session_flush(s);
	} while (more && session_may_run(s) && !s->yielded);
	if (s->closing)
		return;
	if (!more)
		s->yielded = false;
	bool done = s->last || (s->ended && !more);
	if (done && !s->busy && !s->out.used && !s->flight.used) {
		session_close(s);
		return;
	}
	if (s->yielded)
		worker_next_turn(s->worker);
	session_listen(s);
}

void session_check(struct session *s)
{
	const struct options *options = &s->worker->server->options;
	uint64_t now = uv_now(&s->worker->loop), stalled_ms = options->timeout_s * 1000ull;
	size_t unwritten = uv_stream_get_write_queue_size(session_stream(s));
	bool drop;
	if (s->flight.used && unwritten != s->unwritten) {
		s->unwritten = unwritten;
		s->written_ms = now;
	}
	if (s->flight.used)
		drop = now - s->written_ms > stalled_ms;
	else if (s->busy || s->yielded)
		drop = false;
	else if (s->partial_ms)
		drop = now - s->partial_ms > stalled_ms;
	else
		drop = now - s->heard_ms > options->idle_s * 1000ull;
	if (drop) {
		counter_add(&s->worker->counters.dropped, 1);
		session_close(s);
	} else if (!s->known) {
		session_listen(s);
	}
}

/* ---- accepting ---- */

static void on_refused(uv_handle_t *handle)
{
	free(handle);
}

/* Takes the connection only to hang up, with a word why. */
static void session_refuse(struct worker *worker, uv_stream_t *listener, const char *error)
{
	uv_tcp_t *tcp = malloc(sizeof *tcp);
	if (!tcp)
		return;
	uv_buf_t buf = uv_buf_init((char *)error, (unsigned)strlen(error));
	uv_tcp_init(&worker->loop, tcp);
	if (uv_accept(listener, (uv_stream_t *)tcp) == 0)
		uv_try_write((uv_stream_t *)tcp, &buf, 1);
	counter_add(&worker->counters.refused, 1);
	uv_close((uv_handle_t *)tcp, on_refused);
}

static void session_enlist(struct session *s)
{
	struct worker *worker = s->worker;
	s->next = worker->sessions;
	if (s->next)
		s->next->previous = s;
	worker->sessions = s;
	atomic_fetch_add_explicit(&worker->server->clients, 1, memory_order_relaxed);
}

void session_accept(struct worker *worker, uv_stream_t *listener)
{
	/* relaxed: count; a few too many or too few do no harm. */
	if (atomic_load_explicit(&worker->server->clients, memory_order_relaxed) >=
	    worker->server->options.clients_max) {
		session_refuse(worker, listener, "-ERR max number of clients reached\r\n");
		return;
	}
	struct session *s = ouro_new(&session_type);
	if (!s) {
		session_refuse(worker, listener, "-OOM out of memory\r\n");
		return;
	}
	s->worker = worker;
	s->heard_ms = uv_now(&worker->loop);
	uv_tcp_init(&worker->loop, &s->tcp);
	s->tcp.data = s; /* the loop's reference */
	session_enlist(s);
	counter_add(&worker->counters.connections, 1);
	if (uv_accept(listener, session_stream(s)) < 0) {
		session_close(s);
		return;
	}
	uv_tcp_nodelay(&s->tcp, 1);
	session_listen(s);
}
