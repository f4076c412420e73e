/*
 * Goal: a value goes with its key and its map: it lives as long as both do, and keeps neither.
 * Method: keys and maps that die in either order; values that refer to their keys, to other keys
 * and to the map, collected in every way; threads that put and remove one key; refused memory.
 * A failure would mean: a cycle through a map leaks, a value dies early, or is found after its key
 * was removed.
 */
#include "base/perturb.h"
#include "fixture.h"

struct keyed {
	void *ouro_values; /* a slot, the library's */
	struct node *link;
	int id;
};

static const ouro_type keyed_type = {
	.name = "keyed", .size = sizeof(struct keyed), .flags = OURO_KEY,
	.slots = OURO_SLOTS(struct keyed, ouro_values, link), .destroy = counted_destroy,
};

static ouro_key_map *key_map_make(void)
{
	ouro_key_map *m = ouro_key_map_new();

	if (m == NULL)
		abort();
	return m;
}

static struct keyed *key_make(int id)
{
	struct keyed *k = ouro_new(&keyed_type);

	if (k == NULL)
		abort();
	k->id = id;
	return k;
}

static void put_value(ouro_key_map *m, struct keyed *k, int id)
{
	struct node *n OURO_AUTO = make_of(&counted_type, id);

	if (ouro_key_map_put(m, k, n) != 0)
		abort();
}

static int value_id(ouro_key_map *m, struct keyed *k)
{
	struct node *n OURO_AUTO = ouro_key_map_get(m, k);

	return n != NULL ? n->id : -1;
}

static void key_map_finds_what_was_put(void **state)
{
	ouro_key_map *m = key_map_make(), *other = key_map_make();
	struct keyed *a = key_make(1), *b = key_make(2);
	struct node *n = make(5);

	(void)state;
	counters_clear();
	put_value(m, a, 10);
	put_value(m, b, 20);
	put_value(other, a, 30);
	assert_int_equal(value_id(m, a), 10);
	assert_int_equal(value_id(m, b), 20);
	assert_int_equal(value_id(other, a), 30);
	assert_int_equal(value_id(other, b), -1);
	assert_int_equal(ouro_refcount(a), 1);
	assert_int_equal(ouro_key_map_put_if_absent(m, a, n), EEXIST);
	assert_int_equal(ouro_key_map_put_if_absent(other, b, n), 0);
	put_value(m, a, 11);
	assert_int_equal(value_id(m, a), 11);
	assert_int_equal(n_destroyed, 1);
	assert_int_equal(ouro_key_map_size(m), 2);
	assert_true(ouro_key_map_remove(m, a));
	assert_false(ouro_key_map_remove(m, a));
	assert_int_equal(value_id(m, a), -1);
	assert_int_equal(value_id(other, a), 30);
	assert_int_equal(ouro_key_map_size(m), 1);
	assert_int_equal(n_destroyed, 2);
	put_value(m, a, 12);
	assert_int_equal(value_id(m, a), 12);
	ouro_key_map_clear(m);
	assert_int_equal(value_id(m, a), -1);
	assert_int_equal(value_id(m, b), -1);
	assert_int_equal(ouro_key_map_size(m), 0);
	ouro_release(n);
	ouro_release(a);
	ouro_release(b);
	ouro_release(m);
	ouro_release(other);
}

static void key_map_refuses_what_is_no_key(void **state)
{
	static const ouro_type without = { .name = "without", .size = 8, .flags = OURO_KEY };
	ouro_key_map *m = key_map_make();
	struct keyed *k = key_make(1);
	struct node *n = make(1);

	(void)state;
	assert_int_equal(ouro_key_map_put(m, n, n), EINVAL);
	assert_int_equal(ouro_key_map_put_if_absent(m, n, n), EINVAL);
	assert_int_equal(ouro_key_map_put(NULL, k, n), EINVAL);
	assert_int_equal(ouro_key_map_put(m, NULL, n), EINVAL);
	assert_int_equal(ouro_key_map_put(m, k, NULL), EINVAL);
	assert_null(ouro_key_map_get(m, n));
	assert_null(ouro_key_map_get(NULL, k));
	assert_false(ouro_key_map_remove(m, n));
	assert_int_equal(ouro_key_map_size(NULL), 0);
	ouro_key_map_clear(NULL);
	assert_true(ouro_key_map_each(NULL, NULL, NULL));
	assert_null(ouro_new(&without));
	assert_int_equal(errno, EINVAL);
	ouro_release(n);
	ouro_release(k);
	ouro_release(m);
}

