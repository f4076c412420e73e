/* fork.h - a working heap in the child of a multi-threaded process. */
#ifndef OI_FORK_H
#define OI_FORK_H

#include "base/compiler.h"

/*
 * Under the runtime lock. Registers the handlers, if that was not done when the library was loaded.
 * Returns false if there is no memory for it.
 */
bool oi_fork_install(void);

#endif
