/*
 * evict.c - a map that holds no more than it should
 *
 * Which entry goes is decided by the CLOCK algorithm (Corbato 1968, of pages): a hand goes round
 * the places; an entry that was asked for since it came by last gets a second chance, and loses its
 * mark; one that was not goes. An LRU list would have readers write to lines that all share; a
 * reader of ours sets a mark, if it is not set. A new entry has none, so that what is put and never
 * asked for goes first.
 *
 * How many there are (held) is one counter, which each put of a new key adds to before it links its
 * entry. It owes the map something if that makes too many, and returns when it has evicted one
 * itself, or has seen that there are not too many any more. So held is at no instant above max by
 * more than there are threads in such a put: when one returns, either its own entry has been made
 * up for, or those that are still too many came later, with threads that have not returned.
 *
 * How much one put does is bounded: it passes the hand over CHANCES marked entries, and takes what
 * comes next; and over each place twice; then its own entry goes. (Empty places cost a load each,
 * and the next put goes on behind them.)
 *
 * To evict is to empty the slot by compare-and-swap from what was looked at: a value that was put
 * meanwhile stays, and is told of by nobody. The program is told by the thread that did it, when
 * the entry is out, with no lock held.
 */
#include "contain/evict.h"

#include "base/perturb.h"

#define CHANCES 64

void oi_evict_init(struct ouro_map *m, const ouro_map_options *o)
{
	bool counts = o->max_entries && o->max_entries <= INT64_MAX;
	m->kinds = (counts ? OI_MAP_COUNTS : 0) | (o->ttl_ns ? OI_MAP_TIMES : 0);
	m->limits.max = counts ? (int64_t)o->max_entries : INT64_MAX;
	m->limits.ttl_ns = o->ttl_ns;
	m->limits.on_evict = o->on_evict;
	m->limits.arg = o->on_evict_arg;
	ouro_slot_store(&m->keeps, o->keeps);
}

bool oi_evict_reserve(struct ouro_map *m)
{
	if (likely(!(m->kinds & OI_MAP_COUNTS)))
		return false;
	return oi_add_relaxed(&m->limits.held, 1) >= m->limits.max; /* count */
}

void oi_evict_unreserve(struct ouro_map *m)
{
	if (m->kinds & OI_MAP_COUNTS)
		oi_add_relaxed(&m->limits.held, -1); /* count */
}

void oi_evict_tell(struct ouro_map *m, const struct oi_map_entry *e, void *held,
		   ouro_map_reason reason)
{
	ouro_map_item item = oi_map_item(e, oi_map_value(m, held));
	if (m->limits.on_evict)
		m->limits.on_evict(&item, reason, m->limits.arg);
}

/* Takes @held, counted, out of @e, borrowed; false if it is not there any more. */
static bool evict(struct ouro_map *m, struct oi_map_entry *e, void *held, ouro_map_reason reason)
{
	oi_point("map: evicts");
	if (!ouro_slot_compare_exchange(&e->value, held, NULL))
		return false;
	oi_map_gone(m, e);
	oi_evict_tell(m, e, held, reason);
	return true;
}

/* The hand is at @e. Returns true if it has been evicted. */
static bool meet(struct ouro_map *m, struct oi_map_entry *e, unsigned *chances)
{
	void *held OURO_AUTO = ouro_slot_load(&e->value);
	if (!held)
		return false;
	bool late = oi_map_late(m, held);
	if (!late && *chances && oi_load_relaxed(&e->used)) { /* count */
		oi_store_relaxed(&e->used, false);            /* count */
		(*chances)--;
		return false;
	}
	return evict(m, e, held, late ? OURO_MAP_EXPIRED : OURO_MAP_FULL);
}

/* Moves the hand on, over one place. Returns true if it has evicted what is there. */
static bool move_hand(struct ouro_map *m, const struct oi_map_entry *own, unsigned *chances)
{
	uint64_t n = oi_load_acquire(&m->places.n);            /* [J2] */
	uint64_t i = oi_add_relaxed(&m->limits.hand, 1) & (n - 1); /* count */
	struct oi_map_entry *e OURO_AUTO = oi_map_entry_at(m, i);
	return e && e != own && meet(m, e, chances);
}

static bool exceeds(const struct ouro_map *m)
{
	return oi_load_relaxed(&m->limits.held) > m->limits.max; /* count */
}

/* Returns false if its value has changed meanwhile. */
static bool evict_own(struct ouro_map *m, struct oi_map_entry *own)
{
	void *held OURO_AUTO = ouro_slot_load(&own->value);
	return !held || evict(m, own, held, OURO_MAP_FULL);
}

void oi_evict_one(struct ouro_map *m, struct oi_map_entry *own)
{
	unsigned chances = CHANCES;
	uint64_t left = oi_load_acquire(&m->places.n) * 2; /* [J2] */
	for (; left && exceeds(m); left--)
		if (move_hand(m, own, &chances))
			return;
	while (exceeds(m) && !evict_own(m, own))
		;
}

/* Looks without counting, as nearly all have time left. *has_end: it is over some day. */
static bool is_late_at(struct ouro_map *m, uint64_t i, bool *has_end)
{
	ouro_pin();
	void **place = oi_place(&m->places, i);
	struct oi_map_entry *e = place ? ouro_slot_peek(place) : NULL;
	void *held = e ? ouro_slot_peek(&e->value) : NULL;
	bool late = held && oi_map_late(m, held);
	*has_end = held && oi_dated_ends(held);
	oi_point("map: looks");
	ouro_unpin();
	return late;
}

bool oi_evict_late(struct ouro_map *m, uint64_t i)
{
	bool has_end;
	if (!is_late_at(m, i, &has_end))
		return has_end;
	struct oi_map_entry *e OURO_AUTO = oi_map_entry_at(m, i);
	void *held OURO_AUTO = e ? ouro_slot_load(&e->value) : NULL;
	if (held && oi_map_late(m, held))
		evict(m, e, held, OURO_MAP_EXPIRED);
	return true;
}
