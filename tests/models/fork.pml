/*
 * fork.pml - the child of a fork, and the library's threads there
 *
 * Models lib/process/fork.c (in_child), lib/base/wake.c (request), lib/process/servants.c
 * (oi_servants_start_missing, oi_servants_need, oi_servants_stop, oi_servants_fork_child), and of
 * lib/world/gclock.c that a thread keeps automatic collections away (hold_off).
 *
 * Processes: in the parent a thread that keeps collections away and gives that up, and one that
 * needs a thread of the library's; one that forks at any moment between their steps, from which on
 * they are gone; in the child, which it goes on as, two threads that need the library's threads,
 * and one that may end the heap. States, and who moves them:
 *   missing   0/1: a thread of the library's is to be created at the next need. Set by the fork; taken down by who has created
 *             both, and by a stop
 *   starting  0/1: the turn. Taken by a need, by an exchange, and by the fork in the child; given back by who has it
 *   thread[]  the collector and the reaper are there: created by who has the turn, ended by a stop
 *   want      work waits for them; holding: threads that keep collections away
 * One step is one access to these, as all are sequentially consistent [B4]; pthread_create, which
 * may fail REFUSALS times in the child, is one. What the parent goes on to do is not modelled:
 * nothing of it reaches the child. Asserted: the fork itself creates no thread; none is created
 * twice, or once a stop is over; when all is done, two more needs have both threads there, unless
 * the heap was ended, and nothing keeps collections away. A need that never returns, or a stop, is
 * an invalid end state. Abstracted: RETRY_NS, which only puts a need off; locks, which the fork
 * holds.
 *
 * RUN:
 * RUN: -DREFUSALS=0
 * RUN: -DREFUSALS=2
 * MUT_HOLDING_STAYS: who kept collections away when the process forked does so for ever
 * MUT_NOT_MISSING: the child takes the threads it does not have for there
 * MUT_TURN_STAYS: the turn is still that of a thread that is gone
 * MUT_HANDLER_STARTS: the fork does not take the turn, and what it hands over starts threads
 * MUT_REFUSED_ONCE: a refusal is not tried again
 * MUT_NO_TURN: two needs create threads at the same time
 * MUT_NO_SECOND_LOOK: with the turn, it is not looked whether they are still missing
 * MUT_STOP_DOES_NOT_WAIT: a stop does not wait for who has the turn
 * MUT_TURN_KEPT: the turn is not given back after a refusal
 */
#ifndef REFUSALS
#define REFUSALS 1
#endif

bool missing, starting, want, forked, ended;
bool thread[2];
byte holding, refusals = REFUSALS, n_done;

/* ---- what a thread of the parent does, as long as it is there ---- */

#define there !forked

active proctype holder()
{
	if
	:: atomic { there -> holding++ }
	:: forked -> goto gone
	fi;
	if
	:: atomic { there -> holding-- }
	:: forked
	fi;
gone:
	skip
}

/* It has been refused a thread, and tries again. */
active proctype starter()
{
	if
	:: atomic { there -> missing = true }
	:: forked -> goto gone
	fi;
	if
	:: atomic { there && !starting -> starting = true }
	:: forked -> goto gone
	fi;
	if
	:: atomic { there -> thread[0] = true }
	:: forked -> goto gone
	fi;
	if
	:: atomic { there -> thread[1] = true; missing = false }
	:: forked -> goto gone
	fi;
	if
	:: atomic { there -> starting = false }
	:: forked
	fi;
gone:
	skip
}

/* ---- the child ---- */

inline create(which)
{
	atomic {
		if
		:: thread[which]
		:: !thread[which] && refusals -> refusals--; refused = true
		:: !thread[which] -> assert(!ended); thread[which] = true
		fi
	}
}

inline start_missing()
{
	refused = false;
#ifdef MUT_NO_TURN
	if
	:: true ->
#else
	atomic { taken = starting; starting = true };
	if
	:: taken
	:: !taken ->
#endif
		if
#ifdef MUT_NO_SECOND_LOOK
		:: true ->
#else
		:: !missing
		:: missing ->
#endif
#ifdef MUT_NO_TURN
			if :: !thread[0] -> assert(!thread[0]); skip; assert(!thread[0]) :: else fi;
#endif
			create(0);
			if
			:: !refused -> create(1)
			:: else
			fi;
#ifdef MUT_REFUSED_ONCE
			missing = false
#else
			if
			:: !refused -> missing = false
			:: else
			fi
#endif
		fi;
#ifdef MUT_TURN_KEPT
		if
		:: !refused -> starting = false
		:: else
		fi
#else
		starting = false
#endif
	fi
}

inline request()
{
	want = true;
	if
	:: missing -> start_missing()
	:: !missing
	fi
}

proctype user()
{
	bool taken, refused;
	request();
	n_done++
}

proctype ender()
{
	if
	:: missing = false;
#ifndef MUT_STOP_DOES_NOT_WAIT
		!starting;
#endif
		thread[0] = false; /* joined, one after the other */
		thread[1] = false;
		ended = true
	:: skip
	fi;
	n_done++
}

/* Forks, and is the first thread of the child. */
active proctype forker()
{
	bool taken, refused;
	forked = true;
	atomic { thread[0] = false; thread[1] = false };
#ifndef MUT_NOT_MISSING
	missing = true;
#else
	missing = false;
#endif
#ifndef MUT_HOLDING_STAYS
	holding = 0;
#endif
#ifdef MUT_TURN_STAYS
	skip;
#elif defined(MUT_HANDLER_STARTS)
	starting = false;
	request(); /* what it hands over */
#else
	starting = true;
	request();
	starting = false;
#endif
	assert(!thread[0] && !thread[1]);
	run user();
	run user();
	run ender();
	n_done == 3;
	n_done = 0;
	if
	:: ended
	:: else ->
		request();
		if
		:: refusals == 0 || missing -> request()
		:: else
		fi;
		request();
		assert(thread[0] && thread[1])
	fi;
	assert(!ended || (!thread[0] && !thread[1]));
	assert(holding == 0)
}
