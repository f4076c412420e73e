/*
 * loose.h - what lost a reference that was in a slot, and lives: where a search for garbage begins
 *
 * Old objects can only become garbage by that: a reference to them in a slot is overwritten or
 * taken, or a dead object that had one is taken apart, and their count does not reach 0. (After
 * Bacon and Rajan's purple objects; a reference of a thread's own that it lets go of was taken from
 * somewhere first.) Each thread notes the addresses in its record; when that is full they go to the
 * collector, which searches from there: near.c.
 * Notes are hints. They hold no reference: an object may be gone by the time it is looked at, and
 * its address be anything. They may be lost, too: a full collection finds what no search has found.
 */
#ifndef OI_LOOSE_H
#define OI_LOOSE_H

#include "world/thread.h"

struct oi_vector;

/* For so many threads make room; for more the collector does, as that may take a while. */
#define OI_LOOSE_FIRST 16384

/* Inside the gate. The first @n that are noted go to the collector, if that makes searches. */
OI_COLD void oi_loose_hand_over(struct oi_thread *t, unsigned n);

/* Inside the gate. Returns true if all OI_LOOSE are to be handed over. @obj is not looked at. */
OI_INLINE bool oi_loose_note(struct oi_thread *t, void *obj)
{
	t->loose[t->n_loose] = obj;
	oi_keep_in_memory(t->n_loose); /* one instruction counts, and tells of 0 */
	return unlikely(!++t->n_loose);
}

OI_INLINE void oi_loose(struct oi_thread *t, void *obj)
{
	if (oi_loose_note(t, obj))
		oi_loose_hand_over(t, OI_LOOSE);
}

/* Returns how many addresses wait for the collector. */
size_t oi_loose_waiting(void);
/* The collector: *@to, whose memory is used again, becomes what waits. */
void oi_loose_take(struct oi_vector *to);
/* So many make the collector look. */
void oi_loose_set_due(size_t n);
/* Forgets them, and gives their memory back. */
void oi_loose_forget(void);

#endif
