/*
 * park.pml - threads that do nothing are not asked: parking, coming back, stops, seizures, grace periods
 *
 * Models lib/world/park.c (oi_park, oi_park_arrive, oi_park_take_arrivals, oi_park_dismiss), and of
 * lib/world/world.c and lib/process/serve.c what has to do with it: requests, step_outside,
 * wait_outside, try_stop, let_go_or_park, oi_world_seize, oi_world_park, try_finish_epoch.
 *
 * Processes: threads that enter, hold a pointer for a while, and leave; a stopper that stops,
 * seizes, parks and asks for grace periods; the memory, which empties store buffers. States of a
 * record, and who moves them:
 *   asked[t], parked[t]  under the registry lock, which the stopper holds throughout
 *   request[t]            STOP, SEIZE, PARKED: read-modify-writes
 *   arrived[t]            on the stack of arrivals: pushed by its thread, taken by the stopper
 *   gate[t]               0 outside, else the epoch at entry: through a store buffer of one entry (TSO)
 * Asserted: in a stop, or while a thread is seized, it runs no operation. A grace period is over
 * only when nobody is inside who entered before it was asked for. A thread is on the stack of
 * arrivals once at most. Deadlock is an invalid end state.
 *
 * One step is a load, a store into the buffer, a read-modify-write, a membarrier for one thread.
 * Abstracted: the fence mode and giving way (stop.pml); sleeping, which waits here until the
 * condition is gone (stop.pml has the sequence number); the choice whom to park, which is any
 * active one that is outside.
 *
 * RUN:
 * MUT_PUSH_FIRST: a thread that comes back pushes itself before it clears PARKED
 * MUT_NO_STOPPING: it does not look whether a stop is under way
 * MUT_STOPPING_FIRST: it looks for that before its push
 * MUT_STOPPING_LATE: a stop takes in arrivals before it says that it is under way
 * MUT_STOP_TAKES_NONE: a stop takes no arrivals in
 * MUT_GRACE_TAKES_NONE: a grace period takes no arrivals in
 * MUT_GRACE_TAKES_FIRST: it takes them in before the epoch advances
 * MUT_PARK_INSIDE: who is inside its gate is parked too
 * MUT_PARK_LATE: PARKED is set after the flag that keeps the thread out is cleared
 * MUT_SEIZE_LATE: seizing a parked thread looks at PARKED before it sets SEIZE, and saves the membarrier
 */
#define NT 2
#ifndef OPS
#define OPS (2 - t) /* the second thread comes by once */
#endif
#ifndef ROUNDS
#define ROUNDS 3
#endif

#define R_STOP 1
#define R_SEIZE 2
#define R_PARKED 4

byte gate[NT];
byte buffer[NT]; /* 0: empty; else 1 + the value on its way to gate */
byte request[NT];
bool asked[NT], parked[NT], arrived[NT], operating[NT];
bool before[NT]; /* for the assertions: its operation began before the epoch advanced */
bool stopping;
byte epoch = 1;

#define empty(u) if :: buffer[u] -> gate[u] = buffer[u] - 1; buffer[u] = 0 :: else fi
#define store_gate(v) atomic { empty(t); buffer[t] = 1 + (v) }

active proctype memory()
{
end:
	do
	:: atomic { buffer[0] -> empty(0) }
	:: atomic { buffer[1] -> empty(1) }
	od
}

inline membarrier()
{
	atomic { empty(0) };
	atomic { empty(1) }
}

/* ---- a thread's side ---- */

/* Both read-modify-writes empty the buffer on x86; here nothing rests on that. */
inline arrive()
{
#ifdef MUT_PUSH_FIRST
	atomic { assert(!arrived[t]); arrived[t] = true };
	request[t] = request[t] & ~R_PARKED
#else
	request[t] = request[t] & ~R_PARKED;
#ifdef MUT_STOPPING_FIRST
	saw = stopping;
#endif
	atomic { assert(!arrived[t]); arrived[t] = true }
#endif
}

inline look()
{
	r = request[t];
#ifndef MUT_NO_STOPPING
	if
#ifdef MUT_STOPPING_FIRST
	:: came && saw -> r = r | R_STOP; saw = false
#else
	:: came && stopping -> r = r | R_STOP
#endif
	:: else
	fi
#endif
}

