/*
 * Goal: what is held follows what is in use. Bytes in use are counted whoever frees them; a few
 * blocks that wait for a grace period do not hold pages; what one thread has emptied another fills,
 * while a collection walks, too.
 * Method: pages in use are counted, after threads did things in a given order.
 * A failure would mean: a server whose memory is what its threads had at their worst, one after the
 * other, and whose collections are paced by that.
 */
#define TEST_COUNTS_COLLECTIONS
#include "fixture.h"

#include "heap/candidate.h"
#include "heap/empty.h"
#include "heap/heap.h"
#include "heap/region.h"
#include "heap/usage.h"
#include "world/thread.h"

struct block {
	struct block *slot;
	char bytes[1000];
};

static const ouro_type block_type = {
	.name = "block", .size = sizeof(struct block), .slots = OURO_SLOTS(struct block, slot),
};

static const ouro_type bytes_type = { .name = "bytes", .size = 8, .item_size = 1, .flags = OURO_ACYCLIC };

enum { IN_A_PAGE = 64, PAGES = 100, BLOCKS = PAGES * IN_A_PAGE };

static struct block *block[BLOCKS];

static void *fill(void *arg)
{
	for (size_t i = 0; i < BLOCKS; i++)
		if ((block[i] = ouro_new(&block_type)) == NULL)
			abort();
	return arg;
}

static void *release_all(void *arg)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		ouro_release(block[i]);
		block[i] = NULL;
	}
	return arg;
}

/* ---- bytes ---- */

static bool usage_is_exact(void)
{
	ouro_stats s;

	oi_usage_count();
	ouro_stats_get(&s);
	return oi_usage_pages() == s.bytes_live / OI_PAGE;
}

static void usage_is_what_there_is(void **state)
{
	(void)state;
	thread_run(fill, NULL);
	assert_true(usage_is_exact());
	assert_in_range(oi_usage_pages(), PAGES - 1, PAGES + 1);
	void *large = ouro_new_items(&bytes_type, 1 << 20);
	assert_true(usage_is_exact());
	thread_run(release_all, NULL); /* by another than made them, which makes nothing */
	ouro_release(large);
	assert_int_equal(ouro_flush(), 0);
	assert_true(usage_is_exact());
	assert_in_range(oi_usage_pages(), 0, 1);
}

/* Whoever makes objects tells, a page at a time. */
static void usage_is_noted_as_pages_are_begun(void **state)
{
	(void)state;
	fill(NULL);
	assert_in_range(oi_usage_pages(), PAGES - 2, PAGES + 1);
	release_all(NULL);
}

/* ---- blocks that wait ---- */

/* One block of each page has been in a slot, and waits for a grace period; as many as that do not fill a batch. */
static void usage_blocks_that_wait_hold_no_pages(void **state)
{
	enum { SMALL = 40000 };
	static struct node *small[SMALL];
	struct block *holder = ouro_new(&block_type);
	size_t before = oi_pages_used();

	(void)state;
	fill(NULL);
	assert_in_range(oi_pages_used(), before + PAGES - 2, before + PAGES + 2);
	for (size_t i = 0; i < BLOCKS; i++) {
		if (i % IN_A_PAGE == 0)
			ouro_store(&holder->slot, block[i]);
		ouro_release(block[i]);
		block[i] = NULL;
	}
	for (int i = 0; i < SMALL; i++)
		small[i] = make(i); /* forty pages of another size */
	assert_true(EVENTUALLY(oi_pages_used() < before + PAGES / 2));
	for (int i = 0; i < SMALL; i++)
		ouro_release(small[i]);
	ouro_release(holder);
}

/* ---- while a thread is pinned ---- */

static atomic_bool pinned, unpin;

static void *pin_and_stay(void *arg)
{
	ouro_pin();
	atomic_store(&pinned, true);
	while (!atomic_load(&unpin))
		sleep_ms(1);
	ouro_unpin();
	return arg;
}

/* What waits for it takes the room that it needs, however many pages others begin meanwhile. */
static void usage_what_waits_for_a_pin_is_not_spread(void **state)
{
	enum { ROUNDS = 2000, SOME = 5 * IN_A_PAGE };
	struct block *holder = ouro_new(&block_type);
	ouro_stats before, after;

	(void)state;
	pthread_t t = thread_start(pin_and_stay, NULL);
	assert_true(EVENTUALLY(atomic_load(&pinned)));
	ouro_stats_get(&before);
	for (int i = 0; i < ROUNDS; i++) {
		ouro_give(&holder->slot, ouro_new(&block_type));
		ouro_store(&holder->slot, NULL);
		for (int k = 0; k < SOME; k++)
			block[k] = ouro_new(&block_type);
		for (int k = 0; k < SOME; k++)
			ouro_release(block[k]);
	}
	memset(block, 0, sizeof(block));
	ouro_stats_get(&after);
	atomic_store(&unpin, true);
	pthread_join(t, NULL);
	ouro_release(holder);
	assert_in_range(after.bytes_reserved, 0, before.bytes_reserved + ROUNDS * sizeof(struct block) + (6 << 20));
}

/* ---- while a collection walks ---- */

static atomic_bool emptied, stay = true;

static void *empty_and_stay(void *arg)
{
	fill(NULL);
	release_all(NULL);
	atomic_store(&emptied, true);
	while (atomic_load(&stay))
		sleep_ms(1);
	return arg;
}

static void usage_what_a_walk_keeps_others_fill(void **state)
{
	size_t before = oi_pages_used(), kept, filled;

	(void)state;
	oi_store_relaxed(&oi_candidates.walking, 1u);
	pthread_t t = thread_start(empty_and_stay, NULL);
	assert_true(EVENTUALLY(atomic_load(&emptied)));
	kept = oi_pages_used() - before;
	fill(NULL);
	filled = oi_pages_used() - before;
	oi_heap_end_walk(oi_self);
	release_all(NULL);
	atomic_store(&stay, false);
	pthread_join(t, NULL);
	/* Some may be begun while the other's cannot be had yet: else there are twice as many. */
	assert_in_range(kept, PAGES - 1, PAGES + PAGES / 4);
	assert_in_range(filled, PAGES - 1, PAGES + PAGES / 4);
	assert_true(EVENTUALLY(oi_pages_used() < before + 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(usage_is_what_there_is),
		HEAP_CASE(usage_is_noted_as_pages_are_begun),
		HEAP_CASE(usage_blocks_that_wait_hold_no_pages),
		RECYCLE_CASE(usage_what_waits_for_a_pin_is_not_spread),
		HEAP_CASE(usage_what_a_walk_keeps_others_fill),
	};

	return cmocka_run_group_tests_name("usage", tests, NULL, NULL);
}
