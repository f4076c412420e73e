/*
 * http.c - connections of HTTP
 *
 * libmicrohttpd has no limit for how long a whole request may take, only one for how long nothing
 * may come; so a client that sends a byte now and then is hung up on here. Their number is limited
 * here, too: version 0.9.75 hangs when more connections come at once than its own limit. Each
 * connection is for one request.
 */
#include "http.h"
#include "exchange.h"
#include "server.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <ouro.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	MEMORY_MAX = 32 * 1024, /* of a connection: a longer header is refused */
	ANSWER_S_MAX = 600,     /* until a client has read its answer */
	NEVER_REACHED = 64 * HTTP_CLIENTS_MAX,
};

struct http_client {
	int fd;
	uint64_t deadline_ns; /* 0: there is none in this place */
};

struct http {
	struct desk desk;
	struct MHD_Daemon *daemon;
	bool tracing; /* by us */
	pthread_mutex_t lock;
	struct http_client clients[HTTP_CLIENTS_MAX];
	unsigned n_clients, expected; /* expected: given to the library, and not told of yet */
};

static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS" };

enum http_guess http_begins(const char *first, size_t n)
{
	enum http_guess guess = HTTP_NO;
	char whole[HTTP_FIRST_BYTES + 1];
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		size_t len = (size_t)snprintf(whole, sizeof whole, "%s /", methods[i]);
		if (memcmp(whole, first, n < len ? n : len) != 0)
			continue;
		if (n >= len)
			return HTTP_YES;
		guess = HTTP_MAYBE;
	}
	return guess;
}

/* ---- clients and their deadlines ---- */

static uint64_t seconds_from_now(unsigned seconds)
{
	return uv_hrtime() + seconds * 1000000000ull;
}

static void client_enlist(struct http *http, struct MHD_Connection *connection, void **context)
{
	int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	pthread_mutex_lock(&http->lock);
	http->expected -= http->expected > 0;
	for (struct http_client *c = http->clients; c < http->clients + HTTP_CLIENTS_MAX; c++) {
		if (c->deadline_ns)
			continue;
		c->deadline_ns = seconds_from_now(http->desk.server->options.timeout_s);
		c->fd = fd;
		http->n_clients++;
		*context = c;
		break;
	}
	pthread_mutex_unlock(&http->lock);
	if (!*context)
		shutdown(fd, SHUT_RDWR);
}

static void client_delist(struct http *http, struct http_client *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&http->lock);
	c->deadline_ns = 0;
	http->n_clients--;
	pthread_mutex_unlock(&http->lock);
}

/* The library tells of the end before it closes the socket: the fd is the connection's own. */
static void on_client(void *cls, struct MHD_Connection *connection, void **context,
		      enum MHD_ConnectionNotificationCode code)
{
	struct http *http = cls;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		client_enlist(http, connection, context);
	else
		client_delist(http, *context);
}

/* The request's header is there: from now on it is the answer that takes its time. */
static void client_asked(struct http *http, struct MHD_Connection *connection)
{
	struct http_client *c = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	if (!c)
		return;
	pthread_mutex_lock(&http->lock);
	c->deadline_ns = seconds_from_now(ANSWER_S_MAX);
	pthread_mutex_unlock(&http->lock);
}

/*
 * The library notices that a socket is shut, and closes it. What it dropped before it told of it,
 * without memory, is expected no longer.
 */
static void clients_sweep(struct http *http, uint64_t now_ns)
{
	pthread_mutex_lock(&http->lock);
	http->expected = 0;
	for (struct http_client *c = http->clients; c < http->clients + HTTP_CLIENTS_MAX; c++)
		if (c->deadline_ns && now_ns > c->deadline_ns)
			shutdown(c->fd, SHUT_RDWR);
	pthread_mutex_unlock(&http->lock);
}

static bool client_admit(struct http *http)
{
	pthread_mutex_lock(&http->lock);
	bool room = http->n_clients + http->expected < HTTP_CLIENTS_MAX;
	http->expected += room;
	pthread_mutex_unlock(&http->lock);
	return room;
}

void http_take(struct http *http, int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof peer;
	if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0 || !client_admit(http))
		close(fd);
	else
		MHD_add_connection(http->daemon, fd, (struct sockaddr *)&peer, len);
}

/* ---- requests ---- */

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **state)
{
	struct http *http = cls;
	struct exchange *e = *state;
	(void)version;
	(void)upload;
	if (!e) {
		*state = e = calloc(1, sizeof *e);
		if (!e)
			return MHD_NO;
		e->desk = &http->desk;
		e->connection = connection;
		e->fd = -1;
		counter_add(&http->desk.requests, 1);
		client_asked(http, connection);
	}
	*upload_size = 0; /* nobody asks for a body */
	return exchange_run(e, method, url);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode code)
{
	(void)cls;
	(void)connection;
	(void)code;
	if (*state)
		exchange_end(*state);
	*state = NULL;
}

/* ---- beginning and end ---- */

static struct MHD_Daemon *http_start(struct http *http)
{
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET |
			 MHD_ALLOW_SUSPEND_RESUME;
	return MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, http,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)NEVER_REACHED,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, http->desk.server->options.timeout_s,
		MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
		MHD_OPTION_NOTIFY_CONNECTION, on_client, http,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_END);
}

int http_open(struct http **out, struct server *server)
{
	struct http *http = calloc(1, sizeof *http);
	*out = NULL;
	if (!http)
		return ENOMEM;
	http->desk.server = server;
	pthread_mutex_init(&http->lock, NULL);
	int error = history_open(&http->desk.history);
	if (error)
		goto failed;
	error = errands_open(&http->desk.errands);
	if (error)
		goto no_errands;
	errno = 0;
	http->daemon = http_start(http);
	if (!http->daemon) {
		error = errno ? errno : EIO;
		goto no_daemon;
	}
	http->tracing = ouro_trace_start(NULL) == 0;
	*out = http;
	return 0;
no_daemon:
	errands_close(&http->desk.errands);
no_errands:
	history_close(&http->desk.history);
failed:
	pthread_mutex_destroy(&http->lock);
	free(http);
	return error;
}

/* A connection that is suspended has to be resumed first: its errand does that. */
void http_close(struct http *http)
{
	if (!http)
		return;
	errands_close(&http->desk.errands);
	MHD_stop_daemon(http->daemon);
	history_close(&http->desk.history);
	if (http->tracing)
		ouro_trace_stop();
	pthread_mutex_destroy(&http->lock);
	free(http);
}

void http_second(struct http *http, uint64_t now_ns)
{
	struct sample sample;
	live_sample(&sample, http->desk.server);
	history_sample(&http->desk.history, now_ns, &sample);
	clients_sweep(http, now_ns);
}
