/*
 * death.c - carrying out deaths
 *
 * The order for one object: weak references and watches, finalizer (which may resurrect it), children released, clear,
 * weak cells emptied, destroy, memory. Children that die on the way do not recurse: they are pushed onto the thread's
 * stack of dead objects, which the outermost death works off, so that stack use does not depend on the structure. An object
 * with many items is done in slices of 1024, its frame (object, next item) waiting below the children.
 *
 * Past release_batch objects the rest of the stack goes to the reaper as a pile, so that the delay of the caller is
 * bounded. User code runs outside the gate, with no lock held; objects without callbacks are dismantled inside the gate,
 * which is left every 64 objects to let a stop pass.
 *
 * A finalizer runs with DEAD set, so that weak references and attempts to retain fail, and one extra reference, the hold.
 * What it stores or retains counts on top; afterwards the hold is the only one left (the death goes on) or not (DEAD is
 * taken back: resurrected). FINALIZED keeps it from running again.
 */
#include "death.h"

#include <pthread.h>

#include "background.h"
#include "check.h"
#include "count.h"
#include "gate.h"
#include "inspect.h"
#include "limbo.h"
#include "merge.h"
#include "os.h"
#include "pace.h"
#include "pass.h"
#include "runtime.h"
#include "stray.h"
#include "type.h"
#include "watch.h"
#include "weak.h"

#define ITEM_SLICE 1024
#define GATE_SLICE 64

/* ---- the stack of the thread: pairs of object and cursor ---- */

static bool push_frame(struct oi_vector *v, struct oi_header *h, size_t cursor)
{
	if (unlikely(v->n + 2 > v->capacity) && !oi_vector_grow(v))
		return false;
	v->data[v->n] = h;
	v->data[v->n + 1] = (void *)cursor;
	oi_store_release(&v->n, v->n + 2); /* whole or not at all, for the child of a fork */
	return true;
}

static bool push(struct oi_thread *t, struct oi_header *h, size_t cursor)
{
	return push_frame(&t->deaths.frames, h, cursor);
}

static void push_or_stray(struct oi_thread *t, struct oi_header *h)
{
	if (unlikely(!push(t, h, 0)))
		oi_stray_add(h, OI_STRAY_DEATH);
}

/* A fork waits for the gate: its child must not find a stack that is being moved. */
static void push_outside(struct oi_thread *t, struct oi_header *h)
{
	oi_gate_enter(t);
	push_or_stray(t, h);
	oi_gate_leave(t);
}

/* ---- piles handed to the reaper ---- */

static pthread_mutex_t handed_lock = PTHREAD_MUTEX_INITIALIZER;
static struct oi_vector handed; /* frames, as on a thread's stack */

/* Under the lock. */
static void hand_over_locked(struct oi_header *h, size_t cursor)
{
	if (unlikely(!push_frame(&handed, h, cursor)))
		oi_stray_add(h, OI_STRAY_DEATH);
}

static void hand_over_frame(struct oi_header *h, size_t cursor)
{
	pthread_mutex_lock(&handed_lock);
	hand_over_locked(h, cursor);
	pthread_mutex_unlock(&handed_lock);
}

void oi_death_hand_over(struct oi_header *h)
{
	hand_over_frame(h, 0);
	oi_background_reap();
}

/* All frames of the thread at once: the child of a fork finds each either there or here. */
static void hand_over_frames(struct oi_thread *t)
{
	struct oi_vector *v = &t->deaths.frames;
	pthread_mutex_lock(&handed_lock);
	for (size_t i = 0; i < v->n; i += 2)
		hand_over_locked(v->data[i], (size_t)v->data[i + 1]);
	oi_vector_trim(v, 4096);
	pthread_mutex_unlock(&handed_lock);
}

bool oi_death_any_handed_over(void)
{
	pthread_mutex_lock(&handed_lock);
	bool any = handed.n;
	pthread_mutex_unlock(&handed_lock);
	return any;
}

/* Frames are taken, and what is left of them handed over, under the lock while the thread counts as serving. */
bool oi_death_all_served(void)
{
	struct oi_thread *t;
	pthread_mutex_lock(&handed_lock);
	bool idle = !handed.n;
	for (size_t i = 0; idle && (t = oi_thread_record(i)); i++)
		if (t != oi_self && !oi_load_relaxed(&t->dead) && oi_load_acquire(&t->serving)) /* [D1] */
			idle = false;
	pthread_mutex_unlock(&handed_lock);
	return idle;
}

