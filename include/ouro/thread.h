/*
 * ouro/thread.h - the process, its threads, and pinned regions
 *
 * Every operation is itself a tiny pinned region: one that begins while the world is stopped waits
 * until it is started again. That is the whole safepoint protocol a user sees: a thread in a system
 * call or in pure C code never delays a stop, and nobody has to poll.
 *
 * pthread_cancel: no call of the library is a cancellation point; a request waits for the thread's
 * next one outside it. A thread may not be cancelled asynchronously (PTHREAD_CANCEL_ASYNCHRONOUS)
 * in a call.
 *
 * fork: the child has one thread and a working heap; references that other threads held stay
 * counted; what was queued for finalization is queued in both. A finalizer, clear, destroy or watch
 * that another thread was in counts as having run. Forking while pinned leaves the child pinned.
 * The library's threads in the child are started by the first operation that needs them. The
 * library's handlers of pthread_atfork are registered when it is loaded: those that a program
 * registers run outside of them, and may use it. Handlers that were registered before it was loaded
 * run while the world is stopped: they may make, count, store and release, but what waits for other
 * threads (collections, ouro_flush, ouro_shutdown, listings) answers EDEADLK.
 */
#ifndef OURO_THREAD_H
#define OURO_THREAD_H

#include "base.h"

OURO_BEGIN_DECLS

typedef enum ouro_finalizer_mode {
	/* Finalizers of automatic collections run on a thread of their own. */
	OURO_FINALIZERS_THREAD,
	/* They run when the program calls ouro_run_finalizers. */
	OURO_FINALIZERS_MANUAL,
} ouro_finalizer_mode;

/* Start from OURO_CONFIG_DEFAULT. Fields may be added at the end. In brackets: the environment. */
typedef struct ouro_config {
	/* As ouro_gc_set_threshold takes them. [OURO_THRESHOLD=g0,g1,g2] */
	int threshold[3];
	/* Automatic collection. [OURO_GC=0 or 1] */
	bool enabled;
	/* [OURO_FINALIZERS=thread or manual] */
	ouro_finalizer_mode finalizers;
	/* >= 1; how many objects one release destroys itself. [OURO_RELEASE_BATCH] */
	size_t release_batch;
	/*
	 * Bytes, the bound on ouro_stats.bytes_reserved; 0: none. At the limit an allocation runs a
	 * full collection (unless pinned or in a callback), and gets ENOMEM if that is not enough;
	 * callbacks of what it found run on the background thread, for which it waits a little.
	 * [OURO_HEAP_LIMIT, with an optional K, M or G]
	 */
	size_t heap_limit;
	/* >= 10 000; what one stop should not exceed. [OURO_PAUSE_BUDGET_NS] */
	uint64_t pause_budget_ns;
	/* The log names a thread that holds up a stop for longer; 0: never. [OURO_PIN_WARN_NS] */
	uint64_t pin_warn_ns;
	/*
	 * Threads that find the garbage of a full collection together, the collecting thread
	 * included, at most 8; 0: one up to four processors, beyond that for a quarter of them.
	 * The others are created for it and end with it; a collection does not wait for those that
	 * get no processor. They have the policy and the processors of the library's other threads:
	 * no real-time policy, and those of the thread that loaded the library. Each takes a byte
	 * for each 32 of the heap meanwhile.
	 * [OURO_GC_THREADS]
	 */
	size_t gc_threads;
	/*
	 * The collector's thread has the system map the parts of the heap that are in use as a
	 * whole, 2 MiB each, by huge pages (MADV_COLLAPSE; Linux 6.1, and pages of 4 KiB; elsewhere
	 * nothing is done). No more memory is used for that than without. It is done one part at a
	 * time, each for as long as it takes to copy; page faults of other threads wait meanwhile.
	 * What was in use when the program forked is left as it is, as parent and child share it.
	 * [OURO_HUGE_PAGES=0 or 1]
	 */
	bool huge_pages;
	/*
	 * At most 2^40. Allocation sites are sampled, once for so many bytes on average: what is
	 * alive by call stack (ouro/sites.h). 0: not at all; 524288 is what tcmalloc and Go take.
	 * [OURO_SAMPLE_BYTES, with an optional K, M or G]
	 */
	size_t sample_bytes;
} ouro_config;

#define OURO_CONFIG_DEFAULT \
	{ { -1, 10, 10 }, true, OURO_FINALIZERS_THREAD, 10000, 0, 500000, 10000000, 0, \
	  true, 0 }

typedef struct ouro_report {
	size_t objects, bytes; /* bytes include headers */
} ouro_report;

/*
 * ouro_init - start the heap; optional
 * @cfg: NULL: defaults, overridden by the OURO_* environment variables (which a given cfg ignores)
 *
 * ouro_init_sized does the same; @size: sizeof *@cfg. Fields that it does not have are as in
 * OURO_CONFIG_DEFAULT.
 * Return:  0; EINVAL (a field or a variable is out of range, a variable is not understood, or a
 *          field that this library does not know is not 0); EALREADY (running); ENOMEM; EAGAIN
 *          (no thread).
 * Blocks:  while another thread starts the heap, and as long as two threads take to be created.
 * Runs:    the log function, if there is something to say.
 */
