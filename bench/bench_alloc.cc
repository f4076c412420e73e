/*
 * bench_alloc.cc - making and dropping small objects
 *
 * new_release: one at a time, by one thread and by two; the number in the name is the payload in
 * bytes, to which ours adds a header of 16 and std::make_shared one of 16. cyclic: of a type that
 * the collector has to watch. new_release_batch: 1000 made, then dropped in the same order.
 * new_publish_release: the object was in a slot once, so that its memory waits for a grace period.
 * The cross-thread rows are in bench_handover.cc.
 */
#include "bench.h"
#include "peer_boehm.h"
#include "peer_glib.h"
#include "peer_malloc.h"
#include <memory>

template <size_t N> struct payload {
	payload *link;
	char rest[N - sizeof(void *)];
};

template <size_t N> using leaf = payload<N>;

template <size_t N> static const ouro_type leaf_type = bench_type("leaf", N, {}, OURO_ACYCLIC);
template <size_t N> static const ouro_type node_type = bench_type("node", N, OURO_SLOTS(payload<N>, link));

/* Each kind: make() and drop() of one object; ready() says whether it is there. */
template <const ouro_type &type> struct of_ouro {
	typedef void *ref;
	static bool ready(benchmark::State &) { return true; }
	static ref make() { return must(ouro_new(&type)); }
	static void drop(ref &p) { ouro_release(p); }
	static const void *address(const ref &p) { return p; }
};

template <size_t N> struct of_shared {
	typedef std::shared_ptr<payload<N>> ref;
	static bool ready(benchmark::State &) { return true; }
	static ref make() { return std::make_shared<payload<N>>(); }
	static void drop(ref &p) { p.reset(); }
	static const void *address(const ref &p) { return p.get(); }
};

template <class A, size_t N> struct of_malloc {
	typedef void *ref;
	static bool ready(benchmark::State &state) { return A::load(state); }
	static ref make() { return must(A::alloc(N)); }
	static void drop(ref &p) { A::release(p); }
	static const void *address(const ref &p) { return p; }
};

template <size_t N> struct of_gobject : glib {
	typedef void *ref;
	static bool ready(benchmark::State &state) { return glib::load(state); }
	static ref make() { return must(gobject<N>::make()); }
	static void drop(ref &p) { gobject<N>::unref(p); }
	static const void *address(const ref &p) { return p; }
};

template <size_t N, bool FREE> struct of_boehm {
	typedef void *ref;
	static bool ready(benchmark::State &) { return true; }
	static ref make() { return must(boehm::alloc(N)); }
	static void drop(ref &p)
	{
		if (FREE)
			boehm::release(p);
		p = nullptr;
	}
	static const void *address(const ref &p) { return p; }
};

template <class K> static void one_at_a_time(benchmark::State &state)
{
	if (!K::ready(state))
		return;
	for (auto _ : state) {
		typename K::ref p = K::make();
		benchmark::DoNotOptimize(K::address(p));
		K::drop(p);
	}
}

template <class K> static void in_batches(benchmark::State &state)
{
	enum { BATCH = 1000 };
	static thread_local typename K::ref live[BATCH];

	if (!K::ready(state))
		return;
	while (state.KeepRunningBatch(BATCH)) {
		for (auto &p : live)
			p = K::make();
		benchmark::DoNotOptimize(&live);
		for (auto &p : live)
			K::drop(p);
	}
}

template <class K> static void one_at_a_time_registered(benchmark::State &state)
{
	boehm_thread here(state);

	if (here)
		one_at_a_time<K>(state);
}

static void publish(benchmark::State &state)
{
	static thread_local void *slot;

	for (auto _ : state) {
		ouro_slot_give(&slot, must(ouro_new(&node_type<32>)));
		ouro_slot_store(&slot, nullptr);
	}
}

#define ROW(fn, row, kind, ...) BENCHMARK(fn<__VA_ARGS__>)->Name(row "/" kind)->ThreadRange(1, bench_threads())
#define ROWS(N) \
	ROW(one_at_a_time, "new_release_" #N, "ouro", of_ouro<leaf_type<N>>); \
	ROW(one_at_a_time, "new_release_" #N, "make_shared", of_shared<N>); \
	ROW(one_at_a_time, "new_release_" #N, "malloc", of_malloc<libc, N>); \
	ROW(one_at_a_time, "new_release_" #N, "mimalloc", of_malloc<mimalloc, N>); \
	ROW(one_at_a_time, "new_release_" #N, "jemalloc", of_malloc<jemalloc, N>); \
	ROW(one_at_a_time, "new_release_" #N, "g_slice", of_malloc<gslice<N>, N>); \
	ROW(one_at_a_time, "new_release_" #N, "GObject", of_gobject<N>); \
	ROW(one_at_a_time_registered, "new_release_" #N, "boehm", of_boehm<N, false>); \
	ROW(one_at_a_time_registered, "new_release_" #N, "boehm free", of_boehm<N, true>); \
	ROW(one_at_a_time, "new_release_cyclic_" #N, "ouro", of_ouro<node_type<N>>); \
	ROW(one_at_a_time, "new_release_cyclic_" #N, "make_shared", of_shared<N>)

ROWS(16);
ROWS(32);

#define BATCH(row, kind, ...) BENCHMARK(in_batches<__VA_ARGS__>)->Name("new_release_" row "/" kind)
BATCH("batch_32", "ouro", of_ouro<leaf_type<32>>);
BATCH("batch_32", "make_shared", of_shared<32>);
BATCH("batch_32", "malloc", of_malloc<libc, 32>);
BATCH("batch_32", "mimalloc", of_malloc<mimalloc, 32>);
BATCH("batch_32", "jemalloc", of_malloc<jemalloc, 32>);
BATCH("batch_32", "g_slice", of_malloc<gslice<32>, 32>);
BATCH("batch_32", "GObject", of_gobject<32>);
BATCH("batch_cyclic_32", "ouro", of_ouro<node_type<32>>);
BATCH("batch_cyclic_32", "make_shared", of_shared<32>);

BENCHMARK(publish)->Name("new_publish_release_32/ouro")->ThreadRange(1, bench_threads());
BENCHMARK(one_at_a_time<of_shared<32>>)->Name("new_publish_release_32/make_shared")->ThreadRange(1, bench_threads());
