/*
 * Goal: types with a traverse of their own take part in full collections, with the concurrent
 * promise and without.
 * Method: cycles of all kinds of objects beside mutators; a traverse that waits while others act;
 * uncounted moves; objects that are being filled in.
 * A failure would mean: leaks, crashes or long stops for programs that wrap containers the library
 * does not know.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "mutators.h"

#include "collect/policy.h"
#include "heap/pace.h"
#include "heap/region.h"
#include "world/object.h"
#include "world/world.h"

/* ---- boxes: references that only traverse knows, and a slot ---- */

struct box {
	struct box *slot;
	void *_Atomic item[2];
};

static void box_traverse(void *obj, ouro_visitor *v)
{
	struct box *b = obj;

	for (int i = 0; i < 2; i++)
		ouro_visit(v, atomic_load(&b->item[i]));
}

static void box_clear(void *obj)
{
	struct box *b = obj;

	for (int i = 0; i < 2; i++)
		ouro_release(atomic_exchange(&b->item[i], NULL));
}

#define BOX_TYPE(promise) { \
	.name = "box", .size = sizeof(struct box), .slots = OURO_SLOTS(struct box, slot), \
	.traverse = box_traverse, .clear = box_clear, .destroy = counted_destroy, .flags = promise, }

static const ouro_type opaque_type = BOX_TYPE(0);
static const ouro_type concurrent_type = BOX_TYPE(OURO_TRAVERSE_CONCURRENT);

static struct box *box_new(const ouro_type *type)
{
	struct box *b = ouro_new(type);

	if (b == NULL)
		abort();
	return b;
}

/* Steals item. */
static void box_fill(struct box *b, int i, void *item)
{
	atomic_store(&b->item[i], item);
}

enum { KINDS = 3, LINKS = 300, OBJECTS = LINKS + LINKS / 3 };

/*
 * A ring of boxes of both types, which refer to the next through an item, a slot, or an object that has only slots,
 * and to the one before through the other item.
 */
static struct box *ring_of_all_kinds(void)
{
	struct box *first = box_new(&opaque_type), *last = first;

	for (int i = 0; i < LINKS; i++) {
		struct box *next = i + 1 < LINKS ? box_new(i % 2 ? &opaque_type : &concurrent_type) : ouro_retain(first);
		struct node *between;

		box_fill(next, 1, ouro_retain(last));
		if (i % KINDS == 0) {
			box_fill(last, 0, next);
		} else if (i % KINDS == 1) {
			ouro_give(&last->slot, next);
		} else {
			between = make_of(&counted_type, 0);
			ouro_slot_give(&between->left, next);
			box_fill(last, 0, between);
		}
		last = next;
	}
	return first;
}

static void traverse_all_kinds_are_collected_beside_mutators(void **state)
{
	size_t n_wrong = 0;

	(void)state;
	counters_clear();
	mutators_start(NULL);
	for (int i = 0; i < LOAD(50) + 10; i++) {
		size_t before = n_destroyed;
		struct box *ring = ring_of_all_kinds();

		ouro_gc_collect(2);
		n_wrong += n_destroyed != before;
		ouro_release(ring);
		ouro_gc_collect(2);
		n_wrong += n_destroyed != before + OBJECTS;
	}
	mutators_stop();
	assert_int_equal(n_wrong, 0);
	assert_all_is_collected(0);
}

static void traverse_flags_are_checked(void **state)
{
	static const ouro_type unknown_type = BOX_TYPE(1u << 30),
			       both_type = BOX_TYPE(OURO_TRAVERSE_CONCURRENT | 1u << 30);
	void *obj = ouro_new(&concurrent_type);

	(void)state;
	assert_non_null(obj);
	ouro_release(obj);
	errno = 0;
	assert_null(ouro_new(&unknown_type));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(ouro_new(&both_type));
	assert_int_equal(errno, EINVAL);
}

/* ---- stops ---- */