static void hand_over_rest(struct oi_thread *t)
{
	struct oi_vector *v = &t->deaths.frames;
	if (v->n) {
		oi_gate_enter(t);
		oi_merge_ahead(t, v->data[v->n - 2]);
		oi_gate_leave(t);
	}
	hand_over_frames(t);
	oi_background_reap();
}

/* ---- user code ---- */

void oi_call(struct oi_thread *t, void (*fn)(void *obj), struct oi_header *h)
{
	oi_store_release(&t->in_callback, t->in_callback + 1);
	fn(oi_object_of(h));
	oi_store_release(&t->in_callback, t->in_callback - 1);
}

void oi_last_call(struct oi_thread *t, void (*fn)(void *obj), struct oi_header *h)
{
	oi_store_release(&t->in_last_call, t->in_last_call + 1);
	oi_call(t, fn, h);
	oi_store_release(&t->in_last_call, t->in_last_call - 1);
}

static void end_weak_references(struct oi_thread *t, struct oi_header *h)
{
	if (oi_flags(h) & OI_FLAG_WEAK)
		oi_watch_run(t, oi_weak_sever(t, h));
}

/*
 * The finalizer is over. True: resurrected, the object is no longer in hand: in one gate, so that the child of a fork finds
 * either a death to go on with or a living object.
 */
static bool decide_resurrection(struct oi_thread *t, struct oi_header *h)
{
	oi_gate_enter(t);
	oi_and_acq_rel(&h->flags, (uint8_t)~OI_FLAG_FINALIZING);
	uint32_t s = oi_load_acquire(&h->shared), next;
	do {
		next = s - OI_ONE; /* the hold */
		if (oi_shared_count(s) > 1)
			next &= ~(uint32_t)OI_DEAD;
	} while (!oi_cas(&h->shared, &s, next)); /* [C1] */
	if (!(next & OI_DEAD))
		t->hand = NULL;
	oi_gate_leave(t);
	return !(next & OI_DEAD);
}

static void finalize(struct oi_thread *t, struct oi_header *h, void (*fn)(void *obj))
{
	oi_gate_enter(t);
	oi_or_acq_rel(&h->flags, (uint8_t)(OI_FLAG_FINALIZED | OI_FLAG_FINALIZING));
	oi_add_acq_rel(&h->shared, OI_ONE); /* the hold */
	oi_gate_leave(t);
	t->in_finalizer++;
	oi_call(t, fn, h);
	t->in_finalizer--;
}

/* ---- children ---- */

OI_INLINE void release_child(void *child, void *arg)
{
	struct oi_thread *t = arg;
	struct oi_header *h = oi_header_of(child);
	oi_check_release(h, "death of its referrer");
	if (oi_release(t, h))
		push_or_stray(t, h);
}

OI_INLINE void release_fields(struct oi_thread *t, struct oi_header *h, const ouro_type *type)
{
	oi_visit_fields(oi_object_of(h), &type->slots, release_child, t);
}

/*
 * Inside the gate. Releases a slice of the object's references. True: done. False: a frame for the rest was pushed, below the
 * children of this slice, so that they go first and the stack stays small.
 */
static bool release_children(struct oi_thread *t, struct oi_header *h, const ouro_type *type, size_t cursor)
{
	if (cursor == 0)
		release_fields(t, h, type);
	if (likely(!type->item_slots.n))
		return true;
	size_t n = oi_items(h, type), end = n;
	if (n - cursor > ITEM_SLICE && push(t, h, cursor + ITEM_SLICE))
		end = cursor + ITEM_SLICE;
	oi_visit_items((char *)oi_object_of(h) + type->size, cursor, end, type, release_child, t);
	return end == n;
}

/* ---- the end ---- */

OI_INLINE void count(struct oi_thread *t, struct oi_header *h)
{
	const struct oi_page *p = oi_page_of(h);
	oi_tally_add(&t->freed, p);
	if (unlikely(oi_flags(h) & OI_FLAG_FROZEN))
		oi_inspect_frozen_died();
}

void oi_death_count(struct oi_thread *t, struct oi_header *h)
{
	count(t, h);
}

/* Inside the gate. */
static void free_block(struct oi_thread *t, struct oi_header *h, bool recycle)
{
	count(t, h);
	oi_store_relaxed(&h->own, OI_OWN_GONE);
	oi_store_relaxed(&h->shared, OI_MERGED | OI_DEAD);
	bool walked = oi_heap_walked() && oi_page_of(h)->tracked;
	if (!OURO_CHECKED && !walked && (recycle || !oi_load_relaxed(&h->published)))
		oi_block_free(t, h);
	else
		oi_limbo_add(t, h);
}

