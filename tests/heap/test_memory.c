/*
 * Goal: when any one of the library's own allocations fails, calls answer ENOMEM; nothing is lost.
 * Method: OURO_FAIL_ALLOC=n for n = 1, 2, ... in children, until a scenario ends before its n-th.
 * A failure would mean: a crash or a leak in a program that is short of memory. Needs a checked
 * build.
 */
#include "fixture.h"

#include "base/perturb.h"

enum { NO_FAILURE = 77, HARD_END = 5000, STRIDE = SANITIZED ? 11 : 1 };

struct vector {
	struct vector *next;
	void *items[];
};

static const ouro_type vector_type = {
	.name = "vector", .size = offsetof(struct vector, items), .slots = OURO_SLOTS(struct vector, next),
	.item_size = sizeof(void *), .item_slots = OURO_ITEM_REFS,
};

/* 0, or the one failure that was asked for. */
static bool worked(int error)
{
	REQUIRE(error == 0 || error == ENOMEM);
	return error == 0;
}

static void *made(void *obj)
{
	REQUIRE(obj != NULL || errno == ENOMEM);
	return obj;
}

/* ---- steps: each leaves nothing behind, whether or not something in it fails ---- */

static void step_objects(void)
{
	struct vector *head = NULL;

	for (size_t i = 0; i < 200; i++) {
		struct vector *v = made(ouro_new_items(&vector_type, i * 40));

		if (v == NULL)
			continue;
		ouro_give(&v->next, head);
		head = v;
	}
	ouro_release(head);
	ouro_release(made(ouro_new_items(&vector_type, 1 << 20)));
}

static void step_cycles(void)
{
	struct vector *hub = made(ouro_new_items(&vector_type, 300));

	for (int i = 0; hub != NULL && i < 300; i++) {
		struct node *n = made(ouro_new(&counted_type));

		if (n == NULL)
			continue;
		ouro_slot_store(&n->left, hub);
		ouro_store(&n->right, n);
		ouro_give(&hub->items[i], n);
	}
	ouro_release(hub);
	ssize_t n = ouro_gc_collect(2);
	REQUIRE(n >= 0 || errno == ENOMEM);
}

static void step_weak(void)
{
	enum { N = 600 };
	static struct node *n[N];
	static ouro_weak cell[N];

	for (int i = 0; i < N; i++) {
		n[i] = made(ouro_new(&node_type));
		if (n[i] == NULL)
			continue;
		bool stored = worked(ouro_weak_store(&cell[i], n[i]));
		REQUIRE(ouro_weak_expired(&cell[i]) == !stored);
	}
	for (int i = 0; i < N; i++) {
		struct node *got = ouro_weak_load(&cell[i]);

		REQUIRE(got == NULL || got == n[i]);
		ouro_release(got);
		ouro_release(n[i]);
		REQUIRE(ouro_weak_expired(&cell[i]));
		ouro_weak_clear(&cell[i]);
	}
}

/* ENOMEM leaves a cell as it was. */
static void step_weak_kept(void)
{
	struct node *a = made(ouro_new(&node_type)), *b = made(ouro_new(&node_type));
	ouro_weak cell = { 0 };

	if (a != NULL && b != NULL && worked(ouro_weak_store(&cell, a))) {
		struct node *expected = worked(ouro_weak_store(&cell, b)) ? b : a;
		struct node *got = ouro_weak_load(&cell);

		REQUIRE(got == expected);
		ouro_release(got);
	}
	ouro_weak_clear(&cell);
	ouro_release(a);
	ouro_release(b);
}

static atomic_int n_watched;

static void watched(void *arg)
{
	(void)arg;
	atomic_fetch_add(&n_watched, 1);
}

static void step_watches(void)
{
	int expected = 0;

	atomic_store(&n_watched, 0);
	for (int i = 0; i < 50; i++) {
		struct node *n = made(ouro_new(&node_type));
		ouro_watch_id id;

		for (int k = 0; n != NULL && k < 5; k++)
			if (worked(ouro_watch(n, watched, NULL, &id)))
				expected += k == 4 ? !ouro_unwatch(id) : 1;
		ouro_release(n);
	}
	REQUIRE(n_watched == expected);
}

static const ouro_type finalized_type = {
	.name = "finalized", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = counted_finalize, .destroy = counted_destroy,
};

