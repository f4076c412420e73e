/*
 * poison.h - telling AddressSanitizer and valgrind which memory nobody may touch
 *
 * AddressSanitizer is told in every build with it; valgrind in checked builds, if its header is
 * there at compile time. For valgrind each call is a few instructions if the program does not run
 * in it.
 */
#ifndef OI_POISON_H
#define OI_POISON_H

#include "base/compiler.h"

#if OI_ASAN
#include <sanitizer/asan_interface.h>
#define oi_poison(p, n) __asan_poison_memory_region((p), (n))
#define oi_unpoison(p, n) __asan_unpoison_memory_region((p), (n))
#elif OI_VALGRIND
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wshadow"
#include <valgrind/memcheck.h>
#pragma GCC diagnostic pop
#define oi_poison(p, n) ((void)VALGRIND_MAKE_MEM_NOACCESS((p), (n)))
#define oi_unpoison(p, n) ((void)VALGRIND_MAKE_MEM_DEFINED((p), (n)))
#else
#define oi_poison(p, n) ((void)(p))
#define oi_unpoison(p, n) ((void)(p))
#endif

#define OI_POISONS (OURO_CHECKED || OI_ASAN) /* whether what is freed is made unusable */

#endif
