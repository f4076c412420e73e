/*
 * servants.c - the collector thread and the reaper threads
 *
 * The collector runs automatic collections. It also ticks every 4 ms while merge queues are not
 * empty, memory waits for a grace period, or much that is free is cached: a tick merges and
 * reclaims on behalf of owners that do not come by, and gives memory back. What collections find
 * without callbacks the collector frees itself. It runs no code of the program's but event
 * functions and traverse, so a finalizer that blocks cannot stop it.
 * Reapers run finalizers and destroys: those of garbage with callbacks that automatic collections
 * found (in thread mode), of dead objects that releases past release_batch handed over or that the
 * tick found, and of strays. They also deliver what others noted for the log, and evict what is
 * over in maps (expiry.c). As a rule there is one reaper.
 * A writer writes the snapshots that a signal asks for, as a file takes as long as its disk likes.
 * The collector starts it, and it ends with them. The end of the heap waits for it.
 * Helpers find garbage together with whoever collects (crew.h). Each collection that wants some
 * creates them; they end by themselves, and nobody waits for that but the heap's end.
 *
 * Note [TEAM]. What waits must not wait for a callback that blocks. While something is handed over
 * and no reaper is at leisure, there are ticks; if no reaper has taken anything for the length of
 * one, the tick itself carries out the deaths that call nobody, and starts another reaper, up to
 * REAPERS. If the system refuses it a thread, the next tick tries again. A reaper that finds
 * nothing to do while another is at leisure ends. One whose callback calls pthread_exit, or is
 * cancelled, ends too, and the next need of one starts it again. Only the collector starts more
 * than the first, and joins those that have ended.
 * [B3] A reaper counts itself at leisure (n_idle) before it looks for the last time at the word
 * that it will sleep on, and stops counting itself before it takes the request down. A thread that
 * hands something over looks at n_idle after its request. Both are sequentially consistent: either
 * the reaper sees the request, or the request sees no reaper at leisure and asks for a tick.
 * [B5] A thread's handle is written before started is; its main's first steps are over before
 * running is set, and its callbacks before ended is.
 *
 * How any thread asks them for something, and [B1], which sees to it that no request is slept
 * through: wake.c.
 *
 * Note [START]. Who starts and ends the two threads:
 *   stopped -> running   oi_servants_start, for ouro_init: both threads, or none and an error. It
 *                        has the turn, too, as the collector starts reapers as soon as it runs
 *   running -> missing   the child of a fork
 *   stopped -> missing   oi_servants_start_later: a start that was refused a thread
 *   missing -> running   a need (a request, or work that a fork left: oi_servants_need), whichever
 *                        thread has it: it takes the turn (starting), creates what is not there,
 *                        and gives the turn back. If a thread is refused, the next need tries
 *                        again, but not within RETRY_NS
 *   any     -> stopped   oi_servants_stop: from then on no need starts a thread; it waits for the
 *                        thread that has the turn, and joins
 * [B4] missing and starting are written and read in one order by both sides (sequentially
 * consistent): a need looks at missing after it has taken the turn, a stop looks at the turn after
 * it has taken missing down. Only a start and a stop wait for the turn, and no longer than a
 * pthread_create lasts, so a need may come inside a gate and under the registry lock. A fork does
 * not wait for it either: the child forgets all of it.
 */
#include "process/servants.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/doors.h"
#include "base/flight.h"
#include "base/os.h"
#include "base/perturb.h"
#include "base/remnant.h"
#include "base/runtime.h"
#include "base/wake.h"
#include "collect/asked.h"
#include "collect/collect.h"
#include "collect/garbage.h"
#include "collect/idle.h"
#include "collect/near.h"
#include "collect/policy.h"
#include "contain/expiry.h"
#include "count/backlog.h"
#include "count/death.h"
#include "count/merge.h"
#include "count/stray.h"
#include "count/ticket.h"
#include "heap/empty.h"
#include "heap/foreign.h"
#include "heap/heap.h"
#include "heap/huge.h"
#include "heap/limbo.h"
#include "inspect/demand.h"
#include "process/alone.h"
#include "process/attach.h"
#include "process/spawn.h"
#include "process/tidy.h"
#include "world/context.h"
#include "world/deliver.h"
#include "world/events.h"
#include "world/gate.h"
#include "world/gclock.h"

