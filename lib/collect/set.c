/*
 * set.c - what follows when a collection has found a set of objects dead
 *
 *   condemned      (in a young collection's stop; in a full one, once all are dead) own counting
 *                  ends (everything is merged), and each member gets one reference, the hold, so
 *                  that no release by a finalizer or clear can make it die by count
 *   WATCHES     -> all watches of all members run, outside every pause
 *   FINALIZERS  -> all finalizers that have not run before run; references between members are
 *                  intact
 *   CHECK       -> if one ran: a second trial deletion over the set alone, in a stop if it is
 *                  small, else beside the mutators (full.c); what is held from outside now, and
 *                  all it reaches, is resurrected: the hold and the mark are taken back
 *   CLEAR       -> clear is called, references to the world outside are released; those among
 *                  members are just forgotten
 *   DESTROY     -> destroy is called, the memory freed
 *
 * One thread works on a set at a time. It leaves word in its record of which set and how far it
 * is, so that the child of a fork, where the thread vanishes, can go on: a callback that had begun
 * counts as done. From its death on, a set is in a hand or in the queue at every instant. With
 * SAVEALL the set ends after CHECK: what is left of it goes to the garbage list.
 */
#include "collect/set.h"

#include "base/lock.h"
#include "base/log.h"
#include "base/os.h"
#include "base/wake.h"
#include "collect/debug.h"
#include "collect/full.h"
#include "collect/policy.h"
#include "collect/trial.h"
#include "count/count.h"
#include "count/death.h"
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
 * Sets that were freed are kept, with their lists: young collections come often, one in the middle
 * of what follows another, and to map memory and give it back interrupts all threads.
 */
#define SPARES 4
#define SPARE_WORDS (1 << 16) /* more than a young collection looks at */
static struct oi_set *spare[SPARES];

static struct oi_set *take_spare(void)
{
	struct oi_set *s = NULL;
	for (size_t i = 0; i < SPARES && !s; i++)
		s = oi_exchange(&spare[i], NULL); /* elsewhere: oi_exchange has both orders */
	return s;
}

struct oi_set *oi_set_new(int generation)
{
	struct oi_set *s = take_spare();
	if (!s && !(s = oi_os_map_list(sizeof *s)))
		return NULL;
	*s = (struct oi_set){ .objects = s->objects, .generation = generation };
	return s;
}

static void unmap_set(struct oi_set *s)
{
	oi_vector_free(&s->objects);
	oi_os_unmap_list(s, sizeof *s);
}

void oi_set_free(struct oi_set *s)
{
	oi_vector_trim(&s->objects, SPARE_WORDS);
	for (size_t i = 0; i < SPARES && s; i++)
		s = oi_exchange(&spare[i], s); /* elsewhere: oi_exchange has both orders */
	if (s)
		unmap_set(s);
}

void oi_set_shutdown(void)
{
	struct oi_set *s;
	while ((s = take_spare()))
		unmap_set(s);
}

void oi_set_take_in_hand(struct oi_thread *t, struct oi_set *s)
{
	s->outer = t->hand_set;
	t->hand_set = s;
}

/* Coroutines may end in another order than they began in. */
static void take_out_of_hand(struct oi_thread *t, struct oi_set *s)
{
	struct oi_set **p = &t->hand_set;
	while (*p != s)
		p = &(*p)->outer;
	*p = s->outer;
}

void oi_set_put_away(struct oi_thread *t, struct oi_set *s)
{
	take_out_of_hand(t, s);
	oi_set_free(s);
}

