/*
 * bench_walk.cc - walking a singly linked list: time per node
 *
 * peek: uncounted, in one pinned region; the counter pin_us is how long that region lasts, which a
 * stop asked for meanwhile has to wait. raw: plain reads of the same nodes, so that the memory is
 * the same. load: hand over hand with counted references, as a thread walks that may be stopped
 * anywhere; its peer is std::shared_ptr copied from node to node. Lists of 10 000 nodes fit in the
 * cache, lists of a million do not.
 */
#include "bench.h"
#include <chrono>
#include <memory>

struct node {
	node *next;
	uint64_t value;
};

struct shared_node {
	std::shared_ptr<shared_node> next;
	uint64_t value = 1;
};

static const ouro_type node_type = bench_type("node", sizeof(node), OURO_SLOTS(node, next));

static node *list;
static std::shared_ptr<shared_node> shared_list;

static void make_list(const benchmark::State &state)
{
	for (long i = 0; i < state.range(0); i++) {
		node *n = bench_new<node>(node_type);
		n->value = 1;
		ouro_give(&n->next, ouro_take(&list));
		ouro_give(&list, n);
	}
}

static void drop_list(const benchmark::State &)
{
	ouro_store(&list, nullptr);
	bench_reclaim();
}

static void make_shared_list(const benchmark::State &state)
{
	for (long i = 0; i < state.range(0); i++) {
		std::shared_ptr<shared_node> n = std::make_shared<shared_node>();
		n->next = std::move(shared_list);
		shared_list = std::move(n);
	}
}

/* Node by node: its own destructor would recurse a million deep. */
static void drop_shared_list(const benchmark::State &)
{
	while (shared_list)
		shared_list = std::shared_ptr<shared_node>(std::move(shared_list->next));
}

/* Every node was seen: also keeps the compiler from dropping the loop. */
static void expect(uint64_t sum, const benchmark::State &state)
{
	if (sum != static_cast<uint64_t>(state.range(0)))
		abort();
}

static uint64_t sum_peeked()
{
	uint64_t sum = 0;

	ouro_pin();
	for (node *n = ouro_peek(&list); n; n = ouro_peek(&n->next))
		sum += n->value;
	ouro_unpin();
	return sum;
}

static void walk_peek(benchmark::State &state)
{
	typedef std::chrono::steady_clock clock;
	std::chrono::duration<double, std::micro> pinned(0);
	long walks = 0;

	while (state.KeepRunningBatch(state.range(0))) {
		clock::time_point start = clock::now();
		uint64_t sum = sum_peeked();
		pinned += clock::now() - start;
		walks++;
		expect(sum, state);
	}
	state.counters["pin_us"] = pinned.count() / static_cast<double>(walks);
}

static void walk_raw(benchmark::State &state)
{
	while (state.KeepRunningBatch(state.range(0))) {
		uint64_t sum = 0;

		for (const node *n = list; n; n = n->next)
			sum += n->value;
		expect(sum, state);
	}
}

static void walk_load(benchmark::State &state)
{
	while (state.KeepRunningBatch(state.range(0))) {
		uint64_t sum = 0;
		node *n = ouro_load(&list);

		while (n) {
			sum += n->value;
			node *next = ouro_load(&n->next);
			ouro_release(n);
			n = next;
		}
		expect(sum, state);
	}
}

static void walk_shared(benchmark::State &state)
{
	while (state.KeepRunningBatch(state.range(0))) {
		uint64_t sum = 0;

		for (auto n = shared_list; n; n = std::shared_ptr<shared_node>(n->next))
			sum += n->value;
		expect(sum, state);
	}
}

#define ROW(row, kind, fn) BENCHMARK(fn)->Name(row "/" kind)->Arg(10000)->Arg(1000000)
ROW("walk_peek", "ouro", walk_peek)->Setup(make_list)->Teardown(drop_list);
ROW("walk_peek", "raw", walk_raw)->Setup(make_list)->Teardown(drop_list);
ROW("walk_load", "ouro", walk_load)->Setup(make_list)->Teardown(drop_list);
ROW("walk_load", "shared_ptr", walk_shared)->Setup(make_shared_list)->Teardown(drop_shared_list);
