/* commands.c - what clients can ask */
#include "commands.h"
#include "graph.h"
#include "info.h"
#include "job.h"
#include "server.h"
#include "session.h"
#include "why.h"
#include "worker.h"

#include <errno.h>
#include <string.h>

struct call {
	struct worker *worker;
	struct session *session;
	struct request *request; /* NULL: there was no memory for it */
	const struct resp_arg *argv;
	size_t argc;
	struct buffer *out;
};

struct command {
	const char *name;
	size_t argc_min, argc_max; /* the name counts */
	void (*run)(struct call *c);
};

static void reply_oom(struct buffer *out)
{
	resp_error(out, "OOM out of memory");
}

/* How much of a client's word an error message repeats. */
static int shown(const struct resp_arg *arg)
{
	return arg->len < 64 ? (int)arg->len : 64;
}

/* The package that argument 1 names. Return: new reference; NULL: answered that there is none. */
static struct package *call_package(struct call *c)
{
	const struct resp_arg *key = &c->argv[1];
	struct package *p = graph_find(graph_hold(&c->worker->graph), key->data, key->len);
	if (!p)
		resp_error(c->out, "ERR no such package '%.*s'", shown(key), key->data);
	return p;
}

static void reply_name(struct buffer *out, const struct package *p)
{
	resp_bulk(out, p->text, p->name_len);
}

/* The names of the packages in @n slots at @slot, which lie in an object that the caller holds. */
static void reply_names(struct buffer *out, struct package *const *slot, size_t n)
{
	resp_array(out, n);
	for (size_t i = 0; i < n;) {
		size_t end = n - i > GRAPH_PINNED_STEPS ? i + GRAPH_PINNED_STEPS : n;
		ouro_pin();
		for (; i < end; i++)
			reply_name(out, ouro_peek(&slot[i]));
		ouro_unpin();
	}
}

/* The same for the members of a closure, which its index leads to. */
static void reply_members(struct buffer *out, const struct closure *c)
{
	resp_array(out, c->n);
	for (size_t i = 0; i < c->n;) {
		size_t end = c->n - i > GRAPH_PINNED_STEPS ? i + GRAPH_PINNED_STEPS : c->n;
		ouro_pin();
		const struct index *x = ouro_peek(&c->index);
		for (; i < end; i++)
			reply_name(out, ouro_peek(&x->package[c->member[i]]));
		ouro_unpin();
	}
}

/* The names in the edge array that the package has at @offset. */
static void reply_edges(struct call *c, size_t offset)
{
	OURO_AUTO struct package *p = call_package(c);
	if (!p)
		return;
	OURO_AUTO struct edges *e = ouro_load((struct edges **)(void *)((char *)p + offset));
	if (e)
		reply_names(c->out, e->to, e->n);
	else
		resp_array(c->out, 0);
}

static void run_deps(struct call *c)
{
	reply_edges(c, offsetof(struct package, depends));
}

static void run_rdeps(struct call *c)
{
	reply_edges(c, offsetof(struct package, rdepends));
}

static void run_related(struct call *c)
{
	reply_edges(c, offsetof(struct package, related));
}

static void run_rrelated(struct call *c)
{
	reply_edges(c, offsetof(struct package, rrelated));
}

static void run_closure(struct call *c)
{
	bool names = c->argc == 3, cached;
	if (names && !resp_is(&c->argv[2], "NAMES")) {
		resp_error(c->out, "ERR syntax: CLOSURE package [NAMES]");
		return;
	}
	OURO_AUTO struct package *p = call_package(c);
	if (!p)
		return;
	OURO_AUTO struct closure *closure = closure_of(p, &c->worker->scratch, &cached);
	struct counters *counters = &c->worker->counters;
	counter_add(cached ? &counters->closure_hits : &counters->closure_misses, 1);
	if (!closure)
		reply_oom(c->out);
	else if (names)
		reply_members(c->out, closure);
	else
		resp_integer(c->out, (long long)closure->n);
}

static size_t edge_count(struct edges **slot)
{
	OURO_AUTO struct edges *e = ouro_load(slot);
	return e ? e->n : 0;
}

static void run_pkg(struct call *c)
{
	struct buffer text = { 0 };
	OURO_AUTO struct package *p = call_package(c);
	if (!p)
		return;
	buffer_printf(&text, "Package: %s\nVersion: %s\nSection: %s\nSize: %llu\nNumber: %u\n",
		      p->text, p->text + p->version, p->text + p->section,
		      (unsigned long long)p->size, p->number);
	buffer_printf(&text, "Depends: %zu\nReverse-Depends: %zu\n", edge_count(&p->depends),
		      edge_count(&p->rdepends));
	buffer_printf(&text, "Related: %zu\nReverse-Related: %zu\n", edge_count(&p->related),
		      edge_count(&p->rrelated));
	if (text.failed)
		reply_oom(c->out);
	else
		resp_bulk(c->out, text.data, text.used);
	buffer_free(&text);
}

static void run_ping(struct call *c)
{
	if (c->argc == 2)
		resp_bulk(c->out, c->argv[1].data, c->argv[1].len);
	else
		resp_status(c->out, "PONG");
}

