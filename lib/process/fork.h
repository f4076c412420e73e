/* fork.h - a working heap in the child of a multi-threaded process. */
#ifndef OI_FORK_H
#define OI_FORK_H

#include "base/compiler.h"

/* Under the runtime lock. The handlers are registered when the library is loaded, or now; false: no memory for it. */
bool oi_fork_install(void);

#endif
