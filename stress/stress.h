/*
 * stress.h - what the stress programs share: arguments, random numbers, threads, the deadline,
 * checks, the last shutdown
 *
 * A program is  main: stress_begin, ouro_init, stress_run or threads of its own, tidy up,
 * stress_end. Everything random comes from stress.seed, so a seed replays a run as far as the
 * scheduler lets it.
 */
#ifndef OURO_STRESS_H
#define OURO_STRESS_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ouro.h>

#ifdef __has_feature
#define STRESS_FEATURE(name) __has_feature(name)
#else
#define STRESS_FEATURE(name) 0
#endif

/* The one place where loads are cut: sanitizers make a program 5 to 20 times slower and its stacks larger. */
#if defined(__SANITIZE_THREAD__) || STRESS_FEATURE(thread_sanitizer)
enum { STRESS_CUT = 20, STRESS_TSAN = 1 };
#elif defined(__SANITIZE_ADDRESS__) || STRESS_FEATURE(address_sanitizer)
enum { STRESS_CUT = 10, STRESS_TSAN = 0 };
#else
enum { STRESS_CUT = 1, STRESS_TSAN = 0 };
#endif

static struct {
	const char *name;
	unsigned threads;
	double seconds;
	uint64_t seed;
	atomic_bool over; /* the deadline has passed */
} stress;

/* ---- checks ---- */

static inline void __attribute__((noreturn, format(printf, 4, 5)))
stress_fail(const char *file, int line, const char *condition, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%s: seed %llu: %s:%d: CHECK(%s) failed:", stress.name,
		(unsigned long long)stress.seed, file, line, condition);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

