/*
 * attach.c - how threads come and go
 *
 * Leaving is the destructor of a thread-specific key. Other destructors may still use the heap
 * afterwards: the thread then attaches anew, and is detached in the next round of destructors, of
 * which there are four. A call in the last round leaves a record attached to a thread that is
 * gone: outside its gate, so it delays nobody; the collector's tick looks for such late ones
 * (oi_threads_reap_gone). It looks likewise for a thread that has no destructor, because there was
 * no key or no room for its value when its first call was one that cannot fail.
 */
#include "process/attach.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/doors.h"
#include "base/flight.h"
#include "base/holdup.h"
#include "base/lock.h"
#include "base/os.h"
#include "base/perturb.h"
#include "base/runtime.h"
#include "base/wake.h"
#include "collect/flush.h"
#include "collect/solo.h"
#include "contain/promise.h"
#include "count/backlog.h"
#include "count/loose.h"
#include "count/merge.h"
#include "count/sample.h"
#include "heap/entry.h"
#include "heap/heap.h"
#include "heap/limbo.h"
#include "heap/orphan.h"
#include "heap/pace.h"
#include "process/alone.h"
#include "process/lifecycle.h"
#include "process/servants.h"
#include "world/context.h"
#include "world/deliver.h"
#include "world/gate.h"
#include "world/park.h"
#include "world/world.h"

static __thread bool exiting; /* its destructors are running */
/* Attached records of which nobody tells when their threads are gone; written under the lock. */
static uint32_t n_late;
static pthread_key_t exit_key; /* made when first needed, under the lock */
static bool exit_key_made;

/*
 * Under the lock, and @t is not on the list. Clears what a new user of a record must not find
 * there. The foreign-free stack may hold pages: they are passed on.
 */
static void reset(struct oi_thread *t)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	oi_gate_unpin(t);
	t->in_finalizer = 0;
	t->hand = NULL;
	t->hand_watches = NULL;
	t->hand_garbage = NULL;
	t->callback = NULL;
	oi_store_relaxed(&t->dying, 0); /* stopped */
	oi_store_relaxed(&t->serving, 0);
	oi_store_relaxed(&t->in_callback, 0); /* stopped */
	oi_store_relaxed(&t->deaths.armed, false); /* recheck */
	oi_store_relaxed(&t->tracked_delta, INT64_C(0)); /* count */
	oi_store_relaxed(&t->died[0], INT64_C(0)); /* count */
	oi_store_relaxed(&t->died[1], INT64_C(0)); /* count */
	oi_store_relaxed(&t->waiting, false); /* stopped */
	t->late = exiting;
	memset(t->types, 0, sizeof t->types);
	oi_sample_join(t);
	oi_merge_open(t);
	/* elsewhere: the lock, under which oi_threads_divert finds it otherwise */
	bool slow = !oi_world.membarrier || oi_load_relaxed(&oi_runtime.shutting_down);
	oi_store_relaxed(&t->fenced, slow); /* elsewhere: it enters later */
	oi_store_release(&t->request, slow ? (uint32_t)OI_REQUEST_FENCE : 0u);
}

static bool is_first(void)
{
	return oi_gettid() == getpid();
}

static void on_exit_of_thread(void *arg)
{
	struct oi_thread *t = arg;
	if (is_first())
		oi_alone_first_exits();
	if (oi_self != t)
		return;
	exiting = true;
	if (t->callback || t->dying) { /* it ended without unwinding */
		oi_left(t, NULL);
		oi_log_leave();
	}
	if (t->pin_depth) {
		oi_gate_unpin(t);
		oi_say("thread \"%s\" exits inside a pinned region", t->name);
	}
	oi_thread_detach(t);
}

static bool have_exit_key(void)
{
	if (likely(oi_load_acquire(&exit_key_made))) /* [T1] after the key */
		return true;
	oi_registry_lock();
	if (!exit_key_made && !oi_fail(OI_FAIL_SETSPECIFIC) &&
	    !pthread_key_create(&exit_key, on_exit_of_thread))
		oi_store_release(&exit_key_made, true); /* [T1] */
	oi_registry_unlock();
	return exit_key_made;
}

/*
 * From now on @t detaches when this thread exits. Returns false if there is no key, or no room
 * for its value.
 */
static bool set_exit(void *t)
{
	return have_exit_key() && !oi_fail(OI_FAIL_SETSPECIFIC) &&
	       !pthread_setspecific(exit_key, t);
}

/*
 * Takes the room for the value, so that later calls find it. What it is set to is no thread's
 * record, and the destructor sees that.
 */
static bool reserve_exit(void)
{
	return set_exit(&exit_key);
}

/*
 * If this cannot be done, the destructor sees that the thread has detached. The library is still
 * to hear of the first thread's exit.
 */
