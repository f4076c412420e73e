/*
 * Goal: the listings visit exactly the objects they should, and the dump is a graph that Graphviz
 *       would read.
 * Method: small graphs whose every edge is known; a reader for the dump's lines.
 * A failure would mean: a program that looks for its leaks is shown the wrong objects.
 */
#include "fixture.h"

struct seen {
	void *obj[64];
	size_t n, stop_at;
};

static bool see(void *obj, void *arg)
{
	struct seen *s = arg;

	if (s->n < 64)
		s->obj[s->n] = obj;
	s->n++;
	return s->n != s->stop_at;
}

static bool saw(const struct seen *s, const void *obj)
{
	for (size_t i = 0; i < s->n && i < 64; i++)
		if (s->obj[i] == obj)
			return true;
	return false;
}

static void inspect_objects_visits_all_once(void **state)
{
	struct node *list = make_list(&node_type, 20);
	struct leaf *leaf = leaf_new(1);
	struct seen s = { .n = 0 };

	(void)state;
	assert_int_equal(ouro_gc_objects(-1, see, &s), 20);
	assert_int_equal(s.n, 20);
	assert_false(saw(&s, leaf));
	for (struct node *n = list; n != NULL; n = n->right)
		assert_true(saw(&s, n));
	ouro_release(list);
	ouro_release(leaf);
	s.n = 0;
	assert_int_equal(ouro_gc_objects(-1, see, &s), 0);
	assert_int_equal(s.n, 0);
}

static bool leave(void *obj, void *arg)
{
	(void)obj;
	if (arg != NULL)
		pthread_exit(NULL);
	pthread_cancel(pthread_self());
	pthread_testcancel();
	return true;
}

static void *list_and_leave(void *arg)
{
	ouro_gc_objects(-1, leave, arg);
	return &n_destroyed;
}

static void *garbage_and_leave(void *arg)
{
	ouro_gc_garbage(leave, arg);
	return &n_destroyed;
}

static void assert_left(void *(*fn)(void *), void *arg)
{
	void *result = NULL;
	pthread_t thread = thread_start(fn, arg);

	pthread_join(thread, &result);
	assert_true(result == NULL || result == PTHREAD_CANCELED);
}

/* The listing has a reference to each. */
static void inspect_visitor_that_is_left_keeps_nothing(void **state)
{
	(void)state;
	needs_forced_unwinds();
	for (int how = 0; how < 2; how++) {
		struct node *list = make_list(&counted_type, 20);

		counters_clear();
		assert_left(list_and_leave, how ? &how : NULL);
		assert_int_equal(n_destroyed, 0);
		ouro_release(list);
		assert_int_equal(ouro_flush(), 0);
		assert_int_equal(n_destroyed, 20);
	}
}

static void inspect_garbage_visitor_that_is_left_keeps_nothing(void **state)
{
	(void)state;
	needs_forced_unwinds();
	counters_clear();
	ouro_gc_set_debug(OURO_DEBUG_SAVEALL);
	ouro_release(make_ring(&counted_type, 3));
	assert_int_equal(ouro_gc_collect(2), 3);
	ouro_gc_set_debug(0);
	assert_left(garbage_and_leave, NULL);
	assert_left(garbage_and_leave, state);
	ouro_gc_garbage_clear();
	ouro_gc_collect(2);
	assert_int_equal(n_destroyed, 3);
}

static void inspect_objects_stops_early(void **state)
{
	struct node *list = make_list(&node_type, 20);

	(void)state;
	for (size_t stop = 1; stop < 5; stop++) {
		struct seen s = { .stop_at = stop };

		assert_int_equal(ouro_gc_objects(-1, see, &s), (ssize_t)stop);
		assert_int_equal(s.n, stop);
	}
	ouro_release(list);
}

static void assert_answer(ssize_t answer, int error)
{
	assert_int_equal(answer, -1);
	assert_int_equal(errno, error);
	errno = 0;
}

static void inspect_refuses_bad_arguments(void **state)
{
	struct node *n = make(1);
	struct seen s = { .n = 0 };

	(void)state;
	assert_answer(ouro_gc_objects(-2, see, &s), EINVAL);
	assert_answer(ouro_gc_objects(3, see, &s), EINVAL);
	assert_answer(ouro_gc_objects(0, NULL, &s), EINVAL);
	assert_answer(ouro_gc_referents(NULL, see, &s), EINVAL);
	assert_answer(ouro_gc_referents(n, NULL, &s), EINVAL);
	assert_answer(ouro_gc_referrers(NULL, see, &s), EINVAL);
	assert_answer(ouro_gc_referrers(n, NULL, &s), EINVAL);
	assert_answer(ouro_gc_garbage(NULL, &s), EINVAL);
	assert_int_equal(s.n, 0);
	ouro_release(n);
}

