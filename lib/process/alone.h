/* alone.h - the first thread of the process has ended: are the library's all that is left? */
#ifndef OI_ALONE_H
#define OI_ALONE_H

#include "base/compiler.h"

/* The first thread is about to exit, and the process is not. */
void oi_alone_first_exits(void);
/* So it was: from now on it may come to it that oi_alone, at which somebody is to look every so often. */
bool oi_alone_may_be(void);
#define OI_ALONE_NS 250000000u
/* One of the library's asks, with @n of them there: are these all? False also if the system does not say. */
bool oi_alone(unsigned n);
/* It takes the signals that are sent to the process: nobody else is there to. */
void oi_alone_take_signals(void);
void oi_alone_fork_child(void);

#endif
