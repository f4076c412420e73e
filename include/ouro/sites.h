/*
 * ouro/sites.h - where the objects that are alive were made
 *
 * With ouro_config.sample_bytes, or OURO_SAMPLE_BYTES=512K in the environment, objects are sampled
 * as they are made, one for so many bytes on average: one of b bytes, its header included, with the
 * probability 1 - exp(-b / sample_bytes). Its call stack is kept, up to 32 callers, for as long as
 * it lives. An object whose finalizer brings it back is still there; so is garbage until it is
 * freed.
 *
 * Off it costs nothing. On, a sampled object costs some microseconds when it is made, and a lock
 * then and when it dies. The others cost a few instructions more where they are counted: with
 * sample_bytes of 64 KiB or more that is, for objects up to a KiB, one of eight stretches, chosen
 * by dice and counted eight times as densely, which comes to the same on average. There is room for
 * a million samples and 16 384 stacks (at most 37 MiB, not in ouro_stats.bytes_reserved); what
 * finds none, or no memory, is not sampled: ouro_stats.samples_dropped.
 *
 * The shutdown's report names the ten places that hold most of what is still held then, as files
 * and offsets for addr2line; large objects, of more than 32 KiB, are all sampled for it.
 */
#ifndef OURO_SITES_H
#define OURO_SITES_H

#include "base.h"

OURO_BEGIN_DECLS

/*
 * ouro_sites_write - write what is alive by call stack, and what was made there since the start
 *
 * It is the heap profile that pprof reads (Debian: google-perftools), with the sampling rate, by
 * which pprof multiplies, and the mappings of the process:
 *
 *	google-pprof --text ./server heap.prof
 *	google-pprof --text --alloc_space ./server heap.prof
 *	google-pprof --text --base=earlier.prof ./server heap.prof
 *
 * Return:  0; EINVAL (f NULL); ENODATA (sampling is off); EIO (the system does not tell the
 *          mappings); or why a write failed, as ENOSPC, or EIO if that is not known.
 * Threads: any, at any time. What others do meanwhile may be in it or not.
 * Blocks:  for @f, which is flushed. Cancellation waits meanwhile.
 */
OURO_API int ouro_sites_write(FILE *f);

OURO_END_DECLS

#endif
