/*
 * peer_malloc.h - the C library's malloc, and others loaded so that they serve only who asks for them; or rows that say
 * they are not there
 *
 * Such a library defines malloc and free as well. RTLD_LOCAL keeps those out of everybody's sight, RTLD_DEEPBIND lets
 * it see its own; load() checks that a plain malloc still comes from the C library.
 *
 * jemalloc asks for more thread-local memory than the dynamic linker keeps for libraries loaded later, unless the
 * environment says GLIBC_TUNABLES=glibc.rtld.optional_static_tls=8192, as peer_env.sh has it.
 */
#ifndef OURO_BENCH_PEER_MALLOC_H
#define OURO_BENCH_PEER_MALLOC_H

#include <benchmark/benchmark.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>

/* The C library's, under the same names as the others. */
struct libc {
	static void *alloc(size_t size) { return malloc(size); }
	static void release(void *p) { free(p); }
	static bool load(benchmark::State &) { return true; }
};

template <class F> static bool find_symbol(void *lib, const char *name, F *&fn)
{
	fn = reinterpret_cast<F *>(dlsym(lib, name));
	return fn != nullptr;
}

typedef void *malloc_fn(size_t);
typedef void free_fn(void *);

/* Each library: its names, and whether it is what serves an allocation. */
struct mimalloc_library {
	static constexpr const char *name = "mimalloc", *file = "libmimalloc.so.2", *alloc = "mi_malloc", *release = "mi_free";
	static inline bool (*in_heap)(const void *);
	static bool open(void *lib) { return find_symbol(lib, "mi_is_in_heap_region", in_heap); }
	static bool serves(malloc_fn *alloc_one, free_fn *release_one)
	{
		void *p = alloc_one(32);
		bool answer = in_heap(p);

		release_one(p);
		return answer;
	}
};

struct jemalloc_library {
	static constexpr const char *name = "jemalloc", *file = "libjemalloc.so.2", *alloc = "malloc", *release = "free";
	static inline int (*control)(const char *, void *, size_t *, void *, size_t);
	static bool open(void *lib) { return find_symbol(lib, "mallctl", control); }
	/* Told from its count of bytes; asked about another's block it crashes. */
	static bool serves(malloc_fn *alloc_one, free_fn *release_one)
	{
		uint64_t before = allocated();
		void *p = alloc_one(32);
		bool answer = allocated() != before;

		release_one(p);
		return answer;
	}

private:
	static uint64_t allocated()
	{
		uint64_t bytes = 0;
		size_t size = sizeof bytes;

		control("thread.allocated", &bytes, &size, nullptr, 0);
		return bytes;
	}
};

template <class L> struct loaded_malloc {
	static inline malloc_fn *alloc;
	static inline free_fn *release;

	/* NULL if it is there, else why not. */
	static const char *missing()
	{
		static const bool there = open();
		return there ? nullptr : why;
	}

	static bool load(benchmark::State &state)
	{
		if (missing())
			state.SkipWithError(missing());
		return !missing();
	}

private:
	static inline char why[256];

	static bool open()
	{
		void *lib = dlopen(L::file, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);

		if (!lib)
			snprintf(why, sizeof why, "%s", dlerror());
		else if (!find_symbol(lib, L::alloc, alloc) || !find_symbol(lib, L::release, release) || !L::open(lib))
			snprintf(why, sizeof why, "%s lacks a function", L::file);
		else
			return check();
		return false;
	}

	static bool check()
	{
		if (!L::serves(malloc, free) && L::serves(alloc, release))
			return true;
		fprintf(stderr, "bench: %s replaced malloc: no figure of malloc would be one\n", L::name);
		abort();
	}
};

typedef loaded_malloc<mimalloc_library> mimalloc;
typedef loaded_malloc<jemalloc_library> jemalloc;

#endif
