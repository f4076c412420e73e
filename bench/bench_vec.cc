/*
 * bench_vec.cc - vectors of counted objects, that several threads use at once
 *
 * get: an element at a random place is looked at, and let go. push: a new element is added at the
 * end; and popped again every so many, so that the vector stays as large as the row's name says, or
 * twice that. push_pop: one is added, and one taken away. each: all elements, one after the other;
 * the time is that of one of them. Wall time of one operation, of all threads together.
 *
 * Peers: std::vector of shared_ptr under a mutex, and under one that readers share. In a walk they
 * hold the lock throughout, and count nothing: ours counts each element, and holds up nobody.
 */
#include "bench.h"
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <vector>

struct element {
	uint64_t value[2];
};

static const ouro_type element_type = bench_type("element", sizeof(element), {}, OURO_ACYCLIC);

static uint64_t sum_of(const void *obj)
{
	return static_cast<const element *>(obj)->value[0];
}

class vec_ouro {
public:
	vec_ouro() : vec(static_cast<ouro_vec *>(must(ouro_vec_new(0)))) {}
	~vec_ouro() { ouro_release(vec); }
	void push()
	{
		element *e = bench_new<element>(element_type);
		must(ouro_vec_push(vec, e, nullptr) ? nullptr : e);
		ouro_release(e);
	}
	void pop() { ouro_release(ouro_vec_pop(vec)); }
	void get(size_t i)
	{
		void *e = ouro_vec_get(vec, i);
		benchmark::DoNotOptimize(e);
		ouro_release(e);
	}
	void each()
	{
		uint64_t sum = 0;
		auto add = [](size_t, void *value, void *arg) {
			*static_cast<uint64_t *>(arg) += sum_of(value);
			return true;
		};
		ouro_vec_each(vec, add, &sum);
		benchmark::DoNotOptimize(sum);
	}

private:
	ouro_vec *vec;
};

template <class Lock, class Reading> class vec_std {
public:
	void push()
	{
		std::shared_ptr<element> e = std::make_shared<element>();
		std::lock_guard<Lock> hold(lock);
		vec.push_back(std::move(e));
	}
	/* What was there ends outside the lock. */
	void pop()
	{
		std::shared_ptr<element> e;
		std::lock_guard<Lock> hold(lock);
		if (vec.empty())
			return;
		e.swap(vec.back());
		vec.pop_back();
	}
	void get(size_t i)
	{
		std::shared_ptr<element> e = at(i);
		benchmark::DoNotOptimize(e.get());
	}
	void each()
	{
		uint64_t sum = 0;
		Reading hold(lock);
		for (const std::shared_ptr<element> &e : vec)
			sum += sum_of(e.get());
		benchmark::DoNotOptimize(sum);
	}

private:
	std::shared_ptr<element> at(size_t i)
	{
		Reading hold(lock);
		return i < vec.size() ? vec[i] : nullptr;
	}
	Lock lock;
	std::vector<std::shared_ptr<element>> vec;
};
typedef vec_std<std::mutex, std::lock_guard<std::mutex>> vec_mutex;
typedef vec_std<std::shared_mutex, std::shared_lock<std::shared_mutex>> vec_shared_mutex;

template <class V> struct vec_rows {
	static inline std::unique_ptr<V> vec;

	static void fill(const benchmark::State &state)
	{
		vec.reset(new V());
		for (int64_t i = 0; i < state.range(0); i++)
			vec->push();
	}
	static void drop(const benchmark::State &) { vec.reset(); }

	static void get(benchmark::State &state)
	{
		uint64_t n = static_cast<uint64_t>(state.range(0));
		uint64_t x = 0x9e3779b97f4a7c15u;

		x *= static_cast<uint64_t>(state.thread_index()) + 1;
		for (auto _ : state) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			vec->get((x >> 32) * n >> 32);
		}
	}
	/* Each thread takes away what it has added, so that none meets an empty vector. */
	static void push(benchmark::State &state)
	{
		int64_t most = state.range(0) / state.threads(), mine = 0;
		for (auto _ : state) {
			vec->push();
			if (++mine < most)
				continue;
			state.PauseTiming();
			for (; mine; mine--)
				vec->pop();
			state.ResumeTiming();
		}
	}
	static void push_pop(benchmark::State &state)
	{
		for (auto _ : state) {
			vec->push();
			vec->pop();
		}
	}
	static void each(benchmark::State &state)
	{
		while (state.KeepRunningBatch(state.range(0)))
			vec->each();
	}
};

#define ROW(row, kind, V) \
	BENCHMARK(vec_rows<V>::row)->Name("vec_" #row "/" kind) \
		->Setup(vec_rows<V>::fill)->Teardown(vec_rows<V>::drop) \
		->Arg(1000)->Arg(100000)->UseRealTime()->ThreadRange(1, bench_threads())
#define ROWS(row) \
	ROW(row, "ouro", vec_ouro); \
	ROW(row, "mutex", vec_mutex); \
	ROW(row, "shared_mutex", vec_shared_mutex)
ROWS(get);
ROWS(push);
ROWS(push_pop);
ROWS(each);
