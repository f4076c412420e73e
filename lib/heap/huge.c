/*
 * huge.c - the heap's parts that are in use as a whole, mapped by huge pages
 *
 * To advise the system that all of the heap may have huge pages would be less work. But then the
 * first touch of each makes a thread wait, within an operation, until the system has found and
 * zeroed 2 MiB; and as memory goes back in pieces of 64 KiB, the system would fill in what it was
 * given back. So the collector's thread asks for one huge page after another where that takes no
 * more memory than there is.
 */
#include "heap/huge.h"

#include <errno.h>

#include "base/os.h"
#include "base/perturb.h"
#include "base/runtime.h"
#include "base/wake.h"
#include "heap/heap.h"
#include "heap/region.h"
#include "heap/unit.h"

#define SLICE_NS 1000000    /* in one tick */
#define RETRY_NS 1000000000

static uint64_t not_before; /* ns; after the system had no memory. The tick alone */
static uint64_t again_at;   /* ns; when to try once more what was refused. The tick alone */

void oi_heap_unlock_taken(void)
{
	bool any = oi_unit_any() && oi_runtime.config.huge_pages;
	oi_heap_unlock();
	if (unlikely(any))
		oi_wake_trim();
}

/*
 * Makes one unit huge. Returns false if there is none, or no memory. Other refusals are about this
 * one: the system was using a page of it, or nothing in it was ever touched. (Or there is nothing
 * that it would not refuse, and it says so soon.)
 */
static bool make_one(void)
{
	oi_heap_lock();
	void *unit = oi_unit_take();
	oi_heap_unlock();
	if (!unit)
		return false;
	int error = oi_os_collapse(unit, OI_UNIT);
	oi_point("huge: asked");
	oi_heap_lock();
	oi_unit_settle(unit, !error);
	oi_heap_unlock();
	if (error == ENOMEM)
		not_before = oi_now_ns() + RETRY_NS;
	return error != ENOMEM;
}

/* Refused units wait for a tick that comes for other reasons, and for some time. */
static bool any_wait(uint64_t now)
{
	oi_heap_lock();
	if (now >= again_at) {
		oi_unit_try_again();
		again_at = now + RETRY_NS;
	}
	bool any = oi_unit_any();
	oi_heap_unlock();
	return any;
}

bool oi_huge_tick(void)
{
	uint64_t began = oi_now_ns(), now = began;
	if (!oi_runtime.config.huge_pages || began < not_before || !any_wait(began))
		return false;
	while (now - began < SLICE_NS && make_one())
		now = oi_now_ns();
	return now - began >= SLICE_NS;
}
