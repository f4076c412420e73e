/*
 * Goal: whatever dies of one another dies, once each, in whatever mixture, however it is sliced.
 * Method: random graphs without cycles, of objects with 0 to 9 slots or with items, with callbacks
 * and without, weakly referenced, referred to several times, made by another thread; small release
 * batches; every death counted.
 * A failure would mean: leaks, double frees, clean-up forgotten for some in a large structure.
 */
#include "fixture.h"

#define SLOTS_MOST 9

struct any {
	ouro_weak weak;
	struct any *ref[SLOTS_MOST];
};

#define REFS(slots) OURO_BARE_LIST_(, 1, { offsetof(struct any, ref), slots })
#define UP_TO(slots) offsetof(struct any, ref) + (slots) * sizeof(void *)

enum { LEAF, PAIR, SIX, NINE, ITEMS, LOUD, CELL, KINDS };
static const size_t slots_of[KINDS] = { 0, 2, 6, 9, 5, 2, 3 };

static const ouro_type types[KINDS] = {
	[LEAF] = { .name = "a leaf", .size = UP_TO(0), .flags = OURO_ACYCLIC },
	[PAIR] = { .name = "a pair", .size = UP_TO(2), .slots = REFS(2) },
	[SIX] = { .name = "six", .size = UP_TO(6), .slots = REFS(6) },
	[NINE] = { .name = "nine", .size = UP_TO(9), .slots = REFS(9) },
	[ITEMS] = { .name = "items", .size = UP_TO(0), .item_size = sizeof(void *), .item_slots = OURO_ITEM_REFS },
	[LOUD] = { .name = "loud", .size = UP_TO(2), .slots = REFS(2), .destroy = counted_destroy },
	[CELL] = { .name = "with a cell", .size = UP_TO(3), .slots = REFS(3), .weaks = OURO_WEAKS(struct any, weak) },
};

struct graph {
	size_t n, n_loud;
	struct any **object;
	unsigned kinds; /* a set */
	uint32_t seed;
};

static uint32_t next_random(struct graph *g)
{
	g->seed = g->seed * 1664525u + 1013904223u;
	return g->seed >> 8;
}

static unsigned pick_kind(struct graph *g)
{
	unsigned kind;

	do
		kind = next_random(g) % KINDS;
	while (!(g->kinds >> kind & 1));
	return kind;
}

/* Refers to some before it: there are no cycles. */
static void add_one(struct graph *g)
{
	unsigned kind = pick_kind(g);
	struct any *o = kind == ITEMS ? ouro_new_items(&types[kind], slots_of[kind]) : ouro_new(&types[kind]);

	if (o == NULL)
		abort();
	for (size_t i = 0; i < slots_of[kind] && g->n != 0; i++)
		if (next_random(g) % 8 != 0)
			ouro_store(&o->ref[i], g->object[g->n - 1 - next_random(g) % (g->n < 100 ? g->n : 100)]);
	g->n_loud += kind == LOUD;
	g->object[g->n++] = o;
}

static void *add_many(void *arg)
{
	struct graph *g = arg;

	for (size_t i = 0; i < LOAD(20000); i++)
		add_one(g);
	return NULL;
}

/* On @by_thread threads, one after the other, each of which has gone then; the last part is this thread's. */
static void make_graph(struct graph *g, unsigned kinds, int by_threads)
{
	*g = (struct graph){ .kinds = kinds, .seed = kinds * 7919u + (uint32_t)by_threads };
	g->object = malloc((size_t)(by_threads + 1) * LOAD(20000) * sizeof(g->object[0]));
	assert_non_null(g->object);
	for (int i = 0; i < by_threads; i++)
		pthread_join(thread_start(add_many, g), NULL);
	add_many(g);
}

