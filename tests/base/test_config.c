/*
 * Goal: every setting is taken, from the struct or the environment, and every one out of range is refused.
 * Method: spoil one field at a time; set one variable at a time in a forked child, look at what it changes.
 * A failure would mean: an operator's setting is ignored, or a typing error starts a server without it.
 */
#include "fixture.h"

/* ---- the struct ---- */

static void config_default_is_valid(void **state)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT;
	int t[3];

	(void)state;
	assert_int_equal(cfg.threshold[0], -1);
	assert_int_equal(cfg.threshold[1], 10);
	assert_int_equal(cfg.threshold[2], 10);
	assert_true(cfg.enabled);
	assert_int_equal(cfg.finalizers, OURO_FINALIZERS_THREAD);
	assert_int_equal(cfg.release_batch, 10000);
	assert_int_equal(cfg.heap_limit, 0);
	assert_int_equal(cfg.pause_budget_ns, 500000);
	assert_int_equal(cfg.pin_warn_ns, 10000000);
	assert_int_equal(cfg.gc_threads, 0);
	assert_true(cfg.huge_pages);
	assert_int_equal(ouro_init(&cfg), 0);
	ouro_gc_get_threshold(t);
	assert_int_equal(t[0], -1);
	assert_true(ouro_gc_is_enabled());
}

static void config_null_is_the_default(void **state)
{
	int t[3];

	(void)state;
	assert_int_equal(ouro_init(NULL), 0);
	ouro_gc_get_threshold(t);
	assert_int_equal(t[0], -1);
	assert_int_equal(t[1], 10);
	assert_int_equal(t[2], 10);
	assert_true(ouro_gc_is_enabled());
}

static void config_fields_are_taken(void **state)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT;
	int t[3];

	(void)state;
	cfg.threshold[0] = 700;
	cfg.threshold[1] = 0;
	cfg.threshold[2] = 12;
	cfg.enabled = false;
	assert_int_equal(ouro_init(&cfg), 0);
	ouro_gc_get_threshold(t);
	assert_int_equal(t[0], 700);
	assert_int_equal(t[1], 0);
	assert_int_equal(t[2], 12);
	assert_false(ouro_gc_is_enabled());
}

static void config_twice_is_already_running(void **state)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT, bad = OURO_CONFIG_DEFAULT;

	(void)state;
	bad.release_batch = 0;
	assert_int_equal(ouro_init(&cfg), 0);
	assert_int_equal(ouro_init(&cfg), EALREADY);
	assert_int_equal(ouro_init(NULL), EALREADY);
	assert_true(ouro_init(&bad) != 0);
	ouro_release(make(1));
}

static void assert_refused(const ouro_config *cfg)
{
	ouro_config good = OURO_CONFIG_DEFAULT;

	assert_int_equal(ouro_init(cfg), EINVAL);
	assert_int_equal(ouro_init(&good), 0);
	heap_stop();
}

#define ASSERT_FIELD_REFUSED(field, value) \
	do { \
		ouro_config spoilt_ = OURO_CONFIG_DEFAULT; \
		spoilt_.field = (value); \
		assert_refused(&spoilt_); \
	} while (0)

static void config_fields_out_of_range_are_refused(void **state)
{
	(void)state;
	ASSERT_FIELD_REFUSED(threshold[0], -2);
	ASSERT_FIELD_REFUSED(threshold[0], INT32_MIN);
	ASSERT_FIELD_REFUSED(threshold[1], -1);
	ASSERT_FIELD_REFUSED(threshold[2], -1);
	ASSERT_FIELD_REFUSED(finalizers, (ouro_finalizer_mode)2);
	ASSERT_FIELD_REFUSED(finalizers, (ouro_finalizer_mode)-1);
	ASSERT_FIELD_REFUSED(release_batch, 0);
	ASSERT_FIELD_REFUSED(pause_budget_ns, 0);
	ASSERT_FIELD_REFUSED(pause_budget_ns, 9999);
}

