/* live.c - the server's numbers, written out */
#include "live.h"
#include "commands.h"
#include "graph.h"
#include "info.h"
#include "server.h"
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long long ull;

#define SUM(server, counter) ((ull)server_sum(server, offsetof(struct counters, counter)))

enum { CENSUS_SHARE = 50 }; /* of the time a fiftieth */

/* ---- JSON ---- */

/* A string; of what is no ASCII, as the name of a file may have it, there is a question mark. */
static void json_string(struct buffer *out, const char *text)
{
	buffer_append(out, "\"", 1);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			buffer_printf(out, "\\%c", c);
		else if (c < ' ' || c == '<')
			buffer_printf(out, "\\u%04x", c);
		else
			buffer_append(out, c < 127 ? text : "?", 1);
	}
	buffer_append(out, "\"", 1);
}

static const char *json_bool(bool b)
{
	return b ? "true" : "false";
}

static void live_server(struct buffer *out, struct server *server)
{
	buffer_printf(out, "\"version\":");
	json_string(out, ouro_version());
	buffer_printf(out, ",\"pid\":%d,\"port\":%d,\"threads\":%u,\"gc\":%s,", (int)getpid(),
		      server->port, server->options.threads, json_bool(ouro_gc_is_enabled()));
	/* relaxed: count. */
	buffer_printf(out, "\"uptime_s\":%llu,\"clients\":%u,",
		      (ull)((uv_hrtime() - server->began_ns) / 1000000000u),
		      atomic_load_explicit(&server->clients, memory_order_relaxed));
	buffer_printf(out, "\"commands\":%llu,\"errors\":%llu,\"connections\":%llu,",
		      SUM(server, commands), SUM(server, errors), SUM(server, connections));
	buffer_printf(out, "\"hits\":%llu,\"misses\":%llu,", SUM(server, closure_hits),
		      SUM(server, closure_misses));
	/* relaxed: count. */
	int error = atomic_load_explicit(&server->reload_error, memory_order_relaxed);
	bool loading = atomic_load_explicit(&server->loading, memory_order_relaxed);
	char message[128];
	buffer_printf(out, "\"reloads\":%llu,\"loading\":%s,\"reload_error\":",
		      (ull)counter_get(&server->reloads), json_bool(loading));
	json_string(out, error ? strerror_r(error, message, sizeof message) : "");
}

static void live_graph(struct buffer *out)
{
	OURO_AUTO struct index *x = graph_current();
	buffer_printf(out, ",\"graph\":{\"source\":");
	json_string(out, x ? x->source : "");
	buffer_printf(out, ",\"packages\":%u,\"copies\":%u,\"edges\":%llu,\"load_ms\":%llu}",
		      x ? x->n_packages : 0, x ? x->copies : 0,
		      x ? (ull)(x->n_depends + x->n_related) : 0,
		      x ? (ull)(x->load_ns / 1000000) : 0);
}

static void live_heap(struct buffer *out, const ouro_stats *s)
{
	ull rss, peak;
	info_resident(&rss, &peak);
	buffer_printf(out, ",\"heap\":{\"objects\":%llu,\"bytes\":%llu,\"reserved\":%llu,",
		      (ull)s->objects_live, (ull)s->bytes_live, (ull)s->bytes_reserved);
	buffer_printf(out, "\"rss\":%llu,\"rss_peak\":%llu,\"allocated\":%llu,\"freed\":%llu,", rss,
		      peak, (ull)s->objects_allocated, (ull)s->objects_freed);
	buffer_printf(out, "\"weak_entries\":%llu,\"threads\":%llu,\"generations\":[",
		      (ull)s->weak_entries, (ull)s->threads);
	for (int g = 0; g < 3; g++)
		buffer_printf(out, "%s{\"objects\":%llu,\"collections\":%llu,\"collected\":%llu,"
			      "\"ns\":%llu}",
			      g ? "," : "", (ull)s->generation_objects[g], (ull)s->collections[g],
			      (ull)s->collected[g], (ull)s->collection_ns[g]);
	buffer_printf(out, "]},\"stops\":{\"n\":%llu,\"sum_ns\":%llu,\"p50_ns\":%llu,",
		      (ull)s->pauses, (ull)s->pause_sum_ns, (ull)s->pause_p50_ns);
	buffer_printf(out, "\"p99_ns\":%llu,\"p999_ns\":%llu,\"max_ns\":%llu,\"wait_ns\":%llu}",
		      (ull)s->pause_p99_ns, (ull)s->pause_p999_ns, (ull)s->pause_max_ns,
		      (ull)s->stop_max_ns);
}

