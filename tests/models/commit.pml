/*
 * commit.pml - a collection beside the mutators: from flags to the commit word
 *
 * Models the protocol for full collections that run concurrently, for which lib/object.h keeps OI_OWN_CANDIDATE;
 * lib/collect.c and lib/trial.c as they are examine in a stop and need none of it.
 *
 * Two objects with one slot each, a global slot, a weak reference to object 1; threads with handles (counted
 * references); the collector. What a collection does, and who moves what:
 *   1 candidates  whatever counting and marking by racy reads left unmarked: here any objects, as nothing rests on the
 *                 choice
 *   2 flags       the collector sets the flag in the header word of each; a handshake, so that every operation from now
 *                 on sees it
 *   3 events      an operation that counts up, counts down or takes out of a slot first looks at the flag, and if it is
 *                 set goes the slow way, the rescue: the commit word OPEN -> DIRTY, the flag cleared, the object put
 *                 into a log
 *   4 exact check slots of flagged objects first, then counts; who has more than came from there is unflagged, with
 *                 what it reaches
 *   5 commit      the word is set OPEN; handshake; the logs are emptied, what is in them unflags what it reaches, and
 *                 if there was any, again from OPEN; else OPEN -> COMMITTED by compare-and-swap, or again. That is the
 *                 instant at which all that is still flagged is dead, its weak references included: an upgrade that
 *                 finds a flag and COMMITTED says no
 *   6 handshake   after which no operation is under way that began before
 * Asserted: at 5 and after 6 no handle, no global slot and no slot of an unflagged live object refers to a flagged one;
 * nothing but an upgrade ever finds a flag and COMMITTED; no count falls below 0; a ring that was garbage from the
 * start and that no upgrade brought back is committed.
 *
 * A step is one load, one store or one read-modify-write; the flag is looked at in one step, the count changed in a
 * later one, as the owner's path does (compare the header word, then a plain add). An operation is inside the gate from
 * its first step to its last, and a handshake sees each thread outside once: that it does so without stopping anybody
 * rests on membarrier, or fences, which are stop.pml's and limbo.pml's part. So are orders: what a thread did before it
 * left its gate is seen by whoever saw it outside.
 * Atomic blocks: one read-modify-write; a count and the handle that it is for, which nobody else reads but the
 * assertions.
 * Abstracted: biased counts (the collector would have to read local before shared: a merge between the two then counts
 * twice, which is conservative, and not zero times); types with traverse; the memory of what died by count (limbo.pml);
 * finalizers.
 *
 * -DTHREADS, -DHANDLES each, -DOPS operations each. -DRELEASE_NO_EVENT: a program's own release is no event, which is
 * sound as long as counting up is one, and what the death of an object releases. -DCOUNTS_FIRST: the exact check reads
 * the counts before the slots, which is as good: between its handshakes neither changes for what stays flagged.
 *
 * RUN: -DOPS=5
 * RUN: -DTHREADS=2 -DHANDLES=1 -DOPS=2
 * RUN: -DRELEASE_NO_EVENT
 * RUN: -DCOUNTS_FIRST
 * MUT_NO_HANDSHAKE_FLAGS: no handshake after the flags
 * MUT_NO_HANDSHAKE_COMMIT: no handshake before the commit
 * MUT_COMMIT_AFTER_DRAIN: what the logs held is unflagged with what it reaches, and committed at once
 * MUT_OPEN_LATE: the commit word is set OPEN after the handshake
 * MUT_TAKE_NO_EVENT: taking out of a slot does not look at the flag
 * MUT_DEATH_NO_EVENT: what the death of an object releases is not looked at for its flag
 * MUT_RETAIN_NO_EVENT -DRELEASE_NO_EVENT -DOPS=5: neither counting up nor counting down looks at the flag
 * MUT_UPGRADE_NO_EVENT: an upgrade does not look at the flag
 * MUT_UNFLAG_FIRST: an upgrade clears the flag and logs before it turns the commit word
 * MUT_UPGRADE_ALWAYS: an upgrade does not look whether the commit word is COMMITTED
 * MUT_RESCUE_ALONE: a rescued object is not followed to what it reaches
 */
#ifndef THREADS
#define THREADS 1
#endif
#ifndef HANDLES
#define HANDLES 2
#endif
#ifndef OPS
#define OPS 4
#endif

