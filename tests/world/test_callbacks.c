/*
 * Goal: whatever way a thread leaves one of the program's callbacks, nothing is lost and nobody
 * waits for it.
 * Method: threads are cancelled, or exit, inside finalizers, clears, destroys and watches of
 * objects that die by count and as garbage, on threads of the program's and of the library's.
 * Afterwards the heap must be flushed and collected as ever.
 * A failure would mean: a request that is aborted takes the process's memory management with it.
 */
#include "fixture.h"

/* ---- objects whose callbacks end the thread they run on ---- */

enum { FINALIZER, CLEAR, DESTROY, WATCH, WHERE };
enum { EXIT, CANCEL, HOW };
static atomic_int where, how; /* the next callback of that kind leaves, once */
static atomic_int n_left, n_finalizers, n_clears, n_destroys, n_watches;

static void maybe_leave(int at)
{
	int expected = at;

	if (!atomic_compare_exchange_strong(&where, &expected, WHERE))
		return;
	atomic_fetch_add(&n_left, 1);
	if (atomic_load(&how) == EXIT)
		pthread_exit(NULL);
	pthread_cancel(pthread_self());
	pthread_testcancel();
	abort();
}

static void traverse_none(void *obj, ouro_visitor *v)
{
	(void)obj;
	(void)v;
}

static void finalize(void *obj)
{
	(void)obj;
	atomic_fetch_add(&n_finalizers, 1);
	maybe_leave(FINALIZER);
}

static void clear(void *obj)
{
	(void)obj;
	atomic_fetch_add(&n_clears, 1);
	maybe_leave(CLEAR);
}

static void destroy(void *obj)
{
	(void)obj;
	atomic_fetch_add(&n_destroys, 1);
	maybe_leave(DESTROY);
}

static void watched(void *arg)
{
	(void)arg;
	atomic_fetch_add(&n_watches, 1);
	maybe_leave(WATCH);
}

static const ouro_type leaving_type = {
	.name = "leaving", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.weaks = OURO_WEAKS(struct node, weak),
	.traverse = traverse_none, .clear = clear, .finalize = finalize, .destroy = destroy,
};

enum { MEMBERS = 10 };

static void watch_twice(struct node *n)
{
	if (ouro_watch(n, watched, NULL, NULL) != 0 || ouro_watch(n, watched, NULL, NULL) != 0)
		abort();
}

static struct node *watched_list(void)
{
	struct node *head = make_list(&leaving_type, MEMBERS);

	for (struct node *n = head; n != NULL; n = n->right)
		watch_twice(n);
	return head;
}

static struct node *watched_ring(void)
{
	struct node *first = make_ring(&leaving_type, MEMBERS), *n = first;

	do {
		watch_twice(n);
		n = n->right;
	} while (n != first);
	return first;
}

static void prepare(int at, int way)
{
	atomic_store(&n_left, 0);
	atomic_store(&n_finalizers, 0);
	atomic_store(&n_clears, 0);
	atomic_store(&n_destroys, 0);
	atomic_store(&n_watches, 0);
	atomic_store(&how, way);
	atomic_store(&where, at);
}

static void assert_all_ran_once(int times)
{
	assert_int_equal(n_left, 1);
	assert_int_equal(n_finalizers, times * MEMBERS);
	assert_int_equal(n_clears, times * MEMBERS);
	assert_int_equal(n_destroys, times * MEMBERS);
	assert_int_equal(n_watches, times * 2 * MEMBERS);
	assert_int_equal(objects_live(), 0);
}

static void each_way(void (*test)(void))
{
	for (int at = 0; at < WHERE; at++)
		for (int way = 0; way < HOW; way++) {
			prepare(at, way);
			test();
		}
}

/* ---- by count ---- */

static void *release_list(void *arg)
{
	ouro_release(watched_list());
	return arg;
}

static void leave_release(void)
{
	thread_run(release_list, NULL);
	assert_int_equal(ouro_flush(), 0);
	assert_all_ran_once(1);
}

static void callback_that_ends_its_thread_in_a_release(void **state)
{
	(void)state;
	needs_forced_unwinds();
	each_way(leave_release);
}

static void collect_after_it(void)
{
	thread_run(release_list, NULL);
	assert_true(ouro_gc_collect(2) >= 0);
	assert_int_equal(ouro_flush(), 0);
	assert_all_ran_once(1);
}

static void callback_that_ends_its_thread_does_not_hold_up_a_collection(void **state)
{
	(void)state;
	needs_forced_unwinds();
	each_way(collect_after_it);
}

/* ---- garbage ---- */

static void *collect_ring(void *arg)
{
	ouro_release(watched_ring());
	ouro_gc_collect(2);
	return arg;
}

