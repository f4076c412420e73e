/*
 * Goal: each slot operation moves exactly the references it should, for every mix of NULL, same and
 * other.
 * Method: one operation at a time, counts compared after it; then all of them at once from three
 * threads.
 * A failure would mean: leaks or dangling references in every program, as all of them go through
 * slots.
 */
#include "fixture.h"

struct fix {
	struct node *holder, *a, *b;
};

static struct fix fix_make(void)
{
	return (struct fix){ make_of(&loud_type, 0), make_of(&loud_type, 1), make_of(&loud_type, 2) };
}

/* Releases all three and sees that nothing else was holding them. */
static void fix_drop(struct fix *x)
{
	ouro_release(x->holder);
	assert_int_equal(ouro_refcount(x->a), 1);
	assert_int_equal(ouro_refcount(x->b), 1);
	ouro_release(x->a);
	ouro_release(x->b);
	assert_int_equal(objects_live(), 0);
}

static void assert_counts(const struct fix *x, size_t a, size_t b)
{
	assert_int_equal(ouro_refcount(x->a), a);
	assert_int_equal(ouro_refcount(x->b), b);
}

static void slot_load_gives_a_reference(void **state)
{
	struct fix x = fix_make();

	(void)state;
	assert_null(ouro_load(&x.holder->left));
	ouro_store(&x.holder->left, x.a);
	struct node *got = ouro_load(&x.holder->left);
	assert_ptr_equal(got, x.a);
	assert_counts(&x, 3, 1);
	ouro_release(got);
	fix_drop(&x);
}

static void slot_store_retains_new_and_releases_old(void **state)
{
	struct fix x = fix_make();

	(void)state;
	ouro_store(&x.holder->left, x.a);
	assert_ptr_equal(x.holder->left, x.a);
	assert_counts(&x, 2, 1);
	ouro_store(&x.holder->left, x.b);
	assert_counts(&x, 1, 2);
	ouro_store(&x.holder->left, x.b);
	assert_counts(&x, 1, 2);
	ouro_store(&x.holder->left, NULL);
	assert_null(x.holder->left);
	assert_counts(&x, 1, 1);
	ouro_store(&x.holder->left, NULL);
	fix_drop(&x);
}

static void slot_give_takes_over_the_reference(void **state)
{
	struct fix x = fix_make();

	(void)state;
	ouro_give(&x.holder->left, ouro_retain(x.a));
	assert_counts(&x, 2, 1);
	ouro_give(&x.holder->left, ouro_retain(x.b));
	assert_counts(&x, 1, 2);
	ouro_give(&x.holder->left, ouro_retain(x.b));
	assert_counts(&x, 1, 2);
	ouro_give(&x.holder->left, NULL);
	assert_counts(&x, 1, 1);
	fix_drop(&x);
}

static void slot_take_moves_the_reference_out(void **state)
{
	struct fix x = fix_make();

	(void)state;
	assert_null(ouro_take(&x.holder->left));
	ouro_store(&x.holder->left, x.a);
	struct node *got = ouro_take(&x.holder->left);
	assert_ptr_equal(got, x.a);
	assert_null(x.holder->left);
	assert_counts(&x, 2, 1);
	ouro_release(got);
	fix_drop(&x);
}

static void slot_exchange_moves_both(void **state)
{
	struct fix x = fix_make();

	(void)state;
	assert_null(ouro_exchange(&x.holder->left, ouro_retain(x.a)));
	assert_counts(&x, 2, 1);
	struct node *old = ouro_exchange(&x.holder->left, ouro_retain(x.b));
	assert_ptr_equal(old, x.a);
	assert_counts(&x, 2, 2);
	ouro_release(old);
	old = ouro_exchange(&x.holder->left, NULL);
	assert_ptr_equal(old, x.b);
	assert_null(x.holder->left);
	assert_counts(&x, 1, 2);
	ouro_release(old);
	fix_drop(&x);
}

static void slot_compare_exchange_that_fits(void **state)
{
	struct fix x = fix_make();

	(void)state;
	assert_true(ouro_compare_exchange(&x.holder->left, NULL, x.a));
	assert_counts(&x, 2, 1);
	assert_true(ouro_compare_exchange(&x.holder->left, x.a, x.b));
	assert_ptr_equal(x.holder->left, x.b);
	assert_counts(&x, 1, 2);
	assert_true(ouro_compare_exchange(&x.holder->left, x.b, x.b));
	assert_counts(&x, 1, 2);
	assert_true(ouro_compare_exchange(&x.holder->left, x.b, NULL));
	assert_counts(&x, 1, 1);
	assert_true(ouro_compare_exchange(&x.holder->left, NULL, NULL));
	fix_drop(&x);
}

