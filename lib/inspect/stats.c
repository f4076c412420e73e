/* stats.c - counters for the program: as a struct, as text, JSON and OpenMetrics. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cancel.h"
#include "base/holdup.h"
#include "collect/crew.h"
#include "base/os.h"
#include "base/sized.h"
#include "collect/collect.h"
#include "collect/near.h"
#include "count/weak.h"
#include "heap/tally.h"
#include "world/gate.h"
#include "world/threads.h"
#include "world/world.h"

static void fill(ouro_stats *out)
{
	struct oi_totals n;
	memset(out, 0, sizeof *out);
	oi_tally_totals(&n);
	out->objects_allocated = n.n_allocated;
	out->objects_freed = n.n_freed;
	out->objects_live = n.n_allocated > n.n_freed ? n.n_allocated - n.n_freed : 0;
	out->bytes_live = n.bytes_allocated > n.bytes_freed ? n.bytes_allocated - n.bytes_freed : 0;
	out->bytes_reserved = oi_os_reserved();
	out->delays = n.n_delays;
	out->delay_sum_ns = n.delay_ns;
	out->delay_max_ns = n.delay_max_ns;
	oi_holdup_statistics(out);
	oi_crew_statistics(out);
	out->weak_entries = oi_weak_count();
	out->threads = oi_threads_count();
	oi_collect_statistics(out->collections, out->collected, out->collection_ns);
	struct oi_near_statistics near;
	oi_near_statistics(&near);
	out->searches = near.searches;
	out->searched = near.looked_at;
	out->search_found = near.found;
	const struct oi_histogram *h = &oi_world.pauses;
	out->pauses = oi_load_relaxed(&h->n); /* count */
	out->pause_sum_ns = oi_load_relaxed(&h->sum); /* count */
	out->pause_max_ns = oi_load_relaxed(&h->max); /* count */
	out->pause_p50_ns = oi_histogram_quantile(h, 0.5);
	out->pause_p99_ns = oi_histogram_quantile(h, 0.99);
	out->pause_p999_ns = oi_histogram_quantile(h, 0.999);
	out->stop_max_ns = oi_load_relaxed(&oi_world.stop_max_ns); /* count */
}

void ouro_stats_get_sized(ouro_stats *out, size_t size)
{
	ouro_stats full;
	oi_current();
	if (!out)
		return;
	fill(&full);
	oi_sized_out(out, size, &full, sizeof full);
}

