/* loader.h - what the library asks of the dynamic loader: shared objects that go away, and other copies of itself. */
#ifndef OI_LOADER_H
#define OI_LOADER_H

#include "base/compiler.h"

/*
 * Does @address lie in an object that is there as long as the process: the program, what was loaded with it, or this library
 * itself? Not so: in one that dlclose may take away, in memory the program made. Takes a lock of the loader's: outside the gate.
 */
bool oi_loader_keeps(const void *address);

/* Under the runtime lock: other copies of the library may see that this one runs, or does no more. */
void oi_loader_started(void);
void oi_loader_ended(void);
/*
 * Having started: the file of another copy that runs ("the program" if it lies there), or NULL. With no lock of the library's held: it
 * waits for one of the loader's, whose holder, in a function that dl_iterate_phdr calls, may fork, which waits for ours.
 */
const char *oi_loader_other(void);

#endif
