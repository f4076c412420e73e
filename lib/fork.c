/*
 * fork.c - a working heap in the child
 *
 * Before: no young collection runs (its lock is taken), the world is stopped, and the locks of the library are held (lock.c), so
 * that the child inherits everything whole. A full collection may be anywhere between two of its slices: it goes on in the parent, and
 * the child undoes it, or carries it out if its garbage is dead already (oi_full_inherit). The forking thread may be pinned.
 * Then a collection may be waiting for it to stop the world, and it must not wait for that collection: it takes no collection
 * lock, the stop gives way (world.c), and the child makes the lock new; a young collection has nothing half done outside its
 * stop, and the set it found is in its thread's hand from the stop on.
 * In the child the other threads are gone: their references stay counted; their keys stay taken, and objects that bear them
 * are merged one by one when found, because walking the heap would make the child copy it; their pages are orphaned. The
 * library's threads are started again by the first request for them.
 *
 * The child may call malloc: glibc's is whole there, but others' need not be. The ASan runtimes of gcc 12 and clang 14
 * take no locks at a fork (LLVM's does since 18): with another thread inside malloc, the child hangs in it. So the
 * library's threads call no malloc (set.h), and a program's child works with such an allocator if its own threads are
 * elsewhere.
 */
#include "fork.h"

#include <pthread.h>

#include "background.h"
#include "collect.h"
#include "events.h"
#include "full.h"
#include "gate.h"
#include "heap.h"
#include "limbo.h"
#include "lock.h"
#include "merge.h"
#include "os.h"
#include "pile.h"
#include "runtime.h"
#include "set.h"
#include "thread.h"
#include "weak.h"

/* Of this thread's fork: others may be on their way into theirs. */
static __thread struct oi_stop stop;
static __thread bool prepared, pinned;

static void before(void)
{
	prepared = oi_load_acquire(&oi_runtime.running); /* [L1] */
	if (!prepared)
		return;
	pinned = oi_self && oi_self->pin_depth;
	if (pinned)
		oi_store_release(&oi_self->forking, true);
	else
		oi_collect_fork(OI_FORK_PREPARE);
	oi_world_stop_to_fork(&stop);
	oi_locks_prepare_fork();
}

static void in_parent(void)
{
	if (!prepared)
		return;
	oi_locks_after_fork();
	if (pinned)
		oi_store_release(&oi_self->forking, false);
	oi_world_start(&stop);
	if (!pinned)
		oi_collect_fork(OI_FORK_PARENT);
}

/* What the threads that vanished had to do goes to the reaper, what they had to others. World stopped. */
static void inherit(void)
{
	struct oi_thread *t;
	for (size_t i = 0; (t = oi_thread_record(i)); i++) {
		if (!t->dead || t->inherited)
			continue;
		t->inherited = true;
		oi_set_inherit(t);
		oi_pile_inherit(t);
		oi_merge_inherit(t);
		oi_limbo_abandon(t);
		oi_weak_leave(t);
		oi_heap_abandon(t);
	}
}

static void in_child(void)
{
	if (!prepared)
		return;
	oi_locks_after_fork();
	oi_lock_renew(OI_LOCK_RUNTIME);
	oi_events_fork_child();
	if (pinned) {
		oi_self->forking = false;
		oi_collect_fork(OI_FORK_CHILD); /* first: what follows may start the collector */
	}
	oi_world.n_waiting = 0;
	oi_threads_fork_child(oi_self);
	oi_background_fork_child();
	oi_world.membarrier = oi_world.membarrier && oi_membarrier_register();
	oi_full_inherit();
	inherit(); /* before the world starts: pages may go back, and the reaper may be running by now */
	oi_world_start(&stop);
	if (!pinned)
		oi_collect_fork(OI_FORK_PARENT);
}

static void install(void)
{
	pthread_atfork(before, in_parent, in_child);
}

void oi_fork_install(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, install);
}
