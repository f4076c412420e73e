/*
 * Goal: ouro_gc_path shows a shortest path of holders, with names of slots, that is there.
 * Method: small graphs whose paths are known, as text; changes between picture and second look.
 * A failure would mean: who asks why an object is alive is sent to the wrong holder.
 */
#include "fixture.h"

#include <sys/mman.h>

#include "base/perturb.h"
#include "inspect/picture.h"
#include "world/world.h"

/* ---- a path as text: "1+1.left 2.right 3": 1 has a reference of the program's ---- */

static bool write_step(const ouro_path_step *step, void *arg)
{
	const ouro_type *type = ouro_typeof(step->obj);
	struct book *b = arg;
	char text[300];
	int n;

	if (type->size == node_type.size)
		n = snprintf(text, sizeof(text), "%d", ((struct node *)step->obj)->id);
	else
		n = snprintf(text, sizeof(text), "%s", type->name);
	if (step->references == SIZE_MAX)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "!");
	else if (step->outside != 0)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "+%zu", step->outside);
	if (step->frozen)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "*");
	if (step->slot[0] != 0)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%s",
			      step->slot[0] == '[' ? "" : ".", step->slot);
	snprintf(text + n, sizeof(text) - (size_t)n, " ");
	book_add(b, text);
	return true;
}

static struct book path = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void assert_path(void *obj, const char *expected)
{
	ssize_t n, words = 0;

	book_clear(&path);
	n = ouro_gc_path(obj, write_step, &path);
	for (const char *p = path.text; *p != 0; p++)
		words += *p == ' ';
	assert_string_equal(path.text, expected);
	assert_int_equal(n, words);
}

static void path_names_the_slots(void **state)
{
	struct node *a = make(1), *b = make(2), *c = make(3);

	(void)state;
	ouro_store(&a->left, b);
	ouro_store(&b->right, c);
	assert_path(c, "2+1.right 3+1 ");
	ouro_release(b);
	assert_path(c, "1+1.left 2.right 3+1 ");
	ouro_release(c);
	assert_path(c, "1+1.left 2.right 3 ");
	ouro_release(a);
}

static void path_is_a_shortest_one(void **state)
{
	struct node *list = make_list(&node_type, 10), *last = list, *near = make(77);

	(void)state;
	while (last->right != NULL)
		last = last->right;
	ouro_store(&near->left, last);
	assert_path(last, "77+1.left 0 ");
	ouro_store(&near->left, NULL);
	assert_path(last, "9+1.right 8.right 7.right 6.right 5.right 4.right 3.right 2.right "
			  "1.right 0 ");
	ouro_release(near);
	ouro_release(list);
}

/* What it refers to itself does not count: it would die with it. */
static void path_of_what_only_the_program_holds_is_itself(void **state)
{
	struct node *one = make(1), *ring = make_ring(&node_type, 5);

	(void)state;
	assert_path(one, "1+1 ");
	ouro_retain(one);
	assert_path(one, "1+2 ");
	ouro_release(one);
	ouro_release(one);
	assert_path(ring, "0+1 ");
	assert_path(ring->right, "0+1.right 1 ");
	ouro_release(ring);
	ouro_gc_collect(2);
}

static struct node *global;

static void path_begins_at_globals_and_immortals(void **state)
{
	struct node *a = make(1), *b = make(2);

	(void)state;
	ouro_store(&a->left, b);
	ouro_release(b);
	ouro_give(&global, a);
	assert_path(b, "1+1.left 2 ");
	ouro_gc_freeze();
	assert_path(b, "1+1*.left 2* ");
	ouro_gc_unfreeze();
	ouro_immortalize(a);
	assert_path(b, "1!.left 2 ");
	assert_path(a, "1! ");
	ouro_store(&global, NULL);
	assert_path(b, "1!.left 2 ");
	ouro_shutdown(NULL);
}

/* ---- other types ---- */

struct pair {
	uint64_t number;
	struct node *key, *value;
};

struct table {
	struct node *first[3];
	struct pair pairs[];
};