static atomic_size_t n_stops;

static void count_stops(const ouro_gc_event *e, void *arg)
{
	(void)arg;
	if (e->phase == OURO_PAUSE_STOP && e->generation == 2)
		atomic_fetch_add(&n_stops, 1);
}

static size_t stops_of_a_collection(ssize_t found)
{
	atomic_store(&n_stops, 0);
	assert_int_equal(ouro_gc_on_event(count_stops, NULL), 0);
	assert_int_equal(ouro_gc_collect(2), found);
	assert_int_equal(ouro_gc_off_event(count_stops, NULL), 0);
	return n_stops;
}

/* Each refers to the one before: from the last all are reached, one after the other. */
static struct box *list_of(const ouro_type *type, int n)
{
	struct box *head = NULL;

	for (int i = 0; i < n; i++) {
		struct box *b = box_new(type);

		box_fill(b, 0, head);
		head = b;
	}
	return head;
}

static size_t stops_to_collect_a_ring(int n)
{
	struct box *ring = list_of(&concurrent_type, n);

	box_fill(ring, 1, ring); /* and now only itself holds it */
	return stops_of_a_collection(n);
}

/* A stop in which the thread lost its processor goes on as another. */
static void traverse_concurrent_stops_nobody(void **state)
{
	enum { N = LOAD(100000) };
	struct box *list = list_of(&concurrent_type, N);

	(void)state;
	assert_true(IN_ONE_OF_SEVERAL_TRIES(stops_to_collect_a_ring(N) <= 2 + N * 64 / 65536 / 1024));
	assert_true(IN_ONE_OF_SEVERAL_TRIES(stops_of_a_collection(0) <= 1));
	ouro_release(list);
}

static void traverse_opaque_needs_stops(void **state)
{
	struct box *box = list_of(&opaque_type, 1);

	(void)state;
	ouro_gc_collect(2);
	assert_true(stops_of_a_collection(0) > 1);
	box_fill(box, 0, box);
	assert_true(stops_of_a_collection(1) > 1);
}

/* Their number follows from how long traverse takes, not from how deep a structure is. */
static void traverse_opaque_stops_do_not_count_a_list(void **state)
{
	enum { N = LOAD(20000) };
	struct box *list = list_of(&opaque_type, N);

	(void)state;
	ouro_gc_collect(2);
	size_t n = stops_of_a_collection(0);
	ouro_release(list);
	assert_int_equal(ouro_flush(), 0);
	assert_in_range(n, 2, N / 10);
}

/* ---- uncounted moves between opaque objects ---- */

enum { BOXES = 24, PLACES = LOAD(5000) };

static struct node *place[PLACES];
static struct node **_Atomic known[BOXES]; /* places where somebody has put one */

static void put_box(struct box *b, uint64_t *seed)
{
	while (b != NULL) {
		struct node **to = &place[pick(seed, PLACES)]->left;

		atomic_store(&known[pick(seed, BOXES)], to);
		b = ouro_slot_exchange(to, b);
	}
}

/* Both are this thread's: nobody else sees inside but a traverse, in a stop. */
static void move_uncounted(struct box *a, struct box *b, uint64_t *seed)
{
	int i = (int)pick(seed, 2), k = (int)pick(seed, 2);

	ouro_pin();
	void *x = atomic_load(&a->item[i]), *y = atomic_load(&b->item[k]);
	atomic_store(&a->item[i], y);
	atomic_store(&b->item[k], x);
	ouro_unpin();
	whole(x);
	whole(y);
}

static void *move_between_boxes(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	while (!atomic_load(&graph.stop)) {
		struct box *a = ouro_slot_take(atomic_load(&known[pick(&seed, BOXES)]));
		struct box *b = ouro_slot_take(atomic_load(&known[pick(&seed, BOXES)]));

		for (int i = 0; a != NULL && b != NULL && i < 4; i++)
			move_uncounted(a, b, &seed);
		put_box(a, &seed);
		put_box(b, &seed);
	}
	return NULL;
}

