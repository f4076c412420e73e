/*
 * mutators.h - threads that keep changing a shared graph in every way there is, and notice when
 * something alive died
 *
 * The graph hangs off global slots. Whatever they load must bear its canary, which destroy takes
 * away. They leave cyclic garbage behind all the time: something must collect it meanwhile, or they
 * wait now and then.
 */
#ifndef OURO_TESTS_MUTATORS_H
#define OURO_TESTS_MUTATORS_H

#include "fixture.h"

enum { MUTATORS = 3, ROOTS = 512, ALIVE = 0x600d, DEAD = 0xdead };

static struct {
	struct node *root[ROOTS];
	ouro_weak cell[ROOTS];
	atomic_bool stop;
	atomic_size_t wrong; /* loads of something dead */
	pthread_t thread[MUTATORS];
} graph;

static inline void canary_destroy(void *obj)
{
	((struct node *)obj)->id = DEAD;
}

static const ouro_type canary_type = {
	.name = "canary", .size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, left, right), .weaks = OURO_WEAKS(struct node, weak),
	.destroy = canary_destroy,
};

static inline unsigned pick(uint64_t *seed, unsigned bound)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(*seed >> 33) % bound;
}

static inline struct node *whole(struct node *n)
{
	if (n != NULL && n->id != ALIVE)
		atomic_fetch_add(&graph.wrong, 1);
	return n;
}

/* A few steps into the graph. Steals n, returns a reference or NULL. */
static inline struct node *walk(struct node *n, uint64_t *seed)
{
	for (int i = 0; i < 8 && n != NULL; i++) {
		struct node *next = whole(ouro_load(pick(seed, 2) ? &n->left : &n->right));

		ouro_release(n);
		n = next;
	}
	return n;
}

static inline void through_weak(struct node *n, uint64_t *seed)
{
	ouro_weak_store(&graph.cell[pick(seed, ROOTS)], n);
	ouro_give(&n->left, whole(ouro_weak_load(&graph.cell[pick(seed, ROOTS)])));
	ouro_release(n);
}

/* One change. n: what one of the two slots held, ours. */
static inline void change(struct node *n, struct node **from, struct node **to, uint64_t *seed)
{
	struct node *other;

	switch (pick(seed, 9)) {
	case 0: /* link */
		ouro_give(&n->right, whole(ouro_load(to)));
		break;
	case 1: /* a reference moves, uncounted: out of an object, into a global */
		ouro_give(to, whole(ouro_take(&n->left)));
		break;
	case 2: /* ours moves into a global */
		ouro_release(whole(ouro_exchange(to, n)));
		return;
	case 3: /* ours moves into the object itself */
		ouro_give(&n->right, n);
		return;
	case 4:
		through_weak(n, seed);
		return;
	case 5:
		other = whole(ouro_load(to));
		ouro_compare_exchange(to, other, n);
		ouro_release(other);
		break;
	case 6: /* drop */
		ouro_store(to, NULL);
		break;
	case 7:
		ouro_give(to, walk(n, seed));
		return;
	default: /* a global's reference moves to another */
		ouro_give(to, whole(ouro_take(from)));
	}
	ouro_release(n);
}

static inline void mutate(uint64_t *seed)
{
	struct node **from = &graph.root[pick(seed, ROOTS)], **to = &graph.root[pick(seed, ROOTS)];
	struct node *n = whole(ouro_load(from));

	if (n != NULL && pick(seed, 6)) {
		change(n, from, to, seed);
		return;
	}
	struct node *fresh = make_of(&canary_type, ALIVE);
	ouro_give(&fresh->left, n);
	ouro_give(to, fresh);
}

static inline void *mutators_main(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (unsigned i = 0; !atomic_load(&graph.stop); i++) {
		throttle(i);
		mutate(&seed);
	}
	return NULL;
}

