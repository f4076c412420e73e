/*
 * bench.h - what the benchmark files share
 *
 * A row is named subject/implementation; bench/run.sh puts the rows of one subject beside each other,
 * "ouro" first.
 */
#ifndef OURO_BENCH_H
#define OURO_BENCH_H

#include <benchmark/benchmark.h>
#include <cstdio>
#include <cstdlib>
#include <ouro.h>

/*
 * The heap runs from before the first row: its threads also make the process multi-threaded, without
 * which std::shared_ptr would count with plain adds.
 */
inline const bool bench_heap_started = ouro_init(nullptr) == 0;

/* An allocation that must not fail; a benchmark has no better answer. */
inline void *must(void *p)
{
	if (__builtin_expect(!p, 0)) {
		fprintf(stderr, "bench: out of memory\n");
		abort();
	}
	return p;
}

template <class T> T *bench_new(const ouro_type &type)
{
	return static_cast<T *>(must(ouro_new(&type)));
}

inline ouro_type bench_type(const char *name, size_t size, ouro_fields slots = {}, unsigned flags = 0)
{
	ouro_type type = {};
	type.name = name;
	type.size = size;
	type.slots = slots;
	type.flags = flags;
	return type;
}

/*
 * The most threads of the rows that show how it goes with their number: BENCH_THREADS, else @usual. At 8, on a machine
 * with fewer processors, threads take turns, and whoever holds something up while it is off its processor is seen.
 */
inline int bench_threads(int usual = 2)
{
	const char *most = getenv("BENCH_THREADS");
	int n = most ? atoi(most) : 0;

	return n > 0 ? n : usual;
}

/* What was dropped has been found, destroyed and freed: in the timed region it makes the figure all in. */
inline void bench_reclaim()
{
	ouro_gc_collect(2);
	ouro_flush();
}

#endif
