/*
 * policy.c - when automatic collections start
 *
 * Generation 0: when allocations minus deaths of tracked objects since the last collection pass the
 * threshold. By default the threshold, and the number of objects one young stop may look at, follow
 * from the pause budget and the measured cost per object (a moving average), so that the stop stays
 * inside the budget. What does not fit waits for the next stop: any subset of the young objects is
 * a sound set to collect. Objects with many more references than those before them are noticed when
 * the references are counted: a stop ends early at twice as many as it should have come across.
 * Generation 1: after so many collections of generation 0. Survivors that would not fit its budget
 * become old at once: a burst of allocation is handed on to the old generation, and counted there.
 * When more is young than the collector gets round to, and most of what it looked at lately
 * survived, all of it becomes old unseen, in stops that look at pages only. Unless thresholds were
 * given, that is also done while nearly everything survives, as it does in a program that builds
 * what it will live with (ring of 1e6: 30 ns a node). One young collection of eight looks in any
 * case.
 * Generation 2: after so many of generation 1, and by CPython's rule: only when more has become old
 * since the last full collection than a quarter of what was old then; or when large objects, which
 * are born old, take up a quarter more bytes. Nothing waits on resident memory, which CPython tried
 * and took back.
 *
 * Young and full collections also start when so many bytes came into use since the last one that it
 * is worth while: pace.c. A full one also starts when none was due for some time, though what is
 * there may be garbage: idle.c.
 */
#include "collect/policy.h"

#include <errno.h>
#include <limits.h>

#include "base/lock.h"
#include "base/os.h"
#include "base/wake.h"
#include "collect/idle.h"
#include "count/delay.h"
#include "count/loose.h"
#include "heap/heap.h"
#include "heap/large.h"
#include "heap/pace.h"
#include "heap/tally.h"
#include "heap/usage.h"
#include "world/context.h"
#include "world/gate.h"
#include "world/gclock.h"

#define COST_UNIT UINT64_C(64)
#define COST_MAX (UINT64_C(100000) * COST_UNIT)
#define WIDTH_UNIT UINT64_C(64)
#define WIDTH_MAX (UINT64_C(10000) * WIDTH_UNIT)
#define CAP_MIN 500
#define CAP_MAX 200000
#define REFERENCES_MIN 4000
#define REFERENCES_MAX 2000000
#define FULL_ROOM ((size_t)(16 << 20) / OI_PAGE)
#define STEP ((size_t)(2 << 20) / OI_PAGE)
#define SURVIVAL_HIGH 192 /* of 256 */
#define SURVIVAL_SURE 240
/* so many young collections are left out between two that look whether nearly all still survives */
#define UNSEEN 7
/*
 * Old objects. In a smaller heap a full collection finds so much garbage for what it looks at that
 * it is the cheaper way.
 */
#define SEARCH_FROM (1 << 18)
#define SOLO_MOST 8 /* threads */
/*
 * Objects that each may leave to itself, while it waits for a grace period: of threads that share a
 * processor one may stand in its gate for some ms.
 */
#define SOLO_ROOM (16 * OI_SOLO_EVERY)

/* Returns the number of objects that half the budget is enough for, at the cost of late. */
static uint64_t affordable(void)
{
	uint64_t budget = oi_runtime.config.pause_budget_ns / 2, most = UINT64_C(10000000000);
	/* recheck */
	return (budget < most ? budget : most) * COST_UNIT / oi_load_relaxed(&oi_pace.cost);
}

size_t oi_policy_cap(void)
{
	uint64_t n = affordable();
	return n < CAP_MIN ? CAP_MIN : n > CAP_MAX ? CAP_MAX : (size_t)n;
}

size_t oi_policy_references(void)
{
	uint64_t n = 2 * affordable() * oi_pace.width / WIDTH_UNIT;
	return n < REFERENCES_MIN ? REFERENCES_MIN :
	       n > REFERENCES_MAX ? REFERENCES_MAX :
				    (size_t)n;
}

/*
 * Threads that collect what is theirs alone, and what lives of that since it was last a threshold.
 */
