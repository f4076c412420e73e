/*
 * merge.c - merging the two halves of a biased count
 *
 * A foreign release that would take the shared count below zero cannot know whether the object is
 * dead: it lacks the owner's half. It sets QUEUED, and leaves its reference to the owner's merge
 * queue. Whoever drains the queue adds local to shared, drops that reference, and carries out the
 * death if nothing is left.
 *
 * The owner drains its queue at its next operation once 64 objects wait (OI_REQUEST_DRAIN). Else
 * the collector thread's tick does it within 10 ms: it seizes the gate of an owner that is outside
 * (an unpinned thread runs no operation, asleep or not). So an owner that sleeps for ever holds no
 * memory hostage, which CPython's free-threaded build does not manage.
 * An owner that drains in the middle of one of its operations runs no user code: objects with
 * callbacks go to the reaper. Nobody drains more than a slice at a time: an operation of the owner
 * drains 64 objects, and carries out as many deaths as a release does (death.c); a seizure drains
 * OI_MERGE_SLICE, merging ahead included. As long as something is left, the request stands, and the
 * tick comes again. In the middle of a death the owner drains nothing, unless it is in one of the
 * program's callbacks, where what dies is only queued: so draining never runs into draining.
 *
 * A dead structure tends to have one owner throughout, and a thread that takes it apart for that
 * owner would come back to the queue for every node of a list. Hence merging ahead: a thread that
 * drains a dead object, or hands it over, also merges the objects below it that will die with it,
 * up to 1024 of them, while it has the owner's half at hand. And the reaper drains what it queued
 * at once instead of waiting for the tick.
 *
 * A thread that leaves merges all its objects, page by page (INV-H2 says where they are), then
 * closes its queue; so no object ever names a thread that is gone, and keys can be given out again
 * at once. The exception is a fork: the threads that vanished keep their keys in the child, and
 * their objects are merged one by one when found (walking the heap would make the child copy all of
 * it).
 *
 * [M1] The queue's lock orders the pusher's QUEUED before the drainer's merge.
 * Models: tests/models/merge.pml; halves.pml for a collection that reads, or declares garbage,
 * meanwhile.
 */
#include "count/merge.h"

#include <sched.h>
#include <string.h>

#include "base/lock.h"
#include "base/os.h"
#include "base/perturb.h"
#include "base/wake.h"
#include "count/backlog.h"
#include "count/count.h"
#include "count/death.h"
#include "count/stray.h"
#include "count/ticket.h"
#include "heap/candidate.h"
#include "heap/check.h"
#include "heap/type.h"
#include "world/context.h"
#include "world/keyset.h"

#define DRAIN_AT 64
#define SLICES 16 /* of one queue in a tick */

static void lock(struct oi_merge_queue *q)
{
	for (unsigned n = 0; oi_exchange(&q->lock, 1u); n++) { /* [M1] */
		if (n % 1024 == 1023)
			oi_sleep_ns(20000); /* its holder may have lower priority, on this CPU */
		else if (n % 64 == 63)
			sched_yield();
		oi_pause();
	}
}

static void unlock(struct oi_merge_queue *q)
{
	oi_store_release(&q->lock, 0u); /* [M1] */
}

void oi_merge_disown(struct oi_header *h, uint16_t key)
{
	uint16_t own = oi_load_relaxed(&h->own); /* recheck */
	while ((own & ~OI_OWN_CANDIDATE) == key &&
	       !oi_cas(&h->own, &own, (uint16_t)(own & OI_OWN_CANDIDATE))) /* [K2] */
		;
}

/*
 * Folds local into shared and takes @drop references away; returns true if that made the object
 * DEAD. Called by the owner inside its gate, or by a thread that keeps the owner outside, or, if
 * the owner vanished in a fork, by the thread that set QUEUED: by one at a time, so that nobody
 * else makes the object MERGED meanwhile. After the exchange others may free it, and in the child
 * of a fork even use the block again: the only write that comes later, to own, looks for the key
 * that was there. local stays as it is, so that the two halves become one in one instant, also for
 * a collection that reads them meanwhile (oi_references). Such a collection may have declared
 * garbage, and merged, an object that a thread merges as it leaves.
 */
