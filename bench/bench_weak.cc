/*
 * bench_weak.cc - weak references: upgrade and release, of a live and of a dead object; making and
 * clearing one
 *
 * owner, foreign: as in bench_counts.cc; all threads upgrade the same cell. Peer: std::weak_ptr::lock.
 */
#include "bench.h"
#include "maker.h"
#include <memory>

struct item {
	uint64_t value[2];
};

static const ouro_type item_type = bench_type("item", sizeof(item));

static item *object;
static ouro_weak cell;
static std::unique_ptr<maker> owner;
static std::shared_ptr<item> shared;
static std::weak_ptr<item> shared_cell;

static void make_own(const benchmark::State &)
{
	object = bench_new<item>(item_type);
	if (ouro_weak_store(&cell, object))
		abort();
}

static void make_foreign(const benchmark::State &state)
{
	owner.reset(new maker([&] { make_own(state); }));
}

static void kill(const benchmark::State &)
{
	ouro_release(object);
	object = nullptr;
	owner.reset();
}

static void drop(const benchmark::State &state)
{
	ouro_weak_clear(&cell);
	kill(state);
}

static void make_dead(const benchmark::State &state)
{
	make_own(state);
	kill(state);
}

static void make_shared(const benchmark::State &)
{
	shared = std::make_shared<item>();
	shared_cell = shared;
}

static void make_shared_dead(const benchmark::State &state)
{
	make_shared(state);
	shared.reset();
}

static void upgrade_ouro(benchmark::State &state)
{
	for (auto _ : state) {
		void *p = ouro_weak_load(&cell);
		benchmark::DoNotOptimize(p);
		ouro_release(p);
	}
}

static void upgrade_shared(benchmark::State &state)
{
	for (auto _ : state) {
		std::shared_ptr<item> p = shared_cell.lock();
		benchmark::DoNotOptimize(p.get());
	}
}

static void store_clear_ouro(benchmark::State &state)
{
	ouro_weak own = {};

	for (auto _ : state) {
		benchmark::DoNotOptimize(ouro_weak_store(&own, object));
		ouro_weak_clear(&own);
	}
}

static void store_clear_shared(benchmark::State &state)
{
	std::weak_ptr<item> own;

	for (auto _ : state) {
		own = shared;
		benchmark::DoNotOptimize(&own);
		own.reset();
	}
}

BENCHMARK(upgrade_ouro)->Name("weak_upgrade_owner/ouro")->Setup(make_own)->Teardown(drop);
BENCHMARK(upgrade_shared)->Name("weak_upgrade_owner/weak_ptr")->Setup(make_shared);
BENCHMARK(upgrade_ouro)->Name("weak_upgrade_foreign/ouro")->Setup(make_foreign)->Teardown(drop)
	->ThreadRange(1, 2);
BENCHMARK(upgrade_shared)->Name("weak_upgrade_foreign/weak_ptr")->Setup(make_shared)->ThreadRange(1, 2);
BENCHMARK(upgrade_ouro)->Name("weak_upgrade_mixed/ouro")->Setup(make_own)->Teardown(drop)->Threads(2);
BENCHMARK(upgrade_shared)->Name("weak_upgrade_mixed/weak_ptr")->Setup(make_shared)->Threads(2);
BENCHMARK(upgrade_ouro)->Name("weak_upgrade_expired/ouro")->Setup(make_dead)->ThreadRange(1, 2);
BENCHMARK(upgrade_shared)->Name("weak_upgrade_expired/weak_ptr")->Setup(make_shared_dead)->ThreadRange(1, 2);
BENCHMARK(store_clear_ouro)->Name("weak_store_clear/ouro")->Setup(make_own)->Teardown(drop);
BENCHMARK(store_clear_shared)->Name("weak_store_clear/weak_ptr")->Setup(make_shared);
