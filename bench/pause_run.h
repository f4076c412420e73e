/*
 * pause_run.h - one run of bench/pause or of a peer: what a heap brings, and what the common parts do with it
 *
 * A program is a struct pause_heap and a main that calls pause_main; pause_*.c do the rest:
 *
 *   pause_options.c   the command line
 *   pause_process.c   a process for each size, its resident memory as time goes by, is there room for it
 *   pause_run.c       threads, gates, the ring, what is measured from when to when
 *   pause_stops.c     the stops that the heap reports
 *   pause_page.c      the page for people
 *   pause_tsv.c       the lines for the table and the pictures
 */
#ifndef OURO_BENCH_PAUSE_RUN_H
#define OURO_BENCH_PAUSE_RUN_H

#include "latency.h"
#include "pause_load.h"
#include <pthread.h>
#include <stdatomic.h>

/* ---- what a program brings ---- */

struct pause_worker {
	struct load load;
	pthread_t thread;
	uint64_t cpu_ns, slow_ticks; /* slow: worth asking whether the thread was preempted */
	long switches;               /* involuntary, as last asked for */
	struct latency all, alone;   /* alone: without those during which the thread was preempted */
};

struct pause_result;

/* NULL where there is nothing to do. look: statistics of its own, as the heap is empty, filled, at the end. */
struct pause_heap {
	const char *name;
	size_t node_bytes;            /* resident, at most, for each live node: to see whether there is room */
	bool links, stops, young;     /* can do the random graph; reports stops; young ones among them */
	void (*start)(void);
	void (*enter)(void), (*leave)(void); /* each thread, before and after everything else */
	void *(*table)(size_t n_cycles);
	void (*replace)(struct load *, size_t i);
	void (*churn)(struct pause_worker *); /* pause_churn with an operation */
	void (*drop)(struct load *);
	void *(*ring)(size_t n);
	void (*ring_drop)(void *);
	void (*look)(int when);
	void (*page)(const struct pause_result *); /* what only this heap has to say */
	void (*facts)(FILE *, const struct pause_result *); /* lines for pause_tsv.c, likewise */
	int (*close)(void);                        /* returns the exit status */
};

enum { PAUSE_EMPTY, PAUSE_FILLED, PAUSE_END, PAUSE_MOMENTS };

int pause_main(int argc, char **argv, const struct pause_heap *heap);
void pause_stop(uint64_t ns, int generation); /* a stop is over; from any thread */

/* ---- timing single operations ---- */

extern atomic_bool pause_over;

uint64_t pause_record_slow(struct pause_worker *w, uint64_t ticks);

/* Times are from stamp to stamp; only what asking about a slow one takes is nobody's. */
static inline uint64_t pause_record(struct pause_worker *w, uint64_t start)
{
	uint64_t end = latency_ticks();

	latency_record(&w->all, end - start);
	if (end - start >= w->slow_ticks)
		return pause_record_slow(w, end - start);
	latency_record(&w->alone, end - start);
	return end;
}

/* Always inline, so that calling the operation costs no heap more than it costs another. */
__attribute__((always_inline)) static inline void pause_churn(struct pause_worker *w, void (*operation)(struct load *))
{
	uint64_t stamp = latency_ticks();

	while (!atomic_load_explicit(&pause_over, memory_order_relaxed)) {
		operation(&w->load);
		stamp = pause_record(w, stamp);
	}
}

/* ---- between the common parts ---- */

struct pause_options {
	size_t live, ring; /* nodes; live 0: the three usual sizes */
	size_t window;     /* cycles of each table that are replaced; 0: all */
	unsigned threads, acyclic;
	double seconds;
	bool random;
	const char *tsv; /* a file to add lines to, or NULL */
};

/* What the process looks like at one moment. */
struct pause_moment {
	uint64_t ns, cpu_ns, idle_ns; /* idle: of all processors; 0: the system does not say */
	size_t resident_kb, n_stops;
};

struct pause_ring {
	uint64_t built_ns, dropped_ns, drop_ns, cpu_ns; /* built, drop: how long; dropped: when, from the start */
};

struct pause_result {
	const struct pause_heap *heap;
	const struct pause_worker *workers;
	struct latency all, alone;
	struct pause_moment at[PAUSE_MOMENTS];
	struct pause_ring ring;
	size_t peak_kb;
	double us_per_tick;
};

extern struct pause_options pause_options;

void pause_parse(int argc, char **argv);
size_t pause_cycles_each(void);
size_t pause_live(void); /* what --live comes to, in whole cycles for each thread */

/* Sets *from_ns when the measured part begins. Returns the exit status. */
int pause_run(const struct pause_heap *heap, atomic_uint_least64_t *from_ns);

size_t pause_n_stops(void);
void pause_forget_stops(void);
/* New array, sorted, of the first @n_stops stops, those of generations @low to @high; *n: how many they are. */
uint64_t *pause_sorted_stops(size_t n_stops, int low, int high, size_t *n);
/* In microseconds. */
double pause_stop_share(const uint64_t *sorted, size_t n, double share);
/* In seconds, of the first @n_stops. */
double pause_stop_sum(size_t n_stops);

void pause_page(const struct pause_result *r);
double pause_payload_bytes(void); /* what nodes and tables hold for the program */
double pause_idle(const struct pause_result *); /* share of the processors; -1: unknown */
double pause_background(const struct pause_result *); /* seconds of CPU, without the threads' */
double pause_stood(const struct pause_result *); /* share of the time that the stops lasted */
double pause_seconds(const struct pause_result *r);

void pause_tsv(const struct pause_result *r);
FILE *pause_tsv_open(void);
void pause_tsv_fact(FILE *f, const char *what, double value);
void pause_tsv_memory(FILE *f, const char *name, double seconds, double mb);

#endif
