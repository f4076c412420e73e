/*
 * Goal: dead objects that a release leaves for later are gone soon, whatever their thread does
 * meanwhile, and stay few if it goes on making objects.
 * Method: lists of objects without callbacks, release batches of 10; the owner sleeps, allocates,
 * leaves, pins, collects, forks.
 * A failure would mean: memory that stays with a sleeping thread, a heap that grows with every
 * structure dropped, user code in the middle of ouro_new, a flush or a collection that misses
 * objects.
 */
#include "fixture.h"

#include "base/perturb.h"
#include "world/thread.h"

#define LENGTH LOAD(20000)

/* Nothing has to be called when it dies. */
struct plain {
	struct plain *left, *right;
	struct node *tail; /* of counted_type */
};

static const ouro_type plain_type = {
	.name = "plain", .size = sizeof(struct plain), .slots = OURO_SLOTS(struct plain, left, right, tail),
};

static struct plain *plain_new(void)
{
	struct plain *p = ouro_new(&plain_type);

	if (p == NULL)
		abort();
	return p;
}

/* Its last member holds @tail, which is given. */
static struct plain *plain_list(struct node *tail)
{
	struct plain *head = plain_new();

	ouro_give(&head->tail, tail);
	for (size_t i = 1; i < LENGTH; i++) {
		struct plain *next = plain_new();

		ouro_give(&next->right, head);
		head = next;
	}
	return head;
}

/* More than one object waits on the stack. */
static struct plain *plain_tree(int depth)
{
	struct plain *p = plain_new();

	if (depth > 0) {
		ouro_give(&p->left, plain_tree(depth - 1));
		ouro_give(&p->right, plain_tree(depth - 1));
	}
	return p;
}

static int small_batches(void **state)
{
	ouro_config cfg = test_config();

	bare_setup(state);
	cfg.release_batch = 10;
	heap_start(&cfg);
	counters_clear();
	return 0;
}

#define BACKLOG_CASE(f) cmocka_unit_test_setup_teardown(f, small_batches, heap_teardown)

static void drop_list(void *arg)
{
	(void)arg;
	ouro_release(plain_list(make_of(&counted_type, 1)));
}

/* ---- who gets on with it ---- */

static void backlog_of_a_sleeping_thread_is_taken_over(void **state)
{
	struct sleeper owner;

	(void)state;
	sleeper_start(&owner, drop_list, NULL);
	assert_true(EVENTUALLY(objects_live() == 0));
	assert_int_equal(n_destroyed, 1);
	sleeper_stop(&owner);
}

/* Without a flush, and more each time than is worked off at once. */
static void backlog_stays_small_while_its_thread_allocates(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		ouro_release(plain_list(NULL));
		assert_true(objects_live() < 10 * LENGTH);
	}
}

static void backlog_of_trees_stays_small_while_its_thread_allocates(void **state)
{
	const int depth = 12;

	(void)state;
	for (int i = 0; i < LOAD(400); i++) {
		ouro_release(plain_tree(depth));
		assert_true(objects_live() < 10u << (depth + 1));
	}
}

/*
 * What has a destroy is left to the background: here, inside ouro_new, it would find its thread in
 * the middle of something.
 */
static void backlog_runs_no_user_code_in_new(void **state)
{
	(void)state;
	for (int i = 1; i <= 20; i++) {
		ouro_release(plain_list(make_of(&counted_type, i)));
		here = true;
		for (size_t n = 0; n < 4 * LENGTH; n++)
			ouro_release(plain_new());
		here = false;
	}
	assert_true(EVENTUALLY(n_destroyed == 20));
	assert_int_equal(n_destroyed_here, 0);
}

enum { KEPT = 5000 }; /* for so many it needs pages */

/* More items than are done at a time: what is left of it waits below them, with its destroy still to come. */
struct wide {
	size_t n;
	struct plain *item[1];
};

static const ouro_type wide_type = {
	.name = "wide", .size = offsetof(struct wide, item), .item_size = sizeof(struct plain *),
	.item_slots = OURO_ITEM_REFS, .destroy = counted_destroy,
};

