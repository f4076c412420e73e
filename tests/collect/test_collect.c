/*
 * Goal: a collection frees exactly the cycles nobody holds, of every shape and size.
 * Method: shapes by hand (pairs, rings, hubs, items, traverse); random graphs against a plain walk.
 * A failure would mean: leaks, or objects freed under a program's feet.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

static struct node *self_loop(const ouro_type *type)
{
	struct node *n = make_of(type, 1);

	ouro_store(&n->left, n);
	return n;
}

/* ---- shapes ---- */

static void collect_nothing(void **state)
{
	(void)state;
	for (int g = 0; g < 3; g++)
		assert_int_equal(ouro_gc_collect(g), 0);
	struct node *n = make(1);
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_release(n);
	assert_int_equal(ouro_gc_collect(2), 0);
}

static void collect_self_loop(void **state)
{
	(void)state;
	ouro_release(self_loop(&loud_type));
	assert_journal("");
	assert_int_equal(ouro_gc_collect(2), 1);
	assert_journal("f1 d1 ");
	struct node *twice = self_loop(&node_type);
	ouro_store(&twice->right, twice);
	ouro_release(twice);
	assert_int_equal(ouro_gc_collect(0), 1);
}

static void collect_pairs(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++)
		ouro_release(make_pair(&node_type, i));
	assert_int_equal(objects_live(), 2000);
	assert_int_equal(ouro_gc_collect(0), 2000);
	assert_int_equal(objects_live(), 0);
}

static void collect_spares_what_is_held(void **state)
{
	struct node *ring = make_ring(&loud_type, 10);

	(void)state;
	for (int g = 0; g < 3; g++)
		assert_int_equal(ouro_gc_collect(g), 0);
	struct node *third = ouro_load(&ring->right->right);
	ouro_release(ring);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_journal("");
	ouro_release(third);
	assert_int_equal(ouro_gc_collect(2), 10);
	assert_int_equal(book_count(&journal, "d"), 10);
}

/* A reference that another, sleeping, thread holds counts as much as any. */
static struct node *held_elsewhere;

static void hold_ring(void *arg)
{
	(void)arg;
	held_elsewhere = make_ring(&node_type, 5);
}

static void collect_spares_what_a_sleeping_thread_holds(void **state)
{
	struct sleeper s;

	(void)state;
	sleeper_start(&s, hold_ring, NULL);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(objects_live(), 5);
	sleeper_stop(&s);
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_release(held_elsewhere);
	assert_int_equal(ouro_gc_collect(2), 5);
}

static void *collect_big_ring(void *arg)
{
	size_t n = LOAD(1000000);

	ouro_release(make_ring(arg, n));
	return (void *)(intptr_t)(ouro_gc_collect(2) == (ssize_t)n);
}

static void collect_ring_on_a_small_stack(void **state)
{
	(void)state;
	thread_run_on_small_stack(collect_big_ring, (void *)&node_type);
	assert_int_equal(objects_live(), 0);
	counters_clear();
	thread_run_on_small_stack(collect_big_ring, (void *)&counted_type);
	assert_int_equal(n_destroyed, LOAD(1000000));
	assert_int_equal(objects_live(), 0);
	ouro_release(make_ring(&node_type, 3));
	assert_int_equal(ouro_gc_collect(2), 3);
}

/* A doubly linked list is one dead cycle that hangs together everywhere. */
static void collect_doubly_linked_list(void **state)
{
	const int n = LOAD(100000);
	struct node *head = make(0), *last = ouro_retain(head);

	(void)state;
	for (int i = 1; i < n; i++) {
		struct node *next = make(i);

		ouro_store(&last->right, next);
		ouro_store(&next->left, last);
		ouro_release(last);
		last = next;
	}
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_release(head);
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_release(last);
	assert_int_equal(ouro_gc_collect(2), n);
	assert_int_equal(objects_live(), 0);
}

struct vector {
	struct node *owner;
	struct node *items[];
};

static const ouro_type vector_type = {
	.name = "vector", .size = offsetof(struct vector, items), .slots = OURO_SLOTS(struct vector, owner),
	.item_size = sizeof(struct node *), .item_slots = OURO_ITEM_REFS,
};

/* A hub and n spokes that refer to each other: in-degree n, also beyond what a byte or two can count. */
static struct vector *make_hub(size_t n)
{
	struct vector *hub = ouro_new_items(&vector_type, n);