static void leave_collection(void)
{
	thread_run(collect_ring, NULL);
	assert_int_equal(ouro_flush(), 0);
	assert_all_ran_once(1);
}

static void callback_that_ends_its_thread_in_a_collection(void **state)
{
	(void)state;
	needs_forced_unwinds();
	each_way(leave_collection);
}

static void *run_them(void *arg)
{
	ouro_run_finalizers(SIZE_MAX);
	return arg;
}

static void *collect_and_run(void *arg)
{
	ouro_release(watched_ring());
	ouro_gc_collect(2);
	return run_them(arg);
}

static void leave_run_finalizers(void)
{
	thread_run(collect_and_run, NULL);
	thread_run(run_them, NULL);
	assert_all_ran_once(1);
}

static void callback_that_ends_its_thread_in_manual_mode(void **state)
{
	(void)state;
	needs_forced_unwinds();
	each_way(leave_run_finalizers);
}

/* A finalizer that collects; what it found ends the thread. */
static void finalize_by_collecting(void *obj)
{
	(void)obj;
	ouro_release(watched_ring());
	ouro_gc_collect(2);
}

static const ouro_type collecting_type = {
	.name = "collecting", .size = sizeof(struct node),
	.finalize = finalize_by_collecting, .destroy = counted_destroy,
};

static void *release_collecting(void *arg)
{
	ouro_release(make_of(&collecting_type, 1));
	return arg;
}

static void leave_nested(void)
{
	counters_clear();
	thread_run(release_collecting, NULL);
	assert_int_equal(ouro_flush(), 0);
	assert_all_ran_once(1);
	assert_int_equal(n_destroyed, 1);
}

static void callback_that_ends_its_thread_inside_another(void **state)
{
	(void)state;
	needs_forced_unwinds();
	each_way(leave_nested);
}

/* ---- on the library's own threads ---- */

static void *release_it(void *obj)
{
	ouro_release(obj);
	return NULL;
}

/* Its maker's part of the count is needed: the death is the reaper's. */
static void leave_reaper(void)
{
	thread_run(release_it, watched_list());
	assert_true(EVENTUALLY(n_left == 1));
	thread_run(release_it, watched_list());
	assert_true(EVENTUALLY(n_destroys == 2 * MEMBERS && objects_live() == 0));
	assert_all_ran_once(2);
}

static void callback_that_ends_the_reaper(void **state)
{
	(void)state;
	needs_forced_unwinds();
	each_way(leave_reaper);
}

/* ---- longjmp ---- */

static jmp_buf way_out;

static void destroy_by_longjmp(void *obj)
{
	(void)obj;
	longjmp(way_out, 1);
}

static const ouro_type jumping_type = { .name = "jumping", .size = sizeof(struct node), .destroy = destroy_by_longjmp };

static void jump_out(void)
{
	if (setjmp(way_out) == 0)
		ouro_release(make_of(&jumping_type, 1));
}

static int child_flushes_after_longjmp(void *arg)
{
	jump_out();
	ouro_flush();
	return arg != NULL;
}

static int child_releases_after_longjmp(void *arg)
{
	jump_out();
	ouro_release(make_of(&counted_type, 1));
	return arg != NULL;
}

static void assert_stopped(int (*child)(void *arg))
{
	char text[8192];
	int status = child_status(child, NULL, text, sizeof(text));

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(text, "the destroy of a \"jumping\" was left by longjmp"));
}

static void callback_left_by_longjmp_is_named(void **state)
{
	(void)state;
	assert_stopped(child_flushes_after_longjmp);
	assert_stopped(child_releases_after_longjmp);
}

static void *jump_and_end(void *arg)
{
	jump_out();
	return arg;
}

/* The thread does nothing more with the library: it ends, and its record is put in order. */
static void callback_left_by_longjmp_does_not_hold_up_others(void **state)
{
	(void)state;
	thread_run(jump_and_end, NULL);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(callback_that_ends_its_thread_in_a_release),
		HEAP_CASE(callback_that_ends_its_thread_does_not_hold_up_a_collection),
		HEAP_CASE(callback_that_ends_its_thread_in_a_collection),
		MANUAL_CASE(callback_that_ends_its_thread_in_manual_mode),
		HEAP_CASE(callback_that_ends_its_thread_inside_another),
		HEAP_CASE(callback_that_ends_the_reaper),
		HEAP_CASE(callback_left_by_longjmp_is_named),
		HEAP_CASE(callback_left_by_longjmp_does_not_hold_up_others),
	};

	return cmocka_run_group_tests_name("callbacks", tests, NULL, NULL);
}
