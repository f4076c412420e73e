/*
 * Goal: the library works, and says what it must, where the system refuses what it usually grants.
 * Method: children under mlockall, filters of system calls, limits, control groups; a workload and
 * the verifier in each.
 * A failure would mean: old memory taken for new, a hang, or a stop that stops nobody, on a
 * hardened system.
 */
#include "fixture.h"

#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "mutators.h"
#include "collect/verify.h"
#include "world/world.h"

enum { SKIPPED = 78 };

/* In the child: not here, and why. */
static int skipped(const char *why)
{
	dprintf(2, "skipped: %s: %s\n", why, strerror(errno));
	return SKIPPED;
}

/* The child returns 0, or says why it does not apply. */
static void system_run(int (*fn)(void *), void *arg)
{
	char text[8192];
	int status = child_status(fn, arg, text, sizeof(text));

	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
		print_message("%s", text);
		skip();
	}
	if (status != 0)
		fail_msg("child: status 0x%x: %s", (unsigned)status, text);
}

static void start_heap(void)
{
	ouro_config cfg = test_config();

	REQUIRE(ouro_init(&cfg) == 0);
}

static void stop_heap(void)
{
	ouro_report r = { 9, 9 };

	REQUIRE(oi_verify_heap() == NULL);
	REQUIRE(ouro_shutdown(&r) == 0);
	REQUIRE(r.objects == 0 && r.bytes == 0);
}

/* ---- locked memory: the system takes none of it back ---- */

struct block {
	void *slot; /* where a node has one, too */
	unsigned char bytes[2000];
};

static const ouro_type block_type = { .name = "block", .size = sizeof(struct block), .slots = OURO_SLOTS(struct block, slot) };

static bool is_zero(const struct block *b)
{
	size_t i = 0;

	while (i < sizeof(b->bytes) && b->bytes[i] == 0)
		i++;
	return i == sizeof(b->bytes) && b->slot == NULL;
}

enum { BLOCKS = 2000 };

/* Makes them, of nothing but zeroes, writes over them, and lets them go. */
static void use_blocks(void)
{
	static struct block *block[BLOCKS];

	for (int i = 0; i < BLOCKS; i++) {
		block[i] = ouro_new(&block_type);
		REQUIRE(block[i] != NULL && is_zero(block[i]));
		memset(block[i]->bytes, 0xff, sizeof(block[i]->bytes));
	}
	for (int i = 0; i < BLOCKS; i++)
		ouro_release(block[i]);
}

static int locked_child(void *arg)
{
	(void)arg;
	if (SANITIZED)
		return skipped("mlockall does nothing under a sanitizer");
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		return skipped("mlockall");
	start_heap();
	use_blocks();
	uint64_t before = bytes_reserved();
	for (int i = 0; i < 3; i++) {
		REQUIRE(ouro_gc_collect(2) >= 0);
		REQUIRE(bytes_reserved() + (1 << 20) > before); /* what was not given back is counted on */
		use_blocks();
		REQUIRE(bytes_reserved() < before + (1 << 20)); /* and used again */
	}
	munlockall();
	REQUIRE(ouro_gc_collect(2) >= 0);
	REQUIRE(bytes_reserved() < before / 2);
	use_blocks();
	stop_heap();
	return 0;
}

static void system_locked_memory_is_not_taken_for_zeroed(void **state)
{
	(void)state;
	system_run(locked_child, NULL);
}

/* At the heap limit nothing is over but what is cached, which is used again though none of it goes back. */
static int locked_limit_child(void *arg)
{
	ouro_config cfg = test_config();

	(void)arg;
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		return skipped("mlockall");
	start_heap();
	use_blocks();
	/* A sixteenth is not for pages; where the system's own are large, an eighth. */
	unsigned part = sysconf(_SC_PAGESIZE) > 16384 ? 8 : 16;
	cfg.heap_limit = bytes_reserved() / (part - 1) * part + (32 << 10);
	stop_heap();
	REQUIRE(ouro_init(&cfg) == 0);
	for (int i = 0; i < 5; i++)
		use_blocks();
	stop_heap();
	return 0;
}

static void system_locked_memory_is_used_again_at_the_limit(void **state)
{
	(void)state;
	system_run(locked_limit_child, NULL);
}

/* ---- munmap takes long: nobody waits for it in a gate, or under a lock ---- */

