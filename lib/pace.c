/*
 * pace.c - when automatic collections start
 *
 * Generation 0: when allocations minus deaths of tracked objects since the last collection pass the threshold; by default
 * the threshold, and the number of objects one young stop may look at, follow from the pause budget and the measured cost
 * per object (a moving average), so that the stop stays inside the budget. What does not fit waits for the next stop:
 * any subset of the young objects is a sound set to collect. Objects with many more references than those before them are
 * noticed when these are counted: a stop ends early at twice as many as it should have come across.
 * Generation 1: after so many collections of 0. Survivors of those that would not fit its budget become old at once: a burst
 * of allocation is handed on to the old generation, and counted there. When more is young than the collector gets round to, and
 * most of what it looked at lately survived, all of it becomes old unseen, in stops that look at pages only; likewise, unless
 * thresholds were given, while nearly everything survives, as it does in a program that builds what it will live with (ring of
 * 1e6: 30 ns a node). One young collection of eight looks in any case.
 * Generation 2: after so many of 1, and CPython's rule: only when more has become old since the last full collection than
 * a quarter of what was old then; or when large objects, which are born old, take up a quarter more bytes. Nothing waits on
 * resident memory, which CPython tried and took back.
 *
 * Threads that together allocate faster than the collector collects are delayed: past LAG thresholds, or a share of the old
 * generation, or when too much becomes old while a full collection runs or its garbage is being freed. Each waits, in the middle
 * of an allocation but outside its gate, for the end of the next collection, at most DELAY_NS for each batch of its
 * allocations, which shrinks if that is not enough, or a few times for a large object. So garbage cannot outrun the collector for
 * want of a processor, and nobody waits for something that does not come: a stop that a pinned thread holds up, a collector in
 * the child of a fork that has not started. A thread that holds others up never waits: pinned ones, those in callbacks, the
 * library's own.
 */
#include "pace.h"

#include <errno.h>

#include "background.h"
#include "collect.h"
#include "count.h"
#include "gate.h"
#include "heap.h"
#include "holdup.h"
#include "os.h"

#define COST_UNIT UINT64_C(64)
#define COST_MAX (UINT64_C(100000) * COST_UNIT)
#define WIDTH_UNIT UINT64_C(64)
#define WIDTH_MAX (UINT64_C(10000) * WIDTH_UNIT)
#define CAP_MIN 500
#define CAP_MAX 200000
#define REFERENCES_MIN 4000
#define REFERENCES_MAX 2000000
#define LARGE_DELAYS 4 /* in one allocation: it takes as much room as a thousand small ones */
#define LARGE_FLOOR ((int64_t)32 << 20)
#define OLD_FLOOR 10000 /* a full collection below so many new old objects is not worth it */
#define LAG 4           /* thresholds */
#define LAG_FLOOR 20000 /* objects: tiny thresholds are for tests */
#define LAG_SHARE 8     /* of the old generation: so much more memory is no matter */
#define FULL_LAG_SHARE 16 /* the same, for what becomes old during a full collection and is garbage */
#define FULL_LAG_FLOOR 300000
#define FULL_ROOM ((size_t)(16 << 20) / OI_PAGE) /* pages */
#define DELAY_NS 1000000
#define SURVIVAL_HIGH 192 /* of 256 */
#define SURVIVAL_SURE 240
#define UNSEEN 7 /* young collections left out, between two that look whether nearly all still survives */

struct oi_pace oi_pace;

/* For half the budget, at the cost of late. */
static uint64_t affordable(void)
{
	uint64_t budget = oi_runtime.config.pause_budget_ns / 2, most = UINT64_C(10000000000);
	return (budget < most ? budget : most) * COST_UNIT / oi_load_relaxed(&oi_pace.cost); /* recheck */
}

size_t oi_pace_cap(void)
{
	uint64_t n = affordable();
	return n < CAP_MIN ? CAP_MIN : n > CAP_MAX ? CAP_MAX : (size_t)n;
}

size_t oi_pace_references(void)
{
	uint64_t n = 2 * affordable() * oi_pace.width / WIDTH_UNIT;
	return n < REFERENCES_MIN ? REFERENCES_MIN : n > REFERENCES_MAX ? REFERENCES_MAX : (size_t)n;
}

/*
 * While a full collection runs, what becomes old may be garbage already; as much of it as was garbage the last time. A share of
 * the old generation is tolerated, and in a small heap what fits in FULL_ROOM: its share would have threads wait most of the
 * time. When a heap has been filled and begins to change, the last time is no guide: hence half of the old generation at most.
 * In shares of what is tolerated: 0 to 2.
 */
