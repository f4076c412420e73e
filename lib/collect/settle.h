/* settle.h - what a thread has found by itself is garbage still, and is freed. Inside its gate. */
#ifndef OI_SETTLE_H
#define OI_SETTLE_H

#include <stdbool.h>

struct oi_thread;

/*
 * The grace period is over, and there was no stop since the look. Returns true if all members are
 * there, and nobody has touched one: then oi_settle_free follows, before the thread leaves its
 * gate.
 */
bool oi_settle(struct oi_thread *t);
/* Frees them. Leaves the gate and enters it again: meanwhile oi_solo_tidy may have been there. */
void oi_settle_free(struct oi_thread *t);
/*
 * Has the oracle look at the members, in a checked build, if nobody has touched one. Returns false
 * if there was another stop besides; this one's own changes nothing. Leaves the gate and enters it
 * again.
 */
bool oi_settle_judge(struct oi_thread *t);

#endif