	for (size_t i = 0; i < n; i++) {
		struct node *spoke = make((int)i);

		ouro_slot_store(&spoke->left, hub);
		ouro_give(&hub->items[i], spoke);
	}
	return hub;
}

static void assert_hub_is_collected(size_t n)
{
	struct vector *hub = make_hub(n);

	assert_int_equal(ouro_refcount(hub), n + 1);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(objects_live(), n + 1);
	ouro_release(hub);
	assert_int_equal(ouro_gc_collect(2), (ssize_t)n + 1);
	assert_int_equal(objects_live(), 0);
}

static void collect_hub_with_a_large_in_degree(void **state)
{
	static const size_t degrees[] = {
		1, 126, 127, 128, 129, 254, 255, 256, 257, 1000, 65535, 65536, 70000,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(degrees) / sizeof(degrees[0]); i++)
		assert_hub_is_collected(degrees[i]);
}

/* The hub is held only through one spoke that somebody holds. */
static void collect_spares_a_hub_held_through_a_spoke(void **state)
{
	struct vector *hub = make_hub(1000);
	struct node *spoke = ouro_load(&hub->items[567]);

	(void)state;
	ouro_release(hub);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(objects_live(), 1001);
	ouro_release(spoke);
	assert_int_equal(ouro_gc_collect(2), 1001);
}

/* The same object many times in one vector that refers to itself. */
static void collect_many_references_to_oneself(void **state)
{
	struct vector *v = ouro_new_items(&vector_type, 300);

	(void)state;
	for (int i = 0; i < 300; i++)
		ouro_slot_store(&v->items[i], v);
	assert_int_equal(ouro_refcount(v), 301);
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_release(v);
	assert_int_equal(ouro_gc_collect(2), 1);
	assert_int_equal(objects_live(), 0);
}

static void collect_large_objects(void **state)
{
	struct vector *v = ouro_new_items(&vector_type, LOAD(500000));

	(void)state;
	ouro_slot_store(&v->items[LOAD(500000) - 1], v);
	ouro_give(&v->items[7], make_pair(&node_type, 1));
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_release(v);
	assert_int_equal(ouro_gc_collect(2), 3);
	assert_int_equal(objects_live(), 0);
}

/* Two cycles in a row: the second hangs off the first, and dies with it or alone. */
static void collect_chain_of_cycles(void **state)
{
	struct node *a = make_pair(&loud_type, 1), *b = make_pair(&loud_type, 3);

	(void)state;
	ouro_store(&a->left, b);
	ouro_release(b);
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_retain(b);
	ouro_release(a);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(book_count(&journal, "d"), 2);
	ouro_release(b);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(book_count(&journal, "d"), 4);
}

/* What hangs off a dead cycle without being in one is unreachable too. */
static void collect_counts_what_hangs_off(void **state)
{
	struct node *a = make_pair(&node_type, 1);

	(void)state;
	ouro_give(&a->left, make_list(&node_type, 7));
	ouro_release(a);
	assert_int_equal(ouro_gc_collect(2), 9);
	assert_int_equal(objects_live(), 0);
}

/* Acyclic objects are not traversable and not counted, but they die with what holds them. */
struct owner {
	struct owner *self;
	struct leaf *own, *shared;
};

static const ouro_type owner_type = {
	.name = "owner", .size = sizeof(struct owner), .slots = OURO_SLOTS(struct owner, self, own, shared),
};

static void collect_releases_acyclic_leaves(void **state)
{
	struct owner *o = ouro_new(&owner_type);
	struct leaf *shared = leaf_new(2);

	(void)state;
	ouro_give(&o->own, leaf_new(1));
	ouro_store(&o->shared, shared);
	ouro_store(&o->self, o);
	ouro_release(o);
	assert_int_equal(ouro_gc_collect(2), 1);
	assert_journal("l1 ");
	assert_int_equal(ouro_refcount(shared), 1);
	ouro_release(shared);
	assert_journal("l1 l2 ");
}

/* More of them than die in one gate. */
static void collect_releases_a_leaf_of_each(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct owner *o = ouro_new(&owner_type);
		ouro_give(&o->own, leaf_new(i));
		ouro_store(&o->self, o);
		ouro_release(o);
	}
	assert_int_equal(objects_live(), 2000);
	assert_int_equal(ouro_gc_collect(2), 1000);
	assert_int_equal(objects_live(), 0);
}

