/*
 * stress_finalize - finalizers that resurrect, publish, allocate, drop, watch and collect
 *
 * Goal: watches, then the finalizer, then destroy, each once; while the finalizers of a dead cycle
 * run, all its members are intact.
 * Method: rings and trees whose members know what they belong to: a finalizer walks its whole ring
 * and checks each member, then does one of many things a finalizer may do. An odd seed runs
 * finalizers manually. A failure means: a member cleared or destroyed too early, a finalizer run
 * twice or never, a resurrected object freed.
 */
#include "stress.h"

enum { GRAVES = 24, RING_MAX = 9 };

/* How far a node has come; it only rises. */
enum stage { MADE = 0, FINALIZED = 1, CLEARED = 2 };

/* What is known of a node outside the heap: its watches cannot reach the node itself. */
struct shadow {
	_Atomic int watches_left;
	int n_watches;
	struct watch {
		struct shadow *shadow;
		int place; /* how many were due when it was added, itself included */
		_Atomic bool ran;
	} watch[2];
};

struct node {
	struct canary canary;
	_Atomic int stage;
	unsigned ring; /* length of the ring it is a member of; 0: none */
	uint64_t ring_id;
	struct shadow *shadow;
	struct node *next;  /* in the ring; never changed once closed */
	struct node *child; /* a tree below; anything */
	_Atomic(struct node *) bag; /* said by traverse, not a slot */
	bool has_bag;
	ouro_weak weak;
};

static void node_finalize(void *obj);
static void node_destroy(void *obj);
static void node_traverse(void *obj, ouro_visitor *v);
static void node_clear(void *obj);

static const ouro_type node_type = {
	.name = "final node",
	.size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, next, child),
	.weaks = OURO_WEAKS(struct node, weak),
	.finalize = node_finalize,
	.destroy = node_destroy,
};

static const ouro_type bag_type = {
	.name = "final bag",
	.size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, next, child),
	.weaks = OURO_WEAKS(struct node, weak),
	.traverse = node_traverse,
	.clear = node_clear,
	.finalize = node_finalize,
	.destroy = node_destroy,
};

static struct node *graves[GRAVES]; /* where finalizers put things, and where they are dropped again */
static struct tally finalized, resurrected, watches_due, watches_ran;
static bool manual;

static struct node *node_new(struct rng *r)
{
	bool bag = rng_one_in(r, 3);
	struct node *n = make(bag ? &bag_type : &node_type, 0);

	n->has_bag = bag;
	n->shadow = calloc(1, sizeof(*n->shadow));
	CHECK(n->shadow);
	return n;
}

static struct node **any_grave(struct rng *r)
{
	return &graves[rng_below(r, GRAVES)];
}

/* ---- the ends of a node ---- */

static void node_traverse(void *obj, ouro_visitor *v)
{
	ouro_visit(v, atomic_load_explicit(&((struct node *)obj)->bag, memory_order_relaxed));
}

static void node_clear(void *obj)
{
	struct node *n = obj;

	CHECK(atomic_exchange(&n->stage, CLEARED) == FINALIZED, "cleared before it was finalized, or twice");
	drop(atomic_exchange(&n->bag, NULL));
}

static void node_destroy(void *obj)
{
	struct node *n = obj;
	int stage = atomic_load(&n->stage);

	CHECK(stage == (n->has_bag ? CLEARED : FINALIZED), "destroyed in stage %d", stage);
	CHECK(atomic_load(&n->shadow->watches_left) == 0, "destroyed before its watches ran");
	free(n->shadow);
	canary_destroy(&n->canary);
}

static void watch_ran(void *arg)
{
	struct watch *w = arg;

	CHECK(!atomic_exchange(&w->ran, true), "a watch ran twice");
	CHECK(atomic_fetch_sub(&w->shadow->watches_left, 1) == w->place, "an older watch ran first");
	tally_add(&watches_ran, 1);
}

/* Only before others can see the node, or in its finalizer. */
static void add_watch(struct node *n)
{
	struct shadow *s = n->shadow;
	struct watch *w;

	if (s->n_watches == 2)
		return;
	w = &s->watch[s->n_watches++];
	w->shadow = s;
	w->place = atomic_fetch_add(&s->watches_left, 1) + 1;
	tally_add(&watches_due, 1);
	CHECK(ouro_watch(n, watch_ran, w, NULL) == 0);
}

/* Every member must be there, neither cleared nor destroyed, and the ring closed. */
static void walk_ring(struct node *n)
{
	struct node *at = ouro_retain(n), *next;

	for (unsigned i = 0; i < n->ring; i++) {
		next = ouro_load(&at->next);
		CHECK(next, "a ring of %u is open at %u", n->ring, i);
		canary_alive(&next->canary);
		CHECK(next->ring_id == n->ring_id, "a member of another ring");
		CHECK(atomic_load(&next->stage) < CLEARED, "a member was cleared");
		ouro_release(at);
		at = next;
	}
	CHECK(at == n, "a ring of %u does not come back", n->ring);
	ouro_release(at);
}

static void walk_child(struct node *n)
{
	struct node *bag = atomic_load(&n->bag);

	drop(ouro_load(&n->child));
	if (bag)
		canary_alive(&bag->canary);
}

static void make_some(struct rng *r);

