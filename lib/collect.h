/* collect.h - one collection, from the stop to the set it found. */
#ifndef OI_COLLECT_H
#define OI_COLLECT_H

#include "compiler.h"

struct oi_thread;

/* One young collection at a time; also guards the side arrays. Never held while user code runs, events excepted. */
void oi_collect_lock(void);
void oi_collect_unlock(void);
/* Does this thread hold it, or that of full collections (inside an event function), or the world for its fork? */
bool oi_collect_locked_by_me(void);

/* May no automatic collection begin now? A full one that was asked for is about to. */
bool oi_collect_held_off(void);
/* How often this thread keeps automatic collections from beginning; and that it does so no more often than @n times. */
unsigned oi_collect_holding_off(void);
void oi_collect_hold_off_only(unsigned n);

/*
 * The collector thread: a collection that is due; the set goes to the queue if user code must run for it. @between, or NULL, is
 * called now and then by a full one, outside the gate; it may run a young one.
 */
void oi_collect_automatic(int generation, void (*between)(void));
/* The same, of all there is: what is young becomes old first. Nothing asks for it but the time: idle.h. */
void oi_collect_idle(void (*between)(void));
/* heap_limit: a full collection, on this thread, which runs no code of the program's: that is the reaper's. Outside the gate. */
void oi_collect_for_memory(struct oi_thread *t);
/* Afterwards, if other threads are freeing something: waits a little. False: there is nothing to wait for. */
bool oi_collect_await_memory(struct oi_thread *t);
/* All generations, until nothing more is found, within reason; for shutdown. */
void oi_collect_everything(struct oi_thread *t);

/* Statistics: @n more objects were unreachable and not resurrected. */
void oi_collect_count(int generation, size_t n);
void oi_collect_reset_statistics(void);
void oi_collect_statistics(uint64_t collections[3], uint64_t collected[3], uint64_t ns[3]);
/* A fork that can wait for a young collection holds its lock meanwhile. The child forgets what others had of it. */
void oi_collect_fork_prepare(void);
void oi_collect_fork_done(void);
void oi_collect_fork_child(void);

#endif
