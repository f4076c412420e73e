/*
 * lifecycle.c - starting and shutting down the heap
 *
 * stopped -> running (ouro_init, or any call) -> shutting down (one thread, ouro_shutdown) ->
 * stopped. Threads that were attached stay known: OI_REQUEST_ATTACH in their request word makes
 * their next operation start, or join, the next heap.
 */
#include "process/lifecycle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/holdup.h"
#include "base/loader.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/os.h"
#include "base/perturb.h"
#include "base/remnant.h"
#include "base/runtime.h"
#include "base/sized.h"
#include "base/vector.h"
#include "collect/asked.h"
#include "collect/collect.h"
#include "collect/concurrent.h"
#include "collect/debug.h"
#include "collect/flush.h"
#include "collect/garbage.h"
#include "collect/policy.h"
#include "contain/expiry.h"
#include "count/backlog.h"
#include "count/count.h"
#include "count/death.h"
#include "count/delay.h"
#include "count/merge.h"
#include "count/new.h"
#include "count/sample.h"
#include "count/ticket.h"
#include "count/watch.h"
#include "count/weak.h"
#include "heap/external.h"
#include "heap/heap.h"
#include "heap/limbo.h"
#include "heap/type.h"
#include "heap/usage.h"
#include "inspect/census.h"
#include "inspect/report.h"
#include "inspect/demand.h"
#include "inspect/trace.h"
#include "process/attach.h"
#include "process/fork.h"
#include "process/servants.h"
#include "world/context.h"
#include "world/deliver.h"
#include "world/events.h"
#include "world/gate.h"
#include "world/gclock.h"
#include "world/threads.h"

/*
 * Under the lock: how far the thread that ends the heap has come. That thread runs the program's
 * code, so it does not hold the lock meanwhile. By this the child of a fork in the middle of it,
 * where that thread is gone, tells what is left to it.
 */
static enum { NOT_ENDING, FINALIZING, DESTROYING } ending;

enum manner { ASKED, LAZY, ANYHOW };

/* Starts the library's threads, and makes the caller's record: a lack of memory shows here. */
static int start_threads(enum manner manner)
{
	int error = oi_servants_start();
	if (!error && !oi_self && manner != ANYHOW && oi_thread_attach(NULL, false)) {
		oi_servants_stop();
		error = ENOMEM;
	}
	if (error && manner == ANYHOW) {
		oi_servants_start_later();
		error = 0;
	}
	return error;
}

/* Under the lock, not running. */
static int start(const ouro_config *cfg, enum manner manner)
{
	oi_assert_locked(OI_LOCK_RUNTIME);
	oi_runtime.config = *cfg;
	oi_runtime.shutting_down = false;
	oi_perturb_init();
	oi_world_init();
	oi_policy_init();
	oi_collect_reset_statistics();
	oi_holdup_reset();
	oi_delay_reset();
	oi_debug_start();
	oi_trace_begin();
	oi_demand_begin();
	if (!oi_fork_install())
		return ENOMEM;
	int error = start_threads(manner);
	if (error)
		return error;
	/* elsewhere: by running */
	oi_store_relaxed(&oi_runtime.incarnation, oi_runtime.incarnation + 1);
	oi_store_release(&oi_runtime.running, 1u); /* [L1] */
	return 0;
}

static int init(const ouro_config *cfg, enum manner manner)
{
	ouro_config c = OURO_CONFIG_DEFAULT;
	int error = 0;
	if (cfg)
		c = *cfg;
	else if (oi_config_from_environment(&c) && manner == ASKED)
		error = EINVAL;
	else if (oi_config_check(&c))
		c = (ouro_config)OURO_CONFIG_DEFAULT;
	if (!error)
		error = oi_config_check(&c);
	if (error)
		return error;
	oi_lock(OI_LOCK_RUNTIME);
	/* elsewhere: the lock */
	error = oi_load_relaxed(&oi_runtime.running) ? EALREADY : start(&c, manner);
	if (!error)
		oi_loader_started();
	oi_unlock(OI_LOCK_RUNTIME);
	/* Not under the lock: it waits for the loader's. */
	const char *other = error ? NULL : oi_loader_other();
	if (other) /* noted: in a lazy start this may be inside ouro_new */
		oi_log("another copy of the library runs in this process, in %s: an object of its heap must not be given to this one, "
		       "nor the other way round", other);
	return error;
}

static bool ensure(enum manner manner)
{
	if (likely(oi_load_acquire(&oi_runtime.running))) /* [L1] */
		return true;
	int error = init(NULL, manner);
	return !error || error == EALREADY;
}

bool oi_lifecycle_ensure(void)
{
	return ensure(LAZY);
}

