/* tidy.h - takes from parked threads what they hold and do not use. */
#ifndef OI_TIDY_H
#define OI_TIDY_H

#include "base/compiler.h"

/*
 * Called by the collector thread from time to time, outside the gate: parks threads that do
 * nothing, and takes from those that have been parked for a while what they do not use. Returns
 * true if there is more to do.
 */
bool oi_tidy_tick(void);

#endif
