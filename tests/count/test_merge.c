/*
 * Goal: however many of a thread's objects others release, no operation of that thread merges more
 * than a slice of them, nor does anybody on its behalf; and all of them are gone soon.
 * Method: a thread drops another's objects by the thousand. The registry lock is held where the
 * library's own threads are to stay away from the queue.
 * A failure would mean: an operation, or a stop, that takes as long as a queue is long; a stack
 * that overflows; memory that waits for ever.
 */
#include "fixture.h"

#include "base/perturb.h"
#include "count/merge.h"
#include "world/gate.h"
#include "world/thread.h"

enum { OWNED = LOAD(40000), SLICE = 64, SEIZED = 1024, ROUNDS = 25 };

static struct node *owned[OWNED];
static atomic_size_t n_asked, n_dropped; /* the dropper works on so many */
static atomic_bool held, let_go;

static void *dropper_main(void *arg)
{
	ouro_thread_attach("dropper");
	for (size_t n = 0; n < OWNED; n++) {
		while (n >= atomic_load(&n_asked))
			sched_yield();
		ouro_release(owned[n]);
		atomic_store(&n_dropped, n + 1);
	}
	return arg;
}

/* While it is held nobody seizes a thread. */
static void *holder_main(void *arg)
{
	oi_registry_lock();
	atomic_store(&held, true);
	while (!atomic_load(&let_go))
		sched_yield();
	oi_registry_unlock();
	return arg;
}

static void drop_up_to(size_t n)
{
	atomic_store(&n_asked, n);
	while (atomic_load(&n_dropped) < n)
		sched_yield();
}

static pthread_t dropper_start(void)
{
	atomic_store(&n_asked, 0);
	atomic_store(&n_dropped, 0);
	atomic_store(&held, false);
	atomic_store(&let_go, false);
	for (size_t i = 0; i < OWNED; i++)
		owned[i] = make((int)i);
	pthread_t t = thread_start(dropper_main, NULL);

	drop_up_to(1); /* it is attached */
	return t;
}

static pthread_t holder_start(void)
{
	pthread_t t = thread_start(holder_main, NULL);

	while (!atomic_load(&held))
		sched_yield();
	return t;
}

static void holder_stop(pthread_t t)
{
	atomic_store(&let_go, true);
	pthread_join(t, NULL);
}

static size_t n_queued(void)
{
	return __atomic_load_n(&oi_self->merges.n, __ATOMIC_RELAXED);
}

/* ---- the owner ---- */

