/* os.c - memory, time, futex, membarrier, thread names: every system call of the library. */
#include "base/os.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/holdup.h"
#include "base/perturb.h"
#include "base/poison.h"
#include "base/remnant.h"

static int64_t reserved;
size_t oi_os_page = 4096;

__attribute__((constructor(101))) static void learn_page(void)
{
	long n = sysconf(_SC_PAGESIZE);
	if (n > 0)
		oi_os_page = (size_t)n;
}

/* ---- memory ---- */

void oi_os_charge(int64_t bytes)
{
	oi_add_relaxed(&reserved, bytes); /* count */
}

uint64_t oi_os_reserved(void)
{
	int64_t n = oi_load_relaxed(&reserved); /* count */
	return n > 0 ? (uint64_t)n : 0;
}

/*
 * Each call is timed: with much memory, or a kernel that is short of it, one can take milliseconds.
 */
static void note_call(uint64_t began)
{
	oi_holdup_from(OURO_HOLDUP_MEMORY, began, oi_now_ns());
}

static void *map(size_t bytes, int more)
{
	if (oi_fail(OI_FAIL_ALLOC) || oi_fail(OI_FAIL_MMAP))
		return NULL;
	uint64_t began = oi_now_ns();
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | more,
		       -1, 0);
	note_call(began);
	return p == MAP_FAILED ? NULL : p;
}

bool oi_os_unmap_now(void *p, size_t bytes)
{
	int saved = errno;
	uint64_t began = oi_now_ns();
	bool ok = !oi_fail(OI_FAIL_MUNMAP) && !munmap(p, bytes);
	note_call(began);
	errno = saved;
	return ok;
}

static size_t in_pages(size_t bytes)
{
	return (bytes + OI_OS_PAGE - 1) & ~(OI_OS_PAGE - 1);
}

/* Unmaps it now; if that is refused it becomes a remnant. @charged of the bytes are counted. */
static void unmap(void *p, size_t bytes, size_t charged)
{
	if (likely(oi_os_unmap_now(p, bytes)))
		oi_os_charge(-(int64_t)charged);
	else
		oi_remnant_add(p, in_pages(bytes), (int64_t)charged);
}

/* Like unmap, but later if it is much: callers may be inside a gate, or hold a lock. */
static void unmap_soon(void *p, size_t bytes, size_t charged)
{
	if (bytes < OI_REMNANT_LONG)
		unmap(p, bytes, charged);
	else
		oi_remnant_add(p, in_pages(bytes), (int64_t)charged);
}

static unsigned processors = 1;

/* Later a thread of the program may be bound to one of them. */
__attribute__((constructor)) static void count_processors(void)
{
	cpu_set_t set;
	if (!sched_getaffinity(0, sizeof set, &set))
		processors = (unsigned)CPU_COUNT(&set);
}

unsigned oi_os_processors(void)
{
	return processors;
}

void *oi_os_map_list(size_t bytes)
{
	void *p = oi_remnant_take(in_pages(bytes));
	return p ? p : map(bytes, 0);
}

void *oi_os_map(size_t bytes)
{
	void *p = oi_os_map_list(bytes);
	if (p)
		oi_os_charge((int64_t)in_pages(bytes));
	return p;
}

static void *remap_by_copy(void *p, size_t bytes, size_t new_bytes)
{
	void *q = oi_os_map_list(new_bytes);
	if (!q)
		return NULL;
	memcpy(q, p, bytes);
	oi_os_unmap_list(p, bytes);
	return q;
}

/*
 * Copies if the system refuses, and under ThreadSanitizer, which knows mmap and munmap, but not
 * mremap: what it noted of the old addresses would stay, and be reported as a race with whoever
 * gets them next.
 */
void *oi_os_remap_list(void *p, size_t bytes, size_t new_bytes)
{
	void *q = MAP_FAILED;
	if (oi_fail(OI_FAIL_ALLOC))
		return NULL;
	uint64_t began = oi_now_ns();
	if (!OI_TSAN && !oi_fail(OI_FAIL_MREMAP))
		q = mremap(p, bytes, new_bytes, MREMAP_MAYMOVE);
	note_call(began);
	return q == MAP_FAILED ? remap_by_copy(p, bytes, new_bytes) : q;
}

void oi_os_unmap_list(void *p, size_t bytes)
{
	unmap_soon(p, bytes, 0);
}

void oi_os_unmap(void *p, size_t bytes)
{
	unmap_soon(p, bytes, in_pages(bytes));
}

/* They exist if the program is built with LeakSanitizer, or AddressSanitizer, which has it. */
void __lsan_register_root_region(const void *p, size_t bytes)
	__attribute__((weak, visibility("default")));
