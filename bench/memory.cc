/*
 * memory.cc - resident memory: on top of the payload of each object, and what of it remains when
 * most objects are gone
 *
 * memory list|NAME [REPETITIONS]. Lines are peers/cycles.py's. A repetition is a process of its
 * own, forked before its heap has begun, so that no heap finds what another left. Tables of
 * references were there, and touched, before; a collector has collected, and nothing is done that a
 * program would not do: no malloc_trim, no waiting.
 *
 * per_object_32: a million objects of 32 bytes; bytes each on top of these. freed_90_percent: of
 * two million objects of 16 to 128 bytes nine tenths die, at random; resident memory as a multiple
 * of the payload that is left. churned: a million of them, ten million times one at random is
 * replaced by one of another size; the same.
 */
#include "peer_boehm.h"
#include "peer_malloc.h"
#include "resident.h"
#include <cstring>
#include <memory>
#include <new>
#include <ouro.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

enum { STEP = 16, SIZES = 8, ITEMS = 1000000 };

[[noreturn]] static void die(const char *what)
{
	fprintf(stderr, "memory: %s\n", what);
	exit(1);
}

static void *checked(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

/* Resident: the compiler must not make it a calloc, whose pages come with the first write. */
static void *touched(size_t size)
{
	void *p = checked(malloc(size));

	__asm__ volatile("" : "+r"(p) : : "memory");
	return memset(p, 0, size);
}

template <size_t N> struct payload {
	void *link;
	char rest[N - sizeof(void *)];
};

/* ---- heaps: make() of STEP times 1 to SIZES bytes, drop() ---- */

struct plain_table {
	template <class R> static R *table(size_t n)
	{
		R *t = static_cast<R *>(touched(n * sizeof(R)));

		for (size_t i = 0; i < n; i++)
			new (t + i) R();
		return t;
	}
	static const char *missing() { return nullptr; }
	static void settle() {}
};

struct of_ouro : plain_table {
	typedef void *ref;
	static inline ouro_type types[SIZES];
	static const char *name() { return "ouro"; }
	static void start()
	{
		ouro_init(nullptr);
		for (unsigned i = 0; i < SIZES; i++) {
			types[i].name = "payload";
			types[i].size = (i + 1) * STEP;
			types[i].slots = OURO_SLOTS(payload<STEP>, link);
		}
	}
	static void make(ref &p, unsigned steps) { p = checked(ouro_new(&types[steps - 1])); }
	static void drop(ref &p) { ouro_release(p); }
	static void settle()
	{
		ouro_gc_collect(2);
		ouro_flush();
	}
};

struct of_shared : plain_table {
	typedef std::shared_ptr<void> ref;
	static const char *name() { return "make_shared"; }
	static void start() {}
	static void make(ref &p, unsigned steps) { make_of<SIZES>(p, steps); }
	static void drop(ref &p) { p.reset(); }

private:
	template <unsigned STEPS> static void make_of(ref &p, unsigned steps)
	{
		if constexpr (STEPS > 1)
			if (steps < STEPS)
				return make_of<STEPS - 1>(p, steps);
		p = std::make_shared<payload<STEPS * STEP>>();
	}
};

template <class A> struct of_malloc : plain_table {
	typedef void *ref;
	static void start() {}
	static void make(ref &p, unsigned steps) { p = memset(checked(A::alloc(steps * STEP)), 0, steps * STEP); }
	static void drop(ref &p) { A::release(p); }
};

struct of_libc : of_malloc<libc> {
	static const char *name() { return "malloc"; }
};

struct of_mimalloc : of_malloc<mimalloc> {
	static const char *name() { return "mimalloc"; }
	static const char *missing() { return mimalloc::missing(); }
};

struct of_jemalloc : of_malloc<jemalloc> {
	static const char *name() { return "jemalloc"; }
	static const char *missing() { return jemalloc::missing(); }
};

/* Its table is its own, where it looks for references. */
struct of_boehm {
	typedef void *ref;
	static inline void *kept;
	static const char *name() { return "boehm"; }
	static const char *missing()
	{
#ifdef HAVE_GC
		return nullptr;
#else
		return "libgc-dev is not installed";
#endif
	}
	static void start() {}
	template <class R> static R *table(size_t n)
	{
		kept = checked(boehm::alloc(n * sizeof(R)));
		return static_cast<R *>(memset(kept, 0, n * sizeof(R)));
	}
	static void make(ref &p, unsigned steps) { p = checked(boehm::alloc(steps * STEP)); }
	static void drop(ref &p) { p = nullptr; }
	static void settle()
	{
		boehm::collect();
		boehm::collect();
	}
};

/* ---- rows ---- */

static double resident()
{
	size_t bytes = resident_bytes(getpid());

	if (!bytes)
		die("/proc/self/statm cannot be read");
	return (double)bytes;
}

static unsigned draw(unsigned n)
{
	static uint64_t seed = 88172645463325252u;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 32) * n >> 32);
}