static const struct row {
	const char *name;
	size_t offset;
	bool counter;
	enum { SINGLE, PER_GENERATION, PER_CAUSE } kind;
	const char *help;
} rows[] = {
#define ROW(field, counter, help) { #field, offsetof(ouro_stats, field), counter, SINGLE, help }
#define ROWS(field, help) { #field, offsetof(ouro_stats, field), true, PER_GENERATION, help }
#define CAUSES(field, counter, help) \
	{ #field, offsetof(ouro_stats, field), counter, PER_CAUSE, help }
	ROW(objects_live, false, "Objects alive"),
	ROW(bytes_live, false, "Bytes of live objects, headers included"),
	ROW(objects_allocated, true, "Objects made"),
	ROW(objects_freed, true, "Objects destroyed"),
	ROW(bytes_reserved, false, "Bytes held from the system for the heap and its metadata"),
	ROW(weak_entries, false, "Objects with weak references or watches"),
	ROW(threads, false, "Threads attached"),
	ROWS(collections, "Collections run"),
	ROWS(collected, "Objects found unreachable and not resurrected"),
	ROWS(collection_ns, "Time spent in collections, in nanoseconds"),
	ROW(pauses, true, "Stops of the world"),
	ROW(pause_sum_ns, true, "Time of all stops, in nanoseconds"),
	ROW(pause_p50_ns, false, "Median stop, in nanoseconds"),
	ROW(pause_p99_ns, false, "99th percentile of stops, in nanoseconds"),
	ROW(pause_p999_ns, false, "99.9th percentile of stops, in nanoseconds"),
	ROW(pause_max_ns, false, "Longest stop, in nanoseconds"),
	ROW(stop_max_ns, false, "Longest wait for a stop, in nanoseconds"),
	ROW(delays, true, "Allocations held up because the collector lagged behind"),
	ROW(delay_sum_ns, true, "Time they were held up, in nanoseconds"),
	ROW(delay_max_ns, false, "Longest such delay, in nanoseconds"),
	CAUSES(holdups, true, "Calls held up for longer than the pause budget, by cause"),
	CAUSES(holdup_sum_ns, true, "Time they were held up, in nanoseconds"),
	CAUSES(holdup_max_ns, false, "Longest such hold-up, in nanoseconds"),
	ROW(looked, true, "Objects that collections beside the program looked at"),
	ROW(looked_by_helpers, true, "Those of them that helpers of the collector looked at"),
	ROW(searches, true, "Objects from which old garbage was searched for"),
	ROW(searched, true, "Objects looked at in these searches"),
	ROW(search_found, true, "Objects that these searches took for garbage"),
};
#define N_ROWS (sizeof rows / sizeof *rows)

static uint64_t value(const ouro_stats *s, const struct row *r, int i)
{
	return ((const uint64_t *)((const char *)s + r->offset))[i];
}

static int n_values(const struct row *r)
{
	return r->kind == SINGLE ? 1 : r->kind == PER_GENERATION ? 3 : OURO_HOLDUPS;
}

static void write_text(FILE *f, const ouro_stats *s)
{
	for (const struct row *r = rows; r < rows + N_ROWS; r++) {
		fprintf(f, "%-18s", r->name);
		for (int i = 0; i < n_values(r); i++)
			fprintf(f, " %s%s%" PRIu64,
				r->kind == PER_CAUSE ? oi_holdup_name((ouro_holdup)i) : "",
				r->kind == PER_CAUSE ? " " : "", value(s, r, i));
		fputc('\n', f);
	}
}

/* Writes a number, an array of three, or an object whose members are the causes. */
static void write_json_values(FILE *f, const ouro_stats *s, const struct row *r)
{
	static const char *const open[] = { "", "[", "{" }, *const close[] = { "", "]", "}" };
	for (int i = 0; i < n_values(r); i++) {
		fputs(i ? ", " : open[r->kind], f);
		if (r->kind == PER_CAUSE)
			fprintf(f, "\"%s\": ", oi_holdup_name((ouro_holdup)i));
		fprintf(f, "%" PRIu64, value(s, r, i));
	}
	fputs(close[r->kind], f);
}

static void write_json(FILE *f, const ouro_stats *s)
{
	for (const struct row *r = rows; r < rows + N_ROWS; r++) {
		fprintf(f, "%s\"%s\": ", r == rows ? "{" : ", ", r->name);
		write_json_values(f, s, r);
	}
	fprintf(f, "}\n");
}

static void write_openmetrics(FILE *f, const ouro_stats *s)
{
	for (const struct row *r = rows; r < rows + N_ROWS; r++) {
		const char *total = r->counter ? "_total" : "";
		fprintf(f, "# TYPE ouro_%s %s\n# HELP ouro_%s %s\n", r->name,
			r->counter ? "counter" : "gauge", r->name, r->help);
		for (int i = 0; i < n_values(r); i++) {
			fprintf(f, "ouro_%s%s", r->name, total);
			if (r->kind == PER_GENERATION)
				fprintf(f, "{generation=\"%d\"}", i);
			if (r->kind == PER_CAUSE)
				fprintf(f, "{cause=\"%s\"}", oi_holdup_name((ouro_holdup)i));
			fprintf(f, " %" PRIu64 "\n", value(s, r, i));
		}
	}
	fprintf(f, "# EOF\n");
}

int ouro_stats_write(FILE *f, ouro_stats_format format)
{
	if (!f || (unsigned)format > OURO_STATS_OPENMETRICS)
		return EINVAL;
	ouro_stats s;
	ouro_stats_get_sized(&s, sizeof s);
	int cancel = oi_cancel_off(), error;
	if (format == OURO_STATS_TEXT)
		write_text(f, &s);
	else if (format == OURO_STATS_JSON)
		write_json(f, &s);
	else
		write_openmetrics(f, &s);
	error = fflush(f) || ferror(f) ? EIO : 0;
	oi_cancel_back(cancel);
	return error;
}
