/*
 * world.c - stopping and restarting the world, seizing one thread, grace periods
 *
 * Note [STOP]. A stopper holds the registry lock from the request to the restart, so that
 * attaching, detaching and other stoppers wait behind it, and nobody can slip in. States and who
 * moves them:
 *   running  -> asked    oi_world_stop: STOP into every request word, membarrier [G1]
 *   asked    -> stopped  when every gate reads 0
 *   stopped  -> running  oi_world_start: STOP cleared, seq + 1, waiters woken
 *   asked    -> running  the stop is cancelled, and tried again, when a thread that it waits for
 *                        forks inside its pinned region: that thread needs the registry lock, and
 *                        may not leave its gate. Unless the stop is for a fork too: that thread
 *                        does nothing but wait for its turn, so two forks do not give way to each
 *                        other for ever
 * A thread that finds STOP leaves its gate and sleeps on the sequence number, which it reads before
 * the request word: the restart clears the request first and counts up second, so a sleeper sees
 * either the cleared request or a changed number. Two stops in a row are told apart by the number;
 * a plain flag deadlocked the prototype. [G6] The system is asked to wake only if there are
 * sleepers: a thread adds itself to n_waiting before it reads the number, and a restart looks at
 * n_waiting after it has counted up, all sequentially consistent.
 * Only active threads are asked. Those that do nothing are parked, and one that comes back during
 * a stop sees stopping: Note [PARK].
 * Fairness: a stopper first lets in the threads that the last stop kept waiting (bounded by 2 ms,
 * should one have been preempted), so that stops in a tight loop starve nobody.
 *
 * Note [GRACE]. Epoch-based reclamation (Fraser 2004) over the same gates: a gate holds the epoch
 * at entry. Grace period e is over when, after the epoch became e and a membarrier, every gate was
 * seen 0 or >= e. What was unlinked before a batch was sealed at epoch x may be reused once epoch
 * x + 1 is done.
 * Models: tests/models/stop.pml and park.pml for Note [STOP], limbo.pml for Note [GRACE].
 */
#include "world/world.h"

#include <sched.h>
#include <string.h>

#include "base/flight.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/os.h"
#include "base/probe.h"
#include "base/runtime.h"
#include "world/context.h"
#include "world/gate.h"
#include "world/park.h"
#include "world/thread.h"

struct oi_world oi_world = { .epoch = 1, .epoch_done = 0 };

void oi_world_init(void)
{
	oi_world.membarrier = oi_membarrier_register();
	oi_world.pauses = (struct oi_histogram){ 0 };
	oi_buckets_reset(&oi_world.times);
	oi_world.stop_max_ns = oi_world.off_sum_ns = oi_world.off_max_ns = 0;
}

void oi_gate_fence(void)
{
	/*
	 * Of two threads that call it, one comes second, and has seen what the other did before, as
	 * they write to the same word. So what each stored before and loads after is ordered as by
	 * a full fence, and ThreadSanitizer understands it. [GATE]
	 */
	static uint32_t fence;
	__atomic_fetch_add(&fence, 1, __ATOMIC_SEQ_CST); /* elsewhere: a fence for [G1] [G2] [G3] */
}

/* More than a tick of the slowest kernel; far more than a store buffer takes. */
#define SETTLE_NS 20000000u

static bool all_fenced(void)
{
	struct oi_thread *t;
	oi_for_each_thread(t)
		if (t != oi_self && !oi_load_acquire(&t->fenced)) /* [G5] */
			return false;
	return true;
}

/* Under the registry lock. Note [CHANGEOVER] in gate.h. */
static OI_COLD void change_over(void)
{
	struct oi_thread *t;
	/* elsewhere: the registry lock; tests look at any time */
	oi_store_relaxed(&oi_world.membarrier, false);
	oi_for_each_thread(t)
		oi_or_acq_rel(&t->request, OI_REQUEST_FENCE); /* [G2] */
	for (uint64_t until = oi_now_ns() + SETTLE_NS; !all_fenced() && oi_now_ns() < until;)
		oi_sleep_ns(500000);
	oi_gate_fence();
	oi_log("the system refuses membarrier from now on: every operation begins with a fence instead");
}

