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

/* What was dropped has been found, destroyed and freed: in the timed region it makes the figure all in. */
inline void bench_reclaim()
{
	ouro_gc_collect(2);
	ouro_flush();
}

#endif
