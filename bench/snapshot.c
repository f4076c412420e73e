/*
 * snapshot.c - what a heap snapshot, and the question why an object is alive, cost a program
 *
 * LIVE objects are in a table, two and two referring to each other; threads load from it at random
 * and release. Nothing else stops them: automatic collection is off, so all stops that the
 * statistics count are of the snapshot, then of the path.
 *
 *   LIVE     objects (1e6)
 *   THREADS  (2)
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "pairs.h"

static atomic_bool over;

static size_t number(const char *name, size_t otherwise)
{
	const char *s = getenv(name);

	return s != NULL ? (size_t)strtod(s, NULL) : otherwise;
}

static void fill(void)
{
	for (size_t i = 0; i < table->n; i += 2) {
		struct pair *a = ouro_new(&pair_type), *b = ouro_new(&pair_type);

		if (a == NULL || b == NULL)
			abort();
		ouro_store(&a->other, b);
		ouro_store(&b->other, a);
		ouro_give(&table->at[i], a);
		if (i + 1 < table->n)
			ouro_give(&table->at[i + 1], b);
		else
			ouro_release(b);
	}
}

static void *load_at_random(void *arg)
{
	uint64_t x = (uintptr_t)arg;

	while (!atomic_load(&over)) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		ouro_release(ouro_load(&table->at[(x >> 33) % table->n]));
	}
	return NULL;
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double peak_bytes(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_maxrss * 1024;
}

static bool count_step(const ouro_path_step *step, void *arg)
{
	(void)step;
	++*(int *)arg;
	return true;
}

static long written;

static void write_snapshot(void)
{
	FILE *f = tmpfile();

	if (f == NULL || ouro_snapshot_write(f) != 0)
		abort();
	written = ftell(f);
	fclose(f);
}

static void find_path(void)
{
	struct pair *last = ouro_load(&table->at[table->n - 1]);
	int steps = 0;

	while (ouro_gc_path(last, count_step, &steps) < 0 && errno == EAGAIN)
		;
	ouro_release(last);
	if (steps != 2)
		abort();
}

static void measure(const char *name, void (*what)(void))
{
	double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
	double memory = peak_bytes();

	what();
	printf("%-9s %9zu objects  %6.3f s  CPU %6.3f s  memory %4.0f bytes an object\n", name,
	       (size_t)table->n, seconds(CLOCK_MONOTONIC) - wall,
	       seconds(CLOCK_THREAD_CPUTIME_ID) - cpu,
	       (peak_bytes() - memory) / (double)table->n);
}

static void print_stops(void)
{
	ouro_stats s;

	ouro_stats_get(&s);
	printf("stops     %9llu          median %llu us  p99 %llu us  longest %llu us, of which %llu "
	       "us until all stood\n",
	       (unsigned long long)s.pauses, (unsigned long long)s.pause_p50_ns / 1000,
	       (unsigned long long)s.pause_p99_ns / 1000, (unsigned long long)s.pause_max_ns / 1000,
	       (unsigned long long)s.stop_max_ns / 1000);
}

int main(void)
{
	size_t live = number("LIVE", 1000000), n_threads = number("THREADS", 2);
	pthread_t *thread = calloc(n_threads + 1, sizeof *thread);
	ouro_config cfg = OURO_CONFIG_DEFAULT;

	cfg.enabled = false;
	if (thread == NULL || ouro_init(&cfg) != 0)
		return 1;
	table = ouro_new_items(&table_type, live);
	if (table == NULL)
		return 1;
	table->n = live;
	fill();
	for (size_t i = 0; i < n_threads; i++)
		pthread_create(&thread[i], NULL, load_at_random, (void *)(uintptr_t)(i + 1));
	measure("snapshot", write_snapshot);
	print_stops();
	printf("file      %9ld bytes    %.0f an object\n", written, (double)written / (double)live);
	measure("path", find_path);
	atomic_store(&over, true);
	for (size_t i = 0; i < n_threads; i++)
		pthread_join(thread[i], NULL);
	free(thread);
	ouro_release(table);
	ouro_gc_collect(2);
	return 0;
}
