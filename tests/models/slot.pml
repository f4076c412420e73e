/*
 * slot.pml - reading a slot against the death, finalization and resurrection of what it holds
 *
 * Models lib/count/slot.c (ouro_slot_load, load_retry, retain_finalizing), lib/count/death.c
 * (finalize, decide_resurrection, oi_death_free), and of lib/count/count.c release_merged,
 * win_death and oi_try_retain_foreign. (No part of a collection: garbage has its own check, in a
 * stop.)
 *
 * One merged, published object with a finalizer, its only reference in a slot. A writer takes that
 * reference away: it empties the slot and releases; or, with -DDYING_HOLDER, the slot lies in an
 * object that dies itself, whose slots keep their pointers while what they hold is released, and
 * which the reader only peeks at. The death runs the finalizer once, which may store the object
 * into a second slot: resurrection, after which that slot is emptied in turn. A reader, inside its
 * gate throughout, loads the first slot; or, with -DSECOND, the second, once there is something in
 * it.
 *   shared  count * ONE + DEAD, MERGED throughout; FINALIZING, the flag: whoever carries out the death
 * Asserted: one death at a time; nobody carries on with a death, or frees, while the reader holds a
 * reference it was given, nor is one given of a freed object; in the end the object is freed if
 * nobody holds it. A reader that got nothing began when the slot held no reference any more, or
 * that was taken out meanwhile.
 *
 * A step is one load, one store or one read-modify-write, in program order: [C1] on shared, acquire-release on the
 * flags, [S1] on the slots. The memory stays, as the reader is inside its gate (limbo.pml).
 *
 * RUN:
 * RUN: -DDYING_HOLDER
 * RUN: -DSECOND
 * MUT_GIVE_UP -DSECOND: a load that found it dying takes it for dead still, when it finds no
 *   finalizer running
 * MUT_PENDING -DSECOND: likewise, if it is dead still: the decision may be pending
 * MUT_RETAIN_STALE -DDYING_HOLDER: whoever counted on a finalizing object does not look whether
 *   that came before the
 *     decision
 * MUT_RELEASE_DEAD: taking such a count back may set DEAD a second time
 * MUT_NO_WIN: taking an attempt back does not look whether it was the last reference of an object
 *   resurrected meanwhile
 * MUT_DECIDE_BLIND: resurrection is decided by a load of the count before the exchange that takes
 *   the finalizer's reference away
 */
#define DEAD 1
#define ONE 2
#define COUNT(s) ((s) >> 1)
#ifdef SECOND
#define SLOT second
#define IN_SLOT in_second
#else
#define SLOT slot
#define IN_SLOT in_slot
#endif

short shared = ONE;
bool finalizing;
bool finalized;
bool slot = true, second; /* whether it holds the object */
bool in_slot = true, in_second; /* whether that is a counted reference */
byte dying;               /* threads in charge of the death */
bool freed;
byte held;                /* by the reader */
byte n_over;
bool emptied;             /* since the reader began */

/* ---- count.c ---- */

inline win_death()
{
	atomic {
		if
		:: shared == s - ONE -> shared = shared | DEAD; last = true; dying++; assert(dying == 1 && !freed)
		:: else
		fi
	}
}

inline release()
{
	atomic { s = shared; shared = shared - ONE };
	if
#ifdef MUT_RELEASE_DEAD
	:: COUNT(s) == 1 -> win_death()
#else
	:: COUNT(s) == 1 && !(s & DEAD) -> win_death()
#endif
	:: else
	fi;
	s = 0
}

/* ---- death.c: the caller has won the death ---- */

