/*
 * Goal: a map holds exactly what was put and not taken, for every thread, and ends like any other
 * object.
 * Method: numbers and bytes as keys; threads that put and take the same keys; cycles through the
 * map; memory that is refused.
 * A failure would mean: a key is lost or found twice, or a value leaks or dies too early.
 */
#include "base/perturb.h"
#include "contain/siphash.h"
#include "maps.h"

#define KEYS ((uint64_t)LOAD(20000))

static ouro_map *map_make(void)
{
	ouro_map *m = ouro_map_new();

	if (m == NULL)
		abort();
	return m;
}

static int id_of(ouro_map *m, uint64_t key)
{
	struct node *n OURO_AUTO = ouro_map_get_int(m, key);

	return n != NULL ? n->id : -1;
}

static void siphash_is_that_of_the_paper(void **state)
{
	static const uint64_t expected[] = { 0xabac0158050fc4dc, 0xc9f49bf37d57ca93,
					     0x82cb9b024dc7d44d };
	const struct oi_seed seed = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	uint64_t number = 0x0706050403020100;
	char bytes[20];

	(void)state;
	for (int i = 0; i < 20; i++)
		bytes[i] = (char)i;
	for (size_t n = 0; n < 3; n++)
		assert_true(oi_siphash(&seed, bytes, n) == expected[n]);
	assert_true(oi_siphash_number(&seed, number) == oi_siphash(&seed, bytes, 8));
	assert_true(oi_siphash(&seed, bytes, 19) != oi_siphash(&seed, bytes, 20));
}

static void map_get_returns_what_was_put(void **state)
{
	ouro_map *m = map_make();
	struct node *a = make(1), *b = make(2);

	(void)state;
	assert_int_equal(ouro_map_put_int(m, 3, a), 0);
	assert_int_equal(ouro_map_put(m, "key", 3, b), 0);
	assert_int_equal(ouro_refcount(a), 2);
	assert_int_equal(id_of(m, 3), 1);
	struct node *found = ouro_map_get(m, "key", 3);
	assert_ptr_equal(found, b);
	assert_null(ouro_map_get(m, "ke", 2));
	assert_null(ouro_map_get(m, "kez", 3));
	assert_null(ouro_map_get_int(m, 4));
	ouro_release(found);
	ouro_release(a);
	ouro_release(b);
	ouro_release(m);
}

static void map_number_is_not_its_bytes(void **state)
{
	ouro_map *m = map_make();
	struct node *a = make(1), *b = make(2), *c = make(3);
	uint64_t zero = 0;

	(void)state;
	assert_int_equal(ouro_map_put_int(m, 0, a), 0);
	assert_int_equal(ouro_map_put(m, &zero, sizeof(zero), b), 0);
	assert_int_equal(ouro_map_put(m, NULL, 0, c), 0);
	assert_int_equal(ouro_map_size(m), 3);
	assert_int_equal(id_of(m, 0), 1);
	assert_true(ouro_map_remove(m, "", 0));
	assert_false(ouro_map_remove(m, NULL, 0));
	assert_int_equal(id_of(m, 0), 1);
	ouro_release(a);
	ouro_release(b);
	ouro_release(c);
	ouro_release(m);
}

static void map_refuses_null(void **state)
{
	ouro_map *m = map_make();
	struct node *n = make(1);

	(void)state;
	assert_int_equal(ouro_map_put_int(NULL, 1, n), EINVAL);
	assert_int_equal(ouro_map_put_int(m, 1, NULL), EINVAL);
	assert_int_equal(ouro_map_put(m, NULL, 1, n), EINVAL);
	assert_int_equal(ouro_map_replace_int(m, 1, NULL, NULL), EINVAL);
	assert_null(ouro_map_get_int(NULL, 1));
	assert_null(ouro_map_take(m, NULL, 1));
	assert_int_equal(ouro_map_size(NULL), 0);
	ouro_map_clear(NULL);
	assert_true(ouro_map_each(NULL, NULL, NULL));
	ouro_release(n);
	ouro_release(m);
}

static void map_put_releases_what_was_there(void **state)
{
	ouro_map *m = map_make();

	(void)state;
	counters_clear();
	put_new(m, 1);
	put_new(m, 1);
	assert_int_equal(n_destroyed, 1);
	assert_int_equal(ouro_map_size(m), 1);
	ouro_release(m);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, 2);
}

