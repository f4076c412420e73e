/*
 * handover.h - a ring of pointers from one thread to another, small enough to stay in the cache
 *
 * Both ends keep a copy of the other's index and read the shared one only when the copy says full or
 * empty, so that the ring itself costs little. Who has to wait spins for about a microsecond, then yields
 * between looks.
 */
#ifndef OURO_BENCH_HANDOVER_H
#define OURO_BENCH_HANDOVER_H

#include <atomic>
#include <cstddef>
#include <sched.h>
#include <utility>

template <class T, size_t SIZE = 256> class handover {
public:
	void push(T value)
	{
		size_t at = tail.load(std::memory_order_relaxed);

		for (unsigned n = 0; at - seen_head == SIZE && at - refresh(seen_head, head) == SIZE;)
			wait(n);
		ring[at % SIZE] = std::move(value);
		tail.store(at + 1, std::memory_order_release);
	}

	T pop()
	{
		size_t at = head.load(std::memory_order_relaxed);

		for (unsigned n = 0; seen_tail == at && refresh(seen_tail, tail) == at;)
			wait(n);
		T value = std::move(ring[at % SIZE]);
		head.store(at + 1, std::memory_order_release);
		return value;
	}

private:
	static size_t refresh(size_t &seen, const std::atomic<size_t> &index)
	{
		return seen = index.load(std::memory_order_acquire);
	}

	static void wait(unsigned &n)
	{
		if (n++ >= 100)
			sched_yield();
#ifdef __x86_64__
		else
			__builtin_ia32_pause();
#endif
	}

	alignas(64) std::atomic<size_t> tail{0}; /* the pushing thread's */
	size_t seen_head = 0;
	alignas(64) std::atomic<size_t> head{0}; /* the popping thread's */
	size_t seen_tail = 0;
	alignas(64) T ring[SIZE];
};

#endif
