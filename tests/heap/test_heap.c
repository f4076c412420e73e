/*
 * Goal: the heap keeps to its limit, gives memory back, and uses what exited threads left behind.
 * Method: fill up to heap_limit with live and dead objects; drop much, look at bytes_reserved; many
 * threads.
 * A failure would mean: a server that grows for ever, or dies of garbage it could have collected.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

#include "collect/verify.h"
#include "heap/empty.h"
#include "heap/foreign.h"
#include "heap/region.h"
#include "world/gate.h"
#include "world/object.h"
#include "world/thread.h"

enum { MB = 1 << 20 };

static int limited_setup(void **state)
{
	ouro_config cfg = test_config();

	bare_setup(state);
	cfg.heap_limit = 64 * MB;
	heap_start(&cfg);
	return 0;
}

#define LIMITED_CASE(f) cmocka_unit_test_setup_teardown(f, limited_setup, heap_teardown)

struct kilo {
	struct kilo *next, *other;
	char bytes[1000];
};

static const ouro_type kilo_type = {
	.name = "kilo", .size = sizeof(struct kilo), .slots = OURO_SLOTS(struct kilo, next, other),
};

struct blob {
	struct blob *next;
	char bytes[];
};

static const ouro_type blob_type = {
	.name = "blob", .size = offsetof(struct blob, bytes), .slots = OURO_SLOTS(struct blob, next),
	.item_size = 1,
};

/* Makes a list of live objects until there is no more memory, or enough; the caller gets its head. */
static struct kilo *fill(size_t enough, size_t *made)
{
	struct kilo *head = NULL;

	for (*made = 0; *made < enough; ++*made) {
		errno = 0;
		struct kilo *k = ouro_new(&kilo_type);

		if (k == NULL) {
			if (errno != ENOMEM)
				abort();
			break;
		}
		ouro_give(&k->next, head);
		head = k;
	}
	return head;
}

static void heap_limit_is_answered_with_enomem(void **state)
{
	size_t made, again;
	struct kilo *head = fill(SIZE_MAX, &made);

	(void)state;
	assert_true(made > 32 * 1024);
	assert_true(made < 64 * 1024);
	assert_true(bytes_reserved() <= 64 * MB);
	errno = 0;
	assert_null(ouro_new_items(&blob_type, 10 * MB));
	assert_int_equal(errno, ENOMEM);
	assert_int_equal(objects_live(), made);
	ouro_release(head);
	assert_int_equal(ouro_flush(), 0);
	head = fill(SIZE_MAX, &again);
	assert_true(again > made / 2);
	assert_true(bytes_reserved() <= 64 * MB);
	ouro_release(head);
	ouro_flush();
}

static void heap_limit_holds_for_large_objects(void **state)
{
	struct blob *head = NULL, *b;
	size_t n = 0;

	(void)state;
	while ((b = ouro_new_items(&blob_type, 3 * MB)) != NULL) {
		ouro_give(&b->next, head);
		head = b;
		n++;
		assert_true(n < 30);
	}
	assert_int_equal(errno, ENOMEM);
	assert_true(n >= 10);
	assert_true(bytes_reserved() <= 64 * MB);
	ouro_release(head);
	ouro_flush();
	b = ouro_new_items(&blob_type, 30 * MB);
	assert_non_null(b);
	ouro_release(b);
	errno = 0;
	assert_null(ouro_new_items(&blob_type, 65 * MB));
	assert_int_equal(errno, ENOMEM);
}

/* Cyclic garbage, with automatic collection off: the allocation that meets the limit collects it. */
static void heap_limit_collects_garbage_first(void **state)
{
	(void)state;
	for (int i = 0; i < 400 * 1024; i++) {
		struct kilo *k = ouro_new(&kilo_type);

		assert_non_null(k);
		ouro_store(&k->next, k);
		ouro_release(k);
	}
	assert_true(bytes_reserved() <= 64 * MB);
	ouro_gc_stats s[3];
	ouro_gc_get_stats(s);
	assert_true(s[2].collections >= 5);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

/* Large garbage too. */
static void heap_limit_collects_large_garbage_first(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		struct blob *b = ouro_new_items(&blob_type, 5 * MB);

		assert_non_null(b);
		ouro_store(&b->next, b);
		ouro_release(b);
	}
	assert_true(bytes_reserved() <= 64 * MB);
	ouro_gc_collect(2);
}

/* ---- no callback inside an allocation: it may be made with any lock held ---- */

static _Thread_local bool allocating;
static atomic_size_t n_inside, n_elsewhere;

