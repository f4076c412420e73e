/*
 * Goal: a finalizer can bring back any part of garbage that is too much to be looked through in one
 * stop.
 * Method: rings past the size of a stop; a finalizer shows a member to the world, or does not;
 * others use it at once.
 * A failure would mean: resurrected objects that are destroyed all the same, or garbage that never
 * is.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "mutators.h"

#include "collect/policy.h"
#include "heap/pace.h"

enum { MANY = LOAD(300000) };

static struct node *risen; /* a global slot */

static void count_only(void *obj)
{
	counted_finalize(obj);
}

static void rise(void *obj)
{
	counted_finalize(obj);
	ouro_store(&risen, (struct node *)obj);
}

static void raise_left(void *obj)
{
	counted_finalize(obj);
	ouro_give(&risen, ouro_load(&((struct node *)obj)->left));
}

#define FINALIZED_TYPE(fn) { \
	.name = #fn, .size = sizeof(struct node), \
	.slots = OURO_SLOTS(struct node, left, right), .weaks = OURO_WEAKS(struct node, weak), \
	.finalize = fn, .destroy = counted_destroy, }

static const ouro_type staying_type = FINALIZED_TYPE(count_only);
static const ouro_type rising_type = FINALIZED_TYPE(rise);
static const ouro_type raising_type = FINALIZED_TYPE(raise_left);

/* A ring of counted ones but for the first, which is of @type. The caller gets its reference. */
static struct node *ring_with(const ouro_type *type, size_t n)
{
	struct node *ring = make_ring(&counted_type, n - 1), *special = make_of(type, 0);

	assert_true(n > oi_policy_cap());
	ouro_give(&special->right, ouro_take(&ring->right));
	ouro_store(&ring->right, special);
	ouro_release(ring);
	return special;
}

static size_t ring_length(struct node *ring)
{
	size_t n = 1;

	for (struct node *x = ring->right; x != ring; x = x->right)
		n++;
	return n;
}

static void assert_gone(size_t n)
{
	assert_int_equal(n_destroyed, n);
	assert_int_equal(objects_live(), 0);
}

static void resurrect_nothing_of_a_large_ring(void **state)
{
	(void)state;
	counters_clear();
	ouro_release(ring_with(&staying_type, MANY));
	assert_int_equal(ouro_gc_collect(2), MANY);
	assert_int_equal(n_finalized, 1);
	assert_gone(MANY);
}

static void resurrect_a_large_ring_once(void **state)
{
	struct node *ring = ring_with(&rising_type, MANY);
	ouro_weak before = { 0 }, after[2] = { { 0 } };

	(void)state;
	counters_clear();
	assert_int_equal(ouro_weak_store(&before, ring->right), 0);
	ouro_release(ring);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(n_destroyed, 0);
	assert_int_equal(n_finalized, 1);
	assert_ptr_equal(risen, ring);
	assert_int_equal(ouro_refcount(ring), 2);
	assert_int_equal(ring_length(ring), MANY);
	assert_true(ouro_weak_expired(&before));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ouro_weak_store(&after[i], i ? ring->right->right : ring), 0);
		struct node *n = ouro_weak_load(&after[i]);
		assert_ptr_equal(n, i ? ring->right->right : ring);
		ouro_release(n);
	}
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_store(&risen, NULL);
	assert_int_equal(ouro_gc_collect(2), MANY);
	assert_int_equal(n_finalized, 1);
	assert_true(ouro_weak_expired(&after[0]) && ouro_weak_expired(&after[1]));
	assert_gone(MANY);
}

/* Two objects only, but one of them has more items than a stop has time for. */
struct wide {
	ouro_weak none;
	struct node *items[];
};

static const ouro_type wide_type = {
	.name = "wide", .size = offsetof(struct wide, items), .weaks = OURO_WEAKS(struct wide, none),
	.item_size = sizeof(struct node *), .item_slots = OURO_ITEM_REFS, .destroy = counted_destroy,
};

static struct node *wide_with(const ouro_type *type)
{
	struct node *special = make_of(type, 0);
	struct wide *wide = ouro_new_items(&wide_type, MANY);

	assert_non_null(wide);
	for (size_t i = 0; i < MANY; i++)
		ouro_store(&wide->items[i], special);
	ouro_slot_give(&special->left, wide);
	counters_clear();
	return special;
}

/* All of its items are looked at, though it is garbage. */
static void resurrect_nothing_of_a_wide_object(void **state)
{
	(void)state;
	ouro_release(wide_with(&staying_type));
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(n_finalized, 1);
	assert_gone(2);
}

static void resurrect_a_wide_object(void **state)
{
	struct node *special = wide_with(&rising_type);
	void *wide = special->left;

	(void)state;
	ouro_release(special);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(n_finalized, 1);
	assert_ptr_equal(risen, special);
	assert_int_equal(ouro_refcount(special), MANY + 1);
	assert_int_equal(ouro_refcount(wide), 1);
	ouro_store(&risen, NULL);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_gone(2);
}

/* Only the ring below comes back, which many of the dead refer to. */
static void resurrect_what_a_member_reaches(void **state)
{
	struct node *below = make_ring(&counted_type, MANY / 2), *ring = ring_with(&raising_type, MANY);
	int i = 0;

	(void)state;
	counters_clear();
	for (struct node *n = ring->right; n != ring; n = n->right)
		if (i++ % 100 == 0)
			ouro_store(&n->left, below);
	ouro_store(&ring->left, below->right);
	ouro_release(below);
	ouro_release(ring);
	assert_int_equal(ouro_gc_collect(2), MANY);
	assert_int_equal(n_destroyed, MANY);
	assert_int_equal(objects_live(), MANY / 2);
	assert_ptr_equal(risen, below->right);
	assert_int_equal(ring_length(risen), MANY / 2);
	ouro_store(&risen, NULL);
	assert_int_equal(ouro_gc_collect(2), MANY / 2);
	assert_gone(MANY + MANY / 2);
}

