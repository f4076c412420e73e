/*
 * stray.h - what happens to dead objects when there is no memory to remember them
 *
 * Releasing cannot fail, but queueing what it leaves behind needs a little memory. When the system refuses it, the object is
 * marked with a flag and counted here, and the reaper later finds it by walking all pages: slow, but nothing is lost.
 */
#ifndef OI_STRAY_H
#define OI_STRAY_H

#include "object.h"

enum oi_stray {
	OI_STRAY_MERGE, /* QUEUED, but not in its owner's queue */
	OI_STRAY_DEATH, /* DEAD, not dismantled */
	OI_STRAY_BLOCK, /* dismantled; the block waits for a grace period */
};

void oi_stray_add(struct oi_header *h, enum oi_stray kind);
/* The reaper: serves all there are. Outside the gate. */
void oi_stray_serve(void);
bool oi_stray_any(void);

#endif
