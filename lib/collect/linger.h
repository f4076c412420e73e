/* linger.h - dead sets that only weak upgrades keep, which come and go. */
#ifndef OI_LINGER_H
#define OI_LINGER_H

#include "collect/pass.h"

/* Inside the gate: @h, a member, has more references than members have to it, which may be upgrades'. */
void oi_linger_doubt(struct oi_pass *p, struct oi_header *h, int64_t excess);
/* Outside the gate, after the commit, before p->set's list is sifted: which candidates were rescued, if they are few. */
void oi_linger_note(struct oi_pass *p);
/* Afterwards: decides about these, in a few short stops. What is dead is condemned, and goes onto the list. */
void oi_linger_decide(struct oi_pass *p);
/* In the child of a fork, world stopped. */
void oi_linger_inherit(struct oi_pass *p);

#endif
