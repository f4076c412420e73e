/*
 * background.c - the collector thread and the reaper thread
 *
 * The collector runs automatic collections and, while merge queues are not empty, memory waits for a grace period, or much that
 * is free is cached, a tick every 4 ms that merges and reclaims on behalf of owners that do not come by, and gives memory back.
 * What collections find without callbacks it frees itself. It runs no user code but event functions, so a finalizer that blocks
 * cannot stop it.
 * The reaper runs finalizers and destroys: sets with callbacks found by automatic collections (in thread mode), dead objects
 * handed over by releases past their batch or found by the tick, strays; and it delivers what others noted for the log.
 *
 * Each sleeps on a futex word that counts requests; a flag per kind of work keeps the requests cheap. [B1] The flag is set
 * by a sequentially consistent exchange after the work was made visible, and cleared before the work is looked for. The
 * word is read before any of that, and before quit: what is asked for after the look at it ends the sleep at once.
 *
 * Note [START]. Who starts and ends the two threads:
 *   stopped -> running   oi_background_start, for ouro_init: both threads, or none and an error
 *   running -> missing   the child of a fork; or a need that was refused a thread
 *   missing -> running   a need (a request, or work that a fork left: oi_background_need), whichever thread has it: it takes
 *                        the turn (starting), creates what is not there, and gives the turn back. Refused: at the next need, but
 *                        not at each within RETRY_NS
 *   any     -> stopped   oi_background_stop: no need starts a thread any more; waits for who has the turn; joins
 * [B2] missing and starting are written and read in one order by both sides (sequentially consistent): a need looks at missing
 * after it has taken the turn, a stop at the turn after it has taken missing down. Nobody waits for the turn but a stop, and
 * that no longer than a pthread_create lasts, so a need may come inside a gate and under the registry lock. A fork does not wait
 * for it either: the child forgets all of it.
 */
#include "background.h"

#include <errno.h>
#include <pthread.h>

#include "alone.h"
#include "collect.h"
#include "death.h"
#include "gate.h"
#include "heap.h"
#include "holdup.h"
#include "limbo.h"
#include "log.h"
#include "merge.h"
#include "os.h"
#include "pace.h"
#include "park.h"
#include "pile.h"
#include "remnant.h"
#include "runtime.h"
#include "set.h"
#include "spawn.h"
#include "stray.h"
#include "threads.h"
#include "ticket.h"

#define TICK_NS 4000000
#define IDLE_NS 10000000000u /* then they look again, though nobody asked: os.h, oi_futex_wait */
#define RETRY_NS 10000000
#define COLLECTOR_STACK ((size_t)512 << 10) /* it calls listeners and traverse; the reaper, which finalizes, has the default */

struct worker {
	void *(*main)(void *arg);
	size_t stack; /* bytes; 0: the program's default */
	pthread_t thread;
	bool started;
	bool running;  /* its main has begun */
	uint32_t word; /* futex: counts requests */
};

static void *collector_main(void *arg);
static void *reaper_main(void *arg);
static struct worker collector = { .main = collector_main, .stack = COLLECTOR_STACK }, reaper = { .main = reaper_main };
static uint32_t quit, want_collect, want_tick, want_reap;
static uint32_t missing, starting; /* Note [START] */
static uint64_t not_before;        /* ns: after a refusal, when to try again */

static void wake(struct worker *w)
{
	__atomic_fetch_add(&w->word, 1, __ATOMIC_SEQ_CST);
	oi_futex_wake(&w->word);
}

static int start_one(struct worker *w);

static int start_both(void)
{
	oi_store_relaxed(&want_tick, 1u); /* after a fork there may be something to merge */
	int error = start_one(&collector);
	return error ? error : start_one(&reaper);
}

static void start_missing(void)
{
	uint64_t now = oi_now_ns();
	if (now < oi_load_relaxed(&not_before)) /* recheck */
		return;
	if (oi_exchange_seq_cst(&starting, 1u)) /* [B2] */
		return;
	if (oi_load_seq_cst(&missing)) { /* [B2] */
		oi_store_relaxed(&not_before, now + RETRY_NS);
		if (!start_both())
			oi_exchange_seq_cst(&missing, 0u); /* [B2] */
	}
	oi_exchange_seq_cst(&starting, 0u); /* [B2] */
}

static void request(uint32_t *flag, struct worker *w)
{
	bool asked = oi_exchange_seq_cst(flag, 1u); /* [B1] */
	if (unlikely(oi_load_relaxed(&missing))) /* recheck */
		start_missing();
	if (!asked)
		wake(w);
}

/* recheck: whoever sets one looks at missing afterwards */
static bool any_wanted(void)
{
	return oi_load_relaxed(&want_collect) || oi_load_relaxed(&want_tick) || oi_load_relaxed(&want_reap);
}

