/*
 * stress_fork - forks of a multi-threaded process whose other threads are in the middle of
 * everything
 *
 * Goal: the child has a working heap: what slots hold is intact, objects are made, die and are
 * collected, the library shuts down and starts again.
 * Method: workers mutate shared slots and collect; the main thread and some workers fork, plainly
 * and while pinned; each child checks itself and its exit status is checked. A failure means: a
 * lock, a stop, a buffer or a background thread of the parent that the child inherited half-way.
 *
 * While anybody forks no thread here calls malloc or starts: the ASan runtimes of gcc 12 and clang
 * 14 take no locks at a fork, so that a child hangs in malloc, or in the start of a thread, if
 * another thread was there.
 */
#include "stress.h"

#include <sys/wait.h>

enum { SHARED = 32, CHILD_SECONDS_MAX = 200 };

/*
 * ThreadSanitizer would otherwise end a child that starts a thread, as the library does on demand; gcc's ends
 * it all the same.
 */
#ifdef __SANITIZE_THREAD__
enum { ONLY_LOOK = 1 };
#else
enum { ONLY_LOOK = 0 };
#endif

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}

struct node {
	struct canary canary;
	struct node *link[2];
	ouro_weak weak;
};

static bool in_child;
static _Atomic unsigned half_made;

/* In a child, each thread of the parent may have left one object between ouro_new and canary_new. */
static void node_destroy(void *obj)
{
	struct node *n = obj;

	if (in_child && atomic_load(&n->canary.state) == 0)
		CHECK(atomic_fetch_add(&half_made, 1) < stress.threads);
	else
		canary_destroy(&n->canary);
}

static const ouro_type node_type = {
	.name = "fork node",
	.size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, link),
	.weaks = OURO_WEAKS(struct node, weak),
	.destroy = node_destroy,
};

static struct node *shared[SHARED];
static pthread_barrier_t all_started;
static struct tally forks;

static struct node *node_new(void)
{
	return make(&node_type, 0);
}

static struct node **any_shared(struct rng *r)
{
	return &shared[rng_below(r, SHARED)];
}

/* ---- what everybody does ---- */

static void make_ring(struct rng *r)
{
	struct node *a = node_new(), *b = node_new();

	ouro_store(&a->link[0], b);
	ouro_store(&b->link[0], a);
	CHECK(ouro_weak_store(&a->weak, b) == 0);
	if (rng_one_in(r, 4))
		ouro_give(any_shared(r), a);
	else
		drop(a);
	drop(b);
}

static void make_list(struct rng *r)
{
	struct node *head = NULL;

	for (unsigned left = rng_below(r, 30); left; left--) {
		struct node *n = node_new();
		ouro_give(&n->link[0], head);
		head = n;
	}
	if (rng_one_in(r, 2))
		ouro_give(any_shared(r), head);
	else
		drop(head);
}

static void follow(struct rng *r)
{
	struct node *n = ouro_load(any_shared(r));

	if (n)
		drop(ouro_load(&n->link[0]));
	if (n)
		drop(ouro_weak_load(&n->weak));
	drop(n);
}

static void act(struct rng *r)
{
	switch (rng_below(r, 6)) {
	case 0: make_ring(r); break;
	case 1: make_list(r); break;
	case 2: follow(r); break;
	case 3: drop(ouro_exchange(any_shared(r), node_new())); break;
	case 4: drop(ouro_take(any_shared(r))); break;
	default:
		if (rng_one_in(r, 40))
			CHECK(ouro_gc_collect((int)rng_below(r, 3)) >= 0);
		break;
	}
}

/* ---- the child ---- */

static void child_ring_dies(void)
{
	ouro_weak cell = { 0 };
	struct node *a = node_new(), *b = node_new();

	CHECK(ouro_weak_store(&cell, a) == 0);
	ouro_give(&b->link[0], ouro_retain(a));
	ouro_give(&a->link[0], b);
	drop(a);
	CHECK(ouro_gc_collect(2) >= 0);
	CHECK(!ouro_weak_load(&cell), "the child's own ring was not collected");
	ouro_weak_clear(&cell);
}

static void child_slots_hold(void)
{
	for (int i = 0; i < SHARED; i++) {
		struct node *n = ouro_load(&shared[i]), *next;

		for (int deep = 0; n && deep < 100; deep++) {
			canary_alive(&n->canary);
			next = ouro_load(&n->link[0]);
			drop(n);
			n = next;
		}
		drop(n);
	}
}

static void child_worker(struct worker *w)
{
	for (int i = 0; i < 200; i++)
		act(&w->rng);
	child_slots_hold();
}

