/*
 * Goal: ouro_snapshot_write answers as its header says, beside threads, without memory, and when
 *       the file takes no more; what is dying, frozen or moved meanwhile does no harm.
 * Method: snapshots into memory, a few words of each; test_snapshot.sh reads whole ones.
 * A failure would mean: a snapshot that is asked for in production stops the program, or lies.
 */
#include "fixture.h"

#include "base/perturb.h"
#include "world/world.h"

/* ---- a snapshot as text ---- */

struct text {
	char *data;
	size_t size;
};

static int take(struct text *t)
{
	FILE *f = open_memstream(&t->data, &t->size);
	int error = ouro_snapshot_write(f);

	assert_int_equal(fclose(f), 0);
	return error;
}

static uint64_t number_after(const struct text *t, const char *key)
{
	const char *p = strstr(t->data, key);

	assert_non_null(p);
	return strtoull(p + strlen(key), NULL, 10);
}

/* How often does the list of strings have it? */
static size_t strings(const struct text *t, const char *string)
{
	const char *p = strstr(t->data, "\"strings\":[");
	size_t n = 0;

	for (; (p = strstr(p, string)) != NULL; p += strlen(string))
		n++;
	return n;
}

static uint64_t n_nodes(void)
{
	struct text t = { NULL, 0 };
	uint64_t n;

	assert_int_equal(take(&t), 0);
	assert_string_equal(t.data + t.size - 4, "\"]}\n");
	n = number_after(&t, "\"node_count\":");
	free(t.data);
	return n;
}

/* A number of a list of rows, each in a line. */
static uint64_t in_row(const struct text *t, const char *list, uint64_t row, unsigned column)
{
	const char *p = strstr(t->data, list);
	char *next;

	assert_non_null(p);
	for (p += strlen(list); row > 0; row--)
		p = strchr(p, '\n') + 1;
	while (column-- > 0)
		p = strchr(p, ',') + 1;
	uint64_t n = strtoull(p, &next, 10);
	assert_ptr_not_equal(next, p);
	return n;
}

/* Rows of nodes: those of roots come first. */
enum { NODE_HELD = 2, NODE_UNHELD = 6 };
#define NODES "\"nodes\":["
enum { NODE_EDGES = 4, EDGE_NAME = 1 }; /* columns */

static uint64_t n_edges(const struct text *t, uint64_t node)
{
	return in_row(t, NODES, node, NODE_EDGES);
}

/* Returns the name of the first edge of a node, which must be a property. */
static char *first_name(const struct text *t, uint64_t node)
{
	uint64_t row = 0;
	const char *p = strstr(t->data, "\"strings\":[");

	for (uint64_t i = 0; i < node; i++)
		row += n_edges(t, i);
	assert_int_equal(in_row(t, "\"edges\":[", row, 0), 2);
	for (uint64_t n = in_row(t, "\"edges\":[", row, EDGE_NAME); n > 0; n--)
		p = strchr(p, '\n') + 1;
	p = strchr(p, '"');
	return strndup(p, strcspn(p, "\n"));
}

static void snapshot_has_every_object(void **state)
{
	uint64_t before = n_nodes();
	struct node *list = make_list(&node_type, 5000), *ring = make_ring(&node_type, 100);
	struct leaf *leaf = leaf_new(1);

	(void)state;
	assert_int_equal(n_nodes(), before + 5101);
	ouro_release(ring);
	assert_int_equal(n_nodes(), before + 5101);
	ouro_gc_collect(2);
	assert_int_equal(n_nodes(), before + 5001);
	ouro_release(leaf);
	ouro_release(list);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_nodes(), before);
}

static void snapshot_counts_what_threads_hold(void **state)
{
	struct node *n = make(1);
	struct text t;

	(void)state;
	for (int i = 0; i < 6; i++)
		ouro_retain(n);
	ouro_store(&n->left, n);
	assert_int_equal(take(&t), 0);
	assert_int_equal(strings(&t, "\"7 references\""), 1);
	assert_int_equal(n_edges(&t, NODE_HELD), 1);
	char *name = first_name(&t, NODE_HELD);
	assert_memory_equal(name, "\"7 references\"", 14);
	free(name);
	free(t.data);
	ouro_store(&n->left, NULL);
	for (int i = 0; i < 7; i++)
		ouro_release(n);
}

