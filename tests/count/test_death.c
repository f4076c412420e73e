/*
 * Goal: a death goes through its steps in order, with a small stack however deep, with a bounded
 * delay.
 * Method: types that note every step; lists of a million on a 64 KiB stack; small release batches.
 * A failure would mean: crashes on long lists, a caller held up for seconds, clean-up in the wrong
 * order.
 */
#include "fixture.h"

/* A type with everything: slots, traverse and clear for one more child, a finalizer and destroy. */
struct full {
	struct full *child;
	struct full **hidden; /* malloc'ed: one counted reference that only traverse knows */
	ouro_weak weak;
	int id;
};

static void full_traverse(void *obj, ouro_visitor *v)
{
	struct full *f = obj;

	if (f->hidden != NULL)
		ouro_visit(v, *f->hidden);
}

static void full_clear(void *obj)
{
	struct full *f = obj;

	note('c', f->id);
	if (f->hidden != NULL) {
		ouro_release(*f->hidden);
		*f->hidden = NULL;
	}
}

static void full_finalize(void *obj)
{
	note('f', ((struct full *)obj)->id);
}

static void full_destroy(void *obj)
{
	struct full *f = obj;

	note('d', f->id);
	free(f->hidden);
}

static const ouro_type full_type = {
	.name = "full", .size = sizeof(struct full),
	.slots = OURO_SLOTS(struct full, child), .weaks = OURO_WEAKS(struct full, weak),
	.traverse = full_traverse, .clear = full_clear, .finalize = full_finalize, .destroy = full_destroy,
};

static struct full *full_new(int id)
{
	struct full *f = ouro_new(&full_type);

	assert_non_null(f);
	f->id = id;
	f->hidden = calloc(1, sizeof(*f->hidden));
	return f;
}

static ouro_weak global_cell;

static void watch_note(void *arg)
{
	note(ouro_weak_expired(&global_cell) ? 'w' : 'x', (int)(intptr_t)arg);
}

static void death_goes_in_order(void **state)
{
	struct full *f = full_new(1);

	(void)state;
	ouro_give(&f->child, full_new(2));
	*f->hidden = full_new(3);
	assert_int_equal(ouro_weak_store(&global_cell, f), 0);
	assert_int_equal(ouro_watch(f, watch_note, (void *)1, NULL), 0);
	ouro_release(f);
	assert_before("w1 ", "f1 ");
	assert_before("f1 ", "f2 ");
	assert_before("f1 ", "c1 ");
	assert_before("c1 ", "d1 ");
	assert_before("c1 ", "f3 ");
	for (const char *p = "wfcd"; *p != 0; p++)
		assert_noted((char[]){ *p, 0 }, *p == 'w' ? 1 : 3);
	ouro_weak_clear(&global_cell);
}

static void death_in_a_cycle_goes_in_order(void **state)
{
	struct full *a = full_new(1), *b = full_new(2);

	(void)state;
	ouro_store(&a->child, b);
	*b->hidden = ouro_retain(a);
	*a->hidden = full_new(3);
	assert_int_equal(ouro_weak_store(&global_cell, b), 0);
	assert_int_equal(ouro_watch(a, watch_note, (void *)1, NULL), 0);
	ouro_release(a);
	ouro_release(b);
	assert_journal("");
	assert_int_equal(ouro_gc_collect(2), 3);
	assert_before("w1 ", "f1 ");
	for (const char *p = "123"; *p != 0; p++) {
		assert_before((char[]){ 'f', *p, ' ', 0 }, (char[]){ 'c', *p, ' ', 0 });
		assert_before((char[]){ 'c', *p, ' ', 0 }, (char[]){ 'd', *p, ' ', 0 });
	}
	assert_before("f2 ", "c1 ");
	assert_before("f1 ", "c2 ");
	for (const char *p = "fcd"; *p != 0; p++)
		assert_noted((char[]){ *p, 0 }, 3);
	ouro_weak_clear(&global_cell);
}

static void death_reaches_hidden_children_by_count(void **state)
{
	struct full *f = full_new(1);

	(void)state;
	*f->hidden = full_new(2);
	*(*f->hidden)->hidden = full_new(3);
	ouro_release(f);
	assert_noted("d", 3);
	assert_true(EVENTUALLY(objects_live() == 0));
}

/* Have all been destroyed by this thread when the release returns? */
static bool list_dies_at_once(size_t n)
{
	counters_clear();
	here = true;
	ouro_release(make_list(&counted_type, n));
	here = false;
	bool at_once = n_destroyed_here == n && n_destroyed == n && objects_live() == 0;
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, n);
	assert_int_equal(objects_live(), 0);
	return at_once;
}