static void map_puts_only_if_absent_or_as_expected(void **state)
{
	ouro_map *m = map_make();
	struct node *a = make(1), *b = make(2);

	(void)state;
	assert_int_equal(ouro_map_replace(m, "k", 1, NULL, a), ENOENT);
	assert_int_equal(ouro_map_put_if_absent(m, "k", 1, a), 0);
	assert_int_equal(ouro_map_put_if_absent(m, "k", 1, b), EEXIST);
	assert_int_equal(ouro_map_replace(m, "k", 1, b, b), ENOENT);
	assert_int_equal(ouro_map_replace(m, "k", 1, a, b), 0);
	assert_int_equal(ouro_map_replace(m, "k", 1, NULL, a), 0);
	assert_int_equal(ouro_refcount(b), 1);
	assert_int_equal(ouro_refcount(a), 2);
	ouro_release(a);
	ouro_release(b);
	ouro_release(m);
}

static void map_take_moves_the_reference(void **state)
{
	ouro_map *m = map_make();

	(void)state;
	counters_clear();
	put_new(m, 7);
	struct node *n = ouro_map_take_int(m, 7);
	assert_non_null(n);
	assert_int_equal(ouro_refcount(n), 1);
	assert_null(ouro_map_take_int(m, 7));
	assert_int_equal(ouro_map_size(m), 0);
	assert_int_equal(n_destroyed, 0);
	ouro_release(n);
	assert_int_equal(n_destroyed, 1);
	ouro_release(m);
}

static void map_grows(void **state)
{
	ouro_map *m = map_make();

	(void)state;
	counters_clear();
	for (uint64_t i = 0; i < KEYS; i++)
		put_new(m, i);
	assert_int_equal(ouro_map_size(m), KEYS);
	for (uint64_t i = 0; i < KEYS; i++)
		assert_int_equal(id_of(m, i), i);
	for (uint64_t i = 0; i < KEYS; i += 2)
		assert_true(ouro_map_remove_int(m, i));
	for (uint64_t i = 0; i < KEYS; i++)
		assert_int_equal(id_of(m, i), i % 2 ? (int)i : -1);
	assert_int_equal(n_destroyed, KEYS / 2);
	ouro_map_clear(m);
	assert_int_equal(ouro_map_size(m), 0);
	assert_int_equal(n_destroyed, KEYS);
	put_new(m, 5);
	assert_int_equal(id_of(m, 5), 5);
	ouro_release(m);
}

/* Keys that come and go leave room for others. */
static void map_uses_places_again(void **state)
{
	ouro_map *m = map_make();
	uint64_t before = 0;

	(void)state;
	for (uint64_t i = 0; i < KEYS; i++) {
		put_new(m, i);
		assert_true(i < 100 || ouro_map_remove_int(m, i - 100));
		if (i == KEYS / 2)
			before = objects_live();
	}
	assert_true(objects_live() <= before + 50);
	ouro_release(m);
}

struct seen {
	ouro_map *map;
	uint64_t n, sum;
	bool changes;
};

static bool see(const ouro_map_item *item, void *arg)
{
	struct seen *s = arg;
	struct node *n = item->value;

	s->n++;
	s->sum += item->bytes == NULL ? item->number : item->size;
	if (item->bytes == NULL && n->id != (int)item->number)
		abort();
	if (s->changes && !ouro_map_remove_int(s->map, item->number))
		abort();
	if (s->changes)
		put_new(s->map, item->number + KEYS);
	return s->n < 2 * KEYS + 10;
}

static void map_each_meets_each_key_once(void **state)
{
	ouro_map *m = map_make();
	struct node *n = make(0);
	struct seen s = { .map = m };

	(void)state;
	for (uint64_t i = 0; i < KEYS; i++)
		put_new(m, i);
	assert_int_equal(ouro_map_put(m, "seventeen letters", 17, n), 0);
	assert_true(ouro_map_each(m, see, &s));
	assert_int_equal(s.n, KEYS + 1);
	assert_true(s.sum == KEYS * (KEYS - 1) / 2 + 17);
	ouro_release(n);
	ouro_release(m);
}

