/*
 * Goal: a map with limits holds no more than it should, shows nothing whose time is over, and
 * tells of each value that it evicts.
 * Method: the process has a clock that the cases set; steps in chosen orders; threads that put,
 * with the counter read beside them.
 * A failure would mean: a cache grows without bound, serves a session that is over, or throws away
 * one that was renewed.
 */
#include "base/perturb.h"
#include "base/wake.h"
#include "contain/evict.h"
#include "contain/expiry.h"
#include "maps.h"

#include <sys/syscall.h>

enum { SOME = 64, THREADS = 4 };
#define HOUR UINT64_C(3600000000000)

/*
 * ---- a clock that goes ahead when a case says so: the library's own calls come here, too ----
 *
 * At first that of the threads here alone, so that nothing goes by itself, then that of all: for
 * none does it ever go back.
 */

static atomic_ullong ahead_ns;
static _Thread_local bool ahead_here;
static atomic_bool ahead_everywhere;

int clock_gettime(clockid_t id, struct timespec *t)
{
	long error = syscall(SYS_clock_gettime, id, t);

	if (error == 0 && id == CLOCK_MONOTONIC) {
		uint64_t ns = (uint64_t)t->tv_nsec;

		if (ahead_here || atomic_load(&ahead_everywhere))
			ns += atomic_load(&ahead_ns);

		t->tv_sec += (time_t)(ns / 1000000000u);
		t->tv_nsec = (long)(ns % 1000000000u);
	}
	return error == 0 ? 0 : -1;
}

static void time_passes(uint64_t ns) { atomic_fetch_add(&ahead_ns, ns); }

/* ---- what is told ---- */

static atomic_uint n_told[3]; /* by reason */
static atomic_uint n_wrong;

static unsigned told(ouro_map_reason why) { return atomic_load(&n_told[why]); }

static void tell(const ouro_map_item *item, ouro_map_reason why, void *arg)
{
	struct node *n = item->value;

	(void)arg;
	if (item->bytes != NULL || n->id != (int)item->number)
		atomic_fetch_add(&n_wrong, 1);
	atomic_fetch_add(&n_told[why], 1);
}

static ouro_map *cache_make(size_t max, uint64_t ttl_ns)
{
	ouro_map_options o = { .max_entries = max, .ttl_ns = ttl_ns, .on_evict = tell };
	ouro_map *m = ouro_map_new_with(&o);

	if (m == NULL)
		abort();
	for (int i = 0; i < 3; i++)
		atomic_store(&n_told[i], 0);
	atomic_store(&n_wrong, 0);
	counters_clear();
	return m;
}

static bool holds(ouro_map *m, uint64_t key)
{
	struct node *n OURO_AUTO = ouro_map_get_int(m, key);

	return n != NULL && n->id == (int)key;
}

static bool count_one(const ouro_map_item *item, void *arg)
{
	(void)item;
	++*(size_t *)arg;
	return true;
}

static size_t shown(ouro_map *m)
{
	size_t n = 0;

	ouro_map_each(m, count_one, &n);
	return n;
}

/* ---- how many ---- */

static void cache_holds_no_more_than_it_should(void **state)
{
	ouro_map *m = cache_make(SOME, 0);

	(void)state;
	for (uint64_t i = 0; i < 20 * SOME; i++) {
		put_new(m, i);
		assert_true(holds(m, i));
		assert_int_equal(ouro_map_size(m), i < SOME ? i + 1 : SOME);
	}
	assert_int_equal(shown(m), SOME);
	assert_int_equal(told(OURO_MAP_FULL), 19 * SOME);
	assert_int_equal(n_destroyed, 19 * SOME);
	assert_int_equal(n_wrong, 0);
	ouro_release(m);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, 20 * SOME);
}

static void cache_keeps_what_is_asked_for(void **state)
{
	ouro_map *m = cache_make(SOME, 0);

	(void)state;
	for (uint64_t i = 0; i < SOME; i++)
		put_new(m, i);
	for (uint64_t i = 0; i < SOME; i += 2)
		assert_true(holds(m, i));
	for (uint64_t i = 0; i < SOME / 2; i++)
		put_new(m, SOME + i);
	for (uint64_t i = 0; i < SOME; i += 2)
		assert_true(holds(m, i));
	assert_int_equal(told(OURO_MAP_FULL), SOME / 2);
	ouro_release(m);
}

/* Each has a mark: then one of them goes all the same. */
static void cache_of_hot_keys_makes_room(void **state)
{
	ouro_map *m = cache_make(4 * SOME, 0);

	(void)state;
	for (uint64_t i = 0; i < 4 * SOME; i++) {
		put_new(m, i);
		assert_true(holds(m, i));
	}
	for (uint64_t i = 0; i < SOME; i++) {
		put_new(m, 4 * SOME + i);
		assert_true(holds(m, 4 * SOME + i));
		assert_int_equal(ouro_map_size(m), 4 * SOME);
	}
	ouro_release(m);
}