static void key_map_value_dies_with_the_key(void **state)
{
	ouro_key_map *m = key_map_make();
	struct keyed *k = key_make(1);

	(void)state;
	counters_clear();
	put_value(m, k, 1);
	ouro_release(k);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, 2);
	assert_int_equal(ouro_key_map_size(m), 0);
	ouro_release(m);
}

static void key_map_values_die_with_the_map(void **state)
{
	struct keyed *k = key_make(1);

	(void)state;
	counters_clear();
	for (int i = 0; i < 100; i++) {
		ouro_key_map *m = key_map_make();

		put_value(m, k, i);
		ouro_release(m);
		assert_int_equal(ouro_flush(), 0);
		assert_int_equal(n_destroyed, i + 1);
	}
	/* Of the dead maps the next put leaves nothing. */
	ouro_key_map *m = key_map_make();
	put_value(m, k, 1);
	assert_int_equal(ouro_flush(), 0);
	assert_true(objects_live() < 20);
	ouro_release(k);
	ouro_release(m);
}

/* ---- cycles ---- */

enum how { NEVER, BY_YOUNG, BY_FULL };

static ssize_t collect_by(enum how how)
{
	return ouro_gc_collect(how == BY_YOUNG ? 0 : 2);
}

/* The value refers to its key; two keys to each other by way of their values. */
static void make_ephemerons(ouro_key_map *m, struct keyed *k[2])
{
	for (int i = 0; i < 2; i++) {
		struct node *n OURO_AUTO = make_of(&counted_type, i);

		ouro_slot_store(&n->left, k[i]);
		ouro_slot_store(&n->right, k[1 - i]);
		if (ouro_key_map_put(m, k[i], n) != 0)
			abort();
	}
}

static void collect_ephemerons(enum how how)
{
	ouro_key_map *m = key_map_make();
	struct keyed *k[2] = { key_make(1), key_make(2) };

	counters_clear();
	make_ephemerons(m, k);
	collect_by(how);
	assert_int_equal(n_destroyed, 0);
	ouro_release(k[0]);
	collect_by(how);
	assert_int_equal(n_destroyed, 0);
	assert_int_equal(value_id(m, k[1]), 1);
	ouro_release(k[1]);
	for (int i = 0; i < 4; i++)
		collect_by(how);
	if (how == BY_YOUNG)
		ouro_gc_collect(2); /* they may have become old */
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, 4);
	assert_int_equal(ouro_key_map_size(m), 0);
	ouro_release(m);
}

static void key_map_ephemerons_are_collected(void **state)
{
	(void)state;
	collect_ephemerons(BY_FULL);
	collect_ephemerons(BY_YOUNG);
}

/* Without a call for a collection: by the thread itself, or the library's. */
static void key_map_ephemerons_are_collected_by_themselves(void **state)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT;
	size_t pairs = 0;

	(void)state;
	heap_start(&cfg);
	counters_clear();
	ouro_key_map *m = key_map_make();
	for (; pairs < (size_t)LOAD(20000) || (n_destroyed == 0 && pairs < 1000000); pairs++) {
		struct keyed *k[2] = { key_make(1), key_make(2) };

		make_ephemerons(m, k);
		ouro_release(k[0]);
		ouro_release(k[1]);
	}
	assert_true(n_destroyed > 0);
	ouro_gc_collect(2);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, 4 * pairs);
	assert_int_equal(ouro_key_map_size(m), 0);
	ouro_release(m);
}

static void key_map_value_that_refers_to_the_map_ends_with_the_key(void **state)
{
	ouro_key_map *m = key_map_make();
	struct keyed *k = key_make(1);
	struct node *n = make_of(&counted_type, 1);

	(void)state;
	counters_clear();
	ouro_slot_store(&n->left, m);
	assert_int_equal(ouro_key_map_put(m, k, n), 0);
	ouro_release(n);
	ouro_release(m);
	ouro_gc_collect(2);
	assert_int_equal(n_destroyed, 0);
	ouro_release(k);
	ouro_gc_collect(2);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, 2);
	assert_int_equal(objects_live(), 0);
}

