/*
 * Goal: the type macros say where the fields are, and ouro_new refuses every type that is called bad.
 * Method: compare the macros' tables with offsetof; a table of spoilt types: each gives EINVAL, no object.
 * A failure would mean: the collector follows the wrong words of an object, or a wrong type corrupts memory.
 */
#include "fixture.h"

struct pair {
	int number;
	void *one, *two;
	ouro_weak weak;
	void *many[3];
	ouro_weak weaks[2];
};

struct wide {
	void *a, *b, *c, *d, *e, *f, *g, *h, *i, *j, *k, *l, *m, *n, *o, *p;
};

static const ouro_type pair_type = {
	.name = "pair", .size = sizeof(struct pair),
	.slots = OURO_SLOTS(struct pair, one, two, many), .weaks = OURO_WEAKS(struct pair, weak, weaks),
};

static const ouro_type wide_type = {
	.name = "wide", .size = sizeof(struct wide),
	.slots = OURO_SLOTS(struct wide, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p),
};

static void type_slots_say_offsets_and_counts(void **state)
{
	(void)state;
	assert_int_equal(pair_type.slots.n, 3);
	assert_int_equal(pair_type.slots.field[0].offset, offsetof(struct pair, one));
	assert_int_equal(pair_type.slots.field[0].count, 1);
	assert_int_equal(pair_type.slots.field[1].offset, offsetof(struct pair, two));
	assert_int_equal(pair_type.slots.field[2].offset, offsetof(struct pair, many));
	assert_int_equal(pair_type.slots.field[2].count, 3);
}

static void type_weaks_say_offsets_and_counts(void **state)
{
	(void)state;
	assert_int_equal(pair_type.weaks.n, 2);
	assert_int_equal(pair_type.weaks.field[0].offset, offsetof(struct pair, weak));
	assert_int_equal(pair_type.weaks.field[0].count, 1);
	assert_int_equal(pair_type.weaks.field[1].offset, offsetof(struct pair, weaks));
	assert_int_equal(pair_type.weaks.field[1].count, 2);
	assert_int_equal(sizeof(ouro_weak), sizeof(uint64_t));
}

static void type_slots_take_sixteen_fields(void **state)
{
	(void)state;
	assert_int_equal(wide_type.slots.n, 16);
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(wide_type.slots.field[i].offset, i * sizeof(void *));
		assert_int_equal(wide_type.slots.field[i].count, 1);
	}
}

static void type_item_refs_is_one_slot_at_zero(void **state)
{
	static const ouro_type vector = {
		.name = "vector", .size = 8, .item_size = 8, .item_slots = OURO_ITEM_REFS,
	};

	(void)state;
	assert_int_equal(vector.item_slots.n, 1);
	assert_int_equal(vector.item_slots.field[0].offset, 0);
	assert_int_equal(vector.item_slots.field[0].count, 1);
}

/* Every slot of the sixteen, and every element of an array field, is followed: what they hold dies too. */
static void type_all_slots_are_released_at_death(void **state)
{
	struct wide *w = ouro_new(&wide_type);
	struct pair *p = ouro_new(&pair_type);
	void **slots = (void **)w;

	(void)state;
	counters_clear();
	for (unsigned i = 0; i < 16; i++)
		ouro_give(&slots[i], ouro_new(&counted_type));
	ouro_give(&p->one, ouro_new(&counted_type));
	ouro_give(&p->two, ouro_new(&counted_type));
	for (unsigned i = 0; i < 3; i++)
		ouro_give(&p->many[i], ouro_new(&counted_type));
	ouro_release(w);
	assert_int_equal(n_destroyed, 16);
	ouro_release(p);
	assert_int_equal(n_destroyed, 21);
}

/* ---- bad types ---- */

static void visit_nothing(void *obj, ouro_visitor *v)
{
	(void)obj;
	(void)v;
}

#define FIELD(offset, count) { 1, { { offset, count } } }

static const ouro_type bad_types[] = {
	{ .size = 8 }, /* no name */
	{ .name = "bad" }, /* size 0 */
	{ .name = "bad", .size = 16, .slots = FIELD(16, 1) }, /* begins at the end */
	{ .name = "bad", .size = 12, .slots = FIELD(8, 1) }, /* ends outside */
	{ .name = "bad", .size = 16, .slots = FIELD(8, 2) }, /* array ends outside */
	{ .name = "bad", .size = 16, .slots = FIELD(0, UINT32_MAX) }, /* far outside */
	{ .name = "bad", .size = 16, .slots = FIELD(UINT32_MAX - 7, 1) }, /* far outside */
	{ .name = "bad", .size = 16, .slots = { 2, { { 0, 1 }, { 16, 1 } } } }, /* only the second one */
	{ .name = "bad", .size = 16, .slots = { OURO_FIELDS_MAX + 1, { { 0, 1 } } } }, /* too many */
	{ .name = "bad", .size = 16, .weaks = FIELD(16, 1) },
	{ .name = "bad", .size = 16, .weaks = FIELD(8, 2) },
	{ .name = "bad", .size = 16, .weaks = { OURO_FIELDS_MAX + 1, { { 0, 1 } } } },
	{ .name = "bad", .size = 16, .item_slots = OURO_ITEM_REFS }, /* items of size 0 */
	{ .name = "bad", .size = 16, .item_size = 8, .item_slots = FIELD(8, 1) },
	{ .name = "bad", .size = 16, .item_size = 8, .item_slots = FIELD(0, 2) },
	{ .name = "bad", .size = 16, .item_size = 8, .item_weaks = FIELD(8, 1) },
	{ .name = "bad", .size = 16, .item_weaks = FIELD(0, 1) },
	{ .name = "bad", .size = 16, .item_size = 8, .item_slots = { OURO_FIELDS_MAX + 1, { { 0, 1 } } } },
	{ .name = "bad", .size = 16, .traverse = visit_nothing }, /* traverse without clear */
	{ .name = "bad", .size = 16, .flags = 4 },
	{ .name = "bad", .size = 16, .flags = OURO_ACYCLIC | 1u << 31 },
};

