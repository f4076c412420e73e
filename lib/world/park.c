/*
 * park.c - threads that do nothing
 *
 * Note [PARK]. A server has thousands of threads that sleep; to ask each at each stop, and to look
 * at its gate, takes 0.3 us. So where there are many, those that are found outside are parked: they
 * leave the list of active ones, which is all that a stop or a grace period looks at, and find
 * PARKED in their request word when they come back. States of an attached record:
 *   active    on oi_active, not PARKED           its gate is looked at
 *   parked    PARKED                             outside: it cannot enter without the slow way
 *   arriving  not PARKED, on the stack of arrivals, not yet on oi_active
 * and who moves it:
 *   active   -> parked     oi_park, under the registry lock, while STOP or SEIZE keeps it out and
 *                          its gate was seen 0: it finds PARKED, which is set in the step that
 *                          takes that flag away
 *   parked   -> arriving   itself, in oi_gate_slow: clears PARKED, then pushes itself onto the
 *                          arrivals. In this order: else a thread that took it in could park it
 *                          again before it clears the flag, and it would enter unseen
 *   arriving -> active     a thread that holds the registry lock: oi_park_take_arrivals
 * [Q1] An arrival is a push, which is a read-modify-write of the stack's head, and so is taking
 * all. In the order of that word either the push comes first, and the thread is taken in, or it
 * comes after, and then the thread has seen what was stored before the taking:
 *   a stop stores stopping, then takes; a thread that arrives looks at stopping after its push, and
 *   waits if it is set, as it would for STOP. When it sees 0, and the stop has taken it in, it
 *   enters by the rules of Note [GATE].
 *   a grace period advances the epoch, then takes; a thread that arrives loads the epoch for its
 *   gate after its push.
 * The epoch and stopping need no stronger order, as nobody relies on seeing the gate of a thread
 * that it has not taken in.
 * Seizing needs none of this: SEIZE is in the request word of the one thread it is about, and that
 * thread looks at it after its arrival. If PARKED was there when SEIZE was set, the thread is
 * outside and will see it: no membarrier is needed.
 * Model: tests/models/park.pml.
 *
 * Who does the parking? A stop, as it ends, parks threads that were outside and did not wait for
 * it. The collector's tick does the same, some at a time, so that thousands that have just attached
 * and sleep cost no stop anything.
 *
 * What a parked thread has counted to itself, of the objects it made and freed, is left to the
 * thread that adds such counts next (oi_park_left, pace.c).
 * A parked thread keeps little: what it has free is taken from it TIDY_TICKS after (tidy.c). What
 * stays is its record and the pages in which its objects lie. Up to OI_PARK_ABOVE threads keep what
 * they have.
 */
#include "world/park.h"

#include "base/lock.h"
#include "base/wake.h"
#include "world/context.h"
#include "world/gate.h"

#define PARK_AT_A_TIME 256 /* about 30 us, for which they are kept out */
#define TIDY_TICKS 16 /* 64 ms */

CDS_LIST_HEAD(oi_active);
static CDS_LIST_HEAD(untidy); /* parked ones, the newest last; under the registry lock */
static struct __cds_lfs_stack arrivals;
static uint32_t n_active;   /* under the registry lock */
static uint32_t n_arrivals; /* about: those since the last taking */
static uint32_t ticks;      /* under the registry lock */

struct oi_park_left oi_park_left;

static void activate(struct oi_thread *t)
{
	cds_list_add_tail(&t->active, &oi_active);
	t->parked = false;
	n_active++;
}

/* Takes @t off whatever list it is on. */
static void deactivate(struct oi_thread *t)
{
	cds_list_del(&t->active);
	CDS_INIT_LIST_HEAD(&t->active);
	n_active -= !t->parked;
}

void oi_park_admit(struct oi_thread *t)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	activate(t);
	if (oi_park_worth())
		oi_wake_trim();
}

void oi_park_dismiss(struct oi_thread *t)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	oi_park_take_arrivals(); /* it may be among them */
	deactivate(t);
}

bool oi_park_worth(void)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	return n_active > OI_PARK_ABOVE;
}

void oi_park_take_arrivals(void)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	struct cds_lfs_node *node = oi_stack_take_all(&arrivals), *next; /* [Q1] */
	oi_store_relaxed(&n_arrivals, 0u); /* count */
	for (; node; node = next) {
		struct oi_thread *t = caa_container_of(node, struct oi_thread, arrival);
		next = node->next;
		deactivate(t);
		activate(t);
	}
}

static void take_from(int64_t *to, int64_t *from)
{
	if (*from)
		oi_add_acq_rel(to, *from); /* elsewhere: the store of any, in take_counts */
	oi_store_relaxed(from, INT64_C(0)); /* elsewhere: its owner is kept out */
}

/* Takes what @t has counted to itself: it may be away for long. The tick adds it at the latest. */
static void take_counts(struct oi_thread *t)
{
	if (!t->tracked_delta && !t->died[0] && !t->died[1])
		return;
	take_from(&oi_park_left.tracked_delta, &t->tracked_delta);
	take_from(&oi_park_left.died[0], &t->died[0]);
	take_from(&oi_park_left.died[1], &t->died[1]);
	oi_store_release(&oi_park_left.any, true); /* elsewhere: after the counts */
	oi_wake_trim();
}

void oi_park(struct oi_thread *t, uint32_t flag)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	take_counts(t);
	deactivate(t);
	cds_list_add_tail(&t->active, &untidy);
	t->parked = true;
	t->parked_at = ticks;
	__atomic_fetch_xor(&t->request, flag | OI_REQUEST_PARKED, __ATOMIC_ACQ_REL); /* [G2] */
}

void oi_park_requeue(struct oi_thread *t)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	if (t->parked)
		return;
	cds_list_del(&t->active);
	cds_list_add_tail(&t->active, &oi_active);
}

void oi_park_arrive(struct oi_thread *t)
{
	oi_assert_outside(t);
	oi_and_acq_rel(&t->request, ~(uint32_t)OI_REQUEST_PARKED); /* before the push [Q1] */
	oi_perturb();
	oi_stack_push(&arrivals, &t->arrival); /* [Q1] */
	if (oi_add_relaxed(&n_arrivals, 1u) == OI_PARK_ABOVE) /* count */
		oi_wake_trim();
}

/* ---- the tick ---- */

void oi_park_tick(void)
{
	oi_assert_unpinned(oi_self);
	oi_registry_lock();
	ticks++;
	oi_park_take_arrivals();
	bool worth = oi_park_worth();
	oi_registry_unlock();
	if (worth)
		oi_world_park(PARK_AT_A_TIME);
}

struct oi_thread *oi_park_next_untidy(void)
{
	struct oi_thread *t = NULL;
	oi_registry_lock();
	if (!cds_list_empty(&untidy))
		t = cds_list_first_entry(&untidy, struct oi_thread, active);
	if (t && ticks - t->parked_at >= TIDY_TICKS)
		deactivate(t);
	else
		t = NULL;
	oi_registry_unlock();
	return t;
}

void oi_park_untidy_again(struct oi_thread *t)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	cds_list_add_tail(&t->active, &untidy);
	t->parked_at = ticks;
}

bool oi_park_more(void)
{
	oi_registry_lock();
	bool more = oi_park_worth() || !cds_list_empty(&untidy);
	oi_registry_unlock();
	return more;
}
