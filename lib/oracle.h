/* oracle.h - checked builds: is what a commit declares dead unreachable? */
#ifndef OI_ORACLE_H
#define OI_ORACLE_H

#include "pass.h"

#if OURO_CHECKED
/* Outside the gate, the commit word is DEAD. Aborts if one of the dead is reachable. */
void oi_oracle_judge(struct oi_pass *p);
#else
OI_INLINE void oi_oracle_judge(struct oi_pass *p)
{
	(void)p;
}
#endif

#endif
