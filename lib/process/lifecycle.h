/* lifecycle.h - starting the heap when it is needed first, and what a fork leaves of its end. */
#ifndef OI_LIFECYCLE_H
#define OI_LIFECYCLE_H

#include "base/compiler.h"

/* Starts the heap with defaults if nothing has. False: no memory or no thread. */
bool oi_lifecycle_ensure(void);
/*
 * For calls that cannot fail: without the library's threads if need be, which are then started at
 * the next need.
 */
bool oi_lifecycle_ensure_anyhow(void);

/* In the child of a fork, last: what another thread had begun to end. */
void oi_lifecycle_fork_child(void);

#endif
