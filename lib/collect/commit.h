/* commit.h - from candidates to the dead: the exact check, and one instant that is the death of all. See Note [COMMIT]. */
#ifndef OI_COMMIT_H
#define OI_COMMIT_H

#include "collect/pass.h"

/* Inside the gate. Makes a member a candidate; false: it cannot be one. The caller has it, or puts it, on p->set's list. */
bool oi_commit_flag(struct oi_pass *p, struct oi_header *h, const struct oi_place *at);
/*
 * Outside the gate. Each object on p->set's list bears the flag, or has lost it since. True: the commit word is DEAD, and what
 * bears the flag is dead; false: nothing is, for none is left that bears it, or (p->failed) for want of memory.
 */
bool oi_commit(struct oi_pass *p);

#endif