static void unset_exit(void)
{
	if (oi_load_acquire(&exit_key_made)) /* [T1] */
		pthread_setspecific(exit_key, is_first() && !exiting ? &exit_key : NULL);
}

/*
 * Called when the library is loaded, and in the child of a fork. If this fails, the library does
 * not hear that the first thread exits, and alone.c never asks its question.
 */
__attribute__((constructor(101))) static void hear_of_first(void)
{
	if (is_first() && !oi_self)
		(void)reserve_exit();
}

static void link_record(struct oi_thread *t, bool internal)
{
	oi_thread_link(t, internal);
	if (t->late)
		oi_add_relaxed(&n_late, 1u); /* recheck */
}

static struct oi_thread *attach(const char *name, bool internal, bool anyhow)
{
	oi_registry_lock();
	struct oi_thread *t = oi_thread_find(anyhow);
	if (t) {
		reset(t);
		oi_thread_set_name(t, name);
		link_record(t, internal);
	}
	oi_registry_unlock();
	oi_thread_become(t);
	return t;
}

/* Nothing tells when the thread exits: the tick looks. */
static void note_late(struct oi_thread *t)
{
	oi_registry_lock();
	if (!t->late)
		oi_add_relaxed(&n_late, 1u); /* recheck */
	t->late = true;
	oi_registry_unlock();
}

static void detach_at_exit(struct oi_thread *t)
{
	if (!t->internal && !set_exit(t))
		note_late(t);
	if (t->late)
		oi_wake_tick();
	oi_servants_need();
}

int oi_thread_attach(const char *name, bool internal)
{
	if (!internal && !reserve_exit())
		return ENOMEM;
	struct oi_thread *t = attach(name, internal, false);
	if (!t) {
		unset_exit();
		return ENOMEM;
	}
	detach_at_exit(t);
	return 0;
}

bool oi_thread_attach_anyhow(const char *name, bool internal)
{
	struct oi_thread *t = attach(name, internal, true);
	if (t)
		detach_at_exit(t);
	return t;
}

static struct oi_thread *first_call(void)
{
	if (oi_lifecycle_ensure() && (oi_self || !oi_thread_attach(NULL, false)))
		return oi_self;
	return NULL;
}

struct oi_thread *oi_thread_first_call(bool may_fail)
{
	uint64_t began = 0;
	if (may_fail)
		return first_call();
	while (!oi_lifecycle_ensure_anyhow() ||
	       !(oi_self || oi_thread_attach_anyhow(NULL, false))) {
		began = began ? began : oi_now_ns();
		oi_sleep_ns(1000000); /* until there is memory, or a record that is left */
	}
	if (began)
		oi_holdup_from(OURO_HOLDUP_MEMORY, began, oi_now_ns());
	return oi_self;
}

void oi_thread_reattach(struct oi_thread *t)
{
	while (!oi_lifecycle_ensure_anyhow())
		oi_sleep_ns(1000000);
	oi_registry_lock();
	if (oi_load_relaxed(&t->request) & OI_REQUEST_ATTACH) { /* elsewhere: the lock */
		reset(t);
		link_record(t, false);
	}
	oi_registry_unlock();
	/* It may have had no room for that before, and only the heap that is gone knew. */
	detach_at_exit(t);
}

void oi_thread_detach(struct oi_thread *t)
{
	if (unlikely(t->promises != NULL)) /* it ended without unwinding */
		oi_promises_leave(t);
	/* elsewhere: no other thread may use the library while the heap ends (ouro_shutdown) */
	if (!(oi_load_acquire(&t->request) & OI_REQUEST_ATTACH)) {
		oi_flush_leave(t);
		oi_merge_leave(t);
		oi_gate_enter(t);
		while (oi_backlog_leave(t)) {
			oi_gate_leave(t);
			oi_gate_enter(t);
		}
		oi_pace_flush(t);
		oi_loose_hand_over(t, t->n_loose);
		oi_limbo_abandon(t);
		oi_entry_leave(t);
		oi_heap_abandon(t);
		oi_backlog_tidy(t); /* not outside: there it may be parked, and tidied */
		oi_solo_tidy(t);    /* likewise */
		oi_gate_leave(t);
		oi_registry_lock();
		oi_thread_unlink(t);
		oi_thread_give_back(t);
		if (t->late)
			oi_add_relaxed(&n_late, -1u); /* recheck */
		oi_registry_unlock();
	} else {
		oi_registry_lock();
		oi_thread_give_back(t); /* of a heap that is gone */
		oi_registry_unlock();
	}
	oi_thread_become(NULL);
	unset_exit();
}

/* ---- the heap's end, and a fork ---- */