/* What finalizers do to the rest of the world. */
static void last_will(struct node *n, struct rng *r)
{
	switch (rng_below(r, 12)) {
	case 0:
	case 1:
		tally_add(&resurrected, 1);
		ouro_store(any_grave(r), n);
		break;
	case 2: ouro_give(any_grave(r), ouro_load(&n->child)); break;
	case 3: ouro_give(&n->child, NULL); break;
	case 4: ouro_give(&n->child, node_new(r)); break;
	case 5: ouro_store(any_grave(r), NULL); break;
	case 6: add_watch(n); break;
	case 7: CHECK(ouro_weak_store(&n->weak, n) == 0); break;
	case 8: make_some(r); break;
	case 9: CHECK(ouro_flush() == EDEADLK); break;
	case 10:
		if (rng_one_in(r, 20))
			CHECK(ouro_gc_collect((int)rng_below(r, 3)) >= 0);
		break;
	default: break;
	}
}

static void node_finalize(void *obj)
{
	struct node *n = obj;
	struct rng r = { n->canary.self + tally_sum(&finalized) };

	canary_alive(&n->canary);
	CHECK(atomic_exchange(&n->stage, FINALIZED) == MADE, "finalized twice");
	CHECK(atomic_load(&n->shadow->watches_left) == 0, "finalized before its watches ran");
	tally_add(&finalized, 1);
	walk_ring(n);
	walk_child(n);
	drop(ouro_weak_load(&n->weak));
	if (!stress_over())
		last_will(n, &r);
}

/* ---- what the threads make and drop ---- */

static struct node *make_ring(struct rng *r, unsigned length)
{
	uint64_t id = rng_next(r);
	struct node *first = node_new(r);
	struct node *last = ouro_retain(first);

	first->ring = length;
	first->ring_id = id;
	for (unsigned i = 1; i < length; i++) {
		struct node *n = node_new(r);

		n->ring = length;
		n->ring_id = id;
		CHECK(ouro_weak_store(&n->weak, last) == 0);
		ouro_store(&last->next, n);
		ouro_release(last);
		last = n;
	}
	ouro_store(&last->next, first);
	ouro_release(last);
	return first;
}

static void decorate(struct node *n, struct rng *r)
{
	if (rng_one_in(r, 2))
		ouro_give(&n->child, node_new(r));
	if (n->has_bag && rng_one_in(r, 2))
		atomic_store(&n->bag, node_new(r));
	for (unsigned watches = rng_below(r, 3); watches; watches--)
		add_watch(n);
	if (rng_one_in(r, 4))
		ouro_give(&n->child, ouro_load(any_grave(r)));
}

static void make_some(struct rng *r)
{
	struct node *n = rng_one_in(r, 2) ? node_new(r) : make_ring(r, 1 + rng_below(r, RING_MAX));

	decorate(n, r);
	if (rng_one_in(r, 6))
		ouro_give(any_grave(r), n);
	else
		drop(n);
}

static void look_into_grave(struct rng *r)
{
	struct node *n = ouro_load(any_grave(r));

	if (n && n->ring)
		walk_ring(n);
	if (n)
		CHECK(atomic_load(&n->stage) < CLEARED, "a reachable object was cleared");
	drop(n);
}

static void drain(struct rng *r)
{
	size_t ran = ouro_run_finalizers(rng_below(r, 200));

	CHECK(manual || ran == 0);
}

static void act(struct rng *r)
{
	switch (rng_below(r, 10)) {
	case 0:
	case 1:
	case 2: make_some(r); break;
	case 3:
	case 4: look_into_grave(r); break;
	case 5: drop(ouro_take(any_grave(r))); break;
	case 6:
		if (rng_one_in(r, 50))
			CHECK(ouro_gc_collect((int)rng_below(r, 3)) >= 0);
		break;
	case 7:
		if (rng_one_in(r, 50))
			CHECK(ouro_flush() == 0);
		break;
	default: drain(r); break;
	}
}

static void work(struct worker *w)
{
	for (; !stress_over(); w->ops++) {
		act(&w->rng);
		if (stress_live() > 50000)
			CHECK(ouro_gc_collect(2) >= 0);
		if (stress_live() > 50000)
			drain(&w->rng);
	}
}

/* Finalizers resurrect nothing any more, so that each round leaves less. */
static void bury_all(void)
{
	for (int round = 0; round < 100 && (round == 0 || stress_live()); round++) {
		for (int i = 0; i < GRAVES; i++)
			drop(ouro_take(&graves[i]));
		stress_settle();
		while (ouro_run_finalizers(1000))
			;
	}
}

int main(int argc, char **argv)
{
	uint64_t ops;

	stress_begin(argc, argv, "stress_finalize");
	struct rng rng = rng_of(1);
	ouro_config cfg = stress_config(&rng);

	manual = stress.seed % 2;
	cfg.finalizers = manual ? OURO_FINALIZERS_MANUAL : OURO_FINALIZERS_THREAD;
	CHECK(ouro_init(&cfg) == 0);
	ops = stress_run(work);
	bury_all();
	stress_check_live(0);
	CHECK(tally_sum(&watches_due) == tally_sum(&watches_ran), "%llu watches due, %llu ran",
	      (unsigned long long)tally_sum(&watches_due), (unsigned long long)tally_sum(&watches_ran));
	CHECK(tally_sum(&finalized) == tally_sum(&stress_news));
	return stress_end(0, "%s, %.2f M operations, %llu resurrections", manual ? "manual" : "thread",
			  (double)ops / 1e6, (unsigned long long)tally_sum(&resurrected));
}
