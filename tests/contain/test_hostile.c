/*
 * Goal: what a client of a server can cause with maps, keys and weak references stays within
 * bounds.
 * Method: keys chosen for a seed that is known, and for one that is not; maps in maps on small
 * stacks; keys until there is no memory; a million weak cells of one object.
 * A failure would mean: somebody who chooses what a server stores can stop it.
 */
#include "contain/layout.h"
#include "fixture.h"

enum { KEYS = 1000, SAME = 2048 /* the hashes of chosen keys are equal in so many of their low bits */ };

static ouro_map *map_make(void)
{
	ouro_map *m = ouro_map_new();

	if (m == NULL)
		abort();
	return m;
}

/* ---- keys that collide ---- */

static const struct oi_seed stolen = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

static void choose_keys(uint64_t keys[KEYS])
{
	uint64_t key = 0;

	for (int n = 0; n < KEYS; key++)
		if (oi_siphash_number(&stolen, key) % SAME == 0)
			keys[n++] = key;
}

static void put_keys(ouro_map *m, const uint64_t keys[KEYS])
{
	struct node *n OURO_AUTO = make(1);

	for (int i = 0; i < KEYS; i++)
		assert_int_equal(ouro_map_put_int(m, keys[i], n), 0);
}

/* How many keys does the fullest bucket have? */
static unsigned fullest_bucket(ouro_map *m)
{
	unsigned in_bucket[SAME] = { 0 }, most = 0, n = 0;

	for (uint64_t i = 0; i < m->places.n; i++) {
		struct oi_map_entry *e OURO_AUTO = oi_map_entry_at(m, i);

		if (e == NULL)
			continue;
		uint64_t hash = oi_siphash_number(&m->seed, e->number);
		assert_true(e->node.order == oi_split_order(hash)); /* the table goes by that */
		unsigned *bucket = &in_bucket[hash % m->split.n_buckets];
		++*bucket;
		most = *bucket > most ? *bucket : most;
		n++;
	}
	assert_int_equal(n, KEYS);
	return most;
}

static void hostile_keys_collide_only_where_the_seed_is_known(void **state)
{
	static uint64_t keys[KEYS];
	ouro_map *known = map_make(), *m = map_make(), *other = map_make();

	(void)state;
	choose_keys(keys);
	assert_memory_not_equal(&m->seed, &other->seed, sizeof(m->seed));
	known->seed = stolen;
	put_keys(known, keys);
	assert_true(known->split.n_buckets <= SAME);
	assert_int_equal(fullest_bucket(known), KEYS);
	put_keys(m, keys);
	assert_true(m->split.n_buckets >= KEYS / 4);
	assert_true(fullest_bucket(m) <= 32); /* more: once in 10^15 processes */
	ouro_release(known);
	ouro_release(m);
	ouro_release(other);
}

/* ---- deep structures ---- */

#define NESTED LOAD(20000)

/* Returns the outermost of @n maps, each in the one before; the innermost in *@inner. */
static ouro_map *nest(int n, ouro_map **inner)
{
	ouro_map *outer = map_make();

	*inner = outer;
	for (int i = 1; i < n; i++) {
		ouro_map *next OURO_AUTO = map_make();

		if (ouro_map_put(*inner, "in", 2, next) != 0)
			abort();
		*inner = next;
	}
	return outer;
}

static void *drop_nest(void *arg)
{
	ouro_map *inner;

	ouro_release(nest(NESTED, &inner));
	return arg;
}

static void *drop_ring(void *arg)
{
	ouro_map *inner, *outer = nest(NESTED, &inner);

	if (ouro_map_put(inner, "in", 2, outer) != 0)
		abort();
	ouro_release(outer);
	*(bool *)arg = ouro_gc_collect(2) >= NESTED;
	return NULL;
}

static void hostile_nest_of_maps_needs_little_stack(void **state)
{
	bool found = false;

	(void)state;
	thread_run_on_small_stack(drop_nest, NULL);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
	thread_run_on_small_stack(drop_ring, &found);
	assert_true(found);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

/* ---- memory ---- */

static void hostile_long_keys_end_with_the_memory(void **state)
{
	enum { LONG = 100000 };
	ouro_config cfg = test_config();
	char *key = calloc(1, LONG);
	unsigned n = 0;
	int error;

	(void)state;
	cfg.heap_limit = 16u << 20;
	heap_start(&cfg);
	ouro_map *m = map_make();
	struct node *value = make(1);
	assert_non_null(key);
	do
		memcpy(key, &n, sizeof(n));
	while ((error = ouro_map_put(m, key, LONG, value)) == 0 && ++n < 1000);
	assert_int_equal(error, ENOMEM);
	assert_true(n > 20);
	assert_true(stats().bytes_reserved <= cfg.heap_limit);
	assert_int_equal(ouro_map_size(m), n);
	while (n-- > 0) {
		memcpy(key, &n, sizeof(n));
		assert_true(ouro_map_remove(m, key, LONG));
	}
	assert_int_equal(ouro_refcount(value), 1);
	free(key);
	ouro_release(value);
	ouro_release(m);
}

/* Cells lie in memory of the program's: the library has one entry for all of one object. */
static void hostile_cells_of_one_object_share_an_entry(void **state)
{
	size_t n = LOAD(1000000);
	ouro_weak *cell = calloc(n, sizeof(*cell));
	struct node *target = make(1);

	(void)state;
	assert_non_null(cell);
	assert_int_equal(ouro_weak_store(&cell[0], target), 0);
	uint64_t before = stats().bytes_reserved;
	for (size_t i = 1; i < n; i++)
		assert_int_equal(ouro_weak_store(&cell[i], target), 0);
	assert_int_equal(stats().weak_entries, 1);
	assert_true(stats().bytes_reserved <= before);
	ouro_release(target);
	assert_true(ouro_weak_expired(&cell[n - 1]));
	assert_true(EVENTUALLY(stats().weak_entries == 0));
	free(cell);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(hostile_keys_collide_only_where_the_seed_is_known),
		HEAP_CASE(hostile_nest_of_maps_needs_little_stack),
		BARE_CASE(hostile_long_keys_end_with_the_memory),
		HEAP_CASE(hostile_cells_of_one_object_share_an_entry),
	};

	return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
