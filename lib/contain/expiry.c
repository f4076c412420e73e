/*
 * expiry.c - values whose time is over go, though nobody comes by
 *
 * Each map with times has a row of a table, which refers to it weakly and says when the next pass
 * through its entries is due: a quarter of the shortest time to live that a value of it has had,
 * LEAST_NS at least. So a pass costs a map little beside what was put into it, and no list by time
 * has to be kept by the threads that put. The collector thread sleeps no longer than until the
 * soonest pass, and asks for a reaper, which makes it: it calls the program.
 *
 * States of a row: FREE; BUSY, which one thread has claimed by compare-and-swap from either of the
 * others, and in which it alone writes what is in the row but next_ns [N1]; IDLE, a map's. A map
 * that died leaves its row behind; who finds that out gives it back, with another version, by which
 * a map knows that the row is not its own any more (a finalizer may have brought it back to life:
 * then the next put after that takes another).
 * A reaper that is in the program's code has its row BUSY, and others go on with the other rows; a
 * function that does not return there holds up the map that it belongs to, and no other.
 *
 * [N2] Who lowers the shortest time of a map, the next pass of a row, the soonest of all does it in
 * this order, each by a read-modify-write, even if it has nothing to lower. A reaper sets soonest
 * to NEVER before it reads the rows, and a row's next pass before it reads the map's shortest time
 * once more, by read-modify-writes, too. Two of these on one word have an order: either the reaper
 * sees what was lowered before, or the other lowers what the reaper has set.
 * A reaper that has set soonest to NEVER leaves out rows that are BUSY. So whoever gives one back
 * reads when its next pass is due after that, and after a read-modify-write of soonest: either it
 * sees what was lowered while the row was BUSY, or the other sees that the row is IDLE.
 * A map in which nothing is left whose time will be over wakes nobody. When a pass has met no such
 * value, the next one is a trial: it sets the map's shortest time to FOR_EVER before it looks, and
 * if it meets one it takes that back; if not, the map has no next pass. So who puts reads the
 * shortest time after it has put; and the two agree by the map's counters: who puts adds 0 to its
 * own before it reads, the reaper to each of them between setting and looking, both by
 * read-modify-writes. Either the reaper looks behind the put, and meets what it has left, or the
 * other reads FOR_EVER, or what came later, and lowers that.
 * Model: tests/models/expiry.pml.
 */
#include "contain/expiry.h"

#include "base/os.h"
#include "base/perturb.h"
#include "base/wake.h"
#include "contain/evict.h"

#define NEVER UINT64_MAX
#define LEAST_NS UINT64_C(1000000000)
#define SHARE 4
#define SLICE 4096 /* places */
#define SOON_NS UINT64_C(4000000)

#define FIRST_LOG 7
#define FIRST (1u << FIRST_LOG) /* rows of the first chunk; each has as many as all before it */
#define CHUNKS 16
#define NEAR 64 /* rows that are looked at where most are taken */

enum { FREE, IDLE, BUSY };

struct row {
	ouro_weak map;
	uint64_t next_ns;
	uint64_t at;       /* the place that the pass goes on from */
	uint64_t began_ns; /* when it was at the first one */
	bool met;          /* a value whose time will be over, in this pass so far */
	bool quiet;        /* none, in the one before: this one is a trial */
	uint32_t version;
	uint32_t state;
};

static struct row *chunk[CHUNKS];
static uint32_t n_rows, n_taken, first_look;
static uint64_t soonest = NEVER; /* or earlier than that */

static struct row *row_at(uint32_t i)
{
	unsigned k = i < FIRST ? 0 : 32 - FIRST_LOG - (unsigned)__builtin_clz(i);
	struct row *rows = oi_load_relaxed(&chunk[k]); /* elsewhere: n_rows [N1] */
	return &rows[k ? i - (FIRST << (k - 1)) : i];
}

/* ---- when ---- */

/* Returns true if @to is the least now that the word has had. */
static bool lower(uint64_t *word, uint64_t to)
{
	uint64_t was = oi_or_acq_rel(word, UINT64_C(0)); /* [N2] */
	while (to < was)
		if (oi_cas(word, &was, to)) /* [N2] */
			return true;
	return false;
}

static uint64_t pass_after(uint64_t now, uint64_t ttl_ns)
{
	if (ttl_ns == OI_FOR_EVER)
		return NEVER;
	uint64_t ns = ttl_ns / SHARE;
	return now + (ns > LEAST_NS ? ns : LEAST_NS);
}

static void lower_soonest(uint64_t ns)
{
	if (lower(&soonest, ns))
		oi_wake_tick(); /* the collector thread sleeps until a later one */
}

static void be_due(struct row *r, uint64_t ns)
{
	lower(&r->next_ns, ns);
	lower_soonest(ns);
}

bool oi_expiry_due(void)
{
	uint64_t ns = oi_load_relaxed(&soonest); /* recheck */
	return unlikely(ns != NEVER) && ns <= oi_now_ns();
}