static inline void mutators_start(void *(*fn)(void *))
{
	atomic_store(&graph.stop, false);
	atomic_store(&graph.wrong, 0);
	for (uintptr_t i = 0; i < MUTATORS; i++)
		graph.thread[i] = thread_start(fn != NULL ? fn : mutators_main, (void *)(i + 1));
}

/*
 * They end, and let go of the graph, which is garbage then. A child, where cmocka's assertions do
 * not work, looks at graph.wrong itself.
 */
static inline void mutators_end(void)
{
	atomic_store(&graph.stop, true);
	for (int i = 0; i < MUTATORS; i++)
		pthread_join(graph.thread[i], NULL);
	for (int i = 0; i < ROOTS; i++) {
		ouro_weak_clear(&graph.cell[i]);
		ouro_store(&graph.root[i], NULL);
	}
}

static inline void mutators_stop(void)
{
	mutators_end();
	assert_int_equal(graph.wrong, 0);
}

/* collect(2) in a loop on a thread of its own. */
static struct {
	atomic_bool stop;
	atomic_size_t n; /* rounds that are over */
	pthread_t thread;
} collecting;

static inline void *collecting_main(void *arg)
{
	while (!atomic_load(&collecting.stop)) {
		if (ouro_gc_collect(2) < 0)
			abort();
		atomic_fetch_add(&collecting.n, 1);
	}
	return arg;
}

static inline void collecting_start(void)
{
	atomic_store(&collecting.stop, false);
	atomic_store(&collecting.n, 0);
	collecting.thread = thread_start(collecting_main, NULL);
}

static inline void collecting_stop(void)
{
	atomic_store(&collecting.stop, true);
	pthread_join(collecting.thread, NULL);
}

/*
 * A collection that is held in the middle of its counting, beside the program, by a traverse that waits. Meanwhile
 * nobody may need a stop or a grace period. Its object comes first, so that pages made later are counted later.
 */
static struct {
	void *obj;
	atomic_bool wanted, held;
	pthread_t thread;
} holding;

static inline void holding_traverse(void *obj, ouro_visitor *v)
{
	(void)obj;
	(void)v;
	if (!atomic_exchange(&holding.wanted, false))
		return;
	atomic_store(&holding.held, true);
	while (atomic_load(&holding.held))
		usleep(20);
}

static inline void holding_clear(void *obj)
{
	(void)obj;
}

static const ouro_type holding_type = {
	.name = "holding", .size = 16, .traverse = holding_traverse, .clear = holding_clear,
	.flags = OURO_TRAVERSE_CONCURRENT,
};

static inline void holding_prepare(void)
{
	holding.obj = ouro_new(&holding_type);
	assert_non_null(holding.obj);
}

static inline void *collect_once_main(void *arg)
{
	ouro_gc_collect(2);
	return arg;
}

static inline void holding_begin(void)
{
	atomic_store(&holding.wanted, true);
	holding.thread = thread_start(collect_once_main, NULL);
	assert_true(EVENTUALLY(holding.held));
}

static inline void holding_end(void)
{
	atomic_store(&holding.held, false);
	pthread_join(holding.thread, NULL);
	ouro_release(holding.obj);
}

/* Nothing of the graph, nor of what else was dropped, may be left after one collection. */
static inline void assert_all_is_collected(size_t but)
{
	for (int tries = 0; tries < 5; tries++) {
		assert_int_equal(ouro_flush(), 0);
		uint64_t began = now_ns();
		assert_true(ouro_gc_collect(2) >= 0);
		bool proof = !took_too_long_to_prove(began);
		assert_int_equal(ouro_flush(), 0);
		if (proof || objects_live() == but)
			break;
	}
	assert_int_equal(objects_live(), but);
}

/* ---- a reference that only traverse knows ---- */

struct link {
	struct link *next; /* counted; nobody moves it */
};

static inline void link_traverse(void *obj, ouro_visitor *v)
{
	ouro_visit(v, ((struct link *)obj)->next);
}

static inline void link_clear(void *obj)
{
	struct link *l = obj, *next = l->next;

	l->next = NULL;
	ouro_release(next);
}

#endif
