/* watch.h - functions to run once when an object dies. */
#ifndef OI_WATCH_H
#define OI_WATCH_H

#include "heap/entry.h"
#include "world/object.h"
#include "world/thread.h"

/* Takes all watches of an entry, the newest first; each can still be undone until it runs. */
struct oi_watch *oi_watch_take(struct oi_weak_entry *e);
/*
 * Takes the first off *list, and runs it outside the gate. Returns false if it had been undone.
 */
bool oi_watch_run_one(struct oi_thread *t, struct oi_watch **list);
/*
 * Makes the watches of a dead object that still have to run a frame of backlog.h; gives the object
 * and its cursor back.
 */
struct oi_header *oi_watch_suspend(struct oi_watch *list, struct oi_header *h, size_t cursor);
struct oi_header *oi_watch_resume(const struct oi_watch *list, size_t *cursor);
/* Under a lock of the caller's: adds such a frame to a chain; takes its first one out. */
void oi_watch_chain(struct oi_watch *list, struct oi_watch **chain);
struct oi_watch *oi_watch_unchain(struct oi_watch **chain);
void oi_watch_shutdown(void);

#endif
