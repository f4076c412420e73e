/* park.h - threads that do nothing: not asked at a stop, and kept from holding what they do not use. */
#ifndef OI_PARK_H
#define OI_PARK_H

#include "thread.h"

#define OI_PARK_ABOVE (OURO_CHECKED ? 2 : 32) /* threads: up to there, asking them all costs nothing */

/* The active ones, under the registry lock. The one at hand may be parked. */
extern struct cds_list_head oi_active OI_HIDDEN;
#define oi_for_each_active(t) \
	for (struct cds_list_head *n_ = oi_active.next, *next_; \
	     n_ != &oi_active && (next_ = n_->next, (t) = caa_container_of(n_, struct oi_thread, active), true); n_ = next_)

/* Under the registry lock: attached, and so active; gone. */
void oi_park_admit(struct oi_thread *t);
void oi_park_dismiss(struct oi_thread *t);
/* Under the registry lock: those that came back are active. */
void oi_park_take_arrivals(void);
/* Under the registry lock: are there so many active ones that parking is worth while? */
bool oi_park_worth(void);
/* Under the registry lock, active, kept out by @flag, which is taken from its request word in the same moment. */
void oi_park(struct oi_thread *t, uint32_t flag);
/* Under the registry lock: if it is active, the others come first. */
void oi_park_requeue(struct oi_thread *t);
/* A thread that finds PARKED, outside its gate, before it enters. */
void oi_park_arrive(struct oi_thread *t);
/*
 * From time to time, by the collector thread, outside the gate: parks who does nothing, and takes from who has been parked for a
 * while what it does not use. True: there is more to do.
 */
bool oi_park_tick(void);

#endif
