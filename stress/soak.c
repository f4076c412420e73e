/*
 * soak - everything at once, for an hour: make soak
 *
 * Goal: a server that lives for long holds what it reaches and no more, is never stopped for long,
 * and has nothing left at its end.
 * Method: threads that come and go, a cache of weak references, rings, a shared graph, finalizers
 * that bring back, watches, large objects, forks; bursts with all threads, then quiet with one.
 * Once a second a line of figures goes to a file: memory, objects, pauses, counts.
 * A failure means: memory that grows in each quarter of the run, a stop longer than
 * LONGEST_STOP_NS, an object destroyed twice, while held or not at all.
 *
 * soak [threads] [seconds] [seed] [file.csv]
 */
#include "stress.h"

#include <math.h>
#include <sys/wait.h>

enum { CACHE = 512, GRAPH = 4096, LINKS = 4, PERIODS = 12, QUARTERS = 4 };
#define LONGEST_STOP_NS UINT64_C(5000000000)

/* Memory that does not pass what it was in the quarter before by so much does not grow. */
#define GROWTH 1.08
#define GROWTH_BYTES (UINT64_C(4) << 20)

struct node {
	struct canary canary;
	struct node *link[LINKS];
	ouro_weak seen;
	uint64_t key;
};

static struct node *graph[GRAPH], *risen[64];
static ouro_weak cache[CACHE];
static struct node *recent[CACHE / 4]; /* what keeps entries of the cache for a while */
static struct tally operations, finalized, watched, forks, starts, hits, misses;
static _Atomic bool quiet;

/* ---- types ---- */

static void finalize(void *obj)
{
	struct node *n = obj;
	tally_add(&finalized, 1);
	if (n->key % 16 == 0)
		ouro_store(&risen[n->key / 16 % 64], n);
}

static const ouro_type plain_type = {
	.name = "soak plain",
	.size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, link),
	.weaks = OURO_WEAKS(struct node, seen),
	.destroy = canary_only,
};
static const ouro_type final_type = {
	.name = "soak finalized",
	.size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, link),
	.weaks = OURO_WEAKS(struct node, seen),
	.finalize = finalize,
	.destroy = canary_only,
};
static const ouro_type large_type = {
	.name = "soak large",
	.size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, link),
	.item_size = sizeof(void *),
	.item_slots = OURO_ITEM_REFS,
	.destroy = canary_only,
};

static struct node *new_node(struct rng *r)
{
	struct node *n = make(rng_one_in(r, 20) ? &final_type : &plain_type, 0);
	n->key = rng_next(r);
	return n;
}

static struct node **any_of_graph(struct rng *r)
{
	return &graph[rng_below(r, GRAPH)];
}

/* ---- what threads do ---- */

static void drop_ring(struct rng *r)
{
	struct node *first = new_node(r), *last = ouro_retain(first);
	for (unsigned n = rng_below(r, 30); n; n--) {
		struct node *next = new_node(r);
		ouro_store(&last->link[0], next);
		drop(last);
		last = next;
	}
	ouro_store(&last->link[0], first);
	if (rng_one_in(r, 8)) {
		struct node *held = ouro_load(any_of_graph(r));
		ouro_give(&first->link[1], held);
	}
	drop(last);
	drop(first);
}

/* What leaves lets go of most of what it refers to: else all that ever was would be reachable. */
static void replace_in_graph(struct rng *r)
{
	struct node *old = ouro_exchange(any_of_graph(r), new_node(r));
	for (unsigned i = rng_below(r, 2); old && i < LINKS; i++)
		ouro_store(&old->link[i], NULL);
	drop(old);
}

static void change_graph(struct rng *r)
{
	struct node *a = ouro_load(any_of_graph(r)), *b = ouro_load(any_of_graph(r));
	if (!a || rng_one_in(r, 4))
		replace_in_graph(r);
	if (a)
		ouro_store(&a->link[rng_below(r, LINKS)], b);
	drop(a);
	drop(b);
}

static void use_cache(struct rng *r)
{
	unsigned k = rng_below(r, CACHE);
	struct node *n = ouro_weak_load(&cache[k]);
	tally_add(n ? &hits : &misses, 1);
	if (!n) {
		n = new_node(r);
		CHECK(ouro_weak_store(&cache[k], n) == 0);
	}
	ouro_store(&recent[rng_below(r, CACHE / 4)], n);
	drop(n);
}