static void cache_of_one_holds_the_last(void **state)
{
	ouro_map *m = cache_make(1, 0);

	(void)state;
	for (uint64_t i = 0; i < SOME; i++) {
		put_new(m, i);
		assert_true(holds(m, i));
		assert_int_equal(ouro_map_size(m), 1);
	}
	ouro_release(m);
}

static void cache_makes_room_where_keys_are_taken(void **state)
{
	ouro_map *m = cache_make(SOME, 0);

	(void)state;
	for (uint64_t i = 0; i < 10 * SOME; i++) {
		put_new(m, i);
		assert_true(ouro_map_remove_int(m, i));
	}
	for (uint64_t i = 0; i < SOME; i++)
		put_new(m, i);
	put_new(m, 1);
	ouro_map_clear(m);
	assert_int_equal(ouro_map_size(m), 0);
	for (uint64_t i = 0; i < SOME; i++)
		put_new(m, i);
	assert_int_equal(ouro_map_size(m), SOME);
	assert_int_equal(told(OURO_MAP_FULL), 0);
	ouro_release(m);
}

/* ---- for how long ---- */

static void cache_shows_nothing_whose_time_is_over(void **state)
{
	ouro_map *m = cache_make(0, HOUR);
	struct node *other = make(1);

	(void)state;
	put_new(m, 1);
	put_new(m, 2);
	time_passes(HOUR / 2);
	assert_true(holds(m, 1));
	put_new(m, 2);
	assert_int_equal(shown(m), 2);
	time_passes(HOUR / 2);
	assert_false(holds(m, 1));
	assert_true(holds(m, 2));
	assert_int_equal(shown(m), 1);
	assert_null(ouro_map_take_int(m, 1));
	assert_false(ouro_map_remove_int(m, 1));
	assert_int_equal(ouro_map_replace_int(m, 1, NULL, other), ENOENT);
	assert_int_equal(ouro_map_put_if_absent_int(m, 2, other), EEXIST);
	assert_int_equal(ouro_map_put_if_absent_int(m, 1, other), 0);
	assert_int_equal(told(OURO_MAP_EXPIRED), 1);
	assert_int_equal(n_destroyed, 2);
	assert_true(holds(m, 1));
	ouro_release(other);
	ouro_release(m);
}

static void cache_entry_has_a_time_of_its_own(void **state)
{
	ouro_map *m = cache_make(0, HOUR), *plain = ouro_map_new();
	ouro_map *on_request = cache_make(0, OURO_MAP_FOR_EVER);
	struct node *n = make(1);

	(void)state;
	assert_int_equal(ouro_map_put_for_int(plain, 1, n, HOUR), EINVAL);
	assert_int_equal(ouro_map_put_for(plain, "1", 1, n, HOUR), EINVAL);
	assert_int_equal(ouro_map_put_for_int(m, 1, NULL, HOUR), EINVAL);
	assert_int_equal(ouro_map_put_for_int(m, 1, n, HOUR / 4), 0);
	assert_int_equal(ouro_map_put_for(m, "4", 1, n, 4 * HOUR), 0);
	assert_int_equal(ouro_map_put_for_int(m, 0, n, 0), 0);
	assert_int_equal(ouro_map_put_for_int(m, 9, n, OURO_MAP_FOR_EVER), 0);
	assert_int_equal(ouro_map_put_int(on_request, 1, n), 0);
	assert_int_equal(ouro_map_put_for_int(on_request, 2, n, HOUR), 0);
	time_passes(HOUR / 2);
	assert_int_equal(shown(m), 3);
	time_passes(HOUR / 2);
	assert_int_equal(shown(m), 2);
	time_passes(HOUR * 100000);
	assert_int_equal(shown(m), 1);
	assert_int_equal(shown(on_request), 1);
	ouro_release(n);
	ouro_release(m);
	ouro_release(plain);
	ouro_release(on_request);
}

static void cache_evicts_what_is_over_first(void **state)
{
	ouro_map *m = cache_make(SOME, HOUR);

	(void)state;
	for (uint64_t i = 0; i < SOME; i++) {
		struct node *n OURO_AUTO = make((int)i);

		assert_int_equal(ouro_map_put_for_int(m, i, n, i == SOME / 2 ? HOUR / 2 : 0), 0);
		assert_true(holds(m, i)); /* each has a mark */
	}
	time_passes(HOUR / 2);
	put_new(m, 2 * SOME);
	assert_int_equal(told(OURO_MAP_EXPIRED), 1);
	assert_int_equal(told(OURO_MAP_FULL), 0);
	assert_int_equal(shown(m), SOME);
	ouro_release(m);
}

