/*
 * Goal: a weak cell gives a reference while its object lives and NULL for ever after, wherever the
 * cell lies.
 * Method: cells in globals, on stacks and in objects; deaths by count and in cycles; readers beside
 * them.
 * A failure would mean: a dangling pointer from a weak load, half-dead cycles, a side table that
 * grows.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

#include "collect/verify.h"
#include "count/weak.h"
#include "world/gate.h"
#include "world/thread.h"

static ouro_weak global_cell;

/* What a cell leads to, without keeping the reference. */
static void *where(ouro_weak *cell)
{
	void *got = ouro_weak_load(cell);

	ouro_release(got);
	return got;
}

static void weak_is_makes_no_reference(void **state)
{
	struct node *n = make(1), *other = make(2);
	ouro_weak cell = { 0 };

	(void)state;
	assert_true(ouro_weak_is(&cell, NULL));
	assert_false(ouro_weak_is(&cell, n));
	ouro_weak_store(&cell, n);
	assert_true(ouro_weak_is(&cell, n));
	assert_false(ouro_weak_is(&cell, other));
	assert_false(ouro_weak_is(&cell, NULL));
	assert_int_equal(ouro_refcount(n), 1);
	void *address = n;
	ouro_release(n);
	assert_false(ouro_weak_is(&cell, address));
	assert_true(ouro_weak_is(&cell, NULL));
	ouro_release(other);
}

static void weak_empty_cell_is_expired(void **state)
{
	ouro_weak cell = { 0 };

	(void)state;
	assert_true(ouro_weak_expired(&cell));
	assert_null(ouro_weak_load(&cell));
	ouro_weak_clear(&cell);
	assert_int_equal(ouro_weak_store(&cell, NULL), 0);
	assert_true(ouro_weak_expired(&cell));
	assert_null(ouro_weak_load(&cell));
}

static void weak_load_gives_a_reference(void **state)
{
	struct node *n = make(1);
	ouro_weak cell = { 0 };

	(void)state;
	assert_int_equal(ouro_weak_store(&cell, n), 0);
	assert_int_equal(ouro_refcount(n), 1);
	assert_false(ouro_weak_expired(&cell));
	assert_ptr_equal(ouro_weak_load(&cell), n);
	assert_int_equal(ouro_refcount(n), 2);
	ouro_release(n);
	ouro_weak_clear(&cell);
	assert_true(ouro_weak_expired(&cell));
	ouro_release(n);
}

static void weak_load_null_after_death(void **state)
{
	struct node *n = make_of(&loud_type, 1);
	ouro_weak cells[3] = { { 0 } };

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ouro_weak_store(&cells[i], n), 0);
	ouro_release(n);
	assert_journal("f1 d1 ");
	for (int i = 0; i < 3; i++) {
		assert_true(ouro_weak_expired(&cells[i]));
		assert_null(ouro_weak_load(&cells[i]));
	}
	for (int i = 0; i < 3; i++)
		ouro_weak_clear(&cells[i]);
}

/* For ever: also when the memory and the entry belong to somebody else by now. */
static void weak_load_stays_null_when_entries_are_used_again(void **state)
{
	ouro_weak old[100] = { { 0 } }, fresh[100] = { { 0 } };
	struct node *n[100];

	(void)state;
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 100; i++) {
			n[i] = make(i);
			assert_int_equal(ouro_weak_store(round ? &fresh[i] : &old[i], n[i]), 0);
		}
		for (int i = 0; i < 100; i++) {
			assert_ptr_equal(where(round ? &fresh[i] : &old[i]), n[i]);
			assert_true(round == 0 || where(&old[i]) == NULL);
			ouro_release(n[i]);
		}
	}
	for (int i = 0; i < 100; i++) {
		assert_true(ouro_weak_expired(&old[i]));
		ouro_weak_clear(&old[i]);
		ouro_weak_clear(&fresh[i]);
	}
}

