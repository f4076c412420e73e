/*
 * Goal: threads come and go in any way at any time, and only a pinned one ever holds up a stop.
 * Method: threads that exit, are cancelled, sleep, compute, pin and nest, while another one
 * collects.
 * A failure would mean: a server that hangs when a thread blocks, or leaks with each thread that
 * ends.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

#include "base/compiler.h"
#include "world/thread.h"
#include "world/world.h"

/* ---- attaching ---- */

static void thread_attaches_on_its_first_call(void **state)
{
	struct sleeper s;

	(void)state;
	ouro_release(make(1));
	uint64_t before = stats().threads;
	sleeper_start(&s, NULL, NULL);
	assert_int_equal(stats().threads, before);
	sleeper_stop(&s);
	assert_int_equal(stats().threads, before);
}

static void make_one(void *arg)
{
	ouro_release(make(1));
	(void)arg;
}

static void thread_count_follows_attach_and_exit(void **state)
{
	struct sleeper s[4];

	(void)state;
	make_one(NULL);
	uint64_t before = stats().threads;
	for (int i = 0; i < 4; i++) {
		sleeper_start(&s[i], make_one, NULL);
		assert_int_equal(stats().threads, before + (uint64_t)i + 1);
	}
	for (int i = 0; i < 4; i++)
		sleeper_stop(&s[i]);
	assert_true(EVENTUALLY(stats().threads == before));
}

static void thread_attach_detach_and_rename(void **state)
{
	(void)state;
	assert_int_equal(ouro_thread_attach("main"), 0);
	uint64_t attached = stats().threads;
	assert_int_equal(ouro_thread_attach("a name of more than fifteen bytes"), 0);
	assert_int_equal(ouro_thread_attach(NULL), 0);
	assert_int_equal(ouro_thread_attach(""), 0);
	assert_int_equal(stats().threads, attached);
	for (int i = 0; i < 10; i++) {
		ouro_thread_detach();
		ouro_thread_detach();
		assert_int_equal(ouro_thread_attach("main"), 0);
		assert_int_equal(stats().threads, attached);
	}
}

/* What a thread holds stays counted over a detach, and is its own again after it. */
static void thread_detach_keeps_references(void **state)
{
	struct node *n = make_of(&loud_type, 1);

	(void)state;
	for (int i = 0; i < 100; i++) {
		ouro_thread_detach();
		assert_int_equal(ouro_refcount(n), 1);
		ouro_thread_detach();
		ouro_retain(n);
		assert_int_equal(ouro_refcount(n), 2);
		ouro_release(n);
	}
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_journal("");
	ouro_thread_detach();
	ouro_release(n);
	assert_journal("f1 d1 ");
}

/* Each kind of operation as the first call of a thread that is not attached: Note [NOBODY]. */
struct first {
	struct node *node;
	void *slot;
	ouro_weak cell;
};

static void first_retain(struct first *f) { ouro_release(ouro_retain(f->node)); }
static void first_release(struct first *f) { ouro_release(f->node); }
static void first_try(struct first *f) { ouro_release(ouro_try_retain(f->node)); }
static void first_load(struct first *f) { ouro_release(ouro_load(&f->slot)); }
static void first_store(struct first *f) { ouro_store(&f->slot, f->node); }
static void first_give(struct first *f) { ouro_give(&f->slot, f->node); }
static void first_take(struct first *f) { ouro_release(ouro_take(&f->slot)); }
static void first_exchange(struct first *f) { ouro_release(ouro_exchange(&f->slot, NULL)); }
static void first_compare(struct first *f) { ouro_compare_exchange(&f->slot, f->node, NULL); }
static void first_weak_load(struct first *f) { ouro_release(ouro_weak_load(&f->cell)); }
static void first_weak_store(struct first *f) { ouro_weak_store(&f->cell, f->node); }
static void first_count(struct first *f) { assert_int_not_equal(ouro_refcount(f->node), 0); }
static void first_new(struct first *f) { ouro_release(make(1)); (void)f; }
static void first_pin(struct first *f) { ouro_pin(); ouro_unpin(); (void)f; }

static const struct first_call {
	void (*call)(struct first *f);
	int gives; /* references that it takes over from its caller */
} first_call[] = {
	{ first_retain, 0 }, { first_release, 1 }, { first_try, 0 }, { first_load, 0 },
	{ first_store, 0 }, { first_give, 1 }, { first_take, 0 }, { first_exchange, 0 },
	{ first_compare, 0 }, { first_weak_load, 0 }, { first_weak_store, 0 }, { first_count, 0 },
	{ first_new, 0 }, { first_pin, 0 },
};