static void cache_is_a_map_in_all_else(void **state)
{
	ouro_map *m = cache_make(SOME, HOUR);
	struct node *a = make(1), *b = make(2);

	(void)state;
	assert_int_equal(ouro_map_replace(m, "k", 1, NULL, a), ENOENT);
	assert_int_equal(ouro_map_put(m, "k", 1, a), 0);
	assert_int_equal(ouro_map_replace(m, "k", 1, b, b), ENOENT);
	assert_int_equal(ouro_map_replace(m, "k", 1, a, b), 0);
	struct node *taken = ouro_map_take(m, "k", 1);
	assert_ptr_equal(taken, b);
	assert_int_equal(ouro_refcount(b), 2);
	assert_int_equal(ouro_refcount(a), 1);
	put_new(m, 1);
	put_new(m, 1);
	assert_true(ouro_map_remove_int(m, 1));
	put_new(m, 1);
	time_passes(HOUR);
	assert_int_equal(ouro_map_size(m), 1);
	ouro_map_clear(m);
	assert_int_equal(ouro_map_size(m), 0);
	assert_int_equal(told(OURO_MAP_FULL) + told(OURO_MAP_EXPIRED), 0);
	assert_int_equal(n_destroyed, 3);
	ouro_release(a);
	ouro_release(b);
	ouro_release(taken);
	ouro_release(m);
}

static void cache_refuses_fields_it_does_not_know(void **state)
{
	struct {
		ouro_map_options o;
		uint64_t more;
	} future = { .o = { .max_entries = 1 }, .more = 1 };

	(void)state;
	errno = 0;
	assert_null(ouro_map_new_sized(&future.o, sizeof(future)));
	assert_int_equal(errno, EINVAL);
	future.more = 0;
	ouro_map *m = ouro_map_new_sized(&future.o, sizeof(future)), *none = ouro_map_new_with(NULL);
	assert_non_null(m);
	assert_non_null(none);
	put_new(m, 1);
	put_new(m, 2);
	assert_int_equal(ouro_map_size(m), 1);
	ouro_release(m);
	ouro_release(none);
}

static void cache_in_a_cycle_is_collected(void **state)
{
	ouro_map *m = cache_make(SOME, HOUR);

	(void)state;
	for (uint64_t i = 0; i < 2 * SOME; i++) {
		struct node *n OURO_AUTO = make_of(&counted_type, (int)i);

		ouro_slot_store(&n->left, m);
		assert_int_equal(ouro_map_put_int(m, i, n), 0);
	}
	assert_int_equal(n_destroyed, SOME);
	ouro_release(m);
	assert_int_equal(n_destroyed, SOME);
	ouro_gc_collect(2);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, 2 * SOME);
	assert_int_equal(objects_live(), 0);
}

static ouro_map *second_level;

static void move_down(const ouro_map_item *item, ouro_map_reason why, void *arg)
{
	(void)arg;
	if (why != OURO_MAP_FULL || ouro_map_put_int(second_level, item->number, item->value) != 0)
		atomic_fetch_add(&n_wrong, 1);
}

static void cache_may_be_used_by_what_is_told(void **state)
{
	ouro_map_options o = { .max_entries = SOME, .on_evict = move_down };

	(void)state;
	second_level = cache_make(2 * SOME, 0);
	ouro_map *m = ouro_map_new_with(&o);
	assert_non_null(m);
	for (uint64_t i = 0; i < 10 * SOME; i++)
		put_new(m, i);
	assert_int_equal(ouro_map_size(m), SOME);
	assert_int_equal(ouro_map_size(second_level), 2 * SOME);
	assert_int_equal(told(OURO_MAP_FULL), 7 * SOME);
	assert_int_equal(n_destroyed, 7 * SOME);
	assert_int_equal(n_wrong, 0);
	ouro_release(m);
	ouro_release(second_level);
}

static void count_in_node(const ouro_map_item *item, ouro_map_reason why, void *arg)
{
	(void)item;
	if (why == OURO_MAP_FULL)
		((struct node *)arg)->id++;
}

static void cache_keeps_what_its_function_uses(void **state)
{
	struct node *n = make_of(&counted_type, 0);
	ouro_map_options o = { .max_entries = 1, .on_evict = count_in_node, .on_evict_arg = n,
			       .keeps = n };
	ouro_map *m = ouro_map_new_with(&o);

	(void)state;
	counters_clear();
	assert_non_null(m);
	assert_int_equal(ouro_refcount(n), 2);
	ouro_slot_store(&n->left, m);
	ouro_release(n);
	assert_int_equal(ouro_gc_collect(2), 0);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(ouro_map_put_int(m, i, m), 0);
	assert_int_equal(n->id, 4);
	assert_int_equal(n_destroyed, 0);
	ouro_release(m);
	ouro_gc_collect(2);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, 1);
	assert_int_equal(objects_live(), 0);
}

