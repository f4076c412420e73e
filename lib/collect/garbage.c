/*
 * garbage.c - what follows when a collection has found garbage: objects that are dead together
 *
 *   declared       (in a young collection's stop; in a full one, once all are dead) own counting
 *                  ends (everything is merged), and each object gets one reference, the
 *                  collector's, so that no release by a finalizer or clear can make it die by count
 *   WATCHES     -> all watches of all its objects run, outside every pause
 *   FINALIZERS  -> all finalizers that have not run before run; references among the garbage are
 *                  intact
 *   CHECK       -> if one ran: a second trial deletion over the garbage alone, in a stop if it is
 *                  small, else concurrently (concurrent.c); what is held from outside now, and all
 *                  it reaches, is resurrected: the collector's reference and the mark are taken
 *                  back
 *   CLEAR       -> clear is called, references to the world outside are released; those among the
 *                  garbage are just forgotten
 *   DESTROY     -> destroy is called, the memory freed
 *
 * One thread at a time works on the garbage of a collection. It leaves word in its record of which
 * it is and how far it has come, so that the child of a fork, where the thread vanishes, can go on:
 * a callback that had begun counts as done. From its death on, garbage is in a hand or in the queue
 * at every instant. With SAVEALL it ends after CHECK: what is left goes to the list of what is
 * saved.
 */
#include "collect/garbage.h"

#include "base/flight.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/os.h"
#include "base/probe.h"
#include "base/wake.h"
#include "collect/concurrent.h"
#include "collect/debug.h"
#include "collect/policy.h"
#include "collect/trial.h"
#include "count/count.h"
#include "count/death.h"
#include "count/loose.h"
#include "count/ticket.h"
#include "count/watch.h"
#include "count/weak.h"
#include "heap/heap.h"
#include "heap/pace.h"
#include "heap/type.h"
#include "world/context.h"
#include "world/gate.h"
#include "world/gclock.h"

#define GATE_SLICE 256
#define ITEM_SLICE 4096

/*
 * These structs are kept, with their lists, when they are freed: young collections come often, one
 * in the middle of what follows another, and to map memory and give it back interrupts all threads.
 */
#define SPARES 4
#define SPARE_WORDS (1 << 16) /* more than a young collection looks at */
static struct oi_garbage *spare[SPARES];

static struct oi_garbage *take_spare(void)
{
	struct oi_garbage *g = NULL;
	for (size_t i = 0; i < SPARES && !g; i++)
		g = oi_exchange(&spare[i], NULL); /* elsewhere: oi_exchange has both orders */
	return g;
}

struct oi_garbage *oi_garbage_new(int generation)
{
	struct oi_garbage *g = take_spare();
	if (!g && !(g = oi_os_map_list(sizeof *g)))
		return NULL;
	*g = (struct oi_garbage){ .objects = g->objects, .generation = generation };
	return g;
}

static void unmap_garbage(struct oi_garbage *g)
{
	oi_vector_free(&g->objects);
	oi_os_unmap_list(g, sizeof *g);
}

void oi_garbage_free(struct oi_garbage *g)
{
	oi_vector_trim(&g->objects, SPARE_WORDS);
	for (size_t i = 0; i < SPARES && g; i++)
		g = oi_exchange(&spare[i], g); /* elsewhere: oi_exchange has both orders */
	if (g)
		unmap_garbage(g);
}

void oi_garbage_shutdown(void)
{
	struct oi_garbage *g;
	while ((g = take_spare()))
		unmap_garbage(g);
}

void oi_garbage_take_in_hand(struct oi_thread *t, struct oi_garbage *g)
{
	g->outer = t->hand_garbage;
	t->hand_garbage = g;
}

/* Coroutines may end in another order than they began in. */
static void take_out_of_hand(struct oi_thread *t, struct oi_garbage *g)
{
	struct oi_garbage **p = &t->hand_garbage;
	while (*p != g)
		p = &(*p)->outer;
	*p = g->outer;
}

void oi_garbage_put_away(struct oi_thread *t, struct oi_garbage *g)
{
	take_out_of_hand(t, g);
	oi_garbage_free(g);
}

bool oi_garbage_reserve(struct oi_garbage *g, size_t n)
{
	while (g->objects.capacity < n)
		if (!oi_vector_grow(&g->objects))
			return false;
	return true;
}

