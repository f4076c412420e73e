/*
 * limbo.c - memory that waits for a grace period
 *
 * A dead object's block may be reused at once only if no other thread can still hold its bare
 * address, that is, if it was never published (stored in a slot, or weakly referenced). The others
 * come here, into batches: a thread fills a batch, seals it with the epoch of that moment, and
 * frees it once the next epoch is done. [G3] The seal is a read-modify-write on the epoch, so that
 * a thread that enters its gate at a later epoch has seen the unlinking of everything in the batch.
 *
 * A batch that is not full is also sealed at 64 KiB of blocks, if these are SEAL_ITEMS at least, or
 * at a MiB; and a grace period is begun when four batches wait. This bounds limbo to what a
 * second-level cache holds: 1.5 ns an object there, 15 at 16 MiB. It is not begun sooner, because
 * that interrupts every other processor that runs a thread of the program (trees on 2 threads: 44
 * ns of CPU a node, 53 with one for every batch).
 * A batch is also sealed when its thread has begun four pages since the first block came in: of 64
 * threads that make trees, where a node in seven dies by its count, each had thirty pages with
 * nothing in them but a few blocks that waited for the batch to be full. This is not done while
 * many batches wait already, as a rule for a pinned thread: a batch has 16 KiB, with however little
 * in it.
 * Model: tests/models/limbo.pml.
 */
#include "heap/limbo.h"

#include <sched.h>

#include "base/holdup.h"
#include "base/lock.h"
#include "base/os.h"
#include "base/wake.h"
#include "heap/entry.h"
#include "heap/heap.h"
#include "world/context.h"
#include "world/gate.h"
#include "world/keyset.h"
#include "world/object.h"

#define AHEAD 8 /* items that free_run prefetches ahead */
/*
 * Bytes of empty batches that a thread keeps: with more threads than processors a grace period
 * takes as long as a turn on one.
 */
#define SPARES_BYTES (24 * sizeof(struct oi_batch))
/* a grace period costs 1 to 2 us, 5 to 10 if it must interrupt another processor */
#define SEAL_ITEMS 128
#define BEGIN 4 /* batches */
#define TURNS 4 /* pages; if the batch has fewer items, TURNS_MOST */
#define TURNS_MOST 8
/*
 * ticks, 64 ms: the collector has more urgent things to do, and freed memory is kept as long anyway
 */
#define TICKS 16

static struct oi_batch *abandoned; /* sealed; under the lock, but looked at without */

static struct oi_batch *new_batch(struct oi_thread *t)
{
	struct oi_batch *b = t->limbo.spare;
	if (b) {
		t->limbo.spare = b->next;
		t->limbo.n_spare--;
	} else {
		b = oi_os_map(sizeof *b);
	}
	if (b) {
		b->next = NULL;
		b->n = 0;
	}
	return b;
}

static void set_oldest(struct oi_limbo *l, struct oi_batch *b)
{
	l->oldest = b;
	oi_store_relaxed(&l->since, b ? b->epoch : 0); /* recheck: reclaim_sealed_before looks */
}

static void seal(struct oi_limbo *l)
{
	struct oi_batch *b = l->filling;
	b->epoch = oi_add_acq_rel(&oi_world.epoch, 0); /* [G3] release */
	b->next = NULL;
	if (l->newest)
		l->newest->next = b;
	else
		set_oldest(l, b);
	oi_keyset_add(OI_KEYS_SEALED, caa_container_of(l, struct oi_thread, limbo)->key); /* [B2] */
	l->newest = b;
	l->n_sealed++;
	l->filling = NULL;
	l->bytes = 0;
	l->n_turns = 0;
}

static bool add(struct oi_thread *t, void *item, size_t bytes)
{
	struct oi_limbo *l = &t->limbo;
	if (!l->filling && !(l->filling = new_batch(t)))
		return false;
	l->filling->item[l->filling->n++] = item;
	l->bytes += bytes;
	if (l->filling->n == OI_BATCH ||
	    (l->bytes >= OI_LIMBO_BYTES && l->filling->n >= SEAL_ITEMS) ||
	    l->bytes >= 16 * OI_LIMBO_BYTES) {
		bool heavy = l->bytes >= BEGIN * OI_LIMBO_BYTES;
		seal(l);
		oi_limbo_reclaim(t, heavy);
	}
	return true;
}

