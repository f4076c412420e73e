/* lifecycle.h - starting the heap when it is needed first, and what a fork leaves of its end. */
#ifndef OI_LIFECYCLE_H
#define OI_LIFECYCLE_H

#include "base/compiler.h"

/*
 * Starts the heap, with the settings of the environment or the defaults, if nothing has. Returns
 * false if there is no memory or no thread.
 */
bool oi_lifecycle_ensure(void);
/*
 * Like oi_lifecycle_ensure, but for calls that cannot fail: if need be without the library's
 * threads, which the next need then starts.
 */
bool oi_lifecycle_ensure_anyhow(void);

/* In the child of a fork, last: deals with what another thread had begun to end. */
void oi_lifecycle_fork_child(void);

#endif
