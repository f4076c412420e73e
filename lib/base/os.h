/*
 * os.h - the only file with system calls: memory, time, futex, membarrier, thread names
 *
 * The answer of each is looked at, here or by the caller. None is a cancellation point, and none
 * changes errno but those that answer NULL or false.
 */
#ifndef OI_OS_H
#define OI_OS_H

#include "base/compiler.h"

#include <sys/types.h>

uint64_t oi_now_ns(void);
/* The time for which the calling thread has run; oi_now_ns, where the system does not say. */
uint64_t oi_cpu_ns(void);
/* Like oi_cpu_ns, but for the whole process. */
uint64_t oi_process_cpu_ns(void);
/*
 * Fills @p with what nobody can guess; with the clock, where the system has nothing better. At most
 * 256 bytes.
 */
void oi_os_random(void *p, size_t bytes);
/* Returns how many processors the process might use when it began, or 1 if that is not known. */
unsigned oi_os_processors(void);

/*
 * Zeroed pages, counted in oi_os_reserved; NULL when the system has none (or a fault was injected).
 * From a MiB on they are given back later, and what the system does not take back is kept and used
 * again: remnant.h.
 */
void *oi_os_map(size_t bytes);
void oi_os_unmap(void *p, size_t bytes);
/*
 * Like oi_os_map, but for work lists that come and go: not counted, so that a collection at the
 * heap limit has room to work.
 */
void *oi_os_map_list(size_t bytes);
void *oi_os_remap_list(void *p, size_t bytes, size_t new_bytes);
void oi_os_unmap_list(void *p, size_t bytes);
/* For remnant.c. Returns false if the system refuses. */
bool oi_os_unmap_now(void *p, size_t bytes);
/* Address space only, aligned to @alignment, a power of two; not counted until oi_os_charge. */
void *oi_os_reserve(size_t bytes, size_t alignment);
void oi_os_unreserve(void *p, size_t bytes);
/* Callable inside a gate or under a lock: the tick does it. @charged: bytes counted until then. */
void oi_os_unreserve_later(void *p, size_t bytes, size_t charged);
/*
 * Has LeakSanitizer, where the program has it, look there for addresses of the program's memory;
 * ends that. The three functions above do it themselves.
 */
void oi_os_root(const void *p, size_t bytes);
void oi_os_unroot(const void *p, size_t bytes);
/*
 * Gives the memory back, keeps the address range, which reads as zero afterwards. Returns false if
 * the system keeps it as it is, as it does with what the program has locked; then it is not zeroed,
 * and not given back.
 */
bool oi_os_purge(void *p, size_t bytes);
#define OI_OS_PAGE oi_os_page
/* Bytes of a page of the system's: 4, 16 or 64 KiB. The library's pages are a multiple. */
extern size_t oi_os_page OI_HIDDEN;
/* Has the system map memory there, at once and for writing. It may fail: it is only a help. */
void oi_os_populate(void *p, size_t bytes);
/*
 * Has the system map that memory by huge pages, at once, whatever its settings are. Returns 0, or
 * the error: EINVAL if it does not know how, or may not.
 */
int oi_os_collapse(void *p, size_t bytes);
void oi_os_charge(int64_t bytes);
uint64_t oi_os_reserved(void);

/*
 * Sleeps while *word == value, for at most timeout_ns; 0: a second. It may return early, so every
 * caller looks again. No sleep is for ever: where futex is refused from some moment on, nobody
 * wakes the threads that sleep already. From then on this naps.
 */
void oi_futex_wait(uint32_t *word, uint32_t value, uint64_t timeout_ns);
void oi_futex_wake(uint32_t *word);
void oi_sleep_ns(uint64_t ns);

/* Returns true if expedited membarrier works in this process. */
bool oi_membarrier_register(void);
/* Returns false if the system refuses it (now). */
bool oi_membarrier(void);

/* Writes as much as stderr takes. */
void oi_write_stderr(const char *text, size_t bytes);

pid_t oi_gettid(void);
/* Returns false only if it is certain that the thread is gone. */
bool oi_thread_alive(pid_t tid);
void oi_thread_name(char out[16]);

#endif
