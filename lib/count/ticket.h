/*
 * ticket.h - when deaths began: what was dead at a call, told from what dies later
 *
 * Note [TICKET]. Deaths are numbered by when they began: a thread that begins a death loop notes
 * the number of that time (its stamp). Whatever leaves its hand unfinished (flush.c says where to)
 * is old if the loop is: if its stamp is below that of the flush that is under way. So old is what
 * was dead at the call of the flush, and all that dies of it, whichever thread takes it apart;
 * other threads make no more of it.
 *   now    counted up by a flush, before it looks at anything; read by a thread that begins a loop
 *   since  what now was counted up to, while that flush is under way; else 0, and nothing is old
 * Queues have a place of their own for what is old. To which of the two something goes is decided
 * under the lock of the queue. Under that lock the flush, having set since, makes old all that is
 * there: so it is in the right place whichever came first.
 * A thread that takes something out of a queue says so in its own stamp before that leaves the
 * queue: 0 if it was old; else when the queue was last made old, since the thread may do so after
 * the flush has counted up and before the flush has come to this queue.
 * A loop that was missed, since its thread had not said yet that it is dying, had not begun when
 * the flush was called.
 */
#ifndef OI_TICKET_H
#define OI_TICKET_H

#include "world/thread.h"

struct oi_ticket {
	uint64_t now;       /* starts at 1 */
	uint64_t since;
	/*
	 * [D2] loops that began before now; counted when what they leave is in its queue, and
	 * before they end
	 */
	uint64_t n_ended;
	uint64_t n_objects; /* taken apart in them */
} __attribute__((aligned(OI_LINE)));
extern struct oi_ticket oi_ticket OI_HIDDEN;

#define OI_STAMP_OLD UINT64_C(0)   /* of what is certainly old, while there is a flush */
#define OI_STAMP_NEW UINT64_MAX    /* of what is never old */

/*
 * Under the lock of the queue that a thing with this stamp goes to. Returns true if a flush waits
 * for it.
 */
OI_INLINE bool oi_is_old(uint64_t stamp)
{
	return stamp < oi_load_relaxed(&oi_ticket.since); /* recheck: by the lock */
}

/* Returns true if what the thread drops now, as part of a loop, is old. */
OI_INLINE bool oi_hand_is_old(const struct oi_thread *t)
{
	return t->dying && oi_is_old(t->stamp);
}

/* Called before something leaves its queue: what is in the thread's hand becomes as old as that. */
OI_INLINE void oi_hand_takes(struct oi_thread *t, uint64_t stamp)
{
	if (stamp < t->stamp)
		oi_store_relaxed(&t->stamp, stamp); /* elsewhere: by the queue's lock */
}

#endif