/* Inside the gate: the end of a death by count. Members of a set do not come here: the pacing has done with them. */
OI_INLINE void free_counted(struct oi_thread *t, struct oi_header *h)
{
	if (oi_page_of(h)->tracked)
		oi_pace_freed(t);
	free_block(t, h, false);
}

/* Outside the gate. False: resurrected, or not this thread's to do. */
static bool begin(struct oi_thread *t, struct oi_header *h, const ouro_type *type)
{
	if (unlikely(t->restricted)) {
		oi_gate_enter(t);
		oi_merge_ahead(t, h);
		oi_gate_leave(t);
		pthread_mutex_lock(&handed_lock);
		hand_over_locked(h, 0);
		t->hand = NULL; /* under the lock: a fork finds it in one place */
		pthread_mutex_unlock(&handed_lock);
		oi_background_reap();
		return false;
	}
	end_weak_references(t, h);
	uint8_t flags = oi_flags(h);
	if (!type->finalize || (flags & (OI_FLAG_FINALIZED | OI_FLAG_FINALIZING)) == OI_FLAG_FINALIZED)
		return true;
	if (!(flags & OI_FLAG_FINALIZING)) /* else the thread that ran it vanished in a fork */
		finalize(t, h, type->finalize);
	return !decide_resurrection(t, h);
}

/*
 * The steps of an object that is dismantled outside the gate. What a thread has in hand, and how far it is, is kept in its
 * record for the child of a fork, where the thread vanishes: the reaper goes on there; a callback that had begun counts as done.
 * A cursor of AT_STEP or more names a step.
 */
enum { STEP_CLEAR, STEP_DESTROY, STEP_FREE };
#define AT_STEP (SIZE_MAX - STEP_FREE)

static void take_in_hand(struct oi_thread *t, struct oi_header *h, size_t cursor)
{
	t->hand_cursor = cursor;
	t->hand = h;
}

static void last_calls(struct oi_thread *t, struct oi_header *h, const ouro_type *type, bool destroy)
{
	if (type->weaks.n || type->item_weaks.n)
		oi_clear_weaks(h, type);
	end_weak_references(t, h);
	if (destroy && type->destroy)
		oi_last_call(t, type->destroy, h);
}

static void dismantle_from(struct oi_thread *t, struct oi_header *h, const ouro_type *type, size_t step)
{
	take_in_hand(t, h, AT_STEP + STEP_DESTROY);
	if (unlikely(type->flags & OURO_TRAVERSE_CONCURRENT))
		oi_pass_await_traverse(h);
	if (step == STEP_CLEAR && type->clear)
		oi_last_call(t, type->clear, h);
	t->hand_cursor = AT_STEP + STEP_FREE;
	last_calls(t, h, type, step <= STEP_DESTROY);
	oi_gate_enter(t);
	free_counted(t, h);
	t->hand = NULL;
	oi_gate_leave(t);
}

/* Objects with callbacks, weak references or cells, which are in hand: outside the gate, step by step. */
static void dismantle(struct oi_thread *t, struct oi_header *h, const ouro_type *type, size_t cursor)
{
	if (unlikely(cursor >= AT_STEP)) {
		dismantle_from(t, h, type, cursor - AT_STEP);
		return;
	}
	if (cursor == 0 && !begin(t, h, type))
		return;
	oi_gate_enter(t);
	bool done = release_children(t, h, type, cursor);
	take_in_hand(t, done ? h : NULL, AT_STEP + STEP_CLEAR);
	oi_gate_leave(t);
	if (done)
		dismantle_from(t, h, type, STEP_CLEAR);
}

void oi_death_destroy(struct oi_thread *t, struct oi_header *h, bool recycle, bool destroy, size_t *next)
{
	last_calls(t, h, oi_type_of(h), destroy);
	oi_gate_enter(t);
	free_block(t, h, recycle);
	++*next;
	oi_gate_leave(t);
}

static bool is_simple(const struct oi_header *h)
{
	return oi_types[oi_load_relaxed(&h->type)].simple && !(oi_flags(h) & OI_FLAG_WEAK);
}