static void note_where(void *arg)
{
	(void)arg;
	atomic_fetch_add(allocating ? &n_inside : &n_elsewhere, 1);
}

static const ouro_type called_type = {
	.name = "called", .size = sizeof(struct kilo), .slots = OURO_SLOTS(struct kilo, next, other),
	.finalize = note_where, .destroy = note_where,
};

/* Garbage of every kind with callbacks: cycles, what they alone refer to, a watched one. */
static void make_called_garbage(void)
{
	struct kilo *k = ouro_new(&called_type), *leaf = ouro_new(&called_type), *plain = ouro_new(&kilo_type);

	if (k == NULL || leaf == NULL || plain == NULL)
		abort();
	ouro_store(&k->next, k);
	ouro_give(&k->other, leaf);
	if (ouro_watch(k, note_where, NULL, NULL) != 0)
		abort();
	ouro_store(&plain->next, plain);
	ouro_give(&plain->other, ouro_new(&called_type));
	ouro_release(plain);
	ouro_release(k);
}

static struct kilo *fill_allocating(size_t *made)
{
	allocating = true;
	struct kilo *head = fill(SIZE_MAX, made);
	allocating = false;
	return head;
}

static void heap_limit_runs_no_callback_in_the_allocation(void **state)
{
	size_t made;

	(void)state;
	atomic_store(&n_inside, 0);
	atomic_store(&n_elsewhere, 0);
	for (int i = 0; i < 100; i++)
		make_called_garbage();
	ouro_release(fill_allocating(&made));
	assert_true(EVENTUALLY(atomic_load(&n_elsewhere) == 700));
	assert_int_equal(n_inside, 0);
}

/* Did each find memory at once? The wait has a bound, and the reaper may be slower. */
static bool each_finds_memory(void)
{
	bool at_once = true;

	for (int i = 0; i < 3 * 64 * 1024; i++) {
		struct kilo *k = ouro_new(&called_type);

		if (k == NULL) {
			at_once = false;
			assert_true(EVENTUALLY((k = ouro_new(&called_type)) != NULL));
		}
		ouro_store(&k->next, k);
		ouro_release(k);
	}
	return at_once;
}

/* What the reaper frees meanwhile is waited for. */
static void heap_limit_waits_for_what_has_callbacks(void **state)
{
	(void)state;
	assert_true(EVENTUALLY(each_finds_memory() || SANITIZED));
}

/* In manual mode they wait for the program. */
static void heap_limit_in_manual_mode(void **state)
{
	ouro_config cfg = test_config();
	size_t made;

	(void)state;
	cfg.heap_limit = 64 * MB;
	cfg.finalizers = OURO_FINALIZERS_MANUAL;
	heap_start(&cfg);
	atomic_store(&n_inside, 0);
	atomic_store(&n_elsewhere, 0);
	for (int i = 0; i < 100; i++) {
		struct kilo *k = ouro_new(&called_type);

		ouro_store(&k->next, k);
		ouro_release(k);
	}
	struct kilo *head = fill_allocating(&made);
	assert_int_equal(n_inside + n_elsewhere, 0);
	assert_int_equal(ouro_run_finalizers(SIZE_MAX), 100);
	assert_int_equal(n_elsewhere, 200);
	ouro_release(head);
}

static struct kilo *cycle_of_half_the_limit(void)
{
	size_t made;
	struct kilo *head = fill(32 * 1024, &made), *last = head;

	while (last->next != NULL)
		last = last->next;
	ouro_store(&last->next, head);
	return head;
}

/* Pinned, it may not collect: ENOMEM at once, garbage or not; after the unpin there is room again. */
static void heap_limit_when_pinned_is_enomem_at_once(void **state)
{
	size_t made, pinned;
	ouro_gc_stats before[3], after[3];

	(void)state;
	ouro_release(cycle_of_half_the_limit());
	ouro_gc_get_stats(before);
	ouro_pin();
	struct kilo *head = fill(SIZE_MAX, &pinned);
	ouro_gc_get_stats(after);
	ouro_unpin();
	assert_int_equal(after[2].collections, before[2].collections);
	assert_true(pinned < 32 * 1024);
	ouro_release(head);
	ouro_flush();
	head = fill(40 * 1024, &made);
	assert_int_equal(made, 40 * 1024);
	ouro_release(head);
	ouro_flush();
}

static size_t made_in_finalizer;

static void fill_in_finalizer(void *obj)
{
	struct kilo *head = fill(SIZE_MAX, &made_in_finalizer);

	(void)obj;
	ouro_release(head);
}

