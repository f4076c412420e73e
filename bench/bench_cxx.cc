/*
 * bench_cxx.cc - ouro.hpp beside the C calls that it stands for
 *
 * copy: a reference is copied and dropped, against retain and release. load: out of a slot. store:
 * into one. give: the slot takes over what was loaded. new: an object with two slots, made and
 * dropped. Rows of ouro.hpp are called "ouro", those of C "c": they should not differ.
 */
#include "bench.h"
#include <ouro.hpp>

struct node {
	ouro::slot<node> next, prev;
	OURO_TYPE(node, next, prev)
};
struct c_node {
	c_node *next, *prev;
};

static const ouro_type c_type = [] {
	ouro_type t;
	t.name = "c_node";
	t.size = sizeof(c_node);
	t.slots = OURO_SLOTS(c_node, next, prev);
	return t;
}();

/* Two objects, the first refers to the second. */
struct c_pair {
	c_node *a = bench_new<c_node>(c_type), *b = bench_new<c_node>(c_type);
	c_pair() { ouro_store(&a->next, b); }
	~c_pair()
	{
		ouro_release(a);
		ouro_release(b);
	}
};
struct pair {
	ouro::ref<node> a = ouro::make<node>(), b = ouro::make<node>();
	pair() { a->next = b; }
};

static void copy_c(benchmark::State &state)
{
	c_pair p;
	for (auto _ : state) {
		benchmark::DoNotOptimize(ouro_retain(p.a));
		ouro_release(p.a);
	}
}
BENCHMARK(copy_c)->Name("cxx_copy/c");

static void copy_cxx(benchmark::State &state)
{
	pair p;
	for (auto _ : state) {
		ouro::ref<node> r = p.a;
		benchmark::DoNotOptimize(r.get());
	}
}
BENCHMARK(copy_cxx)->Name("cxx_copy/ouro");

static void load_c(benchmark::State &state)
{
	c_pair p;
	for (auto _ : state) {
		c_node *n = ouro_load(&p.a->next);
		benchmark::DoNotOptimize(n);
		ouro_release(n);
	}
}
BENCHMARK(load_c)->Name("cxx_load/c");

static void load_cxx(benchmark::State &state)
{
	pair p;
	for (auto _ : state) {
		ouro::ref<node> n = p.a->next;
		benchmark::DoNotOptimize(n.get());
	}
}
BENCHMARK(load_cxx)->Name("cxx_load/ouro");

static void store_c(benchmark::State &state)
{
	c_pair p;
	for (auto _ : state)
		ouro_store(&p.a->prev, p.b);
}
BENCHMARK(store_c)->Name("cxx_store/c");

static void store_cxx(benchmark::State &state)
{
	pair p;
	for (auto _ : state)
		p.a->prev = p.b;
}
BENCHMARK(store_cxx)->Name("cxx_store/ouro");

static void give_c(benchmark::State &state)
{
	c_pair p;
	for (auto _ : state)
		ouro_give(&p.a->prev, ouro_load(&p.a->next));
}
BENCHMARK(give_c)->Name("cxx_give/c");

static void give_cxx(benchmark::State &state)
{
	pair p;
	for (auto _ : state)
		p.a->prev = p.a->next.load();
}
BENCHMARK(give_cxx)->Name("cxx_give/ouro");

static void new_c(benchmark::State &state)
{
	for (auto _ : state)
		ouro_release(bench_new<c_node>(c_type));
}
BENCHMARK(new_c)->Name("cxx_new/c");

static void new_cxx(benchmark::State &state)
{
	for (auto _ : state)
		benchmark::DoNotOptimize(ouro::make<node>().get());
}
BENCHMARK(new_cxx)->Name("cxx_new/ouro");