/*
 * In checked builds: something was asked of other threads, and no fence has followed. Until one
 * does, no gate may be looked at. A missing fence would show only in the nanoseconds for which a
 * processor keeps a store to itself, so we check for the fence instead of waiting for that.
 * Under the registry lock.
 */
static bool unfenced;

static void note_request(void)
{
	if (OURO_CHECKED)
		unfenced = true;
}

static void check_fenced(void)
{
	if (OURO_CHECKED && unlikely(unfenced))
		oi_abort("a gate is looked at without the fence after what was asked");
}

/*
 * Under the registry lock: a thread that enters from now on sees what is asked, and one that
 * entered before is seen. [GATE]
 */
static void publish_requests(void)
{
	unfenced = false;
	if (unlikely(!oi_world.membarrier))
		oi_gate_fence();
	else if (unlikely(!oi_membarrier()))
		change_over();
}

void oi_world_fork_child(void)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	if (oi_world.membarrier && !oi_membarrier_register())
		change_over();
}

/* Waits with growing naps: the thread we wait for may need this very core. */
static void nap_longer(unsigned *n)
{
	if (*n < 100)
		oi_pause();
	else if (*n < 110)
		sched_yield();
	else
		oi_sleep_ns(*n < 200 ? 20000 : 500000);
	++*n;
}

static void let_waiters_in(void)
{
	uint64_t until = 0;
	/* count: fairness alone rests on it */
	for (unsigned n = 0; __atomic_load_n(&oi_world.n_waiting, __ATOMIC_SEQ_CST);
	     nap_longer(&n)) {
		uint64_t now = oi_now_ns();
		if (!until)
			until = now + 2000000;
		else if (now > until)
			return;
	}
}

/*
 * Under the registry lock: @t has kept somebody waiting since @since_ns. Logged, once, if the
 * program pinned @t. If not, @t is in an operation, which takes no time: then the scheduler took
 * its processor away.
 */
static void warn(struct oi_thread *t, uint64_t since_ns, const char *what, bool *warned)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	oi_world.looked_ns = oi_now_ns();
	uint64_t limit = oi_runtime.config.pin_warn_ns, waited = oi_world.looked_ns - since_ns;
	if (*warned || !limit || waited <= limit || !oi_load_relaxed(&t->pin_depth)) /* recheck */
		return;
	*warned = true;
	char name[OI_NAME];
	oi_thread_get_name(t, name);
	oi_log("thread \"%s\" (tid %d) has been pinned for more than %llu ns while %s", name,
	       (int)t->tid, (unsigned long long)waited, what);
}

/* @t, for which the stop waited from @began_ns, is outside its gate. */
static void note_waited(struct oi_stop *stop, struct oi_thread *t, uint64_t began_ns)
{
	uint64_t ns = oi_now_ns() - began_ns;
	if (ns < stop->waited_ns)
		return;
	stop->waited_ns = ns;
	stop->waited_for = t;
}

/*
 * Returns false if the stop must give way: @t is about to fork inside a pinned region and waits for
 * the registry lock itself, and this stop is not for a fork.
 */
static bool await_gate(struct oi_thread *t, struct oi_stop *stop)
{
	bool warned = false;
	uint64_t began = 0;
	for (unsigned n = 0; oi_load_acquire(&t->gate) != 0; nap_longer(&n)) { /* [G1] */
		if (!began)
			began = oi_now_ns();
		if (oi_load_acquire(&t->forking)) /* recheck: as long as the gate is shut */
			return stop->fork;
		if (n < 110)
			continue;
		warn(t, stop->asked_ns, "the world waits to stop", &warned);
		oi_thread_unpin_gone(t);
	}
	if (began)
		note_waited(stop, t, began);
	return true;
}

