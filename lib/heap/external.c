/*
 * external.c - what objects own outside of the heap, as far as the program says
 *
 * The sum counts in pace.c, for collections and for delays. The caller is not delayed here, since
 * it may hold any lock: whoever makes objects next is. By type it is there to be shown: a word for
 * each, in memory that is not touched before somebody says something. By object nothing is kept:
 * the header has no room, and who says it now and then would pay for a table.
 */
#include "heap/external.h"

#include "heap/pace.h"
#include "heap/type.h"
#include "world/gate.h"

static int64_t by_type[OI_TYPES_MAX];

void ouro_external_bytes(const void *obj, int64_t delta)
{
	struct oi_thread *t = oi_enter();
	oi_pace_external_add(delta);
	if (obj) { /* it may be dying, as in its destroy: its header still says what it is */
		uint32_t type = oi_load_relaxed(&oi_header_of(obj)->type); /* owner: borrowed */
		oi_add_relaxed(&by_type[oi_type_number(type)], delta); /* count */
	}
	if (delta > 0)
		oi_pace_ask_for_large();
	oi_gate_leave(t);
}

uint64_t oi_external_of(uint32_t type)
{
	int64_t bytes = oi_load_relaxed(&by_type[type]); /* count */
	return bytes > 0 ? (uint64_t)bytes : 0;
}

void oi_external_shutdown(void)
{
	for (size_t i = 0; i < OI_TYPES_MAX; i++)
		if (by_type[i])
			by_type[i] = 0;
}
