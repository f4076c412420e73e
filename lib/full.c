/*
 * full.c - collections beside the mutators: full ones, and young ones too large for a stop
 *
 * Nobody is stopped, whatever the heap and the garbage look like; see Note [PASS] for how it can look at objects that are in use.
 *   1 walking is set; handshake; maps and lists; what is young becomes old in short stops, if it is in the scope
 *   2 COUNT   references from members, the objects in the scope, to members
 *   3 MARK    from every member that has more references than that
 *   4 FLAG    the members that are not marked: the candidates
 *   5 the exact check and the commit: commit.c
 *   6 weak references expire; handshake; the dead are condemned (set.c); the commit word is IDLE
 * 2 and 3 read while others write, so their errors make live objects candidates, and hide garbage that was not garbage when they
 * began. They are never believed. Garbage that was there at 1 is touched by nobody: its counts are right, and nothing marks it.
 * Objects made meanwhile are young, and no members: what they refer to has references that were not counted.
 * Nothing is written into live objects but the flag of a candidate that turns out to live: the maps lie elsewhere.
 *
 * The same check and commit tell, when finalizers of a large set have run, what they brought back: oi_full_resurrect.
 */
#include "full.h"

#include <pthread.h>

#include "commit.h"
#include "count.h"
#include "death.h"
#include "generation.h"
#include "heap.h"
#include "log.h"
#include "oracle.h"
#include "weak.h"

#define RING 16
#define OPAQUE 256 /* so many wait for a stop before there is one */

static pthread_mutex_t full_lock = PTHREAD_MUTEX_INITIALIZER;
static __thread bool locked_by_me;
static struct oi_pass pass; /* under the lock */

void oi_full_lock(void)
{
	pthread_mutex_lock(&full_lock);
	locked_by_me = true;
}

void oi_full_unlock(void)
{
	locked_by_me = false;
	pthread_mutex_unlock(&full_lock);
}

bool oi_full_locked_by_me(void)
{
	return locked_by_me;
}

/* Old, and nobody else's concern. @i: number of the block in the page. */
OI_INLINE const ouro_type *look_at_old(const struct oi_page *p, const struct oi_header *h, size_t i)
{
	const ouro_type *type = oi_pass_look(h, OI_FLAG_GARBAGE | OI_FLAG_FROZEN);
	uint64_t young = oi_load_relaxed(&oi_young_bits(p, 0)[i / 64]) | oi_load_relaxed(&oi_young_bits(p, 1)[i / 64]); /* owner */
	return young >> (i % 64) & 1 ? NULL : type;
}

/* ---- 2: counting ---- */

/* Memory is touched ahead by a ring: 150 ns an object over a cold random graph without, 30 with. */
static struct {
	struct oi_place at[RING];
	unsigned next;
} ring;

OI_INLINE void count_child(void *child, void *arg)
{
	struct oi_place *at = &ring.at[ring.next % RING], now;
	(void)arg;
	if (!oi_place_of(oi_header_of(child), &now))
		return;
	__builtin_prefetch(oi_beside_count(&now), 1);
	if (at->map)
		oi_beside_count_one(at);
	*at = now;
	ring.next++;
}

static void forget_ring(void)
{
	for (unsigned i = 0; i < RING; i++)
		ring.at[i].map = NULL;
}

static void count_rest(void)
{
	for (unsigned i = 0; i < RING; i++)
		if (ring.at[i].map)
			oi_beside_count_one(&ring.at[i]);
	forget_ring();
}

static void count_references(struct oi_pass *p, struct oi_header *h, const ouro_type *type)
{
	p->n_members++;
	oi_pass_visit(p, h, type, count_child, p);
	oi_pass_step(p, 16 + 4 * type->slots.n);
}

static void count_page(struct oi_pass *p, struct oi_page *page)
{
	uint32_t n = oi_load_acquire(&page->bump);
	struct oi_bits *bits = oi_region_of(page)->beside->bits[oi_page_index(page)];
	for (uint32_t i = 0; i < n && !p->failed; i++) {
		struct oi_header *h = oi_block_at(page, i);
		__builtin_prefetch((char *)h + 8 * page->block_size);
		const ouro_type *type = look_at_old(page, h, i);
		if (!type)
			continue;
		bits[i / 64].member |= UINT64_C(1) << (i % 64);
		count_references(p, h, type);
	}
	oi_pass_step(p, n / 8);
}

/* ---- 3: marking ---- */

