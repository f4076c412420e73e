/* ouro/base.h - what every ouro header needs: linkage, attributes, standard types. */
#ifndef OURO_BASE_H
#define OURO_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#if !defined(__linux__) || !defined(__LP64__)
#error "ouro needs 64-bit Linux"
#endif

#if defined(__GNUC__)
#define OURO_API __attribute__((visibility("default")))
#else
#error "ouro needs gcc >= 12 or clang >= 14"
#endif

/*
 * Structs that grow. Fields may be added at the end of ouro_stats, ouro_config, ouro_report and
 * ouro_gc_stats, under the same soname: ouro_stats_get, ouro_init, ouro_shutdown and
 * ouro_gc_get_stats are inline functions that pass the size which the program was compiled with, so
 * that a library that knows more fields does not write, or read, behind an older program's. A
 * library that knows fewer fills the rest with 0. The symbols of the same names, which dlsym finds,
 * handle what the first published layouts had, and so do the functions if OURO_PLAIN is defined
 * before the headers are included.
 */

#ifdef __cplusplus
#define OURO_BEGIN_DECLS extern "C" {
#define OURO_END_DECLS }
#else
#define OURO_BEGIN_DECLS
#define OURO_END_DECLS
#endif

/*
 * It stands behind members that a program may leave out where it fills a struct by name: C++
 * compilers warn of those without a default.
 */
#ifdef __cplusplus
#define OURO_ZERO_ = {}
#else
#define OURO_ZERO_
#endif

/*
 * Behind a function that returns a new reference: gcc and clang warn of a call that drops it.
 * OURO_NEW_REFERENCE is for what makes an object: if the program defines OURO_CHECK_RELEASES before
 * the headers are included, gcc >= 11 also warns, with -Wall, where a pointer is used after its
 * ouro_release, or freed by another function, and with -fanalyzer where it leaks or is released
 * twice. gcc takes the pointer for the object, and does not know that something else may keep that:
 * a program that uses such an object by the pointer it has released is warned of, though it is
 * right. So it has to be asked for, and a program that does goes on with the pointer of the other
 * reference, as ouro_retain or ouro_load returned it.
 */
#define OURO_OWNED __attribute__((warn_unused_result))
#if !defined(__clang__) && __GNUC__ >= 11 && defined(OURO_CHECK_RELEASES)
#define OURO_NEW_REFERENCE __attribute__((warn_unused_result, malloc(ouro_release, 1)))
#else
#define OURO_NEW_REFERENCE OURO_OWNED
#endif

/* Behind a function out of which no exception comes, as it runs none of the program's code. */
#define OURO_NOTHROW __attribute__((nothrow))

OURO_BEGIN_DECLS

/*
 * ouro_version - the version of the library that is running, "major.minor.patch"
 *
 * Compare it with OURO_VERSION_* to see what the program was compiled against.
 * Return:  a string that is valid for ever.
 * Blocks:  no.
 */
OURO_API const char *ouro_version(void);

/*
 * ouro_object_visitor - what the listing calls (ouro_gc_objects and its like) run for each object
 * @obj: borrowed for the call: retain it to keep it
 * @arg: the caller's
 *
 * It may call the whole library, but ouro_shutdown answers EDEADLK and ouro_thread_detach does
 * nothing.
 * It may not wait for another thread that does the same walk. Of objects that other threads use, or
 * are just filling in, it may read what the program reads of shared objects: slots by the library,
 * the rest under the program's own locks.
 * Return:  false stops the walk.
 */
typedef bool (*ouro_object_visitor)(void *obj, void *arg);

OURO_END_DECLS

#endif
