/*
 * concurrent.c - concurrent collections: full ones, and young ones too large for a stop
 *
 * Nobody is stopped, whatever the heap and the garbage look like. Note [PASS] says how a collection
 * can look at objects that are in use.
 *   1 walking is set; handshake; maps and lists; what is young becomes old in short stops, if it is
 *     in the scope
 *   2 candidates: scan.c
 *   3 the exact check and the commit: commit.c
 *   4 weak references expire; handshake; the dead are declared garbage (garbage.c); the commit word
 *     is IDLE; then a few short stops decide on what only upgrades keep: linger.c
 * Nothing is written into live objects but the flag of a candidate that turns out to live: the maps
 * lie elsewhere.
 *
 * The same check and commit tell, when finalizers of much garbage have run, what they brought back:
 * oi_concurrent_resurrect.
 */
#include "collect/concurrent.h"

#include "base/flight.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/os.h"
#include "base/probe.h"
#include "collect/commit.h"
#include "collect/crew.h"
#include "collect/debug.h"
#include "collect/generation.h"
#include "collect/linger.h"
#include "collect/near.h"
#include "collect/scan.h"
#include "count/count.h"
#include "count/death.h"
#include "count/weak.h"
#include "heap/empty.h"
#include "heap/heap.h"
#include "world/context.h"
#include "world/gclock.h"

static struct oi_pass pass; /* under the lock */

static void phase_over(enum oi_flight_phase phase, uint64_t began)
{
	uint64_t now = oi_now_ns();
	OI_PROBE2(phase__end, phase, now - began);
	oi_flight_span(OI_FLIGHT_PHASE, phase, began, now, 0, 0);
}

/* ---- 4: the dead ---- */

static void expire_weak_references(struct oi_pass *p)
{
	struct oi_vector *list = p->list;
	for (size_t i = p->n_seen; i < list->n; i++) {
		struct oi_header *h = list->data[i];
		oi_vector_prefetch(list, i);
		if (oi_is_candidate(h) && (oi_flags(h) & OI_FLAG_WEAK))
			oi_weak_expire(h);
		if (p->t)
			oi_pass_step(p, 16);
	}
}

/*
 * Calls fn(p, h) for each object on the list, once, with safepoints unless in the child of a fork;
 * the object stays on the list if fn returns true.
 */
static void sift(struct oi_pass *p, bool (*fn)(struct oi_pass *p, struct oi_header *h))
{
	struct oi_vector *list = p->list;
	while (p->n_seen < list->n) {
		oi_vector_prefetch(list, p->n_seen);
		struct oi_header *h = list->data[p->n_seen++];
		if (fn(p, h))
			list->data[p->n_kept++] = h;
		if (p->t)
			oi_pass_step(p, 32);
	}
	list->n = p->n_kept;
}

static bool declare_candidate(struct oi_pass *p, struct oi_header *h)
{
	if (!oi_is_candidate(h))
		return false;
	oi_garbage_declare(p->garbage, h);
	return true;
}

static bool declare_and_clear(struct oi_pass *p, struct oi_header *h)
{
	if (!oi_is_candidate(h))
		return false;
	oi_garbage_declare_and_clear(p->t, p->garbage, h);
	return true;
}

/* @h lives, or whoever inherits the garbage looks at it again. */
static bool keep(struct oi_pass *p, struct oi_header *h)
{
	(void)p;
	oi_unflag(h);
	return true;
}

static bool forget_candidate(struct oi_pass *p, struct oi_header *h)
{
	return !keep(p, h);
}

static void sift_all(struct oi_pass *p, bool (*fn)(struct oi_pass *p, struct oi_header *h))
{
	oi_gate_enter(p->t);
	sift(p, fn);
	oi_gate_leave(p->t);
}

/* ---- one collection ---- */

/* @pages: NULL, or the list that all pages of objects that can be traversed go to. */
static void begin_pass(struct oi_thread *t, struct oi_garbage *g, void (*between)(void),
		       int64_t collector_refs, struct oi_vector *pages)
{
	pass.t = t;
	pass.between = between;
	pass.collector_refs = collector_refs;
	pass.any_word = NULL;
	pass.excess = pass.failed = false;
	pass.work = pass.number = 0;
	pass.n_crew = 1;
	pass.shared = false;
	pass.n_members = pass.n_open = pass.n_seen = pass.n_kept = 0;
	pass.doubts.n = pass.rescued.n = pass.parts.n = 0;
	pass.silent = true;
	pass.garbage = g;
	pass.list = &g->objects;
	oi_store_relaxed(&oi_candidates.walking, 1u); /* [G3] */
	oi_grace_wait();
	for (uint64_t i = 0; i < oi_candidates.n_rescued && i < OI_RESCUE_LOG; i++)
		oi_candidates.rescued[i] = NULL;
	oi_store_relaxed(&oi_candidates.n_rescued, UINT64_C(0)); /* recheck: no flag is anywhere */
	if (!(pages ? oi_map_make(t, &pass.regions, pages) : oi_map_renew(t, &pass.regions)))
		pass.failed = true;
}