static atomic_bool holding_up;

static const ouro_type bytes_type = { .name = "bytes", .size = 8, .item_size = 1, .flags = OURO_ACYCLIC };
enum { HUGE_BYTES = 200 << 20 };

/* The collector's thread is kept from its tick by this. */
static void hold_up(const ouro_gc_event *event, void *arg)
{
	if (event->phase != OURO_GC_START)
		return;
	atomic_store((atomic_bool *)arg, true);
	while (atomic_load(&holding_up))
		sleep_ms(1);
}

static void system_huge_object_is_unmapped_by_nobody_in_a_gate(void **state)
{
	atomic_bool held = false;
	uint64_t before;

	(void)state;
	atomic_store(&holding_up, true);
	assert_int_equal(ouro_gc_on_event(hold_up, &held), 0);
	ouro_gc_set_threshold(100, 10, 10);
	ouro_gc_enable();
	for (int i = 0; i < 100; i++)
		ouro_release(make_pair(&node_type, i));
	while (!atomic_load(&held))
		ouro_release(make_pair(&node_type, 0));
	before = bytes_reserved();
	char *huge = ouro_new_items(&bytes_type, HUGE_BYTES);
	assert_non_null(huge);
	huge[HUGE_BYTES / 2] = 1;
	assert_true(bytes_reserved() >= before + HUGE_BYTES);
	ouro_release(huge); /* in its gate: it leaves that to the tick, which does not come now */
	assert_true(bytes_reserved() >= before + HUGE_BYTES);
	atomic_store(&holding_up, false);
	assert_true(EVENTUALLY(bytes_reserved() < before + HUGE_BYTES));
	ouro_gc_disable();
	assert_int_equal(ouro_gc_off_event(hold_up, &held), 0);
}

/* Who needs that memory does not wait for the tick. */
static void system_huge_objects_one_after_the_other_at_the_limit(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	cfg.heap_limit = HUGE_BYTES / 2 * 3;
	heap_start(&cfg);
	for (int i = 0; i < 20; i++) {
		char *huge = ouro_new_items(&bytes_type, HUGE_BYTES);

		assert_non_null(huge);
		ouro_release(huge);
	}
	ouro_gc_stats s[3];
	ouro_gc_get_stats(s);
	if (!CHECKED_BUILD) /* there every dead object waits for a grace period */
		assert_int_equal(s[2].collections, 0);
}

/* A program that does everything, with automatic collections and calls for them, and the verifier after it. */
static void work(unsigned ms)
{
	uint64_t until = now_ns() + ms * 1000000ull;

	ouro_gc_enable();
	mutators_start(NULL);
	while (now_ns() < until)
		REQUIRE(ouro_gc_collect((int)(now_ns() % 3)) >= 0);
	mutators_end();
	REQUIRE(graph.wrong == 0);
	REQUIRE(oi_verify_heap() == NULL);
	ouro_gc_disable();
	/* what a callback keeps of the reaper's, which has no processor, the first may leave out */
	REQUIRE(EVENTUALLY(ouro_gc_collect(2) >= 0 && objects_live() == 0));
}

/* ---- pthread_cancel: no call of the library is a cancellation point ---- */

static struct node *held_node;
static ouro_weak held_cell;
static FILE *sink;

static bool see(void *obj, void *arg)
{
	(void)arg;
	return obj != NULL;
}

static void hear_nothing(const ouro_gc_event *event, void *arg)
{
	(void)event;
	(void)arg;
}

static void run_nothing(void *arg)
{
	(void)arg;
}

static void call_collect_0(void) { ouro_gc_collect(0); }
static void call_collect_2(void) { ouro_gc_collect(2); }
static void call_flush(void) { ouro_flush(); }
static void call_freeze(void) { ouro_gc_freeze(); ouro_gc_unfreeze(); }
static void call_objects(void) { ouro_gc_objects(-1, see, NULL); }
static void call_referrers(void) { ouro_gc_referrers(held_node, see, NULL); ouro_gc_referents(held_node, see, NULL); }
static void call_dot(void) { ouro_dump_dot(sink, held_node, 100); }
static void call_stats_write(void) { ouro_stats_write(sink, OURO_STATS_JSON); ouro_stats_write(sink, OURO_STATS_TEXT); }
static void call_garbage(void) { ouro_gc_garbage(see, NULL); ouro_gc_garbage_clear(); }
static void call_detach(void) { ouro_thread_detach(); ouro_thread_attach("again"); }
static void call_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(ouro_gc_collect(2) >= 0 ? 0 : 1);
	int old, status = -1;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old); /* waitpid is the program's */
	waitpid(pid, &status, 0);
	pthread_setcancelstate(old, NULL);
	if (status != 0)
		atomic_fetch_add(&graph.wrong, 1);
}

