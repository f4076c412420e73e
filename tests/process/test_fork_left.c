/*
 * Goal: nothing that a thread had begun when the process forked keeps the child, where that thread
 * is gone, from working.
 * Method: hold a thread at a point (in a listener, a finalizer, a destructor, pthread_create),
 * fork, look in the child.
 * A failure would mean: a worker process that never collects again, hangs, or wakes up for nothing
 * for the rest of its life.
 */
#include "fixture.h"

#include <dlfcn.h>

#include "base/perturb.h"
#include "heap/pace.h"
#include "process/attach.h"

/* ---- pthread_create can be refused, or held ---- */

static atomic_int refuse; /* so many; below 0: for ever */
static void (*in_create)(void);

#if !defined(TEST_TSAN) && !defined(TEST_ASAN)
int pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	if (in_create != NULL)
		in_create();
	if (atomic_load(&refuse) < 0 || (atomic_load(&refuse) > 0 && atomic_fetch_sub(&refuse, 1) > 0))
		return EAGAIN;
	return real(t, attr, fn, arg);
}
#endif

static void needs_to_refuse_threads(void)
{
	if (SANITIZED)
		skip(); /* pthread_create is the sanitizer's */
}

/* ---- a thread that stands still where it is ---- */

static atomic_bool held, go_on;

static void hold(void)
{
	atomic_store(&held, true);
	while (!atomic_load(&go_on))
		sleep_ms(1);
}

static void hold_none(void)
{
	atomic_store(&held, false);
	atomic_store(&go_on, false);
}

static ouro_gc_phase hold_phase;
static int hold_generation;

static void hold_at_phase(const ouro_gc_event *e, void *arg)
{
	(void)arg;
	if (e->phase == hold_phase && e->generation == hold_generation && !atomic_load(&go_on))
		hold();
}

static void hold_collections_at(ouro_gc_phase phase, int generation)
{
	hold_none();
	hold_phase = phase;
	hold_generation = generation;
	assert_int_equal(ouro_gc_on_event(hold_at_phase, NULL), 0);
}

static void let_collections_go(void)
{
	atomic_store(&go_on, true);
	assert_int_equal(ouro_gc_off_event(hold_at_phase, NULL), 0);
}

static void *collect_all(void *arg)
{
	ouro_gc_collect(2);
	return arg;
}

/* ---- automatic collection in a child ---- */

enum { GARBAGE = 30000 };

static void require_automatic_collection(void)
{
	atomic_store(&go_on, true);
	REQUIRE(ouro_gc_set_threshold(500, 10, 10) == 0);
	ouro_gc_enable();
	for (int i = 0; i < GARBAGE; i++)
		ouro_release(make_pair(&node_type, i));
	REQUIRE(EVENTUALLY((ouro_release(make_pair(&node_type, 1)), objects_live() < GARBAGE / 4)));
}

static int child_collects(void *arg)
{
	(void)arg;
	REQUIRE(!oi_pace.full);
	require_automatic_collection();
	return 0;
}

/* A thread that asked for a full collection keeps automatic ones away, also while the listeners hear of its end. */
static void fork_left_by_a_collection_asked_for(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	hold_collections_at(OURO_GC_STOP, 2);
	pthread_t t = thread_start(collect_all, NULL);
	assert_true(EVENTUALLY(held));
	assert_true(oi_pace.full);
	child_run(child_collects, NULL);
	let_collections_go();
	pthread_join(t, NULL);
}

/* ---- the library's threads ---- */

static int child_is_refused(void *arg)
{
	atomic_store(&refuse, *(int *)arg);
	require_automatic_collection();
	REQUIRE(atomic_load(&refuse) == 0);
	return 0;
}

static void fork_left_without_a_thread_at_first(void **state)
{
	(void)state;
	needs_to_refuse_threads();
	child_run(child_is_refused, &(int){ 1 });
	child_run(child_is_refused, &(int){ 4 });
}

static int child_is_always_refused(void *arg)
{
	(void)arg;
	atomic_store(&refuse, -1);
	ouro_gc_enable();
	for (int i = 0; i < GARBAGE; i++)
		ouro_release(make_pair(&node_type, i));
	REQUIRE(ouro_gc_collect(2) > 0);
	REQUIRE(ouro_flush() == 0);
	REQUIRE(objects_live() == 0);
	REQUIRE(process_threads() == 1);
	REQUIRE(ouro_shutdown(NULL) == 0);
	REQUIRE(ouro_init(NULL) == EAGAIN);
	atomic_store(&refuse, 1);
	REQUIRE(ouro_init(NULL) == EAGAIN);
	REQUIRE(ouro_init(NULL) == 0);
	require_automatic_collection();
	return ouro_shutdown(NULL);
}