static uint32_t n_solo;
static uint64_t solo_older;

static size_t search_at, search_left;
static void set_search(void);

static void set_effective(void)
{
	/* recheck: whoever comes last sees the last of both */
	int g0 = oi_load_relaxed(&oi_pace.threshold_set[0]);
	/* recheck */
	oi_store_relaxed(&oi_pace.threshold, g0 == -1 ? (int64_t)oi_policy_cap() / 2 : g0);
	oi_delay_set_quota();
	set_search();
}

void oi_policy_set_threshold(const int t[3])
{
	for (int i = 0; i < 3; i++)
		oi_store_relaxed(&oi_pace.threshold_set[i], t[i]); /* recheck */
	set_effective();
}

void oi_policy_init(void)
{
	oi_pace = (struct oi_pace){ .cost = 60 * COST_UNIT,
				    .width = 4 * WIDTH_UNIT,
				    .yield = 256,
				    .search_from = SEARCH_FROM,
				    .enabled = oi_runtime.config.enabled };
	oi_policy_set_threshold(oi_runtime.config.threshold);
	oi_idle_init();
}

bool oi_policy_burst(void)
{
	uint32_t survival = oi_load_relaxed(&oi_pace.survival); /* recheck */
	if (oi_load_relaxed(&oi_pace.unseen) >= UNSEEN)
		return false;
	if ((int64_t)oi_pace_aged(0) > oi_pace_young_limit() / 2 && survival >= SURVIVAL_HIGH)
		return true;
	/* recheck */
	return oi_load_relaxed(&oi_pace.threshold_set[0]) == -1 && survival >= SURVIVAL_SURE;
}

/* Stops at INT_MAX: where nothing becomes old, this is counted up for ever. */
static void count_up(int *n)
{
	if (oi_load_relaxed(n) < INT_MAX) /* count */
		oi_add_relaxed(n, 1); /* count */
}

static void count_young(int generation)
{
	if (generation == 0) {
		count_up(&oi_pace.count[1]);
	} else {
		oi_store_relaxed(&oi_pace.count[1], 0); /* count */
		count_up(&oi_pace.count[2]);
	}
}

void oi_policy_burst_done(int generation)
{
	oi_assert_locked(OI_LOCK_COLLECT);
	bool behind = oi_load_relaxed(&oi_pace.young) > oi_pace_young_limit() / 2; /* count */
	oi_own_add(&oi_pace.unseen, 1);
	oi_store_relaxed(&oi_pace.young, INT64_C(0)); /* count */
	oi_store_relaxed(&oi_pace.more, false); /* recheck */
	if (behind) { /* this stands for all the young collections there would have been */
		/* count */
		oi_store_relaxed(&oi_pace.count[1], oi_load_relaxed(&oi_pace.threshold_set[1]));
		/* count */
		oi_store_relaxed(&oi_pace.count[2], oi_load_relaxed(&oi_pace.threshold_set[2]));
	} else {
		count_young(generation);
	}
	oi_store_relaxed(&oi_pace.pages_young, oi_usage_pages()); /* count */
	set_effective();
}

bool oi_policy_solo(void)
{
	return oi_load_relaxed(&oi_pace.threshold_set[0]) == -1 && oi_pace_may(); /* recheck */
}

/* Of very many threads together it would be too much, as all of that may be garbage. */
void oi_policy_solo_threads(int more)
{
	uint32_t n = oi_add_relaxed(&n_solo, (uint32_t)more) + (uint32_t)more; /* count */
	/* recheck */
	oi_store_relaxed(&oi_pace.alone, n <= SOLO_MOST ? (int64_t)n * SOLO_ROOM : 0);
}

/*
 * Returns true if generation 1 has its turn though no young object asks for a collection: threads
 * see to those of generation 0 themselves, and never to those of age 1.
 */
static bool middle_due(void)
{
	int threshold = oi_load_relaxed(&oi_pace.threshold_set[1]); /* recheck */
	/* recheck */
	bool many = oi_pace_aged(1) > (uint64_t)oi_load_relaxed(&oi_pace.threshold);
	/* count */
	return oi_pace_left_alone() && many && oi_load_relaxed(&oi_pace.count[1]) >= threshold;
}

