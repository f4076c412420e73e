/*
 * shapes.c - shapes of garbage, and of what only looks like it: operations a second, and what the
 * collector spends
 *
 * Friendly shapes leave cyclic garbage that hangs on little. For adversaries to suspect never
 * pays: what lost a reference is alive, or dies by its count, all the time. Each row is a heap of
 * its own in a process of its own. bench/shapes.sh runs them, of two builds in turns if asked
 * for.
 *
 *   usage: shapes list | shapes NAME      prints NAME, then in columns between tabs
 *     operations a second, ns of CPU of the library's threads for each object that died (-: none
 *     did), share of CPU those threads had in %, ns of CPU of the process for an operation,
 *     objects that died, those of them that collections found, collections
 *   LIVE     objects (1e5)   THREADS  (4)   SECONDS  (2)
 */
#include "shapes.h"

enum { DEGREE = 8, REQUESTS = 16, TREE_DEPTH = 6 };

struct thing {
	struct thing *a, *b, *c, *link;
	uint64_t value;
};
struct dense {
	struct dense *to[DEGREE];
};
struct table {
	uint64_t n;
	struct thing *at[];
};
static const ouro_type thing_type = {
	.name = "thing", .size = sizeof(struct thing),
	.slots = OURO_SLOTS(struct thing, a, b, c, link),
};
static const ouro_type dense_type = {
	.name = "dense", .size = sizeof(struct dense), .slots = OURO_SLOTS(struct dense, to),
};
static const ouro_type table_type = {
	.name = "table", .size = offsetof(struct table, at),
	.item_size = sizeof(struct thing *), .item_slots = OURO_ITEM_REFS,
};

static struct thing *shared; /* slot: the object that all touch */
static struct table *tables[WORKERS_MAX];
static unsigned n_threads;
static size_t n_each; /* of a thread's table */

static struct thing **any(struct load *l)
{
	return &tables[l->self]->at[load_index(l, n_each)];
}

/* ---- friendly: garbage that hangs on little ---- */

static struct thing *new_pair(void)
{
	struct thing *a = make(&thing_type), *b = make(&thing_type);

	ouro_store(&b->a, a);
	ouro_give(&a->a, b);
	return a;
}

static void pairs(struct load *l)
{
	ouro_give(any(l), new_pair());
}

/* Each refers to one anywhere; that which is replaced drops this first. */
static void graph(struct load *l)
{
	struct thing **slot = any(l), *old = ouro_load(slot), *new = new_pair();
	struct table *there;

	if (old)
		ouro_store(&old->link, (struct thing *)NULL);
	ouro_release(old);
	there = tables[load_index(l, n_threads)];
	ouro_give(&new->link, ouro_load(&there->at[load_index(l, n_each)]));
	ouro_give(slot, new);
}

/*
 * A session and its last request refer to each other, as in examples/depserver; some requests,
 * and it goes away.
 */
static void sessions(struct load *l)
{
	struct thing **slot = any(l), *session = ouro_load(slot), *request;

	if (!session || session->value++ == REQUESTS) {
		ouro_release(session);
		session = make(&thing_type);
		ouro_store(slot, session);
	}
	request = make(&thing_type);
	ouro_store(&request->a, session);
	ouro_give(&session->a, request);
	ouro_release(session);
}

static struct thing *new_tree(int depth)
{
	struct thing *t = make(&thing_type);

	if (depth) {
		struct thing *left = new_tree(depth - 1), *right = new_tree(depth - 1);

		ouro_store(&left->c, t);
		ouro_store(&right->c, t);
		ouro_give(&t->a, left);
		ouro_give(&t->b, right);
	}
	return t;
}

static void trees(struct load *l)
{
	ouro_give(&tables[l->self]->at[load_index(l, n_each >> TREE_DEPTH)], new_tree(TREE_DEPTH));
}

/* ---- adversaries ---- */

