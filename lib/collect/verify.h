/* verify.h - the heap verifier: walks everything, and checks the invariants of lib/README.md. */
#ifndef OI_VERIFY_H
#define OI_VERIFY_H

#include "base/compiler.h"

/*
 * Stops the world and checks. Returns NULL if all invariants hold; else which one does not, and
 * where, in a static buffer.
 */
const char *oi_verify_heap(void);

/*
 * In checked builds, in the stop of every young collection: checks P1, and with OURO_VERIFY=1 all.
 * Aborts on a violation.
 */
#if OURO_CHECKED
void oi_verify_stopped(void);
#else
OI_INLINE void oi_verify_stopped(void)
{
}
#endif

#endif