/* ---- all of them ---- */

static bool see_entry(void *key, void *value, void *arg)
{
	int *sum = arg;

	if (((struct keyed *)key)->id != ((struct node *)value)->id)
		abort();
	*sum += ((struct keyed *)key)->id;
	return *sum < 100;
}

static void key_map_each_meets_keys_that_live(void **state)
{
	ouro_key_map *m = key_map_make();
	struct keyed *k[10];
	int sum = 0;

	(void)state;
	for (int i = 0; i < 10; i++) {
		k[i] = key_make(i);
		put_value(m, k[i], i);
	}
	ouro_release(k[3]);
	assert_true(ouro_key_map_each(m, see_entry, &sum));
	assert_int_equal(sum, 42);
	sum = 100;
	assert_false(ouro_key_map_each(m, see_entry, &sum));
	for (int i = 0; i < 10; i++)
		if (i != 3)
			ouro_release(k[i]);
	ouro_release(m);
}

/* ---- several threads ---- */

enum { THREADS = 4, SHARED_KEYS = 4, ROUNDS = LOAD(20000) };

static ouro_key_map *shared_map;
static struct keyed *shared_key[SHARED_KEYS];
static atomic_int n_wrong, n_put, n_removed;

/* A key that is put only where it is absent is there as often as it was put, less than removed. */
static void step_on_keys(unsigned r)
{
	unsigned which = r % SHARED_KEYS;
	struct keyed *k = shared_key[which];
	struct node *n OURO_AUTO = make_of(&counted_type, (int)which);
	int id;

	switch (r >> 8 & 3) {
	case 0:
		atomic_fetch_add(&n_put, ouro_key_map_put_if_absent(shared_map, k, n) == 0);
		break;
	case 1:
		atomic_fetch_add(&n_removed, ouro_key_map_remove(shared_map, k));
		break;
	default:
		id = value_id(shared_map, k);
		atomic_fetch_add(&n_wrong, id != -1 && id != (int)which);
	}
}

static void *work_on_keys(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct keyed *own = key_make(1);

		put_value(shared_map, own, i);
		step_on_keys((unsigned)rand_r(&seed));
		atomic_fetch_add(&n_wrong, value_id(shared_map, own) != i);
		ouro_release(own);
	}
	return NULL;
}

static void key_map_of_many_threads_loses_nothing(void **state)
{
	pthread_t t[THREADS];

	(void)state;
	counters_clear();
	n_wrong = n_put = n_removed = 0;
	shared_map = key_map_make();
	for (int i = 0; i < SHARED_KEYS; i++)
		shared_key[i] = key_make(i);
	for (uintptr_t i = 0; i < THREADS; i++)
		t[i] = thread_start(work_on_keys, (void *)(i + 1));
	for (int i = 0; i < 5; i++)
		ouro_gc_collect(2);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(n_wrong, 0);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(ouro_key_map_size(shared_map), n_put - n_removed);
	for (int i = 0; i < SHARED_KEYS; i++)
		ouro_slot_store(&shared_key[i], NULL);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(ouro_key_map_size(shared_map), 0);
	/* Values, and keys: each thread's own, and those of all. */
	assert_int_equal(n_destroyed, THREADS * ROUNDS * 3 + SHARED_KEYS);
	ouro_slot_store(&shared_map, NULL);
}

/* ---- steps in chosen orders ---- */

#if OURO_CHECKED
static const char *at_point;
static struct keyed *stage_key;
static _Thread_local bool acts;

/* The same key is put, or removed, by another just now. */
static void cross(const char *point)
{
	if (!acts || strcmp(point, at_point) != 0)
		return;
	acts = false;
	if (strcmp(point, "key map: made") == 0)
		put_value(shared_map, stage_key, 7);
	else if (!ouro_key_map_remove(shared_map, stage_key))
		abort();
}

static void cross_at(const char *point)
{
	at_point = point;
	acts = true;
}
#endif

