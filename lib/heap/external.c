/*
 * external.c - what objects own outside of the heap, as far as the program says
 *
 * It counts in pace.c, for collections and for delays. The caller is not delayed here, since it may
 * hold any lock: whoever makes objects next is.
 */
#include "heap/pace.h"
#include "world/gate.h"

void ouro_external_bytes(const void *obj, int64_t delta)
{
	struct oi_thread *t = oi_enter();
	(void)obj; /* it may be dying, as in its destroy */
	oi_pace_external_add(delta);
	if (delta > 0)
		oi_pace_ask_for_large();
	oi_gate_leave(t);
}