static unsigned full_lag(void)
{
	if (!oi_load_relaxed(&oi_pace.full)) /* recheck, here and below */
		return 0;
	uint64_t old = oi_load_relaxed(&oi_pace.old_then), room = oi_load_relaxed(&oi_pace.room);
	uint64_t n = oi_load_relaxed(&oi_pace.old_new) - oi_load_relaxed(&oi_pace.old_begun);
	uint64_t share = old / FULL_LAG_SHARE > room ? old / FULL_LAG_SHARE : room;
	uint64_t most = old / 2 > FULL_LAG_FLOOR ? old / 2 : FULL_LAG_FLOOR;
	uint64_t dead = n * oi_load_relaxed(&oi_pace.yield) / 256;
	if (dead <= share && n <= most)
		return 0;
	return dead <= 2 * share && n <= 2 * most ? 1 : 2;
}

static void set_effective(void)
{
	int g0 = oi_load_relaxed(&oi_pace.threshold_set[0]); /* recheck: whoever comes last sees the last of both */
	int64_t most = full_lag() < 2 ? 64 : 16;
	int64_t threshold = g0 == -1 ? (int64_t)oi_pace_cap() / 2 : g0;
	int64_t batch = threshold / 16;
	oi_store_relaxed(&oi_pace.threshold, threshold);
	oi_store_relaxed(&oi_pace.batch, batch < 1 ? 1 : batch > most ? most : batch);
	if (!threshold)
		oi_store_relaxed(&oi_pace.batch, 64);
}

void oi_pace_set_threshold(const int t[3])
{
	for (int i = 0; i < 3; i++)
		oi_store_relaxed(&oi_pace.threshold_set[i], t[i]);
	set_effective();
}

void oi_pace_init(void)
{
	oi_pace = (struct oi_pace){ .cost = 60 * COST_UNIT, .width = 4 * WIDTH_UNIT, .yield = 256, .enabled = oi_runtime.config.enabled };
	oi_pace_set_threshold(oi_runtime.config.threshold);
}

/* Young objects beyond which threads are delayed. */
static int64_t young_limit(void)
{
	int64_t limit = (int64_t)oi_load_relaxed(&oi_pace.old_then) / LAG_SHARE, least = LAG * oi_load_relaxed(&oi_pace.threshold);
	limit = limit < least ? least : limit; /* recheck */
	return limit < LAG_FLOOR ? LAG_FLOOR : limit;
}

static bool young_lags(void)
{
	return oi_load_relaxed(&oi_pace.threshold) && oi_load_relaxed(&oi_pace.young) > young_limit(); /* recheck */
}

bool oi_pace_burst(void)
{
	uint32_t survival = oi_load_relaxed(&oi_pace.survival); /* recheck */
	if (oi_load_relaxed(&oi_pace.unseen) >= UNSEEN)
		return false;
	if (oi_load_relaxed(&oi_pace.young) > young_limit() / 2 && survival >= SURVIVAL_HIGH)
		return true;
	return oi_load_relaxed(&oi_pace.threshold_set[0]) == -1 && survival >= SURVIVAL_SURE;
}

static void count_young(int generation)
{
	if (generation == 0) {
		oi_add_relaxed(&oi_pace.count[1], 1);
	} else {
		oi_store_relaxed(&oi_pace.count[1], 0);
		oi_add_relaxed(&oi_pace.count[2], 1);
	}
}

void oi_pace_burst_done(int generation)
{
	int64_t young = oi_load_relaxed(&oi_pace.young); /* count */
	bool behind = young > young_limit() / 2;
	oi_add_relaxed(&oi_pace.old_new, (young > 0 ? (uint64_t)young : 0) + oi_pace.middle);
	oi_pace.middle = 0;
	oi_own_add(&oi_pace.unseen, 1);
	oi_add_relaxed(&oi_pace.young, -young);
	if (behind) { /* it stands for all the young collections there would have been */
		oi_store_relaxed(&oi_pace.count[1], oi_load_relaxed(&oi_pace.threshold_set[1]));
		oi_store_relaxed(&oi_pace.count[2], oi_load_relaxed(&oi_pace.threshold_set[2]));
	} else {
		count_young(generation);
	}
	set_effective();
}

/* By how much large objects, which are born old, outgrew what is tolerated: 0 a full collection is not due, 2: it lags. */
static unsigned large_lag(void)
{
	int64_t then = oi_load_relaxed(&oi_pace.large_then), n = oi_heap_large_bytes() - then; /* recheck */
	int64_t share = then / 4 < LARGE_FLOOR ? LARGE_FLOOR : then / 4;
	return n <= share ? 0 : n <= 2 * share ? 1 : 2;
}

static bool lags(void)
{
	return (young_lags() || full_lag() || large_lag() == 2) && oi_load_relaxed(&oi_pace.enabled);
}