static const ouro_type table_type = {
	.name = "table", .size = offsetof(struct table, pairs),
	.slots = OURO_SLOTS(struct table, first),
	.item_size = sizeof(struct pair), .item_slots = OURO_ITEM_SLOTS(struct pair, key, value),
};

struct list {
	uint64_t unused;
	void *item[];
};

static const ouro_type list_type = {
	.name = "list", .size = offsetof(struct list, item), .item_size = sizeof(void *),
	.item_slots = OURO_ITEM_REFS,
};

static void path_names_items(void **state)
{
	struct table *t = ouro_new_items(&table_type, 4);
	struct list *l = ouro_new_items(&list_type, 9);
	struct node *n = make(5);

	(void)state;
	ouro_store(&t->first[2], n);
	assert_path(n, "table+1.first[2] 5+1 ");
	ouro_store(&t->first[2], NULL);
	ouro_store(&t->pairs[3].value, n);
	assert_path(n, "table+1[3].value 5+1 ");
	ouro_store(&t->pairs[3].value, NULL);
	ouro_slot_store(&l->item[8], n);
	assert_path(n, "list+1[8] 5+1 ");
	ouro_release(n);
	ouro_release(l);
	ouro_release(t);
}

/* More than is looked at in one stop. */
static void path_goes_through_large_objects(void **state)
{
	size_t n_items = LOAD(300000);
	struct list *l = ouro_new_items(&list_type, n_items);
	struct list *small = ouro_new_items(&list_type, 4);
	struct node *n = make(5), *other = make(6);
	char expected[100];

	(void)state;
	for (size_t i = 0; i < n_items - 1; i++)
		ouro_slot_store(&l->item[i], other);
	ouro_slot_store(&l->item[n_items - 1], n);
	snprintf(expected, sizeof(expected), "list+1[%zu] 5+1 ", n_items - 1);
	assert_path(n, expected);
	assert_path(other, "list+1[0] 6+1 ");
	ouro_release(other);
	ouro_release(n);
	ouro_release(l);
	ouro_release(small);
}

static struct node *told[3];

static void tell(void *obj, ouro_visitor *v)
{
	(void)obj;
	for (int i = 0; i < 3; i++)
		if (told[i] != NULL)
			ouro_visit(v, told[i]);
}

static void drop_told(void *obj)
{
	(void)obj;
	for (int i = 0; i < 3; i++) {
		ouro_release(told[i]);
		told[i] = NULL;
	}
}

static const ouro_type teller_type = {
	.name = "teller", .size = 200, .traverse = tell, .clear = drop_told,
};

static void path_follows_traverse(void **state)
{
	void *t = ouro_new(&teller_type);

	(void)state;
	for (int i = 0; i < 3; i++)
		told[i] = make(i);
	assert_path(told[1], "teller+1 1 ");
	ouro_release(t);
}

struct keyed {
	void *values;
	struct node *link;
};

static const ouro_type keyed_type = {
	.name = "keyed", .size = sizeof(struct keyed), .flags = OURO_KEY,
	.slots = OURO_SLOTS(struct keyed, values, link),
};

/* A vector is one step, the index the name of the slot, however its elements are kept. */
static void path_through_a_vector_names_the_index(void **state)
{
	static const size_t near_edges[] = { 0, 15, 16, 17, 31, 1023, 1024, 2047, 2048, 3071, 3072,
					     4095, 4096, 4999 };
	ouro_vec *v = ouro_vec_new(0);
	struct node *filler = make(1);
	char expected[60];

	(void)state;
	for (int i = 0; i < 5000; i++)
		assert_int_equal(ouro_vec_push(v, filler, NULL), 0);
	for (size_t i = 0; i < sizeof(near_edges) / sizeof(near_edges[0]); i++) {
		struct node *n = make(5);

		assert_int_equal(ouro_vec_set(v, near_edges[i], n), 0);
		snprintf(expected, sizeof(expected), "ouro_vec+1[%zu] 5+1 ", near_edges[i]);
		assert_path(n, expected);
		ouro_release(n);
	}
	ouro_release(v);
	ouro_release(filler);
}

