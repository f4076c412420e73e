/*
 * stress_deep - structures of a million objects, dropped by threads with the smallest of stacks
 *
 * Goal: nothing in the library recurses along references; what a release leaves to the background
 * is done by ouro_flush.
 * Method: each thread builds a list, a doubly linked list, a comb, a wide array or a ring, drops it
 * itself or hands it to the next thread, then flushes or collects and finds all of it destroyed. A
 * failure means: a stack overflow (SIGSEGV), or a tail of a structure that was forgotten.
 */
#include "stress.h"

#include <limits.h>

struct node {
	struct canary canary;
	_Atomic uint64_t *destroyed; /* counter of its structure */
	struct node *next, *other;
	struct node *item[];
};

static void node_destroy(void *obj)
{
	struct node *n = obj;

	canary_destroy(&n->canary);
	atomic_fetch_add(n->destroyed, 1);
}

static const ouro_type node_type = {
	.name = "deep node",
	.size = offsetof(struct node, item),
	.slots = OURO_SLOTS(struct node, next, other),
	.item_size = sizeof(struct node *),
	.item_slots = OURO_ITEM_REFS,
	.destroy = node_destroy,
};

/* What one thread builds at a time. */
struct build {
	_Atomic uint64_t destroyed;
	uint64_t made, size; /* objects; wanted */
};

static struct node *parcels[4]; /* structures on their way to other threads */

static struct node *node_new(struct build *b, size_t items)
{
	struct node *n = make(&node_type, items);

	n->destroyed = &b->destroyed;
	b->made++;
	return n;
}

/* ---- shapes: each returns one reference that holds all of it ---- */

static struct node *list(struct build *b)
{
	struct node *head = NULL;

	while (b->made < b->size) {
		struct node *n = node_new(b, 0);
		ouro_give(&n->next, head);
		head = n;
	}
	return head;
}

/* A list of lists: at any depth of the spine a tooth as deep as the spine. */
static struct node *comb(struct build *b)
{
	struct node *spine = NULL;
	unsigned tooth = 1;

	while (b->made < b->size) {
		struct node *n = node_new(b, 0);

		for (unsigned i = 0; i < tooth && b->made < b->size; i++) {
			struct node *t = node_new(b, 0);
			ouro_give(&t->next, ouro_take(&n->other));
			ouro_give(&n->other, t);
		}
		ouro_give(&n->next, spine);
		spine = n;
		tooth += 3;
	}
	return spine;
}

static struct node *wide(struct build *b)
{
	struct node *top = node_new(b, b->size - 1);

	for (size_t i = 0; i + 1 < b->size; i++) {
		struct node *n = node_new(b, 0);

		ouro_store(&n->next, i ? top->item[i - 1] : NULL);
		ouro_give(&top->item[i], n);
	}
	return top;
}

static struct node *ring(struct build *b)
{
	struct node *first = node_new(b, 0), *head = ouro_retain(first);

	while (b->made < b->size) {
		struct node *n = node_new(b, 0);
		ouro_give(&n->next, head);
		head = n;
	}
	ouro_store(&first->next, head);
	ouro_release(head);
	return first;
}

static struct node *doubly(struct build *b)
{
	struct node *head = node_new(b, 0);

	while (b->made < b->size) {
		struct node *n = node_new(b, 0);

		ouro_store(&head->other, n);
		ouro_give(&n->next, head);
		head = n;
	}
	return head;
}

static const struct shape {
	struct node *(*build)(struct build *b);
	bool cyclic;
} shapes[] = { { list, false }, { comb, false }, { wide, false }, { ring, true }, { doubly, true } };

/* ---- dropping ---- */

/* Somebody else's parcel may come back, or one's own: whoever finds one drops it. */
static void hand_over(struct node *n, struct rng *r)
{
	canary_alive(&n->canary);
	if (rng_one_in(r, 2))
		ouro_give(&parcels[rng_below(r, 4)], n);
	else
		ouro_release(n);
	for (int i = 0; i < 4; i++)
		ouro_release(ouro_take(&parcels[i]));
}

/* A parcel may be with a thread that has not dropped it yet; a busy machine may leave it there for long. */
static void wait_destroyed(struct build *b)
{
	uint64_t start = stress_now_ns();

	while (atomic_load(&b->destroyed) != b->made) {
		CHECK(stress_now_ns() - start < PATIENCE_NS, "%llu destroyed of %llu",
		      (unsigned long long)atomic_load(&b->destroyed), (unsigned long long)b->made);
		stress_sleep_ns(1000000);
		CHECK(ouro_gc_collect(2) >= 0);
	}
}

static void build_and_drop(const struct shape *shape, uint64_t size, struct rng *r)
{
	struct build b = { .size = size };
	struct node *n = shape->build(&b);

	CHECK(b.made == size);
	CHECK(atomic_load(&b.destroyed) == 0);
	if (rng_one_in(r, 2)) {
		hand_over(n, r);
		wait_destroyed(&b);
		return;
	}
	ouro_release(n);
	if (shape->cyclic)
		CHECK(ouro_gc_collect(2) >= 0);
	CHECK(ouro_flush() == 0);
	CHECK(atomic_load(&b.destroyed) == size, "%llu destroyed of %llu", (unsigned long long)b.destroyed,
	      (unsigned long long)size);
}

static void work(struct worker *w)
{
	while (!stress_over()) {
		uint64_t size = rng_one_in(&w->rng, 3) ? 1000000 : 2 + rng_below(&w->rng, 100000);

		build_and_drop(&shapes[rng_below(&w->rng, 5)], 2 + stress_cut(size), &w->rng);
		w->ops++;
	}
}

/* Ten million, where there is time for it. */
static void first_work(struct worker *w)
{
	if (STRESS_CUT == 1 && stress.seconds >= 10) {
		build_and_drop(&shapes[3], 10000000, &w->rng);
		build_and_drop(&shapes[0], 10000000, &w->rng);
		w->ops += 2;
	}
	work(w);
}

/* ---- threads with small stacks ---- */

static size_t stack_bytes(void)
{
	size_t least = (size_t)PTHREAD_STACK_MIN;
	size_t wanted = STRESS_CUT > 1 ? 1 << 20 : 64 << 10;

	return wanted > least ? wanted : least;
}

static uint64_t run_on_small_stacks(void)
{
	struct worker *all = calloc(stress.threads, sizeof(*all));
	pthread_attr_t attr;
	uint64_t built = 0;

	CHECK(all && pthread_attr_init(&attr) == 0);
	CHECK(pthread_attr_setstacksize(&attr, stack_bytes()) == 0);
	for (unsigned i = 0; i < stress.threads; i++) {
		all[i] = (struct worker){ .index = i, .rng = rng_of(i), .body = i ? work : first_work };
		CHECK(pthread_create(&all[i].thread, &attr, worker_main, &all[i]) == 0);
	}
	stress_wait_deadline();
	for (unsigned i = 0; i < stress.threads; i++)
		built += worker_join(&all[i]);
	pthread_attr_destroy(&attr);
	free(all);
	return built;
}

int main(int argc, char **argv)
{
	uint64_t built;

	stress_begin(argc, argv, "stress_deep");
	struct rng rng = rng_of(1);
	ouro_config cfg = OURO_CONFIG_DEFAULT;

	cfg.release_batch = rng_one_in(&rng, 2) ? 1 + rng_below(&rng, 1000) : 10000;
	cfg.pin_warn_ns = 0;
	CHECK(ouro_init(&cfg) == 0);
	built = run_on_small_stacks();
	return stress_end(0, "%llu structures", (unsigned long long)built);
}
