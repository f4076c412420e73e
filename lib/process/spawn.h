/* spawn.h - creating a thread of the library's own. */
#ifndef OI_SPAWN_H
#define OI_SPAWN_H

#include "base/compiler.h"

#include <pthread.h>

/*
 * @stack: bytes; 0: what the program's threads get. The thread has a policy, processors and a
 * signal mask of its own, whichever thread creates it. Returns 0, EAGAIN or ENOMEM.
 */
int oi_spawn(pthread_t *out, void *(*main)(void *arg), void *arg, size_t stack);

#endif
