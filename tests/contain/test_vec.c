/*
 * Goal: a vector holds what was pushed and set and not popped, in order, for every thread, and ends
 * like any other object.
 * Method: each operation alone, at its ends, and without memory; cycles through the vector; threads
 * that push, pop and read at once, one of which stands still in the middle of a push or pop.
 * (stress_vec judges what operations answer beside each other.)
 * A failure would mean: an element is lost, found twice, leaks or dies too early.
 */
#include "base/perturb.h"
#include "fixture.h"

#define ELEMENTS ((size_t)LOAD(20000))

static ouro_vec *vec_make(size_t capacity)
{
	ouro_vec *v = ouro_vec_new(capacity);

	if (v == NULL)
		abort();
	return v;
}

static size_t push_new(ouro_vec *v, int id)
{
	struct node *n OURO_AUTO = make_of(&counted_type, id);
	size_t i;

	if (ouro_vec_push(v, n, &i) != 0)
		abort();
	return i;
}

static int id_at(ouro_vec *v, size_t i)
{
	struct node *n OURO_AUTO = ouro_vec_get(v, i);

	return n != NULL ? n->id : -1;
}

static int pop_id(ouro_vec *v)
{
	struct node *n OURO_AUTO = ouro_vec_pop(v);

	return n != NULL ? n->id : -1;
}

static void vec_is_a_stack_with_indices(void **state)
{
	ouro_vec *v = vec_make(0);

	(void)state;
	for (size_t i = 0; i < ELEMENTS; i++)
		assert_int_equal(push_new(v, (int)i), i);
	assert_int_equal(ouro_vec_size(v), ELEMENTS);
	for (size_t i = 0; i < ELEMENTS; i++)
		assert_int_equal(id_at(v, i), i);
	assert_null(ouro_vec_get(v, ELEMENTS));
	assert_null(ouro_vec_get(v, SIZE_MAX));
	for (size_t i = ELEMENTS; i > ELEMENTS / 2; i--)
		assert_int_equal(pop_id(v), i - 1);
	assert_int_equal(ouro_vec_size(v), ELEMENTS / 2);
	assert_null(ouro_vec_get(v, ELEMENTS / 2));
	assert_int_equal(push_new(v, 77), ELEMENTS / 2);
	assert_int_equal(id_at(v, ELEMENTS / 2), 77);
	ouro_release(v);
}

static void vec_moves_references(void **state)
{
	ouro_vec *v = vec_make(0);
	struct node *a = make(1), *b = make(2);

	(void)state;
	assert_null(ouro_vec_pop(v));
	assert_int_equal(ouro_vec_push(v, a, NULL), 0);
	assert_int_equal(ouro_vec_push(v, a, NULL), 0);
	assert_int_equal(ouro_refcount(a), 3);
	assert_int_equal(ouro_vec_set(v, 1, b), 0);
	assert_int_equal(ouro_refcount(a), 2);
	assert_int_equal(ouro_refcount(b), 2);
	struct node *popped = ouro_vec_pop(v);
	assert_ptr_equal(popped, b);
	assert_int_equal(ouro_refcount(b), 2);
	ouro_release(popped);
	assert_int_equal(ouro_vec_size(v), 1);
	ouro_release(v);
	assert_int_equal(ouro_refcount(a), 1);
	ouro_release(a);
	ouro_release(b);
}

static void vec_sets_only_what_is_there(void **state)
{
	ouro_vec *v = vec_make(100);
	struct node *a = make(1), *b = make(2);

	(void)state;
	assert_int_equal(ouro_vec_set(v, 0, a), ERANGE);
	assert_int_equal(ouro_vec_compare_set(v, 0, a, b), ERANGE);
	assert_int_equal(ouro_vec_push(v, a, NULL), 0);
	assert_int_equal(ouro_vec_compare_set(v, 0, b, b), EAGAIN);
	assert_int_equal(id_at(v, 0), 1);
	assert_int_equal(ouro_vec_compare_set(v, 0, a, b), 0);
	assert_int_equal(id_at(v, 0), 2);
	assert_int_equal(ouro_vec_set(v, 1, a), ERANGE);
	assert_int_equal(ouro_vec_set(v, SIZE_MAX, a), ERANGE);
	assert_int_equal(pop_id(v), 2);
	assert_int_equal(ouro_vec_set(v, 0, a), ERANGE);
	assert_null(ouro_vec_get(v, 0));
	assert_int_equal(ouro_refcount(a), 1);
	assert_int_equal(ouro_refcount(b), 1);
	ouro_release(a);
	ouro_release(b);
	ouro_release(v);
}

