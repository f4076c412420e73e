/*
 * crew.h - several threads find the candidates of a concurrent collection
 *
 * Note [CREW]. The thread that collects, and helpers, share out the pages in each phase: whoever
 * comes takes the next. Each has a pass of its own, with its own gate, safepoints, stack, and bytes
 * of counts (maps.h): so counting writes nothing that another of them writes, but the exact counts
 * of few objects. Marks are shared, and set by one atomic operation: whoever set it visits the
 * object. Objects with a traverse, of whatever kind, go to the collecting thread, which deals with
 * them alone when the phase is over: traverse runs on one thread at a time.
 *
 * No phase waits for a helper that has no processor, unless that has work in hand. For each helper
 * there is a seat, and all seats are in one word, the roll, with the number of the phase:
 *   empty  -> called  the collecting thread, for a phase, which is set up before [V2]
 *   called -> busy    whoever of the helpers comes first; it may use what belongs to the seat
 *   busy   -> idle    its helper, which has nothing left, not even a gift, and touches nothing that
 *                     belongs to the seat [V2]
 *   idle   -> busy    its helper, before it tries to take a gift; not if the phase is over
 *   called,
 *   idle   -> empty   the collecting thread ends the phase. It cannot while anybody is busy
 * So a helper that was not created yet, or has no processor, is not called any more, and one that
 * sleeps while it has nothing is sent away: it finds another phase in the roll. Whoever of them
 * comes later is there for the next phase, or the next collection. As it is one word, whoever ends
 * the phase knows that nobody was busy then.
 * Helpers are created for a collection, and sleep between its phases; when it ends they end, and
 * the next joins them.
 *
 * Marking goes from root to root, so there may be much to visit below one of them. So whoever has
 * much puts the older half of its stack into its gift, and does so again whenever that was taken:
 * that part of its work is not lost to the others when it loses its processor.
 *   EMPTY -> FULL    its owner, which is busy; the objects before the state [V1]
 *   FULL  -> TAKEN   whoever gets it, which is busy; its owner, too, when its stack is empty
 *   TAKEN -> EMPTY   whoever took it, when it has copied the objects [V1]
 * A FULL one is of somebody busy, or of the collecting thread, and TAKEN is one by somebody busy:
 * a helper that has found its own gift empty or taken, by [V1], is idle after the one that took it
 * was busy. So when the collecting thread has nothing left and nobody is busy, all is marked.
 *
 * If the system refuses a thread there are fewer helpers, and so there are without memory for their
 * bytes. A fork finds them gone in the child: if any was busy, what it did is lost, and the
 * collection is given up there (concurrent.c). Helpers are created as the library's other threads
 * are (spawn.c): of no real-time policy, on the processors of the process, not on those that the
 * collecting thread is bound to.
 * This module knows threads, pages by number, and stacks; passes are scan.c's.
 * Model: tests/models/crew.pml.
 */
#ifndef OI_CREW_H
#define OI_CREW_H

#include <ouro/stats.h>

#include "base/vector.h"

#define OI_CREW_MAX 8 /* threads */

/* What they do together. Number 0 is the collecting thread. */
struct oi_phase {
	unsigned n_crew;
	/* Outside the gate: deals with pages until there are no more, and with all of the stack. */
	void (*work)(unsigned number);
	void (*meanwhile)(void); /* called by the collecting thread while it waits; or NULL */
	struct oi_vector *stack[OI_CREW_MAX];
	bool *failed[OI_CREW_MAX]; /* no memory: it takes no more */
};

/* Returns how many threads are to deal with @n_pages. */
unsigned oi_crew_size(size_t n_pages);
/* Under the lock of the full collection: creates helpers, as far as the system has them. */
void oi_crew_begin(unsigned n_crew);
/*
 * Outside the gate. Calls work(0) here, and work(number) on helpers that have come meanwhile, each
 * with another number. When it returns nothing is left to do.
 */
void oi_crew_run(const struct oi_phase *p);
/* No phase follows. Does not wait. */
void oi_crew_end(void);
/* In the child of a fork. Returns true if helpers have vanished that had work in hand. */
bool oi_crew_inherit(void);

/* Takes the next of @n pages; SIZE_MAX: there are no more. */
size_t oi_crew_take_page(size_t n);

void oi_crew_note(size_t looked, size_t looked_by_helpers);
void oi_crew_statistics(ouro_stats *out);
void oi_crew_shutdown(void);

/* Of the gift of each. */
enum oi_gift_state { OI_GIFT_EMPTY, OI_GIFT_FULL, OI_GIFT_TAKEN };
struct oi_gift_line {
	uint32_t state;
} __attribute__((aligned(OI_LINE)));
extern struct oi_gift_line oi_gift_line[OI_CREW_MAX] OI_HIDDEN;
OI_COLD void oi_crew_give(unsigned number, struct oi_vector *stack);

/* Inside the gate: there is a gift for whoever has nothing while there is much on the stack. */
OI_INLINE void oi_crew_offer(unsigned number, struct oi_vector *stack)
{
	if (unlikely(stack->n >= 64) &&
	    oi_load_relaxed(&oi_gift_line[number].state) == OI_GIFT_EMPTY) /* recheck */
		oi_crew_give(number, stack);
}

#endif
