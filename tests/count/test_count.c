/*
 * Goal: counts are exact from every thread; the last release frees, whatever the object's owner is
 * doing.
 * Method: retain and release by owner and others; the owner runs, sleeps in read(2), computes, is
 * gone.
 * A failure would mean: memory held hostage by a sleeping thread, a leak, or an object that dies
 * too early.
 */
#include "fixture.h"

#include "base/perturb.h"
#include "count/count.h"
#include "world/context.h"
#include "world/object.h"
#include "world/thread.h"

static void count_new_is_one(void **state)
{
	struct node *n = make(1);

	(void)state;
	assert_int_equal(ouro_refcount(n), 1);
	assert_int_equal(ouro_refcount(n), 1);
	ouro_release(n);
}

static void count_retain_returns_its_object(void **state)
{
	struct node *n = make_of(&loud_type, 1);

	(void)state;
	assert_ptr_equal(ouro_retain(n), n);
	assert_int_equal(ouro_refcount(n), 2);
	ouro_release(n);
	assert_int_equal(ouro_refcount(n), 1);
	assert_journal("");
	ouro_release(n);
	assert_journal("f1 d1 ");
}

static void count_null_is_allowed(void **state)
{
	(void)state;
	assert_null(ouro_retain(NULL));
	assert_null(ouro_try_retain(NULL));
	ouro_release(NULL);
}

static void count_try_retain_of_a_live_object(void **state)
{
	struct node *n = make(1);

	(void)state;
	assert_ptr_equal(ouro_try_retain(n), n);
	assert_int_equal(ouro_refcount(n), 2);
	ouro_release(n);
	ouro_release(n);
}

/* ---- a dying object ---- */

static void *tried, *tried_in_destroy;
static bool was_weakly_stored, was_expired;

static void dying_clear(void *obj)
{
	ouro_weak cell = { 0 };

	tried = ouro_try_retain(obj);
	was_weakly_stored = ouro_weak_store(&cell, obj) == 0;
	was_expired = ouro_weak_expired(&cell) && ouro_weak_load(&cell) == NULL;
	ouro_weak_clear(&cell);
}

static void dying_destroy(void *obj)
{
	tried_in_destroy = ouro_try_retain(obj);
}

static void dying_traverse(void *obj, ouro_visitor *v)
{
	(void)obj;
	ouro_visit(v, NULL);
}

static const ouro_type dying_type = {
	.name = "dying", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.traverse = dying_traverse, .clear = dying_clear, .destroy = dying_destroy,
};

static void count_try_retain_of_a_dying_object_is_null(void **state)
{
	(void)state;
	tried = tried_in_destroy = &tried;
	ouro_release(make_of(&dying_type, 1));
	assert_null(tried);
	assert_null(tried_in_destroy);
	assert_true(was_weakly_stored);
	assert_true(was_expired);
}

static void count_try_retain_of_a_dead_cycle_is_null(void **state)
{
	(void)state;
	tried = tried_in_destroy = &tried;
	ouro_release(make_pair(&dying_type, 1));
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_null(tried);
	assert_null(tried_in_destroy);
	assert_true(was_expired);
}

/* ---- other threads ---- */

static void *foreign_retain(void *obj)
{
	return ouro_retain(obj);
}

static void *foreign_release(void *obj)
{
	ouro_release(obj);
	return NULL;
}

static void *foreign_refcount(void *obj)
{
	return (void *)(uintptr_t)ouro_refcount(obj);
}

static void count_foreign_changes_are_exact(void **state)
{
	struct node *n = make(1);
	void *seen;

	(void)state;
	thread_run(foreign_retain, n);
	assert_int_equal(ouro_refcount(n), 2);
	pthread_join(thread_start(foreign_refcount, n), &seen);
	assert_int_equal((uintptr_t)seen, 2);
	ouro_retain(n);
	assert_int_equal(ouro_refcount(n), 3);
	thread_run(foreign_release, n);
	thread_run(foreign_release, n);
	assert_int_equal(ouro_refcount(n), 1);
	ouro_release(n);
	assert_int_equal(objects_live(), 0);
}

/* References given away without the library knowing: others release more than they retained. */
static void count_handed_over_references_are_exact(void **state)
{
	struct node *n = make_of(&loud_type, 1);

	(void)state;
	for (int i = 0; i < 9; i++)
		ouro_retain(n);
	for (int i = 9; i > 0; i--) {
		thread_run(foreign_release, n);
		assert_int_equal(ouro_refcount(n), i);
	}
	assert_journal("");
	ouro_retain(n);
	assert_int_equal(ouro_refcount(n), 2);
	ouro_release(n);
	thread_run(foreign_release, n);
	assert_noted("d1 ", 1);
	assert_journal("f1 d1 ");
}

