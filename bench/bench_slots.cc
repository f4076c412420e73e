/*
 * bench_slots.cc - the operations on one slot, by one thread and by several at once
 *
 * Peer: the same on one std::shared_ptr through the atomic free functions (C++17 has no
 * std::atomic<shared_ptr>). The objects are made by thread 0; in the rows called foreign by a
 * thread that does nothing else.
 */
#include "bench.h"
#include "maker.h"
#include <memory>

struct item {
	uint64_t value[2];
};

static const ouro_type item_type = bench_type("item", sizeof(item));

static item *slot, *a, *b;
static std::shared_ptr<item> shared_slot, shared_a, shared_b;
static std::unique_ptr<maker> owner;

static void make(const benchmark::State &)
{
	a = bench_new<item>(item_type);
	b = bench_new<item>(item_type);
	ouro_store(&slot, a);
}

static void make_foreign(const benchmark::State &state)
{
	owner.reset(new maker([&] { make(state); }));
}

static void drop(const benchmark::State &)
{
	ouro_store(&slot, nullptr);
	ouro_release(a);
	ouro_release(b);
	owner.reset();
}

static void make_shared(const benchmark::State &)
{
	shared_a = std::make_shared<item>();
	shared_b = std::make_shared<item>();
	std::atomic_store(&shared_slot, shared_a);
}

static void load_ouro(benchmark::State &state)
{
	for (auto _ : state) {
		item *p = ouro_load(&slot);
		benchmark::DoNotOptimize(p);
		ouro_release(p);
	}
}

static void load_shared(benchmark::State &state)
{
	for (auto _ : state) {
		std::shared_ptr<item> p = std::atomic_load(&shared_slot);
		benchmark::DoNotOptimize(p.get());
	}
}

static void store_ouro(benchmark::State &state)
{
	for (auto _ : state) {
		ouro_store(&slot, a);
		ouro_store(&slot, b);
	}
}

static void store_shared(benchmark::State &state)
{
	for (auto _ : state) {
		std::atomic_store(&shared_slot, shared_a);
		std::atomic_store(&shared_slot, shared_b);
	}
}

static void give_ouro(benchmark::State &state)
{
	for (auto _ : state)
		ouro_give(&slot, static_cast<item *>(ouro_retain(a)));
}

static void give_shared(benchmark::State &state)
{
	for (auto _ : state) {
		std::shared_ptr<item> own(shared_a);
		std::atomic_store(&shared_slot, std::move(own));
	}
}

/* What the slot gives up is given back, so that there is always something to take. */
static void take_give_ouro(benchmark::State &state)
{
	for (auto _ : state) {
		item *p = ouro_take(&slot);
		if (p)
			ouro_give(&slot, p);
	}
}

static void take_give_shared(benchmark::State &state)
{
	for (auto _ : state) {
		std::shared_ptr<item> p = std::atomic_exchange(&shared_slot, std::shared_ptr<item>());
		if (p)
			std::atomic_store(&shared_slot, std::move(p));
	}
}

static void exchange_ouro(benchmark::State &state)
{
	item *mine = bench_new<item>(item_type);

	for (auto _ : state)
		mine = ouro_exchange(&slot, mine);
	ouro_release(mine);
}

static void exchange_shared(benchmark::State &state)
{
	std::shared_ptr<item> mine = std::make_shared<item>();

	for (auto _ : state)
		mine = std::atomic_exchange(&shared_slot, std::move(mine));
}

/* Always the object that is there, if nobody else is at work. */
static void cas_ouro(benchmark::State &state)
{
	for (auto _ : state) {
		benchmark::DoNotOptimize(ouro_compare_exchange(&slot, a, b));
		benchmark::DoNotOptimize(ouro_compare_exchange(&slot, b, a));
	}
}

/* The shared_ptr call overwrites what it expected when that was not there. */
static void cas_shared(benchmark::State &state)
{
	std::shared_ptr<item> expect_a = shared_a, expect_b = shared_b;

	for (auto _ : state) {
		if (!std::atomic_compare_exchange_strong(&shared_slot, &expect_a, shared_b))
			expect_a = shared_a;
		if (!std::atomic_compare_exchange_strong(&shared_slot, &expect_b, shared_a))
			expect_b = shared_b;
	}
}

#define ROW(fn, row) \
	BENCHMARK(fn##_ouro)->Name(row "/ouro")->Setup(make)->Teardown(drop)->ThreadRange(1, bench_threads()); \
	BENCHMARK(fn##_shared)->Name(row "/shared_ptr")->Setup(make_shared)->ThreadRange(1, bench_threads())

ROW(load, "load_release");
BENCHMARK(load_ouro)->Name("load_release_foreign/ouro")->Setup(make_foreign)->Teardown(drop)
	->ThreadRange(1, bench_threads());
BENCHMARK(load_shared)->Name("load_release_foreign/shared_ptr")->Setup(make_shared)->ThreadRange(1, bench_threads());
ROW(store, "store_twice");
ROW(give, "retain_give");
ROW(take_give, "take_give");
ROW(exchange, "exchange");
ROW(cas, "compare_exchange_twice");
