/*
 * metrics.c - the statistics in the text format of OpenMetrics
 *
 * Names and units follow its rules, not the names of fields: times are in seconds, and those of
 * which there are many are histograms, as percentiles since the start can be neither added up nor
 * asked of the last five minutes. A histogram's count is the sum of its buckets, so that they fit
 * together while threads add to them.
 */
#include "inspect/metrics.h"

#include "inspect/census.h"

#include <inttypes.h>

#include "base/buckets.h"
#include "base/holdup.h"
#include "count/delay.h"
#include "world/world.h"

enum labels { SINGLE, GENERATION, CAUSE };

struct family {
	const char *name, *type, *help;
	bool seconds; /* the field is in nanoseconds */
	enum labels labels;
	size_t offset;
};

#define FAMILY(name, type, seconds, labels, field, help) \
	{ name, type, help, seconds, labels, offsetof(ouro_stats, field) }
#define GAUGE(field, help) FAMILY(#field, "gauge", false, SINGLE, field, help)
#define COUNTER(field, help) FAMILY(#field, "counter", false, SINGLE, field, help)

static const struct family plain[] = {
	GAUGE(objects_live, "Objects alive"),
	GAUGE(bytes_live, "Bytes of live objects, headers included"),
	COUNTER(objects_allocated, "Objects made"),
	COUNTER(objects_freed, "Objects destroyed"),
	GAUGE(bytes_reserved, "Bytes held from the system for the heap and its metadata"),
	GAUGE(weak_entries, "Objects with weak references or watches"),
	GAUGE(threads, "Threads attached"),
	FAMILY("generation_objects", "gauge", false, GENERATION, generation_objects,
	       "Live objects that can refer to others, by generation"),
	FAMILY("collections", "counter", false, GENERATION, collections, "Collections run"),
	FAMILY("collected", "counter", false, GENERATION, collected,
	       "Objects found unreachable and not resurrected"),
	FAMILY("collection_seconds", "counter", true, GENERATION, collection_ns,
	       "Time spent in collections"),
	FAMILY("pause_max_seconds", "gauge", true, SINGLE, pause_max_ns, "Longest stop"),
	FAMILY("stop_max_seconds", "gauge", true, SINGLE, stop_max_ns,
	       "Longest wait from asking for a stop to having it"),
	FAMILY("pause_off_seconds", "counter", true, SINGLE, pause_off_sum_ns,
	       "Time in stops for which the thread that had them did not run"),
	FAMILY("pause_off_max_seconds", "gauge", true, SINGLE, pause_off_max_ns,
	       "Longest such time in one stop"),
	FAMILY("delay_max_seconds", "gauge", true, SINGLE, delay_max_ns,
	       "Longest delay of an allocation because the collector lagged behind"),
	FAMILY("holdup_max_seconds", "gauge", true, CAUSE, holdup_max_ns,
	       "Longest call that was held up, by cause"),
	COUNTER(looked, "Objects that collections beside the program looked at"),
	COUNTER(looked_by_helpers, "Those of them that helpers of the collector looked at"),
	COUNTER(searches, "Objects from which old garbage was searched for"),
	COUNTER(searched, "Objects looked at in these searches"),
	COUNTER(search_found, "Objects that these searches took for garbage"),
	GAUGE(bytes_huge, "Bytes of the heap that are mapped by huge pages"),
	GAUGE(samples, "Live objects of which it is known where they were made"),
	COUNTER(samples_dropped, "Objects sampled that there was no room to note"),
	GAUGE(external_bytes, "Bytes that objects own outside of the heap, as the program says"),
};

static void write_head(FILE *f, const char *name, const char *type, bool seconds, const char *help)
{
	fprintf(f, "# TYPE ouro_%s %s\n", name, type);
	if (seconds)
		fprintf(f, "# UNIT ouro_%s seconds\n", name);
	fprintf(f, "# HELP ouro_%s %s\n", name, help);
}