/* A vector that refers to itself, and to leaves: every third time the shared one. */
static void drop_wide(size_t n, struct leaf *shared)
{
	struct vector *v = ouro_new_items(&vector_type, n);

	assert_non_null(v);
	ouro_slot_store(&v->owner, v);
	for (size_t i = 0; i < n; i++)
		ouro_slot_give(&v->items[i], i % 3 == 0 ? ouro_retain(shared) : leaf_new((int)i));
	ouro_release(v);
}

/* Its items are more than are looked at in one gate. */
static void collect_releases_the_leaves_of_a_wide_object(void **state)
{
	static const size_t widths[] = { 1, 4095, 4096, 4097, 8192, 8193, 50000 };
	struct leaf *shared = leaf_new(-1);

	(void)state;
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		drop_wide(widths[i], shared);
		assert_int_equal(ouro_refcount(shared), 1 + (widths[i] + 2) / 3);
		assert_int_equal(ouro_gc_collect(2), 1);
		assert_int_equal(ouro_refcount(shared), 1);
		assert_int_equal(objects_live(), 1);
	}
	ouro_release(shared);
}

/* The same by the collector itself, which looks after each slice at what else is due. */
static void collect_automatically_what_a_wide_object_leaves(void **state)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT;
	struct node *list = NULL;
	struct leaf *shared;
	uint64_t end = now_ns() + PATIENCE_S * 1000000000ull;

	(void)state;
	heap_start(&cfg);
	shared = leaf_new(-1);
	drop_wide(50000, shared);
	for (size_t n = 0; ouro_refcount(shared) > 1 && now_ns() < end; n++) {
		struct node *next = make((int)n); /* full collections come when more has become old */

		ouro_give(&next->right, list);
		list = next;
	}
	assert_int_equal(ouro_refcount(shared), 1);
	ouro_release(list);
	ouro_release(shared);
	assert_int_equal(ouro_flush(), 0);
}

/* A live object that a dead cycle refers to is released by it, once for each reference. */
static void collect_releases_references_to_live_objects(void **state)
{
	struct node *live = make_of(&loud_type, 9), *a = make_pair(&node_type, 1);

	(void)state;
	ouro_store(&a->left, live);
	ouro_store(&a->right->left, live);
	assert_int_equal(ouro_refcount(live), 3);
	ouro_release(a);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(ouro_refcount(live), 1);
	assert_journal("");
	ouro_release(live);
}

/* ---- traverse ---- */

struct bag {
	size_t n;
	struct bag **items; /* malloc'ed, counted references that only traverse knows */
	struct bag *slot;
};

static void bag_traverse(void *obj, ouro_visitor *v)
{
	struct bag *b = obj;

	for (size_t i = 0; i < b->n; i++)
		ouro_visit(v, b->items[i]);
}

static void bag_clear(void *obj)
{
	struct bag *b = obj;

	for (size_t i = 0; i < b->n; i++)
		ouro_release(b->items[i]);
	b->n = 0;
}

static void bag_destroy(void *obj)
{
	free(((struct bag *)obj)->items);
	atomic_fetch_add(&n_destroyed, 1);
}

static const ouro_type bag_type = {
	.name = "bag", .size = sizeof(struct bag), .slots = OURO_SLOTS(struct bag, slot),
	.traverse = bag_traverse, .clear = bag_clear, .destroy = bag_destroy,
};

static struct bag *bag_new(size_t n)
{
	struct bag *b = ouro_new(&bag_type);

	assert_non_null(b);
	b->items = calloc(n ? n : 1, sizeof(*b->items));
	b->n = n;
	return b;
}

static void collect_traverse_types(void **state)
{
	struct bag *a = bag_new(3), *b = bag_new(2);

	(void)state;
	counters_clear();
	a->items[0] = ouro_retain(b);
	a->items[2] = ouro_retain(b);
	b->items[1] = ouro_retain(a);
	ouro_store(&b->slot, b);
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_release(a);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(n_destroyed, 0);
	ouro_release(b);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(n_destroyed, 2);
}

static void collect_traverse_hub(void **state)
{
	enum { N = 66000 };
	struct bag *hub = bag_new(N);

	(void)state;
	counters_clear();
	for (int i = 0; i < N; i++) {
		hub->items[i] = bag_new(1);
		hub->items[i]->items[0] = ouro_retain(hub);
	}
	ouro_release(hub);
	assert_int_equal(ouro_gc_collect(2), N + 1);
	assert_int_equal(n_destroyed, N + 1);
}

/* ---- random graphs against a plain walk ---- */

