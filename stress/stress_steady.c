/*
 * Goal: memory is bounded: a program whose reachable objects stay as many as they are does not
 * grow, whatever it makes and drops meanwhile, with however many threads and whatever thresholds.
 * Method: rounds, each a heap of its own, with a shape of garbage, a number of threads and
 * thresholds that the seed draws. What the process holds is looked at all the time; in the end all
 * is settled, and what is reachable then is the measure. A failure means: a server that grows until
 * it is killed, though ouro_gc_collect would free it all.
 *
 *     stress_steady [threads] [seconds] [seed] [shape] [thresholds]
 *
 * threads: the most of a round. With a shape (a name, or "list") there is one round, of that and so
 * many threads; thresholds: 0 to 4, an index of the table below. STEADY_SAMPLES=1 prints what was
 * held at each fifth of a round.
 */
#include "stress.h"

enum { SHARED = 250, TABLE = 64, MAILBOX = 256, SAMPLES = 60, MB = 1 << 20, TRIES = 6 };

struct node {
	struct node *a, *b, *parent;
	ouro_weak weak;
	uint64_t word;
};

struct wide {
	struct wide *self;
	struct node *items[];
};

struct text {
	size_t n;
	char bytes[];
};

struct holder {
	struct holder *self;
	struct text *text;
};

struct opaque {
	_Atomic(struct opaque *) hidden;
	struct node *plain;
};

static struct node *shared[SHARED];
static _Atomic uint64_t n_callbacks;

/* ---- types ---- */

static void count_callback(void *obj)
{
	(void)obj;
	atomic_fetch_add_explicit(&n_callbacks, 1, memory_order_relaxed);
}

static void opaque_traverse(void *obj, ouro_visitor *v)
{
	ouro_visit(v, atomic_load_explicit(&((struct opaque *)obj)->hidden, memory_order_relaxed));
}

static void opaque_clear(void *obj)
{
	ouro_release(atomic_exchange_explicit(&((struct opaque *)obj)->hidden, NULL, memory_order_relaxed));
}

#define NODE_SLOTS .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, a, b, parent), \
		   .weaks = OURO_WEAKS(struct node, weak)

static const ouro_type node_type = { .name = "steady node", .size = sizeof(struct node),
				     .slots = OURO_SLOTS(struct node, a, b, parent) };
static const ouro_type weak_type = { .name = "steady weak", NODE_SLOTS };
static const ouro_type finalized_type = { .name = "steady finalized", NODE_SLOTS, .finalize = count_callback };
static const ouro_type destroyed_type = { .name = "steady destroyed", NODE_SLOTS, .destroy = count_callback };
static const ouro_type wide_type = { .name = "steady wide", .size = offsetof(struct wide, items),
				     .slots = OURO_SLOTS(struct wide, self), .item_size = sizeof(struct node *),
				     .item_slots = OURO_ITEM_REFS };
static const ouro_type text_type = { .name = "steady text", .size = offsetof(struct text, bytes), .item_size = 1,
				     .flags = OURO_ACYCLIC };
static const ouro_type holder_type = { .name = "steady holder", .size = sizeof(struct holder),
				       .slots = OURO_SLOTS(struct holder, self, text) };
static const ouro_type opaque_type = { .name = "steady opaque", .size = sizeof(struct opaque),
				       .slots = OURO_SLOTS(struct opaque, plain),
				       .traverse = opaque_traverse, .clear = opaque_clear };

static void *must(void *obj)
{
	CHECK(obj, "errno %d", errno);
	return obj;
}

static struct node *node_new(const ouro_type *type)
{
	return must(ouro_new(type));
}

static struct node **any_shared(struct rng *r)
{
	return &shared[rng_below(r, SHARED)];
}

/* ---- what the workers do, again and again ---- */

/*
 * Hangs a new object on a shared one, in place of what hung there. Half of the new ones refer to
 * themselves, and each to what hangs on another, which refers to nothing else any more.
 */
