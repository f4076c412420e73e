/*
 * Goal: whatever call of the system fails, once or for ever, is answered as the headers say;
 * nothing is lost, nothing hangs.
 * Method: oi_fail_arm: the n-th call of a kind fails, or it and all later ones, for n = 1, 2, ...
 * until none is left.
 * A failure would mean: a program that runs short of something crashes, hangs or leaks. Needs a
 * checked build.
 */
#include "fixture.h"

#include "base/os.h"
#include "base/perturb.h"
#include "base/remnant.h"
#include "collect/verify.h"

#if OURO_CHECKED

/* ---- munmap ---- */

enum { RANGE = 3 << 16 };

static void assert_no_remnants(void)
{
	oi_remnant_retry(SIZE_MAX);
	assert_false(oi_remnant_any());
}

/* What munmap refuses stays counted as far as it holds memory, and is the next one's who asks for as much, zeroed. */
static void refuse_munmap(size_t bytes, size_t counted)
{
	uint64_t before = oi_os_reserved();
	char *p = oi_os_map(bytes);

	assert_non_null(p);
	memset(p, 0xff, bytes);
	oi_fail_arm(OI_FAIL_MUNMAP, 1, true);
	oi_os_unmap(p, bytes);
	assert_int_equal(oi_os_reserved(), before + bytes);
	assert_false(oi_remnant_retry(SIZE_MAX));
	assert_int_equal(oi_os_reserved(), before + counted);
	assert_false(oi_remnant_retry(OI_REMNANT_SLICE)); /* nothing to tick for */
	assert_null(oi_remnant_take(bytes * 2));
	char *q = oi_os_map(bytes);
	assert_ptr_equal(p, q);
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(q[i], 0);
	oi_os_unmap(q, bytes);
	oi_fail_arm(OI_FAIL_MUNMAP, 0, false);
	assert_no_remnants();
	assert_int_equal(oi_os_reserved(), before);
}

static void faults_refused_munmap_is_used_again(void **state)
{
	(void)state;
	refuse_munmap(RANGE, OI_OS_PAGE);
	refuse_munmap(16 * RANGE, OI_OS_PAGE);
}

/* And if madvise refuses as well: counted whole, zeroed by hand. */
static void faults_refused_munmap_and_madvise(void **state)
{
	(void)state;
	oi_fail_arm(OI_FAIL_MADVISE, 1, true);
	refuse_munmap(RANGE, RANGE);
	refuse_munmap(16 * RANGE, 16 * RANGE);
	oi_fail_arm(OI_FAIL_MADVISE, 0, false);
}

/* In slices, from the end; a refused slice is a refused range. */
static void faults_long_range_goes_in_slices(void **state)
{
	enum { BYTES = 8 << 20, SLICE = 3 << 20 };
	uint64_t before = oi_os_reserved();

	(void)state;
	oi_os_unmap(oi_os_map(BYTES), BYTES);
	assert_int_equal(oi_os_reserved(), before + BYTES);
	assert_true(oi_remnant_retry(SLICE));
	assert_int_equal(oi_os_reserved(), before + BYTES - SLICE);
	assert_true(oi_remnant_retry(SLICE));
	oi_fail_arm(OI_FAIL_MUNMAP, 1, false);
	assert_true(oi_remnant_retry(1 << 20)); /* not the slice, then the whole of it */
	assert_int_equal(oi_os_reserved(), before);
	assert_false(oi_remnant_any());
	oi_fail_arm(OI_FAIL_MUNMAP, 0, false);
}

static void *give_and_take(void *arg)
{
	for (int i = 0; i < LOAD(20000); i++) {
		unsigned char *p = oi_os_map_list(RANGE);

		REQUIRE(p != NULL && p[0] == 0 && p[100] == 0);
		p[0] = p[100] = 0xff;
		oi_os_unmap_list(p, RANGE);
	}
	return arg;
}

