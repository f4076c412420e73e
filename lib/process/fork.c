/*
 * fork.c - a working heap in the child
 *
 * Before a fork nobody is starting the heap or dropping it, and no young collection runs (their
 * locks are taken); the world is stopped, and the other locks of the library are held (lock.c), so
 * that the child inherits everything whole. A full collection may be anywhere between two of its
 * slices: it goes on in the parent, and the child undoes it, or carries it out if its garbage is
 * dead already (oi_concurrent_inherit). The forking thread may be pinned. Then a collection may be
 * waiting for it to stop the world, and it must not wait for that collection: it takes neither of
 * the first two locks, the stop gives way (world.c), and the child makes the locks new; a young
 * collection has nothing half done outside its stop, and what it found is in its thread's hand from
 * the stop on.
 * In the child the other threads are gone. Their references stay counted. Their keys stay taken,
 * and objects that bear them are merged one by one when found, because walking the heap would make
 * the child copy it. Their pages are orphaned.
 *
 * All that a thread which is gone may have left, and what becomes of it:
 *   servants.c    collector, reaper       as if a thread had been refused: the first need starts
 *                                         them, not the fork
 *                 starting, quit          nobody starts or ends threads
 *                 helpers                 gone, not to be joined
 *   wake.h        oi_wanted               missing; what was asked for is found again by looking
 *   alone.c       first_gone              the thread that forked is the first now
 *   keyset.h      keys taken for a walk   all are put back, into every set
 *   gclock.c      its locks               free, unless this thread has them
 *                 n_holding_off           as often as this thread keeps others away
 *                 n_insisting             as often as this thread insists
 *   collect.c     trial                   used in stops only
 *   events.c      n_calls                 this thread's alone, if it forks inside a listener
 *   flight.c      events                  the parent's; slots that were busy are free
 *   demand.c      wanted                  forgotten
 *   trace.c       trace                   goes on into a file of the child's, or ends
 *   deliver.c     calling                 likewise, if it forks inside the log function
 *   flush.c       leader, since           nobody flushes, unless this thread does
 *   crew.c        roll                    nobody is called or busy; if any helper was, its phase is
 *                                         given up: oi_crew_inherit
 *                 gifts                   the next phase begins without
 *   scan.c        helper                  its maps go to the pass, its lists are used again
 *   concurrent.c  pass                    this thread's, which goes on in the child, or
 *                                         oi_concurrent_inherit
 *   candidate.c   walking, commit, flags  likewise
 *   maps.c        maps                    likewise
 *   generation.c  pages half made old     likewise
 *   thread.h      traversed               NULL: a traverse is inside a gate or a stop
 *   unit.c        a unit's bit in huge    stays: at most one is not, which was on its way
 *                 full, refused           forgotten on both sides: oi_unit_forget
 *   pace.h        full, old_begun         no full collection is under way, or this thread's
 *                 young, a thread's delta added
 *   lifecycle.c   its lock, ending        nobody else starts or drops the heap: the fork waited for
 *                                         that (if pinned: there is a heap, and nobody may drop
 *                                         it); what was ending: oi_lifecycle_fork_child
 *   world.c       n_waiting, STOP bits    nobody waits
 *                 epoch                   stays; threads that are gone keep no grace period
 *                                         waiting: they are off the list
 *   thread.c      its lock                held by this thread
 *                 n_attached              those that are gone are taken off
 *                 a record's counters     go on counting: oi_tally_totals
 *   attach.c      n_late, tid             set anew
 *   a record      merges, deaths, hand, hand_garbage, limbo, weak_cache, heap
 *                                         handed over: inherit
 *                 gate, request, dying, serving, in_callback, n_served, leaving, forking
 *                                         stay, nobody asks: the record is off the list, dead, and
 *                                         never used again
 *                 promises, waits_for   left: oi_promises_leave
 *   garbage.c     spare                   a list that was on its way there is lost memory
 *   stray.c       n_strays                counts flags, which are in the objects
 *                 server                  nobody, unless this thread serves
 *   typebook.c    a number without a type lost: of 65 535
 *   remnant.c     remnants                lock-free: one that was on its way there is lost memory
 *                 in_hand                 put back
 *   promise, garbage, debug, backlog, watch, weak, limbo, heap, log: their locks were taken
 *   glibc         stdio, malloc, pthread_once  its own fork sees to them
 *   liburcu       stacks                  lock-free
 *
 * The child may call malloc: glibc's is whole there, but others' need not be. The ASan runtimes of
 * gcc 12 and clang 14 take no locks at a fork (LLVM's does since 18): with another thread inside
 * malloc, the child hangs in it. So the library's threads call no malloc (garbage.h), and a
 * program's child works with such an allocator if its own threads are elsewhere.
 *
 * Handlers of pthread_atfork run in reverse order before a fork, and in order after it. So the
 * library's are registered when it is loaded: what a program, or a library that uses this one,
 * registers runs outside them, where the library works as ever.
 */