bool oi_lifecycle_ensure_anyhow(void)
{
	return ensure(ANYHOW);
}

int ouro_init_sized(const ouro_config *in, size_t size)
{
	ouro_config c = OURO_CONFIG_DEFAULT;
	const ouro_config *cfg = in ? &c : NULL;
	if (in && !oi_sized_in(&c, sizeof c, in, size))
		return EINVAL;
	if (oi_load_acquire(&oi_runtime.running)) /* [L1] */
		return cfg && oi_config_check(cfg) ? EINVAL : EALREADY;
	int error = init(cfg, ASKED);
	oi_log_deliver();
	return error;
}

/* ---- shutting down ---- */

static bool is_due(const struct oi_header *h)
{
	uint8_t flags = oi_flags(h);
	if (oi_load_relaxed(&h->own) == OI_OWN_FREE || oi_is_dead(h)) /* stopped */
		return false;
	return (flags & OI_FLAG_WEAK) || (oi_type_of(h)->finalize && !(flags & OI_FLAG_FINALIZED));
}

/* World stopped. Adds a reference, which is given back later. */
static void retain_stopped(struct oi_header *h)
{
	oi_publish(h);
	oi_merge_stopped(h);
	oi_store_relaxed(&h->shared, oi_load_relaxed(&h->shared) + OI_ONE); /* stopped */
}

/*
 * Lists the live objects whose finalizer or watches are still due, and holds each; if there is no
 * memory to list them all, some.
 */
static void list_the_due(struct oi_vector *due)
{
	struct oi_stop stop;
	bool room = true;
	oi_world_stop(&stop, OURO_STOP_SHUTDOWN);
	oi_for_each_page(p)
		for (uint32_t i = 0; i < p->bump && room; i++) {
			struct oi_header *h = oi_block_at(p, i);
			if (is_due(h) && (room = oi_vector_push(due, h)))
				retain_stopped(h);
		}
	oi_world_start(&stop);
}

static void finalize_one(struct oi_thread *t, struct oi_header *h)
{
	struct oi_watch *watches = NULL;
	oi_death_expire(t, h, &watches);
	if (oi_type_of(h)->finalize &&
	    /* elsewhere: no other thread uses the library now */
	    !(oi_or_acq_rel(&h->flags, (uint8_t)OI_FLAG_FINALIZED) & OI_FLAG_FINALIZED))
		oi_death_finalize(t, h);
	ouro_release(oi_object_of(h));
}

#define PASSES 100

/*
 * In one walk, and then in as many as callbacks add watches in: objects made by now have no
 * finalizer to run, but a watch may lead to the next one for ever.
 */
static void finalize_the_held(struct oi_thread *t)
{
	struct oi_vector due = { 0 };
	bool any = true;
	for (unsigned n = 0; any && n < PASSES; n++) {
		list_the_due(&due);
		any = due.n != 0;
		for (size_t i = 0; i < due.n; i++)
			finalize_one(t, due.data[i]);
		due.n = 0;
	}
	oi_vector_free(&due);
	if (any)
		oi_say("watches that other watches added at shutdown do not run: there is no end to them");
}

static void each_block(struct oi_thread *t, void (*fn)(struct oi_thread *t, struct oi_header *h))
{
	oi_for_each_page(p)
		for (uint32_t i = 0; i < p->bump; i++) {
			struct oi_header *h = oi_block_at(p, i);
			if (oi_load_relaxed(&h->own) != OI_OWN_FREE) /* stopped */
				fn(t, h);
		}
}

static void make_garbage(struct oi_thread *t, struct oi_header *h)
{
	(void)t;
	if (oi_is_dead(h))
		return;
	oi_or_acq_rel(&h->flags, (uint8_t)OI_FLAG_GARBAGE); /* stopped */
	oi_make_immortal(h); /* so that the clears of others cannot kill it */
}

static void clear(struct oi_thread *t, struct oi_header *h)
{
	if ((oi_flags(h) & OI_FLAG_GARBAGE) && oi_type_of(h)->clear)
		oi_call(t, oi_type_of(h)->clear, h);
}

static void destroy(struct oi_thread *t, struct oi_header *h)
{
	if ((oi_flags(h) & OI_FLAG_GARBAGE) && oi_type_of(h)->destroy)
		oi_call(t, oi_type_of(h)->destroy, h);
}

/* Nobody else uses the heap: clears and destroys whatever there is, in page order. */
static void destroy_the_held(struct oi_thread *t)
{
	each_block(t, make_garbage);
	each_block(t, clear);
	each_block(t, destroy);
}

