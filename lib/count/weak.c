/*
 * weak.c - the side table
 *
 * A cell is {index, version} in one word. The entry it names holds the object's address, or NULL
 * once the object died. An object finds its entry through a per-page array of indices, made when
 * the first of its blocks is weakly referenced; the flag WEAK says whether to look. (With a hash
 * table by address a look-up takes 218 to 331 ns instead of 6 to 45, and the ABA problem is back.)
 * The object's count never becomes a pointer to the table, so nobody else pays.
 *
 * States of an entry: free -> (taken) object set, index installed by compare-and-swap, the loser
 *   gives its entry back
 *   -> expired: object = NULL, index taken away (oi_weak_sever)
 *   -> limbo for a grace period -> version + 1 -> free.
 * A version about to wrap retires its entry for ever: no ABA at all, 24 bytes for 2^32 uses.
 *
 * Upgrading (ouro_weak_load), inside the gate: read the word, read the object, then compare the
 * version, try to retain.
 * [W1] object is stored with release, loaded with acquire: a thread that sees the object of the
 * entry's next life sees its version too. (The other way round an upgrade that entered after the
 * entry was sealed could meet the old version and the new object.) The memory of an object that was
 * read with its version cannot be reused while this thread is inside. Whether it still lives is
 * decided by its count alone (DEAD is sticky).
 * Model: tests/models/weak.pml.
 */
#include "count/weak.h"

#include <errno.h>

#include "base/os.h"
#include "count/count.h"
#include "count/death.h"
#include "count/watch.h"
#include "heap/candidate.h"
#include "heap/check.h"
#include "heap/entry.h"
#include "heap/limbo.h"
#include "world/context.h"
#include "world/gate.h"
#include "world/gclock.h"

#define DOOR_WAITS 50 /* in one upgrade, of 2 ms at most */

static int64_t n_used;

bool oi_weak_names(uint32_t index, const struct oi_header *h)
{
	oi_assert_stopped();
	if (!oi_entry_known(index))
		return false;
	const struct oi_header *named = oi_load_relaxed(&oi_entry_at(index)->object); /* stopped */
	return !named || named == h;
}

uint64_t oi_weak_count(void)
{
	int64_t n = oi_load_relaxed(&n_used); /* count */
	return n > 0 ? (uint64_t)n : 0;
}

/* ---- from an object to its entry ---- */

/* Returns NULL if no object of its page has had an entry. */
OI_INLINE uint32_t *index_cell(const struct oi_header *h)
{
	struct oi_page *p = oi_page_of(h);
	oi_keep(p);
	uint32_t *array = oi_load_acquire(&p->weak_index); /* [W3] */
	return likely(array != NULL) ? &array[oi_block_index(p, h)] : NULL;
}

/* Returns NULL if there is no memory. */
static uint32_t *make_index_cell(const struct oi_header *h)
{
	struct oi_page *p = oi_page_of(h);
	uint32_t *array, *other = NULL;
	if (!oi_load_acquire(&p->weak_index)) { /* [W3] */
		if (!(array = oi_os_map(OI_WEAK_INDEX_BYTES)))
			return NULL;
		if (!oi_cas(&p->weak_index, &other, array)) /* [W3] */
			oi_os_unmap(array, OI_WEAK_INDEX_BYTES);
	}
	return index_cell(h);
}

OI_INLINE uint32_t index_of(const struct oi_header *h)
{
	uint32_t *cell = index_cell(h);
	return cell ? oi_load_acquire(cell) : 0; /* [W3] */
}

/*
 * Dead, or declared garbage by a collection: its weak references have expired, and new ones are
 * born expired.
 */
static bool is_dying(const struct oi_header *h)
{
	return oi_is_committed(h) || oi_is_dead(h) || (oi_flags(h) & OI_FLAG_GARBAGE);
}

struct oi_weak_entry *oi_weak_entry_of(struct oi_thread *t, struct oi_header *h)
{
	oi_assert_inside(t);
	uint32_t *cell = make_index_cell(h);
	if (!cell)
		return NULL;
	uint32_t index = oi_load_acquire(cell); /* [W3] */
	if (!index) {
		if (!(index = oi_entry_take(t)))
			return NULL;
		struct oi_weak_entry *e = oi_entry_at(index);
		/*
		 * The entry of a dying object, made for a watch, is born expired: later the object
		 * may live again, and have weak references.
		 */
		oi_store_release(&e->object, is_dying(h) ? NULL : (void *)h); /* [W1] */
		oi_publish(h);
		oi_point("weak: entry made");
		uint32_t other = 0;
		if (oi_cas(cell, &other, index)) { /* [W3] */
			oi_or_acq_rel(&h->flags, (uint8_t)OI_FLAG_WEAK);
			oi_add_relaxed(&n_used, 1); /* count */
		} else {
			oi_store_relaxed(&e->object, NULL); /* owner: nobody has seen it */
			oi_entry_put(t, index);
			index = other;
		}
	}
	return oi_entry_at(index);
}