static void fork_left_without_a_thread_for_ever(void **state)
{
	(void)state;
	needs_to_refuse_threads();
	child_run(child_is_always_refused, NULL);
}

/* The reaper alone is refused: the collector is there, and sees to it. */
static void refuse_the_second(void)
{
	static atomic_int n;

	atomic_store(&refuse, atomic_fetch_add(&n, 1) == 1);
}

static int child_finalizes(void *arg)
{
	(void)arg;
	in_create = refuse_the_second;
	ouro_release(make_pair(&loud_type, 1));
	require_automatic_collection();
	REQUIRE(EVENTUALLY((ouro_release(make_pair(&node_type, 1)), book_count(&journal, "d") == 2)));
	return 0;
}

static void fork_left_without_a_reaper_at_first(void **state)
{
	(void)state;
	needs_to_refuse_threads();
	child_run(child_finalizes, NULL);
}

/*
 * What waits for the reaper when the process forks: nobody starts it but an operation of the
 * child's, and that one does.
 */
static int child_starts_threads_when_it_needs_them(void *arg)
{
	(void)arg;
	REQUIRE(process_threads() == 1);
	ouro_unpin();
	atomic_store(&go_on, true);
	REQUIRE(process_threads() == 1);
	ouro_release(make(1));
	REQUIRE(EVENTUALLY(book_count(&journal, "d7 ") == 1)); /* without another call */
	return 0;
}

static struct node *foreign;

static void make_foreign(void *arg)
{
	(void)arg;
	foreign = make_of(&loud_type, 7);
}

static void fork_left_work_for_the_reaper(void **state)
{
	struct sleeper s;

	(void)state;
	needs_threads_in_the_child();
	sleeper_start(&s, make_foreign, NULL);
	assert_int_equal(ouro_gc_set_threshold(100, 10, 10), 0);
	hold_collections_at(OURO_GC_START, 0);
	ouro_gc_enable();
	while (!atomic_load(&held)) /* the collector's thread: no tick from now on */
		ouro_release(make_pair(&node_type, 1));
	ouro_release(foreign);
	ouro_pin();
	child_run(child_starts_threads_when_it_needs_them, NULL);
	ouro_unpin();
	ouro_gc_disable();
	let_collections_go();
	sleeper_stop(&s);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(book_count(&journal, "d7 "), 1);
	ouro_gc_collect(2);
}

static int child_does_nothing(void *arg)
{
	(void)arg;
	REQUIRE(process_threads() == 1);
	sleep_ms(20);
	REQUIRE(process_threads() == 1);
	return 0;
}

static void fork_left_alone_starts_no_thread(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	for (int i = 0; i < 1000; i++)
		ouro_release(make_pair(&loud_type, i));
	child_run(child_does_nothing, NULL);
	ouro_gc_collect(2);
}

/* ---- starting and ending the heap ---- */

static atomic_bool forking;

static void note_forking(void)
{
	atomic_store(&forking, true);
}

/* Stands in what the fork ought to wait for: until that is under way, and long enough for it to come too early. */
static void hold_up_fork(void)
{
	atomic_store(&held, true);
	for (int i = 0; i < 10000 && !atomic_load(&forking); i++)
		sleep_ms(1);
	sleep_ms(100);
}

static void hold_none_up(void)
{
	static bool registered;

	hold_none();
	atomic_store(&forking, false);
	if (!registered)
		assert_int_equal(pthread_atfork(note_forking, NULL, NULL), 0);
	registered = true;
}

static int child_starts_and_stops(void *arg)
{
	(void)arg;
	in_create = NULL;
	ouro_release(make_pair(&node_type, 1));
	REQUIRE(ouro_gc_collect(2) >= 0);
	REQUIRE(ouro_shutdown(NULL) == 0);
	REQUIRE(ouro_init(NULL) == 0);
	require_automatic_collection();
	return ouro_shutdown(NULL);
}

static void *init_heap(void *arg)
{
	*(int *)arg = ouro_init(NULL);
	return NULL;
}

static void hold_up_once(void)
{
	in_create = NULL;
	hold_up_fork();
}

static void *arm_and_init_heap(void *arg)
{
	in_create = hold_up_once;
	return init_heap(arg);
}

static void fork_left_by_who_starts_the_heap(void **state)
{
	int error = -1;

	(void)state;
	needs_to_refuse_threads();
	hold_none_up();
	pthread_t t = thread_start(arm_and_init_heap, &error);
	assert_true(EVENTUALLY(held));
	child_run(child_starts_and_stops, NULL);
	pthread_join(t, NULL);
	assert_int_equal(error, 0);
	heap_stop();
}

