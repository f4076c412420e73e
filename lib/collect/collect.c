/*
 * collect.c - one collection
 *
 * A young collection stops the world, selects the objects of the generations asked for
 * (generation.c), does trial deletion (trial.c), declares the dead garbage, lets the rest grow
 * older, and starts the world. A full collection is concurrent (concurrent.c), and so is a young
 * one that was asked for and does not fit a stop.
 * What follows for the garbage (garbage.c) is done outside any pause: for ouro_gc_collect by the
 * caller; for automatic collections by the collector thread if no user code must run, else by the
 * reaper; in manual mode when the program says so. The collector thread goes on with young
 * collections between the slices of a full one.
 *
 * Completeness. Let G be what is unreachable when a full collection is called. All references to
 * G are in G, or in what is dead and not yet gone: dead objects whose children are not released,
 * garbage of earlier collections, merges that wait. A flush waits for what is dead by then
 * (flush.c). What dies later was reachable at the call, and so was all it refers to: it has no
 * reference to G. Only a collection that declares a part of G garbage before this one has begun
 * could keep the rest, by what that part refers to. So automatic ones are kept from beginning, and
 * if others that were asked for found anything, the flush is repeated. When a collection has begun
 * everything is old, and none of the young ones beside it looks at G. So nobody has to wait for an
 * instant at which nothing dies.
 */
#include "collect/collect.h"

#include <errno.h>

#include "base/doors.h"
#include "base/flight.h"
#include "base/holdup.h"
#include "base/log.h"
#include "base/os.h"
#include "base/perturb.h"
#include "base/probe.h"
#include "base/runtime.h"
#include "base/sized.h"
#include "base/wake.h"
#include "collect/concurrent.h"
#include "collect/debug.h"
#include "collect/flush.h"
#include "collect/garbage.h"
#include "collect/generation.h"
#include "collect/idle.h"
#include "collect/pass.h"
#include "collect/policy.h"
#include "collect/solo.h"
#include "collect/trial.h"
#include "collect/verify.h"
#include "count/backlog.h"
#include "count/death.h"
#include "count/merge.h"
#include "count/ticket.h"
#include "count/weak.h"
#include "heap/empty.h"
#include "heap/foreign.h"
#include "heap/heap.h"
#include "heap/limbo.h"
#include "heap/pace.h"
#include "heap/usage.h"
#include "world/context.h"
#include "world/deliver.h"
#include "world/events.h"
#include "world/gate.h"
#include "world/gclock.h"
#include "world/thread.h"

/* collections that found something; it changes under one of the locks */
static uint64_t n_found;
/* used under the lock; it keeps its memory between young collections */
static struct oi_trial trial;
static uint64_t n_collections[3], duration_ns[3];
static struct oi_solo_statistics told; /* to listeners; the collector thread's own */

void oi_collect_statistics(uint64_t collections[3], uint64_t collected[3], uint64_t ns[3])
{
	for (int g = 0; g < 3; g++) {
		collections[g] = oi_load_relaxed(&n_collections[g]); /* count */
		collected[g] = oi_garbage_dead(g);
		ns[g] = oi_load_relaxed(&duration_ns[g]); /* count */
	}
	struct oi_solo_statistics solo;
	oi_solo_statistics(&solo);
	collections[0] += solo.collections;
	collected[0] += solo.found;
	ns[0] += solo.ns;
}

void oi_collect_reset_statistics(void)
{
	for (int g = 0; g < 3; g++)
		n_collections[g] = duration_ns[g] = 0;
	told = (struct oi_solo_statistics){ 0 };
	oi_garbage_reset_statistics();
	oi_solo_shutdown();
	oi_trial_free(&trial);
}

struct collection {
	int generation;
	size_t cap;        /* objects */
	bool whole;        /* all objects are examined, or none */
	bool more;         /* objects were left: too many, or they have too many references */
	size_t candidates; /* examined */
	size_t references; /* that these have */
	size_t promoted;   /* became old */
	size_t survivors;
};

/* The weak references to @h expire, and @h goes onto the list, which has room. */
static void declare(struct oi_garbage *g, struct oi_header *h)
{
	if (oi_flags(h) & OI_FLAG_WEAK)
		oi_weak_expire(h);
	oi_garbage_declare(g, h);
	g->objects.data[g->objects.n++] = h;
}