void oi_background_need(void)
{
	if (unlikely(oi_load_relaxed(&missing)) && any_wanted()) /* recheck */
		start_missing();
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
	if (!oi_load_relaxed(&missing)) /* recheck */
		oi_background_tick();
}

void oi_background_reap(void)
{
	request(&want_reap, &reaper);
}

/* Waits if there is no record left; false: asked to end first. */
static bool attach(const char *name)
{
	pthread_setname_np(pthread_self(), name);
	while (!oi_thread_attach_anyhow(name, true)) {
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
	oi_background_need(); /* the other one */
	oi_perturb();
	return !oi_load_acquire(&quit);
}

/* ---- the collector ---- */

static void tick(void)
{
	oi_exchange_seq_cst(&want_tick, 0u); /* [B1] */
	bool merges = oi_merge_drain_all(), piles = oi_pile_collect(false), limbo = oi_limbo_tick(), cached = oi_heap_trim();
	oi_world_say();
	bool remnants = oi_remnant_retry(OI_REMNANT_SLICE);
	bool parking = oi_park_tick();
	if (remnants || oi_threads_reap_gone() || merges || piles || limbo || cached || parking)
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

static void stop_one(struct worker *w);

/*
 * The collector is all that is left of the process, with the reaper, which it lets come to its end: unless that meets with the
 * program's code, and this starts a thread. True: it ends, and with it the process. What the program has run at its exit, on this very
 * thread, may use the library; but it gets no thread again, as with the end of that one glibc would exit a second time.
 */
static bool end_alone(void)
{
	if (!oi_alone(reaper.started ? 2 : 1))
		return false;
	oi_alone_take_signals();
	oi_store_release(&quit, 1u);
	stop_one(&reaper);
	oi_thread_detach(oi_self);
	collector.started = false;
	pthread_detach(pthread_self());
	return true;
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
		oi_futex_wait(&collector.word, word, ticking ? TICK_NS : oi_alone_may_be() ? OI_ALONE_NS : IDLE_NS);
		if (ticking)
			tick();
		oi_holdup_tell();
		if (unlikely(oi_alone_may_be()) && end_alone())
			return NULL;
	}
	oi_thread_detach(oi_self);
	return NULL;
}

/* ---- the reaper ---- */

static bool serve(struct oi_thread *t)
{
	size_t budget = SIZE_MAX;
	bool any = oi_pile_serve(t, false);
	if (oi_runtime.config.finalizers == OURO_FINALIZERS_THREAD)
		any |= oi_set_serve(t, &budget, OI_STAMP_NEW);
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
		oi_log_deliver(); /* first: what follows may wait for a stop, and that for whom the message is about */
		while (serve(oi_self) && !oi_load_acquire(&quit))
			;
		tidy(oi_self);
		oi_futex_wait(&reaper.word, word, IDLE_NS);
	}
	oi_thread_detach(oi_self);
	return NULL;
}

/* ---- starting and stopping ---- */

static int start_one(struct worker *w)
{
	if (w->started)
		return 0;
	oi_store_relaxed(&w->running, false); /* nobody looks yet */
	int error = oi_spawn(&w->thread, w->main, w->stack);
	w->started = !error;
	/* ASan's part of a thread's start takes locks that a fork does not wait for (fork.c): over when this returns. */
	while (OI_ASAN && !error && !oi_load_acquire(&w->running))
		oi_sleep_ns(20000);
	return error;
}

void oi_background_start_later(void)
{
	oi_store_release(&quit, 0u);
	oi_store_relaxed(&not_before, oi_now_ns() + RETRY_NS);
	oi_exchange_seq_cst(&missing, 1u); /* [B2] */
}

int oi_background_start(void)
{
	oi_store_release(&quit, 0u);
	int error = start_both();
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
	oi_exchange_seq_cst(&missing, 0u); /* [B2] */
	while (oi_load_seq_cst(&starting)) /* [B2] */
		oi_sleep_ns(20000);
	oi_store_release(&quit, 1u);
	stop_one(&collector);
	stop_one(&reaper);
	want_collect = want_tick = want_reap = 0;
	not_before = 0;
}

void oi_background_fork_child(void)
{
	missing = oi_runtime.running; /* though another thread was ending it, which the child undoes */
	collector.started = reaper.started = false;
	want_collect = want_tick = want_reap = quit = 0;
	not_before = 0;
	oi_alone_fork_child();
	starting = 1; /* the turn is the fork's: what it hands over is noted, and no thread is started before a need */
}

bool oi_background_forked(void)
{
	oi_exchange_seq_cst(&starting, 0u); /* [B2] */
	return missing && any_wanted();
}
