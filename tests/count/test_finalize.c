/*
 * Goal: a finalizer runs at most once, all its object refers to intact, outside every pause and
 * lock.
 * Method: finalizers that walk their cycle, rise again, block on the library; in all places they
 * run at.
 * A failure would mean: a finalizer that sees a broken object, runs twice or never, or a deadlock.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

static void finalize_runs_before_destroy_by_count(void **state)
{
	struct node *n = make_of(&loud_type, 1);

	(void)state;
	ouro_give(&n->left, make_of(&loud_type, 2));
	assert_false(ouro_gc_is_finalized(n));
	ouro_release(n);
	assert_before("f1 ", "d1 ");
	assert_before("f1 ", "f2 ");
	assert_before("f2 ", "d2 ");
	assert_noted("f", 2);
	assert_noted("d", 2);
}

/* ---- dead cycles are intact until all their finalizers have run ---- */

enum { RING = 5 };
static atomic_int n_broken, n_walked;

/* Walks the whole ring through the slots, as a program would. */
static void walk(void *obj)
{
	struct node *n = ouro_retain(obj);

	for (int i = 0; i < RING; i++) {
		struct node *next = ouro_load(&n->right);

		if (next == NULL || book_find(&journal, "d") >= 0)
			atomic_fetch_add(&n_broken, 1);
		ouro_release(n);
		n = next;
		if (n == NULL)
			return;
	}
	if (n != obj)
		atomic_fetch_add(&n_broken, 1);
	atomic_fetch_add(&n_walked, 1);
	ouro_release(n);
	loud_finalize(obj);
}

static const ouro_type walking_type = {
	.name = "walking", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = walk, .destroy = loud_destroy,
};

static void finalize_sees_its_whole_cycle(void **state)
{
	(void)state;
	n_broken = n_walked = 0;
	ouro_release(make_ring(&walking_type, RING));
	assert_int_equal(ouro_gc_collect(2), RING);
	assert_int_equal(n_broken, 0);
	assert_int_equal(n_walked, RING);
	for (int i = 0; i < RING; i++)
		for (int k = 0; k < RING; k++) {
			char f[16], d[16];

			snprintf(f, sizeof(f), "f%d ", i);
			snprintf(d, sizeof(d), "d%d ", k);
			assert_before(f, d);
		}
}

/* What hangs off the cycle, an acyclic leaf included, is intact in the finalizers too. */
struct holder {
	struct holder *self;
	struct leaf *leaf;
	int id;
};

static int leaf_seen;

static void see_leaf(void *obj)
{
	struct holder *h = obj;
	struct leaf *leaf = ouro_load(&h->leaf);

	leaf_seen = leaf ? leaf->id : -1;
	ouro_release(leaf);
}

static const ouro_type holder_type = {
	.name = "holder", .size = sizeof(struct holder), .slots = OURO_SLOTS(struct holder, self, leaf),
	.finalize = see_leaf,
};

static void finalize_sees_leaves_of_its_cycle(void **state)
{
	struct holder *h = ouro_new(&holder_type);
	struct leaf *leaf = ouro_new(&leaf_type);

	(void)state;
	leaf->id = 31;
	ouro_give(&h->leaf, leaf);
	ouro_store(&h->self, h);
	ouro_release(h);
	assert_int_equal(ouro_gc_collect(2), 1);
	assert_int_equal(leaf_seen, 31);
	assert_journal("l31 ");
}

/* ---- rising again ---- */

static struct node *risen;
static int riser;

static void rise(void *obj)
{
	struct node *n = obj;

	note('f', n->id);
	if (n->id == riser)
		ouro_store(&risen, n);
}

static const ouro_type rising_type = {
	.name = "rising", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = rise, .destroy = loud_destroy,
};

static void finalize_once_when_risen_by_count(void **state)
{
	(void)state;
	riser = 1;
	ouro_release(make_of(&rising_type, 1));
	assert_journal("f1 ");
	assert_int_equal(ouro_refcount(risen), 1);
	assert_true(ouro_gc_is_finalized(risen));
	ouro_retain(risen);
	ouro_release(risen);
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_store(&risen, NULL);
	assert_journal("f1 d1 ");
}

