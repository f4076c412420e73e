/*
 * solo.pml - what a thread frees by itself is garbage, and nobody has its address
 *
 * Models lib/collect/solo.c (find, settle), with the mutations in lib/count/slot.c and count.c that
 * set touched.
 *
 * Objects 1 and 2 are the owner's, each with one slot; a slot outside them, global, is known to
 * all. The owner ties them into a cycle, drops what it has, looks (it counts the references among
 * the two, one read at a time), and settles once a grace period is over. Meanwhile it may walk the
 * heap in a stop, and keep what it finds. Two others enter, and go from the global slot, or from a
 * reference that they were handed by plain memory, through slots: they retain, release, take out,
 * put in. (To retain touches nothing: until it is undone shared says so, and a release touches.)
 * States of an object: owned -> noted (find) -> freed, or owned again (settle): the owner.
 * touched: 0 -> 1, by the others, within the operation that is a mutation. Asserted: what is freed
 * is not in the global slot, nobody has a reference to it, and none who looks at an object finds it
 * freed. What dies by count before it settles, the owner frees and makes anew: reborn.
 *
 * Each load, store and read-modify-write is a step of its own, sequentially consistent: a grace
 * period orders what the others did in a gate before the owner's look [G1] [G4], and what the owner
 * did before it began before what they find after they enter [G3]; limbo.pml is about that. Here it
 * is over when each thread that was in a gate when it began has left. Atomic blocks: a store and
 * what the assertions note of it. Abstracted: the steps of a death by count; SETTLED, which the
 * owner alone reads, in the gate in which it frees; marking, which has the same reads as counting:
 * an object is garbage if the sums are right for it and for all that refers to it, which for two
 * objects is that they are right for both, or for one that the other does not refer to.
 *
 * RUN:
 * MUT_NO_GRACE: the owner settles at once
 * MUT_NO_TOUCHED: touched is not looked at when it settles
 * MUT_TAKE_IS_NO_MUTATION: a reference that another thread takes out of a slot does not touch
 * MUT_RELEASE_IS_NO_MUTATION: nor one that it counts down
 * MUT_SHARED_IS_NOTHING: what the others have counted is not looked at
 * MUT_TOUCH_AFTER: another thread touches when it has left its gate
 * MUT_NO_MARK: what was noted is told from what has its block now by nothing
 * MUT_STOP_IS_NOTHING: what was found before a stop is believed after it
 * MUT_HELD_HOLDS_NOTHING: what is held is not marked, as if the stack were full and nobody saw it
 */
#define N 2 /* others */
#define OPS 2

byte global = 1;
byte slot[3];       /* by object */
byte mine[3];       /* the half of the count that is the owner's */
short shared[3];    /* the others' */
bool touched[3];
bool freed[3];
bool noted[3];
bool reborn[3];
byte held[N];       /* a counted reference of that thread's */
byte bare[N];       /* an address that it has in its gate */
bool inside[N];
bool before[N];     /* in a gate since before the grace period began */
byte kept;          /* by the owner: a counted reference from a walk of the heap */
bool a_stop;       /* there was a stop since find */

#define use(o) assert(!freed[o])

inline touch(o)
{
	touched[o] = true
}

proctype other(byte u)
{
	byte n, p, q;
	do
	:: n < OPS -> n++;
		inside[u] = true;
		/* A way in: the global slot, or what it has. */
		if
		:: atomic { p = global; bare[u] = p }
		:: atomic { held[u] -> p = held[u]; bare[u] = p }
		fi;
		/* Further, through a slot. */
		if
		:: p -> atomic {
				use(p);
				q = slot[p];
				if :: q -> p = q; bare[u] = p :: else fi
			};
			q = 0
		:: skip
		fi;
		if
		:: p && !held[u] -> /* retain */
			atomic { use(p); shared[p]++; held[u] = p }
		:: p && !held[u] -> /* take */
			atomic { use(p); q = slot[p]; slot[p] = 0; held[u] = q };
#if !defined(MUT_TAKE_IS_NO_MUTATION) && !defined(MUT_TOUCH_AFTER)
			if :: q -> touch(q) :: else fi
#endif
		:: held[u] -> /* release */
			q = held[u];
#if !defined(MUT_RELEASE_IS_NO_MUTATION) && !defined(MUT_TOUCH_AFTER)
			touch(q);
#endif
			atomic { use(q); shared[q]--; held[u] = 0 }
		:: p && held[u] -> /* give, into an empty slot */
			atomic {
				use(p);
				if :: !slot[p] -> slot[p] = held[u]; held[u] = 0 :: else fi
			}
		:: skip
		fi;
		atomic { bare[u] = 0; before[u] = false; inside[u] = false };
#ifdef MUT_TOUCH_AFTER
		if :: held[u] -> touch(held[u]) :: else fi;
#endif
		atomic { p = 0; q = 0 }
	:: else -> break
	od
}

