/*
 * Goal: a map's factory makes the value of a key once, however many ask, and whoever waits for it
 * gets an answer, whatever becomes of the factory.
 * Method: threads that ask for one key while the factory stands still; factories that fail, ask the
 * map themselves, exit, are cancelled, or fork; memory that is refused at each step.
 * A failure would mean: work is done twice, a value is lost, or a thread waits for ever.
 */
#include "base/perturb.h"
#include "fixture.h"
#include "world/thread.h"

static ouro_map *map;
static atomic_int n_made, n_waiting, may_go;

static int map_setup(void **state)
{
	heap_setup(state);
	map = ouro_map_new();
	atomic_store(&n_made, 0);
	atomic_store(&n_waiting, 0);
	atomic_store(&may_go, 0);
	counters_clear();
	return map == NULL;
}

static int map_teardown(void **state)
{
#if OURO_CHECKED
	oi_point_hook = NULL;
#endif
	ouro_slot_store(&map, NULL);
	return heap_teardown(state);
}

#define MAP_CASE(f) cmocka_unit_test_setup_teardown(f, map_setup, map_teardown)

/* The key, or its length, is the value's number. */
static void *make_now(const ouro_map_item *item, void *arg)
{
	(void)arg;
	if (item->value != NULL)
		abort();
	atomic_fetch_add(&n_made, 1);
	return make_of(&counted_type, item->bytes ? (int)item->size : (int)item->number);
}

static int id_made(uint64_t key)
{
	struct node *n OURO_AUTO = ouro_map_get_or_create_int(map, key, make_now, NULL);

	return n != NULL ? n->id : -errno;
}

static void once_makes_what_is_not_there(void **state)
{
	(void)state;
	assert_int_equal(id_made(7), 7);
	assert_int_equal(id_made(7), 7);
	assert_int_equal(n_made, 1);
	struct node *n = ouro_map_get_or_create(map, "four", 4, make_now, NULL);
	struct node *empty = ouro_map_get_or_create(map, NULL, 0, make_now, NULL);
	assert_int_equal(n->id, 4);
	assert_int_equal(empty->id, 0);
	assert_int_equal(ouro_refcount(n), 2);
	assert_int_equal(ouro_map_size(map), 3);
	ouro_release(n);
	ouro_release(empty);
	assert_true(ouro_map_remove_int(map, 7));
	assert_int_equal(n_destroyed, 1);
	assert_int_equal(id_made(7), 7);
	assert_int_equal(n_made, 4);
}

static void once_refuses_null_and_pins(void **state)
{
	(void)state;
	assert_null(ouro_map_get_or_create_int(NULL, 1, make_now, NULL));
	assert_int_equal(errno, EINVAL);
	assert_null(ouro_map_get_or_create_int(map, 1, NULL, NULL));
	assert_int_equal(errno, EINVAL);
	assert_null(ouro_map_get_or_create(map, NULL, 1, make_now, NULL));
	assert_int_equal(errno, EINVAL);
	ouro_pin();
	assert_int_equal(id_made(1), -EDEADLK);
	ouro_unpin();
	assert_int_equal(id_made(1), 1);
	ouro_pin();
	assert_int_equal(id_made(1), 1);
	ouro_unpin();
}

static void *fail_with(const ouro_map_item *item, void *arg)
{
	(void)item;
	errno = *(int *)arg;
	return NULL;
}

static void once_factory_may_fail(void **state)
{
	int error = EAGAIN;

	(void)state;
	assert_null(ouro_map_get_or_create_int(map, 1, fail_with, &error));
	assert_int_equal(errno, EAGAIN);
	error = 0;
	assert_null(ouro_map_get_or_create_int(map, 1, fail_with, &error));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(ouro_map_size(map), 0);
	assert_int_equal(id_made(1), 1);
}

/* ---- factories that ask the map ---- */

static void *ask_again(const ouro_map_item *item, void *arg)
{
	uint64_t next = item->number + 1;

	atomic_fetch_add(&n_made, 1);
	if (next > 5)
		return ouro_map_get_or_create_int(map, 1, ask_again, arg);
	return ouro_map_get_or_create_int(map, next, ask_again, arg);
}

static void once_does_not_wait_for_itself(void **state)
{
	(void)state;
	assert_null(ouro_map_get_or_create_int(map, 1, ask_again, NULL));
	assert_int_equal(errno, EDEADLK);
	assert_int_equal(n_made, 5);
	assert_int_equal(ouro_map_size(map), 0);
}

/* Two factories, each of which asks for what the other makes: one of them hears that. */
static void *ask_across(const ouro_map_item *item, void *arg)
{
	atomic_fetch_add(&n_waiting, 1);
	if (!EVENTUALLY(atomic_load(&n_waiting) >= 2))
		abort();
	void *other = ouro_map_get_or_create_int(map, 3 - item->number, make_now, arg);
	if (other == NULL && errno != EDEADLK)
		abort();
	if (other == NULL)
		other = make_of(&counted_type, 100);
	return other;
}