static bool merge(struct oi_header *h, uint32_t drop)
{
	uint32_t s = oi_load_acquire(&h->shared), next; /* [C1] */
	uint16_t key = oi_owner_of(h);                  /* owner */
	do {
		uint32_t local = s & OI_MERGED ? 0 : oi_load_relaxed(&h->local); /* owner */
		next = ((s & ~(uint32_t)(drop ? OI_QUEUED : 0)) + (local - drop) * OI_ONE) |
		       OI_MERGED;
		if (oi_shared_count(next) == 0 && !(next & OI_QUEUED))
			next |= OI_DEAD;
	} while (!oi_cas(&h->shared, &s, next)); /* [C1] */
	if (!(s & OI_MERGED) && key <= OI_OWN_KEY_MAX)
		oi_merge_disown(h, key);
	return (next & OI_DEAD) && !(s & OI_DEAD);
}

void oi_merge_stopped(struct oi_header *h)
{
	oi_assert_stopped();
	uint32_t s = oi_load_relaxed(&h->shared); /* stopped */
	if (!(s & OI_MERGED))
		oi_store_relaxed(&h->shared, /* stopped */
				 (s + oi_load_relaxed(&h->local) * OI_ONE) | /* stopped */
				     OI_MERGED);
	uint16_t key = oi_owner_of(h);
	if (key <= OI_OWN_KEY_MAX)
		oi_merge_disown(h, key);
}

/* ---- merging ahead ---- */

#define AHEAD OI_MERGE_SLICE

struct ahead {
	struct oi_thread *owner;
	struct oi_header *todo[AHEAD];
	size_t n, budget;
};

static void merge_child(void *child, void *arg)
{
	struct ahead *a = arg;
	struct oi_header *h = oi_header_of(child);
	oi_check_object(h, "merging ahead");
	if (!a->budget || oi_load_relaxed(&h->own) != a->owner->key) /* owner */
		return;
	a->budget--;
	if (unlikely(merge(h, 0)))
		/* A foreign release, perhaps in an old loop, was about to queue it: count.c. */
		oi_backlog_hand_over(h, OI_STAMP_OLD);
	else if (oi_shared_count(oi_load_relaxed(&h->shared)) == 1 && /* recheck: a guess */
		 a->n < AHEAD)
		a->todo[a->n++] = h;
}

/*
 * The items of large arrays are left out: an array is taken apart in slices, and to walk all of it
 * for each is too much.
 */
static void merge_below(struct ahead *a, struct oi_header *h)
{
	const ouro_type *type = oi_type_of(h);
	if (!type->item_slots.n || oi_items(h, type) <= AHEAD / 8)
		oi_visit_slots(h, merge_child, a);
	else
		oi_visit_fields(oi_object_of(h), &type->slots, merge_child, a);
}

size_t oi_merge_ahead(struct oi_thread *owner, struct oi_header *h, size_t budget)
{
	oi_assert_at_rest(owner);
	struct ahead a;
	a.owner = owner;
	a.n = 0;
	a.budget = budget;
	merge_below(&a, h);
	while (a.n && a.budget)
		merge_below(&a, a.todo[--a.n]);
	return budget - a.budget;
}

/* ---- the queue ---- */