static void map_each_may_change_the_map(void **state)
{
	ouro_map *m = map_make();
	struct seen s = { .map = m, .changes = true };

	(void)state;
	for (uint64_t i = 0; i < KEYS; i++)
		put_new(m, i);
	ouro_map_each(m, see, &s);
	assert_true(s.n >= KEYS);
	assert_int_equal(ouro_map_size(m), KEYS);
	ouro_release(m);
}

static bool stop_at_once(const ouro_map_item *item, void *arg)
{
	(void)item;
	++*(int *)arg;
	return false;
}

static void map_each_ends_when_told(void **state)
{
	ouro_map *m = map_make();
	int n = 0;

	(void)state;
	put_new(m, 1);
	put_new(m, 2);
	assert_false(ouro_map_each(m, stop_at_once, &n));
	assert_int_equal(n, 1);
	ouro_release(m);
}

static void map_releases_its_values_as_it_dies(void **state)
{
	ouro_map *m = map_make();

	(void)state;
	counters_clear();
	for (uint64_t i = 0; i < KEYS; i++)
		put_new(m, i);
	ouro_release(m);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, KEYS);
}

/* A value that refers to the map: left is a slot of any type. */
static struct node *holder_in(ouro_map *m, const ouro_type *type, uint64_t key)
{
	struct node *n = make_of(type, (int)key);

	ouro_slot_store(&n->left, m);
	if (ouro_map_put_int(m, key, n) != 0)
		abort();
	return n;
}

static void map_in_a_cycle_is_collected(void **state)
{
	ouro_map *m = map_make();

	(void)state;
	counters_clear();
	for (uint64_t i = 0; i < 100; i++)
		ouro_release(holder_in(m, &counted_type, i));
	ouro_release(m);
	assert_int_equal(n_destroyed, 0);
	assert_true(ouro_gc_collect(2) > 100);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, 100);
	assert_int_equal(objects_live(), 0);
}

static void map_held_from_outside_keeps_its_cycle(void **state)
{
	ouro_map *m = map_make();

	(void)state;
	counters_clear();
	ouro_release(holder_in(m, &counted_type, 1));
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(id_of(m, 1), 1);
	ouro_release(m);
	ouro_gc_collect(2);
	assert_int_equal(n_destroyed, 1);
}

static void map_brought_back_is_whole(void **state)
{
	ouro_map *m = map_make();

	(void)state;
	for (uint64_t i = 0; i < 50; i++)
		put_new(m, i);
	ouro_release(holder_in(m, &rising_type, 50));
	ouro_release(m);
	ouro_gc_collect(2);
	assert_non_null(risen);
	assert_int_equal(ouro_map_size(risen), 51);
	for (int i = 0; i <= 50; i++)
		assert_int_equal(id_of(risen, (uint64_t)i), i);
	put_new(risen, 99);
	assert_true(ouro_map_remove_int(risen, 3));
	assert_int_equal(id_of(risen, 99), 99);
	ouro_slot_store(&risen, NULL);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

static void map_held_at_shutdown_ends(void **state)
{
	ouro_map *m = map_make();

	(void)state;
	counters_clear();
	for (uint64_t i = 0; i < 100; i++)
		put_new(m, i);
	assert_true(heap_stop().objects > 100);
	assert_int_equal(n_destroyed, 100);
}

/* Returns the number of keys that went in, from @key on, before there was no memory. */
static uint64_t put_until_full(ouro_map *m, uint64_t key, struct node *n)
{
	uint64_t made = 0;
	int error;

	while ((error = ouro_map_put_int(m, key + made, n)) == 0)
		made++;
	assert_int_equal(error, ENOMEM);
	assert_null(ouro_map_get_int(m, key + made));
	return made;
}

static void map_without_memory_is_as_it_was(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	cfg.heap_limit = (SANITIZED ? 4u : 8u) << 20; /* at the limit each try collects */
	heap_start(&cfg);
	ouro_map *m = map_make();
	struct node *n = make(1), *other = make(2);
	uint64_t made = put_until_full(m, 0, n);
	assert_true(made > 1000);
	assert_int_equal(ouro_map_size(m), made);
	assert_int_equal(ouro_refcount(n), made + 1);
	assert_int_equal(ouro_map_put_int(m, 0, other), 0);
	for (uint64_t i = 0; i < made; i++)
		assert_int_equal(id_of(m, i), i == 0 ? 2 : 1);
	for (uint64_t i = 0; i < made; i += 2)
		assert_true(ouro_map_remove_int(m, i));
	assert_int_equal(ouro_flush(), 0);
	assert_true(put_until_full(m, made, n) > made / 8);
	for (uint64_t i = 1; i < made; i += 2)
		assert_int_equal(id_of(m, i), 1);
	ouro_release(n);
	ouro_release(other);
	ouro_release(m);
}

/* ---- several threads ---- */

enum { THREADS = 4, SHARED_KEYS = 64 };

struct worker {
	ouro_map *map;
	unsigned seed;
	uint64_t made, wrong;
};

static void one_step(struct worker *w)
{
	uint64_t r = (uint64_t)rand_r(&w->seed), key = r % SHARED_KEYS;
	struct node *n OURO_AUTO = NULL;

	if (r >> 8 & 1)
		n = ouro_map_take_int(w->map, key);
	else if (r >> 9 & 1)
		n = ouro_map_get_int(w->map, key);
	if (n != NULL || (r >> 8 & 1)) {
		w->wrong += n != NULL && n->id != (int)key;
		return;
	}
	n = make_of(&counted_type, (int)key);
	w->made++;
	int error = r >> 10 & 1 ? ouro_map_put_int(w->map, key, n) :
				  ouro_map_put_if_absent_int(w->map, key, n);
	w->wrong += error != 0 && error != EEXIST;
}

static void *work_on_map(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < LOAD(100000); i++)
		one_step(w);
	return NULL;
}

