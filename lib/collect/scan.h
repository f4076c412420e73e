/* scan.h - finding the candidates of a concurrent collection. */
#ifndef OI_SCAN_H
#define OI_SCAN_H

#include "collect/pass.h"

/*
 * Outside the gate. Puts what may be garbage onto the list of p->garbage, flagged. Sets p->failed
 * if there is no memory.
 */
void oi_scan(struct oi_pass *p);

#endif