/*
 * Empties a list. The memory of a large one is given back, outside the gate: that takes a while. @t
 * is NULL in the child of a fork.
 */
static void empty(struct oi_thread *t, struct oi_vector *v)
{
	struct oi_vector old = { 0 };
	if (t)
		oi_gate_enter(t);
	v->n = 0;
	if (v->capacity > 512) {
		old = *v;
		*v = (struct oi_vector){ 0 };
	}
	if (t)
		oi_gate_leave(t);
	oi_vector_free(&old);
}

/* Ends the pass, whose garbage is its own no more. */
static void end_pass(struct oi_thread *t)
{
	oi_map_forget_exact(t, &pass.graph);
	oi_graph_drop_rest(&pass.graph);
	oi_map_drop(t, &pass.regions);
	struct oi_vector *lists[] = { &pass.regions, &pass.pages, &pass.graph.stack, &pass.opaque,
				      &pass.graph.edges, &pass.parts };
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		empty(t, lists[i]);
	oi_heap_end_walk(t);
}

void oi_concurrent_shutdown(void)
{
	oi_crew_shutdown();
	oi_near_shutdown();
	oi_map_shutdown();
	struct oi_vector *lists[] = { &pass.regions, &pass.pages,  &pass.graph.stack,
				      &pass.opaque,  &pass.young,  &pass.graph.edges,
				      &pass.doubts,  &pass.rescued,  &pass.parts };
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		oi_vector_free(lists[i]);
}

/* In one gate: afterwards the garbage is only in its thread's hand. */
static void let_go_of_garbage(struct oi_pass *p)
{
	oi_gate_enter(p->t);
	p->garbage = NULL;
	p->list = NULL;
	oi_store_release(&oi_candidates.commit, (uint32_t)OI_COMMIT_IDLE); /* [K1] */
	oi_gate_leave(p->t);
}

static void scan_heap(struct oi_pass *p)
{
	uint64_t began = oi_now_ns();
	oi_scan(p);
	phase_over(OI_PHASE_SCAN, began);
}

static bool commit_candidates(struct oi_pass *p)
{
	uint64_t began = oi_now_ns();
	bool dead = oi_commit(p);
	phase_over(OI_PHASE_COMMIT, began);
	return dead;
}

static void bury(struct oi_pass *p)
{
	uint64_t began = oi_now_ns();
	oi_gate_enter(p->t);
	expire_weak_references(p);
	oi_gate_leave(p->t);
	oi_grace_wait();
	sift_all(p, declare_candidate);
	phase_over(OI_PHASE_BURY, began);
}

struct oi_garbage *oi_concurrent_begin(struct oi_thread *t, int generation, enum oi_scope scope,
				       void (*between)(void))
{
	oi_assert_locked(OI_LOCK_CONCURRENT);
	oi_assert_unpinned(t);
	uint64_t began = oi_now_ns();
	struct oi_garbage *g = oi_garbage_new(generation);
	if (!g)
		return NULL;
	oi_garbage_take_in_hand(t, g);
	begin_pass(t, g, between, 0, &pass.pages);
	pass.young_only = scope == OI_SCOPE_YOUNG;
	if (scope != OI_SCOPE_YOUNG)
		oi_near_forget(); /* this looks at all that could be found from there */
	if (scope != OI_SCOPE_OLD)
		oi_generation_make_all_old(&pass.young, pass.young_only);
	phase_over(OI_PHASE_BEGIN, began);
	return g;
}

size_t oi_concurrent_finish(struct oi_thread *t)
{
	oi_assert_locked(OI_LOCK_CONCURRENT);
	oi_assert_unpinned(t);
	struct oi_garbage *g = pass.garbage;
	scan_heap(&pass);
	oi_serve_begin(t); /* what dies is in no queue */
	bool dead = g->objects.n && !pass.failed && commit_candidates(&pass);
	oi_linger_note(&pass);
	if (dead)
		bury(&pass);
	else
		sift_all(&pass, forget_candidate);
	/* [K1] nothing bears the flag */
	oi_store_release(&oi_candidates.commit, (uint32_t)OI_COMMIT_IDLE);
	uint64_t began = oi_now_ns();
	oi_linger_decide(&pass);
	phase_over(OI_PHASE_LINGER, began);
	let_go_of_garbage(&pass);
	if (pass.failed)
		oi_log("collection of generation %d given up: no memory for its lists",
		       g->generation);
	end_pass(t);
	return pass.n_members;
}

/*
 * What is rescued, or lingers, is left to full collections. If nothing of it is weak, nobody can
 * find the dead any more: since the first handshake of the commit a thread could only have come
 * there from a reference that was not counted, or that left its slot, which is a rescue. Hence no
 * handshake follows. (Who makes an entry in the side table for a candidate has come there before
 * that handshake, which waits for its end; the check that follows sees the flag.)
 */
