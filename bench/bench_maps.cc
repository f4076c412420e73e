/*
 * bench_maps.cc - maps from numbers to counted objects, that several threads use at once
 *
 * get: look a key up that is there, and let go of what it gave. put: give such a key a new value.
 * put_take: put a key that is not there, and take it. mixed: nine of ten get, the others put. Keys
 * are drawn at random; the number in a row's name is how many there are. It is wall time of one
 * operation, of all threads together: CPU time would not show where threads wait for a lock.
 *
 * Peers: std::unordered_map of shared_ptr under a mutex, and under one that readers share; glib's
 * GHashTable of blocks that it counts, under a mutex; liburcu's cds_lfht, bare: what it finds is
 * only looked at, inside the read-side section, and nobody counts it, so that its rows are no like
 * for like but a floor. Its dead nodes are freed by call_rcu. Where it can be said how large a
 * table is to be, it is; ours grows. The standard map and glib's hash a number by itself, so that
 * numbers that follow each other never meet in one bucket, and the processor, which foresees every
 * branch, looks for several keys at once. Ours may not, as a client may choose the keys. The one
 * that is "scattered" is the standard map with a hash that scatters them: it is like for like.
 */
#include "bench.h"
#include "peer_glib.h"
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#ifdef HAVE_URCU_MEMB
#define _LGPL_SOURCE
#include <urcu/urcu-memb.h>
#include <urcu/rculfhash.h>
#endif

struct item {
	uint64_t value[2];
};

/* What each implementation has: what a thread does first and last, and the operations. */
struct no_threads {
	struct thread {
		~thread() {} /* so that it counts as used */
	};
	static bool there(benchmark::State &) { return true; }
};

static const ouro_type item_type = bench_type("item", sizeof(item), {}, OURO_ACYCLIC);

class of_ouro : public no_threads {
public:
	explicit of_ouro(size_t) : map(static_cast<ouro_map *>(must(ouro_map_new()))) {}
	~of_ouro() { ouro_release(map); }
	void get(uint64_t key)
	{
		void *value = ouro_map_get_int(map, key);
		benchmark::DoNotOptimize(value);
		ouro_release(value);
	}
	void put(uint64_t key)
	{
		item *value = bench_new<item>(item_type);
		must(ouro_map_put_int(map, key, value) ? nullptr : value);
		ouro_release(value);
	}
	void take(uint64_t key) { ouro_release(ouro_map_take_int(map, key)); }

private:
	ouro_map *map;
};

/* The mixer of splitmix64 (Steele, Lea, Flood 2014). */
struct scatter {
	size_t operator()(uint64_t key) const
	{
		key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9u;
		key = (key ^ key >> 27) * 0x94d049bb133111ebu;
		return key ^ key >> 31;
	}
};

template <class Lock, class Reading, class Hash = std::hash<uint64_t>>
class of_std : public no_threads {
public:
	explicit of_std(size_t n) { map.reserve(n); }
	void get(uint64_t key)
	{
		std::shared_ptr<item> value = find(key);
		benchmark::DoNotOptimize(value.get());
	}
	/* What was there ends outside the lock. */
	void put(uint64_t key)
	{
		std::shared_ptr<item> value = std::make_shared<item>();
		std::lock_guard<Lock> hold(lock);
		map[key].swap(value);
	}
	void take(uint64_t key)
	{
		std::shared_ptr<item> value;
		std::lock_guard<Lock> hold(lock);
		auto at = map.find(key);
		if (at == map.end())
			return;
		value.swap(at->second);
		map.erase(at);
	}

private:
	std::shared_ptr<item> find(uint64_t key)
	{
		Reading hold(lock);
		auto at = map.find(key);
		return at == map.end() ? nullptr : at->second;
	}
	Lock lock;
	std::unordered_map<uint64_t, std::shared_ptr<item>, Hash> map;
};
typedef of_std<std::mutex, std::lock_guard<std::mutex>> of_mutex;
typedef of_std<std::mutex, std::lock_guard<std::mutex>, scatter> of_scattered;
typedef of_std<std::shared_mutex, std::shared_lock<std::shared_mutex>> of_shared_mutex;

#ifdef HAVE_GOBJECT
class of_glib : public no_threads {
public:
	explicit of_glib(size_t) : map(g_hash_table_new(g_direct_hash, g_direct_equal)) {}
	~of_glib()
	{
		auto each = [](void *, void *value, void *) { drop(value); };
		g_hash_table_foreach(map, each, nullptr);
		g_hash_table_unref(map);
	}
	void get(uint64_t key)
	{
		lock.lock();
		void *value = g_hash_table_lookup(map, name(key));
		if (value)
			g_atomic_rc_box_acquire(value);
		lock.unlock();
		benchmark::DoNotOptimize(value);
		drop(value);
	}
	void put(uint64_t key)
	{
		void *value = g_atomic_rc_box_alloc0(sizeof(item));
		lock.lock();
		void *old = g_hash_table_lookup(map, name(key));
		g_hash_table_insert(map, name(key), value);
		lock.unlock();
		drop(old);
	}
	void take(uint64_t key)
	{
		void *value = nullptr;
		lock.lock();
		g_hash_table_steal_extended(map, name(key), nullptr, &value);
		lock.unlock();
		drop(value);
	}

private:
	static void *name(uint64_t key) { return reinterpret_cast<void *>(key + 1); }
	static void drop(void *value)
	{
		if (value)
			g_atomic_rc_box_release(value);
	}
	std::mutex lock;
	GHashTable *map;
};
#else
struct of_glib : no_threads {
	static bool there(benchmark::State &state) { return glib::load(state); }
	explicit of_glib(size_t) {}
	void get(uint64_t) {}
	void put(uint64_t) {}
	void take(uint64_t) {}
};
#endif