/* Outside the gate. */
static void await_collection(struct oi_thread *t)
{
	uint64_t began = oi_now_ns(), now = began;
	do {
		uint32_t turn = oi_load_acquire(&oi_pace.turn); /* before the look [P1] */
		if (!lags())
			break;
		oi_futex_wait(&oi_pace.turn, turn, DELAY_NS);
		now = oi_now_ns();
	} while (now - began < DELAY_NS);
	oi_own_add(&t->n_delays, 1);
	oi_own_add(&t->delay_ns, now - began);
	if (now - began > oi_load_relaxed(&t->delay_max_ns)) /* count */
		oi_store_relaxed(&t->delay_max_ns, now - began);
	oi_holdup(t, OURO_HOLDUP_PACE, now - began);
}

void oi_pace_turn(void)
{
	oi_add_acq_rel(&oi_pace.turn, 1u); /* [P1]: after young was taken down */
	oi_futex_wake(&oi_pace.turn);
}

void oi_pace_flush(struct oi_thread *t)
{
	int64_t n = oi_add_relaxed(&oi_pace.young, t->tracked_delta) + t->tracked_delta; /* count */
	oi_store_relaxed(&t->tracked_delta, 0);
	int64_t threshold = oi_load_relaxed(&oi_pace.threshold); /* recheck */
	if ((threshold && n > threshold && oi_load_relaxed(&oi_pace.enabled)) || oi_perturb_collect())
		oi_background_collect();
}

void oi_pace_allocated_large(struct oi_thread *t)
{
	oi_store_relaxed(&t->tracked_delta, t->tracked_delta + 1); /* owner */
	if (large_lag() && oi_load_relaxed(&oi_pace.threshold) && oi_load_relaxed(&oi_pace.enabled)) { /* recheck */
		oi_background_collect();
		for (int i = 0; i < LARGE_DELAYS && large_lag() == 2; i++)
			oi_pace_allocated_batch(t);
	}
}

void oi_pace_allocated_batch(struct oi_thread *t)
{
	oi_pace_flush(t);
	if (likely(!lags()) || t->pin_depth || t->dying || t->in_callback || t->internal)
		return;
	oi_gate_leave(t);
	await_collection(t);
	oi_gate_enter(t);
}

int oi_pace_due(int max)
{
	int64_t threshold = oi_load_relaxed(&oi_pace.threshold), young = oi_load_relaxed(&oi_pace.young); /* recheck */
	if (!oi_load_relaxed(&oi_pace.enabled) || !threshold || oi_collect_held_off())
		return -1;
	if (max == 2 && large_lag())
		return 2;
	if (young <= threshold)
		return -1;
	if (oi_load_relaxed(&oi_pace.count[1]) < oi_load_relaxed(&oi_pace.threshold_set[1]))
		return 0;
	if (oi_load_relaxed(&oi_pace.count[2]) < oi_load_relaxed(&oi_pace.threshold_set[2]))
		return 1;
	uint64_t share = oi_load_relaxed(&oi_pace.old_then) / 4;
	return max == 2 && oi_load_relaxed(&oi_pace.old_new) > (share > OLD_FLOOR ? share : OLD_FLOOR) ? 2 : 1;
}

/* @more: objects were left for the next stop, which is due at once. Threads' batches blur the count anyway. */
static void reset_young(size_t n, bool more)
{
	int64_t young = oi_load_relaxed(&oi_pace.young) - (int64_t)n, threshold = oi_load_relaxed(&oi_pace.threshold); /* count */
	oi_store_relaxed(&oi_pace.young, !more ? 0 : young > threshold ? young : threshold + 1);
}

bool oi_pace_middle_full(void)
{
	return oi_pace.middle > oi_pace_cap();
}

/* A moving average, of the last eight about. */
static uint32_t average(uint32_t was, uint64_t now, uint64_t most)
{
	uint64_t next = was - was / 8 + (now < most ? now : most) / 8;
	return next < 8 ? 8u : (uint32_t)next;
}

static void learn(const struct oi_pace_young *y)
{
	uint32_t survival = (uint32_t)(y->survivors * 256 / y->n), then = oi_pace.survival;
	/* Down faster than up: garbage is to be seen. */
	oi_store_relaxed(&oi_pace.survival, survival < then ? (survival + then) / 2 : then - then / 8 + survival / 8);
	oi_store_relaxed(&oi_pace.unseen, 0u);
	oi_store_relaxed(&oi_pace.cost, average(oi_pace.cost, y->ns * COST_UNIT / y->n, COST_MAX));
	oi_pace.width = average(oi_pace.width, y->references * WIDTH_UNIT / y->n, WIDTH_MAX);
}