#define TICK_NS 4000000
/* after that they look again, though nobody asked: os.h, oi_futex_wait */
#define IDLE_NS 10000000000u
#define RETRY_NS 10000000
#define REAPERS 8
/* The collector calls listeners and traverse; the reaper, which finalizes, has the default. */
#define COLLECTOR_STACK ((size_t)512 << 10)

struct worker {
	void *(*main)(void *arg);
	size_t stack; /* bytes; 0: the program's default */
	pthread_t thread;
	bool started;
	bool running;  /* its main has begun [B5] */
	bool ended;    /* its main is over: it is to be joined [B5] */
};

static void *collector_main(void *arg);
static void *reaper_main(void *arg);
static struct worker collector = { .main = collector_main, .stack = COLLECTOR_STACK };
static struct worker reaper[REAPERS]; /* all sleep on the same word */
static uint64_t taken_ns;             /* when a reaper last took something */
static uint32_t quit;
static uint32_t starting;   /* Note [START] */
static uint64_t not_before; /* ns: after a refusal, when to try again */

static int start_one(struct worker *w, void *arg);

static int start_both(void)
{
	/* elsewhere: pthread_create. After a fork there may be something to merge. */
	oi_store_relaxed(&oi_wanted.tick, 1u);
	int error = start_one(&collector, &collector);
	return error ? error : start_one(&reaper[0], &reaper[0]);
}

void oi_servants_start_missing(void)
{
	uint64_t now = oi_now_ns();
	if (now < oi_load_relaxed(&not_before)) /* recheck */
		return;
	if (oi_exchange_seq_cst(&starting, 1u)) /* [B4] */
		return;
	if (oi_load_seq_cst(&oi_wanted.missing)) { /* [B4] */
		oi_store_relaxed(&not_before, now + RETRY_NS);
		if (!start_both())
			oi_exchange_seq_cst(&oi_wanted.missing, 0u); /* [B4] */
	}
	oi_exchange_seq_cst(&starting, 0u); /* [B4] */
}

static bool any_wanted(void)
{
	/* A thread that sets one looks at missing afterwards. */
	return oi_load_relaxed(&oi_wanted.collect) || /* recheck */
	       oi_load_relaxed(&oi_wanted.tick) ||    /* recheck */
	       oi_load_relaxed(&oi_wanted.reap) ||    /* recheck */
	       oi_demand_any();
}

void oi_servants_need(void)
{
	oi_assert_outside(oi_self);
	if (unlikely(oi_load_relaxed(&oi_wanted.missing)) && any_wanted()) /* recheck */
		oi_servants_start_missing();
}

/* Waits if there is no record left; returns false if asked to end first. */
static bool attach_servant(const char *name)
{
	pthread_setname_np(pthread_self(), name);
	while (!oi_thread_attach_anyhow(name, true)) {
		if (oi_load_acquire(&quit)) /* recheck */
			return false;
		oi_sleep_ns(1000000);
	}
	return true;
}

/* Returns false if asked to end. @word: the value to sleep on. */
static bool go_on(const uint32_t *requests, uint32_t *word)
{
	/* [B1] before quit: otherwise the wake of a stop between the two would be slept through */
	*word = oi_load_acquire(requests);
	oi_servants_need(); /* the other thread may be missing */
	oi_perturb();
	return !oi_load_acquire(&quit); /* [B1] */
}

/* ---- the collector ---- */

static bool any_to_reap(void)
{
	bool garbage =
		oi_garbage_any_queued() && oi_runtime.config.finalizers == OURO_FINALIZERS_THREAD;
	return garbage || oi_stray_any() || oi_backlog_any_handed_over() || oi_log_any() ||
	       oi_expiry_due();
}

