/* collect.h - one collection, from the stop to the set it found. */
#ifndef OI_COLLECT_H
#define OI_COLLECT_H

#include "base/compiler.h"

struct oi_thread;

/*
 * The collector thread: a collection that is due; the set goes to the queue if user code must run for it. @between, or NULL, is
 * called now and then by a full one, outside the gate; it may run a young one.
 */
void oi_collect_automatic(int generation, void (*between)(void));
/* The same, of all there is: what is young becomes old first. Nothing asks for it but the time: idle.h. */
void oi_collect_idle(void (*between)(void));
/* All generations, until nothing more is found, within reason; for shutdown. */
void oi_collect_everything(struct oi_thread *t);

/* Statistics. */
void oi_collect_reset_statistics(void);
void oi_collect_statistics(uint64_t collections[3], uint64_t collected[3], uint64_t ns[3]);

#endif