#include "process/fork.h"

#include <pthread.h>

#include "base/lock.h"
#include "base/remnant.h"
#include "base/wake.h"
#include "collect/concurrent.h"
#include "collect/flush.h"
#include "collect/garbage.h"
#include "collect/policy.h"
#include "collect/solo.h"
#include "contain/expiry.h"
#include "contain/promise.h"
#include "count/backlog.h"
#include "count/merge.h"
#include "count/stray.h"
#include "heap/entry.h"
#include "heap/limbo.h"
#include "heap/orphan.h"
#include "heap/unit.h"
#include "inspect/trace.h"
#include "process/attach.h"
#include "process/lifecycle.h"
#include "process/servants.h"
#include "world/deliver.h"
#include "world/events.h"
#include "world/gate.h"
#include "world/gclock.h"
#include "world/keyset.h"
#include "world/thread.h"

/* Of this thread's fork: other threads may be on their way into theirs. */
static __thread struct oi_stop stop;
static __thread bool pinned, outermost;

/*
 * Inside a pinned region, or a listener, the thread must not wait for a start or an end of the
 * heap; there is none of either then.
 */
static void lock_outermost(void)
{
	outermost = !pinned && !oi_collect_locked_by_me();
	if (outermost)
		oi_lock(OI_LOCK_RUNTIME);
	if (!pinned)
		oi_collect_fork_prepare();
}

static void unlock_outermost(void)
{
	if (!pinned)
		oi_collect_fork_done();
	if (outermost)
		oi_unlock(OI_LOCK_RUNTIME);
}

static void before(void)
{
	pinned = oi_self && oi_self->pin_depth;
	if (pinned)
		oi_store_release(&oi_self->forking, true); /* owner: await_gate looks again */
	lock_outermost();
	oi_world_stop_to_fork(&stop);
	oi_locks_prepare_fork();
}

static void in_parent(void)
{
	oi_locks_after_fork();
	oi_unit_forget();
	if (pinned)
		oi_store_release(&oi_self->forking, false); /* owner: the world is stopped */
	oi_world_start(&stop);
	unlock_outermost();
}

/*
 * What the threads that vanished had to do goes to the reaper, and what they had goes to others.
 * World stopped.
 */
static void inherit(void)
{
	struct oi_thread *t;
	for (size_t i = 0; (t = oi_thread_record(i)); i++) {
		oi_keysets_add(t->key);
		if (!t->dead || t->inherited)
			continue;
		t->inherited = true;
		oi_promises_leave(t);
		oi_garbage_inherit(t);
		oi_backlog_inherit(t);
		oi_merge_inherit(t);
		oi_limbo_abandon(t);
		oi_entry_leave(t);
		oi_heap_abandon(t);
		oi_solo_tidy(t);
	}
}

/*
 * If anything is left to the library's threads, whoever left it there: they look for it once they
 * have been started.
 */
static void ask_for_threads(void)
{
	if (oi_flush_any_waiting())
		oi_wake_reap();
	if (oi_servants_forked() && oi_self)
		oi_or_acq_rel(&oi_self->request, OI_REQUEST_START); /* stopped */
}

static void in_child(void)
{
	oi_locks_after_fork();
	oi_events_fork_child();
	oi_trace_fork_child();
	oi_log_fork_child();
	if (pinned)
		oi_self->forking = false;
	if (!outermost)
		oi_lock_renew(OI_LOCK_RUNTIME);
	oi_collect_fork_child();
	oi_world.n_waiting = 0;
	oi_expiry_fork_child();
	oi_servants_fork_child();
	oi_threads_fork_child(oi_self);
	oi_policy_fork_child();
	oi_world_fork_child();
	oi_flush_fork_child(oi_self);
	oi_remnant_fork_child();
	oi_unit_forget();
	oi_stray_fork_child();
	oi_concurrent_inherit();
	inherit(); /* before the world starts: pages may go back */
	ask_for_threads();
	oi_world_start(&stop);
	if (!pinned)
		oi_collect_fork_done();
	oi_lifecycle_fork_child();
	if (outermost)
		oi_unlock(OI_LOCK_RUNTIME);
}

static bool installed;

static void install(void)
{
	installed = installed || pthread_atfork(before, in_parent, in_child) == 0;
}

/*
 * Runs before constructors of programs and of other libraries, so that what these register comes
 * later.
 */
__attribute__((constructor(101))) static void install_early(void)
{
	install();
}

bool oi_fork_install(void)
{
	install();
	return installed;
}
