/*
 * cancel.h - calls of the library are no cancellation points
 *
 * A thread that is cancelled unwinds out of a cancellation point. Inside the library that could be
 * anywhere: with a lock held, in a stop, with dead objects in hand. So system calls are made as
 * such (os.h), and what calls libc's cancellation points, stdio above all, has cancellation off
 * meanwhile. Nothing is lost by it: the request waits for the thread's next such point.
 * The program's callbacks may be cancelled: callback.h. A thread may not be cancelled
 * asynchronously in here, as in nearly any library.
 */
#ifndef OI_CANCEL_H
#define OI_CANCEL_H

#include <pthread.h>

#include "base/compiler.h"

/* Returns what to give to oi_cancel_back. */
OI_INLINE int oi_cancel_off(void)
{
	int old = PTHREAD_CANCEL_ENABLE;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old); /* fails for other values only */
	return old;
}

OI_INLINE void oi_cancel_back(int old)
{
	pthread_setcancelstate(old, NULL);
}

#endif