OURO_API int ouro_init_sized(const ouro_config *cfg, size_t size);
#ifdef OURO_PLAIN
/* It returns the same, and handles the first published layout (ouro/base.h). */
OURO_API int ouro_init(const ouro_config *cfg);
#else
static inline int ouro_init(const ouro_config *cfg)
{
	return ouro_init_sized(cfg, sizeof(ouro_config));
}
#endif

/*
 * ouro_shutdown - collect and destroy everything, stop the library's threads, return all memory
 * @out: how much was still held from outside, directly or through other objects (immortal objects
 *       are not counted; the log names the rest by type); may be NULL
 *
 * It runs every finalizer and watch still due, those of objects still held included. What these
 * make meanwhile is destroyed, but not finalized (as in Lua), so that there is an end to it; a log
 * line says how many such objects there were; watches that watches add a hundred times over do not
 * run either, and the log says that, too. No other thread may use the library meanwhile, nor exit
 * if it has used it and has not detached; afterwards it can be initialised again. If it is not
 * running: 0 and an empty report. If another thread is shutting it down, this waits for that, and
 * the report is empty. ouro_shutdown_sized does the same; @size: sizeof *@out.
 * Return:  0; EBUSY while another thread is pinned; EDEADLK when pinned, and inside a callback of
 *          the program's: a finalizer and its like, a listener, the log function, a visitor.
 * Blocks:  for callbacks that other threads are in, the library's included, as long as these take.
 * Runs:    callbacks, all that are left; traverse, event functions, the log function.
 */
OURO_API int ouro_shutdown_sized(ouro_report *out, size_t size);
#ifdef OURO_PLAIN
/* It returns the same, and handles the first published layout (ouro/base.h). */
OURO_API int ouro_shutdown(ouro_report *out);
#else
static inline int ouro_shutdown(ouro_report *out)
{
	return ouro_shutdown_sized(out, sizeof(ouro_report));
}
#endif

/*
 * ouro_thread_attach - attach this thread; optional: a thread attaches on its first call, and
 *                      detaches when it exits
 * @name: for reports, copied, cut to 15 bytes; NULL: the system's name of the thread. An attached
 *        thread is renamed.
 *
 * Return:  0 or ENOMEM.
 * Blocks:  attaching waits for a stop that is under way; renaming waits for nothing.
 */
OURO_API int ouro_thread_attach(const char *name);

/*
 * ouro_thread_detach - give this thread's buffers back; what it holds stays counted
 *
 * The next call attaches again. It does nothing when pinned, inside a callback (as ouro_shutdown),
 * or when the thread is not attached.
 * Blocks:  as any call; it takes a walk over the thread's pages, and waits for a stop under way.
 */
OURO_API void ouro_thread_detach(void);

/*
 * ouro_pin, ouro_unpin - begin and end a pinned region; they nest
 *
 * Inside, peeked pointers stay valid; a stop and a grace period, and hence ouro_gc_collect
 * elsewhere, wait for this thread, so keep it short. Only ouro_unpin and ouro_safepoint end one: no
 * operation in a callee does. One that a callback (as ouro_shutdown) begins and leaves open ends
 * when it returns; a checked build aborts. What dies by a release inside a region runs its
 * callbacks inside it.
 * Blocks:  ouro_pin as any call, unless pinned already; ouro_unpin does not. Without a pinned
 *          region ouro_unpin does nothing; a checked build aborts.
 */
OURO_API void ouro_pin(void);
OURO_API void ouro_unpin(void);

/*
 * ouro_safepoint - let others in, inside a pinned region of any depth
 *
 * A waiting stop happens now; peeked pointers from before it are dead. Outside a region it does
 * nothing.
 * Blocks:  inside a region as any call.
 */
OURO_API void ouro_safepoint(void);

/*
 * ouro_set_log - say where warnings go
 * @fn: NULL: to stderr, the default
 *
 * fn is called by one thread at a time: by one of the library's, or by a thread in its ouro_init,
 * ouro_gc_collect or ouro_shutdown, or as it exits; with no lock of the library held, outside every
 * pause and every other call. It may block, take the program's locks, and call the library. What is
 * said while it runs, up to 64 messages of 511 bytes, waits for it to return; how many were lost
 * beyond is said, too. A message from inside another call comes soon after. In the child of a fork
 * nothing is said twice. A thread may be cancelled or exit in fn, and an exception may leave it, to
 * the caller of the call named above: what that call was at is done by others. longjmp may not.
 * Blocks:  until no call of the function set before is under way elsewhere; inside a callback (as
 *          ouro_shutdown), or when pinned, not at all, as that call may be waiting for this thread:
 *          then the old function, and what it uses, must stay for a while.
 */
OURO_API void ouro_set_log(void (*fn)(const char *message, void *arg), void *arg);

OURO_END_DECLS

#endif
