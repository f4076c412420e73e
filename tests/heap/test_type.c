/*
 * Goal: the type macros say where the fields are, and ouro_new refuses every type that is called
 * bad.
 * Method: compare the macros' tables with offsetof; a table of spoilt types: each gives EINVAL, no
 * object.
 * A failure would mean: the collector follows the wrong words of an object, or a wrong type
 * corrupts memory.
 */
#include "fixture.h"

#include <sys/mman.h>

#include "heap/edge.h"
#include "world/object.h"

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

/*
 * A list without names, as a program has that was compiled against an older header; and where they
 * would be, what was on its stack.
 */
static ouro_fields without_names(const ouro_fields *named)
{
	ouro_fields f = { 0 };

	f.n = named->n;
	f.named_.names = "no name at all";
	memcpy(f.field, named->field, named->n * sizeof(*f.field));
	return f;
}

static void assert_name(const ouro_type *type, uint64_t place, const char *expected)
{
	char name[OI_EDGE_NAME];

	assert_int_equal(oi_edge_name(name, type, place), strlen(expected));
	assert_string_equal(name, expected);
}

static void type_slots_keep_their_names(void **state)
{
	static const ouro_type table = {
		.name = "table", .size = sizeof(struct pair),
		.slots = OURO_SLOTS(struct pair, one), .item_size = sizeof(struct pair),
		.item_slots = OURO_ITEM_SLOTS(struct pair, one, many),
	};
	static const ouro_type row = {
		.name = "row", .size = 8, .item_size = 8, .item_slots = OURO_ITEM_REFS,
	};

	(void)state;
	assert_name(&pair_type, 0, "one");
	assert_name(&pair_type, 1, "two");
	assert_name(&pair_type, 2, "many[0]");
	assert_name(&pair_type, 4, "many[2]");
	assert_name(&pair_type, 5, "");
	assert_name(&table, 1, "[0].one");
	assert_name(&table, 1 + 4 * 7 + 3, "[7].many[2]");
	assert_name(&row, 7, "[7]");
	assert_name(&row, OI_EDGE_TOLD, "");
	assert_name(&wide_type, 15, ""); /* no room for names */
	assert_string_equal(oi_edge_names(&pair_type.weaks), "weak, weaks");
}

static void type_without_names_is_taken(void **state)
{
	ouro_type old = pair_type;

	(void)state;
	old.slots = without_names(&pair_type.slots);
	assert_null(oi_edge_names(&old.slots));
	assert_name(&old, 2, "");
	assert_int_equal(sizeof(ouro_fields), 132);
	assert_int_equal(offsetof(ouro_type, flags), 584); /* as at first */
}

/* The library's copy: the text may go away with what the type was loaded from. */
static void type_names_are_copied(void **state)
{
	char names[] = "one, two, many";
	ouro_type t = pair_type;

	(void)state;
	t.slots.named_.names = names;
	void *obj = ouro_new(&t);
	memset(names, 'x', sizeof(names) - 1);
	assert_name(oi_type_of(oi_header_of(obj)), 1, "two");
	ouro_release(obj);
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
	assert_true(EVENTUALLY(n_destroyed == 16));
	ouro_release(p);
	assert_true(EVENTUALLY(n_destroyed == 21));
}

/* ---- bad types ---- */

static void visit_nothing(void *obj, ouro_visitor *v)
{
	(void)obj;
	(void)v;
}

#define FIELD(offset, count) OURO_BARE_LIST_(, 1, { offset, count })