/* Works the stack off, up to release_batch objects. */
static void work(struct oi_thread *t)
{
	struct oi_vector *v = &t->deaths.frames;
	size_t left = t->restricted ? OI_BATCH : t->thorough ? SIZE_MAX : oi_runtime.config.release_batch;
	while (v->n && left) {
		oi_gate_enter(t);
		struct oi_header *h = NULL;
		size_t cursor = 0;
		for (size_t slice = GATE_SLICE; v->n && left && slice; slice--, left--) {
			cursor = (size_t)v->data[--v->n];
			h = v->data[--v->n];
			if (cursor || !is_simple(h)) {
				take_in_hand(t, h, cursor);
				break;
			}
			release_children(t, h, oi_type_of(h), 0);
			free_counted(t, h);
			h = NULL;
		}
		oi_gate_leave(t);
		if (h) {
			dismantle(t, h, oi_type_of(h), cursor);
			left--;
		}
	}
	if (unlikely(v->n))
		hand_over_rest(t);
}

void oi_death_begin(struct oi_thread *t)
{
	oi_store_release(&t->dying, t->dying + 1); /* [D1] pairs with flush.c */
}

void oi_death_settle(struct oi_thread *t)
{
	while (t->deaths.frames.n)
		work(t);
}

void oi_death_end(struct oi_thread *t)
{
	if (t->dying == 1) {
		oi_death_settle(t);
		oi_store_release(&t->n_deaths, t->n_deaths + 1);
	}
	oi_store_release(&t->dying, t->dying - 1); /* [D1] */
}

void oi_serve_begin(struct oi_thread *t)
{
	oi_store_release(&t->serving, t->serving + 1); /* [D1] */
	oi_death_begin(t);
}

void oi_serve_end(struct oi_thread *t)
{
	oi_death_end(t);
	oi_store_release(&t->n_served, t->n_served + 1); /* [D1] */
	oi_store_release(&t->serving, t->serving - 1);
}

void oi_death(struct oi_thread *t, struct oi_header *h)
{
	push_outside(t, h);
	if (t->dying)
		return;
	oi_death_begin(t);
	oi_death_end(t);
}

/* ---- deaths that are over before their operation is ---- */

/* Its memory is given back. Leaves the gate, and goes on with the children that died of it. */
OI_INLINE void leave(struct oi_thread *t)
{
	if (likely(!t->deaths.frames.n)) {
		oi_gate_leave(t);
		return;
	}
	oi_death_begin(t);
	oi_gate_leave(t);
	oi_death_end(t);
}

void oi_death_inside(struct oi_thread *t, struct oi_header *h)
{
	if (likely(is_simple(h) && !t->dying)) {
		release_fields(t, h, oi_type_of(h));
		free_counted(t, h);
		leave(t);
	} else {
		oi_gate_leave(t);
		oi_death(t, h);
	}
}

void oi_death_private(struct oi_thread *t, struct oi_header *h)
{
	if (likely(is_simple(h) && !t->dying)) {
		release_fields(t, h, oi_type_of(h));
		if (oi_page_of(h)->tracked)
			oi_pace_freed(t);
		if (likely(oi_block_put(&t->heap, h)))
			count(t, h);
		else
			free_block(t, h, false);
		leave(t);
	} else {
		oi_store_relaxed(&h->local, 0u); /* owner */
		oi_store_relaxed(&h->own, OI_OWN_MERGED);
		oi_store_relaxed(&h->shared, OI_MERGED | OI_DEAD);
		oi_gate_leave(t);
		oi_death(t, h);
	}
}

void oi_death_restricted(struct oi_thread *t, void **h, size_t n)
{
	for (size_t i = 0; i < n; i++)
		push_outside(t, h[i]);
	if (t->dying)
		return;
	oi_death_begin(t);
	t->restricted = true;
	work(t);
	t->restricted = false;
	oi_death_end(t);
}

bool oi_death_serve_handed_over(struct oi_thread *t)
{
	size_t n = 0;
	pthread_mutex_lock(&handed_lock);
	for (; n < 64 && handed.n; n++) {
		if (!push(t, handed.data[handed.n - 2], (size_t)handed.data[handed.n - 1]))
			break;
		handed.n -= 2;
	}
	if (!handed.n)
		oi_vector_trim(&handed, 4096);
	if (n)
		oi_serve_begin(t); /* under the lock */
	pthread_mutex_unlock(&handed_lock);
	if (n)
		oi_serve_end(t);
	return n != 0;
}

void oi_death_fork(int phase)
{
	if (phase == 0)
		pthread_mutex_lock(&handed_lock);
	else
		pthread_mutex_unlock(&handed_lock);
}

void oi_death_inherit(struct oi_thread *t)
{
	if (t->hand)
		hand_over_frame(t->hand, t->hand_cursor);
	t->hand = NULL;
	hand_over_frames(t);
	oi_vector_free(&t->deaths.frames);
}

void oi_death_drop(void)
{
	oi_vector_free(&handed);
}
