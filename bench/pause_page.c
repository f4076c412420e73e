/* pause_page.c - the page for people; microseconds unless it says otherwise */
#include "pause_run.h"
#include <unistd.h>

static void print_latency(const char *who, const struct latency *l, double us)
{
	printf("  %-16s %11llu %9.1f %9.1f %9.1f %9.1f %9.1f\n", who, (unsigned long long)l->n,
	       us * (double)latency_percentile(l, 500000), us * (double)latency_percentile(l, 990000),
	       us * (double)latency_percentile(l, 999000), us * (double)latency_percentile(l, 999990),
	       us * (double)l->max);
}

static void print_operations(const struct pause_result *r)
{
	char who[32];

	printf("operation, us    %13s %9s %9s %9s %9s %9s\n", "n", "p50", "p99", "p99.9", "p99.999", "worst");
	for (unsigned i = 0; i < pause_options.threads; i++) {
		snprintf(who, sizeof who, "thread %u", i + 1);
		print_latency(who, &r->workers[i].all, r->us_per_tick);
	}
	print_latency("all", &r->all, r->us_per_tick);
	print_latency("not preempted", &r->alone, r->us_per_tick);
	printf("  operations/s     %11.2f M\n", (double)r->all.n / 1e6 / pause_seconds(r));
}

static void print_stops(const char *who, const struct pause_result *r, int low, int high)
{
	size_t n;
	uint64_t *ns = pause_sorted_stops(r->at[PAUSE_END].n_stops, low, high, &n);

	printf("  %-16s %11zu %9.1f %9.1f %9.1f %9s %9.1f\n", who, n, pause_stop_share(ns, n, .5),
	       pause_stop_share(ns, n, .99), pause_stop_share(ns, n, .999), "", pause_stop_share(ns, n, 1));
	free(ns);
}

/* Nothing of the program runs meanwhile. */
static void print_stood(const struct pause_result *r)
{
	printf("  the world stood still for %.2f %% of the time\n", 100 * pause_stood(r));
}

static void print_all_stops(const struct pause_result *r)
{
	printf("stops, us        %13s %9s %9s %9s %9s %9s\n", "n", "p50", "p99", "p99.9", "", "longest");
	if (r->heap->young) {
		print_stops("young", r, 0, 1);
		print_stops("full", r, 2, 2);
	}
	print_stops("all", r, -1, 2);
	print_stood(r);
}

static void print_ring(const struct pause_ring *ring)
{
	printf("ring of %zu: built in %.2f s, dropped after %.2f s%s; dropping it took its thread %.3f ms\n",
	       pause_options.ring, (double)ring->built_ns / 1e9, (double)ring->dropped_ns / 1e9,
	       (double)ring->dropped_ns > pause_options.seconds * 1e9
		       ? ", TOO LATE to be measured" : "",
	       (double)ring->drop_ns / 1e6);
}

static double mb(size_t kb)
{
	return (double)kb / 1024;
}

static void print_memory(const struct pause_result *r)
{
	double resident = 1024.0 * ((double)r->at[PAUSE_FILLED].resident_kb - (double)r->at[PAUSE_EMPTY].resident_kb);

	printf("memory, MB: payload %.1f; resident: empty %.1f, filled %.1f, peak %.1f, end %.1f\n",
	       pause_payload_bytes() / (1 << 20), mb(r->at[PAUSE_EMPTY].resident_kb),
	       mb(r->at[PAUSE_FILLED].resident_kb), mb(r->peak_kb), mb(r->at[PAUSE_END].resident_kb));
	printf("resident bytes per object on top of its payload, once filled: %.1f\n",
	       (resident - pause_payload_bytes()) / (double)pause_live());
}

static double whole_cpu(const struct pause_result *r)
{
	return (double)(r->at[PAUSE_END].cpu_ns - r->at[PAUSE_FILLED].cpu_ns) / 1e9;
}

static void print_cpu(const struct pause_result *r)
{
	double whole = whole_cpu(r), background = pause_background(r);

	printf("CPU, s: threads %.2f, background %.2f (%.0f %%)\n", whole - background, background,
	       100 * background / whole);
	if (pause_idle(r) >= 0)
		printf("processors idle meanwhile, of all: %.1f %%\n", 100 * pause_idle(r));
}

static void print_title(const struct pause_heap *heap)
{
	printf("\n== %s, %zu live nodes, %u threads, %g s, %s, %u acyclic beside each cycle\n", heap->name,
	       pause_live(), pause_options.threads, pause_options.seconds,
	       pause_options.random && heap->links ? "random graph" : "cycles", pause_options.acyclic);
	if (pause_options.window)
		printf("only the first %zu cycles of each thread's table are replaced\n",
		       pause_options.window);
}

double pause_payload_bytes(void)
{
	return (double)(pause_live() / 2) * (2 * sizeof(struct node) + sizeof(struct node *));
}

double pause_idle(const struct pause_result *r)
{
	double idle = (double)(r->at[PAUSE_END].idle_ns - r->at[PAUSE_FILLED].idle_ns) / 1e9;

	if (!r->at[PAUSE_FILLED].idle_ns)
		return -1;
	return idle / pause_seconds(r) / (double)sysconf(_SC_NPROCESSORS_ONLN);
}

double pause_background(const struct pause_result *r)
{
	double threads = (double)r->ring.cpu_ns / 1e9;

	for (unsigned i = 0; i < pause_options.threads; i++)
		threads += (double)r->workers[i].cpu_ns / 1e9;
	return whole_cpu(r) - threads;
}

double pause_stood(const struct pause_result *r)
{
	return pause_stop_sum(r->at[PAUSE_END].n_stops) / pause_seconds(r);
}

double pause_seconds(const struct pause_result *r)
{
	return (double)(r->at[PAUSE_END].ns - r->at[PAUSE_FILLED].ns) / 1e9;
}

void pause_page(const struct pause_result *r)
{
	print_title(r->heap);
	print_operations(r);
	if (r->heap->stops)
		print_all_stops(r);
	if (pause_options.ring)
		print_ring(&r->ring);
	print_memory(r);
	if (r->heap->page)
		r->heap->page(r);
	print_cpu(r);
}