/* A box in every third, a canary in each box, another one below that. */
static void fill_places(uint64_t *seed)
{
	struct node *n = make_ring(&node_type, PLACES);

	for (int i = 0; i < PLACES; i++, n = n->right)
		place[i] = n;
	for (int i = 0; i < BOXES; i++)
		atomic_store(&known[i], &place[i]->left);
	for (int i = 0; i < BOXES; i++) {
		struct box *b = box_new(&opaque_type);
		struct node *x = make_pair(&canary_type, ALIVE);

		x->right->id = ALIVE;
		box_fill(b, 0, x);
		put_box(b, seed);
	}
}

static void traverse_opaque_bears_uncounted_moves(void **state)
{
	uint64_t seed = 1;
	int found = 0;

	(void)state;
	fill_places(&seed);
	mutators_start(move_between_boxes);
	collecting_start();
	assert_true(EVENTUALLY(collecting.n >= (size_t)LOAD(40) + 10));
	collecting_stop();
	mutators_stop();
	for (int i = 0; i < PLACES; i++) {
		struct box *b = ouro_slot_take(&place[i]->left);

		for (int k = 0; b != NULL && k < 2; k++) {
			struct node *x = whole(atomic_load(&b->item[k]));

			found += x != NULL && x->right->right == x && whole(x->right) != NULL;
		}
		ouro_release(b);
	}
	assert_int_equal(found, BOXES);
	assert_int_equal(graph.wrong, 0);
	ouro_release(place[0]);
	assert_all_is_collected(0);
}

/*
 * In the middle of the stop, as soon as traverse has looked, a thread that runs plain code takes
 * the reference out: here the traverse itself does it for that thread, which is the same instant
 * every time.
 */
static void *_Atomic taken_out;

static void robbed_traverse(void *obj, ouro_visitor *v)
{
	struct box *b = obj;
	void *child = atomic_load(&b->item[0]);

	ouro_visit(v, child);
	if (child != NULL && atomic_load(&taken_out) == NULL) {
		atomic_store(&taken_out, child);
		atomic_store(&b->item[0], NULL);
	}
}

static const ouro_type robbed_type = {
	.name = "robbed", .size = sizeof(struct box), .traverse = robbed_traverse, .clear = box_clear,
	.destroy = counted_destroy,
};

/* A container that the thread holds, and an object that only it refers to. */
static void rob(int generation)
{
	struct box *b = box_new(&robbed_type);

	counters_clear();
	atomic_store(&taken_out, NULL);
	box_fill(b, 0, make_of(&counted_type, 7));
	assert_int_equal(ouro_gc_collect(generation), 0);
	struct node *n = atomic_load(&taken_out);
	assert_non_null(n);
	assert_int_equal(atomic_load(&n_destroyed), 0);
	assert_int_equal(ouro_refcount(n), 1);
	ouro_release(n);
	ouro_release(b);
	assert_int_equal(atomic_load(&n_destroyed), 2);
}

static void traverse_is_asked_once_in_a_stop(void **state)
{
	(void)state;
	for (int generation = 0; generation < 3; generation++)
		rob(generation);
}

/* ---- a concurrent traverse that takes its time ---- */

static atomic_bool hold_it, has_begun, in_it, destroyed, destroyed_in_it;

static void *slow_child(struct box *b)
{
	void *child = atomic_load(&b->item[0]);

	if (atomic_exchange(&hold_it, false)) {
		atomic_store(&in_it, true);
		atomic_store(&has_begun, true);
		for (int i = 0; i < 300 && atomic_load(&in_it) && !atomic_load(&destroyed); i++)
			sleep_ms(1);
		atomic_store(&in_it, false);
	}
	return child;
}

static void slow_traverse(void *obj, ouro_visitor *v)
{
	ouro_visit(v, slow_child(obj));
}

