/*
 * entry.c - the entries of the side table
 *
 * They lie in chunks that are never given back, and a free one has the index of the next. Each
 * thread keeps a few. What becomes of one that is in use, and what its version is for, is told in
 * weak.c; one that an object had comes back through limbo.c.
 */
#include "heap/entry.h"

#include "base/lock.h"
#include "base/os.h"
#include "world/context.h"
#include "world/thread.h"

#define CACHE_MAX 32

struct oi_weak_entry *oi_entry_chunk[OI_ENTRY_CHUNKS] __attribute__((aligned(OI_LINE)));
static uint32_t n_entries = 1, first_free; /* under the lock; index 0 is no entry */

static bool grow_table(void)
{
	uint32_t c = n_entries / OI_ENTRY_CHUNK;
	if (c >= OI_ENTRY_CHUNKS)
		return false;
	if (!oi_entry_chunk[c]) {
		struct oi_weak_entry *e = oi_os_map(OI_ENTRY_CHUNK * sizeof *e);
		if (!e)
			return false;
		oi_store_release(&oi_entry_chunk[c], e); /* [W2] */
	}
	return true;
}

static bool refill(struct oi_thread *t)
{
	oi_lock(OI_LOCK_WEAK);
	while (t->n_weak_cache < CACHE_MAX / 2) {
		uint32_t index = first_free;
		if (index)
			first_free = oi_entry_at(index)->next_free;
		else if (grow_table())
			/* recheck: oi_entry_known looks without the lock */
			index = n_entries, oi_store_relaxed(&n_entries, index + 1);
		else
			break;
		t->weak_cache[t->n_weak_cache++] = index;
	}
	oi_unlock(OI_LOCK_WEAK);
	return t->n_weak_cache != 0;
}

static void give_back_entries(struct oi_thread *t, uint32_t keep)
{
	oi_lock(OI_LOCK_WEAK);
	while (t->n_weak_cache > keep) {
		uint32_t index = t->weak_cache[--t->n_weak_cache];
		oi_entry_at(index)->next_free = first_free;
		first_free = index;
	}
	oi_unlock(OI_LOCK_WEAK);
}

uint32_t oi_entry_take(struct oi_thread *t)
{
	if (!t->n_weak_cache && !refill(t))
		return 0;
	uint32_t index = t->weak_cache[--t->n_weak_cache];
	struct oi_weak_entry *e = oi_entry_at(index);
	if (!oi_load_relaxed(&e->version)) /* owner */
		oi_store_relaxed(&e->version, 1);
	return index;
}

void oi_entry_put(struct oi_thread *t, uint32_t index)
{
	if (t->n_weak_cache == CACHE_MAX)
		give_back_entries(t, CACHE_MAX / 2);
	t->weak_cache[t->n_weak_cache++] = index;
}

void oi_entry_recycle(struct oi_thread *t, uint32_t index)
{
	oi_assert_at_rest(t);
	struct oi_weak_entry *e = oi_entry_at(index);
	uint32_t version = oi_load_relaxed(&e->version) + 1; /* owner */
	if (version == 0)
		return; /* never used again: its versions are used up */
	oi_store_release(&e->version, version); /* [W1] before the object of its next life */
	oi_entry_put(t, index);
}

void oi_entry_leave(struct oi_thread *t)
{
	oi_assert_at_rest(t);
	give_back_entries(t, 0);
}

bool oi_entry_known(uint32_t index)
{
	/* recheck: a thread that asks in a stop meets at most one that takes an entry */
	return index < oi_load_relaxed(&n_entries);
}

/* Chunks stay: an earlier cell may still be looked at, and its version must not come again. */
void oi_entry_shutdown(void)
{
	oi_lock(OI_LOCK_WEAK);
	first_free = 0;
	for (uint32_t i = 1; i < n_entries; i++) {
		struct oi_weak_entry *e = oi_entry_at(i);
		/* elsewhere: all operations are kept out */
		uint32_t version = oi_load_relaxed(&e->version);
		oi_store_relaxed(&e->object, NULL); /* elsewhere: likewise */
		e->watches = NULL;
		if (version)
			oi_store_relaxed(&e->version, version + 1); /* elsewhere: likewise */
		if (version + 1 == 0)
			continue;
		e->next_free = first_free;
		first_free = i;
	}
	oi_unlock(OI_LOCK_WEAK);
}
