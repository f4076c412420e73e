/*
 * stress_threads - attach, detach and exit storms while collections run, and owners that sleep
 *
 * Goal: a thread may come and go in any way at any time; what it leaves behind is neither lost nor
 * freed twice; a thread asleep in read(2) holds nobody's memory hostage.
 * Method: starters make threads that allocate, publish, release what others made, and end in every
 * way there is; sleepers hand out their objects and sleep while others drop the last references. A
 * failure means: an object of a dead or sleeping owner that never dies, a registry that loses a
 * thread, a stop that never comes.
 */
#include "stress.h"

enum { SHARED = 32, BEDS_MAX = 256, KEPT = 8 };

struct bed;

struct node {
	struct canary canary;
	struct bed *bed; /* told when it dies */
	struct node *link[2];
};

static void node_destroy(void *obj);

static const ouro_type node_type = {
	.name = "thread node",
	.size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, link),
	.destroy = node_destroy,
};

static struct node *shared[SHARED];

static struct node *node_new(void)
{
	return make(&node_type, 0);
}

static struct node **any_shared(struct rng *r)
{
	return &shared[rng_below(r, SHARED)];
}

/* ---- what a short life does ---- */

static void make_ring(struct rng *r)
{
	struct node *a = node_new(), *b = node_new();

	ouro_store(&a->link[0], b);
	ouro_store(&b->link[0], a);
	if (rng_one_in(r, 2))
		ouro_give(any_shared(r), a);
	else
		drop(a);
	drop(b);
}

static void weak_on_stack(struct rng *r)
{
	ouro_weak cell = { 0 };
	struct node *n = node_new();

	CHECK(ouro_weak_store(&cell, n) == 0);
	ouro_give(any_shared(r), n);
	drop(ouro_weak_load(&cell));
	ouro_weak_clear(&cell);
}

static void peek(struct rng *r)
{
	struct node *n;

	ouro_pin();
	n = ouro_peek(any_shared(r));
	if (n)
		canary_there(&n->canary);
	ouro_unpin();
}

static void act(struct rng *r)
{
	switch (rng_below(r, 9)) {
	case 0: ouro_give(any_shared(r), node_new()); break;
	case 1: drop(node_new()); break;
	case 2: drop(ouro_exchange(any_shared(r), node_new())); break;
	case 3: drop(ouro_take(any_shared(r))); break;
	case 4: drop(ouro_load(any_shared(r))); break;
	case 5: make_ring(r); break;
	case 6: weak_on_stack(r); break;
	case 7: peek(r); break;
	default:
		if (rng_one_in(r, 8))
			CHECK(ouro_gc_collect((int)rng_below(r, 3)) >= 0);
		break;
	}
}

/* ---- ways to end ---- */

enum ending { RETURN, EXIT, CANCEL, DETACH, LEAVE_HELD, ENDINGS };

struct life {
	pthread_t thread;
	struct rng rng;
	enum ending ending;
	struct node *kept[KEPT]; /* LEAVE_HELD: for whoever joins */
};

/* One key made before the library starts, one after: destructors that run before and after the library's. */
static pthread_key_t early_key, late_key;

struct last_words {
	struct rng rng;
	pthread_key_t key;
	int times;
};

static void last_words(void *arg)
{
	struct last_words *l = arg;

	for (int i = 0; i < 5; i++)
		act(&l->rng);
	if (--l->times > 0)
		pthread_setspecific(l->key, l);
	else
		free(l);
}

/* ThreadSanitizer ends its record of a thread in the last of four rounds; nothing may run after that. */
static void plan_last_words(struct rng *r, pthread_key_t key)
{
	struct last_words *l = malloc(sizeof(*l));
	unsigned rounds = STRESS_TSAN ? 2 : 3;

	CHECK(l);
	l->rng.state = rng_next(r);
	l->key = key;
	l->times = 1 + (int)rng_below(r, rounds);
	pthread_setspecific(key, l);
}

static void wait_for_cancel(void)
{
	CHECK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL) == 0);
	/*
	 * A cancellation inside a call that ThreadSanitizer intercepts leaves its runtime inside
	 * that interceptor, where it ignores the locks and atomics of the destructors that follow.
	 */
	while (STRESS_TSAN) {
		pthread_testcancel();
		sched_yield();
	}
	for (;;)
		pause();
}

static void end(struct life *l)
{
	switch (l->ending) {
	case EXIT: pthread_exit(NULL);
	case CANCEL: wait_for_cancel(); break;
	case DETACH: ouro_thread_detach(); break;
	case LEAVE_HELD:
		for (int i = 0; i < KEPT; i++)
			l->kept[i] = rng_one_in(&l->rng, 2) ? node_new() : ouro_load(any_shared(&l->rng));
		break;
	default: break;
	}
}

static void *live(void *arg)
{
	struct life *l = arg;
	struct rng *r = &l->rng;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	if (rng_one_in(r, 3))
		CHECK(ouro_thread_attach(rng_one_in(r, 2) ? "short" : NULL) == 0);
	if (rng_one_in(r, 3))
		plan_last_words(r, early_key);
	if (rng_one_in(r, 3))
		plan_last_words(r, late_key);
	for (unsigned left = rng_below(r, 200); left; left--) {
		act(r);
		if (rng_one_in(r, 50))
			ouro_thread_detach();
	}
	end(l);
	return NULL;
}

