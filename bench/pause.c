/*
 * pause.c - how long are threads held up? Stops, each thread's worst operation, and memory
 *
 * Threads do the work of pause_load.h on live heaps of three sizes. Every single operation is timed, from one
 * time stamp to the next without a gap; every stop is recorded as the library reports it. Each size runs in a
 * process of its own, so that its peak of resident memory is its own.
 *
 * With more threads than processors the scheduler takes a thread off its processor for milliseconds at a
 * time. The line "not preempted" leaves out the operations during which the system counted an involuntary
 * switch of the thread; --baseline does the same work with malloc.
 */
#include "latency.h"
#include "pause_load.h"
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOPS_MAX = 1 << 20, THREADS_MAX = 256, SLOW_NS = 50000 };

struct options {
	size_t live;
	unsigned threads, seconds, acyclic;
	bool random, baseline;
};

struct worker {
	struct load load;
	pthread_t thread;
	uint64_t cpu_ns;
	long switches;             /* involuntary, as last asked for */
	struct latency all, alone; /* alone: without those during which the thread was preempted */
};

struct stops {
	atomic_size_t n;
	struct stop {
		uint64_t ns;
		int generation;
	} at[STOPS_MAX];
};

/* What the process looks like at one moment. */
struct moment {
	uint64_t ns, cpu_ns;
	size_t resident_kb, n_stops;
	ouro_stats stats;
};

static struct options options;
static struct worker *workers;
static struct stops stops;
static double ns_per_tick;
static atomic_bool over;
static pthread_barrier_t gate;

/* ---- recording ---- */

static void on_event(const ouro_gc_event *event, void *arg)
{
	size_t i;

	(void)arg;
	if (event->phase != OURO_PAUSE_STOP)
		return;
	i = atomic_fetch_add(&stops.n, 1);
	if (i < STOPS_MAX)
		stops.at[i] = (struct stop){ event->duration_ns, event->generation };
}

static long involuntary_switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw;
}

static bool was_preempted(struct worker *w)
{
	long before = w->switches;

	w->switches = involuntary_switches();
	return w->switches != before;
}

/* Times are from stamp to stamp; only what asking about a slow one takes is nobody's. */
static uint64_t record(struct worker *w, uint64_t start, uint64_t slow)
{
	uint64_t end = latency_ticks();

	latency_record(&w->all, end - start);
	if (end - start < slow) {
		latency_record(&w->alone, end - start);
		return end;
	}
	if (!was_preempted(w))
		latency_record(&w->alone, end - start);
	return latency_ticks();
}

static size_t status_kb(const char *field)
{
	char line[256];
	size_t kb = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, field, strlen(field)))
			kb = strtoul(line + strlen(field) + 1, NULL, 10);
	if (f)
		fclose(f);
	return kb;
}

static struct moment look(void)
{
	struct moment m = { latency_ns(CLOCK_MONOTONIC), latency_ns(CLOCK_PROCESS_CPUTIME_ID),
			    status_kb("VmRSS"), stops.n, { 0 } };

	if (!options.baseline)
		ouro_stats_get(&m.stats);
	return m;
}

/* ---- the threads ---- */

static void churn_counted(struct worker *w, uint64_t slow)
{
	uint64_t stamp = latency_ticks();

	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		counted_operation(&w->load);
		stamp = record(w, stamp, slow);
	}
}

static void churn_raw(struct worker *w, uint64_t slow)
{
	uint64_t stamp = latency_ticks();

	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		raw_operation(&w->load);
		stamp = record(w, stamp, slow);
	}
}

static void fill(struct load *l)
{
	for (size_t i = 0; i < l->n_cycles; i++)
		if (options.baseline)
			raw_replace(l, i);
		else
			counted_replace(l, i);
}

/* Gates: tables made, filled, measured from here, over, CPU time read. */
static void *work(void *arg)
{
	struct worker *w = arg;

	(options.baseline ? raw_make : counted_make)(&w->load);
	pthread_barrier_wait(&gate);
	fill(&w->load);
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	w->switches = involuntary_switches();
	w->cpu_ns = latency_ns(CLOCK_THREAD_CPUTIME_ID);
	(options.baseline ? churn_raw : churn_counted)(w, (uint64_t)(SLOW_NS / ns_per_tick));
	w->cpu_ns = latency_ns(CLOCK_THREAD_CPUTIME_ID) - w->cpu_ns;
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	(options.baseline ? raw_drop : counted_drop)(&w->load);
	return NULL;
}

static size_t cycles_each(void)
{
	return options.live / 2 / options.threads;
}

static void start_workers(void)
{
	void **tables = load_must(calloc(options.threads, sizeof *tables));

	workers = load_must(calloc(options.threads, sizeof *workers));
	pthread_barrier_init(&gate, NULL, options.threads + 1);
	for (unsigned i = 0; i < options.threads; i++) {
		workers[i].load = (struct load){ tables, options.threads, i, cycles_each(), options.acyclic,
						 options.random, 0x9e3779b97f4a7c15u * (i + 1) };
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			load_die("no thread");
	}
}