/*
 * Each member is declared garbage or grows older. All live if there is no memory to list the dead.
 */
static void judge(struct collection *c, struct oi_garbage *g, bool room)
{
	bool straight = c->generation == 0 && oi_policy_middle_full();
	struct oi_side_place at = { 0 };
	int64_t left[2] = { 0, 0 };
	for (size_t i = 0; i < trial.members.n; i++) {
		struct oi_header *h = trial.members.data[i];
		size_t block = oi_side_block(&at, h);
		unsigned age = oi_generation_age_at(at.young, block);
		left[age]++;
		if (!oi_trial_result_at(&at.side[block]) && room) {
			oi_generation_make_old_at(at.young, block);
			declare(g, h);
		} else {
			bool old = oi_generation_grow_older(at.young, block, straight);
			c->promoted += old;
			left[1] -= !old;
		}
	}
	for (unsigned age = 0; age < 2; age++)
		oi_pace_grown(age, left[age]);
	oi_trial_end(&trial);
}

/* World stopped. Without memory nothing is found, and the log says so. */
static void examine(struct collection *c, struct oi_garbage *g)
{
	oi_assert_stopped();
	bool room = oi_generation_select(&trial, c->generation, c->cap, &c->more);
	if (room && !(c->whole && c->more))
		c->more |= !oi_trial_run(&trial, oi_policy_references());
	if (c->whole && c->more) {
		oi_trial_give_up(&trial);
	} else if (room) {
		c->candidates = trial.members.n;
		c->references = trial.graph.n_counted;
		room = oi_garbage_reserve(g, trial.members.n - trial.n_reached);
		judge(c, g, room);
		c->survivors = c->candidates - g->objects.n;
	}
	if (!room)
		oi_log("collection of generation %d given up: no memory for its lists",
		       c->generation);
}

static uint64_t stop_and_examine(struct collection *c, struct oi_garbage *g)
{
	struct oi_stop stop;
	oi_world_stop(&stop, OURO_STOP_YOUNG);
	oi_event_pause(OURO_PAUSE_START, c->generation, &stop, 0);
	oi_verify_stopped();
	/* the time of listeners and of the verifier is no cost of objects to the pacing */
	uint64_t begin = oi_now_ns();
	examine(c, g);
	/* in the stop, so that a fork, even of a pinned thread, comes before it or after it */
	oi_garbage_take_in_hand(oi_self, g);
	uint64_t worked = oi_now_ns() - begin;
	uint64_t paused = oi_world_start(&stop);
	oi_stops_add(&g->stops, &stop, paused);
	oi_event_pause(OURO_PAUSE_STOP, c->generation, &stop, paused);
	return worked;
}

static void account(struct collection *c, uint64_t ns)
{
	oi_add_relaxed(&n_collections[c->generation], 1); /* count */
	oi_add_relaxed(&duration_ns[c->generation], ns); /* count */
}

static void report(struct collection *c, struct oi_garbage *g, uint64_t began)
{
	uint64_t now = oi_now_ns(), ns = now - began;
	if (g->objects.n)
		oi_add_acq_rel(&n_found, UINT64_C(1)); /* count */
	account(c, ns);
	oi_flight_span(OI_FLIGHT_COLLECTION, (unsigned)c->generation, began, now, c->candidates,
		       g->objects.n);
	g->n_examined = c->candidates;
	g->found_ns = ns;
	OI_PROBE4(collection__end, c->generation, g->n_examined, g->objects.n, ns);
	oi_event(OURO_GC_STOP, c->generation, c->candidates, g->objects.n, ns);
}

/*
 * Examines up to @cap objects. A call gives @whole, and wants all of them: if there are more, none
 * is examined, and *whole becomes false. Returns what was found, perhaps nothing, in this thread's
 * hand; NULL if there is no memory to begin, or collections are held off. In any case the thread
 * counts as serving, from before the dead are in its hand.
 */