static void slot_compare_give_moves_the_reference(void **state)
{
	struct fix x = fix_make();

	(void)state;
	assert_true(ouro_compare_give(&x.holder->left, NULL, ouro_retain(x.a)));
	assert_counts(&x, 2, 1);
	assert_false(ouro_compare_give(&x.holder->left, x.b, x.b));
	assert_ptr_equal(x.holder->left, x.a);
	assert_counts(&x, 2, 1);
	assert_true(ouro_compare_give(&x.holder->left, x.a, ouro_retain(x.b)));
	assert_counts(&x, 1, 2);
	assert_true(ouro_compare_give(&x.holder->left, x.b, NULL));
	assert_null(x.holder->left);
	assert_true(ouro_compare_give(&x.holder->left, NULL, NULL));
	assert_counts(&x, 1, 1);
	fix_drop(&x);
}

/* Each thread pushes objects that it makes; what it lost against others it tries again. */
static void *push_given(void *arg)
{
	struct node **top = arg;

	for (int i = 0; i < LOAD(5000); i++) {
		struct node *n = make(i), *next;

		do {
			next = ouro_load(top);
			ouro_give(&n->left, next);
		} while (!ouro_compare_give(top, next, n));
	}
	return NULL;
}

static void slot_compare_give_loses_nothing(void **state)
{
	static struct node *top;
	pthread_t t[3];
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		t[i] = thread_start(push_given, &top);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	for (struct node *next; top; n++) {
		next = ouro_take(&top->left);
		ouro_give(&top, next);
	}
	assert_int_equal(n, 3 * LOAD(5000));
}

static void slot_compare_exchange_that_does_not_fit(void **state)
{
	struct fix x = fix_make();

	(void)state;
	assert_false(ouro_compare_exchange(&x.holder->left, x.a, x.b));
	assert_null(x.holder->left);
	ouro_store(&x.holder->left, x.a);
	assert_false(ouro_compare_exchange(&x.holder->left, NULL, x.b));
	assert_false(ouro_compare_exchange(&x.holder->left, x.b, x.a));
	assert_false(ouro_compare_exchange(&x.holder->left, x.b, NULL));
	assert_ptr_equal(x.holder->left, x.a);
	assert_counts(&x, 2, 1);
	fix_drop(&x);
}

static void slot_peek_counts_nothing(void **state)
{
	struct fix x = fix_make();

	(void)state;
	ouro_pin();
	assert_null(ouro_peek(&x.holder->left));
	ouro_store(&x.holder->left, x.a);
	struct node *seen = ouro_peek(&x.holder->left);
	assert_ptr_equal(seen, x.a);
	assert_counts(&x, 2, 1);
	assert_ptr_equal(ouro_try_retain(seen), x.a);
	assert_counts(&x, 3, 1);
	ouro_unpin();
	ouro_release(x.a);
	fix_drop(&x);
}

/* A peeked object that dies stays readable until the unpin: its payload, not its references. */
static void slot_peek_stays_readable_after_death(void **state)
{
	struct node *holder = make(0);

	(void)state;
	ouro_give(&holder->left, make_of(&loud_type, 42));
	ouro_pin();
	struct node *seen = ouro_peek(&holder->left);
	ouro_store(&holder->left, NULL);
	assert_journal("f42 d42 ");
	for (int i = 0; i < 1000; i++)
		ouro_release(make(7));
	assert_int_equal(seen->id, 42);
	assert_null(ouro_try_retain(seen));
	assert_ptr_equal(ouro_typeof(seen), &loud_type);
	ouro_unpin();
	ouro_release(holder);
}

/* Whatever takes the last reference out of a slot carries out the death before it returns. */
static void slot_last_reference_dies_at_once(void **state)
{
	struct node *holder = make(0);

	(void)state;
	ouro_give(&holder->left, make_of(&loud_type, 1));
	ouro_store(&holder->left, NULL);
	assert_journal("f1 d1 ");
	ouro_give(&holder->left, make_of(&loud_type, 2));
	ouro_give(&holder->left, make_of(&loud_type, 3));
	assert_journal("f1 d1 f2 d2 ");
	ouro_release(ouro_take(&holder->left));
	ouro_give(&holder->left, make_of(&loud_type, 4));
	ouro_release(ouro_exchange(&holder->left, NULL));
	ouro_give(&holder->left, make_of(&loud_type, 5));
	assert_true(ouro_compare_exchange(&holder->left, holder->left, NULL));
	assert_journal("f1 d1 f2 d2 f3 d3 f4 d4 f5 d5 ");
	ouro_release(holder);
}

static struct node *global_slot;

static void slot_in_a_global_is_a_root(void **state)
{
	(void)state;
	ouro_give(&global_slot, make_ring(&loud_type, 3));
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_journal("");
	struct node *got = ouro_load(&global_slot);
	assert_int_equal(got->id, 0);
	ouro_release(got);
	ouro_store(&global_slot, NULL);
	assert_int_equal(ouro_gc_collect(2), 3);
	assert_int_equal(book_count(&journal, "d"), 3);
}

/* The macros keep the pointer's type: none of these lines would compile without a cast otherwise. */
static void slot_macros_keep_the_type(void **state)
{
	struct node *n = make(3);

	(void)state;
	ouro_give(&n->left, make(4));
	assert_int_equal(ouro_load(&n->left)->id, 4);
	ouro_release(n->left);
	ouro_pin();
	assert_int_equal(ouro_peek(&n->left)->id, 4);
	ouro_unpin();
	struct node *left = ouro_take(&n->left);
	assert_int_equal(left->id, 4);
	assert_null(ouro_exchange(&n->left, left));
	void *untyped = n->left;
	ouro_store(&n->right, untyped);
	assert_int_equal(ouro_refcount(left), 2);
	ouro_release(n);
}