/* For generation 1 so many survivors are as good as one collection in a stop. */
void oi_policy_solo_done(size_t older, bool old)
{
	int64_t n = (int64_t)older, threshold = oi_load_relaxed(&oi_pace.threshold); /* recheck */
	oi_add_relaxed(&oi_pace.young, -n);   /* count */
	oi_add_relaxed(&oi_pace.aged[0], -n); /* count */
	if (old)
		oi_add_relaxed(&oi_pace.old_new, older); /* count */
	else
		oi_add_relaxed(&oi_pace.aged[1], n); /* count */
	uint64_t all = oi_add_relaxed(&solo_older, (uint64_t)n) + (uint64_t)n; /* count */
	if (all < (uint64_t)threshold)
		return;
	oi_add_relaxed(&solo_older, -all); /* count */
	count_up(&oi_pace.count[1]);
	if (middle_due())
		oi_wake_collect();
}

void oi_policy_promoted(void)
{
	oi_store_relaxed(&oi_pace.young, INT64_C(0)); /* count */
	oi_store_relaxed(&oi_pace.more, false); /* recheck */
	oi_store_relaxed(&oi_pace.pages_young, oi_usage_pages()); /* count */
}

void oi_policy_turn(void)
{
	oi_add_acq_rel(&oi_pace.turn, 1u); /* [P1]: after young was taken down */
	if (!oi_delay_due()) /* else threads would look, and go on waiting */
		oi_futex_wake(&oi_pace.turn);
}

int oi_policy_due(int max)
{
	if (!oi_pace_may())
		return -1;
	if (max == 2 && (oi_pace_large_due() || oi_pace_external_due() || oi_pace_pages_due()))
		return 2;
	if (!oi_pace_young_due() && !oi_pace_young_pages_due() && !middle_due())
		return -1;
	/* count */
	if (oi_load_relaxed(&oi_pace.count[1]) < oi_load_relaxed(&oi_pace.threshold_set[1]))
		return 0;
	/* count */
	if (oi_load_relaxed(&oi_pace.count[2]) < oi_load_relaxed(&oi_pace.threshold_set[2]))
		return 1;
	uint64_t share = oi_load_relaxed(&oi_pace.old_then) / 4; /* count */
	/* count */
	return max == 2 && oi_load_relaxed(&oi_pace.old_new) >
				   (share > OI_OLD_FLOOR ? share : OI_OLD_FLOOR) ?
		       2 :
		       1;
}

/*
 * With @more objects were left for the next stop, which is due at once, unless threads look at them
 * by themselves. Threads' quotas blur the count anyway.
 */
static void reset_young(size_t n, bool more)
{
	int64_t young = oi_load_relaxed(&oi_pace.young) - (int64_t)n, /* count */
		threshold = oi_load_relaxed(&oi_pace.threshold),      /* recheck */
		alone = oi_pace_left_alone();
	bool theirs = more && alone && young <= threshold + alone;
	oi_store_relaxed(&oi_pace.more, more && !theirs); /* recheck */
	if (theirs)
		threshold = 0;
	/* count */
	oi_store_relaxed(&oi_pace.young, !more ? 0 : young > threshold ? young : threshold + 1);
}

bool oi_policy_middle_full(void)
{
	return oi_pace_aged(1) > oi_policy_cap();
}

/* Returns a moving average, of about the last eight. */
static uint32_t average(uint32_t was, uint64_t now, uint64_t most)
{
	uint64_t next = was - was / 8 + (now < most ? now : most) / 8;
	return next < 8 ? 8u : (uint32_t)next;
}

static void learn(const struct oi_policy_young *y)
{
	uint32_t survival = (uint32_t)(y->survivors * 256 / y->n), then = oi_pace.survival;
	/* It falls faster than it rises: garbage is to be seen. */
	oi_store_relaxed(&oi_pace.survival, /* recheck */
			 survival < then ? (survival + then) / 2 : then - then / 8 + survival / 8);
	oi_store_relaxed(&oi_pace.unseen, 0u); /* recheck */
	oi_store_relaxed(&oi_pace.cost, /* recheck */
			 average(oi_pace.cost, y->ns * COST_UNIT / y->n, COST_MAX));
	oi_pace.width = average(oi_pace.width, y->references * WIDTH_UNIT / y->n, WIDTH_MAX);
}