static void weak_store_points_the_cell_elsewhere(void **state)
{
	struct node *a = make(1), *b = make(2);
	ouro_weak cell = { 0 };

	(void)state;
	assert_int_equal(ouro_weak_store(&cell, a), 0);
	assert_int_equal(ouro_weak_store(&cell, b), 0);
	assert_ptr_equal(where(&cell), b);
	ouro_release(a);
	assert_ptr_equal(where(&cell), b);
	assert_int_equal(ouro_weak_store(&cell, b), 0);
	assert_ptr_equal(where(&cell), b);
	assert_int_equal(ouro_weak_store(&cell, NULL), 0);
	assert_true(ouro_weak_expired(&cell));
	ouro_release(b);
}

static void weak_cells_live_in_globals_and_objects(void **state)
{
	struct node *n = make(1), *holder = make(2);

	(void)state;
	assert_int_equal(ouro_weak_store(&global_cell, n), 0);
	assert_int_equal(ouro_weak_store(&holder->weak, n), 0);
	assert_ptr_equal(where(&global_cell), n);
	assert_ptr_equal(where(&holder->weak), n);
	ouro_release(n);
	assert_true(ouro_weak_expired(&global_cell));
	assert_true(ouro_weak_expired(&holder->weak));
	ouro_release(holder);
	ouro_weak_clear(&global_cell);
}

static void weak_cell_of_a_dead_object_lets_its_entry_go(void **state)
{
	struct node *target = make(1);

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct node *holder = make(i);

		assert_int_equal(ouro_weak_store(&holder->weak, target), 0);
		assert_int_equal(stats().weak_entries, 1);
		ouro_release(holder);
	}
	ouro_release(target);
	assert_true(EVENTUALLY(stats().weak_entries == 0));
}

/* An object may refer weakly to itself, or to the one that holds it (a parent). */
static void weak_cell_may_lead_to_its_own_object(void **state)
{
	struct node *n = make_of(&loud_type, 1), *child = make_of(&loud_type, 2);

	(void)state;
	assert_int_equal(ouro_weak_store(&n->weak, n), 0);
	assert_int_equal(ouro_weak_store(&child->weak, n), 0);
	ouro_give(&n->left, child);
	assert_ptr_equal(where(&n->weak), n);
	ouro_release(n);
	assert_true(EVENTUALLY(objects_live() == 0));
	assert_true(EVENTUALLY(stats().weak_entries == 0));
}

static void weak_entries_are_counted_and_go_down(void **state)
{
	enum { N = 1000 };
	struct node *n[N];
	ouro_weak cell = { 0 };

	(void)state;
	for (int i = 0; i < N; i++) {
		n[i] = make(i);
		assert_int_equal(ouro_weak_store(&n[i]->weak, n[i]), 0);
		assert_int_equal(ouro_weak_store(&cell, n[i]), 0);
	}
	assert_int_equal(stats().weak_entries, N);
	for (int i = 0; i < N; i++)
		ouro_release(n[i]);
	ouro_weak_clear(&cell);
	assert_true(EVENTUALLY(stats().weak_entries == 0));
}

static void weak_reference_does_not_keep_a_cycle(void **state)
{
	struct node *a = make_pair(&loud_type, 1);
	ouro_weak to_a = { 0 }, to_b = { 0 };

	(void)state;
	assert_int_equal(ouro_weak_store(&to_a, a), 0);
	assert_int_equal(ouro_weak_store(&to_b, a->right), 0);
	ouro_release(a);
	assert_false(ouro_weak_expired(&to_a));
	void *b = ouro_weak_load(&to_b);
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_release(b);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_true(ouro_weak_expired(&to_a));
	assert_null(ouro_weak_load(&to_b));
	ouro_weak_clear(&to_a);
	ouro_weak_clear(&to_b);
}

static void *load_elsewhere(void *cell)
{
	return ouro_weak_load(cell);
}

static void weak_load_by_another_thread(void **state)
{
	struct node *n = make(1);
	ouro_weak cell = { 0 };
	void *got;

	(void)state;
	assert_int_equal(ouro_weak_store(&cell, n), 0);
	pthread_join(thread_start(load_elsewhere, &cell), &got);
	assert_ptr_equal(got, n);
	assert_int_equal(ouro_refcount(n), 2);
	ouro_release(n);
	ouro_release(n);
	pthread_join(thread_start(load_elsewhere, &cell), &got);
	assert_null(got);
	ouro_weak_clear(&cell);
}

