/*
 * peer_mimalloc.h - mimalloc, loaded so that it serves only who asks for it; or rows that say it is not
 * there
 *
 * The shared library defines malloc and free as well. RTLD_LOCAL keeps those out of everybody's sight,
 * RTLD_DEEPBIND lets mimalloc see its own; load() checks that a plain malloc still comes from the C
 * library.
 */
#ifndef OURO_BENCH_PEER_MIMALLOC_H
#define OURO_BENCH_PEER_MIMALLOC_H

#include <benchmark/benchmark.h>
#include <cstdlib>
#include <dlfcn.h>

struct mimalloc {
	static inline void *(*alloc)(size_t size);
	static inline void (*release)(void *p);

	static bool load(benchmark::State &state)
	{
		static const bool loaded = open();
		if (!loaded)
			state.SkipWithError("libmimalloc is not installed");
		return loaded;
	}

private:
	static bool open()
	{
		bool (*owns)(const void *);
		void *lib = dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);

		if (!lib)
			return false;
		if (!find(lib, "mi_malloc", alloc) || !find(lib, "mi_free", release) ||
		    !find(lib, "mi_is_in_heap_region", owns))
			return false;
		if (!serves(owns, malloc, free) && serves(owns, alloc, release))
			return true;
		fprintf(stderr, "bench: mimalloc replaced malloc: no figure of malloc would be one\n");
		abort();
	}

	template <class F> static bool find(void *lib, const char *name, F *&fn)
	{
		fn = reinterpret_cast<F *>(dlsym(lib, name));
		return fn != nullptr;
	}

	template <class A, class R> static bool serves(bool (*owns)(const void *), A *alloc_fn, R *release_fn)
	{
		void *p = alloc_fn(32);
		bool answer = owns(p);

		release_fn(p);
		return answer;
	}
};

/* The C library's malloc, under the same names. */
struct libc {
	static void *alloc(size_t size) { return malloc(size); }
	static void release(void *p) { free(p); }
	static bool load(benchmark::State &) { return true; }
};

#endif