void __lsan_unregister_root_region(const void *p, size_t bytes)
	__attribute__((weak, visibility("default")));

void oi_os_root(const void *p, size_t bytes)
{
	if (__lsan_register_root_region)
		__lsan_register_root_region(p, bytes);
}

void oi_os_unroot(const void *p, size_t bytes)
{
	if (__lsan_unregister_root_region)
		__lsan_unregister_root_region(p, bytes);
}

void *oi_os_reserve(size_t bytes, size_t alignment)
{
	char *p = map(bytes + alignment, MAP_NORESERVE);
	if (!p)
		return NULL;
	size_t front = (alignment - ((uintptr_t)p & (alignment - 1))) & (alignment - 1);
	if (front)
		unmap(p, front, 0);
	if (alignment - front)
		unmap(p + front + bytes, alignment - front, 0);
	oi_os_root(p + front, bytes);
	return p + front;
}

/* Has the tools that look at memory forget it. */
static void forget(void *p, size_t bytes)
{
	oi_os_unroot(p, bytes);
	oi_unpoison(p, bytes); /* the addresses will be somebody else's */
}

void oi_os_unreserve(void *p, size_t bytes)
{
	forget(p, bytes);
	unmap(p, bytes, 0);
}

void oi_os_unreserve_later(void *p, size_t bytes, size_t charged)
{
	forget(p, bytes);
	oi_remnant_add(p, bytes, (int64_t)charged);
}

bool oi_os_purge(void *p, size_t bytes)
{
	int saved = errno;
	uint64_t began = oi_now_ns();
	bool ok = !oi_fail(OI_FAIL_MADVISE) && !madvise(p, bytes, MADV_DONTNEED);
	note_call(began);
	errno = saved;
	return ok;
}

/*
 * Linux has this since 5.14; before, each page is mapped when it is first touched. Where it is
 * refused nobody asks again.
 */
void oi_os_populate(void *p, size_t bytes)
{
#ifdef MADV_POPULATE_WRITE
	static bool refused;
	if (oi_load_relaxed(&refused)) /* recheck */
		return;
	int saved = errno;
	uintptr_t from = (uintptr_t)p & ~(uintptr_t)(OI_OS_PAGE - 1);
	size_t n = (uintptr_t)p + bytes - from;
	uint64_t began = oi_now_ns();
	bool ok = !oi_fail(OI_FAIL_MADVISE) && !madvise((void *)from, n, MADV_POPULATE_WRITE);
	int error = errno;
	note_call(began);
	if (!ok && (error == EINVAL || error == ENOSYS))
		oi_store_relaxed(&refused, true); /* recheck: each asks once more at most */
	errno = saved;
#else
	(void)p;
	(void)bytes;
#endif
}

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1; newer than some C libraries */
#endif

int oi_os_collapse(void *p, size_t bytes)
{
	int saved = errno;
	int error = oi_fail(OI_FAIL_MADVISE)		 ? EAGAIN
		    : madvise(p, bytes, MADV_COLLAPSE) ? errno
						       : 0;
	errno = saved;
	return error;
}

/* ---- time ---- */

/* The newest time that was told, to a millisecond. */
static uint64_t last_ns;

static uint64_t note_time(uint64_t ns)
{
	uint64_t last = oi_load_relaxed(&last_ns); /* recheck: a lower bound */
	if (unlikely(ns > last + 1000000))
		oi_store_relaxed(&last_ns, ns); /* recheck: a lower bound */
	return ns > last ? ns : last;
}

/*
 * Where the clock is refused, time passes by being asked for: whoever waits for a moment gets
 * there.
 */
static uint64_t time_without_clock(void)
{
	return oi_add_relaxed(&last_ns, (uint64_t)1000) + 1000; /* count */
}