OI_INLINE void mark_child(void *child, void *arg)
{
	struct oi_pass *p = arg;
	struct oi_header *h = oi_header_of(child);
	struct oi_place at;
	if (!oi_place_of(h, &at) || !oi_beside_open(&at))
		return;
	oi_beside_bits(&at)->mark |= oi_beside_bit(&at);
	__builtin_prefetch(h);
	oi_pass_push(p, &p->stack, h);
}

static void visit_marked(struct oi_pass *p, struct oi_header *h)
{
	const ouro_type *type = oi_pass_look(h, OI_FLAG_GARBAGE);
	if (!type)
		return;
	oi_pass_visit(p, h, type, mark_child, p);
	oi_pass_step(p, 16 + 4 * type->slots.n);
}

static void mark_from_stack(struct oi_pass *p)
{
	struct oi_header *ahead[RING];
	unsigned first = 0, n = 0;
	while ((p->stack.n || n) && !p->failed) {
		for (; n < RING && p->stack.n; n++) {
			struct oi_header *h = p->stack.data[--p->stack.n];
			__builtin_prefetch(h);
			ahead[(first + n) % RING] = h;
		}
		n--;
		visit_marked(p, ahead[first++ % RING]);
	}
	p->stack.n = 0;
}

/* In a stop, so only a few: from one object that only traverse leads to, to the next. */
static void mark_some(struct oi_pass *p)
{
	for (unsigned i = 0; i < RING && p->stack.n; i++) {
		struct oi_header *h = p->stack.data[p->stack.n - 1];
		if (oi_page_of(h)->state == OI_PAGE_LARGE)
			return; /* not in a stop */
		p->stack.n--;
		visit_marked(p, h);
	}
}

static bool held_from_outside(const struct oi_header *h, const struct oi_place *at)
{
	if (oi_flags(h) & OI_FLAG_IMMORTAL)
		return true;
	return oi_references_beside(h) != oi_beside_internal(at);
}

/* fn(p, h, at) for each member of the page that is not marked. */
typedef void (*member_fn)(struct oi_pass *p, struct oi_header *h, const struct oi_place *at);
OI_INLINE void each_open(struct oi_pass *p, struct oi_page *page, member_fn fn)
{
	struct oi_place at = { .map = oi_region_of(page)->beside, .page = page, .page_index = (uint32_t)oi_page_index(page) };
	for (uint32_t w = 0; w < OI_BITMAP; w++) {
		struct oi_bits *bits = &at.map->bits[at.page_index][w];
		uint64_t todo = bits->member;
		while ((todo &= ~bits->mark) && !p->failed) {
			at.block = w * 64 + (uint32_t)__builtin_ctzll(todo);
			todo &= todo - 1;
			struct oi_header *h = oi_block_at(page, at.block);
			__builtin_prefetch((char *)h + 8 * page->block_size);
			fn(p, h, &at);
			oi_pass_step(p, 16);
		}
	}
}

static void mark(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	if (!held_from_outside(h, at))
		return;
	oi_beside_bits(at)->mark |= oi_beside_bit(at);
	visit_marked(p, h);
	mark_from_stack(p);
}

/* The members are known: what was young. */
static void count_member(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	const ouro_type *type = look_at_old(at->page, h, at->block);
	if (type)
		count_references(p, h, type);
	else
		oi_beside_bits(at)->member &= ~oi_beside_bit(at);
}

static void count_members(struct oi_pass *p, struct oi_page *page)
{
	each_open(p, page, count_member);
}

static void mark_page(struct oi_pass *p, struct oi_page *page)
{
	each_open(p, page, mark);
}

/* ---- 4: flagging ---- */

static void flag(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	if (!look_at_old(at->page, h, at->block) || !oi_commit_flag(p, h, at)) {
		oi_beside_bits(at)->mark |= oi_beside_bit(at);
		return;
	}
	oi_pass_push(p, &p->set->objects, h);
	if (p->failed)
		oi_unflag(h);
}

static void flag_page(struct oi_pass *p, struct oi_page *page)
{
	each_open(p, page, flag);
}

/* ---- pages ---- */

static void each_page(struct oi_pass *p, void (*fn)(struct oi_pass *p, struct oi_page *page), oi_child_fn child)
{
	oi_gate_enter(p->t);
	for (size_t i = 0; i < p->pages.n && !p->failed; i++) {
		fn(p, p->pages.data[i]);
		oi_pass_step(p, 32);
		if (unlikely(p->opaque.n >= OPAQUE))
			oi_pass_traverse_opaque(p, child, p, mark_some);
		mark_from_stack(p);
	}
	while (p->opaque.n && !p->failed) {
		oi_pass_traverse_opaque(p, child, p, mark_some);
		mark_from_stack(p);
	}
	oi_gate_leave(p->t);
}