static const ouro_type bad_types[] = {
	{ .size = 8 }, /* no name */
	{ .name = "bad" }, /* size 0 */
	{ .name = "bad", .size = 16, .slots = FIELD(16, 1) }, /* begins at the end */
	{ .name = "bad", .size = 12, .slots = FIELD(8, 1) }, /* ends outside */
	{ .name = "bad", .size = 16, .slots = FIELD(8, 2) }, /* array ends outside */
	{ .name = "bad", .size = 16, .slots = FIELD(0, UINT32_MAX) }, /* far outside */
	{ .name = "bad", .size = 16, .slots = FIELD(UINT32_MAX - 7, 1) }, /* far outside */
	/* only the second one */
	{ .name = "bad", .size = 16, .slots = OURO_BARE_LIST_(, 2, { 0, 1 }, { 16, 1 }) },
	/* too many */
	{ .name = "bad", .size = 16, .slots = OURO_BARE_LIST_(, OURO_FIELDS_MAX + 1, { 0, 1 }) },
	{ .name = "bad", .size = 16, .weaks = FIELD(16, 1) },
	{ .name = "bad", .size = 16, .weaks = FIELD(8, 2) },
	{ .name = "bad", .size = 16, .weaks = OURO_BARE_LIST_(, OURO_FIELDS_MAX + 1, { 0, 1 }) },
	{ .name = "bad", .size = 16, .item_slots = OURO_ITEM_REFS }, /* items of size 0 */
	{ .name = "bad", .size = 16, .item_size = 8, .item_slots = FIELD(8, 1) },
	{ .name = "bad", .size = 16, .item_size = 8, .item_slots = FIELD(0, 2) },
	{ .name = "bad", .size = 16, .item_size = 8, .item_weaks = FIELD(8, 1) },
	{ .name = "bad", .size = 16, .item_weaks = FIELD(0, 1) },
	{ .name = "bad", .size = 16, .item_size = 8,
	  .item_slots = OURO_BARE_LIST_(, OURO_FIELDS_MAX + 1, { 0, 1 }) },
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

/* Up to the last byte there could be: no sum on the way wraps around. */
static void type_sizes_near_the_end_are_refused(void **state)
{
	static const ouro_type bytes_type = { .name = "bytes", .size = 16, .item_size = 1 };
	static ouro_type fixed_type = { .name = "without items", .size = SIZE_MAX - 100 };

	(void)state;
	for (size_t k = 0; k < (1 << 18); k = k < 256 ? k + 1 : k + k / 2) {
		errno = 0;
		assert_null(ouro_new_items(&bytes_type, SIZE_MAX - k));
		assert_int_equal(errno, k < (1 << 16) ? EOVERFLOW : errno == ENOMEM ? ENOMEM : EOVERFLOW);
	}
	errno = 0;
	assert_null(ouro_new(&fixed_type));
	assert_true(errno == EOVERFLOW || errno == ENOMEM);
	ouro_release(make(1));
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
	ouro_stats before, after;
	ouro_stats_get(&before);
	for (int i = 0; i < 4000; i++)
		REQUIRE(ouro_new(&type[TYPES - 1]) == NULL && errno == ENOMEM);
	ouro_stats_get(&after);
	REQUIRE(after.bytes_reserved == before.bytes_reserved); /* asking again costs nothing */
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
	replaced = (ouro_type){ .name = "holder", .size = 16, .slots = OURO_ITEM_REFS };
	pthread_join(thread_start(make_replaced, NULL), (void **)&holder);
	assert_true(ouro_gc_is_tracked(holder));
	ouro_store(holder, ouro_retain(target));
	ouro_release(target);
	assert_int_equal(ouro_refcount(target), 2);
	ouro_release(holder);
	assert_int_equal(ouro_refcount(target), 1);
	ouro_release(target);
}

/* ---- a type that goes away, and another one at its address, as in a plugin that is loaded again ---- */

static ouro_type *page;

static void page_take(void)
{
	void *p = mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (page ? MAP_FIXED : 0), -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	page = p;
}

/* From here on, whoever reads there gets SIGSEGV. */
static void page_leave(void)
{
	assert_ptr_not_equal(mmap(page, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), MAP_FAILED);
}

static struct node *make_from_page(const ouro_type *content, int id)
{
	page_take();
	memcpy(page, content, sizeof(*page));
	return make_of(page, id);
}

static bool count_object(void *obj, void *arg)
{
	++*(size_t *)arg;
	return ouro_typeof(obj) == page;
}

static void type_may_go_away_before_its_objects(void **state)
{
	struct node *kept, *list;
	size_t n = 0;

	(void)state;
	kept = make_from_page(&counted_type, 1);
	ouro_give(&kept->right, make_of(page, 2));
	list = make_list(page, 1000);
	struct node *ring = make_ring(page, 100);
	counters_clear();
	page_leave();
	ouro_release(ring);
	assert_int_equal(ouro_gc_collect(2), 100);
	ouro_release(list);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, 1100);
	assert_int_equal(ouro_gc_objects(-1, count_object, &n), 2);
	assert_int_equal(n, 2);
	assert_int_equal(heap_stop().objects, 2);
	assert_int_equal(n_destroyed, 1102);
	assert_int_equal(book_count(&log_book, "still held at shutdown: 2 of \"counted\""), 1);
}

struct larger {
	void *first[8];
	struct larger *next;
	char rest[400];
};

static const ouro_type larger_type = {
	.name = "larger", .size = sizeof(struct larger), .slots = OURO_SLOTS(struct larger, next),
};

static void type_loaded_again_is_another(void **state)
{
	struct larger *l;

	(void)state;
	struct node *small = make_from_page(&node_type, 1);
	ouro_release(make_of(page, 2)); /* the thread knows the type */
	page_leave();
	l = (struct larger *)make_from_page(&larger_type, 0);
	memset(l->rest, 0x55, sizeof(l->rest)); /* there is room for it */
	ouro_store(&l->next, l);
	assert_true(EVENTUALLY(book_count(&log_book, "another type lies where \"node\" did") == 1));
	assert_logged("and 1 objects of that are left", 1);
	assert_ptr_equal(ouro_typeof(l), page);
	ouro_store(&small->right, small); /* what it was is not forgotten */
	ouro_release(small);
	ouro_release(l);
	assert_int_equal(ouro_gc_collect(2), 2); /* the slot of each is known */
	page_leave();
	ouro_release(make_from_page(&larger_type, 0)); /* loaded once more, nothing new */
	assert_logged("another type", 1);
}

