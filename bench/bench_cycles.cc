/*
 * bench_cycles.cc - cyclic garbage, all in: made, dropped, found, destroyed and its memory
 * reusable, whichever thread does it
 *
 * dead_pairs: a million times two nodes that refer to each other are made and dropped; time per
 * pair. With 100 000 live nodes (as pairs) beside them, too. ring: one ring of a million nodes made
 * and dropped; time per node. cut_by_hand: the program cuts each pair before it drops it. No cycle
 * collector but Boehm's can be linked into the same program; "by hand" says what the same work
 * costs one who knows when to free.
 */
#include "bench.h"
#include "peer_boehm.h"
#include "peer_malloc.h"
#include <vector>

enum { BATCH = 1000000, LIVE_PAIRS = 50000 };

struct node {
	node *other;
	uint64_t value;
};

static const ouro_type node_type = bench_type("node", sizeof(node), OURO_SLOTS(node, other));

static std::vector<node *> live;

static node *new_pair()
{
	node *a = bench_new<node>(node_type), *b = bench_new<node>(node_type);

	ouro_store(&a->other, b);
	ouro_store(&b->other, a);
	ouro_release(b);
	return a;
}

static void make_live(const benchmark::State &)
{
	for (int i = 0; i < LIVE_PAIRS; i++)
		live.push_back(new_pair());
}

static void drop_live(const benchmark::State &)
{
	for (node *n : live)
		ouro_release(n);
	live.clear();
	bench_reclaim();
}

static void pairs_ouro(benchmark::State &state)
{
	while (state.KeepRunningBatch(BATCH)) {
		for (int i = 0; i < BATCH; i++)
			ouro_release(new_pair());
		bench_reclaim();
	}
}

/* The same pairs, and the one reference cut that lets the counts do the rest. */
static void pairs_cut(benchmark::State &state)
{
	while (state.KeepRunningBatch(BATCH)) {
		for (int i = 0; i < BATCH; i++) {
			node *a = new_pair();
			ouro_store(&a->other, nullptr);
			ouro_release(a);
		}
		bench_reclaim();
	}
}

static void ring_ouro(benchmark::State &state)
{
	while (state.KeepRunningBatch(BATCH)) {
		node *first = bench_new<node>(node_type), *last = first;

		for (int i = 1; i < BATCH; i++) {
			node *n = bench_new<node>(node_type);
			ouro_give(&last->other, n);
			last = n;
		}
		ouro_give(&last->other, first);
		bench_reclaim();
	}
}

template <class A> static node *raw_new(node *other)
{
	node *n = static_cast<node *>(must(A::alloc(sizeof(node))));

	n->other = other;
	n->value = 0;
	return n;
}

template <class A> static void pairs_by_hand(benchmark::State &state)
{
	if (!A::load(state))
		return;
	while (state.KeepRunningBatch(BATCH))
		for (int i = 0; i < BATCH; i++) {
			node *a = raw_new<A>(nullptr);
			node *b = a->other = raw_new<A>(a);
			benchmark::DoNotOptimize(a);
			A::release(b);
			A::release(a);
		}
}

template <class A> static node *raw_ring()
{
	node *first = raw_new<A>(nullptr), *last = first;

	for (int i = 1; i < BATCH; i++)
		last = last->other = raw_new<A>(nullptr);
	last->other = first;
	return first;
}

template <class A> static void ring_by_hand(benchmark::State &state)
{
	if (!A::load(state))
		return;
	while (state.KeepRunningBatch(BATCH)) {
		node *n = raw_ring<A>();

		for (int i = 0; i < BATCH; i++) {
			node *next = n->other;
			A::release(n);
			n = next;
		}
	}
}

static void pairs_boehm(benchmark::State &state)
{
	boehm_thread here(state);

	if (!here)
		return;
	while (state.KeepRunningBatch(BATCH)) {
		for (int i = 0; i < BATCH; i++) {
			node *a = raw_new<boehm>(nullptr);
			a->other = raw_new<boehm>(a);
			benchmark::DoNotOptimize(a);
		}
		boehm::collect();
	}
}

/* In the program's own data, where the collector looks; the C library's heap is nothing to it. */
static node **boehm_live;

static void make_boehm_live(const benchmark::State &)
{
	boehm_live = static_cast<node **>(boehm::alloc(LIVE_PAIRS * sizeof(node *)));
	for (int i = 0; boehm_live && i < LIVE_PAIRS; i++) {
		node *a = boehm_live[i] = raw_new<boehm>(nullptr);
		a->other = raw_new<boehm>(a);
	}
}

static void drop_boehm_live(const benchmark::State &)
{
	boehm_live = nullptr;
	boehm::collect();
}

static void ring_boehm(benchmark::State &state)
{
	boehm_thread here(state);

	if (!here)
		return;
	while (state.KeepRunningBatch(BATCH)) {
		benchmark::DoNotOptimize(raw_ring<boehm>());
		boehm::collect();
	}
}

#define ROW(row, kind, fn) BENCHMARK(fn)->Name(row "/" kind)->MeasureProcessCPUTime()->UseRealTime()
ROW("dead_pairs", "ouro", pairs_ouro)->ThreadRange(1, bench_threads());
ROW("dead_pairs", "boehm", pairs_boehm)->ThreadRange(1, bench_threads());
ROW("dead_pairs", "malloc by hand", pairs_by_hand<libc>)->ThreadRange(1, bench_threads());
ROW("dead_pairs", "mimalloc by hand", pairs_by_hand<mimalloc>)->ThreadRange(1, bench_threads());
ROW("dead_pairs", "jemalloc by hand", pairs_by_hand<jemalloc>)->ThreadRange(1, bench_threads());
ROW("dead_pairs_cut_by_hand", "ouro", pairs_cut)->ThreadRange(1, bench_threads());
ROW("dead_pairs_cut_by_hand", "malloc by hand", pairs_by_hand<libc>)->ThreadRange(1, bench_threads());
ROW("dead_pairs_beside_100000_live", "ouro", pairs_ouro)->Setup(make_live)->Teardown(drop_live)
	->ThreadRange(1, bench_threads());
ROW("dead_pairs_beside_100000_live", "boehm", pairs_boehm)->Setup(make_boehm_live)->Teardown(drop_boehm_live)
	->ThreadRange(1, bench_threads());
ROW("ring_of_1000000", "ouro", ring_ouro);
ROW("ring_of_1000000", "boehm", ring_boehm);
ROW("ring_of_1000000", "malloc by hand", ring_by_hand<libc>);
ROW("ring_of_1000000", "mimalloc by hand", ring_by_hand<mimalloc>);
ROW("ring_of_1000000", "jemalloc by hand", ring_by_hand<jemalloc>);
