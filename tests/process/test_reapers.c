/*
 * Goal: a callback that blocks, or whose coroutine is not resumed, holds up nothing that is not its
 * own.
 * Method: destroys and finalizers wait for the case to let them go, on the library's threads and on
 * the program's; meanwhile others must die, by count, by merging, as garbage, with callbacks and
 * without.
 * A failure would mean: one slow close() in a destroy stops a server's memory from coming back.
 */
#include "fixture.h"

#include <ucontext.h>

#include "base/log.h"
#include "base/perturb.h"
#include "count/backlog.h"
#include "world/thread.h"

#if !OURO_CHECKED
static void (*oi_point_hook)(const char *point);
#endif

enum { TEAM = 8 }; /* reapers there can be */

static atomic_int n_blocked;
static atomic_bool let_go;

static void block(void *obj)
{
	(void)obj;
	atomic_fetch_add(&n_blocked, 1);
	while (!atomic_load(&let_go))
		sleep_ms(1);
}

static const ouro_type blocking_type = {
	.name = "blocking", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.destroy = block,
};

static int team_setup(void **state)
{
	ouro_config cfg = test_config();

	bare_setup(state);
	cfg.release_batch = 1; /* nearly all is left to the library's threads */
	heap_start(&cfg);
	counters_clear();
	atomic_store(&n_blocked, 0);
	atomic_store(&let_go, false);
	return 0;
}

#define TEAM_CASE(f) cmocka_unit_test_setup_teardown(f, team_setup, heap_teardown)

/* The thread's last release of it needs its maker's part of the count. */
static void *release_foreign(void *obj)
{
	ouro_release(obj);
	return NULL;
}

static void drop_from_another_thread(void *obj)
{
	thread_run(release_foreign, obj);
}

static void block_reapers(int n)
{
	for (int i = 1; i <= n; i++) {
		drop_from_another_thread(make_of(&blocking_type, i));
		assert_true(EVENTUALLY(atomic_load(&n_blocked) >= i));
	}
}

static void reaper_that_blocks_gets_a_colleague(void **state)
{
	(void)state;
	block_reapers(1);
	for (size_t i = 1; i <= 5; i++) {
		drop_from_another_thread(make_of(&counted_type, 1));
		assert_true(EVENTUALLY(n_destroyed == i));
	}
	assert_int_equal(n_blocked, 1);
	atomic_store(&let_go, true);
	assert_int_equal(ouro_flush(), 0);
}

/* All there can be. What calls nobody dies all the same. */
static void reapers_that_all_block_hold_up_nothing_plain(void **state)
{
	(void)state;
	block_reapers(TEAM);
	for (int i = 0; i < 3; i++) {
		uint64_t live = objects_live();

		drop_from_another_thread(make_of(&counted_type, 1));
		drop_from_another_thread(make_list(&node_type, 1000));
		assert_true(EVENTUALLY(objects_live() == live + 1));
	}
	assert_int_equal(n_destroyed, 0);
	atomic_store(&let_go, true);
	assert_true(EVENTUALLY(n_destroyed == 3));
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

/* Automatic collections, until the condition holds. */
#define COLLECTED_UNTIL(condition) __extension__({ \
	ouro_gc_set_threshold(1, 10, 10); \
	ouro_gc_enable(); \
	bool collected_ = EVENTUALLY((ouro_release(make_ring(&node_type, 2)), condition)); \
	ouro_gc_disable(); \
	collected_; })

/* ---- a flush that makes all of it old ---- */

enum { HANDED_OVER = 10000, SLICE = 4096 };

static atomic_int n_slices;

/* Between two slices the lock is free. */
static void count_slices(const char *point)
{
	if (strcmp(point, "backlog: some are old") != 0)
		return;
	atomic_fetch_add(&n_slices, 1);
	(void)oi_backlog_any_handed_over();
}

/* A pinned thread keeps nothing that is past release_batch. */
static void hand_over_many(int n)
{
	ouro_pin();
	for (int i = 0; i < n; i++) {
		struct node *first = make(i);

		ouro_give(&first->right, make_of(&counted_type, i));
		ouro_release(first);
	}
	ouro_unpin();
}

