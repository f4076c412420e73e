/*
 * ouro.h - Python's memory management for multi-threaded C and C++, without a GIL
 *
 * Objects carry biased atomic reference counts and die at once when the last reference goes; cycles are found by a
 * background thread; weak references resolve through a side table. Include this header, link with -louro
 * (pkg-config: ouro). SPDX-License-Identifier: MIT
 *
 * The one rule. A pointer that ouro_new, ouro_load, ouro_take, ouro_exchange, ouro_retain, ouro_try_retain or
 * ouro_weak_load returned is one counted reference, yours, until you release it or give it away. A thread may sleep in
 * a system call for an hour holding hundreds of them. Only the uncounted pointers of ouro_peek are tied to a pinned
 * region (ouro/thread.h).
 *
 * Errors. An int result is 0 or an errno value, as in pthreads. A pointer result is NULL, and a ssize_t result -1, with
 * errno set. A call that fails has changed nothing. Any call starts the heap if nothing has (as ouro_init(NULL)).
 *
 * Threads. Every function may be called from any thread at any time, beside any other, unless its comment says
 * otherwise. None is async-signal-safe.
 *
 * Words on ownership used in the comments: "borrowed" (the caller's reference is only looked at), "new reference" (the
 * caller owns the result), "steals" (takes over the caller's reference).
 */
#ifndef OURO_H
#define OURO_H

#define OURO_VERSION_MAJOR 0
#define OURO_VERSION_MINOR 1
#define OURO_VERSION_PATCH 0

#include "ouro/base.h"
#include "ouro/type.h"
#include "ouro/object.h"
#include "ouro/slot.h"
#include "ouro/weak.h"
#include "ouro/thread.h"
#include "ouro/holdup.h"
#include "ouro/gc.h"
#include "ouro/stats.h"

#endif