static const ouro_type filling_type = {
	.name = "filling", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = fill_in_finalizer,
};

static void heap_limit_in_a_finalizer_is_enomem(void **state)
{
	(void)state;
	ouro_release(make_of(&filling_type, 1));
	assert_true(made_in_finalizer > 32 * 1024);
	ouro_flush();
	assert_int_equal(objects_live(), 0);
}

static void *fill_and_drop(void *arg)
{
	for (int i = 0; i < (SANITIZED ? 2 : 5); i++) {
		size_t made;

		ouro_release(fill(20000, &made));
		atomic_fetch_add((atomic_size_t *)arg, made);
	}
	ouro_flush();
	return NULL;
}

static void heap_limit_holds_for_several_threads(void **state)
{
	atomic_size_t made = 0;
	uint64_t most = 0;
	pthread_t t[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		t[i] = thread_start(fill_and_drop, &made);
	for (int i = 0; i < 200; i++, sleep_ms(1))
		if (bytes_reserved() > most)
			most = bytes_reserved();
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_true(most <= 64 * MB);
	assert_true(made > 100000);
	assert_true(bytes_reserved() <= 64 * MB);
}

/* ---- giving back ---- */

static void heap_gives_memory_back_after_a_mass_release(void **state)
{
	size_t made;
	struct kilo *head = fill(LOAD(100000), &made);
	uint64_t peak = bytes_reserved();

	(void)state;
	assert_int_equal(made, LOAD(100000));
	assert_true(peak >= made * sizeof(struct kilo));
	ouro_release(head);
	assert_int_equal(ouro_flush(), 0);
	ouro_gc_collect(2);
	assert_true(EVENTUALLY(bytes_reserved() < peak / 2));
}

static void heap_gives_memory_back_after_a_collection(void **state)
{
	struct node *ring = make_ring(&node_type, LOAD(1000000));
	uint64_t peak = bytes_reserved();

	(void)state;
	ouro_release(ring);
	assert_int_equal(ouro_gc_collect(2), LOAD(1000000));
	assert_true(EVENTUALLY(bytes_reserved() < peak / 2));
}

/* Nobody calls anything any more. */
static void heap_gives_memory_back_unasked(void **state)
{
	size_t n = LOAD(100000);
	void **made = calloc(n, sizeof *made);

	(void)state;
	for (size_t i = 0; i < n; i++)
		made[i] = ouro_new(&kilo_type);
	uint64_t peak = bytes_reserved();
	for (size_t i = 0; i < n; i++)
		ouro_release(made[i]);
	free(made);
	assert_true(EVENTUALLY(bytes_reserved() < peak / 4));
}

static void heap_gives_large_objects_back(void **state)
{
	struct blob *b = ouro_new_items(&blob_type, 200 * MB);

	(void)state;
	assert_true(bytes_reserved() >= 200 * MB);
	ouro_release(b);
	assert_true(EVENTUALLY(bytes_reserved() < 100 * MB));
}

/* In and out of operations all the time, so that hardly a grace period is over at once. */
static void *stay_busy(void *stop)
{
	struct node *n = make(1);

	while (!atomic_load((atomic_bool *)stop))
		ouro_release(ouro_retain(n));
	ouro_release(n);
	return NULL;
}

/* They were in a slot, so another thread might have the bare address. */
static void heap_gives_shared_objects_back_beside_a_busy_thread(void **state)
{
	static struct blob *slot;
	atomic_bool stop = false;
	pthread_t t = thread_start(stay_busy, &stop);

	(void)state;
	for (int i = 0; i < 20; i++) {
		ouro_give(&slot, ouro_new_items(&blob_type, 20 * MB));
		assert_true(EVENTUALLY(bytes_reserved() < 100 * MB));
	}
	for (int i = 0; i < LOAD(100000); i++) {
		ouro_give(&slot, ouro_new_items(&blob_type, 4000));
		if (i % 100 == 0)
			assert_true(EVENTUALLY(bytes_reserved() < 100 * MB));
	}
	ouro_store(&slot, NULL);
	assert_true(EVENTUALLY(bytes_reserved() < 40 * MB));
	atomic_store(&stop, true);
	pthread_join(t, NULL);
}

/* The same amount again and again does not add up, whatever the sizes. */
static void heap_does_not_grow_over_rounds(void **state)
{
	uint64_t after_first = 0;

	(void)state;
	for (int round = 0; round < 30; round++) {
		struct blob *head = NULL;

		for (size_t i = 0; i < (size_t)LOAD(5000); i++) {
			struct blob *b = ouro_new_items(&blob_type, (i * 7919 + (size_t)round * 31) % 4000);

			ouro_give(&b->next, head);
			head = b;
		}
		ouro_release(head);
		assert_int_equal(ouro_flush(), 0);
		if (round == 5)
			after_first = bytes_reserved();
	}
	assert_true(EVENTUALLY(bytes_reserved() <= 2 * after_first + 4 * MB));
}

/* ---- threads that exit ---- */

static void *live_and_die(void *arg)
{
	size_t made;
	struct kilo *head = fill(1000, &made);

	if (arg != NULL)
		*(struct kilo **)arg = head;
	else
		ouro_release(head);
	return NULL;
}

static void heap_uses_pages_of_exited_threads(void **state)
{
	uint64_t early = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		thread_run(live_and_die, NULL);
		if (i == 20)
			early = bytes_reserved();
	}
	assert_true(EVENTUALLY(bytes_reserved() <= early + 8 * MB));
	assert_true(EVENTUALLY(objects_live() == 0));
}

