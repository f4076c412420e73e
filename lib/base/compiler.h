/*
 * compiler.h - attributes, and atomics with named orders
 *
 * Internal headers refuse to be included from outside.
 */
#ifndef OI_COMPILER_H
#define OI_COMPILER_H

#ifndef OURO_INTERNAL
#error "internal to libouro"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef OURO_CHECKED
#define OURO_CHECKED 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define OI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OI_ASAN 1
#endif
#endif
#ifndef OI_ASAN
#define OI_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define OI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define OI_TSAN 1
#endif
#endif
#ifndef OI_TSAN
#define OI_TSAN 0
#endif

#if OURO_CHECKED && !OI_ASAN && !OI_TSAN && defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#define OI_VALGRIND 1
#endif
#endif
#ifndef OI_VALGRIND
#define OI_VALGRIND 0
#endif

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define OI_INLINE static inline __attribute__((always_inline))
#define OI_COLD __attribute__((cold, noinline))
#define OI_NOINLINE __attribute__((noinline))
/* For what reads memory that is no variable's. */
#define OI_UNSANITIZED __attribute__((no_sanitize("address")))
#define OI_PRINTF(a, b) __attribute__((format(printf, a, b)))
/*
 * For declarations of variables that fast paths read: without it they are reached through the
 * global offset table.
 */
#define OI_HIDDEN __attribute__((visibility("hidden")))
/* Bytes of a cache line. Where it has 128, as on some arm64, neighbours may share one. */
#define OI_LINE 64

/*
 * The order is part of the name; each use says what it pairs with. What several threads use is
 * plain integers and pointers, not _Atomic ones: slots are fields of the program's structs, which
 * may be C++.
 */
#define oi_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define oi_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define oi_load_seq_cst(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define oi_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define oi_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define oi_exchange(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define oi_add_seq_cst(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define oi_exchange_seq_cst(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define oi_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define oi_add_acq_rel(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define oi_sub_acq_rel(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL)
#define oi_or_acq_rel(p, v) __atomic_fetch_or((p), (v), __ATOMIC_ACQ_REL)
#define oi_and_acq_rel(p, v) __atomic_fetch_and((p), (v), __ATOMIC_ACQ_REL)
/* On failure *expected becomes what is there, loaded with acquire. */
#define oi_cas(p, expected, desired) /* elsewhere: each use has its own tag */ \
	__atomic_compare_exchange_n((p), (expected), (desired), false, __ATOMIC_ACQ_REL, \
				    __ATOMIC_ACQUIRE)
#define oi_compiler_barrier() __asm__ volatile("" ::: "memory")

/*
 * The compiler forgets how it got the variable: otherwise gcc computes addresses of pages again and
 * again from their parts.
 */
#define oi_keep(p) __asm__("" : "+r"(p))
/* Likewise of one in memory: it is read anew, by the instruction that changes it. */
#define oi_keep_in_memory(v) __asm__("" : "+m"(v))

/* Adds to a counter that one thread writes and others may read: no read-modify-write is needed. */
#define oi_own_add(p, v) oi_store_relaxed((p), oi_load_relaxed(p) + (v))

OI_INLINE void oi_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory"); /* some tens of cycles, where yield is none */
#else
	oi_compiler_barrier();
#endif
}

#endif
