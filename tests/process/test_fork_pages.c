/*
 * Goal: a child that collects a large live heap goes on sharing its pages with the parent.
 * Method: fork with 1 GiB of live, randomly linked objects; the child collects, and reads its own
 * smaps.
 * A failure would mean: a server whose forked snapshot or worker doubles its memory at its first
 * full collection.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

#include "heap/region.h"

enum { HEAP_KB = CHECKED_BUILD && !SANITIZED ? 256 << 10 : LOAD(1 << 20), ITEM = 1024, PER_CENT = 5 };

struct item {
	struct item *before, *elsewhere[2];
	char payload[ITEM - 16 - 3 * sizeof(void *)]; /* 16: the library's header */
};

static const ouro_type item_type = {
	.name = "item", .size = sizeof(struct item), .slots = OURO_SLOTS(struct item, before, elsewhere),
};

/* All hang off the last one, each refers to two at random, and the first to the last: one large live structure. */
static struct item *fill_heap(size_t n)
{
	struct item **all = calloc(n, sizeof(*all));
	uint64_t seed = 1;

	for (size_t i = 0; i < n; i++) {
		all[i] = ouro_new(&item_type);
		memset(all[i]->payload, (int)i, sizeof(all[i]->payload));
		if (i > 0)
			ouro_give(&all[i]->before, all[i - 1]);
	}
	for (size_t i = 0; i < 2 * n; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		ouro_store(&all[i / 2]->elsewhere[i % 2], all[(seed >> 33) % n]);
	}
	struct item *last = all[n - 1];
	ouro_store(&all[0]->before, last);
	free(all);
	return last;
}

/* ---- what the child has to itself ---- */

struct usage {
	size_t rss_kb, private_dirty_kb;
};

/* Does the mapping hold a part of the heap? */
static bool holds_heap(uintptr_t from, uintptr_t to)
{
	for (uintptr_t p = from; p < to && p >> 47 == 0; p = (p | (OI_REGION - 1)) + 1)
		if (oi_region_contains((void *)p))
			return true;
	return false;
}

static struct usage heap_usage(void)
{
	struct usage u = { 0, 0 };
	FILE *f = fopen("/proc/self/smaps", "r");
	bool counts = false;
	char line[512];

	REQUIRE(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL) {
		uintptr_t from, to;
		size_t kb;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			counts = holds_heap(from, to);
		else if (counts && sscanf(line, "Rss: %zu kB", &kb) == 1)
			u.rss_kb += kb;
		else if (counts && sscanf(line, "Private_Dirty: %zu kB", &kb) == 1)
			u.private_dirty_kb += kb;
	}
	fclose(f);
	return u;
}

static int collect_twice(void *arg)
{
	struct usage before = heap_usage();

	(void)arg;
	REQUIRE(before.rss_kb >= HEAP_KB);
	for (int i = 0; i < 2; i++)
		REQUIRE(ouro_gc_collect(2) == 0);
	struct usage after = heap_usage();
	size_t dirtied_kb = after.private_dirty_kb - before.private_dirty_kb;
	if (dirtied_kb * 100 >= after.rss_kb * PER_CENT)
		dprintf(2, "%zu of %zu KiB\n", dirtied_kb, after.rss_kb);
	return dirtied_kb * 100 >= after.rss_kb * PER_CENT;
}

/* First the child's collection makes all that is young old; later the parent has done so. */
static void fork_pages_stay_shared_in_a_child_that_collects(void **state)
{
	size_t n = (size_t)HEAP_KB * 1024 / ITEM;
	struct item *last;

	(void)state;
	if (EMULATED)
		skip(); /* needs_fork, which comes too late here */
	if (TSAN_BUILD)
		skip(); /* test_fork.c */
	last = fill_heap(n);
	child_run(collect_twice, NULL);
	assert_int_equal(ouro_gc_collect(2), 0);
	child_run(collect_twice, NULL);
	ouro_release(last);
	assert_int_equal(ouro_gc_collect(2), n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(fork_pages_stay_shared_in_a_child_that_collects),
	};

	return cmocka_run_group_tests_name("fork_pages", tests, NULL, NULL);
}
