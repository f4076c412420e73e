/* suspect.h - finding the candidates of a collection, beside the mutators. */
#ifndef OI_SUSPECT_H
#define OI_SUSPECT_H

#include "collect/pass.h"

/*
 * Outside the gate. Puts what may be garbage onto the list of p->set, flagged. Sets p->failed if
 * there is no memory.
 */
void oi_suspect_find(struct oi_pass *p);

#endif