static struct oi_garbage *collect_young(struct oi_thread *t, int generation, size_t cap,
					bool *whole)
{
	struct collection c = { .generation = generation, .cap = cap, .whole = whole != NULL };
	bool automatic = !whole;
	oi_collect_lock();
	oi_serve_begin(t);
	struct oi_garbage *g =
		automatic && oi_collect_held_off() ? NULL : oi_garbage_new(generation);
	if (g) {
		uint64_t began = oi_now_ns();
		OI_PROBE1(collection__begin, generation);
		oi_event(OURO_GC_START, generation, 0, 0, 0);
		uint64_t worked = stop_and_examine(&c, g);
		if (c.whole && c.more) {
			oi_event(OURO_GC_STOP, generation, 0, 0, oi_now_ns() - began);
		} else {
			oi_policy_young_done(&(struct oi_policy_young){
				.generation = generation, .n = c.candidates,
				.references = c.references, .survivors = c.survivors,
				.promoted = c.promoted, .ns = worked, .more = c.more });
			report(&c, g, began);
		}
	}
	oi_collect_unlock();
	if (whole)
		*whole = !c.more;
	return g;
}

/* at most: collections by finalizers do not wait for those that insist, and do not flush */
#define ROUNDS 20

/*
 * Takes both locks once nothing dead refers to what was garbage at the call: see the file's head.
 */
static void lock_both_settled(struct oi_thread *t)
{
	unsigned n = 0;
	for (;; n++) {
		uint64_t found = oi_load_acquire(&n_found); /* count */
		oi_flush_patiently(t);
		oi_collect_lock_both();
		if (oi_load_acquire(&n_found) == found || n == ROUNDS) /* count */
			break;
		oi_collect_unlock_both();
		if (!n)
			oi_collect_insist();
	}
	if (n)
		oi_collect_insist_no_more();
}

static void let_the_insisting_begin(const struct oi_thread *t)
{
	while (!t->dying && oi_collect_any_insisting())
		oi_sleep_ns(100000);
}

static void pace_done(enum oi_scope scope, size_t survivors, size_t dead)
{
	oi_collect_lock();
	if (scope == OI_SCOPE_YOUNG)
		/* what became old was counted when it did */
		oi_policy_young_done(&(struct oi_policy_young){ .generation = 1 });
	else
		oi_policy_full_done(survivors, dead);
	oi_collect_unlock();
}

/* What find_concurrently does when there was no memory to begin. */
static void begin_nothing(struct oi_thread *t)
{
	oi_serve_begin(t);
	oi_policy_full_freed();
}

/*
 * Under both locks, the second of which it lets go. Returns the garbage, or NULL if there is no
 * memory.
 */
static struct oi_garbage *find_concurrently(struct oi_thread *t, int generation,
					    enum oi_scope scope, void (*between)(void))
{
	struct collection c = { .generation = generation };
	uint64_t began = oi_now_ns();
	oi_pass_stops();
	OI_PROBE1(collection__begin, generation);
	oi_event(OURO_GC_START, c.generation, 0, 0, 0);
	if (scope != OI_SCOPE_YOUNG)
		oi_policy_full_begins(scope == OI_SCOPE_ALL);
	struct oi_garbage *g = oi_concurrent_begin(t, generation, scope, between);
	if (scope != OI_SCOPE_YOUNG)
		oi_policy_full_begun();
	oi_collect_unlock();
	if (scope == OI_SCOPE_ALL)
		oi_collect_hold_off_no_more();
	if (g)
		c.candidates = oi_concurrent_finish(t);
	if (g && c.candidates < g->objects.n)
		/* those that lingered (linger.c) need not have been looked at */
		c.candidates = g->objects.n;
	c.survivors = g ? c.candidates - g->objects.n : 0;
	pace_done(scope, c.survivors, c.candidates - c.survivors);
	struct oi_stops stops = oi_pass_stops();
	if (g) {
		g->stops = stops;
		report(&c, g, began);
	} else {
		begin_nothing(t);
	}
	return g;
}

/*
 * Collects what is old, concurrently. @idle: oi_idle_due asked for it. Returns what collect_young
 * does.
 */