static void child_thread_works(struct rng *r)
{
	struct worker w;

	worker_start(&w, 0, rng_next(r), child_worker);
	for (int i = 0; i < 200; i++)
		act(r);
	worker_join(&w);
}

/* What the parent's other threads held stays counted, so the first report may name objects. */
static void child_shutdown(void)
{
	ouro_report report;

	for (int i = 0; i < SHARED; i++)
		drop(ouro_take(&shared[i]));
	stress_settle();
	CHECK(ouro_shutdown(&report) == 0);
	CHECK(report.objects <= stress_live() + tally_sum(&stress_destroys));
	CHECK(ouro_init(NULL) == 0);
	drop(node_new());
	child_ring_dies();
	CHECK(ouro_shutdown(&report) == 0);
	CHECK(report.objects == 0, "%zu objects left of the child's second heap", report.objects);
}

static void fork_once(struct rng *r);

/* All that a child may do below gcc's ThreadSanitizer: no operation here starts a thread. */
static void child_only_looks(void)
{
	ouro_pin();
	for (int i = 0; i < SHARED; i++) {
		struct node *n = ouro_peek(&shared[i]);

		if (n)
			canary_there(&n->canary);
	}
	ouro_unpin();
	_exit(0);
}

static void __attribute__((noreturn)) child(struct rng *r)
{
	stress.name = "stress_fork, child";
	alarm(CHILD_SECONDS_MAX);
	in_child = true;
	if (ONLY_LOOK)
		child_only_looks();
	child_slots_hold();
	child_ring_dies();
	child_thread_works(r);
	if (rng_one_in(r, 8))
		fork_once(r);
	child_slots_hold();
	child_shutdown();
	_exit(0);
}

/* ---- the parent ---- */

static void wait_for_child(pid_t pid)
{
	uint64_t start = stress_now_ns();
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		stress_sleep_ns(300000);
		if (stress_now_ns() - start < CHILD_SECONDS_MAX * UINT64_C(1000000000))
			continue;
		kill(pid, SIGABRT);
		CHECK(false, "child %d hangs", (int)pid);
	}
	CHECK(status == 0, "the child's wait status is %#x", (unsigned)status);
}

static void fork_once(struct rng *r)
{
	pid_t pid = fork();

	CHECK(pid >= 0, "fork: errno %d", errno);
	if (pid == 0)
		child(r);
	wait_for_child(pid);
	tally_add(&forks, 1);
}

/* The child is pinned as its parent was, and what that had peeked at is still there. */
static void fork_pinned(struct rng *r)
{
	struct node *n;
	pid_t pid;

	ouro_pin();
	n = ouro_peek(any_shared(r));
	pid = fork();
	CHECK(pid >= 0, "fork: errno %d", errno);
	if (n)
		canary_there(&n->canary);
	ouro_unpin();
	if (pid == 0)
		child(r);
	wait_for_child(pid);
	tally_add(&forks, 1);
}

/* Worker 0 also forks, in the middle of its own work. */
static void work(struct worker *w)
{
	pthread_barrier_wait(&all_started);
	for (; !stress_over(); w->ops++) {
		act(&w->rng);
		if (w->index == 0 && rng_one_in(&w->rng, 2000))
			fork_once(&w->rng);
	}
}

int main(int argc, char **argv)
{
	struct worker *workers;
	uint64_t ops = 0, deadline;

	stress_begin(argc, argv, "stress_fork");
	struct rng rng = rng_of(1);
	ouro_config cfg = stress_config(&rng);

	workers = calloc(stress.threads, sizeof(*workers));
	CHECK(workers);
	CHECK(ouro_init(&cfg) == 0);
	CHECK(pthread_barrier_init(&all_started, NULL, stress.threads + 1) == 0);
	for (unsigned i = 0; i < stress.threads; i++)
		worker_start(&workers[i], i, 1000 + i, work);
	pthread_barrier_wait(&all_started);
	deadline = stress_now_ns() + (uint64_t)(stress.seconds * 1e9);
	while (stress_now_ns() < deadline) {
		(rng_one_in(&rng, 4) ? fork_pinned : fork_once)(&rng);
		stress_sleep_ns(rng_below(&rng, 5000000));
	}
	atomic_store(&stress.over, true);
	for (unsigned i = 0; i < stress.threads; i++)
		ops += worker_join(&workers[i]);
	free(workers);
	for (int i = 0; i < SHARED; i++)
		drop(ouro_take(&shared[i]));
	return stress_end(0, "%llu forks, %.2f M operations", (unsigned long long)tally_sum(&forks),
			  (double)ops / 1e6);
}