static void call_first(void *arg)
{
	struct first f = { .node = make_of(&loud_type, 1) };
	const struct first_call *c = arg;

	ouro_store(&f.slot, f.node);
	assert_int_equal(ouro_weak_store(&f.cell, f.node), 0);
	for (int i = 0; i < c->gives; i++)
		ouro_retain(f.node);
	uint64_t attached = stats().threads;
	ouro_thread_detach();
	assert_null(oi_self);
	c->call(&f);
	assert_non_null(oi_self);
	assert_int_equal(stats().threads, attached);
	ouro_release(ouro_take(&f.slot));
	ouro_release(f.node);
}

static void thread_attaches_by_each_kind_of_call(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof first_call / sizeof *first_call; i++) {
		call_first((void *)&first_call[i]);
		assert_noted("d1 ", i + 1);
		assert_int_equal(oi_nobody.gate, 0);
		assert_int_equal(oi_nobody.rest, 0);
		assert_int_equal(oi_nobody.request, OI_REQUEST_NOBODY);
	}
}

static void detach_in_finalizer(void *obj)
{
	ouro_thread_detach();
	loud_finalize(obj);
}

static const ouro_type detaching_type = {
	.name = "detaching", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = detach_in_finalizer, .destroy = loud_destroy,
};

static void thread_detach_does_nothing_when_pinned_or_in_a_finalizer(void **state)
{
	struct node *holder = make(1);

	(void)state;
	ouro_give(&holder->left, make(2));
	ouro_pin();
	struct node *seen = ouro_peek(&holder->left);
	ouro_thread_detach();
	assert_ptr_equal(ouro_peek(&holder->left), seen);
	ouro_unpin();
	ouro_release(holder);
	ouro_release(make_of(&detaching_type, 1));
	assert_journal("f1 d1 ");
	ouro_release(make_pair(&detaching_type, 2));
	assert_int_equal(ouro_gc_collect(2), 2);
}

/* ---- ways to exit ---- */

static struct node *left_behind;

static void *exit_by_return(void *arg)
{
	left_behind = make_of(&loud_type, 1);
	return arg;
}

static void *exit_by_pthread_exit(void *arg)
{
	left_behind = make_of(&loud_type, 2);
	pthread_exit(arg);
}

static atomic_bool ready;

/* ThreadSanitizer sees none of the locks of a thread that was cancelled inside one of its interceptors. */
static void *exit_by_cancel(void *arg)
{
	left_behind = make_of(&loud_type, 3);
	atomic_store(&ready, true);
	for (;;) {
		pthread_testcancel();
		sched_yield();
	}
	return arg;
}

static void *exit_detached(void *arg)
{
	left_behind = make_of(&loud_type, 4);
	atomic_store(&ready, true);
	return arg;
}

static void assert_left_behind(const char *expected)
{
	assert_int_equal(ouro_refcount(left_behind), 1);
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_release(left_behind);
	assert_true(EVENTUALLY(strcmp(journal.text, expected) == 0));
	book_clear(&journal);
}

static void thread_exits_in_any_way(void **state)
{
	pthread_t t;

	(void)state;
	make_one(NULL);
	uint64_t before = stats().threads;
	thread_run(exit_by_return, NULL);
	assert_left_behind("f1 d1 ");
	thread_run(exit_by_pthread_exit, NULL);
	assert_left_behind("f2 d2 ");
	atomic_store(&ready, false);
	t = thread_start(exit_by_cancel, NULL);
	assert_true(EVENTUALLY(ready));
	pthread_cancel(t);
	pthread_join(t, NULL);
	assert_left_behind("f3 d3 ");
	atomic_store(&ready, false);
	pthread_detach(thread_start(exit_detached, NULL));
	assert_true(EVENTUALLY(ready));
	assert_true(EVENTUALLY(stats().threads == before));
	assert_left_behind("f4 d4 ");
}

/*
 * Destructors of thread-specific data may run after the library's own, in several rounds; POSIX promises
 * four. The library cleans up behind each, in the next one. ThreadSanitizer ends the thread in the fourth,
 * before our turn: instrumented code crashes from then on, whatever it does.
 */
#if defined(TEST_TSAN)
enum { DESTRUCTOR_ROUNDS = 2 };
#else
enum { DESTRUCTOR_ROUNDS = 3 };
#endif

