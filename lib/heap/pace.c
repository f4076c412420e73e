/*
 * pace.c - what asks for automatic collections
 *
 * Generation 0: a collection is due when allocations minus deaths of tracked objects since the last
 * one pass the threshold. This is CPython's count, where any death counts. Beside it we count what
 * there is of either age (INV-P1): aged[] is the number of objects with the bits of that age.
 * Deaths by count look at these bits, and stops correct aged[] exactly, also for what they declare
 * garbage. Each thread counts to itself and adds a quota at a time.
 *
 * A collection is also due when so many bytes came into use (usage.c) since the last one that it is
 * worth its while, whatever the number of objects: they may be few and large, or small ones that
 * hold what cannot be traversed, or the thresholds may never be passed. For a full collection that
 * is due so, what is young becomes old first, so that the collection sees all.
 *
 * What collections make of these numbers, how large the thresholds are, and which generation has
 * its turn: policy.c. Threads that together allocate faster than the collector collects are
 * delayed: delay.c.
 */
#include "heap/pace.h"

#include "base/wake.h"
#include "heap/heap.h"
#include "heap/large.h"
#include "heap/usage.h"
#include "world/context.h"
#include "world/gate.h"
#include "world/gclock.h"
#include "world/park.h"
#include "world/thread.h"

#define LAG 4       /* thresholds */
#define LAG_SHARE 8 /* of the old generation: so much more memory does not matter */
/* So much growth is worth a young collection, whatever the threshold. */
#define YOUNG_PAGES ((size_t)(3 << 20) / OI_PAGE)
#define FULL_PAGES ((size_t)(8 << 20) / OI_PAGE)  /* so much, beside a quarter, a full one */
#define LARGE_DUE ((int64_t)16 << 20)             /* bytes, or a quarter if that is more */

struct oi_pace oi_pace;

/* ---- counting ---- */

static struct oi_pace_waiting waiting;
int64_t oi_pace_n_frozen;

void oi_pace_garbage_waits(uint64_t n, uint64_t bytes)
{
	oi_add_relaxed(&waiting.n, n);         /* recheck */
	oi_add_relaxed(&waiting.bytes, bytes); /* recheck */
}

void oi_pace_garbage_is_over(uint64_t n, uint64_t bytes)
{
	oi_add_relaxed(&waiting.n, -n);         /* recheck */
	oi_add_relaxed(&waiting.bytes, -bytes); /* recheck */
}

struct oi_pace_waiting oi_pace_garbage_waiting(void)
{
	uint64_t n = oi_load_relaxed(&waiting.n),         /* recheck */
		 bytes = oi_load_relaxed(&waiting.bytes); /* recheck */
	return (struct oi_pace_waiting){ n, bytes };
}

void oi_pace_frozen_died(void)
{
	oi_add_relaxed(&oi_pace_n_frozen, -1); /* count */
}

uint64_t oi_pace_population(void)
{
	uint64_t old = oi_load_relaxed(&oi_pace.old_then) + /* recheck */
		       oi_load_relaxed(&oi_pace.old_new);   /* recheck */
	return old + oi_pace_aged(0) + oi_pace_aged(1);
}

uint64_t oi_pace_changed(void)
{
	int64_t gone = oi_load_relaxed(&oi_pace.old_gone); /* recheck */
	/* recheck */
	uint64_t made = oi_load_relaxed(&oi_pace.old_new) + oi_pace_aged(0) + oi_pace_aged(1);
	return made + (uint64_t)(gone < 0 ? -gone : gone);
}

static void add_untaken(int64_t n[2], const int64_t *delta, const int64_t died[2])
{
	int64_t middle = oi_load_relaxed(&died[0]); /* count */
	/* count */
	n[0] += oi_load_relaxed(delta) + middle + oi_load_relaxed(&died[1]);
	n[1] -= middle;
}

void oi_pace_unflushed(int64_t n[2])
{
	oi_assert_stopped();
	struct oi_thread *t;
	n[0] = n[1] = 0;
	add_untaken(n, &oi_park_left.tracked_delta, oi_park_left.died);
	/* The others' are in oi_park_left, or added: oi_park, oi_thread_detach. */
	oi_for_each_active(t)
		add_untaken(n, &t->tracked_delta, t->died);
}

void oi_pace_young(uint64_t n[2])
{
	struct oi_thread *t;
	int64_t sum[2] = { oi_load_relaxed(&oi_pace.aged[0]),   /* count */
			   oi_load_relaxed(&oi_pace.aged[1]) }; /* count */
	add_untaken(sum, &oi_park_left.tracked_delta, oi_park_left.died);
	for (size_t i = 0; (t = oi_thread_record(i)); i++)
		add_untaken(sum, &t->tracked_delta, t->died);
	for (int age = 0; age < 2; age++)
		n[age] = sum[age] > 0 ? (uint64_t)sum[age] : 0;
}

/* ---- what is due ---- */

int64_t oi_pace_young_limit(void)
{
	int64_t limit = (int64_t)oi_load_relaxed(&oi_pace.old_then) / LAG_SHARE, /* recheck */
		least = LAG * oi_load_relaxed(&oi_pace.threshold);               /* recheck */
	limit = limit < least ? least : limit;
	limit = limit < OI_LAG_FLOOR ? OI_LAG_FLOOR : limit;
	/* What threads look at by themselves is not the collector's backlog. */
	return limit + oi_pace_left_alone();
}

