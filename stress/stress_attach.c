/*
 * stress_attach - threads that come and go, a thousand a second
 *
 * Goal: a thread that came and went leaves nothing behind: no memory, no mapping, no record, no
 * page without an owner.
 * Method: starters make short threads, which use the heap and end in different ways; what the
 * process holds after a fifth of the time is compared with what it holds in the end. What has grown
 * is looked at again after further rounds: the caches of the C library and of sanitizers grow now
 * and then, a leak in each. A failure means: a server that starts a thread for each request grows
 * until it is killed.
 */
#include "stress.h"

enum { A_SECOND = 1000, MB = 1 << 20, ROUNDS_MAX = 8 };

struct node {
	struct canary canary;
	struct node *link[2];
	ouro_weak weak;
};

static void node_destroy(void *obj)
{
	canary_destroy(obj);
}

static const ouro_type node_type = {
	.name = "attach node",
	.size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, link),
	.weaks = OURO_WEAKS(struct node, weak),
	.destroy = node_destroy,
};

static struct node *shared;
static uint64_t n_threads;

static void use_the_heap(struct rng *r)
{
	for (unsigned i = 0; i < 20; i++) {
		struct node *a = make(&node_type, 0), *b = make(&node_type, 0);

		ouro_store(&a->link[0], b);
		if (rng_one_in(r, 2))
			ouro_store(&b->link[0], a);
		if (rng_one_in(r, 4))
			CHECK(ouro_weak_store(&b->weak, a) == 0);
		if (rng_one_in(r, 4))
			ouro_store(&shared, a);
		drop(a);
		drop(b);
	}
}

static void *come_and_go(void *arg)
{
	struct rng r = { (uintptr_t)arg };

	if (rng_one_in(&r, 4))
		CHECK(ouro_thread_attach("short") == 0);
	use_the_heap(&r);
	if (rng_one_in(&r, 4))
		ouro_thread_detach();
	if (rng_one_in(&r, 8))
		use_the_heap(&r);
	if (rng_one_in(&r, 2))
		pthread_exit(NULL);
	return NULL;
}

/* In step with the rate, all starters together. */
static void start_threads(struct worker *w)
{
	uint64_t due = stress_now_ns();

	while (!stress_over()) {
		pthread_t t;

		if (pthread_create(&t, NULL, come_and_go, (void *)(uintptr_t)rng_next(&w->rng)) == 0)
			pthread_join(t, NULL);
		w->ops++;
		due += stress.threads * (1000000000u / A_SECOND);
		uint64_t now = stress_now_ns();
		if (now < due)
			stress_sleep_ns(due - now);
	}
}

/* ---- what the process holds ---- */

enum { THREADS, RESERVED, MAPPINGS, RESIDENT, KINDS };

/* Sanitizers map and keep something for each thread: there it is what the library says alone. */
static const struct kind {
	const char *name;
	uint64_t slack; /* a round may add so much */
	bool ours;      /* the library's own figure */
} kinds[KINDS] = {
	[THREADS] = { "threads", 0, true },
	[RESERVED] = { "bytes reserved", 4 * MB, true },
	[MAPPINGS] = { "mappings", 16, false },
	[RESIDENT] = { "bytes resident", 8 * MB, false },
};

struct holdings {
	uint64_t of[KINDS];
};

static uint64_t count_lines(const char *path)
{
	FILE *f = fopen(path, "r");
	uint64_t n = 0;

	for (int c; f != NULL && (c = getc(f)) != EOF;)
		n += c == '\n';
	if (f != NULL)
		fclose(f);
	return n;
}

static uint64_t resident_bytes(void)
{
	unsigned long long pages = 0, size = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%llu %llu", &size, &pages) != 2)
		pages = 0;
	if (f != NULL)
		fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static struct holdings look(void)
{
	ouro_stats s;

	ouro_store(&shared, NULL);
	ouro_gc_collect(2);
	ouro_flush();
	ouro_stats_get(&s);
	return (struct holdings){ {
		[THREADS] = s.threads,
		[RESERVED] = s.bytes_reserved,
		[MAPPINGS] = count_lines("/proc/self/maps"),
		[RESIDENT] = resident_bytes(),
	} };
}

static struct holdings run_for(double seconds)
{
	double all = stress.seconds;

	stress.seconds = seconds;
	atomic_store(&stress.over, false);
	n_threads += stress_run(start_threads);
	stress.seconds = all;
	return look();
}

/* Takes out of @growing, a bit for each kind, what has not grown in this round. */
static unsigned still_growing(unsigned growing, const struct holdings *then, const struct holdings *now)
{
	for (int i = 0; i < KINDS; i++)
		if (now->of[i] <= then->of[i] + kinds[i].slack || (STRESS_CUT > 1 && !kinds[i].ours))
			growing &= ~(1u << i);
	return growing;
}

static void fail_growing(unsigned growing, const struct holdings *then, const struct holdings *now)
{
	for (int i = 0; i < KINDS; i++)
		CHECK(!(growing & 1u << i), "grew in each of %d rounds: %llu %s, %llu before", ROUNDS_MAX,
		      (unsigned long long)now->of[i], kinds[i].name, (unsigned long long)then->of[i]);
}

/* The first look is when everything that is kept has been made. Returns the last. */
static struct holdings compare_rounds(struct holdings then)
{
	unsigned growing = (1u << KINDS) - 1;

	for (int round = 1;; round++) {
		struct holdings now = run_for(stress.seconds * 4 / 5);

		growing = still_growing(growing, &then, &now);
		if (!growing)
			return now;
		if (round == ROUNDS_MAX)
			fail_growing(growing, &then, &now);
		then = now;
	}
}

static double attach_and_detach_us(void)
{
	enum { N = 2000 / STRESS_CUT };
	uint64_t began = stress_now_ns();

	for (int i = 0; i < N; i++) {
		CHECK(ouro_thread_attach(NULL) == 0);
		ouro_thread_detach();
	}
	return (double)(stress_now_ns() - began) / N / 1e3;
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv, "stress_attach");
	CHECK(ouro_init(NULL) == 0);
	double us = attach_and_detach_us();
	struct holdings then = run_for(stress.seconds / 5), now = compare_rounds(then);

	return stress_end(0, "%llu threads, %.2f us to attach and detach, %llu KiB reserved, %llu before",
			  (unsigned long long)n_threads, us, (unsigned long long)now.of[RESERVED] / 1024,
			  (unsigned long long)then.of[RESERVED] / 1024);
}