void oi_policy_young_done(const struct oi_policy_young *y)
{
	oi_assert_locked(OI_LOCK_COLLECT);
	if (y->n >= 100 || y->references >= 1000)
		learn(y);
	oi_add_relaxed(&oi_pace.old_new, y->promoted); /* count */
	oi_usage_recount();
	oi_store_relaxed(&oi_pace.pages_young, oi_usage_pages()); /* count */
	set_effective();
	reset_young(y->n, y->more);
	count_young(y->generation);
}

/*
 * Sets how many old objects fit in FULL_ROOM, or in an eighth of the heap limit, with what belongs
 * to them, if they are like those there are.
 */
static void set_room(void)
{
	/* recheck */
	uint64_t n = oi_load_relaxed(&oi_pace.old_then) + oi_load_relaxed(&oi_pace.old_new);
	size_t limit = oi_runtime.config.heap_limit, most = FULL_ROOM;
	if (limit && limit / 8 / OI_PAGE < most)
		most = limit / 8 / OI_PAGE;
	uint64_t pages = oi_usage_pages(), room = n * most / (pages ? pages : 1);
	oi_store_relaxed(&oi_pace.room, room > OI_LAG_FLOOR ? room : OI_LAG_FLOOR); /* recheck */
}

/*
 * What was made since the last full collection began: small objects that can be traversed, objects
 * of any kind, and bytes of these.
 */
struct made {
	uint64_t tracked, all, bytes;
};

static struct made made_since_full(struct oi_totals *n)
{
	oi_tally_totals(n);
	return (struct made){ /* recheck: an estimate */
		.tracked = n->n_tracked - oi_load_relaxed(&oi_pace.tracked_begun),
		.all = n->n_allocated - oi_load_relaxed(&oi_pace.all_begun), /* recheck */
		.bytes = n->bytes_allocated - oi_load_relaxed(&oi_pace.bytes_begun), /* recheck */
	};
}

/*
 * Notes how many objects and bytes were made so far, and how large they were on average since this
 * was last noted.
 */
static void note_made(void)
{
	struct oi_totals n;
	struct made m = made_since_full(&n);
	/* recheck, here, below, and where they are read: an estimate */
	oi_store_relaxed(&oi_pace.average, m.tracked ? m.bytes / m.tracked : m.bytes);
	oi_store_relaxed(&oi_pace.average_any, m.all ? m.bytes / m.all : 0); /* recheck */
	oi_store_relaxed(&oi_pace.all_begun, n.n_allocated); /* recheck */
	oi_store_relaxed(&oi_pace.tracked_begun, n.n_tracked); /* recheck */
	oi_store_relaxed(&oi_pace.bytes_begun, n.bytes_allocated); /* recheck */
	oi_store_relaxed(&oi_pace.large_begun, oi_heap_large_made()); /* recheck */
}

/*
 * Returns how many pages the objects made since the full collection began take up, with what hangs
 * on them, if they are like all that were made since. It has not looked at those, and they are no
 * measure of what may be.
 */
static size_t pages_since_full(void)
{
	struct oi_totals n;
	struct made m = made_since_full(&n);
	/* recheck */
	uint64_t there = oi_pace_aged(0) + oi_pace_aged(1) + oi_load_relaxed(&oi_pace.old_new);
	return m.tracked ? (size_t)(m.bytes / m.tracked *
				    (there < m.tracked ? there : m.tracked) / OI_PAGE) :
			   0;
}

