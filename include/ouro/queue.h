/*
 * ouro/queue.h - finalizers of one type on a thread of the program's choice
 *
 * A finalizer runs on whichever thread drops the last reference, or on one of the library's. Where
 * it must be a certain one, as for what belongs to an event loop, the type's finalizer hands the
 * object on to a queue that this thread runs:
 *
 *     static ouro_queue to_loop = OURO_QUEUE_INIT(wake_loop, &loop); // wake_loop: uv_async_send
 *     static void close_connection(void *obj);                       // runs on the loop's thread
 *     OURO_FINALIZE_ON(connection_finalize, &to_loop, close_connection)
 *     static const ouro_type connection_type = { ..., .finalize = connection_finalize };
 *
 * and the loop, when it is woken, calls ouro_queue_run(&to_loop, 100). What waits is held by the
 * queue, as by a slot: the object, and all that it refers to, stays until its function has run, and
 * then dies without another finalizer. (If it was in a cycle, the next collection finds it.)
 */
#ifndef OURO_QUEUE_H
#define OURO_QUEUE_H

#include "base.h"

OURO_BEGIN_DECLS

/* Static, or in memory that outlives its use. Zero bytes are a queue that wakes nobody. */
typedef struct ouro_queue {
	void *in, *out;          /* private */
	void (*wake)(void *arg); /* when something comes into an empty queue; may be NULL */
	void *arg;
} ouro_queue;

#define OURO_QUEUE_INIT(wake, arg) { NULL, NULL, wake, arg }

/*
 * ouro_queue_put - have fn(@obj) run by whoever runs the queue; from any thread
 * @obj: borrowed; the queue holds a reference of its own
 *
 * In a finalizer this brings @obj back to life until fn has run. It may also be called elsewhere.
 * Return:  0; EINVAL (a NULL); ENOMEM: it is not queued.
 * Blocks:  as ouro_new.
 * Runs:    wake, on this thread, if the queue was empty: it may be called from many threads, and
 *          once too often.
 */
OURO_API int ouro_queue_put(ouro_queue *queue, void *obj, void (*fn)(void *obj));

/*
 * ouro_queue_run - run up to @max of what was put, in its order; by one thread at a time
 *
 * Before ouro_shutdown it is run until it returns 0: what is left in it then is destroyed, but its
 * functions do not run.
 * Return:  how many ran.
 * Blocks:  as long as what it runs.
 * Runs:    these functions, then callbacks of the objects that die. An exception may leave one: the
 *          rest stays queued.
 */
OURO_API size_t ouro_queue_run(ouro_queue *queue, size_t max);

OURO_END_DECLS

/*
 * OURO_FINALIZE_ON(name, queue, fn) - defines a finalizer of that name, which has fn run by @queue;
 *                                     without memory for that it calls fn itself
 */
#define OURO_FINALIZE_ON(name, queue, fn) \
	static void name(void *obj) \
	{ \
		if (ouro_queue_put(queue, obj, fn) != 0) \
			fn(obj); \
	}

#endif
