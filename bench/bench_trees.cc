/*
 * bench_trees.cc - the binary trees program: nodes made, counted and dropped, time per node
 *
 * At depth 16 they are 15.1 million, at depth 20 308 million; DEPTH, several with spaces between,
 * asks for others than 16. With several threads each runs the whole program.
 *
 * "children": a node refers to its two children. "parents": and the children refer strongly to it,
 * so that every tree is one cycle; by hand, where that is only one more word; with std::shared_ptr
 * the parent is a weak_ptr. Everything is reclaimed inside the timed region, by whatever thread:
 * CPU time is that of the process.
 */
#include "bench.h"
#include "peer_boehm.h"
#include "peer_malloc.h"
#include <memory>
#include <string>

enum { MIN_DEPTH = 4 };

static long tree_size(int depth) { return (2L << depth) - 1; }
static long trees_of(int depth, int max_depth) { return 1L << (max_depth - depth + MIN_DEPTH); }

static long program_size(int max_depth)
{
	long n = tree_size(max_depth + 1) + tree_size(max_depth);

	for (int depth = MIN_DEPTH; depth <= max_depth; depth += 2)
		n += trees_of(depth, max_depth) * tree_size(depth);
	return n;
}

/* Each kind: make(depth), count() of nodes and drop() of a tree, and finish() when the program has ended. */
struct node {
	node *left, *right;
};

struct child {
	child *left, *right, *parent;
};

template <class N> static long count_raw(const N *n)
{
	return n ? 1 + count_raw(n->left) + count_raw(n->right) : 0;
}

static void adopt(node *) {}
static void adopt(child *n)
{
	if (n->left) {
		n->left->parent = n;
		n->right->parent = n;
	}
}

/* Made with malloc or Boehm; A::release makes the difference. */
template <class A, class N> struct by_hand {
	typedef N *ref;
	static ref make(int depth)
	{
		N *n = static_cast<N *>(must(A::alloc(sizeof(N))));

		n->left = depth ? make(depth - 1) : nullptr;
		n->right = depth ? make(depth - 1) : nullptr;
		adopt(n);
		return n;
	}
	static long count(const ref &n) { return count_raw(n); }
	static void drop(ref &n)
	{
		if (n->left) {
			drop(n->left);
			drop(n->right);
		}
		A::release(n);
	}
	static void finish() {}
};

template <class N> struct by_boehm : by_hand<boehm, N> {
	static void drop(N *&n) { n = nullptr; }
	static void finish() { boehm::collect(); }
};

struct shared_node {
	std::shared_ptr<shared_node> left, right;
};

struct shared_child {
	std::shared_ptr<shared_child> left, right;
	std::weak_ptr<shared_child> parent;
};

static void adopt(std::shared_ptr<shared_node> &) {}
static void adopt(std::shared_ptr<shared_child> &n)
{
	if (n->left)
		n->left->parent = n->right->parent = n;
}

template <class N> struct by_shared {
	typedef std::shared_ptr<N> ref;
	static ref make(int depth)
	{
		ref n = std::make_shared<N>();

		if (depth) {
			n->left = make(depth - 1);
			n->right = make(depth - 1);
		}
		adopt(n);
		return n;
	}
	static long count(const ref &n) { return n ? 1 + count(n->left) + count(n->right) : 0; }
	static void drop(ref &n) { n.reset(); }
	static void finish() {}
};

static const ouro_type node_type = bench_type("node", sizeof(node), OURO_SLOTS(node, left, right));
static const ouro_type child_type =
	bench_type("child", sizeof(child), OURO_SLOTS(child, left, right, parent));

static node *new_node(node *) { return bench_new<node>(node_type); }
static child *new_node(child *) { return bench_new<child>(child_type); }

static void adopt_counted(node *) {}
static void adopt_counted(child *n)
{
	ouro_store(&n->left->parent, n);
	ouro_store(&n->right->parent, n);
}

template <class N> static long count_peeked(N *n)
{
	return n ? 1 + count_peeked(ouro_peek(&n->left)) + count_peeked(ouro_peek(&n->right)) : 0;
}

template <class N> struct by_ouro {
	typedef N *ref;
	static ref make(int depth)
	{
		N *n = new_node(static_cast<N *>(nullptr));

		if (depth) {
			ouro_give(&n->left, make(depth - 1));
			ouro_give(&n->right, make(depth - 1));
			adopt_counted(n);
		}
		return n;
	}
	static long count(const ref &n)
	{
		ouro_pin();
		long found = count_peeked(n);
		ouro_unpin();
		return found;
	}
	static void drop(ref &n) { ouro_release(n); }
	static void finish() { bench_reclaim(); }
};

template <class K> static long one_tree(int depth)
{
	typename K::ref tree = K::make(depth);
	long found = K::count(tree);

	K::drop(tree);
	return found;
}

template <class K> static long program(int max_depth)
{
	long found = one_tree<K>(max_depth + 1);
	typename K::ref long_lived = K::make(max_depth);

	for (int depth = MIN_DEPTH; depth <= max_depth; depth += 2)
		for (long i = trees_of(depth, max_depth); i > 0; i--)
			found += one_tree<K>(depth);
	found += K::count(long_lived);
	K::drop(long_lived);
	K::finish();
	return found;
}

template <class K> static void trees(benchmark::State &state)
{
	int depth = (int)state.range(0);

	while (state.KeepRunningBatch(program_size(depth)))
		if (program<K>(depth) != program_size(depth))
			abort();
}

template <class A, class N> static void trees_loaded(benchmark::State &state)
{
	if (A::load(state))
		trees<by_hand<A, N>>(state);
}

template <class N> static void trees_boehm(benchmark::State &state)
{
	boehm_thread here(state);

	if (here)
		trees<by_boehm<N>>(state);
}

static void depths(benchmark::internal::Benchmark *row)
{
	const char *wanted = getenv("DEPTH");
	std::string all(wanted ? wanted : "");
	size_t used = 0;

	row->ArgName("depth");
	for (; all.find_first_of("0123456789") != all.npos; all.erase(0, used))
		row->Arg(std::stoi(all, &used));
	if (!used)
		row->Arg(16);
}

#define ROW(row, kind, ...) \
	BENCHMARK(__VA_ARGS__)->Name(row "/" kind)->Apply(depths)->MeasureProcessCPUTime()->UseRealTime() \
		->ThreadRange(1, bench_threads(1))
#define ROWS(row, N, shared_N) \
	ROW(row, "ouro", trees<by_ouro<N>>); \
	ROW(row, "malloc", trees<by_hand<libc, N>>); \
	ROW(row, "mimalloc", trees_loaded<mimalloc, N>); \
	ROW(row, "jemalloc", trees_loaded<jemalloc, N>); \
	ROW(row, "boehm", trees_boehm<N>); \
	ROW(row, "shared_ptr", trees<by_shared<shared_N>>)

ROWS("trees_children", node, shared_node);
ROWS("trees_parents", child, shared_child);
