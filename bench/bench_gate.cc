/*
 * bench_gate.cc - what it costs to enter and leave a pinned region
 *
 * Every operation of the library is one, so this is the floor under all of them. Peers: the read
 * side of liburcu's memb flavour, inlined, which is the same idea (a store, a compiler barrier,
 * membarrier on the other side), and a bare atomic add and subtract, which is what a gate that
 * counts its visitors would cost. The record of why the gate is as it is.
 */
#include "bench.h"
#include <atomic>
#ifdef HAVE_URCU_MEMB
#define _LGPL_SOURCE
#include <urcu/urcu-memb.h>
#endif

static void gate_once()
{
	ouro_pin();
	benchmark::ClobberMemory();
	ouro_unpin();
}

static void gate_ouro(benchmark::State &state)
{
	for (auto _ : state)
		gate_once();
}

/* Inside a region another one is only a count. */
static void gate_nested(benchmark::State &state)
{
	while (state.KeepRunningBatch(100)) {
		ouro_pin();
		for (int i = 0; i < 100; i++)
			gate_once();
		ouro_unpin();
	}
}

#ifdef HAVE_URCU_MEMB
static void gate_urcu(benchmark::State &state)
{
	urcu_memb_register_thread();
	for (auto _ : state) {
		urcu_memb_read_lock();
		benchmark::ClobberMemory();
		urcu_memb_read_unlock();
	}
	urcu_memb_unregister_thread();
}
#else
static void gate_urcu(benchmark::State &state)
{
	state.SkipWithError("liburcu-dev is not installed");
}
#endif

static std::atomic<uint64_t> visitors;

static void gate_atomic(benchmark::State &state)
{
	for (auto _ : state) {
		visitors.fetch_add(1);
		benchmark::ClobberMemory();
		visitors.fetch_sub(1);
	}
}

BENCHMARK(gate_ouro)->Name("gate/ouro")->ThreadRange(1, 2);
BENCHMARK(gate_nested)->Name("gate_nested/ouro");
BENCHMARK(gate_urcu)->Name("gate/liburcu-memb")->ThreadRange(1, 2);
BENCHMARK(gate_atomic)->Name("gate/atomic")->ThreadRange(1, 2);