static void key_map_steps_that_cross_lose_nothing(void **state)
{
	(void)state;
#if OURO_CHECKED
	struct node *n = make(1);

	shared_map = key_map_make();
	stage_key = key_make(1);
	oi_point_hook = cross;
	cross_at("key map: made");
	assert_int_equal(ouro_key_map_put_if_absent(shared_map, stage_key, n), EEXIST);
	assert_int_equal(value_id(shared_map, stage_key), 7);
	assert_int_equal(ouro_key_map_size(shared_map), 1);
	/* The value goes while it is replaced: what is put is put anew, and counted. */
	cross_at("key map: sets");
	put_value(shared_map, stage_key, 8);
	assert_int_equal(value_id(shared_map, stage_key), 8);
	assert_int_equal(ouro_key_map_size(shared_map), 1);
	assert_true(ouro_key_map_remove(shared_map, stage_key));
	cross_at("key map: made");
	put_value(shared_map, stage_key, 9);
	assert_int_equal(value_id(shared_map, stage_key), 9);
	assert_int_equal(ouro_key_map_size(shared_map), 1);
	oi_point_hook = NULL;
	ouro_release(n);
	ouro_slot_store(&stage_key, NULL);
	ouro_slot_store(&shared_map, NULL);
#else
	skip();
#endif
}

/* ---- memory, forks, misuse ---- */

static void key_map_without_memory_is_as_it_was(void **state)
{
	ouro_config cfg = test_config();
	int error;

	(void)state;
	cfg.heap_limit = (SANITIZED ? 4u : 8u) << 20; /* at the limit each try collects */
	heap_start(&cfg);
	ouro_key_map *m = key_map_make();
	struct node *n = make(1), *other = make(2);
	struct keyed *first = NULL;
	size_t made = 0;
	for (;;) {
		struct keyed *k = ouro_new(&keyed_type);

		error = k != NULL ? ouro_key_map_put(m, k, n) : ENOMEM;
		if (error != 0) {
			assert_true(k == NULL || ouro_key_map_get(m, k) == NULL);
			ouro_release(k);
			break;
		}
		made++;
		k->link = (void *)first; /* a list, so that they stay */
		first = k;
	}
	assert_int_equal(error, ENOMEM);
	assert_true(made > 1000);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(ouro_key_map_size(m), made);
	assert_int_equal(ouro_key_map_put(m, first, other), 0);
	assert_int_equal(value_id(m, first), 2);
	assert_int_equal(value_id(m, (struct keyed *)(void *)first->link), 1);
	assert_int_equal(ouro_refcount(n), made);
	ouro_release(first);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(ouro_key_map_size(m), 0);
	ouro_release(n);
	ouro_release(other);
	ouro_release(m);
}

static int use_in_child(void *arg)
{
	ouro_key_map *m = arg;
	struct keyed *k = key_make(1);

	put_value(m, k, 4);
	REQUIRE(value_id(m, k) == 4);
	REQUIRE(ouro_key_map_size(m) == 2);
	ouro_release(k);
	REQUIRE(EVENTUALLY(ouro_key_map_size(m) == 1));
	return 0;
}

static void key_map_goes_on_in_the_child_of_a_fork(void **state)
{
	ouro_key_map *m = key_map_make();
	struct keyed *k = key_make(1);

	(void)state;
	put_value(m, k, 3);
	child_run(use_in_child, m);
	assert_int_equal(value_id(m, k), 3);
	ouro_release(k);
	ouro_release(m);
}

/* ---- keys that are brought back ---- */

static struct keyed *brought_back; /* a slot */

static ouro_key_map *put_while_dying;

static void bring_back(void *obj)
{
	ouro_slot_store(&brought_back, obj);
	put_value(put_while_dying, obj, 7);
}

static const ouro_type lazarus_type = {
	.name = "lazarus", .size = sizeof(struct keyed), .flags = OURO_KEY,
	.slots = OURO_SLOTS(struct keyed, ouro_values, link), .finalize = bring_back,
	.destroy = counted_destroy,
};

