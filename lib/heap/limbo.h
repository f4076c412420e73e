/* limbo.h - dead published objects, and emptied weak entries, whose memory waits for a grace period. */
#ifndef OI_LIMBO_H
#define OI_LIMBO_H

#include "base/compiler.h"
#include "world/record.h"

struct oi_thread;

#define OI_BATCH 2045 /* with the rest 16 KiB */
#define OI_LIMBO_BYTES (64 * 1024) /* of a batch, but not for so few, unless they are large: limbo.c */
struct oi_batch {
	struct oi_batch *next;
	uint64_t epoch; /* when it was sealed */
	uint64_t n;
	void *item[OI_BATCH]; /* a header, or a weak entry's index with the low bit set */
};

struct oi_header;

/*
 * Inside the gate. The block of a dead object, dismantled; it is freed after a grace period.
 * False: no memory to remember it.
 */
bool oi_limbo_add(struct oi_thread *t, struct oi_header *h);
/* The same of @bytes where there is room without more ado. False: not done. */
OI_INLINE bool oi_limbo_put(struct oi_limbo *l, struct oi_header *h, size_t bytes)
{
	struct oi_batch *b = l->filling;
	if (unlikely(!b) || unlikely(b->n >= OI_BATCH - 1) || unlikely(l->bytes + bytes >= OI_LIMBO_BYTES))
		return false;
	b->item[b->n++] = h;
	l->bytes += bytes;
	return true;
}
void oi_limbo_add_weak(struct oi_thread *t, uint32_t index);
/* Inside the gate. Frees what may be freed; @force: seals the filling batch too, and begins a grace period for however little. */
void oi_limbo_reclaim(struct oi_thread *t, bool force);
/*
 * Inside the gate: it has begun another page. The oldest batch is freed, if its time has come; and what it fills is sealed if it has
 * been at it for some pages, unless much waits: a block that waits keeps its page from being empty, and few objects may die.
 */
void oi_limbo_turn(struct oi_thread *t);
/*
 * Inside the gate, which it leaves and enters again. If much waits, for a thread that stands in its gate without a processor perhaps:
 * lets others run, then reclaims.
 */
void oi_limbo_catch_up(struct oi_thread *t);
#define OI_LIMBO_MUCH 8 /* batches */
/* On behalf of threads that are outside: what piled up while a collection walked. Outside the gate. */
void oi_limbo_reclaim_idle(void);
/*
 * From time to time, by the collector thread, outside the gate: the same for threads that have not come by since a grace period
 * was over, and what threads that left had waiting. True: something waits.
 */
bool oi_limbo_tick(void);
/*
 * @t, which is kept out of its gate, does nothing: what it was filling is sealed, and what it has spare is taken into @spare. True: nothing waits.
 */
bool oi_limbo_tidy(struct oi_thread *t, struct oi_batch **spare);
void oi_limbo_unmap(struct oi_batch *list);
/* A thread leaves: its batches go to whoever reclaims next. Inside the gate. */
void oi_limbo_abandon(struct oi_thread *t);
/* At shutdown, everybody gone: drops the batches themselves. */
void oi_limbo_drop(struct oi_thread *t);
void oi_limbo_drop_abandoned(void);

#endif