/* A risen object keeps its children, and they have not been touched. */
static void finalize_risen_object_keeps_its_children(void **state)
{
	struct node *n = make_of(&rising_type, 1);

	(void)state;
	riser = 1;
	ouro_give(&n->left, make_of(&loud_type, 2));
	ouro_release(n);
	assert_journal("f1 ");
	assert_int_equal(risen->left->id, 2);
	assert_int_equal(ouro_refcount(risen->left), 1);
	ouro_store(&risen, NULL);
	assert_before("f1 ", "f2 ");
	assert_noted("f1 ", 1);
	assert_noted("d", 2);
}

static void finalize_once_when_a_cycle_rises(void **state)
{
	(void)state;
	riser = 2;
	ouro_release(make_ring(&rising_type, 4));
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(book_count(&journal, "f"), 4);
	assert_int_equal(book_count(&journal, "d"), 0);
	assert_int_equal(objects_live(), 4);
	assert_ptr_equal(risen->right->right->right->right, risen);
	assert_true(ouro_gc_is_finalized(risen));
	assert_true(ouro_gc_is_finalized(risen->right));
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_store(&risen, NULL);
	assert_int_equal(ouro_gc_collect(2), 4);
	assert_int_equal(book_count(&journal, "f"), 4);
	assert_int_equal(book_count(&journal, "d"), 4);
}

/* Two dead cycles in one collection: only the one that rises lives on. */
static void finalize_rising_spares_only_what_it_reaches(void **state)
{
	(void)state;
	riser = 10;
	ouro_release(make_pair(&rising_type, 10));
	ouro_release(make_pair(&rising_type, 20));
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(book_count(&journal, "f"), 4);
	assert_int_equal(book_count(&journal, "d2"), 2);
	assert_int_equal(book_count(&journal, "d1"), 0);
	ouro_store(&risen, NULL);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(book_count(&journal, "d1"), 2);
}

/* A member that rises drags along what hangs off the cycle; what only points at the cycle dies. */
static void finalize_rising_keeps_what_hangs_off(void **state)
{
	struct node *a = make_pair(&rising_type, 1), *pointer = make_pair(&rising_type, 4);
	struct node *tail = make_of(&rising_type, 3);

	(void)state;
	riser = 1;
	ouro_give(&a->left, tail);
	ouro_store(&pointer->left, a);
	ouro_release(a);
	ouro_release(pointer);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(book_count(&journal, "f"), 5);
	assert_int_equal(book_count(&journal, "d"), 2);
	assert_int_equal(risen->left->id, 3);
	ouro_store(&risen, NULL);
	assert_int_equal(ouro_gc_collect(2), 3);
	assert_int_equal(book_count(&journal, "f"), 5);
	assert_int_equal(book_count(&journal, "d"), 5);
}

/* A finalizer that breaks its cycle by hand: everything still dies once. */
static void cut(void *obj)
{
	loud_finalize(obj);
	ouro_store(&((struct node *)obj)->right, NULL);
}

static const ouro_type cutting_type = {
	.name = "cutting", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = cut, .destroy = loud_destroy,
};

static void finalize_may_break_its_cycle(void **state)
{
	(void)state;
	ouro_release(make_ring(&cutting_type, 3));
	ouro_gc_collect(2);
	assert_int_equal(book_count(&journal, "f"), 3);
	assert_int_equal(book_count(&journal, "d"), 3);
	assert_int_equal(objects_live(), 0);
}

/* ---- what a finalizer may do ---- */

static struct {
	int flush, shutdown, kept;
	ssize_t collect, bad, objects;
	size_t run;
} answers;

static void *collect_elsewhere(void *arg)
{
	return (void *)(intptr_t)(ouro_gc_collect((int)(intptr_t)arg) >= 0);
}

static bool count_object(void *obj, void *arg)
{
	(void)obj;
	(void)arg;
	return true;
}

