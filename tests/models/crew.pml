/*
 * crew.pml - threads that mark together: who has a seat in a phase, gifts, and how a phase ends
 *
 * Models lib/collect/crew.c (take_seat, be_busy, be_idle, end_phase, oi_crew_give, take_gift,
 * await_gift, await_all, oi_crew_run).
 *
 * The collecting thread and two helpers, in PHASES phases. In each the collecting thread has
 * objects to visit, each of which may lead to others. Whoever has two or more may put one into its
 * gift. States of a gift: EMPTY -> FULL: its owner, while it is busy; FULL -> TAKEN: whoever gets
 * it by compare-and-swap; TAKEN -> EMPTY: whoever took it. States of a seat, in the roll: called:
 * by the collecting thread; busy: by a helper that takes it, or comes back to it; idle: by that
 * helper; and none of them is left when the collecting thread ends the phase, which is one step
 * with its look at who is busy. A helper may come at any time, or never. Asserted: no object is
 * visited twice; what belongs to a seat is one helper's; the collecting thread sets up a phase
 * while it is nobody's; when it ends one, all is visited, and no stack or gift holds anything.
 * Nobody waits for ever (spin's invalid end states), for a helper that never comes either.
 *
 * The roll is one word, changed by read-modify-writes: a step each, as acquire and release on it
 * [V2] and on the state of a gift [V1] assume. Abstracted: lists of objects (sets, of which one
 * object is given); pages (each thread visits what it has, however it came by it); the bell,
 * sleeping and naps.
 *
 * RUN:
 * MUT_BUSY_LATE: a helper is busy again only when it has taken
 * MUT_LEAVES_GIFT: a helper is idle while its gift may be full
 * MUT_STATE_FIRST: a gift is full before its objects are in it
 * MUT_EMPTY_EARLY: a gift is empty before its objects are copied
 * MUT_NO_CAS: a gift is taken by a load and a store
 * MUT_ANY_PHASE: a helper that was sent away comes back to a seat of the next phase
 * MUT_WAITS: the phase does not end before all that were called have come
 * MUT_LATER: the phase ends some time after nobody was busy
 * MUT_CALLS_EARLY: seats are called before the phase is set up
 */
#define N 3
#ifndef OBJECTS
#define OBJECTS 4
#endif
#ifndef PHASES
#define PHASES 2
#endif
#define EMPTY 0
#define FULL 1
#define TAKEN 2

byte state[N], objects[N], stack[N];
byte called, busy, phase; /* the roll */
byte users[N], made, visited;
bool over;

#define bit(i) (1 << (i))
#define some_gift (state[0] == FULL || state[1] == FULL || state[2] == FULL)
#define two_of(s) ((s) & ((s) - 1))
#define first_of(s) ((s) & ~((s) - 1))

inline enter(i) {
	assert(!users[i]);
	users[i]++
}

/* take(g): got says whether it was there */
inline take(g) {
#ifdef MUT_NO_CAS
	if
	:: state[g] == FULL -> state[g] = TAKEN; got = true
	:: else -> got = false
	fi;
#else
	atomic {
		if
		:: state[g] == FULL -> state[g] = TAKEN; got = true
		:: else -> got = false
		fi
	}
#endif
	if
	:: got ->
#ifdef MUT_EMPTY_EARLY
		state[g] = EMPTY;
		stack[me] = stack[me] | objects[g]
#else
		stack[me] = stack[me] | objects[g];
		state[g] = EMPTY
#endif
	:: else
	fi
}

inline take_any() {
	got = false;
	g = 0;
	do
	:: g < N && !got -> take(g); g++
	:: else -> break
	od;
	g = 0
}

inline visit() {
	atomic {
		one = first_of(stack[me]);
		assert(!(visited & one));
		visited = visited | one;
		stack[me] = stack[me] & ~one;
		do
		:: made < OBJECTS -> stack[me] = stack[me] | bit(made); made++
		:: break
		od;
		one = 0
	}
}

inline give() {
	one = first_of(stack[me]);
	stack[me] = stack[me] & ~one;
#ifdef MUT_STATE_FIRST
	state[me] = FULL;
	objects[me] = one;
#else
	objects[me] = one;
	state[me] = FULL;
#endif
	one = 0
}

inline work() {
	do
	:: stack[me] -> visit()
	:: two_of(stack[me]) && state[me] == EMPTY -> give()
	:: !stack[me] -> break
	od
}

proctype helper() {
	byte one, g, me, mine;
	bool got;
seatless:
	if
	:: true
	:: goto gone /* it gets no processor */
	fi;
	atomic {
		if
		:: called ->
			if
			:: called & bit(1) -> me = 1
			:: called & bit(2) -> me = 2
			fi;
			called = called & ~bit(me);
			busy = busy | bit(me);
			mine = phase;
			enter(me)
		:: over -> goto gone
		fi
	}
works:	work();
#ifndef MUT_LEAVES_GIFT
	take(me);
	if
	:: got -> goto works
	:: else
	fi;
#endif
idle:	atomic { busy = busy & ~bit(me); users[me]-- };
awaits:	if
	:: phase != mine -> me = 0; mine = 0; goto seatless
	:: some_gift
	fi;
#ifdef MUT_BUSY_LATE
	take_any();
	atomic { busy = busy | bit(me); users[me]++ };
#else
	atomic {
		if
#ifdef MUT_ANY_PHASE
		:: true -> busy = busy | bit(me); enter(me)
#else
		:: phase == mine -> busy = busy | bit(me); enter(me)
		:: else -> goto awaits
#endif
		fi
	};
	take_any();
#endif
	if
	:: got -> goto works
	:: else -> goto idle
	fi;
gone:	skip
}

inline set_up() {
	assert(!users[1] && !users[2]);
	visited = 0;
	made = 2;
	stack[0] = 3
}

inline call_seats() {
	atomic { called = bit(1) | bit(2) }
}

proctype collecting() {
	byte one, g;
	byte me = 0;
	bool got;
next:
#ifdef MUT_CALLS_EARLY
	call_seats();
	set_up();
#else
	set_up();
	call_seats();
#endif
works:	work();
	take_any();
	if
	:: got -> goto works
	:: else
	fi;
#ifdef MUT_LATER
	if
	:: !busy
	:: some_gift -> goto works
	fi;
#endif
	atomic {
		if
#ifdef MUT_WAITS
		:: !busy && !called -> phase++
#elif defined(MUT_LATER)
		:: true -> phase++; busy = 0; called = 0
#else
		:: !busy -> phase++; called = 0
#endif
		:: some_gift -> goto works
		fi
	};
	assert(visited == bit(made) - 1);
	assert(!some_gift && !stack[0] && !stack[1] && !stack[2]);
	if
	:: phase < PHASES -> goto next
	:: else
	fi;
	over = true
}

init {
	atomic {
		run collecting();
		run helper();
		run helper()
	}
}