void oi_weak_sever(struct oi_thread *t, struct oi_header *h, struct oi_watch **watches)
{
	oi_assert_outside(t);
	uint32_t index = index_of(h);
	if (!index)
		return;
	oi_gate_enter(t);
	struct oi_weak_entry *e = oi_entry_at(index);
	/* recheck: a thread that still sees the object finds it dead by its count */
	oi_store_release(&e->object, NULL);
	oi_store_relaxed(index_cell(h), 0); /* owner: nobody else has a reference */
	oi_and_acq_rel(&h->flags, (uint8_t)~OI_FLAG_WEAK);
	/* Before the gate is left: the child of a fork finds them there, or on the entry. */
	*watches = oi_watch_take(e);
	oi_add_relaxed(&n_used, -1); /* count */
	oi_limbo_add_weak(t, index);
	oi_gate_leave(t);
	oi_point("severed");
}

void oi_weak_expire(struct oi_header *h)
{
	oi_assert_at_rest(oi_self);
	uint32_t index = index_of(h);
	if (index)
		oi_store_release(&oi_entry_at(index)->object, /* elsewhere: stop or handshake */
				 NULL);
}

/* ---- public ---- */

/*
 * Inside the gate. Returns what a cell is to hold; 0 if the object is dying, so that the cell has
 * expired from the beginning, or if there is no memory: then *error says so.
 */
static OI_NOINLINE uint64_t word_of(struct oi_thread *t, struct oi_header *h, int *error)
{
	if (is_dying(h))
		return 0;
	struct oi_weak_entry *e = oi_weak_entry_of(t, h);
	if (!e) {
		*error = ENOMEM;
		return 0;
	}
	if (!oi_load_relaxed(&e->object)) /* recheck: made by a watch in its finalizer's time */
		oi_store_release(&e->object, (void *)h); /* [W1] */
	/* elsewhere: cannot change */
	return (uint64_t)oi_load_relaxed(&e->version) << 32 | index_of(h);
}

/* Inside the gate, which these leave. */
static OI_NOINLINE int store_leaving(struct oi_thread *t, ouro_weak *cell, void *obj)
{
	int error = 0;
	uint64_t word = obj ? word_of(t, oi_header_of(obj), &error) : 0;
	if (!error)
		oi_store_release(&cell->word, word); /* [W4] with ouro_weak_load's acquire */
	oi_gate_leave(t);
	return error;
}

/* Returns the index of the object's entry, or 0 if it has none or is dying. */
OI_INLINE uint32_t index_fast(const struct oi_header *h)
{
	return likely(oi_flags(h) & OI_FLAG_WEAK) && likely(!is_dying(h)) ? index_of(h) : 0;
}

OI_INLINE int store_cell(struct oi_thread *t, ouro_weak *cell, void *obj)
{
	if (unlikely(!obj))
		return store_leaving(t, cell, obj);
	struct oi_header *h = oi_header_of(obj);
	oi_check_usable(h, "ouro_weak_store");
	uint32_t index = index_fast(h);
	struct oi_weak_entry *e;
	/* recheck: word_of */
	if (unlikely(!index) || unlikely(!oi_load_relaxed(&(e = oi_entry_at(index))->object)))
		return store_leaving(t, cell, obj);
	/* elsewhere: cannot change */
	uint64_t word = (uint64_t)oi_load_relaxed(&e->version) << 32 | index;
	oi_store_release(&cell->word, word); /* [W4] */
	oi_gate_leave(t);
	return 0;
}

static OI_NOINLINE int store_cell_slow(ouro_weak *cell, void *obj)
{
	return store_cell(oi_gate_come(), cell, obj);
}

int ouro_weak_store(ouro_weak *cell, void *obj)
{
	struct oi_thread *t = oi_mine;
	if (unlikely(!cell))
		return EINVAL;
	return likely(oi_gate_try_enter(t)) ? store_cell(t, cell, obj) : store_cell_slow(cell, obj);
}