static void run_watch(void *arg)
{
	(void)arg;
	tally_add(&watched, 1);
}

static void watch_and_drop(struct rng *r)
{
	struct node *n = new_node(r);
	ouro_watch_id id;
	CHECK(ouro_watch(n, run_watch, NULL, &id) == 0);
	CHECK(ouro_weak_store(&n->seen, n) == 0);
	if (rng_one_in(r, 3))
		CHECK(ouro_unwatch(id));
	if (rng_one_in(r, 2))
		ouro_store(&n->link[0], n);
	drop(n);
}

static void drop_large(struct rng *r)
{
	struct node *n = make(&large_type, 1000 + rng_below(r, 20000));
	ouro_store(&n->link[0], n);
	drop(n);
}

static void let_go_of_risen(struct rng *r)
{
	drop(ouro_take(&risen[rng_below(r, 64)]));
}

static void one_of_all(struct rng *r)
{
	unsigned what = rng_below(r, 100);
	if (what < 25)
		drop_ring(r);
	else if (what < 60)
		change_graph(r);
	else if (what < 85)
		use_cache(r);
	else if (what < 95)
		watch_and_drop(r);
	else if (what < 99)
		let_go_of_risen(r);
	else if (rng_one_in(r, 10))
		drop_large(r);
}

/* ---- threads that come and go ---- */

/* Some leave without a word, some sleep attached, some pin for a moment. */
static void live(struct worker *w)
{
	uint64_t until = stress_now_ns() + 200000000 + rng_below(&w->rng, 1800000000);
	while (!stress_over() && stress_now_ns() < until) {
		for (int i = 0; i < 100; i++)
			one_of_all(&w->rng);
		tally_add(&operations, 100);
		if (atomic_load_explicit(&quiet, memory_order_relaxed))
			stress_sleep_ns(20000000);
		if (rng_one_in(&w->rng, 500)) {
			ouro_pin();
			ouro_unpin();
		}
	}
	if (rng_one_in(&w->rng, 2))
		ouro_thread_detach();
}

static void *keep_one_alive(void *arg)
{
	struct rng r = rng_of(100 + (uint64_t)(uintptr_t)arg);
	while (!stress_over()) {
		struct worker w;
		worker_start(&w, 0, rng_next(&r), live);
		worker_join(&w);
		tally_add(&starts, 1);
	}
	return NULL;
}

/* ---- forks: the child looks at the graph and lets go of it ---- */

static void child(void)
{
	alarm(stress_limit());
	for (int i = 0; i < GRAPH; i++) {
		struct node *n = ouro_load(&graph[i]);
		if (n)
			canary_alive(&n->canary);
		ouro_release(n);
	}
	_exit(0);
}

static void fork_once(void)
{
	int status = -1;
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		child();
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "status %x", (unsigned)status);
	tally_add(&forks, 1);
}

/* ---- figures ---- */

