/*
 * stray.c - dead objects that could not be queued for want of memory. See stray.h.
 *
 * They are looked for in stops, each of which goes on where the last one ended: with a batch of what it found, or the pause
 * budget spent. Merges are done there and then. The others keep their flag until they are served, one in each gate, so that the
 * child of a fork finds each flagged or served; meanwhile nobody else serves any (server), so that none of the batch goes away.
 * Serving needs no memory: a block is freed, and of an object whose frame finds no room the references are dropped at once. What
 * dies of that may be strays again, which the next walk finds; when a walk over all leaves no fewer than there were, it is given
 * up for a while.
 *
 * local, where the dead do not count, holds what a stray is in its lowest bit, and how far its death is above.
 */
#include "count/stray.h"

#include "base/os.h"
#include "base/runtime.h"
#include "base/wake.h"
#include "count/death.h"
#include "count/merge.h"
#include "count/ticket.h"
#include "heap/heap.h"
#include "heap/walk.h"
#include "world/context.h"
#include "world/gate.h"

#define BATCH 256
#define NAP_NS 5000000
#define IS_BLOCK 1u
#define LAST_CURSOR 0x7fffffffu /* stands for SIZE_MAX */
#define STEPS 16                /* so many values before it are as many before SIZE_MAX */

static uint64_t n_strays;
static struct oi_thread *server; /* a thread, while it serves */
static struct oi_walk next; /* the server's, and in its stops */

struct batch {
	size_t n;
	size_t ahead; /* objects to merge with those that are found dead: the next of a list is a stray again otherwise */
	struct oi_header *h[BATCH];
};

bool oi_stray_any(void)
{
	return oi_load_relaxed(&n_strays) != 0; /* recheck */
}

static void flag(struct oi_header *h)
{
	oi_or_acq_rel(&h->flags, (uint8_t)OI_FLAG_STRAY); /* [Y1] release: local; pairs with look_at */
	oi_add_relaxed(&n_strays, 1);
	oi_wake_reap();
}

/* In a gate or a stop, as is what is done with it: no fork between the two. */
static void unflag(struct oi_header *h)
{
	oi_and_acq_rel(&h->flags, (uint8_t)~OI_FLAG_STRAY);
	oi_add_relaxed(&n_strays, (uint64_t)-1); /* count */
}

void oi_stray_merge(struct oi_header *h)
{
	flag(h);
}

static uint32_t packed(size_t cursor)
{
	if (cursor > SIZE_MAX - STEPS)
		return LAST_CURSOR - (uint32_t)(SIZE_MAX - cursor);
	return (uint32_t)(cursor / OI_CURSOR_UNIT); /* no object has so many items: region.c */
}

static size_t unpacked(uint32_t c)
{
	return c > LAST_CURSOR - STEPS ? SIZE_MAX - (LAST_CURSOR - c) : (size_t)c * OI_CURSOR_UNIT;
}

void oi_stray_death(struct oi_header *h, size_t cursor)
{
	oi_store_relaxed(&h->local, packed(cursor) << 1);
	flag(h);
}

void oi_stray_block(struct oi_header *h)
{
	oi_store_relaxed(&h->local, IS_BLOCK);
	flag(h);
}

/* ---- looking for them, world stopped: then a merge on the owner's behalf is safe, too ---- */

static void merge_ahead(struct batch *b, uint16_t key, struct oi_header *h)
{
	struct oi_thread *owner = key && key <= OI_OWN_KEY_MAX ? oi_thread_of_key(key) : NULL;
	if (owner)
		b->ahead -= oi_merge_ahead(owner, h, b->ahead);
}

static void look_at(struct batch *b, struct oi_header *h)
{
	uint16_t key = oi_owner_of(h);
	if (oi_load_relaxed(&h->own) == OI_OWN_FREE || !(oi_flags(h) & OI_FLAG_STRAY)) /* [Y1] stopped */
		return;
	if (oi_is_dead(h)) {
		b->h[b->n++] = h;
	} else if (!oi_merge_stray(h)) {
		unflag(h);
	} else {
		oi_store_relaxed(&h->local, 0u); /* a death, from its beginning */
		merge_ahead(b, key, h);
		b->h[b->n++] = h;
	}
}

/* False: the batch is full. */
static bool look_through(void *arg, struct oi_page *p)
{
	struct batch *b = arg;
	for (uint32_t i = 0; i < p->bump; i++) {
		if (b->n == BATCH)
			return false;
		look_at(b, oi_block_at(p, i));
	}
	return true;
}

/* True: that was the end of the heap. The stop is a grace period, too. */
static bool find(struct batch *b)
{
	return oi_walk_in_stop(&next, oi_runtime.config.pause_budget_ns, look_through, b);
}

/* ---- serving them ---- */

static void serve_one(struct oi_thread *t, struct oi_header *h)
{
	oi_serve_begin(t); /* a flush must not miss what is a stray no longer and not yet dead */
	oi_hand_takes(t, OI_STAMP_OLD);
	oi_gate_enter(t);
	uint32_t note = oi_load_relaxed(&h->local); /* elsewhere: [Y1] */
	unflag(h);
	if (note & IS_BLOCK) {
		oi_block_free(t, h);
		oi_gate_leave(t);
	} else {
		oi_death_resume(t, h, unpacked(note >> 1));
	}
	oi_serve_end(t);
}

/* As find. */
static bool serve_some(struct oi_thread *t)
{
	struct batch b = { .n = 0, .ahead = OI_MERGE_SLICE };
	bool whole = find(&b);
	for (size_t i = 0; i < b.n; i++)
		serve_one(t, b.h[i]);
	return whole;
}

/* False: there are no fewer than before. */
static bool fewer(uint64_t *left)
{
	uint64_t n = oi_load_relaxed(&n_strays), before = *left; /* count */
	*left = n;
	return n < before;
}

static void serve_all(struct oi_thread *t)
{
	uint64_t left = UINT64_MAX;
	while (oi_stray_any())
		if (serve_some(t) && !fewer(&left)) {
			oi_sleep_ns(NAP_NS); /* the reaper comes again at once */
			return;
		}
}

/*
 * In its turn: the server may be about to give up, for want of memory that there is again, and what is a stray now is to be gone when a
 * flush is over. But not behind a callback.
 */
static bool begin_to_serve(struct oi_thread *t)
{
	for (;;) {
		struct oi_thread *other = NULL;
		if (oi_cas(&server, &other, t))
			return true;
		if (other == t || oi_load_acquire(&other->in_callback)) /* [D1] */
			return false;
		oi_sleep_ns(50000);
	}
}

void oi_stray_serve(void)
{
	oi_assert_unpinned(oi_self);
	struct oi_thread *t = oi_current();
	if (!oi_stray_any() || !begin_to_serve(t))
		return;
	serve_all(t);
	oi_store_release(&server, (struct oi_thread *)NULL);
}

void oi_stray_leave(struct oi_thread *t)
{
	if (oi_load_relaxed(&server) == t) /* recheck: only it makes it itself */
		oi_store_release(&server, (struct oi_thread *)NULL);
}

void oi_stray_fork_child(void)
{
	if (server != oi_self)
		server = NULL; /* stopped */
}
