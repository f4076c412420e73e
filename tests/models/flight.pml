/*
 * flight.pml - events noted in a ring of slots, and read, by threads that do not wait [E1]
 *
 * Models lib/base/flight.c (oi_flight_note, oi_flight_read): three threads note events, one of
 * which may be a whole ring behind, and two read, all for one slot, since others have nothing to do
 * with it. An event has two words. Asserted: what a reader takes for event i are both of i's words,
 * and two never are in the slot at once. Each access to a word is a step. Left out: the count of
 * what was lost.
 *
 * RUN:
 * MUT_READ_OPEN: a reader looks at the words without taking the slot
 * MUT_READ_ANY: a reader takes the slot, whichever event is in it
 * MUT_WRITE_OPEN: a writer does not look whether the slot is busy
 * MUT_SHOWN_EARLY: the number is stored before the words
 */
#define BUSY 1
#define FIRST 2
#define NONE 255
#define SLOTS 4 /* of the ring; of their events only those for the first are modelled */

byte state;      /* 0, BUSY, or the number of the event that is there + FIRST */
byte word[2];
byte next;       /* the number of the next event */
byte n_inside;

inline enter() { n_inside++; assert(n_inside == 1) }

/* Takes the slot if its state is what was seen; ok says whether. */
inline take(seen)
{
	atomic {
		ok = (state == seen);
		if
		:: ok -> state = BUSY
		:: else
		fi
	}
}

proctype noter()
{
	byte i, seen;
	bool ok;
	atomic { i = next; next = next + SLOTS }
	seen = state;
#ifdef MUT_WRITE_OPEN
	state = BUSY;
	ok = true;
#else
	if
	:: seen == BUSY || seen > i -> ok = false /* busy, or a newer event's */
	:: else -> take(seen)
	fi;
#endif
	if
	:: ok ->
		enter();
#ifdef MUT_SHOWN_EARLY
		n_inside--;
		state = i + FIRST;
		word[0] = i;
		word[1] = i
#else
		word[0] = i;
		word[1] = i;
		n_inside--;
		state = i + FIRST
#endif
	:: else
	fi
}

/* Looks for one event, which may be there, or not yet, or no more. */
proctype reader(byte i)
{
	byte seen = NONE, a, b;
	bool ok;
#ifdef MUT_READ_OPEN
	ok = (state == i + FIRST);
	a = word[0];
	b = word[1];
#else
#ifdef MUT_READ_ANY
	seen = state;
	if
	:: seen > BUSY -> take(seen)
	:: else -> ok = false
	fi;
#else
	take(i + FIRST);
#endif
	if
	:: ok ->
		enter();
		a = word[0];
		b = word[1];
		n_inside--;
		state = i + FIRST
	:: else
	fi;
#endif
	assert(!ok || (a == i && b == i))
}

init
{
	atomic {
		run noter();
		run noter();
		run noter();
		run reader(0);
		run reader(SLOTS)
	}
}