static uint64_t resident(void)
{
	unsigned long pages = 0, total;
	FILE *f = fopen("/proc/self/statm", "r");
	CHECK(f);
	CHECK(fscanf(f, "%lu %lu", &total, &pages) == 2);
	fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

struct figures {
	uint64_t rss[QUARTERS], reserved[QUARTERS], objects[QUARTERS]; /* the most in each */
};

static void take_most(uint64_t *most, uint64_t n)
{
	if (n > *most)
		*most = n;
}

static void head_line(FILE *csv)
{
	fprintf(csv, "seconds,quiet,rss_mb,reserved_mb,live_mb,objects,threads,operations,"
		     "starts,forks,finalized,watches,young,middle,full,collected,"
		     "pause_p99_us,pause_p999_us,pause_max_us,stop_max_us,delays\n");
}

#define MB(bytes) ((double)(bytes) / 1048576)
#define SUM(tally) ((unsigned long long)tally_sum(&(tally)))
#define ULL(n) ((unsigned long long)(n))

static void line(FILE *csv, double now, const ouro_stats *st, uint64_t rss)
{
	fprintf(csv, "%.1f,%d,%.2f,%.2f,%.2f,%llu,%llu,%llu,%llu,%llu,%llu,%llu,", now,
		(int)atomic_load(&quiet), MB(rss), MB(st->bytes_reserved), MB(st->bytes_live),
		ULL(st->objects_live), ULL(st->threads), SUM(operations), SUM(starts), SUM(forks),
		SUM(finalized), SUM(watched));
	fprintf(csv, "%llu,%llu,%llu,%llu,%.1f,%.1f,%.1f,%.1f,%llu\n", ULL(st->collections[0]),
		ULL(st->collections[1]), ULL(st->collections[2]),
		ULL(st->collected[0] + st->collected[1] + st->collected[2]),
		(double)st->pause_p99_ns / 1e3, (double)st->pause_p999_ns / 1e3,
		(double)st->pause_max_ns / 1e3, (double)st->stop_max_ns / 1e3, ULL(st->delays));
	fflush(csv);
}

static void look(FILE *csv, double now, struct figures *f)
{
	ouro_stats st;
	unsigned q = (unsigned)fmin(now / stress.seconds * QUARTERS, QUARTERS - 1);
	uint64_t rss = resident();
	ouro_stats_get(&st);
	line(csv, now, &st, rss);
	take_most(&f->rss[q], rss);
	take_most(&f->reserved[q], st.bytes_reserved);
	take_most(&f->objects[q], st.objects_live);
	CHECK(st.pause_max_ns < LONGEST_STOP_NS, "a pause of %llu ns", ULL(st.pause_max_ns));
	CHECK(st.stop_max_ns < LONGEST_STOP_NS, "%llu ns for a stop", ULL(st.stop_max_ns));
}

/* What grows without a bound grows from each quarter to the next. */
static void check_growth(const uint64_t *most, const char *what, uint64_t least)
{
	int grown = 0;
	for (int q = 1; q < QUARTERS; q++)
		grown += (double)most[q] > GROWTH * (double)most[q - 1] + (double)least;
	CHECK(grown < QUARTERS - 1, "%s grows: %llu %llu %llu %llu", what, ULL(most[0]),
	      ULL(most[1]), ULL(most[2]), ULL(most[3]));
}

static void watch_over(FILE *csv)
{
	struct figures f = { 0 };
	uint64_t began = stress_now_ns();
	double now = 0;
	head_line(csv);
	for (unsigned n = 1; now < stress.seconds; n++) {
		stress_sleep_ns((uint64_t)(fmin(1, stress.seconds / 20) * 1e9));
		now = (double)(stress_now_ns() - began) / 1e9;
		atomic_store(&quiet, (unsigned)(now / stress.seconds * PERIODS) % 3 == 2);
		if (!STRESS_TSAN && n % 5 == 0)
			fork_once();
		look(csv, now, &f);
	}
	if (STRESS_CUT == 1) /* else it is the sanitizer's memory, too */
		check_growth(f.rss, "resident memory", GROWTH_BYTES);
	check_growth(f.reserved, "reserved memory", GROWTH_BYTES);
	check_growth(f.objects, "the number of objects", 10000);
}

/* ---- the end ---- */

static void empty(struct node **slot, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ouro_store(&slot[i], NULL);
}

/* What is let go of may rise once. */
static void let_go_of_all(void)
{
	empty(graph, GRAPH);
	empty(recent, CACHE / 4);
	for (int i = 0; i < 2; i++) {
		stress_settle();
		empty(risen, 64);
	}
	for (int i = 0; i < CACHE; i++)
		ouro_weak_clear(&cache[i]);
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv, "soak");
	FILE *csv = argc > 4 ? fopen(argv[4], "w") : tmpfile();
	CHECK(csv, "errno %d", errno);
	CHECK(ouro_init(NULL) == 0);
	pthread_t *keeper = calloc(stress.threads, sizeof *keeper);
	CHECK(keeper);
	for (unsigned i = 0; i < stress.threads; i++)
		CHECK(pthread_create(&keeper[i], NULL, keep_one_alive, (void *)(uintptr_t)i) == 0);
	watch_over(csv);
	atomic_store(&stress.over, true);
	for (unsigned i = 0; i < stress.threads; i++)
		pthread_join(keeper[i], NULL);
	free(keeper);
	fclose(csv);
	let_go_of_all();
	return stress_end(0, "%llu operations, %llu threads, %llu forks, %llu finalizers, "
			  "%llu watches, cache %llu of %llu", SUM(operations), SUM(starts),
			  SUM(forks), SUM(finalized), SUM(watched), SUM(hits),
			  SUM(hits) + SUM(misses));
}