static bool count_one(const ouro_map_item *item, void *arg)
{
	(void)item;
	++*(uint64_t *)arg;
	return true;
}

static void map_of_many_threads_loses_nothing(void **state)
{
	struct worker w[THREADS] = { { NULL, 0, 0, 0 } };
	pthread_t t[THREADS];
	ouro_map *m = map_make();
	uint64_t made = 0, met = 0;

	(void)state;
	counters_clear();
	for (unsigned i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ m, i + 1, 0, 0 };
		t[i] = thread_start(work_on_map, &w[i]);
	}
	for (int i = 0; i < 5; i++)
		ouro_gc_collect(2);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(w[i].wrong, 0);
		made += w[i].made;
	}
	assert_int_equal(ouro_flush(), 0);
	ouro_map_each(m, count_one, &met);
	assert_int_equal(ouro_map_size(m), met);
	assert_int_equal(n_destroyed, made - met);
	ouro_release(m);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, made);
}

static void *add_own_keys(void *arg)
{
	struct worker *w = arg;

	for (uint64_t i = 0; i < KEYS; i++) {
		put_new(w->map, i * THREADS + w->seed);
		w->wrong += id_of(w->map, i * THREADS + w->seed) < 0;
	}
	return NULL;
}

static void map_grows_under_many_threads(void **state)
{
	struct worker w[THREADS] = { { NULL, 0, 0, 0 } };
	pthread_t t[THREADS];
	ouro_map *m = map_make();

	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ m, i, 0, 0 };
		t[i] = thread_start(add_own_keys, &w[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(w[i].wrong, 0);
	}
	assert_int_equal(ouro_map_size(m), THREADS * KEYS);
	for (uint64_t i = 0; i < THREADS * KEYS; i++)
		assert_int_equal(id_of(m, i), i);
	ouro_release(m);
}

static atomic_size_t n_taken;

static void *take_all(void *arg)
{
	for (uint64_t i = 0; i < KEYS; i++)
		if (ouro_map_remove_int(arg, i))
			atomic_fetch_add(&n_taken, 1);
	return NULL;
}

static void map_key_is_taken_once(void **state)
{
	pthread_t t[THREADS];
	ouro_map *m = map_make();

	(void)state;
	atomic_store(&n_taken, 0);
	counters_clear();
	for (uint64_t i = 0; i < KEYS; i++)
		put_new(m, i);
	for (unsigned i = 0; i < THREADS; i++)
		t[i] = thread_start(take_all, m);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(n_taken, KEYS);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, KEYS);
	assert_int_equal(ouro_map_size(m), 0);
	ouro_release(m);
}