/* Returns how many items of an object hold references. */
OI_INLINE size_t width(const struct oi_header *h, const struct oi_type *d)
{
	return likely(d->flat) || !d->type->item_slots.n ? 0 : oi_items(h, d->type);
}

/* ---- phases ---- */

/* Returns true if the phase is over, false if the budget is. */
static bool run_watches(struct oi_thread *t, struct oi_garbage *g, size_t *budget)
{
	for (; g->cursor < g->objects.n; g->cursor++) {
		struct oi_header *h = g->objects.data[g->cursor];
		if (!g->watches && (oi_flags(h) & OI_FLAG_WEAK))
			oi_weak_sever(t, h, &g->watches);
		while (g->watches) {
			if (!*budget)
				return false;
			*budget -= oi_watch_run_one(t, &g->watches);
		}
	}
	return true;
}

/*
 * From the first finalizer on, its objects can be reached, and other garbage may come to refer to
 * them.
 */
static void unseal(struct oi_garbage *g)
{
	g->finalized = true;
	for (size_t i = 0; i < g->objects.n; i++)
		/* elsewhere: members are found by way of the finalizer, called after this */
		oi_and_acq_rel(&((struct oi_header *)g->objects.data[i])->flags,
			       (uint8_t)~OI_FLAG_SEALED);
}

static bool run_finalizers(struct oi_thread *t, struct oi_garbage *g, size_t *budget)
{
	for (; g->cursor < g->objects.n; g->cursor++) {
		struct oi_header *h = g->objects.data[g->cursor];
		if (!oi_type_of(h)->finalize || (oi_flags(h) & OI_FLAG_FINALIZED))
			continue;
		if (!*budget)
			return false;
		--*budget;
		oi_or_acq_rel(&h->flags, (uint8_t)OI_FLAG_FINALIZED); /* owner: the garbage's */
		if (!g->finalized)
			unseal(g);
		oi_death_finalize(t, h);
	}
	return true;
}

/* World stopped, under the collection lock. */
static void resurrect(struct oi_garbage *g, struct oi_trial *tr)
{
	oi_assert_stopped();
	size_t n = 0;
	for (size_t i = 0; i < g->objects.n; i++) {
		struct oi_header *h = g->objects.data[i];
		if (!oi_trial_result(h)) {
			g->objects.data[n++] = h;
			/* stopped */
			oi_store_relaxed(&h->flags, (uint8_t)(oi_flags(h) | OI_FLAG_SEALED));
			continue;
		}
		/* stopped */
		oi_store_relaxed(&h->flags, (uint8_t)(oi_flags(h) & ~OI_FLAG_GARBAGE));
		/* stopped */
		oi_store_relaxed(&h->shared, oi_load_relaxed(&h->shared) - OI_ONE);
	}
	g->objects.n = n;
	oi_trial_end(tr);
}

/* Looks for what is resurrected, in a stop. Returns false if there is no memory. */
static bool check_stopped(struct oi_garbage *g)
{
	struct oi_trial tr = { .collector_refs = 1 };
	struct oi_stop stop;
	bool ok = true;
	oi_collect_lock();
	oi_world_stop(&stop, OURO_STOP_RESURRECT);
	for (size_t i = 0; i < g->objects.n && ok; i++)
		ok = oi_trial_add(&tr, g->objects.data[i]);
	if (ok) {
		oi_trial_run(&tr, SIZE_MAX);
		resurrect(g, &tr);
	} else {
		oi_trial_give_up(&tr);
	}
	oi_world_start(&stop);
	oi_collect_unlock();
	oi_trial_free(&tr);
	return ok;
}

/* Returns true if a stop is long enough for it. */
static bool is_small(const struct oi_garbage *g)
{
	size_t n = g->objects.n, cap = oi_policy_cap();
	for (size_t i = 0; i < g->objects.n && n <= cap; i++)
		n += width(g->objects.data[i], oi_described(g->objects.data[i]));
	return n <= cap;
}

static bool check_resurrection(struct oi_thread *t, struct oi_garbage *g)
{
	/* in a listener a concurrent collection would wait for itself */
	bool stopped = is_small(g) || oi_collect_locked_by_me();
	return stopped ? check_stopped(g) : oi_concurrent_resurrect(t, g);
}

/*
 * Nothing may be destroyed on a guess. Without memory to tell, all are given back as if they had
 * been resurrected: they are finalized, their weak references have expired, and the next collection
 * finds those that are dead.
 */