static void call_objects_of_all_kinds(void)
{
	for (int i = 0; i < 3000; i++)
		ouro_release(make_pair(&counted_type, i));
	ouro_release(make_list(&counted_type, 30000));
	ouro_release(ouro_new_items(&bytes_type, 40 << 20));
}

static void call_events_and_watches(void)
{
	ouro_watch_id id;

	ouro_gc_on_event(hear_nothing, NULL);
	ouro_gc_off_event(hear_nothing, NULL);
	if (ouro_watch(held_node, run_nothing, NULL, &id) == 0)
		ouro_unwatch(id);
	ouro_weak_store(&held_cell, held_node);
	ouro_release(ouro_weak_load(&held_cell));
	ouro_weak_clear(&held_cell);
}

static void (*const calls[])(void) = {
	call_collect_0, call_collect_2, call_flush, call_freeze, call_objects, call_referrers, call_dot, call_stats_write,
	call_garbage, call_detach, call_fork, call_objects_of_all_kinds, call_events_and_watches,
};
enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

static atomic_bool returned;

/* The request is there from the beginning: the first cancellation point there is ends the thread. */
static void *call_cancelled(void *arg)
{
	ouro_release(make(1));
	pthread_cancel(pthread_self());
	(*(void (*const *)(void))arg)();
	atomic_store(&returned, true);
	pthread_testcancel();
	return NULL;
}

static int cancel_child(void *arg)
{
	ouro_config cfg = test_config();

	(void)arg;
	cfg.pin_warn_ns = 100000; /* which is said in the log, on the way */
	REQUIRE(ouro_init(&cfg) == 0);
	ouro_set_log(NULL, NULL);
	sink = fopen("/dev/null", "w");
	held_node = make(1);
	for (int i = 0; i < CALLS; i++) {
		void *result = NULL;

		atomic_store(&returned, false);
		ouro_pin(); /* whoever stops the world waits, in naps */
		pthread_t t = thread_start(call_cancelled, (void *)&calls[i]);
		sleep_ms(5);
		ouro_unpin();
		pthread_join(t, &result);
		if (!atomic_load(&returned))
			dprintf(2, "call %d was cancelled\n", i);
		REQUIRE(atomic_load(&returned));
		REQUIRE(result == PTHREAD_CANCELED);
	}
	REQUIRE(graph.wrong == 0);
	fclose(sink);
	ouro_release(held_node);
	work(10);
	stop_heap();
	return 0;
}

static void *shut_down_cancelled(void *arg)
{
	pthread_cancel(pthread_self());
	REQUIRE(ouro_shutdown(arg) == 0);
	REQUIRE(ouro_init(NULL) == 0);
	REQUIRE(ouro_shutdown(NULL) == 0);
	atomic_store(&returned, true);
	pthread_testcancel();
	return NULL;
}

static int cancelled_shutdown_child(void *arg)
{
	ouro_report r;

	(void)arg;
	start_heap();
	ouro_set_log(log_to_book, &log_book);
	held_node = make_list(&node_type, 100);
	ouro_thread_detach();
	thread_run(shut_down_cancelled, &r);
	REQUIRE(atomic_load(&returned));
	REQUIRE(r.objects == 100);
	return 0;
}

static void system_no_call_is_a_cancellation_point(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	system_run(cancel_child, NULL);
	system_run(cancelled_shutdown_child, NULL);
}

/* ---- filters of system calls ---- */

static bool install(struct sock_filter *code, size_t n)
{
	struct sock_fprog filter = { (unsigned short)n, code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) == 0;
}

/* From now on the whole process gets @error from system call @number. False: filters are not to be had here. */
static bool refuse(unsigned number, unsigned error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return install(code, sizeof(code) / sizeof(code[0]));
}

enum { STOPS = 100000 };

static atomic_bool inside, enough;