static void backlog_becomes_old_in_slices(void **state)
{
	(void)state;
	if (!CHECKED_BUILD)
		skip();
	block_reapers(TEAM);
	hand_over_many(10);
	oi_backlog_make_old();
	hand_over_many(HANDED_OVER);
	atomic_store(&n_slices, 0);
	oi_point_hook = count_slices;
	oi_backlog_make_old();
	oi_point_hook = NULL;
	int n = atomic_load(&n_slices);
	atomic_store(&let_go, true);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n, HANDED_OVER / SLICE);
	assert_int_equal(n_destroyed, 10 + HANDED_OVER);
}

/* ---- how soon ---- */

enum { SOON_NS = 10000000, DEATHS = 200 };

static struct node *made[DEATHS];

static void make_all(void *arg)
{
	(void)arg;
	for (int i = 0; i < DEATHS; i++)
		made[i] = make(i);
}

/*
 * Returns how long the object takes to die, whose owner sleeps, once its last reference is
 * released here.
 */
static uint64_t time_of_death(struct node *n)
{
	uint64_t live = objects_live(), began = now_ns();

	ouro_release(n);
	while (objects_live() == live && now_ns() - began < PATIENCE_S * 1000000000ull)
		usleep(200);
	return now_ns() - began;
}

/*
 * What needs its owner's part of its count dies within 10 ms, as promised: on a busy machine one of
 * many does.
 */
static void death_follows_soon_behind_callbacks(void **state)
{
	struct sleeper owner;
	bool soon = false;

	(void)state;
	if (SANITIZED)
		skip(); /* they take their own time */
	sleeper_start(&owner, make_all, NULL);
	block_reapers(TEAM);
	int i = 0;
	while (i < DEATHS && !soon)
		soon = time_of_death(made[i++]) <= SOON_NS;
	while (i < DEATHS)
		ouro_release(made[i++]);
	atomic_store(&let_go, true);
	sleeper_stop(&owner);
	assert_int_equal(ouro_flush(), 0);
	assert_true(soon);
}

static atomic_bool feeds;
static atomic_size_t n_fed;

/* On the collector thread, before it looks for deaths that call nobody: there always is one more. */
static void feed(const char *point)
{
	if (strcmp(point, "serve quietly") != 0 || !atomic_load(&feeds))
		return;
	ouro_release(make_list(&node_type, 3)); /* what is past release_batch is handed over */
	atomic_fetch_add(&n_fed, 1);
}

static uint64_t n_collections(void)
{
	return stats().collections[0] + stats().collections[1];
}

static bool collects_once_more(void)
{
	uint64_t before = n_collections();

	return COLLECTED_UNTIL(n_collections() > before);
}

/* What dies without end while no reaper is left does not keep the collector from collecting. */
static void collector_goes_on_beside_deaths_without_end(void **state)
{
	(void)state;
	if (!CHECKED_BUILD)
		skip();
	atomic_store(&feeds, true);
	atomic_store(&n_fed, 0);
	oi_point_hook = feed;
	block_reapers(TEAM);
	drop_from_another_thread(make_of(&counted_type, 1));
	bool begun = EVENTUALLY(atomic_load(&n_fed) > 0);
	bool collected = true;
	for (int i = 0; i < 3; i++)
		collected = collected && collects_once_more();
	atomic_store(&feeds, false);
	atomic_store(&let_go, true);
	assert_int_equal(ouro_flush(), 0);
	oi_point_hook = NULL;
	assert_true(begun);
	assert_true(collected);
}

static void log_does_not_wait_for_a_reaper_that_blocks(void **state)
{
	(void)state;
	block_reapers(1);
	oi_log("said meanwhile");
	assert_logged("said meanwhile", 1);
	assert_int_equal(n_blocked, 1);
	atomic_store(&let_go, true);
	assert_int_equal(ouro_flush(), 0);
}

static void block_finalizer(void *obj)
{
	block(obj);
}

static const ouro_type blocking_set_type = {
	.name = "blocking set", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = block_finalizer, .destroy = counted_destroy,
};