static void run_info(struct call *c)
{
	struct buffer text = { 0 };
	info_write(&text, c->worker->server, c->argc == 2 ? &c->argv[1] : NULL);
	if (text.failed)
		reply_oom(c->out);
	else
		resp_bulk(c->out, text.data, text.used);
	buffer_free(&text);
}

static struct job_result job_reload(struct server *server, const char *key, size_t len)
{
	(void)key;
	(void)len;
	return (struct job_result){ .error = server_reload(server) };
}

static struct job_result job_gc(struct server *server, const char *key, size_t len)
{
	(void)server;
	(void)key;
	(void)len;
	ssize_t n = ouro_gc_collect(2);
	return (struct job_result){ .error = n < 0 ? errno : 0, .has_count = true, .count = n };
}

static struct job_result job_why(struct server *server, const char *key, size_t len)
{
	struct job_result result = { .error = 0 };
	(void)server;
	result.error = why_write(&result.lines, key, len, &result.n_lines);
	return result;
}

static void run_job(struct call *c, job_run run)
{
	const struct resp_arg *about = c->argc > 1 ? &c->argv[1] : NULL;
	if (!c->request || job_start(c->request, run, about))
		reply_oom(c->out);
}

static void run_reload(struct call *c)
{
	run_job(c, job_reload);
}

static void run_gc(struct call *c)
{
	run_job(c, job_gc);
}

static bool call_has_package(struct call *c)
{
	OURO_AUTO struct package *p = call_package(c);
	return p;
}

/*
 * A name that is none is answered here: the walk over the heap is for those that are. What was
 * found is let go before the job begins, which would see it as one of the references.
 */
static void run_why(struct call *c)
{
	if (call_has_package(c))
		run_job(c, job_why);
}

/* redis-benchmark asks for two settings before it starts: whatever is asked is there, and empty. */
static void run_config(struct call *c)
{
	if (c->argc != 3 || !resp_is(&c->argv[1], "GET")) {
		resp_error(c->out, "ERR only CONFIG GET name is known");
		return;
	}
	resp_array(c->out, 2);
	resp_bulk(c->out, c->argv[2].data, c->argv[2].len);
	resp_bulk(c->out, "", 0);
}

/* redis-cli asks for descriptions of all commands when it starts: there are none. */
static void run_command(struct call *c)
{
	resp_array(c->out, 0);
}

static void run_quit(struct call *c)
{
	resp_status(c->out, "OK");
	c->session->last = true;
}

static void run_shutdown(struct call *c)
{
	run_quit(c);
	server_stop(c->worker->server);
}

static const struct command commands[] = {
	{ "PING", 1, 2, run_ping },
	{ "DEPS", 2, 2, run_deps },
	{ "RDEPS", 2, 2, run_rdeps },
	{ "RELATED", 2, 2, run_related },
	{ "RRELATED", 2, 2, run_rrelated },
	{ "CLOSURE", 2, 3, run_closure },
	{ "PKG", 2, 2, run_pkg },
	{ "INFO", 1, 2, run_info },
	{ "RELOAD", 1, 1, run_reload },
	{ "GC", 1, 1, run_gc },
	{ "WHY", 2, 2, run_why },
	{ "CONFIG", 2, RESP_ARGS_MAX, run_config },
	{ "COMMAND", 1, RESP_ARGS_MAX, run_command },
	{ "QUIT", 1, 1, run_quit },
	{ "SHUTDOWN", 1, 2, run_shutdown },
};

#define COMMANDS (sizeof commands / sizeof *commands)

_Static_assert(COMMANDS <= COMMANDS_MAX, "each command has a histogram in struct worker");

const char *command_name(unsigned i)
{
	return i < COMMANDS ? commands[i].name : NULL;
}

static const struct command *command_find(const struct resp_arg *name)
{
	for (unsigned i = 0; i < COMMANDS; i++)
		if (resp_is(name, commands[i].name))
			return &commands[i];
	return NULL;
}

void command_done(struct worker *w, unsigned i, uint64_t began_ns, bool failed)
{
	counter_add(&w->counters.commands, 1);
	counter_add(&w->counters.errors, failed);
	latency_add(&w->latency[i], uv_hrtime() - began_ns);
}

static void command_refuse(struct session *s, const struct resp_arg *name, bool known)
{
	counter_add(&s->worker->counters.errors, 1);
	if (known)
		resp_error(&s->out, "ERR wrong number of arguments for '%.*s' command", shown(name),
			   name->data);
	else
		resp_error(&s->out, "ERR unknown command '%.*s'", shown(name), name->data);
}

/* Without memory for the request's object a command runs all the same, if it can do without. */
void command_run(struct session *s, const struct resp_request *in)
{
	const struct command *command = command_find(&in->argv[0]);
	if (!command || in->argc < command->argc_min || in->argc > command->argc_max) {
		command_refuse(s, &in->argv[0], command != NULL);
		return;
	}
	unsigned i = (unsigned)(command - commands);
	uint64_t began_ns = uv_hrtime();
	OURO_AUTO struct request *r = request_new(s, i, began_ns);
	size_t before = s->out.used;
	struct call call = { s->worker, s, r, in->argv, in->argc, &s->out };
	command->run(&call);
	if (!s->busy)
		command_done(s->worker, i, began_ns,
			     s->out.used > before && s->out.data[before] == '-');
}
