/*
 * delay.c - threads that outrun the collector are delayed
 *
 * The collector, or the reaper, may not have got round to some of its work: young objects beyond
 * some thresholds or a share of the old generation (oi_pace_young_limit); while a full collection
 * runs, what became old, and is garbage as far as the last one is a guide; bytes of large objects;
 * pages in use; what waits for its callbacks. Of each some is tolerated, and the lag is the worst
 * of these, as a multiple of that. While it is above 1, a thread that makes objects waits, in the
 * middle of an allocation but outside its gate, for the end of the collection, at most DELAY_NS,
 * each time it has used up its quota of allocations. The quota is halved whenever the lag doubles;
 * when it is down to one object, a thread waits twice for it, and so on, up to DELAYS times. So
 * what is made in a millisecond falls as the lag grows, however many threads there are, until the
 * collector, which then has the processors, keeps up. No wait is for ever, as each has its time:
 * what it waits for may not come, because a pinned thread holds a stop up, or a collector is
 * missing since a fork. A thread that holds others up never waits: one that is pinned, in a
 * callback or in a death, or one of the library's own.
 */
#include "count/delay.h"

#include "base/doors.h"
#include "base/holdup.h"
#include "base/os.h"
#include "base/perturb.h"
#include "base/runtime.h"
#include "base/wake.h"
#include "count/backlog.h"
#include "heap/heap.h"
#include "heap/large.h"
#include "heap/pace.h"
#include "heap/usage.h"
#include "world/context.h"
#include "world/gate.h"

#define DELAY_NS UINT64_C(1000000)
#define SURVIVAL_SURE 240
#define STUCK_NS UINT64_C(1000000000)
#define DELAYS 16    /* in one allocation, or for one page of it */
/*
 * What a large object counts for: the system makes memory that is zero faster than a collection
 * looks at it.
 */
#define PAGES_MOST 8
#define QUOTA 64
#define UNIT 16   /* a lag of 1: as much as is tolerated */
#define LAG_MOST ((uint64_t)1 << 20)
#define LARGE_PAGES ((uint64_t)(24 << 20) / OI_PAGE) /* are tolerated, beside a quarter */
/* Of the old generation: for what becomes old during a full collection and is garbage. */
#define FULL_SHARE 16
#define FULL_FLOOR 300000
/* Tolerated beside a quarter, of pages that are likely garbage; beside a half, of any. */
#define PAGES_DEAD ((size_t)(20 << 20) / OI_PAGE)
#define PAGES_ANY ((size_t)(32 << 20) / OI_PAGE)
#define REAPER_PAGES ((uint64_t)(8 << 20) / OI_PAGE)
#define PAGES_STEP ((size_t)(4 << 20) / OI_PAGE)

