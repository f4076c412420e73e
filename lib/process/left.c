/*
 * left.c - callbacks that do not return
 *
 * callback.c says how the program's code can be left, and notices that it was. What the thread had
 * in hand below that goes to others: what collections found to the reaper's queue, dead objects to
 * its backlog. What the record tells others, and what this thread holds off, becomes again what it
 * was when the program, or a callback further out, made the call that is left.
 */
#include "base/doors.h"
#include "base/log.h"
#include "base/runtime.h"
#include "base/wake.h"
#include "collect/flush.h"
#include "collect/garbage.h"
#include "count/backlog.h"
#include "count/death.h"
#include "count/stray.h"
#include "world/callback.h"
#include "world/context.h"
#include "world/gate.h"
#include "world/gclock.h"
#include "world/thread.h"

/*
 * Gives away what collections found, and an object with its watches; and the dead that wait, too,
 * if nothing is left on this thread that will come to them.
 */
static void give_away(struct oi_thread *t, const struct oi_callback *to)
{
	while (t->hand_garbage != to->hand_garbage)
		oi_garbage_put_back(t);
	if (!to->dying) {
		oi_gate_enter(t);
		oi_backlog_inherit(t);
		oi_gate_leave(t);
		oi_stray_leave(t);
		oi_flush_leave(t);
	}
	oi_wake_reap();
}

void oi_left(struct oi_thread *t, const struct oi_callback *outer)
{
	oi_assert_outside(t);
	static const struct oi_callback none;
	const struct oi_callback *to = outer ? outer : &none;
	if (t->traversed) /* the thread ends */
		oi_callback_check(t);
	if (oi_runtime_ends(t))
		oi_abort("%s did not return to ouro_shutdown", oi_callback_name(&t->called).text);
	if (!outer && oi_collect_locked_by_me() && !oi_lock_forking)
		oi_abort("%s did not return to the collection that called an event function",
			 oi_callback_name(&t->called).text);
	give_away(t, to);
	t->callback = outer;
	t->in_finalizer = to->in_finalizer;
	oi_store_release(&t->in_callback, to->in_callback); /* owner: as in callback.c */
	oi_store_relaxed(&t->deaths.armed, false); /* owner: the next push arms it again */
	oi_death_unwind(t, to->dying, to->serving);
	oi_collect_hold_off_only(to->holding_off);
}