static void *hammer(void *arg)
{
	for (int i = 0; i < LOAD(200000); i++) {
		ouro_retain(arg);
		ouro_retain(arg);
		ouro_release(arg);
		ouro_release(arg);
	}
	return NULL;
}

static void count_stays_exact_under_contention(void **state)
{
	struct node *n = make_of(&loud_type, 1);
	pthread_t t[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		t[i] = thread_start(hammer, n);
	hammer(n);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(ouro_refcount(n), 1);
	assert_journal("");
	ouro_release(n);
	assert_journal("f1 d1 ");
}

static void *hammer_and_release(void *arg)
{
	hammer(arg);
	ouro_release(arg);
	return NULL;
}

/* Everybody holds one and drops it at the end: whoever is last destroys, once. */
static void count_last_of_many_threads_destroys(void **state)
{
	pthread_t t[3];

	(void)state;
	counters_clear();
	for (int round = 0; round < 20; round++) {
		struct node *n = make_of(&counted_type, round);

		for (int i = 0; i < 3; i++)
			t[i] = thread_start(foreign_release, ouro_retain(n));
		ouro_release(n);
		for (int i = 0; i < 3; i++)
			pthread_join(t[i], NULL);
		assert_true(EVENTUALLY(n_destroyed == (size_t)round + 1));
	}
	struct node *n = make_of(&counted_type, 1);
	for (int i = 0; i < 3; i++)
		t[i] = thread_start(hammer_and_release, ouro_retain(n));
	ouro_release(n);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_true(EVENTUALLY(n_destroyed == 21));
}

/* ---- what the owner is doing ---- */

struct shelf {
	struct node *node[100];
};

static void shelf_fill(void *arg)
{
	struct shelf *shelf = arg;

	for (int i = 0; i < 100; i++)
		shelf->node[i] = make_of(&counted_type, i);
}

static void shelf_release(struct shelf *shelf)
{
	for (int i = 0; i < 100; i++)
		ouro_release(shelf->node[i]);
}

static void count_foreign_release_frees_while_owner_sleeps(void **state)
{
	struct sleeper owner;
	struct shelf shelf;

	(void)state;
	counters_clear();
	sleeper_start(&owner, shelf_fill, &shelf);
	shelf_release(&shelf);
	assert_true(EVENTUALLY(n_destroyed == 100));
	assert_int_equal(objects_live(), 0);
	sleeper_stop(&owner);
	assert_int_equal(n_destroyed, 100);
}

static void shelf_fill_slots(void *arg)
{
	struct shelf *shelf = arg;

	for (int i = 0; i < 100; i++)
		ouro_give(&shelf->node[i], make_of(&counted_type, i));
}

/* The same of objects that were in slots, which are counted down first and looked at afterwards. */
static void count_foreign_take_and_release_frees_while_owner_sleeps(void **state)
{
	struct sleeper owner;
	struct shelf shelf = { { NULL } };

	(void)state;
	counters_clear();
	sleeper_start(&owner, shelf_fill_slots, &shelf);
	for (int i = 0; i < 100; i++)
		ouro_release(ouro_take(&shelf.node[i]));
	assert_true(EVENTUALLY(n_destroyed == 100));
	sleeper_stop(&owner);
	assert_int_equal(n_destroyed, 100);
}

static uint64_t ns_until_destroyed(struct node *last)
{
	counters_clear();
	uint64_t start = now_ns();
	ouro_release(last);
	assert_true(EVENTUALLY(n_destroyed == 1));
	return now_ns() - start;
}

/*
 * The same with no call to come after it that could do the work: one object, the last. Without a
 * wake it would be gone when the collector's thread looks of itself, after ten seconds.
 */
static void count_last_release_frees_one_object_while_owner_sleeps(void **state)
{
	struct sleeper owner;
	struct shelf shelf;
	uint64_t shortest = UINT64_MAX;

	(void)state;
	sleeper_start(&owner, shelf_fill, &shelf);
	for (int i = 5; i < 100; i++)
		ouro_release(shelf.node[i]);
	assert_int_equal(ouro_flush(), 0);
	for (int i = 0; i < 5; i++) {
		uint64_t ns = ns_until_destroyed(shelf.node[i]);

		shortest = ns < shortest ? ns : shortest;
	}
	assert_in_range(shortest, 0, 2000000000);
	sleeper_stop(&owner);
}

/* The owner still has a reference of its own: it is not taken from it, and its later release is the last. */
static void *own_and_wait_for_release(void *arg)
{
	struct sleeper *other = arg;
	struct node *n = make_of(&loud_type, 5);

	ouro_retain(n);
	other->arg = n;
	atomic_store(&other->asleep, true);
	while (atomic_load(&other->asleep))
		sleep_ms(1);
	bool alive = ouro_refcount(n) == 1 && ouro_typeof(n) == &loud_type;
	ouro_release(n);
	return alive ? other : NULL;
}

static void count_owner_keeps_its_part_while_asleep(void **state)
{
	struct sleeper shared = { 0 };
	void *result;
	pthread_t owner = thread_start(own_and_wait_for_release, &shared);

	(void)state;
	assert_true(EVENTUALLY(atomic_load(&shared.asleep)));
	struct oi_header *h = oi_header_of(shared.arg);
	assert_int_not_equal(h->own, OI_OWN_MERGED);
	ouro_release(shared.arg);
	/* The tick has looked at it, and whoever was to follow it up. */
	assert_true(EVENTUALLY(oi_load_acquire(&h->own) == OI_OWN_MERGED));
	assert_true(EVENTUALLY(library_asleep_for("ouro-", 20)));
	assert_journal("");
	atomic_store(&shared.asleep, false);
	pthread_join(owner, &result);
	assert_non_null(result);
	assert_noted("d5 ", 1);
}

struct spinner {
	struct shelf shelf;
	atomic_bool filled, stop;
};

static void *spin(void *arg)
{
	struct spinner *s = arg;

	shelf_fill(&s->shelf);
	atomic_store(&s->filled, true);
	while (!atomic_load(&s->stop))
		;
	return NULL;
}

static void count_foreign_release_frees_while_owner_computes(void **state)
{
	struct spinner s = { 0 };
	pthread_t owner = thread_start(spin, &s);

	(void)state;
	counters_clear();
	assert_true(EVENTUALLY(atomic_load(&s.filled)));
	shelf_release(&s.shelf);
	assert_true(EVENTUALLY(n_destroyed == 100));
	atomic_store(&s.stop, true);
	pthread_join(owner, NULL);
}

static void *fill(void *arg)
{
	shelf_fill(arg);
	return NULL;
}

static void count_release_after_owner_exit_frees(void **state)
{
	struct shelf shelf;

	(void)state;
	counters_clear();
	for (size_t round = 1; round <= 10; round++) {
		thread_run(fill, &shelf);
		assert_int_equal(ouro_refcount(shelf.node[0]), 1);
		ouro_retain(shelf.node[1]);
		assert_int_equal(ouro_refcount(shelf.node[1]), 2);
		ouro_release(shelf.node[1]);
		shelf_release(&shelf);
		assert_true(EVENTUALLY(n_destroyed == 100 * round));
	}
}

static void *drain(void *arg)
{
	shelf_release(arg);
	return NULL;
}

/* New threads must not take themselves for the owner of what an exited one made. */
static void count_new_threads_do_not_own_old_objects(void **state)
{
	struct shelf shelf[8];
	pthread_t t[8];

	(void)state;
	counters_clear();
	for (size_t round = 1; round <= 10; round++) {
		for (int i = 0; i < 8; i++)
			t[i] = thread_start(fill, &shelf[i]);
		for (int i = 0; i < 8; i++)
			pthread_join(t[i], NULL);
		for (int i = 0; i < 8; i++)
			t[i] = thread_start(drain, &shelf[(i + 3) % 8]);
		for (int i = 0; i < 8; i++)
			pthread_join(t[i], NULL);
		assert_true(EVENTUALLY(n_destroyed == 800 * round));
	}
}

/* ---- immortal objects ---- */

static void count_immortal_is_never_counted(void **state)
{
	struct node *n = make_of(&loud_type, 1);

	(void)state;
	ouro_immortalize(n);
	assert_true(ouro_refcount(n) == SIZE_MAX);
	for (int i = 0; i < 10; i++)
		ouro_release(n);
	thread_run(foreign_release, n);
	ouro_retain(n);
	assert_true(ouro_refcount(n) == SIZE_MAX);
	ouro_gc_collect(2);
	assert_journal("");
	assert_int_equal(heap_stop().objects, 0);
	assert_journal("f1 d1 ");
}

static void *make_one(void *arg)
{
	(void)arg;
	return make_of(&loud_type, 1);
}

/*
 * An unpublished object is given back without a grace period, and so must not be remembered. A
 * release that does not look at the object again relies on its being touched: solo.c.
 */
static void count_remembers_what_is_published_and_touched(void **state)
{
	pthread_t maker = thread_start(make_one, NULL);
	ouro_weak cell = { 0 };
	void *n;

	(void)state;
	pthread_join(maker, &n);
	ouro_retain(n);
	assert_ptr_not_equal(oi_self->seen, n);
	assert_int_equal(ouro_weak_store(&cell, n), 0);
	assert_int_equal(oi_header_of(n)->touched, 0);
	ouro_release(ouro_retain(n));
	assert_ptr_equal(oi_self->seen, n);
	assert_int_equal(oi_header_of(n)->touched, 1);
	ouro_release(n);
	ouro_release(n);
	ouro_weak_clear(&cell);
}

/* This thread remembers it as counted; others do not, and hand it references not counted. */
static void count_immortal_since_it_was_remembered(void **state)
{
	pthread_t maker = thread_start(make_one, NULL);
	ouro_weak cell = { 0 };
	void *n;

	(void)state;
	pthread_join(maker, &n);
	assert_int_equal(ouro_weak_store(&cell, n), 0); /* only what is published is remembered */
	ouro_immortalize(ouro_retain(n));
	for (int i = 0; i < 100; i++) {
		thread_run(foreign_retain, n);
		ouro_release(n);
	}
	assert_true(ouro_refcount(n) == SIZE_MAX);
	ouro_gc_collect(2);
	assert_journal("");
	assert_int_equal(heap_stop().objects, 0);
	assert_journal("f1 d1 ");
}

static void *foreign_immortalize(void *obj)
{
	ouro_immortalize(obj);
	return NULL;
}

static void count_immortal_by_another_thread(void **state)
{
	struct node *n = make_of(&loud_type, 1);

	(void)state;
	thread_run(foreign_immortalize, n);
	assert_true(ouro_refcount(n) == SIZE_MAX);
	ouro_release(n);
	ouro_release(n);
	ouro_immortalize(n);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_journal("");
}

/* An immortal member keeps its cycle: it is a root like anything else that is held. */
static void count_immortal_keeps_its_cycle(void **state)
{
	struct node *a = make_pair(&loud_type, 1);

	(void)state;
	ouro_immortalize(a);
	ouro_release(a);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_journal("");
	assert_ptr_equal(a->right->right, a);
	heap_stop();
	assert_int_equal(book_count(&journal, "d"), 2);
	assert_int_equal(book_count(&journal, "f"), 2);
}

static void count_immortal_has_weak_references(void **state)
{
	struct node *n = make(1);
	ouro_weak cell = { 0 };

	(void)state;
	ouro_immortalize(n);
	assert_int_equal(ouro_weak_store(&cell, n), 0);
	ouro_release(n);
	void *got = ouro_weak_load(&cell);
	assert_ptr_equal(got, n);
	ouro_release(got);
	assert_ptr_equal(ouro_try_retain(n), n);
	assert_false(ouro_weak_expired(&cell));
	ouro_weak_clear(&cell);
}

/* Half of a full local count moves to the shared one, and none is lost. */
static void count_spills_nothing(void **state)
{
	struct node *n = make_of(&loud_type, 1);
	struct oi_header *h = oi_header_of(n);

	(void)state;
	h->local = OI_LOCAL_MAX - 3; /* as after so many retains */
	for (int i = 0; i < 10; i++)
		ouro_retain(n);
	assert_int_equal(ouro_refcount(n), OI_LOCAL_MAX + 7);
	assert_true(h->local < OI_LOCAL_MAX);
	h->shared = 0; /* as after so many releases */
	h->local = 11;
	for (int i = 0; i < 10; i++)
		ouro_release(n);
	assert_int_equal(ouro_refcount(n), 1);
	ouro_release(n);
	assert_journal("f1 d1 ");
}

static void *retain_thrice(void *obj)
{
	for (int i = 0; i < 3; i++)
		ouro_retain(obj);
	return NULL;
}

/* The same of the shared count, by another thread: it is at its bound, as after so many retains. */
static void count_of_another_thread_saturates(void **state)
{
	struct node *n = make_of(&loud_type, 1);

	(void)state;
	oi_header_of(n)->shared += (uint32_t)OI_COUNT_MAX * OI_ONE;
	thread_run(retain_thrice, n);
	assert_true(ouro_refcount(n) == SIZE_MAX);
	for (int i = 0; i < 5; i++)
		ouro_release(n);
	ouro_gc_collect(2);
	assert_journal("");
	assert_logged("saturated", 1);
}

#if OURO_CHECKED

static struct oi_thread *releaser;
static struct node *wanted;
static int n_got;

/*
 * Its owner is about to drop the only reference: somebody gets another one, as a thread does that
 * read the slot before it was emptied.
 */
static void get_another(const char *point)
{
	if (oi_self == releaser && !n_got && strcmp(point, "release: only") == 0)
		n_got += oi_try_retain_foreign(oi_header_of(wanted)) == OI_TRIED_OK;
}

static void check_outlives(void (*release)(struct node *n))
{
	releaser = oi_self;
	wanted = make(1);
	n_got = 0;
	uint64_t live = objects_live();
	oi_point_hook = get_another;
	release(wanted);
	oi_point_hook = NULL;
	assert_int_equal(n_got, 1);
	assert_int_equal(objects_live(), live);
	assert_int_equal(ouro_refcount(wanted), 1);
	ouro_release(wanted);
	assert_int_equal(objects_live(), live - 1);
}

static void out_of_a_slot(struct node *n)
{
	struct node *slot = NULL;

	ouro_give(&slot, n);
	ouro_store(&slot, (struct node *)NULL);
}

/* Without weak cells: dies without leaving the gate. */
static const ouro_type plain_type = {
	.name = "plain", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
};

/* The death of the second one is what a cascade begins with. */
static void with_its_referrers(struct node *n)
{
	struct node *first = make_of(&plain_type, 2), *second = make_of(&plain_type, 3);

	ouro_give(&second->left, n);
	ouro_give(&first->left, second);
	ouro_release(first);
}

static void count_last_release_is_not_if_another_is_got(void **state)
{
	(void)state;
	check_outlives(out_of_a_slot);
	check_outlives(with_its_referrers);
}

#else

static void count_last_release_is_not_if_another_is_got(void **state)
{
	(void)state;
	skip();
}

#endif

/* More references than a header can count: it saturates, is logged, and never wraps to a death. */
static void count_that_would_overflow_saturates(void **state)
{
	struct node *n = make_of(&loud_type, 1);
	size_t retained = 0;

	(void)state;
	if (SANITIZED || getenv("OURO_PERTURB") != NULL) {
		ouro_release(n);
		skip();
	}
	while (ouro_refcount(n) != SIZE_MAX && retained < (size_t)1 << 30)
		for (int i = 0; i < 1 << 20; i++, retained++)
			ouro_retain(n);
	assert_true(ouro_refcount(n) == SIZE_MAX);
	assert_true(EVENTUALLY(book_find(&log_book, "loud") >= 0));
	for (size_t i = 0; i < (1 << 20); i++)
		ouro_release(n);
	assert_true(ouro_refcount(n) == SIZE_MAX);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_journal("");
	assert_int_equal(heap_stop().objects, 0);
	assert_journal("f1 d1 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(count_new_is_one),
		HEAP_CASE(count_retain_returns_its_object),
		HEAP_CASE(count_null_is_allowed),
		HEAP_CASE(count_try_retain_of_a_live_object),
		HEAP_CASE(count_try_retain_of_a_dying_object_is_null),
		HEAP_CASE(count_try_retain_of_a_dead_cycle_is_null),
		HEAP_CASE(count_foreign_changes_are_exact),
		HEAP_CASE(count_handed_over_references_are_exact),
		HEAP_CASE(count_stays_exact_under_contention),
		HEAP_CASE(count_last_of_many_threads_destroys),
		HEAP_CASE(count_foreign_release_frees_while_owner_sleeps),
		HEAP_CASE(count_foreign_take_and_release_frees_while_owner_sleeps),
		HEAP_CASE(count_last_release_frees_one_object_while_owner_sleeps),
		HEAP_CASE(count_owner_keeps_its_part_while_asleep),
		HEAP_CASE(count_foreign_release_frees_while_owner_computes),
		HEAP_CASE(count_release_after_owner_exit_frees),
		HEAP_CASE(count_new_threads_do_not_own_old_objects),
		HEAP_CASE(count_last_release_is_not_if_another_is_got),
		HEAP_CASE(count_immortal_is_never_counted),
		HEAP_CASE(count_immortal_by_another_thread),
		HEAP_CASE(count_remembers_what_is_published_and_touched),
		HEAP_CASE(count_immortal_since_it_was_remembered),
		HEAP_CASE(count_immortal_keeps_its_cycle),
		HEAP_CASE(count_immortal_has_weak_references),
		HEAP_CASE(count_spills_nothing),
		HEAP_CASE(count_of_another_thread_saturates),
		HEAP_CASE(count_that_would_overflow_saturates),
	};

	return cmocka_run_group_tests_name("count", tests, NULL, NULL);
}