#if OURO_CHECKED
/* Fewer references than members have to it: looked at too early, or a lie of a traverse's, which the oracle tells apart. */
static void note_odd(struct oi_pass *p, struct oi_header *h, const struct oi_place *at)
{
	p->odd |= !(oi_flags(h) & OI_FLAG_IMMORTAL) && oi_beside_internal(at) > oi_references_beside(h);
}

static void find_lies_on(struct oi_pass *p, struct oi_page *page)
{
	each_open(p, page, note_odd);
}

static void find_lies(struct oi_pass *p)
{
	each_page(p, find_lies_on, NULL);
	if (p->odd)
		oi_oracle_judge(p);
}
#else
OI_INLINE void find_lies(struct oi_pass *p)
{
	(void)p;
}
#endif

/* The child of a fork finds each map there, or gone. @t: NULL there. */
static void forget_exact(struct oi_thread *t)
{
	if (t)
		oi_gate_enter(t);
	oi_beside_forget_exact();
	if (t)
		oi_gate_leave(t);
}

/* ---- 6: the dead ---- */

static void expire_weak_references(struct oi_pass *p)
{
	struct oi_vector *list = &p->set->objects;
	for (size_t i = p->n_seen; i < list->n; i++) {
		struct oi_header *h = list->data[i];
		if (oi_is_candidate(h) && (oi_flags(h) & OI_FLAG_WEAK))
			oi_weak_expire(h);
		if (p->t)
			oi_pass_step(p, 16);
	}
}

/* fn(p, h) for each on the list, once, with safepoints unless in the child of a fork; true: it stays on the list. */
static void sift(struct oi_pass *p, bool (*fn)(struct oi_pass *p, struct oi_header *h))
{
	struct oi_vector *list = &p->set->objects;
	while (p->n_seen < list->n) {
		struct oi_header *h = list->data[p->n_seen++];
		if (fn(p, h))
			list->data[p->n_kept++] = h;
		if (p->t)
			oi_pass_step(p, 32);
	}
	list->n = p->n_kept;
}

static bool condemn(struct oi_pass *p, struct oi_header *h)
{
	if (!oi_is_candidate(h))
		return false;
	oi_set_condemn(p->set, h);
	return true;
}

/* It lives, or whoever inherits its set looks at it again. */
static bool keep(struct oi_pass *p, struct oi_header *h)
{
	(void)p;
	oi_unflag(h);
	return true;
}

static bool forget(struct oi_pass *p, struct oi_header *h)
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

static void begin(struct oi_thread *t, struct oi_set *s, void (*between)(void), int64_t hold)
{
	pass.t = t;
	pass.between = between;
	pass.hold = hold;
	pass.any_word = NULL;
	pass.odd = pass.failed = pass.stopped = false;
	pass.work = 0;
	pass.n_members = pass.n_open = pass.n_seen = pass.n_kept = 0;
	pass.set = s;
	oi_store_relaxed(&oi_candidates.walking, 1u); /* [G3] */
	oi_grace_wait();
	for (uint64_t i = 0; i < oi_candidates.n_rescued && i < OI_RESCUE_LOG; i++)
		oi_candidates.rescued[i] = NULL;
	oi_store_relaxed(&oi_candidates.n_rescued, UINT64_C(0)); /* recheck: no flag is anywhere */
	if (!oi_beside_make(&pass.regions))
		pass.failed = true;
}

/* Large ones are given back, outside the gate: that takes a while. @t: NULL in the child of a fork. */
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

/* Once the set is the pass's no more. */
static void end(struct oi_thread *t)
{
	forget_ring(); /* of a thread that vanished in the middle of counting */
	forget_exact(t);
	oi_beside_drop(t, &pass.regions);
	struct oi_vector *lists[] = { &pass.regions, &pass.pages, &pass.stack, &pass.opaque, &pass.edges };
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		empty(t, lists[i]);
	oi_heap_end_walk();
}

void oi_full_shutdown(void)
{
	struct oi_vector *lists[] = { &pass.regions, &pass.pages, &pass.stack, &pass.opaque, &pass.edges, &pass.young };
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		oi_vector_free(lists[i]);
}