void oi_policy_full_begins(bool all)
{
	oi_assert_locked(OI_LOCK_COLLECT);
	note_made();
	oi_idle_full_begins();
	oi_store_relaxed(&search_left, (size_t)0); /* recheck: it forgets them */
	if (all) {
		reset_young(0, false);
		oi_store_relaxed(&oi_pace.count[1], 0); /* count */
	}
	oi_store_relaxed(&oi_pace.count[2], 0); /* count */
	oi_policy_full_begun();
	set_room();
	oi_store_relaxed(&oi_pace.full, (uint32_t)oi_self->key); /* recheck */
}

void oi_policy_full_begun(void)
{
	oi_assert_locked(OI_LOCK_COLLECT);
	oi_store_relaxed(&oi_pace.old_begun, oi_load_relaxed(&oi_pace.old_new)); /* count */
}

void oi_policy_frozen(void)
{
	oi_assert_stopped();
	struct oi_thread *t;
	oi_for_each_thread(t)
		oi_pace_flush(t);
	oi_store_relaxed(&oi_pace.young, 0); /* count */
	oi_store_relaxed(&oi_pace.count[1], 0); /* count */
	oi_store_relaxed(&oi_pace.count[2], 0); /* count */
	oi_store_relaxed(&oi_pace.aged[0], 0); /* stopped */
	oi_store_relaxed(&oi_pace.aged[1], 0); /* stopped */
}

/* A full collection is done. It has not looked at what became old while it ran. */
void oi_policy_full_done(size_t old, size_t dead)
{
	oi_assert_locked(OI_LOCK_COLLECT);
	uint64_t made = oi_load_relaxed(&oi_pace.old_begun); /* count */
	oi_store_relaxed(&oi_pace.yield, /* recheck */
			 dead >= made ? 256 : (uint32_t)(dead * 256 / made));
	oi_store_relaxed(&oi_pace.old_then, (uint64_t)old); /* count */
	oi_add_relaxed(&oi_pace.old_new, -oi_load_relaxed(&oi_pace.old_begun)); /* count */
	oi_store_relaxed(&oi_pace.old_begun, UINT64_C(0)); /* count */
	oi_store_relaxed(&oi_pace.old_gone, INT64_C(0)); /* count */
	oi_idle_full_done(old, dead);
}

/*
 * So many loose objects for a search: an amount that hardly counts beside the heap, and for which
 * threads make room (loose.c).
 */
#define SEARCH_SHARE 32
#define SEARCH_LEAST 1024
#define SEARCH_MOST 8192
_Static_assert(SEARCH_MOST <= OI_LOOSE_FIRST, "else no search would ever be due");

static void set_search(void)
{
	uint64_t n = oi_load_relaxed(&oi_pace.old_then) / SEARCH_SHARE; /* count */
	n = n < SEARCH_LEAST ? SEARCH_LEAST : n < SEARCH_MOST ? n : SEARCH_MOST;
	oi_store_relaxed(&search_at, (size_t)n); /* recheck */
	oi_loose_set_due((size_t)n);
}

static uint64_t dead_per_root; /* in 1/16: what a search finds for each object that waits for it */

bool oi_policy_search_due(void)
{
	size_t at = oi_load_relaxed(&search_at); /* recheck */
	/* recheck */
	return (oi_loose_waiting() >= at || oi_load_relaxed(&search_left) >= 2 * at) &&
	       oi_pace_searches() && oi_pace_may();
}

/*
 * There may be other garbage beside what searches find: hence only while that is likely the half.
 */
bool oi_policy_put_off_full(void)
{
	uint64_t grown = oi_load_relaxed(&oi_pace.old_new), /* count */
		 roots = oi_loose_waiting() + oi_load_relaxed(&search_left); /* recheck */
	uint64_t likely_dead = roots * oi_load_relaxed(&dead_per_root) / 16; /* recheck */
	return oi_policy_search_due() && likely_dead >= grown / 2;
}

void oi_policy_searched(size_t dead, size_t left)
{
	oi_assert_locked(OI_LOCK_CONCURRENT);
	size_t roots = oi_load_relaxed(&search_left); /* recheck */
	if (roots >= SEARCH_LEAST / 2)
		oi_store_relaxed(&dead_per_root, (uint64_t)(dead * 16 / roots)); /* recheck */
	uint64_t grown = oi_load_relaxed(&oi_pace.old_new); /* count */
	uint64_t less = dead < grown ? dead : grown;
	oi_add_relaxed(&oi_pace.old_new, -less); /* count */
	oi_store_relaxed(&search_left, left); /* recheck */
}

