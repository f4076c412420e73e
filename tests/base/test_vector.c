/*
 * Goal: the list of words that collections and deaths work with keeps what it has while it grows.
 * Method: filled far beyond several doublings, trimmed, filled again; memory is refused (checked
 * builds) when it is full.
 * A failure would mean: objects that a collection forgets, or takes for others.
 */
#include "fixture.h"

#include "base/perturb.h"
#include "base/vector.h"

enum { FIRST = 4096 / sizeof(void *), MANY = 100 * FIRST + 1 };

static void push_numbers(struct oi_vector *v, uintptr_t from, uintptr_t to)
{
	for (uintptr_t i = from; i < to; i++)
		assert_true(oi_vector_push(v, (void *)(i * 16 + 8)));
}

static void assert_numbers(const struct oi_vector *v, uintptr_t n)
{
	assert_int_equal(v->n, n);
	assert_true(v->capacity >= n);
	for (uintptr_t i = 0; i < n; i++)
		assert_int_equal((uintptr_t)v->data[i], i * 16 + 8);
}

static void vector_keeps_what_it_has_while_it_grows(void **state)
{
	struct oi_vector v = { 0 };

	(void)state;
	for (uintptr_t n = 0; n < MANY; n = n < 10 ? n + 1 : n * 2) {
		push_numbers(&v, v.n, n);
		assert_numbers(&v, n);
	}
	oi_vector_free(&v);
	assert_null(v.data);
	assert_int_equal(v.n, 0);
	assert_int_equal(v.capacity, 0);
	oi_vector_free(&v);
}

/* A small one keeps its memory for the next time, a large one does not. */
static void vector_is_trimmed(void **state)
{
	struct oi_vector v = { 0 };

	(void)state;
	push_numbers(&v, 0, FIRST);
	void **data = v.data;
	oi_vector_trim(&v, FIRST);
	assert_int_equal(v.n, 0);
	assert_ptr_equal(v.data, data);
	push_numbers(&v, 0, FIRST + 1);
	assert_true(v.capacity > FIRST);
	oi_vector_trim(&v, FIRST);
	assert_null(v.data);
	assert_int_equal(v.capacity, 0);
	push_numbers(&v, 0, MANY);
	assert_numbers(&v, MANY);
	oi_vector_free(&v);
}

/* Refused, it is as it was, and grows when there is memory again. */
static void vector_that_may_not_grow_stays(void **state)
{
	struct oi_vector v = { 0 };

	(void)state;
	if (!CHECKED_BUILD)
		skip();
	for (uintptr_t full = 0; full <= 4 * FIRST; full = full == 0 ? FIRST : 2 * full) {
		push_numbers(&v, v.n, full);
		assert_int_equal(v.capacity, full);
		oi_fail_arm(OI_FAIL_ALLOC, 1, true);
		assert_false(oi_vector_push(&v, &v));
		oi_fail_arm(OI_FAIL_ALLOC, 0, false);
		assert_numbers(&v, full);
		assert_int_equal(v.capacity, full);
	}
	push_numbers(&v, v.n, MANY);
	assert_numbers(&v, MANY);
	oi_vector_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(vector_keeps_what_it_has_while_it_grows),
		BARE_CASE(vector_is_trimmed),
		BARE_CASE(vector_that_may_not_grow_stays),
	};

	return cmocka_run_group_tests_name("vector", tests, NULL, NULL);
}