/* Each object has the number that it had. */
static void snapshot_of_the_same_heap_is_the_same(void **state)
{
	struct node *list = make_list(&node_type, 500);
	struct text a, b;

	(void)state;
	assert_int_equal(take(&a), 0);
	assert_int_equal(take(&b), 0);
	assert_int_equal(a.size, b.size);
	assert_memory_equal(a.data, b.data, a.size);
	free(a.data);
	free(b.data);
	ouro_release(list);
}

/* Each ring from its first object, so that viewers find all. */
static void snapshot_hangs_garbage_from_a_root(void **state)
{
	struct text t;

	(void)state;
	for (int i = 0; i < 3; i++)
		ouro_release(make_ring(&node_type, 10));
	assert_int_equal(take(&t), 0);
	assert_int_equal(n_edges(&t, NODE_UNHELD), 3);
	free(t.data);
	ouro_gc_collect(2);
	assert_int_equal(take(&t), 0);
	assert_int_equal(n_edges(&t, NODE_UNHELD), 0);
	free(t.data);
}

static void snapshot_has_frozen_garbage(void **state)
{
	uint64_t before = n_nodes();

	(void)state;
	ouro_release(make_ring(&node_type, 10));
	ouro_gc_freeze();
	assert_int_equal(n_nodes(), before + 10);
	ouro_gc_unfreeze();
	ouro_gc_collect(2);
	assert_int_equal(n_nodes(), before);
}

static uint64_t nodes_in_finalizer;

static void look_around(void *obj)
{
	(void)obj;
	nodes_in_finalizer = n_nodes();
}

static const ouro_type looking_type = {
	.name = "looking", .size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, left, right), .finalize = look_around,
};

static void snapshot_has_the_dying(void **state)
{
	uint64_t before = n_nodes();
	struct node *n = make_of(&looking_type, 1);

	(void)state;
	ouro_give(&n->left, make(2));
	ouro_release(n);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(nodes_in_finalizer, before + 2);
	ouro_release(make_ring(&looking_type, 2));
	ouro_gc_collect(2);
	assert_int_equal(nodes_in_finalizer, before + 2);
}

/* ---- answers ---- */

static void snapshot_answers_as_the_header_says(void **state)
{
	struct text t = { NULL, 0 };
	FILE *full = fopen("/dev/full", "w");
	struct node *list = make_list(&node_type, 1000);

	(void)state;
	assert_int_equal(ouro_snapshot_write(NULL), EINVAL);
	ouro_pin();
	assert_int_equal(take(&t), EDEADLK);
	assert_int_equal(t.size, 0);
	free(t.data);
	ouro_unpin();
	assert_non_null(full);
	assert_int_equal(ouro_snapshot_write(full), ENOSPC);
	fclose(full);
	ouro_release(list);
}

static void snapshot_without_memory_answers_enomem(void **state)
{
#if OURO_CHECKED
	struct node *list = make_list(&node_type, 100);
	unsigned long n = 1, failed = 1;

	(void)state;
	for (; failed; n++) {
		struct text t = { NULL, 0 };
		int error;

		oi_fail_arm(OI_FAIL_ALLOC, n, false);
		error = take(&t);
		failed = oi_fail_failed(OI_FAIL_ALLOC);
		oi_fail_arm(OI_FAIL_ALLOC, 0, false);
		if (error != 0)
			assert_int_equal(error, ENOMEM);
		if (error != 0)
			assert_int_equal(t.size, 0);
		free(t.data);
	}
	assert_true(n > 8);
	ouro_release(list);
#else
	(void)state;
	skip();
#endif
}

#if OURO_CHECKED
static struct text between;

static void take_at(const char *point)
{
	if (strcmp(point, "map: made") != 0)
		return;
	oi_point_hook = NULL;
	assert_int_equal(take(&between), 0);
}
#endif