/* Each macro looks at each of its arguments once. */
static void slot_macros_evaluate_once(void **state)
{
	struct node *held[2] = { make(1), make(2) };
	struct node *slots[8] = { NULL };
	struct node **s = slots, **h = held;

	(void)state;
	ouro_store(s++, *h++);
	assert_ptr_equal(s, slots + 1);
	assert_ptr_equal(h, held + 1);
	ouro_give(s++, ouro_retain(*h++));
	assert_ptr_equal(s, slots + 2);
	assert_null(ouro_exchange(s++, ouro_retain(*--h)));
	assert_true(ouro_compare_exchange(s++, NULL, *h--));
	assert_ptr_equal(s, slots + 4);
	assert_ptr_equal(h, held);
	assert_int_equal(ouro_refcount(held[0]), 2);
	assert_int_equal(ouro_refcount(held[1]), 4);
	for (int i = 0; i < 4; i++)
		ouro_store(&slots[i], NULL);
	ouro_release(held[0]);
	ouro_release(held[1]);
}

/* ---- all at once ---- */

struct arena {
	struct node *slot;
	struct node *pool[4];
	atomic_bool stop;
	atomic_size_t rounds;
};

static void one_of_each(struct arena *x, unsigned i)
{
	struct node *fresh = make((int)i), *seen;

	ouro_store(&x->slot, x->pool[i % 4]);
	ouro_release(ouro_load(&x->slot));
	ouro_give(&x->slot, fresh);
	ouro_release(ouro_exchange(&x->slot, ouro_retain(x->pool[(i + 1) % 4])));
	ouro_compare_exchange(&x->slot, x->pool[(i + 1) % 4], x->pool[(i + 2) % 4]);
	ouro_release(ouro_take(&x->slot));
	ouro_pin();
	seen = ouro_try_retain(ouro_peek(&x->slot));
	ouro_unpin();
	ouro_store(&x->slot, NULL);
	ouro_release(seen);
}

static void *arena_main(void *arg)
{
	struct arena *x = arg;

	for (unsigned i = 0; !atomic_load(&x->stop); i++) {
		one_of_each(x, i);
		atomic_fetch_add(&x->rounds, 1);
	}
	return NULL;
}

static void slot_operations_are_atomic_together(void **state)
{
	struct arena x = { .slot = NULL };
	pthread_t t[3];

	(void)state;
	for (int i = 0; i < 4; i++)
		x.pool[i] = make_of(&counted_type, i);
	for (int i = 0; i < 3; i++)
		t[i] = thread_start(arena_main, &x);
	assert_true(EVENTUALLY(x.rounds > LOAD(100000)));
	atomic_store(&x.stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	ouro_store(&x.slot, NULL);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(ouro_refcount(x.pool[i]), 1);
		ouro_release(x.pool[i]);
	}
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(objects_live(), 0);
}

/* Publication: what was written before a store is seen after a load (acquire and release). */
static void *publish_main(void *arg)
{
	struct node **slot = arg;

	for (int i = 1; i <= LOAD(100000); i++) {
		ouro_give(slot, make(i));
	}
	return NULL;
}

static void slot_load_sees_what_was_stored_before(void **state)
{
	struct node *slot = NULL;
	int last = 0;
	pthread_t t = thread_start(publish_main, &slot);

	(void)state;
	while (last < LOAD(100000)) {
		struct node *n = ouro_load(&slot);

		if (n == NULL)
			continue;
		assert_true(n->id >= last);
		last = n->id;
		ouro_release(n);
	}
	pthread_join(t, NULL);
	ouro_store(&slot, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(slot_load_gives_a_reference),
		HEAP_CASE(slot_store_retains_new_and_releases_old),
		HEAP_CASE(slot_give_takes_over_the_reference),
		HEAP_CASE(slot_take_moves_the_reference_out),
		HEAP_CASE(slot_exchange_moves_both),
		HEAP_CASE(slot_compare_exchange_that_fits),
		HEAP_CASE(slot_compare_give_moves_the_reference),
		HEAP_CASE(slot_compare_give_loses_nothing),
		HEAP_CASE(slot_compare_exchange_that_does_not_fit),
		HEAP_CASE(slot_peek_counts_nothing),
		HEAP_CASE(slot_peek_stays_readable_after_death),
		HEAP_CASE(slot_last_reference_dies_at_once),
		HEAP_CASE(slot_in_a_global_is_a_root),
		HEAP_CASE(slot_macros_keep_the_type),
		HEAP_CASE(slot_macros_evaluate_once),
		HEAP_CASE(slot_operations_are_atomic_together),
		HEAP_CASE(slot_load_sees_what_was_stored_before),
	};

	return cmocka_run_group_tests_name("slot", tests, NULL, NULL);
}