static bool see_element(size_t i, void *value, void *arg)
{
	(void)i, (void)value;
	++*(int *)arg;
	return true;
}

static void vec_refuses_null(void **state)
{
	ouro_vec *v = vec_make(0);
	struct node *n = make(1);
	int seen = 0;

	(void)state;
	assert_int_equal(ouro_vec_push(v, NULL, NULL), EINVAL);
	assert_int_equal(ouro_vec_push(NULL, n, NULL), EINVAL);
	assert_int_equal(ouro_vec_set(v, 0, NULL), EINVAL);
	assert_int_equal(ouro_vec_set(NULL, 0, n), EINVAL);
	assert_int_equal(ouro_vec_compare_set(v, 0, NULL, n), EINVAL);
	assert_int_equal(ouro_vec_compare_set(v, 0, n, NULL), EINVAL);
	assert_int_equal(ouro_vec_compare_set(NULL, 0, n, n), EINVAL);
	assert_int_equal(ouro_vec_reserve(NULL, 1), EINVAL);
	assert_null(ouro_vec_get(NULL, 0));
	assert_null(ouro_vec_pop(NULL));
	assert_int_equal(ouro_vec_size(NULL), 0);
	ouro_vec_clear(NULL);
	assert_true(ouro_vec_each(NULL, see_element, &seen));
	assert_int_equal(seen, 0);
	ouro_release(n);
	ouro_release(v);
}

struct walk {
	ouro_vec *vec;
	size_t next, end;
};

/* Sets what it is at, and pushes one for each of the first ten. */
static bool change(size_t i, void *value, void *arg)
{
	struct walk *w = arg;
	struct node *n OURO_AUTO = make(1000 + ((struct node *)value)->id);

	if (i != w->next++ || ((struct node *)value)->id != (int)i)
		abort();
	if (ouro_vec_set(w->vec, i, n) != 0)
		abort();
	if (i < 10)
		push_new(w->vec, (int)ouro_vec_size(w->vec));
	return i != w->end;
}

static void vec_each_meets_all_in_order(void **state)
{
	ouro_vec *v = vec_make(0);
	struct walk w = { .vec = v, .end = SIZE_MAX };

	(void)state;
	for (int i = 0; i < 100; i++)
		push_new(v, i);
	assert_true(ouro_vec_each(v, change, &w));
	assert_int_equal(w.next, 110);
	for (int i = 0; i < 110; i++)
		assert_int_equal(id_at(v, (size_t)i), 1000 + i);
	ouro_vec_clear(v);
	assert_int_equal(ouro_vec_size(v), 0);
	for (int i = 0; i < 100; i++)
		push_new(v, i);
	w = (struct walk){ .vec = v, .end = 50 };
	assert_false(ouro_vec_each(v, change, &w));
	assert_int_equal(w.next, 51);
	ouro_release(v);
}

/* ---- how it ends ---- */

static void vec_releases_its_elements(void **state)
{
	ouro_vec *v = vec_make(10);

	(void)state;
	counters_clear();
	for (size_t i = 0; i < ELEMENTS; i++)
		push_new(v, (int)i);
	ouro_vec_clear(v);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, ELEMENTS);
	for (size_t i = 0; i < ELEMENTS; i++)
		push_new(v, (int)i);
	ouro_release(v);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, 2 * ELEMENTS);
}

static void vec_in_a_cycle_is_collected(void **state)
{
	ouro_vec *v = vec_make(0);

	(void)state;
	counters_clear();
	for (int i = 0; i < 2000; i++) {
		struct node *n OURO_AUTO = make_of(&counted_type, i);

		ouro_slot_store(&n->left, v);
		assert_int_equal(ouro_vec_push(v, n, NULL), 0);
	}
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(id_at(v, 1999), 1999);
	ouro_release(v);
	assert_int_equal(n_destroyed, 0);
	assert_true(ouro_gc_collect(2) > 2000);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, 2000);
	assert_int_equal(objects_live(), 0);
}