/* ---- many finalizers, of which one resurrects ---- */

static void rise_if_chosen(void *obj)
{
	if (((struct node *)obj)->id == 7)
		rise(obj);
	else
		count_only(obj);
}

static const ouro_type chosen_type = FINALIZED_TYPE(rise_if_chosen);

static void resurrect_after_many_finalizers(void **state)
{
	enum { N = LOAD(200000) };

	(void)state;
	assert_true(N > oi_policy_cap());
	counters_clear();
	ouro_release(make_ring(&chosen_type, N));
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(n_finalized, N);
	assert_int_equal(ring_length(risen), N);
	ouro_store(&risen, NULL);
	assert_int_equal(ouro_gc_collect(2), N);
	assert_int_equal(n_finalized, N);
	assert_gone(N);
}

/* ---- others use it while it is not decided yet ---- */

static atomic_bool drop_it;

/* Takes it, walks through it, moves its references about, puts it back; or drops it, for good. */
static void *use_risen(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	while (!atomic_load(&graph.stop)) {
		struct node *n = ouro_load(&risen), *next;

		for (int i = 0; n != NULL && i < 100; i++) {
			next = ouro_load(&n->right);
			ouro_give(&n->left, next == NULL ? NULL : ouro_load(&next->right));
			ouro_store(&n->left, NULL);
			ouro_release(n);
			n = next;
		}
		ouro_release(n);
		if (atomic_load(&drop_it) && pick(&seed, 4) == 0)
			ouro_store(&risen, NULL);
	}
	return NULL;
}

static void assert_large_ring_rises_and_is_used(bool drop)
{
	counters_clear();
	atomic_store(&drop_it, drop);
	mutators_start(use_risen);
	ouro_release(ring_with(&rising_type, MANY / 4));
	assert_true(ouro_gc_collect(2) >= 0);
	if (!drop)
		assert_int_equal(n_destroyed, 0);
	mutators_stop();
	assert_int_equal(n_finalized, 1);
	if (!drop)
		assert_int_equal(ring_length(risen), MANY / 4);
	ouro_store(&risen, NULL);
	assert_true(ouro_gc_collect(2) >= 0);
	assert_gone(MANY / 4);
}

static void resurrect_beside_threads_that_use_it(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++)
		assert_large_ring_rises_and_is_used(i % 2);
}

/* ---- collections inside the finalizer ---- */

static void collect_and_rise(void *obj)
{
	ouro_release(make_ring(&counted_type, 1000));
	if (ouro_gc_collect(2) != 1000)
		note('!', 1);
	rise(obj);
	if (ouro_gc_collect(2) != 0)
		note('!', 2);
}

static const ouro_type collecting_type = FINALIZED_TYPE(collect_and_rise);

static void resurrect_in_a_finalizer_that_collects(void **state)
{
	(void)state;
	counters_clear();
	ouro_release(ring_with(&collecting_type, MANY));
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_journal("");
	assert_int_equal(n_destroyed, 1000);
	assert_int_equal(ring_length(risen), MANY);
	ouro_store(&risen, NULL);
	assert_int_equal(ouro_gc_collect(2), MANY);
	assert_gone(MANY + 1000);
}

/* ---- references that only traverse knows ---- */

static struct link *risen_link;

static void link_rise(void *obj)
{
	counted_finalize(obj);
	ouro_store(&risen_link, (struct link *)obj);
}

static const ouro_type link_type = {
	.name = "link", .size = sizeof(struct link),
	.traverse = link_traverse, .clear = link_clear, .destroy = counted_destroy,
};

static const ouro_type rising_link_type = {
	.name = "rising link", .size = sizeof(struct link),
	.traverse = link_traverse, .clear = link_clear, .finalize = link_rise, .destroy = counted_destroy,
};

/* In both directions: the later made refer to the earlier, or the other way round. */
static void resurrect_a_ring_of_opaque_objects(void **state)
{
	enum { N = 8000 };

	(void)state;
	for (int backwards = 0; backwards < 2; backwards++) {
		static struct link *link[N];

		counters_clear();
		assert_true(N > oi_policy_cap());
		for (int i = 0; i < N; i++)
			link[i] = ouro_new(i ? &link_type : &rising_link_type);
		for (int i = 0; i < N; i++)
			/* which is its reference from now on */
			link[i]->next = link[(i + (backwards ? N - 1 : 1)) % N];
		assert_int_equal(ouro_gc_collect(2), 0);
		assert_ptr_equal(risen_link, link[0]);
		assert_int_equal(n_destroyed, 0);
		ouro_give(&risen_link, NULL);
		assert_int_equal(ouro_gc_collect(2), N);
		assert_int_equal(n_finalized, 1);
		assert_gone(N);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(resurrect_nothing_of_a_large_ring),
		HEAP_CASE(resurrect_a_large_ring_once),
		HEAP_CASE(resurrect_nothing_of_a_wide_object),
		HEAP_CASE(resurrect_a_wide_object),
		HEAP_CASE(resurrect_what_a_member_reaches),
		HEAP_CASE(resurrect_after_many_finalizers),
		HEAP_CASE(resurrect_beside_threads_that_use_it),
		HEAP_CASE(resurrect_in_a_finalizer_that_collects),
		HEAP_CASE(resurrect_a_ring_of_opaque_objects),
	};

	return cmocka_run_group_tests_name("resurrect", tests, NULL, NULL);
}
