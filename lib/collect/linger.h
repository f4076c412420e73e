/* linger.h - garbage that only weak upgrades keep, which come and go. */
#ifndef OI_LINGER_H
#define OI_LINGER_H

#include "collect/pass.h"

/*
 * Inside the gate. @h, a member, has @excess references more than members have to it, which may be
 * upgrades'.
 */
void oi_linger_doubt(struct oi_pass *p, struct oi_header *h, int64_t excess);
/*
 * Outside the gate, after the commit, before the list of p->garbage is sifted. Notes which
 * candidates were rescued, if they are few, and which doubts come and go.
 */
void oi_linger_note(struct oi_pass *p);
/*
 * After that: decides about these, in a few short stops. What is dead is declared garbage, and goes
 * onto the list.
 */
void oi_linger_decide(struct oi_pass *p);
/* In the child of a fork, world stopped: opens the door, and forgets what was noted. */
void oi_linger_inherit(struct oi_pass *p);

#endif
