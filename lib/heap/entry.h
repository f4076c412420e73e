/*
 * entry.h - the entries of the side table (weak.h): where they lie, and which thread has which of
 * those that are free.
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
	/* Changes before the entry is used again: a cell names entry and version. */
	uint32_t version;
	uint32_t next_free;
};

#define OI_ENTRY_CHUNK 4096
#define OI_ENTRY_CHUNKS (1u << 18)
/* Read by every upgrade: so it is not in a line that every new entry writes. */
extern struct oi_weak_entry *oi_entry_chunk[OI_ENTRY_CHUNKS] OI_HIDDEN;

OI_INLINE struct oi_weak_entry *oi_entry_at(uint32_t index)
{
	/* [W2] */
	struct oi_weak_entry *chunk = oi_load_acquire(&oi_entry_chunk[index / OI_ENTRY_CHUNK]);
	return &chunk[index % OI_ENTRY_CHUNK];
}

/*
 * Inside the gate. Returns the index of a free entry, which is this thread's from now on; 0 if
 * there is no memory.
 */
uint32_t oi_entry_take(struct oi_thread *t);
/* Gives back an entry that nobody has seen: it is free again. */
void oi_entry_put(struct oi_thread *t, uint32_t index);
/* Likewise for one that an object had, and whose grace period is over. */
void oi_entry_recycle(struct oi_thread *t, uint32_t index);
/* The thread leaves: gives its spare entries back. */
void oi_entry_leave(struct oi_thread *t);
/* Returns true if there has been such an entry. */
bool oi_entry_known(uint32_t index);
/* Everybody is kept out: frees all entries. */
void oi_entry_shutdown(void);

#endif
