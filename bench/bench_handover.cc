/*
 * bench_handover.cc - objects of 32 bytes made in one thread and dropped in another
 *
 * The benchmark's thread makes, a thread of the row's own drops, a small ring lies between. An
 * iteration is one object; the wall time is what counts, the CPU time is that of both threads. The
 * row "nothing" hands over the same pointer again and again: what the ring costs. With one core
 * free only, all of them measure the scheduler.
 */
#include "bench.h"
#include "handover.h"
#include "peer_boehm.h"
#include "peer_glib.h"
#include "peer_malloc.h"
#include <memory>
#include <thread>

struct payload {
	uint64_t value[4];
};

static const ouro_type type = bench_type("payload", sizeof(payload), {}, OURO_ACYCLIC);

/* Each kind: a reference that is false when default-made, make() and drop(). */
struct of_nothing {
	typedef void *ref;
	static ref make() { return const_cast<ouro_type *>(&type); }
	static void drop(ref p) { benchmark::DoNotOptimize(p); }
};

struct of_ouro {
	typedef void *ref;
	static ref make() { return must(ouro_new(&type)); }
	static void drop(ref p) { ouro_release(p); }
};

struct of_shared {
	typedef std::shared_ptr<payload> ref;
	static ref make() { return std::make_shared<payload>(); }
	static void drop(ref p) { p.reset(); }
};

template <class A> struct of_malloc {
	typedef void *ref;
	static ref make() { return must(A::alloc(sizeof(payload))); }
	static void drop(ref p) { A::release(p); }
};

struct of_gobject {
	typedef void *ref;
	static ref make() { return must(gobject<sizeof(payload)>::make()); }
	static void drop(ref p) { gobject<sizeof(payload)>::unref(p); }
};

/* Who drops keeps nothing: it need not be registered with the collector to forget a pointer. */
struct of_boehm {
	typedef void *ref;
	static ref make() { return must(boehm::alloc(sizeof(payload))); }
	static void drop(ref p) { benchmark::DoNotOptimize(p); }
};

template <class K> static void drop_until_empty(handover<typename K::ref> &ring)
{
	while (typename K::ref p = ring.pop())
		K::drop(std::move(p));
}

template <class K> static void hand_over(benchmark::State &state)
{
	static handover<typename K::ref> ring;
	std::thread other(drop_until_empty<K>, std::ref(ring));

	for (auto _ : state)
		ring.push(K::make());
	ring.push(typename K::ref());
	other.join();
}

template <class A> static void hand_over_loaded(benchmark::State &state)
{
	if (A::load(state))
		hand_over<of_malloc<A>>(state);
}

static void hand_over_gobject(benchmark::State &state)
{
	if (glib::load(state))
		hand_over<of_gobject>(state);
}

static void hand_over_boehm(benchmark::State &state)
{
	boehm_thread here(state);

	if (here)
		hand_over<of_boehm>(state);
}

#define ROW(kind, ...) \
	BENCHMARK(__VA_ARGS__)->Name("make_here_drop_there/" kind)->MeasureProcessCPUTime()->UseRealTime()
ROW("ouro", hand_over<of_ouro>);
ROW("make_shared", hand_over<of_shared>);
ROW("malloc", hand_over<of_malloc<libc>>);
ROW("mimalloc", hand_over_loaded<mimalloc>);
ROW("jemalloc", hand_over_loaded<jemalloc>);
ROW("g_slice", hand_over_loaded<gslice<sizeof(payload)>>);
ROW("GObject", hand_over_gobject);
ROW("boehm", hand_over_boehm);
ROW("nothing", hand_over<of_nothing>);