static pthread_key_t key;
static atomic_int destructor_runs;

struct late {
	struct node *node;
	int rounds;
};

static void late_destructor(void *arg)
{
	struct late *l = arg;
	ouro_weak cell = { 0 };

	ouro_release(l->node);
	l->node = make(1);
	ouro_release(make_pair(&node_type, 2));
	if (ouro_weak_store(&cell, l->node) != 0 || ouro_weak_load(&cell) != l->node)
		abort();
	ouro_weak_clear(&cell);
	ouro_release(l->node);
	atomic_fetch_add(&destructor_runs, 1);
	if (--l->rounds > 0) {
		pthread_setspecific(key, l);
		return;
	}
	ouro_release(l->node);
	free(l);
}

static void *use_late(void *arg)
{
	struct late *l = calloc(1, sizeof(*l));

	l->rounds = DESTRUCTOR_ROUNDS;
	pthread_setspecific(key, l);
	if (arg != NULL)
		l->node = make(1);
	return NULL;
}

static void thread_specific_destructors_may_use_the_library(void **state)
{
	(void)state;
	assert_int_equal(pthread_key_create(&key, late_destructor), 0);
	make_one(NULL);
	uint64_t before = stats().threads;
	atomic_store(&destructor_runs, 0);
	for (int i = 0; i < 20; i++)
		thread_run(use_late, i % 2 ? &key : NULL);
	assert_int_equal(destructor_runs, 20 * DESTRUCTOR_ROUNDS);
	assert_true(EVENTUALLY(stats().threads == before));
	ouro_gc_collect(2);
	ouro_flush();
	assert_int_equal(objects_live(), 0);
	pthread_key_delete(key);
}

static void *short_life(void *arg)
{
	for (int i = 0; i < 20; i++)
		ouro_release(make_pair(&node_type, i));
	return arg;
}

static void *collect_until_told(void *arg)
{
	while (!atomic_load((atomic_bool *)arg))
		if (ouro_gc_collect(0) < 0)
			abort();
	return NULL;
}