static void *go_in_and_out(void *arg)
{
	while (!atomic_load_explicit(&enough, memory_order_relaxed)) {
		ouro_pin();
		atomic_store_explicit(&inside, true, memory_order_relaxed);
		atomic_store_explicit(&inside, false, memory_order_relaxed);
		ouro_unpin();
	}
	return arg;
}

/* How many of so many stops did not stop a thread that goes into its gate and out of it all the time? */
static int stops_that_failed(void)
{
	pthread_t t = thread_start(go_in_and_out, NULL);
	int n = 0;

	for (int i = 0; i < LOAD(STOPS); i++) {
		struct oi_stop stop;
		bool seen = false;

		oi_world_stop(&stop, OURO_STOP_LISTING);
		for (int k = 0; k < 50; k++)
			seen |= atomic_load_explicit(&inside, memory_order_relaxed);
		oi_world_start(&stop);
		n += seen;
	}
	atomic_store(&enough, true);
	pthread_join(t, NULL);
	return n;
}

struct refusal {
	unsigned number, error;
	bool before; /* the start */
};

static int membarrier_child(void *arg)
{
	const struct refusal *r = arg;

	if (r->before && !refuse(r->number, r->error))
		return skipped("seccomp");
	start_heap();
	ouro_set_log(log_to_book, &log_book);
	bool had_it = oi_world.membarrier;
	REQUIRE(!r->before || !had_it);
	if (!r->before) {
		work(20);
		if (!refuse(r->number, r->error))
			return skipped("seccomp");
	}
	REQUIRE(stops_that_failed() == 0);
	REQUIRE(!oi_world.membarrier);
	REQUIRE(!had_it || EVENTUALLY(book_count(&log_book, "membarrier") == 1));
	work(100);
	REQUIRE(book_count(&log_book, "membarrier") == had_it);
	stop_heap();
	start_heap(); /* the next heap begins without it */
	work(20);
	stop_heap();
	return 0;
}

static void system_membarrier_refused_before_the_start(void **state)
{
	struct refusal r = { SYS_membarrier, EPERM, true };

	(void)state;
	system_run(membarrier_child, &r);
}

static void system_membarrier_refused_after_the_start(void **state)
{
	struct refusal r = { SYS_membarrier, ENOSYS, false };

	(void)state;
	system_run(membarrier_child, &r);
}

/*
 * What is pinned, or asleep, when membarrier is refused does not come by to take note: a stop waits
 * for the one alone.
 */
static atomic_int n_stopped;

static void *stop_once(void *arg)
{
	struct oi_stop stop;

	oi_world_stop(&stop, OURO_STOP_LISTING);
	atomic_fetch_add(&n_stopped, 1);
	oi_world_start(&stop);
	return arg;
}

static void touch(void *arg)
{
	ouro_release(make(*(int *)arg));
}

static int pinned_child(void *arg)
{
	struct sleeper asleep;
	int id = 1;

	(void)arg;
	start_heap();
	sleeper_start(&asleep, touch, &id);
	ouro_pin();
	if (!refuse(SYS_membarrier, EPERM))
		return skipped("seccomp");
	pthread_t t = thread_start(stop_once, NULL);
	REQUIRE(EVENTUALLY(!__atomic_load_n(&oi_world.membarrier, __ATOMIC_RELAXED)));
	sleep_ms(50);
	REQUIRE(n_stopped == 0);
	ouro_unpin();
	pthread_join(t, NULL);
	REQUIRE(n_stopped == 1);
	thread_run(stop_once, NULL);
	sleeper_stop(&asleep);
	stop_heap();
	return 0;
}

static void system_membarrier_refused_while_pinned(void **state)
{
	(void)state;
	system_run(pinned_child, NULL);
}

/* madvise, as some sandboxes filter it: nothing goes back, everything works, and is zeroed. */
static int madvise_child(void *arg)
{
	const struct refusal *r = arg;

	if (r->before && !refuse(r->number, r->error))
		return skipped("seccomp");
	start_heap();
	use_blocks();
	if (!r->before && !refuse(r->number, r->error))
		return skipped("seccomp");
	for (int i = 0; i < 3; i++) {
		REQUIRE(ouro_gc_collect(2) >= 0);
		use_blocks();
	}
	work(50);
	stop_heap();
	return 0;
}

