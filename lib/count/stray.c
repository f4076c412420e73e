/*
 * stray.c - dead objects that could not be queued for want of memory. See stray.h.
 *
 * They are looked for in stops. Each goes on where the last one ended, and ends when a lot has been
 * found or the pause budget is spent. Merges are done in the stop. The others keep their flag until
 * they are served, one in each gate, so that the child of a fork finds each flagged or served;
 * meanwhile no other thread serves any (server), so that none of the lot goes away. [Y2] A server
 * has done with it before the next one begins. Serving needs no memory: a block is freed, and of an
 * object whose frame finds no room the references are dropped at once. What dies of that may be
 * strays again, which the next walk finds; when a walk over all leaves no fewer than there were,
 * the server gives up for a while.
 *
 * The word local, in which the dead do not count any more, says in its lowest bit what a stray is,
 * and above it how far its death has come. [Y1]
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

#define LOT 256
#define NAP_NS 5000000
#define IS_BLOCK 1u
#define LAST_CURSOR 0x7fffffffu /* stands for SIZE_MAX */
#define STEPS 16                /* that many values up to it stand for those up to SIZE_MAX */

static uint64_t n_strays;
static struct oi_thread *server; /* a thread, while it serves */
static struct oi_walk next; /* used by the server, in its stops */

struct lot {
	size_t n;
	/* Objects still to be merged ahead: otherwise the next one of a list is a stray again. */
	size_t ahead;
	struct oi_header *h[LOT];
};

bool oi_stray_any(void)
{
	return oi_load_relaxed(&n_strays) != 0; /* recheck */
}

static void flag_stray(struct oi_header *h)
{
	oi_or_acq_rel(&h->flags, (uint8_t)OI_FLAG_STRAY); /* [Y1] after local: look_at_stray */
	oi_add_relaxed(&n_strays, 1); /* count */
	oi_wake_reap();
}

/* In a gate or a stop, and so is what is done with it: no fork comes between the two. */
static void unflag(struct oi_header *h)
{
	oi_and_acq_rel(&h->flags, (uint8_t)~OI_FLAG_STRAY); /* owner: the server */
	oi_add_relaxed(&n_strays, (uint64_t)-1); /* count */
}

void oi_stray_merge(struct oi_header *h)
{
	flag_stray(h);
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
	oi_store_relaxed(&h->local, packed(cursor) << 1); /* [Y1] */
	flag_stray(h);
}

void oi_stray_block(struct oi_header *h)
{
	oi_store_relaxed(&h->local, IS_BLOCK); /* [Y1] */
	flag_stray(h);
}

/* ---- looking for them, world stopped: then a merge on the owner's behalf is safe, too ---- */

static void merge_ahead(struct lot *b, uint16_t key, struct oi_header *h)
{
	struct oi_thread *owner = key && key <= OI_OWN_KEY_MAX ? oi_thread_of_key(key) : NULL;
	if (owner)
		b->ahead -= oi_merge_ahead(owner, h, b->ahead);
}

static void look_at_stray(struct lot *b, struct oi_header *h)
{
	uint16_t key = oi_owner_of(h);
	/* [Y1] stopped */
	if (oi_load_relaxed(&h->own) == OI_OWN_FREE || !(oi_flags(h) & OI_FLAG_STRAY))
		return;
	if (oi_is_dead(h)) {
		b->h[b->n++] = h;
	} else if (!oi_merge_stray(h)) {
		unflag(h);
	} else {
		oi_store_relaxed(&h->local, 0u); /* stopped: a death, from its beginning */
		merge_ahead(b, key, h);
		b->h[b->n++] = h;
	}
}

/* Returns false if the lot is full. */
static bool look_through(void *arg, struct oi_page *p)
{
	struct lot *b = arg;
	for (uint32_t i = 0; i < p->bump; i++) {
		if (b->n == LOT)
			return false;
		look_at_stray(b, oi_block_at(p, i));
	}
	return true;
}

/* Returns true if it came to the end of the heap. The stop is a grace period, too. */
static bool find_strays(struct lot *b)
{
	return oi_walk_in_stop(&next, oi_runtime.config.pause_budget_ns, look_through, b);
}

/* ---- serving them ---- */

static void serve_one(struct oi_thread *t, struct oi_header *h)
{
	oi_serve_begin(t); /* before it is a stray no more: a flush must not miss it */
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
	oi_serve_end(t, oi_work_thoroughly());
}

/* Returns what find_strays does. */
static bool serve_some(struct oi_thread *t)
{
	struct lot b = { .n = 0, .ahead = OI_MERGE_SLICE };
	bool whole = find_strays(&b);
	for (size_t i = 0; i < b.n; i++)
		serve_one(t, b.h[i]);
	return whole;
}

/* Returns false if there are no fewer than before. */
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
 * Waits for its turn: the server may be about to give up, for want of memory that there is again,
 * and what is a stray now is to be gone when a flush is over. It does not wait for a callback, nor
 * for itself: then it returns false.
 */
static bool begin_to_serve(struct oi_thread *t)
{
	for (;;) {
		struct oi_thread *other = NULL;
		if (oi_cas(&server, &other, t)) /* [Y2] */
			return true;
		/* recheck: it is no older than the turn of that thread [Y2] */
		if (other == t || oi_load_acquire(&other->in_callback))
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
	oi_store_release(&server, (struct oi_thread *)NULL); /* [Y2] */
}

void oi_stray_leave(struct oi_thread *t)
{
	if (oi_load_relaxed(&server) == t) /* owner: no other thread makes it t */
		oi_store_release(&server, (struct oi_thread *)NULL); /* [Y2] */
}

void oi_stray_fork_child(void)
{
	if (server != oi_self)
		server = NULL; /* stopped */
}