static void cache_without_memory_is_as_it_was(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	cfg.heap_limit = (SANITIZED ? 4u : 8u) << 20;
	heap_start(&cfg);
	ouro_map *m = cache_make(0, HOUR);
	struct node *n = make(1), *other = make(2);
	uint64_t made = 0;
	int error;
	while ((error = ouro_map_put_int(m, made, n)) == 0)
		made++;
	assert_int_equal(error, ENOMEM);
	assert_int_equal(ouro_map_size(m), made);
	assert_int_equal(ouro_refcount(n), made + 1);
	assert_int_equal(shown(m), made);
	for (uint64_t i = 0; i < made && error != 0; i++) { /* until what is replaced has made room */
		error = ouro_map_put_int(m, i, other);
		struct node *found OURO_AUTO = ouro_map_get_int(m, i);
		assert_ptr_equal(found, error == 0 ? other : n);
	}
	assert_int_equal(shown(m), made);
	ouro_map_clear(m);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(ouro_refcount(n), 1);
	assert_int_equal(ouro_map_put_int(m, 0, other), 0);
	ouro_release(n);
	ouro_release(other);
	ouro_release(m);
}

/* ---- by itself ---- */

/* The library's threads slept by the real clock. */
#define GOES(condition) EVENTUALLY((oi_wake_tick(), (condition)))

static pthread_t main_thread;

static void tell_elsewhere(const ouro_map_item *item, ouro_map_reason why, void *arg)
{
	if (pthread_equal(pthread_self(), main_thread))
		atomic_fetch_add(&n_wrong, 1);
	tell(item, why, arg);
}

static ouro_map *cache_of(ouro_map_evicted on_evict, uint64_t ttl_ns)
{
	ouro_map_options o = { .ttl_ns = ttl_ns, .on_evict = on_evict };

	main_thread = pthread_self();
	atomic_store(&ahead_everywhere, true);
	ouro_release(cache_make(0, 0));
	return ouro_map_new_with(&o);
}

static void cache_over_goes_by_itself(void **state)
{
	enum { MANY = 5000 };
	ouro_map *m = cache_of(tell_elsewhere, HOUR), *unused = cache_of(tell_elsewhere, HOUR);

	(void)state;
	for (uint64_t round = 1; round <= 2; round++) {
		for (uint64_t i = 0; i < MANY; i++)
			put_new(m, i);
		time_passes(HOUR - HOUR / 4);
		put_new(m, MANY);
		time_passes(HOUR / 2);
		assert_true(GOES(ouro_map_size(m) == 1));
		assert_true(GOES(told(OURO_MAP_EXPIRED) == round * (MANY + 1) - 1));
		assert_true(holds(m, MANY));
		time_passes(2 * HOUR);
		assert_true(GOES(told(OURO_MAP_EXPIRED) == round * (MANY + 1)));
	}
	assert_int_equal(n_wrong, 0);
	assert_true(EVENTUALLY(n_destroyed == 2 * (MANY + 1)));
	ouro_release(m);
	ouro_release(unused);
}

/* By the real clock, and nobody wakes anybody. */
static void cache_of_an_idle_program_is_emptied(void **state)
{
	ouro_map *m = cache_of(tell_elsewhere, 1);

	(void)state;
	put_new(m, 1);
	assert_true(EVENTUALLY(ouro_map_size(m) == 0));
	assert_int_equal(n_wrong, 0);
	ouro_release(m);
}

static void cache_goes_by_the_shortest_time(void **state)
{
	ouro_map *m = cache_of(tell_elsewhere, OURO_MAP_FOR_EVER);
	struct node *n = make(1);

	(void)state;
	assert_int_equal(ouro_map_put_int(m, 0, n), 0);
	assert_int_equal(ouro_map_put_for_int(m, 1, n, 100 * HOUR), 0);
	assert_int_equal(ouro_map_put_for_int(m, 1, n, HOUR), 0);
	time_passes(2 * HOUR);
	assert_true(GOES(ouro_map_size(m) == 1));
	assert_int_equal(shown(m), 1);
	ouro_release(n);
	ouro_release(m);
}

/* Rows are used again, and there are enough. */
static void cache_of_each_client_goes_by_itself(void **state)
{
	enum { CACHES = 300 };
	ouro_map *m[CACHES];

	(void)state;
	for (int i = 0; i < 10 * CACHES; i++) {
		ouro_map *brief = cache_of(NULL, HOUR);

		put_new(brief, 1);
		ouro_release(brief);
	}
	for (int i = 0; i < CACHES; i++) {
		m[i] = cache_of(tell_elsewhere, HOUR);
		put_new(m[i], 1);
	}
	time_passes(2 * HOUR);
	assert_true(GOES(told(OURO_MAP_EXPIRED) == CACHES));
	for (int i = 0; i < CACHES; i++)
		ouro_release(m[i]);
}

