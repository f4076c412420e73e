/*
 * limbo.h - dead published objects, and emptied weak entries, whose memory waits for a grace
 * period.
 */
#ifndef OI_LIMBO_H
#define OI_LIMBO_H

#include "base/compiler.h"
#include "world/record.h"

struct oi_thread;

#define OI_BATCH 2045 /* with the rest of the batch 16 KiB */
/* bytes of blocks at which a batch is sealed, if it has enough: limbo.c */
#define OI_LIMBO_BYTES (64 * 1024)
struct oi_batch {
	struct oi_batch *next;
	uint64_t epoch; /* at which it was sealed */
	uint64_t n;
	void *item[OI_BATCH]; /* a header, or a weak entry's index with the low bit set */
};

struct oi_header;

/*
 * Inside the gate. Adds the block of a dead object that is dismantled; it is freed after a grace
 * period. Returns false if there is no memory to remember it.
 */
bool oi_limbo_add(struct oi_thread *t, struct oi_header *h);
/*
 * Like oi_limbo_add, for a block of @bytes, but only if the batch has room and need not be sealed.
 * Returns false if it did nothing.
 */
OI_INLINE bool oi_limbo_put(struct oi_limbo *l, struct oi_header *h, size_t bytes)
{
	struct oi_batch *b = l->filling;
	if (unlikely(!b) || unlikely(b->n >= OI_BATCH - 1) ||
	    unlikely(l->bytes + bytes >= OI_LIMBO_BYTES))
		return false;
	b->item[b->n++] = h;
	l->bytes += bytes;
	return true;
}
void oi_limbo_add_weak(struct oi_thread *t, uint32_t index);
/*
 * Inside the gate. Frees what may be freed. With @force it first seals the filling batch too, and
 * begins a grace period for however little.
 */
void oi_limbo_reclaim(struct oi_thread *t, bool force);
/*
 * Inside the gate. The thread has begun another page, or made a large object. Seals the batch that
 * it fills if it has been at it for some pages, unless much waits: a block that waits keeps its
 * page from being empty, and few objects may die. Frees the oldest batch if its time has come.
 */
void oi_limbo_turn(struct oi_thread *t);
/*
 * Inside the gate, which it leaves and enters again. Called if much waits, perhaps for a thread
 * that stands in its gate without a processor: lets others run, then reclaims.
 */
void oi_limbo_catch_up(struct oi_thread *t);
#define OI_LIMBO_MUCH 8 /* batches */
/*
 * Outside the gate. Frees, on behalf of threads that are outside, what piled up while a collection
 * walked.
 */
void oi_limbo_reclaim_idle(void);
/*
 * Outside the gate, by the collector thread at each tick. Frees what threads that left had waiting,
 * as far as grace periods are over; at every 16th tick also what threads that have not come by
 * could have freed. Returns true if something waits.
 */
bool oi_limbo_tick(void);
/*
 * @t, which is kept out of its gate, does nothing. Seals what it was filling, and takes what it has
 * spare into @spare. Returns true if nothing waits.
 */
bool oi_limbo_tidy(struct oi_thread *t, struct oi_batch **spare);
void oi_limbo_unmap(struct oi_batch *list);
/* Inside the gate. The thread leaves: its batches go to the thread that reclaims next. */
void oi_limbo_abandon(struct oi_thread *t);
/*
 * Drops what batches the thread still has, whatever is in them: the spare ones as it leaves, all at
 * shutdown.
 */
void oi_limbo_drop(struct oi_thread *t);
/* At shutdown: drops what threads that left had waiting. */
void oi_limbo_drop_abandoned(void);

#endif
