/* demand.h - snapshots that a signal asks for. */
#ifndef OI_DEMAND_H
#define OI_DEMAND_H

#include "base/compiler.h"

/* The heap starts. */
void oi_demand_begin(void);
/* Returns true if one is asked for, and not yet begun. */
bool oi_demand_any(void);
/* Writes what is asked for, and what is asked for meanwhile. Outside the gate. */
void oi_demand_serve(void);
/* Forgets what is asked for: the heap ends, or this is the child of a fork. */
void oi_demand_forget(void);

#endif