static atomic_bool goes_on;

/* Not by the clock, which is ahead at any moment. */
static void await(const atomic_bool *flag)
{
	while (!atomic_load(flag))
		sleep_ms(1);
}

static void tell_and_wait(const ouro_map_item *item, ouro_map_reason why, void *arg)
{
	tell(item, why, arg);
	await(&goes_on);
}

/* What the pass has been at has no time left when it ends, and it is the next one's at once. */
static void cache_slow_pass_is_followed_by_another(void **state)
{
	enum { MANY = 10 };
	ouro_map *m = cache_of(tell_and_wait, HOUR);

	(void)state;
	atomic_store(&goes_on, false);
	for (uint64_t i = 0; i < MANY; i++) {
		struct node *n OURO_AUTO = make_of(&counted_type, (int)i);

		assert_int_equal(ouro_map_put_for_int(m, i, n, 4 * HOUR), 0);
	}
	put_new(m, MANY);
	time_passes(2 * HOUR);
	assert_true(GOES(told(OURO_MAP_EXPIRED) == 1));
	time_passes(10 * HOUR);
	atomic_store(&goes_on, true);
	assert_true(GOES(told(OURO_MAP_EXPIRED) == MANY + 1));
	assert_int_equal(n_wrong, 0);
	ouro_release(m);
}

/* A function that waits holds up the cache that it belongs to. */
static void cache_does_not_wait_for_another(void **state)
{
	ouro_map *m = cache_of(tell_and_wait, HOUR), *other = cache_of(NULL, HOUR);

	(void)state;
	atomic_store(&goes_on, false);
	put_new(m, 1);
	put_new(m, 2);
	put_new(other, 1);
	time_passes(2 * HOUR);
	assert_true(GOES(told(OURO_MAP_EXPIRED) == 1));
	assert_true(GOES(ouro_map_size(other) == 0));
	for (uint64_t i = 0; i < 3; i++) {
		put_new(other, i);
		time_passes(2 * HOUR);
		assert_true(GOES(ouro_map_size(other) == 0));
	}
	assert_int_equal(told(OURO_MAP_EXPIRED), 1);
	atomic_store(&goes_on, true);
	assert_true(GOES(told(OURO_MAP_EXPIRED) == 2));
	ouro_release(m);
	ouro_release(other);
}

static void tell_and_exit(const ouro_map_item *item, ouro_map_reason why, void *arg)
{
	tell(item, why, arg);
	pthread_exit(NULL);
}

/* A function that ends its thread does not end the passes. */
static void cache_goes_on_when_a_thread_is_ended(void **state)
{
	ouro_map *m = cache_of(tell_and_exit, HOUR);

	(void)state;
	for (uint64_t i = 0; i < 3; i++)
		put_new(m, i);
	time_passes(2 * HOUR);
	assert_true(GOES(told(OURO_MAP_EXPIRED) == 3));
	assert_true(EVENTUALLY(n_destroyed == 3));
	ouro_release(m);
}

/* Its weak references expired, that of its row among them. */
static void cache_brought_back_goes_by_itself(void **state)
{
	ouro_map *m = cache_of(tell, HOUR);
	struct node *n = make_of(&rising_type, 1);

	(void)state;
	ouro_slot_store(&n->left, m);
	assert_int_equal(ouro_map_put_for_int(m, 1, n, OURO_MAP_FOR_EVER), 0);
	ouro_release(n);
	ouro_release(m);
	ouro_gc_collect(2);
	assert_non_null(risen);
	for (uint64_t i = 2; told(OURO_MAP_EXPIRED) == 0; i++) {
		put_new(risen, i); /* one of these puts finds that the row is gone */
		time_passes(2 * HOUR);
		oi_wake_tick();
		sleep_ms(1);
	}
	ouro_slot_store(&risen, NULL);
	ouro_gc_collect(2);
}

static int expire_in_child(void *arg)
{
	ouro_map *m = arg;

	put_new(m, 2);
	time_passes(2 * HOUR);
	REQUIRE(GOES(ouro_map_size(m) == 0));
	REQUIRE(told(OURO_MAP_EXPIRED) == 2);
	return 0;
}

static void cache_goes_by_itself_in_the_child_of_a_fork(void **state)
{
	ouro_map *m = cache_of(tell, HOUR);

	(void)state;
	put_new(m, 1);
	child_run(expire_in_child, m);
	assert_true(holds(m, 1));
	ouro_release(m);
}

#if OURO_CHECKED
static atomic_bool between, tried;
static const char *_Atomic stands_at;
static atomic_bool *_Atomic stands_until = &goes_on;

