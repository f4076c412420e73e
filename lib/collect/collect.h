/* collect.h - one collection, from the stop to the garbage it found. */
#ifndef OI_COLLECT_H
#define OI_COLLECT_H

#include "base/compiler.h"

struct oi_thread;

/*
 * For the collector thread: makes a collection that is due. The garbage goes to the queue if user
 * code must run for it. A full collection calls @between, unless it is NULL, now and then, outside
 * the gate; @between may make a young one.
 */
void oi_collect_automatic(int generation, void (*between)(void));
/* Likewise, searches for garbage where something was let go of: near.h. */
void oi_collect_near(void (*between)(void));
/*
 * Like oi_collect_automatic, but collects all there is: what is young becomes old first. Nothing
 * asks for it but the time: idle.h.
 */
void oi_collect_idle(void (*between)(void));
/*
 * Likewise, as a call has asked for it: asked.h. Returns false if that was not to be: another
 * call's collection is about to begin, or there is no memory.
 */
bool oi_collect_asked(void (*between)(void));
/*
 * By the collector thread, outside its gate: tells listeners what threads have collected by
 * themselves.
 */
void oi_collect_tell_solo(void);
/* Collects all generations until nothing more is found, within reason; for shutdown. */
void oi_collect_everything(struct oi_thread *t);

/* Statistics. */
void oi_collect_reset_statistics(void);
void oi_collect_statistics(uint64_t collections[3], uint64_t collected[3], uint64_t ns[3]);

#endif