static void backlog_runs_no_user_code_in_new_for_the_rest_of_an_object(void **state)
{
	const size_t items = 4000;
	static struct plain *kept[KEPT];

	(void)state;
	for (int i = 1; i <= 20; i++) {
		struct wide *w = ouro_new_items(&wide_type, items);

		for (size_t n = 0; n < items; n++)
			ouro_give(&w->item[n], plain_new());
		ouro_release(w);
		for (size_t n = 0; n < KEPT; n++) {
			here = true;
			kept[n] = plain_new();
			here = false;
		}
		for (size_t n = 0; n < KEPT; n++)
			ouro_release(kept[n]);
	}
	assert_true(EVENTUALLY(n_destroyed == 20));
	assert_int_equal(n_destroyed_here, 0);
}

/* A later death is over when its release returns, whatever waits below it. */
static void backlog_does_not_hold_up_other_deaths(void **state)
{
	(void)state;
	for (size_t i = 1; i <= 100; i++) {
		if (i % 10 == 1)
			ouro_release(plain_list(NULL));
		ouro_release(make_of(&counted_type, 1));
		assert_int_equal(n_destroyed, i);
	}
}

static void *drop_and_leave(void *arg)
{
	drop_list(arg);
	return NULL;
}

static void backlog_of_a_thread_that_leaves_is_taken_over(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		thread_run(drop_and_leave, NULL);
	assert_true(EVENTUALLY(objects_live() == 0));
}

/* ---- who waits for it ---- */

static void backlog_is_flushed_by_its_thread(void **state)
{
	(void)state;
	for (size_t i = 1; i <= 20; i++) {
		drop_list(NULL);
		assert_int_equal(ouro_flush(), 0);
		assert_int_equal(objects_live(), 0);
		assert_int_equal(n_destroyed, i);
	}
}

static void backlog_is_flushed_by_another_thread(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		struct sleeper owner;

		sleeper_start(&owner, drop_list, NULL);
		assert_int_equal(ouro_flush(), 0);
		assert_int_equal(objects_live(), 0);
		sleeper_stop(&owner);
	}
}

static atomic_bool over;

static void *drop_lists(void *arg)
{
	while (!atomic_load(&over))
		drop_list(arg);
	return NULL;
}