static void wake_waiters(void)
{
	__atomic_fetch_add(&oi_world.seq, 1, __ATOMIC_SEQ_CST); /* [G6] */
	if (__atomic_load_n(&oi_world.n_waiting, __ATOMIC_SEQ_CST)) /* [G6] */
		oi_futex_wake(&oi_world.seq);
}

static bool try_stop(struct oi_stop *stop)
{
	struct oi_thread *t, *self = oi_self;
	oi_registry_lock();
	let_waiters_in();
	stop->waited_ns = 0;
	stop->waited_for = NULL;
	stop->asked_ns = oi_world.asked_ns = oi_now_ns();
	oi_world.asked_for = stop->cause;
	oi_store_release(&oi_world.stopping, true); /* [Q1] */
	oi_park_take_arrivals();
	oi_for_each_active(t)
		if (t != self)
			/* elsewhere: the fence is in publish_requests */
			oi_or_acq_rel(&t->request, OI_REQUEST_STOP);
	note_request();
	publish_requests();
	check_fenced();
	oi_for_each_active(t)
		if (t != self && !await_gate(t, stop))
			return false;
	return true;
}

/* Lets @t in again, which @flag keeps out; or parks it, if it does nothing and that is worth it. */
static void let_go_or_park(struct oi_thread *t, uint32_t flag)
{
	/* [G1]; recheck */
	bool idle = oi_load_acquire(&t->gate) == 0 && !oi_load_relaxed(&t->waiting);
	if (idle && oi_park_worth())
		oi_park(t, flag);
	else
		oi_and_acq_rel(&t->request, ~flag); /* [G2] */
}

static void let_go(bool stopped)
{
	struct oi_thread *t, *self = oi_self;
	oi_store_release(&oi_world.stopping, false); /* [G2] */
	oi_for_each_active(t) {
		if (t == self)
			continue;
		if (stopped)
			let_go_or_park(t, OI_REQUEST_STOP);
		else
			oi_and_acq_rel(&t->request, ~(uint32_t)OI_REQUEST_STOP); /* [G2] */
	}
}

/* World stopped: the name is that of the thread which had it then. */
static void name_waited(struct oi_stop *stop)
{
	stop->waited_tid = 0;
	memset(stop->waited_name, 0, sizeof stop->waited_name);
	if (!stop->waited_for)
		return;
	stop->waited_tid = stop->waited_for->tid;
	oi_thread_get_name(stop->waited_for, stop->waited_name);
}

static void stop_world(struct oi_stop *stop, bool fork)
{
	stop->fork = fork;
	OI_PROBE1(stop__begin, stop->cause);
	while (!try_stop(stop)) {
		/* Cancelled: the fork goes first. */
		let_go(false);
		oi_registry_unlock();
		wake_waiters();
		oi_sleep_ns(100000);
	}
	oi_world.stopped = true;
	stop->stopped_ns = oi_now_ns();
	if (stop->stopped_ns - stop->asked_ns > oi_world.stop_max_ns)
		/* count */
		oi_store_relaxed(&oi_world.stop_max_ns, stop->stopped_ns - stop->asked_ns);
	name_waited(stop);
	stop->had_cpu_ns = oi_cpu_ns();
	OI_PROBE4(stop__had, stop->cause, stop->stopped_ns - stop->asked_ns, stop->waited_tid,
		  stop->waited_ns);
}

/* The stop is over, and took @ns. */
static OI_COLD void note_stop(const struct oi_stop *stop, uint64_t ns)
{
	uint64_t asking = stop->stopped_ns - stop->asked_ns;
	struct oi_flight_event e = { .began_ns = stop->asked_ns, .ns = ns,
				     .kind = OI_FLIGHT_STOP, .detail = (uint8_t)stop->cause,
				     .n = asking, .m = stop->off_ns };
	oi_flight_note(&e);
	e.ns = asking;
	e.kind = OI_FLIGHT_ASK;
	e.n = stop->waited_ns;
	e.m = (uint64_t)stop->waited_tid;
	memcpy(e.name, stop->waited_name, sizeof e.name);
	oi_flight_note(&e);
}

