/*
 * tidy.c - takes from parked threads what they hold and do not use. Note [PARK] says which threads
 * are parked.
 */
#include "process/tidy.h"

#include "collect/solo.h"
#include "count/backlog.h"
#include "count/merge.h"
#include "heap/empty.h"
#include "heap/heap.h"
#include "heap/limbo.h"
#include "heap/pace.h"
#include "world/gate.h"
#include "world/park.h"
#include "world/world.h"

#define TIDY_AT_A_TIME 64 /* threads */

/* If something of its is still in limbo, the tick frees that first, and comes back. */
static void tidy(struct oi_thread *t, void *arg)
{
	oi_heap_tidy(t);
	oi_merge_tidy(t);
	oi_backlog_tidy(t);
	oi_solo_tidy(t);
	if (!oi_limbo_tidy(t, arg) && t->parked)
		oi_park_untidy_again(t);
}

static void tidy_some(void)
{
	struct oi_thread *t;
	for (int i = 0; i < TIDY_AT_A_TIME && (t = oi_park_next_untidy()); i++) {
		struct oi_batch *spare = NULL;
		oi_world_seize(t, tidy, &spare);
		oi_limbo_unmap(spare); /* with no lock held, and nobody kept out */
	}
}

/* Also takes in what they had counted, should no thread of the program's come by for it. */
static void flush_counts(struct oi_thread *t)
{
	if (!oi_load_relaxed(&oi_park_left.any)) /* recheck: set before the tick was asked for */
		return;
	oi_gate_enter(t);
	oi_pace_flush(t);
	oi_gate_leave(t);
}

bool oi_tidy_tick(void)
{
	oi_park_tick();
	tidy_some();
	flush_counts(oi_self);
	return oi_park_more();
}