static void hold_up_finalizer(void *obj)
{
	(void)obj;
	if (!atomic_load(&held))
		hold_up_fork();
}

static const ouro_type slow_type = {
	.name = "slow", .size = sizeof(struct node), .finalize = hold_up_finalizer,
};

static void *end_heap(void *arg)
{
	ouro_report r;

	*(int *)arg = ouro_shutdown(&r);
	return NULL;
}

static void fork_left_by_who_ends_the_heap(void **state)
{
	ouro_config cfg = test_config();
	int error = -1;

	(void)state;
	needs_threads_in_the_child();
	hold_none_up();
	heap_start(&cfg);
	struct node *leaked = make_of(&slow_type, 1);
	(void)leaked; /* still held when the heap ends: the finalizer runs there */
	pthread_t t = thread_start(end_heap, &error);
	assert_true(EVENTUALLY(held));
	child_run(child_starts_and_stops, NULL);
	pthread_join(t, NULL);
	assert_int_equal(error, 0);
}

/* ---- a thread in its last destructors ---- */

static pthread_key_t key;

static void call_late_and_hold(void *arg)
{
	(void)arg;
	ouro_release(make(1)); /* attaches a thread that has left */
	hold();
}

static void *leave_late(void *arg)
{
	ouro_release(make(1));
	pthread_setspecific(key, &key);
	return arg;
}

static int child_waits_for_no_late_thread(void *arg)
{
	(void)arg;
	REQUIRE(!oi_threads_reap_gone());
	return 0;
}

static void fork_left_by_a_thread_in_its_destructors(void **state)
{
	(void)state;
	hold_none();
	assert_int_equal(pthread_key_create(&key, call_late_and_hold), 0);
	pthread_t t = thread_start(leave_late, NULL);
	assert_true(EVENTUALLY(held));
	assert_true(oi_threads_reap_gone());
	child_run(child_waits_for_no_late_thread, NULL);
	atomic_store(&go_on, true);
	pthread_join(t, NULL);
	pthread_key_delete(key);
}

/* ---- handlers that were registered before the library's run between those ---- */

static atomic_bool handlers_work;
static atomic_size_t n_handled;
static ouro_weak handlers_cell;

static bool see(void *obj, void *arg)
{
	(void)obj;
	(void)arg;
	return true;
}

static void count_watch(void *arg)
{
	atomic_fetch_add((atomic_size_t *)arg, 1);
}

static void use_the_library(void)
{
	struct node *list;
	ouro_stats s;

	if (!atomic_load(&handlers_work))
		return;
	list = make_list(&counted_type, 30000); /* takes pages, and gives them back */
	REQUIRE(ouro_weak_store(&handlers_cell, list) == 0);
	REQUIRE(ouro_watch(list, count_watch, &n_handled, NULL) == 0);
	ouro_release(list);
	REQUIRE(ouro_weak_expired(&handlers_cell));
	for (int i = 0; i < 1000; i++)
		ouro_release(make_pair(&node_type, i));
	REQUIRE(ouro_gc_collect(2) == -1 && errno == EDEADLK);
	REQUIRE(ouro_gc_objects(-1, see, NULL) == -1 && errno == EDEADLK);
	REQUIRE(ouro_flush() == EDEADLK);
	REQUIRE(ouro_shutdown(NULL) == EDEADLK);
	REQUIRE(ouro_gc_off_event(hold_at_phase, NULL) == ENOENT);
	REQUIRE(ouro_thread_attach("forking") == 0);
	ouro_stats_get(&s);
	ouro_pin();
	ouro_safepoint();
	ouro_unpin();
}

static void register_first(void)
{
	if (pthread_atfork(use_the_library, use_the_library, use_the_library) != 0)
		abort();
}

/* Before any constructor. */
__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = register_first;

static int child_after_handlers(void *arg)
{
	if (arg != NULL)
		ouro_unpin();
	REQUIRE(n_handled == 2 + (arg != NULL ? 2 : 0)); /* before the fork, and in the child */
	REQUIRE(ouro_gc_collect(2) >= 0);
	REQUIRE(ouro_flush() == 0);
	REQUIRE(objects_live() <= 2); /* what a thread that is gone held */
	require_automatic_collection();
	return 0;
}

static void *make_garbage(void *arg)
{
	for (unsigned i = 0; !atomic_load((atomic_bool *)arg); i++) {
		throttle(i);
		ouro_release(make_pair(&counted_type, 1));
	}
	return NULL;
}