static void slow_destroy(void *obj)
{
	(void)obj;
	if (atomic_load(&in_it))
		atomic_store(&destroyed_in_it, true);
	atomic_store(&destroyed, true);
}

static const ouro_type slow_type = {
	.name = "slow", .size = sizeof(struct box), .slots = OURO_SLOTS(struct box, slot),
	.traverse = slow_traverse, .clear = box_clear, .destroy = slow_destroy, .flags = OURO_TRAVERSE_CONCURRENT,
};

static pthread_t collect_until_in_it(void)
{
	atomic_store(&has_begun, false);
	atomic_store(&hold_it, true);
	atomic_store(&destroyed, false);
	return thread_start(collect_once_main, NULL);
}

/* It may follow what destroy frees: so destroy must wait for it. */
static void traverse_is_over_before_destroy(void **state)
{
	struct box *b = box_new(&slow_type);

	(void)state;
	ouro_gc_collect(2);
	atomic_store(&destroyed_in_it, false);
	pthread_t t = collect_until_in_it();
	assert_true(EVENTUALLY(has_begun));
	ouro_release(b);
	pthread_join(t, NULL);
	assert_int_equal(ouro_flush(), 0);
	assert_true(destroyed);
	assert_false(destroyed_in_it);
}

/* What it is about to report has been released, and is gone: a leaf with a mapping of its own. */
struct blob {
	char first;
	char items[];
};

static const ouro_type blob_type = {
	.name = "blob", .size = offsetof(struct blob, items), .item_size = 1, .flags = OURO_ACYCLIC,
};

static int report_what_is_gone(void *arg)
{
	size_t bytes = *(size_t *)arg;
	struct box *b = box_new(&slow_type);

	REQUIRE(ouro_gc_collect(2) >= 0);
	box_fill(b, 0, ouro_new_items(&blob_type, bytes));
	pthread_t t = collect_until_in_it();
	REQUIRE(EVENTUALLY(has_begun));
	ouro_release(atomic_exchange(&b->item[0], NULL));
	atomic_store(&in_it, false);
	pthread_join(t, NULL);
	ouro_release(b);
	return ouro_shutdown(NULL);
}

static void traverse_may_report_what_is_gone(void **state)
{
	static const size_t sizes[] = { 10, 100000, 40 << 20 };

	(void)state;
	if (TSAN_BUILD)
		skip(); /* no threads in the child of a fork: test_fork.c */
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		child_run(report_what_is_gone, (void *)&sizes[i]);
}

/* ---- what it costs to let candidates go ---- */

static ouro_weak save_cell;
static void *saved; /* kept: what only comes and goes does not save it, linger.c */

static void save_one(const ouro_gc_event *e, void *arg)
{
	(void)arg;
	if (e->phase == OURO_PAUSE_STOP && e->generation == 2 && saved == NULL)
		saved = ouro_weak_load(&save_cell);
}

/*
 * A dead ring of opaque objects, the later made referring to the earlier, of which one is saved
 * after the first stop.
 */
static uint64_t cpu_ns_to_save_a_ring(int n)
{
	struct box *first = box_new(&opaque_type), *last = first;

	for (int i = 1; i < n; i++) {
		struct box *b = box_new(&opaque_type);

		box_fill(last, 0, b);
		last = b;
	}
	ouro_weak_store(&save_cell, first);
	box_fill(last, 0, first);
	assert_int_equal(ouro_gc_on_event(save_one, NULL), 0);
	uint64_t took = cpu_ns();
	assert_int_equal(ouro_gc_collect(2), 0);
	took = cpu_ns() - took;
	assert_int_equal(ouro_gc_off_event(save_one, NULL), 0);
	assert_non_null(saved);
	ouro_release(saved);
	saved = NULL;
	assert_int_equal(ouro_gc_collect(2), n);
	return took;
}

