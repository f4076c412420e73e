/*
 * Goal: the heap verifier sees each invariant of lib/README.md broken, and says which and where.
 * Method: break one on purpose in a heap of three objects, ask, mend it, ask again.
 * A failure would mean: suites that verify the heap prove nothing.
 */
#include "fixture.h"

#include "collect/verify.h"
#include "heap/heap.h"
#include "heap/orphan.h"
#include "heap/pace.h"
#include "heap/region.h"
#include "world/object.h"
#include "world/thread.h"

struct heap {
	struct node *a, *b, *weak; /* a refers to b; the last has a weak reference, as has its cell */
	struct oi_header *h;       /* of a */
	struct oi_page *page;
};

static void with_heap(struct heap *x)
{
	x->a = make(1);
	x->b = make(2);
	x->weak = make(3);
	ouro_store(&x->a->left, x->b);
	assert_int_equal(ouro_weak_store(&x->a->weak, x->weak), 0);
	x->h = oi_header_of(x->a);
	x->page = oi_page_of(x->h);
	assert_null(oi_verify_heap());
}

static void without_heap(struct heap *x)
{
	assert_null(oi_verify_heap());
	ouro_release(x->a);
	ouro_release(x->b);
	ouro_release(x->weak);
}

/* The message names the invariant, and if there is one the object and its type. */
static void assert_violated(const char *invariant, const void *obj)
{
	const char *said = oi_verify_heap();
	char address[40];

	assert_non_null(said);
	if (strstr(said, invariant) == NULL)
		fail_msg("%s expected, not: %s", invariant, said);
	snprintf(address, sizeof(address), "%p", obj);
	if (obj != NULL && (strstr(said, "\"node\"") == NULL || strstr(said, address) == NULL))
		fail_msg("the node at %s expected in: %s", address, said);
}

/* Each breaks one thing about the object, and the verifier is asked in between. */
#define BREAK(field, value, invariant, obj) \
	do { \
		__typeof__(field) kept_ = (field); \
		(field) = (value); \
		assert_violated(invariant, obj); \
		(field) = kept_; \
	} while (0)

static void verify_sees_counts(void **state)
{
	struct heap x;

	(void)state;
	with_heap(&x);
	BREAK(x.h->shared, OI_DEAD, "INV-C2", x.a);
	BREAK(x.h->local, 0, "INV-C3", x.a);
	BREAK(x.h->own, OI_OWN_MERGED, "INV-C4", x.a);
	BREAK(x.h->own, OI_OWN_KEY_MAX + 1, "INV-C4", x.a);
	x.h->own = OI_OWN_MERGED;
	BREAK(x.h->shared, OI_MERGED, "INV-C1", x.a);
	x.h->own = oi_self->key;
	without_heap(&x);
}

/* One reference fewer than live objects hold. */
static void verify_sees_too_few_references(void **state)
{
	struct heap x;

	(void)state;
	with_heap(&x);
	ouro_store(&x.b->left, x.b);
	BREAK(oi_header_of(x.b)->local, 1, "INV-C5", x.b);
	ouro_store(&x.b->left, (struct node *)NULL);
	without_heap(&x);
}

static void verify_sees_pages(void **state)
{
	struct heap x;

	(void)state;
	with_heap(&x);
	BREAK(x.page->used, x.page->used + 1, "INV-H1", NULL);
	BREAK(x.page->free, NULL, "INV-H1", NULL);
	BREAK(x.page->heap, &oi_orphans, "INV-H2", x.a);
	without_heap(&x);
}

static void verify_sees_slots(void **state)
{
	struct heap x;
	struct node *gone = make(4);

	(void)state;
	with_heap(&x);
	ouro_release(gone);
	ouro_flush();
	BREAK(x.a->right, (struct node *)((char *)x.a + 8), "INV-S1", x.a);
	BREAK(oi_header_of(x.b)->own, OI_OWN_FREE, "INV-S1", x.a);
	without_heap(&x);
}

static void verify_sees_side_bytes(void **state)
{
	struct heap x;

	(void)state;
	with_heap(&x);
	BREAK(*oi_side_of(x.h), 1, "INV-T1", NULL);
	without_heap(&x);
}

static void verify_sees_weak_entries(void **state)
{
	struct heap x;

	(void)state;
	with_heap(&x);
	struct oi_header *h = oi_header_of(x.weak);
	BREAK(h->flags, 0, "INV-W1", x.weak);
	BREAK(x.h->flags, OI_FLAG_WEAK, "INV-W1", x.a);
	BREAK(x.page->weak_index[oi_block_index(x.page, h)], 0, "INV-W1", x.weak);
	without_heap(&x);
}

static void verify_sees_young_counts(void **state)
{
	struct heap x;

	(void)state;
	with_heap(&x);
	BREAK(oi_pace.aged[0], oi_pace.aged[0] + 1, "INV-P1", NULL);
	BREAK(oi_pace.aged[1], oi_pace.aged[1] - 1, "INV-P1", NULL);
	BREAK(oi_self->tracked_delta, oi_self->tracked_delta - 1, "INV-P1", NULL);
	without_heap(&x);
}

/* With OURO_VERIFY=1 a checked build asks before each collection, and stops. */
static int collect_broken(void *arg)
{
	ouro_config cfg = test_config();

	(void)arg;
	setenv("OURO_VERIFY", "1", 1);
	REQUIRE(ouro_init(&cfg) == 0);
	struct node *n = make(1);
	oi_page_of(oi_header_of(n))->used++;
	ouro_gc_collect(0);
	return 1;
}

static void verify_stops_a_checked_build(void **state)
{
	(void)state;
	if (!CHECKED_BUILD)
		skip();
	child_aborts(collect_broken, NULL, "INV-H1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(verify_sees_counts),
		HEAP_CASE(verify_sees_too_few_references),
		HEAP_CASE(verify_sees_pages),
		HEAP_CASE(verify_sees_slots),
		HEAP_CASE(verify_sees_side_bytes),
		HEAP_CASE(verify_sees_weak_entries),
		HEAP_CASE(verify_sees_young_counts),
		BARE_CASE(verify_stops_a_checked_build),
	};

	return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