static void drop_everything(void)
{
	oi_threads_shut_down();
	oi_heap_shutdown();
	oi_usage_shutdown();
	oi_limbo_drop_abandoned();
	oi_backlog_drop();
	oi_concurrent_shutdown(); /* it keeps maps of regions */
	oi_regions_unmap();
	oi_garbage_shutdown();
	oi_weak_shutdown();
	oi_watch_shutdown();
	oi_expiry_shutdown();
	oi_sample_shutdown();
	oi_external_shutdown();
	oi_events_shutdown();
	oi_asked_shutdown();
	oi_collect_reset_statistics();
}

static void report_late(void)
{
	size_t n = oi_new_late();
	if (n)
		oi_say("%zu objects with a finalizer were made during the shutdown: these finalizers do not run",
		       n);
}

static void set_ending_locked(unsigned how_far, const struct oi_thread *t)
{
	ending = how_far;
	oi_store_relaxed(&oi_runtime.ender, t); /* recheck: a thread finds itself there, or not */
}

static void set_ending(unsigned how_far, const struct oi_thread *t)
{
	oi_lock(OI_LOCK_RUNTIME);
	set_ending_locked(how_far, t);
	oi_unlock(OI_LOCK_RUNTIME);
}

static void shut_down(struct oi_thread *t, ouro_report *report)
{
	oi_store_relaxed(&oi_runtime.shutting_down, true); /* recheck: by the registry lock */
	oi_threads_divert();
	ouro_gc_disable();
	ouro_gc_unfreeze();
	oi_debug_shutdown();
	oi_census_shutdown();
	oi_flush(t);
	size_t budget = SIZE_MAX;
	while (oi_garbage_serve(t, &budget, OI_STAMP_NEW, oi_work_of_release())) /* manual mode */
		;
	oi_collect_everything(t);
	oi_servants_stop();
	oi_flush(t);
	oi_report_held(report);
	finalize_the_held(t);
	oi_flush(t);
	oi_collect_everything(t);
	finalize_the_held(t); /* what finalizers uncovered */
	report_late();
	set_ending(DESTROYING, t);
	destroy_the_held(t);
}

/* Returns false if another thread is at it, or was. */
static bool begin_end(struct oi_thread *t)
{
	oi_lock(OI_LOCK_RUNTIME);
	/* elsewhere: the lock */
	bool mine = oi_load_relaxed(&oi_runtime.running) && ending == NOT_ENDING;
	if (mine)
		set_ending_locked(FINALIZING, t);
	oi_unlock(OI_LOCK_RUNTIME);
	return mine;
}

/* Under the lock, so that a fork finds the heap or none. */
static void end_locked(void)
{
	oi_assert_locked(OI_LOCK_RUNTIME);
	drop_everything();
	oi_loader_ended();
	set_ending_locked(NOT_ENDING, NULL);
	oi_store_release(&oi_runtime.running, 0u); /* [L1] */
}

static void end_end(void)
{
	oi_lock(OI_LOCK_RUNTIME);
	end_locked();
	oi_unlock(OI_LOCK_RUNTIME);
	oi_remnant_retry(SIZE_MAX);
}

/*
 * A heap that another thread was ending is the child's to end, unless that thread had come to the
 * point of no return: then the heap is gone, and callbacks that had not run do not.
 */
void oi_lifecycle_fork_child(void)
{
	if (ending == NOT_ENDING || oi_runtime.ender == oi_self)
		return;
	bool gone = ending == DESTROYING;
	oi_runtime.shutting_down = false;
	set_ending_locked(NOT_ENDING, NULL);
	if (gone)
		end_locked();
}

/* Waits until that heap is gone: there may be the next one at once. */
static void await_end(uint32_t incarnation)
{
	while (oi_load_acquire(&oi_runtime.running) && /* [L1] */
	       oi_load_relaxed(&oi_runtime.incarnation) == incarnation)
		oi_sleep_ns(1000000);
}

int ouro_shutdown_sized(ouro_report *out, size_t size)
{
	ouro_report report = { 0, 0 };
	struct oi_thread *t = oi_self;
	int error = 0;
	if (oi_load_acquire(&oi_runtime.running)) { /* [L1] */
		/* elsewhere: by running */
		uint32_t incarnation = oi_load_relaxed(&oi_runtime.incarnation);
		t = oi_current();
		if (t->pin_depth || t->in_callback || t->dying || t->internal ||
		    oi_inside_program || oi_collect_locked_by_me())
			error = EDEADLK;
		else if (oi_threads_pinned())
			error = EBUSY;
		if (error)
			return error;
		if (begin_end(t)) {
			shut_down(t, &report);
			end_end();
			oi_trace_shutdown();
			oi_log_deliver();
		} else {
			await_end(incarnation); /* another thread is at it */
		}
	}
	if (out)
		oi_sized_out(out, size, &report, sizeof report);
	return 0;
}
