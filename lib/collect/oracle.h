/* oracle.h - in checked builds: the judgement on what a commit declares dead. */
#ifndef OI_ORACLE_H
#define OI_ORACLE_H

#include "collect/pass.h"

#if OURO_CHECKED
/*
 * Outside the gate. Aborts if one of the committed is reachable, or an object has fewer references
 * than the heap holds.
 */
void oi_oracle_judge(struct oi_pass *p);
/*
 * Outside the gate. Aborts if one of @n objects is reachable. Does nothing if a collection is under
 * way, or the heap is large. Returns true if the world was stopped for it.
 */
bool oi_oracle_judge_alone(struct oi_header *const *members, size_t n);
#else
OI_INLINE bool oi_oracle_judge_alone(struct oi_header *const *members, size_t n)
{
	(void)members, (void)n;
	return false;
}

OI_INLINE void oi_oracle_judge(struct oi_pass *p)
{
	(void)p;
}
#endif

#endif
