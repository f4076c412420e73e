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
#else
OI_INLINE void oi_oracle_judge(struct oi_pass *p)
{
	(void)p;
}
#endif

#endif
