/*
 * stray.h - what happens to dead objects when there is no memory to remember them
 *
 * Releasing cannot fail, but queueing what it leaves behind needs a little memory. When the system
 * refuses it, the object is marked with a flag and counted here, and the reaper later finds it by
 * walking all pages: slow, but nothing is lost.
 */
#ifndef OI_STRAY_H
#define OI_STRAY_H

#include "world/object.h"

struct oi_thread;

/* Notes an object that is QUEUED, but not in its owner's queue. */
void oi_stray_merge(struct oi_header *h);
/*
 * Notes an object that is DEAD, and dismantled as far as @cursor says (death.c): a multiple of
 * OI_CURSOR_UNIT items, or one of the last few values.
 */
#define OI_CURSOR_UNIT 1024
void oi_stray_death(struct oi_header *h, size_t cursor);
/* Notes an object that is dismantled; its block waits for a grace period. */
void oi_stray_block(struct oi_header *h);

/*
 * Outside the gate, by the reaper or a flush. Serves all strays, or as many as there is memory for.
 */
void oi_stray_serve(void);
bool oi_stray_any(void);
/*
 * A callback did not return, perhaps while this thread was serving: others serve what is left.
 */
void oi_stray_leave(struct oi_thread *t);
/* In the child of a fork: strays that another thread was serving are found again. */
void oi_stray_fork_child(void);

#endif
