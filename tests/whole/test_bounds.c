/*
 * Goal: what is numbered in few bits is right at both ends: block sizes, keys of threads, counters
 * that wrap.
 * Method: every size there is; as many records as there are keys; counters that begin just below
 * their end.
 * A failure would mean: blocks too small for their objects, two threads that take each other's
 * objects for their own, a server that hangs after years.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

#include "collect/verify.h"
#include "count/weak.h"
#include "heap/heap.h"
#include "heap/pace.h"
#include "world/gate.h"
#include "world/object.h"
#include "world/thread.h"

/* ---- block sizes ---- */

/* The smallest class that has room; all are multiples of 16, and leave a quarter unused at most. */
static void bounds_every_size_has_its_class(void **state)
{
	(void)state;
	for (size_t bytes = 1; bytes <= OI_BLOCK_MAX; bytes++) {
		unsigned c = oi_class_of(bytes);

		assert_true(c < OI_CLASSES);
		assert_int_equal(oi_class_bytes(c) % 16, 0);
		assert_true(oi_class_bytes(c) >= bytes);
		assert_true(c == 0 || oi_class_bytes(c - 1) < bytes);
		assert_true(bytes <= OI_SMALL_MAX || oi_class_bytes(c) - bytes < bytes / 4);
		assert_int_equal(oi_bin_of(bytes, false), c);
		assert_int_equal(oi_bin_of(bytes, true), c + OI_CLASSES);
		if (bytes <= OI_SMALL_MAX)
			assert_int_equal(oi_small_block(bytes), oi_class_bytes(c));
	}
	assert_int_equal(oi_class_bytes(OI_CLASSES - 1), OI_BLOCK_MAX);
	assert_int_equal(oi_class_of(OI_BLOCK_MAX), OI_CLASSES - 1);
}

/* ---- keys ---- */

/* A thread that forgets its record gets another: so one can have all there are. */
static struct oi_thread *attach_once_more(void)
{
	oi_self = NULL;
	return ouro_thread_attach("one of many") == 0 ? oi_self : NULL;
}

static int take_all_keys(void *arg)
{
	struct oi_thread *first = attach_once_more(), *last = first, *t;
	struct node *mine = make(1);
	size_t n = 1;

	(void)arg;
	while ((t = attach_once_more()) != NULL) {
		REQUIRE(t->key > 0 && t->key <= OI_OWN_KEY_MAX && t != last);
		last = t;
		n++;
	}
	REQUIRE(n > OI_OWN_KEY_MAX - 10 && n <= OI_OWN_KEY_MAX);
	REQUIRE(ouro_new(&node_type) == NULL && errno == ENOMEM);
	REQUIRE(oi_self == NULL);
	oi_self = last;
	struct node *of_last = make(2);
	REQUIRE(oi_header_of(of_last)->own == last->key);
	ouro_store(&of_last->left, mine);
	ouro_release(mine);
	REQUIRE(ouro_gc_collect(2) == 0);
	REQUIRE(oi_verify_heap() == NULL);
	ouro_thread_detach();
	REQUIRE(attach_once_more() == last); /* its record, and key, are there again */
	REQUIRE(ouro_refcount(of_last) == 1);
	ouro_release(of_last);
	REQUIRE(ouro_flush() == 0);
	REQUIRE(objects_live() == 0);
	return 0;
}

static void bounds_as_many_threads_as_there_are_keys(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	if (SANITIZED)
		skip(); /* 200 MB of records, and shadows of them */
	needs_threads_in_the_child();
	heap_start(&cfg);
	child_run(take_all_keys, NULL);
}

/* ---- counters ---- */

enum { NEAR = 3, ROUNDS = 10, OBJECTS = 100 };

static struct node *made[OBJECTS];

static void *release_made(void *arg)
{
	for (int i = 0; i < OBJECTS; i++)
		ouro_release(made[i]);
	return arg;
}

