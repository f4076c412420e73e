/* cascade.h - objects without callbacks that die of one another. */
#ifndef OI_CASCADE_H
#define OI_CASCADE_H

#include "world/object.h"
#include "world/thread.h"

/*
 * Inside the gate. Works off the thread's stack of dead objects, and what dies of that: at most a
 * slice, and at most *left objects, from which those done are subtracted. Returns the first that
 * must be dismantled outside the gate, with its cursor, or NULL.
 */
struct oi_header *oi_cascade(struct oi_thread *t, size_t *left, size_t *cursor);

#endif