uint64_t oi_expiry_wait_ns(uint64_t most)
{
	uint64_t ns = oi_load_relaxed(&soonest); /* recheck: be_due wakes */
	if (likely(ns == NEVER))
		return most;
	uint64_t now = oi_now_ns(), wait = ns > now + SOON_NS ? ns - now : SOON_NS;
	return wait < most ? wait : most;
}

/* ---- rows ---- */

/* Of a claimed row whose map is gone. */
static void be_new(struct row *r)
{
	oi_store_relaxed(&r->version, r->version + 1); /* owner: who has claimed it */
	oi_store_relaxed(&r->next_ns, NEVER);          /* owner */
	r->at = 0;
	r->quiet = false;
}

static bool claim_if(struct row *r, uint32_t state)
{
	/* recheck */
	return oi_load_relaxed(&r->state) == state && oi_cas(&r->state, &state, BUSY); /* [N1] */
}

/* Of a claimed row that is a map's. */
static void row_back(struct row *r)
{
	oi_point("expiry: gives back");
	oi_store_release(&r->state, IDLE); /* [N1] */
	lower(&soonest, NEVER);
	lower_soonest(oi_load_acquire(&r->next_ns)); /* [N2] */
}

static bool claim_unused(struct row *r)
{
	if (claim_if(r, FREE)) {
		oi_add_relaxed(&n_taken, 1); /* count */
		return true;
	}
	if (oi_load_relaxed(&r->state) != IDLE || !ouro_weak_expired(&r->map) || /* recheck */
	    !claim_if(r, IDLE))
		return false;
	if (ouro_weak_expired(&r->map)) {
		be_new(r);
		return true;
	}
	row_back(r);
	return false;
}

static void free_row(struct row *r)
{
	be_new(r);
	oi_add_relaxed(&n_taken, -1);      /* count */
	oi_store_release(&r->state, FREE); /* [N1] */
}

static bool more_rows(uint32_t n)
{
	unsigned k = n ? 32 - FIRST_LOG - (unsigned)__builtin_clz(n) : 0;
	size_t bytes = (n ? n : FIRST) * sizeof(struct row);
	struct row *none = NULL, *made = k < CHUNKS ? oi_os_map_list(bytes) : NULL;
	if (!made)
		return false;
	if (!oi_cas(&chunk[k], &none, made)) /* [N1] */
		oi_os_unmap_list(made, bytes);
	if (oi_cas(&n_rows, &n, n ? 2 * n : FIRST)) /* [N1] */
		oi_store_relaxed(&first_look, n);   /* count */
	return true;
}

/* Returns a row, BUSY, and its number; NULL without memory. */
static struct row *claim_one(uint32_t *number)
{
	for (;;) {
		uint32_t n = oi_load_acquire(&n_rows), from = oi_load_relaxed(&first_look); /* [N1] */
		bool many = oi_load_relaxed(&n_taken) < n / 2; /* count */
		for (uint32_t k = 0; k < (many ? n : NEAR) && k < n; k++) {
			*number = (from + k) % n;
			if (!claim_unused(row_at(*number)))
				continue;
			oi_store_relaxed(&first_look, *number + 1); /* count */
			return row_at(*number);
		}
		if (!more_rows(n))
			return NULL;
	}
}

/* A map knows its row by this: which, and its version. */
static uint64_t row_name(const struct row *r, uint32_t number)
{
	return (uint64_t)oi_load_relaxed(&r->version) << 32 | (number + 1); /* recheck: still_has */
}

/* Returns the map's row, or NULL if that has been given back. */
static struct row *row_of(const struct ouro_map *m)
{
	uint64_t name = oi_load_acquire(&m->limits.row); /* [N1] */
	struct row *r = row_at((uint32_t)name - 1);
	return likely(row_name(r, (uint32_t)name - 1) == name) ? r : NULL;
}

/* @was: what the map has for a row. Of two threads at this one takes another row. */
static bool add_row(struct ouro_map *m, uint64_t was)
{
	uint32_t number;
	struct row *r = claim_one(&number);
	if (!r)
		return false;
	if (ouro_weak_store(&r->map, m)) {
		free_row(r);
		return false;
	}
	oi_store_relaxed(&r->next_ns, NEVER); /* owner: who has claimed it */
	if (!oi_cas(&m->limits.row, &was, row_name(r, number))) /* [N1] */
		free_row(r);
	else
		row_back(r);
	return true;
}

bool oi_expiry_add(struct ouro_map *m)
{
	m->limits.least_ns = m->limits.before_ns = OI_FOR_EVER;
	return add_row(m, 0);
}

/*
 * Without memory for another row it is tried again at the next put. A trial may be gone with the
 * old row.
 */
static OI_COLD struct row *row_anew(struct ouro_map *m)
{
	uint64_t was = oi_load_acquire(&m->limits.row); /* [N1] */
	uint64_t before = oi_load_relaxed(&m->limits.before_ns); /* elsewhere: the row [N1] */
	lower(&m->limits.least_ns, before);
	return add_row(m, was) ? row_of(m) : NULL;
}