static struct oi_garbage *collect_old(struct oi_thread *t, bool idle, void (*between)(void))
{
	struct oi_garbage *g = NULL;
	oi_collect_lock_both();
	if (oi_collect_held_off()) {
		oi_serve_begin(t);
		oi_collect_unlock();
	} else {
		g = find_concurrently(t, 2, OI_SCOPE_OLD, between);
		if (idle)
			oi_idle_looked();
	}
	oi_concurrent_unlock();
	return g;
}

/* Collects all there is, for a call. With @flush all that was garbage at the call is found. */
static struct oi_garbage *collect_all(struct oi_thread *t, bool flush)
{
	oi_collect_hold_off();
	if (flush)
		lock_both_settled(t);
	else
		oi_collect_lock_both();
	struct oi_garbage *g = find_concurrently(t, 2, OI_SCOPE_ALL, NULL);
	oi_concurrent_unlock();
	return g;
}

/* If @generation is too much for a stop, both ages are collected concurrently. */
static struct oi_garbage *collect_all_young(struct oi_thread *t, int generation)
{
	bool whole = true;
	struct oi_garbage *g = collect_young(t, generation, oi_policy_cap(), &whole);
	if (whole || !g)
		return g;
	oi_garbage_put_away(t, g);
	oi_serve_end(t, oi_work_of_release());
	oi_collect_lock_both();
	g = find_concurrently(t, generation, OI_SCOPE_YOUNG, NULL);
	oi_concurrent_unlock();
	return g;
}

/* so many objects are worked on between two looks at what else is due */
#define QUANTUM 2048

/*
 * Works on garbage without user code in pieces. What dies with it and has callbacks is the
 * reaper's.
 */
static void work_in_quanta(struct oi_thread *t, struct oi_garbage *g, void (*between)(void))
{
	size_t budget = SIZE_MAX, n_dead;
	bool over = false;
	while (!over) {
		over = oi_garbage_work(t, g, &budget, QUANTUM, &n_dead);
		oi_death_settle(t, oi_work_quietly(OI_QUIET_MOST));
		oi_usage_note(t); /* or threads are delayed for what is freed */
		if (!over && between)
			between();
	}
}

/*
 * All that is young becomes old unseen, as nearly all of a burst of allocation lives. Returns false
 * if a collection that was asked for is at the young objects.
 */
static bool promote_all(int generation)
{
	if (!oi_concurrent_promote())
		return false;
	oi_collect_lock();
	oi_policy_burst_done(generation);
	oi_collect_unlock();
	oi_policy_turn();
	return true;
}

/*
 * Sees to other threads' objects that died with the garbage, as far as that calls no user code: on
 * a busy machine their owners sleep, and so does the reaper.
 */
static void settle_quietly(struct oi_thread *t)
{
	oi_merge_drain_all();
	oi_backlog_collect(false);
	for (size_t n = oi_backlog_waiting(); n && oi_backlog_serve_quietly(t); n--)
		;
}

/* Reclaims what this thread has freed; with @force all of it, for which somebody has waited. */
static void reclaim(struct oi_thread *t, bool force)
{
	oi_gate_enter(t);
	oi_limbo_reclaim(t, force);
	oi_gate_leave(t);
}

/*
 * Waits for a grace period, then reclaims what this thread has freed, what idle threads have, and
 * what lies in others' pages, as far as no other thread's gate keeps it.
 */
static void reclaim_all(struct oi_thread *t)
{
	oi_grace_wait();
	reclaim(t, true);
	oi_limbo_reclaim_idle();
	oi_heap_harvest_idle(t);
}

/*
 * Garbage without user code dies here, while it is in the cache: so what collections find cannot
 * pile up. The rest is the reaper's.
 */
static void carry_away(struct oi_thread *t, struct oi_garbage *g, void (*between)(void))
{
	if (g && g->has_callbacks) {
		oi_garbage_queue(t, g);
		oi_wake_reap();
	} else if (g) {
		work_in_quanta(t, g, between);
	}
	oi_serve_end(t, oi_work_of_release());
}

static void dispose(struct oi_thread *t, struct oi_garbage *g, void (*between)(void))
{
	uint64_t began = oi_now_ns();
	bool any = g && g->objects.n;
	/* the lock is held between the slices of another collection */
	oi_debug_report(g, oi_collect_locked_by_me() ? oi_log : oi_say);
	carry_away(t, g, between);
	if (any)
		oi_flight_span(OI_FLIGHT_PHASE, OI_PHASE_FREE, began, oi_now_ns(), 0, 0);
}