/* What leads to a value is its key, not the map; nor what the map is made of. */
static void path_through_a_key_names_its_slot(void **state)
{
	ouro_key_map *one = ouro_key_map_new(), *two = ouro_key_map_new();
	struct keyed *k = ouro_new(&keyed_type);
	struct node *a = make(1), *b = make(2);

	(void)state;
	assert_int_equal(ouro_key_map_put(one, k, a), 0);
	assert_path(a, "keyed+1.values[0] 1+1 ");
	assert_int_equal(ouro_key_map_put(two, k, b), 0);
	assert_path(b, "keyed+1.values[1] 2+1 ");
	ouro_release(k);
	ouro_release(a);
	ouro_release(b);
	ouro_release(one);
	ouro_release(two);
}

/* Returns how many objects of the type there are that are no parts of others. */
static int n_whole(const char *type)
{
	struct oi_picture p = { .n = 0 };
	int n = 0;

	assert_true(oi_picture_take(&p, false));
	for (uint64_t i = 0; i < p.n; i++) {
		const struct oi_seen *s = oi_picture_seen(&p, i);

		n += !(s->flags & OI_SEEN_PART) && strcmp(oi_picture_type(s)->name, type) == 0;
	}
	oi_picture_free(&p);
	return n;
}

/* What containers have inside, maps of their own included, the program does not know. */
static void path_begins_at_no_part_of_a_container(void **state)
{
	ouro_weak_map *weak = ouro_weak_map_new();
	ouro_key_map *keys = ouro_key_map_new();
	ouro_map *m = ouro_map_new();

	(void)state;
	assert_int_equal(n_whole("ouro_weak_map"), 1);
	assert_int_equal(n_whole("ouro_key_map"), 1);
	assert_int_equal(n_whole("ouro_map"), 1);
	ouro_map *keeper = ouro_map_new_with(&(ouro_map_options){ .keeps = m });
	assert_int_equal(n_whole("ouro_map"), 2);
	assert_path(m, "ouro_map+1.keeps ouro_map+1 ");
	ouro_release(keeper);
	ouro_release(weak);
	ouro_release(keys);
	ouro_release(m);
}

static void assert_through_key(ouro_map *m, struct node *n, const char *key, const char *expected)
{
	assert_int_equal(ouro_map_put(m, key, strlen(key), n), 0);
	assert_path(n, expected);
	assert_true(ouro_map_remove(m, key, strlen(key)));
}

/* A map is one step, its key the name of the slot. */
static void path_through_a_map_names_the_key(void **state)
{
	ouro_map *m = ouro_map_new();
	struct node *n = make(5);
	char longest[200], cut[200];

	(void)state;
	assert_through_key(m, n, "name", "ouro_map+1[\"name\"] 5+1 ");
	assert_through_key(m, n, "", "ouro_map+1[\"\"] 5+1 ");
	assert_through_key(m, n, "a\"\\\xff\n", "ouro_map+1[\"a\\x22\\x5c\\xff\\x0a\"] 5+1 ");
	snprintf(longest, sizeof(longest), "%0150d", 7);
	snprintf(cut, sizeof(cut), "ouro_map+1[\"%.69s\"...] 5+1 ", longest);
	assert_through_key(m, n, longest, cut);
	assert_int_equal(ouro_map_put_int(m, UINT64_MAX, n), 0);
	assert_path(n, "ouro_map+1[18446744073709551615] 5+1 ");
	ouro_map_clear(m);
	for (uint64_t i = 0; i < 5000; i++)
		assert_int_equal(ouro_map_put_int(m, i, n), 0);
	struct node *late = make(6);
	assert_int_equal(ouro_map_put_int(m, 4321, late), 0);
	assert_path(late, "ouro_map+1[4321] 6+1 ");
	ouro_vec *v = ouro_vec_new(0);
	struct node *deep = make(7);
	assert_int_equal(ouro_vec_push(v, deep, NULL), 0);
	assert_int_equal(ouro_map_put_int(m, 8, v), 0);
	ouro_release(v);
	assert_path(deep, "ouro_map+1[8] ouro_vec[0] 7+1 ");
	ouro_release(deep);
	ouro_release(late);
	ouro_release(m);
	m = ouro_map_new_with(&(ouro_map_options){ .ttl_ns = OURO_MAP_FOR_EVER });
	assert_through_key(m, n, "session", "ouro_map+1[\"session\"] 5+1 ");
	ouro_release(n);
	ouro_release(m);
}

