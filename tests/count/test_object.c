/*
 * Goal: ouro_new and ouro_new_items give zeroed, aligned memory of every size asked for, or say why
 * not.
 * Method: objects of all size classes, of 1 byte to 100 MB, filled, compared with neighbours, made
 * again.
 * A failure would mean: two objects share memory, or a program reads what another object left
 * behind.
 */
#include "fixture.h"

struct bytes {
	size_t length;
	unsigned char data[];
};

static const ouro_type bytes_type = {
	.name = "bytes", .size = offsetof(struct bytes, data), .item_size = 1, .flags = OURO_ACYCLIC,
};

struct vector {
	long tag;
	struct node *items[];
};

static const ouro_type vector_type = {
	.name = "vector", .size = offsetof(struct vector, items),
	.item_size = sizeof(struct node *), .item_slots = OURO_ITEM_REFS,
};

struct entry {
	int hash;
	struct node *key;
	ouro_weak weak;
	struct node *value;
};

struct table {
	struct node *owner;
	struct entry entries[];
};

static const ouro_type table_type = {
	.name = "table", .size = offsetof(struct table, entries), .slots = OURO_SLOTS(struct table, owner),
	.item_size = sizeof(struct entry), .item_slots = OURO_ITEM_SLOTS(struct entry, key, value),
	.item_weaks = OURO_ITEM_WEAKS(struct entry, weak),
};

static struct bytes *bytes_new(size_t n)
{
	struct bytes *b = ouro_new_items(&bytes_type, n);

	assert_non_null(b);
	assert_int_equal((uintptr_t)b % 16, 0);
	b->length = n;
	return b;
}

static bool all_bytes_are(const unsigned char *p, size_t n, unsigned char value)
{
	return n == 0 || (p[0] == value && memcmp(p, p + 1, n - 1) == 0);
}

static const size_t sizes[] = {
	0, 1, 7, 8, 9, 16, 24, 31, 32, 33, 48, 64, 100, 128, 200, 256, 500, 512, 1000, 1024, 2000, 2048, 4000,
	4096, 5000, 8000, 8192, 10000, 16384, 20000, 32768, 40000, 65000, 65536, 70000, 131072, 262144,
	1000000, 1 << 20, 5000000,
};
enum { N_SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static void object_new_is_zeroed_at_all_sizes(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SIZES; i++) {
		struct bytes *b = bytes_new(sizes[i]);

		assert_true(all_bytes_are(b->data, sizes[i], 0));
		memset(b->data, 0xa5, sizes[i]);
		ouro_release(b);
	}
}

/* Memory that others have used is zeroed again: many of each size, filled, dropped, made again. */
static void object_new_is_zeroed_when_recycled(void **state)
{
	struct bytes *held[64];

	(void)state;
	for (size_t round = 0; round < 4; round++)
		for (size_t i = 0; i < 26; i++) {
			for (size_t k = 0; k < 64; k++) {
				held[k] = bytes_new(sizes[i]);
				assert_true(all_bytes_are(held[k]->data, sizes[i], 0));
				memset(held[k]->data, 0xff, sizes[i]);
			}
			for (size_t k = 0; k < 64; k++)
				ouro_release(held[k]);
		}
}

static void object_memory_is_not_shared(void **state)
{
	enum { N = 3000 };
	static struct bytes *held[N];

	(void)state;
	for (size_t i = 0; i < N; i++) {
		held[i] = bytes_new(sizes[i % 30]);
		memset(held[i]->data, (int)(i % 251), held[i]->length);
	}
	for (size_t i = 0; i < N; i++) {
		assert_true(all_bytes_are(held[i]->data, sizes[i % 30], (unsigned char)(i % 251)));
		assert_int_equal(ouro_items(held[i]), sizes[i % 30]);
		assert_ptr_equal(ouro_typeof(held[i]), &bytes_type);
		ouro_release(held[i]);
	}
}

static void object_new_takes_a_hundred_megabytes(void **state)
{
	const size_t n = 100u << 20;
	ouro_stats s;

	(void)state;
	struct bytes *b = bytes_new(n);
	ouro_stats_get(&s);
	assert_true(s.bytes_live >= n);
	assert_true(s.bytes_reserved >= n);
	for (size_t at = 0; at < n; at += 4096)
		assert_int_equal(b->data[at], 0);
	b->data[0] = b->data[n - 1] = 1;
	ouro_release(b);
	ouro_stats_get(&s);
	assert_int_equal(s.bytes_live, 0);
}

/* Fixed sizes go another way than items: every one from 1 byte on. */
static void object_fixed_part_has_every_size(void **state)
{
	static ouro_type types[300];

	(void)state;
	for (size_t size = 1; size < 300; size++) {
		types[size] = (ouro_type){ .name = "fixed", .size = size, .flags = OURO_ACYCLIC };
		unsigned char *a = ouro_new(&types[size]), *b = ouro_new(&types[size]);

		assert_int_equal((uintptr_t)a % 16, 0);
		assert_int_equal((uintptr_t)b % 16, 0);
		memset(a, 1, size);
		assert_true(all_bytes_are(b, size, 0));
		memset(b, 2, size);
		assert_true(all_bytes_are(a, size, 1));
		assert_ptr_equal(ouro_typeof(a), &types[size]);
		ouro_release(a);
		ouro_release(b);
	}
}