/*
 * Returns true if there is none. A thread that has ended may be in destructors of the program's
 * keys, for as long as they like: nobody waits for it.
 */
static bool join_if_ended(struct worker *w)
{
	if (!oi_load_acquire(&w->started)) /* [B5] */
		return true;
	if (!oi_load_acquire(&w->ended) || /* [B5] */
	    pthread_tryjoin_np(w->thread, NULL))
		return false;
	oi_store_relaxed(&w->started, false); /* owner */
	return true;
}

static void join_ended(void)
{
	for (size_t i = 0; i < REAPERS; i++)
		join_if_ended(&reaper[i]);
}

/*
 * Starts one that is missing, or one more. If the system refuses it, or another thread has the
 * turn, the next tick tries again.
 */
static void start_a_reaper(void)
{
	size_t i = 0;
	while (i < REAPERS && oi_load_acquire(&reaper[i].started)) /* recheck: start_one */
		i++;
	if (i == REAPERS || oi_exchange_seq_cst(&starting, 1u)) /* [B4] */
		return;
	start_one(&reaper[i], &reaper[i]);
	oi_exchange_seq_cst(&starting, 0u); /* [B4] */
}

/*
 * Carries out deaths that call nobody, for no longer than a tick: they may come without end, and
 * the collector has other things to do.
 */
static void serve_quietly(void)
{
	uint64_t until = oi_now_ns() + TICK_NS;
	do
		oi_point("serve quietly");
	while (oi_backlog_serve_quietly(oi_self) && oi_now_ns() < until);
}

/* Note [TEAM]. Returns true if something waits. */
static bool see_to_reapers(void)
{
	join_ended();
	if (!any_to_reap())
		return false;
	if (oi_load_seq_cst(&oi_wanted.n_idle)) { /* recheck: at the next tick */
		oi_wake(&oi_wanted.reaper_word);
	} else if (oi_now_ns() - oi_load_relaxed(&taken_ns) >= TICK_NS) { /* recheck */
		serve_quietly();
		start_a_reaper();
	}
	return true;
}

static void tick(void)
{
	oi_exchange_seq_cst(&oi_wanted.tick, 0u); /* [B1] */
	bool merges = oi_merge_drain_all(), backlog = oi_backlog_collect(false),
	     limbo = oi_limbo_tick(), cached = oi_heap_trim();
	bool remnants = oi_remnant_retry(OI_REMNANT_SLICE);
	bool parking = oi_tidy_tick(), huge = oi_huge_tick();
	bool to_reap = see_to_reapers();
	if (remnants || oi_threads_reap_gone() || to_reap || parking || merges || backlog ||
	    limbo || cached || huge)
		oi_exchange_seq_cst(&oi_wanted.tick, 1u); /* [B1] again */
}

/* The reapers make the passes: oi_expiry_serve. */
static void see_to_expiry(void)
{
	if (oi_expiry_due())
		oi_wake_reap();
}

/*
 * Between two slices of a full collection: the tick, and young collections that are due. After
 * each of these the full one gets as much time as the young one took.
 */
static void between(void)
{
	static uint64_t next_tick, next_young;
	uint64_t now = oi_now_ns();
	oi_near_keep_up();
	see_to_expiry();
	if (now >= next_tick && oi_load_relaxed(&oi_wanted.tick)) { /* recheck */
		tick();
		next_tick = oi_now_ns() + TICK_NS;
	}
	int generation = now >= next_young ? oi_policy_due(1) : -1;
	if (generation >= 0) {
		oi_collect_automatic(generation, NULL);
		uint64_t then = oi_now_ns();
		next_young = then + (then - now);
	}
}

