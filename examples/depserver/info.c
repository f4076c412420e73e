/* info.c - the text of INFO: sections of "name:value" lines, as redis-cli's users know them */
#include "info.h"
#include "commands.h"
#include "graph.h"
#include "server.h"
#include "worker.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long long ull;

static void info_server(struct buffer *out, struct server *server)
{
	buffer_printf(out, "server_name:depserver\r\nouro_version:%s\r\n", ouro_version());
	buffer_printf(out, "process_id:%d\r\ntcp_port:%d\r\n", (int)getpid(), server->port);
	buffer_printf(out, "io_threads:%u\r\nuptime_in_seconds:%llu\r\n", server->options.threads,
		      (ull)((uv_hrtime() - server->began_ns) / 1000000000u));
	/* relaxed: count. */
	buffer_printf(out, "connected_clients:%u\r\n",
		      atomic_load_explicit(&server->clients, memory_order_relaxed));
}

static void info_counters(struct buffer *out, struct server *server)
{
	static const struct {
		const char *name;
		size_t offset;
	} lines[] = {
		{ "total_connections_received", offsetof(struct counters, connections) },
		{ "rejected_connections", offsetof(struct counters, refused) },
		{ "stalled_or_idle_clients_dropped", offsetof(struct counters, dropped) },
		{ "total_commands_processed", offsetof(struct counters, commands) },
		{ "total_error_replies", offsetof(struct counters, errors) },
		{ "closure_hits", offsetof(struct counters, closure_hits) },
		{ "closure_misses", offsetof(struct counters, closure_misses) },
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		uint64_t sum = server_sum(server, lines[i].offset);
		buffer_printf(out, "%s:%llu\r\n", lines[i].name, (ull)sum);
	}
	buffer_printf(out, "reloads:%llu\r\n", (ull)counter_get(&server->reloads));
}

static void info_graph(struct buffer *out, struct server *server)
{
	OURO_AUTO struct index *x = graph_current();
	(void)server;
	if (!x)
		return;
	buffer_printf(out, "source:%s\r\nload_ms:%llu\r\n", x->source, (ull)(x->load_ns / 1000000));
	buffer_printf(out, "packages:%u\r\ncopies:%u\r\nnames:%u\r\n", x->n_packages,
		      x->copies, x->n_names);
	buffer_printf(out, "edges:%llu\r\nedges_depends:%llu\r\nedges_related:%llu\r\n",
		      (ull)(x->n_depends + x->n_related), (ull)x->n_depends, (ull)x->n_related);
	buffer_printf(out, "scc_count:%u\r\nscc_largest:%u\r\n", x->cycles.count,
		      x->cycles.largest);
	buffer_printf(out, "scc_depends_count:%u\r\nscc_depends_largest:%u\r\n",
		      x->depends_cycles.count, x->depends_cycles.largest);
}

/* The lines "VmRSS:  123 kB" and "VmHWM: ..." of /proc/self/status. */
void info_resident(ull *now, ull *peak)
{
	char line[128];
	ull kb;
	FILE *status = fopen("/proc/self/status", "re");
	*now = *peak = 0;
	while (status && fgets(line, sizeof line, status)) {
		if (sscanf(line, "VmRSS: %llu", &kb) == 1)
			*now = kb * 1024;
		if (sscanf(line, "VmHWM: %llu", &kb) == 1)
			*peak = kb * 1024;
	}
	if (status)
		fclose(status);
}

static void info_memory(struct buffer *out, struct server *server)
{
	ull now, peak;
	(void)server;
	info_resident(&now, &peak);
	buffer_printf(out, "used_memory_rss:%llu\r\nused_memory_peak_rss:%llu\r\n", now, peak);
}

#define INFO_STAT(name, field) { name, offsetof(ouro_stats, field) }

static void info_ouro(struct buffer *out, struct server *server)
{
	static const struct {
		const char *name;
		size_t offset;
	} lines[] = {
		INFO_STAT("objects_live", objects_live),
		INFO_STAT("bytes_live", bytes_live),
		INFO_STAT("objects_allocated", objects_allocated),
		INFO_STAT("objects_freed", objects_freed),
		INFO_STAT("bytes_reserved", bytes_reserved),
		INFO_STAT("weak_entries", weak_entries),
		INFO_STAT("threads", threads),
		INFO_STAT("collections_0", collections[0]),
		INFO_STAT("collections_1", collections[1]),
		INFO_STAT("collections_2", collections[2]),
		INFO_STAT("collected_0", collected[0]),
		INFO_STAT("collected_1", collected[1]),
		INFO_STAT("collected_2", collected[2]),
		INFO_STAT("collection_ns_0", collection_ns[0]),
		INFO_STAT("collection_ns_1", collection_ns[1]),
		INFO_STAT("collection_ns_2", collection_ns[2]),
		INFO_STAT("pauses", pauses),
		INFO_STAT("pause_sum_ns", pause_sum_ns),
		INFO_STAT("pause_p50_ns", pause_p50_ns),
		INFO_STAT("pause_p99_ns", pause_p99_ns),
		INFO_STAT("pause_p999_ns", pause_p999_ns),
		INFO_STAT("pause_max_ns", pause_max_ns),
		INFO_STAT("stop_max_ns", stop_max_ns),
	};
	ouro_stats stats;
	(void)server;
	ouro_stats_get(&stats);
	buffer_printf(out, "ouro_gc_enabled:%d\r\n", ouro_gc_is_enabled());
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		uint64_t value;
		memcpy(&value, (const char *)&stats + lines[i].offset, sizeof value);
		buffer_printf(out, "ouro_%s:%llu\r\n", lines[i].name, (ull)value);
	}
}

/* Time inside the server, from the parsed request to the reply in its buffer. */
static void info_latency(struct buffer *out, struct server *server)
{
	for (unsigned i = 0; command_name(i); i++) {
		struct latency_sum sum = { 0 };
		for (unsigned w = 0; w < server->options.threads; w++)
			latency_sum(&sum, &server->workers[w].latency[i]);
		if (!sum.n)
			continue;
		buffer_printf(out, "latency_us_%s:calls=%llu,p50=%.1f,p99=%.1f,", command_name(i),
			      (ull)sum.n, latency_percentile_us(&sum, 50),
			      latency_percentile_us(&sum, 99));
		buffer_printf(out, "p99.9=%.1f,max=%.1f\r\n", latency_percentile_us(&sum, 99.9),
			      (double)sum.max_ns / 1000);
	}
}

static const struct {
	const char *name;
	void (*write)(struct buffer *out, struct server *server);
} info_sections[] = {
	{ "Server", info_server }, { "Stats", info_counters }, { "Graph", info_graph },
	{ "Memory", info_memory }, { "Ouro", info_ouro },      { "Latency", info_latency },
};

void info_write(struct buffer *out, struct server *server, const struct resp_arg *section)
{
	for (size_t i = 0; i < sizeof info_sections / sizeof *info_sections; i++) {
		if (section && !resp_is(section, info_sections[i].name))
			continue;
		buffer_printf(out, "%s# %s\r\n", out->used ? "\r\n" : "", info_sections[i].name);
		info_sections[i].write(out, server);
	}
}
