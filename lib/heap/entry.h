/*
 * entry.h - the entries of the side table (weak.h): where they lie, and who has which of those that
 * are free.
 */
#ifndef OI_ENTRY_H
#define OI_ENTRY_H

#include "base/compiler.h"

struct oi_thread;
struct oi_watch;

/* Type-stable: an entry is only ever an entry, so a cell may look at it at any time. */
struct oi_weak_entry {
	void *object;            /* header, or NULL: expired */
	struct oi_watch *watches; /* newest first; under the watch lock */
	uint32_t generation;     /* changes when the entry is used again: a cell names entry and generation */
	uint32_t next_free;
};

#define OI_ENTRY_CHUNK 4096
#define OI_ENTRY_CHUNKS (1u << 18)
/* Read by every upgrade: not in the line of what every new entry writes. */
extern struct oi_weak_entry *oi_entry_chunk[OI_ENTRY_CHUNKS] OI_HIDDEN;

OI_INLINE struct oi_weak_entry *oi_entry_at(uint32_t index)
{
	struct oi_weak_entry *chunk = oi_load_acquire(&oi_entry_chunk[index / OI_ENTRY_CHUNK]); /* [W2] */
	return &chunk[index % OI_ENTRY_CHUNK];
}

/* Inside the gate. Of one that is free, and this thread's from now on; 0: no memory. */
uint32_t oi_entry_take(struct oi_thread *t);
/* It has not been seen by anybody: it is free again. */
void oi_entry_put(struct oi_thread *t, uint32_t index);
/* The same of one that is retired, and whose grace period is over. */
void oi_entry_recycle(struct oi_thread *t, uint32_t index);
/* The thread leaves: its spare entries go back. */
void oi_entry_leave(struct oi_thread *t);
/* Has there been such an entry? */
bool oi_entry_known(uint32_t index);
/* Everybody is kept out: all are free. */
void oi_entry_shutdown(void);

#endif