/* ---- resurrection ---- */

static struct node *risen;
static ouro_weak member_cell[2];
static bool expired_in_finalizer;

static void rise(void *obj)
{
	if (ouro_weak_expired(&member_cell[0]) && ouro_weak_load(&member_cell[1]) == NULL)
		expired_in_finalizer = true;
	if (((struct node *)obj)->id == 1)
		ouro_store(&risen, (struct node *)obj);
}

static const ouro_type rising_type = {
	.name = "rising", .size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, left, right), .weaks = OURO_WEAKS(struct node, weak),
	.finalize = rise,
};

static void assert_risen_and_weakly_referable(void)
{
	ouro_weak again = { 0 };

	assert_non_null(risen);
	assert_true(expired_in_finalizer);
	assert_true(ouro_weak_expired(&member_cell[0]));
	assert_null(ouro_weak_load(&member_cell[1]));
	assert_int_equal(ouro_weak_store(&again, risen), 0);
	assert_ptr_equal(where(&again), risen);
	assert_null(ouro_weak_load(&member_cell[0]));
	ouro_store(&risen, NULL);
	ouro_gc_collect(2);
	assert_true(ouro_weak_expired(&again));
	ouro_weak_clear(&again);
	ouro_weak_clear(&member_cell[0]);
	ouro_weak_clear(&member_cell[1]);
}

static void weak_stays_expired_after_resurrection_by_count(void **state)
{
	struct node *n = make_of(&rising_type, 1);

	(void)state;
	expired_in_finalizer = false;
	assert_int_equal(ouro_weak_store(&member_cell[0], n), 0);
	assert_int_equal(ouro_weak_store(&member_cell[1], n), 0);
	ouro_release(n);
	assert_risen_and_weakly_referable();
}

static void weak_stays_expired_after_resurrection_of_a_cycle(void **state)
{
	struct node *n = make_pair(&rising_type, 1);

	(void)state;
	expired_in_finalizer = false;
	assert_int_equal(ouro_weak_store(&member_cell[0], n), 0);
	assert_int_equal(ouro_weak_store(&member_cell[1], n->right), 0);
	ouro_release(n);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_risen_and_weakly_referable();
}

/* A cell stored inside the finalizer: expired at the latest when the object is gone. */
static void store_in_finalizer(void *obj)
{
	expired_in_finalizer = ouro_weak_store(&global_cell, obj) == 0;
}

static const ouro_type clinging_type = {
	.name = "clinging", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = store_in_finalizer,
};

static void weak_stored_in_the_finalizer_expires(void **state)
{
	(void)state;
	expired_in_finalizer = false;
	ouro_release(make_of(&clinging_type, 1));
	assert_true(expired_in_finalizer);
	assert_null(ouro_weak_load(&global_cell));
	ouro_weak_clear(&global_cell);
	ouro_release(make_pair(&clinging_type, 1));
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_null(ouro_weak_load(&global_cell));
	ouro_weak_clear(&global_cell);
	assert_true(EVENTUALLY(stats().weak_entries == 0));
}

/* ---- one instant for a whole cycle, and races ---- */

struct watchers {
	ouro_weak a, b;
	atomic_bool stop;
	atomic_size_t wrong, loads;
};

/* Whoever sees a expired may not load b afterwards, and the other way round. */
static void *watch_pair(void *arg)
{
	struct watchers *w = arg;

	while (!atomic_load(&w->stop)) {
		struct node *a = ouro_weak_load(&w->a);
		struct node *b = a ? NULL : ouro_weak_load(&w->b);
		struct node *c = b || a ? NULL : ouro_weak_load(&w->a);

		if (b != NULL || c != NULL)
			atomic_fetch_add(&w->wrong, 1);
		ouro_release(a);
		ouro_release(b);
		ouro_release(c);
		atomic_fetch_add(&w->loads, 1);
	}
	return NULL;
}