/* All are referred to by one that dies at last, so that as much as can be dies of one release. */
static void drop_graph(struct graph *g)
{
	struct any *root = ouro_new_items(&types[ITEMS], g->n);
	ouro_weak cell = { 0 };

	assert_non_null(root);
	for (size_t i = 0; i < g->n; i++)
		ouro_give(&root->ref[i], g->object[i]);
	for (size_t i = 0; i < g->n; i += 10)
		assert_int_equal(ouro_weak_store(&cell, g->object[i]), 0); /* from now on it dies another way */
	ouro_weak_clear(&cell);
	counters_clear();
	ouro_release(root);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
	assert_int_equal(n_destroyed, g->n_loud);
	free(g->object);
}

static void check_graph(unsigned kinds, int by_threads)
{
	struct graph g;

	make_graph(&g, kinds, by_threads);
	drop_graph(&g);
}

static const unsigned all_kinds = (1u << KINDS) - 1, quiet_kinds = 1u << LEAF | 1u << PAIR | 1u << SIX;

static void cascade_of_quiet_objects(void **state)
{
	(void)state;
	check_graph(1u << LEAF | 1u << PAIR, 0);
	check_graph(1u << PAIR, 0);
	check_graph(1u << SIX, 0);
	check_graph(quiet_kinds, 0);
}

static void cascade_of_many_slots(void **state)
{
	(void)state;
	check_graph(1u << NINE, 0);
	check_graph(1u << NINE | 1u << LEAF, 0);
	check_graph(1u << NINE | quiet_kinds, 0);
}

static void cascade_of_every_kind(void **state)
{
	(void)state;
	check_graph(all_kinds, 0);
}

static void cascade_of_other_threads_objects(void **state)
{
	(void)state;
	check_graph(quiet_kinds, 2);
	check_graph(all_kinds, 2);
}

/* One that is alive, and its queue of merges with it. */
static void add_by_sleeper(void *arg)
{
	add_many(arg);
}

static void cascade_of_a_sleepers_objects(void **state)
{
	struct graph g = { .kinds = all_kinds, .seed = 1 };
	struct sleeper owner;

	(void)state;
	g.object = malloc(2 * LOAD(20000) * sizeof(g.object[0]));
	assert_non_null(g.object);
	sleeper_start(&owner, add_by_sleeper, &g);
	add_many(&g);
	drop_graph(&g);
	sleeper_stop(&owner);
}

static void cascade_in_slices(void **state)
{
	static const size_t batch[] = { 1, 7, 63, 64, 65, 1000 };
	ouro_config cfg = test_config();

	(void)state;
	for (size_t i = 0; i < sizeof(batch) / sizeof(batch[0]); i++) {
		cfg.release_batch = batch[i];
		heap_start(&cfg);
		check_graph(quiet_kinds, 0);
		check_graph(all_kinds, 1);
		assert_int_equal(heap_stop().objects, 0);
	}
}

/* A list is the narrowest there is: one reference at a time; on a small stack. The result is NULL, or the argument. */
static void *drop_list(void *arg)
{
	struct any *head = NULL;

	for (size_t i = 0; i < LOAD(300000); i++) {
		struct any *o = ouro_new(&types[PAIR]);

		if (o == NULL)
			return arg;
		ouro_give(&o->ref[i % 2], head);
		head = o;
	}
	ouro_release(head);
	return NULL;
}

static void cascade_along_a_list(void **state)
{
	pthread_attr_t attr;
	pthread_t thread;
	void *result;
	int no_memory;

	(void)state;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, SMALL_STACK_BYTES);
	assert_int_equal(pthread_create(&thread, &attr, drop_list, &no_memory), 0);
	pthread_join(thread, &result);
	pthread_attr_destroy(&attr);
	assert_null(result);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(cascade_of_quiet_objects),
		HEAP_CASE(cascade_of_many_slots),
		HEAP_CASE(cascade_of_every_kind),
		HEAP_CASE(cascade_of_other_threads_objects),
		HEAP_CASE(cascade_of_a_sleepers_objects),
		BARE_CASE(cascade_in_slices),
		HEAP_CASE(cascade_along_a_list),
	};

	return cmocka_run_group_tests_name("cascade", tests, NULL, NULL);
}
