/* look.h - a thread looks for garbage among what it alone has touched. Inside its gate. */
#ifndef OI_LOOK_H
#define OI_LOOK_H

#include <stddef.h>

struct oi_thread;

/*
 * Finds what is garbage, unless another thread touches it before the grace period ends that
 * follows: the runs of the thread's lists. Returns how many objects it looked at; how many of them
 * live, and are older now, is in the lists.
 */
size_t oi_look(struct oi_thread *t);
/* In place of a look: makes what is young older, and finds nothing. */
void oi_look_left_out(struct oi_thread *t);

#endif
