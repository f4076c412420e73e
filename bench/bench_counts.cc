/*
 * bench_counts.cc - one retain and one release of an object that stays alive
 *
 * owner: by the thread that made it; "in_turn": of 64 objects one after the other, so that no
 * operation waits for the one before. foreign: by one or two others, of the same object. mixed: by
 * its owner and one other. own: by each thread of an object that it made. Peers: std::shared_ptr
 * copied and destroyed, g_object_ref and unref, a bare atomic add and subtract, and a plain one
 * behind two calls, which is what no thread-safe count can beat.
 */
#include "bench.h"
#include "maker.h"
#include "peer_glib.h"
#include <atomic>
#include <memory>

struct item {
	uint64_t value[2];
};

static const ouro_type item_type = bench_type("item", sizeof(item), {}, OURO_ACYCLIC);

static item *object;
static std::unique_ptr<maker> owner;
static std::shared_ptr<item> shared;
static std::atomic<uint32_t> bare;
static void *gobj;

/* Google Benchmark runs setup and thread 0 on the main thread: it owns what setup makes. */
static void make_own(const benchmark::State &)
{
	object = bench_new<item>(item_type);
}

static void make_foreign(const benchmark::State &)
{
	owner.reset(new maker([] { object = bench_new<item>(item_type); }));
}

static void drop(const benchmark::State &)
{
	ouro_release(object);
	object = nullptr;
	owner.reset();
}

static void counts_ouro(benchmark::State &state)
{
	void *p = object;

	for (auto _ : state) {
		benchmark::DoNotOptimize(ouro_retain(p));
		ouro_release(p);
	}
}
BENCHMARK(counts_ouro)->Name("retain_release_owner/ouro")->Setup(make_own)->Teardown(drop);
BENCHMARK(counts_ouro)->Name("retain_release_foreign/ouro")->Setup(make_foreign)->Teardown(drop)
	->ThreadRange(1, bench_threads());
BENCHMARK(counts_ouro)->Name("retain_release_mixed/ouro")->Setup(make_own)->Teardown(drop)->Threads(2);

/* Many operations in one pinned region share one gate. */
static void counts_pinned(benchmark::State &state)
{
	void *p = object;

	while (state.KeepRunningBatch(100)) {
		ouro_pin();
		for (int i = 0; i < 100; i++) {
			benchmark::DoNotOptimize(ouro_retain(p));
			ouro_release(p);
		}
		ouro_unpin();
	}
}
BENCHMARK(counts_pinned)->Name("retain_release_owner_pinned/ouro")->Setup(make_own)->Teardown(drop);

static void counts_shared(benchmark::State &state)
{
	for (auto _ : state) {
		std::shared_ptr<item> copy(shared);
		benchmark::DoNotOptimize(copy.get());
	}
}

typedef gobject<sizeof(item)> gitem;

static void make_gobject(const benchmark::State &)
{
	gobj = gitem::make();
}

static void drop_gobject(const benchmark::State &)
{
	if (gobj)
		gitem::unref(gobj);
}

static void counts_gobject(benchmark::State &state)
{
	if (!gitem::load(state))
		return;
	for (auto _ : state) {
		gitem::ref(gobj);
		gitem::unref(gobj);
	}
}

static void make_shared(const benchmark::State &)
{
	shared = std::make_shared<item>();
}

enum { TURN = 64 };

static void turn_ouro(benchmark::State &state)
{
	void *objects[TURN];
	unsigned i = 0;

	for (void *&p : objects)
		p = bench_new<item>(item_type);
	for (auto _ : state) {
		void *p = objects[i++ % TURN];
		benchmark::DoNotOptimize(ouro_retain(p));
		ouro_release(p);
	}
	for (void *p : objects)
		ouro_release(p);
}

static void turn_shared(benchmark::State &state)
{
	std::shared_ptr<item> objects[TURN];
	unsigned i = 0;

	for (auto &p : objects)
		p = std::make_shared<item>();
	for (auto _ : state) {
		std::shared_ptr<item> copy(objects[i++ % TURN]);
		benchmark::DoNotOptimize(copy.get());
	}
}

