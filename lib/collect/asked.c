/*
 * asked.c - full collections that a call asks the collector thread for, and waits for as long as it
 *           likes
 *
 * Each call takes a number. The collector thread reads the last number, collects, and then answers
 * all calls up to that. What a call does not wait for goes on all the same.
 */
#include "collect/asked.h"

#include <errno.h>

#include "base/os.h"
#include "base/wake.h"
#include "collect/collect.h"
#include "world/gate.h"
#include "world/gclock.h"

static uint32_t asked, answered; /* the latter is a futex */

static bool is_answered(uint32_t now, uint32_t number)
{
	return (int32_t)(now - number) >= 0;
}

static int await_answer(uint32_t number, uint64_t ns)
{
	uint64_t began = oi_now_ns(), gone = 0;
	uint32_t now;
	while (!is_answered(now = oi_load_acquire(&answered), number)) { /* [B6] */
		if (gone >= ns)
			return ETIMEDOUT;
		oi_futex_wait(&answered, now, ns - gone);
		gone = oi_now_ns() - began;
	}
	return 0;
}

int ouro_gc_collect_for(uint64_t ns)
{
	const struct oi_thread *t = oi_current();
	if (t->pin_depth || t->internal || oi_collect_locked_by_me())
		return EDEADLK;
	uint32_t number = oi_add_acq_rel(&asked, 1u) + 1; /* [B6] */
	oi_wake_collect();
	return await_answer(number, ns);
}

void oi_asked_serve(void (*between)(void))
{
	uint32_t number = oi_load_acquire(&asked); /* [B6] */
	if (number == oi_load_relaxed(&answered)) /* owner */
		return;
	if (oi_collect_asked(between)) {
		oi_store_release(&answered, number); /* [B6] */
		oi_futex_wake(&answered);
	} else {
		/* Another call's collection is about to begin, or there is no memory. */
		oi_sleep_ns(1000000);
		oi_wake_collect();
	}
}

void oi_asked_shutdown(void)
{
	answered = asked;
}