/* a: the next, b: the one before. The list is a ring, so that no end is special. */
static void insert_after(struct thing *at, struct thing *new)
{
	struct thing *next = ouro_load(&at->a);

	ouro_store(&new->a, next);
	ouro_store(&new->b, at);
	ouro_store(&next->b, new);
	ouro_store(&at->a, new);
	ouro_release(next);
}

static void take_out(struct thing *t)
{
	struct thing *next = ouro_take(&t->a), *before = ouro_take(&t->b);

	ouro_store(&before->a, next);
	ouro_store(&next->b, before);
	ouro_release(next);
	ouro_release(before);
}

/*
 * Edited all the time: what was taken out dies by its count, its neighbours have lost a
 * reference and live.
 */
static void list(struct load *l)
{
	struct thing **slot = any(l), *old = ouro_load(slot), *at = ouro_load(any(l)), *new;

	if (old != at) {
		new = make(&thing_type);
		take_out(old);
		insert_after(at, new);
		ouro_give(slot, new);
	}
	ouro_release(at);
	ouro_release(old);
}

/*
 * A ring whose newest is held: the oldest goes, one comes. Whoever looks at what lost a reference
 * can follow it all the way around, one unexplained reference at a time, before finding the holder.
 */
static void queue(struct load *l)
{
	struct thing **slot = &tables[l->self]->at[load_index(l, n_each >> TREE_DEPTH)];
	struct thing *held = ouro_load(slot), *oldest = ouro_load(&held->a), *new = make(&thing_type);

	take_out(oldest);
	insert_after(held, new);
	ouro_give(slot, new);
	ouro_release(oldest);
	ouro_release(held);
}

/*
 * Nothing dies: each edge that is replaced takes a reference from an object to which others
 * lead.
 */
static void dense(struct load *l)
{
	struct dense *from = (struct dense *)ouro_load(any(l));
	struct dense *to = (struct dense *)ouro_load(any(l));

	ouro_give(&from->to[load_index(l, DEGREE)], to);
	ouro_release(from);
}

static void touched(struct load *l)
{
	struct thing *t = ouro_load(&shared);

	ouro_store(any(l), t);
	ouro_release(t);
}

/* ---- the tables, as they are when the clock starts ---- */

static void fill_by_operation(struct load *l, void (*operation)(struct load *))
{
	for (size_t i = 0; i < n_each; i++)
		operation(l);
}

static void fill_pairs(struct load *l)
{
	for (size_t i = 0; i < n_each; i++)
		ouro_give(&tables[l->self]->at[i], new_pair());
}

static void fill_sessions(struct load *l)
{
	fill_by_operation(l, sessions);
}

static void fill_trees(struct load *l)
{
	for (size_t i = 0; i < n_each >> TREE_DEPTH; i++)
		ouro_give(&tables[l->self]->at[i], new_tree(TREE_DEPTH));
}

static void fill_list(struct load *l)
{
	struct thing *first = make(&thing_type);

	ouro_store(&first->a, first);
	ouro_store(&first->b, first);
	ouro_store(&tables[l->self]->at[0], first);
	for (size_t i = 1; i < n_each; i++) {
		struct thing *new = make(&thing_type);

		insert_after(first, new);
		ouro_give(&tables[l->self]->at[i], new);
	}
	ouro_release(first);
}

static void fill_queue(struct load *l)
{
	for (size_t i = 0; i < n_each >> TREE_DEPTH; i++) {
		struct thing *held = make(&thing_type);

		ouro_store(&held->a, held);
		ouro_store(&held->b, held);
		for (int j = 1; j < 1 << TREE_DEPTH; j++) {
			struct thing *new = make(&thing_type);

			insert_after(held, new);
			ouro_release(new);
		}
		ouro_give(&tables[l->self]->at[i], held);
	}
}

static void fill_dense(struct load *l)
{
	for (size_t i = 0; i < n_each; i++)
		ouro_give(&tables[l->self]->at[i], (struct thing *)make(&dense_type));
	for (int i = 0; i < DEGREE; i++)
		fill_by_operation(l, dense);
}