static void give_back_all(struct oi_thread *t, struct oi_garbage *g)
{
	while (g->objects.n) {
		oi_gate_enter(t);
		for (size_t i = 0; i < GATE_SLICE && g->objects.n; i++) {
			struct oi_header *h = g->objects.data[--g->objects.n];
			/* elsewhere: oi_release follows */
			oi_and_acq_rel(&h->flags, (uint8_t)~OI_FLAG_GARBAGE);
			if (oi_release(t, h)) /* the collector's reference */
				oi_death_later(t, h);
		}
		oi_gate_leave(t);
	}
}

static void check_or_give_back(struct oi_thread *t, struct oi_garbage *g)
{
	if (check_resurrection(t, g))
		return;
	oi_log("no memory to look for resurrected objects: %zu live on until the next collection",
	       g->objects.n);
	give_back_all(t, g);
}

/*
 * Drops the reference that an object of the garbage has to @child: only those that leave the
 * garbage count. An object of another collection's that is not sealed is outside: a finalizer there
 * has shown it to the world, and what refers to it now counts.
 */
OI_INLINE void drop_child(void *child, void *arg)
{
	struct oi_thread *t = arg;
	struct oi_header *h = oi_header_of(child);
	if (oi_flags(h) & OI_FLAG_SEALED)
		return;
	if (oi_release(t, h))
		oi_death_later(t, h);
	else
		oi_loose(t, child);
}

OI_INLINE void drop_child_of_dead(void *child, void *arg)
{
	if (!oi_is_candidate(oi_header_of(child)))
		drop_child(child, arg);
}

void oi_garbage_declare_and_clear(struct oi_thread *t, struct oi_garbage *g, struct oi_header *h)
{
	oi_assert_inside(t);
	oi_garbage_declare(g, h);
	oi_visit_slots(h, drop_child_of_dead, t);
	g->phase = OI_GARBAGE_CLEAR;
	g->n_dead = ++g->cursor;
}

/* Returns how far to go in one call. */
static size_t end_of(const struct oi_garbage *g, size_t quantum)
{
	size_t left = g->objects.n - g->cursor;
	return left > quantum ? g->cursor + quantum : g->objects.n;
}

OI_INLINE bool is_wide(const struct oi_header *h, const struct oi_type *d)
{
	return width(h, d) > ITEM_SLICE;
}

/*
 * Clears a slice of the items of a wide object, and with the first slice all its other references:
 * a stop waits for whoever is inside its gate.
 */
static void clear_slice(struct oi_thread *t, struct oi_garbage *g, struct oi_header *h)
{
	const struct oi_type *d = oi_described(h);
	size_t n = oi_items(h, d->type),
	       end = n - g->item < ITEM_SLICE ? n : g->item + ITEM_SLICE;
	oi_gate_enter(t);
	if (!g->item)
		oi_visit_fixed(h, d, drop_child, t);
	oi_visit_items((char *)oi_object_of(h) + d->type->size, g->item, end, d->type, drop_child,
		       t);
	g->item = end < n ? end : 0;
	g->cursor += end == n;
	oi_gate_leave(t);
}

/*
 * Clears the objects whose clear has run, or that have none, up to a slice or to an object that is
 * wide; in one gate, so that a fork finds the cursor right.
 */
static void clear_run(struct oi_thread *t, struct oi_garbage *g, size_t end)
{
	oi_gate_enter(t);
	size_t i = g->cursor;
	end = end - i < GATE_SLICE ? end : i + GATE_SLICE;
	for (; i < end; i++) {
		struct oi_header *h = g->objects.data[i];
		const struct oi_type *d = oi_described(h);
		if (unlikely(!d->silent) && d->type->clear && g->called != i + 1)
			break;
		if (is_wide(h, d))
			break;
		oi_vector_prefetch(&g->objects, i);
		oi_visit_slots(h, drop_child, t);
	}
	g->cursor = i;
	oi_gate_leave(t);
}

