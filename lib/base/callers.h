/* callers.h - who called: the addresses on a thread's stack. */
#ifndef OI_CALLERS_H
#define OI_CALLERS_H

#include "base/compiler.h"

/*
 * Fills @pc with up to @max <= OI_CALLERS return addresses of the calling thread, innermost first;
 * the first is @from, if that is on the stack. Returns how many. Outside the gate, and with no lock
 * held: where the C library is older than 2.35, the unwinder takes the loader's lock.
 */
#define OI_CALLERS 32
unsigned oi_callers(void **pc, unsigned max, const void *from);

#endif