static void hang(struct rng *r, const ouro_type *type)
{
	struct node *n = node_new(type), *on = ouro_load(any_shared(r)), *other = ouro_load(any_shared(r));
	struct node *held = ouro_load(&other->a);

	if (rng_one_in(r, 2))
		ouro_store(&n->b, n);
	if (held)
		ouro_store(&held->parent, (struct node *)NULL);
	ouro_give(&n->parent, held);
	ouro_give(&on->a, n);
	ouro_release(on);
	ouro_release(other);
}

static void do_hang(struct rng *r)
{
	hang(r, &node_type);
}

static void do_self(struct rng *r)
{
	struct node *n = node_new(&node_type);

	(void)r;
	ouro_give(&n->a, n);
}

static struct node *ring(const ouro_type *type, unsigned n)
{
	struct node *first = node_new(type), *last = ouro_retain(first);

	while (--n) {
		struct node *next = node_new(type);
		ouro_store(&last->a, next);
		ouro_release(last);
		last = next;
	}
	ouro_store(&last->a, first);
	ouro_release(last);
	return first;
}

static void do_rings(struct rng *r)
{
	struct node *n = ring(&node_type, 1 + rng_below(r, rng_one_in(r, 50) ? 2000 : 12));

	if (rng_one_in(r, 2))
		ouro_store(&n->b, *any_shared(r)); /* which never changes */
	ouro_release(n);
}

static struct node *tree(struct node *parent, unsigned depth)
{
	struct node *n = node_new(&node_type);

	ouro_store(&n->parent, parent);
	if (depth) {
		ouro_give(&n->a, tree(n, depth - 1));
		ouro_give(&n->b, tree(n, depth - 1));
	}
	return n;
}

static void do_trees(struct rng *r)
{
	struct node *on = ouro_load(any_shared(r));

	ouro_give(&on->a, tree(NULL, rng_below(r, 7)));
	ouro_release(on);
}

static void do_wide(struct rng *r)
{
	struct wide *w = must(ouro_new_items(&wide_type, 100 + rng_below(r, 2500)));

	for (size_t i = 0; i < ouro_items(w); i += 1 + rng_below(r, 40))
		ouro_store(&w->items[i], *any_shared(r));
	ouro_give(&w->self, w);
}

static void do_large(struct rng *r)
{
	struct wide *w = must(ouro_new_items(&wide_type, rng_one_in(r, 1000) ? 5000000 : 5000 + rng_below(r, 100000)));

	ouro_store(&w->items[rng_below(r, (unsigned)ouro_items(w))], *any_shared(r));
	ouro_give(&w->self, w);
}

static void do_acyclic(struct rng *r)
{
	struct node *list = NULL, *on;

	for (unsigned n = rng_below(r, rng_one_in(r, 500) ? 30000 : 30); n; n--) {
		struct node *head = node_new(&node_type);
		ouro_give(&head->a, list);
		list = head;
	}
	on = ouro_load(any_shared(r));
	ouro_give(&on->b, list);
	ouro_release(on);
}

static void watched(void *arg)
{
	count_callback(arg);
}

static void do_weak(struct rng *r)
{
	struct node *n = ring(&weak_type, 1 + rng_below(r, 4)), *next = ouro_load(&n->a);

	CHECK(ouro_weak_store(&next->weak, n) == 0);
	if (rng_one_in(r, 4))
		CHECK(ouro_watch(next, watched, NULL, NULL) == 0);
	ouro_release(next);
	ouro_release(n);
}

static void do_finalize(struct rng *r)
{
	ouro_release(ring(&finalized_type, 1 + rng_below(r, 4)));
	hang(r, &finalized_type);
}

static void do_destroy(struct rng *r)
{
	ouro_release(ring(&destroyed_type, 1 + rng_below(r, 4)));
	hang(r, &destroyed_type);
}

static void do_opaque(struct rng *r)
{
	struct opaque *o = must(ouro_new(&opaque_type)), *p = must(ouro_new(&opaque_type));

	ouro_store(&o->plain, *any_shared(r));
	atomic_store_explicit(&o->hidden, ouro_retain(p), memory_order_relaxed);
	atomic_store_explicit(&p->hidden, o, memory_order_relaxed);
	ouro_release(p);
}

