/*
 * bench_weak.cc - weak references: upgrade and release, of a live and of a dead object; making and
 * clearing one
 *
 * owner, foreign: as in bench_counts.cc; all threads upgrade the same cell. Peers:
 * std::weak_ptr::lock, g_weak_ref_get.
 */
#include "bench.h"
#include "maker.h"
#include "peer_glib.h"
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

typedef gobject<sizeof(item)> gitem;
static void *gobj;
static gweak gcell;

static void make_gobject(const benchmark::State &)
{
	gobj = gitem::make();
	gcell.init();
	gcell.store(gobj);
}

static void kill_gobject(const benchmark::State &)
{
	if (gobj)
		gitem::unref(gobj);
	gobj = nullptr;
}

static void drop_gobject(const benchmark::State &state)
{
	gcell.clear();
	kill_gobject(state);
}

static void make_gobject_dead(const benchmark::State &state)
{
	make_gobject(state);
	kill_gobject(state);
}

static void upgrade_gobject(benchmark::State &state)
{
	if (!gweak::load(state))
		return;
	for (auto _ : state) {
		void *p = gcell.load_strong();
		benchmark::DoNotOptimize(p);
		if (p)
			gitem::unref(p);
	}
}

static void store_clear_gobject(benchmark::State &state)
{
	gweak own;

	if (!gweak::load(state))
		return;
	for (auto _ : state) {
		own.init();
		own.store(gobj);
		benchmark::DoNotOptimize(&own);
		own.clear();
	}
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
	->ThreadRange(1, bench_threads());
BENCHMARK(upgrade_shared)->Name("weak_upgrade_foreign/weak_ptr")->Setup(make_shared)->ThreadRange(1, bench_threads());
BENCHMARK(upgrade_ouro)->Name("weak_upgrade_mixed/ouro")->Setup(make_own)->Teardown(drop)->Threads(2);
BENCHMARK(upgrade_shared)->Name("weak_upgrade_mixed/weak_ptr")->Setup(make_shared)->Threads(2);
BENCHMARK(upgrade_ouro)->Name("weak_upgrade_expired/ouro")->Setup(make_dead)->ThreadRange(1, bench_threads());
BENCHMARK(upgrade_shared)->Name("weak_upgrade_expired/weak_ptr")->Setup(make_shared_dead)->ThreadRange(1, bench_threads());
BENCHMARK(store_clear_ouro)->Name("weak_store_clear/ouro")->Setup(make_own)->Teardown(drop);
BENCHMARK(store_clear_shared)->Name("weak_store_clear/weak_ptr")->Setup(make_shared);
#define GLIB(row, setup, teardown) \
	BENCHMARK(upgrade_gobject)->Name(row "/GWeakRef")->Setup(setup)->Teardown(teardown)
GLIB("weak_upgrade_owner", make_gobject, drop_gobject);
GLIB("weak_upgrade_foreign", make_gobject, drop_gobject)->ThreadRange(1, bench_threads());
GLIB("weak_upgrade_mixed", make_gobject, drop_gobject)->Threads(2);
GLIB("weak_upgrade_expired", make_gobject_dead, drop_gobject)->ThreadRange(1, bench_threads());
BENCHMARK(store_clear_gobject)->Name("weak_store_clear/GWeakRef")->Setup(make_gobject)->Teardown(drop_gobject);