static int larger_first(const void *a, const void *b)
{
	const ouro_type_stat *x = a, *y = b;
	return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

/* Counts anew if the last count is old enough; without memory that one stays. */
static void census_take(struct census *c)
{
	uint64_t began_ns = uv_hrtime();
	if (c->at_ns && began_ns - c->at_ns < 1000000000u + CENSUS_SHARE * c->took_ns)
		return;
	ssize_t n = ouro_type_stats(c->type, CENSUS_TYPES);
	if (n < 0)
		return;
	c->n = n < CENSUS_TYPES ? (unsigned)n : CENSUS_TYPES;
	c->at_ns = uv_hrtime();
	c->took_ns = c->at_ns - began_ns;
	qsort(c->type, c->n, sizeof *c->type, larger_first);
}

static void live_types(struct buffer *out, struct census *c)
{
	census_take(c);
	buffer_printf(out, ",\"types_age_ms\":%llu,\"types\":[",
		      (ull)((uv_hrtime() - c->at_ns) / 1000000));
	for (unsigned i = 0; i < c->n; i++) {
		buffer_printf(out, "%s{\"name\":", i ? "," : "");
		json_string(out, c->type[i].name);
		buffer_printf(out, ",\"objects\":%llu,\"bytes\":%llu}", (ull)c->type[i].objects,
			      (ull)c->type[i].bytes);
	}
	buffer_printf(out, "]");
}

static void latency_of(struct latency_sum *sum, struct server *server, unsigned command)
{
	*sum = (struct latency_sum){ 0 };
	for (unsigned w = 0; w < server->options.threads; w++)
		latency_sum(sum, &server->workers[w].latency[command]);
}

static void live_latency(struct buffer *out, struct server *server)
{
	const char *comma = "";
	buffer_printf(out, ",\"latency\":[");
	for (unsigned i = 0; command_name(i); i++) {
		struct latency_sum sum;
		latency_of(&sum, server, i);
		if (!sum.n)
			continue;
		buffer_printf(out, "%s{\"command\":\"%s\",\"calls\":%llu,\"p50_us\":%.1f,", comma,
			      command_name(i), (ull)sum.n, latency_percentile_us(&sum, 50));
		buffer_printf(out, "\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f}",
			      latency_percentile_us(&sum, 99), latency_percentile_us(&sum, 99.9),
			      (double)sum.max_ns / 1000);
		comma = ",";
	}
	buffer_printf(out, "]");
}

/* A row: the second, its stops by bucket, the longest in us, and the sample, or null. */
static void live_second(struct buffer *out, const struct second *s)
{
	const struct sample *sample = &s->sample;
	buffer_printf(out, "[%llu,[", (ull)s->number);
	for (unsigned b = 0; b < STOP_BUCKETS; b++)
		buffer_printf(out, "%s%u", b ? "," : "", s->stops[b]);
	buffer_printf(out, "],%.1f,", (double)s->longest_ns / 1000);
	if (!s->sampled) {
		buffer_printf(out, "null]");
		return;
	}
	buffer_printf(out, "[%llu,%llu,%llu,", (ull)sample->commands, (ull)sample->errors,
		      (ull)sample->objects);
	buffer_printf(out, "%llu,%llu,%llu,%llu]]", (ull)sample->bytes, (ull)sample->reserved,
		      (ull)sample->freed, (ull)sample->collected);
}

static void live_seconds(struct buffer *out, struct history *history, uint64_t since)
{
	struct second *second = malloc(HISTORY_SECONDS * sizeof *second);
	if (!second) {
		out->failed = true;
		return;
	}
	unsigned n = history_read(history, since, uv_hrtime(), second);
	buffer_printf(out, ",\"bounds_us\":[");
	for (unsigned b = 0; b < STOP_BUCKETS - 1; b++)
		buffer_printf(out, "%s%u", b ? "," : "", history_bounds_us[b]);
	buffer_printf(out, "],\"seconds\":[");
	for (unsigned i = 0; i < n; i++) {
		buffer_append(out, ",", i != 0);
		live_second(out, &second[i]);
	}
	buffer_printf(out, "]");
	free(second);
}

void live_write(struct buffer *out, struct server *server, struct history *history,
		struct census *census, uint64_t since)
{
	ouro_stats stats;
	ouro_stats_get(&stats);
	buffer_printf(out, "{");
	live_server(out, server);
	live_graph(out);
	live_heap(out, &stats);
	live_types(out, census);
	live_latency(out, server);
	live_seconds(out, history, since);
	buffer_printf(out, "}\n");
}

void live_sample(struct sample *sample, struct server *server)
{
	ouro_stats s;
	ouro_stats_get(&s);
	*sample = (struct sample){
		.commands = SUM(server, commands),
		.errors = SUM(server, errors),
		.objects = s.objects_live,
		.bytes = s.bytes_live,
		.reserved = s.bytes_reserved,
		.freed = s.objects_freed,
		.collected = s.collected[0] + s.collected[1] + s.collected[2],
	};
}

/* ---- OpenMetrics ---- */

static void family(struct buffer *out, const char *name, const char *type, const char *help)
{
	buffer_printf(out, "# TYPE depserver_%s %s\n# HELP depserver_%s %s\n", name, type, name,
		      help);
}

static void count_of(struct buffer *out, const char *name, const char *help, ull value)
{
	family(out, name, "counter", help);
	buffer_printf(out, "depserver_%s_total %llu\n", name, value);
}

static void level_of(struct buffer *out, const char *name, const char *help, ull value)
{
	family(out, name, "gauge", help);
	buffer_printf(out, "depserver_%s %llu\n", name, value);
}

static void metrics_latency(struct buffer *out, struct server *server)
{
	static const double quantiles[] = { 50, 99, 99.9 };
	struct latency_sum sum;
	buffer_printf(out, "# TYPE depserver_command_seconds summary\n"
		      "# UNIT depserver_command_seconds seconds\n"
		      "# HELP depserver_command_seconds "
		      "Time from the parsed request to its reply.\n");
	for (unsigned i = 0; command_name(i); i++) {
		latency_of(&sum, server, i);
		for (unsigned q = 0; sum.n && q < sizeof quantiles / sizeof *quantiles; q++)
			buffer_printf(out, "depserver_command_seconds{command=\"%s\","
				      "quantile=\"%g\"} %.9g\n", command_name(i),
				      quantiles[q] / 100,
				      latency_percentile_us(&sum, quantiles[q]) / 1e6);
		if (sum.n)
			buffer_printf(out, "depserver_command_seconds_count{command=\"%s\"} %llu\n",
				      command_name(i), (ull)sum.n);
	}
}

static void metrics_server(struct buffer *out, struct server *server, ull http_requests)
{
	count_of(out, "commands", "Requests in RESP that were answered.", SUM(server, commands));
	count_of(out, "errors", "Requests answered with an error.", SUM(server, errors));
	count_of(out, "connections", "Connections taken.", SUM(server, connections));
	count_of(out, "refused", "Connections refused.", SUM(server, refused));
	count_of(out, "dropped", "Clients dropped, stalled or idle.", SUM(server, dropped));
	count_of(out, "closure_hits", "Closures that were there.", SUM(server, closure_hits));
	count_of(out, "closure_misses", "Closures that were computed.",
		 SUM(server, closure_misses));
	count_of(out, "reloads", "Graphs that were replaced.", (ull)counter_get(&server->reloads));
	count_of(out, "http_requests", "Requests by HTTP.", http_requests);
	/* relaxed: count. */
	level_of(out, "clients", "Clients of RESP.",
		 atomic_load_explicit(&server->clients, memory_order_relaxed));
	OURO_AUTO struct index *x = graph_current();
	level_of(out, "packages", "Packages in the graph.", x ? x->n_packages : 0);
}

/* The library's text is complete: the server's goes before its last line. */
void live_metrics(struct buffer *out, struct server *server, uint64_t http_requests)
{
	static const char last[] = "# EOF\n";
	char *text = NULL;
	size_t size = 0, cut = strlen(last);
	FILE *f = open_memstream(&text, &size);
	if (!f || ouro_stats_write(f, OURO_STATS_OPENMETRICS) != 0)
		out->failed = true;
	if (f && fclose(f) != 0)
		out->failed = true;
	if (!out->failed && size >= cut && memcmp(text + size - cut, last, cut) == 0)
		size -= cut;
	if (!out->failed)
		buffer_append(out, text, size);
	free(text);
	metrics_server(out, server, http_requests);
	metrics_latency(out, server);
	buffer_append(out, last, cut);
}
