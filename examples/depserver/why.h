/* why.h - why a package is still there */
#ifndef DEPSERVER_WHY_H
#define DEPSERVER_WHY_H

#include "buffer.h"

/*
 * why_write - a shortest path of holders to a package of the current graph, a line for each: type,
 *             name, the slot that leads on, references, and how many of these no object holds
 * @n: out: how many lines
 *
 * Blocks:  for a walk over the heap: not for a thread that others wait for.
 * Return:  0; ENOENT: there is no such package; ENOMEM; EAGAIN: everything moved meanwhile.
 */
int why_write(struct buffer *out, const char *key, size_t len, size_t *n);

#endif