/* ---- steps in chosen orders ---- */

#if OURO_CHECKED
static ouro_map *stage;
static _Thread_local bool acts;

/* The key goes just before a new entry of it would be linked; and another thread's comes. */
static void cross(const char *point)
{
	if (!acts || strcmp(point, "map: made") != 0)
		return;
	acts = false;
	put_new(stage, 1);
}
#endif

static void map_entries_of_one_key_never_meet(void **state)
{
	(void)state;
#if OURO_CHECKED
	struct node *n = make(2);

	stage = map_make();
	oi_point_hook = cross;
	acts = true;
	assert_int_equal(ouro_map_put_if_absent_int(stage, 1, n), EEXIST);
	assert_int_equal(ouro_map_size(stage), 1);
	assert_true(ouro_map_remove_int(stage, 1));
	acts = true;
	assert_int_equal(ouro_map_put_int(stage, 1, n), 0);
	oi_point_hook = NULL;
	assert_int_equal(ouro_map_size(stage), 1);
	assert_int_equal(id_of(stage, 1), 2);
	assert_int_equal(ouro_refcount(n), 2);
	ouro_release(n);
	ouro_release(stage);
#else
	skip();
#endif
}

#if OURO_CHECKED
/* The key is gone, and its entry still in the table. */
static void put_meanwhile(const char *point)
{
	if (!acts || strcmp(point, "map: emptied") != 0)
		return;
	acts = false;
	put_new(stage, 1);
}
#endif

/* Who puts waits for nobody who may have stopped half way. */
static void map_put_does_not_wait_for_a_remover(void **state)
{
	(void)state;
#if OURO_CHECKED
	stage = map_make();
	put_new(stage, 1);
	oi_point_hook = put_meanwhile;
	acts = true;
	assert_true(ouro_map_remove_int(stage, 1));
	oi_point_hook = NULL;
	assert_false(acts);
	assert_int_equal(ouro_map_size(stage), 1);
	assert_int_equal(id_of(stage, 1), 1);
	ouro_release(stage);
#else
	skip();
#endif
}

static int use_in_child(void *arg)
{
	ouro_map *m = arg;

	for (uint64_t i = 0; i < 1000; i++)
		put_new(m, i);
	REQUIRE(ouro_map_size(m) == 1000);
	REQUIRE(ouro_map_remove_int(m, 17));
	REQUIRE(id_of(m, 18) == 18);
	return 0;
}

static void map_goes_on_in_the_child_of_a_fork(void **state)
{
	ouro_map *m = map_make();

	(void)state;
	for (uint64_t i = 0; i < 20; i++)
		put_new(m, i);
	child_run(use_in_child, m);
	assert_int_equal(ouro_map_size(m), 20);
	ouro_release(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_is_that_of_the_paper),
		HEAP_CASE(map_get_returns_what_was_put),
		HEAP_CASE(map_number_is_not_its_bytes),
		HEAP_CASE(map_refuses_null),
		HEAP_CASE(map_put_releases_what_was_there),
		HEAP_CASE(map_puts_only_if_absent_or_as_expected),
		HEAP_CASE(map_take_moves_the_reference),
		HEAP_CASE(map_grows),
		HEAP_CASE(map_uses_places_again),
		HEAP_CASE(map_each_meets_each_key_once),
		HEAP_CASE(map_each_may_change_the_map),
		HEAP_CASE(map_each_ends_when_told),
		HEAP_CASE(map_releases_its_values_as_it_dies),
		HEAP_CASE(map_in_a_cycle_is_collected),
		HEAP_CASE(map_held_from_outside_keeps_its_cycle),
		HEAP_CASE(map_brought_back_is_whole),
		HEAP_CASE(map_held_at_shutdown_ends),
		BARE_CASE(map_without_memory_is_as_it_was),
		HEAP_CASE(map_of_many_threads_loses_nothing),
		HEAP_CASE(map_grows_under_many_threads),
		HEAP_CASE(map_key_is_taken_once),
		HEAP_CASE(map_entries_of_one_key_never_meet),
		HEAP_CASE(map_put_does_not_wait_for_a_remover),
		HEAP_CASE(map_goes_on_in_the_child_of_a_fork),
	};

	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