uint64_t oi_now_ns(void)
{
	struct timespec t;
	int saved = errno;
	bool ok = !oi_fail(OI_FAIL_TIMER) && !clock_gettime(CLOCK_MONOTONIC, &t);
	errno = saved;
	return likely(ok) ? note_time((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec) :
			    time_without_clock();
}

static uint64_t scramble(uint64_t x)
{
	x = (x ^ x >> 31) * UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 29;
}

void oi_os_random(void *p, size_t bytes)
{
	int saved = errno;
	bool ok = getrandom(p, bytes, GRND_NONBLOCK) == (ssize_t)bytes;
	errno = saved;
	uint64_t x = (uintptr_t)p;
	for (size_t i = 0; !ok && i < bytes; i++)
		((unsigned char *)p)[i] = (unsigned char)((x = scramble(x + oi_now_ns())) >> 24);
}

static uint64_t cpu_ns(clockid_t whose)
{
	struct timespec t;
	int saved = errno;
	bool ok = !oi_fail(OI_FAIL_TIMER) && !clock_gettime(whose, &t);
	errno = saved;
	return likely(ok) ? (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec : oi_now_ns();
}

uint64_t oi_cpu_ns(void)
{
	return cpu_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t oi_process_cpu_ns(void)
{
	return cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
}

/* Returns true if the sleep took place, or there was no reason for it. */
static bool slept(long answer)
{
	return answer == 0 || errno == EINTR || errno == EAGAIN || errno == ETIMEDOUT;
}

static bool futex_wait(uint32_t *word, uint32_t value, uint64_t ns)
{
	struct timespec t = timespec_of(ns);
	return !oi_fail(OI_FAIL_FUTEX) &&
	       slept(syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &t, NULL, 0));
}

/*
 * By system calls, since libc's functions of these names are cancellation points. A filter may
 * refuse one and not the others; if it refuses all, this at least lets others run.
 */
void oi_sleep_ns(uint64_t ns)
{
	static uint32_t nobody_wakes;
	struct timespec t = timespec_of(ns);
	int saved = errno;
	if (!(!oi_fail(OI_FAIL_TIMER) && slept(syscall(SYS_nanosleep, &t, NULL))) &&
	    !futex_wait(&nobody_wakes, 0, ns) &&
	    !slept(syscall(SYS_ppoll, NULL, 0, &t, NULL, 0)))
		sched_yield();
	errno = saved;
}

#define LONGEST_NS 1000000000u /* if the caller names no time */
#define NAP_MIN_NS 50000u
#define NAP_MAX_NS 4000000u

/* Instead of a futex: naps that grow while the same thing is waited for. */
static void nap_for(const uint32_t *word, uint32_t value, uint64_t longest)
{
	static __thread struct {
		const uint32_t *word;
		uint32_t value;
		uint64_t ns;
	} last;
	bool again = last.word == word && last.value == value;
	last.word = word;
	last.value = value;
	last.ns = !again ? NAP_MIN_NS : last.ns * 2 < NAP_MAX_NS ? last.ns * 2 : NAP_MAX_NS;
	oi_sleep_ns(last.ns < longest ? last.ns : longest);
}

void oi_futex_wait(uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
	uint64_t longest = timeout_ns ? timeout_ns : LONGEST_NS;
	int saved = errno;
	if (unlikely(!futex_wait(word, value, longest)) &&
	    __atomic_load_n(word, __ATOMIC_SEQ_CST) == value) /* recheck: by the caller */
		nap_for(word, value, longest);
	errno = saved;
}

/* If it is refused, the threads that sleep look again when their time is over. */
void oi_futex_wake(uint32_t *word)
{
	int saved = errno;
	if (!oi_fail(OI_FAIL_FUTEX))
		syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 0x7fffffff, NULL, NULL, 0);
	errno = saved;
}

/* ---- membarrier ---- */

bool oi_membarrier(void)
{
	int saved = errno;
	bool ok = !oi_fail(OI_FAIL_MEMBARRIER) &&
		  !syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	errno = saved;
	return ok;
}

bool oi_membarrier_register(void)
{
	/* "0": for systems and tests that are to do without the system call */
	const char *off = getenv("OURO_MEMBARRIER");
	if (off && off[0] == '0')
		return false;
	int saved = errno;
	bool ok = !oi_fail(OI_FAIL_MEMBARRIER) &&
		  !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	errno = saved;
	return ok && oi_membarrier(); /* a filter may allow the one command and not the other */
}

/* ---- threads ---- */

void oi_write_stderr(const char *text, size_t bytes)
{
	int saved = errno;
	while (bytes) {
		ssize_t n = syscall(SYS_write, 2, text, bytes);
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		text += n > 0 ? n : 0;
		bytes -= (size_t)(n > 0 ? n : 0);
	}
	errno = saved;
}

pid_t oi_gettid(void)
{
	int saved = errno;
	pid_t tid = (pid_t)syscall(SYS_gettid);
	errno = saved;
	return tid; /* -1, which is nobody's, where it is refused */
}

bool oi_thread_alive(pid_t tid)
{
	int saved = errno;
	bool gone = tid > 0 && syscall(SYS_tgkill, getpid(), tid, 0) && errno == ESRCH;
	errno = saved;
	return !gone;
}

void oi_thread_name(char out[16])
{
	if (pthread_getname_np(pthread_self(), out, 16))
		out[0] = 0;
}