/*
 * With @all what is young becomes old first. Returns false if that could not be, or nothing was
 * looked at.
 */
static bool automatic_full(bool all, bool idle, void (*between)(void))
{
	struct oi_thread *t = oi_self;
	bool whole = all && oi_concurrent_promote();
	if (whole)
		oi_policy_promoted();
	struct oi_garbage *g = collect_old(t, idle, between);
	dispose(t, g, between);
	settle_quietly(t);
	reclaim_all(t); /* what is held after that is the measure of what may be: policy.c */
	if (g)
		oi_policy_full_freed();
	oi_policy_turn();
	return g && (whole || !all);
}

/* Returns what collect_old does. */
static struct oi_garbage *search(struct oi_thread *t, void (*between)(void))
{
	struct oi_garbage *g = NULL;
	size_t n_looked = 0, n_left = 0;
	uint64_t began = oi_now_ns();
	oi_collect_lock_both();
	bool off = oi_collect_held_off();
	oi_collect_unlock();
	if (off)
		oi_serve_begin(t);
	else
		g = oi_concurrent_search(t, between, &n_looked, &n_left);
	if (g && g->objects.n)
		oi_add_acq_rel(&n_found, UINT64_C(1)); /* count */
	if (g) {
		g->n_examined = n_looked;
		g->found_ns = oi_now_ns() - began;
		oi_flight_span(OI_FLIGHT_SEARCH, 0, began, began + g->found_ns, n_looked,
			       g->objects.n);
	}
	oi_policy_searched(g ? g->objects.n : 0, n_left);
	oi_concurrent_unlock();
	return g;
}

void oi_collect_near(void (*between)(void))
{
	struct oi_thread *t = oi_self;
	dispose(t, search(t, between), between);
	settle_quietly(t);
	reclaim(t, false);
	oi_policy_turn();
}

void oi_collect_idle(void (*between)(void))
{
	automatic_full(true, true, between);
}

bool oi_collect_asked(void (*between)(void))
{
	return automatic_full(true, false, between);
}

/* The collector thread. */
void oi_collect_automatic(int generation, void (*between)(void))
{
	if (generation == 2) {
		automatic_full(oi_pace_pages_due() || oi_pace_external_due(), false, between);
		return;
	}
	if (oi_policy_burst() && promote_all(generation))
		return;
	struct oi_thread *t = oi_self;
	dispose(t, collect_young(t, generation, oi_policy_cap(), NULL), between);
	reclaim(t, false); /* the stop was a grace period for it */
	oi_policy_turn();
}

/* Garbage without user code is worked on at once, in manual mode, too. */
static ssize_t work_or_queue(struct oi_thread *t, struct oi_garbage *g)
{
	size_t n = g->objects.n, budget = SIZE_MAX, n_dead = n;
	if (oi_runtime.config.finalizers == OURO_FINALIZERS_MANUAL && g->has_callbacks &&
	    !oi_runtime.shutting_down)
		oi_garbage_queue(t, g);
	else
		oi_garbage_work(t, g, &budget, SIZE_MAX, &n_dead);
	return (ssize_t)n_dead;
}

static void give_back(struct oi_thread *t)
{
	reclaim_all(t);
	oi_heap_purge();
}

static ssize_t collect_now(struct oi_thread *t, int generation)
{
	let_the_insisting_begin(t);
	if (generation < 2)
		oi_flush_patiently(t);
	oi_point("collect: flushed");
	struct oi_garbage *g = generation == 2 ? collect_all(t, true) :
						 collect_all_young(t, generation);
	oi_debug_report(g, oi_say);
	uint64_t began = oi_now_ns();
	ssize_t n = g ? work_or_queue(t, g) : 0;
	oi_flight_span(OI_FLIGHT_PHASE, OI_PHASE_FREE, began, oi_now_ns(), 0, 0);
	oi_serve_end(t, oi_work_thoroughly()); /* what dies with it dies here */
	if (generation == 2) {
		oi_policy_full_freed();
		oi_wake_trim(); /* the collector thread reckons anew how long to sleep: idle.h */
	}
	oi_flush_patiently(t); /* what else died with it, and what others are at */
	if (generation == 2)
		give_back(t);
	oi_log_deliver();
	return n;
}