/* A key is shown when it is there: an entry may be half filled when others are stopped. */
static void snapshot_leaves_out_a_key_that_is_being_put(void **state)
{
	(void)state;
#if OURO_CHECKED
	ouro_map *m = ouro_map_new();
	struct node *n = make(1);
	struct text after = { NULL, 0 };

	oi_point_hook = take_at;
	assert_int_equal(ouro_map_put(m, "halfway", 7, n), 0);
	assert_int_equal(take(&after), 0);
	assert_non_null(strstr(after.data, "halfway"));
	assert_null(strstr(between.data, "halfway"));
	free(between.data);
	free(after.data);
	ouro_release(n);
	ouro_release(m);
#else
	skip();
#endif
}

/* ---- stops ---- */

/* Counted, not timed: as many stops as the objects need, and none while the file is written. */
static void snapshot_stops_for_few_objects_each(void **state)
{
	struct node *list = make_list(&node_type, 20 * 2048);
	uint64_t before = oi_world.n_stops;

	(void)state;
	n_nodes();
	assert_in_range(oi_world.n_stops - before, 20, 100000);
	ouro_release(list);
}

static ssize_t collect_and_write(void *cookie, const char *data, size_t n)
{
	(void)data;
	*(uint64_t *)cookie += ouro_gc_collect(0) >= 0; /* it would wait for a stop that goes on */
	return (ssize_t)n;
}

static void snapshot_holds_nobody_up_while_it_writes(void **state)
{
	uint64_t collected = 0;
	const cookie_io_functions_t functions = { .write = collect_and_write };
	FILE *f = fopencookie(&collected, "w", functions);
	struct node *list = make_list(&node_type, 1000);

	(void)state;
	assert_int_equal(ouro_snapshot_write(f), 0);
	assert_int_not_equal(collected, 0);
	fclose(f);
	ouro_release(list);
}

/* ---- beside threads ---- */

static struct node *stage;
static ouro_map *map;
static atomic_bool over;

static void *change_all(void *arg)
{
	for (unsigned i = 0; !atomic_load(&over); i++) {
		struct node *n = make((int)i);

		ouro_map_put_int(map, i % 512, n);
		ouro_store(&n->left, stage);
		ouro_give(arg == NULL ? &stage->left : &stage->right, n);
		if (i % 7 == 0)
			ouro_map_remove_int(map, i % 512);
		throttle(i);
	}
	return NULL;
}

static void snapshot_is_whole_beside_threads(void **state)
{
	pthread_t t[2];

	(void)state;
	stage = make(1);
	map = ouro_map_new();
	atomic_store(&over, false);
	ouro_gc_enable();
	for (int i = 0; i < 2; i++)
		t[i] = thread_start(change_all, i == 0 ? NULL : &over);
	for (int i = 0; i < 20; i++)
		assert_true(n_nodes() > 7);
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	ouro_gc_disable();
	ouro_store(&stage->left, NULL);
	ouro_store(&stage->right, NULL);
	ouro_release(map);
	ouro_release(stage);
	ouro_gc_collect(2);
}

static void *take_one(void *arg)
{
	*(uint64_t *)arg = n_nodes();
	return NULL;
}

static void snapshots_of_several_threads_are_alike(void **state)
{
	struct node *list = make_list(&node_type, LOAD(20000));
	uint64_t n[3];
	pthread_t t[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		t[i] = thread_start(take_one, &n[i]);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(n[0], n_nodes());
	assert_int_equal(n[1], n[0]);
	assert_int_equal(n[2], n[0]);
	ouro_release(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(snapshot_has_every_object),
		HEAP_CASE(snapshot_counts_what_threads_hold),
		HEAP_CASE(snapshot_of_the_same_heap_is_the_same),
		HEAP_CASE(snapshot_hangs_garbage_from_a_root),
		HEAP_CASE(snapshot_has_frozen_garbage),
		HEAP_CASE(snapshot_has_the_dying),
		HEAP_CASE(snapshot_answers_as_the_header_says),
		HEAP_CASE(snapshot_without_memory_answers_enomem),
		HEAP_CASE(snapshot_leaves_out_a_key_that_is_being_put),
		HEAP_CASE(snapshot_stops_for_few_objects_each),
		HEAP_CASE(snapshot_holds_nobody_up_while_it_writes),
		HEAP_CASE(snapshot_is_whole_beside_threads),
		HEAP_CASE(snapshots_of_several_threads_are_alike),
	};

	return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
