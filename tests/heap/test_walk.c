/*
 * Goal: a walk over the heap in short stops meets each page that stays just once, whatever comes
 * and goes beside it.
 * Method: objects with a region each, walked page by page, some of them freed and made between.
 * A failure would mean: objects counted twice, or a walk that begins anew for ever.
 */
#include "fixture.h"

#include "heap/walk.h"

#define HUGE_BYTES ((size_t)33 << 20)
enum { N = 6 };

static const ouro_type huge_type = {
	.name = "huge", .size = sizeof(uint64_t), .item_size = 1,
};

struct met {
	struct oi_page *page[4096];
	size_t n;
	bool again; /* the page was met before */
};

/* One page in each stop: the second is refused, and comes next. */
static bool meet(void *arg, struct oi_page *p)
{
	struct met *m = arg;

	for (size_t i = 0; i < m->n; i++)
		m->again |= m->page[i] == p;
	if (m->n < 4096)
		m->page[m->n++] = p;
	return true;
}

static bool has_met(const struct met *m, const struct oi_page *p)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->page[i] == p)
			return true;
	return false;
}

static struct oi_page *page_of(void *obj)
{
	return &oi_region_of((char *)obj - 16)->page[OI_FIRST_PAGE];
}

static bool region_is_there(const void *region)
{
	bool there = false;
	struct oi_walk w = { .region = NULL };
	struct met *all = calloc(1, sizeof(*all));

	while (!oi_walk_in_stop(&w, UINT64_MAX, meet, all))
		;
	for (size_t i = 0; i < all->n; i++)
		there |= oi_region_of(all->page[i]) == region;
	free(all);
	return there;
}

static void release_and_wait(void *obj)
{
	const void *region = oi_region_of(obj);

	ouro_release(obj);
	assert_int_equal(ouro_flush(), 0);
	assert_true(EVENTUALLY(!region_is_there(region)));
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)*(void *const *)a, y = (uintptr_t)*(void *const *)b;

	return (x > y) - (x < y);
}

static void walk_meets_no_page_twice_when_its_region_goes(void **state)
{
	struct met *m = calloc(1, sizeof(*m));
	struct oi_walk w = { .region = NULL };
	void *obj[N];

	(void)state;
	for (int i = 0; i < N; i++)
		assert_non_null(obj[i] = ouro_new_items(&huge_type, HUGE_BYTES));
	qsort(obj, N, sizeof(*obj), by_address);
	while (!has_met(m, page_of(obj[2])))
		assert_false(oi_walk_in_stop(&w, 0, meet, m));
	release_and_wait(obj[3]); /* it is the next one */
	release_and_wait(obj[0]); /* it is behind us */
	for (size_t i = 0; i < 4096 && !oi_walk_in_stop(&w, 0, meet, m); i++)
		;
	assert_false(m->again);
	assert_true(has_met(m, page_of(obj[4])));
	assert_true(has_met(m, page_of(obj[5])));
	ouro_release(obj[1]);
	ouro_release(obj[2]);
	ouro_release(obj[4]);
	ouro_release(obj[5]);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(walk_meets_no_page_twice_when_its_region_goes),
	};

	return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}