bool oi_limbo_add(struct oi_thread *t, struct oi_header *h)
{
	oi_assert_at_rest(t);
	return add(t, h, oi_page_of(h)->block_size);
}

void oi_limbo_add_weak(struct oi_thread *t, uint32_t index)
{
	oi_assert_inside(t);
	/* Without memory for a batch the entry is never used again: 24 bytes. */
	add(t, (void *)((uintptr_t)index << 1 | 1), 0);
}

/* @block is one. Returns true if @item is, too, and lies in the same page. */
OI_INLINE bool lies_beside(const void *block, const void *item)
{
	return !((uintptr_t)item & 1) && (uintptr_t)item / OI_PAGE == (uintptr_t)block / OI_PAGE;
}

/*
 * Frees at once the blocks from item @i on, a block, that lie in one page. Returns the index after
 * them.
 */
static size_t free_run(struct oi_thread *t, const struct oi_batch *b, size_t i)
{
	const void *first = b->item[i];
	struct oi_page *p = oi_page_of(first);
	struct oi_chain c = { .n = 0 };
	size_t n = b->n;
	for (; i < n && lies_beside(first, b->item[i]); i++) {
		if (i + AHEAD < n)
			__builtin_prefetch(b->item[i + AHEAD], 1);
		oi_chain_add(&c, b->item[i], p);
	}
	struct oi_chain whole = c; /* c itself is in registers */
	oi_chain_free(t, p, &whole);
	return i;
}

static void free_batch(struct oi_thread *t, struct oi_batch *b)
{
	for (size_t i = 0; i < b->n;) {
		uintptr_t item = (uintptr_t)b->item[i];
		if (item & 1) {
			oi_entry_recycle(t, (uint32_t)(item >> 1));
			i++;
		} else {
			i = free_run(t, b, i);
		}
	}
	if (t->limbo.n_spare >= SPARES_BYTES / (OI_OS_PAGE > sizeof *b ? OI_OS_PAGE : sizeof *b)) {
		oi_os_unmap(b, sizeof *b);
		return;
	}
	b->next = t->limbo.spare;
	t->limbo.spare = b;
	t->limbo.n_spare++;
}

static bool ripe(const struct oi_batch *b)
{
	/* [G4] acquire: pairs with try_finish_epoch */
	return oi_load_acquire(&oi_world.epoch_done) > b->epoch;
}

static void reclaim_abandoned(struct oi_thread *t)
{
	if (!oi_load_relaxed(&abandoned) || !oi_trylock(OI_LOCK_LIMBO)) /* recheck */
		return;
	struct oi_batch *b = abandoned, *left = NULL, *free_now = NULL;
	while (b) {
		struct oi_batch *next = b->next, **to = ripe(b) ? &free_now : &left;
		b->next = *to;
		*to = b;
		b = next;
	}
	oi_store_relaxed(&abandoned, left); /* recheck: looked at without the lock */
	oi_unlock(OI_LOCK_LIMBO);
	while ((b = free_now)) {
		free_now = b->next;
		free_batch(t, b);
	}
}

static void free_oldest(struct oi_thread *t)
{
	struct oi_limbo *l = &t->limbo;
	struct oi_batch *b = l->oldest;
	set_oldest(l, b->next);
	if (!b->next)
		l->newest = NULL;
	l->n_sealed--;
	free_batch(t, b);
}

/* Asks the tick to come, as this thread may not come by again soon. */
static void await_tick(const struct oi_limbo *l)
{
	if (l->oldest)
		oi_wake_trim();
}

void oi_limbo_reclaim(struct oi_thread *t, bool force)
{
	oi_assert_inside(t);
	struct oi_limbo *l = &t->limbo;
	if (force && l->filling)
		seal(l);
	/*
	 * The first of the two tries may end a grace period that began before the batch was sealed.
	 */
	for (int i = 0; i < 2 && l->oldest && !ripe(l->oldest); i++)
		oi_grace_try(force || l->n_sealed >= BEGIN);
	while (l->oldest && ripe(l->oldest))
		free_oldest(t);
	await_tick(l);
	reclaim_abandoned(t);
}

static unsigned turns(const struct oi_limbo *l)
{
	return l->filling->n < SEAL_ITEMS ? TURNS_MOST : TURNS;
}

