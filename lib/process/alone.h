/* alone.h - the first thread of the process has ended: are the library's all that is left? */
#ifndef OI_ALONE_H
#define OI_ALONE_H

#include "base/compiler.h"

/* The first thread is about to exit, and the process is not. */
void oi_alone_first_exits(void);
/* Returns true once that has happened: from then on oi_alone must be asked every so often. */
bool oi_alone_may_be(void);
#define OI_ALONE_NS 250000000u
/*
 * Called by a thread of the library's, of which there are @n. Returns true if these are all that is
 * left of the process; false also if the system does not say.
 */
bool oi_alone(unsigned n);
/* The caller takes the signals that are sent to the process: no other thread is there for them. */
void oi_alone_take_signals(void);
void oi_alone_fork_child(void);

#endif