static void merge_of_many_takes_an_operation_a_slice(void **state)
{
	struct node *mine = make(1);
	size_t n, most = 0;

	(void)state;
	pthread_t dropper = dropper_start(), holder = holder_start();
	drop_up_to(OWNED);
	for (size_t i = 0; i < OWNED && (n = n_queued()) > 0; i++) {
		assert_int_equal(ouro_refcount(mine), 1);
		most = n - n_queued() > most ? n - n_queued() : most;
	}
	assert_int_equal(n_queued(), 0);
	assert_in_range(most, 1, SLICE);
	holder_stop(holder);
	pthread_join(dropper, NULL);
	ouro_release(mine);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

/* Its reference is the last, and the object waits in its own queue, below the others. */
static void merge_of_many_takes_a_release_a_slice(void **state)
{
	(void)state;
	pthread_t dropper = dropper_start(), holder = holder_start();
	drop_up_to(OWNED / 2);
	size_t n = n_queued();

	ouro_retain(owned[OWNED / 2]);
	drop_up_to(OWNED / 2 + 1);
	ouro_release(owned[OWNED / 2]);
	assert_true(n_queued() + SLICE + SEIZED + SLICE >= n);
	holder_stop(holder);
	drop_up_to(OWNED);
	pthread_join(dropper, NULL);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

/* ---- forced schedules: checked builds ---- */

#if OURO_CHECKED

static struct oi_thread *owner;
static uintptr_t lowest, highest;
static size_t n_rounds, last_queued;
static atomic_size_t most_seized; /* written by whoever seizes */

/* While it carries out what a slice has left, so many more come that it is asked again. */
static void refill(const char *point)
{
	if (oi_self != owner || strcmp(point, "drained") != 0 || n_rounds >= ROUNDS)
		return;
	uintptr_t here_now = (uintptr_t)__builtin_frame_address(0);
	lowest = here_now < lowest ? here_now : lowest;
	highest = here_now > highest ? here_now : highest;
	n_rounds++;
	drop_up_to(atomic_load(&n_asked) + 2 * SLICE);
}

static void merge_that_is_asked_for_again_meanwhile_does_not_nest(void **state)
{
	struct node *mine = make(1);

	(void)state;
	owner = oi_self;
	lowest = UINTPTR_MAX;
	highest = n_rounds = 0;
	pthread_t dropper = dropper_start(), holder = holder_start();
	drop_up_to(2 * SLICE);
	oi_point_hook = refill;
	for (size_t i = 0; i < OWNED && n_rounds < ROUNDS; i++)
		assert_int_equal(ouro_refcount(mine), 1);
	oi_point_hook = NULL;
	assert_int_equal(n_rounds, ROUNDS);
	assert_in_range(highest - lowest, 0, 4096);
	holder_stop(holder);
	drop_up_to(OWNED);
	pthread_join(dropper, NULL);
	ouro_release(mine);
}

/* At the beginning of each slice: how many went since the one before. */
static void note_slice(const char *point)
{
	if (strcmp(point, "drain") != 0)
		return;
	size_t n = __atomic_load_n(&owner->merges.n, __ATOMIC_RELAXED);
	if (last_queued > n && last_queued - n > most_seized)
		most_seized = last_queued - n;
	last_queued = n;
}

static void merge_on_behalf_of_a_sleeper_is_done_in_slices(void **state)
{
	(void)state;
	owner = oi_self;
	most_seized = 0;
	last_queued = 0;
	pthread_t dropper = dropper_start(), holder = holder_start();
	drop_up_to(OWNED);
	assert_in_range(n_queued(), OWNED - 10, OWNED);
	oi_point_hook = note_slice;
	holder_stop(holder);
	pthread_join(dropper, NULL);
	assert_true(EVENTUALLY(n_queued() == 0));
	oi_point_hook = NULL;
	assert_in_range(most_seized, 1, SEIZED + SLICE);
}

#else

static void merge_that_is_asked_for_again_meanwhile_does_not_nest(void **state)
{
	(void)state;
	skip();
}

static void merge_on_behalf_of_a_sleeper_is_done_in_slices(void **state)
{
	(void)state;
	skip();
}

#endif

/* ---- all of it ---- */

static void merge_of_many_for_a_sleeper_is_over_soon(void **state)
{
	(void)state;
	pthread_t dropper = dropper_start();
	drop_up_to(OWNED);
	pthread_join(dropper, NULL);
	assert_true(EVENTUALLY(n_queued() == 0));
	assert_true(EVENTUALLY(objects_live() == 0));
}

static void merge_of_many_ends_for_a_flush(void **state)
{
	(void)state;
	pthread_t dropper = dropper_start();
	drop_up_to(OWNED);
	pthread_join(dropper, NULL);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

/* ---- a flush that makes all of a queue old ---- */

static void *drop_asked(void *arg)
{
	for (size_t n = atomic_load(&n_dropped); n < atomic_load(&n_asked); n++) {
		ouro_release(owned[n]);
		atomic_store(&n_dropped, n + 1);
	}
	return arg;
}

static void *make_queues_old(void *arg)
{
	ouro_thread_attach("flusher");
	oi_merge_make_old();
	return arg;
}

/* Queues @n more of this thread's objects, which is pinned, so that nobody drains its queue. */
static void queue_more(size_t n)
{
	atomic_fetch_add(&n_asked, n);
	thread_run(drop_asked, NULL);
}

/* Some are old, from a flush that gave up: then those are moved, and not the many that are new. */
static void merge_queue_becomes_old_at_little_cost(void **state)
{
	static struct node *shown;
	enum { FEW = 10, MANY = 1000 };
	struct oi_merge_queue *q = &oi_current()->merges;

	(void)state;
	atomic_store(&n_asked, 0);
	atomic_store(&n_dropped, 0);
	for (int i = 0; i < FEW + MANY; i++) {
		owned[i] = make(i);
		ouro_slot_store(&shown, owned[i]);
	}
	ouro_slot_store(&shown, NULL);
	ouro_pin();
	queue_more(FEW);
	thread_run(make_queues_old, NULL);
	size_t few = q->old.n;
	queue_more(MANY);
	void **many_at = q->objects.data, **few_at = q->old.data;
	thread_run(make_queues_old, NULL);
	size_t all = q->old.n, none = q->objects.n;
	bool moved = q->objects.data == many_at, swapped = q->objects.data == few_at;
	ouro_unpin();
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(few, FEW);
	assert_int_equal(all, FEW + MANY);
	assert_int_equal(none, 0);
	assert_true(swapped && !moved);
	assert_int_equal(objects_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(merge_of_many_takes_an_operation_a_slice),
		HEAP_CASE(merge_of_many_takes_a_release_a_slice),
		HEAP_CASE(merge_that_is_asked_for_again_meanwhile_does_not_nest),
		HEAP_CASE(merge_on_behalf_of_a_sleeper_is_done_in_slices),
		HEAP_CASE(merge_of_many_for_a_sleeper_is_over_soon),
		HEAP_CASE(merge_of_many_ends_for_a_flush),
		HEAP_CASE(merge_queue_becomes_old_at_little_cost),
	};

	return cmocka_run_group_tests_name("merge", tests, NULL, NULL);
}