static void find_candidates(struct oi_pass *p)
{
	p->failed |= !oi_beside_list_pages(&p->regions, &p->pages);
	each_page(p, p->young_only ? count_members : count_page, count_child);
	count_rest();
	find_lies(p);
	each_page(p, mark_page, mark_child);
	forget_exact(p->t);
	each_page(p, flag_page, NULL);
}

/* In one gate: from here on the set is only in its thread's hand. */
static void let_go_of_set(struct oi_pass *p)
{
	oi_gate_enter(p->t);
	p->set = NULL;
	oi_store_release(&oi_candidates.commit, (uint32_t)OI_COMMIT_IDLE); /* [K1] */
	oi_gate_leave(p->t);
}

static void bury(struct oi_pass *p)
{
	oi_gate_enter(p->t);
	expire_weak_references(p);
	oi_gate_leave(p->t);
	oi_grace_wait();
	sift_all(p, condemn);
}

struct oi_set *oi_full_begin(struct oi_thread *t, int generation, enum oi_scope scope, void (*between)(void))
{
	struct oi_set *s = oi_set_new(generation);
	if (!s)
		return NULL;
	oi_set_take_in_hand(t, s);
	begin(t, s, between, 0);
	pass.young_only = scope == OI_SCOPE_YOUNG;
	if (scope != OI_SCOPE_OLD)
		oi_generation_make_all_old(&pass.young, pass.young_only);
	return s;
}

size_t oi_full_finish(struct oi_thread *t)
{
	struct oi_set *s = pass.set;
	find_candidates(&pass);
	oi_serve_begin(t); /* what dies is in no queue */
	if (s->objects.n && !pass.failed && oi_commit(&pass))
		bury(&pass);
	else
		sift_all(&pass, forget);
	let_go_of_set(&pass);
	if (pass.failed)
		oi_log("collection of generation %d given up: no memory for its lists", s->generation);
	end(t);
	return pass.n_members;
}

bool oi_full_promote(void)
{
	bool mine = locked_by_me; /* a collection of the old objects: what was young is none of its members */
	if (!mine && pthread_mutex_trylock(&full_lock))
		return false;
	oi_generation_make_all_old(&pass.young, false);
	if (!mine)
		pthread_mutex_unlock(&full_lock);
	return true;
}

/* ---- resurrection ---- */

static void flag_set(struct oi_pass *p)
{
	oi_gate_enter(p->t);
	for (size_t i = 0; i < p->set->objects.n && !p->failed; i++) {
		struct oi_header *h = p->set->objects.data[i];
		struct oi_place at;
		if (oi_place_of(h, &at) && oi_commit_flag(p, h, &at)) /* else it is immortal, and what it reaches is not closed */
			oi_beside_bits(&at)->member |= oi_beside_bit(&at);
		oi_pass_step(p, 16);
	}
	oi_gate_leave(p->t);
}

/* One of a set, after the check: sealed, or given back, with the reference that was the set's. Inside a death of this thread's. */
static bool decide(struct oi_pass *p, struct oi_header *h)
{
	if (oi_is_candidate(h)) {
		oi_or_acq_rel(&h->flags, (uint8_t)OI_FLAG_SEALED);
		oi_unflag(h);
		return true;
	}
	oi_and_acq_rel(&h->flags, (uint8_t)~OI_FLAG_GARBAGE);
	if (oi_release(p->t, h))
		oi_death(p->t, h);
	return false;
}

bool oi_full_resurrect(struct oi_thread *t, struct oi_set *s)
{
	oi_full_lock();
	begin(t, s, NULL, 1);
	flag_set(&pass);
	bool ok = !pass.failed && (oi_commit(&pass) || !pass.failed);
	sift_all(&pass, ok ? decide : keep);
	let_go_of_set(&pass);
	end(t);
	oi_full_unlock();
	return ok;
}

/* ---- fork ---- */

void oi_full_inherit(void)
{
	pass.t = NULL;
	if (!locked_by_me)
		full_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	oi_generation_inherit(&pass.young);
	if (pass.set && pass.hold) {
		sift(&pass, keep); /* whoever inherits the set checks it again */
	} else if (pass.set && oi_load_relaxed(&oi_candidates.commit) == OI_COMMIT_DEAD) { /* stopped */
		expire_weak_references(&pass);
		sift(&pass, condemn);
	} else if (pass.set) {
		sift(&pass, forget);
	}
	pass.set = NULL;
	oi_store_relaxed(&oi_candidates.commit, (uint32_t)OI_COMMIT_IDLE); /* stopped */
	end(NULL);
}