void oi_collect_tell_solo(void)
{
	struct oi_solo_statistics now;
	oi_solo_statistics(&now);
	if (now.collections == told.collections)
		return;
	oi_collect_lock();
	oi_flight_span(OI_FLIGHT_SOLO, 0, oi_now_ns(), oi_now_ns(), now.examined - told.examined,
		       now.found - told.found);
	oi_event(OURO_GC_START, 0, 0, 0, 0);
	oi_event(OURO_GC_STOP, 0, now.examined - told.examined, now.found - told.found,
		 now.ns - told.ns);
	oi_collect_unlock();
	told = now;
}

/* ---- at the heap limit ---- */

/* Frees what is dead, as far as that calls no code of the program's. The rest is the reaper's. */
static void free_quietly(struct oi_thread *t)
{
	oi_merge_drain_all();
	oi_backlog_collect(false); /* notes how far they are */
	oi_backlog_collect(false);
	oi_gate_enter(t);
	if (t->deaths.waiting)
		oi_death_catch_up(t, SIZE_MAX);
	oi_gate_leave(t);
}

/* Inside an allocation: the caller may hold any lock of the program's. */
void oi_collect_for_memory(struct oi_thread *t)
{
	oi_assert_unpinned(t);
	uint64_t began = oi_now_ns();
	if (oi_collect_locked_by_me())
		return;
	free_quietly(t);
	struct oi_garbage *g = collect_all(t, false);
	oi_debug_report(g, oi_log);
	carry_away(t, g, NULL);
	oi_policy_full_freed();
	give_back(t);
	oi_holdup_from(OURO_HOLDUP_LIMIT, began, oi_now_ns());
}

#define MEMORY_NAP_NS 2000000

bool oi_collect_await_memory(struct oi_thread *t)
{
	uint64_t began = oi_now_ns();
	bool more = oi_flush_any_waiting() || oi_flush_any_serving(t);
	if (!more || oi_collect_locked_by_me())
		return false;
	oi_sleep_ns(MEMORY_NAP_NS);
	give_back(t);
	oi_holdup_from(OURO_HOLDUP_LIMIT, began, oi_now_ns());
	return true;
}

#define LAST_ROUNDS 100 /* callbacks may make garbage without end: lifecycle.c sees to the rest */

void oi_collect_everything(struct oi_thread *t)
{
	for (unsigned n = 0; n < LAST_ROUNDS && collect_now(t, 2); n++)
		;
}

/* ---- public ---- */

ssize_t ouro_gc_collect(int generation)
{
	struct oi_thread *t = oi_current();
	int error = generation < 0 || generation > 2		? EINVAL :
		    t->pin_depth || oi_collect_locked_by_me() ? EDEADLK :
								0;
	if (error) {
		errno = error;
		return -1;
	}
	return collect_now(t, generation);
}

size_t ouro_run_finalizers(size_t max)
{
	struct oi_thread *t = oi_current();
	if (oi_runtime.config.finalizers != OURO_FINALIZERS_MANUAL || t->in_finalizer ||
	    t->pin_depth)
		return 0;
	size_t budget = max;
	/*
	 * What is queued meanwhile waits for the next call: these finalizers may make garbage
	 * without end.
	 */
	for (uint32_t n = oi_garbage_queued();
	     n && budget && oi_garbage_serve(t, &budget, OI_STAMP_NEW, oi_work_of_release()); n--)
		;
	return max - budget;
}

void ouro_gc_get_stats_sized(ouro_gc_stats *out, size_t size)
{
	uint64_t collections[3], collected[3], ns[3];
	oi_current();
	oi_collect_statistics(collections, collected, ns);
	for (int g = 0; g < 3; g++) {
		ouro_gc_stats full = { collections[g], collected[g], oi_debug_kept(g), ns[g] };
		oi_sized_out((char *)out + (size_t)g * size, size, &full, sizeof full);
	}
}
