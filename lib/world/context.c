/* context.c - see context.h. */
#include "world/context.h"

__thread unsigned oi_inside_program;

#if OURO_CHECKED

#include "base/doors.h"
#include "base/lock.h"
#include "base/log.h"
#include "world/thread.h"
#include "world/world.h"

static __thread bool in_pause; /* the program's code runs in a stop */

static bool is_stopper(void)
{
	return oi_lock_held(OI_LOCK_REGISTRY) && oi_world.stopped;
}

bool oi_context_waited_for(void)
{
	const struct oi_thread *t = oi_self;
	return t && oi_load_relaxed(&t->gate) && !oi_load_relaxed(&t->forking); /* owner */
}

void oi_context_inside(const struct oi_thread *t, const char *where)
{
	if (!oi_load_relaxed(&t->gate)) /* owner */
		oi_abort("%s: outside the gate", where);
}

void oi_context_outside(const struct oi_thread *t, const char *where)
{
	if (t && oi_load_relaxed(&t->gate) && !oi_load_relaxed(&t->pin_depth)) /* owner */
		oi_abort("%s: inside the gate", where);
}

void oi_context_unpinned(const struct oi_thread *t, const char *where)
{
	if (t && oi_load_relaxed(&t->gate)) /* owner */
		oi_abort("%s: inside the gate", where);
}

void oi_context_at_rest(const struct oi_thread *t, const char *where)
{
	/* owner */
	if (!oi_lock_held(OI_LOCK_REGISTRY) && (t != oi_self || !oi_load_relaxed(&t->gate)))
		oi_abort("%s: neither inside the gate nor on behalf of who is kept outside", where);
}

void oi_context_stopped(const char *where)
{
	if (!is_stopper())
		oi_abort("%s: the world is not stopped by this thread", where);
}

void oi_context_dying(const struct oi_thread *t, bool dying, const char *where)
{
	if ((t->dying != 0) != dying)
		oi_abort("%s: %s a death", where, dying ? "outside" : "inside");
}

void oi_context_program(const char *where)
{
	if (is_stopper())
		oi_abort("%s: the program's code is called in a stop", where);
	if (oi_lock_any_held(true))
		oi_abort("%s: the program's code is called while the lock \"%s\" is held", where,
			 oi_lock_any_held(true));
	oi_context_outside(oi_self, where);
}

unsigned oi_context_listener(bool pause)
{
	oi_context_outside(oi_self, "listener");
	in_pause = pause;
	if (!pause && oi_lock_any_held(false))
		oi_abort("a listener is called while the lock \"%s\" is held",
			 oi_lock_any_held(false));
	return oi_lock_floor();
}

void oi_context_listener_over(unsigned before)
{
	in_pause = false;
	oi_lock_floor_back(before);
}

void oi_context_enter(void)
{
	if (in_pause)
		oi_abort("a listener called the library during a pause");
}

#endif