#ifdef MUT_SHARED_IS_NOTHING
#define alone(o) (!touched[o])
#else
#define alone(o) (!touched[o] && shared[o] == 0)
#endif

/* Whether it is a member, and at once, if it is, what it refers to. */
inline gather(o, m)
{
	m = alone(o);
	if
	:: m -> q = slot[o]; if :: q == 1 -> c1++ :: q == 2 -> c2++ :: else fi
	:: else
	fi
}

inline find()
{
	gather(1, m1);
	gather(2, m2);
	atomic { g1 = m1 && c1 == mine[1]; g2 = m2 && c2 == mine[2]; q = 0 };
#ifndef MUT_HELD_HOLDS_NOTHING
	/* Marking: what is held holds what it refers to, now. */
	if
	:: g1 && m2 && !g2 -> if :: slot[2] == 1 -> g1 = false :: else fi
	:: g2 && m1 && !g1 -> if :: slot[1] == 2 -> g2 = false :: else fi
	:: else
	fi;
#endif
	atomic {
		a_stop = false;
		noted[1] = g1;
		noted[2] = g2;
		before[0] = inside[0];
		before[1] = inside[1];
		m1 = 0; m2 = 0; c1 = 0; c2 = 0
	}
}

inline free(o)
{
	atomic {
		assert(global != o && kept != o && !reborn[o]);
		assert(held[0] != o && held[1] != o && bare[0] != o && bare[1] != o);
		freed[o] = true
	}
}

/* Its count is 0, and nobody has its address. */
#define dead(o) (mine[o] + shared[o] == 0 && bare[0] != o && bare[1] != o)

inline bear(o)
{
	if :: slot[o] -> mine[slot[o]]-- :: else fi;
	slot[o] = 0;
	touched[o] = false;
	shared[o] = 0;
	mine[o] = 1;
	noted[o] = false;
	reborn[o] = true
}

#ifdef MUT_NO_MARK
#define same(o) true
#else
#define same(o) noted[o]
#endif

proctype owner()
{
	byte q, c1, c2;
	bool m1, m2, g1, g2;
	/* It has one reference to 1, which it drops, hands to another, or puts where it is. */
	if
	:: atomic { global = 0; mine[1]-- }
	:: atomic { held[0] = 1; global = 0 } /* counted here, used there */
	fi;
	find();
	/* Another operation of its own: a walk of the heap, in a stop. */
	if
	:: atomic { !inside[0] && !inside[1] -> a_stop = true; kept = 1; mine[1]++ }
	:: skip
	fi;
#ifndef MUT_NO_GRACE
	!before[0] && !before[1];
#endif
	do
	:: atomic { dead(1) -> bear(1) }
	:: atomic { dead(2) -> bear(2) }
	:: break
	od;
#ifndef MUT_STOP_IS_NOTHING
	if :: a_stop -> g1 = false; g2 = false :: else fi;
#endif
#ifdef MUT_NO_TOUCHED
	if :: g1 && (!same(1) || shared[1]) -> g1 = false; g2 = false :: else fi;
	if :: g2 && (!same(2) || shared[2]) -> g1 = false; g2 = false :: else fi;
#else
	if :: g1 && !(same(1) && alone(1)) -> g1 = false; g2 = false :: else fi;
	if :: g2 && !(same(2) && alone(2)) -> g1 = false; g2 = false :: else fi;
#endif
	if :: g1 -> free(1) :: else fi;
	if :: g2 -> free(2) :: else fi
}

init
{
	atomic {
		slot[1] = 2;
		slot[2] = 1;
		mine[1] = 2;
		mine[2] = 1;
		run owner();
		run other(0);
		run other(1)
	}
}