static void thread_storm_during_collections(void **state)
{
	atomic_bool stop = false;
	pthread_t collector = thread_start(collect_until_told, &stop), t[8];

	(void)state;
	for (int round = 0; round < LOAD(100); round++) {
		for (int i = 0; i < 8; i++)
			t[i] = thread_start(short_life, NULL);
		for (int i = 0; i < 8; i++)
			pthread_join(t[i], NULL);
	}
	atomic_store(&stop, true);
	pthread_join(collector, NULL);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

/* Many threads at once: more than any small table would hold. */
static void thread_hundreds_at_once(void **state)
{
	enum { N = 300 };
	static struct sleeper s[N];

	(void)state;
	for (int i = 0; i < N; i++)
		sleeper_start(&s[i], make_one, NULL);
	assert_true(stats().threads >= N);
	assert_true(ouro_gc_collect(2) >= 0);
	for (int i = 0; i < N; i++)
		sleeper_stop(&s[i]);
}

/* ---- what holds up a stop, and what does not ---- */

static void thread_asleep_does_not_delay_a_collection(void **state)
{
	struct sleeper s[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		sleeper_start(&s[i], make_one, NULL);
	for (int i = 0; i < 20; i++) /* or the case's alarm goes off */
		assert_true(ouro_gc_collect(2) >= 0);
	for (int i = 0; i < 4; i++)
		sleeper_stop(&s[i]);
}

struct spinner {
	atomic_bool spinning, stop;
};

static void *spin(void *arg)
{
	struct spinner *s = arg;

	make_one(NULL);
	atomic_store(&s->spinning, true);
	while (!atomic_load(&s->stop))
		;
	return NULL;
}

static void thread_computing_does_not_delay_a_collection(void **state)
{
	struct spinner s = { .stop = false };
	pthread_t t = thread_start(spin, &s);

	(void)state;
	assert_true(EVENTUALLY(s.spinning));
	for (int i = 0; i < 20; i++) /* or the case's alarm goes off */
		assert_true(ouro_gc_collect(2) >= 0);
	atomic_store(&s.stop, true);
	pthread_join(t, NULL);
}

struct pinned {
	atomic_bool pinned, unpin, out;
	int depth;
	bool safepoints;
};

static void *pin_and_wait(void *arg)
{
	struct pinned *p = arg;

	ouro_thread_attach("dawdler");
	for (int i = 0; i < p->depth; i++)
		ouro_pin();
	atomic_store(&p->pinned, true);
	while (!atomic_load(&p->unpin)) {
		if (p->safepoints)
			ouro_safepoint();
		sleep_ms(1);
	}
	for (int i = 0; i < p->depth; i++) {
		if (i == p->depth - 1)
			atomic_store(&p->out, true);
		ouro_unpin();
	}
	return NULL;
}

static void *unpin_later(void *arg)
{
	struct pinned *p = arg;

	for (int ms = 0; ms < 100 && !oi_load_acquire(&oi_world.stopping); ms++)
		sleep_ms(1); /* a collection may also wait without a stop */
	sleep_ms(100);
	atomic_store(&p->unpin, true);
	return NULL;
}

/* Was it logged? Not if the one that it delays had no processor all the time. */
static bool pinned_is_logged(void)
{
	struct pinned p = { .depth = 3 };
	pthread_t t = thread_start(pin_and_wait, &p), u;

	assert_true(EVENTUALLY(p.pinned));
	u = thread_start(unpin_later, &p);
	ouro_release(make_pair(&node_type, 1));
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_true(p.out);
	pthread_join(t, NULL);
	pthread_join(u, NULL);
	for (int ms = 0; ms < 1000 && book_find(&log_book, "dawdler") < 0; ms++)
		sleep_ms(1);
	return book_find(&log_book, "dawdler") >= 0;
}

/* The collection returns only after the last unpin, and the log has the thread that held it up. */
static void thread_pinned_delays_a_collection_and_is_logged(void **state)
{
	(void)state;
	assert_true(EVENTUALLY(pinned_is_logged()));
}

static void thread_pinned_is_not_logged_when_not_wanted(void **state)
{
	struct pinned p = { .depth = 1 };
	ouro_config cfg = test_config();
	pthread_t t, u;

	(void)state;
	cfg.pin_warn_ns = 0;
	heap_start(&cfg);
	t = thread_start(pin_and_wait, &p);
	assert_true(EVENTUALLY(p.pinned));
	u = thread_start(unpin_later, &p);
	ouro_release(make_pair(&node_type, 1));
	assert_int_equal(ouro_gc_collect(2), 2);
	pthread_join(t, NULL);
	pthread_join(u, NULL);
	assert_logged("\n", 0);
}

/* A safepoint lets the stop through at any depth, though the thread stays pinned. */
static void thread_safepoint_lets_a_collection_through(void **state)
{
	(void)state;
	for (int depth = 1; depth <= 3; depth++) {
		struct pinned p = { .depth = depth, .safepoints = true };
		pthread_t t = thread_start(pin_and_wait, &p);

		assert_true(EVENTUALLY(p.pinned));
		for (int i = 0; i < 5; i++) {
			ouro_release(make_pair(&node_type, 1));
			assert_int_equal(ouro_gc_collect(2), 2);
		}
		assert_false(p.out);
		atomic_store(&p.unpin, true);
		pthread_join(t, NULL);
	}
}

static void thread_safepoint_outside_does_nothing(void **state)
{
	(void)state;
	ouro_safepoint();
	ouro_pin();
	ouro_safepoint();
	ouro_unpin();
	ouro_safepoint();
	assert_int_equal(ouro_gc_collect(0), 0);
}

/* Only unpin and safepoint end a pinned region: no operation in between does, whatever it is. */
static void *operate_pinned(void *arg)
{
	struct pinned *p = arg;
	struct node *holder = make(1);
	ouro_weak cell = { 0 };

	ouro_give(&holder->left, make(2));
	ouro_pin();
	struct node *seen = ouro_peek(&holder->left);
	ouro_store(&holder->left, NULL);
	atomic_store(&p->pinned, true);
	for (int i = 0; i < 50; i++) {
		ouro_release(make(i));
		ouro_give(&holder->right, make(i));
		ouro_release(ouro_load(&holder->right));
		ouro_weak_store(&cell, holder);
		ouro_release(ouro_weak_load(&cell));
		ouro_pin();
		ouro_unpin();
		ouro_gc_collect(0);
		ouro_flush();
		sleep_ms(1);
		if (seen->id != 2)
			atomic_store(&p->unpin, true);
	}
	atomic_store(&p->out, true);
	ouro_unpin();
	ouro_weak_clear(&cell);
	ouro_release(holder);
	return NULL;
}

static void thread_pin_is_ended_by_no_operation(void **state)
{
	struct pinned p = { .depth = 1 };
	pthread_t t = thread_start(operate_pinned, &p);

	(void)state;
	assert_true(EVENTUALLY(p.pinned));
	assert_true(ouro_gc_collect(2) >= 0);
	assert_true(p.out);
	assert_false(p.unpin);
	pthread_join(t, NULL);
}

/* An operation that begins while the world is stopped waits until it goes on. */
static atomic_int inside;
static atomic_size_t operations;

static void mark_pause(const ouro_gc_event *event, void *arg)
{
	(void)arg;
	if (event->phase == OURO_PAUSE_START) {
		size_t before = atomic_load(&operations);

		sleep_ms(20);
		if (atomic_load(&operations) > before + 2)
			atomic_fetch_add(&inside, 1);
	}
}

static void *operate(void *arg)
{
	while (!atomic_load((atomic_bool *)arg)) {
		ouro_release(make(1));
		atomic_fetch_add(&operations, 1);
	}
	return NULL;
}

static void thread_operations_wait_while_the_world_is_stopped(void **state)
{
	atomic_bool stop = false;
	pthread_t t[2] = { thread_start(operate, &stop), thread_start(operate, &stop) };

	(void)state;
	assert_true(EVENTUALLY(operations > 100));
	assert_int_equal(ouro_gc_on_event(mark_pause, NULL), 0);
	for (int i = 0; i < 5; i++) {
		ouro_release(make_pair(&node_type, 1));
		ouro_gc_collect(2);
	}
	assert_int_equal(ouro_gc_off_event(mark_pause, NULL), 0);
	size_t before = operations;
	assert_true(EVENTUALLY(operations > before));
	atomic_store(&stop, true);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	assert_int_equal(inside, 0);
}

/* Who sleeps while the world is stopped is woken when it goes on: a sleep that nobody ends lasts a second. */
static void await_sleeper(const ouro_gc_event *event, void *arg)
{
	(void)arg;
	if (event->phase == OURO_PAUSE_START)
		for (int i = 0; i < 5000 && !oi_load_acquire(&oi_world.n_waiting); i++)
			sleep_ms(1);
}

static void thread_sleepers_are_woken_when_the_world_goes_on(void **state)
{
	enum { STOPS = 60 };
	atomic_bool stop = false;
	pthread_t t = thread_start(operate, &stop);

	(void)state;
	assert_int_equal(ouro_gc_on_event(await_sleeper, NULL), 0);
	uint64_t shortest = UINT64_MAX;
	for (int i = 0; i < STOPS; i++) {
		size_t before = atomic_load(&operations);
		uint64_t began = now_ns();

		ouro_gc_collect(0);
		while (atomic_load(&operations) == before)
			sched_yield();
		shortest = now_ns() - began < shortest ? now_ns() - began : shortest;
	}
	assert_true(shortest < 700000000);
	assert_int_equal(ouro_gc_off_event(await_sleeper, NULL), 0);
	atomic_store(&stop, true);
	pthread_join(t, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(thread_attaches_on_its_first_call),
		HEAP_CASE(thread_count_follows_attach_and_exit),
		HEAP_CASE(thread_attach_detach_and_rename),
		HEAP_CASE(thread_detach_keeps_references),
		HEAP_CASE(thread_detach_does_nothing_when_pinned_or_in_a_finalizer),
		HEAP_CASE(thread_attaches_by_each_kind_of_call),
		HEAP_CASE(thread_exits_in_any_way),
		HEAP_CASE(thread_specific_destructors_may_use_the_library),
		HEAP_CASE(thread_storm_during_collections),
		HEAP_CASE(thread_hundreds_at_once),
		HEAP_CASE(thread_asleep_does_not_delay_a_collection),
		HEAP_CASE(thread_computing_does_not_delay_a_collection),
		HEAP_CASE(thread_pinned_delays_a_collection_and_is_logged),
		BARE_CASE(thread_pinned_is_not_logged_when_not_wanted),
		HEAP_CASE(thread_safepoint_lets_a_collection_through),
		HEAP_CASE(thread_safepoint_outside_does_nothing),
		HEAP_CASE(thread_pin_is_ended_by_no_operation),
		HEAP_CASE(thread_operations_wait_while_the_world_is_stopped),
		HEAP_CASE(thread_sleepers_are_woken_when_the_world_goes_on),
	};

	return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