static void *watch_one_pair(void *arg)
{
	struct node *n = make_pair(&node_type, 1);
	struct watchers *w = arg;
	pthread_t t;

	if (ouro_weak_store(&w->a, n) != 0 || ouro_weak_store(&w->b, n->right) != 0)
		abort();
	atomic_store(&w->stop, false);
	t = thread_start(watch_pair, w);
	ouro_release(n);
	while (!ouro_weak_expired(&w->a) || !ouro_weak_expired(&w->b))
		ouro_gc_collect(2);
	atomic_store(&w->stop, true);
	pthread_join(t, NULL);
	ouro_weak_clear(&w->a);
	ouro_weak_clear(&w->b);
	return NULL;
}

static void weak_members_of_a_cycle_expire_together(void **state)
{
	struct watchers w = { .stop = false };

	(void)state;
	for (int i = 0; i < LOAD(1000); i++)
		watch_one_pair(&w);
	assert_int_equal(w.wrong, 0);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

static void *load_until_told(void *arg)
{
	struct watchers *w = arg;

	while (!atomic_load(&w->stop)) {
		struct node *a = ouro_weak_load(&w->a);

		if (a != NULL && a->id != 77)
			atomic_fetch_add(&w->wrong, 1);
		ouro_release(a);
		atomic_fetch_add(&w->loads, 1);
	}
	return NULL;
}

/* Upgrades against the last release: each object is either loaded whole or not at all. */
static void weak_load_races_with_the_last_release(void **state)
{
	struct watchers w = { .stop = false };
	pthread_t t[2] = { thread_start(load_until_told, &w), thread_start(load_until_told, &w) };

	(void)state;
	counters_clear();
	for (int i = 0; i < LOAD(50000); i++) {
		struct node *n = make_of(&counted_type, 77);

		if (ouro_weak_store(&w.a, n) != 0)
			abort();
		ouro_release(n);
	}
	assert_true(EVENTUALLY(w.loads > 100));
	atomic_store(&w.stop, true);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	assert_int_equal(w.wrong, 0);
	assert_true(EVENTUALLY(n_destroyed == (size_t)LOAD(50000)));
	ouro_weak_clear(&w.a);
}

static void *store_until_told(void *arg)
{
	struct watchers *w = arg;

	while (!atomic_load(&w->stop)) {
		struct node *n = make(77);

		if (ouro_weak_store(&w->a, n) != 0 || ouro_weak_store(&w->b, n) != 0)
			abort();
		ouro_release(n);
		ouro_weak_clear(&w->a);
		atomic_fetch_add(&w->loads, 1);
	}
	return NULL;
}

static void weak_cell_is_shared_by_threads(void **state)
{
	struct watchers w = { .stop = false };
	pthread_t t[3] = {
		thread_start(store_until_told, &w), thread_start(store_until_told, &w),
		thread_start(load_until_told, &w),
	};

	(void)state;
	assert_true(EVENTUALLY(w.loads > LOAD(100000)));
	atomic_store(&w.stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(w.wrong, 0);
	ouro_weak_clear(&w.a);
	ouro_weak_clear(&w.b);
	assert_true(EVENTUALLY(stats().weak_entries == 0));
}

/* ---- a dead cycle that upgrades keep for moments, one after the other ---- */

enum { POLLERS = 3 };

static struct {
	ouro_weak cell[3];
	atomic_bool stop;
	atomic_size_t loads[POLLERS];
	size_t n; /* threads */
	pthread_t thread[POLLERS];
} polled;

static void pollers_start(void *(*fn)(void *), size_t n)
{
	counters_clear();
	atomic_store(&polled.stop, false);
	polled.n = n;
	for (size_t i = 0; i < n; i++)
		polled.thread[i] = thread_start(fn, (void *)i);
}

static void pollers_stop(void)
{
	atomic_store(&polled.stop, true);
	for (size_t i = 0; i < polled.n; i++)
		pthread_join(polled.thread[i], NULL);
	for (int i = 0; i < 3; i++)
		ouro_weak_clear(&polled.cell[i]);
}

static void note_loads(size_t loads[POLLERS])
{
	for (size_t i = 0; i < polled.n; i++)
		loads[i] = atomic_load(&polled.loads[i]);
}

/* Has each looked so often since? One that has no processor keeps what it has for as long. */
static bool all_have_polled(const size_t since[POLLERS], size_t n)
{
	bool all = true;

	for (size_t i = 0; i < polled.n; i++)
		all &= atomic_load(&polled.loads[i]) >= since[i] + n;
	return all;
}

/* Has a reference nearly all the time. */
static void *poll_for_ever(void *arg)
{
	for (size_t i = (uintptr_t)arg; !atomic_load(&polled.stop); i++) {
		struct node *n = ouro_weak_load(&polled.cell[i % 3]);

		for (volatile int k = 0; n != NULL && k < 2000; k++)
			;
		ouro_release(n);
		atomic_fetch_add(&polled.loads[(uintptr_t)arg], 1);
	}
	return NULL;
}

/* So many full collections beside which all of them go on, at most, must do. */
static void collect_until_gone(size_t n)
{
	uint64_t end = now_ns() + PATIENCE_S * 1000000000ull;
	size_t loads[POLLERS];

	for (int i = 0; i < 20 && n_destroyed < n && now_ns() < end;) {
		note_loads(loads);
		assert_true(ouro_gc_collect(2) >= 0);
		i += all_have_polled(loads, 2);
	}
	assert_int_equal(n_destroyed, n);
}

/* A ring of 30, three of which are polled by then. */
static void drop_polled_ring(void)
{
	struct node *ring = make_ring(&counted_type, 30), *n = ring;

	for (int i = 0; i < 3; i++, n = n->right)
		assert_int_equal(ouro_weak_store(&polled.cell[i], n), 0);
	size_t loads[POLLERS];
	note_loads(loads);
	assert_true(EVENTUALLY(all_have_polled(loads, 2)));
	ouro_release(ring);
}

static void weak_polled_cycles_are_found(void **state)
{
	(void)state;
	pollers_start(poll_for_ever, POLLERS);
	for (size_t round = 1; round <= 10; round++) {
		drop_polled_ring();
		if (round % 2 == 0) /* with other garbage, which is committed */
			ouro_release(make_ring(&node_type, 1000));
		collect_until_gone(30 * round);
		for (int i = 0; i < 3; i++)
			assert_null(ouro_weak_load(&polled.cell[i]));
	}
	pollers_stop();
}

/*
 * Whoever polls gives it a new member, too: what is declared garbage with it is young, and counted
 * as young no more.
 */
static void *poll_and_give(void *arg)
{
	for (size_t i = (uintptr_t)arg; !atomic_load(&polled.stop); i++) {
		struct node *n = ouro_weak_load(&polled.cell[i % 3]);

		if (n != NULL)
			ouro_give(&n->left, make(0));
		ouro_release(n);
		atomic_fetch_add(&polled.loads[(uintptr_t)arg], 1);
	}
	return NULL;
}

static void weak_polled_cycles_take_what_is_young_with_them(void **state)
{
	(void)state;
	pollers_start(poll_and_give, 2);
	for (size_t round = 1; round <= 10; round++) {
		drop_polled_ring();
		collect_until_gone(30 * round);
		const char *wrong = oi_verify_heap();
		if (wrong != NULL)
			fail_msg("round %zu: %s", round, wrong);
	}
	pollers_stop();
}

/* Who keeps a reference keeps the cycle, and uses it, whatever is decided about it. */
static void *keep_for_a_while(void *arg)
{
	for (size_t i = (uintptr_t)arg; !atomic_load(&polled.stop); i++) {
		struct node *n = ouro_weak_load(&polled.cell[i % 3]), *next = n != NULL ? ouro_load(&n->right) : NULL;

		if (i % 10 == 0)
			sleep_ms(1);
		if (n != NULL && (n->id < 0 || next == NULL || next->id < 0))
			abort();
		ouro_release(n);
		ouro_release(next);
	}
	return NULL;
}

static void weak_polled_cycles_that_are_kept_live(void **state)
{
	struct node *ring = make_ring(&counted_type, 30), *n = ring;

	(void)state;
	for (int i = 0; i < 3; i++, n = n->right)
		assert_int_equal(ouro_weak_store(&polled.cell[i], n), 0);
	struct node *kept = ouro_retain(n);
	ouro_release(ring);
	pollers_start(keep_for_a_while, POLLERS);
	for (int i = 0; i < 20; i++)
		assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(n_destroyed, 0);
	ouro_release(kept);
	pollers_stop();
	assert_true(ouro_gc_collect(2) >= 0);
	assert_int_equal(n_destroyed, 30);
}

/* ---- beyond the heap's life ---- */

static void weak_stays_expired_in_the_next_heap(void **state)
{
	ouro_config cfg = test_config();
	ouro_weak fresh[100] = { { 0 } };
	struct node *n[100];

	(void)state;
	heap_start(&cfg);
	struct node *first = make(1);
	assert_int_equal(ouro_weak_store(&global_cell, first), 0);
	ouro_release(first);
	heap_stop();
	heap_start(&cfg);
	for (int i = 0; i < 100; i++) {
		n[i] = make(i);
		assert_int_equal(ouro_weak_store(&fresh[i], n[i]), 0);
	}
	assert_true(ouro_weak_expired(&global_cell));
	assert_null(ouro_weak_load(&global_cell));
	ouro_weak_clear(&global_cell);
	for (int i = 0; i < 100; i++) {
		assert_ptr_equal(where(&fresh[i]), n[i]);
		ouro_weak_clear(&fresh[i]);
		ouro_release(n[i]);
	}
}

/* The verifier looks at where an object's index leads. */
static void weak_entry_of_another_object_is_noticed(void **state)
{
	struct node *a = make(1), *b = make(2);

	(void)state;
	assert_int_equal(ouro_weak_store(&a->weak, a), 0);
	assert_int_equal(ouro_weak_store(&b->weak, b), 0);
	struct oi_weak_entry *e = oi_weak_entry_of(oi_enter(), oi_header_of(a));
	oi_gate_leave(oi_self);
	assert_null(oi_verify_heap());
	e->object = oi_header_of(b);
	const char *said = oi_verify_heap();
	e->object = oi_header_of(a);
	assert_non_null(said);
	assert_non_null(strstr(said, "INV-W1"));
	assert_null(oi_verify_heap());
	ouro_release(a);
	ouro_release(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(weak_empty_cell_is_expired),
		HEAP_CASE(weak_is_makes_no_reference),
		HEAP_CASE(weak_load_gives_a_reference),
		HEAP_CASE(weak_load_null_after_death),
		HEAP_CASE(weak_load_stays_null_when_entries_are_used_again),
		HEAP_CASE(weak_store_points_the_cell_elsewhere),
		HEAP_CASE(weak_cells_live_in_globals_and_objects),
		HEAP_CASE(weak_cell_of_a_dead_object_lets_its_entry_go),
		HEAP_CASE(weak_cell_may_lead_to_its_own_object),
		HEAP_CASE(weak_entries_are_counted_and_go_down),
		HEAP_CASE(weak_reference_does_not_keep_a_cycle),
		HEAP_CASE(weak_load_by_another_thread),
		HEAP_CASE(weak_stays_expired_after_resurrection_by_count),
		HEAP_CASE(weak_stays_expired_after_resurrection_of_a_cycle),
		HEAP_CASE(weak_stored_in_the_finalizer_expires),
		HEAP_CASE(weak_members_of_a_cycle_expire_together),
		HEAP_CASE(weak_load_races_with_the_last_release),
		HEAP_CASE(weak_cell_is_shared_by_threads),
		HEAP_CASE(weak_polled_cycles_are_found),
		HEAP_CASE(weak_polled_cycles_take_what_is_young_with_them),
		HEAP_CASE(weak_polled_cycles_that_are_kept_live),
		HEAP_CASE(weak_entry_of_another_object_is_noticed),
		BARE_CASE(weak_stays_expired_in_the_next_heap),
	};

	return cmocka_run_group_tests_name("weak", tests, NULL, NULL);
}