void oi_stops_add(struct oi_stops *s, const struct oi_stop *stop, uint64_t ns)
{
	s->n++;
	s->ns += ns;
	s->max_ns = ns > s->max_ns ? ns : s->max_ns;
	s->off_ns = stop->off_ns > s->off_ns ? stop->off_ns : s->off_ns;
	if (stop->waited_ns <= s->waited_ns)
		return;
	s->waited_ns = stop->waited_ns;
	memcpy(s->waited_name, stop->waited_name, sizeof s->waited_name);
}

void oi_world_stop(struct oi_stop *stop, ouro_stop cause)
{
	oi_assert_unpinned(oi_self);
	stop->cause = cause;
	stop->nested = oi_lock_forking;
	stop->off_ns = 0;
	if (unlikely(stop->nested)) {
		oi_registry_lock();
		stop->fork = true;
		stop->asked_ns = stop->stopped_ns = oi_now_ns();
		stop->waited_ns = 0;
		stop->waited_for = NULL;
		name_waited(stop);
	} else {
		stop_world(stop, false);
	}
}

void oi_world_stop_to_fork(struct oi_stop *stop)
{
	stop->nested = false;
	stop->off_ns = 0;
	stop->cause = OURO_STOP_FORK;
	stop_world(stop, true);
}

/*
 * A stop during which its thread has no processor is as long for everybody as one in which it
 * works, and only this tells the two apart. The clocks may be refused, then and now.
 */
static void note_off(struct oi_stop *stop, uint64_t now)
{
	uint64_t cpu = oi_cpu_ns(), ran = cpu - stop->had_cpu_ns, had = now - stop->stopped_ns;
	stop->off_ns = cpu >= stop->had_cpu_ns && had > ran ? had - ran : 0;
	oi_own_add(&oi_world.off_sum_ns, stop->off_ns);
	if (stop->off_ns > oi_world.off_max_ns)
		oi_store_relaxed(&oi_world.off_max_ns, stop->off_ns); /* count */
}

uint64_t oi_world_start(struct oi_stop *stop)
{
	oi_assert_stopped();
	if (unlikely(stop->nested)) {
		oi_registry_unlock();
		return oi_now_ns() - stop->asked_ns;
	}
	/* All are outside: a grace period begins and is over. Not at a fork: some may be pinned. */
	if (!stop->fork) {
		uint64_t e = oi_add_acq_rel(&oi_world.epoch, 1) + 1; /* [G3] */
		oi_store_release(&oi_world.epoch_done, e);           /* [G4] */
	}
	oi_own_add(&oi_world.n_stops, 1); /* before [G2], which shows it */
	oi_world.stopped = false;
	let_go(!stop->fork);
	uint64_t now = oi_now_ns(), ns = now - stop->asked_ns;
	note_off(stop, now);
	oi_histogram_add(&oi_world.pauses, ns);
	oi_buckets_add(&oi_world.times, ns);
	oi_registry_unlock();
	wake_waiters(); /* after all that: a thread that wakes up may take this very core */
	OI_PROBE3(stop__end, stop->cause, ns, stop->off_ns);
	if (oi_flight())
		note_stop(stop, ns);
	return ns;
}

