/*
 * Goal: structs that grow overwrite nothing of a program that was built against an older header,
 * and tell it all it knows.
 * Method: the first published layouts are copied here and given to the symbols that programs of
 * then are linked with, with a canary
 *         behind; sizes smaller and larger than the library's are given to the functions that take one.
 * A failure would mean: an update of the shared library corrupts the stack of a program that was
 * not compiled again.
 */
#include "fixture.h"

/* The headers of then. */
struct first_stats {
	uint64_t objects_live, bytes_live, objects_allocated, objects_freed, bytes_reserved, weak_entries, threads;
	uint64_t collections[3], collected[3], collection_ns[3];
	uint64_t pauses, pause_sum_ns, pause_p50_ns, pause_p99_ns, pause_p999_ns, pause_max_ns;
	uint64_t stop_max_ns;
};
struct first_config {
	int threshold[3];
	bool enabled;
	int finalizers;
	size_t release_batch, heap_limit;
	uint64_t pause_budget_ns, pin_warn_ns;
};
struct first_gc_stats {
	uint64_t collections, collected, uncollectable, duration_ns;
};
struct three_gc_stats {
	struct first_gc_stats g[3];
};
struct first_report {
	size_t objects, bytes;
};
/* The linker gives the symbols these names: under their own, clang takes a call for one of the inline function. */
void first_stats_get(struct first_stats *out);
int first_init(const struct first_config *cfg);
int first_shutdown(struct first_report *out);
void first_gc_get_stats(struct first_gc_stats out[3]);

#define CANARY 0xa5
#define CANARY_BYTES 1024

/* A struct, and what lies behind it in the program's memory. */
#define WITH_CANARY(type) \
	struct { \
		type s; \
		unsigned char canary[CANARY_BYTES]; \
	}

static void assert_untouched(const unsigned char *canary)
{
	for (size_t i = 0; i < CANARY_BYTES; i++)
		if (canary[i] != CANARY)
			fail_msg("byte %zu behind the struct was overwritten", i);
}

static void sized_stats_of_the_first_layout(void **state)
{
	WITH_CANARY(struct first_stats) old;
	struct node *n = make(1);

	(void)state;
	assert_int_equal(sizeof(struct first_stats), 184);
	memset(&old, CANARY, sizeof(old));
	first_stats_get(&old.s);
	assert_untouched(old.canary);
	assert_int_equal(old.s.objects_live, 1);
	assert_int_equal(old.s.threads, 1);
	ouro_gc_collect(2);
	first_stats_get(&old.s);
	assert_true(old.s.pauses > 0);
	assert_true(old.s.stop_max_ns > 0);
	ouro_release(n);
}

static void sized_gc_stats_of_the_first_layout(void **state)
{
	WITH_CANARY(struct three_gc_stats) old;

	(void)state;
	ouro_release(make_pair(&node_type, 1));
	ouro_gc_collect(2);
	memset(&old, CANARY, sizeof(old));
	first_gc_get_stats(old.s.g);
	assert_untouched(old.canary);
	assert_int_equal(old.s.g[2].collections, 1);
	assert_int_equal(old.s.g[2].collected, 2);
}

static void sized_start_and_end_of_the_first_layout(void **state)
{
	struct {
		struct first_config s;
		unsigned char behind[CANARY_BYTES];
	} cfg;
	WITH_CANARY(struct first_report) report;

	(void)state;
	memset(&cfg, 0xff, sizeof(cfg)); /* what lies behind is no part of it */
	cfg.s = (struct first_config){ { 700, 11, 12 }, false, 0, 10000, 0, 500000, 0 };
	assert_int_equal(first_init(&cfg.s), 0);
	int threshold[3];
	ouro_gc_get_threshold(threshold);
	assert_int_equal(threshold[0], 700);
	assert_int_equal(threshold[2], 12);
	assert_false(ouro_gc_is_enabled());
	struct node *n = make(1);
	memset(&report, CANARY, sizeof(report));
	assert_int_equal(first_shutdown(&report.s), 0);
	assert_untouched(report.canary);
	assert_int_equal(report.s.objects, 1);
	(void)n;
}

static void sized_stats_of_any_size(void **state)
{
	WITH_CANARY(ouro_stats) s;

	(void)state;
	for (size_t size = 0; size <= sizeof(ouro_stats); size += 8) {
		memset(&s, CANARY, sizeof(s));
		ouro_stats_get_sized(&s.s, size);
		assert_untouched(s.canary);
		for (size_t i = size; i < sizeof(s.s); i++)
			assert_int_equal(((unsigned char *)&s.s)[i], CANARY);
	}
	/* A program that knows more than the library: 0. */
	memset(&s, CANARY, sizeof(s));
	ouro_stats_get_sized(&s.s, sizeof(s.s) + 64);
	for (size_t i = 0; i < CANARY_BYTES; i++)
		assert_int_equal(s.canary[i], i < 64 ? 0 : CANARY);
}

static void sized_config_of_any_size(void **state)
{
	struct {
		ouro_config s;
		unsigned char more[64];
	} cfg = { .s = test_config() };

	(void)state;
	cfg.more[63] = 1; /* asks for something that this library does not have */
	assert_int_equal(ouro_init_sized(&cfg.s, sizeof(cfg)), EINVAL);
	cfg.more[63] = 0;
	assert_int_equal(ouro_init_sized(&cfg.s, sizeof(cfg)), 0);
	heap_stop();
	cfg.s.pin_warn_ns = 1;
	cfg.s.threshold[1] = 33;
	assert_int_equal(ouro_init_sized(&cfg.s, offsetof(ouro_config, release_batch)), 0);
	int threshold[3];
	ouro_gc_get_threshold(threshold);
	assert_int_equal(threshold[1], 33);
	assert_false(ouro_gc_is_enabled());
}

/* The names are functions still. */
static void sized_names_are_functions(void **state)
{
	void (*get)(ouro_stats *) = ouro_stats_get;
	void (*generations)(ouro_gc_stats *) = ouro_gc_get_stats;
	int (*start)(const ouro_config *) = ouro_init;
	int (*end)(ouro_report *) = ouro_shutdown;
	ouro_stats s;
	ouro_gc_stats g[3];

	(void)state;
	assert_int_equal(start(NULL), 0);
	memset(&s, CANARY, sizeof(s));
	get(&s);
	for (size_t i = sizeof(struct first_stats); i < sizeof(s); i += 8)
		assert_true(*(uint64_t *)((char *)&s + i) < UINT64_C(1) << 60); /* filled */
	generations(g);
	assert_int_equal(g[0].collections, 0);
	get(NULL);
	assert_int_equal(end(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(sized_stats_of_the_first_layout),
		HEAP_CASE(sized_gc_stats_of_the_first_layout),
		BARE_CASE(sized_start_and_end_of_the_first_layout),
		HEAP_CASE(sized_stats_of_any_size),
		BARE_CASE(sized_config_of_any_size),
		BARE_CASE(sized_names_are_functions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
