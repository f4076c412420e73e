/*
 * exchange.c - what is asked by HTTP, and the answers
 *
 * Small answers are made at once, on the thread that speaks HTTP. What takes longer is an errand:
 * the connection is suspended until that is done. A large answer is written to a file without a
 * name first, so that a client that reads slowly keeps no memory, and one that reads it all knows
 * that it is whole; there are few of these at a time.
 *
 * A page of another site must not do anything here, nor read: what changes something asks for a
 * header that such a page may not send, and the host has to be this machine, by a name that nobody
 * else can give it.
 */
#include "exchange.h"
#include "page.h"
#include "server.h"
#include "why.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <ouro.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RELOAD_TRIES = 600, RELOAD_PAUSE_US = 50000 };

#define TEXT "text/plain; charset=utf-8"

/* ---- answering ---- */

static void add(struct MHD_Response *r, const char *name, const char *value)
{
	MHD_add_response_header(r, name, value);
}

/* @r becomes the library's. */
static enum MHD_Result answer(struct exchange *e, unsigned status, const char *type,
			      struct MHD_Response *r)
{
	if (!r)
		return MHD_NO;
	add(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	add(r, MHD_HTTP_HEADER_CONNECTION, "close");
	add(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	add(r, "X-Content-Type-Options", "nosniff");
	add(r, "Cross-Origin-Resource-Policy", "same-origin");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		add(r, MHD_HTTP_HEADER_RETRY_AFTER, "5");
	enum MHD_Result result = MHD_queue_response(e->connection, status, r);
	MHD_destroy_response(r);
	return result;
}

static struct MHD_Response *constant(const char *text)
{
	return MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result answer_text(struct exchange *e, unsigned status, const char *text)
{
	return answer(e, status, TEXT, constant(text));
}

/* The text of @b, which becomes the library's. */
static struct MHD_Response *buffered(struct buffer *b)
{
	struct MHD_Response *r =
		MHD_create_response_from_buffer(b->used, b->data, MHD_RESPMEM_MUST_FREE);
	if (!r)
		buffer_free(b);
	return r;
}

static enum MHD_Result answer_buffer(struct exchange *e, const char *type, struct buffer *b)
{
	if (!b->failed)
		return answer(e, MHD_HTTP_OK, type, buffered(b));
	buffer_free(b);
	return answer_text(e, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
}

static enum MHD_Result answer_failed(struct exchange *e, int error)
{
	struct buffer text = { 0 };
	char message[128];
	buffer_printf(&text, "%s\n", strerror_r(error, message, sizeof message));
	if (!text.failed)
		return answer(e, MHD_HTTP_INTERNAL_SERVER_ERROR, TEXT, buffered(&text));
	buffer_free(&text);
	return answer_text(e, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
}

static enum MHD_Result answer_error(struct exchange *e, int error)
{
	switch (error) {
	case EBUSY: return answer_text(e, MHD_HTTP_CONFLICT, "a reload is under way\n");
	case ENOENT: return answer_text(e, MHD_HTTP_NOT_FOUND, "there is none\n");
	case ENOMEM: return answer_text(e, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
	default: return answer_failed(e, error);
	}
}

/* ---- at once ---- */

static enum MHD_Result get_health(struct exchange *e)
{
	return answer_text(e, MHD_HTTP_OK, "ok\n");
}

static enum MHD_Result get_live(struct exchange *e)
{
	struct buffer text = { 0 };
	const char *since =
		MHD_lookup_connection_value(e->connection, MHD_GET_ARGUMENT_KIND, "since");
	live_write(&text, e->desk->server, &e->desk->history, &e->desk->census,
		   since ? strtoull(since, NULL, 10) : 0);
	return answer_buffer(e, "application/json", &text);
}

static enum MHD_Result get_metrics(struct exchange *e)
{
	struct buffer text = { 0 };
	live_metrics(&text, e->desk->server, counter_get(&e->desk->requests));
	return answer_buffer(e, OURO_OPENMETRICS_TYPE, &text);
}

/* Its script and its style bear a number that is drawn for each answer: no others run. */
static enum MHD_Result get_page(struct exchange *e)
{
	static const char mark[] = "@NONCE@";
	struct buffer text = { 0 }, policy = { 0 };
	uint64_t drawn[2];
	char nonce[40];
	if (getrandom(drawn, sizeof drawn, 0) != sizeof drawn)
		return answer_error(e, errno);
	snprintf(nonce, sizeof nonce, "%016llx%016llx", (unsigned long long)drawn[0],
		 (unsigned long long)drawn[1]);
	for (const char *at = page_text, *end; at; at = end ? end + strlen(mark) : NULL) {
		end = strstr(at, mark);
		buffer_append(&text, at, end ? (size_t)(end - at) : strlen(at));
		buffer_append(&text, nonce, end ? strlen(nonce) : 0);
	}
	buffer_printf(&policy, "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; "
		      "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
		      "frame-ancestors 'none'", nonce, nonce);
	if (policy.failed || text.failed) {
		buffer_free(&policy);
		buffer_free(&text);
		return answer_error(e, ENOMEM);
	}
	struct MHD_Response *r = buffered(&text);
	if (r) {
		add(r, "Content-Security-Policy", policy.data);
		add(r, "Referrer-Policy", "no-referrer");
	}
	buffer_free(&policy);
	return answer(e, MHD_HTTP_OK, "text/html; charset=utf-8", r);
}

/* ---- errands ---- */

/* Writes to a file that nobody else can open. Return: a descriptor of it; -1 with errno. */
static int write_file(int (*write)(FILE *f))
{
	FILE *f = tmpfile();
	if (!f)
		return -1;
	int error = write(f), fd = -1;
	if (!error && fflush(f) != 0)
		error = errno;
	if (!error && (fd = fcntl(fileno(f), F_DUPFD_CLOEXEC, 0)) < 0)
		error = errno;
	fclose(f);
	errno = error;
	return fd;
}

/* Behind another one that is under way, if that does not take too long. */
static int reload_in_turn(struct server *server)
{
	int error, tries = RELOAD_TRIES;
	while ((error = server_reload(server)) == EBUSY && --tries)
		usleep(RELOAD_PAUSE_US);
	return error;
}

static void work_reload(struct exchange *e)
{
	e->error = reload_in_turn(e->desk->server);
	buffer_printf(&e->text, "OK\n");
}

static void work_file(struct exchange *e)
{
	e->fd = write_file(e->write);
	e->error = e->fd < 0 ? errno : 0;
}

static void work_why(struct exchange *e)
{
	size_t lines;
	e->error = why_write(&e->text, e->key, strlen(e->key), &lines);
}

static void errand_run(struct errand *errand)
{
	struct exchange *e = (struct exchange *)errand;
	e->work(e);
}

static void errand_done(struct errand *errand)
{
	MHD_resume_connection(((struct exchange *)errand)->connection);
}

/* Suspended first: the errand may be done before this returns. */
static enum MHD_Result begin(struct exchange *e)
{
	e->started = true;
	e->errand.run = errand_run;
	e->errand.done = errand_done;
	MHD_suspend_connection(e->connection);
	if (errands_add(&e->desk->errands, &e->errand))
		return MHD_YES;
	e->refused = true;
	MHD_resume_connection(e->connection);
	return MHD_YES;
}

static enum MHD_Result answer_file(struct exchange *e)
{
	struct stat s;
	struct buffer disposition = { 0 };
	if (fstat(e->fd, &s) < 0)
		return answer_error(e, errno);
	struct MHD_Response *r = MHD_create_response_from_fd64((uint64_t)s.st_size, e->fd);
	if (!r)
		return answer_error(e, ENOMEM);
	e->fd = -1;
	buffer_printf(&disposition, "attachment; filename=\"%s\"", e->name);
	if (!disposition.failed)
		add(r, MHD_HTTP_HEADER_CONTENT_DISPOSITION, disposition.data);
	buffer_free(&disposition);
	return answer(e, MHD_HTTP_OK, e->type, r);
}

static enum MHD_Result errand_answer(struct exchange *e)
{
	struct buffer text = e->text;
	if (e->refused)
		return answer_text(e, MHD_HTTP_SERVICE_UNAVAILABLE, "too much is asked for\n");
	if (e->error == ENOENT && e->work == work_reload)
		return answer_failed(e, e->error);
	if (e->error)
		return answer_error(e, e->error);
	if (e->fd >= 0)
		return answer_file(e);
	e->text = (struct buffer){ 0 };
	return answer_buffer(e, TEXT, &text);
}

static enum MHD_Result begin_file(struct exchange *e, int (*write)(FILE *f), const char *type,
				  const char *name)
{
	/* relaxed: only this thread changes it. */
	if (atomic_load_explicit(&e->desk->files, memory_order_relaxed) >= FILES_MAX)
		return answer_text(e, MHD_HTTP_SERVICE_UNAVAILABLE, "others are downloading\n");
	e->has_file = true;
	e->work = work_file;
	atomic_fetch_add_explicit(&e->desk->files, 1, memory_order_relaxed);
	e->write = write;
	e->type = type;
	e->name = name;
	return begin(e);
}

static enum MHD_Result get_trace(struct exchange *e)
{
	return begin_file(e, ouro_trace_write, "application/json", "depserver-trace.json");
}

static enum MHD_Result get_snapshot(struct exchange *e)
{
	return begin_file(e, ouro_snapshot_write, "application/json", "depserver.heapsnapshot");
}

/* A page of another site cannot send a header of this name without asking first. */
static enum MHD_Result post_reload(struct exchange *e)
{
	if (!MHD_lookup_connection_value(e->connection, MHD_HEADER_KIND, "X-Depserver"))
		return answer_text(e, MHD_HTTP_FORBIDDEN, "this needs the header X-Depserver\n");
	e->work = work_reload;
	return begin(e);
}

static enum MHD_Result get_why(struct exchange *e)
{
	const char *name =
		MHD_lookup_connection_value(e->connection, MHD_GET_ARGUMENT_KIND, "name");
	if (!name)
		return answer_text(e, MHD_HTTP_BAD_REQUEST, "of what? ?name=\n");
	e->key = strdup(name);
	if (!e->key)
		return answer_error(e, ENOMEM);
	e->work = work_why;
	return begin(e);
}

/* ---- finding what is asked for ---- */

static const struct route {
	const char *path;
	bool post;
	enum MHD_Result (*run)(struct exchange *e);
} routes[] = {
	{ "/", false, get_page },           { "/healthz", false, get_health },
	{ "/live.json", false, get_live },  { "/metrics", false, get_metrics },
	{ "/trace", false, get_trace },     { "/reload", true, post_reload },
	{ "/why", false, get_why },         { "/snapshot", false, get_snapshot },
};

static const struct route *route_find(const char *path)
{
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
		if (strcmp(routes[i].path, path) == 0)
			return &routes[i];
	return NULL;
}

static bool allowed(const struct route *route, const char *method)
{
	if (route->post)
		return strcmp(method, "POST") == 0;
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static enum MHD_Result answer_wrong_method(struct exchange *e, const struct route *route)
{
	struct MHD_Response *r = constant("not with this method\n");
	if (r)
		add(r, MHD_HTTP_HEADER_ALLOW, route->post ? "POST" : "GET, HEAD");
	return answer(e, MHD_HTTP_METHOD_NOT_ALLOWED, TEXT, r);
}

/* A name that leads here may be another site's; these are not. */
static bool host_is_ours(struct MHD_Connection *connection)
{
	static const char *const names[] = { "127.0.0.1", "localhost", "[::1]" };
	const char *host =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
	for (size_t i = 0; host && i < sizeof names / sizeof *names; i++) {
		size_t len = strlen(names[i]);
		if (strncasecmp(host, names[i], len) == 0 && (!host[len] || host[len] == ':'))
			return true;
	}
	return !host;
}

static bool has_body(struct MHD_Connection *connection)
{
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_CONTENT_LENGTH);
	return (length && strcmp(length, "0") != 0) ||
	       MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
					   MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

enum MHD_Result exchange_run(struct exchange *e, const char *method, const char *path)
{
	if (e->started)
		return errand_answer(e);
	if (!host_is_ours(e->connection))
		return answer_text(e, MHD_HTTP_FORBIDDEN, "unknown host\n");
	if (has_body(e->connection))
		return answer_text(e, MHD_HTTP_CONTENT_TOO_LARGE, "nothing here takes a body\n");
	const struct route *route = route_find(path);
	if (!route)
		return answer_text(e, MHD_HTTP_NOT_FOUND, "there is no such page\n");
	if (!allowed(route, method))
		return answer_wrong_method(e, route);
	return route->run(e);
}

void exchange_end(struct exchange *e)
{
	if (e->fd >= 0)
		close(e->fd);
	buffer_free(&e->text);
	free(e->key);
	if (e->has_file)
		atomic_fetch_sub_explicit(&e->desk->files, 1, memory_order_relaxed);
	free(e);
}
