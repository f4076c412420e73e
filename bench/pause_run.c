/*
 * pause_run.c - threads do the work, every operation is timed; beside them, if asked for, a ring is
 * made and dropped
 *
 * Gates: tables made, filled, measured from here, over, CPU time read.
 */
#include "pause_run.h"
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SLOW_NS = 50000 };

atomic_bool pause_over;

static const struct pause_heap *heap;
static struct pause_worker *workers;
static pthread_barrier_t gate;
static uint64_t began_ns; /* the measured part */

/* ---- seeing ---- */

static long involuntary_switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw;
}

uint64_t pause_record_slow(struct pause_worker *w, uint64_t ticks)
{
	long before = w->switches;

	w->switches = involuntary_switches();
	if (w->switches == before)
		latency_record(&w->alone, ticks);
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

/* All processors, since the machine started: also those that this process may not use. */
static uint64_t idle_ns(void)
{
	unsigned long long idle = 0, waiting = 0;
	FILE *f = fopen("/proc/stat", "r");

	if (f && fscanf(f, "cpu %*u %*u %*u %llu %llu", &idle, &waiting) != 2)
		idle = waiting = 0;
	if (f)
		fclose(f);
	return (idle + waiting) * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
}

static struct pause_moment look(int when)
{
	if (heap->look)
		heap->look(when);
	return (struct pause_moment){ latency_ns(CLOCK_MONOTONIC),
				      latency_ns(CLOCK_PROCESS_CPUTIME_ID), idle_ns(),
				      status_kb("VmRSS"), pause_n_stops() };
}

/* ---- the threads that work ---- */

static void enter(void)
{
	if (heap->enter)
		heap->enter();
}

static void leave(void)
{
	if (heap->leave)
		heap->leave();
}

static void *work(void *arg)
{
	struct pause_worker *w = arg;
	struct load *l = &w->load;

	enter();
	l->tables[l->self] = heap->table(l->n_cycles); /* all, before any is filled: links go anywhere */
	pthread_barrier_wait(&gate);
	for (size_t i = 0; i < l->n_cycles; i++)
		heap->replace(l, i);
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	w->switches = involuntary_switches();
	w->cpu_ns = latency_ns(CLOCK_THREAD_CPUTIME_ID);
	heap->churn(w);
	w->cpu_ns = latency_ns(CLOCK_THREAD_CPUTIME_ID) - w->cpu_ns;
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	heap->drop(l);
	leave();
	return NULL;
}

static void start_workers(double ns_per_tick)
{
	unsigned n = pause_options.threads;
	size_t cycles = pause_cycles_each(), window = pause_options.window;
	void **tables = load_must(calloc(n, sizeof *tables));

	workers = load_must(calloc(n, sizeof *workers));
	pthread_barrier_init(&gate, NULL, n + 1);
	for (unsigned i = 0; i < n; i++) {
		workers[i].load = (struct load){
			.tables = tables, .n_tables = n, .self = i, .n_cycles = cycles,
			.n_replaced = window && window < cycles ? window : cycles,
			.n_acyclic = pause_options.acyclic,
			.random = pause_options.random && heap->links,
			.seed = 0x9e3779b97f4a7c15u * (i + 1),
		};
		workers[i].slow_ticks = (uint64_t)(SLOW_NS / ns_per_tick);
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			load_die("no thread");
	}
}

static void join_workers(void)
{
	for (unsigned i = 0; i < pause_options.threads; i++)
		pthread_join(workers[i].thread, NULL);
}

/* ---- the ring ---- */

static void sleep_until(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* Dropped at half time, or when it is built, if that is later. */
static void *make_and_drop_ring(void *arg)
{
	struct pause_ring *r = arg;
	uint64_t start = latency_ns(CLOCK_MONOTONIC);
	void *ring;

	enter();
	ring = heap->ring(pause_options.ring);
	r->built_ns = latency_ns(CLOCK_MONOTONIC) - start;
	sleep_until(began_ns + (uint64_t)(pause_options.seconds * 5e8));
	start = latency_ns(CLOCK_MONOTONIC);
	r->dropped_ns = start - began_ns;
	heap->ring_drop(ring);
	r->drop_ns = latency_ns(CLOCK_MONOTONIC) - start;
	leave();
	r->cpu_ns = latency_ns(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

/* ---- one run ---- */

static void measure(struct pause_result *r, atomic_uint_least64_t *from_ns)
{
	pthread_t ring;

	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	r->at[PAUSE_FILLED] = look(PAUSE_FILLED);
	pause_forget_stops();
	began_ns = r->at[PAUSE_FILLED].ns;
	atomic_store(from_ns, began_ns);
	pthread_barrier_wait(&gate);
	if (pause_options.ring && pthread_create(&ring, NULL, make_and_drop_ring, &r->ring))
		load_die("no thread");
	sleep_until(began_ns + (uint64_t)(pause_options.seconds * 1e9));
	r->at[PAUSE_END] = look(PAUSE_END);
	atomic_store(&pause_over, true);
	pthread_barrier_wait(&gate);
	r->at[PAUSE_END].cpu_ns = latency_ns(CLOCK_PROCESS_CPUTIME_ID); /* as late as the threads read theirs */
	pthread_barrier_wait(&gate);
	if (pause_options.ring)
		pthread_join(ring, NULL);
}

static void add_up(struct pause_result *r)
{
	for (unsigned i = 0; i < pause_options.threads; i++) {
		latency_add(&r->all, &workers[i].all);
		latency_add(&r->alone, &workers[i].alone);
	}
	r->peak_kb = status_kb("VmHWM");
}

int pause_run(const struct pause_heap *h, atomic_uint_least64_t *from_ns)
{
	static struct pause_result r;
	double ns_per_tick = latency_ns_per_tick(200);

	heap = h;
	if (heap->start)
		heap->start();
	r.at[PAUSE_EMPTY] = look(PAUSE_EMPTY);
	start_workers(ns_per_tick);
	measure(&r, from_ns);
	join_workers();
	r.heap = heap;
	r.workers = workers;
	r.us_per_tick = ns_per_tick / 1000;
	add_up(&r);
	pause_page(&r);
	pause_tsv(&r);
	return heap->close ? heap->close() : 0;
}