static void ask_everything(void *obj)
{
	ouro_weak cell = { 0 };
	void *other;

	loud_finalize(obj);
	answers.flush = ouro_flush();
	answers.shutdown = ouro_shutdown(NULL);
	answers.run = ouro_run_finalizers(10);
	answers.bad = ouro_gc_collect(7);
	ouro_release(make_pair(&loud_type, 50));
	answers.collect = ouro_gc_collect(2);
	answers.objects = ouro_gc_objects(-1, count_object, NULL);
	pthread_join(thread_start(collect_elsewhere, (void *)2), &other);
	answers.kept = other != NULL && ouro_weak_store(&cell, obj) == 0;
	ouro_weak_clear(&cell);
	ouro_pin();
	ouro_unpin();
	ouro_safepoint();
}

static const ouro_type asking_type = {
	.name = "asking", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = ask_everything, .destroy = loud_destroy,
};

static void assert_answers(void)
{
	assert_int_equal(answers.flush, EDEADLK);
	assert_int_equal(answers.shutdown, EDEADLK);
	assert_int_equal(answers.run, 0);
	assert_int_equal(answers.bad, -1);
	assert_int_equal(answers.collect, 2);
	assert_true(answers.objects >= 0);
	assert_int_equal(answers.kept, 1);
	assert_int_equal(book_count(&journal, "d50 "), 1);
	memset(&answers, 0, sizeof(answers));
}

static void finalize_may_call_anything_by_count(void **state)
{
	(void)state;
	ouro_release(make_of(&asking_type, 1));
	assert_answers();
	assert_int_equal(book_count(&journal, "d1 "), 1);
}

/* It blocks on a thread that collects: no lock of the library is held, and the collection is over. */
static void finalize_may_call_anything_in_a_collection(void **state)
{
	struct node *n = make_of(&asking_type, 1);

	(void)state;
	ouro_store(&n->right, n);
	ouro_release(n);
	assert_int_equal(ouro_gc_collect(2), 1);
	assert_answers();
	assert_int_equal(book_count(&journal, "d1 "), 1);
	assert_int_equal(book_count(&journal, "f1 "), 1);
}

static pthread_mutex_t program_lock = PTHREAD_MUTEX_INITIALIZER;

static void lock_finalize(void *obj)
{
	pthread_mutex_lock(&program_lock);
	loud_finalize(obj);
	pthread_mutex_unlock(&program_lock);
}

static const ouro_type locking_type = {
	.name = "locking", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = lock_finalize, .destroy = loud_destroy,
};

/* The program holds a lock that a finalizer wants, and allocates: never inside somebody's allocation. */
static void finalize_never_runs_inside_an_allocation(void **state)
{
	(void)state;
	assert_int_equal(ouro_gc_set_threshold(50, 5, 5), 0);
	ouro_gc_enable();
	pthread_mutex_lock(&program_lock);
	for (int i = 0; i < LOAD(20000); i++)
		ouro_release(make_pair(&locking_type, 2 * i));
	assert_int_equal(book_count(&journal, "f"), 0);
	pthread_mutex_unlock(&program_lock);
	ouro_gc_disable();
	ouro_gc_collect(2);
	assert_int_equal(ouro_flush(), 0);
	assert_true(EVENTUALLY(objects_live() == 0));
}

/* ---- where finalizers run ---- */

static _Atomic(pthread_t) finalizer_thread; /* the last one */
static atomic_int n_here;

static void remember_thread(void *obj)
{
	atomic_store(&finalizer_thread, pthread_self());
	atomic_fetch_add(&n_here, 1);
	(void)obj;
}

static const ouro_type where_type = {
	.name = "where", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = remember_thread,
};

static void finalize_runs_on_the_caller_of_collect(void **state)
{
	(void)state;
	atomic_store(&n_here, 0);
	ouro_release(make_pair(&where_type, 1));
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(n_here, 2);
	assert_true(pthread_equal(atomic_load(&finalizer_thread), pthread_self()));
}