void oi_limbo_turn(struct oi_thread *t)
{
	oi_assert_inside(t);
	struct oi_limbo *l = &t->limbo;
	if (l->filling && l->filling->n && ++l->n_turns >= turns(l) && l->n_sealed < OI_LIMBO_MUCH)
		seal(l);
	if (l->oldest && ripe(l->oldest))
		free_oldest(t);
	await_tick(l);
}

void oi_limbo_catch_up(struct oi_thread *t)
{
	oi_assert_inside(t);
	uint64_t began = oi_now_ns();
	oi_gate_leave(t);
	sched_yield();
	oi_holdup_from(OURO_HOLDUP_PACE, began, oi_now_ns());
	oi_gate_enter(t);
	oi_limbo_reclaim(t, false);
}

/* Frees one batch only, as @t is kept out of its gate meanwhile. */
static void reclaim_for(struct oi_thread *t, void *arg)
{
	bool *more = arg;
	*more = t->limbo.oldest && ripe(t->limbo.oldest);
	if (*more)
		free_oldest(t);
}

/*
 * Frees, for threads that are outside, what was sealed before @epoch and may be freed. Returns true
 * if something is sealed.
 */
static bool reclaim_sealed_before(uint64_t epoch)
{
	struct oi_key_walk walk = { 0 };
	uint16_t key;
	bool any = false;
	while ((key = oi_keyset_take(OI_KEYS_SEALED, &walk))) { /* [B2] */
		struct oi_thread *t = oi_thread_of_key(key);
		uint64_t since = oi_load_relaxed(&t->limbo.since); /* recheck */
		bool more = since && since < epoch;
		any |= since != 0;
		while (more && oi_world_seize(t, reclaim_for, &more))
			;
		if (oi_load_relaxed(&t->limbo.since)) /* recheck */
			oi_keyset_add(OI_KEYS_SEALED, key);
	}
	return any;
}

void oi_limbo_reclaim_idle(void)
{
	oi_assert_unpinned(oi_self);
	reclaim_sealed_before(UINT64_MAX);
}

bool oi_limbo_tick(void)
{
	oi_assert_unpinned(oi_self);
	/* The epoch done when it was due last: what was sealed before could have been freed. */
	static uint64_t done;
	static unsigned n;
	bool due = n++ % TICKS == 0, left = oi_load_relaxed(&abandoned) != NULL; /* recheck */
	bool any = reclaim_sealed_before(due ? done : 0);
	if (left || (any && due)) {
		oi_gate_enter(oi_self);
		oi_grace_try(true);
		oi_limbo_reclaim(oi_self, true);
		oi_gate_leave(oi_self);
	}
	if (due)
		done = oi_load_relaxed(&oi_world.epoch_done); /* recheck */
	return any || left;
}

void oi_limbo_abandon(struct oi_thread *t)
{
	oi_assert_at_rest(t);
	struct oi_limbo *l = &t->limbo;
	if (l->filling)
		seal(l);
	if (l->oldest) {
		oi_lock(OI_LOCK_LIMBO);
		l->newest->next = abandoned;
		oi_store_relaxed(&abandoned, l->oldest); /* recheck: likewise */
		oi_unlock(OI_LOCK_LIMBO);
		l->oldest = NULL;
		oi_wake_trim();
	}
	oi_limbo_drop(t);
}

bool oi_limbo_tidy(struct oi_thread *t, struct oi_batch **spare)
{
	oi_assert_at_rest(t);
	struct oi_limbo *l = &t->limbo;
	if (l->filling && l->filling->n) {
		seal(l);
	} else if (l->filling) {
		l->filling->next = l->spare;
		l->spare = l->filling;
		l->filling = NULL;
	}
	*spare = l->spare;
	l->spare = NULL;
	l->n_spare = 0;
	return !l->oldest;
}

void oi_limbo_unmap(struct oi_batch *b)
{
	while (b) {
		struct oi_batch *next = b->next;
		oi_os_unmap(b, sizeof *b);
		b = next;
	}
}

void oi_limbo_drop(struct oi_thread *t)
{
	struct oi_limbo *l = &t->limbo;
	oi_limbo_unmap(l->filling);
	oi_limbo_unmap(l->oldest);
	oi_limbo_unmap(l->spare);
	set_oldest(l, NULL);
	l->filling = l->newest = l->spare = NULL;
	l->n_sealed = l->n_spare = 0;
	l->bytes = 0;
}

void oi_limbo_drop_abandoned(void)
{
	oi_limbo_unmap(abandoned);
	abandoned = NULL;
}
