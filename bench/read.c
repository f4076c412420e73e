/*
 * read.c - a program that only reads: does it make work for the collector?
 *
 * N pairs of objects that refer to each other are in a table. Threads load from it at random,
 * follow the reference, and release both. Nothing is made and nothing dies, so there is nothing
 * to collect, to log or to clean up: the library's own threads should have no CPU time, and no
 * collection should begin. Each of the counts may be a foreign one.
 *
 * Some time after a full collection the library looks once whether what lived then still does. The
 * table was made just now and a full collection asked for: the look at that comes before anybody
 * reads.
 *
 *   LIVE     objects (1e7, or what half of the available memory has room for)
 *   THREADS  (4)   SECONDS  (60)
 */
#include "pairs.h"
#include "resident.h"
#include "shapes.h"

enum { OBJECT_BYTES = 100 };

static size_t room_for(void)
{
	size_t free_bytes = (size_t)sysconf(_SC_AVPHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);

	return free_bytes / 2 / OBJECT_BYTES < 10000000 ? free_bytes / 2 / OBJECT_BYTES : 10000000;
}

static void fill(size_t n)
{
	table = load_must(ouro_new_items(&table_type, n));
	table->n = n;
	for (size_t i = 0; i < n; i++) {
		struct pair *a = make(&pair_type), *b = make(&pair_type);

		ouro_store(&a->other, b);
		ouro_store(&b->other, a);
		ouro_release(b);
		ouro_give(&table->at[i], a);
	}
}

/*
 * Waits until the library has looked, which it does when the program has been quiet for 16 times
 * what a full collection takes, and a second at least; or until it will not, as of a small heap.
 */
static void let_it_look(void)
{
	struct moment begun = moment_now(), now;
	uint64_t most;

	ouro_gc_collect(2);
	ouro_flush();
	now = moment_now();
	most = 2000000000 + 32 * (now.ns - begun.ns) + now.ns;
	begun = now;
	while (!collections(&begun, &now) && now.ns < most) {
		sleep_ms(10);
		now = moment_now();
	}
}

static void *read_all(void *arg)
{
	struct worker *w = arg;
	uint64_t sum = 0;

	while (!atomic_load_explicit(&over, memory_order_relaxed))
		for (int i = 0; i < BATCH; i++) {
			struct pair *a = ouro_load(&table->at[load_index(&w->load, table->n)]);
			struct pair *b = ouro_load(&a->other);

			sum += a->value[0] + b->value[0];
			ouro_release(b);
			ouro_release(a);
			w->n_operations += 2;
		}
	if (sum) /* nobody wrote a value; the sum keeps the reads */
		load_die("a value has changed");
	return NULL;
}

static void print(const struct moment *from, const struct moment *to, uint64_t loads,
		  const size_t mb[2])
{
	double cpu = (double)(to->cpu_ns - from->cpu_ns);
	double own = (double)(to->servants_ns - from->servants_ns);

	printf("loads and releases: %.2f M/s, %.1f ns of CPU each\n",
	       (double)loads / (double)(to->ns - from->ns) * 1e3, loads ? cpu / (double)loads : 0);
	printf("the library's own threads: %.3f ms of CPU, %.4f %% of all\n", own / 1e6,
	       cpu > 0 ? 100 * own / cpu : 0);
	printf("collections begun: %llu; resident %zu MB before, %zu MB after\n",
	       (unsigned long long)collections(from, to), mb[0], mb[1]);
}

int main(void)
{
	static struct worker workers[WORKERS_MAX];
	unsigned n = (unsigned)setting("THREADS", 4);
	unsigned long ms = seconds_ms(60), live = setting("LIVE", room_for());
	struct moment from, to;
	uint64_t loads = 0;
	size_t mb[2];

	if (n > WORKERS_MAX || live < 2)
		load_die("at most 64 threads, at least 2 objects");
	if (ouro_init(NULL))
		load_die("the heap does not start");
	fill(live / 2);
	printf("== read: %lu live objects, %u threads, %g s\n", live, n, (double)ms / 1000);
	let_it_look();
	start_workers(workers, n, read_all);
	sleep_ms(500); /* what filling left to do is done, and the threads have begun */
	mb[0] = resident_bytes(getpid()) >> 20;
	from = moment_now();
	for (unsigned i = 0; i < n; i++)
		loads -= __atomic_load_n(&workers[i].n_operations, __ATOMIC_RELAXED);
	sleep_ms(ms);
	to = moment_now();
	for (unsigned i = 0; i < n; i++)
		loads += __atomic_load_n(&workers[i].n_operations, __ATOMIC_RELAXED);
	mb[1] = resident_bytes(getpid()) >> 20;
	atomic_store(&over, true);
	for (unsigned i = 0; i < n; i++)
		pthread_join(workers[i].thread, NULL);
	print(&from, &to, loads, mb);
	ouro_release(table);
	return end_heap();
}