/* ---- answers ---- */

static bool never(const ouro_path_step *step, void *arg)
{
	(void)step;
	(void)arg;
	abort();
}

static void assert_answer(ssize_t answer, int error)
{
	assert_int_equal(answer, -1);
	assert_int_equal(errno, error);
	errno = 0;
}

static void path_answers_as_the_header_says(void **state)
{
	struct node *n = make(1);

	(void)state;
	assert_answer(ouro_gc_path(NULL, never, NULL), EINVAL);
	assert_answer(ouro_gc_path(n, NULL, NULL), EINVAL);
	ouro_pin();
	assert_answer(ouro_gc_path(n, never, NULL), EDEADLK);
	ouro_unpin();
	ouro_release(n);
}

static bool stop_at_two(const ouro_path_step *step, void *arg)
{
	(void)step;
	return ++*(int *)arg < 2;
}

static void path_stops_early(void **state)
{
	struct node *list = make_list(&node_type, 10), *last = list;
	int n = 0;

	(void)state;
	while (last->right != NULL)
		last = last->right;
	assert_int_equal(ouro_gc_path(last, stop_at_two, &n), 2);
	assert_int_equal(n, 2);
	ouro_release(list);
}

static bool leave(const ouro_path_step *step, void *arg)
{
	(void)arg;
	if (((struct node *)step->obj)->id == 5)
		pthread_exit(NULL);
	return true;
}

static void *path_and_leave(void *arg)
{
	ouro_gc_path(arg, leave, NULL);
	return arg;
}

static void path_visitor_that_is_left_keeps_nothing(void **state)
{
	void *result = &n_destroyed;

	(void)state;
	needs_forced_unwinds();
	struct node *list = make_list(&counted_type, 10), *last = list;
	counters_clear();
	while (last->right != NULL)
		last = last->right;
	pthread_join(thread_start(path_and_leave, last), &result);
	assert_null(result);
	assert_int_equal(n_destroyed, 0);
	ouro_release(list);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, 10);
}

static ssize_t path_in_finalizer;

static void ask_for_itself(void *obj)
{
	path_in_finalizer = ouro_gc_path(obj, write_step, &path);
}

static const ouro_type asking_type = {
	.name = "asking", .size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, left, right),
	.finalize = ask_for_itself,
};

static void path_of_a_dying_object_is_itself(void **state)
{
	(void)state;
	book_clear(&path);
	ouro_release(make_of(&asking_type, 3));
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(path_in_finalizer, 1);
	assert_string_equal(path.text, "3 ");
}

static void path_without_memory_answers_enomem(void **state)
{
#if OURO_CHECKED
	struct node *list = make_list(&node_type, 100), *last = list;
	unsigned long n = 1;
	ssize_t answer;

	(void)state;
	while (last->right != NULL)
		last = last->right;
	for (;; n++) {
		book_clear(&path);
		oi_fail_arm(OI_FAIL_ALLOC, n, false);
		answer = ouro_gc_path(last, write_step, &path);
		unsigned long failed = oi_fail_failed(OI_FAIL_ALLOC);
		oi_fail_arm(OI_FAIL_ALLOC, 0, false);
		if (answer == 100 && !failed)
			break;
		if (answer != 100)
			assert_answer(answer, ENOMEM);
	}
	assert_true(n > 6);
	ouro_release(list);
#else
	(void)state;
	skip();
#endif
}

/* ---- what changes between the picture and the second look ---- */

