/*
 * Goal: whatever call of the system fails, once or for ever, is answered as the headers say; nothing is lost, nothing hangs.
 * Method: oi_fail_arm: the n-th call of a kind fails, or it and all later ones, for n = 1, 2, ... until none is left.
 * A failure would mean: a program that runs short of something crashes, hangs or leaks. Needs a checked build.
 */
#include "fixture.h"

#include "os.h"
#include "perturb.h"
#include "remnant.h"
#include "verify.h"

#if OURO_CHECKED

/* ---- munmap ---- */

enum { RANGE = 3 << 16 };

/* What munmap refuses stays counted as far as it holds memory, and is the next one's who asks for as much, zeroed. */
static void faults_refused_munmap_is_used_again(void **state)
{
	uint64_t before = oi_os_reserved();
	char *p = oi_os_map(RANGE);

	(void)state;
	assert_non_null(p);
	memset(p, 0xff, RANGE);
	oi_fail_arm(OI_FAIL_MUNMAP, 1, true);
	oi_os_unmap(p, RANGE);
	assert_int_equal(oi_os_reserved(), before + OI_OS_PAGE);
	assert_true(oi_remnant_any());
	assert_null(oi_remnant_take(RANGE * 2));
	assert_int_equal(oi_remnant_retry_all(), 1);
	char *q = oi_os_map(RANGE);
	assert_ptr_equal(p, q);
	for (size_t i = 0; i < RANGE; i++)
		assert_int_equal(q[i], 0);
	oi_os_unmap(q, RANGE);
	oi_fail_arm(OI_FAIL_MUNMAP, 0, false);
	assert_int_equal(oi_remnant_retry_all(), 0);
	assert_false(oi_remnant_any());
	assert_int_equal(oi_os_reserved(), before);
}

/* And if madvise refuses as well: counted whole, zeroed by hand. */
static void faults_refused_munmap_and_madvise(void **state)
{
	uint64_t before = oi_os_reserved();
	char *p = oi_os_map(RANGE);

	(void)state;
	memset(p, 0xff, RANGE);
	oi_fail_arm(OI_FAIL_MUNMAP, 1, true);
	oi_fail_arm(OI_FAIL_MADVISE, 1, true);
	oi_os_unmap(p, RANGE);
	assert_int_equal(oi_os_reserved(), before + RANGE);
	char *q = oi_os_map_list(RANGE);
	assert_ptr_equal(p, q);
	for (size_t i = 0; i < RANGE; i++)
		assert_int_equal(q[i], 0);
	assert_int_equal(oi_os_reserved(), before);
	oi_fail_arm(OI_FAIL_MUNMAP, 0, false);
	oi_fail_arm(OI_FAIL_MADVISE, 0, false);
	oi_os_unmap_list(q, RANGE);
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
	assert_int_equal(oi_remnant_retry_all(), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(faults_refused_munmap_is_used_again),
		BARE_CASE(faults_refused_munmap_and_madvise),
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