static void system_madvise_refused(void **state)
{
	struct refusal before = { SYS_madvise, EPERM, true }, after = { SYS_madvise, ENOSYS, false };

	(void)state;
	system_run(madvise_child, &before);
	system_run(madvise_child, &after);
}

/*
 * futex, but for glibc's own, which aborts where it is refused: the library's waits have an end,
 * its wakes wake all. Who sleeps already is not woken, and looks again when its time is over:
 * test_faults. So wakes are refused before the start only.
 */
static bool refuse_futex(unsigned error, bool wakes)
{
	const unsigned op = offsetof(struct seccomp_data, args[1]), third = offsetof(struct seccomp_data, args[2]);
	const unsigned fourth = offsetof(struct seccomp_data, args[3]);
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 8),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, op),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, wakes ? FUTEX_WAKE_PRIVATE : ~0u, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, third),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x7fffffff, 3, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FUTEX_WAIT_PRIVATE, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, fourth),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return install(code, sizeof(code) / sizeof(code[0]));
}

static bool futex_is_refused(void)
{
	static uint32_t word;
	struct timespec t = { 0, 1000 };

	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0) == -1 && errno != ETIMEDOUT;
}

static int futex_child(void *arg)
{
	const struct refusal *r = arg;

	if (r->before && !refuse_futex(r->error, true))
		return skipped("seccomp");
	start_heap();
	work(20);
	if (!r->before && !refuse_futex(r->error, false))
		return skipped("seccomp");
	REQUIRE(futex_is_refused());
	work(100);
	uint64_t began = now_ns();
	for (int i = 0; i < 1000; i++)
		ouro_release(make_pair(&node_type, i));
	REQUIRE(ouro_gc_collect(2) == 2000);
	REQUIRE(ouro_flush() == 0);
	stop_heap();
	REQUIRE(now_ns() - began < 5000000000ull); /* in naps of milliseconds, not in second after second */
	return 0;
}

static void system_futex_refused(void **state)
{
	struct refusal before = { SYS_futex, EPERM, true }, after = { SYS_futex, ENOSYS, false };

	(void)state;
	if (TSAN_BUILD)
		skip(); /* its own */
	system_run(futex_child, &before);
	system_run(futex_child, &after);
}

/* ---- limits ---- */

/* Address space for a while, then none: allocations fail and say so; what there is can be let go of, and used again. */
/* Bytes of objects, in a list. */
static size_t fill_up(const ouro_type *type)
{
	struct block *head = NULL;
	size_t count = 0;

	for (struct block *n; (n = ouro_new(type)) != NULL; head = n, count++)
		ouro_give(&n->slot, head);
	REQUIRE(errno == ENOMEM);
	ouro_release(head);
	REQUIRE(ouro_flush() == 0);
	struct block *again = ouro_new(type);
	REQUIRE(again != NULL);
	ouro_release(again);
	return count * type->size;
}

static int address_space_child(void *arg)
{
	struct rlimit limit;

	(void)arg;
	start_heap();
	use_blocks();
	REQUIRE(getrlimit(RLIMIT_AS, &limit) == 0);
	limit.rlim_cur = 1; /* what is mapped stays */
	if (setrlimit(RLIMIT_AS, &limit) != 0)
		return skipped("RLIMIT_AS");
	uint64_t began = now_ns();
	for (int i = 0; i < 2; i++)
		REQUIRE(fill_up(&block_type) > (16 << 20));
	/* a walk through the heap for hundreds that are found dead, not for each */
	REQUIRE(now_ns() - began < 5000000000ull);
	limit.rlim_cur = limit.rlim_max;
	REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
	REQUIRE(ouro_gc_collect(2) >= 0);
	REQUIRE(objects_live() == 0);
	stop_heap();
	return 0;
}

static void system_no_address_space(void **state)
{
	(void)state;
	if (SANITIZED)
		skip(); /* they map as they go; an emulator limits nothing */
	system_run(address_space_child, NULL);
}

/*
 * Where the system grants no more than it has (vm.overcommit_memory=2), every writable byte of a
 * mapping counts, used or not. RLIMIT_DATA counts so, too, for one process.
 */
