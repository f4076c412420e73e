/* scan.h - finding the candidates of a concurrent collection. */
#ifndef OI_SCAN_H
#define OI_SCAN_H

#include "collect/pass.h"

/*
 * Outside the gate. Puts what may be garbage onto the list of p->garbage, flagged. Sets p->failed
 * if there is no memory.
 */
void oi_scan(struct oi_pass *p);

/* In the child of a fork. Returns true if helpers have vanished while they found candidates. */
bool oi_scan_inherit(struct oi_pass *p);

#endif
