/*
 * Goal: a full collection stops nobody for long and finds all that was garbage when it was called,
 * beside mutators.
 * Method: garbage of known size and of every shape, made by many threads, while others keep
 * changing a shared graph.
 * A failure would mean: stops that grow with the heap, or memory that leaks under load.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "mutators.h"

#include "heap/heap.h"
#include "heap/region.h"

/* ---- stops ---- */

static atomic_size_t n_stops;

static void count_stops(const ouro_gc_event *e, void *arg)
{
	(void)arg;
	if (e->phase == OURO_PAUSE_STOP && e->generation == 2)
		atomic_fetch_add(&n_stops, 1);
}

static size_t young_pages(void)
{
	size_t n = 0;

	oi_heap_lock();
	oi_for_each_page(p)
		n += p->on_young;
	oi_heap_unlock();
	return n;
}

static size_t stops_of_a_collection(ssize_t found)
{
	atomic_store(&n_stops, 0);
	assert_int_equal(ouro_gc_on_event(count_stops, NULL), 0);
	assert_int_equal(ouro_gc_collect(2), found);
	assert_int_equal(ouro_gc_off_event(count_stops, NULL), 0);
	return n_stops;
}

/* One for every 1024 pages with young objects. */
static bool stops_for_young_pages(ssize_t found)
{
	size_t most = young_pages() / 1024 + 2;

	return stops_of_a_collection(found) <= most;
}

/* And none for the old, dead or alive. */
static bool stops_only_for_young_pages(void)
{
	struct node *live = make_ring(&node_type, LOAD(2000000)), *dead = make_ring(&node_type, LOAD(1000000));

	bool few = stops_for_young_pages(0);
	ouro_release(dead);
	few &= stops_of_a_collection(LOAD(1000000)) <= 1;
	few &= stops_of_a_collection(0) <= 1;
	ouro_release(live);
	ouro_release(make_ring(&node_type, LOAD(1000000)));
	return few & stops_for_young_pages(LOAD(3000000));
}

/* A stop in which the thread lost its processor goes on as another. */
static void concurrent_stops_only_for_young_pages(void **state)
{
	(void)state;
	assert_true(IN_ONE_OF_SEVERAL_TRIES(stops_only_for_young_pages()));
}

/* ---- garbage of known size, which only its own members refer to ---- */

struct vector {
	struct node *owner;
	struct node *items[];
};

static const ouro_type vector_type = {
	.name = "vector", .size = offsetof(struct vector, items), .slots = OURO_SLOTS(struct vector, owner),
	.item_size = sizeof(struct node *), .item_slots = OURO_ITEM_REFS, .destroy = counted_destroy,
};

static atomic_size_t n_made;

static struct node *known(void)
{
	atomic_fetch_add(&n_made, 1);
	return make_of(&counted_type, 0);
}

static struct vector *known_vector(size_t n)
{
	atomic_fetch_add(&n_made, 1);
	return ouro_new_items(&vector_type, n);
}

static void drop_ring(size_t n)
{
	struct node *ring = make_ring(&counted_type, n);

	atomic_fetch_add(&n_made, n);
	ouro_give(&ring->left, ouro_load(&graph.root[n % ROOTS])); /* it may refer to what lives */
	ouro_release(ring);
}

static void drop_doubly_linked_list(size_t n)
{
	struct node *last = known();

	while (--n) {
		struct node *next = known();

		ouro_store(&last->right, next);
		ouro_give(&next->left, last);
		last = next;
	}
	ouro_release(last);
}

/* A hub and n spokes: the in-degree passes what a byte can count. */
static void drop_hub(size_t n)
{
	struct vector *hub = known_vector(n);

	for (size_t i = 0; i < n; i++) {
		struct node *spoke = known();

		ouro_slot_store(&spoke->left, hub);
		ouro_give(&hub->items[i], spoke);
	}
	ouro_release(hub);
}

/* A large object that refers to itself, and to a few rings again and again. */
static void drop_wide_array(size_t n)
{
	struct vector *v = known_vector(n);

	for (size_t i = 0; i < n; i++)
		if (i % 1000)
			ouro_slot_store(&v->items[i], i % 7 ? (void *)v : v->items[i - i % 1000]);
		else
			ouro_give(&v->items[i], known());
	ouro_slot_store(&v->items[0]->left, v);
	ouro_release(v);
}

