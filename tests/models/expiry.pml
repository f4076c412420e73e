/*
 * expiry.pml - when a reaper looks through a map next, and that it does not if nothing is left
 * there [N2]
 *
 * Models lib/contain/expiry.c (oi_expiry_note, be_due, begin_trial, end_look, set_next, row_back,
 * claim_due): two threads put a value each, with a short time or a long one; a reaper makes a
 * trial of their map, which was empty; another one serves other maps meanwhile. Times are numbers:
 * 1 is the shorter one, NEVER is none; a pass after time t is due at t. Asserted at the end: for
 * each value that is there a pass is due by its time, in the row and in what the collector thread
 * sleeps by. A read-modify-write meets the newest value of its word. Who reads the shortest time
 * may meet an older one, unless it has come to its counter behind the reaper; a reaper that looks
 * may miss a value that was put, unless it has come to the counter behind the thread. Left out:
 * slices of a pass, rows that change hands, removals.
 *
 * RUN:
 * MUT_NO_COUNTER: who puts does nothing to its counter
 * MUT_LOOKS_FIRST: the reaper comes to the counters when it has looked
 * MUT_READS_FIRST: who puts reads the shortest time before it comes to its counter
 * MUT_NOT_TAKEN_BACK: a trial that meets a value leaves the map as if it were empty
 * MUT_TORN: what the shortest time was is read a step before it is set to NEVER
 * MUT_NOT_AGAIN: the shortest time is not read once more when the row's next pass is set
 * MUT_SOONEST_FIRST: who puts lowers the soonest pass before the row's
 * MUT_NEVER_LATE: a reaper sets the soonest pass to NEVER when it has read the rows
 * MUT_END_EARLY: a reaper reads when its row is due next before it gives the row back
 * MUT_UNSAID: who gives its row back does not lower the soonest pass
 */
#define NEVER 3

byte least;          /* the map's shortest time... */
byte older = NEVER;  /* ...and what it was before the trial set it to NEVER */
bool trial;          /* which it has done */
byte before = NEVER; /* what the reaper keeps of it */
byte next, soonest;  /* 0: due */
bool busy;           /* the row is claimed */
byte value[2];       /* a time; 0: none was put */
bool came[2];        /* this thread to its counter */
bool reaped[2];      /* the reaper to that counter */

inline lower(word, to)
{
	atomic {
		if
		:: to < word -> word = to
		:: else
		fi
	}
}

inline look_at_least(p)
{
	if
	:: seen = least
	:: trial && !behind -> seen = older
	fi
}

proctype putter(byte p)
{
	byte ns, seen;
	bool behind;
	if
	:: ns = 1
	:: ns = 2
	fi;
	value[p] = ns;
#ifdef MUT_READS_FIRST
	look_at_least(p);
#endif
#ifndef MUT_NO_COUNTER
	atomic { came[p] = true; behind = reaped[p] };
#endif
#ifndef MUT_READS_FIRST
	look_at_least(p);
#endif
	if
	:: seen <= ns
	:: else ->
		lower(least, ns);
#ifdef MUT_SOONEST_FIRST
		lower(soonest, ns);
		lower(next, ns)
#else
		lower(next, ns);
		lower(soonest, ns)
#endif
	fi
}

inline come_to_counters()
{
	atomic { reaped[0] = true; sure[0] = came[0] };
	atomic { reaped[1] = true; sure[1] = came[1] }
}

inline look_at(p)
{
	if
	:: value[p] != 0 -> met = true
	:: value[p] == 0 || !sure[p]
	fi
}

proctype reaper()
{
	bool sure[2], met;
	byte to;
	/* claim_due */
	atomic { soonest = NEVER; busy = true };
	/* begin_trial */
#ifdef MUT_TORN
	before = least;
	atomic { older = least; least = NEVER; trial = true };
#else
	atomic { before = least; older = least; least = NEVER; trial = true };
#endif
#ifndef MUT_LOOKS_FIRST
	come_to_counters();
#endif
	look_at(0);
	look_at(1);
#ifdef MUT_LOOKS_FIRST
	come_to_counters();
#endif
	/* end_look */
#ifndef MUT_NOT_TAKEN_BACK
	if
	:: met -> lower(least, before)
	:: else
	fi;
#endif
	/* set_next */
	to = least;
	next = to;
#ifndef MUT_NOT_AGAIN
	to = least;
	lower(next, to);
#endif
	/* row_back */
#ifdef MUT_END_EARLY
	to = next;
	busy = false;
#else
	busy = false;
	to = next;
#endif
#ifndef MUT_UNSAID
	lower(soonest, to)
#endif
}

/* It has a row of another map; of this one it says when it is due, unless somebody has it. */
proctype other()
{
	byte to;
	bool theirs;
#ifndef MUT_NEVER_LATE
	soonest = NEVER;
#endif
	theirs = busy;
	if
	:: theirs
	:: else ->
		to = next;
#ifdef MUT_NEVER_LATE
		soonest = NEVER;
#endif
		lower(next, to);
		lower(soonest, to)
	fi
}

#define IN_TIME(p) (value[p] == 0 || (next <= value[p] && soonest <= value[p]))

init
{
	atomic {
		if
		:: least = 1
		:: least = 2
		fi;
		run putter(0);
		run putter(1);
		run reaper();
		run other()
	};
	(_nr_pr == 1) -> assert(IN_TIME(0) && IN_TIME(1))
}
