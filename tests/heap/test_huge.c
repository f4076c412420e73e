/*
 * Goal: parts of the heap that are in use as a whole become huge pages, lose nothing by it, and
 * hold no more memory than without; what the system refuses is tried again, and costs an idle
 * program nothing.
 * Method: heaps of some 2 MiB; what the system says of the process's mappings; refusals in the
 * checked build. Where the system cannot do it at all, most cases are skipped.
 * A failure would mean: a server whose memory grows as the system fills in what was given back, or
 * whose objects change.
 */
#include "fixture.h"

#include <sys/mman.h>

#include "base/lock.h"
#include "base/perturb.h"
#include "base/wake.h"
#include "heap/empty.h"
#include "heap/heap.h"
#include "heap/region.h"
#include "heap/unit.h"

enum { BYTES = 1000, IN_A_PAGE = 64, BLOCKS = 6 * (int)OI_UNIT_PAGES * IN_A_PAGE };

struct block {
	struct block *slot;
	uint64_t number;
	char bytes[BYTES - 16];
};

static const ouro_type block_type = {
	.name = "block", .size = sizeof(struct block), .slots = OURO_SLOTS(struct block, slot),
};

static struct block *block[BLOCKS];

static void fill(void)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		if ((block[i] = ouro_new(&block_type)) == NULL)
			abort();
		block[i]->number = i;
	}
}

static void release_all(void)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		ouro_release(block[i]);
		block[i] = NULL;
	}
}

static bool are_as_they_were(void)
{
	for (size_t i = 0; i < BLOCKS; i++)
		if (block[i]->number != i)
			return false;
	return true;
}

/* Asks the system for one huge page. */
static void needs_huge_pages(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	char *p = mmap(NULL, 2 * OI_UNIT, PROT_READ | PROT_WRITE, flags, -1, 0);
	assert_true(p != MAP_FAILED);
	char *unit = (char *)(((uintptr_t)p + OI_UNIT - 1) & ~(OI_UNIT - 1));
	memset(unit, 1, OI_UNIT);
	bool can = madvise(unit, OI_UNIT, 25 /* MADV_COLLAPSE */) == 0;
	munmap(p, 2 * OI_UNIT);
	if (!can)
		skip();
}

/* Returns bytes of this process, by the name of a line in smaps_rollup. */
static size_t mapped(const char *name)
{
	char line[256];
	size_t kb = 0, length = strlen(name);
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, name, length) == 0 && line[length] == ':')
			kb = strtoul(line + length + 1, NULL, 10);
	if (f)
		fclose(f);
	return kb << 10;
}

static void huge_pages_come_where_all_is_in_use(void **state)
{
	(void)state;
	needs_huge_pages();
	fill();
	assert_true(EVENTUALLY(stats().bytes_huge >= 4 * OI_UNIT));
	assert_true(EVENTUALLY(mapped("AnonHugePages") >= 4 * OI_UNIT));
	assert_true(are_as_they_were());
	release_all();
}

/* What is not in use as a whole is left alone: a heap of few objects keeps its few pages. */
static void huge_pages_need_all_of_it(void **state)
{
	struct block *few[IN_A_PAGE];

	(void)state;
	for (size_t i = 0; i < IN_A_PAGE; i++)
		few[i] = ouro_new(&block_type);
	for (int i = 0; i < 3; i++)
		ouro_gc_collect(2);
	assert_int_equal(stats().bytes_huge, 0);
	for (size_t i = 0; i < IN_A_PAGE; i++)
		ouro_release(few[i]);
}

static void huge_pages_are_given_back(void **state)
{
	(void)state;
	needs_huge_pages();
	fill();
	assert_true(EVENTUALLY(stats().bytes_huge >= 4 * OI_UNIT));
	release_all();
	ouro_gc_collect(2);
	assert_true(EVENTUALLY((oi_heap_purge(), stats().bytes_huge <= OI_UNIT)));
	fill(); /* they become huge again */
	assert_true(EVENTUALLY(stats().bytes_huge >= 4 * OI_UNIT));
	assert_true(are_as_they_were());
	release_all();
}

static void huge_pages_can_be_turned_off(void **state)
{
	ouro_config config = OURO_CONFIG_DEFAULT;

	(void)state;
	assert_true(config.huge_pages);
	config.huge_pages = false;
	assert_int_equal(ouro_init(&config), 0);
	fill();
	for (int i = 0; i < 3; i++)
		ouro_gc_collect(2);
	assert_int_equal(stats().bytes_huge, 0);
	oi_heap_lock();
	bool wait = oi_unit_any(); /* so there was something to do */
	oi_heap_unlock();
	assert_true(wait);
	release_all();
}

#if OURO_CHECKED