/*
 * The release that drops the last reference returns after the death of everything that goes with
 * it, unless its thread loses its processor inside a callback for so long that others see to it.
 */
static void death_is_over_when_release_returns(void **state)
{
	(void)state;
	assert_true(EVENTUALLY(list_dies_at_once(5000)));
}

static void death_spares_shared_children(void **state)
{
	struct node *a = make_of(&loud_type, 1), *b = make_of(&loud_type, 2);
	struct node *shared = make_of(&loud_type, 3);

	(void)state;
	ouro_store(&a->left, shared);
	ouro_store(&a->right, shared);
	ouro_store(&b->left, shared);
	assert_int_equal(ouro_refcount(shared), 4);
	ouro_release(a);
	assert_int_equal(ouro_refcount(shared), 2);
	ouro_release(shared);
	assert_noted("d3 ", 0);
	ouro_release(b);
	assert_noted("d3 ", 1);
}

/* ---- deep and wide structures on a small stack ---- */

static void *release_deep_list(void *arg)
{
	const ouro_type *type = arg;
	struct node *head = make_list(type, LOAD(1000000));

	ouro_release(head);
	return NULL;
}

static void death_of_a_deep_list_needs_little_stack(void **state)
{
	(void)state;
	counters_clear();
	thread_run_on_small_stack(release_deep_list, (void *)&counted_type);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, LOAD(1000000));
	assert_int_equal(objects_live(), 0);
	thread_run_on_small_stack(release_deep_list, (void *)&node_type);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

static void death_of_a_deep_list_without_hand_over(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	cfg.release_batch = SIZE_MAX;
	heap_start(&cfg);
	counters_clear();
	thread_run_on_small_stack(release_deep_list, (void *)&counted_type);
	assert_int_equal(ouro_flush(), 0); /* the tick hands on what waits behind a callback that has been preempted for a tick */
	assert_int_equal(n_destroyed, LOAD(1000000));
	assert_int_equal(objects_live(), 0);
}

/* A list through hidden references: each clear releases the next one. */
static void *release_hidden_list(void *arg)
{
	struct full *head = NULL;

	for (int i = 0; i < LOAD(200000); i++) {
		struct full *next = arg;

		next = ouro_new(&full_type);
		next->hidden = calloc(1, sizeof(*next->hidden));
		*next->hidden = head;
		head = next;
	}
	ouro_release(head);
	return NULL;
}

static void death_by_clear_needs_little_stack(void **state)
{
	(void)state;
	thread_run_on_small_stack(release_hidden_list, NULL);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

/* A list whose destroy and finalizer release the next one by hand. */
struct link {
	void *next;
	bool in_finalizer;
};

static void link_finalize(void *obj)
{
	struct link *l = obj;

	atomic_fetch_add(&n_finalized, 1);
	if (l->in_finalizer) {
		ouro_release(l->next);
		l->next = NULL;
	}
}

static void link_destroy(void *obj)
{
	struct link *l = obj;

	atomic_fetch_add(&n_destroyed, 1);
	ouro_release(l->next);
}

static const ouro_type link_type = {
	.name = "link", .size = sizeof(struct link), .finalize = link_finalize, .destroy = link_destroy,
	.flags = OURO_ACYCLIC,
};

static void *release_links(void *arg)
{
	struct link *head = NULL;

	for (int i = 0; i < LOAD(200000); i++) {
		struct link *next = ouro_new(&link_type);

		next->next = head;
		next->in_finalizer = arg != NULL;
		head = next;
	}
	ouro_release(head);
	return NULL;
}

static void death_by_destroy_needs_little_stack(void **state)
{
	(void)state;
	counters_clear();
	thread_run_on_small_stack(release_links, NULL);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, LOAD(200000));
	assert_int_equal(n_finalized, LOAD(200000));
}

static void death_by_finalizer_needs_little_stack(void **state)
{
	(void)state;
	counters_clear();
	thread_run_on_small_stack(release_links, (void *)1);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, LOAD(200000));
	assert_int_equal(n_finalized, LOAD(200000));
}

struct vector {
	size_t n;
	struct node *items[];
};

static const ouro_type vector_type = {
	.name = "vector", .size = offsetof(struct vector, items),
	.item_size = sizeof(struct node *), .item_slots = OURO_ITEM_REFS,
};

static void death_of_a_wide_object(void **state)
{
	const size_t n = LOAD(200000);
	struct vector *v = ouro_new_items(&vector_type, n);

	(void)state;
	counters_clear();
	for (size_t i = 0; i < n; i++)
		ouro_give(&v->items[i], make_of(&counted_type, (int)i));
	ouro_release(v);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, n);
	assert_int_equal(objects_live(), 0);
}