/* Eight times as many take about eight times as long, not sixty-four times. */
static bool is_linear(void)
{
	enum { FEW = 1500, FACTOR = 8 };
	uint64_t few = cpu_ns_to_save_a_ring(FEW), many = cpu_ns_to_save_a_ring(FACTOR * FEW);

	return many <= 3 * FACTOR * few + 20000000;
}

static void traverse_opaque_suspects_are_let_go_in_linear_time(void **state)
{
	(void)state;
	assert_true(IN_ONE_OF_SEVERAL_TRIES(is_linear()));
}

/* ---- a stop that ends early at objects with many references ---- */

struct wide {
	struct wide *slot[15];
	void *item;
};

static void wide_traverse(void *obj, ouro_visitor *v)
{
	ouro_visit(v, ((struct wide *)obj)->item);
}

static void wide_clear(void *obj)
{
	struct wide *w = obj;

	ouro_release(w->item);
	w->item = NULL;
}

static const ouro_type wide_type = {
	.name = "wide", .size = sizeof(struct wide), .slots = OURO_SLOTS(struct wide, slot),
};
static const ouro_type wide_opaque_type = {
	.name = "wide opaque", .size = sizeof(struct wide), .traverse = wide_traverse, .clear = wide_clear,
};

enum { WIDE = 320, MORE = 16 };

/*
 * All in one page: a container that only traverse sees into comes first, one whose references need
 * an exact count comes last, and between them are more references than a stop follows. What is
 * known of the page must not go with the last one.
 */
static void traverse_is_remembered_when_a_stop_ends_early(void **state)
{
	static struct wide *all[WIDE], *more[MORE];
	static ouro_weak cell;
	struct wide *holder = ouro_new(&wide_opaque_type);
	ouro_stats s;

	(void)state;
	holder->item = ouro_new(&wide_type);
	ouro_weak_store(&cell, holder->item);
	for (int i = 0; i < WIDE; i++)
		all[i] = ouro_new(&wide_type);
	for (int i = 0; i < WIDE - 1; i++)
		for (int k = 0; k < 15; k++)
			ouro_store(&all[i]->slot[k], all[WIDE - 1]);
	assert_ptr_equal(oi_page_of(oi_header_of(holder)), oi_page_of(oi_header_of(all[WIDE - 1])));
	assert_true(oi_policy_references() < (WIDE - 20) * 15);
	ouro_gc_enable();
	for (int i = 0; i < MORE; i++)
		more[i] = ouro_new(&wide_type); /* more than a batch */
	assert_true(EVENTUALLY((ouro_stats_get(&s), s.collections[0])));
	ouro_gc_disable();
	for (int i = 0; i < MORE; i++)
		ouro_release(more[i]);
	assert_false(ouro_weak_expired(&cell));
	for (int i = 0; i < WIDE; i++)
		ouro_release(all[i]);
	ouro_release(holder);
	assert_true(ouro_weak_expired(&cell));
	ouro_weak_clear(&cell);
}

/* ---- a stop, and the program's own code ---- */

/* As a program would write it: its words by atomic stores, what they lead to before them. */
struct array {
	void **_Atomic at;
	atomic_size_t n;
};

static atomic_size_t n_half, n_filled;

static void array_traverse(void *obj, ouro_visitor *v)
{
	struct array *a = obj;
	size_t n = atomic_load_explicit(&a->n, memory_order_acquire);
	void **at = atomic_load_explicit(&a->at, memory_order_relaxed);

	atomic_fetch_add(at != NULL && n == 0 ? &n_half : &n_filled, at != NULL);
	for (size_t i = 0; i < n; i++)
		ouro_visit(v, at[i]);
}

static void array_clear(void *obj)
{
	struct array *a = obj;

	for (size_t i = 0, n = atomic_exchange(&a->n, 0); i < n; i++)
		ouro_release(a->at[i]);
}

static void array_destroy(void *obj)
{
	free(((struct array *)obj)->at);
	atomic_fetch_add(&n_destroyed, 1);
}

