/*
 * cascade.c - objects without callbacks that die of one another
 *
 * A dead object's references go into a ring, where each waits until AHEAD others have come: so the
 * object behind it has been fetched when its count is looked at (62 ns a node, 80 without). What
 * dies of that is dismantled at once if the ring has room for its own references. If not it is
 * pushed onto the thread's stack, which is worked off when the ring runs low (the death of a node
 * of a binary tree takes 187 instructions; 245 if all go by way of the stack).
 */
#include "count/cascade.h"

#include "count/backlog.h"
#include "count/count.h"
#include "count/death.h"
#include "count/loose.h"
#include "heap/check.h"
#include "heap/type.h"
#include "world/context.h"

#define GATE_SLICE 64 /* objects */
#define AHEAD 8
#define RING 16 /* a power of two, with room for AHEAD and the slots of one more object */
_Static_assert(AHEAD + sizeof((struct oi_type){ 0 }.slot) / sizeof(uint16_t) <= RING,
	       "an object from the stack finds room");

struct ring {
	void *child[RING];
	unsigned first, end;
};

OI_INLINE unsigned pending(const struct ring *r)
{
	return r->end - r->first;
}

OI_INLINE void *take_first(struct ring *r)
{
	return r->child[r->first++ % RING];
}

OI_INLINE void add_last(struct ring *r, void *child)
{
	__builtin_prefetch(oi_header_of(child), 1);
	r->child[r->end++ % RING] = child;
}

/* ---- objects with more slots than a description holds: one at a time ---- */

struct many {
	struct oi_thread *t;
	struct ring ring;
};

static void release_soon(void *child, void *arg)
{
	struct many *m = arg;
	if (pending(&m->ring) == AHEAD)
		oi_death_release(take_first(&m->ring), m->t);
	add_last(&m->ring, child);
}

static OI_NOINLINE void release_many(struct oi_thread *t, struct oi_header *h)
{
	struct many m = { .t = t };
	oi_visit_fixed(h, oi_described(h), release_soon, &m);
	while (pending(&m.ring))
		oi_death_release(take_first(&m.ring), t);
}

/* ---- the others ---- */

/*
 * Drops the reference of a dead object, most likely the only one, to an object that is published,
 * as all are that were in slots. Returns true if it died of it.
 */
OI_INLINE bool dies_of_it(struct oi_thread *t, struct oi_header *h)
{
	oi_check_release(h, "death of its referrer");
	if (likely(oi_load_relaxed(&h->own) == t->key) && /* owner */
	    likely(oi_load_relaxed(&h->local) == 1) && /* owner */
	    likely(oi_release_only(h)))
		return true;
	return oi_release(t, h);
}

/*
 * Returns the next dead object: from the stack, or one that dies of the reference that has waited
 * longest; NULL if there is none.
 */
OI_INLINE struct oi_header *next_dead(struct oi_thread *t, struct ring *r, size_t *cursor)
{
	*cursor = 0;
	for (;;) {
		if (pending(r) < AHEAD && oi_backlog_any_frames(t))
			return oi_backlog_pop(&t->deaths.frames, cursor);
		if (!pending(r))
			return NULL;
		struct oi_header *h = oi_header_of(take_first(r));
		if (!dies_of_it(t, h)) {
			oi_loose(t, oi_object_of(h));
			continue;
		}
		if (likely(pending(r) + oi_described(h)->n_slots <= RING))
			return h;
		oi_death_later(t, h);
	}
}

OI_INLINE void drop_references(struct oi_thread *t, struct oi_header *h, const struct oi_type *d,
			       struct ring *r)
{
	void **obj = oi_object_of(h);
	unsigned n = d->n_slots;
	if (unlikely(n == OI_SLOTS_MANY)) {
		release_many(t, h);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		void *child = oi_load_acquire(&obj[d->slot[i]]); /* [S1] */
		if (child)
			add_last(r, child);
	}
}

struct oi_header *oi_cascade(struct oi_thread *t, size_t *left, size_t *cursor)
{
	oi_assert_inside(t);
	struct ring ring; /* not zeroed: that is a quarter of a short cascade */
	ring.first = ring.end = 0;
	struct oi_header *h = NULL;
	size_t slice = *left < GATE_SLICE ? *left : GATE_SLICE, n = slice;
	for (; n && (h = next_dead(t, &ring, cursor)); n--) {
		if (unlikely(*cursor)) /* h may be a list of watches: backlog.h */
			break;
		const struct oi_type *d = oi_described(h);
		if (!oi_dies_inside(d, oi_flags(h)))
			break;
		drop_references(t, h, d, &ring);
		oi_death_free_counted(t, h, false);
		h = NULL;
	}
	*left -= slice - n;
	while (pending(&ring))
		oi_death_release(take_first(&ring), t);
	return h;
}