static void huge_pages_may_be_refused(void **state)
{
	(void)state;
	needs_huge_pages();
	oi_fail_arm(OI_FAIL_MADVISE, 1, true);
	unsigned long failed = oi_fail_failed(OI_FAIL_MADVISE);
	fill();
	assert_true(EVENTUALLY(oi_fail_failed(OI_FAIL_MADVISE) > failed + 4));
	assert_int_equal(stats().bytes_huge, 0);
	oi_fail_arm(OI_FAIL_MADVISE, 0, false);
	/* It does not ask for ticks, but with the next one that comes a second later it is tried again. */
	assert_true(EVENTUALLY((oi_wake_trim(), stats().bytes_huge >= 4 * OI_UNIT)));
	assert_true(are_as_they_were());
	release_all();
}

static atomic_int asked; /* 1: the system made a huge page; 2: and may go on */

static void stand_after_asking(const char *point)
{
	if (strcmp(point, "huge: asked") != 0 || atomic_load(&asked))
		return;
	atomic_store(&asked, 1);
	while (atomic_load(&asked) == 1)
		sleep_ms(1);
}

/* Returns how many bytes of the unit at @p are in memory. */
static size_t resident(char *p)
{
	unsigned char in[OI_UNIT / 4096];
	size_t n = 0;
	assert_int_equal(mincore(p, OI_UNIT, in), 0);
	for (size_t i = 0; i < sizeof in; i++)
		n += in[i] & 1;
	return n * 4096;
}

/* As the system does: AddressSanitizer takes it for nobody's memory. */
__attribute__((no_sanitize("address"))) static void touch_page(volatile char *p)
{
	for (size_t i = 0; i < OI_PAGE; i += 4096)
		p[i] = 0;
}

/* Touches, or only counts, the pages of the unit that were given back. */
static size_t given_back(const struct oi_region *r, size_t u, bool touch)
{
	size_t first = u * OI_UNIT_PAGES, n = 0;
	oi_heap_lock();
	for (size_t i = first; i < first + OI_UNIT_PAGES; i++) {
		if (r->page[i].committed)
			continue;
		n++;
		if (touch)
			touch_page((char *)r + i * OI_PAGE);
	}
	oi_heap_unlock();
	return n;
}

/*
 * Pages are given back while the system makes a huge page of them: here it is done, they are filled
 * again as they would have been, and then the collector's thread looks.
 */
static void huge_pages_forget_what_was_given_back_meanwhile(void **state)
{
	(void)state;
	needs_huge_pages();
	atomic_store(&asked, 0);
	oi_point_hook = stand_after_asking;
	fill();
	assert_true(EVENTUALLY(atomic_load(&asked) == 1));
	struct oi_region *r = oi_region_of(block[0]);
	size_t u = 0;
	oi_heap_lock();
	while (u + 1 < OI_REGION / OI_UNIT && !(r->huge >> u & 1))
		u++;
	bool one = r->huge >> u & 1;
	oi_heap_unlock();
	char *unit = (char *)r + u * OI_UNIT;
	release_all();
	ouro_flush();
	assert_true(EVENTUALLY((oi_heap_purge(), given_back(r, u, false) >= 8)));
	size_t given = given_back(r, u, true);
	size_t before = resident(unit);
	atomic_store(&asked, 2);
	oi_point_hook = NULL;
	assert_true(one);
	assert_true(EVENTUALLY(resident(unit) + given * OI_PAGE <= before));
}

#else

static void huge_pages_may_be_refused(void **state)
{
	(void)state;
	skip();
}

static void huge_pages_forget_what_was_given_back_meanwhile(void **state)
{
	(void)state;
	skip();
}

#endif

static bool any_waits(void)
{
	oi_heap_lock();
	bool wait = oi_unit_any();
	oi_heap_unlock();
	return wait;
}

static int child_forgets(void *arg)
{
	REQUIRE(arg == NULL);
	REQUIRE(!any_waits());
	REQUIRE(are_as_they_were());
	return 0;
}

/* What waits when a process forks is left as it is by both: it would copy what they share. */
static void huge_pages_are_not_made_of_what_a_fork_shares(void **state)
{
	ouro_config config = OURO_CONFIG_DEFAULT;

	(void)state;
	config.huge_pages = false;
	assert_int_equal(ouro_init(&config), 0);
	fill();
	assert_true(any_waits());
	child_run(child_forgets, NULL);
	assert_false(any_waits());
	release_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(huge_pages_come_where_all_is_in_use),
		HEAP_CASE(huge_pages_need_all_of_it),
		HEAP_CASE(huge_pages_are_given_back),
		BARE_CASE(huge_pages_can_be_turned_off),
		HEAP_CASE(huge_pages_may_be_refused),
		HEAP_CASE(huge_pages_forget_what_was_given_back_meanwhile),
		BARE_CASE(huge_pages_are_not_made_of_what_a_fork_shares),
	};

	return cmocka_run_group_tests_name("huge", tests, NULL, NULL);
}