static void bury(struct life *l)
{
	void *result;

	if (l->ending == CANCEL)
		CHECK(pthread_cancel(l->thread) == 0);
	CHECK(pthread_join(l->thread, &result) == 0);
	CHECK((result == PTHREAD_CANCELED) == (l->ending == CANCEL));
	for (int i = 0; i < KEPT; i++)
		drop(l->kept[i]);
}

/* A starter keeps a few short lives under way at a time. */
static void start_lives(struct worker *w)
{
	struct life lives[4];

	while (!stress_over()) {
		memset(lives, 0, sizeof(lives));
		for (int i = 0; i < 4; i++, w->ops++) {
			lives[i].rng.state = rng_next(&w->rng);
			lives[i].ending = (enum ending)rng_below(&w->rng, ENDINGS);
			CHECK(pthread_create(&lives[i].thread, NULL, live, &lives[i]) == 0);
		}
		act(&w->rng);
		for (int i = 0; i < 4; i++)
			bury(&lives[i]);
	}
}

/* ---- sleepers ---- */

/* One sleeper and one waker share a bed: the sleeper lays an object there, sleeps, and the waker drops it. */
struct bed {
	struct worker sleeper;
	int wake[2], asleep[2];
	struct node *object;
	_Atomic unsigned lain, died;
	uint64_t worst_ns;
};

static struct bed beds[BEDS_MAX];

static void node_destroy(void *obj)
{
	struct node *n = obj;

	if (n->bed)
		atomic_fetch_add(&n->bed->died, 1);
	canary_destroy(&n->canary);
}

static struct node *bed_node(struct bed *bed)
{
	struct node *n = node_new();

	n->bed = bed;
	atomic_fetch_add(&bed->lain, 1);
	return n;
}

/* Sleeps in read(2) with references of its own in hand; a byte 'q' ends it. */
static void sleeper(struct worker *w)
{
	struct bed *bed = &beds[w->index];
	struct node *mine = NULL;
	char byte = 0;

	while (byte != 'q') {
		struct node *n = bed_node(bed);

		ouro_give(&n->link[0], bed_node(bed));
		if (rng_one_in(&w->rng, 2))
			drop(ouro_retain(n));
		ouro_give(&bed->object, n);
		drop(mine);
		mine = ouro_load(any_shared(&w->rng));
		CHECK(write(bed->asleep[1], "z", 1) == 1);
		CHECK(read(bed->wake[0], &byte, 1) == 1);
	}
	drop(mine);
}

/* The contract says 10 ms; a loaded machine may take longer, for ever it may not. */
static void wait_for_death(struct bed *bed)
{
	uint64_t start = stress_now_ns(), took = 0;

	while (atomic_load(&bed->died) != atomic_load(&bed->lain)) {
		took = stress_now_ns() - start;
		CHECK(took < PATIENCE_NS, "%u objects of a sleeping owner still live",
		      atomic_load(&bed->lain) - atomic_load(&bed->died));
		stress_sleep_ns(50000);
	}
	if (took > bed->worst_ns)
		bed->worst_ns = took;
}

static void waker(struct worker *w)
{
	struct bed *bed = &beds[w->index];
	char byte;

	worker_start(&bed->sleeper, w->index, 2000 + w->index, sleeper);
	for (bool last = false; !last; w->ops++) {
		CHECK(read(bed->asleep[0], &byte, 1) == 1);
		last = stress_over();
		stress_sleep_ns(rng_below(&w->rng, 200000)); /* mostly it sleeps by now */
		drop(ouro_take(&bed->object));
		wait_for_death(bed);
		CHECK(write(bed->wake[1], last ? "q" : "w", 1) == 1);
	}
	worker_join(&bed->sleeper);
}

/* ---- the run ---- */

static void collect(struct worker *w)
{
	for (; !stress_over(); w->ops++) {
		CHECK(ouro_gc_collect((int)rng_below(&w->rng, 3)) >= 0);
		stress_sleep_ns(rng_below(&w->rng, 300000));
	}
}

static void beds_make(void)
{
	for (unsigned i = 0; i < stress.threads; i++)
		CHECK(pipe(beds[i].wake) == 0 && pipe(beds[i].asleep) == 0);
}

static double beds_worst_ms(void)
{
	uint64_t worst = 0;

	for (unsigned i = 0; i < stress.threads; i++)
		if (beds[i].worst_ns > worst)
			worst = beds[i].worst_ns;
	return (double)worst / 1e6;
}

static void check_threads(void)
{
	ouro_stats stats;

	ouro_stats_get(&stats);
	CHECK(stats.threads <= 1, "%llu threads attached, one runs", (unsigned long long)stats.threads);
}

/* One in four workers wakes a sleeper, the others start threads. */
static void work(struct worker *w)
{
	if (w->index % 4 == 1)
		waker(w);
	else
		start_lives(w);
}

int main(int argc, char **argv)
{
	struct worker collector;
	uint64_t lives;

	stress_begin(argc, argv, "stress_threads");
	struct rng rng = rng_of(1);
	ouro_config cfg = stress_config(&rng);

	beds_make();
	CHECK(pthread_key_create(&early_key, last_words) == 0);
	CHECK(ouro_init(&cfg) == 0);
	CHECK(pthread_key_create(&late_key, last_words) == 0);
	worker_start(&collector, 0, 2, collect);
	lives = stress_run(work);
	worker_join(&collector);
	check_threads();
	for (int i = 0; i < SHARED; i++)
		drop(ouro_take(&shared[i]));
	return stress_end(0, "%llu threads and sleeps, worst death with a sleeping owner %.2f ms",
			  (unsigned long long)lives, beds_worst_ms());
}