static void set_whose_finalizer_blocks_holds_up_no_other(void **state)
{
	(void)state;
	ouro_release(make_pair(&blocking_set_type, 1));
	assert_true(COLLECTED_UNTIL(atomic_load(&n_blocked) == 1));
	ouro_release(make_pair(&counted_type, 1));
	assert_true(COLLECTED_UNTIL(n_destroyed == 2));
	atomic_store(&let_go, true);
	assert_true(EVENTUALLY(n_destroyed == 4));
	assert_true(ouro_gc_collect(2) >= 0);
}

/* ---- a reaper that a callback has ended ---- */

static pthread_key_t blocking_key;

static void end_thread(void *obj)
{
	pthread_setspecific(blocking_key, obj);
	pthread_exit(NULL);
}

static const ouro_type ending_type = { .name = "ending", .size = sizeof(struct node), .destroy = end_thread };

/* Destructors of the program's keys run after the reaper is one no more, for as long as they like. */
static void collector_waits_for_no_destructor_of_a_reaper(void **state)
{
	(void)state;
	assert_int_equal(pthread_key_create(&blocking_key, block), 0);
	drop_from_another_thread(make_of(&ending_type, 1));
	assert_true(EVENTUALLY(atomic_load(&n_blocked) == 1));
	drop_from_another_thread(make_of(&counted_type, 1)); /* a tick sees that the reaper has ended */
	assert_true(EVENTUALLY(n_destroyed == 1));
	ouro_release(make_pair(&counted_type, 1));
	assert_true(COLLECTED_UNTIL(n_destroyed == 3));
	assert_int_equal(n_blocked, 1);
	atomic_store(&let_go, true);
	assert_int_equal(ouro_flush(), 0);
	pthread_key_delete(blocking_key);
}

/* ---- threads of the program's ---- */

/* Two children die before its destroy is called, which waits. */
static void *release_family(void *arg)
{
	struct node *parent = make_of(&blocking_type, 1);

	ouro_give(&parent->left, make_of(&counted_type, 2));
	ouro_give(&parent->right, make_of(&counted_type, 3));
	ouro_release(parent);
	return arg;
}

static void callback_that_blocks_holds_up_nothing_behind_it(void **state)
{
	(void)state;
	pthread_t t = thread_start(release_family, NULL);
	assert_true(EVENTUALLY(n_destroyed == 2));
	assert_int_equal(n_blocked, 1);
	atomic_store(&let_go, true);
	pthread_join(t, NULL);
	assert_int_equal(ouro_flush(), 0);
}

static ucontext_t outside, inside;

static void leave_for_a_while(void *obj)
{
	(void)obj;
	swapcontext(&inside, &outside);
}

static const ouro_type suspending_type = {
	.name = "suspending", .size = sizeof(struct node), .destroy = leave_for_a_while,
};

static void coroutine(void)
{
	ouro_release(make_of(&suspending_type, 1));
}

static void run_coroutine(void (*fn)(void), char *stack, size_t bytes)
{
	getcontext(&inside);
	inside.uc_stack.ss_sp = stack;
	inside.uc_stack.ss_size = bytes;
	inside.uc_link = &outside;
	makecontext(&inside, fn, 0);
	swapcontext(&outside, &inside);
}

static void callback_whose_coroutine_waits_holds_up_nothing(void **state)
{
	static char stack[256 << 10];

	(void)state;
	if (SANITIZED)
		skip(); /* they do not follow such switches */
	run_coroutine(coroutine, stack, sizeof(stack));
	for (size_t i = 1; i <= 5; i++) {
		ouro_release(make_of(&counted_type, 1));
		assert_true(EVENTUALLY(n_destroyed == i));
	}
	swapcontext(&outside, &inside);
	assert_int_equal(ouro_flush(), 0);
	ouro_release(make_of(&counted_type, 1));
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, 6);
}

/* ---- coroutines that come to their ends in another order than they began ---- */

static void resume_the_other(void *obj)
{
	(void)obj;
	swapcontext(&outside, &inside);
}

static const ouro_type suspending_set_type = {
	.name = "suspending set", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = leave_for_a_while,
};

