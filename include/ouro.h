/*
 * ouro.h - Python's memory management for multi-threaded C and C++, without a GIL
 *
 * Objects carry biased atomic reference counts and die at once when the last reference goes; cycles
 * are found by a background thread; weak references resolve through a side table. Include this
 * header, link with -louro (pkg-config: ouro). SPDX-License-Identifier: MIT
 *
 * The one rule. A pointer that ouro_new, ouro_new_items, ouro_load, ouro_take, ouro_exchange,
 * ouro_retain, ouro_try_retain or ouro_weak_load returned is one counted reference, yours, until
 * you release it or give it away. A thread may sleep in a system call for an hour holding hundreds
 * of them. Only the uncounted pointers of ouro_peek are tied to a pinned region (ouro/thread.h).
 *
 * Errors. An int result is 0 or an errno value, as in pthreads. A pointer result is NULL, and a
 * ssize_t result -1, with errno set. A call that fails has changed nothing. Any call starts the
 * heap if nothing has (as ouro_init(NULL)).
 *
 * Threads. Every function may be called from any thread at any time, beside any other, unless its
 * comment says otherwise. None is async-signal-safe.
 *
 * What the comments say of a function:
 *   Return  what it returns, and which errors it answers.
 *   Blocks  what it may wait for. "As any call" means: until a stop of the world is over, or what
 *           another thread does in this one's place; it may also have to do a slice of what other
 *           threads' releases left to this one; and the first call of a thread attaches it. What of
 *           this takes longer than ouro_config.pause_budget_ns is counted (ouro/holdup.h). Inside a
 *           pinned region a call waits for none of it. "No" means not at all, but for the first
 *           call.
 *   Runs    which code of the program it may call on this thread. "Callbacks" are finalizers,
 *           clears, destroys and watches, of any objects that die of the call: hold no lock that
 *           one of these takes. Where nothing is said it runs none.
 *
 * Words on ownership: "borrowed" (the caller's reference is only looked at), "new reference" (the
 * caller owns the result), "steals" (takes over the caller's reference).
 */
#ifndef OURO_H
#define OURO_H

#define OURO_VERSION_MAJOR 0
#define OURO_VERSION_MINOR 1
#define OURO_VERSION_PATCH 0
/* One number to compare: 0.1.0 is 100, 1.2.3 would be 10203. */
#define OURO_VERSION_NUMBER \
	(OURO_VERSION_MAJOR * 10000 + OURO_VERSION_MINOR * 100 + OURO_VERSION_PATCH)

#include "ouro/base.h"
#include "ouro/type.h"
#include "ouro/object.h"
#include "ouro/slot.h"
#include "ouro/weak.h"
#include "ouro/map.h"
#include "ouro/weak_map.h"
#include "ouro/key_map.h"
#include "ouro/vec.h"
#include "ouro/bytes.h"
#include "ouro/thread.h"
#include "ouro/auto.h"
#include "ouro/queue.h"
#include "ouro/holdup.h"
#include "ouro/gc.h"
#include "ouro/stats.h"
#include "ouro/sites.h"
#include "ouro/trace.h"
#include "ouro/inspect.h"

#endif
