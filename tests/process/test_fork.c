/*
 * Goal: a forked child has one thread and a heap that works: makes, collects, finalizes, shuts
 * down.
 * Method: fork with other threads asleep, running, pinned, collecting; the child checks and exits
 * with 0.
 * A failure would mean: servers that fork workers hang or crash in the child.
 */
#include "fixture.h"

#include <link.h>

#include "base/runtime.h"

/* What any child must be able to do. */
static void child_works(void)
{
	ouro_weak cell = { 0 };
	struct node *n = make_pair(&counted_type, 1);

	REQUIRE(ouro_weak_store(&cell, n) == 0);
	ouro_release(n);
	REQUIRE(ouro_gc_collect(2) >= 0); /* none, if an automatic collection has come first */
	REQUIRE(ouro_weak_expired(&cell));
	ouro_release(make_list(&counted_type, 20000));
	REQUIRE(ouro_flush() == 0);
	for (int g = 0; g < 3; g++)
		REQUIRE(ouro_gc_collect(g) == 0);
}

static void *child_thread(void *arg)
{
	for (int i = 0; i < 100; i++)
		ouro_release(make_pair(&node_type, i));
	return arg;
}

static int quiet_child(void *arg)
{
	ouro_report r = { 9, 9 };

	child_works();
	if (arg != NULL) {
		thread_run(child_thread, NULL);
		REQUIRE(ouro_gc_collect(2) >= 0);
		REQUIRE(ouro_flush() == 0);
		REQUIRE(objects_live() == 0);
	}
	REQUIRE(ouro_shutdown(&r) == 0);
	REQUIRE(r.objects == 0);
	REQUIRE(ouro_init(NULL) == 0);
	child_works();
	return ouro_shutdown(NULL);
}

static void fork_child_of_a_quiet_process_works(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	child_run(quiet_child, NULL);
	child_run(quiet_child, &(int){ 0 });
	child_works();
}

/* Nothing has started the heap in the parent, or it has been shut down. */
static void fork_before_the_heap_starts(void **state)
{
	(void)state;
	child_run(quiet_child, NULL);
	assert_int_equal(ouro_init(NULL), 0);
	ouro_release(make(1));
	heap_stop();
	child_run(quiet_child, &(int){ 0 });
}

/* ---- references that others held ---- */

static struct node *held;

static void hold_pair(void *arg)
{
	(void)arg;
	held = make_pair(&loud_type, 1);
}

static int child_sees_references(void *arg)
{
	ouro_report r;

	(void)arg;
	child_works();
	REQUIRE(ouro_refcount(held) == 2);
	REQUIRE(held->right->right == held);
	REQUIRE(book_count(&journal, "f") == 0);
	ouro_retain(held);
	ouro_release(held);
	REQUIRE(ouro_shutdown(&r) == 0);
	REQUIRE(r.objects == 2);
	REQUIRE(book_count(&journal, "d") == 2);
	return 0;
}

static int child_releases_what_others_held(void *arg)
{
	(void)arg;
	ouro_release(held);
	REQUIRE(ouro_gc_collect(2) == 2);
	REQUIRE(book_count(&journal, "d") == 2);
	return ouro_shutdown(NULL);
}

static void fork_keeps_references_of_other_threads(void **state)
{
	struct sleeper s;

	(void)state;
	needs_threads_in_the_child();
	sleeper_start(&s, hold_pair, NULL);
	child_run(child_sees_references, NULL);
	child_run(child_releases_what_others_held, NULL);
	assert_int_equal(ouro_refcount(held), 2);
	sleeper_stop(&s);
	ouro_release(held);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(book_count(&journal, "d"), 2);
}

static void hold_one(void *arg)
{
	(void)arg;
	held = make_of(&loud_type, 1);
}

/* The owner of the object is a thread that the child does not have: its last release frees all the same. */
static int child_frees_for_lost_owner(void *arg)
{
	(void)arg;
	ouro_release(held);
	REQUIRE(ouro_flush() == 0);
	REQUIRE(book_count(&journal, "d1 ") == 1);
	return ouro_shutdown(NULL);
}

static void fork_child_frees_objects_of_lost_threads(void **state)
{
	struct sleeper s;

	(void)state;
	needs_threads_in_the_child();
	sleeper_start(&s, hold_one, NULL);
	child_run(child_frees_for_lost_owner, NULL);
	assert_journal("");
	ouro_release(held);
	assert_int_equal(ouro_flush(), 0);
	assert_journal("f1 d1 ");
	sleeper_stop(&s);
}