/* ---- the caller's share ---- */

static void assert_caller_share(size_t batch, struct node *head, size_t n)
{
	counters_clear();
	here = true;
	ouro_release(head);
	here = false;
	assert_true(n_destroyed_here <= batch);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, n);
	assert_int_equal(objects_live(), 0);
}

static void death_past_the_batch_is_handed_over(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	cfg.release_batch = 100;
	heap_start(&cfg);
	assert_caller_share(100, make_list(&counted_type, 20000), 20000);
	assert_caller_share(100, make_list(&counted_type, 101), 101);
	assert_caller_share(100, make_list(&counted_type, 100), 100);
	for (int i = 0; i < 100; i++)
		assert_caller_share(100, make_list(&counted_type, 150), 150);
}

static void death_batch_of_one(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	cfg.release_batch = 1;
	heap_start(&cfg);
	assert_caller_share(1, make_list(&counted_type, 1000), 1000);
	assert_caller_share(1, make_list(&counted_type, 1), 1);
}

/* Below the batch nobody else is needed: all is over when release returns. */
static void death_within_the_batch_is_not_handed_over(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	cfg.release_batch = 100;
	heap_start(&cfg);
	for (int i = 0; i < 100; i++)
		assert_true(EVENTUALLY(list_dies_at_once(90)));
	assert_true(EVENTUALLY(list_dies_at_once(100)));
	assert_false(list_dies_at_once(101));
}

/* What was handed over is destroyed also when nobody flushes. */
static void death_handed_over_happens_by_itself(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	cfg.release_batch = 10;
	heap_start(&cfg);
	counters_clear();
	ouro_release(make_list(&counted_type, 5000));
	assert_true(EVENTUALLY(n_destroyed == 5000));
}

static void *release_lists(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++)
		ouro_release(make_list(&counted_type, LOAD(5000)));
	return (void *)(intptr_t)ouro_flush();
}

static void death_handed_over_by_many_threads(void **state)
{
	ouro_config cfg = test_config();
	pthread_t t[3];

	(void)state;
	cfg.release_batch = 50;
	heap_start(&cfg);
	counters_clear();
	for (int i = 0; i < 3; i++)
		t[i] = thread_start(release_lists, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(n_destroyed, 60 * LOAD(5000));
}

static void death_handed_over_is_done_by_shutdown(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	cfg.release_batch = 1;
	heap_start(&cfg);
	counters_clear();
	ouro_release(make_list(&counted_type, LOAD(100000)));
	assert_int_equal(heap_stop().objects, 0);
	assert_int_equal(n_destroyed, LOAD(100000));
}

/* ---- flush ---- */

static void death_flush_refuses_when_pinned(void **state)
{
	(void)state;
	assert_int_equal(ouro_flush(), 0);
	ouro_pin();
	assert_int_equal(ouro_flush(), EDEADLK);
	ouro_unpin();
	assert_int_equal(ouro_flush(), 0);
}

/* Flush also waits for deaths that still need the sleeping owner's part of the count. */
static struct node *made;

static void make_one(void *arg)
{
	(void)arg;
	made = make_of(&loud_type, 1);
}

static void death_flush_waits_for_merges(void **state)
{
	struct sleeper owner;

	(void)state;
	sleeper_start(&owner, make_one, NULL);
	ouro_release(made);
	assert_int_equal(ouro_flush(), 0);
	assert_journal("f1 d1 ");
	sleeper_stop(&owner);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(death_goes_in_order),
		HEAP_CASE(death_in_a_cycle_goes_in_order),
		HEAP_CASE(death_reaches_hidden_children_by_count),
		HEAP_CASE(death_is_over_when_release_returns),
		HEAP_CASE(death_spares_shared_children),
		HEAP_CASE(death_of_a_deep_list_needs_little_stack),
		BARE_CASE(death_of_a_deep_list_without_hand_over),
		HEAP_CASE(death_by_clear_needs_little_stack),
		HEAP_CASE(death_by_destroy_needs_little_stack),
		HEAP_CASE(death_by_finalizer_needs_little_stack),
		HEAP_CASE(death_of_a_wide_object),
		BARE_CASE(death_past_the_batch_is_handed_over),
		BARE_CASE(death_batch_of_one),
		BARE_CASE(death_within_the_batch_is_not_handed_over),
		BARE_CASE(death_handed_over_happens_by_itself),
		BARE_CASE(death_handed_over_by_many_threads),
		BARE_CASE(death_handed_over_is_done_by_shutdown),
		HEAP_CASE(death_flush_refuses_when_pinned),
		HEAP_CASE(death_flush_waits_for_merges),
	};

	return cmocka_run_group_tests_name("death", tests, NULL, NULL);
}