bool oi_merge_queue(struct oi_thread *t, struct oi_header *h)
{
	oi_assert_inside(t);
	uint16_t own = oi_owner_of(h); /* recheck: under the queue's lock */
	struct oi_thread *owner = own && own <= OI_OWN_KEY_MAX ? oi_thread_of_key(own) : NULL;
	if (!owner)
		return merge(h, 1); /* its owner has merged it since, or vanished in a fork */
	struct oi_merge_queue *q = &owner->merges;
	oi_point("queue: owner found");
	lock(q);
	if (q->closed) {
		unlock(q);
		return merge(h, 1);
	}
	bool old = oi_hand_is_old(t), queued = oi_vector_push(old ? &q->old : &q->objects, h);
	if (old && queued)
		oi_add_acq_rel(&q->n_old, 1u); /* [D1] */
	size_t n = q->objects.n + q->old.n;
	oi_store_relaxed(&q->n, (uint32_t)n); /* recheck: others read it without the lock */
	unlock(q);
	t->queued_merges = true;
	if (unlikely(!queued))
		oi_stray_merge(h);
	if (n == DRAIN_AT)
		oi_or_acq_rel(&owner->request, OI_REQUEST_DRAIN); /* recheck: under the lock */
	if (n == 1) {
		oi_keyset_add(OI_KEYS_QUEUED, owner->key); /* [B2] */
		oi_wake_tick();
	}
	return false;
}

bool oi_merge_stray(struct oi_header *h)
{
	oi_assert_stopped();
	return merge(h, 1);
}

#define TAKE 64

/* What was taken out of a queue at once. */
struct taken {
	void *h[TAKE];
	size_t n;
	bool old; /* all of it is old: a flush waits until it is handed over */
	uint64_t stamp;
};

static bool take(struct oi_merge_queue *q, struct taken *out)
{
	lock(q);
	out->old = q->old.n;
	struct oi_vector *v = out->old ? &q->old : &q->objects;
	out->n = v->n < TAKE ? v->n : TAKE;
	v->n -= out->n;
	if (out->n) /* an empty vector has no memory */
		memcpy(out->h, v->data + v->n, out->n * sizeof *v->data);
	oi_store_relaxed(&q->n, (uint32_t)(q->objects.n + q->old.n)); /* recheck: as above */
	out->stamp = out->old ? OI_STAMP_OLD : q->made_old;
	q->n_taken += out->n != 0;
	unlock(q);
	return out->n != 0;
}

/* What died of @taken is now where flush sees it. */
static void done(struct oi_merge_queue *q, const struct taken *taken)
{
	if (unlikely(taken->old))
		oi_sub_acq_rel(&q->n_old, (uint32_t)taken->n); /* [D1] */
	oi_add_acq_rel(&q->n_done, 1u);                        /* [D1] */
}

/*
 * Hands @h over with the stamp of the loop that took it, if that is older: a flush that began
 * meanwhile found it in neither queue, but in that loop's hand.
 */
static void pass_on(struct oi_header *h, const struct taken *taken)
{
	const struct oi_thread *self = oi_self;
	oi_backlog_hand_over(h, self->dying && self->stamp < taken->stamp ? self->stamp
								       : taken->stamp);
}

/* Returns true if something is left: then the owner's next operation goes on. */
static bool ask_for_more(struct oi_thread *t)
{
	bool more = oi_load_relaxed(&t->merges.n); /* recheck */
	if (more)
		oi_or_acq_rel(&t->request, OI_REQUEST_DRAIN); /* recheck: under the lock */
	return more;
}

bool oi_merge_drain_own(struct oi_thread *t)
{
	oi_assert_inside(t);
	struct taken taken;
	size_t n_dead = 0;
	if (!take(&t->merges, &taken))
		return false;
	for (size_t i = 0; i < taken.n; i++)
		if (merge(taken.h[i], 1))
			taken.h[n_dead++] = taken.h[i];
	for (; taken.old && n_dead; n_dead--) /* or else all that this thread is at became old */
		pass_on(taken.h[n_dead - 1], &taken);
	if (n_dead)
		oi_death_quietly(t, taken.h, n_dead, taken.stamp);
	done(&t->merges, &taken);
	return ask_for_more(t);
}