static void collect_due(void)
{
	int generation;
	if (!oi_exchange_seq_cst(&oi_wanted.collect, 0u)) /* [B1] */
		return;
	if (OURO_CHECKED && oi_perturb_collect())
		oi_collect_automatic(0, NULL);
	while (!oi_load_acquire(&quit)) { /* recheck */
		bool search = oi_policy_search_due();
		if (search)
			oi_collect_near(between);
		generation = oi_policy_due(2);
		if (generation == 2 && oi_policy_put_off_full())
			generation = oi_policy_due(1);
		if (generation >= 0)
			oi_collect_automatic(generation, between);
		else if (!search)
			break;
		if (oi_load_relaxed(&oi_wanted.tick)) /* recheck */
			tick();
	}
}

static void *writer_main(void *arg);
static struct worker writer = { .main = writer_main, .stack = COLLECTOR_STACK };

/* What is asked for after its last look, it leaves to the next one. */
static void *writer_main(void *arg)
{
	(void)arg;
	oi_store_release(&writer.running, true); /* [B5] */
	if (attach_servant("ouro-snapshot")) {
		oi_demand_serve();
		oi_thread_detach(oi_self);
	}
	oi_store_release(&writer.ended, true); /* [B5] */
	if (!oi_load_acquire(&quit)) /* recheck: a tick too many does no harm */
		oi_wake_tick();
	return NULL;
}

/* If the system refuses it, or another thread has the turn, it is tried again after a tick. */
static void start_writer(void)
{
	if (!oi_demand_any() || !join_if_ended(&writer))
		return;
	bool turn = !oi_exchange_seq_cst(&starting, 1u); /* [B4] */
	if (!turn || start_one(&writer, &writer))
		oi_exchange_seq_cst(&oi_wanted.tick, 1u); /* [B1] */
	if (turn)
		oi_exchange_seq_cst(&starting, 0u); /* [B4] */
}

/* How long the collector may sleep, unless it is woken. */
static uint64_t sleep_ns(bool ticking)
{
	if (ticking)
		return TICK_NS;
	return oi_expiry_wait_ns(oi_idle_wait_ns(oi_alone_may_be() ? OI_ALONE_NS : IDLE_NS));
}

static void stop_reapers(void);

static unsigned n_reapers(void)
{
	unsigned n = 0;
	for (size_t i = 0; i < REAPERS; i++)
		n += oi_load_acquire(&reaper[i].started); /* count */
	return n;
}

/*
 * Returns true if the collector and the reapers are all that is left of the process: then the
 * reapers have come to their end, and the collector ends, and with it the process, unless a reaper
 * came upon code of the program's that started a thread. What the program has run at its exit, on
 * this very thread, may use the library; but it gets no thread of the library's again, as with the
 * end of that one glibc would exit a second time.
 */
static bool end_alone(void)
{
	if (!oi_alone(1 + n_reapers()))
		return false;
	oi_alone_take_signals();
	oi_store_release(&quit, 1u); /* [B1] */
	stop_reapers();
	oi_thread_detach(oi_self);
	collector.started = false;
	pthread_detach(pthread_self());
	return true;
}

