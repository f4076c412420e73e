/*
 * pause_tsv.c - what was measured, for the table and the pictures: one fact a line, fields between
 * tabs
 *
 *   program live figure KIND n p50 p99 p99.9 max     microseconds; KIND: stops, operation, not preempted
 *   program live bucket KIND us n                    n values, none above us, all above the us of the line before
 *   program live rate   n s                          operations in a second, of all threads; measured for s seconds
 *   program live idle   %                           of all processors, meanwhile
 *   program live stood  %                           of the time that stops lasted
 *   program live memory s mb                         resident, s seconds after the measured part began
 *
 * and what one program alone can tell (facts of its struct pause_heap), ouro:
 *   program live slept     %                        of threads' time that they slept for the collector
 *   program live collector ns                       CPU of its own threads for each object that full
 *                                                   collections found dead; these find what is old
 *   program live held      mb                       that objects hold once filled, headers included
 *
 * The file is added to, so that several programs can write into one. pause_python.py writes the
 * same, without the last three.
 */
#include "pause_run.h"

static const char *name;

static void put_figure(FILE *f, const char *kind, uint64_t n, const double us[4])
{
	fprintf(f, "%s\t%zu\tfigure\t%s\t%llu\t%.3f\t%.3f\t%.3f\t%.3f\n", name, pause_options.live, kind,
		(unsigned long long)n, us[0], us[1], us[2], us[3]);
}

/* The last bucket ends at the maximum, which is exact. */
static void put_buckets(FILE *f, const char *kind, const struct latency *l, double us_per_tick)
{
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		uint64_t most = latency_bucket_max(i) < l->max ? latency_bucket_max(i) : l->max;

		if (l->bucket[i])
			fprintf(f, "%s\t%zu\tbucket\t%s\t%.3f\t%llu\n", name, pause_options.live, kind,
				us_per_tick * (double)most, (unsigned long long)l->bucket[i]);
	}
}

static void put_operations(FILE *f, const char *kind, const struct latency *l, double us)
{
	double figures[4] = { us * (double)latency_percentile(l, 500000), us * (double)latency_percentile(l, 990000),
			      us * (double)latency_percentile(l, 999000), us * (double)l->max };

	put_figure(f, kind, l->n, figures);
	put_buckets(f, kind, l, us);
}

static void put_stops(FILE *f, const struct pause_result *r)
{
	static struct latency histogram;
	size_t n;
	uint64_t *ns = pause_sorted_stops(r->at[PAUSE_END].n_stops, -1, 2, &n);
	double figures[4] = { pause_stop_share(ns, n, .5), pause_stop_share(ns, n, .99),
			      pause_stop_share(ns, n, .999), pause_stop_share(ns, n, 1) };

	for (size_t i = 0; i < n; i++)
		latency_record(&histogram, ns[i]);
	put_figure(f, "stops", n, figures);
	put_buckets(f, "stops", &histogram, 1e-3);
	free(ns);
}

FILE *pause_tsv_open(void)
{
	FILE *f = fopen(pause_options.tsv, "a");

	if (!f)
		load_die("the file for the lines does not open");
	return f;
}

void pause_tsv_fact(FILE *f, const char *what, double value)
{
	fprintf(f, "%s\t%zu\t%s\t%.3f\n", name, pause_options.live, what, value);
}

void pause_tsv_memory(FILE *f, const char *program, double seconds, double mb)
{
	fprintf(f, "%s\t%zu\tmemory\t%.3f\t%.1f\n", program, pause_options.live, seconds, mb);
}

void pause_tsv(const struct pause_result *r)
{
	FILE *f;

	if (!pause_options.tsv)
		return;
	f = pause_tsv_open();
	name = r->heap->name;
	if (r->heap->stops)
		put_stops(f, r);
	put_operations(f, "operation", &r->all, r->us_per_tick);
	put_operations(f, "not preempted", &r->alone, r->us_per_tick);
	fprintf(f, "%s\t%zu\trate\t%.0f\t%.3f\n", name, pause_options.live, (double)r->all.n / pause_seconds(r),
		pause_seconds(r));
	if (pause_idle(r) >= 0)
		pause_tsv_fact(f, "idle", 100 * pause_idle(r));
	if (r->heap->stops)
		pause_tsv_fact(f, "stood", 100 * pause_stood(r));
	if (r->heap->facts)
		r->heap->facts(f, r);
	if (fclose(f))
		load_die("the lines cannot be written");
}