mtype = { OPEN, DIRTY, COMMITTED };
mtype commit = OPEN;

/* By object, 1 and 2. Slot 0 is the global one. */
byte slot[3];
short count[3];
bool flag[3];
bool logged[3];
bool dead[3]; /* by count */
byte handle[THREADS * HANDLES];
bool busy[THREADS];
bool garbage, upgraded; /* for the assertions */

#define H0 handle[t * HANDLES]
#if HANDLES == 2
#define H1 handle[t * HANDLES + 1]
#define FULL (H0 && H1)
#define put(o) if :: !H0 -> H0 = o :: else -> H1 = o fi
#else
#define H1 0
#define FULL H0
#define put(o) H0 = o
#endif

/* ---- mutators ---- */

inline log_rescue(o)
{
	atomic { won = flag[o]; flag[o] = false };
	if
	:: won -> logged[o] = true
	:: else
	fi;
	won = false
}

inline event(o)
{
	if
	:: flag[o] ->
		atomic { assert(commit != COMMITTED); if :: commit == OPEN -> commit = DIRTY :: else fi };
		log_rescue(o)
	:: else
	fi
}

inline event_up(o)
{
#ifndef MUT_RETAIN_NO_EVENT
	event(o)
#else
	skip
#endif
}

/* Gives a reference to o up; what dies by that gives up its own. */
inline release(o)
{
	chain = false;
	do
	:: o ->
		if
#ifndef RELEASE_NO_EVENT
		:: !chain -> event(o)
#endif
#ifndef MUT_DEATH_NO_EVENT
		:: chain -> event(o)
#endif
		:: else
		fi;
		atomic {
			count[o]--;
			assert(count[o] >= 0);
			if
			:: !count[o] -> dead[o] = true
			:: else -> o = 0
			fi
		};
		if
		:: o -> atomic { x = slot[o]; slot[o] = 0; o = x; x = 0; chain = true } /* of a dead object: nobody else's */
		:: else
		fi
	:: else -> break
	od
}

inline try_count(o)
{
	atomic { if :: count[o] -> count[o]++; put(o) :: else fi }
}

/* Object 1, by its weak reference. */
inline upgrade()
{
	if
	:: dead[1]
	:: else ->
		if
#ifndef MUT_UPGRADE_NO_EVENT
		:: flag[1] ->
#ifdef MUT_UNFLAG_FIRST
			log_rescue(1);
#endif
			atomic {
				refused = false;
				if
#ifndef MUT_UPGRADE_ALWAYS
				:: commit == COMMITTED -> refused = true
#endif
				:: commit == OPEN -> commit = DIRTY
				:: else
				fi
			};
			if
			:: !refused -> log_rescue(1); upgraded = true; try_count(1)
			:: else
			fi;
			refused = false
#endif
		:: else -> atomic { upgraded = true; try_count(1) }
		fi
	fi
}

#define begins(condition) atomic { n < OPS && (condition) -> n++; busy[t] = true }

proctype mutator(byte t)
{
	byte n, o, x, k;
	bool won, refused, chain;
	do
	:: begins(H0 && !FULL) -> /* another reference to the same */
		event_up(H0);
		atomic { count[H0]++; put(H0) };
		busy[t] = false
	:: begins(H0) ->
		atomic { o = H0; H0 = H1
#if HANDLES == 2
			; H1 = 0
#endif
		};
		release(o);
		busy[t] = false
	:: begins(H0) -> /* into an empty slot of what H1 refers to, itself, or the global one: no event */
		atomic {
			if
			:: k = 0
			:: H1 -> k = H1
			fi;
			if
			:: !slot[k] -> slot[k] = H0; H0 = H1
#if HANDLES == 2
				; H1 = 0
#endif
			:: else
			fi;
			k = 0
		};
		busy[t] = false
	:: begins(!FULL) -> /* out of a slot */
		atomic {
			if
			:: k = 0
			:: H0 -> k = H0
			fi;
			x = slot[k];
			slot[k] = 0;
			if :: x -> put(x) :: else fi;
			k = 0
		};
		if
#ifndef MUT_TAKE_NO_EVENT
		:: x -> event(x)
#endif
		:: else
		fi;
		x = 0;
		busy[t] = false
	:: begins(!FULL) -> /* reads a slot, then tries to count */
		atomic {
			if
			:: k = 0
			:: H0 -> k = H0
			fi;
			x = slot[k];
			k = 0
		};
		if
		:: x -> event_up(x); try_count(x)
		:: else
		fi;
		x = 0;
		busy[t] = false
	:: begins(!FULL) ->
		upgrade();
		busy[t] = false
	:: break
	od
}