void oi_pace_young_done(const struct oi_pace_young *y)
{
	oi_assert_locked(OI_LOCK_COLLECT);
	if (y->generation == 1)
		oi_pace.middle = y->more && oi_pace.middle > y->n ? oi_pace.middle - y->n : 0;
	oi_pace.middle += y->survivors - y->promoted;
	if (y->n >= 100 || y->references >= 1000)
		learn(y);
	oi_add_relaxed(&oi_pace.old_new, y->promoted);
	set_effective();
	reset_young(y->n, y->more);
	count_young(y->generation);
}

/* Old objects that fit in FULL_ROOM, or an eighth of the heap limit, with what belongs to them, if they are like those there are. */
static void set_room(void)
{
	uint64_t n = oi_load_relaxed(&oi_pace.old_then) + oi_load_relaxed(&oi_pace.old_new); /* recheck */
	size_t limit = oi_runtime.config.heap_limit, most = FULL_ROOM;
	if (limit && limit / 8 / OI_PAGE < most)
		most = limit / 8 / OI_PAGE;
	uint64_t pages = oi_pages_used(), room = n * most / (pages ? pages : 1);
	oi_store_relaxed(&oi_pace.room, room > LAG_FLOOR ? room : LAG_FLOOR);
}

void oi_pace_full_begins(bool all)
{
	if (all) {
		oi_pace.middle = 0;
		reset_young(0, false);
		oi_store_relaxed(&oi_pace.count[1], 0);
	}
	oi_store_relaxed(&oi_pace.count[2], 0);
	oi_store_relaxed(&oi_pace.old_begun, oi_load_relaxed(&oi_pace.old_new));
	set_room();
	oi_store_relaxed(&oi_pace.full, true);
}

void oi_pace_frozen(void)
{
	struct oi_thread *t;
	oi_for_each_thread(t)
		oi_store_relaxed(&t->tracked_delta, 0);
	oi_store_relaxed(&oi_pace.young, 0);
	oi_store_relaxed(&oi_pace.count[1], 0);
	oi_store_relaxed(&oi_pace.count[2], 0);
	oi_pace.middle = 0;
}

/* What became old while it ran it has not looked at. */
void oi_pace_full_done(size_t old, size_t dead)
{
	oi_assert_locked(OI_LOCK_COLLECT);
	uint64_t made = oi_load_relaxed(&oi_pace.old_begun);
	oi_store_relaxed(&oi_pace.yield, dead >= made ? 256 : (uint32_t)(dead * 256 / made));
	oi_store_relaxed(&oi_pace.old_then, (uint64_t)old);
	oi_add_relaxed(&oi_pace.old_new, -oi_load_relaxed(&oi_pace.old_begun));
	oi_store_relaxed(&oi_pace.old_begun, UINT64_C(0));
}

void oi_pace_full_freed(void)
{
	oi_store_relaxed(&oi_pace.full, false);
	oi_store_relaxed(&oi_pace.large_then, oi_heap_large_bytes());
	set_effective();
}

void oi_pace_fork_child(void)
{
	oi_store_relaxed(&oi_pace.full, false); /* nobody looks yet */
	oi_store_relaxed(&oi_pace.old_begun, UINT64_C(0));
	set_effective();
}

/* ---- public ---- */

bool ouro_gc_enable(void)
{
	oi_current();
	return __atomic_exchange_n(&oi_pace.enabled, true, __ATOMIC_ACQ_REL);
}

bool ouro_gc_disable(void)
{
	oi_current();
	return __atomic_exchange_n(&oi_pace.enabled, false, __ATOMIC_ACQ_REL);
}

bool ouro_gc_is_enabled(void)
{
	oi_current();
	return oi_load_relaxed(&oi_pace.enabled);
}

int ouro_gc_set_threshold(int g0, int g1, int g2)
{
	oi_current();
	if (g0 < -1 || g1 < 0 || g2 < 0)
		return EINVAL;
	oi_pace_set_threshold((int[3]){ g0, g1, g2 });
	return 0;
}

void ouro_gc_get_threshold(int out[3])
{
	oi_current();
	for (int i = 0; i < 3; i++)
		out[i] = oi_load_relaxed(&oi_pace.threshold_set[i]);
}

void ouro_gc_get_count(int out[3])
{
	struct oi_thread *t = oi_enter();
	int64_t young = oi_load_relaxed(&oi_pace.young) + t->tracked_delta; /* count */
	oi_gate_leave(t);
	out[0] = young < 0 ? 0 : young > INT32_MAX ? INT32_MAX : (int)young;
	out[1] = oi_load_relaxed(&oi_pace.count[1]);
	out[2] = oi_load_relaxed(&oi_pace.count[2]);
}
