/*
 * pause_beat.c - the other control of bench/pause: malloc and free, and threads that are stopped by nobody's collector
 *
 * One thread more stops the others at a fixed beat, the way a collector would that does nothing: it asks, they
 * come to rest between two operations and sleep on a futex, it works for a while, wakes them, and then works on
 * beside them. What an operation takes longer than a stop did is what the scheduler takes to give a thread that
 * was woken a processor again. OURO_BEAT=us,us sets how long a stop is, and how long it works between two.
 */
#include "malloc_load.h"
#include <linux/futex.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t stop_ns = 250000, between_ns = 750000;
static _Atomic uint32_t stopping; /* what the threads sleep on: 1 while they shall */
static atomic_uint n_running;
static pthread_t beater;

static void futex(int operation, uint32_t value)
{
	syscall(SYS_futex, &stopping, operation, value, NULL, NULL, 0);
}

static void rest(void)
{
	atomic_fetch_sub(&n_running, 1);
	while (atomic_load(&stopping))
		futex(FUTEX_WAIT_PRIVATE, 1);
	atomic_fetch_add(&n_running, 1);
}

static inline void beaten(struct load *l)
{
	while (atomic_load_explicit(&stopping, memory_order_acquire))
		rest();
	operation(l);
}

static void churn(struct pause_worker *w)
{
	atomic_fetch_add(&n_running, 1);
	pause_churn(w, beaten);
	atomic_fetch_sub(&n_running, 1);
}

static void work_until(uint64_t ns)
{
	while (latency_ns(CLOCK_MONOTONIC) < ns)
		;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ 0, 20000 }, NULL);
}

static void beat_once(void)
{
	uint64_t start = latency_ns(CLOCK_MONOTONIC), stopped;

	atomic_store(&stopping, 1);
	while (atomic_load(&n_running) && !atomic_load(&pause_over))
		nap();
	stopped = latency_ns(CLOCK_MONOTONIC);
	work_until(stopped + stop_ns);
	atomic_store(&stopping, 0);
	futex(FUTEX_WAKE_PRIVATE, INT_MAX);
	pause_stop(latency_ns(CLOCK_MONOTONIC) - start, 0);
}

static void *beat(void *arg)
{
	(void)arg;
	while (!atomic_load(&n_running))
		nap();
	while (!atomic_load(&pause_over)) {
		beat_once();
		work_until(latency_ns(CLOCK_MONOTONIC) + between_ns);
	}
	return NULL;
}

static void start(void)
{
	const char *s = getenv("OURO_BEAT");
	unsigned stop_us, between_us;

	if (s && sscanf(s, "%u,%u", &stop_us, &between_us) == 2) {
		stop_ns = stop_us * UINT64_C(1000);
		between_ns = between_us * UINT64_C(1000);
	}
	if (pthread_create(&beater, NULL, beat, NULL))
		load_die("no thread");
}

static int finish(void)
{
	pthread_join(beater, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct pause_heap heap = {
		.name = "beat", .node_bytes = 80, .stops = true, .start = start, .table = make_table, .replace = replace,
		.churn = churn, .drop = drop_table, .ring = make_ring, .ring_drop = drop_ring, .close = finish,
	};

	return pause_main(argc, argv, &heap);
}