/* Until there have been three automatic collections, with plenty to find. */
static void make_garbage_until_collected(const ouro_type *type)
{
	ouro_gc_stats s[3];
	uint64_t end = now_ns() + PATIENCE_S * 1000000000ull;

	assert_int_equal(ouro_gc_set_threshold(100, 100, 100), 0);
	ouro_gc_enable();
	do {
		for (int i = 0; i < 100; i++)
			ouro_release(make_pair(type, 1));
		ouro_gc_get_stats(s);
	} while (s[0].collections < 3 && now_ns() < end);
	ouro_gc_disable();
	assert_true(s[0].collections >= 3);
}

/* How many garbage pairs it took is not said: it has run, and not on this thread. */
static void finalize_after_automatic_collection_has_its_own_thread(void **state)
{
	(void)state;
	atomic_store(&n_here, 0);
	make_garbage_until_collected(&where_type);
	assert_true(EVENTUALLY(n_here > 0));
	assert_false(pthread_equal(atomic_load(&finalizer_thread), pthread_self()));
	assert_int_equal(ouro_run_finalizers(100), 0);
	ouro_gc_collect(2);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

static void finalize_manual_waits_for_the_program(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		ouro_release(make_pair(&loud_type, 2 * i));
	ouro_gc_collect(2);
	assert_int_equal(ouro_flush(), 0);
	assert_journal("");
	assert_int_equal(ouro_run_finalizers(0), 0);
	assert_int_equal(ouro_run_finalizers(3), 3);
	assert_int_equal(book_count(&journal, "f"), 3);
	assert_int_equal(ouro_run_finalizers(SIZE_MAX), 7);
	assert_int_equal(book_count(&journal, "f"), 10);
	assert_int_equal(ouro_run_finalizers(10), 0);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(book_count(&journal, "d"), 10);
	assert_int_equal(objects_live(), 0);
}

static void count_watch(void *arg)
{
	note('w', (int)(intptr_t)arg);
}

/* Watches count too, and come first; expiry of weak references does not wait. */
static void finalize_manual_counts_watches(void **state)
{
	struct node *n = make_pair(&loud_type, 1);
	ouro_weak cell = { 0 };

	(void)state;
	assert_int_equal(ouro_watch(n, count_watch, (void *)1, NULL), 0);
	assert_int_equal(ouro_watch(n, count_watch, (void *)2, NULL), 0);
	assert_int_equal(ouro_weak_store(&cell, n), 0);
	ouro_release(n);
	ouro_gc_collect(2);
	assert_true(ouro_weak_expired(&cell));
	assert_journal("");
	assert_int_equal(ouro_run_finalizers(2), 2);
	assert_int_equal(ouro_run_finalizers(100), 2);
	assert_before("w2 ", "w1 ");
	assert_before("w1 ", "f1 ");
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
	ouro_weak_clear(&cell);
}

/* In manual mode too a death by count is carried out at once. */
static void finalize_manual_does_not_delay_death_by_count(void **state)
{
	(void)state;
	ouro_release(make_of(&loud_type, 1));
	assert_journal("f1 d1 ");
}

static void finalize_manual_after_automatic_collection(void **state)
{
	(void)state;
	atomic_store(&n_here, 0);
	make_garbage_until_collected(&where_type);
	assert_int_equal(n_here, 0);
	size_t n = ouro_run_finalizers(SIZE_MAX);
	assert_true(n > 0);
	assert_int_equal(n_here, n);
	assert_true(pthread_equal(atomic_load(&finalizer_thread), pthread_self()));
	ouro_gc_collect(2);
	n += ouro_run_finalizers(SIZE_MAX);
	assert_int_equal(n_here, n);
}

static atomic_int n_offspring;
static void leave_another(void *obj);

static const ouro_type fertile_type = {
	.name = "fertile", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = leave_another,
};

static void leave_another(void *obj)
{
	(void)obj;
	if (atomic_fetch_add(&n_offspring, 1) < 100)
		ouro_release(make_ring(&fertile_type, 1));
	ouro_gc_collect(2); /* queues it */
}

/* What finalizers leave to be finalized waits for the next call, or there might be no end to this one. */
static void finalize_manual_has_an_end(void **state)
{
	(void)state;
	atomic_store(&n_offspring, 0);
	ouro_release(make_ring(&fertile_type, 1));
	assert_int_equal(ouro_gc_collect(2), 1);
	for (int i = 1; i < 10; i++) {
		assert_int_equal(ouro_run_finalizers(SIZE_MAX), 1);
		assert_int_equal(n_offspring, i);
	}
	atomic_store(&n_offspring, 100);
	assert_int_equal(ouro_run_finalizers(SIZE_MAX), 1);
	assert_int_equal(ouro_run_finalizers(SIZE_MAX), 0);
}

/* What still waits at shutdown runs there. */
static void finalize_manual_is_done_at_shutdown(void **state)
{
	(void)state;
	ouro_release(make_pair(&loud_type, 1));
	ouro_gc_collect(2);
	ouro_release(make_pair(&loud_type, 3));
	assert_journal("");
	assert_int_equal(heap_stop().objects, 0);
	assert_int_equal(book_count(&journal, "f"), 4);
	assert_int_equal(book_count(&journal, "d"), 4);
}

static void finalize_manual_resurrects(void **state)
{
	(void)state;
	riser = 1;
	ouro_release(make_pair(&rising_type, 1));
	ouro_gc_collect(2);
	assert_int_equal(ouro_run_finalizers(100), 2);
	ouro_flush();
	assert_int_equal(objects_live(), 2);
	assert_non_null(risen);
	ouro_store(&risen, NULL);
	assert_int_equal(ouro_gc_collect(2), 2);
	ouro_run_finalizers(100);
	ouro_flush();
	assert_int_equal(book_count(&journal, "f"), 2);
	assert_int_equal(book_count(&journal, "d"), 2);
}

/* Held objects are finalized at shutdown, and may rise as little as at any other end. */
static void finalize_runs_at_shutdown_for_held_objects(void **state)
{
	struct node *n = make_pair(&rising_type, 1);

	(void)state;
	riser = 1;
	assert_int_equal(heap_stop().objects, 2);
	assert_int_equal(book_count(&journal, "f"), 2);
	assert_int_equal(book_count(&journal, "d"), 2);
	assert_ptr_equal(risen, n);
	risen = NULL;
}

/* A pinned thread's release carries out the death like any other. */
static void finalize_runs_when_released_pinned(void **state)
{
	(void)state;
	ouro_pin();
	ouro_release(make_of(&loud_type, 1));
	assert_journal("f1 d1 ");
	ouro_unpin();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(finalize_runs_before_destroy_by_count),
		HEAP_CASE(finalize_sees_its_whole_cycle),
		HEAP_CASE(finalize_sees_leaves_of_its_cycle),
		HEAP_CASE(finalize_once_when_risen_by_count),
		HEAP_CASE(finalize_risen_object_keeps_its_children),
		HEAP_CASE(finalize_once_when_a_cycle_rises),
		HEAP_CASE(finalize_rising_spares_only_what_it_reaches),
		HEAP_CASE(finalize_rising_keeps_what_hangs_off),
		HEAP_CASE(finalize_may_break_its_cycle),
		HEAP_CASE(finalize_may_call_anything_by_count),
		HEAP_CASE(finalize_may_call_anything_in_a_collection),
		HEAP_CASE(finalize_never_runs_inside_an_allocation),
		HEAP_CASE(finalize_runs_on_the_caller_of_collect),
		HEAP_CASE(finalize_after_automatic_collection_has_its_own_thread),
		MANUAL_CASE(finalize_manual_waits_for_the_program),
		MANUAL_CASE(finalize_manual_counts_watches),
		MANUAL_CASE(finalize_manual_does_not_delay_death_by_count),
		MANUAL_CASE(finalize_manual_after_automatic_collection),
		MANUAL_CASE(finalize_manual_has_an_end),
		MANUAL_CASE(finalize_manual_is_done_at_shutdown),
		MANUAL_CASE(finalize_manual_resurrects),
		HEAP_CASE(finalize_runs_at_shutdown_for_held_objects),
		HEAP_CASE(finalize_runs_when_released_pinned),
	};

	return cmocka_run_group_tests_name("finalize", tests, NULL, NULL);
}
