/*
 * Goal: a checked build says so when a call of a container is given another kind of object.
 * Method: a table of all calls; each is made in a child with a node, and has to name itself, the
 *   node, its address, and the kind it wants.
 * A failure would mean: a pointer of the wrong kind is written to as if it were a container, and
 *   what it was is found by its ruins. Other builds skip this.
 */
#include "fixture.h"

static void *none(const ouro_map_item *item, void *arg)
{
	(void)item;
	(void)arg;
	return NULL;
}

static bool see_item(const ouro_map_item *item, void *arg)
{
	(void)item;
	(void)arg;
	return true;
}

static bool see_element(size_t i, void *value, void *arg)
{
	(void)i;
	(void)value;
	(void)arg;
	return true;
}

static bool see_pair(void *key, void *value, void *arg)
{
	(void)key;
	(void)value;
	(void)arg;
	return true;
}

/* ---- all calls: @o is no container; what they answer is not looked at ---- */

#define OF_MAPS(CALL, kind) \
	CALL(kind##_get, (o, "k", 1) != NULL) \
	CALL(kind##_get_int, (o, 1) != NULL) \
	CALL(kind##_put, (o, "k", 1, o)) \
	CALL(kind##_put_int, (o, 1, o)) \
	CALL(kind##_put_if_absent, (o, "k", 1, o)) \
	CALL(kind##_put_if_absent_int, (o, 1, o)) \
	CALL(kind##_get_or_create, (o, "k", 1, none, NULL) != NULL) \
	CALL(kind##_get_or_create_int, (o, 1, none, NULL) != NULL) \
	CALL(kind##_remove, (o, "k", 1)) \
	CALL(kind##_remove_int, (o, 1)) \
	CALL(kind##_size, (o)) \
	CALL(kind##_clear, (o), 0) \
	CALL(kind##_each, (o, see_item, NULL))

#define OF_MAP(CALL) \
	OF_MAPS(CALL, ouro_map) \
	CALL(ouro_map_put_for, (o, "k", 1, o, 1)) \
	CALL(ouro_map_put_for_int, (o, 1, o, 1)) \
	CALL(ouro_map_replace, (o, "k", 1, NULL, o)) \
	CALL(ouro_map_replace_int, (o, 1, NULL, o)) \
	CALL(ouro_map_take, (o, "k", 1) != NULL) \
	CALL(ouro_map_take_int, (o, 1) != NULL)

#define OF_WEAK_MAP(CALL) OF_MAPS(CALL, ouro_weak_map)

#define OF_KEY_MAP(CALL) \
	CALL(ouro_key_map_get, (o, o) != NULL) \
	CALL(ouro_key_map_put, (o, o, o)) \
	CALL(ouro_key_map_put_if_absent, (o, o, o)) \
	CALL(ouro_key_map_remove, (o, o)) \
	CALL(ouro_key_map_size, (o)) \
	CALL(ouro_key_map_clear, (o), 0) \
	CALL(ouro_key_map_each, (o, see_pair, NULL))

#define OF_VEC(CALL) \
	CALL(ouro_vec_get, (o, 0) != NULL) \
	CALL(ouro_vec_set, (o, 0, o)) \
	CALL(ouro_vec_compare_set, (o, 0, o, o)) \
	CALL(ouro_vec_push, (o, o, NULL)) \
	CALL(ouro_vec_pop, (o) != NULL) \
	CALL(ouro_vec_size, (o)) \
	CALL(ouro_vec_reserve, (o, 1)) \
	CALL(ouro_vec_clear, (o), 0) \
	CALL(ouro_vec_each, (o, see_element, NULL))

static ouro_bytes *right;

#define OF_BYTES(CALL) \
	CALL(ouro_bytes_data, (o) != NULL) \
	CALL(ouro_bytes_size, (o)) \
	CALL(ouro_bytes_hash, (o)) \
	CALL(ouro_bytes_equal, (o, right))

/* ---- one of them ---- */

struct call {
	const char *name;
	void (*fn)(void *o);
};

#define DEFINE(name, ...) static void with_##name(void *o) { (void)!(name __VA_ARGS__); }
#define ROW(name, ...) { #name, with_##name },
OF_MAP(DEFINE)
OF_WEAK_MAP(DEFINE)
OF_KEY_MAP(DEFINE)
OF_VEC(DEFINE)
OF_BYTES(DEFINE)

/* The other way round, too: what comes second is looked at as well. */
static void with_second(void *o)
{
	(void)!ouro_bytes_equal(right, o);
}

static const struct call of_map[] = { OF_MAP(ROW) };
static const struct call of_weak_map[] = { OF_WEAK_MAP(ROW) };
static const struct call of_key_map[] = { OF_KEY_MAP(ROW) };
static const struct call of_vec[] = { OF_VEC(ROW) };
static const struct call of_bytes[] = { OF_BYTES(ROW) { "ouro_bytes_equal", with_second } };

static struct node *wrong;

static int make_call(void *arg)
{
	const struct call *c = arg;

	c->fn(wrong);
	return 0;
}

static void assert_named(const struct call *calls, size_t n, const char *kind)
{
	char message[200];

	if (!CHECKED_BUILD)
		skip();
	right = ouro_bytes_new("k", 1);
	wrong = make(1);
	for (size_t i = 0; i < n; i++) {
		struct call c = calls[i];

		snprintf(message, sizeof(message), ": %s: the \"node\" at %p is no \"%s\"", c.name,
			 (void *)wrong, kind);
		child_aborts(make_call, &c, message);
	}
	ouro_release(wrong);
	ouro_release(right);
}

#define ASSERT_NAMED(calls, kind) assert_named(calls, sizeof(calls) / sizeof((calls)[0]), kind)

static void kinds_that_are_no_map_are_named(void **state)
{
	(void)state;
	ASSERT_NAMED(of_map, "ouro_map");
}

static void kinds_that_are_no_weak_map_are_named(void **state)
{
	(void)state;
	ASSERT_NAMED(of_weak_map, "ouro_weak_map");
}

static void kinds_that_are_no_key_map_are_named(void **state)
{
	(void)state;
	ASSERT_NAMED(of_key_map, "ouro_key_map");
}

static void kinds_that_are_no_vector_are_named(void **state)
{
	(void)state;
	ASSERT_NAMED(of_vec, "ouro_vec");
}

static void kinds_that_are_no_bytes_are_named(void **state)
{
	(void)state;
	ASSERT_NAMED(of_bytes, "ouro_bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(kinds_that_are_no_map_are_named),
		HEAP_CASE(kinds_that_are_no_weak_map_are_named),
		HEAP_CASE(kinds_that_are_no_key_map_are_named),
		HEAP_CASE(kinds_that_are_no_vector_are_named),
		HEAP_CASE(kinds_that_are_no_bytes_are_named),
	};

	return cmocka_run_group_tests_name("kinds", tests, NULL, NULL);
}
