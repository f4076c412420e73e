/*
 * maker.h - objects owned by a thread that is not one of the benchmark's
 *
 * The maker stays alive, asleep, until the objects are dropped: every thread that counts on them is
 * foreign, and the objects are not merged by their owner's exit.
 */
#ifndef OURO_BENCH_MAKER_H
#define OURO_BENCH_MAKER_H

#include "bench.h"
#include <condition_variable>
#include <mutex>
#include <thread>

class maker {
public:
	template <class F> explicit maker(F make)
	{
		thread = std::thread([this, make] {
			make();
			std::unique_lock<std::mutex> guard(lock);
			made = true;
			changed.notify_all();
			changed.wait(guard, [this] { return over; });
		});
		std::unique_lock<std::mutex> guard(lock);
		changed.wait(guard, [this] { return made; });
	}
	~maker()
	{
		{
			std::lock_guard<std::mutex> guard(lock);
			over = true;
		}
		changed.notify_all();
		thread.join();
	}

private:
	std::thread thread;
	std::mutex lock;
	std::condition_variable changed;
	bool made = false, over = false;
};

#endif