/* Each leaves a megabyte behind that somebody else releases after it is gone. */
static void heap_uses_pages_freed_after_their_thread(void **state)
{
	uint64_t early = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct kilo *left = NULL;

		thread_run(live_and_die, &left);
		ouro_release(left);
		ouro_flush();
		if (i == 20)
			early = bytes_reserved();
	}
	assert_true(EVENTUALLY(bytes_reserved() <= early + 8 * MB));
	assert_int_equal(objects_live(), 0);
}

/* One thread makes, another releases: pages go back and forth without growing. */
struct belt {
	struct kilo *slot;
	atomic_bool stop;
};

static void *consume(void *arg)
{
	struct belt *b = arg;

	while (!atomic_load(&b->stop)) {
		void *k = ouro_take(&b->slot);
		if (k == NULL)
			sched_yield();
		ouro_release(k);
	}
	return NULL;
}

static void heap_does_not_grow_when_others_release(void **state)
{
	struct belt b = { .slot = NULL };
	pthread_t t = thread_start(consume, &b);
	uint64_t early = 0;

	(void)state;
	for (int i = 0; i < LOAD(30000); i++) {
		struct kilo *k = ouro_new(&kilo_type);

		while (!ouro_compare_exchange(&b.slot, NULL, k))
			sched_yield();
		ouro_release(k);
		if (i == LOAD(10000))
			early = bytes_reserved();
	}
	atomic_store(&b.stop, true);
	pthread_join(t, NULL);
	ouro_store(&b.slot, NULL);
	ouro_flush();
	assert_true(EVENTUALLY(bytes_reserved() <= 2 * early + 8 * MB));
	assert_true(EVENTUALLY(objects_live() == 0));
}

struct eighth {
	struct eighth *next;
	char bytes[8000];
};

static const ouro_type eighth_type = {
	.name = "eighth", .size = sizeof(struct eighth), .slots = OURO_SLOTS(struct eighth, next),
};

enum { OF_A_PAGE = 8, FREED = 3 };

static void *retain_some(void *arg)
{
	struct eighth **e = arg;

	for (int i = 0; i < FREED; i++)
		ouro_retain(e[i]);
	return NULL;
}

static void *release_some(void *arg)
{
	struct eighth **e = arg;

	for (int i = 0; i < FREED; i++)
		ouro_release(e[i]);
	return NULL;
}

/* What others freed in a full page is used again, though it was harvested meanwhile. */
static void heap_uses_what_others_released(void **state)
{
	struct eighth *e[OF_A_PAGE], *again[FREED];

	(void)state;
	for (int i = 0; i < OF_A_PAGE; i++)
		e[i] = ouro_new(&eighth_type);
	struct oi_page *page = oi_page_of(oi_header_of(e[0]));
	assert_ptr_equal(oi_page_of(oi_header_of(e[OF_A_PAGE - 1])), page);
	thread_run(retain_some, e);
	for (int i = 0; i < FREED; i++)
		ouro_release(e[i]);
	thread_run(release_some, e);
	oi_heap_harvest_idle(oi_self);
	for (int i = 0; i < FREED; i++) {
		again[i] = ouro_new(&eighth_type);
		assert_ptr_equal(oi_page_of(oi_header_of(again[i])), page);
	}
	for (int i = FREED; i < OF_A_PAGE; i++)
		ouro_release(e[i]);
	for (int i = 0; i < FREED; i++)
		ouro_release(again[i]);
}