static int child_counts_threads(void *arg)
{
	ouro_stats s;

	(void)arg;
	ouro_release(make(1));
	ouro_stats_get(&s);
	REQUIRE(s.threads == 1);
	REQUIRE(s.objects_live == 2);
	return ouro_shutdown(NULL);
}

static void fork_child_has_one_thread(void **state)
{
	struct sleeper s;

	(void)state;
	needs_threads_in_the_child();
	sleeper_start(&s, hold_pair, NULL);
	child_run(child_counts_threads, NULL);
	sleeper_stop(&s);
	ouro_release(held);
	ouro_gc_collect(2);
}

/* ---- queues ---- */

static int child_runs_finalizers(void *arg)
{
	(void)arg;
	REQUIRE(ouro_run_finalizers(100) == 4);
	REQUIRE(book_count(&journal, "f") == 4);
	REQUIRE(ouro_flush() == 0);
	REQUIRE(book_count(&journal, "d") == 4);
	return ouro_shutdown(NULL);
}

static int child_shuts_down(void *arg)
{
	ouro_report r;

	(void)arg;
	REQUIRE(ouro_shutdown(&r) == 0);
	REQUIRE(r.objects == 0);
	REQUIRE(book_count(&journal, "f") == 4);
	REQUIRE(book_count(&journal, "d") == 4);
	return 0;
}

static void fork_queued_finalizers_are_in_both(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	ouro_release(make_pair(&loud_type, 1));
	ouro_release(make_pair(&loud_type, 3));
	ouro_gc_collect(2);
	assert_journal("");
	child_run(child_runs_finalizers, NULL);
	child_run(child_shuts_down, NULL);
	assert_journal("");
	assert_int_equal(ouro_run_finalizers(100), 4);
	assert_int_equal(book_count(&journal, "f"), 4);
}

static int child_flushes(void *arg)
{
	REQUIRE(ouro_flush() == 0);
	REQUIRE(objects_live() == 0);
	(void)arg;
	return ouro_shutdown(NULL);
}