static void vec_without_memory_is_as_it_was(void **state)
{
	ouro_config cfg = test_config();
	size_t made = 0;
	int error;

	(void)state;
	cfg.heap_limit = (SANITIZED ? 4u : 8u) << 20;
	heap_start(&cfg);
	ouro_vec *v = vec_make(0);
	struct node *n = make(1), *other = make(2);
	assert_int_equal(ouro_vec_reserve(v, (size_t)1 << 40), ENOMEM);
	ouro_release(v);
	v = vec_make(0);
	while ((error = ouro_vec_push(v, n, NULL)) == 0)
		made++;
	assert_int_equal(error, ENOMEM);
	assert_true(made > 10000);
	assert_int_equal(ouro_vec_size(v), made);
	assert_int_equal(ouro_refcount(n), made + 1);
	assert_null(ouro_vec_get(v, made));
	assert_int_equal(ouro_vec_set(v, made - 1, other), 0);
	assert_int_equal(pop_id(v), 2);
	assert_int_equal(ouro_vec_push(v, other, NULL), 0);
	assert_int_equal(id_at(v, made - 1), 2);
	assert_int_equal(id_at(v, made - 2), 1);
	ouro_release(n);
	ouro_release(other);
	ouro_release(v);
}

/* What has been reserved cannot fail. */
static void vec_reserved_needs_no_memory(void **state)
{
	ouro_vec *v = vec_make(5000);
	struct node *n = make(1);
	uint64_t made = stats().objects_allocated;

	(void)state;
	for (int i = 0; i < 5000; i++)
		assert_int_equal(ouro_vec_push(v, n, NULL), 0);
	assert_true(stats().objects_allocated == made);
	ouro_release(n);
	ouro_release(v);
}

/* ---- several threads ---- */

enum { THREADS = 4 };

static atomic_bool stop_pushing;

struct worker {
	ouro_vec *vec;
	int id;
	uint64_t pushed, popped, wrong;
};

/* What one thread pushes it pushes to growing indices, as long as nobody pops. */
static void *push_many(void *arg)
{
	struct worker *w = arg;
	size_t last = 0;

	for (size_t k = 0; k < ELEMENTS / 2; k++) {
		size_t i = push_new(w->vec, w->id);

		w->wrong += (k && i <= last) || id_at(w->vec, i) != w->id;
		last = i;
		w->pushed++;
	}
	return NULL;
}

static void vec_grows_under_many_threads(void **state)
{
	struct worker w[THREADS];
	pthread_t t[THREADS];
	ouro_vec *v = vec_make(0);
	size_t of[THREADS] = { 0 };

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ .vec = v, .id = i };
		t[i] = thread_start(push_many, &w[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(ouro_vec_size(v), THREADS * (ELEMENTS / 2));
	for (size_t i = 0; i < ouro_vec_size(v); i++)
		of[id_at(v, i)]++;
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(w[i].wrong, 0);
		assert_int_equal(of[i], ELEMENTS / 2);
	}
	ouro_release(v);
}

static void *pop_all(void *arg)
{
	struct worker *w = arg;

	while (pop_id(w->vec) != -1)
		w->popped++;
	return NULL;
}

static void vec_element_is_popped_once(void **state)
{
	struct worker w[THREADS];
	pthread_t t[THREADS];
	ouro_vec *v = vec_make(0);
	uint64_t popped = 0;

	(void)state;
	counters_clear();
	for (size_t i = 0; i < ELEMENTS; i++)
		push_new(v, (int)i);
	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ .vec = v };
		t[i] = thread_start(pop_all, &w[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		popped += w[i].popped;
	}
	assert_int_equal(popped, ELEMENTS);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, ELEMENTS);
	ouro_release(v);
}

/* ---- in the middle of a push or pop ---- */

#if OURO_CHECKED
static _Thread_local bool stands;
static atomic_bool standing, go_on;

static void stand(const char *point)
{
	if (!stands || strcmp(point, "vec: busy") != 0)
		return;
	stands = false;
	atomic_store(&standing, true);
	while (!atomic_load(&go_on))
		sched_yield();
}

static void *push_and_stand(void *arg)
{
	stands = true;
	push_new(arg, 5);
	return NULL;
}

static void *pop_and_stand(void *arg)
{
	stands = true;
	return (void *)(intptr_t)pop_id(arg);
}

