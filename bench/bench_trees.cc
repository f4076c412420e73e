/*
 * bench_trees.cc - the binary trees program at depth 16: 15.1 million nodes made, counted and dropped,
 * time per node
 *
 * "children": a node refers to its two children. "parents": and the children refer strongly to it, so
 * that every tree is one cycle; by hand, where that is only one more word; with std::shared_ptr the
 * parent is a weak_ptr. Everything is reclaimed inside the timed region, by whatever thread: CPU time is
 * that of the process.
 */
#include "bench.h"
#include "peer_boehm.h"
#include "peer_mimalloc.h"
#include <memory>

enum { MIN_DEPTH = 4, MAX_DEPTH = 16 };

static constexpr long tree_size(int depth) { return (2L << depth) - 1; }
static constexpr long trees_of(int depth) { return 1L << (MAX_DEPTH - depth + MIN_DEPTH); }

static constexpr long program_size()
{
	long n = tree_size(MAX_DEPTH + 1) + tree_size(MAX_DEPTH);

	for (int depth = MIN_DEPTH; depth <= MAX_DEPTH; depth += 2)
		n += trees_of(depth) * tree_size(depth);
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

template <class K> static long program()
{
	long found = one_tree<K>(MAX_DEPTH + 1);
	typename K::ref long_lived = K::make(MAX_DEPTH);

	for (int depth = MIN_DEPTH; depth <= MAX_DEPTH; depth += 2)
		for (long i = trees_of(depth); i > 0; i--)
			found += one_tree<K>(depth);
	found += K::count(long_lived);
	K::drop(long_lived);
	K::finish();
	return found;
}

template <class K> static void trees(benchmark::State &state)
{
	while (state.KeepRunningBatch(program_size()))
		if (program<K>() != program_size())
			abort();
}

template <class N> static void trees_mimalloc(benchmark::State &state)
{
	if (mimalloc::load(state))
		trees<by_hand<mimalloc, N>>(state);
}

template <class N> static void trees_boehm(benchmark::State &state)
{
	boehm_thread here(state);

	if (here)
		trees<by_boehm<N>>(state);
}

#define ROW(row, kind, ...) BENCHMARK(__VA_ARGS__)->Name(row "/" kind)->MeasureProcessCPUTime()->UseRealTime()
#define ROWS(row, N, shared_N) \
	ROW(row, "ouro", trees<by_ouro<N>>); \
	ROW(row, "malloc", trees<by_hand<libc, N>>); \
	ROW(row, "mimalloc", trees_mimalloc<N>); \
	ROW(row, "boehm", trees_boehm<N>); \
	ROW(row, "shared_ptr", trees<by_shared<shared_N>>)

ROWS("trees_children", node, shared_node);
ROWS("trees_parents", child, shared_child);