static void decide_search(struct oi_pass *p)
{
	bool dead = p->list->n && !p->failed && commit_candidates(p);
	if (dead && p->silent && !oi_debug_any())
		sift_all(p, declare_and_clear);
	else if (dead)
		bury(p);
	else
		sift_all(p, forget_candidate);
	/* [K1] nothing bears the flag */
	oi_store_release(&oi_candidates.commit, (uint32_t)OI_COMMIT_IDLE);
}

struct oi_garbage *oi_concurrent_search(struct oi_thread *t, void (*between)(void),
					size_t *n_looked, size_t *n_left)
{
	oi_assert_locked(OI_LOCK_CONCURRENT);
	oi_assert_unpinned(t);
	struct oi_garbage *g = oi_garbage_new(2);
	oi_near_take();
	if (g) {
		oi_garbage_take_in_hand(t, g);
		begin_pass(t, g, between, 0, NULL);
		pass.young_only = false;
		oi_near_find(&pass);
	}
	oi_serve_begin(t); /* what dies is in no queue */
	if (!g)
		return NULL;
	decide_search(&pass);
	let_go_of_garbage(&pass);
	oi_near_clear();
	if (!pass.failed)
		oi_map_keep(t, &pass.regions);
	end_pass(t);
	*n_looked = pass.n_members;
	*n_left = oi_near_waiting();
	return g;
}

bool oi_concurrent_promote(void)
{
	/* then the collection is of old objects: what was young is none of its members */
	bool mine = oi_concurrent_locked_by_me();
	if (!mine && !oi_concurrent_trylock())
		return false;
	oi_generation_make_all_old(&pass.young, false);
	if (!mine)
		oi_concurrent_unlock();
	return true;
}

/* ---- resurrection ---- */

static void flag_garbage(struct oi_pass *p)
{
	oi_gate_enter(p->t);
	for (size_t i = 0; i < p->list->n && !p->failed; i++) {
		struct oi_header *h = p->list->data[i];
		struct oi_place at;
		/* else the object is immortal, and what it reaches is not closed */
		if (oi_place_of(h, &at) && oi_commit_flag(p, h, &at))
			oi_map_bits(&at)->member |= oi_map_bit(&at);
		oi_pass_step(p, 16);
	}
	oi_gate_leave(p->t);
}

/*
 * Seals an object of the garbage after the check, or gives it back with the reference that was the
 * collector's. Inside a death of this thread's.
 */
static bool decide(struct oi_pass *p, struct oi_header *h)
{
	if (oi_is_candidate(h)) {
		/* elsewhere: oi_unflag follows */
		oi_or_acq_rel(&h->flags, (uint8_t)OI_FLAG_SEALED);
		oi_unflag(h);
		return true;
	}
	oi_and_acq_rel(&h->flags, (uint8_t)~OI_FLAG_GARBAGE); /* elsewhere: oi_release follows */
	if (oi_release(p->t, h))
		oi_death_later(p->t, h);
	return false;
}

bool oi_concurrent_resurrect(struct oi_thread *t, struct oi_garbage *g)
{
	oi_assert_unpinned(t);
	oi_concurrent_lock();
	begin_pass(t, g, NULL, 1, &pass.pages);
	flag_garbage(&pass);
	bool ok = !pass.failed && (oi_commit(&pass) || !pass.failed);
	sift_all(&pass, ok ? decide : keep);
	let_go_of_garbage(&pass);
	end_pass(t);
	oi_concurrent_unlock();
	return ok;
}

/* ---- fork ---- */

void oi_concurrent_inherit(void)
{
	oi_assert_stopped();
	if (oi_concurrent_locked_by_me()) {
		/* a listener forked: this thread goes on with its collection, in the child, too */
		pass.failed |= oi_scan_inherit(&pass);
		return;
	}
	oi_scan_inherit(&pass);
	pass.t = NULL;
	oi_lock_renew(OI_LOCK_CONCURRENT);
	oi_generation_inherit(&pass.young);
	if (pass.garbage && pass.collector_refs) {
		sift(&pass, keep); /* whoever inherits the garbage checks it again */
	} else if (pass.garbage && oi_load_relaxed(&oi_candidates.commit) == /* stopped */
				       OI_COMMIT_DEAD) {
		expire_weak_references(&pass);
		sift(&pass, declare_candidate);
		pass.garbage->n_dead = pass.list->n; /* if what is silent was being buried */
	} else if (pass.garbage) {
		sift(&pass, forget_candidate);
	}
	oi_near_forget();
	oi_linger_inherit(&pass);
	pass.garbage = NULL;
	oi_store_relaxed(&oi_candidates.commit, (uint32_t)OI_COMMIT_IDLE); /* stopped */
	end_pass(NULL);
}