/* Returns by how much the pages in use exceed *then, which is lowered if they have become fewer. */
static size_t growth(size_t *then)
{
	size_t pages = oi_usage_pages(), least = oi_load_relaxed(then); /* recheck */
	if (pages < least)
		oi_store_relaxed(then, pages); /* recheck */
	return pages > least ? pages - least : 0;
}

size_t oi_pace_growth(void)
{
	return growth(&oi_pace.pages_then);
}

/*
 * For objects that are large, or hold what the collector does not look at, memory is what counts.
 */
bool oi_pace_young_pages_due(void)
{
	size_t share = oi_load_relaxed(&oi_pace.pages_then) / 16; /* recheck */
	return growth(&oi_pace.pages_young) > (share > YOUNG_PAGES ? share : YOUNG_PAGES) &&
	       oi_pace_aged(0) + oi_pace_aged(1);
}

bool oi_pace_pages_due(void)
{
	/* recheck */
	return oi_pace_growth() > oi_load_relaxed(&oi_pace.pages_then) / 4 + FULL_PAGES;
}

bool oi_pace_large_due(void)
{
	int64_t then = oi_load_relaxed(&oi_pace.large_then), /* recheck */
		n = oi_heap_large_bytes() - then;
	return n > (then / 4 > LARGE_DUE ? then / 4 : LARGE_DUE);
}

void oi_pace_external_add(int64_t bytes)
{
	oi_add_relaxed(&oi_pace.external, bytes); /* count */
}

uint64_t oi_pace_external(void)
{
	int64_t now = oi_load_relaxed(&oi_pace.external); /* count */
	return now > 0 ? (uint64_t)now : 0;
}

/* What it is compared with is lowered where it has become less. */
uint64_t oi_pace_external_growth(void)
{
	int64_t now = (int64_t)oi_pace_external(),
		then = oi_load_relaxed(&oi_pace.external_then); /* recheck */
	if (now < then)
		oi_store_relaxed(&oi_pace.external_then, now); /* recheck */
	return now > then ? (uint64_t)(now - then) : 0;
}

bool oi_pace_external_due(void)
{
	int64_t share = oi_load_relaxed(&oi_pace.external_then) / 4; /* recheck */
	return oi_pace_external_growth() > (uint64_t)(share > LARGE_DUE ? share : LARGE_DUE);
}

void oi_pace_ask_for_large(void)
{
	if ((oi_pace_large_due() || oi_pace_external_due()) &&
	    oi_load_relaxed(&oi_pace.threshold) && /* recheck */
	    oi_load_relaxed(&oi_pace.enabled)) /* recheck */
		oi_wake_collect();
}

static bool anything_due(int64_t young)
{
	int64_t threshold = oi_load_relaxed(&oi_pace.threshold); /* recheck */
	if (!threshold || !oi_load_relaxed(&oi_pace.enabled)) /* recheck */
		return false;
	if (young > oi_pace_due_at() || oi_load_relaxed(&oi_pace.more)) /* recheck */
		return true;
	return oi_pace_young_pages_due() || oi_pace_pages_due();
}

/*
 * Adds to the counts what one thread, or those that were parked, counted. Returns what is young
 * then.
 */
static int64_t take_in(int64_t delta, int64_t middle, int64_t old)
{
	int64_t n = oi_add_relaxed(&oi_pace.young, delta) + delta; /* count */
	oi_add_relaxed(&oi_pace.aged[0], delta + middle + old); /* count */
	if (middle)
		oi_add_relaxed(&oi_pace.aged[1], -middle); /* count */
	if (old)
		oi_add_relaxed(&oi_pace.old_gone, old); /* count */
	return n;
}

/* Takes in what was left of parked threads. If two threads do so at once, each gets a part. */
static OI_COLD void flush_left(void)
{
	struct oi_park_left *l = &oi_park_left;
	/* elsewhere: before the exchanges; a thread that adds after them sets it again */
	oi_store_relaxed(&l->any, false);
	int64_t delta = oi_exchange(&l->tracked_delta, INT64_C(0)); /* elsewhere: as the hint */
	int64_t middle = oi_exchange(&l->died[0], INT64_C(0)); /* elsewhere: likewise */
	int64_t old = oi_exchange(&l->died[1], INT64_C(0)); /* elsewhere: likewise */
	take_in(delta, middle, old);
}

void oi_pace_flush(struct oi_thread *t)
{
	oi_assert_at_rest(t);
	if (unlikely(oi_load_relaxed(&oi_park_left.any))) /* recheck: the tick comes by, too */
		flush_left();
	t->solo.made += t->tracked_delta;
	int64_t n = take_in(t->tracked_delta, t->died[0], t->died[1]);
	oi_store_relaxed(&t->tracked_delta, 0); /* owner, or it is kept out */
	oi_store_relaxed(&t->died[0], 0);       /* owner, or it is kept out */
	oi_store_relaxed(&t->died[1], 0);       /* owner, or it is kept out */
	if (anything_due(n) || oi_perturb_collect())
		oi_wake_collect();
}

bool oi_pace_may(void)
{
	/* recheck */
	return oi_load_relaxed(&oi_pace.enabled) && oi_load_relaxed(&oi_pace.threshold) &&
	       !oi_collect_held_off();
}

bool oi_pace_worth(void)
{
	return oi_pace_population() >= OI_OLD_FLOOR || oi_usage_pages() >= FULL_PAGES;
}