/* No range is handed out twice, none is lost. */
static void faults_refused_munmap_from_many_threads(void **state)
{
	pthread_t t[4];

	(void)state;
	oi_fail_arm(OI_FAIL_MUNMAP, 1, true);
	for (int i = 0; i < 4; i++)
		t[i] = thread_start(give_and_take, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	oi_fail_arm(OI_FAIL_MUNMAP, 0, false);
	assert_no_remnants();
}

/* ---- mremap ---- */

/* A list that may not grow in place is copied. */
static void faults_refused_mremap_is_copied(void **state)
{
	char *p = oi_os_map_list(RANGE), *q;

	(void)state;
	memset(p, 0x5a, RANGE);
	oi_fail_arm(OI_FAIL_MREMAP, 1, true);
	q = oi_os_remap_list(p, RANGE, 2 * RANGE);
	oi_fail_arm(OI_FAIL_MREMAP, 0, false);
	assert_non_null(q);
	for (size_t i = 0; i < 2 * RANGE; i++)
		assert_int_equal(q[i], i < RANGE ? 0x5a : 0);
	oi_os_unmap_list(q, 2 * RANGE);
}

/* ---- time ---- */

/* Without a clock time goes on, and never back; without any way to sleep a nap ends. */
static void faults_refused_clock_goes_on(void **state)
{
	uint64_t before = oi_now_ns();

	(void)state;
	oi_fail_arm(OI_FAIL_TIMER, 1, true);
	oi_fail_arm(OI_FAIL_FUTEX, 1, true);
	for (int i = 0; i < 10000; i++) {
		uint64_t now = oi_now_ns();

		assert_true(now + 1000000 >= before); /* to a millisecond */
		before = now;
	}
	oi_sleep_ns(1000);
	oi_fail_arm(OI_FAIL_TIMER, 0, false);
	oi_fail_arm(OI_FAIL_FUTEX, 0, false);
	assert_true(oi_now_ns() + 1000000 >= before);
}

static uint32_t word;

static void *wait_for_word(void *arg)
{
	while (oi_load_acquire(&word) == 0)
		oi_futex_wait(&word, 0, 0);
	return arg;
}

/* Neither who falls asleep before it is refused, nor who would do so after that, waits for ever. */
static void faults_refused_futex_loses_no_wake(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		oi_store_release(&word, 0u);
		if (i == 1)
			oi_fail_arm(OI_FAIL_FUTEX, 1, true);
		pthread_t t = thread_start(wait_for_word, NULL);
		sleep_ms(5); /* asleep, or a few instructions from it */
		oi_fail_arm(OI_FAIL_FUTEX, 1, true);
		oi_store_release(&word, 1u);
		oi_futex_wake(&word);
		pthread_join(t, NULL);
		assert_true(oi_fail_failed(OI_FAIL_FUTEX) > 0);
		oi_fail_arm(OI_FAIL_FUTEX, 0, false);
	}
}

/* ---- the start ---- */

static const enum oi_fail start_kinds[] = { OI_FAIL_ALLOC, OI_FAIL_MMAP, OI_FAIL_PTHREAD_CREATE, OI_FAIL_SETSPECIFIC };
enum { START_KINDS = sizeof(start_kinds) / sizeof(start_kinds[0]) };

static void disarm(void)
{
	for (int kind = 0; kind < OI_FAIL_KINDS; kind++)
		oi_fail_arm((enum oi_fail)kind, 0, false);
}

static uint64_t collections(void)
{
	ouro_gc_stats s[3];

	ouro_gc_get_stats(s);
	return s[0].collections + s[1].collections + s[2].collections;
}

/* Makes garbage, as a program does that goes on. */
static bool collected_since(uint64_t before)
{
	for (int i = 0; i < 1000; i++)
		ouro_release(make_pair(&node_type, i));
	return collections() > before;
}

/* A heap that works, with its threads: automatic collections take place. */
static void require_works(void)
{
	uint64_t before = collections();

	ouro_gc_set_threshold(100, 1, 1);
	ouro_gc_enable();
	REQUIRE(EVENTUALLY(collected_since(before)));
	ouro_gc_disable();
	REQUIRE(ouro_gc_collect(2) >= 0);
	REQUIRE(objects_live() == 0);
}

/* One start, from the n-th call of its kind on without. False: it was not reached. */
static bool start_without(enum oi_fail kind, unsigned long n)
{
	ouro_config cfg = test_config();

	oi_fail_arm(kind, n, true);
	int error = ouro_init(&cfg);
	bool failed = error != 0;
	if (failed) {
		REQUIRE(error == ENOMEM || error == EAGAIN);
		REQUIRE(EVENTUALLY(process_threads() == 1));
		if (ouro_init(&cfg) == 0) /* with the records that the first one made, perhaps */
			REQUIRE(heap_stop().objects == 0);
	}
	disarm();
	if (failed)
		REQUIRE(ouro_init(&cfg) == 0);
	require_works();
	REQUIRE(heap_stop().objects == 0);
	return failed;
}