/* Small objects that the collector sees, with much that it does not. */
static void do_texts(struct rng *r)
{
	struct holder *h = must(ouro_new(&holder_type));
	struct text *t = must(ouro_new_items(&text_type, rng_below(r, rng_one_in(r, 100) ? 1000000 : 20000)));

	ouro_give(&h->text, t);
	ouro_give(&h->self, h);
}

/* What one thread makes another drops. */
static struct {
	pthread_mutex_t lock;
	unsigned n;
	struct node *letter[MAILBOX];
} mailbox = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void do_foreign(struct rng *r)
{
	struct node *mine = rng_one_in(r, 2) ? tree(NULL, 2) : ring(&node_type, 3), *other = NULL;

	pthread_mutex_lock(&mailbox.lock);
	unsigned i = rng_below(r, MAILBOX);
	other = mailbox.letter[i];
	mailbox.letter[i] = mine;
	pthread_mutex_unlock(&mailbox.lock);
	ouro_release(other);
}

static void *short_life(void *arg)
{
	struct rng r = { (uintptr_t)arg };

	for (int i = 0; i < 300; i++) {
		hang(&r, &node_type);
		do_rings(&r);
	}
	return NULL;
}

static void do_threads(struct rng *r)
{
	pthread_t t;

	CHECK(pthread_create(&t, NULL, short_life, (void *)(uintptr_t)rng_next(r)) == 0);
	CHECK(pthread_join(t, NULL) == 0);
}

/* Pairs that live until they are replaced: most are old by then. */
static _Thread_local struct node *table[TABLE];

static void do_old(struct rng *r)
{
	struct node **place = &table[rng_below(r, TABLE)], *n;

	ouro_release(*place);
	*place = n = ring(&node_type, 2);
	if (rng_one_in(r, 2))
		ouro_store(&n->b, *any_shared(r));
}

/* Everything at once. */
static void do_all(struct rng *r);

static const struct shape {
	const char *name;
	void (*step)(struct rng *r);
	unsigned live_mb; /* a ring of so many, besides */
	unsigned own_mb;  /* what a thread may hold of what it makes, and blocks of the sizes that it uses */
} shapes[] = {
	{ "hang", do_hang, 0, 1 }, { "self", do_self, 0, 1 }, { "rings", do_rings, 0, 1 }, { "trees", do_trees, 0, 1 },
	{ "wide", do_wide, 0, 5 }, { "large", do_large, 0, 1 }, { "acyclic", do_acyclic, 0, 3 }, { "weak", do_weak, 0, 1 },
	{ "finalize", do_finalize, 0, 1 }, { "destroy", do_destroy, 0, 1 }, { "opaque", do_opaque, 0, 1 },
	{ "texts", do_texts, 0, 5 }, { "foreign", do_foreign, 0, 1 }, { "threads", do_threads, 0, 5 }, { "old", do_old, 0, 1 },
	{ "mixed", do_all, 0, 5 }, { "hang-live", do_hang, 56, 1 }, { "acyclic-live", do_acyclic, 56, 3 },
	{ "mixed-live", do_all, 56, 5 },
};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

static void do_all(struct rng *r)
{
	unsigned i = rng_below(r, 15);

	if (shapes[i].step != do_threads || rng_one_in(r, 100))
		shapes[i].step(r);
}

static const int thresholds[][3] = { { -1, 10, 10 }, { 700, 10, 10 }, { -1, 1, 1 }, { 10, 2, 2 }, { 1000000, 5, 5 } };
enum { THRESHOLDS = sizeof(thresholds) / sizeof(thresholds[0]) };

/* ---- a round ---- */

static struct {
	const struct shape *shape;
	atomic_bool over;
	double seconds;
	uint64_t held[SAMPLES];
} now;

static void work(struct worker *w)
{
	while (!atomic_load_explicit(&now.over, memory_order_relaxed)) {
		now.shape->step(&w->rng);
		w->ops++;
	}
	for (int i = 0; i < TABLE; i++) {
		ouro_release(table[i]);
		table[i] = NULL;
	}
}