static void join_workers(void)
{
	for (unsigned i = 0; i < options.threads; i++)
		pthread_join(workers[i].thread, NULL);
}

/* ---- the page it prints; microseconds unless it says otherwise ---- */

static double us(uint64_t ticks)
{
	return (double)ticks * ns_per_tick / 1000;
}

static void print_latency(const char *who, const struct latency *l)
{
	printf("  %-16s %11llu %9.1f %9.1f %9.1f %9.1f %9.1f\n", who, (unsigned long long)l->n,
	       us(latency_percentile(l, 500000)), us(latency_percentile(l, 990000)),
	       us(latency_percentile(l, 999000)), us(latency_percentile(l, 999990)), us(l->max));
}

static void print_operations(const struct moment *from, const struct moment *to)
{
	static struct latency all, alone;
	char who[32];

	printf("operation, us    %13s %9s %9s %9s %9s %9s\n", "n", "p50", "p99", "p99.9", "p99.999", "worst");
	for (unsigned i = 0; i < options.threads; i++) {
		snprintf(who, sizeof who, "thread %u", i + 1);
		print_latency(who, &workers[i].all);
		latency_add(&all, &workers[i].all);
		latency_add(&alone, &workers[i].alone);
	}
	print_latency("all", &all);
	print_latency("not preempted", &alone);
	printf("  operations/s     %11.2f M\n", (double)all.n * 1e3 / (double)(to->ns - from->ns));
}

static int by_length(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double stop_us(const uint64_t *sorted, size_t n, double share)
{
	size_t rank = (size_t)(share * (double)n + 0.999999);

	return n ? (double)sorted[rank ? rank - 1 : 0] / 1000 : 0;
}

/* Exact: the @recorded first stops, of generations @low to @high, sorted. */
static void print_stops(const char *who, size_t recorded, int low, int high)
{
	uint64_t *ns = load_must(malloc((recorded + 1) * sizeof *ns));
	size_t n = 0;

	for (size_t i = 0; i < recorded && i < STOPS_MAX; i++)
		if (stops.at[i].generation >= low && stops.at[i].generation <= high)
			ns[n++] = stops.at[i].ns;
	qsort(ns, n, sizeof *ns, by_length);
	printf("  %-16s %11zu %9.1f %9.1f %9.1f %9s %9.1f\n", who, n, stop_us(ns, n, .5), stop_us(ns, n, .99),
	       stop_us(ns, n, .999), "", stop_us(ns, n, 1));
	free(ns);
}

static void print_all_stops(const struct moment *to)
{
	printf("stops, us        %13s %9s %9s %9s %9s %9s\n", "n", "p50", "p99", "p99.9", "", "longest");
	print_stops("young", to->n_stops, 0, 1);
	print_stops("full", to->n_stops, 2, 2);
	print_stops("all", to->n_stops, -1, 2);
	printf("  until all stood, longest %45.1f\n", (double)to->stats.stop_max_ns / 1000);
}

static void print_collections(const ouro_stats *from, const ouro_stats *to)
{
	printf("collections      %13s %13s %13s\n", "n", "freed", "ms each");
	for (int g = 0; g < 3; g++) {
		uint64_t n = to->collections[g] - from->collections[g];
		uint64_t ns = to->collection_ns[g] - from->collection_ns[g];

		printf("  generation %d     %11llu %13llu %13.3f\n", g, (unsigned long long)n,
		       (unsigned long long)(to->collected[g] - from->collected[g]),
		       n ? (double)ns / (double)n / 1e6 : 0);
	}
}

static double mb(double bytes)
{
	return bytes / (1 << 20);
}

/* What the nodes and the tables hold for the program, without anything of the library's. */
static double payload_bytes(void)
{
	double cycles = (double)cycles_each() * options.threads;

	return cycles * (2 * sizeof(struct node) + sizeof(struct node *));
}

static void print_per_object(const struct moment *empty, const struct moment *full)
{
	double n = 2 * (double)cycles_each() * options.threads, payload = payload_bytes();
	double resident = 1024.0 * (double)(full->resident_kb - empty->resident_kb);

	printf("bytes per object on top of its payload, once filled: resident %.1f",
	       (resident - payload) / n);
	if (!options.baseline)
		printf(", live %.1f, reserved %.1f", ((double)full->stats.bytes_live - payload) / n,
		       ((double)full->stats.bytes_reserved - payload) / n);
	printf("\n");
}

static void print_memory(const struct moment *empty, const struct moment *from, const struct moment *to)
{
	printf("memory, MB: payload %.1f; resident: empty %.1f, filled %.1f, peak %.1f, end %.1f\n",
	       mb(payload_bytes()), mb(1024.0 * (double)empty->resident_kb),
	       mb(1024.0 * (double)from->resident_kb), mb(1024.0 * (double)status_kb("VmHWM")),
	       mb(1024.0 * (double)to->resident_kb));
	if (!options.baseline)
		printf("  at the end: live %.1f, reserved %.1f\n", mb((double)to->stats.bytes_live),
		       mb((double)to->stats.bytes_reserved));
	print_per_object(empty, from);
}

static void print_cpu(const struct moment *from, const struct moment *to)
{
	double whole = (double)(to->cpu_ns - from->cpu_ns) / 1e9, threads = 0;

	for (unsigned i = 0; i < options.threads; i++)
		threads += (double)workers[i].cpu_ns / 1e9;
	printf("CPU, s: threads %.2f, background %.2f (%.0f %%)\n", threads, whole - threads,
	       100 * (whole - threads) / whole);
}

static void print_title(void)
{
	printf("\n== %s, %zu live nodes, %u threads, %u s, %s, %u acyclic beside each cycle\n",
	       options.baseline ? "malloc" : "ouro", cycles_each() * 2 * options.threads, options.threads,
	       options.seconds, options.random ? "random graph" : "cycles", options.acyclic);
}

/* ---- one size ---- */

static int close_heap(void)
{
	ouro_report report;
	uint64_t ns = latency_ns(CLOCK_MONOTONIC);

	if (ouro_shutdown(&report))
		load_die("shutdown refused");
	ns = latency_ns(CLOCK_MONOTONIC) - ns;
	printf("shutdown: %zu objects left, %.1f ms\n", report.objects, (double)ns / 1e6);
	return report.objects ? 1 : 0;
}

static void measure(struct moment *from, struct moment *to)
{
	struct timespec length = { (time_t)options.seconds, 0 };

	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	*from = look();
	atomic_store(&stops.n, 0);
	pthread_barrier_wait(&gate);
	nanosleep(&length, NULL);
	*to = look();
	atomic_store(&over, true);
	pthread_barrier_wait(&gate);
	to->cpu_ns = latency_ns(CLOCK_PROCESS_CPUTIME_ID); /* as late as the threads read theirs */
	pthread_barrier_wait(&gate);
}

static int run(void)
{
	struct moment empty, from, to;

	ns_per_tick = latency_ns_per_tick(200);
	if (!options.baseline && (ouro_init(NULL) || ouro_gc_on_event(on_event, NULL)))
		load_die("the heap does not start");
	empty = look();
	start_workers();
	measure(&from, &to);
	join_workers();
	print_title();
	print_operations(&from, &to);
	if (!options.baseline) {
		print_all_stops(&to);
		print_collections(&from.stats, &to.stats);
	}
	print_memory(&empty, &from, &to);
	print_cpu(&from, &to);
	return options.baseline ? 0 : close_heap();
}

static int run_in_a_process(size_t live)
{
	int status;
	pid_t child;

	fflush(stdout);
	options.live = live;
	child = fork();
	if (child == 0)
		exit(run());
	if (child < 0 || waitpid(child, &status, 0) < 0)
		load_die("no process");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- the command line ---- */

static _Noreturn void usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: pause [--live N] [--threads N] [--seconds N] [--graph cycles|random]\n"
		"             [--acyclic N] [--baseline]\n"
		"default: 100000, 1000000 and 10000000 live nodes, 4 threads, 8 s, cycles, 1\n");
	exit(status);
}