static void stand_still(const char *point)
{
	if (strcmp(point, atomic_load(&stands_at)) != 0 ||
	    pthread_equal(pthread_self(), main_thread))
		return;
	const atomic_bool *until = atomic_load(&stands_until);

	atomic_store(&between, true);
	await(until);
}

/* Until goes_on, or what stands_until says; between says that one does. */
static void others_stand_at(const char *point)
{
	atomic_store(&goes_on, false);
	atomic_store(&between, false);
	atomic_store(&stands_at, point);
	oi_point_hook = stand_still;
}

/* Returns a map into which a value with an hour has come while a reaper stands there with it. */
static ouro_map *shorter_time_comes_at(const char *point)
{
	ouro_map *m = cache_of(tell, 100 * HOUR);
	struct node *n OURO_AUTO = make_of(&counted_type, 1);

	put_new(m, 2);
	others_stand_at(point);
	time_passes(30 * HOUR);
	assert_true(GOES(atomic_load(&between)));
	assert_int_equal(ouro_map_put_for_int(m, 1, n, HOUR), 0);
	return m;
}
#endif

/* A shorter time comes just when a reaper has reckoned when to look again. */
static void cache_shorter_time_is_not_missed(void **state)
{
	(void)state;
#if OURO_CHECKED
	ouro_map *m = shorter_time_comes_at("expiry: next");

	oi_point_hook = NULL;
	atomic_store(&goes_on, true);
	time_passes(2 * HOUR);
	assert_true(GOES(told(OURO_MAP_EXPIRED) == 1));
	ouro_release(m);
#else
	skip();
#endif
}

/* So it does when a reaper is about to give its map back, and others find it busy. */
static void cache_busy_map_is_not_forgotten(void **state)
{
	(void)state;
#if OURO_CHECKED
	ouro_map *m = shorter_time_comes_at("expiry: gives back");

	time_passes(2 * HOUR);
	oi_expiry_serve(); /* as another reaper */
	assert_false(oi_expiry_due());
	oi_point_hook = NULL;
	atomic_store(&goes_on, true);
	assert_true(GOES(told(OURO_MAP_EXPIRED) == 1));
	ouro_release(m);
#else
	skip();
#endif
}

/* Nobody would look for what is over, however long it takes. */
static bool nobody_looks(void)
{
	return oi_expiry_wait_ns(UINT64_MAX) == UINT64_MAX;
}

/* Every pass that is due is over. */
static bool passes_end(void)
{
	return GOES(!oi_expiry_due() && library_asleep_for("ouro-reaper", 2));
}

/* One that meets nothing, and the trial after it. */
static bool comes_to_rest(void)
{
	for (int i = 0; i < 3; i++) {
		time_passes(HOUR);
		if (!passes_end())
			return false;
	}
	return nobody_looks();
}

/* What is left for ever needs no look either. */
static void cache_that_is_empty_wakes_nobody(void **state)
{
	ouro_map *m = cache_of(tell_elsewhere, HOUR), *other = cache_of(tell_elsewhere, HOUR);
	struct node *n = make(1000);

	(void)state;
	assert_true(nobody_looks());
	assert_int_equal(ouro_map_put_for_int(m, 1000, n, OURO_MAP_FOR_EVER), 0);
	assert_true(nobody_looks());
	for (unsigned round = 1; round <= 3; round++) {
		put_new(m, round);
		assert_false(nobody_looks());
		time_passes(2 * HOUR);
		assert_true(GOES(told(OURO_MAP_EXPIRED) == round));
		assert_true(passes_end());
		assert_false(nobody_looks());
		assert_true(comes_to_rest());
	}
	put_new(other, 7);
	put_new(m, 8);
	time_passes(2 * HOUR);
	assert_true(GOES(told(OURO_MAP_EXPIRED) == 5));
	assert_true(comes_to_rest());
	assert_true(holds(m, 1000));
	assert_int_equal(n_wrong, 0);
	ouro_release(n);
	ouro_release(m);
	ouro_release(other);
}

#if OURO_CHECKED
/* A reaper that tries whether the map is empty stands there while a value comes. */
static void put_beside_a_trial(const char *point)
{
	ouro_map *m = cache_of(tell_elsewhere, HOUR);
	unsigned before = told(OURO_MAP_EXPIRED);

	put_new(m, 1);
	time_passes(2 * HOUR);
	assert_true(GOES(told(OURO_MAP_EXPIRED) == before + 1));
	assert_true(passes_end());
	time_passes(HOUR);
	assert_true(passes_end()); /* one that met nothing */
	atomic_store(&tried, false);
	atomic_store(&stands_until, &tried);
	others_stand_at("expiry: trial");
	time_passes(HOUR);
	assert_true(GOES(atomic_load(&between)));
	atomic_store(&stands_until, &goes_on);
	if (strcmp(point, "expiry: trial") != 0) {
		atomic_store(&between, false);
		atomic_store(&stands_at, point);
		atomic_store(&tried, true);
		assert_true(GOES(atomic_load(&between)));
	}
	put_new(m, 2);
	oi_point_hook = NULL;
	atomic_store(&tried, true);
	atomic_store(&goes_on, true);
	time_passes(2 * HOUR);
	assert_true(GOES(told(OURO_MAP_EXPIRED) == before + 2));
	assert_true(passes_end());
	assert_true(comes_to_rest());
	ouro_release(m);
}
#endif