bool oi_set_reserve(struct oi_set *s, size_t n)
{
	while (s->objects.capacity < n)
		if (!oi_vector_grow(&s->objects))
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
static bool run_watches(struct oi_thread *t, struct oi_set *s, size_t *budget)
{
	for (; s->cursor < s->objects.n; s->cursor++) {
		struct oi_header *h = s->objects.data[s->cursor];
		if (!s->watches && (oi_flags(h) & OI_FLAG_WEAK))
			oi_weak_sever(t, h, &s->watches);
		while (s->watches) {
			if (!*budget)
				return false;
			*budget -= oi_watch_run_one(t, &s->watches);
		}
	}
	return true;
}

/* From the first finalizer on, members can be reached, and other sets may come to refer to them. */
static void unseal(struct oi_set *s)
{
	s->finalized = true;
	for (size_t i = 0; i < s->objects.n; i++)
		/* elsewhere: members are found by way of the finalizer, called after this */
		oi_and_acq_rel(&((struct oi_header *)s->objects.data[i])->flags,
			       (uint8_t)~OI_FLAG_SEALED);
}

static bool run_finalizers(struct oi_thread *t, struct oi_set *s, size_t *budget)
{
	for (; s->cursor < s->objects.n; s->cursor++) {
		struct oi_header *h = s->objects.data[s->cursor];
		if (!oi_type_of(h)->finalize || (oi_flags(h) & OI_FLAG_FINALIZED))
			continue;
		if (!*budget)
			return false;
		--*budget;
		oi_or_acq_rel(&h->flags, (uint8_t)OI_FLAG_FINALIZED); /* owner: the set's */
		if (!s->finalized)
			unseal(s);
		oi_death_finalize(t, h);
	}
	return true;
}

/* World stopped, under the collection lock. */
static void resurrect(struct oi_set *s, struct oi_trial *tr)
{
	oi_assert_stopped();
	size_t n = 0;
	for (size_t i = 0; i < s->objects.n; i++) {
		struct oi_header *h = s->objects.data[i];
		if (!oi_trial_result(h)) {
			s->objects.data[n++] = h;
			/* stopped */
			oi_store_relaxed(&h->flags, (uint8_t)(oi_flags(h) | OI_FLAG_SEALED));
			continue;
		}
		/* stopped */
		oi_store_relaxed(&h->flags, (uint8_t)(oi_flags(h) & ~OI_FLAG_GARBAGE));
		/* stopped */
		oi_store_relaxed(&h->shared, oi_load_relaxed(&h->shared) - OI_ONE);
	}
	s->objects.n = n;
	oi_trial_end(tr);
}

/* Looks for what is resurrected, in a stop. Returns false if there is no memory. */
static bool check_stopped(struct oi_set *s)
{
	struct oi_trial tr = { .hold = 1 };
	struct oi_stop stop;
	bool ok = true;
	oi_collect_lock();
	oi_world_stop(&stop);
	for (size_t i = 0; i < s->objects.n && ok; i++)
		ok = oi_trial_add(&tr, s->objects.data[i]);
	if (ok) {
		oi_trial_run(&tr, SIZE_MAX);
		resurrect(s, &tr);
	} else {
		oi_trial_give_up(&tr);
	}
	oi_world_start(&stop);
	oi_collect_unlock();
	oi_trial_free(&tr);
	return ok;
}

/* Returns true if a stop is long enough for the set. */
static bool is_small(const struct oi_set *s)
{
	size_t n = s->objects.n, cap = oi_policy_cap();
	for (size_t i = 0; i < s->objects.n && n <= cap; i++)
		n += width(s->objects.data[i], oi_described(s->objects.data[i]));
	return n <= cap;
}

static bool check_resurrection(struct oi_thread *t, struct oi_set *s)
{
	/* in a listener a collection beside the mutators would wait for itself */
	bool stopped = is_small(s) || oi_collect_locked_by_me();
	return stopped ? check_stopped(s) : oi_full_resurrect(t, s);
}

/*
 * Nothing may be destroyed on a guess. Without memory to tell, all members are given back as if
 * they had been resurrected: they are finalized, their weak references have expired, and the next
 * collection finds those that are dead.
 */
static void give_back_all(struct oi_thread *t, struct oi_set *s)
{
	while (s->objects.n) {
		oi_gate_enter(t);
		for (size_t i = 0; i < GATE_SLICE && s->objects.n; i++) {
			struct oi_header *h = s->objects.data[--s->objects.n];
			/* elsewhere: oi_release follows */
			oi_and_acq_rel(&h->flags, (uint8_t)~OI_FLAG_GARBAGE);
			if (oi_release(t, h)) /* the set's reference */
				oi_death_later(t, h);
		}
		oi_gate_leave(t);
	}
}

static void check_or_give_back(struct oi_thread *t, struct oi_set *s)
{
	if (check_resurrection(t, s))
		return;
	oi_log("no memory to look for resurrected objects: %zu live on until the next collection",
	       s->objects.n);
	give_back_all(t, s);
}

/*
 * Drops the reference that a condemned object has to @child: only those that leave the set count. A
 * member of another set that is not sealed is outside: a finalizer there has shown it to the world,
 * and what refers to it now counts.
 */
OI_INLINE void drop_child(void *child, void *arg)
{
	struct oi_thread *t = arg;
	struct oi_header *h = oi_header_of(child);
	if (!(oi_flags(h) & OI_FLAG_SEALED) && oi_release(t, h))
		oi_death_later(t, h);
}

/* Returns how far to go in one call. */
static size_t end_of(const struct oi_set *s, size_t quantum)
{
	size_t left = s->objects.n - s->cursor;
	return left > quantum ? s->cursor + quantum : s->objects.n;
}

OI_INLINE bool is_wide(const struct oi_header *h, const struct oi_type *d)
{
	return width(h, d) > ITEM_SLICE;
}

/*
 * Clears a slice of the items of a wide object, and with the first slice all its other references:
 * a stop waits for whoever is inside its gate.
 */
static void clear_slice(struct oi_thread *t, struct oi_set *s, struct oi_header *h)
{
	const struct oi_type *d = oi_described(h);
	size_t n = oi_items(h, d->type),
	       end = n - s->item < ITEM_SLICE ? n : s->item + ITEM_SLICE;
	oi_gate_enter(t);
	if (!s->item)
		oi_visit_fixed(h, d, drop_child, t);
	oi_visit_items((char *)oi_object_of(h) + d->type->size, s->item, end, d->type, drop_child,
		       t);
	s->item = end < n ? end : 0;
	s->cursor += end == n;
	oi_gate_leave(t);
}

/*
 * Clears the objects whose clear has run, or that have none, up to a slice or to an object that is
 * wide; in one gate, so that a fork finds the cursor right.
 */
static void clear_run(struct oi_thread *t, struct oi_set *s, size_t end)
{
	oi_gate_enter(t);
	size_t i = s->cursor;
	end = end - i < GATE_SLICE ? end : i + GATE_SLICE;
	for (; i < end; i++) {
		struct oi_header *h = s->objects.data[i];
		const struct oi_type *d = oi_described(h);
		if (unlikely(!d->silent) && d->type->clear && s->called != i + 1)
			break;
		if (is_wide(h, d))
			break;
		oi_vector_prefetch(&s->objects, i);
		oi_visit_slots(h, drop_child, t);
	}
	s->cursor = i;
	oi_gate_leave(t);
}

/* Returns true if all is done, false if a quantum is. */
static bool clear_all(struct oi_thread *t, struct oi_set *s, size_t quantum)
{
	size_t end = end_of(s, quantum);
	while (clear_run(t, s, end), s->cursor < end) {
		struct oi_header *h = s->objects.data[s->cursor];
		const ouro_type *type = oi_type_of(h);
		if (type->clear && s->called != s->cursor + 1) {
			s->called = s->cursor + 1;
			oi_call(t, type->clear, h);
		} else if (is_wide(h, oi_described(h))) {
			clear_slice(t, s, h);
			if (quantum != SIZE_MAX && s->cursor < end)
				return false;
		}
	}
	return end == s->objects.n;
}

/*
 * Frees blocks without callbacks, a page's worth at a time: one push for all that lie in one
 * foreign page.
 */
static void recycle_run(struct oi_thread *t, struct oi_set *s)
{
	struct oi_page *p = oi_page_of(s->objects.data[s->cursor]);
	struct oi_chain c = { .n = 0 };
	oi_gate_enter(t);
	size_t i = s->cursor, end = s->objects.n - i < GATE_SLICE ? s->objects.n : i + GATE_SLICE;
	if (oi_heap_walked())
		end = i;
	for (; i < end; i++) {
		struct oi_header *h = s->objects.data[i];
		if ((uintptr_t)h >> OI_PAGE_SHIFT !=
			    (uintptr_t)s->objects.data[s->cursor] >> OI_PAGE_SHIFT ||
		    !oi_is_silent(h))
			break;
		oi_vector_prefetch(&s->objects, i);
		oi_death_count(t, h, p);
		/* stopped: nobody can reach it */
		oi_store_relaxed(&h->shared, OI_MERGED | OI_DEAD);
		oi_chain_add(&c, h, p);
	}
	s->cursor = i;
	oi_chain_free(t, p, &c);
	oi_gate_leave(t);
}

/* Returns what clear_all does. */
static bool destroy_all(struct oi_thread *t, struct oi_set *s, size_t quantum)
{
	bool recycle = !s->finalized;
	size_t end = end_of(s, quantum);
	while (s->cursor < end) {
		struct oi_header *h = s->objects.data[s->cursor];
		if (oi_recycles() && recycle && !oi_heap_walked() && oi_is_silent(h)) {
			recycle_run(t, s);
			continue;
		}
		oi_death_destroy(t, h, &s->watches, &s->called, s->cursor + 1);
		oi_gate_enter(t);
		oi_death_free(t, h, oi_page_of(h), recycle);
		s->cursor++;
		oi_gate_leave(t);
	}
	return s->cursor >= s->objects.n;
}

/*
 * Goes on to the next phase inside the gate, so that the child of a fork finds the one or the
 * other.
 */
static void next_phase(struct oi_thread *t, struct oi_set *s)
{
	oi_gate_enter(t);
	s->phase++;
	s->cursor = s->called = 0;
	oi_gate_leave(t);
}

/*
 * Goes on from where the set was left, as far as budget and quantum go. Returns true if nothing is
 * left to do.
 */
static bool run_phases(struct oi_thread *t, struct oi_set *s, size_t *budget, size_t quantum)
{
	if (s->phase == OI_SET_WATCHES) {
		if (s->has_callbacks && !run_watches(t, s, budget))
			return false;
		next_phase(t, s);
	}
	if (s->phase == OI_SET_FINALIZERS) {
		if (s->has_callbacks && !run_finalizers(t, s, budget))
			return false;
		next_phase(t, s);
	}
	if (s->phase == OI_SET_CHECK) {
		if (s->finalized)
			check_or_give_back(t, s);
		s->n_dead = s->objects.n;
		if (oi_debug_save(s)) {
			give_back_all(t, s); /* for what there was no memory to list */
			return true;
		}
		next_phase(t, s);
	}
	if (s->phase == OI_SET_CLEAR) {
		if (!clear_all(t, s, quantum))
			return false;
		next_phase(t, s);
	}
	return destroy_all(t, s, quantum);
}

static uint64_t n_dead_of[3]; /* of sets that are over, by generation */

bool oi_set_work(struct oi_thread *t, struct oi_set *s, size_t *budget, size_t quantum,
		 size_t *n_dead)
{
	oi_assert_outside(t);
	oi_assert_dying(t);
	bool over = run_phases(t, s, budget, quantum);
	if (over) {
		*n_dead = s->n_dead;
		oi_add_relaxed(&n_dead_of[s->generation], (uint64_t)s->n_dead); /* count */
		oi_pace_set_is_over(s->n_waiting, s->bytes);
		oi_set_put_away(t, s);
	}
	return over;
}

uint64_t oi_set_dead(int generation)
{
	return oi_load_relaxed(&n_dead_of[generation]); /* count */
}

void oi_set_reset_statistics(void)
{
	for (int g = 0; g < 3; g++)
		n_dead_of[g] = 0;
}

/* ---- the queue ---- */

static CDS_LIST_HEAD(queue);
static uint32_t n_queued;

/* Counts a set as waiting when it is first queued; it does so until it is over. */
static void count_waiting(struct oi_set *s)
{
	if (s->n_waiting)
		return;
	s->n_waiting = s->objects.n;
	for (size_t i = 0; i < s->objects.n; i++) {
		oi_vector_prefetch(&s->objects, i);
		s->bytes += oi_page_of(s->objects.data[i])->block_size;
	}
	oi_pace_set_waits(s->n_waiting, s->bytes);
}

/*
 * The set leaves the hand of @t for the queue, under the lock, so that a fork sees it in one place.
 */
static void queue_from(struct oi_thread *t, struct oi_set *s, struct cds_list_head *before)
{
	count_waiting(s);
	oi_lock(OI_LOCK_SETS);
	s->stamp = t->stamp;
	cds_list_add_tail(&s->link, before ? before : queue.next);
	oi_store_relaxed(&n_queued, n_queued + 1); /* elsewhere: the lock */
	take_out_of_hand(t, s);
	oi_unlock(OI_LOCK_SETS);
}

void oi_set_queue(struct oi_thread *t, struct oi_set *s)
{
	oi_assert_outside(t);
	queue_from(t, s, &queue);
}

/* An unfinished set goes back to where it was. */
static void queue_first(struct oi_thread *t, struct oi_set *s)
{
	queue_from(t, s, NULL);
}

uint32_t oi_set_queued(void)
{
	return oi_load_relaxed(&n_queued); /* recheck */
}

bool oi_set_any_queued(void)
{
	return oi_set_queued() != 0;
}

/* Under the lock. */
static struct oi_set *find_before(uint64_t before)
{
	for (struct cds_list_head *n = queue.next; n != &queue; n = n->next) {
		struct oi_set *s = caa_container_of(n, struct oi_set, link);
		if (s->stamp < before)
			return s;
	}
	return NULL;
}

bool oi_set_any_before(uint64_t before)
{
	oi_lock(OI_LOCK_SETS);
	bool any = find_before(before);
	oi_unlock(OI_LOCK_SETS);
	return any;
}

/*
 * The set goes into the hand of @t, which counts as serving. Under the lock: a fork sees the set in
 * the queue or in the hand.
 */
static void take_from_queue(struct oi_thread *t, struct oi_set *s)
{
	cds_list_del(&s->link);
	oi_set_take_in_hand(t, s);
	oi_store_relaxed(&n_queued, n_queued - 1); /* elsewhere: the lock */
	oi_serve_begin(t);
	oi_hand_takes(t, s->stamp); /* [TICKET] */
}

bool oi_set_serve(struct oi_thread *t, size_t *budget, uint64_t before, struct oi_work w)
{
	oi_assert_outside(t);
	oi_lock(OI_LOCK_SETS);
	struct oi_set *s = find_before(before);
	if (s)
		take_from_queue(t, s);
	oi_unlock(OI_LOCK_SETS);
	if (!s)
		return false;
	if (oi_set_any_queued())
		oi_wake_tick(); /* in case this thread is long with its set */
	size_t n_dead;
	if (!oi_set_work(t, s, budget, SIZE_MAX, &n_dead))
		queue_first(t, s);
	oi_serve_end(t, w);
	return true;
}

void oi_set_put_back(struct oi_thread *t)
{
	queue_first(t, t->hand_set);
}

void oi_set_inherit(struct oi_thread *t)
{
	while (t->hand_set)
		oi_set_put_back(t);
}