static void inspect_refuses_when_pinned(void **state)
{
	struct node *n = make(1);
	struct seen s = { .n = 0 };

	(void)state;
	ouro_pin();
	assert_answer(ouro_gc_objects(-1, see, &s), EDEADLK);
	assert_answer(ouro_gc_referents(n, see, &s), EDEADLK);
	assert_answer(ouro_gc_referrers(n, see, &s), EDEADLK);
	assert_int_equal(ouro_dump_dot(stdout, n, 10), EDEADLK);
	ouro_unpin();
	assert_int_equal(s.n, 0);
	ouro_release(n);
}

/* ---- referents and referrers, of every kind of reference ---- */

struct mixed {
	struct node *slot;
	struct node *array[2];
	struct leaf *leaf;
	struct node *hidden; /* counted, only traverse knows */
	ouro_weak weak;
	struct node *items[];
};

static void mixed_traverse(void *obj, ouro_visitor *v)
{
	ouro_visit(v, ((struct mixed *)obj)->hidden);
}

static void mixed_clear(void *obj)
{
	struct mixed *m = obj;

	ouro_release(m->hidden);
	m->hidden = NULL;
}

static const ouro_type mixed_type = {
	.name = "mixed", .size = offsetof(struct mixed, items),
	.slots = OURO_SLOTS(struct mixed, slot, array, leaf),
	.weaks = OURO_WEAKS(struct mixed, weak),
	.item_size = sizeof(struct node *), .item_slots = OURO_ITEM_REFS,
	.traverse = mixed_traverse, .clear = mixed_clear,
};

static void inspect_referents_are_all_strong_references(void **state)
{
	struct mixed *m = ouro_new_items(&mixed_type, 3);
	struct node *n[6], *weakly = make(7);
	struct seen s = { .n = 0 };

	(void)state;
	for (int i = 0; i < 6; i++)
		n[i] = make(i);
	assert_int_equal(ouro_gc_referents(m, see, &s), 0);
	ouro_give(&m->slot, n[0]);
	ouro_give(&m->array[0], n[1]);
	ouro_give(&m->array[1], n[2]);
	m->hidden = n[3];
	ouro_give(&m->items[0], n[4]);
	ouro_give(&m->items[2], n[5]);
	ouro_give(&m->leaf, leaf_new(1));
	assert_int_equal(ouro_weak_store(&m->weak, weakly), 0);
	assert_int_equal(ouro_gc_referents(m, see, &s), 7);
	for (int i = 0; i < 6; i++)
		assert_true(saw(&s, n[i]));
	assert_true(saw(&s, m->leaf));
	assert_false(saw(&s, weakly));
	s = (struct seen){ .stop_at = 2 };
	assert_int_equal(ouro_gc_referents(m, see, &s), 2);
	ouro_release(weakly);
	ouro_release(m);
}

static void inspect_referrers_are_all_holders(void **state)
{
	struct node *target = make(1), *a = make(2), *b = make(3), *other = make(4);
	struct mixed *m = ouro_new_items(&mixed_type, 5);
	struct seen s = { .n = 0 };

	(void)state;
	assert_int_equal(ouro_gc_referrers(target, see, &s), 0);
	ouro_store(&a->left, target);
	ouro_store(&b->right, target);
	ouro_store(&m->items[4], target);
	ouro_store(&target->left, other);
	assert_int_equal(ouro_gc_referrers(target, see, &s), 3);
	assert_true(saw(&s, a));
	assert_true(saw(&s, b));
	assert_true(saw(&s, m));
	s = (struct seen){ .n = 0 };
	m->hidden = ouro_retain(other);
	assert_int_equal(ouro_gc_referrers(other, see, &s), 2);
	assert_true(saw(&s, m));
	assert_true(saw(&s, target));
	ouro_release(target);
	ouro_release(a);
	ouro_release(b);
	ouro_release(other);
	ouro_release(m);
}

static void inspect_referrers_of_a_leaf(void **state)
{
	struct mixed *m = ouro_new_items(&mixed_type, 0);
	struct seen s = { .n = 0 };

	(void)state;
	ouro_give(&m->leaf, leaf_new(1));
	assert_int_equal(ouro_gc_referrers(m->leaf, see, &s), 1);
	assert_ptr_equal(s.obj[0], m);
	ouro_release(m);
}

