/*
 * flight.h - the last events, in a ring of fixed size: what a trace is written from
 *
 * Off, it costs a look at oi_flight_on where something has happened that takes microseconds or
 * more. On, nobody waits for anybody, and nothing is allocated: flight.c.
 */
#ifndef OI_FLIGHT_H
#define OI_FLIGHT_H

#include "base/compiler.h"

#define OI_FLIGHT_EVENTS ((uint64_t)1 << 16) /* of 64 bytes */
#define OI_FLIGHT_NAME 16

enum oi_flight_kind {
	OI_FLIGHT_COLLECTION, /* detail: generation; n: examined, m: unreachable */
	OI_FLIGHT_SOLO,       /* what threads have collected by themselves; n, m likewise */
	OI_FLIGHT_SEARCH,     /* n: looked at, m: unreachable */
	OI_FLIGHT_PHASE,      /* of a collection; detail: oi_flight_phase */
	/* from asking on; detail: ouro_stop; n: ns until it was had; m: ns off, then */
	OI_FLIGHT_STOP,
	OI_FLIGHT_ASK,        /* of it, until it was had; n: ns for the thread named, m: its tid */
	OI_FLIGHT_HOLDUP,     /* detail: ouro_holdup; from oi_holdup_traced_ns on */
	OI_FLIGHT_HANDED,     /* n: dead objects that a thread has left to the reaper */
	OI_FLIGHT_REAP,       /* a reaper was at what was left to it */
	OI_FLIGHT_KINDS
};

enum oi_flight_phase {
	OI_PHASE_BEGIN,  /* handshake, lists, what is young becomes old */
	OI_PHASE_SCAN,   /* candidates are found */
	OI_PHASE_COMMIT, /* the exact check, and the commit */
	OI_PHASE_BURY,   /* weak references expire; the dead are declared */
	OI_PHASE_LINGER, /* what only upgrades keep */
	OI_PHASE_FREE,   /* what was found is taken apart */
	OI_PHASES
};

struct oi_flight_event {
	uint64_t began_ns, ns;
	uint32_t tid; /* oi_flight_note fills it in */
	uint8_t kind, detail;
	uint64_t n, m;
	char name[OI_FLIGHT_NAME]; /* of the thread that was waited for; else empty */
};

extern uint32_t oi_flight_on OI_HIDDEN;

/* Whether events are wanted; changes at any time. */
OI_INLINE bool oi_flight(void)
{
	return unlikely(oi_load_relaxed(&oi_flight_on)); /* recheck */
}

/*
 * Of the calling thread: notes an event, if they are wanted and the thread is attached. Callable
 * anywhere: inside a gate, with locks held, in a stop.
 */
OI_COLD void oi_flight_note(const struct oi_flight_event *e);
OI_COLD void oi_flight_span(enum oi_flight_kind kind, unsigned detail, uint64_t began_ns,
			    uint64_t now_ns, uint64_t n, uint64_t m);
/* The calling thread's number, which its events bear. */
void oi_flight_thread(uint32_t tid);

/* Under the trace's lock. It begins without events; those that there are stay when it ends. */
void oi_flight_start(void);
void oi_flight_end(void);
/* In the child of a fork, alone: without the parent's events. */
void oi_flight_fork_child(void);

/* What there is at a moment: numbers of events; and how many there were before, or are missing. */
struct oi_flight_range {
	uint64_t from, to, lost;
};
struct oi_flight_range oi_flight_range(void);
/* Returns false if event number @i is not there: written over meanwhile, or never written. */
bool oi_flight_read(uint64_t i, struct oi_flight_event *out);

#endif