static void object_items_begin_at_size(void **state)
{
	struct vector *v = ouro_new_items(&vector_type, 10);

	(void)state;
	assert_int_equal(ouro_items(v), 10);
	for (size_t i = 0; i < 10; i++)
		assert_null(v->items[i]);
	ouro_give(&v->items[0], make(1));
	ouro_give(&v->items[9], make(2));
	assert_int_equal(objects_live(), 3);
	ouro_release(v);
	assert_int_equal(objects_live(), 0);
}

static void object_items_of_structs_are_released(void **state)
{
	struct table *t = ouro_new_items(&table_type, 100);
	struct node *target = make(7);

	(void)state;
	for (int i = 0; i < 100; i++) {
		ouro_give(&t->entries[i].key, make(i));
		ouro_give(&t->entries[i].value, make(i));
		assert_int_equal(ouro_weak_store(&t->entries[i].weak, target), 0);
	}
	ouro_give(&t->owner, make(0));
	assert_int_equal(objects_live(), 203);
	ouro_release(t);
	assert_int_equal(objects_live(), 1);
	ouro_release(target);
}

static void object_items_may_be_none(void **state)
{
	struct vector *v = ouro_new_items(&vector_type, 0);
	struct vector *w = ouro_new(&vector_type);

	(void)state;
	assert_int_equal(ouro_items(v), 0);
	assert_int_equal(ouro_items(w), 0);
	ouro_release(v);
	ouro_release(w);
	struct node *n = make(1);
	assert_int_equal(ouro_items(n), 0);
	ouro_release(n);
}

/* Large vectors: the items of an object with a region of its own are slots like any other. */
static void object_items_of_large_objects_are_slots(void **state)
{
	const size_t n = LOAD(1000000);
	struct vector *v = ouro_new_items(&vector_type, n);

	(void)state;
	ouro_give(&v->items[n - 1], make(1));
	ouro_give(&v->items[n / 2], make(2));
	assert_int_equal(ouro_items(v), n);
	assert_int_equal(objects_live(), 3);
	ouro_release(v);
	assert_int_equal(objects_live(), 0);
}

static void assert_overflows(const ouro_type *type, size_t n)
{
	errno = 0;
	assert_null(ouro_new_items(type, n));
	assert_int_equal(errno, EOVERFLOW);
}

static void object_items_overflow(void **state)
{
	(void)state;
	assert_overflows(&vector_type, SIZE_MAX);
	assert_overflows(&vector_type, SIZE_MAX / 8);
	assert_overflows(&vector_type, SIZE_MAX / 8 + 2);
	assert_overflows(&vector_type, (size_t)1 << 61);
	assert_overflows(&vector_type, ((size_t)1 << 61) + 1);
	assert_overflows(&bytes_type, SIZE_MAX);
	assert_overflows(&bytes_type, SIZE_MAX - 7);
	assert_overflows(&table_type, SIZE_MAX / sizeof(struct entry) + 1);
	assert_int_equal(objects_live(), 0);
}

static void object_items_beyond_memory_are_enomem(void **state)
{
	(void)state;
	errno = 0;
	assert_null(ouro_new_items(&bytes_type, (size_t)1 << 62));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(ouro_new_items(&bytes_type, (size_t)1 << 50));
	assert_int_equal(errno, ENOMEM);
	ouro_release(bytes_new(10));
}

/* ---- OURO_AUTO ---- */

static bool auto_scope(bool early)
{
	OURO_AUTO struct node *a = make_of(&counted_type, 1);
	OURO_AUTO struct node *none = NULL;

	if (early)
		return none == NULL;
	OURO_AUTO struct node *b = make_of(&counted_type, 2);

	return a != b;
}

static void object_auto_releases_at_end_of_scope(void **state)
{
	(void)state;
	counters_clear();
	assert_true(auto_scope(true));
	assert_int_equal(n_destroyed, 1);
	assert_true(auto_scope(false));
	assert_int_equal(n_destroyed, 3);
}

static void object_bytes_include_headers(void **state)
{
	ouro_stats s;

	(void)state;
	struct bytes *b = bytes_new(1000);
	ouro_stats_get(&s);
	assert_int_equal(s.objects_live, 1);
	assert_true(s.bytes_live >= 1000 + sizeof(struct bytes) + 16);
	ouro_release(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(object_new_is_zeroed_at_all_sizes),
		HEAP_CASE(object_new_is_zeroed_when_recycled),
		HEAP_CASE(object_memory_is_not_shared),
		HEAP_CASE(object_new_takes_a_hundred_megabytes),
		HEAP_CASE(object_fixed_part_has_every_size),
		HEAP_CASE(object_items_begin_at_size),
		HEAP_CASE(object_items_of_structs_are_released),
		HEAP_CASE(object_items_may_be_none),
		HEAP_CASE(object_items_of_large_objects_are_slots),
		HEAP_CASE(object_items_overflow),
		HEAP_CASE(object_items_beyond_memory_are_enomem),
		HEAP_CASE(object_auto_releases_at_end_of_scope),
		HEAP_CASE(object_bytes_include_headers),
	};

	return cmocka_run_group_tests_name("object", tests, NULL, NULL);
}
