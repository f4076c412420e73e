/* holdup.h - what holds threads up for longer than the pause budget is counted, and told. */
#ifndef OI_HOLDUP_H
#define OI_HOLDUP_H

#include "base/buckets.h"
#include "base/compiler.h"
#include "base/flight.h"
#include "ouro.h"

/*
 * What is shorter is not in a trace. What others do to a thread is there from a microsecond on;
 * what it does itself, from where one sees it. A thread that fills a heap makes some thousands of
 * calls for memory a second, of 2 to 20 us each: they would leave no room for anything else.
 */
OI_INLINE uint64_t oi_holdup_traced_ns(ouro_holdup cause)
{
	return cause == OURO_HOLDUP_STOP || cause == OURO_HOLDUP_SEIZE ? 1000 : 50000;
}

/* This thread is one of the library's own, for which nobody waits: its waits are not noted. */
extern __thread bool oi_holdup_ours OI_HIDDEN;

/*
 * The calling thread was kept for @ns. Notes it if that is more than pause_budget_ns and the thread
 * is the program's. Callable anywhere: in a gate, with locks held, in a stop; the listeners are
 * told later, by the collector thread: oi_events_holdups.
 */
void oi_holdup(ouro_holdup cause, uint64_t ns);
/* The same of a call that was kept from @began_ns to @now_ns; if long, also noted for a trace. */
OI_INLINE void oi_holdup_from(ouro_holdup cause, uint64_t began_ns, uint64_t now_ns)
{
	if (oi_flight() && now_ns - began_ns >= oi_holdup_traced_ns(cause))
		oi_flight_span(OI_FLIGHT_HOLDUP, cause, began_ns, now_ns, 0, 0);
	oi_holdup(cause, now_ns - began_ns);
}
/* Says whether there are listeners; if not, the collector thread is not woken for them. */
void oi_holdup_listened(bool any);
/*
 * For the collector thread: how many were noted since the last time, and the longest. Returns false
 * if none was.
 */
bool oi_holdup_take(ouro_holdup cause, uint64_t *n, uint64_t *longest_ns);
const char *oi_holdup_name(ouro_holdup cause);
/* The histogram of those that oi_holdup has noted. */
const struct oi_buckets *oi_holdup_times(ouro_holdup cause);
void oi_holdup_statistics(ouro_stats *out);
void oi_holdup_reset(void);

#endif