static void fork_left_handlers_in_between(void **state)
{
	atomic_bool over = false;

	(void)state;
	needs_threads_in_the_child();
	pthread_t t = thread_start(make_garbage, &over);
	atomic_store(&n_handled, 0);
	atomic_store(&handlers_work, true);
	child_run(child_after_handlers, NULL);
	atomic_store(&n_handled, 0);
	ouro_pin();
	atomic_store(&n_handled, 2);
	child_run(child_after_handlers, &(int){ 0 });
	ouro_unpin();
	atomic_store(&handlers_work, false);
	atomic_store(&over, true);
	pthread_join(t, NULL);
	ouro_weak_clear(&handlers_cell);
	assert_true(ouro_gc_collect(2) > 0);
}

/* ---- between the end of weak references and the watches ---- */

#if OURO_CHECKED

static atomic_int n_severed;
static _Thread_local bool stands_severed;

static void count_severed(void *arg)
{
	(void)arg;
	atomic_fetch_add(&n_severed, 1);
}

static void stand_severed(const char *point)
{
	if (!stands_severed || strcmp(point, "severed") != 0)
		return;
	stands_severed = false;
	hold();
}

static struct node *watched(struct node *n)
{
	if (ouro_watch(n, count_severed, NULL, NULL) != 0 || ouro_watch(n, count_severed, NULL, NULL) != 0)
		abort();
	return n;
}

static void *release_one(void *arg)
{
	struct node *n = watched(make(1));

	stands_severed = true;
	ouro_release(n);
	return arg;
}

static void *collect_it(void *arg)
{
	stands_severed = true;
	ouro_gc_collect(2);
	return arg;
}

static int child_runs_watches(void *arg)
{
	(void)arg;
	REQUIRE(n_severed == 0);
	REQUIRE(ouro_flush() == 0);
	REQUIRE(n_severed == 2);
	REQUIRE(objects_live() == 0);
	return 0;
}

static void check_severed(void *(*fn)(void *))
{
	hold_none();
	atomic_store(&n_severed, 0);
	oi_point_hook = stand_severed;
	pthread_t t = thread_start(fn, NULL);
	assert_true(EVENTUALLY(held));
	child_run(child_runs_watches, NULL);
	atomic_store(&go_on, true);
	pthread_join(t, NULL);
	oi_point_hook = NULL;
	assert_int_equal(n_severed, 2);
	assert_int_equal(objects_live(), 0);
}

static void fork_left_by_who_has_ended_weak_references(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	check_severed(release_one);
	ouro_release(watched(make_pair(&node_type, 1)));
	check_severed(collect_it);
}

#endif

/* ---- a death that has hardly begun ---- */

#if OURO_CHECKED
static _Thread_local bool releases;

static void hold_the_death(const char *point)
{
	if (releases && strcmp(point, "death: on the stack") == 0)
		hold();
}

static void *release_and_stand(void *arg)
{
	struct node *n = make_of(&counted_type, 1);

	releases = true;
	ouro_release(n);
	return arg;
}

static int child_of_a_death(void *arg)
{
	(void)arg;
	oi_point_hook = NULL;
	REQUIRE(ouro_flush() == 0);
	REQUIRE(n_destroyed == 1);
	REQUIRE(objects_live() == 0);
	return 0;
}
#endif

/* The last reference is gone, and the thread has left its gate. */
static void fork_left_a_death(void **state)
{
	(void)state;
#if OURO_CHECKED
	needs_threads_in_the_child();
	counters_clear();
	hold_none();
	oi_point_hook = hold_the_death;
	pthread_t t = thread_start(release_and_stand, NULL);
	assert_true(EVENTUALLY(atomic_load(&held)));
	child_run(child_of_a_death, NULL);
	atomic_store(&go_on, true);
	pthread_join(t, NULL);
	oi_point_hook = NULL;
	assert_int_equal(n_destroyed, 1);
#else
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(fork_left_by_a_collection_asked_for),
		HEAP_CASE(fork_left_without_a_thread_at_first),
		HEAP_CASE(fork_left_without_a_thread_for_ever),
		HEAP_CASE(fork_left_without_a_reaper_at_first),
		HEAP_CASE(fork_left_work_for_the_reaper),
		HEAP_CASE(fork_left_alone_starts_no_thread),
		BARE_CASE(fork_left_by_who_starts_the_heap),
		BARE_CASE(fork_left_by_who_ends_the_heap),
		HEAP_CASE(fork_left_by_a_thread_in_its_destructors),
		HEAP_CASE(fork_left_handlers_in_between),
		HEAP_CASE(fork_left_a_death),
#if OURO_CHECKED
		HEAP_CASE(fork_left_by_who_has_ended_weak_references),
#endif
	};

	return cmocka_run_group_tests_name("fork_left", tests, NULL, NULL);
}
