/*
 * park.h - threads that do nothing: not asked at a stop, and kept from holding what they do not
 * use.
 */
#ifndef OI_PARK_H
#define OI_PARK_H

#include "world/thread.h"

#define OI_PARK_ABOVE (OURO_CHECKED ? 2 : 32) /* threads: up to there, asking them all costs nothing */

/* The active ones, under the registry lock. The one at hand may be parked. */
extern struct cds_list_head oi_active OI_HIDDEN;
#define oi_for_each_active(t) \
	for (struct cds_list_head *n_ = oi_active.next, *next_; \
	     n_ != &oi_active && (next_ = n_->next, (t) = caa_container_of(n_, struct oi_thread, active), true); n_ = next_)

/*
 * What those that were parked had counted to themselves, as in their records. Added to in a stop
 * or under the registry lock; taken by who is inside its gate or holds that lock, so that in a
 * stop it is whole.
 */
struct oi_park_left {
	int64_t tracked_delta, died[2];
	bool any; /* a hint */
};
extern struct oi_park_left oi_park_left OI_HIDDEN;

/* Under the registry lock: attached, and so active; gone. */
void oi_park_admit(struct oi_thread *t);
void oi_park_dismiss(struct oi_thread *t);
/* Under the registry lock: those that came back are active. */
void oi_park_take_arrivals(void);
/* Under the registry lock: are there so many active ones that parking is worth while? */
bool oi_park_worth(void);
/*
 * Under the registry lock, active, kept out by @flag, which is taken from its request word in the
 * same moment.
 */
void oi_park(struct oi_thread *t, uint32_t flag);
/* Under the registry lock: if it is active, the others come first. */
void oi_park_requeue(struct oi_thread *t);
/* A thread that finds PARKED, outside its gate, before it enters. */
void oi_park_arrive(struct oi_thread *t);
/* ---- by the collector thread, from time to time, outside the gate ---- */

/* Parks some of those that do nothing. */
void oi_park_tick(void);
/*
 * One that has been parked for a while, and is to give up what it does not use; off the list of
 * such. NULL: there is none.
 */
struct oi_thread *oi_park_next_untidy(void);
/* Under the registry lock, parked: it still has something. */
void oi_park_untidy_again(struct oi_thread *t);
/* Is there more to park, or to tidy? */
bool oi_park_more(void);

#endif