/* CHECK(condition) or CHECK(condition, "format", ...) - always on */
#define CHECK(condition, ...) \
	((condition) ? (void)0 : stress_fail(__FILE__, __LINE__, #condition, " " __VA_ARGS__))

/* ---- time ---- */

static inline uint64_t stress_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void stress_sleep_ns(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* ---- random numbers (splitmix64) ---- */

struct rng {
	uint64_t state;
};

static inline uint64_t mix64(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static inline uint64_t rng_next(struct rng *r)
{
	return mix64(r->state += 0x9e3779b97f4a7c15u);
}

/* rng_below - 0 <= result < n */
static inline unsigned rng_below(struct rng *r, unsigned n)
{
	return (unsigned)(((rng_next(r) >> 32) * n) >> 32);
}

/* rng_one_in - true once in n calls, on average */
static inline bool rng_one_in(struct rng *r, unsigned n)
{
	return rng_below(r, n) == 0;
}

/* rng_of - a generator of its own for each stream of the run */
static inline struct rng rng_of(uint64_t stream)
{
	return (struct rng){ mix64(stress.seed * 0x2545f4914f6cdd1du + stream) };
}

/* ---- counters that many threads add to; relaxed: they order nothing that the library should order ---- */

enum { TALLY_STRIPES = 16 };

struct tally {
	struct {
		_Alignas(64) _Atomic uint64_t n;
	} stripe[TALLY_STRIPES];
};

static inline unsigned tally_stripe(void)
{
	static _Atomic unsigned next;
	static _Thread_local unsigned mine;

	if (!mine)
		mine = 1 + atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % TALLY_STRIPES;
	return mine - 1;
}

static inline void tally_add(struct tally *t, uint64_t n)
{
	atomic_fetch_add_explicit(&t->stripe[tally_stripe()].n, n, memory_order_relaxed);
}

static inline uint64_t tally_sum(struct tally *t)
{
	uint64_t sum = 0;

	for (int i = 0; i < TALLY_STRIPES; i++)
		sum += atomic_load_explicit(&t->stripe[i].n, memory_order_relaxed);
	return sum;
}

/* ---- arguments: [threads] [seconds] [seed] ---- */

/* How long one step may take before it counts as one that never ends. */
#define PATIENCE_NS UINT64_C(200000000000)

/* What has not ended so long after its deadline hangs: on a busy machine a second's work takes many. */
static inline unsigned stress_limit(void)
{
	return 300 + 10 * (unsigned)stress.seconds;
}

static inline void stress_hang(int sig)
{
	static const char text[] = ": hangs long after its deadline\n";

	(void)sig;
	if (write(2, stress.name, strlen(stress.name)) < 0 || write(2, text, sizeof(text) - 1) < 0)
		_exit(3);
	abort();
}

static inline void stress_begin(int argc, char **argv, const char *name)
{
	stress.name = name;
	stress.threads = argc > 1 ? (unsigned)atoi(argv[1]) : 4;
	stress.seconds = argc > 2 ? atof(argv[2]) : 10;
	stress.seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
	if (stress.threads < 1 || stress.threads > 256 || stress.seconds <= 0) {
		fprintf(stderr, "usage: %s [threads 1..256] [seconds] [seed]\n", name);
		exit(2);
	}
	printf("%s: %u threads, %g s, seed %llu\n", name, stress.threads, stress.seconds,
	       (unsigned long long)stress.seed);
	fflush(stdout);
	signal(SIGALRM, stress_hang);
	alarm(stress_limit());
}

/* stress_cut - @n, less in a sanitizer build, at least 1 */
static inline size_t stress_cut(size_t n)
{
	return n / STRESS_CUT ? n / STRESS_CUT : 1;
}

/* stress_config - a heap that collects all the time; which way, the seed decides */
static inline ouro_config stress_config(struct rng *r)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT;

	cfg.threshold[0] = rng_one_in(r, 4) ? -1 : (int)(20 + rng_below(r, 1000));
	cfg.threshold[1] = (int)rng_below(r, 4);
	cfg.threshold[2] = (int)rng_below(r, 4);
	cfg.release_batch = rng_one_in(r, 2) ? 1 + rng_below(r, 50) : 10000;
	cfg.pin_warn_ns = 0;
	return cfg;
}

static inline bool stress_over(void)
{
	return atomic_load_explicit(&stress.over, memory_order_relaxed);
}

/* ---- threads ---- */

struct worker {
	pthread_t thread;
	unsigned index;
	struct rng rng;
	uint64_t ops;
	void (*body)(struct worker *w);
};

static inline void *worker_main(void *arg)
{
	struct worker *w = arg;

	w->body(w);
	return NULL;
}

/* worker_start - runs body(w) in a thread of its own, with the random numbers of @stream */
static inline void
worker_start(struct worker *w, unsigned index, uint64_t stream, void (*body)(struct worker *w))
{
	w->index = index;
	w->rng = rng_of(stream);
	w->ops = 0;
	w->body = body;
	CHECK(pthread_create(&w->thread, NULL, worker_main, w) == 0);
}

static inline uint64_t worker_join(struct worker *w)
{
	CHECK(pthread_join(w->thread, NULL) == 0);
	return w->ops;
}

static inline void stress_wait_deadline(void)
{
	stress_sleep_ns((uint64_t)(stress.seconds * 1e9));
	atomic_store(&stress.over, true);
}

/* stress_run - stress.threads workers until the deadline; returns the sum of their ops */
static inline uint64_t stress_run(void (*body)(struct worker *w))
{
	struct worker *all = calloc(stress.threads, sizeof(*all));
	uint64_t ops = 0;

	CHECK(all);
	for (unsigned i = 0; i < stress.threads; i++)
		worker_start(&all[i], i, 1000 + i, body);
	stress_wait_deadline();
	for (unsigned i = 0; i < stress.threads; i++)
		ops += worker_join(&all[i]);
	free(all);
	return ops;
}

/* ---- canaries: every object here begins with one, which knows its address and whether it is dead ---- */

static struct tally stress_news, stress_destroys;

enum { CANARY_ALIVE = 0x616c6976, CANARY_DEAD = 0x64656164 };

struct canary {
	uint64_t self;
	_Atomic uint32_t state;
};

static inline uint64_t canary_value(const struct canary *c)
{
	return mix64((uint64_t)(uintptr_t)c ^ stress.seed);
}

/* canary_new - for an object just made: its memory must be zero */
static inline void canary_new(struct canary *c)
{
	CHECK(c->self == 0, "%p: not zeroed", (void *)c);
	CHECK(atomic_load_explicit(&c->state, memory_order_relaxed) == 0, "%p: not zeroed", (void *)c);
	c->self = canary_value(c);
	atomic_store_explicit(&c->state, CANARY_ALIVE, memory_order_relaxed);
	tally_add(&stress_news, 1);
}

/* canary_there - for a peeked pointer: the memory is still this object's, dying or not */
static inline void canary_there(const struct canary *c)
{
	uint32_t state = atomic_load_explicit(&c->state, memory_order_relaxed);

	CHECK(c->self == canary_value(c), "%p: overwritten or reused: %llx", (const void *)c,
	      (unsigned long long)c->self);
	CHECK(state == CANARY_ALIVE || state == CANARY_DEAD, "%p: state %x", (const void *)c, state);
}

/* canary_alive - for a counted reference */
static inline void canary_alive(const struct canary *c)
{
	uint32_t state = atomic_load_explicit(&c->state, memory_order_relaxed);

	canary_there(c);
	CHECK(state == CANARY_ALIVE, "%p: destroyed, but held", (const void *)c);
}

/* canary_destroy - for destroy functions */
static inline void canary_destroy(struct canary *c)
{
	canary_there(c);
	CHECK(atomic_exchange_explicit(&c->state, CANARY_DEAD, memory_order_relaxed) == CANARY_ALIVE,
	      "%p: destroyed twice", (void *)c);
	tally_add(&stress_destroys, 1);
}

/* drop - verifies and releases a counted reference (or NULL) to an object that begins with a canary */
static inline void drop(void *obj)
{
	if (obj)
		canary_alive(obj);
	ouro_release(obj);
}

/* make - an object that begins with a canary, with @items trailing items */
static inline void *make(const ouro_type *type, size_t items)
{
	void *obj = items ? ouro_new_items(type, items) : ouro_new(type);

	CHECK(obj, "errno %d", errno);
	canary_new(obj);
	return obj;
}

/* canary_only - a destroy function that does nothing else */
static inline void canary_only(void *obj)
{
	canary_destroy(obj);
}

/* stress_live - objects made and not yet destroyed; approximate while threads run */
static inline uint64_t stress_live(void)
{
	uint64_t dead = tally_sum(&stress_destroys);
	uint64_t made = tally_sum(&stress_news);

	return made > dead ? made - dead : 0;
}

/*
 * stress_settle - collects and waits until nothing that is unreachable is left
 *
 * A callback of another thread that lasts a tenth of a second, as it may where that gets no processor, keeps what it
 * belongs to from a collection: one that took so long is no proof.
 */
static inline void stress_settle(void)
{
	uint64_t took = UINT64_MAX;

	for (int tries = 0; tries < 5 && took >= 100000000; tries++) {
		CHECK(ouro_flush() == 0);
		uint64_t began = stress_now_ns();
		CHECK(ouro_gc_collect(2) >= 0);
		took = stress_now_ns() - began;
		CHECK(ouro_flush() == 0);
	}
}

/* stress_check_live - after stress_settle, in a quiet program */
static inline void stress_check_live(uint64_t expected)
{
	ouro_stats stats;

	ouro_stats_get(&stats);
	CHECK(stress_live() == expected, "%llu live, %llu expected", (unsigned long long)stress_live(),
	      (unsigned long long)expected);
	CHECK(stats.objects_live == expected, "%llu live by the statistics, %llu expected",
	      (unsigned long long)stats.objects_live, (unsigned long long)expected);
}

/*
 * stress_end - settles, checks that @held objects are left, shuts down, checks that the report says the same
 * and that every object was destroyed once; prints the summary. Nothing else may be running.
 */
static inline int __attribute__((format(printf, 2, 3))) stress_end(size_t held, const char *format, ...)
{
	ouro_report report;
	ouro_stats stats;
	va_list args;

	stress_settle();
	stress_check_live(held);
	ouro_stats_get(&stats);
	CHECK(ouro_shutdown(&report) == 0);
	CHECK(report.objects == held, "%zu reported at shutdown, %zu held", report.objects, held);
	CHECK(stress_live() == 0, "%llu never destroyed", (unsigned long long)stress_live());
	va_start(args, format);
	printf("%s: ok: ", stress.name);
	vprintf(format, args);
	va_end(args);
	printf("; %llu objects, collections %llu/%llu/%llu, longest pause %.2f ms\n",
	       (unsigned long long)tally_sum(&stress_news), (unsigned long long)stats.collections[0],
	       (unsigned long long)stats.collections[1], (unsigned long long)stats.collections[2],
	       (double)stats.pause_max_ns / 1e6);
	return 0;
}

#endif