static void drop_self(void)
{
	struct node *n = known();

	ouro_give(&n->right, n);
}

static void drop_some(void)
{
	drop_self();
	drop_ring(30);
	drop_doubly_linked_list(20);
}

static void *drop_all_shapes(void *arg)
{
	drop_some();
	drop_hub(300);
	drop_hub(1500);
	drop_wide_array(9000);
	return arg;
}

/* A cycle of objects that this thread and another one made. */
static struct node *made_elsewhere;

static void make_elsewhere(void *arg)
{
	(void)arg;
	made_elsewhere = known();
	drop_some();
}

static void drop_cycle_of_two_threads(void)
{
	struct node *n = known();

	ouro_store(&n->left, made_elsewhere);
	ouro_give(&made_elsewhere->left, n);
	ouro_release(made_elsewhere);
}

static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static void *mutate_and_drop(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (unsigned i = 0; !atomic_load(&graph.stop); i++) {
		throttle(i);
		mutate(&seed);
		if (i % 16 == 0 && pthread_mutex_trylock(&making) == 0) {
			drop_some();
			pthread_mutex_unlock(&making);
		}
	}
	return NULL;
}

static void start_counting(void)
{
	counters_clear();
	atomic_store(&n_made, 0);
}

/* Collects once. Was all that is known found? Asserted when no thread runs any more. */
static bool collect_once(void)
{
	uint64_t began = now_ns();

	if (ouro_gc_collect(2) > 0 && n_destroyed == n_made)
		return true;
	return took_too_long_to_prove(began) && EVENTUALLY((ouro_gc_collect(2), n_destroyed == n_made));
}

static void concurrent_finds_all_garbage_beside_mutators(void **state)
{
	size_t n_missed = 0;

	(void)state;
	start_counting();
	mutators_start(mutate_and_drop);
	for (int i = 0; i < LOAD(30) + 10; i++) {
		pthread_mutex_lock(&making);
		drop_all_shapes(NULL);
		thread_run(drop_all_shapes, NULL);
		n_missed += !collect_once();
		pthread_mutex_unlock(&making);
	}
	mutators_stop();
	assert_int_equal(n_missed, 0);
	assert_all_is_collected(0);
	assert_int_equal(n_destroyed, n_made);
}

static void concurrent_finds_garbage_of_sleeping_threads(void **state)
{
	size_t n_missed = 0;

	(void)state;
	start_counting();
	mutators_start(NULL);
	for (int i = 0; i < LOAD(15) + 5; i++) {
		struct sleeper s;

		sleeper_start(&s, make_elsewhere, NULL);
		drop_cycle_of_two_threads();
		n_missed += !collect_once();
		sleeper_stop(&s);
	}
	mutators_stop();
	assert_int_equal(n_missed, 0);
	assert_all_is_collected(0);
}

/* ---- threads that leave, and merge what they own, in the middle of it ---- */

static atomic_int n_dropped;
static atomic_bool leave;

static void *drop_and_leave(void *arg)
{
	drop_all_shapes(NULL);
	drop_ring((size_t)LOAD(20000));
	atomic_fetch_add(&n_dropped, 1);
	while (!atomic_load(&leave))
		usleep(20);
	usleep((unsigned)(uintptr_t)arg);
	return NULL;
}

static void tell_to_leave(const ouro_gc_event *e, void *arg)
{
	(void)arg;
	if (e->phase == OURO_GC_START && e->generation == 2)
		atomic_store(&leave, true);
}

static void concurrent_finds_garbage_of_threads_that_leave_meanwhile(void **state)
{
	size_t n_missed = 0;

	(void)state;
	start_counting();
	assert_int_equal(ouro_gc_on_event(tell_to_leave, NULL), 0);
	for (uintptr_t round = 0; round < (uintptr_t)LOAD(60) + 10; round++) {
		pthread_t t[3];

		atomic_store(&n_dropped, 0);
		atomic_store(&leave, false);
		for (uintptr_t i = 0; i < 3; i++)
			t[i] = thread_start(drop_and_leave, (void *)(i * round * 37 % 4000));
		assert_true(EVENTUALLY(n_dropped == 3));
		n_missed += !collect_once();
		for (int i = 0; i < 3; i++)
			pthread_join(t[i], NULL);
	}
	assert_int_equal(ouro_gc_off_event(tell_to_leave, NULL), 0);
	assert_int_equal(n_missed, 0);
}