static void assert_taken(const ouro_config *cfg)
{
	assert_int_equal(ouro_init(cfg), 0);
	ouro_release(make_pair(&node_type, 1));
	assert_true(ouro_gc_collect(2) >= 0);
	assert_int_equal(heap_stop().objects, 0);
}

static void config_fields_at_their_bounds_are_taken(void **state)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT;

	(void)state;
	cfg.pause_budget_ns = 10000;
	cfg.release_batch = 1;
	cfg.pin_warn_ns = 0;
	cfg.threshold[0] = 0;
	cfg.threshold[1] = 0;
	cfg.threshold[2] = 0;
	assert_taken(&cfg);
	cfg.pause_budget_ns = UINT64_MAX;
	cfg.release_batch = SIZE_MAX;
	cfg.pin_warn_ns = UINT64_MAX;
	cfg.heap_limit = SIZE_MAX;
	cfg.threshold[0] = cfg.threshold[1] = cfg.threshold[2] = INT32_MAX;
	assert_taken(&cfg);
}

/* A heap that is too small for anything answers ENOMEM, at the start or later; nothing else. */
static void config_tiny_heap_limits_are_answered(void **state)
{
	(void)state;
	for (size_t limit = 1; limit < (size_t)1 << 30; limit *= 8) {
		ouro_config cfg = OURO_CONFIG_DEFAULT;

		cfg.heap_limit = limit;
		int error = ouro_init(&cfg);
		assert_true(error == 0 || error == ENOMEM || error == EINVAL);
		if (error != 0)
			continue;
		errno = 0;
		void *obj = ouro_new(&node_type);
		assert_true(obj != NULL || errno == ENOMEM);
		ouro_release(obj);
		heap_stop();
	}
}

/* ---- the environment: each case is a child with one variable ---- */

struct variable {
	const char *name, *value;
	int (*look)(const char *value);
};

static int with_variable(void *arg)
{
	struct variable *v = arg;

	REQUIRE(setenv(v->name, v->value, 1) == 0);
	return v->look(v->value);
}

static void assert_variable(const char *name, const char *value, int (*look)(const char *))
{
	struct variable v = { name, value, look };
	char text[8192];
	int status = child_status(with_variable, &v, text, sizeof(text));

	if (status != 0)
		fail_msg("%s=%s: status 0x%x: %s", name, value, (unsigned)status, text);
}

static int look_refused(const char *value)
{
	(void)value;
	REQUIRE(ouro_init(NULL) == EINVAL);
	return 0;
}

