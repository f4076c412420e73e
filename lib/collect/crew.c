/* crew.c - several threads find the candidates. Note [CREW] in crew.h. */
#include "collect/crew.h"

#include <string.h>

#include "base/doors.h"
#include "base/os.h"
#include "base/perturb.h"
#include "base/runtime.h"
#include "base/wake.h"
#include "world/context.h"
#include "world/gate.h"

/* With fewer a helper is not worth its creation. */
#define PAGES_EACH (OURO_CHECKED ? 1 : 64)
#define GIFT 256 /* objects */
#define NAP_NS 20000
#define SLEEP_NS 1000000000u /* as long as nobody calls */

static void *gift[OI_CREW_MAX][GIFT];
static uint32_t n_given[OI_CREW_MAX];
struct oi_gift_line oi_gift_line[OI_CREW_MAX];

static struct oi_phase phase; /* of the collecting thread's, while nobody has a seat */
static size_t next_page;

/*
 * The roll: which seats are busy, which are called, and the phase. A seat that is neither is idle
 * or empty.
 */
#define BUSY(number) (UINT64_C(1) << (number))
#define CALLED(number) (UINT64_C(0x100) << (number))
#define ALL_BUSY UINT64_C(0xff)
#define ALL_CALLED UINT64_C(0xff00)
#define PHASE_SHIFT 16
static uint64_t roll;

static uint32_t bell; /* changes when seats are called, and when the collection is over */
static bool over;

/* What a helper has. */
struct seat {
	unsigned number;
	uint64_t phase;
};

/* ---- who ---- */

/* One up to four processors, beyond that for a quarter of them. */
static size_t by_processors(void)
{
	size_t n = oi_os_processors();
	return n > 4 ? n / 4 : 1;
}

unsigned oi_crew_size(size_t n_pages)
{
	size_t most = oi_runtime.config.gc_threads ? oi_runtime.config.gc_threads
						   : by_processors();
	size_t n = n_pages / PAGES_EACH;
	n = n < most ? n : most;
	return n > OI_CREW_MAX ? OI_CREW_MAX : n ? (unsigned)n : 1;
}

/* ---- figures ---- */

static uint64_t n_looked, n_looked_by_helpers; /* since the heap's start */

void oi_crew_note(size_t looked, size_t looked_by_helpers)
{
	oi_add_relaxed(&n_looked, (uint64_t)looked);                       /* count */
	oi_add_relaxed(&n_looked_by_helpers, (uint64_t)looked_by_helpers); /* count */
}

void oi_crew_statistics(ouro_stats *out)
{
	out->looked = oi_load_relaxed(&n_looked);                       /* count */
	out->looked_by_helpers = oi_load_relaxed(&n_looked_by_helpers); /* count */
}

void oi_crew_shutdown(void)
{
	oi_store_relaxed(&n_looked, UINT64_C(0));            /* stopped */
	oi_store_relaxed(&n_looked_by_helpers, UINT64_C(0)); /* stopped */
}

/* ---- seats ---- */

/* Takes one that is called. What belongs to it was set up before. */
static bool take_seat(struct seat *s)
{
	uint64_t r = oi_load_relaxed(&roll); /* recheck */
	while (r & ALL_CALLED) {
		s->number = (unsigned)__builtin_ctzll((r & ALL_CALLED) / CALLED(0));
		s->phase = r >> PHASE_SHIFT;
		if (oi_cas(&roll, &r, (r & ~CALLED(s->number)) | BUSY(s->number))) /* [V2] */
			return true;
	}
	return false;
}

static bool sent_away(const struct seat *s)
{
	return oi_load_relaxed(&roll) >> PHASE_SHIFT != s->phase; /* recheck */
}

/* Returns false if the phase is over. */
static bool be_busy(const struct seat *s)
{
	uint64_t r = oi_load_relaxed(&roll); /* recheck */
	while (r >> PHASE_SHIFT == s->phase)
		if (oi_cas(&roll, &r, r | BUSY(s->number))) /* [V2] */
			return true;
	return false;
}

static void be_idle(const struct seat *s)
{
	oi_and_acq_rel(&roll, ~BUSY(s->number)); /* [V2] */
}

static void call_seats(unsigned n_crew)
{
	uint64_t seats = 0;
	for (unsigned i = 1; i < n_crew; i++)
		seats |= CALLED(i);
	oi_or_acq_rel(&roll, seats); /* [V2] */
	oi_wake(&bell);
}

/* Returns false if somebody is busy. */
static bool end_phase(void)
{
	uint64_t r = oi_load_relaxed(&roll); /* recheck */
	while (!(r & ALL_BUSY))
		if (oi_cas(&roll, &r, ((r >> PHASE_SHIFT) + 1) << PHASE_SHIFT)) /* [V2] */
			return true;
	return false;
}

/* ---- gifts ---- */

