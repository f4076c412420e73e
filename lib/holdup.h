/* holdup.h - what holds threads up for longer than the pause budget is counted, and told. */
#ifndef OI_HOLDUP_H
#define OI_HOLDUP_H

#include "compiler.h"
#include "ouro.h"

struct oi_thread;

/*
 * @t, or NULL for a thread without a record, was kept for @ns. Notes it if that is more than pause_budget_ns and the thread is the
 * program's. Callable anywhere: in a gate, with locks held, in a stop; the listeners are told later, by the collector thread.
 */
void oi_holdup(const struct oi_thread *t, ouro_holdup cause, uint64_t ns);
/* By the collector thread, outside its gate and with no lock held: tells the listeners what was noted since the last time. */
void oi_holdup_tell(void);
const char *oi_holdup_name(ouro_holdup cause);
void oi_holdup_statistics(ouro_stats *out);
void oi_holdup_reset(void);

#endif
