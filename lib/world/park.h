/*
 * park.h - threads that do nothing: not asked at a stop, and kept from holding what they do not
 * use.
 */
#ifndef OI_PARK_H
#define OI_PARK_H

#include "world/thread.h"

/* Number of threads up to which asking them all costs nothing. */
#define OI_PARK_ABOVE (OURO_CHECKED ? 2 : 32)

/* Walks the active ones, under the registry lock. The body may park the one it is at. */
extern struct cds_list_head oi_active OI_HIDDEN;
#define oi_for_each_active(t) \
	for (struct cds_list_head *n_ = oi_active.next, *next_; \
	     n_ != &oi_active && \
	     (next_ = n_->next, (t) = caa_container_of(n_, struct oi_thread, active), true); \
	     n_ = next_)

/*
 * What threads that were parked had counted to themselves, as in their records. It is added to in a
 * stop or under the registry lock, and taken by a thread that is inside its gate or holds that
 * lock, so that in a stop it is whole.
 */
struct oi_park_left {
	int64_t tracked_delta, died[2];
	bool any; /* a hint */
};
extern struct oi_park_left oi_park_left OI_HIDDEN;

/* Under the registry lock: @t has attached, and so is active; @t leaves. */
void oi_park_admit(struct oi_thread *t);
void oi_park_dismiss(struct oi_thread *t);
/* Under the registry lock: makes those active that came back. */
void oi_park_take_arrivals(void);
/* Under the registry lock. Returns true if so many are active that parking is worth while. */
bool oi_park_worth(void);
/*
 * Under the registry lock. @t is active, and kept out by @flag, which is taken from its request
 * word in the step that sets PARKED.
 */
void oi_park(struct oi_thread *t, uint32_t flag);
/* Under the registry lock: moves @t, if it is active, behind the others. */
void oi_park_requeue(struct oi_thread *t);
/* Called by a thread that finds PARKED, outside its gate, before it enters. */
void oi_park_arrive(struct oi_thread *t);
/* ---- by the collector thread, from time to time, outside the gate ---- */

/* Parks some of the threads that do nothing. */
void oi_park_tick(void);
/*
 * Returns a thread that has been parked for a while, and is to give up what it does not use, and
 * takes it off the list of such; NULL if there is none.
 */
struct oi_thread *oi_park_next_untidy(void);
/* Under the registry lock; @t is parked, and still has something to give up. */
void oi_park_untidy_again(struct oi_thread *t);
/* Returns true if there is more to park, or to tidy. */
bool oi_park_more(void);

#endif