static void counts_atomic(benchmark::State &state)
{
	for (auto _ : state) {
		bare.fetch_add(1, std::memory_order_relaxed);
		bare.fetch_sub(1, std::memory_order_acq_rel);
	}
}

struct plain_count {
	volatile uint32_t n;
};

__attribute__((noinline)) static plain_count *plain_retain(plain_count *c)
{
	c->n = c->n + 1;
	return c;
}

__attribute__((noinline)) static void plain_release(plain_count *c)
{
	if ((c->n = c->n - 1) == 0)
		abort();
}

static void counts_plain(benchmark::State &state)
{
	plain_count mine = { 1 }, *p = &mine;

	for (auto _ : state) {
		benchmark::DoNotOptimize(p = plain_retain(p));
		plain_release(p);
	}
}

static void own_ouro(benchmark::State &state)
{
	void *p = bench_new<item>(item_type);

	for (auto _ : state) {
		benchmark::DoNotOptimize(ouro_retain(p));
		ouro_release(p);
	}
	ouro_release(p);
}

static void own_shared(benchmark::State &state)
{
	std::shared_ptr<item> p = std::make_shared<item>();

	for (auto _ : state) {
		std::shared_ptr<item> copy(p);
		benchmark::DoNotOptimize(copy.get());
	}
}

static void own_gobject(benchmark::State &state)
{
	if (!gitem::load(state))
		return;
	void *p = gitem::make();
	for (auto _ : state) {
		gitem::ref(p);
		gitem::unref(p);
	}
	gitem::unref(p);
}

/* A cache line of its own, as the others' objects have by their size or by who allocated them. */
static void own_atomic(benchmark::State &state)
{
	struct alignas(64) {
		std::atomic<uint32_t> count{0};
	} mine;

	for (auto _ : state) {
		mine.count.fetch_add(1, std::memory_order_relaxed);
		mine.count.fetch_sub(1, std::memory_order_acq_rel);
	}
}

BENCHMARK(own_ouro)->Name("retain_release_own/ouro")->ThreadRange(1, bench_threads());
BENCHMARK(own_shared)->Name("retain_release_own/shared_ptr")->ThreadRange(1, bench_threads());
BENCHMARK(own_gobject)->Name("retain_release_own/GObject")->ThreadRange(1, bench_threads());
BENCHMARK(own_atomic)->Name("retain_release_own/atomic")->ThreadRange(1, bench_threads());
BENCHMARK(turn_ouro)->Name("retain_release_in_turn/ouro");
BENCHMARK(turn_shared)->Name("retain_release_in_turn/shared_ptr");
BENCHMARK(counts_shared)->Name("retain_release_owner/shared_ptr")->Setup(make_shared);
BENCHMARK(counts_shared)->Name("retain_release_owner_pinned/shared_ptr")->Setup(make_shared);
BENCHMARK(counts_shared)->Name("retain_release_foreign/shared_ptr")->Setup(make_shared)->ThreadRange(1, bench_threads());
BENCHMARK(counts_shared)->Name("retain_release_mixed/shared_ptr")->Setup(make_shared)->Threads(2);
BENCHMARK(counts_gobject)->Name("retain_release_owner/GObject")->Setup(make_gobject)->Teardown(drop_gobject);
BENCHMARK(counts_gobject)->Name("retain_release_foreign/GObject")->Setup(make_gobject)->Teardown(drop_gobject)
	->ThreadRange(1, bench_threads());
BENCHMARK(counts_gobject)->Name("retain_release_mixed/GObject")->Setup(make_gobject)->Teardown(drop_gobject)->Threads(2);
BENCHMARK(counts_atomic)->Name("retain_release_owner/atomic");
BENCHMARK(counts_plain)->Name("retain_release_owner/plain int");
BENCHMARK(counts_atomic)->Name("retain_release_foreign/atomic")->ThreadRange(1, bench_threads());
BENCHMARK(counts_atomic)->Name("retain_release_mixed/atomic")->Threads(2);
