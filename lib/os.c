/* os.c - memory, time, futex, membarrier, thread names: every system call of the library. */
#include "os.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "perturb.h"

#if OI_ASAN
#include <sanitizer/asan_interface.h>
#endif

static int64_t reserved;

uint64_t oi_now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void oi_os_charge(int64_t bytes)
{
	oi_add_relaxed(&reserved, bytes); /* count */
}

uint64_t oi_os_reserved(void)
{
	int64_t n = oi_load_relaxed(&reserved); /* count */
	return n > 0 ? (uint64_t)n : 0;
}

static void *map(size_t bytes, int more)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | more, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

void *oi_os_map(size_t bytes)
{
	void *p = oi_perturb_fail() ? NULL : map(bytes, 0);
	if (p)
		oi_os_charge((int64_t)bytes);
	return p;
}

void *oi_os_map_list(size_t bytes)
{
	return oi_perturb_fail() ? NULL : map(bytes, 0);
}

void *oi_os_remap_list(void *p, size_t bytes, size_t new_bytes)
{
#if OI_TSAN
	/* ThreadSanitizer knows mmap and munmap, but not mremap: what it noted of the old addresses would stay, for whoever
	 * is moved there next, and be reported as a race with them. */
	void *q = oi_os_map_list(new_bytes);
	if (!q)
		return NULL;
	memcpy(q, p, bytes);
	munmap(p, bytes);
	return q;
#else
	void *q = oi_perturb_fail() ? MAP_FAILED : mremap(p, bytes, new_bytes, MREMAP_MAYMOVE);
	return q == MAP_FAILED ? NULL : q;
#endif
}

void oi_os_unmap_list(void *p, size_t bytes)
{
	munmap(p, bytes);
}

void oi_os_unmap(void *p, size_t bytes)
{
	munmap(p, bytes);
	oi_os_charge(-(int64_t)bytes);
}

void *oi_os_reserve(size_t bytes, size_t alignment)
{
	if (oi_perturb_fail())
		return NULL;
	char *p = map(bytes + alignment, MAP_NORESERVE);
	if (!p)
		return NULL;
	size_t front = (alignment - ((uintptr_t)p & (alignment - 1))) & (alignment - 1);
	if (front)
		munmap(p, front);
	munmap(p + front + bytes, alignment - front);
	return p + front;
}

void oi_os_unreserve(void *p, size_t bytes)
{
#if OI_ASAN
	__asan_unpoison_memory_region(p, bytes); /* the addresses will be somebody else's */
#endif
	munmap(p, bytes);
}

void oi_os_purge(void *p, size_t bytes)
{
	madvise(p, bytes, MADV_DONTNEED);
}

/* Linux 5.14; before, each is mapped when it is first touched. */
void oi_os_populate(void *p, size_t bytes)
{
#ifdef MADV_POPULATE_WRITE
	int saved = errno;
	uintptr_t from = (uintptr_t)p & ~(uintptr_t)(OI_OS_PAGE - 1);
	madvise((void *)from, (uintptr_t)p + bytes - from, MADV_POPULATE_WRITE);
	errno = saved;
#else
	(void)p;
	(void)bytes;
#endif
}

void *oi_calloc(size_t n, size_t bytes)
{
	return oi_perturb_fail() ? NULL : calloc(n, bytes);
}

void oi_futex_wait(uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
	struct timespec t = { (time_t)(timeout_ns / 1000000000u), (long)(timeout_ns % 1000000000u) };
	int saved = errno;
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout_ns ? &t : NULL, NULL, 0);
	errno = saved;
}

void oi_futex_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 0x7fffffff, NULL, NULL, 0);
}

void oi_sleep_ns(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	int saved = errno;
	nanosleep(&t, NULL);
	errno = saved;
}

bool oi_membarrier_register(void)
{
	const char *off = getenv("OURO_MEMBARRIER"); /* 0: for systems, and tests, without the system call */
	if (off && off[0] == '0')
		return false;
	return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void oi_membarrier(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

pid_t oi_gettid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

bool oi_thread_alive(pid_t tid)
{
	return syscall(SYS_tgkill, getpid(), tid, 0) == 0;
}

void oi_thread_name(char out[16])
{
	if (pthread_getname_np(pthread_self(), out, 16))
		out[0] = 0;
}