static void *ask_across_for(void *arg)
{
	struct node *n OURO_AUTO =
		ouro_map_get_or_create_int(map, (uint64_t)(uintptr_t)arg, ask_across, NULL);

	return (void *)(uintptr_t)(n != NULL ? n->id : 0);
}

static void once_factories_do_not_wait_for_each_other(void **state)
{
	pthread_t t[2];
	void *id[2];

	(void)state;
	for (uintptr_t i = 0; i < 2; i++)
		t[i] = thread_start(ask_across_for, (void *)(i + 1));
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], &id[i]);
	assert_int_equal((uintptr_t)id[0], 100);
	assert_int_equal((uintptr_t)id[1], 100);
	assert_int_equal(n_made, 0);
}

static void *put_meanwhile(const ouro_map_item *item, void *arg)
{
	struct node *n = make_now(item, arg);

	if (ouro_map_put_int(map, item->number, arg) != 0)
		abort();
	return n;
}

static void once_value_put_meanwhile_stays(void **state)
{
	struct node *n = make(5);

	(void)state;
	struct node *got = ouro_map_get_or_create_int(map, 1, put_meanwhile, n);
	assert_ptr_equal(got, n);
	assert_int_equal(n_destroyed, 1);
	ouro_release(got);
	ouro_release(n);
}

/* ---- several threads ---- */

enum { THREADS = 6 };

static void *make_when_told(const ouro_map_item *item, void *arg)
{
	atomic_fetch_add(&n_made, 1);
	if (!EVENTUALLY(atomic_load(&may_go)))
		abort();
	if (arg != NULL)
		return fail_with(item, arg);
	return make_of(&counted_type, (int)item->number);
}

struct asker {
	ouro_map_factory factory;
	void *arg;
	struct node *got;
	int error;
};

static void *ask_for_one(void *arg)
{
	struct asker *a = arg;

	atomic_fetch_add(&n_waiting, 1);
	a->got = ouro_map_get_or_create_int(map, 1, a->factory, a->arg);
	a->error = a->got != NULL ? 0 : errno;
	return NULL;
}

static void start_askers(struct asker *a, pthread_t *t, ouro_map_factory factory, void *arg)
{
	for (int i = 0; i < THREADS; i++) {
		a[i] = (struct asker){ .factory = factory, .arg = arg };
		t[i] = thread_start(ask_for_one, &a[i]);
	}
	assert_true(EVENTUALLY(n_waiting == THREADS && n_made >= 1));
}

/* Those that wait do not keep a collection waiting, which stops the world. */
static void once_many_threads_get_one_value(void **state)
{
	struct asker a[THREADS];
	pthread_t t[THREADS];

	(void)state;
	start_askers(a, t, make_when_told, NULL);
	assert_true(ouro_gc_collect(2) >= 0);
	atomic_store(&may_go, 1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(n_made, 1);
	for (int i = 0; i < THREADS; i++) {
		assert_ptr_equal(a[i].got, a[0].got);
		ouro_release(a[i].got);
	}
	assert_int_equal(ouro_map_size(map), 1);
}

/* Who comes after the failure asks anew, so there may be several; but none gets a value. */
static void once_many_threads_get_one_error(void **state)
{
	struct asker a[THREADS];
	pthread_t t[THREADS];
	int error = EIO;

	(void)state;
	start_askers(a, t, make_when_told, &error);
	atomic_store(&may_go, 1);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		assert_null(a[i].got);
		assert_int_equal(a[i].error, EIO);
	}
	assert_int_equal(ouro_map_size(map), 0);
	assert_int_equal(id_made(1), 1);
}

enum { KEYS = 50, ROUNDS = LOAD(3000) };

static void *ask_for_all(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t key = (uint64_t)rand_r(&seed) % KEYS;

		if (id_made(key) != (int)key)
			return arg;
	}
	return NULL;
}

static void once_each_key_is_made_once(void **state)
{
	pthread_t t[THREADS];
	void *wrong;

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++)
		t[i] = thread_start(ask_for_all, (void *)(i + 1));
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], &wrong);
		assert_null(wrong);
	}
	assert_int_equal(n_made, ouro_map_size(map));
	assert_true(ouro_map_size(map) <= KEYS);
}

/* ---- factories that do not return ---- */

static atomic_int n_left;

/* The first one leaves, when all others are there; the next makes a value. */
static void *leave_once(const ouro_map_item *item, void *arg)
{
	if (atomic_fetch_add(&n_left, 1) != 0)
		return make_now(item, NULL);
	if (!EVENTUALLY(atomic_load(&n_waiting) == THREADS))
		abort();
	if (arg != NULL) {
		pthread_cancel(pthread_self());
		pthread_testcancel();
	}
	pthread_exit(NULL);
}

