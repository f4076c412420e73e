/* tidy.h - what parked threads hold and do not use is taken from them. */
#ifndef OI_TIDY_H
#define OI_TIDY_H

#include "base/compiler.h"

/*
 * From time to time, by the collector thread, outside the gate: parks who does nothing, and takes
 * from who has been parked for a while what it does not use. True: there is more to do.
 */
bool oi_tidy_tick(void);

#endif
