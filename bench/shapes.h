/*
 * shapes.h - what bench/shapes and bench/read share: threads that work until it is over, and who
 * had the processor
 */
#ifndef OURO_BENCH_SHAPES_H
#define OURO_BENCH_SHAPES_H

#include "latency.h"
#include "pause_load.h"
#include <dirent.h>
#include <ouro.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS_MAX = 64, BATCH = 64 };

struct worker {
	struct load load; /* its random numbers */
	pthread_t thread;
	uint64_t n_operations;
};

static atomic_bool over;

static inline void *make(const ouro_type *type)
{
	return load_must(ouro_new(type));
}

static inline uint64_t task_ns(const char *task)
{
	char path[300], name[32] = "";
	unsigned long long ns = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%s/comm", task);
	f = fopen(path, "r");
	if (f && !fgets(name, sizeof name, f))
		*name = 0;
	if (f)
		fclose(f);
	if (strncmp(name, "ouro-", 5))
		return 0;
	snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", task);
	f = fopen(path, "r");
	if (f && fscanf(f, "%llu", &ns) != 1)
		ns = 0;
	if (f)
		fclose(f);
	return ns;
}

/* CPU time of the library's own threads so far, which are named ouro-something. */
static inline uint64_t servants_ns(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	uint64_t ns = 0;

	while (tasks && (task = readdir(tasks)))
		if (*task->d_name != '.')
			ns += task_ns(task->d_name);
	if (tasks)
		closedir(tasks);
	return ns;
}

struct moment {
	uint64_t ns, cpu_ns, servants_ns;
	ouro_stats stats;
};

static inline struct moment moment_now(void)
{
	struct moment m = { .ns = latency_ns(CLOCK_MONOTONIC), .servants_ns = servants_ns() };

	m.cpu_ns = latency_ns(CLOCK_PROCESS_CPUTIME_ID);
	ouro_stats_get(&m.stats);
	return m;
}

static inline uint64_t collections(const struct moment *from, const struct moment *to)
{
	uint64_t n = 0;

	for (int g = 0; g < 3; g++)
		n += to->stats.collections[g] - from->stats.collections[g];
	return n;
}

static inline void start_workers(struct worker *w, unsigned n, void *(*work)(void *))
{
	for (unsigned i = 0; i < n; i++) {
		w[i].load.self = i;
		w[i].load.seed = 0x9e3779b97f4a7c15u * (i + 1);
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			load_die("no thread");
	}
}

static inline void sleep_ms(unsigned long ms)
{
	struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000L };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* The number that the environment gives, else @usual. */
static inline unsigned long setting(const char *name, unsigned long usual)
{
	const char *value = getenv(name);
	unsigned long n = value ? strtoul(value, NULL, 10) : 0;

	return n ? n : usual;
}

/* SECONDS, which may be less than one, as milliseconds. */
static inline unsigned long seconds_ms(unsigned long usual)
{
	const char *value = getenv("SECONDS");
	double s = value ? strtod(value, NULL) : 0;

	return s > 0 ? (unsigned long)(1000 * s) : 1000 * usual;
}

static inline int end_heap(void)
{
	ouro_report report;

	if (ouro_shutdown(&report))
		load_die("shutdown refused");
	if (report.objects)
		fprintf(stderr, "%zu objects left\n", report.objects);
	return report.objects ? 1 : 0;
}

#endif