enum { GRAPH = 200 };

struct graph {
	struct node *node[GRAPH];
	int edge[GRAPH][2]; /* -1: none */
	bool held[GRAPH], reached[GRAPH];
	unsigned seed;
};

static int graph_pick(struct graph *g, int bound)
{
	g->seed = g->seed * 1103515245u + 12345u;
	return (int)(g->seed >> 8) % bound;
}

static void graph_link(struct node **slot, struct graph *g, int to)
{
	if (to >= 0)
		ouro_store(slot, g->node[to]);
}

static void graph_make(struct graph *g)
{
	for (int i = 0; i < GRAPH; i++)
		g->node[i] = make_of(&counted_type, i);
	for (int i = 0; i < GRAPH; i++)
		for (int k = 0; k < 2; k++) {
			g->edge[i][k] = graph_pick(g, 3) ? graph_pick(g, GRAPH) : -1;
			graph_link(k ? &g->node[i]->right : &g->node[i]->left, g, g->edge[i][k]);
		}
}

static void graph_walk(struct graph *g, int i)
{
	if (i < 0 || g->reached[i])
		return;
	g->reached[i] = true;
	graph_walk(g, g->edge[i][0]);
	graph_walk(g, g->edge[i][1]);
}

static size_t graph_drop_some(struct graph *g, int one_in)
{
	size_t alive = 0;

	memset(g->reached, 0, sizeof(g->reached));
	for (int i = 0; i < GRAPH; i++)
		if (g->held[i] && graph_pick(g, one_in) == 0) {
			g->held[i] = false;
			ouro_release(g->node[i]);
		}
	for (int i = 0; i < GRAPH; i++)
		if (g->held[i])
			graph_walk(g, i);
	for (int i = 0; i < GRAPH; i++)
		alive += g->reached[i];
	return alive;
}

static void graph_check(struct graph *g)
{
	counters_clear();
	graph_make(g);
	memset(g->held, true, sizeof(g->held));
	for (int one_in = 2; one_in > 0; one_in--)
		for (int again = 0; again < 4; again++) {
			size_t alive = graph_drop_some(g, one_in);

			assert_true(ouro_gc_collect(2) >= 0);
			assert_int_equal(objects_live(), alive);
			assert_int_equal(n_destroyed, GRAPH - alive);
		}
}

static void collect_random_graphs_exactly(void **state)
{
	static struct graph g;

	(void)state;
	for (unsigned seed = 1; seed <= (unsigned)LOAD(300); seed++) {
		g.seed = seed;
		graph_check(&g);
	}
}

/* ---- answers ---- */

static void collect_refuses_bad_generations(void **state)
{
	static const int bad[] = { -1, 3, -2, 1000, INT32_MIN, INT32_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		errno = 0;
		assert_int_equal(ouro_gc_collect(bad[i]), -1);
		assert_int_equal(errno, EINVAL);
	}
}

static void collect_refuses_when_pinned(void **state)
{
	(void)state;
	ouro_release(make_pair(&node_type, 1));
	ouro_pin();
	errno = 0;
	assert_int_equal(ouro_gc_collect(2), -1);
	assert_int_equal(errno, EDEADLK);
	ouro_unpin();
	assert_int_equal(ouro_gc_collect(2), 2);
}

static void *collect_repeatedly(void *arg)
{
	for (int i = 0; i < LOAD(300); i++)
		if (ouro_gc_collect(i % 3) < 0)
			atomic_fetch_add((atomic_int *)arg, 1);
	return NULL;
}

