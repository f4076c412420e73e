/*
 * loader.h - what the library asks of the dynamic loader: shared objects that go away, and other
 * copies of itself
 */
#ifndef OI_LOADER_H
#define OI_LOADER_H

#include "base/compiler.h"

/*
 * Returns true if @address lies in a shared object that stays as long as the process: the program,
 * what was loaded with it, or this library. Returns false if it lies in one that dlclose may take
 * away, or in memory that the program made. Outside the gate: it takes a lock of the loader's.
 */
bool oi_loader_keeps(const void *address);

/*
 * Writes which file the code there comes from, and where in it, as addr2line takes that:
 * "libx.so.1+0x2f0". Returns what snprintf does. Outside the gate, likewise.
 */
int oi_loader_place(const void *address, char *out, size_t bytes);

/*
 * Other copies of the library see from now on that this one runs; that it runs no more. Under the
 * runtime lock.
 */
void oi_loader_started(void);
void oi_loader_ended(void);
/*
 * Called after oi_loader_started. Returns the file name of another copy that runs ("the program" if
 * it lies there), or NULL. With no lock of the library's held: it waits for one of the loader's,
 * whose holder may fork in a function that dl_iterate_phdr calls, and that waits for ours.
 */
const char *oi_loader_other(void);

#endif