static void start_standing(pthread_t *t, void *(*body)(void *), ouro_vec *v)
{
	atomic_store(&standing, false);
	atomic_store(&go_on, false);
	*t = thread_start(body, v);
	EVENTUALLY(atomic_load(&standing));
}

static void *push_another(void *arg)
{
	push_new(arg, 6);
	return NULL;
}
#endif

/* The element is there, or gone, for who reads and sets; who pushes comes after. */
static void vec_is_read_beside_a_push_that_stands_still(void **state)
{
	(void)state;
#if OURO_CHECKED
	ouro_vec *v = vec_make(0);
	struct node *n OURO_AUTO = make(9);
	pthread_t t, other;
	void *popped;

	push_new(v, 4);
	oi_point_hook = stand;
	start_standing(&t, push_and_stand, v);
	assert_int_equal(id_at(v, 0), 4);
	assert_int_equal(id_at(v, 1), 5);
	assert_int_equal(ouro_vec_set(v, 1, n), 0);
	assert_int_equal(ouro_vec_set(v, 0, n), 0);
	other = thread_start(push_another, v);
	assert_null(ouro_vec_get(v, 2));
	atomic_store(&go_on, true);
	pthread_join(t, NULL);
	pthread_join(other, NULL);
	assert_int_equal(ouro_vec_size(v), 3);
	assert_int_equal(id_at(v, 1), 9);
	assert_int_equal(id_at(v, 2), 6);

	start_standing(&t, pop_and_stand, v);
	assert_null(ouro_vec_get(v, 2));
	assert_int_equal(ouro_vec_set(v, 2, n), ERANGE);
	assert_int_equal(id_at(v, 1), 9);
	atomic_store(&go_on, true);
	pthread_join(t, &popped);
	assert_int_equal((intptr_t)popped, 6);
	assert_int_equal(ouro_vec_size(v), 2);
	oi_point_hook = NULL;
	ouro_release(v);
#else
	skip();
#endif
}

static int use_in_child(void *arg)
{
	ouro_vec *v = arg;

	for (int i = 0; i < 1000; i++)
		push_new(v, i);
	REQUIRE(ouro_vec_size(v) == 1020);
	REQUIRE(pop_id(v) == 999);
	REQUIRE(id_at(v, 19) == 19);
	return 0;
}

static void *push_and_pop(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop_pushing)) {
		push_new(w->vec, 1);
		w->wrong += pop_id(w->vec) == -1;
	}
	return NULL;
}

/* However the fork finds another thread, nothing of it is in the child's way. */
static int push_in_child(void *arg)
{
	ouro_vec *v = arg;

	for (int i = 0; i < 100; i++)
		push_new(v, i);
	REQUIRE(pop_id(v) == 99);
	return 0;
}

static void vec_goes_on_in_the_child_of_a_fork(void **state)
{
	ouro_vec *v = vec_make(0);
	struct worker w = { .vec = v };
	pthread_t t;

	(void)state;
	for (int i = 0; i < 20; i++)
		push_new(v, i);
	child_run(use_in_child, v);
	assert_int_equal(ouro_vec_size(v), 20);
	atomic_store(&stop_pushing, false);
	t = thread_start(push_and_pop, &w);
	for (int i = 0; i < LOAD(50); i++)
		child_run(push_in_child, v);
	atomic_store(&stop_pushing, true);
	pthread_join(t, NULL);
	assert_int_equal(w.wrong, 0);
	assert_int_equal(ouro_vec_size(v), 20);
	ouro_release(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(vec_is_a_stack_with_indices),
		HEAP_CASE(vec_moves_references),
		HEAP_CASE(vec_sets_only_what_is_there),
		HEAP_CASE(vec_refuses_null),
		HEAP_CASE(vec_each_meets_all_in_order),
		HEAP_CASE(vec_releases_its_elements),
		HEAP_CASE(vec_in_a_cycle_is_collected),
		BARE_CASE(vec_without_memory_is_as_it_was),
		HEAP_CASE(vec_reserved_needs_no_memory),
		HEAP_CASE(vec_grows_under_many_threads),
		HEAP_CASE(vec_element_is_popped_once),
		HEAP_CASE(vec_is_read_beside_a_push_that_stands_still),
		HEAP_CASE(vec_goes_on_in_the_child_of_a_fork),
	};

	return cmocka_run_group_tests_name("vec", tests, NULL, NULL);
}