/* The older half of a stack leads to more than the younger. */
void oi_crew_give(unsigned number, struct oi_vector *s)
{
	uint32_t *state = &oi_gift_line[number].state;
	if (oi_load_acquire(state) != OI_GIFT_EMPTY) /* [V1] */
		return;
	size_t n = s->n / 2 < GIFT ? s->n / 2 : GIFT, bytes = n * sizeof *s->data;
	memcpy(gift[number], s->data, bytes);
	s->n -= n;
	memcpy(s->data, s->data + s->n, bytes);
	n_given[number] = (uint32_t)n;
	oi_store_release(state, (uint32_t)OI_GIFT_FULL); /* [V1] */
	oi_point("crew: given");
}

/* @number takes what @giver has given. */
static bool take_gift(unsigned number, unsigned giver)
{
	uint32_t *state = &oi_gift_line[giver].state, full = OI_GIFT_FULL;
	if (oi_load_acquire(state) != OI_GIFT_FULL || *phase.failed[number]) /* [V1] */
		return false;
	oi_gate_enter(oi_self); /* the stack is the pass's: a fork finds it whole */
	bool mine = oi_cas(state, &full, (uint32_t)OI_GIFT_TAKEN); /* [V1] */
	for (uint32_t i = 0; mine && i < n_given[giver]; i++)
		*phase.failed[number] |= !oi_vector_push(phase.stack[number], gift[giver][i]);
	if (mine)
		oi_store_release(state, (uint32_t)OI_GIFT_EMPTY); /* [V1] */
	oi_gate_leave(oi_self);
	if (mine && number != giver)
		oi_point("crew: taken");
	return mine;
}

static bool take_any_gift(unsigned number)
{
	for (unsigned i = 0; i < phase.n_crew; i++)
		if (take_gift(number, i))
			return true;
	return false;
}

static bool any_gift(void)
{
	for (unsigned i = 0; i < OI_CREW_MAX; i++)
		if (oi_load_relaxed(&oi_gift_line[i].state) == OI_GIFT_FULL) /* recheck */
			return true;
	return false;
}

/* ---- helpers ---- */

/* Returns false when the phase is over, or there will be nothing in it for this one. */
static bool await_gift(const struct seat *s)
{
	bool failed = *phase.failed[s->number];
	be_idle(s);
	oi_point("crew: idle");
	while (!failed && !sent_away(s)) {
		if (any_gift() && be_busy(s)) {
			if (take_any_gift(s->number))
				return true;
			be_idle(s);
		}
		oi_sleep_ns(NAP_NS);
	}
	return false;
}

static void take_part(void)
{
	struct seat s;
	if (!take_seat(&s))
		return;
	oi_point("crew: came");
	do
		phase.work(s.number);
	while (take_gift(s.number, s.number) || await_gift(&s));
}

static void help(void)
{
	oi_point("crew: helper");
	for (;;) {
		uint32_t word = oi_load_acquire(&bell); /* [V4] */
		if (oi_load_relaxed(&over)) /* [V4] by the bell */
			return;
		take_part();
		oi_futex_wait(&bell, word, SLEEP_NS);
	}
}

/* ---- the collecting thread ---- */

void oi_crew_begin(unsigned n_crew)
{
	oi_assert_locked(OI_LOCK_CONCURRENT);
	oi_store_relaxed(&over, false); /* elsewhere: pthread_create */
	for (unsigned i = 1; i < n_crew; i++)
		oi_servant_begin(help);
}

void oi_crew_end(void)
{
	oi_store_relaxed(&over, true); /* [V4] before the bell */
	oi_wake(&bell);
}

/* Returns false when the phase is over. */
static bool await_all(void)
{
	oi_point("crew: first waits");
	while (!take_any_gift(0)) {
		if (end_phase())
			return false;
		oi_sleep_ns(NAP_NS);
		if (phase.meanwhile)
			phase.meanwhile();
	}
	return true;
}

void oi_crew_run(const struct oi_phase *p)
{
	oi_assert_outside(oi_self);
	phase = *p;
	oi_store_relaxed(&next_page, (size_t)0); /* elsewhere: seats are called below */
	for (unsigned i = 0; i < OI_CREW_MAX; i++)
		/* elsewhere: likewise */
		oi_store_relaxed(&oi_gift_line[i].state, (uint32_t)OI_GIFT_EMPTY);
	call_seats(p->n_crew);
	do
		p->work(0);
	while (await_all());
}

bool oi_crew_inherit(void)
{
	oi_assert_stopped();
	uint64_t r = oi_load_relaxed(&roll);                 /* stopped */
	oi_store_relaxed(&roll, r & ~(ALL_BUSY | ALL_CALLED)); /* stopped */
	return r & ALL_BUSY;
}

size_t oi_crew_take_page(size_t n)
{
	size_t i = oi_add_relaxed(&next_page, (size_t)1); /* count */
	return i < n ? i : SIZE_MAX;
}