/* In a cycle what is between the key and its value is found dead with it, too. */
static void bring_key_back(ouro_key_map *m, bool in_cycle)
{
	struct keyed *k = ouro_new(&lazarus_type);

	assert_non_null(k);
	put_value(m, k, 1);
	put_while_dying = m;
	if (in_cycle)
		ouro_slot_store(&k->link, k);
	ouro_release(k);
	ouro_gc_collect(2);
	assert_int_equal(ouro_flush(), 0);
	assert_non_null(brought_back);
	if (in_cycle)
		ouro_slot_store(&brought_back->link, NULL);
}

static bool no_key(void *key, void *value, void *arg)
{
	(void)key, (void)value, (void)arg;
	return false;
}

static void key_map_entry_is_gone_of_a_key_that_comes_back(void **state)
{
	(void)state;
	for (int in_cycle = 0; in_cycle < 2; in_cycle++) {
		ouro_key_map *m = key_map_make();

		counters_clear();
		bring_key_back(m, in_cycle);
		assert_int_equal(n_destroyed, 1);
		assert_int_equal(value_id(m, brought_back), -1);
		assert_false(ouro_key_map_remove(m, brought_back));
		assert_true(ouro_key_map_each(m, no_key, NULL));
		put_value(m, brought_back, 2);
		assert_int_equal(n_destroyed, 2);
		assert_int_equal(value_id(m, brought_back), 2);
		assert_int_equal(ouro_key_map_size(m), 1);
		assert_false(ouro_key_map_each(m, no_key, NULL));
		ouro_key_map_clear(m);
		assert_int_equal(value_id(m, brought_back), -1);
		assert_int_equal(ouro_key_map_size(m), 0);
		assert_int_equal(n_destroyed, 3);
		ouro_slot_store(&brought_back, NULL);
		assert_int_equal(ouro_flush(), 0);
		assert_int_equal(n_destroyed, 4);
		ouro_release(m);
	}
}

/* ---- a map that is brought back ---- */

static struct node *risen; /* a slot */

static void rise(void *obj)
{
	ouro_slot_store(&risen, obj);
}

static const ouro_type rising_type = {
	.name = "rising", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = rise,
};

/* Weak references to what it is made of have expired by then. */
static void key_map_that_comes_back_forgets_keys_that_die(void **state)
{
	ouro_key_map *m = key_map_make();
	struct node *n = make_of(&rising_type, 0);
	struct keyed *k[2] = { key_make(0), key_make(1) };

	(void)state;
	counters_clear();
	put_value(m, k[0], 1);
	put_value(m, k[1], 2);
	ouro_slot_store(&n->left, n);
	ouro_slot_store(&n->right, m);
	ouro_release(n);
	ouro_release(m);
	ouro_gc_collect(2);
	assert_ptr_equal(risen, n);
	assert_int_equal(value_id(m, k[0]), 1);
	ouro_release(k[0]);
	assert_int_equal(ouro_flush(), 0);
	assert_false(ouro_key_map_each(m, no_key, NULL));
	assert_int_equal(ouro_key_map_size(m), 1);
	ouro_slot_store(&n->left, NULL);
	ouro_slot_store(&risen, NULL);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, 3); /* two values and a key */
	ouro_release(k[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(key_map_finds_what_was_put),
		HEAP_CASE(key_map_refuses_what_is_no_key),
		HEAP_CASE(key_map_value_dies_with_the_key),
		HEAP_CASE(key_map_values_die_with_the_map),
		HEAP_CASE(key_map_ephemerons_are_collected),
		BARE_CASE(key_map_ephemerons_are_collected_by_themselves),
		HEAP_CASE(key_map_value_that_refers_to_the_map_ends_with_the_key),
		HEAP_CASE(key_map_each_meets_keys_that_live),
		HEAP_CASE(key_map_of_many_threads_loses_nothing),
		HEAP_CASE(key_map_steps_that_cross_lose_nothing),
		BARE_CASE(key_map_without_memory_is_as_it_was),
		HEAP_CASE(key_map_entry_is_gone_of_a_key_that_comes_back),
		HEAP_CASE(key_map_that_comes_back_forgets_keys_that_die),
		HEAP_CASE(key_map_goes_on_in_the_child_of_a_fork),
	};

	return cmocka_run_group_tests_name("key_map", tests, NULL, NULL);
}
