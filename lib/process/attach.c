/*
 * attach.c - how threads come and go
 *
 * Leaving is the destructor of a thread-specific key. Other destructors may still use the heap
 * afterwards: the thread then attaches anew, and is detached in the next round of destructors, of
 * which there are four. A call in the last round leaves a record attached to a thread that is
 * gone: outside its gate, so it delays nobody; the collector's tick looks for such late ones
 * (oi_threads_reap_gone). So it does for a thread that has no destructor, because there was no
 * key or no room for its value when its first call was one that cannot fail.
 */
#include "process/attach.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/doors.h"
#include "base/holdup.h"
#include "base/lock.h"
#include "base/os.h"
#include "base/runtime.h"
#include "base/wake.h"
#include "collect/flush.h"
#include "count/merge.h"
#include "count/pile.h"
#include "heap/entry.h"
#include "heap/heap.h"
#include "heap/limbo.h"
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
static uint32_t n_late;        /* attached records of which nobody tells when their threads are gone; written under the lock */
static pthread_key_t exit_key; /* made when first needed, under the lock */
static bool exit_key_made;

/*
 * Under the lock: what a new user of a record must not find there. The foreign-free stack may
 * hold pages: they are passed on.
 */
static void reset(struct oi_thread *t)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	oi_store_relaxed(&t->pin_depth, 0);
	t->in_finalizer = 0;
	t->hand = NULL;
	t->hand_watches = NULL;
	t->hand_set = NULL;
	t->callback = NULL;
	oi_store_relaxed(&t->dying, 0);
	oi_store_relaxed(&t->serving, 0);
	oi_store_relaxed(&t->in_callback, 0);
	oi_store_relaxed(&t->deaths.armed, false);
	t->thorough = false;
	t->tracked_delta = t->died[0] = t->died[1] = 0;
	oi_store_relaxed(&t->waiting, false);
	t->late = exiting;
	memset(t->types, 0, sizeof t->types);
	oi_merge_open(t);
	bool slow = !oi_world.membarrier || oi_load_relaxed(&oi_runtime.shutting_down); /* or oi_threads_divert finds it */
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
		oi_store_relaxed(&t->pin_depth, 0);
		oi_store_release(&t->gate, (uint64_t)0); /* [G1] */
		oi_say("thread \"%s\" exits inside a pinned region", t->name);
	}
	oi_thread_detach(t);
}

static bool have_exit_key(void)
{
	if (likely(oi_load_acquire(&exit_key_made))) /* [T1] after the key */
		return true;
	oi_registry_lock();
	if (!exit_key_made && !oi_fail(OI_FAIL_SETSPECIFIC) && !pthread_key_create(&exit_key, on_exit_of_thread))
		oi_store_release(&exit_key_made, true); /* [T1] */
	oi_registry_unlock();
	return exit_key_made;
}

/*
 * From now on @t detaches when this thread exits. False: there is no key, or no room for its
 * value.
 */
static bool set_exit(void *t)
{
	return have_exit_key() && !oi_fail(OI_FAIL_SETSPECIFIC) && !pthread_setspecific(exit_key, t);
}

/*
 * So that later calls find room; what it is set to is no thread's record, which the destructor
 * sees.
 */
static bool reserve_exit(void)
{
	return set_exit(&exit_key);
}

/*
 * If it could not be done, the destructor would see that the thread has detached. The first
 * thread's exit is to be heard of.
 */
static void unset_exit(void)
{
	if (oi_load_acquire(&exit_key_made)) /* [T1] */
		pthread_setspecific(exit_key, is_first() && !exiting ? &exit_key : NULL);
}

/*
 * When the library is loaded, and in the child of a fork. Without it, alone.c never comes to its
 * question.
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
	return oi_self = t;
}

/* Nothing tells when it exits: the tick looks. */
static void be_late(struct oi_thread *t)
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
		be_late(t);
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
	while (!oi_lifecycle_ensure_anyhow() || !(oi_self || oi_thread_attach_anyhow(NULL, false))) {
		began = began ? began : oi_now_ns();
		oi_sleep_ns(1000000); /* for a record: one that another thread leaves will do */
	}
	if (began)
		oi_holdup(OURO_HOLDUP_MEMORY, oi_now_ns() - began);
	return oi_self;
}