static void assert_variable_refused(const char *name, const char *const bad[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_variable(name, bad[i], look_refused);
}

static int look_enabled(const char *value)
{
	REQUIRE(ouro_init(NULL) == 0);
	REQUIRE(ouro_gc_is_enabled() == (value[0] == '1'));
	return ouro_shutdown(NULL);
}

/* Also when the heap starts by itself. */
static int look_enabled_lazily(const char *value)
{
	REQUIRE(ouro_gc_is_enabled() == (value[0] == '1'));
	REQUIRE(ouro_init(NULL) == EALREADY);
	return ouro_shutdown(NULL);
}

static void config_variable_gc(void **state)
{
	static const char *const bad[] = { "2", "-1", "yes", "0x", "1 1", "banana" };

	(void)state;
	assert_variable("OURO_GC", "0", look_enabled);
	assert_variable("OURO_GC", "1", look_enabled);
	assert_variable("OURO_GC", "0", look_enabled_lazily);
	assert_variable_refused("OURO_GC", bad, sizeof(bad) / sizeof(bad[0]));
}

static int look_threshold(const char *value)
{
	int want[3] = { 0, 0, 0 }, t[3];

	REQUIRE(sscanf(value, "%d,%d,%d", &want[0], &want[1], &want[2]) == 3);
	REQUIRE(ouro_init(NULL) == 0);
	ouro_gc_get_threshold(t);
	REQUIRE(t[0] == want[0] && t[1] == want[1] && t[2] == want[2]);
	return ouro_shutdown(NULL);
}

static void config_variable_threshold(void **state)
{
	static const char *const good[] = { "700,10,10", "0,0,0", "-1,5,6", "2147483647,1,1" };
	static const char *const bad[] = {
		"-2,1,1", "1,-1,1", "1,1,-1", "1,1,1,1", "a,b,c", "1;2;3", "1,,1", ",",
		"99999999999999999999,1,1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_variable("OURO_THRESHOLD", good[i], look_threshold);
	assert_variable_refused("OURO_THRESHOLD", bad, sizeof(bad) / sizeof(bad[0]));
}

static int look_finalizers(const char *value)
{
	bool manual = strcmp(value, "manual") == 0;

	counters_clear();
	REQUIRE(ouro_init(NULL) == 0);
	ouro_gc_disable();
	ouro_release(make_pair(&loud_type, 1));
	ouro_gc_collect(2);
	REQUIRE(book_count(&journal, "f") == (manual ? 0 : 2));
	REQUIRE(ouro_run_finalizers(10) == (manual ? 2 : 0));
	REQUIRE(book_count(&journal, "f") == 2);
	return ouro_shutdown(NULL);
}

static void config_variable_finalizers(void **state)
{
	static const char *const bad[] = { "threads", "MANUAL ", "0", "manual,thread" };

	(void)state;
	assert_variable("OURO_FINALIZERS", "manual", look_finalizers);
	assert_variable("OURO_FINALIZERS", "thread", look_finalizers);
	assert_variable_refused("OURO_FINALIZERS", bad, sizeof(bad) / sizeof(bad[0]));
}

static bool dies_within(size_t batch)
{
	counters_clear();
	here = true;
	ouro_release(make_list(&counted_type, 20000));
	here = false;
	REQUIRE(n_destroyed_here <= batch);
	bool all = n_destroyed_here == 20000;
	REQUIRE(ouro_flush() == 0);
	REQUIRE(n_destroyed == 20000);
	return all;
}

/* A callback may lose its processor for a tick, and then what waits behind it is handed on: so in one of many tries. */
static int look_release_batch(const char *value)
{
	size_t batch = strtoul(value, NULL, 10);
	bool all = false;

	REQUIRE(ouro_init(NULL) == 0);
	for (int i = 0; i < 1000 && !all; i++)
		all = dies_within(batch) || batch < 20000;
	REQUIRE(all);
	return ouro_shutdown(NULL);
}

static void config_variable_release_batch(void **state)
{
	static const char *const bad[] = { "0", "-1", "many", "10x", "99999999999999999999999" };

	(void)state;
	assert_variable("OURO_RELEASE_BATCH", "1", look_release_batch);
	assert_variable("OURO_RELEASE_BATCH", "100", look_release_batch);
	assert_variable("OURO_RELEASE_BATCH", "1000000", look_release_batch);
	assert_variable_refused("OURO_RELEASE_BATCH", bad, sizeof(bad) / sizeof(bad[0]));
}

struct megabyte {
	struct megabyte *next;
	char bytes[1000000];
};

static const ouro_type megabyte_type = {
	.name = "megabyte", .size = sizeof(struct megabyte), .slots = OURO_SLOTS(struct megabyte, next),
};

static size_t megabytes_until_enomem(size_t enough)
{
	struct megabyte *all = NULL;
	size_t n = 0;

	while (n < enough) {
		struct megabyte *m = ouro_new(&megabyte_type);

		if (m == NULL) {
			REQUIRE(errno == ENOMEM);
			break;
		}
		ouro_give(&m->next, all);
		all = m;
		n++;
	}
	ouro_release(all);
	return n;
}

static int look_heap_limit(const char *value)
{
	(void)value;
	REQUIRE(ouro_init(NULL) == 0);
	size_t n = megabytes_until_enomem(200);
	REQUIRE(n > 0 && n <= 135);
	return ouro_shutdown(NULL);
}

static int look_no_heap_limit(const char *value)
{
	(void)value;
	REQUIRE(ouro_init(NULL) == 0);
	REQUIRE(megabytes_until_enomem(200) == 200);
	return ouro_shutdown(NULL);
}

static void config_variable_heap_limit(void **state)
{
	static const char *const bad[] = { "-1", "128MB", "M", "x", "1T", "99999999999G", "12 M" };

	(void)state;
	assert_variable("OURO_HEAP_LIMIT", "134217728", look_heap_limit);
	assert_variable("OURO_HEAP_LIMIT", "131072K", look_heap_limit);
	assert_variable("OURO_HEAP_LIMIT", "128M", look_heap_limit);
	assert_variable("OURO_HEAP_LIMIT", "1G", look_no_heap_limit);
	assert_variable("OURO_HEAP_LIMIT", "0", look_no_heap_limit);
	assert_variable_refused("OURO_HEAP_LIMIT", bad, sizeof(bad) / sizeof(bad[0]));
}

static int look_started(const char *value)
{
	(void)value;
	REQUIRE(ouro_init(NULL) == 0);
	ouro_release(make_pair(&node_type, 1));
	REQUIRE(ouro_gc_collect(2) == 2);
	return ouro_shutdown(NULL);
}

static void config_variable_pause_budget(void **state)
{
	static const char *const bad[] = { "0", "9999", "-500000", "1ms", "99999999999999999999999" };

	(void)state;
	assert_variable("OURO_PAUSE_BUDGET_NS", "10000", look_started);
	assert_variable("OURO_PAUSE_BUDGET_NS", "2000000", look_started);
	assert_variable_refused("OURO_PAUSE_BUDGET_NS", bad, sizeof(bad) / sizeof(bad[0]));
}

static void *pin_for_a_while(void *arg)
{
	ouro_thread_attach("dawdler");
	ouro_pin();
	atomic_store((atomic_bool *)arg, true);
	sleep_ms(100);
	ouro_unpin();
	return NULL;
}

static int look_pin_warning(const char *value)
{
	atomic_bool pinned = false;

	REQUIRE(ouro_init(NULL) == 0);
	ouro_set_log(log_to_book, &log_book);
	pthread_t t = thread_start(pin_for_a_while, &pinned);
	REQUIRE(EVENTUALLY(pinned));
	REQUIRE(ouro_gc_collect(2) == 0);
	pthread_join(t, NULL);
	bool logged = EVENTUALLY(strcmp(value, "1000000") != 0 || book_find(&log_book, "dawdler") >= 0);
	REQUIRE(logged);
	REQUIRE(strcmp(value, "1000000") == 0 || book_find(&log_book, "dawdler") < 0);
	return ouro_shutdown(NULL);
}

static void config_variable_pin_warning(void **state)
{
	static const char *const bad[] = { "-1", "soon", "1e6", "99999999999999999999999" };

	(void)state;
	assert_variable("OURO_PIN_WARN_NS", "1000000", look_pin_warning);
	assert_variable("OURO_PIN_WARN_NS", "0", look_pin_warning);
	assert_variable("OURO_PIN_WARN_NS", "60000000000", look_pin_warning);
	assert_variable_refused("OURO_PIN_WARN_NS", bad, sizeof(bad) / sizeof(bad[0]));
}

static int look_threads(const char *value)
{
	(void)value;
	REQUIRE(ouro_init(NULL) == 0);
	REQUIRE(ouro_gc_collect(2) == 0);
	return ouro_shutdown(NULL);
}

static void config_variable_huge_pages(void **state)
{
	static const char *const bad[] = { "-1", "yes", "2", "" };

	(void)state;
	assert_variable("OURO_HUGE_PAGES", "0", look_threads);
	assert_variable("OURO_HUGE_PAGES", "1", look_threads);
	assert_variable_refused("OURO_HUGE_PAGES", bad, sizeof(bad) / sizeof(bad[0]));
}

static int look_sampling(const char *value)
{
	FILE *f = tmpfile();

	REQUIRE(f && ouro_init(NULL) == 0);
	REQUIRE(ouro_sites_write(f) == (strcmp(value, "0") ? 0 : ENODATA));
	return ouro_shutdown(NULL);
}

static void config_variable_sample_bytes(void **state)
{
	static const char *const bad[] = { "-1", "often", "2000G", "" };

	(void)state;
	assert_variable("OURO_SAMPLE_BYTES", "0", look_sampling);
	assert_variable("OURO_SAMPLE_BYTES", "1", look_sampling);
	assert_variable("OURO_SAMPLE_BYTES", "512K", look_sampling);
	assert_variable_refused("OURO_SAMPLE_BYTES", bad, sizeof(bad) / sizeof(bad[0]));
}

static void config_variable_threads(void **state)
{
	static const char *const bad[] = { "-1", "many", "9", "" };

	(void)state;
	assert_variable("OURO_GC_THREADS", "0", look_threads);
	assert_variable("OURO_GC_THREADS", "8", look_threads);
	assert_variable_refused("OURO_GC_THREADS", bad, sizeof(bad) / sizeof(bad[0]));
}

#define OF_BATCH "environment: OURO_RELEASE_BATCH"

/* The log says which. */
static int look_log(const char *value)
{
	ouro_set_log(log_to_book, &log_book);
	REQUIRE(ouro_init(NULL) == EINVAL);
	REQUIRE(EVENTUALLY(book_count(&log_book, "environment: ") == 1));
	if (value[0] == '0')
		REQUIRE(EVENTUALLY(book_count(&log_book, OF_BATCH "=0 is out of range\n") == 1));
	else
		REQUIRE(EVENTUALLY(book_count(&log_book, OF_BATCH "=banana is not understood\n") == 1));
	return 0;
}

static void config_bad_variable_is_named(void **state)
{
	(void)state;
	assert_variable("OURO_RELEASE_BATCH", "banana", look_log);
	assert_variable("OURO_RELEASE_BATCH", "0", look_log);
}

/* A given configuration ignores them all, right or wrong. */
static int look_ignored(const char *value)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT;
	int t[3];

	(void)value;
	REQUIRE(setenv("OURO_RELEASE_BATCH", "banana", 1) == 0);
	REQUIRE(setenv("OURO_THRESHOLD", "7,7,7", 1) == 0);
	REQUIRE(ouro_init(&cfg) == 0);
	ouro_gc_get_threshold(t);
	REQUIRE(t[0] == -1 && t[1] == 10 && t[2] == 10);
	REQUIRE(ouro_gc_is_enabled());
	return ouro_shutdown(NULL);
}

static void config_struct_ignores_variables(void **state)
{
	(void)state;
	assert_variable("OURO_GC", "0", look_ignored);
	assert_variable("OURO_GC", "banana", look_ignored);
}

/* A heap that would have to start by itself with a bad variable: an answer, no crash. */
static int look_lazy_start_answers(const char *value)
{
	void *obj = ouro_new(&node_type);

	(void)value;
	REQUIRE(obj != NULL || errno == EINVAL);
	ouro_release(obj);
	return ouro_shutdown(NULL);
}

static void config_bad_variable_at_a_lazy_start(void **state)
{
	(void)state;
	assert_variable("OURO_GC", "banana", look_lazy_start_answers);
	assert_variable("OURO_RELEASE_BATCH", "0", look_lazy_start_answers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(config_default_is_valid),
		BARE_CASE(config_null_is_the_default),
		BARE_CASE(config_fields_are_taken),
		BARE_CASE(config_twice_is_already_running),
		BARE_CASE(config_fields_out_of_range_are_refused),
		BARE_CASE(config_fields_at_their_bounds_are_taken),
		BARE_CASE(config_tiny_heap_limits_are_answered),
		BARE_CASE(config_variable_gc),
		BARE_CASE(config_variable_threshold),
		BARE_CASE(config_variable_finalizers),
		BARE_CASE(config_variable_release_batch),
		BARE_CASE(config_variable_heap_limit),
		BARE_CASE(config_variable_pause_budget),
		BARE_CASE(config_variable_pin_warning),
		BARE_CASE(config_variable_threads),
		BARE_CASE(config_variable_huge_pages),
		BARE_CASE(config_variable_sample_bytes),
		BARE_CASE(config_bad_variable_is_named),
		BARE_CASE(config_struct_ignores_variables),
		BARE_CASE(config_bad_variable_at_a_lazy_start),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