bool oi_world_seize(struct oi_thread *t, void (*fn)(struct oi_thread *t, void *arg), void *arg)
{
	oi_assert_unpinned(oi_self);
	bool done = false;
	oi_registry_lock();
	if (t->attached && t != oi_self) {
		/*
		 * A parked thread is outside, and will see SEIZE: Note [PARK].
		 * For one that is not: elsewhere, the fence is in publish_requests.
		 */
		if (!(oi_or_acq_rel(&t->request, OI_REQUEST_SEIZE) & OI_REQUEST_PARKED)) {
			note_request();
			publish_requests();
			check_fenced();
		}
		if (oi_load_acquire(&t->gate) == 0) { /* [G1] */
			fn(t, arg);
			done = true;
		}
		oi_and_acq_rel(&t->request, ~(uint32_t)OI_REQUEST_SEIZE); /* [G2] */
		wake_waiters();
	}
	oi_registry_unlock();
	return done;
}

void oi_world_fence(void)
{
	oi_assert_unpinned(oi_self);
	oi_registry_lock();
	publish_requests();
	oi_registry_unlock();
}

void oi_world_park(unsigned max)
{
	oi_assert_unpinned(oi_self);
	struct oi_thread *t, *self = oi_self;
	unsigned n = 0, k = 0;
	oi_registry_lock();
	oi_park_take_arrivals();
	oi_for_each_active(t) {
		if (n == max)
			break;
		n++;
		if (t != self)
			/* elsewhere: the fence is in publish_requests */
			oi_or_acq_rel(&t->request, OI_REQUEST_SEIZE);
	}
	note_request();
	publish_requests();
	check_fenced();
	oi_for_each_active(t) {
		if (k++ == n)
			break;
		if (t != self)
			let_go_or_park(t, OI_REQUEST_SEIZE);
		oi_park_requeue(t);
	}
	oi_registry_unlock();
	wake_waiters();
}

/* Under the registry lock. */
static bool epoch_under_way(void)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	/* elsewhere: both are written under the registry lock */
	return oi_load_relaxed(&oi_world.epoch_done) != oi_load_relaxed(&oi_world.epoch);
}

/*
 * Under the registry lock. Begins a grace period if none is under way. Returns a thread that keeps
 * it from being over, or NULL if it is over.
 */
static struct oi_thread *try_finish_epoch(void)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	if (!epoch_under_way()) {
		oi_add_acq_rel(&oi_world.epoch, 1); /* [G3] */
		note_request();
		publish_requests();
		oi_park_take_arrivals(); /* [Q1] after the epoch: a later arrival has seen it */
	} else if (!oi_world.membarrier) {
		oi_gate_fence();
	}
	check_fenced();
	uint64_t e = oi_load_relaxed(&oi_world.epoch); /* elsewhere: the registry lock */
	struct oi_thread *t, *self = oi_self;
	oi_for_each_active(t) {
		/* The caller, if inside, frees: it has no bare address unless it is pinned. */
		if (t == self && !t->pin_depth)
			continue;
		uint64_t gate = oi_load_acquire(&t->gate); /* [G1] */
		if (gate && gate < e)
			return t;
	}
	oi_store_release(&oi_world.epoch_done, e); /* [G4] release: pairs with ripe in limbo.c */
	return NULL;
}

void oi_grace_try(bool begin)
{
	if (!oi_registry_trylock())
		return;
	if (begin || epoch_under_way())
		try_finish_epoch();
	oi_registry_unlock();
}

void oi_grace_wait(void)
{
	oi_assert_unpinned(oi_self);
	uint64_t target = oi_add_acq_rel(&oi_world.epoch, 0) + 1, began = 0; /* [G3] */
	bool warned = false;
	/* [G4] */
	for (unsigned n = 0; oi_load_acquire(&oi_world.epoch_done) < target; nap_longer(&n)) {
		oi_registry_lock();
		struct oi_thread *t = oi_load_acquire(&oi_world.epoch_done) < target ? /* [G4] */
				      try_finish_epoch() : NULL;
		if (t && !began)
			began = oi_now_ns();
		if (t) {
			warn(t, began, "a collection waits for it", &warned);
			oi_thread_unpin_gone(t);
		}
		oi_registry_unlock();
	}
}