static void cache_put_beside_a_trial_is_not_missed(void **state)
{
	(void)state;
#if OURO_CHECKED
	put_beside_a_trial("expiry: trial");
	put_beside_a_trial("map: looks");
	put_beside_a_trial("expiry: next");
#else
	skip();
#endif
}

#if OURO_CHECKED
static void *let_go_soon(void *arg)
{
	sleep_ms(50); /* by then the shutdown has asked */
	atomic_store(&goes_on, true);
	return arg;
}
#endif

/* A reaper that looks is pinned, but not by the program. */
static void cache_looked_at_does_not_refuse_a_shutdown(void **state)
{
	(void)state;
#if OURO_CHECKED
	ouro_map *m = cache_of(NULL, HOUR);
	ouro_report report;

	put_new(m, 1);
	others_stand_at("map: looks");
	time_passes(HOUR / 2);
	assert_true(GOES(atomic_load(&between)));
	ouro_release(m);
	pthread_t t = thread_start(let_go_soon, NULL);
	assert_int_equal(ouro_shutdown(&report), 0);
	assert_int_equal(report.objects, 0);
	oi_point_hook = NULL;
	pthread_join(t, NULL);
#else
	skip();
#endif
}

/* ---- several threads ---- */

struct worker {
	ouro_map *map;
	unsigned seed;
	uint64_t made;
};

static void check_bound(ouro_map *m)
{
	if (__atomic_load_n(&m->limits.held, __ATOMIC_RELAXED) > m->limits.max + THREADS)
		atomic_fetch_add(&n_wrong, 1);
}

static void *use_cache(void *arg)
{
	struct worker *w = arg;

	ahead_here = true;
	for (int i = 0; i < LOAD(40000); i++) {
		uint64_t r = (uint64_t)rand_r(&w->seed), key = r % (8 * SOME);

		if (r >> 12 & 3) {
			struct node *n OURO_AUTO = ouro_map_get_int(w->map, key);

			if (n != NULL && n->id != (int)key)
				atomic_fetch_add(&n_wrong, 1);
		} else if (r >> 14 & 3) {
			put_new(w->map, key);
			w->made++;
		} else {
			ouro_map_remove_int(w->map, key);
		}
		check_bound(w->map);
		if (i % 64 == 0)
			time_passes(1000);
	}
	return NULL;
}

static void use_by_threads(ouro_map *m)
{
	struct worker w[THREADS] = { { NULL, 0, 0 } };
	pthread_t t[THREADS];
	uint64_t made = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ m, i + 1, 0 };
		t[i] = thread_start(use_cache, &w[i]);
	}
	for (int i = 0; i < 5; i++)
		ouro_gc_collect(2);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		made += w[i].made;
	}
	assert_int_equal(n_wrong, 0);
	assert_int_equal(ouro_flush(), 0);
	assert_true(ouro_map_size(m) <= SOME);
	assert_int_equal(m->limits.held, ouro_map_size(m));
	assert_int_equal(n_destroyed, made - ouro_map_size(m));
	assert_true(told(OURO_MAP_FULL) > 0);
	ouro_release(m);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_destroyed, made);
}

static void cache_of_many_threads_stays_within_its_bound(void **state)
{
	(void)state;
	use_by_threads(cache_make(SOME, 0));
}

static void cache_with_times_stays_within_its_bound(void **state)
{
	(void)state;
	use_by_threads(cache_make(SOME, 2000000));
}

/* ---- steps in chosen orders ---- */

#if OURO_CHECKED
static ouro_map *stage;
static const char *where;
static uint64_t put_there;
static _Thread_local bool acts;

static void cross(const char *point)
{
	if (!acts || strcmp(point, where) != 0)
		return;
	acts = false;
	put_new(stage, put_there);
}

static void cross_at(const char *point, uint64_t key)
{
	where = point;
	put_there = key;
	oi_point_hook = cross;
	acts = true;
}

static void uncross(void)
{
	assert_false(acts); /* it has come by */
	oi_point_hook = NULL;
}
#endif