/* Fork while the background still destroys what a release handed over. */
static void fork_handed_over_deaths_are_in_both(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	needs_threads_in_the_child();
	cfg.release_batch = 10;
	heap_start(&cfg);
	for (int i = 0; i < 5; i++) {
		ouro_release(make_list(&node_type, LOAD(200000)));
		child_run(child_flushes, NULL);
	}
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

/* ---- pinned ---- */

static int pinned_child(void *arg)
{
	struct node *seen = arg;

	REQUIRE(ouro_gc_collect(2) == -1 && errno == EDEADLK);
	REQUIRE(ouro_shutdown(NULL) == EDEADLK);
	REQUIRE(seen->id == 5);
	REQUIRE(ouro_peek(&held) == seen);
	ouro_unpin();
	ouro_store(&held, NULL);
	child_works();
	return ouro_shutdown(NULL);
}

static void fork_while_pinned_leaves_the_child_pinned(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	held = NULL; /* what other cases had there */
	ouro_give(&held, make(5));
	ouro_pin();
	child_run(pinned_child, ouro_peek(&held));
	ouro_unpin();
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_store(&held, NULL);
}

static void *pin_for_a_while(void *arg)
{
	ouro_pin();
	atomic_store((atomic_bool *)arg, true);
	sleep_ms(100);
	ouro_unpin();
	return NULL;
}

static int child_of_pinned_others(void *arg)
{
	(void)arg;
	child_works();
	return ouro_shutdown(NULL);
}

/* Another thread's pin may delay the fork, but does not exist in the child: nothing there waits for it. */
static void fork_while_others_are_pinned(void **state)
{
	atomic_bool pinned = false;
	pthread_t t;

	(void)state;
	needs_threads_in_the_child();
	t = thread_start(pin_for_a_while, &pinned);
	assert_true(EVENTUALLY(pinned));
	child_run(child_of_pinned_others, NULL);
	pthread_join(t, NULL);
}

static void *fork_pinned(void *arg)
{
	pthread_barrier_t *both = arg;

	for (int i = 0; i < LOAD(100); i++) {
		int status = -1;

		ouro_pin();
		pthread_barrier_wait(both);
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		ouro_unpin();
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (status != 0)
			abort();
		pthread_barrier_wait(both); /* nobody is pinned again before both have forked */
	}
	return NULL;
}

/* Neither may leave its gate before it has forked, and neither stop can end before the other thread is outside. */
static void fork_while_two_are_pinned(void **state)
{
	pthread_barrier_t both;

	(void)state;
	pthread_barrier_init(&both, NULL, 2);
	pthread_t t = thread_start(fork_pinned, &both);
	fork_pinned(&both);
	pthread_join(t, NULL);
	pthread_barrier_destroy(&both);
}

/* ---- garbage in the hands of threads that vanish ---- */

static atomic_bool in_hand, go_on;

static void block(void)
{
	atomic_store(&in_hand, true);
	while (!atomic_load(&go_on))
		sleep_ms(1);
}

static void block_at_stop(const ouro_gc_event *e, void *arg)
{
	(void)arg;
	if (e->phase == OURO_GC_STOP && e->collected == 2)
		block();
}

static void *collect_pair(void *arg)
{
	ouro_release(make_pair(&loud_type, 1));
	ouro_gc_collect(2);
	return arg;
}

static int child_ends_the_pair(void *arg)
{
	ouro_report r;

	if (arg != NULL)
		ouro_unpin();
	REQUIRE(ouro_flush() == 0);
	REQUIRE(book_count(&journal, "d1 ") == 1 && book_count(&journal, "d2 ") == 1);
	REQUIRE(objects_live() == 0);
	REQUIRE(ouro_gc_off_event(block_at_stop, NULL) == 0);
	REQUIRE(ouro_shutdown(&r) == 0);
	REQUIRE(r.objects == 0);
	return 0;
}

/* A fork inside a pinned region does not wait for the collection, which has found the pair and not begun with it. */
static void fork_pinned_beside_a_collection(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	atomic_store(&in_hand, false);
	atomic_store(&go_on, false);
	assert_int_equal(ouro_gc_on_event(block_at_stop, NULL), 0);
	pthread_t t = thread_start(collect_pair, NULL);
	assert_true(EVENTUALLY(in_hand));
	ouro_pin();
	child_run(child_ends_the_pair, &(int){ 0 });
	ouro_unpin();
	atomic_store(&go_on, true);
	pthread_join(t, NULL);
	assert_int_equal(ouro_gc_off_event(block_at_stop, NULL), 0);
	assert_int_equal(book_count(&journal, "d"), 2);
}

static void finalize_inner(void *obj)
{
	loud_finalize(obj);
	if (((struct node *)obj)->id == 11)
		block();
}

static const ouro_type inner_type = {
	.name = "inner", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = finalize_inner, .destroy = loud_destroy,
};

static void finalize_outer(void *obj)
{
	loud_finalize(obj);
	if (((struct node *)obj)->id != 1)
		return;
	ouro_release(make_pair(&inner_type, 11));
	ouro_gc_collect(2);
}

static const ouro_type outer_type = {
	.name = "outer", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = finalize_outer, .destroy = loud_destroy,
};

static void *collect_in_a_finalizer(void *arg)
{
	ouro_release(make_pair(&outer_type, 1));
	ouro_gc_collect(2);
	return arg;
}

static int child_ends_both_pairs(void *arg)
{
	ouro_report r;

	(void)arg;
	REQUIRE(ouro_flush() == 0);
	REQUIRE(book_count(&journal, "f") == 4);
	REQUIRE(book_count(&journal, "d") == 4);
	REQUIRE(ouro_shutdown(&r) == 0);
	REQUIRE(r.objects == 0);
	return 0;
}

/*
 * The thread has garbage of two collections in hand: that whose finalizer collects, and what that
 * found.
 */
static void fork_while_a_finalizer_collects(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	atomic_store(&in_hand, false);
	atomic_store(&go_on, false);
	pthread_t t = thread_start(collect_in_a_finalizer, NULL);
	assert_true(EVENTUALLY(in_hand));
	child_run(child_ends_both_pairs, NULL);
	atomic_store(&go_on, true);
	pthread_join(t, NULL);
	assert_int_equal(book_count(&journal, "f"), 4);
	assert_int_equal(book_count(&journal, "d"), 4);
}

/* ---- others at work ---- */

struct churn {
	atomic_bool stop;
	struct node *slot;
};

static void *churn(void *arg)
{
	struct churn *c = arg;

	for (unsigned i = 0; !atomic_load(&c->stop); i++) {
		throttle(i);
		ouro_give(&c->slot, make_pair(&node_type, 1));
		ouro_release(ouro_load(&c->slot));
		ouro_release(make_list(&node_type, 10));
	}
	return NULL;
}

static void *collect(void *arg)
{
	while (!atomic_load(&((struct churn *)arg)->stop))
		ouro_gc_collect(1);
	return NULL;
}

static int child_of_churn(void *arg)
{
	struct churn *c = arg;
	struct node *n = ouro_load(&c->slot);

	REQUIRE(n == NULL || n->right->right == n);
	ouro_release(n);
	REQUIRE(ouro_gc_collect(2) >= 0);
	child_works();
	ouro_store(&c->slot, NULL);
	REQUIRE(ouro_gc_collect(2) >= 0);
	return ouro_shutdown(NULL);
}

static void fork_while_others_run_and_collect(void **state)
{
	struct churn c = { .stop = false };
	pthread_t t[3];

	(void)state;
	needs_threads_in_the_child();
	for (int i = 0; i < 3; i++)
		t[i] = thread_start(i < 2 ? churn : collect, &c);
	for (int i = 0; i < (SANITIZED ? 5 : 40); i++)
		child_run(child_of_churn, &c);
	atomic_store(&c.stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	ouro_store(&c.slot, NULL);
	ouro_gc_collect(2);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

/* The fork is done by a thread that is not the first, with automatic collection on. */
static void *fork_in_thread(void *arg)
{
	char text[8192];
	int status = child_status(child_of_pinned_others, NULL, text, sizeof(text));

	if (status != 0)
		print_message("child: %s\n", text);
	*(int *)arg = status;
	return NULL;
}

static void fork_from_another_thread(void **state)
{
	struct churn c = { .stop = false };
	int status = -1;

	(void)state;
	needs_threads_in_the_child();
	assert_int_equal(ouro_gc_set_threshold(100, 2, 2), 0);
	ouro_gc_enable();
	pthread_t t = thread_start(churn, &c);
	for (int i = 0; i < (SANITIZED ? 3 : 10); i++) {
		thread_run(fork_in_thread, &status);
		assert_int_equal(status, 0);
	}
	ouro_gc_disable();
	atomic_store(&c.stop, true);
	pthread_join(t, NULL);
	ouro_store(&c.slot, NULL);
	ouro_gc_collect(2);
}

/* A child of a child. */
static int grandchild_of_churn(void *arg)
{
	char text[4096];

	child_works();
	int status = child_status(quiet_child, arg, text, sizeof(text));
	if (status != 0)
		dprintf(2, "grandchild: %s", text);
	REQUIRE(status == 0);
	child_works();
	return ouro_shutdown(NULL);
}

static void fork_again_in_the_child(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	child_run(grandchild_of_churn, NULL);
}

/* ---- with a lock of the loader's held ---- */

static void *make_first(void *arg)
{
	ouro_release(make(1));
	return arg;
}

static int exit_at_once(void *arg)
{
	(void)arg;
	return 0;
}

/*
 * Another thread's first call starts the heap, and looks for other copies of the library, which
 * waits for this to return.
 */
static int fork_beside_a_start(struct dl_phdr_info *info, size_t size, void *arg)
{
	char text[512];

	(void)info;
	(void)size;
	*(pthread_t *)arg = thread_start(make_first, NULL);
	if (!EVENTUALLY(oi_load_acquire(&oi_runtime.running)))
		return 2;
	return child_status(exit_at_once, NULL, text, sizeof(text)) == 0 ? 1 : 3;
}

static int start_beside_the_loader(void *arg)
{
	pthread_t t;

	(void)arg;
	REQUIRE(dl_iterate_phdr(fork_beside_a_start, &t) == 1);
	pthread_join(t, NULL);
	return ouro_shutdown(NULL);
}

static void fork_waits_for_nobody_in_the_loader(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	child_run(start_beside_the_loader, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(fork_child_of_a_quiet_process_works),
		BARE_CASE(fork_before_the_heap_starts),
		BARE_CASE(fork_waits_for_nobody_in_the_loader),
		HEAP_CASE(fork_keeps_references_of_other_threads),
		HEAP_CASE(fork_child_frees_objects_of_lost_threads),
		HEAP_CASE(fork_child_has_one_thread),
		MANUAL_CASE(fork_queued_finalizers_are_in_both),
		BARE_CASE(fork_handed_over_deaths_are_in_both),
		HEAP_CASE(fork_while_pinned_leaves_the_child_pinned),
		HEAP_CASE(fork_while_others_are_pinned),
		HEAP_CASE(fork_while_two_are_pinned),
		HEAP_CASE(fork_pinned_beside_a_collection),
		HEAP_CASE(fork_while_a_finalizer_collects),
		HEAP_CASE(fork_while_others_run_and_collect),
		HEAP_CASE(fork_from_another_thread),
		HEAP_CASE(fork_again_in_the_child),
	};

	return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
