/* solo.h - a thread collects what it alone has touched: no stop, and no other thread. */
#ifndef OI_SOLO_H
#define OI_SOLO_H

#include <stddef.h>

#include "base/compiler.h"

struct oi_thread;

/* By all threads since the start. */
struct oi_solo_statistics {
	uint64_t collections, examined, found, ns;
};
void oi_solo_statistics(struct oi_solo_statistics *s);

/*
 * Gives back what a thread needs for it, and forgets what it has found. Called by the thread, or
 * while it is kept out of its gate.
 */
void oi_solo_tidy(struct oi_thread *t);
void oi_solo_shutdown(void);

#if OURO_CHECKED
/* So many objects the stack of a look has room for: for tests. */
extern size_t oi_solo_stack_room;
#endif

#endif