/* ---- the collector ---- */

inline handshake()
{
	!busy[0];
#if THREADS == 2
	!busy[1]
#else
	skip
#endif
}

/* What o reaches; its own flag is off. Two objects: the other one. */
inline unflag_reached(o)
{
#ifndef MUT_RESCUE_ALONE
	x = slot[o];
	if
	:: x && flag[x] -> flag[x] = false
	:: else
	fi;
	x = 0
#else
	skip
#endif
}

inline count_slot(o)
{
	if
	:: flag[o] ->
		x = slot[o];
		if
		:: x && flag[x] -> internal[x]++
		:: else
		fi;
		x = 0
	:: else
	fi
}

inline check(o)
{
#ifndef COUNTS_FIRST
	seen[o] = count[o];
#endif
	if
	:: flag[o] && seen[o] != internal[o] ->
		flag[o] = false;
		x = slot[o];
		if
		:: x && flag[x] -> flag[x] = false
		:: else
		fi;
		x = 0
	:: else
	fi
}

inline drain(o)
{
	if
	:: logged[o] ->
		logged[o] = false;
		unflag_reached(o);
		drained = true
	:: else
	fi
}

/* Nothing outside the flagged set refers into it. */
inline assert_closed(o)
{
	if
	:: flag[o] ->
		assert(slot[0] != o);
		assert(slot[3 - o] != o || flag[3 - o] || dead[3 - o]);
		assert(handle[0] != o);
#if THREADS * HANDLES == 2
		assert(handle[1] != o)
#endif
	:: else
	fi
}

proctype collector()
{
	byte x;
	short internal[3], seen[3];
	bool drained, done, all = true;
	/* Candidates: any. Flags. */
	if
	:: atomic { flag[1] = !dead[1] }
	:: all = false
	fi;
	if
	:: atomic { flag[2] = !dead[2] }
	:: all = false
	fi;
#ifndef MUT_NO_HANDSHAKE_FLAGS
	handshake();
#endif
	/* The exact check. */
#ifdef COUNTS_FIRST
	seen[1] = count[1];
	seen[2] = count[2];
#endif
	count_slot(1);
	count_slot(2);
	check(1);
	check(2);
	/* Commit. */
	do
	:: drained = false;
#ifndef MUT_OPEN_LATE
		commit = OPEN;
#endif
#ifndef MUT_NO_HANDSHAKE_COMMIT
		handshake();
#endif
#ifdef MUT_OPEN_LATE
		commit = OPEN;
#endif
		drain(1);
		drain(2);
#ifdef MUT_COMMIT_AFTER_DRAIN
		drain(1);
		drained = false;
#endif
		if
		:: drained
		:: else ->
			atomic {
				if
				:: commit == OPEN ->
					commit = COMMITTED;
					done = true;
					assert_closed(1);
					assert_closed(2)
				:: else
				fi
			};
			if
			:: done -> break
			:: else
			fi
		fi
	od;
	handshake();
	atomic {
		assert_closed(1);
		assert_closed(2);
		assert(!garbage || upgraded || !all || (flag[1] && flag[2]))
	}
}

init
{
	atomic {
		slot[1] = 2;
		count[2] = 1;
		if
		:: slot[2] = 1; handle[0] = 1; count[1] = 2 /* a ring, held by a thread */
		:: slot[2] = 1; slot[0] = 1; count[1] = 2   /* a ring, held by the global slot */
		:: slot[2] = 1; count[1] = 1; garbage = true
		:: handle[0] = 1; count[1] = 1              /* a chain, both held */
#if THREADS * HANDLES == 2
			; handle[1] = 2; count[2] = 2
#endif
		fi;
		run mutator(0);
#if THREADS == 2
		run mutator(1);
#endif
		run collector()
	}
}