static void step_finalizers(void)
{
	size_t made_here = 0;

	atomic_store(&n_finalized, 0);
	for (int i = 0; i < 500; i++) {
		struct node *n = made(ouro_new(&finalized_type));

		if (n == NULL)
			continue;
		made_here++;
		ouro_store(&n->left, n);
		ouro_release(n);
	}
	for (int again = 0; again < 2; again++) {
		ssize_t n = ouro_gc_collect(2);
		REQUIRE(n >= 0 || errno == ENOMEM);
	}
	REQUIRE(ouro_flush() == 0); /* some may be an automatic collection's */
	REQUIRE(n_finalized == made_here);
}

/* A thread whose first call, which cannot say ENOMEM, meets the failure. */
static void *release_first(void *obj)
{
	ouro_release(obj);
	return NULL;
}

static void *pin_first(void *obj)
{
	ouro_pin();
	ouro_safepoint();
	ouro_unpin();
	ouro_release(ouro_retain(obj));
	return NULL;
}

static void *attach_first(void *obj)
{
	worked(ouro_thread_attach("first"));
	ouro_release(made(ouro_new(&node_type)));
	return obj;
}

static void step_threads(void)
{
	for (int i = 0; i < 4; i++) {
		struct node *n = made(ouro_new(&counted_type));

		if (n == NULL)
			continue;
		ouro_retain(n);
		thread_run(pin_first, n);
		thread_run(attach_first, n);
		thread_run(release_first, n);
		ouro_release(n);
	}
	REQUIRE(ouro_flush() == 0);
}

static void step_deep_release(void)
{
	struct node *head = NULL;

	for (int i = 0; i < 5000; i++) {
		struct node *n = made(ouro_new(&counted_type));

		if (n == NULL)
			continue;
		ouro_give(&n->right, head);
		head = n;
	}
	ouro_release(head);
	REQUIRE(ouro_flush() == 0);
}

static void hear(const ouro_gc_event *event, void *arg)
{
	(void)event;
	(void)arg;
}

static bool look(void *obj, void *arg)
{
	(void)arg;
	return obj != NULL;
}

static void step_inspection(void)
{
	struct node *n = made(ouro_new(&node_type));
	FILE *f = fopen("/dev/null", "w");

	if (worked(ouro_gc_on_event(hear, NULL)))
		REQUIRE(ouro_gc_off_event(hear, NULL) == 0);
	REQUIRE(ouro_gc_objects(-1, look, NULL) >= 0 || errno == ENOMEM);
	if (n != NULL) {
		ouro_give(&n->left, made(ouro_new(&node_type)));
		worked(ouro_dump_dot(f, n, 100));
		REQUIRE(ouro_gc_referents(n, look, NULL) >= 0 || errno == ENOMEM);
		REQUIRE(ouro_gc_referrers(n, look, NULL) >= 0 || errno == ENOMEM);
	}
	worked(ouro_stats_write(f, OURO_STATS_JSON));
	fclose(f);
	ouro_release(n);
}

/* More than the list of what is kept has room for at first: a part of it is given back. */
static void step_garbage(void)
{
	for (int i = 0; i < 1500; i++) {
		struct node *n = made(ouro_new(&node_type));

		if (n != NULL)
			ouro_store(&n->left, n);
		ouro_release(n);
	}
	ouro_gc_set_debug(OURO_DEBUG_SAVEALL);
	REQUIRE(ouro_gc_collect(2) >= 0 || errno == ENOMEM);
	REQUIRE(ouro_gc_garbage(look, NULL) >= 0 || errno == ENOMEM);
	ouro_gc_garbage_clear();
	ouro_gc_set_debug(0);
	REQUIRE(ouro_gc_collect(2) >= 0 || errno == ENOMEM);
}

static void step_frozen(void)
{
	struct node *n = made(ouro_new(&node_type));

	ouro_gc_freeze();
	ouro_gc_unfreeze();
	ouro_release(n);
}

/* ---- the scenario ---- */

static void start(void)
{
	int error = ouro_init(NULL);

	REQUIRE(error == 0 || error == ENOMEM || error == EAGAIN);
	if (error != 0)
		REQUIRE(ouro_init(NULL) == 0);
}

