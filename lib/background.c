/*
 * background.c - the collector thread and the reaper thread
 *
 * The collector runs automatic collections and, while merge queues are not empty, memory waits for a grace period, or much that
 * is free is cached, a tick every 4 ms that merges and reclaims on behalf of owners that do not come by, and gives memory back.
 * What collections find without callbacks it frees itself. It runs no user code but event functions, so a finalizer that blocks
 * cannot stop it.
 * The reaper runs finalizers and destroys: sets with callbacks found by automatic collections (in thread mode), dead objects
 * handed over by releases past their batch or found by the tick, strays.
 *
 * Each sleeps on a futex word that counts requests; a flag per kind of work keeps the requests cheap. [B1] The flag is set
 * by a sequentially consistent exchange after the work was made visible, and cleared before the work is looked for. The
 * word is read before any of that, and before quit: what is asked for after the look at it ends the sleep at once.
 * In the child of a fork the threads are gone; the first request starts them again.
 */
#include "background.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "collect.h"
#include "death.h"
#include "gate.h"
#include "heap.h"
#include "holdup.h"
#include "limbo.h"
#include "lock.h"
#include "merge.h"
#include "os.h"
#include "pace.h"
#include "pile.h"
#include "remnant.h"
#include "runtime.h"
#include "set.h"
#include "stray.h"
#include "threads.h"

#define TICK_NS 4000000
#define IDLE_NS 10000000000u /* then they look again, though nobody asked: os.h, oi_futex_wait */

struct worker {
	pthread_t thread;
	bool started;
	bool running;  /* its main has begun */
	uint32_t word; /* futex: counts requests */
};

static struct worker collector, reaper;
static uint32_t quit, want_collect, want_tick, want_reap;
static uint32_t must_start; /* after a fork */

static void wake(struct worker *w)
{
	__atomic_fetch_add(&w->word, 1, __ATOMIC_SEQ_CST);
	oi_futex_wake(&w->word);
}

static void request(uint32_t *flag, struct worker *w)
{
	if (unlikely(oi_load_relaxed(&must_start)))
		oi_background_start();
	if (!oi_exchange_seq_cst(flag, 1u)) /* [B1] */
		wake(w);
}

void oi_background_collect(void)
{
	request(&want_collect, &collector);
}

void oi_background_tick(void)
{
	request(&want_tick, &collector);
}

void oi_background_trim(void)
{
	if (!oi_load_relaxed(&must_start)) /* recheck */
		oi_background_tick();
}

void oi_background_reap(void)
{
	request(&want_reap, &reaper);
}

/* Waits for memory for its record; false: asked to end first. */
static bool attach(const char *name)
{
	pthread_setname_np(pthread_self(), name);
	while (oi_thread_attach(name, true)) {
		if (oi_load_acquire(&quit))
			return false;
		oi_sleep_ns(1000000);
	}
	return true;
}

/* False: asked to end. *word is what to sleep on. */
static bool go_on(struct worker *w, uint32_t *word)
{
	*word = oi_load_acquire(&w->word); /* [B1] before quit: else the wake of a stop between the two is slept through */
	oi_perturb();
	return !oi_load_acquire(&quit);
}

/* ---- the collector ---- */

static void tick(void)
{
	oi_exchange_seq_cst(&want_tick, 0u); /* [B1] */
	bool merges = oi_merge_drain_all(), piles = oi_pile_collect(false), limbo = oi_limbo_tick(), cached = oi_heap_trim();
	if (oi_remnant_any())
		oi_remnant_retry();
	if (oi_threads_reap_gone() || merges || piles || limbo || cached)
		oi_exchange_seq_cst(&want_tick, 1u); /* some owners were busy, or there is more: again */
}

/*
 * Between two slices of a full collection: the tick, and young collections that are due, after each of which the full one gets as
 * much time as it took.
 */
static void between(void)
{
	static uint64_t next_tick, next_young;
	uint64_t now = oi_now_ns();
	if (now >= next_tick && oi_load_relaxed(&want_tick)) {
		tick();
		next_tick = oi_now_ns() + TICK_NS;
	}
	int generation = now >= next_young ? oi_pace_due(1) : -1;
	if (generation >= 0) {
		oi_collect_automatic(generation, NULL);
		uint64_t then = oi_now_ns();
		next_young = then + (then - now);
	}
}