static int no_overcommit_child(void *arg)
{
	enum { GRANTED = 192 << 20 };
	struct rlimit limit;

	(void)arg;
	REQUIRE(getrlimit(RLIMIT_DATA, &limit) == 0);
	limit.rlim_cur = GRANTED;
	if (setrlimit(RLIMIT_DATA, &limit) != 0)
		return skipped("RLIMIT_DATA");
	void *too_much = mmap(NULL, GRANTED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (too_much != MAP_FAILED)
		return skipped("RLIMIT_DATA counts no mappings");
	start_heap();
	work(50);
	for (int i = 0; i < 2; i++)
		REQUIRE(fill_up(&node_type) > GRANTED / 4); /* what is reserved in vain is no more than that */
	work(50);
	stop_heap();
	return 0;
}

static void system_no_overcommit(void **state)
{
	(void)state;
	if (SANITIZED)
		skip();
	system_run(no_overcommit_child, NULL);
}

/* All that is mapped is to be locked, and there is a limit to that: mmap fails though there is memory. */
static int locked_future_child(void *arg)
{
	struct rlimit limit;

	(void)arg;
	REQUIRE(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	limit.rlim_cur = limit.rlim_max < (8 << 20) ? limit.rlim_max : 8 << 20;
	if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (getuid() == 0 && setuid(65534) != 0)) /* root has no such limit */
		return skipped("RLIMIT_MEMLOCK");
	start_heap();
	use_blocks();
	if (mlockall(MCL_FUTURE) != 0)
		return skipped("mlockall");
	REQUIRE(fill_up(&block_type) > (4 << 20));
	REQUIRE(ouro_gc_collect(2) >= 0);
	REQUIRE(fill_up(&block_type) > (4 << 20));
	REQUIRE(munlockall() == 0);
	work(50);
	stop_heap();
	return 0;
}

static void system_no_memory_to_lock(void **state)
{
	(void)state;
	if (SANITIZED)
		skip();
	system_run(locked_future_child, NULL);
}

/* No thread to be had: the answer is EAGAIN, and the next try works when there is one. */
static int no_thread_child(void *arg)
{
	struct rlimit limit;
	ouro_config cfg = test_config();

	(void)arg;
	if (getuid() == 0 && setuid(65534) != 0) /* root has no such limit */
		return skipped("setuid");
	REQUIRE(getrlimit(RLIMIT_NPROC, &limit) == 0);
	limit.rlim_cur = 0;
	if (setrlimit(RLIMIT_NPROC, &limit) != 0)
		return skipped("RLIMIT_NPROC");
	int error = ouro_init(&cfg);
	if (error == 0)
		return skipped("RLIMIT_NPROC has no effect");
	REQUIRE(error == EAGAIN || error == ENOMEM);
	limit.rlim_cur = limit.rlim_max;
	REQUIRE(setrlimit(RLIMIT_NPROC, &limit) == 0);
	start_heap();
	work(20);
	stop_heap();
	return 0;
}

/* ---- control groups ---- */

/* A group of its own for the child, of either version of the interface. */
struct group {
	char path[200];
	const char *limit; /* the file */
};

static bool group_write(const struct group *g, const char *file, const char *value)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", g->path, file);
	int fd = open(path, O_WRONLY);
	bool ok = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool group_make(struct group *g, const char *first, const char *limit)
{
	snprintf(g->path, sizeof(g->path), "%s/ouro-test-%d", first, (int)getpid());
	g->limit = limit;
	if (mkdir(g->path, 0755) != 0)
		return false;
	char path[300];
	snprintf(path, sizeof(path), "%s/%s", g->path, limit);
	if (access(path, W_OK) == 0)
		return true;
	rmdir(g->path);
	return false;
}

static void group_remove(const struct group *g)
{
	for (int i = 0; rmdir(g->path) != 0 && i < 1000; i++)
		sleep_ms(1); /* the child leaves it when it is gone */
}

/* In a group with one limit, of version 1 or 2, which the child sets. */
static void run_in_group(const char *hierarchy, const char *limit, const char *limit_2, int (*child)(void *))
{
	struct group g;
	char text[8192];

	if (SANITIZED)
		skip();
	if (!group_make(&g, hierarchy, limit) && !group_make(&g, "/sys/fs/cgroup", limit_2)) {
		print_message("skipped: control groups: %s\n", strerror(errno));
		skip();
	}
	int status = child_status(child, &g, text, sizeof(text));
	group_remove(&g);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		skip();
	if (status != 0)
		fail_msg("child: status 0x%x: %s", (unsigned)status, text);
}

/*
 * The heap's limit holds, and with it the group's, as the heap counts what the system counts: else
 * the child is killed.
 */
static int group_memory_child(void *arg)
{
	const struct group *g = arg;
	ouro_config cfg = test_config();

	if (!group_write(g, g->limit, "134217728") || !group_write(g, "cgroup.procs", "0"))
		return skipped("a group's memory");
	cfg.heap_limit = 96 << 20;
	REQUIRE(ouro_init(&cfg) == 0);
	for (int i = 0; i < 3; i++)
		REQUIRE(fill_up(&node_type) > (48 << 20)); /* with their headers two thirds of the limit */
	work(100);
	for (int i = 0; i < 5; i++) {
		char *huge = ouro_new_items(&bytes_type, 60 << 20);

		REQUIRE(huge != NULL);
		memset(huge, 1, 60 << 20);
		ouro_release(huge);
	}
	stop_heap();
	return 0;
}

static void system_memory_of_a_group(void **state)
{
	(void)state;
	run_in_group("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max", group_memory_child);
}

static atomic_bool let_go;
static atomic_int n_blocked;

static void block(void *obj)
{
	(void)obj;
	atomic_fetch_add(&n_blocked, 1);
	while (!atomic_load(&let_go))
		sleep_ms(1);
}

static const ouro_type blocking_type = { .name = "blocking", .size = sizeof(struct node), .destroy = block };

static void *release_here(void *obj)
{
	ouro_release(obj);
	return NULL;
}

/*
 * A reaper's callback blocks, and there is no other to be had: what calls nobody dies, the rest
 * when there is one again.
 */
static int group_threads_child(void *arg)
{
	const struct group *g = arg;
	ouro_config cfg = test_config();
	char most[20];

	if (!group_write(g, "cgroup.procs", "0"))
		return skipped("a group's threads");
	cfg.release_batch = 1;
	REQUIRE(ouro_init(&cfg) == 0);
	counters_clear();
	REQUIRE(EVENTUALLY(process_threads() == 3));
	struct node *late = make_list(&counted_type, 100), *plain = make_list(&node_type, 100);
	thread_run(release_here, make_of(&blocking_type, 1));
	REQUIRE(EVENTUALLY(n_blocked == 1));
	snprintf(most, sizeof(most), "%zu", process_threads());
	REQUIRE(group_write(g, g->limit, most));
	pthread_t t;
	REQUIRE(pthread_create(&t, NULL, release_here, NULL) == EAGAIN);
	ouro_release(plain);
	ouro_release(late);
	REQUIRE(EVENTUALLY(objects_live() <= 101)); /* the one that blocks, and those that call the program */
	sleep_ms(50); /* ticks that are refused one */
	REQUIRE(group_write(g, g->limit, "max"));
	REQUIRE(EVENTUALLY(n_destroyed == 100));
	REQUIRE(n_blocked == 1);
	atomic_store(&let_go, true);
	REQUIRE(ouro_flush() == 0);
	REQUIRE(objects_live() == 0);
	stop_heap();
	return 0;
}

static void system_threads_of_a_group(void **state)
{
	(void)state;
	run_in_group("/sys/fs/cgroup/pids", "pids.max", "pids.max", group_threads_child);
}

static void system_no_threads(void **state)
{
	(void)state;
	system_run(no_thread_child, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(system_locked_memory_is_not_taken_for_zeroed),
		BARE_CASE(system_locked_memory_is_used_again_at_the_limit),
		HEAP_CASE(system_huge_object_is_unmapped_by_nobody_in_a_gate),
		BARE_CASE(system_huge_objects_one_after_the_other_at_the_limit),
		BARE_CASE(system_no_call_is_a_cancellation_point),
		BARE_CASE(system_membarrier_refused_before_the_start),
		BARE_CASE(system_membarrier_refused_after_the_start),
		BARE_CASE(system_membarrier_refused_while_pinned),
		BARE_CASE(system_madvise_refused),
		BARE_CASE(system_futex_refused),
		BARE_CASE(system_no_address_space),
		BARE_CASE(system_no_overcommit),
		BARE_CASE(system_no_memory_to_lock),
		BARE_CASE(system_memory_of_a_group),
		BARE_CASE(system_threads_of_a_group),
		BARE_CASE(system_no_threads),
	};

	return cmocka_run_group_tests_name("system", tests, NULL, NULL);
}