static void finish(void)
{
	ouro_report r = { 9, 9 };

	REQUIRE(ouro_gc_collect(2) >= 0 || errno == ENOMEM);
	REQUIRE(ouro_gc_collect(2) == 0);
	REQUIRE(ouro_flush() == 0);
	REQUIRE(objects_live() == 0);
	REQUIRE(ouro_shutdown(&r) == 0);
	REQUIRE(r.objects == 0);
}

/* Was the n-th allocation never reached? Then it is among the next ones. */
static bool failure_is_still_to_come(void)
{
	for (int i = 0; i < 2 * HARD_END; i++)
		if (oi_fail(OI_FAIL_ALLOC))
			return true;
	return false;
}

static int scenario(void *arg)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", *(int *)arg);
	REQUIRE(setenv("OURO_FAIL_ALLOC", number, 1) == 0);
	REQUIRE(setenv("OURO_RELEASE_BATCH", "50", 1) == 0);
	start();
	step_objects();
	step_cycles();
	step_weak();
	step_weak_kept();
	step_watches();
	step_finalizers();
	step_threads();
	step_deep_release();
	step_inspection();
	step_garbage();
	step_frozen();
	finish();
	return failure_is_still_to_come() ? NO_FAILURE : 0;
}

static void memory_each_failed_allocation_is_answered(void **state)
{
	char text[8192];
	int n, status = 0;

	(void)state;
	if (!CHECKED_BUILD)
		skip();
	/* The first ones all, then ever fewer: there are many, and each costs a child. */
	for (n = 1; n < HARD_END; n += STRIDE + n / 20) {
		status = child_status(scenario, &n, text, sizeof(text));
		if (WIFEXITED(status) && WEXITSTATUS(status) == NO_FAILURE)
			break;
		if (status != 0)
			fail_msg("allocation %d: status 0x%x: %s", n, (unsigned)status, text);
	}
	assert_true(n > 10);
	assert_true(n < HARD_END);
}

/* The heap's own start, by the first call of a program: an answer, and the next call works. */
static int lazy_scenario(void *arg)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", *(int *)arg);
	REQUIRE(setenv("OURO_FAIL_ALLOC", number, 1) == 0);
	ouro_release(made(ouro_new(&node_type)));
	struct node *n = made(ouro_new(&node_type));
	if (n != NULL)
		REQUIRE(ouro_refcount(n) == 1);
	ouro_release(n);
	finish();
	return failure_is_still_to_come() ? NO_FAILURE : 0;
}

static void memory_failed_lazy_start_is_answered(void **state)
{
	char text[8192];
	int status = 0;

	(void)state;
	if (!CHECKED_BUILD)
		skip();
	for (int n = 1; n < HARD_END; n++) {
		status = child_status(lazy_scenario, &n, text, sizeof(text));
		if (WIFEXITED(status) && WEXITSTATUS(status) == NO_FAILURE)
			return;
		if (status != 0)
			fail_msg("allocation %d: status 0x%x: %s", n, (unsigned)status, text);
	}
	fail();
}

/* ---- a young collection that has no memory to remember what it has marked ---- */

enum { WIDE = 3000, REFUSALS = 24 };

/* A wide young object that is held, whose items each hold a pair. */
static struct vector *wide_new(void)
{
	struct vector *v = ouro_new_items(&vector_type, WIDE);

	for (int i = 0; i < WIDE; i++)
		ouro_slot_give(&v->items[i], make_pair(&counted_type, i));
	return v;
}

static void memory_of_marking_is_refused(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	if (!CHECKED_BUILD)
		skip();
	cfg.pause_budget_ns = 1000000000;
	heap_start(&cfg);
	for (unsigned long n = 1; n <= REFUSALS; n++) {
		struct vector *v = wide_new();
		counters_clear();
		oi_fail_arm(OI_FAIL_ALLOC, n, n % 2 == 0);
		ouro_gc_collect(0);
		oi_fail_arm(OI_FAIL_ALLOC, 0, false);
		assert_int_equal(n_destroyed, 0);
		ouro_release(v);
		ouro_gc_collect(2);
		assert_int_equal(n_destroyed, 2 * WIDE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(memory_each_failed_allocation_is_answered),
		BARE_CASE(memory_of_marking_is_refused),
		BARE_CASE(memory_failed_lazy_start_is_answered),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