/* Inside the gate. Returns what a cell refers to, which may be dying; NULL if it has expired. */
OI_INLINE struct oi_header *object_of(uint64_t word)
{
	struct oi_weak_entry *e = oi_entry_at((uint32_t)word);
	struct oi_header *h = oi_load_acquire(&e->object); /* [W1]: before the version */
	oi_perturb();
	return oi_load_acquire(&e->version) == (uint32_t)(word >> 32) ? h : NULL; /* [W1] */
}

/* Nobody waits at the door for whom the collection may be waiting: Note [DOOR]. */
static bool may_wait(const struct oi_thread *t)
{
	return !t->pin_depth && !oi_collect_locked_by_me();
}

static struct oi_header *object_in(const ouro_weak *cell)
{
	uint64_t word = oi_load_acquire(&cell->word); /* [W4] */
	return word ? object_of(word) : NULL;
}

/* Inside the gate, which it leaves: of a candidate, perhaps, or of one that is immortal. */
static OI_NOINLINE void *load_diverted(ouro_weak *cell, struct oi_thread *t, struct oi_header *h)
{
	for (unsigned n = 0; h && oi_is_shut_out(h) && n < DOOR_WAITS && may_wait(t); n++) {
		oi_gate_leave(t);
		oi_door_wait();
		oi_gate_enter(t);
		h = object_in(cell);
	}
	if (h && !oi_retain_fast(t, h))
		return oi_try_foreign_leaving(t, h);
	oi_gate_leave(t);
	return h ? oi_object_of(h) : NULL;
}

static OI_NOINLINE void *upgrade_foreign(ouro_weak *cell, struct oi_thread *t, struct oi_header *h)
{
	/* recheck: only these can be shut out */
	if (unlikely(oi_load_relaxed(&h->own) > OI_OWN_KEY_MAX))
		return load_diverted(cell, t, h);
	return oi_try_foreign_leaving(t, h);
}

/* Inside the gate, which it leaves. t->seen is @h: Note [SEEN]. */
static OI_NOINLINE void *upgrade_seen(ouro_weak *cell, struct oi_thread *t, struct oi_header *h)
{
	uint32_t old;
	if (unlikely(!oi_try_seen(t, h, &old)))
		return load_diverted(cell, t, h);
	if (!oi_is_even(old))
		return oi_tried_seen(t, h, old);
	oi_gate_leave(t);
	return oi_object_of(h);
}

/* Inside the gate, which it leaves. */
OI_INLINE void *load(struct oi_thread *t, ouro_weak *cell)
{
	uint64_t word = oi_load_acquire(&cell->word); /* [W4] */
	struct oi_header *h = likely(word != 0) ? object_of(word) : NULL;
	if (unlikely(!h))
		goto leave;
	if (unlikely(t->seen == oi_object_of(h)))
		return upgrade_seen(cell, t, h);
	if (unlikely(!oi_retain_fast(t, h)))
		return upgrade_foreign(cell, t, h);
leave:
	oi_gate_leave(t);
	return h ? oi_object_of(h) : NULL;
}

static OI_NOINLINE void *load_cell_slow(ouro_weak *cell)
{
	return load(oi_gate_come(), cell);
}

void *ouro_weak_load(ouro_weak *cell)
{
	struct oi_thread *t = oi_mine;
	return likely(oi_gate_try_enter(t)) ? load(t, cell) : load_cell_slow(cell);
}

void ouro_weak_clear(ouro_weak *cell)
{
	if (cell)
		oi_store_release(&cell->word, UINT64_C(0)); /* [W4] */
}

bool ouro_weak_expired(const ouro_weak *cell)
{
	struct oi_thread *t = oi_enter();
	bool expired = true;
	uint64_t word = oi_load_acquire(&cell->word); /* [W4] */
	if (word) {
		struct oi_header *h = object_of(word);
		expired = !h || is_dying(h);
	}
	oi_gate_leave(t);
	return expired;
}

bool ouro_weak_is(const ouro_weak *cell, const void *obj)
{
	struct oi_thread *t = oi_enter();
	uint64_t word = oi_load_acquire(&cell->word); /* [W4] */
	const struct oi_header *h = word ? object_of(word) : NULL;
	const void *now = h && !is_dying(h) ? h + 1 : NULL;
	oi_gate_leave(t);
	return now == obj;
}

/* ---- life cycle ---- */

void oi_weak_shutdown(void)
{
	oi_entry_shutdown();
	n_used = 0;
}