/* What lives, and what it has grown by. */
template <class K> struct heap {
	explicit heap(size_t n_refs) : n(n_refs)
	{
		K::start();
		refs = K::template table<typename K::ref>(n);
		steps = static_cast<unsigned char *>(touched(n));
		before = resident();
	}
	void make(size_t i, unsigned size)
	{
		K::make(refs[i], size);
		steps[i] = (unsigned char)size;
		payload += size * STEP;
	}
	void drop(size_t i)
	{
		K::drop(refs[i]);
		payload -= steps[i] * STEP;
		steps[i] = 0;
	}
	double grown() const
	{
		K::settle();
		return resident() - before;
	}

	size_t n, payload = 0;
	typename K::ref *refs;
	unsigned char *steps;
	double before;
};

template <class K> static double per_object_32()
{
	heap<K> h(ITEMS);

	for (size_t i = 0; i < h.n; i++)
		h.make(i, 32 / STEP);
	return h.grown() / (double)h.n - 32;
}

template <class K> static double freed_90_percent()
{
	heap<K> h(2 * ITEMS);

	for (size_t i = 0; i < h.n; i++)
		h.make(i, 1 + draw(SIZES));
	for (size_t i = 0; i < h.n; i++)
		if (draw(10))
			h.drop(i);
	return h.grown() / (double)h.payload;
}

template <class K> static double churned()
{
	heap<K> h(ITEMS);

	for (size_t i = 0; i < h.n; i++)
		h.make(i, 1 + draw(SIZES));
	for (int k = 0; k < 10 * ITEMS; k++) {
		size_t i = draw(ITEMS);

		h.drop(i);
		h.make(i, 1 + draw(SIZES));
	}
	return h.grown() / (double)h.payload;
}

/* ---- a process for each repetition ---- */

static void in_a_process(const std::string &name, double (*row)(), const char *unit)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		double figure = row();

		printf("%s\t%.6g\t%.6g\t%s\n", name.c_str(), figure, figure, unit);
		fflush(stdout);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		die("a process has failed");
}

static std::string wanted;
static int repetitions = 5;
static bool known;

static void one(const std::string &name, const char *missing, double (*row)(), const char *unit)
{
	if (wanted == "list")
		printf("%s\n", name.c_str());
	if (wanted != name)
		return;
	known = true;
	if (missing)
		fprintf(stderr, "skipped: %s: %s\n", name.c_str(), missing);
	for (int i = 0; i < repetitions && !missing; i++)
		in_a_process(name, row, unit);
}

template <class K> static void rows()
{
	std::string kind = std::string("/") + K::name();

	one("memory_per_object_32" + kind, wanted == "list" ? nullptr : K::missing(), per_object_32<K>, "bytes");
	one("memory_freed_90_percent" + kind, wanted == "list" ? nullptr : K::missing(), freed_90_percent<K>, "x payload");
	one("memory_churned" + kind, wanted == "list" ? nullptr : K::missing(), churned<K>, "x payload");
}

int main(int argc, char **argv)
{
	wanted = argc > 1 ? argv[1] : "";
	repetitions = argc > 2 ? atoi(argv[2]) : 5;
	rows<of_ouro>();
	rows<of_shared>();
	rows<of_libc>();
	rows<of_mimalloc>();
	rows<of_jemalloc>();
	rows<of_boehm>();
	if (!known && wanted != "list")
		die("usage: memory list|NAME [REPETITIONS]");
	return 0;
}