static const ouro_type array_type = {
	.name = "array", .size = sizeof(struct array),
	.traverse = array_traverse, .clear = array_clear, .destroy = array_destroy,
};

struct filling {
	bool pinned;
	atomic_bool half, go_on;
};

/* Makes an array that refers to itself, and stands in the middle of filling it in. */
static void *fill_in(void *arg)
{
	struct filling *f = arg;
	struct array *a = ouro_new(&array_type);

	if (f->pinned)
		ouro_pin();
	void **at = calloc(1, sizeof *at);
	at[0] = ouro_retain(a);
	atomic_store_explicit(&a->at, at, memory_order_relaxed);
	atomic_store(&f->half, true);
	(void)EVENTUALLY(atomic_load(&f->go_on));
	atomic_store_explicit(&a->n, 1, memory_order_release);
	if (f->pinned)
		ouro_unpin();
	ouro_release(a);
	return NULL;
}

static void *collect_young(void *arg)
{
	ouro_gc_collect(0);
	return arg;
}

static void traverse_in_a_stop_sees_what_is_being_filled_in(void **state)
{
	struct filling f = { .pinned = false };
	pthread_t t = thread_start(fill_in, &f);

	(void)state;
	counters_clear();
	n_half = n_filled = 0;
	assert_true(EVENTUALLY(atomic_load(&f.half)));
	for (int generation = 0; generation <= 2; generation += 2) {
		size_t before = n_half;

		assert_int_equal(ouro_gc_collect(generation), 0);
		assert_true(n_half > before);
	}
	assert_int_equal(n_filled, 0);
	atomic_store(&f.go_on, true);
	pthread_join(t, NULL);
	ouro_gc_collect(2);
	assert_true(n_filled > 0);
	assert_int_equal(n_destroyed, 1);
}

static void traverse_in_a_stop_waits_for_who_fills_in_pinned(void **state)
{
	struct filling f = { .pinned = true };
	pthread_t t = thread_start(fill_in, &f), collector;

	(void)state;
	counters_clear();
	n_half = n_filled = 0;
	assert_true(EVENTUALLY(atomic_load(&f.half)));
	collector = thread_start(collect_young, NULL);
	assert_true(EVENTUALLY(oi_load_acquire(&oi_world.stopping)));
	assert_int_equal(n_half, 0);
	atomic_store(&f.go_on, true);
	pthread_join(t, NULL);
	pthread_join(collector, NULL);
	ouro_gc_collect(2);
	assert_int_equal(n_half, 0);
	assert_true(n_filled > 0);
	assert_int_equal(n_destroyed, 1);
}

static int narrow_setup(void **state)
{
	ouro_config cfg = test_config();

	bare_setup(state);
	cfg.pause_budget_ns = 10000;
	cfg.threshold[0] = 100;
	heap_start(&cfg);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(traverse_all_kinds_are_collected_beside_mutators),
		HEAP_CASE(traverse_flags_are_checked),
		HEAP_CASE(traverse_concurrent_stops_nobody),
		HEAP_CASE(traverse_opaque_needs_stops),
		HEAP_CASE(traverse_opaque_stops_do_not_count_a_list),
		HEAP_CASE(traverse_opaque_bears_uncounted_moves),
		HEAP_CASE(traverse_is_asked_once_in_a_stop),
		HEAP_CASE(traverse_is_over_before_destroy),
		HEAP_CASE(traverse_may_report_what_is_gone),
		HEAP_CASE(traverse_opaque_suspects_are_let_go_in_linear_time),
		HEAP_CASE(traverse_in_a_stop_sees_what_is_being_filled_in),
		HEAP_CASE(traverse_in_a_stop_waits_for_who_fills_in_pinned),
		cmocka_unit_test_setup_teardown(traverse_is_remembered_when_a_stop_ends_early, narrow_setup, heap_teardown),
	};

	return cmocka_run_group_tests_name("traverse", tests, NULL, NULL);
}