inline enter()
{
	came = false;
	do
	:: e = epoch;
		store_gate(e);
		look();
		if
		:: r == 0 -> break
		:: else
		fi;
		store_gate(0);
		if
		:: r & R_PARKED -> arrive(); came = true
		:: else -> !(request[t] & (R_STOP | R_SEIZE)) && !(came && stopping)
		fi
	od;
	atomic { operating[t] = true; before[t] = false }
}

proctype thread(byte t)
{
	byte n, r, e;
	bool came, saw;
	do
	:: n < OPS ->
		n++;
		enter();
		operating[t] = false;
		store_gate(0)
	:: n == OPS -> break
	od
}

/* ---- the stopper's side; it holds the registry lock from begin to end of each of these ---- */

inline take(i)
{
	atomic { if :: arrived[i] -> arrived[i] = false; parked[i] = false; asked[i] = true :: else fi }
}

/* One exchange for the whole stack. */
inline take_arrivals()
{
	atomic { take(0); take(1) }
}

/* Lets @i go that @flag keeps out, or parks it. */
inline let_go_or_park(i, flag)
{
	if
	:: !asked[i]
#ifdef MUT_PARK_LATE
	:: asked[i] && gate[i] == 0 -> request[i] = request[i] & ~flag;
		atomic { request[i] = request[i] | R_PARKED; parked[i] = true; asked[i] = false }
#else
#ifdef MUT_PARK_INSIDE
	:: atomic { asked[i] -> request[i] = (request[i] & ~flag) | R_PARKED; parked[i] = true; asked[i] = false }
#else
	:: asked[i] && gate[i] == 0 ->
		atomic { request[i] = (request[i] & ~flag) | R_PARKED; parked[i] = true; asked[i] = false }
#endif
#endif
	:: asked[i] -> request[i] = request[i] & ~flag
	fi
}

#define ask(i, flag) atomic { if :: asked[i] -> request[i] = request[i] | flag :: else fi }

inline stop()
{
#ifdef MUT_STOPPING_LATE
	skip;
	take_arrivals();
	stopping = true;
#else
	stopping = true;
#ifndef MUT_STOP_TAKES_NONE
	take_arrivals();
#endif
#endif
	ask(0, R_STOP);
	ask(1, R_STOP);
	membarrier();
	!asked[0] || gate[0] == 0;
	!asked[1] || gate[1] == 0;
	assert(!operating[0] && !operating[1]);
	skip;
	assert(!operating[0] && !operating[1]);
	stopping = false;
	let_go_or_park(0, R_STOP);
	let_go_or_park(1, R_STOP)
}

inline park()
{
	skip;
	take_arrivals();
	ask(0, R_SEIZE);
	ask(1, R_SEIZE);
	membarrier();
	let_go_or_park(0, R_SEIZE);
	let_go_or_park(1, R_SEIZE)
}

inline seize(i)
{
#ifdef MUT_SEIZE_LATE
	old = request[i];
	request[i] = request[i] | R_SEIZE;
#else
	atomic { old = request[i]; request[i] = request[i] | R_SEIZE };
#endif
	if
	:: old & R_PARKED
	:: else -> membarrier()
	fi;
	if
	:: gate[i] == 0 -> assert(!operating[i]); skip; assert(!operating[i])
	:: else
	fi;
	request[i] = request[i] & ~R_SEIZE
}

inline grace()
{
#ifdef MUT_GRACE_TAKES_FIRST
	skip;
	take_arrivals();
#endif
	atomic { epoch++; before[0] = operating[0]; before[1] = operating[1] };
	membarrier();
#ifndef MUT_GRACE_TAKES_FIRST
#ifndef MUT_GRACE_TAKES_NONE
	take_arrivals();
#endif
#endif
	!asked[0] || gate[0] == 0 || gate[0] >= epoch;
	!asked[1] || gate[1] == 0 || gate[1] >= epoch;
	assert(!(operating[0] && before[0]) && !(operating[1] && before[1]))
}

proctype stopper()
{
	byte n, old;
	do
	:: n < ROUNDS ->
		n++;
		if
		:: stop()
		:: park()
		:: seize(0)
		:: grace()
		fi
	:: else -> break
	od
}

init
{
	atomic {
		asked[0] = true;
		asked[1] = true;
		run thread(0);
		run thread(1);
		run stopper()
	}
}