/* The others' objects come and go; this thread's are gone. */
static void backlog_is_flushed_while_others_are_filled(void **state)
{
	pthread_t t[2];

	(void)state;
	atomic_store(&over, false);
	for (int i = 0; i < 2; i++)
		t[i] = thread_start(drop_lists, NULL);
	for (int i = 0; i < LOAD(100); i++) {
		ouro_release(plain_list(NULL));
		assert_int_equal(ouro_flush(), 0);
	}
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

static void drop_list_and_pin(void *arg)
{
	drop_list(arg);
	ouro_pin();
	sleep_ms(20);
	ouro_unpin();
}

static void backlog_of_a_pinned_thread_is_flushed_after_the_unpin(void **state)
{
	struct sleeper owner;

	(void)state;
	sleeper_start(&owner, drop_list_and_pin, NULL);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
	sleeper_stop(&owner);
}

/*
 * It refers to a cycle, which is garbage when the collection is called, and would live on for the
 * sake of what waits.
 */
static void backlog_does_not_keep_garbage_from_a_collection(void **state)
{
	(void)state;
	for (size_t i = 1; i <= 20; i++) {
		ouro_release(plain_list(make_pair(&counted_type, 1)));
		assert_true(ouro_gc_collect(2) >= 0);
		assert_int_equal(n_destroyed, 2 * i);
		assert_int_equal(objects_live(), 0);
	}
}

static void backlog_is_empty_after_shutdown(void **state)
{
	(void)state;
	drop_list(NULL);
	assert_int_equal(heap_stop().objects, 0);
	assert_int_equal(n_destroyed, 1);
}

/* ---- forks ---- */

static int child_flushes(void *arg)
{
	(void)arg;
	REQUIRE(ouro_flush() == 0);
	REQUIRE(objects_live() == 0);
	return ouro_shutdown(NULL);
}

static void backlog_of_a_vanished_thread_is_flushed_in_the_child(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	for (int i = 0; i < 20; i++) {
		struct sleeper owner;

		sleeper_start(&owner, drop_list, NULL);
		child_run(child_flushes, NULL);
		sleeper_stop(&owner);
	}
}

/* The library's threads start when they are asked for. */
static int child_goes_on(void *arg)
{
	drop_list(arg);
	REQUIRE(EVENTUALLY(objects_live() == 0));
	return ouro_shutdown(NULL);
}

static void backlog_of_the_forking_thread_is_in_both(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	for (int i = 0; i < 10; i++) {
		drop_list(NULL);
		child_run(child_goes_on, NULL);
	}
	assert_true(EVENTUALLY(objects_live() == 0));
}

/* ---- what a callback lets die has no bound ---- */

#if OURO_CHECKED

enum { MANY = 20000, SLICE_WORDS = 2 * 4096 };

static struct node *many[MANY];
static struct oi_thread *_Atomic behind_callback;
static atomic_bool all_released, callback_over;
static size_t frames_left, most_at_once;

static void release_many_and_wait(void *obj)
{
	(void)obj;
	atomic_store(&behind_callback, oi_self);
	for (int i = 0; i < MANY; i++)
		ouro_release(many[i]);
	atomic_store(&all_released, true);
	while (!atomic_load(&callback_over))
		sleep_ms(1);
}

static const ouro_type releasing_type = {
	.name = "releasing", .size = sizeof(struct node), .finalize = release_many_and_wait,
};

static void *make_many_and_release(void *arg)
{
	for (int i = 0; i < MANY; i++)
		many[i] = make_of(&counted_type, i);
	ouro_release(make_of(&releasing_type, 0));
	return arg;
}

/* Nothing is taken before all is there: at its gates the thread takes slices away itself. */
static void note_frames_left(const char *point)
{
	struct oi_thread *t = atomic_load(&behind_callback);

	if (t == NULL)
		return;
	while (strcmp(point, "backlog: relieve") == 0 && !atomic_load(&all_released))
		sleep_ms(1);
	if (strcmp(point, "backlog: leave") != 0)
		return;
	size_t n = oi_load_relaxed(&t->deaths.frames.n); /* it may be another thread that is kept out now */
	if (frames_left > n + most_at_once)
		most_at_once = frames_left - n;
	frames_left = n;
}

/* Others wait while it is taken away: for its gate, the registry and the reaper's backlog. */
static void backlog_behind_a_callback_is_taken_in_slices(void **state)
{
	(void)state;
	frames_left = most_at_once = 0;
	atomic_store(&all_released, false);
	atomic_store(&callback_over, false);
	counters_clear();
	oi_point_hook = note_frames_left;
	pthread_t t = thread_start(make_many_and_release, NULL);
	assert_true(EVENTUALLY(n_destroyed == MANY));
	oi_point_hook = NULL;
	atomic_store(&callback_over, true);
	pthread_join(t, NULL);
	assert_in_range(frames_left, 0, SLICE_WORDS);
	assert_in_range(most_at_once, 0, SLICE_WORDS);
	atomic_store(&behind_callback, NULL);
}

/* ---- one callback ends, and the next begins, while the tick is on its way ---- */

enum { BEHIND = 5 };

struct holder {
	struct node *node[BEHIND];
	struct node *second, *first;
};

static const ouro_type holder_type = {
	.name = "holder", .size = sizeof(struct holder),
	.slots = OURO_SLOTS(struct holder, node[0], node[1], node[2], node[3], node[4], second, first),
};

static atomic_bool first_may_end, at_second, tick_is_by;
static atomic_int n_begun;

static void wait_in_turn(void *obj)
{
	(void)obj;
	bool first = atomic_fetch_add(&n_begun, 1) == 0;

	while (!atomic_load(first ? &first_may_end : &callback_over))
		sleep_ms(1);
}

static const ouro_type waiting_type = {
	.name = "waiting", .size = sizeof(struct node), .finalize = wait_in_turn,
};

/*
 * The tick has seen the first callback twice: that ends, and its thread stands before the second,
 * for a second at most: the tick may have had another thread in view.
 */
static void between_two_callbacks(const char *point)
{
	if (strcmp(point, "backlog: relieve") == 0 && atomic_load(&n_begun) == 1 &&
	    !atomic_exchange(&first_may_end, true))
		(void)EVENTUALLY(atomic_load(&at_second));
	if (strcmp(point, "backlog: leave") == 0 && atomic_load(&at_second))
		atomic_store(&tick_is_by, true);
	if (strcmp(point, "callback") == 0 && atomic_load(&n_begun) == 1 && oi_self == atomic_load(&behind_callback)) {
		atomic_store(&at_second, true);
		for (int i = 0; i < 1000 && !atomic_load(&tick_is_by); i++)
			sleep_ms(1);
		sleep_ms(20); /* it is at it */
	}
}

static void *release_holder(void *arg)
{
	struct holder *h = ouro_new(&holder_type);

	for (int i = 0; i < BEHIND; i++)
		ouro_give(&h->node[i], make_of(&counted_type, i));
	ouro_give(&h->second, make_of(&waiting_type, 0));
	ouro_give(&h->first, make_of(&waiting_type, 0));
	atomic_store(&behind_callback, oi_self);
	ouro_release(h);
	return arg;
}

static void backlog_behind_the_next_callback_is_found(void **state)
{
	(void)state;
	counters_clear();
	atomic_store(&callback_over, false);
	oi_point_hook = between_two_callbacks;
	pthread_t t = thread_start(release_holder, NULL);
	bool found = EVENTUALLY(n_destroyed == BEHIND);
	oi_point_hook = NULL;
	atomic_store(&callback_over, true);
	pthread_join(t, NULL);
	assert_true(found);
	assert_true(atomic_load(&at_second));
	atomic_store(&behind_callback, NULL);
}

#else

static void backlog_behind_a_callback_is_taken_in_slices(void **state)
{
	(void)state;
	skip();
}

static void backlog_behind_the_next_callback_is_found(void **state)
{
	(void)state;
	skip();
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(backlog_behind_a_callback_is_taken_in_slices),
		HEAP_CASE(backlog_behind_the_next_callback_is_found),
		BACKLOG_CASE(backlog_of_a_sleeping_thread_is_taken_over),
		BACKLOG_CASE(backlog_stays_small_while_its_thread_allocates),
		BACKLOG_CASE(backlog_of_trees_stays_small_while_its_thread_allocates),
		BACKLOG_CASE(backlog_runs_no_user_code_in_new),
		BACKLOG_CASE(backlog_runs_no_user_code_in_new_for_the_rest_of_an_object),
		BACKLOG_CASE(backlog_does_not_hold_up_other_deaths),
		BACKLOG_CASE(backlog_of_a_thread_that_leaves_is_taken_over),
		BACKLOG_CASE(backlog_is_flushed_by_its_thread),
		BACKLOG_CASE(backlog_is_flushed_by_another_thread),
		BACKLOG_CASE(backlog_is_flushed_while_others_are_filled),
		BACKLOG_CASE(backlog_of_a_pinned_thread_is_flushed_after_the_unpin),
		BACKLOG_CASE(backlog_does_not_keep_garbage_from_a_collection),
		cmocka_unit_test_setup(backlog_is_empty_after_shutdown, small_batches),
		BACKLOG_CASE(backlog_of_a_vanished_thread_is_flushed_in_the_child),
		BACKLOG_CASE(backlog_of_the_forking_thread_is_in_both),
	};

	return cmocka_run_group_tests_name("backlog", tests, NULL, NULL);
}