/* What was to be evicted is renewed by another just before it goes. */
static void cache_late_eviction_leaves_the_newer_value(void **state)
{
	(void)state;
#if OURO_CHECKED
	stage = cache_make(1, HOUR);
	put_new(stage, 1);
	cross_at("map: evicts", 1);
	put_new(stage, 2);
	uncross();
	assert_true(holds(stage, 1) || holds(stage, 2));
	assert_int_equal(ouro_map_size(stage), 1);
	assert_int_equal(told(OURO_MAP_FULL), 1); /* the newer value, or the other key: one of them */
	assert_int_equal(n_destroyed, 2);
	ouro_release(stage);
	stage = cache_make(0, HOUR);
	put_new(stage, 1);
	time_passes(HOUR);
	cross_at("map: evicts", 1);
	for (uint64_t i = 0; i < stage->places.n; i++)
		oi_evict_late(stage, i);
	uncross();
	assert_true(holds(stage, 1));
	assert_int_equal(told(OURO_MAP_EXPIRED), 1); /* by the put */
	ouro_release(stage);
#else
	skip();
#endif
}

/* The value goes, and another comes, between a reader's two steps. */
static void cache_reader_sees_the_old_value_or_the_new(void **state)
{
	(void)state;
#if OURO_CHECKED
	stage = cache_make(0, HOUR);
	put_new(stage, 1);
	cross_at("map: dated", 1);
	assert_true(holds(stage, 1));
	uncross();
	ouro_release(stage);
#else
	skip();
#endif
}

/* An entry that counts, but is not in the table yet, cannot be evicted: the other's own goes. */
static void cache_evicts_the_newest_if_there_is_no_other(void **state)
{
	(void)state;
#if OURO_CHECKED
	stage = cache_make(1, 0);
	cross_at("map: reserved", 2);
	put_new(stage, 1);
	uncross();
	assert_true(holds(stage, 1));
	assert_false(holds(stage, 2));
	assert_int_equal(told(OURO_MAP_FULL), 1);
	assert_int_equal(stage->limits.held, 1);
	ouro_release(stage);
#else
	skip();
#endif
}

/* A put that loses to another of the same key gives its place back. */
static void cache_counts_no_entry_that_was_not_linked(void **state)
{
	(void)state;
#if OURO_CHECKED
	stage = cache_make(2, 0);
	cross_at("map: reserved", 1);
	put_new(stage, 1);
	uncross();
	assert_int_equal(stage->limits.held, 1);
	put_new(stage, 2);
	assert_int_equal(told(OURO_MAP_FULL), 0);
	ouro_release(stage);
#else
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(cache_holds_no_more_than_it_should),
		HEAP_CASE(cache_keeps_what_is_asked_for),
		HEAP_CASE(cache_of_hot_keys_makes_room),
		HEAP_CASE(cache_of_one_holds_the_last),
		HEAP_CASE(cache_makes_room_where_keys_are_taken),
		HEAP_CASE(cache_shows_nothing_whose_time_is_over),
		HEAP_CASE(cache_entry_has_a_time_of_its_own),
		HEAP_CASE(cache_evicts_what_is_over_first),
		HEAP_CASE(cache_is_a_map_in_all_else),
		HEAP_CASE(cache_refuses_fields_it_does_not_know),
		HEAP_CASE(cache_in_a_cycle_is_collected),
		HEAP_CASE(cache_may_be_used_by_what_is_told),
		HEAP_CASE(cache_keeps_what_its_function_uses),
		BARE_CASE(cache_without_memory_is_as_it_was),
		HEAP_CASE(cache_of_many_threads_stays_within_its_bound),
		HEAP_CASE(cache_with_times_stays_within_its_bound),
		HEAP_CASE(cache_late_eviction_leaves_the_newer_value),
		HEAP_CASE(cache_reader_sees_the_old_value_or_the_new),
		HEAP_CASE(cache_evicts_the_newest_if_there_is_no_other),
		HEAP_CASE(cache_counts_no_entry_that_was_not_linked),
		/* from here on the library's threads are ahead, too */
		HEAP_CASE(cache_over_goes_by_itself),
		HEAP_CASE(cache_of_an_idle_program_is_emptied),
		HEAP_CASE(cache_goes_by_the_shortest_time),
		HEAP_CASE(cache_of_each_client_goes_by_itself),
		HEAP_CASE(cache_slow_pass_is_followed_by_another),
		HEAP_CASE(cache_does_not_wait_for_another),
		HEAP_CASE(cache_goes_on_when_a_thread_is_ended),
		HEAP_CASE(cache_brought_back_goes_by_itself),
		HEAP_CASE(cache_goes_by_itself_in_the_child_of_a_fork),
		HEAP_CASE(cache_shorter_time_is_not_missed),
		HEAP_CASE(cache_busy_map_is_not_forgotten),
		HEAP_CASE(cache_that_is_empty_wakes_nobody),
		HEAP_CASE(cache_put_beside_a_trial_is_not_missed),
		HEAP_CASE(cache_looked_at_does_not_refuse_a_shutdown),
	};

	ahead_here = true;
	return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