static uint64_t lag_of(uint64_t n, uint64_t tolerated)
{
	return n / tolerated >= LAG_MOST ? LAG_MOST : n * UNIT / tolerated;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t young_lag(void)
{
	int64_t n = oi_load_relaxed(&oi_pace.aged[0]); /* recheck */
	return n > 0 && oi_pace_young_due() ?
		       lag_of((uint64_t)n, (uint64_t)oi_pace_young_limit()) : 0;
}

/*
 * While a full collection runs, what becomes old may be garbage already: as much of it as was
 * garbage the last time. A share of the old generation is tolerated, and in a small heap what fits
 * in its room (policy.c), as with its share threads would wait most of the time. When a heap has
 * been filled and begins to change, the last time is no guide: hence no more than half of the old
 * generation is tolerated, whatever it is.
 */
static uint64_t full_lag(void)
{
	if (!oi_load_relaxed(&oi_pace.full)) /* recheck, here and below */
		return 0;
	uint64_t old = oi_load_relaxed(&oi_pace.old_then), /* count */
		 room = oi_load_relaxed(&oi_pace.room);    /* count */
	uint64_t n = oi_load_relaxed(&oi_pace.old_new) -   /* count */
		     oi_load_relaxed(&oi_pace.old_begun);  /* count */
	uint64_t dead = n * oi_load_relaxed(&oi_pace.yield) / 256; /* count */
	return larger(lag_of(dead, larger(old / FULL_SHARE, room)),
		      lag_of(n, larger(old / 2, FULL_FLOOR)));
}

/*
 * Steep, since the room that is left is the same in a heap of any size: each PAGES_STEP beyond what
 * is tolerated doubles the lag.
 */
static uint64_t lag_of_pages(uint64_t n, uint64_t tolerated)
{
	uint64_t steps = n > tolerated ? (n - tolerated) / PAGES_STEP + 1 : 0;
	return !steps ? 0 : (uint64_t)UNIT << (steps < 16 ? steps : 16);
}

static uint64_t large_lag(void)
{
	/* recheck */
	int64_t then = oi_load_relaxed(&oi_pace.large_then), n = oi_heap_large_bytes() - then;
	return n > 0 ? lag_of_pages((uint64_t)n / OI_PAGE,
				    (uint64_t)then / OI_PAGE / 4 + LARGE_PAGES) : 0;
}

static uint64_t external_lag(void)
{
	uint64_t n = oi_pace_external_growth() / OI_PAGE;
	/* recheck */
	uint64_t then = (uint64_t)oi_load_relaxed(&oi_pace.external_then) / OI_PAGE;
	return lag_of_pages(n, then / 4 + LARGE_PAGES);
}

static uint64_t pages_lag(void)
{
	uint64_t then = oi_load_relaxed(&oi_pace.pages_then), n = oi_pace_growth(); /* recheck */
	/* Then hardly any of it is garbage. */
	bool builds = oi_load_relaxed(&oi_pace.survival) >= SURVIVAL_SURE; /* recheck */
	uint64_t dead = builds ? 0 : n * oi_load_relaxed(&oi_pace.yield) / 256; /* count */
	return larger(lag_of_pages(dead, then / 4 + PAGES_DEAD),
		      lag_of_pages(n, then / 2 + PAGES_ANY));
}

static uint32_t progress; /* counts callbacks that the library's threads have done with */

void oi_delay_progress(void)
{
	oi_add_relaxed(&progress, 1u); /* recheck */
}

static bool is_long_ago(uint64_t then, uint64_t now)
{
	return now > then && now - then > STUCK_NS;
}

/*
 * Returns true if the reaper has been in one callback for long. Then nobody waits for it, since
 * that may be for ever. Called only while something lags; so what was noted before a long time
 * without a look says nothing, and the time begins anew.
 */
static bool reaper_is_stuck(void)
{
	static uint32_t seen;
	static uint64_t since, looked;
	uint32_t n = oi_load_relaxed(&progress); /* recheck: a thread that is late begins anew */
	uint64_t before = oi_load_relaxed(&looked), now = oi_now_ns(); /* recheck */
	oi_store_relaxed(&looked, now); /* recheck */
	if (n != oi_load_relaxed(&seen) || is_long_ago(before, now)) { /* recheck */
		oi_store_relaxed(&seen, n); /* recheck */
		oi_store_relaxed(&since, now); /* recheck */
	}
	return is_long_ago(oi_load_relaxed(&since), now); /* recheck */
}

size_t oi_delay_pages_waiting(void)
{
	return (oi_pace_garbage_waiting().bytes +
		oi_backlog_waiting() * oi_load_relaxed(&oi_pace.average_any)) / /* recheck */
	       OI_PAGE;
}

/* What waits for its callbacks; in manual mode the program may take its time. */
static uint64_t reaper_lag(void)
{
	uint64_t n = lag_of(oi_pace_garbage_waiting().n + oi_backlog_waiting(),
			    (uint64_t)oi_pace_young_limit());
	uint64_t bytes = lag_of_pages(oi_delay_pages_waiting(), /* recheck */
				      oi_load_relaxed(&oi_pace.pages_then) / 8 + REAPER_PAGES);
	if (oi_runtime.config.finalizers != OURO_FINALIZERS_THREAD || larger(n, bytes) <= UNIT ||
	    reaper_is_stuck())
		return 0;
	return larger(n, bytes);
}

/* Returns the lag, in which UNIT is 1. */
static uint64_t lag(void)
{
	/* recheck */
	if (!oi_load_relaxed(&oi_pace.threshold) || !oi_load_relaxed(&oi_pace.enabled))
		return 0;
	uint64_t memory = larger(larger(large_lag(), external_lag()), pages_lag());
	return larger(larger(larger(young_lag(), full_lag()), memory), reaper_lag());
}

bool oi_delay_due(void)
{
	return lag() > UNIT;
}

/* Returns how often the lag has doubled from 1. */
static unsigned doublings(uint64_t units)
{
	return units > UNIT ? 63 - (unsigned)__builtin_clzll(units / UNIT) : 0;
}

/* Returns how many allocations a thread keeps to itself while nothing lags. */
static int64_t full_quota(void)
{
	/* recheck */
	int64_t threshold = oi_load_relaxed(&oi_pace.threshold), quota = threshold / 16;
	return !threshold || quota > QUOTA ? QUOTA : quota < 1 ? 1 : quota;
}

/*
 * Returns how often to wait with so much lag: for @pages pages, or, if that is 0, for a quota,
 * which the lag halves until it is one object.
 */
static size_t delays_for(uint64_t units, size_t pages)
{
	unsigned n = doublings(units),
		 halvings = pages ? 0 : 63 - (unsigned)__builtin_clzll((uint64_t)full_quota());
	size_t times = !pages ? 1 : pages < PAGES_MOST ? pages : PAGES_MOST;
	return times * (n <= halvings ? 1 : n - halvings >= 4 ? DELAYS : 1u << (n - halvings));
}

static void set_quota(uint64_t units)
{
	unsigned n = doublings(units);
	int64_t quota = full_quota() >> (n < 8 ? n : 8);
	quota = quota < 1 ? 1 : quota;
	/* count: written only if it changes, since every allocation reads its line */
	if (quota != oi_load_relaxed(&oi_pace.quota))
		oi_store_relaxed(&oi_pace.quota, quota); /* count */
}

void oi_delay_set_quota(void)
{
	set_quota(lag());
}

static struct oi_buckets times;

const struct oi_buckets *oi_delay_times(void)
{
	return &times;
}

void oi_delay_reset(void)
{
	oi_buckets_reset(&times);
}

static void account_delay(struct oi_thread *t, uint64_t began, uint64_t now)
{
	uint64_t ns = now - began;
	oi_own_add(&t->n_delays, 1);
	oi_own_add(&t->delay_ns, ns);
	oi_buckets_add(&times, ns);
	if (ns > oi_load_relaxed(&t->delay_max_ns)) /* count */
		oi_store_relaxed(&t->delay_max_ns, ns);
	oi_holdup_from(OURO_HOLDUP_PACE, began, now);
}

/* Outside the gate. Each of its waits ends no later than DELAY_NS after the first began. */
static void await_collection(struct oi_thread *t)
{
	uint64_t began = oi_now_ns(), now = began;
	do {
		uint32_t turn = oi_load_acquire(&oi_pace.turn); /* before the look [P1] */
		if (!oi_delay_due())
			break;
		oi_point("delay");
		oi_futex_wait(&oi_pace.turn, turn, began + DELAY_NS - now);
		now = oi_now_ns();
	} while (now - began < DELAY_NS);
	account_delay(t, began, now);
}

void oi_delay_thread(struct oi_thread *t, size_t pages)
{
	oi_assert_inside(t);
	uint64_t units = lag();
	set_quota(units);
	oi_wake_collect();
	if (units <= UNIT || t->pin_depth || t->dying || t->in_callback || t->internal)
		return;
	oi_gate_leave(t);
	for (size_t n = delays_for(units, pages); n && oi_delay_due(); n--)
		await_collection(t);
	oi_gate_enter(t);
}

void oi_delay_allocated(struct oi_thread *t, size_t pages)
{
	oi_assert_inside(t);
	int64_t made = t->solo.made + t->tracked_delta;
	if (unlikely(made >= OI_SOLO_EVERY) && made >= t->solo.every)
		oi_solo(t);
	oi_pace_flush(t);
	if (pages)
		oi_usage_note(t);
	if (unlikely(oi_delay_due()))
		oi_delay_thread(t, pages);
}

void oi_delay_allocated_large(struct oi_thread *t)
{
	oi_assert_inside(t);
	oi_store_relaxed(&t->tracked_delta, t->tracked_delta + 1); /* owner, here and below */
	oi_store_relaxed(&t->died[1], t->died[1] - 1); /* it is born old */
	oi_pace_ask_for_large();
}