static void collect_due(void)
{
	int generation;
	if (!oi_exchange_seq_cst(&want_collect, 0u)) /* [B1] */
		return;
	if (OURO_CHECKED && oi_perturb_collect())
		oi_collect_automatic(0, NULL);
	while ((generation = oi_pace_due(2)) >= 0 && !oi_load_acquire(&quit)) {
		oi_collect_automatic(generation, between);
		if (oi_load_relaxed(&want_tick))
			tick();
	}
}

static void *collector_main(void *arg)
{
	(void)arg;
	oi_store_release(&collector.running, true);
	if (!attach("ouro-gc"))
		return NULL;
	uint32_t word;
	while (go_on(&collector, &word)) {
		collect_due();
		bool ticking = oi_load_relaxed(&want_tick);
		oi_futex_wait(&collector.word, word, ticking ? TICK_NS : IDLE_NS);
		if (ticking)
			tick();
		oi_holdup_tell();
	}
	oi_thread_detach(oi_self);
	return NULL;
}

/* ---- the reaper ---- */

static bool serve(struct oi_thread *t)
{
	size_t budget = SIZE_MAX;
	bool any = oi_pile_serve(t);
	if (oi_runtime.config.finalizers == OURO_FINALIZERS_THREAD)
		any |= oi_set_serve(t, &budget);
	if (oi_stray_any())
		oi_stray_serve();
	if (t->queued_merges) {
		t->queued_merges = false;
		oi_merge_drain_all();
	}
	return any;
}

/* Before sleeping: what it freed goes back to its owners, and empty pages to the system. */
static void tidy(struct oi_thread *t)
{
	oi_gate_enter(t);
	oi_limbo_reclaim(t, true);
	oi_gate_leave(t);
	oi_heap_harvest_idle(t);
}

static void *reaper_main(void *arg)
{
	(void)arg;
	oi_store_release(&reaper.running, true);
	if (!attach("ouro-reaper"))
		return NULL;
	oi_self->thorough = true; /* nobody waits for it, and what a set's death entails is over when the set is */
	uint32_t word;
	while (go_on(&reaper, &word)) {
		oi_exchange_seq_cst(&want_reap, 0u); /* [B1] */
		while (serve(oi_self) && !oi_load_acquire(&quit))
			;
		tidy(oi_self);
		oi_futex_wait(&reaper.word, word, IDLE_NS);
	}
	oi_thread_detach(oi_self);
	return NULL;
}

/* ---- starting and stopping ---- */

static int start_one(struct worker *w, void *(*fn)(void *arg))
{
	if (w->started)
		return 0;
	if (oi_fail(OI_FAIL_ALLOC) || oi_fail(OI_FAIL_PTHREAD_CREATE))
		return EAGAIN;
	oi_store_relaxed(&w->running, false); /* nobody looks yet */
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	int error = pthread_create(&w->thread, NULL, fn, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->started = !error;
	/* ASan's part of a thread's start takes locks that a fork does not wait for (fork.c): over when this returns. */
	while (OI_ASAN && !error && !oi_load_acquire(&w->running))
		oi_sleep_ns(20000);
	return error;
}

int oi_background_start(void)
{
	oi_lock(OI_LOCK_START);
	oi_store_release(&quit, 0u);
	oi_store_relaxed(&want_tick, 1u); /* after a fork there may be something to merge */
	int error = start_one(&collector, collector_main);
	if (!error)
		error = start_one(&reaper, reaper_main);
	if (!error)
		oi_store_relaxed(&must_start, 0u);
	oi_unlock(OI_LOCK_START);
	if (error)
		oi_background_stop();
	return error;
}

static void stop_one(struct worker *w)
{
	if (!w->started)
		return;
	wake(w);
	pthread_join(w->thread, NULL);
	w->started = false;
}

void oi_background_stop(void)
{
	oi_lock(OI_LOCK_START);
	oi_store_release(&quit, 1u);
	stop_one(&collector);
	stop_one(&reaper);
	want_collect = want_tick = want_reap = 0;
	must_start = 0;
	oi_unlock(OI_LOCK_START);
}

void oi_background_fork_child(void)
{
	collector.started = reaper.started = false;
	oi_lock_renew(OI_LOCK_START);
	/* Whatever was asked of them is still to be done: both look for work when they start. */
	want_collect = want_tick = want_reap = 0;
	oi_store_relaxed(&must_start, 1u);
}