#ifdef HAVE_URCU_MEMB
class of_urcu {
public:
	struct thread {
		thread() { urcu_memb_register_thread(); }
		~thread() { urcu_memb_unregister_thread(); }
	};
	static bool there(benchmark::State &) { return true; }
	explicit of_urcu(size_t n)
	{
		size_t buckets = 64;
		while (buckets < n)
			buckets *= 2;
		int flags = CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING;
		map = cds_lfht_new_flavor(buckets, 64, 0, flags, &urcu_memb_flavor, nullptr);
		must(map);
	}
	~of_urcu()
	{
		thread here;
		cds_lfht_iter iter;
		cds_lfht_node *node;
		urcu_memb_read_lock();
		cds_lfht_for_each(map, &iter, node)
			if (cds_lfht_del(map, node) == 0)
				free_later(node);
		urcu_memb_read_unlock();
		urcu_memb_barrier();
		cds_lfht_destroy(map, nullptr);
	}
	void get(uint64_t key)
	{
		urcu_memb_read_lock();
		cds_lfht_node *node = find(key);
		benchmark::DoNotOptimize(node ? of(node)->value[0] : 0);
		urcu_memb_read_unlock();
	}
	void put(uint64_t key)
	{
		entry *e = new entry();
		e->key = key;
		cds_lfht_node_init(&e->node);
		urcu_memb_read_lock();
		cds_lfht_node *old = cds_lfht_add_replace(map, hash(key), same, &key, &e->node);
		if (old)
			free_later(old);
		urcu_memb_read_unlock();
	}
	void take(uint64_t key)
	{
		urcu_memb_read_lock();
		cds_lfht_node *node = find(key);
		if (node && cds_lfht_del(map, node) == 0)
			free_later(node);
		urcu_memb_read_unlock();
	}

private:
	struct entry {
		cds_lfht_node node;
		rcu_head head;
		uint64_t key, value[2];
	};
	static entry *of(cds_lfht_node *node) { return reinterpret_cast<entry *>(node); }
	static unsigned long hash(uint64_t key) { return key * 0x9e3779b97f4a7c15u >> 20; }
	static int same(cds_lfht_node *node, const void *key)
	{
		return of(node)->key == *static_cast<const uint64_t *>(key);
	}
	cds_lfht_node *find(uint64_t key)
	{
		cds_lfht_iter iter;
		cds_lfht_lookup(map, hash(key), same, &key, &iter);
		return cds_lfht_iter_get_node(&iter);
	}
	static void free_later(cds_lfht_node *node)
	{
		urcu_memb_call_rcu(&of(node)->head, [](rcu_head *head) {
			char *at = reinterpret_cast<char *>(head) - offsetof(entry, head);
			delete reinterpret_cast<entry *>(at);
		});
	}
	cds_lfht *map;
};
#else
struct of_urcu : no_threads {
	static bool there(benchmark::State &state)
	{
		state.SkipWithError("liburcu-dev is not installed");
		return false;
	}
	explicit of_urcu(size_t) {}
	void get(uint64_t) {}
	void put(uint64_t) {}
	void take(uint64_t) {}
};
#endif

template <class M> struct rows {
	static inline std::unique_ptr<M> map;

	static void fill(const benchmark::State &state)
	{
		typename M::thread here;
		map.reset(new M(static_cast<size_t>(state.range(0))));
		for (int64_t key = 0; key < state.range(0); key++)
			map->put(static_cast<uint64_t>(key));
		/* ours links buckets when they are first used */
		for (int64_t key = 0; key < state.range(0); key++)
			map->get(static_cast<uint64_t>(key));
	}
	static void drop(const benchmark::State &) { map.reset(); }

	/* Calls once(map, key that is there, how many it did before) for each iteration. */
	template <class F> static void go(benchmark::State &state, F once)
	{
		typename M::thread here;
		uint64_t n = static_cast<uint64_t>(state.range(0)), done = 0;
		uint64_t x = 0x9e3779b97f4a7c15u;

		x *= static_cast<uint64_t>(state.thread_index()) + 1;

		if (!M::there(state))
			return;
		for (auto _ : state) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			once(*map, (x >> 32) * n >> 32, done++);
		}
	}
	static void get(benchmark::State &state)
	{
		go(state, [](M &m, uint64_t key, uint64_t) { m.get(key); });
	}
	static void put(benchmark::State &state)
	{
		go(state, [](M &m, uint64_t key, uint64_t) { m.put(key); });
	}
	static void put_take(benchmark::State &state)
	{
		uint64_t mine = static_cast<uint64_t>(state.thread_index() + 1) << 32;
		go(state, [mine](M &m, uint64_t key, uint64_t) {
			m.put(mine + key);
			m.take(mine + key);
		});
	}
	static void mixed(benchmark::State &state)
	{
		go(state, [](M &m, uint64_t key, uint64_t done) {
			done % 10 ? m.get(key) : m.put(key);
		});
	}
};

#define ROW(row, kind, M) \
	BENCHMARK(rows<M>::row)->Name("map_" #row "/" kind) \
		->Setup(rows<M>::fill)->Teardown(rows<M>::drop) \
		->Arg(1000)->Arg(100000)->UseRealTime()->ThreadRange(1, bench_threads())
#define ROWS(row) \
	ROW(row, "ouro", of_ouro); \
	ROW(row, "mutex", of_mutex); \
	ROW(row, "mutex scattered", of_scattered); \
	ROW(row, "shared_mutex", of_shared_mutex); \
	ROW(row, "glib", of_glib); \
	ROW(row, "urcu bare", of_urcu)
ROWS(get);
ROWS(put);
ROWS(put_take);
ROWS(mixed);
