/* weak.h - the side table of weakly referenced and watched objects. */
#ifndef OI_WEAK_H
#define OI_WEAK_H

#include "heap/entry.h"
#include "world/object.h"
#include "world/thread.h"

/*
 * Inside the gate. Returns the object's entry, and makes it if there is none; NULL if there is no
 * memory.
 */
struct oi_weak_entry *oi_weak_entry_of(struct oi_thread *t, struct oi_header *h);
/*
 * Outside the gate. The object dies: its cells expire, its entry retires. *@watches, a list that
 * was empty and that the child of a fork finds, gets its watches, which the caller must run.
 */
void oi_weak_sever(struct oi_thread *t, struct oi_header *h, struct oi_watch **watches);
/*
 * World stopped, or the object is committed: the cells expire; the entry stays for oi_weak_sever.
 */
void oi_weak_expire(struct oi_header *h);
uint64_t oi_weak_count(void);
/* World stopped. For the verifier: returns true if that is the entry of @h, expired or not. */
bool oi_weak_names(uint32_t index, const struct oi_header *h);
void oi_weak_shutdown(void);

#endif