/* ---- what one collection leaves behind must not mislead the next ---- */

/* Of a size nothing else has, so that its page is new. */
struct hub {
	struct vector *of;
	char payload[700];
};

static const ouro_type hub_type = {
	.name = "hub", .size = sizeof(struct hub), .slots = OURO_SLOTS(struct hub, of), .destroy = counted_destroy,
};

/* 300 old objects come to refer to a new one while they are counted; then all that is garbage. */
static void concurrent_finds_a_hub_that_was_made_during_another(void **state)
{
	struct vector *v;

	(void)state;
	holding_prepare();
	v = ouro_new_items(&vector_type, 300);
	for (int i = 0; i < 300; i++)
		ouro_give(&v->items[i], make(i));
	ouro_gc_collect(2);
	holding_begin();
	struct hub *hub = ouro_new(&hub_type);
	ouro_store(&hub->of, v);
	for (int i = 0; i < 300; i++)
		ouro_slot_store(&v->items[i]->left, hub);
	ouro_release(hub);
	holding_end();
	ouro_release(v);
	assert_int_equal(ouro_gc_collect(2), 302);
}

/* ---- what dies by count with it ---- */

static void destroy_slowly(void *obj)
{
	counted_destroy(obj);
	if (n_destroyed % 1000 == 0)
		sleep_ms(1);
}

static const ouro_type slow_leaf_type = {
	.name = "slow leaf", .size = sizeof(struct leaf), .destroy = destroy_slowly, .flags = OURO_ACYCLIC,
};

/*
 * What is not traversable dies by count, more of it than one release destroys itself. Is it gone
 * when the collection returns? That waits for no callback longer than a tenth of a second, so it
 * may not be if one loses its processor.
 */
static bool leaves_are_gone(void)
{
	enum { LEAVES = 50000 };
	struct vector *v = known_vector(LEAVES);

	counters_clear();
	for (int i = 0; i < LEAVES; i++)
		ouro_slot_give(&v->items[i], ouro_new(&slow_leaf_type));
	ouro_slot_store(&v->owner, v);
	ouro_release(v);
	assert_int_equal(ouro_gc_collect(2), 1);
	bool gone = n_destroyed == LEAVES + 1;
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, LEAVES + 1);
	return gone;
}

static void concurrent_is_over_when_the_leaves_are_gone(void **state)
{
	(void)state;
	assert_true(EVENTUALLY(leaves_are_gone()));
}

/* ---- automatic ones ---- */

static uint64_t full_collections(void)
{
	ouro_gc_stats s[3];

	ouro_gc_get_stats(s);
	return s[2].collections;
}

/* Rings that are old when they are dropped: young collections do not find them. */
static void concurrent_ones_come_by_themselves_and_find_the_old(void **state)
{
	uint64_t end = now_ns() + PATIENCE_S * 1000000000ull;
	struct node *last = NULL;

	(void)state;
	start_counting();
	mutators_start(NULL);
	assert_int_equal(ouro_gc_set_threshold(1000, 1, 1), 0);
	ouro_gc_enable();
	while (full_collections() < 5 && now_ns() < end) {
		struct node *ring = make_ring(&counted_type, 1000);

		atomic_fetch_add(&n_made, 1000);
		ouro_release(last);
		last = ring;
		usleep(200);
	}
	ouro_release(last);
	assert_true(full_collections() >= 5);
	assert_true(EVENTUALLY(n_destroyed > 0)); /* by the reaper */
	ouro_gc_disable();
	mutators_stop();
	assert_all_is_collected(0);
	assert_int_equal(n_destroyed, n_made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(concurrent_stops_only_for_young_pages),
		HEAP_CASE(concurrent_finds_all_garbage_beside_mutators),
		HEAP_CASE(concurrent_finds_garbage_of_sleeping_threads),
		HEAP_CASE(concurrent_finds_garbage_of_threads_that_leave_meanwhile),
		HEAP_CASE(concurrent_finds_a_hub_that_was_made_during_another),
		HEAP_CASE(concurrent_is_over_when_the_leaves_are_gone),
		HEAP_CASE(concurrent_ones_come_by_themselves_and_find_the_old),
	};

	return cmocka_run_group_tests_name("concurrent", tests, NULL, NULL);
}