/* However many objects there are: they are gone through in many stops, each within the budget. */
static void type_loaded_again_is_told_of_in_short_stops(void **state)
{
	enum { OBJECTS = 200000 };
	ouro_config cfg = test_config();

	(void)state;
	cfg.pause_budget_ns = 10000;
	heap_start(&cfg);
	page = NULL; /* at an address of its own */
	struct node *list = make_from_page(&node_type, 1);
	list->right = make_list(page, OBJECTS - 1);
	page_leave();
	uint64_t before = stats().pauses;
	ouro_release(make_from_page(&larger_type, 0));
	assert_true(stats().pauses > before + 20);
	assert_logged("and 200000 objects of that are left", 1);
	ouro_release(list);
	assert_int_equal(ouro_flush(), 0);
}

static uint32_t number_of_new(const ouro_type *type)
{
	void *o = ouro_new(type);
	uint32_t number = oi_header_of(o)->type;

	ouro_release(o);
	return number;
}

/* Everything that a type says counts. */
static void type_differs_in_one_thing(void **state)
{
	static const ouro_type base = { .name = "base", .size = 64, .slots = OURO_SLOTS(struct node, left) };
	ouro_type t[] = { base, base, base, base, base, base, base, base, base, base };
	uint32_t number[sizeof(t) / sizeof(t[0])];

	(void)state;
	t[1].name = "other";
	t[2].destroy = loud_destroy;
	t[3].finalize = loud_finalize;
	t[4].clear = loud_destroy;
	t[5].slots.field[0].offset = offsetof(struct node, right);
	t[6].weaks = (ouro_fields)OURO_WEAKS(struct node, weak);
	t[7].item_size = 8;
	t[8].item_size = 8;
	t[8].item_slots = (ouro_fields)OURO_ITEM_REFS;
	t[9].flags = OURO_ACYCLIC;
	page_take();
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		memcpy(page, &t[i], sizeof(*page));
		number[i] = number_of_new(page);
		assert_int_equal(number_of_new(page), number[i]);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(number[k], number[i]);
	}
	memcpy(page, &t[0], sizeof(*page));
	assert_int_equal(number_of_new(page), number[0]);
}

/* ---- retiring ---- */

static int retired_in_callback;

static void retire_in_callback(void *obj)
{
	retired_in_callback = ouro_type_retire(ouro_typeof(obj));
}

static void type_retires_when_nothing_is_left(void **state)
{
	static const ouro_type retiring = {
		.name = "retiring", .size = sizeof(struct node),
		.slots = OURO_SLOTS(struct node, left, right), .destroy = retire_in_callback,
	};

	(void)state;
	assert_int_equal(ouro_type_retire(NULL), EINVAL);
	assert_int_equal(ouro_type_retire(&retiring), 0);
	struct node *n = make_of(&retiring, 1);
	assert_int_equal(ouro_type_retire(&retiring), EBUSY);
	ouro_pin();
	assert_int_equal(ouro_type_retire(&retiring), EDEADLK);
	ouro_unpin();
	ouro_store(&n->left, n);
	ouro_release(n);
	assert_int_equal(ouro_type_retire(&retiring), EBUSY);
	assert_int_equal(ouro_gc_collect(2), 1);
	assert_int_equal(retired_in_callback, EDEADLK);
	assert_int_equal(ouro_type_retire(&retiring), 0);
	ouro_release(make_of(&retiring, 2));
	assert_int_equal(ouro_type_retire(&retiring), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(type_retires_when_nothing_is_left),
		BARE_CASE(type_slots_say_offsets_and_counts),
		BARE_CASE(type_weaks_say_offsets_and_counts),
		BARE_CASE(type_slots_take_sixteen_fields),
		BARE_CASE(type_slots_keep_their_names),
		BARE_CASE(type_without_names_is_taken),
		HEAP_CASE(type_names_are_copied),
		BARE_CASE(type_item_refs_is_one_slot_at_zero),
		HEAP_CASE(type_all_slots_are_released_at_death),
		HEAP_CASE(type_bad_ones_are_refused),
		HEAP_CASE(type_bad_ones_are_refused_again),
		HEAP_CASE(type_items_without_item_size_are_refused),
		HEAP_CASE(type_sizes_near_the_end_are_refused),
		HEAP_CASE(type_one_too_many_is_enomem),
		HEAP_CASE(type_at_the_address_of_another),
		HEAP_CASE(type_may_go_away_before_its_objects),
		HEAP_CASE(type_loaded_again_is_another),
		BARE_CASE(type_loaded_again_is_told_of_in_short_stops),
		HEAP_CASE(type_differs_in_one_thing),
	};

	return cmocka_run_group_tests_name("type", tests, NULL, NULL);
}