/* Merges what was taken; returns true if @h is among it, and dead. */
static bool merge_taken(const struct taken *taken, struct oi_header *h)
{
	bool dead = false;
	for (size_t i = 0; i < taken->n; i++) {
		if (!merge(taken->h[i], 1))
			continue;
		if (taken->h[i] == h)
			dead = true;
		else
			pass_on(taken->h[i], taken);
	}
	return dead;
}

bool oi_merge_recover(struct oi_thread *t, struct oi_header *h)
{
	oi_assert_inside(t);
	struct taken taken;
	bool dead = false;
	for (size_t left = OI_MERGE_SLICE; !dead && left && take(&t->merges, &taken);
	     left -= TAKE) {
		dead = merge_taken(&taken, h);
		done(&t->merges, &taken);
	}
	ask_for_more(t);
	return dead;
}

/*
 * Merges what was taken, and ahead, up to a slice; returns @n_before and the number of objects
 * merged here.
 */
static size_t merge_for(struct oi_thread *t, const struct taken *taken, size_t n_before)
{
	size_t n = n_before + taken->n;
	for (size_t i = 0; i < taken->n; i++) {
		if (!merge(taken->h[i], 1))
			continue;
		if (n < OI_MERGE_SLICE)
			n += oi_merge_ahead(t, taken->h[i], OI_MERGE_SLICE - n);
		pass_on(taken->h[i], taken);
	}
	return n;
}

/* Drains a slice on behalf of @t, which is kept out of its gate. The deaths are the reaper's. */
static void drain_for(struct oi_thread *t, void *arg)
{
	struct taken taken;
	(void)arg;
	oi_point("drain");
	for (size_t n = 0; n < OI_MERGE_SLICE && take(&t->merges, &taken);) {
		n = merge_for(t, &taken, n);
		done(&t->merges, &taken);
	}
}

static void free_queue(struct oi_thread *t)
{
	oi_vector_free(&t->merges.objects);
	oi_vector_free(&t->merges.old);
}

void oi_merge_inherit(struct oi_thread *t)
{
	while (t->merges.n)
		drain_for(t, NULL);
	free_queue(t);
}

/* Returns false if @t is inside its gate. */
static bool drain_slice(struct oi_thread *self, struct oi_thread *t)
{
	if (t != self)
		return oi_world_seize(t, drain_for, NULL);
	oi_gate_enter(t);
	drain_for(t, NULL);
	oi_gate_leave(t);
	return true;
}

/*
 * Returns true if something is left. The naps let in threads that wait for the registry lock, which
 * is not a fair one, or were kept out of their gates.
 */
static bool drain_slices(struct oi_thread *self, struct oi_thread *t)
{
	for (unsigned n = 0; drain_slice(self, t); n++) {
		if (!oi_load_relaxed(&t->merges.n)) /* recheck: or at the next tick */
			return false;
		if (n == SLICES)
			return true;
		oi_sleep_ns(20000);
	}
	return ask_for_more(t); /* @t is inside: it goes on at its next operations */
}

bool oi_merge_drain_all(void)
{
	oi_assert_unpinned(oi_self);
	bool left = false;
	struct oi_thread *t, *self = oi_self;
	struct oi_key_walk walk = { 0 };
	uint16_t key;
	oi_serve_begin(self); /* flush waits for what is out of a queue and not yet handed over */
	while ((key = oi_keyset_take(OI_KEYS_QUEUED, &walk))) { /* [B2] */
		t = oi_thread_of_key(key);
		if (oi_load_acquire(&t->merges.n) && drain_slices(self, t)) { /* recheck */
			oi_keyset_add(OI_KEYS_QUEUED, key);
			left = true;
		}
	}
	oi_serve_end(self, oi_work_of_release());
	return left;
}

/*
 * Under the queue's lock, and others wait for the registry's: so the fewer are moved, and what is
 * old is mostly nothing. If there is no memory, some objects stay as they were.
 */