static void write_seconds(FILE *f, uint64_t ns)
{
	fprintf(f, " %" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

static void write_labels(FILE *f, enum labels labels, int i)
{
	if (labels == GENERATION)
		fprintf(f, "{generation=\"%d\"}", i);
	if (labels == CAUSE)
		fprintf(f, "{cause=\"%s\"}", oi_holdup_name((ouro_holdup)i));
}

static void write_plain(FILE *f, const struct family *m, const uint64_t *value)
{
	static const int n_values[] = { 1, 3, OURO_HOLDUPS };
	write_head(f, m->name, m->type, m->seconds, m->help);
	for (int i = 0; i < n_values[m->labels]; i++) {
		fprintf(f, "ouro_%s%s", m->name, m->type[0] == 'c' ? "_total" : "");
		write_labels(f, m->labels, i);
		if (m->seconds)
			write_seconds(f, value[i]);
		else
			fprintf(f, " %" PRIu64 "\n", value[i]);
	}
}

/* @cause: NULL, or the value of that label. */
static void write_buckets(FILE *f, const char *name, const struct oi_buckets *b, const char *cause)
{
	uint64_t n = 0, sum = oi_load_relaxed(&b->sum_ns); /* count */
	char label[32] = "";
	if (cause)
		snprintf(label, sizeof label, "cause=\"%s\"", cause);
	for (unsigned i = 0; i < OI_BUCKETS; i++) {
		n += oi_load_relaxed(&b->n[i]); /* count */
		fprintf(f, "ouro_%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, label,
			cause ? "," : "", oi_buckets_bound(i), n);
	}
	const char *open = cause ? "{" : "", *close = cause ? "}" : "";
	fprintf(f, "ouro_%s_count%s%s%s %" PRIu64 "\n", name, open, label, close, n);
	fprintf(f, "ouro_%s_sum%s%s%s", name, open, label, close);
	write_seconds(f, sum);
}

static void write_histograms(FILE *f)
{
	write_head(f, "pause_seconds", "histogram", true, "Stops of the world");
	write_buckets(f, "pause_seconds", &oi_world.times, NULL);
	write_head(f, "delay_seconds", "histogram", true,
		   "Delays of allocations because the collector lagged behind");
	write_buckets(f, "delay_seconds", oi_delay_times(), NULL);
	write_head(f, "holdup_seconds", "histogram", true,
		   "Calls held up for longer than the pause budget, by cause");
	for (int i = 0; i < OURO_HOLDUPS; i++)
		write_buckets(f, "holdup_seconds", oi_holdup_times((ouro_holdup)i),
			      oi_holdup_name((ouro_holdup)i));
}

/* As the text format has label values: a backslash before quotes and backslashes, \\n. */
static void write_label_value(FILE *f, const char *s)
{
	for (; *s; s++)
		if (*s == '\n')
			fputs("\\n", f);
		else
			fprintf(f, "%s%c", *s == '"' || *s == '\\' ? "\\" : "", *s);
}

/*
 * A program may make types without end, as one that loads plugins or gives each tenant its own;
 * what scrapes it is not to get rows without end.
 */
#define TYPES_MOST 100

struct types {
	struct oi_census_row row[TYPES_MOST], others;
	size_t n;
};

static void read_types(struct types *t)
{
	t->n = oi_census_largest(t->row, TYPES_MOST, &t->others);
	t->others.name = t->others.objects ? "(other)" : NULL;
}

/* @offset: of the field. */
static void write_types_of(FILE *f, const struct types *t, const char *name, const char *help,
			   size_t offset)
{
	write_head(f, name, "gauge", false, help);
	for (size_t i = 0; i <= t->n; i++) {
		const struct oi_census_row *row = i < t->n ? &t->row[i] : &t->others;
		if (!row->name)
			continue;
		fprintf(f, "ouro_%s{type=\"", name);
		write_label_value(f, row->name);
		fprintf(f, "\",number=\"%u\"} %" PRIu64 "\n", row->number,
			*(const uint64_t *)(const void *)((const char *)row + offset));
	}
}

static void write_types(FILE *f)
{
	struct types t;
	read_types(&t);
	write_types_of(f, &t, "type_objects", "Objects by type, in the last census",
		       offsetof(struct oi_census_row, objects));
	write_types_of(f, &t, "type_bytes", "Their bytes, headers included",
		       offsetof(struct oi_census_row, bytes));
	write_types_of(f, &t, "type_external_bytes", "Bytes that they own outside of the heap",
		       offsetof(struct oi_census_row, external));
	write_head(f, "census_age_seconds", "gauge", true, "How old that census is");
	fputs("ouro_census_age_seconds", f);
	write_seconds(f, oi_census_age_ns());
}

void oi_metrics_write(FILE *f, const ouro_stats *s)
{
	for (const struct family *m = plain; m < plain + sizeof plain / sizeof *plain; m++)
		write_plain(f, m, (const uint64_t *)(const void *)((const char *)s + m->offset));
	write_histograms(f);
	write_types(f);
	fprintf(f, "# EOF\n");
}