static size_t number(const char *s, size_t min, size_t max)
{
	char *end;
	unsigned long long n = strtoull(s, &end, 10);

	if (!*s || *s == '-' || *end || n < min || n > max) {
		fprintf(stderr, "pause: %s: not a number from %zu to %zu\n", s, min, max);
		exit(2);
	}
	return (size_t)n;
}

static bool is_random(const char *graph)
{
	if (strcmp(graph, "random") && strcmp(graph, "cycles"))
		usage(2);
	return *graph == 'r';
}

static void parse(int argc, char **argv)
{
	static const struct option names[] = {
		{ "live", 1, NULL, 'l' }, { "threads", 1, NULL, 't' }, { "seconds", 1, NULL, 's' },
		{ "graph", 1, NULL, 'g' }, { "acyclic", 1, NULL, 'a' }, { "baseline", 0, NULL, 'b' },
		{ "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		switch (c) {
		case 'l': options.live = number(optarg, 2, (size_t)1 << 40); break;
		case 't': options.threads = (unsigned)number(optarg, 1, THREADS_MAX); break;
		case 's': options.seconds = (unsigned)number(optarg, 1, 86400); break;
		case 'g': options.random = is_random(optarg); break;
		case 'a': options.acyclic = (unsigned)number(optarg, 0, 1000); break;
		case 'b': options.baseline = true; break;
		case 'h': usage(0);
		default: usage(2);
		}
	if (optind != argc)
		usage(2);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 100000, 1000000, 10000000 };
	int status = 0;

	options = (struct options){ 0, 4, 8, 1, false, false };
	parse(argc, argv);
	if (options.live && options.live / 2 < options.threads)
		load_die("each thread needs two nodes");
	if (options.live)
		return run_in_a_process(options.live);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		status |= run_in_a_process(sizes[i]);
	return status;
}