/* At shutdown. */
static void forget_counts(struct oi_thread *t)
{
	memset(&t->allocated, 0, sizeof t->allocated);
	memset(&t->freed, 0, sizeof t->freed);
	t->bytes_noted = 0;
	t->n_delays = t->delay_ns = t->delay_max_ns = 0;
}

void oi_threads_shut_down(void)
{
	oi_registry_lock();
	struct oi_thread *t;
	oi_for_each_thread(t) {
		oi_thread_unlink(t);
		oi_store_release(&t->request, (uint32_t)OI_REQUEST_ATTACH); /* stopped: likewise */
	}
	for (size_t i = 0; (t = oi_thread_record(i)); i++) {
		oi_limbo_drop(t);
		oi_backlog_free(t);
		oi_store_relaxed(&t->deaths.waiting, (size_t)0); /* stopped: nobody looks */
		oi_vector_free(&t->merges.objects);
		oi_vector_free(&t->merges.old);
		oi_store_relaxed(&t->merges.n_old, 0u); /* stopped: nobody looks */
		oi_solo_tidy(t);
		t->n_weak_cache = 0;
		t->n_loose = 0;
		t->tracked_delta = t->died[0] = t->died[1] = 0;
		memset(&t->heap, 0, sizeof t->heap);
		oi_heap_init(&t->heap);
		forget_counts(t);
	}
	oi_park_left = (struct oi_park_left){ 0 }; /* nobody looks */
	n_late = 0;
	oi_loose_forget();
	oi_registry_unlock();
}

/* In the child, which holds the registry lock from before the fork. */
void oi_threads_fork_child(struct oi_thread *self)
{
	oi_assert_stopped();
	struct oi_thread *t;
	bool attached = false;
	oi_for_each_thread(t) {
		oi_store_release(&t->request, /* stopped */
				 oi_load_relaxed(&t->request) & ~(uint32_t)OI_REQUEST_STOP);
		if (t == self) {
			attached = true;
			continue;
		}
		oi_pace_flush(t);
		oi_thread_unlink(t);
		t->attached = false;
		/* stopped. Its key stays taken: its objects still bear it. */
		oi_store_relaxed(&t->dead, true);
		t->merges.closed = true;
	}
	oi_store_relaxed(&n_late, attached && self->late ? 1u : 0u); /* stopped */
	if (self) {
		oi_store_relaxed(&self->tid, oi_gettid()); /* stopped */
		oi_flight_thread((uint32_t)self->tid);
		self->seen = NULL; /* flags of a collection that was under way: Note [SEEN] */
	}
	hear_of_first();
}

#define LOOKS 64 /* records, while others wait for the lock */

/*
 * Goes through records from *at on, which it moves. Returns one that is attached though its thread
 * is gone; NULL if there is none among these.
 */
static struct oi_thread *find_gone(size_t *at)
{
	struct oi_thread *t, *gone = NULL;
	oi_registry_lock();
	for (size_t end = *at + LOOKS; !gone && *at < end && (t = oi_thread_record(*at)); ++*at) {
		/* elsewhere: the lock. With ATTACH it belongs to a heap that is gone. */
		bool other = oi_load_relaxed(&t->request) & OI_REQUEST_ATTACH;
		if (!t->attached || !t->late || t == oi_self || other)
			continue;
		oi_point("late thread");
		if (!oi_thread_alive(t->tid)) {
			oi_thread_unpin_gone(t);
			gone = t;
		}
	}
	oi_registry_unlock();
	return gone;
}

static void detach_gone(struct oi_thread *gone)
{
	struct oi_thread *self = oi_self;
	oi_load_acquire(&gone->gate); /* [G1]: what it did */
	oi_thread_become(gone); /* act as the thread that is gone */
	oi_thread_detach(gone);
	oi_thread_become(self);
	if (self && !self->internal && !set_exit(self))
		note_late(self);
}

/*
 * Detaches records whose threads are gone: a call in the last round of their destructors left
 * these attached, or they had none. Returns true if some late threads still run.
 */
bool oi_threads_reap_gone(void)
{
	struct oi_thread *gone;
	for (size_t at = 0; oi_load_relaxed(&n_late) && oi_thread_record(at);) /* recheck */
		if ((gone = find_gone(&at)))
			detach_gone(gone);
	return oi_load_relaxed(&n_late); /* recheck */
}

/* ---- public ---- */

int ouro_thread_attach(const char *name)
{
	if (!oi_lifecycle_ensure())
		return ENOMEM;
	struct oi_thread *t = oi_self;
	if (!t)
		return oi_thread_attach(name, false);
	oi_current();
	oi_thread_set_name(t, name);
	return 0;
}

void ouro_thread_detach(void)
{
	struct oi_thread *t = oi_self;
	if (t && !t->pin_depth && !t->in_callback && !t->dying && !t->internal &&
	    !oi_inside_program)
		oi_thread_detach(t);
}