void oi_expiry_note(struct ouro_map *m, uint64_t ns)
{
	struct row *r = row_of(m);
	oi_add_acq_rel(oi_map_own_count(m), 0); /* [N2] */
	uint64_t least = oi_load_relaxed(&m->limits.least_ns); /* recheck: by lower */
	if (likely(r && least <= ns))
		return;
	if (!r && !(r = row_anew(m)))
		return;
	lower(&m->limits.least_ns, ns);
	be_due(r, pass_after(oi_now_ns(), ns < least ? ns : least));
}

/* ---- passing ---- */

/* What a trial takes away is noted before, as it may be cut off, and be begun anew. */
static void begin_trial(struct ouro_map *m)
{
	oi_point("expiry: trial");
	uint64_t before = oi_load_relaxed(&m->limits.before_ns); /* owner: who has its row */
	uint64_t least = oi_load_acquire(&m->limits.least_ns);   /* [N2] */
	do
		/* elsewhere: who reads it has taken another row [N1] */
		oi_store_relaxed(&m->limits.before_ns, least < before ? least : before);
	while (!oi_cas(&m->limits.least_ns, &least, OI_FOR_EVER)); /* [N2] */
	for (unsigned i = 0; i < OI_MAP_COUNTERS; i++)
		oi_add_acq_rel(&m->count[i].n, 0); /* [N2] */
}

static void end_look(struct row *r, struct ouro_map *m)
{
	if (r->met)
		lower(&m->limits.least_ns, oi_load_relaxed(&m->limits.before_ns)); /* owner */
	oi_store_relaxed(&m->limits.before_ns, OI_FOR_EVER); /* owner */
	r->quiet = !r->met;
	r->at = 0;
}

/* Goes on with the pass. Returns true if it is over. */
static bool go_through(struct row *r, struct ouro_map *m)
{
	if (!r->at) {
		r->began_ns = oi_now_ns();
		r->met = false;
		if (r->quiet)
			begin_trial(m);
	}
	uint64_t n = oi_load_acquire(&m->places.n); /* [J2] */
	uint64_t end = r->at + SLICE < n ? r->at + SLICE : n;
	for (; r->at < end; r->at++)
		r->met |= oi_evict_late(m, r->at);
	if (r->at < n)
		return false;
	end_look(r, m);
	return true;
}

/*
 * Counted from when this pass began: what had time left when it came by, and has none since, waits
 * no longer for it than the share, however long the program's code took.
 */
static void set_next(struct row *r, const struct ouro_map *m)
{
	uint64_t began = r->began_ns;
	uint64_t next = pass_after(began, oi_load_relaxed(&m->limits.least_ns)); /* recheck */
	oi_point("expiry: next");
	oi_exchange(&r->next_ns, next); /* [N2] */
	lower(&r->next_ns, pass_after(began, oi_load_acquire(&m->limits.least_ns))); /* [N2] */
}

struct claim {
	struct row *row;
	uint32_t version;
};

/* However the program's code in the pass ends; in the child of a fork, too. */
static void end_claim(struct claim *c)
{
	struct row *r = c->row;
	if (oi_load_relaxed(&r->version) != c->version) /* owner */
		return;
	row_back(r);
}

static void serve_claimed(struct row *r)
{
	/* owner */
	__attribute__((unused, cleanup(end_claim))) struct claim c = { r, oi_load_relaxed(&r->version) };
	struct ouro_map *m OURO_AUTO = ouro_weak_load(&r->map);
	if (!m)
		free_row(r);
	else if (go_through(r, m))
		set_next(r, m);
}

/* Returns a row that is due, claimed, or NULL; and sets soonest to when the others are. */
static struct row *claim_due(uint64_t now)
{
	struct row *mine = NULL;
	oi_exchange(&soonest, NEVER); /* [N2] */
	for (uint32_t i = 0, n = oi_load_acquire(&n_rows); i < n; i++) { /* [N1] */
		struct row *r = row_at(i);
		if (oi_load_acquire(&r->state) != IDLE) /* [N1] */
			continue; /* nobody's, or who has it sees to that */
		uint64_t next = oi_load_acquire(&r->next_ns); /* [N2] */
		if (!mine && next <= now && claim_if(r, IDLE))
			mine = r;
		else
			be_due(r, next);
	}
	return mine;
}

bool oi_expiry_serve(void)
{
	struct row *r = oi_expiry_due() ? claim_due(oi_now_ns()) : NULL;
	if (r)
		serve_claimed(r);
	return r && oi_expiry_due();
}

/* ---- ends ---- */

/*
 * All rows are given back. The next put into a map takes one anew, and starts the library's threads
 * if they are missing.
 */
void oi_expiry_fork_child(void)
{
	for (uint32_t i = 0; i < n_rows; i++) {
		be_new(row_at(i));
		oi_store_relaxed(&row_at(i)->state, FREE); /* stopped */
	}
	n_taken = 0;
	oi_store_relaxed(&soonest, NEVER); /* stopped */
}

void oi_expiry_shutdown(void)
{
	for (uint32_t i = 0; i < n_rows; i++)
		*row_at(i) = (struct row){ .next_ns = NEVER };
	n_taken = first_look = 0;
	oi_store_relaxed(&soonest, NEVER); /* stopped: nobody looks yet */
}