static const ouro_type resuming_set_type = {
	.name = "resuming set", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = resume_the_other,
};

/* One of the type, in a ring with another. */
static void collect_one(const ouro_type *type)
{
	struct node *a = make_of(type, 1);

	ouro_give(&a->left, make(2));
	ouro_store(&a->left->left, a);
	ouro_release(a);
	assert_int_equal(ouro_gc_collect(2), 2);
}

static void collecting_coroutine(void)
{
	collect_one(&suspending_set_type);
}

static void cross(void (*fn)(void))
{
	char *stack = malloc(256 << 10);

	run_coroutine(fn, stack, 256 << 10);
	collect_one(&resuming_set_type);
	memset(stack, 0x5a, 256 << 10);
	free(stack);
	assert_null(oi_self->callback);
	assert_null(oi_self->hand_garbage);
	assert_int_equal(oi_self->in_callback, 0);
	assert_int_equal(oi_self->dying, 0);
	ouro_release(make_of(&counted_type, 1));
	assert_int_equal(n_destroyed, 1);
}

static void callbacks_whose_ends_cross(void **state)
{
	(void)state;
	if (SANITIZED)
		skip();
	cross(coroutine);
	counters_clear();
	cross(collecting_coroutine);
	assert_int_equal(ouro_flush(), 0);
}

/* ---- one that does not return, but calls others ---- */

static struct node *behind;
static struct oi_thread *_Atomic collecting;

static const ouro_type finalized_type = {
	.name = "finalized", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = counted_finalize,
};

static void collect_until_told(void *obj)
{
	(void)obj;
	ouro_release(behind);
	atomic_store(&collecting, oi_self);
	while (!atomic_load(&let_go)) {
		ouro_release(make_pair(&finalized_type, 1));
		ouro_gc_collect(0);
	}
}

static const ouro_type collecting_type = {
	.name = "collecting", .size = sizeof(struct node), .finalize = collect_until_told,
};

static void *release_collecting(void *arg)
{
	struct node *n = make_of(&collecting_type, 1);

	behind = make_of(&counted_type, 2);
	ouro_release(n);
	return arg;
}

/*
 * What it calls is no sign that it gets on: what waits behind it is taken away, and a collection
 * does not wait for it. (Without that either comes after seconds, by chance: hence the look at the
 * record.)
 */
static void callback_that_calls_others_holds_up_nothing(void **state)
{
	(void)state;
	atomic_store(&collecting, NULL);
	pthread_t t = thread_start(release_collecting, NULL);
	assert_true(EVENTUALLY(atomic_load(&collecting) != NULL));
	uint32_t begun = oi_load_acquire(&atomic_load(&collecting)->n_callbacks);
	bool calls = EVENTUALLY(n_finalized >= 100);
	bool alone = oi_load_acquire(&atomic_load(&collecting)->n_callbacks) == begun;
	bool died = EVENTUALLY(n_destroyed == 1);
	assert_true(ouro_gc_collect(2) >= 0);
	atomic_store(&let_go, true);
	pthread_join(t, NULL);
	assert_true(calls && alone && died);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEAM_CASE(reaper_that_blocks_gets_a_colleague),
		TEAM_CASE(log_does_not_wait_for_a_reaper_that_blocks),
		TEAM_CASE(reapers_that_all_block_hold_up_nothing_plain),
		TEAM_CASE(backlog_becomes_old_in_slices),
		TEAM_CASE(death_follows_soon_behind_callbacks),
		TEAM_CASE(collector_goes_on_beside_deaths_without_end),
		TEAM_CASE(set_whose_finalizer_blocks_holds_up_no_other),
		TEAM_CASE(collector_waits_for_no_destructor_of_a_reaper),
		TEAM_CASE(callback_that_blocks_holds_up_nothing_behind_it),
		TEAM_CASE(callback_whose_coroutine_waits_holds_up_nothing),
		TEAM_CASE(callbacks_whose_ends_cross),
		TEAM_CASE(callback_that_calls_others_holds_up_nothing),
	};

	return cmocka_run_group_tests_name("reapers", tests, NULL, NULL);
}