inline decide_resurrection()
{
	finalizing = false;
	s = shared;
	do
	:: next = s - ONE;
		if
		:: COUNT(s) > 1 -> next = next & ~DEAD
		:: else
		fi;
		atomic {
			if
			:: shared == s ->
				shared = next;
				if :: !(next & DEAD) -> dying-- :: else fi;
				done = true
#ifdef MUT_DECIDE_BLIND
			:: else -> shared = (next & DEAD -> shared - ONE : (shared - ONE) & ~DEAD);
				if :: !(next & DEAD) -> dying-- :: else fi;
				done = true
#else
			:: else -> s = shared
#endif
			fi
		};
		if
		:: done -> done = false; break
		:: else
		fi
	od;
	resurrected = !(next & DEAD);
	s = 0;
	next = 0
}

inline death()
{
	do
	:: last ->
		last = false;
		resurrected = false;
		if
		:: !finalized ->
			atomic { finalized = true; finalizing = true };
			shared = shared + ONE; /* the finalizer's */
			if
			:: /* the finalizer stores it: retain, then exchange */
				shared = shared + ONE;
				atomic { second = true; in_second = true }
			:: skip
			fi;
			decide_resurrection()
		:: else
		fi;
		if
		:: !resurrected ->
			atomic { assert(!held && !in_second); shared = DEAD; freed = true; dying-- } /* and limbo */
		:: else
		fi;
		if
		:: atomic { in_second -> in_second = false; second = false; emptied = true };
			release()
		:: atomic { !in_second -> skip }
		fi
	:: else -> break
	od;
	resurrected = false
}

/* ---- processes ---- */

/* The reference of the slot goes, with or without the pointer. */
active proctype writer()
{
	short s, next;
	bool last, done, resurrected;
	atomic {
		in_slot = false;
#ifndef SECOND
		emptied = true;
#endif
#ifndef DYING_HOLDER
		slot = false
#endif
	};
	release();
	death();
	n_over++
}

inline try_retain()
{
	atomic { s = shared; shared = shared + ONE; if :: !(s & DEAD) -> held++; assert(!freed) :: else fi };
	if
	:: s & DEAD ->
		atomic { s = shared; shared = shared - ONE };
		if
#ifndef MUT_NO_WIN
		:: !(s & DEAD) && COUNT(s) == 1 -> win_death()
#endif
		:: else
		fi
	:: else
	fi;
	s = 0
}

/* Of an object that was seen finalizing. */
inline retain_finalizing()
{
	shared = shared + ONE;
	if
	:: SLOT ->
#ifndef MUT_RETAIN_STALE
		/* The flag goes before the decision: while it is there, this count will be seen. */
		if
		:: finalizing -> got = true
		:: else -> got = !(shared & DEAD)
		fi
#else
		got = true
#endif
	:: else
	fi;
	if
	:: got -> atomic { held++; assert(!freed) }
	:: else -> release()
	fi
}

active proctype reader()
{
	short s, next;
	bool last, done, resurrected, was_finalizing, was_finalized, lost, got, had;
	if
	:: atomic { SLOT -> had = IN_SLOT; emptied = false }
	:: n_over == 1 /* or it never is */
	fi;
	if
	:: SLOT ->
		try_retain();
		do
		:: held || last -> break
		:: else ->
			atomic { was_finalizing = finalizing; was_finalized = finalized };
			s = shared;
			lost = (s & DEAD) && !was_finalizing && (!was_finalized || COUNT(s) == 0);
			s = 0;
			if
			:: was_finalizing ->
				retain_finalizing();
				if
				:: held || last -> break
				:: else
				fi
			:: else
			fi;
			if
			:: !SLOT -> break
			:: else
			fi;
#ifdef MUT_GIVE_UP
			lost = !was_finalizing;
#endif
#ifdef MUT_PENDING
			lost = !was_finalizing && (shared & DEAD);
#endif
			if
			:: lost && finalized == was_finalized -> break
			:: else
			fi;
			try_retain()
		od
	:: else
	fi;
	assert(held || last || !had || emptied);
	if
	:: held -> held--; release()
	:: else
	fi;
	death();
	n_over++
}

active proctype judge()
{
	n_over == 2;
	assert(freed && !dying)
}