/* Sanitizers keep a multiple of it: there it is what the library says. */
static uint64_t bytes_held(void)
{
	unsigned long all = 0, resident = 0;
	ouro_stats s;
	FILE *f;

	if (STRESS_CUT > 1) {
		ouro_stats_get(&s);
		return s.bytes_reserved;
	}
	f = fopen("/proc/self/statm", "r");
	CHECK(f && fscanf(f, "%lu %lu", &all, &resident) == 2);
	fclose(f);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void sample_all(void)
{
	uint64_t step = (uint64_t)(now.seconds * 1e9 / SAMPLES), next = stress_now_ns();

	for (int i = 0; i < SAMPLES; i++) {
		uint64_t most = 0;
		for (next += step; stress_now_ns() < next; stress_sleep_ns(step / 8 < 20000000 ? step / 8 : 20000000)) {
			uint64_t bytes = bytes_held();
			most = bytes > most ? bytes : most;
		}
		now.held[i] = most;
	}
}

static uint64_t most_of(int from, int to)
{
	uint64_t most = 0;

	for (int i = from; i < to; i++)
		most = now.held[i] > most ? now.held[i] : most;
	return most;
}

static struct node *make_live(void)
{
	size_t n = stress_cut((size_t)now.shape->live_mb * MB / 64);

	return n > 1 ? ring(&node_type, (unsigned)n) : NULL;
}

static void make_shared(void)
{
	for (int i = 0; i < SHARED; i++)
		shared[i] = node_new(&weak_type);
}

static void drop_shared(void)
{
	for (int i = 0; i < SHARED; i++)
		ouro_store(&shared[i], NULL);
	for (int i = 0; i < MAILBOX; i++) {
		ouro_release(mailbox.letter[i]);
		mailbox.letter[i] = NULL;
	}
}

/* What is reachable, once all that is not is gone. */
static uint64_t live_bytes(void)
{
	ouro_stats s;

	stress_settle();
	ouro_stats_get(&s);
	return s.bytes_live;
}

/*
 * One and a half times what lives, 64 MiB, and what a thread may hold: a page of 64 KiB for each
 * block size that it uses, blocks that wait for a grace period, its stack, what it is making: a
 * list of 30000 is 2 MiB. In sanitizer builds everything is slow but the delays.
 */
static uint64_t bound(uint64_t live, unsigned threads)
{
	uint64_t own = (uint64_t)threads * now.shape->own_mb * MB;

	return (live + live / 2 + (uint64_t)64 * MB + own) * (STRESS_CUT > 1 ? 3 : 1);
}

/* Says what is wrong. */
static bool bounded(uint64_t before, uint64_t live, unsigned threads)
{
	uint64_t peak = most_of(0, SAMPLES), most = before + bound(live, threads);
	uint64_t middle = most_of(SAMPLES / 3, 2 * SAMPLES / 3), end = most_of(2 * SAMPLES / 3, SAMPLES);
	/* Where other programs have the processors, a third may pass in which hardly anything was done. */
	bool grows = end > most / 3 * 2 && end > middle + middle / 2 + (uint64_t)16 * MB;

	if (getenv("STEADY_SAMPLES"))
		printf("  peak %.2f of the bound\n", (double)peak / (double)most);
	if (getenv("STEADY_SAMPLES"))
		for (int i = 0; i < 5; i++)
			printf("  %.1f s: %.1f MB\n", now.seconds * (i + 1) / 5,
			       (double)most_of(i * SAMPLES / 5, (i + 1) * SAMPLES / 5) / MB);
	if (peak > most)
		printf("  %.1f MB held, at most %.1f expected, %.1f live\n", (double)peak / MB, (double)most / MB,
		       (double)live / MB);
	if (grows)
		printf("  it grows: %.1f MB, then %.1f\n", (double)middle / MB, (double)end / MB);
	return peak <= most && !grows;
}

static void run_threads(unsigned threads, uint64_t stream)
{
	struct worker *all = calloc(threads, sizeof(*all));

	CHECK(all);
	atomic_store(&now.over, false);
	for (unsigned i = 0; i < threads; i++)
		worker_start(&all[i], i, stream + i, work);
	sample_all();
	atomic_store(&now.over, true);
	for (unsigned i = 0; i < threads; i++)
		worker_join(&all[i]);
	free(all);
}

static bool try_round(const struct shape *shape, unsigned threads, int which, double seconds, uint64_t stream)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT;
	ouro_report report;
	ouro_stats s;
	uint64_t before, live;

	now.shape = shape;
	now.seconds = seconds;
	memcpy(cfg.threshold, thresholds[which], sizeof(cfg.threshold));
	cfg.pin_warn_ns = 0;
	before = STRESS_CUT > 1 ? 0 : bytes_held();
	CHECK(ouro_init(&cfg) == 0);
	make_shared();
	struct node *ring_of_old = make_live();
	run_threads(threads, stream);
	live = live_bytes();
	uint64_t settled = bytes_held();
	ouro_stats_get(&s);
	printf("stress_steady: %-12s %3u threads, thresholds %7d,%d,%d: peak %.1f MB, last %.1f, settled %.1f, live %.1f; "
	       "%.4f M objects, %llu delays of at most %.2f ms, collections %llu/%llu/%llu\n",
	       shape->name, threads, cfg.threshold[0], cfg.threshold[1], cfg.threshold[2], (double)most_of(0, SAMPLES) / MB,
	       (double)now.held[SAMPLES - 1] / MB, (double)settled / MB, (double)live / MB, (double)s.objects_allocated / 1e6,
	       (unsigned long long)s.delays, (double)s.delay_max_ns / 1e6, (unsigned long long)s.collections[0],
	       (unsigned long long)s.collections[1], (unsigned long long)s.collections[2]);
	bool good = bounded(before, live, threads);
	fflush(stdout);
	drop_shared();
	ouro_release(ring_of_old);
	stress_settle();
	ouro_stats_get(&s);
	CHECK(s.objects_live == 0, "%s: %llu left", shape->name, (unsigned long long)s.objects_live);
	CHECK(ouro_shutdown(&report) == 0 && report.objects == 0);
	return good;
}