static void leave_in(void *arg)
{
	struct asker a[THREADS] = { { NULL, NULL, NULL, 0 } };
	pthread_t t[THREADS];
	int made = 0;

	atomic_store(&n_left, 0);
	for (int i = 0; i < THREADS; i++) {
		a[i] = (struct asker){ .factory = leave_once, .arg = arg };
		t[i] = thread_start(ask_for_one, &a[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		made += a[i].got != NULL;
		ouro_release(a[i].got);
	}
	assert_int_equal(made, THREADS - 1);
	assert_int_equal(n_made, 1);
}

static void once_exit_of_the_factory_leaves_it_to_others(void **state)
{
	(void)state;
	needs_forced_unwinds();
	leave_in(NULL);
}

static void once_cancelled_factory_leaves_it_to_others(void **state)
{
	(void)state;
	needs_forced_unwinds();
	leave_in(&n_left);
}

/* As one that ends where there are no unwind tables: only its record knows. */
static void *vanish(const ouro_map_item *item, void *arg)
{
	(void)item;
	(void)arg;
	atomic_store(&may_go, 1);
	while (atomic_load(&may_go))
		sleep_ms(1000);
	return NULL;
}

static void *ask_and_vanish(void *arg)
{
	ouro_release(ouro_map_get_or_create_int(map, 1, vanish, NULL));
	return arg;
}

static int ask_in_child(void *arg)
{
	(void)arg;
	REQUIRE(id_made(1) == 1);
	REQUIRE(id_made(2) == 2);
	REQUIRE(ouro_map_size(map) == 2);
	return 0;
}

static int fork_beside_factory(void *arg)
{
	(void)arg;
	thread_start(ask_and_vanish, NULL);
	REQUIRE(EVENTUALLY(atomic_load(&may_go)));
	child_run(ask_in_child, NULL);
	return 0;
}

static void once_child_of_a_fork_makes_it_itself(void **state)
{
	(void)state;
	child_run(fork_beside_factory, NULL);
	assert_int_equal(id_made(1), 1);
}

static void *fork_inside(const ouro_map_item *item, void *arg)
{
	pid_t *child = arg;

	*child = fork();
	return make_now(item, NULL);
}

static void once_factory_may_fork(void **state)
{
	pid_t child = -1;
	int status = -1;

	(void)state;
	struct node *n OURO_AUTO = ouro_map_get_or_create_int(map, 1, fork_inside, &child);
	bool good = n != NULL && n->id == 1 && id_made(1) == 1 && id_made(2) == 2 && n_made == 2;
	if (child == 0)
		_exit(good ? 0 : 1);
	assert_true(good);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- steps in chosen orders ---- */

#if OURO_CHECKED
static _Thread_local bool acts;

/* The value is put, and its promise gone, between the look and a promise of one's own. */
static void make_before(const char *point)
{
	if (!acts || strcmp(point, "once: promised") != 0)
		return;
	acts = false;
	struct node *n OURO_AUTO = make_of(&counted_type, 9);
	if (ouro_map_put_int(map, 1, n) != 0)
		abort();
}
#endif

static void once_looks_again_when_it_has_promised(void **state)
{
	(void)state;
#if OURO_CHECKED
	oi_point_hook = make_before;
	acts = true;
	assert_int_equal(id_made(1), 9);
	assert_false(acts);
	assert_int_equal(n_made, 0);
#else
	skip();
#endif
}

static void once_without_memory_changes_nothing(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	cfg.heap_limit = (SANITIZED ? 4u : 8u) << 20; /* at the limit each try collects */
	heap_start(&cfg);
	map = ouro_map_new();
	assert_non_null(map);
	counters_clear();
	atomic_store(&n_made, 0);
	uint64_t key = 0;
	while (id_made(key) == (int)key)
		key++;
	assert_int_equal(errno, ENOMEM);
	assert_true(key > 1000);
	assert_int_equal(ouro_map_size(map), key);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(n_made - (int)n_destroyed, key);
	for (uint64_t i = 0; i < key; i += 2)
		assert_true(ouro_map_remove_int(map, i));
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(id_made(key), key);
	ouro_slot_store(&map, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MAP_CASE(once_makes_what_is_not_there),
		MAP_CASE(once_refuses_null_and_pins),
		MAP_CASE(once_factory_may_fail),
		MAP_CASE(once_does_not_wait_for_itself),
		MAP_CASE(once_factories_do_not_wait_for_each_other),
		MAP_CASE(once_value_put_meanwhile_stays),
		MAP_CASE(once_many_threads_get_one_value),
		MAP_CASE(once_many_threads_get_one_error),
		MAP_CASE(once_each_key_is_made_once),
		MAP_CASE(once_exit_of_the_factory_leaves_it_to_others),
		MAP_CASE(once_cancelled_factory_leaves_it_to_others),
		MAP_CASE(once_child_of_a_fork_makes_it_itself),
		MAP_CASE(once_factory_may_fork),
		MAP_CASE(once_looks_again_when_it_has_promised),
		BARE_CASE(once_without_memory_changes_nothing),
	};

	return cmocka_run_group_tests_name("once", tests, NULL, NULL);
}
