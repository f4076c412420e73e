/*
 * pin.c - the program keeps its thread inside the gate: pinned regions, and the safepoints in
 * them.
 */
#include "base/log.h"
#include "world/gate.h"
#include "world/thread.h"
#include "ouro.h"

static OI_NOINLINE void pin_slow(void)
{
	struct oi_thread *t = oi_gate_come();
	oi_gate_pin(t, t->pin_depth + 1);
}

void ouro_pin(void)
{
	struct oi_thread *t = oi_mine;
	if (unlikely(!oi_gate_try_enter(t)))
		pin_slow();
	else
		oi_gate_pin(t, t->pin_depth + 1);
}

void ouro_unpin(void)
{
	struct oi_thread *t = oi_mine;
	uint32_t depth;
	if (unlikely(!(depth = t->pin_depth))) {
		if (OURO_CHECKED)
			oi_abort("ouro_unpin: this thread is not pinned");
		return;
	}
	if (likely(depth == 1))
		oi_gate_unpin(t);
	else
		oi_store_relaxed(&t->pin_depth, depth - 1); /* owner */
}

static OI_NOINLINE void safepoint_slow(struct oi_thread *t, uint32_t depth)
{
	oi_gate_enter(t);
	oi_gate_pin(t, depth);
}

void ouro_safepoint(void)
{
	struct oi_thread *t = oi_mine;
	uint32_t depth;
	if (!(depth = t->pin_depth))
		return;
	oi_gate_unpin(t);
	if (unlikely(!oi_gate_try_enter(t)))
		safepoint_slow(t, depth);
	else
		oi_gate_pin(t, depth);
}