/* How much garbage there is when the collector gets no processor, time decides: what grows does so in each try. */
static void run_round(const struct shape *shape, unsigned threads, int which, double seconds, uint64_t stream)
{
	for (int tries = 1; !try_round(shape, threads, which, seconds, stream); tries++)
		CHECK(tries < TRIES, "%s, %u threads: not bounded in any of %d tries", shape->name, threads, TRIES);
}

/* ---- which rounds ---- */

/* More threads than processors are what it is about; sanitizers give them little to do. */
static unsigned draw_threads(struct rng *r)
{
	static const unsigned choice[] = { 1, 4, 16, 64, 256 };
	unsigned n = choice[rng_below(r, STRESS_CUT > 1 ? 3 : 5)];

	return rng_one_in(r, 2) ? n : stress.threads;
}

static unsigned run_all(struct rng *r)
{
	unsigned rounds = stress.seconds < 3 ? 1 : (unsigned)(stress.seconds / 1.5), first = rng_below(r, SHAPES);

	for (unsigned i = 0; i < rounds; i++)
		run_round(&shapes[(first + i * 7) % SHAPES], draw_threads(r), (int)rng_below(r, THRESHOLDS),
			  stress.seconds / rounds, 1000 + i * 1000);
	return rounds;
}

static const struct shape *find_shape(const char *name)
{
	for (unsigned i = 0; i < SHAPES; i++)
		if (!strcmp(shapes[i].name, name))
			return &shapes[i];
	for (unsigned i = 0; i < SHAPES; i++)
		fprintf(stderr, "%s\n", shapes[i].name);
	exit(2);
}

int main(int argc, char **argv)
{
	unsigned rounds = 1;

	stress_begin(argc, argv, "stress_steady");
	struct rng rng = rng_of(1);
	if (argc > 4)
		run_round(find_shape(argv[4]), stress.threads, argc > 5 ? atoi(argv[5]) % THRESHOLDS : 0, stress.seconds, 1000);
	else
		rounds = run_all(&rng);
	printf("stress_steady: ok: %u rounds, peak of the last %.1f MB, %llu callbacks\n", rounds,
	       (double)most_of(0, SAMPLES) / MB, (unsigned long long)atomic_load(&n_callbacks));
	return 0;
}