/* What others freed in a page that went back is not handed out when the page is used again. */
static void heap_forgets_what_lay_in_an_empty_page(void **state)
{
	struct eighth *e[OF_A_PAGE];

	(void)state;
	for (int i = 0; i < FREED; i++)
		e[i] = ouro_new(&eighth_type);
	struct oi_page *page = oi_page_of(oi_header_of(e[0]));
	thread_run(retain_some, e);
	for (int i = 0; i < FREED; i++)
		ouro_release(e[i]);
	thread_run(release_some, e);
	oi_heap_harvest_idle(oi_self);
	oi_gate_enter(oi_self);
	oi_heap_tidy(oi_self);
	oi_gate_leave(oi_self);
	assert_int_equal(page->state, OI_PAGE_FREE);
	for (int i = 0; i < OF_A_PAGE; i++)
		e[i] = ouro_new(&eighth_type);
	assert_ptr_equal(oi_page_of(oi_header_of(e[0])), page);
	assert_null(oi_verify_heap());
	for (int i = 0; i < OF_A_PAGE; i++)
		ouro_release(e[i]);
}

/* ---- addresses ---- */

/* Pages of address space that the process has. */
static unsigned long mapped_pages(void)
{
	unsigned long n = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%lu", &n) != 1)
		abort();
	fclose(f);
	return n;
}

static const ouro_type huge_bytes_type = { .name = "bytes", .size = 1, .item_size = 1 };

/* What lies beyond the maps of the address space is given back, and the call refused. */
static void heap_refuses_addresses_beyond_its_maps(void **state)
{
	uintptr_t end = oi_address_end;

	(void)state;
	assert_true(end >> 47 >= 1); /* what a platform hands out unasked */
	ouro_release(ouro_new_items(&huge_bytes_type, 100 * MB)); /* the thread has all else that it needs */
	unsigned long before = mapped_pages();
	oi_address_end = 1 << 20;
	for (int i = 0; i < 10; i++) {
		errno = 0;
		assert_null(ouro_new_items(&huge_bytes_type, 100 * MB));
		assert_int_equal(errno, ENOMEM);
	}
	oi_address_end = end;
	assert_true(mapped_pages() < before + 100 * MB / 4096);
	void *obj = ouro_new_items(&huge_bytes_type, 100 * MB);
	assert_non_null(obj);
	ouro_release(obj);
}

/* The last region there can be, and the first that can not. */
static void heap_maps_cover_the_address_space(void **state)
{
	uintptr_t last = ((uintptr_t)1 << OI_ADDRESS_BITS) - OI_REGION;

	(void)state;
	assert_false(oi_region_contains((void *)last));
	assert_false(oi_region_contains((void *)(last + OI_REGION)));
	assert_false(oi_region_contains((void *)~(uintptr_t)0));
	assert_true(OI_REGIONS_MAX << OI_REGION_SHIFT == last + OI_REGION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(heap_refuses_addresses_beyond_its_maps),
		HEAP_CASE(heap_maps_cover_the_address_space),
		LIMITED_CASE(heap_limit_is_answered_with_enomem),
		LIMITED_CASE(heap_limit_holds_for_large_objects),
		LIMITED_CASE(heap_limit_collects_garbage_first),
		LIMITED_CASE(heap_limit_collects_large_garbage_first),
		LIMITED_CASE(heap_limit_runs_no_callback_in_the_allocation),
		LIMITED_CASE(heap_limit_waits_for_what_has_callbacks),
		BARE_CASE(heap_limit_in_manual_mode),
		LIMITED_CASE(heap_limit_when_pinned_is_enomem_at_once),
		LIMITED_CASE(heap_limit_in_a_finalizer_is_enomem),
		LIMITED_CASE(heap_limit_holds_for_several_threads),
		HEAP_CASE(heap_gives_memory_back_after_a_mass_release),
		HEAP_CASE(heap_gives_memory_back_after_a_collection),
		HEAP_CASE(heap_gives_memory_back_unasked),
		HEAP_CASE(heap_gives_large_objects_back),
		HEAP_CASE(heap_gives_shared_objects_back_beside_a_busy_thread),
		HEAP_CASE(heap_does_not_grow_over_rounds),
		HEAP_CASE(heap_uses_pages_of_exited_threads),
		HEAP_CASE(heap_uses_pages_freed_after_their_thread),
		HEAP_CASE(heap_does_not_grow_when_others_release),
		RECYCLE_CASE(heap_uses_what_others_released),
		RECYCLE_CASE(heap_forgets_what_lay_in_an_empty_page),
	};

	return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