/*
 * What is in use after the collection, less what was made since it began, is what lived then. But
 * it includes what died and waits, for instance for an owner that sleeps to merge it. As the
 * measure of what may be, it would grow by that, and next time more would wait. So it grows by no
 * more than an eighth and STEP, besides the space for as many objects as there are more.
 */
static size_t believable(size_t pages)
{
	uint64_t old = oi_load_relaxed(&oi_pace.old_then),	  /* recheck */
		before = oi_load_relaxed(&oi_pace.old_before); /* recheck */
	uint64_t more = old > before ? (old - before) * oi_load_relaxed(&oi_pace.average) : 0;
	size_t then = oi_load_relaxed(&oi_pace.pages_then), /* recheck */
	       most = then + then / 8 + STEP + (size_t)(more / OI_PAGE);
	return pages < most ? pages : most;
}

void oi_policy_full_freed(void)
{
	uint32_t full = oi_self->key;
	oi_cas(&oi_pace.full, &full, 0u); /* recheck: another's may have begun meanwhile */
	int64_t large = oi_heap_large_bytes() -
			/* recheck */
			(oi_heap_large_made() - oi_load_relaxed(&oi_pace.large_begun)) -
			(int64_t)oi_pace_garbage_waiting().bytes;
	oi_store_relaxed(&oi_pace.large_then, large > 0 ? large : 0); /* recheck */
	oi_store_relaxed(&oi_pace.external_then, (int64_t)oi_pace_external()); /* recheck */
	oi_usage_count();
	size_t pages = oi_usage_pages(), since = pages_since_full() + oi_delay_pages_waiting();
	/* recheck */
	oi_store_relaxed(&oi_pace.pages_then, believable(pages > since ? pages - since : 0));
	oi_store_relaxed(&oi_pace.old_before, oi_load_relaxed(&oi_pace.old_then)); /* recheck */
	set_effective();
}

void oi_policy_fork_child(void)
{
	if (!oi_concurrent_locked_by_me()) {
		oi_store_relaxed(&oi_pace.full, 0u); /* recheck: nobody looks yet */
		oi_store_relaxed(&oi_pace.old_begun, UINT64_C(0)); /* count */
	}
	oi_idle_fork_child();
	set_effective();
}

/* ---- public ---- */

bool ouro_gc_enable(void)
{
	oi_current();
	return __atomic_exchange_n(&oi_pace.enabled, true, __ATOMIC_ACQ_REL); /* recheck */
}

bool ouro_gc_disable(void)
{
	oi_current();
	return __atomic_exchange_n(&oi_pace.enabled, false, __ATOMIC_ACQ_REL); /* recheck */
}

bool ouro_gc_is_enabled(void)
{
	oi_current();
	return oi_load_relaxed(&oi_pace.enabled); /* recheck */
}

int ouro_gc_set_threshold(int g0, int g1, int g2)
{
	oi_current();
	if (g0 < -1 || g1 < 0 || g2 < 0)
		return EINVAL;
	oi_policy_set_threshold((int[3]){ g0, g1, g2 });
	return 0;
}

void ouro_gc_get_threshold(int out[3])
{
	oi_current();
	for (int i = 0; i < 3; i++)
		out[i] = oi_load_relaxed(&oi_pace.threshold_set[i]); /* recheck */
}

void ouro_gc_get_count(int out[3])
{
	struct oi_thread *t = oi_enter();
	int64_t young = oi_load_relaxed(&oi_pace.young) + t->tracked_delta; /* count */
	oi_gate_leave(t);
	out[0] = young < 0 ? 0 : young > INT32_MAX ? INT32_MAX : (int)young;
	out[1] = oi_load_relaxed(&oi_pace.count[1]); /* count */
	out[2] = oi_load_relaxed(&oi_pace.count[2]); /* count */
}
