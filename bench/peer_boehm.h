/*
 * peer_boehm.h - the Boehm collector, or rows that say it is not there
 *
 * Google Benchmark makes the threads, so each row registers its own: hold a boehm_thread and leave if it
 * is false.
 */
#ifndef OURO_BENCH_PEER_BOEHM_H
#define OURO_BENCH_PEER_BOEHM_H

#include <benchmark/benchmark.h>

#ifdef HAVE_GC

#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include <gc.h>

inline bool boehm_start()
{
	GC_INIT();
	GC_allow_register_threads();
	return true;
}

inline const bool boehm_started = boehm_start();

class boehm_thread {
public:
	explicit boehm_thread(benchmark::State &)
	{
		struct GC_stack_base base;
		GC_get_stack_base(&base);
		registered = GC_register_my_thread(&base) == GC_SUCCESS;
	}
	~boehm_thread()
	{
		if (registered)
			GC_unregister_my_thread();
	}
	boehm_thread(const boehm_thread &) = delete;
	explicit operator bool() const { return true; }

private:
	bool registered;
};

struct boehm {
	static void *alloc(size_t size) { return GC_MALLOC(size); }
	static void release(void *p) { GC_FREE(p); }
	static void collect() { GC_gcollect(); }
};

#else

class boehm_thread {
public:
	explicit boehm_thread(benchmark::State &state) { state.SkipWithError("libgc-dev is not installed"); }
	explicit operator bool() const { return false; }
};

struct boehm {
	static void *alloc(size_t) { return nullptr; }
	static void release(void *) {}
	static void collect() {}
};

#endif
#endif