#if OURO_CHECKED
static struct node *first, *second;
static void *held_by_a_huge_one;
static int n_pictures, changes;

static void move_on(const char *point)
{
	if (strcmp(point, "path: picture") != 0)
		return;
	n_pictures++;
	if (changes-- <= 0)
		return;
	struct node *x = first->left ? ouro_take(&first->left) : ouro_take(&second->left);
	ouro_give(n_pictures % 2 ? &second->left : &first->left, x);
}

static void path_that_changed_is_looked_for_again(void **state)
{
	struct node *x = make(3);

	(void)state;
	first = make(1);
	second = make(2);
	ouro_store(&first->left, x);
	oi_point_hook = move_on;
	changes = 1;
	n_pictures = 0;
	assert_path(x, "2+1.left 3+1 ");
	assert_int_equal(n_pictures, 2);
	changes = 2;
	n_pictures = 1;
	assert_path(x, "2+1.left 3+1 ");
	assert_int_equal(n_pictures, 4);
	n_pictures = 1;
	changes = 100;
	assert_answer(ouro_gc_path(x, never, NULL), EAGAIN);
	assert_int_equal(n_pictures, 5);
	oi_point_hook = NULL;
	ouro_release(x);
	ouro_release(first);
	ouro_release(second);
}

static void drop_holders(const char *point)
{
	if (strcmp(point, "path: picture") != 0)
		return;
	void *page = (void *)((uintptr_t)held_by_a_huge_one & ~(uintptr_t)65535);
	n_pictures++;
	ouro_release(first);
	ouro_release(held_by_a_huge_one);
	first = held_by_a_huge_one = NULL;
	ouro_flush();
	/* for a while: something else may come to lie there */
	for (int i = 0; i < 1000 && msync(page, 4096, MS_ASYNC) == 0; i++)
		sleep_ms(1);
}

/* Another one of the same picture takes its place, also when the memory is gone. */
static void path_leaves_out_holders_that_are_gone(void **state)
{
	struct node *x = make(3), *middle = make(4);
	struct list *huge = ouro_new_items(&list_type, (size_t)5 << 20);

	(void)state;
	first = make(1);
	second = make(2);
	ouro_store(&first->left, x);
	ouro_slot_store(&huge->item[7], x);
	held_by_a_huge_one = huge;
	ouro_store(&middle->right, x);
	ouro_store(&second->left, middle);
	ouro_release(middle);
	n_pictures = 0;
	oi_point_hook = drop_holders;
	assert_path(x, "2+1.left 4.right 3+1 ");
	oi_point_hook = NULL;
	assert_int_equal(n_pictures, 1);
	ouro_release(x);
	ouro_release(second);
}
#endif

/* ---- beside threads ---- */

static struct node *stage[2];
static atomic_bool over;

static void *swap_holders(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !atomic_load(&over); i++) {
		struct node *x = ouro_load(&stage[0]->left), *made = make(50);

		ouro_store(&made->left, x);
		ouro_give(&stage[i % 2]->right, made);
		ouro_release(x);
		throttle(i);
	}
	return NULL;
}

static void path_is_right_beside_threads(void **state)
{
	struct node *x = make(3);
	pthread_t t[2];

	(void)state;
	stage[0] = make(1);
	stage[1] = make(2);
	ouro_store(&stage[0]->left, x);
	atomic_store(&over, false);
	for (int i = 0; i < 2; i++)
		t[i] = thread_start(swap_holders, NULL);
	for (int i = 0; i < 40; i++) {
		book_clear(&path);
		assert_in_range(ouro_gc_path(x, write_step, &path), 2, 4);
		assert_non_null(strstr(path.text, ".left 3"));
	}
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	ouro_release(x);
	ouro_release(stage[0]);
	ouro_release(stage[1]);
}

/* ---- the picture ---- */