static void make_old(struct oi_merge_queue *q)
{
	size_t n = q->old.n;
	q->made_old = oi_load_relaxed(&oi_ticket.now); /* owner: only the flush writes it */
	q->awaited = q->n_taken;
	if (n < q->objects.n) {
		struct oi_vector fewer = q->old;
		q->old = q->objects;
		q->objects = fewer;
	}
	while (q->objects.n && oi_vector_push(&q->old, q->objects.data[q->objects.n - 1]))
		q->objects.n--;
	oi_add_acq_rel(&q->n_old, (uint32_t)(q->old.n - n)); /* [D1] */
}

/* Holds the registry lock, so that no stop finds the lock of a queue taken. */
void oi_merge_make_old(void)
{
	struct oi_thread *t;
	oi_registry_lock();
	for (size_t i = 0; (t = oi_thread_record(i)); i++) {
		lock(&t->merges);
		make_old(&t->merges);
		unlock(&t->merges);
	}
	oi_registry_unlock();
}

bool oi_merge_any(void)
{
	struct oi_thread *t;
	for (size_t i = 0; (t = oi_thread_record(i)); i++)
		if (oi_load_acquire(&t->merges.n)) /* recheck */
			return true;
	return false;
}

static bool has_old(const struct oi_merge_queue *q)
{
	return oi_load_acquire(&q->n_old) || /* [D1] */
	       (int32_t)(oi_load_acquire(&q->n_done) - oi_load_relaxed(&q->awaited)) < 0; /* [D1] */
}

bool oi_merge_any_old(void)
{
	struct oi_thread *t;
	for (size_t i = 0; (t = oi_thread_record(i)); i++)
		if (!oi_load_relaxed(&t->dead) && has_old(&t->merges)) /* recheck */
			return true;
	return false;
}

static void merge_page(struct oi_thread *t, struct oi_page *p)
{
	for (uint32_t i = 0; i < p->bump; i++) {
		struct oi_header *h = oi_block_at(p, i);
		if (oi_owner_of(h) == t->key && merge(h, 0)) /* owner */
			oi_backlog_hand_over(h, OI_STAMP_OLD); /* as in merge_child */
	}
}

/*
 * Under the queue's lock: a foreign release may still look for the thread that had the key before.
 * [M1]
 */
void oi_merge_open(struct oi_thread *t)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	lock(&t->merges);
	t->merges.closed = false;
	unlock(&t->merges);
}

void oi_merge_tidy(struct oi_thread *t)
{
	oi_assert_at_rest(t);
	struct oi_vector empty[2] = { { 0 }, { 0 } };
	lock(&t->merges);
	if (!t->merges.objects.n && !t->merges.old.n) {
		empty[0] = t->merges.objects;
		empty[1] = t->merges.old;
		t->merges.objects = t->merges.old = (struct oi_vector){ 0 };
	}
	unlock(&t->merges);
	oi_vector_free(&empty[0]);
	oi_vector_free(&empty[1]);
}

void oi_merge_leave(struct oi_thread *t)
{
	oi_assert_outside(t);
	oi_gate_enter(t);
	t->heap.leaving = true;
	oi_merge_drain_own(t);
	for (struct oi_page *p = t->heap.all; p; p = p->heap_next) {
		merge_page(t, p);
		/*
		 * A stop may pass here. What dies meanwhile takes no page off the list (leaving),
		 * and no user code adds one.
		 */
		oi_gate_leave(t);
		oi_point("leave");
		oi_gate_enter(t);
	}
	lock(&t->merges);
	t->merges.closed = true;
	unlock(&t->merges);
	while (oi_merge_drain_own(t)) {
		oi_gate_leave(t);
		oi_gate_enter(t);
	}
	lock(&t->merges); /* a thread that seizes this one may be looking */
	free_queue(t);
	unlock(&t->merges);
	oi_gate_leave(t);
}