static void fill_touched(struct load *l)
{
	fill_by_operation(l, touched);
}

static const struct shape {
	const char *name;
	void (*fill)(struct load *), (*operation)(struct load *);
	unsigned objects; /* for each entry of a table */
} shapes[] = {
	{ "pairs", fill_pairs, pairs, 2 },
	{ "graph", fill_pairs, graph, 2 },
	{ "sessions", fill_sessions, sessions, 2 },
	{ "trees", fill_trees, trees, 2 },
	{ "adversary_list", fill_list, list, 1 },
	{ "adversary_queue", fill_queue, queue, 1 },
	{ "adversary_dense", fill_dense, dense, 1 },
	{ "adversary_shared", fill_touched, touched, 1 },
};
static const struct shape *shape;
static pthread_barrier_t gate;

static void *work(void *arg)
{
	struct worker *w = arg;

	tables[w->load.self] = load_must(ouro_new_items(&table_type, n_each));
	pthread_barrier_wait(&gate);
	shape->fill(&w->load);
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		for (int i = 0; i < BATCH; i++)
			shape->operation(&w->load);
		w->n_operations += BATCH;
	}
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	ouro_release(tables[w->load.self]);
	return NULL;
}

static void print(const struct moment *from, const struct moment *to, uint64_t operations)
{
	double cpu = (double)(to->cpu_ns - from->cpu_ns);
	double own = (double)(to->servants_ns - from->servants_ns);
	uint64_t dead = to->stats.objects_freed - from->stats.objects_freed, found = 0;
	char each[32] = "-";

	for (int g = 0; g < 3; g++)
		found += to->stats.collected[g] - from->stats.collected[g];
	if (dead)
		snprintf(each, sizeof each, "%.1f", own / (double)dead);
	printf("%s\t%.0f\t%s\t%.2f\t%.1f\t%llu\t%llu\t%llu\n", shape->name,
	       (double)operations / (double)(to->ns - from->ns) * 1e9, each,
	       cpu > 0 ? 100 * own / cpu : 0,
	       cpu / (double)operations, (unsigned long long)dead, (unsigned long long)found,
	       (unsigned long long)collections(from, to));
}

static int run(void)
{
	static struct worker workers[WORKERS_MAX];
	struct moment from, to;
	uint64_t operations = 0;

	if (ouro_init(NULL))
		load_die("the heap does not start");
	ouro_give(&shared, new_pair());
	pthread_barrier_init(&gate, NULL, n_threads + 1);
	start_workers(workers, n_threads, work);
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	from = moment_now();
	pthread_barrier_wait(&gate);
	sleep_ms(seconds_ms(2));
	atomic_store(&over, true);
	pthread_barrier_wait(&gate);
	to = moment_now();
	pthread_barrier_wait(&gate);
	for (unsigned i = 0; i < n_threads; i++) {
		pthread_join(workers[i].thread, NULL);
		operations += workers[i].n_operations;
	}
	print(&from, &to, operations);
	ouro_store(&shared, (struct thing *)NULL);
	return end_heap();
}

int main(int argc, char **argv)
{
	enum { N = sizeof shapes / sizeof *shapes };

	for (int i = 0; argc == 2 && i < N; i++)
		if (!strcmp(argv[1], "list"))
			puts(shapes[i].name);
		else if (!strcmp(argv[1], shapes[i].name))
			shape = &shapes[i];
	if (!shape)
		return argc == 2 && !strcmp(argv[1], "list") ? 0 : 2;
	n_threads = (unsigned)setting("THREADS", 4);
	if (n_threads > WORKERS_MAX)
		load_die("at most 64 threads");
	n_each = setting("LIVE", 100000) / shape->objects / n_threads;
	if (n_each < 1 << TREE_DEPTH)
		load_die("too few objects for so many threads");
	return run();
}
