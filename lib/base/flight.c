/*
 * flight.c - the last events, in a ring of fixed size
 *
 * Any thread notes an event anywhere. It draws a number, which says which slot is the event's, and
 * takes the slot by an exchange of its state:
 *   0, or number + FIRST  it holds nothing, or that event
 *   BUSY                  somebody writes it, or reads it
 * Whoever finds it BUSY does not wait: the event is lost then, and counted. That happens if a
 * thread without a processor is a whole ring behind, or if the slot is being read. The words are
 * written and read while the slot is BUSY, so they are whole. [E1]
 *
 * The ring lies in zeroed memory of the library, which the system gives when it is first written
 * to. The child of a fork has no use for its parent's events: it forgets them, and frees the slots
 * that threads had which are gone.
 */
#include "base/flight.h"

#include <string.h>

#define BUSY 1
#define FIRST 2
#define WORDS 7

static struct slot {
	uint64_t state;
	uint64_t word[WORDS];
} ring[OI_FLIGHT_EVENTS] __attribute__((aligned(OI_LINE)));

uint32_t oi_flight_on;
static uint64_t next;     /* number of the next event */
static uint64_t n_missed; /* events that found their slot busy */
static uint64_t first;    /* number of the first since the start */
static __thread uint32_t own_tid;

void oi_flight_thread(uint32_t tid)
{
	own_tid = tid;
}

static void pack(uint64_t word[WORDS], const struct oi_flight_event *e)
{
	word[0] = e->began_ns;
	word[1] = e->ns;
	word[2] = (uint64_t)own_tid << 32 | (uint64_t)e->kind << 8 | e->detail;
	word[3] = e->n;
	word[4] = e->m;
	memcpy(word + 5, e->name, OI_FLIGHT_NAME);
}

static void unpack(struct oi_flight_event *e, const uint64_t word[WORDS])
{
	e->began_ns = word[0];
	e->ns = word[1];
	e->tid = (uint32_t)(word[2] >> 32);
	e->kind = (uint8_t)(word[2] >> 8);
	e->detail = (uint8_t)word[2];
	e->n = word[3];
	e->m = word[4];
	memcpy(e->name, word + 5, OI_FLIGHT_NAME);
}

void oi_flight_note(const struct oi_flight_event *e)
{
	if (!oi_flight() || !own_tid)
		return;
	uint64_t i = oi_add_relaxed(&next, UINT64_C(1)); /* count */
	struct slot *s = &ring[i % OI_FLIGHT_EVENTS];
	uint64_t state = oi_load_relaxed(&s->state); /* recheck: by the exchange */
	if (state == BUSY || state > i || !oi_cas(&s->state, &state, (uint64_t)BUSY)) { /* [E1] */
		oi_add_relaxed(&n_missed, UINT64_C(1)); /* count */
		return;
	}
	pack(s->word, e);
	oi_store_release(&s->state, i + FIRST); /* [E1] */
}

void oi_flight_span(enum oi_flight_kind kind, unsigned detail, uint64_t began_ns, uint64_t now_ns,
		    uint64_t n, uint64_t m)
{
	struct oi_flight_event e = { .began_ns = began_ns, .ns = now_ns - began_ns,
				     .kind = (uint8_t)kind, .detail = (uint8_t)detail,
				     .n = n, .m = m };
	oi_flight_note(&e);
}

void oi_flight_start(void)
{
	oi_store_relaxed(&first, oi_load_relaxed(&next)); /* count */
	oi_store_relaxed(&n_missed, UINT64_C(0));         /* count */
	oi_store_relaxed(&oi_flight_on, 1u);              /* recheck */
}

void oi_flight_end(void)
{
	oi_store_relaxed(&oi_flight_on, 0u); /* recheck: an event that is under way still comes */
}

void oi_flight_fork_child(void)
{
	oi_store_relaxed(&first, oi_load_relaxed(&next)); /* stopped */
	for (uint64_t i = 0; i < OI_FLIGHT_EVENTS && oi_load_relaxed(&next); i++) /* stopped */
		if (oi_load_relaxed(&ring[i].state) == BUSY) /* stopped */
			oi_store_relaxed(&ring[i].state, UINT64_C(0)); /* stopped */
}

struct oi_flight_range oi_flight_range(void)
{
	struct oi_flight_range r = { oi_load_relaxed(&first), oi_load_relaxed(&next), /* count */
				     oi_load_relaxed(&n_missed) };                    /* count */
	if (r.to - r.from > OI_FLIGHT_EVENTS) {
		r.lost += r.to - r.from - OI_FLIGHT_EVENTS;
		r.from = r.to - OI_FLIGHT_EVENTS;
	}
	return r;
}

bool oi_flight_read(uint64_t i, struct oi_flight_event *out)
{
	struct slot *s = &ring[i % OI_FLIGHT_EVENTS];
	uint64_t state = i + FIRST;
	if (!oi_cas(&s->state, &state, (uint64_t)BUSY)) /* [E1] */
		return false;
	unpack(out, s->word);
	oi_store_release(&s->state, i + FIRST); /* [E1] */
	return true;
}