static void inspect_leaves_frozen_objects_out(void **state)
{
	struct node *frozen = make(1), *fresh;
	struct seen s = { .n = 0 };

	(void)state;
	ouro_gc_freeze();
	fresh = make(2);
	ouro_store(&frozen->left, fresh);
	ouro_store(&fresh->left, frozen);
	assert_int_equal(ouro_gc_objects(-1, see, &s), 1);
	assert_ptr_equal(s.obj[0], fresh);
	assert_int_equal(ouro_gc_referrers(fresh, see, &s), 0);
	assert_int_equal(ouro_gc_referents(fresh, see, &s), 0);
	ouro_gc_unfreeze();
	assert_int_equal(ouro_gc_referrers(fresh, see, &s), 1);
	assert_int_equal(ouro_gc_referents(fresh, see, &s), 1);
	ouro_release(fresh);
	ouro_release(frozen);
	assert_int_equal(ouro_gc_collect(2), 2);
}

/* ---- a visitor may retain, use the library, and keep what it was shown ---- */

static bool keep(void *obj, void *arg)
{
	struct seen *s = arg;

	s->obj[s->n++] = ouro_retain(obj);
	ouro_release(make_pair(&node_type, 5));
	return s->n < 8;
}

static void inspect_visitor_may_use_the_library(void **state)
{
	struct node *list = make_list(&counted_type, 8);
	struct seen s = { .n = 0 };

	(void)state;
	counters_clear();
	assert_int_equal(ouro_gc_objects(0, keep, &s), 8);
	ouro_release(list);
	assert_int_equal(n_destroyed, 0);
	for (size_t i = 0; i < s.n; i++)
		ouro_release(s.obj[i]);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

/* Shown objects are borrowed for the call: released by the visitor itself they die after it. */
static struct node *only_slot;

static bool drop_it(void *obj, void *arg)
{
	ouro_store(&only_slot, NULL);
	*(int *)arg = ((struct node *)obj)->id;
	return true;
}

static void inspect_visited_object_is_borrowed(void **state)
{
	int id = 0;

	(void)state;
	ouro_give(&only_slot, make_of(&loud_type, 12));
	assert_int_equal(ouro_gc_objects(-1, drop_it, &id), 1);
	assert_int_equal(id, 12);
	assert_journal("f12 d12 ");
}

static void *make_and_drop(void *arg)
{
	for (unsigned i = 0; !atomic_load((atomic_bool *)arg); i++) {
		throttle(i);
		ouro_release(make_pair(&node_type, 1));
	}
	return NULL;
}

/* The other thread may still be filling it in: what is not a slot cannot be read. */
static bool look(void *obj, void *arg)
{
	struct node *partner = ouro_load(&((struct node *)obj)->right);

	*(int *)arg += ouro_typeof(obj) != &node_type ||
		       (partner && ouro_typeof(partner) != &node_type);
	ouro_release(partner);
	return true;
}

static void inspect_beside_running_threads(void **state)
{
	atomic_bool stop = false;
	pthread_t t = thread_start(make_and_drop, &stop);
	int wrong = 0;

	(void)state;
	for (int i = 0; i < LOAD(100); i++) {
		assert_true(ouro_gc_objects(-1, look, &wrong) >= 0);
		ouro_gc_collect(2);
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	assert_int_equal(wrong, 0);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

/* ---- the dump ---- */

struct dump {
	char *text;
	size_t size;
	size_t edges, ellipses;
};

static struct dump dump(const void *root, size_t max)
{
	struct dump d = { NULL, 0, 0, 0 };
	FILE *f = open_memstream(&d.text, &d.size);

	assert_int_equal(ouro_dump_dot(f, root, max), 0);
	assert_int_equal(fclose(f), 0);
	for (const char *p = d.text; (p = strstr(p, "->")) != NULL; p += 2)
		d.edges++;
	for (const char *p = d.text; (p = strstr(p, "...")) != NULL; p += 3)
		d.ellipses++;
	return d;
}

/* Braces and brackets balance outside strings, quotes in strings are escaped, it is one digraph. */
static void assert_well_formed(const struct dump *d)
{
	int braces = 0, brackets = 0;
	bool quoted = false;

	assert_int_equal(strncmp(d->text, "digraph", 7), 0);
	for (const char *p = d->text; *p != 0; p++) {
		if (quoted && *p == '\\' && p[1] != 0)
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted) {
			braces += (*p == '{') - (*p == '}');
			brackets += (*p == '[') - (*p == ']');
		}
		assert_true(braces >= 0 && brackets >= 0);
	}
	assert_false(quoted);
	assert_int_equal(braces, 0);
	assert_int_equal(brackets, 0);
	assert_string_equal(d->text + d->size - 2, "}\n");
}

static void inspect_dump_shows_the_graph_below(void **state)
{
	struct node *a = make_pair(&loud_type, 1);
	struct dump d;

	(void)state;
	ouro_give(&a->left, make(3));
	ouro_store(&a->left->left, a->right);
	d = dump(a, 100);
	assert_well_formed(&d);
	assert_non_null(strstr(d.text, "loud"));
	assert_non_null(strstr(d.text, "node"));
	assert_int_equal(d.edges, 4);
	assert_non_null(strstr(d.text, "[label=\"left\"]"));
	assert_non_null(strstr(d.text, "[label=\"right\"]"));
	assert_int_equal(d.ellipses, 0);
	free(d.text);
	ouro_release(a);
	assert_int_equal(ouro_gc_collect(2), 3);
}

static void inspect_dump_shows_leaves_and_items(void **state)
{
	struct mixed *m = ouro_new_items(&mixed_type, 100);
	struct dump d;

	(void)state;
	ouro_give(&m->leaf, leaf_new(1));
	ouro_give(&m->items[99], make(1));
	m->hidden = make(2);
	d = dump(m, 100);
	assert_well_formed(&d);
	assert_non_null(strstr(d.text, "mixed"));
	assert_non_null(strstr(d.text, "leaf"));
	assert_int_equal(d.edges, 3);
	assert_non_null(strstr(d.text, "[label=\"[99]\"]"));
	free(d.text);
	ouro_release(m);
}

static void inspect_dump_is_cut_at_max(void **state)
{
	struct node *list = make_list(&node_type, 100);
	struct dump d = dump(list, 10);

	(void)state;
	assert_well_formed(&d);
	assert_true(d.ellipses > 0);
	assert_true(d.edges <= 10);
	free(d.text);
	d = dump(list, 100);
	assert_int_equal(d.edges, 99);
	assert_int_equal(d.ellipses, 0);
	free(d.text);
	d = dump(list, 0);
	assert_well_formed(&d);
	assert_int_equal(d.edges, 0);
	free(d.text);
	ouro_release(list);
}

static const ouro_type odd_type = {
	.name = "a \"quoted\" \\ {name}\nof two lines", .size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, left, right),
};

static void inspect_dump_escapes_names(void **state)
{
	struct node *n = make_pair(&odd_type, 1);
	struct dump d = dump(n, 10);

	(void)state;
	assert_well_formed(&d);
	assert_int_equal(d.edges, 2);
	free(d.text);
	ouro_release(n);
	assert_int_equal(ouro_gc_collect(2), 2);
}

static void inspect_dump_refuses_null(void **state)
{
	struct node *n = make(1);

	(void)state;
	assert_int_equal(ouro_dump_dot(NULL, n, 10), EINVAL);
	assert_int_equal(ouro_dump_dot(stdout, NULL, 10), EINVAL);
	ouro_release(n);
}

static void inspect_dump_says_when_writing_fails(void **state)
{
	struct node *list = make_list(&node_type, 10000);
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	assert_int_equal(ouro_dump_dot(full, list, SIZE_MAX), ENOSPC);
	fclose(full);
	ouro_release(list);
}

/* A deep list is dumped without recursion. */
static void *dump_deep_list(void *arg)
{
	struct node *list = make_list(&node_type, LOAD(100000));
	struct dump d = dump(list, SIZE_MAX);

	*(size_t *)arg = d.edges;
	free(d.text);
	ouro_release(list);
	ouro_flush();
	return NULL;
}

static void inspect_dump_of_a_deep_list_needs_little_stack(void **state)
{
	size_t edges = 0;

	(void)state;
	thread_run_on_small_stack(dump_deep_list, &edges);
	assert_int_equal(edges, LOAD(100000) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(inspect_objects_visits_all_once),
		HEAP_CASE(inspect_objects_stops_early),
		HEAP_CASE(inspect_visitor_that_is_left_keeps_nothing),
		HEAP_CASE(inspect_garbage_visitor_that_is_left_keeps_nothing),
		HEAP_CASE(inspect_refuses_bad_arguments),
		HEAP_CASE(inspect_refuses_when_pinned),
		HEAP_CASE(inspect_referents_are_all_strong_references),
		HEAP_CASE(inspect_referrers_are_all_holders),
		HEAP_CASE(inspect_referrers_of_a_leaf),
		HEAP_CASE(inspect_leaves_frozen_objects_out),
		HEAP_CASE(inspect_visitor_may_use_the_library),
		HEAP_CASE(inspect_visited_object_is_borrowed),
		HEAP_CASE(inspect_beside_running_threads),
		HEAP_CASE(inspect_dump_shows_the_graph_below),
		HEAP_CASE(inspect_dump_shows_leaves_and_items),
		HEAP_CASE(inspect_dump_is_cut_at_max),
		HEAP_CASE(inspect_dump_escapes_names),
		HEAP_CASE(inspect_dump_refuses_null),
		HEAP_CASE(inspect_dump_says_when_writing_fails),
		HEAP_CASE(inspect_dump_of_a_deep_list_needs_little_stack),
	};

	return cmocka_run_group_tests_name("inspect", tests, NULL, NULL);
}
