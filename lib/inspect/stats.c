/* stats.c - counters for the program: as a struct, as text and JSON. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/holdup.h"
#include "collect/crew.h"
#include "base/os.h"
#include "base/sized.h"
#include "collect/collect.h"
#include "collect/near.h"
#include "count/sample.h"
#include "count/weak.h"
#include "heap/pace.h"
#include "heap/region.h"
#include "heap/tally.h"
#include "heap/unit.h"
#include "inspect/census.h"
#include "inspect/metrics.h"
#include "inspect/output.h"
#include "world/gate.h"
#include "world/threads.h"
#include "world/world.h"

static void fill_generations(ouro_stats *out, const struct oi_totals *n)
{
	uint64_t *of = out->generation_objects;
	oi_pace_young(of);
	int64_t old = (int64_t)(n->n_tracked_live - of[0] - of[1]);
	of[2] = old > 0 ? (uint64_t)old : 0;
}

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
	fill_generations(out, &n);
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
	out->bytes_huge = oi_unit_bytes();
	out->external_bytes = oi_pace_external();
	struct oi_sample_counts samples = oi_sample_counts();
	out->samples = samples.live;
	out->samples_dropped = samples.dropped;
	const struct oi_histogram *h = &oi_world.pauses;
	out->pauses = oi_load_relaxed(&h->n); /* count */
	out->pause_sum_ns = oi_load_relaxed(&h->sum); /* count */
	out->pause_max_ns = oi_load_relaxed(&h->max); /* count */
	out->pause_p50_ns = oi_histogram_quantile(h, 0.5);
	out->pause_p99_ns = oi_histogram_quantile(h, 0.99);
	out->pause_p999_ns = oi_histogram_quantile(h, 0.999);
	out->stop_max_ns = oi_load_relaxed(&oi_world.stop_max_ns); /* count */
	out->pause_off_sum_ns = oi_load_relaxed(&oi_world.off_sum_ns); /* count */
	out->pause_off_max_ns = oi_load_relaxed(&oi_world.off_max_ns); /* count */
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
	enum { SINGLE, PER_GENERATION, PER_CAUSE } kind;
} rows[] = {
#define ROW(field) { #field, offsetof(ouro_stats, field), SINGLE }
#define ROWS(field) { #field, offsetof(ouro_stats, field), PER_GENERATION }
#define CAUSES(field) { #field, offsetof(ouro_stats, field), PER_CAUSE }
	ROW(objects_live),
	ROW(bytes_live),
	ROW(objects_allocated),
	ROW(objects_freed),
	ROW(bytes_reserved),
	ROW(weak_entries),
	ROW(threads),
	ROWS(collections),
	ROWS(collected),
	ROWS(collection_ns),
	ROW(pauses),
	ROW(pause_sum_ns),
	ROW(pause_p50_ns),
	ROW(pause_p99_ns),
	ROW(pause_p999_ns),
	ROW(pause_max_ns),
	ROW(stop_max_ns),
	ROW(delays),
	ROW(delay_sum_ns),
	ROW(delay_max_ns),
	CAUSES(holdups),
	CAUSES(holdup_sum_ns),
	CAUSES(holdup_max_ns),
	ROW(looked),
	ROW(looked_by_helpers),
	ROW(searches),
	ROW(searched),
	ROW(search_found),
	ROW(bytes_huge),
	ROW(external_bytes),
	ROW(samples),
	ROW(samples_dropped),
	ROW(pause_off_sum_ns),
	ROW(pause_off_max_ns),
	ROWS(generation_objects),
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

static void write_text_types(FILE *f)
{
	struct oi_census_row row = { 0 };
	while (oi_census_next(&row))
		fprintf(f, "%-18s %" PRIu64 " objects, %" PRIu64 " bytes, %" PRIu64
			" outside, \"%s\"\n", "type", row.objects, row.bytes, row.external,
			row.name);
}

/* Quotes, backslashes and what is no character are what JSON wants escaped. */
static void write_json_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++)
		if ((unsigned char)*s < 0x20)
			fprintf(f, "\\u%04x", (unsigned char)*s);
		else
			fprintf(f, "%s%c", *s == '"' || *s == '\\' ? "\\" : "", *s);
	fputc('"', f);
}

static void write_json_types(FILE *f)
{
	struct oi_census_row row = { 0 };
	fprintf(f, ", \"types_age_ns\": %" PRIu64 ", \"types\": [", oi_census_age_ns());
	for (bool first = true; oi_census_next(&row); first = false) {
		fputs(first ? "{\"name\": " : ", {\"name\": ", f);
		write_json_string(f, row.name);
		fprintf(f, ", \"objects\": %" PRIu64 ", \"bytes\": %" PRIu64
			", \"external_bytes\": %" PRIu64 "}", row.objects, row.bytes, row.external);
	}
	fputc(']', f);
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
	write_text_types(f);
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
	write_json_types(f);
	fprintf(f, "}\n");
}

int ouro_stats_write(FILE *f, ouro_stats_format format)
{
	if (!f || (unsigned)format > OURO_STATS_OPENMETRICS)
		return EINVAL;
	ouro_stats s;
	ouro_stats_get_sized(&s, sizeof s);
	struct oi_output out = oi_output_begin(f);
	if (format == OURO_STATS_TEXT)
		write_text(f, &s);
	else if (format == OURO_STATS_JSON)
		write_json(f, &s);
	else
		oi_metrics_write(f, &s);
	return oi_output_end(&out);
}