/* Counted, not timed: so many objects can only be looked at in so many stops. */
static void picture_looks_at_few_objects_in_a_stop(void **state)
{
	size_t n = 20 * OI_PICTURE_OBJECTS;
	struct node *list = make_list(&node_type, n);
	struct oi_picture p = { .n = 0 };
	uint64_t before = oi_world.n_stops;

	(void)state;
	assert_true(oi_picture_take(&p, false));
	assert_true(p.n >= n);
	assert_true(p.stops >= 20);
	assert_true(oi_world.n_stops - before >= p.stops);
	assert_int_not_equal(oi_picture_find(&p, list), OI_NOBODY);
	for (uint64_t i = 1; i < p.n; i++)
		assert_true(oi_picture_seen(&p, i - 1)->header < oi_picture_seen(&p, i)->header);
	oi_picture_free(&p);
	ouro_release(list);
}

/* A large object's references, too. */
static void picture_looks_at_few_references_in_a_stop(void **state)
{
	struct list *l = ouro_new_items(&list_type, 100000);
	struct oi_picture p = { .n = 0 };

	(void)state;
	for (size_t i = 0; i < 100000; i++)
		ouro_slot_store(&l->item[i], l);
	assert_true(oi_picture_take(&p, false));
	assert_true(p.stops >= 100000 / 16384);
	const struct oi_seen *s = oi_picture_seen(&p, oi_picture_find(&p, l));
	assert_int_equal(s->n_edges, 100000);
	assert_int_equal(s->held, 100000);
	assert_int_equal(oi_picture_outside(s), 1);
	oi_picture_free(&p);
	for (size_t i = 0; i < 100000; i++)
		ouro_slot_store(&l->item[i], NULL);
	ouro_release(l);
}

struct wide {
	struct node *n[40000];
};

static const ouro_type wide_type = {
	.name = "wide", .size = sizeof(struct wide), .slots = OURO_SLOTS(struct wide, n),
};

/* More than there is room for; after others, and before. */
static void picture_has_all_of_a_wide_object(void **state)
{
	struct node *n = make(1), *list = make_list(&node_type, 100);
	struct wide *w = ouro_new(&wide_type);
	struct oi_picture p = { .n = 0 };

	(void)state;
	for (size_t i = 0; i < 40000; i++)
		ouro_store(&w->n[i], n);
	assert_true(oi_picture_take(&p, true));
	assert_int_equal(oi_picture_seen(&p, oi_picture_find(&p, w))->n_edges, 40000);
	assert_int_equal(oi_picture_seen(&p, oi_picture_find(&p, n))->held, 40000);
	oi_picture_free(&p);
	assert_path(n, "wide+1.n[0] 1+1 ");
	ouro_release(w);
	ouro_release(n);
	ouro_release(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(path_names_the_slots),
		HEAP_CASE(path_is_a_shortest_one),
		HEAP_CASE(path_of_what_only_the_program_holds_is_itself),
		HEAP_CASE(path_begins_at_globals_and_immortals),
		HEAP_CASE(path_names_items),
		HEAP_CASE(path_goes_through_large_objects),
		HEAP_CASE(path_follows_traverse),
		HEAP_CASE(path_through_a_map_names_the_key),
		HEAP_CASE(path_through_a_vector_names_the_index),
		HEAP_CASE(path_through_a_key_names_its_slot),
		HEAP_CASE(path_begins_at_no_part_of_a_container),
		HEAP_CASE(path_answers_as_the_header_says),
		HEAP_CASE(path_stops_early),
		HEAP_CASE(path_visitor_that_is_left_keeps_nothing),
		HEAP_CASE(path_of_a_dying_object_is_itself),
		HEAP_CASE(path_without_memory_answers_enomem),
#if OURO_CHECKED
		HEAP_CASE(path_that_changed_is_looked_for_again),
		HEAP_CASE(path_leaves_out_holders_that_are_gone),
#endif
		HEAP_CASE(path_is_right_beside_threads),
		HEAP_CASE(picture_looks_at_few_objects_in_a_stop),
		HEAP_CASE(picture_looks_at_few_references_in_a_stop),
		HEAP_CASE(picture_has_all_of_a_wide_object),
	};

	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
