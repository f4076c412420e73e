/*
 * commit.h - from candidates to the dead: the exact check, and one instant that is the death of
 * all. See Note [COMMIT].
 */
#ifndef OI_COMMIT_H
#define OI_COMMIT_H

#include "collect/pass.h"

/*
 * Inside the gate. Makes a member a candidate, which the caller has or puts on p->garbage's list.
 * Returns false if it cannot be one.
 */
bool oi_commit_flag(struct oi_pass *p, struct oi_header *h, const struct oi_place *at);
/*
 * Outside the gate. Each object on p->garbage's list bears the flag, or has lost it since. Returns
 * true if the commit word is DEAD, and what bears the flag is dead; false if nothing is, for none
 * is left that bears it, or (p->failed) for want of memory.
 */
bool oi_commit(struct oi_pass *p);

#endif
