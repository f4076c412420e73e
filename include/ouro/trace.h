/*
 * ouro/trace.h - what happened when, on which thread: a trace for Perfetto and chrome://tracing
 *
 * In it are collections and their phases; each stop of the world, what it was for, how long it took
 * until all threads stood, and for which of them it was waited; on each thread the times for which
 * it was kept (ouro/holdup.h), by a stop or by another thread's work on its behalf from 1 us on, by
 * anything else from 50 us on; dead objects that were left to the reaper, and when that was at
 * them. The library keeps the last 65536 events, in 4 MiB of its own, so a trace may stay on: it
 * costs nobody a lock. Time is CLOCK_MONOTONIC.
 *
 * With OURO_TRACE=file.json in the environment a trace begins with the heap, and is written to that
 * file at ouro_shutdown, and when the program exits. In the child of a fork it goes on, without the
 * parent's events, and is written to file.json.PID. One of ouro_trace_start ends in the child, and
 * is not written there, as the file is the parent's.
 */
#ifndef OURO_TRACE_H
#define OURO_TRACE_H

#include "base.h"

OURO_BEGIN_DECLS

/*
 * ouro_trace_start - begin a trace
 * @f: borrowed until ouro_trace_stop, ouro_shutdown, or the program's exit, whichever comes first,
 *     writes it there; NULL: it is written by ouro_trace_write alone
 *
 * Return:  0; EALREADY (there is one).
 * Blocks:  for a lock that is held for a moment.
 */
OURO_API int ouro_trace_start(FILE *f);

/*
 * ouro_trace_stop - end the trace, and write it to where it was to go
 *
 * Return:  0; ENOENT (there is none); ENOMEM, or why it was not written, or not all,
 *          as ENOSPC, or EIO if that is not known; it has ended nonetheless.
 * Blocks:  for the file, and for a lock that is held for a moment. Cancellation waits meanwhile.
 */
OURO_API int ouro_trace_stop(void);

/*
 * ouro_trace_write - write the events of now to @f, and flush that
 *
 * A trace goes on meanwhile; what is no more, or overwritten, is not there, and how many events are
 * missing is (otherData, events_lost). After ouro_trace_stop it writes what there was.
 * Return:  0; EINVAL (f NULL); ENOENT (there was never a trace); ENOMEM; or why
 *          a write failed, as ENOSPC, or EIO if that is not known.
 * Blocks:  for @f, and for a lock that is held for a moment. Cancellation waits meanwhile.
 */
OURO_API int ouro_trace_write(FILE *f);

OURO_END_DECLS

#endif