static int start_child(void *arg)
{
	enum oi_fail kind = *(enum oi_fail *)arg;
	unsigned long n = 1;

	while (start_without(kind, n))
		n++;
	return n > 1 ? 0 : 1;
}

/* Refused for ever, at any point: an answer, soon, nothing left of it, and it can be tried again. */
static void faults_start_is_answered(void **state)
{
	(void)state;
	needs_threads_in_the_child(); /* and no thread of the sanitizer's is to be counted */
	for (int i = 0; i < START_KINDS; i++) {
		enum oi_fail kind = start_kinds[i];

		child_run(start_child, &kind);
	}
}

static void *call_what_cannot_fail(void *arg)
{
	struct node *slot = NULL;
	ouro_weak cell = { 0 };

	ouro_release(ouro_load(&slot));
	ouro_store(&slot, NULL);
	REQUIRE(ouro_take(&slot) == NULL);
	REQUIRE(ouro_weak_load(&cell) == NULL);
	ouro_pin();
	ouro_safepoint();
	ouro_unpin();
	return arg;
}

static int lazy_child(void *arg)
{
	enum oi_fail kind = *(enum oi_fail *)arg;

	oi_fail_arm(kind, 1, true);
	REQUIRE(ouro_new(&node_type) == NULL && errno == ENOMEM);
	int error = ouro_thread_attach("first");
	REQUIRE(error == ENOMEM || error == 0); /* 0: with a record that the first call made */
	call_what_cannot_fail(NULL);
	thread_run(call_what_cannot_fail, NULL);
	ouro_release(ouro_new(&node_type)); /* may fail, or not: the heap runs now */
	ouro_stats s;
	ouro_stats_get(&s);
	REQUIRE(ouro_flush() == 0);
	REQUIRE(ouro_gc_collect(2) >= 0 || errno == ENOMEM);
	disarm();
	REQUIRE(oi_verify_heap() == NULL);
	require_works();
	REQUIRE(heap_stop().objects == 0);
	return 0;
}

/*
 * The start by a first call: what can fail says so, what cannot works all the same, and the threads
 * come when they can.
 */
static void faults_lazy_start_is_answered(void **state)
{
	(void)state;
	for (int i = 0; i < START_KINDS; i++) {
		enum oi_fail kind = start_kinds[i];

		child_run(lazy_child, &kind);
	}
}

/* ---- a thread that nothing detaches when it exits ---- */

static void *exit_with_objects(void *slot)
{
	ouro_release(ouro_slot_load(slot)); /* cannot fail: it attaches as it can */
	for (int i = 0; i < 100; i++)
		ouro_slot_give(slot, make(i));
	return NULL;
}

static void *exit_pinned(void *arg)
{
	ouro_pin();
	return arg;
}

static void *attach_and_fail(void *arg)
{
	*(int *)arg = ouro_thread_attach("no");
	return NULL;
}

static void faults_thread_without_destructor_is_reaped(void **state)
{
	void *slot = NULL;
	int error = 0;

	(void)state;
	oi_fail_arm(OI_FAIL_SETSPECIFIC, 1, true);
	thread_run(attach_and_fail, &error);
	assert_int_equal(error, ENOMEM);
	thread_run(exit_with_objects, &slot);
	assert_true(EVENTUALLY(stats().threads == 1));
	thread_run(exit_pinned, NULL);
	disarm();
	ouro_gc_collect(2); /* stops the world, and waits for nobody who is gone */
	assert_true(EVENTUALLY(stats().threads == 1));
	assert_null(oi_verify_heap());
	ouro_slot_store(&slot, NULL);
	require_works();
}

enum { GONE = 100 };

static atomic_int n_attached_late, n_looks;
static atomic_bool may_exit, all_gone;

static void *attach_late(void *arg)
{
	ouro_pin(); /* cannot fail */
	ouro_unpin();
	atomic_fetch_add(&n_attached_late, 1);
	while (!atomic_load(&may_exit))
		sleep_ms(1);
	return arg;
}

/* The collector looks at none before all are gone. */
static void count_looks(const char *point)
{
	if (strcmp(point, "late thread") != 0)
		return;
	atomic_fetch_add(&n_looks, 1);
	while (!atomic_load(&all_gone))
		sleep_ms(1);
}