void oi_thread_reattach(struct oi_thread *t)
{
	while (!oi_lifecycle_ensure_anyhow())
		oi_sleep_ns(1000000);
	oi_registry_lock();
	if (oi_load_relaxed(&t->request) & OI_REQUEST_ATTACH) {
		reset(t);
		link_record(t, false);
	}
	oi_registry_unlock();
	detach_at_exit(t); /* it may have had no room for that, and only the heap that is gone knew */
}

void oi_thread_detach(struct oi_thread *t)
{
	if (!(oi_load_acquire(&t->request) & OI_REQUEST_ATTACH)) {
		oi_flush_leave(t);
		oi_merge_leave(t);
		oi_gate_enter(t);
		while (oi_pile_leave(t)) {
			oi_gate_leave(t);
			oi_gate_enter(t);
		}
		oi_pace_flush(t);
		oi_limbo_abandon(t);
		oi_entry_leave(t);
		oi_heap_abandon(t);
		oi_pile_tidy(t); /* not outside: it may be parked there, and tidied */
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
	oi_self = NULL;
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
		oi_store_release(&t->request, (uint32_t)OI_REQUEST_ATTACH);
	}
	for (size_t i = 0; (t = oi_thread_record(i)); i++) {
		oi_limbo_drop(t);
		oi_pile_free(t);
		oi_store_relaxed(&t->deaths.waiting, (size_t)0); /* nobody looks */
		oi_vector_free(&t->merges.objects);
		oi_vector_free(&t->merges.old);
		oi_store_relaxed(&t->merges.n_old, 0u); /* nobody looks */
		t->n_weak_cache = 0;
		t->tracked_delta = t->died[0] = t->died[1] = 0;
		memset(&t->heap, 0, sizeof t->heap);
		oi_heap_init(&t->heap);
		forget_counts(t);
	}
	oi_park_left = (struct oi_park_left){ 0 }; /* nobody looks */
	n_late = 0;
	oi_registry_unlock();
}

/* In the child, which holds the registry lock from before the fork. */
void oi_threads_fork_child(struct oi_thread *self)
{
	oi_assert_stopped();
	struct oi_thread *t;
	bool attached = false;
	oi_for_each_thread(t) {
		oi_store_release(&t->request, oi_load_relaxed(&t->request) & ~(uint32_t)OI_REQUEST_STOP);
		if (t == self) {
			attached = true;
			continue;
		}
		oi_pace_flush(t);
		oi_thread_unlink(t);
		t->attached = false;
		oi_store_relaxed(&t->dead, true); /* its key stays taken: its objects still bear it */
		t->merges.closed = true;
	}
	oi_store_relaxed(&n_late, attached && self->late ? 1u : 0u);
	if (self)
		self->tid = oi_gettid();
	hear_of_first();
}

/*
 * Records left attached by a call in the last destructor round of their threads. True: some late
 * ones still run.
 */
bool oi_threads_reap_gone(void)
{
	while (oi_load_relaxed(&n_late)) { /* recheck */
		struct oi_thread *t, *gone = NULL;
		oi_registry_lock();
		oi_for_each_thread(t)
			if (t->late && t != oi_self && !oi_thread_alive(t->tid)) {
				oi_thread_unpin_gone(t);
				gone = t;
			}
		oi_registry_unlock();
		if (!gone)
			return true;
		struct oi_thread *self = oi_self;
		oi_load_acquire(&gone->gate); /* [G1]: what it did */
		oi_self = gone; /* act as the thread that is gone */
		oi_thread_detach(gone);
		oi_self = self;
		if (self && !self->internal && !set_exit(self))
			be_late(self);
	}
	return false;
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
	if (t && !t->pin_depth && !t->in_callback && !t->dying && !t->internal && !oi_inside_program)
		oi_thread_detach(t);
}