/* If a collection is running, it waits for that one and runs its own: callers never fail or hang. */
static void collect_by_several_threads(void **state)
{
	atomic_int failed = 0;
	pthread_t t[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		t[i] = thread_start(collect_repeatedly, &failed);
	for (int i = 0; i < LOAD(20000); i++)
		ouro_release(make_pair(&node_type, i));
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(failed, 0);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

/* Other threads keep changing the graph meanwhile; nothing of theirs is touched. */
struct churn {
	atomic_bool stop;
	atomic_int wrong;
};

static void *churn_main(void *arg)
{
	struct churn *c = arg;
	struct node *root = make_pair(&node_type, 1);

	for (int i = 0; !atomic_load(&c->stop); i++) {
		struct node *fresh = make_pair(&node_type, i);

		throttle((unsigned)i);
		ouro_give(&root->left, fresh);
		if (root->left->right->id != i + 1 || root->right->right != root)
			atomic_fetch_add(&c->wrong, 1);
	}
	ouro_release(root);
	return NULL;
}

static void collect_beside_running_threads(void **state)
{
	struct churn c = { .stop = false };
	pthread_t t[2] = { thread_start(churn_main, &c), thread_start(churn_main, &c) };

	(void)state;
	for (int i = 0; i < LOAD(300); i++)
		assert_true(ouro_gc_collect(i % 3) >= 0);
	atomic_store(&c.stop, true);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	assert_int_equal(c.wrong, 0);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

static void collect_is_tracked_by_type(void **state)
{
	struct node *n = make(1);
	struct leaf *l = leaf_new(1);
	struct bag *b = bag_new(1);

	(void)state;
	assert_true(ouro_gc_is_tracked(n));
	assert_true(ouro_gc_is_tracked(b));
	assert_false(ouro_gc_is_tracked(l));
	assert_false(ouro_gc_is_finalized(n));
	ouro_release(n);
	ouro_release(l);
	ouro_release(b);
}

/* ---- in the background ---- */

static void collect_for_finds_everything(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct node *kept = make(1);
		ouro_release(make_pair(&node_type, 1));
		ouro_release(make_pair(&loud_type, 1));
		ouro_store(&kept->left, kept);
		assert_true(EVENTUALLY(ouro_gc_collect_for(100000000) == 0));
		assert_true(EVENTUALLY(objects_live() == 1)); /* the reaper has the loud ones */
		ouro_release(kept);
		ouro_gc_collect(2);
		assert_int_equal(objects_live(), 0);
	}
}

static void collect_for_goes_on_when_nobody_waits(void **state)
{
	(void)state;
	ouro_release(make_pair(&node_type, 1));
	int error = ouro_gc_collect_for(0);
	assert_true(error == ETIMEDOUT || error == 0);
	assert_true(EVENTUALLY(objects_live() == 0));
}

static int in_event;

static void collect_for_in_event(const ouro_gc_event *event, void *arg)
{
	(void)arg;
	if (event->phase == OURO_GC_START)
		in_event = ouro_gc_collect_for(UINT64_MAX);
}

static void collect_for_refuses_what_would_wait_for_itself(void **state)
{
	(void)state;
	ouro_pin();
	assert_int_equal(ouro_gc_collect_for(UINT64_MAX), EDEADLK);
	ouro_unpin();
	assert_int_equal(ouro_gc_on_event(collect_for_in_event, NULL), 0);
	ouro_gc_collect(2);
	ouro_gc_off_event(collect_for_in_event, NULL);
	assert_int_equal(in_event, EDEADLK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(collect_for_finds_everything),
		HEAP_CASE(collect_for_goes_on_when_nobody_waits),
		HEAP_CASE(collect_for_refuses_what_would_wait_for_itself),
		HEAP_CASE(collect_nothing),
		HEAP_CASE(collect_self_loop),
		HEAP_CASE(collect_pairs),
		HEAP_CASE(collect_spares_what_is_held),
		HEAP_CASE(collect_spares_what_a_sleeping_thread_holds),
		HEAP_CASE(collect_ring_on_a_small_stack),
		HEAP_CASE(collect_doubly_linked_list),
		HEAP_CASE(collect_hub_with_a_large_in_degree),
		HEAP_CASE(collect_spares_a_hub_held_through_a_spoke),
		HEAP_CASE(collect_many_references_to_oneself),
		HEAP_CASE(collect_large_objects),
		HEAP_CASE(collect_chain_of_cycles),
		HEAP_CASE(collect_counts_what_hangs_off),
		HEAP_CASE(collect_releases_acyclic_leaves),
		HEAP_CASE(collect_releases_a_leaf_of_each),
		HEAP_CASE(collect_releases_the_leaves_of_a_wide_object),
		BARE_CASE(collect_automatically_what_a_wide_object_leaves),
		HEAP_CASE(collect_releases_references_to_live_objects),
		HEAP_CASE(collect_traverse_types),
		HEAP_CASE(collect_traverse_hub),
		HEAP_CASE(collect_random_graphs_exactly),
		HEAP_CASE(collect_refuses_bad_generations),
		HEAP_CASE(collect_refuses_when_pinned),
		HEAP_CASE(collect_by_several_threads),
		HEAP_CASE(collect_beside_running_threads),
		HEAP_CASE(collect_is_tracked_by_type),
	};

	return cmocka_run_group_tests_name("collect", tests, NULL, NULL);
}
