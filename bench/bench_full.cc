/*
 * bench_full.cc - a full collection that finds nothing: time per live object
 *
 * The live heap is a random graph: each object has four slots that refer to any four, and all are
 * in one array. What the row shows is the background work that a large heap costs each time; nobody
 * is stopped meanwhile. Boehm's collector stops every thread for it, and marks with as many threads
 * as there are processors.
 */
#include "bench.h"
#include "peer_boehm.h"
#include <random>
#include <vector>

struct node {
	node *slot[4];
};

struct table {
	size_t n;
	node *item[];
};

static const ouro_type node_type = bench_type("node", sizeof(node), OURO_SLOTS(node, slot));

static ouro_type make_table_type()
{
	ouro_type type = bench_type("table", offsetof(table, item));
	type.item_size = sizeof(node *);
	type.item_slots = OURO_ITEM_REFS;
	return type;
}

static const ouro_type table_type = make_table_type();

static void full_ouro(benchmark::State &state)
{
	size_t n = (size_t)state.range(0);
	std::mt19937_64 random(1);
	table *t = static_cast<table *>(must(ouro_new_items(&table_type, n)));

	for (size_t i = 0; i < n; i++)
		ouro_give(&t->item[i], bench_new<node>(node_type));
	for (size_t i = 0; i < n; i++)
		for (node *&slot : t->item[i]->slot)
			ouro_store(&slot, t->item[random() % n]);
	ouro_gc_collect(2);
	while (state.KeepRunningBatch((int64_t)n))
		ouro_gc_collect(2);
	ouro_release(t);
	bench_reclaim();
}

static void full_boehm(benchmark::State &state)
{
	boehm_thread here(state);
	size_t n = (size_t)state.range(0);
	std::mt19937_64 random(1);

	if (!here)
		return;
	node **item = static_cast<node **>(must(boehm::alloc(n * sizeof(node *))));
	for (size_t i = 0; i < n; i++)
		item[i] = static_cast<node *>(must(boehm::alloc(sizeof(node))));
	for (size_t i = 0; i < n; i++)
		for (node *&slot : item[i]->slot)
			slot = item[random() % n];
	boehm::collect();
	while (state.KeepRunningBatch((int64_t)n))
		boehm::collect();
	benchmark::DoNotOptimize(item);
}

#define ROW(row, kind, fn) \
	BENCHMARK(fn)->Name(row "/" kind)->MeasureProcessCPUTime()->UseRealTime()->Arg(1000000)->Arg(10000000)
ROW("full_collection_of_live", "ouro", full_ouro);
ROW("full_collection_of_live", "boehm", full_boehm);
