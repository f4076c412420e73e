/* verify.h - the heap verifier: walks everything and checks the numbered invariants of lib/README.md. */
#ifndef OI_VERIFY_H
#define OI_VERIFY_H

#include "base/compiler.h"

/* Stops the world and checks. NULL: all invariants hold; else which one does not, and where (static buffer). */
const char *oi_verify_heap(void);

/* In checked builds, in the stop of every young collection: P1, with OURO_VERIFY=1 all; aborts on a violation. */
#if OURO_CHECKED
void oi_verify_stopped(void);
#else
OI_INLINE void oi_verify_stopped(void)
{
}
#endif

#endif