/* Returns true if all is done, false if a quantum is. */
static bool clear_all(struct oi_thread *t, struct oi_garbage *g, size_t quantum)
{
	size_t end = end_of(g, quantum);
	while (clear_run(t, g, end), g->cursor < end) {
		struct oi_header *h = g->objects.data[g->cursor];
		const ouro_type *type = oi_type_of(h);
		if (type->clear && g->called != g->cursor + 1) {
			g->called = g->cursor + 1;
			oi_call(t, type->clear, h);
		} else if (is_wide(h, oi_described(h))) {
			clear_slice(t, g, h);
			if (quantum != SIZE_MAX && g->cursor < end)
				return false;
		}
	}
	return end == g->objects.n;
}

/*
 * Frees blocks without callbacks, a page's worth at a time: one push for all that lie in one
 * foreign page.
 */
static void recycle_run(struct oi_thread *t, struct oi_garbage *g)
{
	struct oi_page *p = oi_page_of(g->objects.data[g->cursor]);
	struct oi_chain c = { .n = 0 };
	oi_gate_enter(t);
	size_t i = g->cursor, end = g->objects.n - i < GATE_SLICE ? g->objects.n : i + GATE_SLICE;
	if (oi_heap_walked())
		end = i;
	for (; i < end; i++) {
		struct oi_header *h = g->objects.data[i];
		if ((uintptr_t)h >> OI_PAGE_SHIFT !=
			    (uintptr_t)g->objects.data[g->cursor] >> OI_PAGE_SHIFT ||
		    !oi_is_silent(h))
			break;
		oi_vector_prefetch(&g->objects, i);
		oi_death_count(t, h, p);
		/* stopped: nobody can reach it */
		oi_store_relaxed(&h->shared, OI_MERGED | OI_DEAD);
		oi_chain_add(&c, h, p);
	}
	g->cursor = i;
	oi_chain_free(t, p, &c);
	oi_gate_leave(t);
}

/* Returns what clear_all does. */
static bool destroy_all(struct oi_thread *t, struct oi_garbage *g, size_t quantum)
{
	bool recycle = !g->finalized;
	size_t end = end_of(g, quantum);
	while (g->cursor < end) {
		struct oi_header *h = g->objects.data[g->cursor];
		if (oi_recycles() && recycle && !oi_heap_walked() && oi_is_silent(h)) {
			recycle_run(t, g);
			continue;
		}
		oi_death_destroy(t, h, &g->watches, &g->called, g->cursor + 1);
		oi_gate_enter(t);
		oi_death_free(t, h, oi_page_of(h), recycle);
		g->cursor++;
		oi_gate_leave(t);
	}
	return g->cursor >= g->objects.n;
}

/*
 * Goes on to the next phase inside the gate, so that the child of a fork finds the one or the
 * other.
 */
static void next_phase(struct oi_thread *t, struct oi_garbage *g)
{
	oi_gate_enter(t);
	g->phase++;
	g->cursor = g->called = 0;
	oi_gate_leave(t);
}

/*
 * Goes on from where it was left, as far as budget and quantum go. Returns true if nothing is left
 * to do.
 */
static bool run_phases(struct oi_thread *t, struct oi_garbage *g, size_t *budget, size_t quantum)
{
	if (g->phase == OI_GARBAGE_WATCHES) {
		if (g->has_callbacks && !run_watches(t, g, budget))
			return false;
		next_phase(t, g);
	}
	if (g->phase == OI_GARBAGE_FINALIZERS) {
		if (g->has_callbacks && !run_finalizers(t, g, budget))
			return false;
		next_phase(t, g);
	}
	if (g->phase == OI_GARBAGE_CHECK) {
		if (g->finalized)
			check_or_give_back(t, g);
		g->n_dead = g->objects.n;
		if (oi_debug_save(g)) {
			give_back_all(t, g); /* for what there was no memory to list */
			return true;
		}
		next_phase(t, g);
	}
	if (g->phase == OI_GARBAGE_CLEAR) {
		if (!clear_all(t, g, quantum))
			return false;
		next_phase(t, g);
	}
	return destroy_all(t, g, quantum);
}

static uint64_t n_dead_of[3]; /* of garbage that is done with, by generation */

bool oi_garbage_work(struct oi_thread *t, struct oi_garbage *g, size_t *budget, size_t quantum,
		     size_t *n_dead)
{
	oi_assert_outside(t);
	oi_assert_dying(t);
	bool over = run_phases(t, g, budget, quantum);
	if (over) {
		*n_dead = g->n_dead;
		oi_add_relaxed(&n_dead_of[g->generation], (uint64_t)g->n_dead); /* count */
		oi_pace_garbage_is_over(g->n_waiting, g->bytes);
		oi_garbage_put_away(t, g);
	}
	return over;
}