static void *collector_main(void *arg)
{
	(void)arg;
	oi_store_release(&collector.running, true); /* [B5] */
	if (!attach_servant("ouro-gc"))
		return NULL;
	uint32_t word;
	while (go_on(&oi_wanted.collector_word, &word)) {
		collect_due();
		oi_asked_serve(between);
		start_writer();
		if (unlikely(oi_idle_due()))
			oi_collect_idle(between);
		see_to_expiry();
		bool ticking = oi_load_relaxed(&oi_wanted.tick); /* recheck */
		oi_futex_wait(&oi_wanted.collector_word, word, sleep_ns(ticking));
		if (ticking)
			tick();
		oi_events_holdups();
		oi_collect_tell_solo();
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
	oi_store_relaxed(&taken_ns, oi_now_ns()); /* recheck */
	/* Nobody waits for it, and what the death of garbage entails is over when that is. */
	struct oi_work w = oi_work_thoroughly();
	uint64_t began = oi_now_ns();
	bool any = oi_backlog_serve(t, false, w);
	if (oi_runtime.config.finalizers == OURO_FINALIZERS_THREAD) {
		oi_store_relaxed(&taken_ns, oi_now_ns()); /* recheck */
		any |= oi_garbage_serve(t, &budget, OI_STAMP_NEW, w);
	}
	any |= oi_expiry_serve();
	if (oi_stray_any())
		oi_stray_serve();
	if (t->queued_merges) {
		t->queued_merges = false;
		oi_merge_drain_all();
	}
	if (any)
		oi_flight_span(OI_FLIGHT_REAP, 0, began, oi_now_ns(), 0, 0);
	return any;
}

/* Before a reaper sleeps: what it freed goes back to its owners, and empty pages to the system. */
static void tidy_reaper(struct oi_thread *t)
{
	oi_gate_enter(t);
	oi_limbo_reclaim(t, true);
	oi_gate_leave(t);
	oi_heap_harvest_idle(t);
}

/* Returns false if another reaper is at leisure, and this one is to end. */
static bool rest(struct worker *w, uint32_t word)
{
	uint32_t others = oi_add_seq_cst(&oi_wanted.n_idle, 1u); /* [B3] */
	bool needed = !others || w == &reaper[0];
	if (needed)
		oi_futex_wait(&oi_wanted.reaper_word, word, IDLE_NS);
	oi_add_seq_cst(&oi_wanted.n_idle, -1u); /* [B3] */
	return needed;
}

/*
 * A reaper returns, or a callback has ended it. The tick joins it, and starts another if there is
 * something to do.
 */
static void reaper_over(struct worker **w)
{
	if (oi_self)
		oi_thread_detach(oi_self);
	oi_store_release(&(*w)->ended, true); /* [B5] */
	if (!oi_load_acquire(&quit)) /* recheck: a tick too many does no harm */
		oi_wake_tick();
}

static void *reaper_main(void *arg)
{
	__attribute__((cleanup(reaper_over))) struct worker *w = arg;
	oi_store_release(&w->running, true); /* [B5] */
	char name[16];
	snprintf(name, sizeof name, w == &reaper[0] ? "ouro-reaper" : "ouro-reaper-%u",
		 (unsigned)(w - reaper + 1) % 100);
	if (!attach_servant(name))
		return NULL;
	uint32_t word;
	while (go_on(&oi_wanted.reaper_word, &word)) {
		oi_exchange_seq_cst(&oi_wanted.reap, 0u); /* [B1] */
		/*
		 * First: what follows may wait for a stop, and that for the thread that the message
		 * is about.
		 */
		oi_log_deliver();
		while (serve(oi_self) && !oi_load_acquire(&quit)) /* recheck */
			;
		tidy_reaper(oi_self);
		if (!rest(w, word))
			break;
	}
	return NULL;
}

/* ---- helpers of a collection ---- */

#define HELPERS 8

struct helper {
	struct worker worker;
	void (*fn)(void);
};
static struct helper helpers[HELPERS]; /* whoever collects, under the full collection's lock */

static void *helper_main(void *arg)
{
	struct helper *s = arg;
	oi_store_release(&s->worker.running, true); /* [B5] */
	pthread_setname_np(pthread_self(), "ouro-gc-helper");
	if (oi_thread_attach_anyhow("ouro-gc-helper", true)) {
		s->fn();
		oi_thread_detach(oi_self);
	}
	oi_store_release(&s->worker.ended, true); /* [B5] */
	return NULL;
}

void oi_servant_begin(void (*fn)(void))
{
	size_t i = 0;
	oi_assert_locked(OI_LOCK_CONCURRENT);
	if (oi_load_acquire(&quit)) /* elsewhere: the lock, stop_helpers */
		return;
	while (i < HELPERS && !join_if_ended(&helpers[i].worker))
		i++;
	if (i == HELPERS)
		return; /* those of former collections have had no processor since */
	helpers[i] = (struct helper){ { .main = helper_main, .stack = COLLECTOR_STACK }, fn };
	start_one(&helpers[i].worker, &helpers[i]);
}

/* ---- starting and stopping ---- */

static int start_one(struct worker *w, void *arg)
{
	if (w->started)
		return 0;
	oi_point("servant: starts");
	oi_store_relaxed(&w->running, false); /* stopped: nobody looks before started */
	oi_store_relaxed(&w->ended, false);
	int error = oi_spawn(&w->thread, w->main ? w->main : reaper_main, arg, w->stack);
	oi_store_release(&w->started, !error); /* [B5] after its handle: join_ended */
	/*
	 * ASan's part of a thread's start takes locks that a fork does not wait for (fork.c): it is
	 * over when this returns.
	 */
	while (OI_ASAN && !error && !oi_load_acquire(&w->running)) /* [B5] */
		oi_sleep_ns(20000);
	return error;
}

void oi_servants_start_later(void)
{
	oi_store_release(&quit, 0u); /* stopped: none of them is there */
	oi_store_relaxed(&not_before, oi_now_ns() + RETRY_NS); /* recheck */
	oi_exchange_seq_cst(&oi_wanted.missing, 1u); /* [B4] */
}

int oi_servants_start(void)
{
	oi_store_release(&quit, 0u); /* stopped: none of them is there */
	/* A need that is late may have it still, and finds nothing missing. */
	while (oi_exchange_seq_cst(&starting, 1u)) /* [B4] */
		oi_sleep_ns(20000);
	int error = start_both();
	oi_exchange_seq_cst(&starting, 0u); /* [B4] */
	if (error)
		oi_servants_stop();
	return error;
}

static void stop_one(struct worker *w, uint32_t *word)
{
	if (!w->started)
		return;
	if (word)
		oi_wake(word);
	/* pthread_join is a cancellation point, and aborts where a filter refuses futex. */
	for (uint64_t nap = 20000; pthread_tryjoin_np(w->thread, NULL) == EBUSY;
	     nap += nap < 1000000 ? nap : 0)
		oi_sleep_ns(nap);
	w->started = false;
}

static void stop_reapers(void)
{
	oi_wake(&oi_wanted.reaper_word);
	for (size_t i = 0; i < REAPERS; i++)
		stop_one(&reaper[i], &oi_wanted.reaper_word);
}

/* There is no collection that they help in, and none that follows has any. */
static void stop_helpers(void)
{
	oi_concurrent_lock();
	for (size_t i = 0; i < HELPERS; i++)
		stop_one(&helpers[i].worker, NULL);
	oi_concurrent_unlock();
}

void oi_servants_stop(void)
{
	oi_exchange_seq_cst(&oi_wanted.missing, 0u); /* [B4] */
	while (oi_load_seq_cst(&starting)) /* [B4] */
		oi_sleep_ns(20000);
	oi_store_release(&quit, 1u); /* [B1] */
	stop_one(&collector, &oi_wanted.collector_word);
	stop_reapers();
	stop_one(&writer, NULL);
	stop_helpers();
	oi_demand_forget();
	oi_wanted.collect = oi_wanted.tick = oi_wanted.reap = 0;
	not_before = 0;
}

void oi_servants_fork_child(void)
{
	/* Even if another thread was ending the heap, which the child undoes. */
	oi_wanted.missing = oi_runtime.running;
	collector.started = writer.started = false;
	oi_demand_forget(); /* it was sent to the parent */
	for (size_t i = 0; i < REAPERS; i++)
		reaper[i].started = false;
	for (size_t i = 0; i < HELPERS; i++)
		helpers[i].worker.started = false;
	oi_wanted.n_idle = 0;
	oi_wanted.collect = oi_wanted.tick = oi_wanted.reap = quit = 0;
	not_before = 0;
	oi_alone_fork_child();
	/* The fork has the turn: what it hands over is noted, but starts no thread. */
	starting = 1;
}

bool oi_servants_forked(void)
{
	oi_exchange_seq_cst(&starting, 0u); /* [B4] */
	return oi_wanted.missing && any_wanted();
}