/* Of a thread whose merge queue is emptied, and that runs callbacks: each passes its end. */
static void bounds_counters_of_a_thread_wrap(void **state)
{
	const uint32_t begin = UINT32_MAX - NEAR;

	(void)state;
	ouro_release(make(1));
	counters_clear();
	struct oi_merge_queue *q = &oi_self->merges;
	uint32_t *const counters[] = {
		&q->n_taken, &q->n_done, &q->awaited, &oi_self->n_served, &oi_self->deaths.n_served,
		&oi_self->n_callbacks, &oi_self->deaths.n_callbacks, &oi_self->seen_callback,
	};
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		oi_store_relaxed(counters[i], begin);
	for (size_t round = 1; round <= ROUNDS; round++) {
		for (int i = 0; i < OBJECTS; i++)
			made[i] = make_of(&counted_type, i);
		thread_run(release_made, NULL);
		ouro_release(make_list(&counted_type, OBJECTS));
		assert_int_equal(ouro_flush(), 0);
		assert_int_equal(n_destroyed, round * 2 * OBJECTS);
		assert_true(ouro_gc_collect(2) >= 0);
	}
	assert_true(oi_load_acquire(&q->n_done) < begin);
	assert_int_equal(oi_load_relaxed(&q->n_taken), oi_load_acquire(&q->n_done));
	assert_true(oi_self->n_callbacks < begin);
	assert_int_equal(objects_live(), 0);
	assert_null(oi_verify_heap());
}

/* The word that delayed threads wait for. */
static void bounds_turns_of_collections_wrap(void **state)
{
	(void)state;
	oi_store_release(&oi_pace.turn, UINT32_MAX - 1);
	assert_int_equal(ouro_gc_set_threshold(100, 2, 2), 0);
	ouro_gc_enable();
	assert_true(EVENTUALLY((ouro_release(make_ring(&node_type, 200)),
				oi_load_acquire(&oi_pace.turn) < 1000)));
	ouro_gc_disable();
	assert_true(ouro_gc_collect(2) >= 0);
	assert_int_equal(objects_live(), 0);
}

static uint32_t index_in(const ouro_weak *cell)
{
	uint64_t word;

	memcpy(&word, cell, sizeof(word));
	return (uint32_t)word;
}

/* An entry that has had all its generations is used no more: an old cell would come to life. */
static void bounds_last_generation_of_a_weak_entry(void **state)
{
	enum { MANY = 3000 };
	static struct node *n[MANY];
	static ouro_weak cell[MANY];
	ouro_weak old = { 0 };
	struct node *o = make(1);

	(void)state;
	oi_weak_entry_of(oi_enter(), oi_header_of(o))->version = UINT32_MAX;
	oi_gate_leave(oi_self);
	assert_int_equal(ouro_weak_store(&old, o), 0);
	uint32_t index = index_in(&old);
	struct node *got = ouro_weak_load(&old);
	assert_ptr_equal(got, o);
	ouro_release(got);
	ouro_release(o);
	assert_true(ouro_weak_expired(&old));
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++) {
			n[i] = make(i);
			assert_int_equal(ouro_weak_store(&cell[i], n[i]), 0);
			assert_int_not_equal(index_in(&cell[i]), index);
		}
		assert_true(ouro_weak_expired(&old));
		for (int i = 0; i < MANY; i++)
			ouro_release(n[i]);
		assert_true(ouro_gc_collect(2) >= 0); /* the entries' grace periods are over */
	}
	assert_null(ouro_weak_load(&old));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(bounds_every_size_has_its_class),
		BARE_CASE(bounds_as_many_threads_as_there_are_keys),
		HEAP_CASE(bounds_counters_of_a_thread_wrap),
		HEAP_CASE(bounds_turns_of_collections_wrap),
		HEAP_CASE(bounds_last_generation_of_a_weak_entry),
	};

	return cmocka_run_group_tests_name("bounds", tests, NULL, NULL);
}