/* It looks at each of them once, not for each of them at all. */
static void faults_many_threads_without_destructor_are_reaped_in_one_go(void **state)
{
	pthread_t t[GONE];

	(void)state;
	atomic_store(&n_attached_late, 0);
	atomic_store(&may_exit, false);
	atomic_store(&all_gone, false);
	oi_fail_arm(OI_FAIL_SETSPECIFIC, 1, true);
	for (int i = 0; i < GONE; i++)
		t[i] = thread_start(attach_late, NULL);
	assert_true(EVENTUALLY(atomic_load(&n_attached_late) == GONE));
	disarm();
	atomic_store(&n_looks, 0);
	oi_point_hook = count_looks;
	assert_true(EVENTUALLY(atomic_load(&n_looks) > 0));
	atomic_store(&may_exit, true);
	for (int i = 0; i < GONE; i++)
		pthread_join(t[i], NULL);
	atomic_store(&all_gone, true);
	assert_true(EVENTUALLY(stats().threads == 1));
	oi_point_hook = NULL;
	assert_in_range(atomic_load(&n_looks), 1, 2 * GONE);
	require_works();
}

static atomic_int in_heap; /* in which one it is to be, and says that it is */

static void *live_through_a_shutdown(void *arg)
{
	for (int i = 1; i <= 2; i++) {
		(void)EVENTUALLY(atomic_load(&in_heap) == i);
		ouro_pin(); /* cannot fail */
		ouro_unpin();
		atomic_store(&in_heap, -i);
	}
	return arg;
}

/* The heap that is gone knew that it has none; the next one must learn it, or give it one. */
static void faults_thread_without_destructor_joins_the_next_heap(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	oi_fail_arm(OI_FAIL_SETSPECIFIC, 1, true);
	pthread_t t = thread_start(live_through_a_shutdown, NULL);
	atomic_store(&in_heap, 1);
	assert_true(EVENTUALLY(atomic_load(&in_heap) == -1));
	disarm();
	assert_int_equal(ouro_shutdown(NULL), 0);
	heap_start(&cfg);
	ouro_release(make(1));
	atomic_store(&in_heap, 2);
	assert_true(EVENTUALLY(atomic_load(&in_heap) == -2));
	pthread_join(t, NULL);
	assert_true(EVENTUALLY(stats().threads == 1));
	require_works();
}

/* ---- records ---- */

static struct crowd {
	pthread_barrier_t barrier;
	struct node *shared;
} crowd;

static void *release_in_a_crowd(void *arg)
{
	ouro_release(crowd.shared);
	pthread_barrier_wait(&crowd.barrier);
	return arg;
}

/* Threads whose first call is a release, all there at once, and no memory for their records. */
static void faults_release_needs_no_record(void **state)
{
	enum { N = 40 };
	pthread_t t[N];

	(void)state;
	crowd.shared = make(1);
	for (int i = 0; i < N; i++)
		ouro_retain(crowd.shared);
	pthread_barrier_init(&crowd.barrier, NULL, N);
	oi_fail_arm(OI_FAIL_MMAP, 1, true);
	for (int i = 0; i < N; i++)
		t[i] = thread_start(release_in_a_crowd, NULL);
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(ouro_refcount(crowd.shared), 1);
	disarm();
	ouro_release(crowd.shared);
	require_works();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(faults_start_is_answered), /* first: no thread has been started yet */
		BARE_CASE(faults_lazy_start_is_answered),
		HEAP_CASE(faults_thread_without_destructor_is_reaped),
		HEAP_CASE(faults_many_threads_without_destructor_are_reaped_in_one_go),
		HEAP_CASE(faults_thread_without_destructor_joins_the_next_heap),
		HEAP_CASE(faults_release_needs_no_record),
		BARE_CASE(faults_refused_munmap_is_used_again),
		BARE_CASE(faults_refused_munmap_and_madvise),
		BARE_CASE(faults_long_range_goes_in_slices),
		BARE_CASE(faults_refused_munmap_from_many_threads),
		BARE_CASE(faults_refused_mremap_is_copied),
		BARE_CASE(faults_refused_clock_goes_on),
		BARE_CASE(faults_refused_futex_loses_no_wake),
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}

#else

int main(void)
{
	puts("skipped: faults are injected in checked builds only");
	return 0;
}

#endif