uint64_t oi_garbage_dead(int generation)
{
	return oi_load_relaxed(&n_dead_of[generation]); /* count */
}

void oi_garbage_reset_statistics(void)
{
	for (int g = 0; g < 3; g++)
		n_dead_of[g] = 0;
}

/* ---- the queue ---- */

static CDS_LIST_HEAD(queue);
static uint32_t n_queued;

/* Counts garbage as waiting when it is first queued, and until it is done with. */
static void count_waiting(struct oi_garbage *g)
{
	if (g->n_waiting)
		return;
	g->n_waiting = g->objects.n;
	for (size_t i = 0; i < g->objects.n; i++) {
		oi_vector_prefetch(&g->objects, i);
		g->bytes += oi_page_of(g->objects.data[i])->block_size;
	}
	oi_pace_garbage_waits(g->n_waiting, g->bytes);
}

/*
 * The garbage leaves the hand of @t for the queue, under the lock, so that a fork sees it in one of
 * them.
 */
static void queue_from(struct oi_thread *t, struct oi_garbage *g, struct cds_list_head *before)
{
	count_waiting(g);
	oi_lock(OI_LOCK_GARBAGE);
	g->stamp = t->stamp;
	cds_list_add_tail(&g->link, before ? before : queue.next);
	oi_store_relaxed(&n_queued, n_queued + 1); /* elsewhere: the lock */
	take_out_of_hand(t, g);
	oi_unlock(OI_LOCK_GARBAGE);
}

void oi_garbage_queue(struct oi_thread *t, struct oi_garbage *g)
{
	oi_assert_outside(t);
	uint64_t now = oi_now_ns();
	OI_PROBE1(left__to__reaper, g->objects.n);
	oi_flight_span(OI_FLIGHT_HANDED, 0, now, now, g->objects.n, 0);
	queue_from(t, g, &queue);
}

/* What is unfinished goes back to where it was. */
static void queue_first(struct oi_thread *t, struct oi_garbage *g)
{
	queue_from(t, g, NULL);
}

uint32_t oi_garbage_queued(void)
{
	return oi_load_relaxed(&n_queued); /* recheck */
}

bool oi_garbage_any_queued(void)
{
	return oi_garbage_queued() != 0;
}

/* Under the lock. */
static struct oi_garbage *find_before(uint64_t before)
{
	for (struct cds_list_head *n = queue.next; n != &queue; n = n->next) {
		struct oi_garbage *g = caa_container_of(n, struct oi_garbage, link);
		if (g->stamp < before)
			return g;
	}
	return NULL;
}

bool oi_garbage_any_before(uint64_t before)
{
	oi_lock(OI_LOCK_GARBAGE);
	bool any = find_before(before);
	oi_unlock(OI_LOCK_GARBAGE);
	return any;
}

/*
 * The garbage goes into the hand of @t, which counts as serving. Under the lock: a fork sees it in
 * the queue or in the hand.
 */
static void take_from_queue(struct oi_thread *t, struct oi_garbage *g)
{
	cds_list_del(&g->link);
	oi_garbage_take_in_hand(t, g);
	oi_store_relaxed(&n_queued, n_queued - 1); /* elsewhere: the lock */
	oi_serve_begin(t);
	oi_hand_takes(t, g->stamp); /* [TICKET] */
}

bool oi_garbage_serve(struct oi_thread *t, size_t *budget, uint64_t before, struct oi_work w)
{
	oi_assert_outside(t);
	oi_lock(OI_LOCK_GARBAGE);
	struct oi_garbage *g = find_before(before);
	if (g)
		take_from_queue(t, g);
	oi_unlock(OI_LOCK_GARBAGE);
	if (!g)
		return false;
	if (oi_garbage_any_queued())
		oi_wake_tick(); /* in case this thread is long with it */
	size_t n_dead;
	if (!oi_garbage_work(t, g, budget, SIZE_MAX, &n_dead))
		queue_first(t, g);
	oi_serve_end(t, w);
	return true;
}

void oi_garbage_put_back(struct oi_thread *t)
{
	queue_first(t, t->hand_garbage);
}

void oi_garbage_inherit(struct oi_thread *t)
{
	while (t->hand_garbage)
		oi_garbage_put_back(t);
}