static void assert_refused(const ouro_type *type, size_t i)
{
	errno = 0;
	void *obj = ouro_new(type);
	if (obj != NULL || errno != EINVAL)
		fail_msg("ouro_new took bad type %zu: %p, errno %d", i, obj, errno);
	errno = 0;
	obj = ouro_new_items(type, 1);
	if (obj != NULL || errno != EINVAL)
		fail_msg("ouro_new_items took bad type %zu: %p, errno %d", i, obj, errno);
}

static void type_bad_ones_are_refused(void **state)
{
	ouro_stats before, after;

	(void)state;
	ouro_stats_get(&before);
	for (size_t i = 0; i < sizeof(bad_types) / sizeof(bad_types[0]); i++)
		assert_refused(&bad_types[i], i);
	assert_refused(NULL, 99);
	ouro_stats_get(&after);
	assert_int_equal(after.objects_allocated, before.objects_allocated);
	assert_int_equal(after.objects_live, 0);
}

/* Twice, so that a remembered answer is tested too; a good type still works afterwards. */
static void type_bad_ones_are_refused_again(void **state)
{
	type_bad_ones_are_refused(state);
	type_bad_ones_are_refused(state);
	ouro_release(make(1));
}

static void type_items_without_item_size_are_refused(void **state)
{
	(void)state;
	errno = 0;
	assert_null(ouro_new_items(&node_type, 1));
	assert_int_equal(errno, EINVAL);
	void *obj = ouro_new_items(&node_type, 0);
	assert_non_null(obj);
	assert_int_equal(ouro_items(obj), 0);
	ouro_release(obj);
}

/* In a child: numbers of types are never given back. One type more is an answer, and the others go on. */
static int make_too_many(void *arg)
{
	enum { TYPES = 65540 };
	ouro_type *type = calloc(TYPES, sizeof *type);
	int made = 0;

	(void)arg;
	REQUIRE(type != NULL);
	for (int i = 0; i < TYPES; i++) {
		type[i] = (ouro_type){ .name = "one of many", .size = 16 };
		errno = 0;
		void *obj = ouro_new(&type[i]);

		REQUIRE(obj != NULL || errno == ENOMEM);
		REQUIRE(obj == NULL || ouro_typeof(obj) == &type[i]);
		made += obj != NULL;
		ouro_release(obj);
	}
	REQUIRE(made > 65000 && made <= 65535);
	void *again = ouro_new(&type[0]);
	REQUIRE(again != NULL && ouro_typeof(again) == &type[0]);
	ouro_release(again);
	return 0;
}

static void type_one_too_many_is_enomem(void **state)
{
	(void)state;
	child_run(make_too_many, NULL);
}

/* What one type was a moment ago another one may be now: in a shared object that was closed and loaded again. */
static ouro_type replaced;

static void *make_replaced(void *arg)
{
	(void)arg;
	return ouro_new(&replaced);
}

/* Only for threads that have not met the old type: the others know types by their address, and are told so (type.h). */
static void type_at_the_address_of_another(void **state)
{
	struct node *target = make(1);
	void **holder;

	(void)state;
	replaced = (ouro_type){ .name = "plain", .size = 16 };
	void *plain = ouro_new(&replaced);
	assert_false(ouro_gc_is_tracked(plain));
	ouro_release(plain);
	replaced = (ouro_type){ .name = "holder", .size = 16, .slots = { 1, { { 0, 1 } } } };
	pthread_join(thread_start(make_replaced, NULL), (void **)&holder);
	assert_true(ouro_gc_is_tracked(holder));
	ouro_store(holder, ouro_retain(target));
	ouro_release(target);
	assert_int_equal(ouro_refcount(target), 2);
	ouro_release(holder);
	assert_int_equal(ouro_refcount(target), 1);
	ouro_release(target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(type_slots_say_offsets_and_counts),
		BARE_CASE(type_weaks_say_offsets_and_counts),
		BARE_CASE(type_slots_take_sixteen_fields),
		BARE_CASE(type_item_refs_is_one_slot_at_zero),
		HEAP_CASE(type_all_slots_are_released_at_death),
		HEAP_CASE(type_bad_ones_are_refused),
		HEAP_CASE(type_bad_ones_are_refused_again),
		HEAP_CASE(type_items_without_item_size_are_refused),
		HEAP_CASE(type_one_too_many_is_enomem),
		HEAP_CASE(type_at_the_address_of_another),
	};

	return cmocka_run_group_tests_name("type", tests, NULL, NULL);
}
