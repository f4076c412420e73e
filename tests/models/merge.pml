/*
 * merge.pml - the two halves of a biased count, and who merges them
 *
 * Models lib/count/merge.c (merge, oi_merge_queue, the draining of a queue by its owner or for it, oi_merge_leave,
 * oi_merge_open), lib/count/count.c and count.h (retain, release, oi_merge_zero, release_merged, win_death,
 * oi_try_retain_foreign), and of lib/world/world.c the seizing of one thread.
 *
 * One object, made by the owner, who may leave at the end, or sleep for ever; a successor may get
 * its record and key. Two foreign threads. The collector's tick seizes the owner's gate when
 * something waits in its queue.
 *   own     MERGED, KEY (the owner's), or another thread's key when the block is used again
 *   local   here own_count; plain loads and stores: the owner inside its gate, or who keeps it out. It stays when the two are
 *           merged, and says nothing from then on
 *   shared  count * ONE + MERGED, QUEUED, DEAD as in lib/world/object.h
 *   queued  the queue, of one object; closed, q_lock likewise
 * held[t] is how many references thread t has, for the assertions and for what it may do. A thread
 * that has none may try to retain a published object, whose address it got without counting, from a
 * slot or a weak cell. Asserted: an object dies once, and when nobody holds a reference; in the end
 * it is dead if nobody does (no merge is forgotten), and if somebody does its counts, added unless
 * they are merged, are as many. A queue nobody can drain is an invalid end state.
 *
 * A step is one load, one store, or one read-modify-write (compare-and-swap with its reload on
 * failure, fetch_add, exchange). The store to the owner's gate goes through a store buffer of one
 * entry (see stop.pml); local does not: that it may be seen before an older store to the gate only
 * lets more happen. [C1] acquire-release on shared and the release on the gate [G1] are what keeps
 * local's stores before the merge on weaker machines; [M1] is the lock's. Abstracted: spilling and
 * saturation of counts; merging ahead (the same merge with no reference dropped, as in leaving);
 * several objects in a queue; finalizers and resurrection (slot.pml); the memory of a published
 * object, which waits for a grace period (limbo.pml); a collection that reads the halves, flags the
 * object or declares it garbage (halves.pml).
 *
 * -DVANISHED: the owner vanished in a fork, its key stays taken, its queue is closed: whoever
 * queues merges. Its page may be adopted, and then a block that was never published be used again
 * at once. -DALONE: one foreign thread only.
 *
 * RUN:
 * RUN: -DALONE -DOPS=2
 * RUN: -DVANISHED -DOPS=2
 * MUT_NO_SEIZURE: the collector drains the queue of an owner without seizing its gate
 * MUT_NO_MEMBARRIER: it looks at the gate without a membarrier
 * MUT_NO_STICKY_ZERO -DVANISHED -DOPS=2: whoever takes the count to 0 takes the object for dead,
 *   without the exchange 0
 *     -> DEAD
 * MUT_TRY_BLIND -DVANISHED -DOPS=2: an attempt to retain does not look whether the count was DEAD
 * MUT_PLAIN_PUBLISHED -DVANISHED -DOPS=2: the plain store that ends an unpublished object is used
 *   for published ones
 *     too
 * MUT_NO_DROP: whoever drains a queue merges, but does not drop the queue's reference
 * MUT_QUEUED_TWICE: a foreign release hands its reference over although the object is queued
 *   already
 * MUT_NO_CLOSING: a thread leaves without closing its queue
 * MUT_NO_LAST_DRAIN: a thread leaves without draining its queue once more when it is closed
 * MUT_PUSH_UNLOCKED: a foreign release looks whether the queue is closed, and adds to it, without
 *   its lock
 * MUT_MERGED_LOCAL: merging adds local, which is still there, to what is MERGED already
 * MUT_LATE_LOCAL -DVANISHED: merging clears local, after the exchange, when the block may be in
 *   use again
 * MUT_DISOWN_BLIND -DVANISHED: own becomes MERGED whosever key it is by then
 * MUT_WINDOW_LEFT -DALONE: a thread that leaves ignores that it merged an object of which nothing
 *   was left
 */
#define T 0 /* the owner */
#ifndef OPS
#define OPS 1 /* of each thread */
#endif

#ifdef ALONE
#define OTHER T
#else
#define OTHER (3 - t)
#endif

#define OWN_MERGED 0
#define KEY 1
#define OWN_FREE 2
#define KEY_ANOTHER 3

#define MERGED 1
#define QUEUED 2
#define DEAD 4
#define ONE 8
#define COUNT(s) ((s) >> 3)

#define R_SEIZE 1
#define R_DRAIN 2

byte own = KEY;
short own_count;
short shared;
bool published;
bool queued;
bool closed;
bool q_lock;
bit gate;
byte gate_buffer;
byte request;
bool attached = true;
bool registry;

short held[3];
bool died;
bool reused;    /* the block holds the next object */
bool left_dead; /* its death was won by somebody who ignored it */
byte n_over; /* threads that have ended */

#define empty_gate() if :: gate_buffer -> gate = gate_buffer - 1; gate_buffer = 0 :: else fi
#define store_gate(v) atomic { empty_gate(); gate_buffer = 1 + (v) }
#define nobody_holds (held[0] + held[1] + held[2] == 0)

active proctype memory()
{
end:
	do
	:: atomic { gate_buffer -> empty_gate() }
	od
}

/* In the same step as what makes it DEAD. */
#define dies() assert(!died && nobody_holds); died = true

/* ---- merge.c ---- */

#define lock_registry() atomic { !registry -> registry = true }
#define unlock_registry() registry = false
#define lock_queue() atomic { !q_lock -> q_lock = true }
#define unlock_queue() q_lock = false

inline disown()
{
#ifdef MUT_DISOWN_BLIND
	atomic { if :: own == KEY || own == KEY_ANOTHER -> own = OWN_MERGED :: else fi }
#else
	atomic { if :: own == KEY -> own = OWN_MERGED :: else fi }
#endif
}

#ifdef MUT_MERGED_LOCAL
#define local_counts(s) true
#else
#define local_counts(s) !((s) & MERGED)
#endif

#define clear_locals() atomic { s = 0; next = 0; l = 0; is_key = false }

inline merge(drop)
{
	s = shared;
	is_key = own == KEY;
	do
	:: if
		:: local_counts(s) -> l = own_count
		:: else -> l = 0
		fi;
		next = ((s & ~(drop * QUEUED)) + (l - drop) * ONE) | MERGED;
		if
		:: COUNT(next) == 0 && !(next & QUEUED) -> next = next | DEAD
		:: else
		fi;
		atomic {
			if
			:: shared == s ->
				shared = next;
				if
				:: (next & DEAD) && !(s & DEAD) ->
					dies();
#ifdef MUT_WINDOW_LEFT
					left_dead = !drop
#endif
				:: else
				fi;
				done = true
			:: else -> s = shared
			fi
		};
		if
		:: done -> break
		:: else
		fi
	od;
	done = false;
	if
	:: !(s & MERGED) ->
#ifdef MUT_LATE_LOCAL
		own_count = 0;
#endif
		if
		:: is_key -> disown()
		:: else
		fi
	:: else
	fi;
	clear_locals()
}

#ifdef MUT_PUSH_UNLOCKED
#define lock_push() skip
#define unlock_push() skip
#else
#define lock_push() lock_queue()
#define unlock_push() unlock_queue()
#endif

inline merge_queue()
{
	if
	:: own == KEY -> /* the record of that key is there for ever */
		lock_push();
		if
		:: closed ->
			unlock_push();
			merge(1)
		:: else ->
			queued = true;
			unlock_push()
		fi
	:: else -> merge(1)
	fi
}

inline drain()
{
	do
	:: lock_queue();
		atomic { taken = queued; queued = false };
		unlock_queue();
		if
#ifdef MUT_NO_DROP
		:: taken -> merge(0)
#else
		:: taken -> merge(1)
#endif
		:: else -> break
		fi
	od
}

/* ---- count.c ---- */

inline win_death()
{
	atomic {
		if
		:: shared == old - ONE -> shared = shared | DEAD; dies()
		:: else
		fi
	}
}

inline release_merged()
{
	if
#ifdef MUT_PLAIN_PUBLISHED
	:: s == (MERGED | ONE) ->
#else
	:: s == (MERGED | ONE) && !published ->
#endif
		atomic { shared = MERGED | DEAD; dies() };
#ifdef VANISHED
		/* The block is used again at once, by whoever adopted the vanished owner's page. */
		own = OWN_FREE;
		own_count = 1;
		atomic { own = KEY_ANOTHER; reused = true }
#endif
	:: else ->
		atomic { old = shared; shared = shared - ONE
#ifdef MUT_NO_STICKY_ZERO
			; if :: COUNT(old) == 1 -> dies() :: else fi
#endif
		};
#ifndef MUT_NO_STICKY_ZERO
		if
		:: COUNT(old) == 1 -> win_death()
		:: else
		fi;
#endif
		old = 0
	fi
}

/* Published: subtracts first, and looks afterwards what that has done. */
inline release_published()
{
	atomic {
		held[t]--; old = shared; shared = shared - ONE
#ifdef MUT_NO_STICKY_ZERO
		; if :: (old & MERGED) && COUNT(old) == 1 -> dies() :: else fi
#endif
	};
	if
#ifndef MUT_NO_STICKY_ZERO
	:: (old & MERGED) && COUNT(old) == 1 -> win_death()
#endif
	:: !(old & MERGED) && COUNT(old) <= 0 && !(old & QUEUED) -> queue_negative()
	:: else
	fi;
	old = 0
}

inline queue_negative()
{
	s = shared;
	do
	:: (s & (MERGED | QUEUED)) || COUNT(s) >= 0 -> break
	:: else ->
		atomic { if :: shared == s -> shared = (s + ONE) | QUEUED; done = true :: else -> s = shared fi };
		if
		:: done -> done = false; taken = true; break
		:: else
		fi
	od;
	clear_locals();
	if
	:: taken -> taken = false; merge_queue()
	:: else
	fi
}

inline release_foreign()
{
	if
#ifndef MUT_PLAIN_PUBLISHED
	:: published -> release_published()
#endif
	:: else -> release_unpublished()
	fi
}

/* The reference is given up here: from its first step on nothing may rest on it but the count itself. */
inline release_unpublished()
{
	atomic { held[t]--; s = shared };
	do
	:: s & MERGED -> release_merged(); clear_locals(); break
	:: else ->
		if
#ifdef MUT_QUEUED_TWICE
		:: COUNT(s) <= 0 -> next = s | QUEUED; taken = true
#else
		:: COUNT(s) <= 0 && !(s & QUEUED) -> next = s | QUEUED; taken = true
#endif
		:: else -> next = s - ONE; taken = false
		fi;
		atomic { if :: shared == s -> shared = next; done = true :: else -> s = shared fi };
		if
		:: done ->
			done = false;
			clear_locals();
			if
			:: taken -> taken = false; merge_queue()
			:: else
			fi;
			break
		:: else
		fi
	od
}

inline merge_zero()
{
	s = shared;
	if
#ifdef MUT_PLAIN_PUBLISHED
	:: s == 0 ->
#else
	:: s == 0 && !published ->
#endif
		own = OWN_MERGED;
		atomic { shared = MERGED | DEAD; dies() }
	:: else ->
		do
		:: next = s | MERGED;
			if
			:: COUNT(s) == 0 && !(s & QUEUED) -> next = next | DEAD
			:: else
			fi;
			atomic {
				if
				:: shared == s ->
					shared = next;
					if
					:: next & DEAD -> dies()
					:: else
					fi;
					done = true
				:: else -> s = shared
				fi
			};
			if
			:: done -> done = false; break
			:: else
			fi
		od;
		if
		:: next & DEAD -> own = OWN_MERGED
		:: else -> disown()
		fi;
		if
		:: (next & QUEUED) && COUNT(next) == 1 -> clear_locals(); drain()
		:: else
		fi
	fi;
	clear_locals()
}

/* The owner, inside its gate; or its successor, who bears the same key. */
inline release_owner()
{
	if
	:: own == KEY ->
		atomic { held[t]--; l = own_count };
		l = l - 1;
		own_count = l;
		if
		:: l == 0 -> merge_zero()
		:: l && (shared & QUEUED) -> drain()
		:: else
		fi;
		clear_locals()
	:: else -> release_foreign()
	fi
}

inline retain_owner()
{
	if
	:: own == KEY ->
		l = own_count;
		l = l + 1;
		own_count = l;
		clear_locals()
	:: else -> shared = shared + ONE
	fi;
	held[t]++
}

inline try_retain_foreign()
{
	atomic {
		old = shared;
		shared = shared + ONE;
#ifdef MUT_TRY_BLIND
		held[t]++
#else
		if :: !(old & DEAD) -> held[t]++ :: else fi
#endif
	};
#ifndef MUT_TRY_BLIND
	if
	:: old & DEAD ->
		atomic { old = shared; shared = shared - ONE };
		if
		:: !(old & DEAD) && COUNT(old) == 1 -> win_death()
		:: else
		fi
	:: else
	fi;
#endif
	old = 0
}

/* ---- gate.h ---- */

inline enter()
{
	store_gate(1);
	do
	:: r = request;
		if
		:: !r -> break
		:: r == R_DRAIN -> request = request & ~R_DRAIN; drain()
		:: r & R_SEIZE ->
			store_gate(0);
			!(request & R_SEIZE);
			store_gate(1)
		fi
	od;
	r = 0
}

#define leave() store_gate(0)

/* ---- processes ---- */

inline leave_for_good()
{
	enter();
	drain();
	if
	:: own == KEY -> merge(0)
	:: else
	fi;
	leave();
	enter();
#ifndef MUT_NO_CLOSING
	lock_queue();
	closed = true;
	unlock_queue();
#endif
#ifndef MUT_NO_LAST_DRAIN
	drain();
#endif
	leave();
	lock_registry();
	attached = false;
	unlock_registry()
}

proctype owner()
{
	byte t = T, n, r;
	short s, next, l, old;
	bool done, taken, is_key;
	do
	:: n < OPS && held[t] -> n++; enter(); release_owner(); leave()
	:: n < OPS && held[t] -> n++; enter(); retain_owner(); leave()
	:: n < OPS && held[t] -> n++; atomic { held[t]--; held[1]++ } /* a message */
	:: break
	od;
	if
	:: leave_for_good();
		if
		:: skip
		:: /* a successor with the same record and key */
			lock_registry();
			lock_queue();
			closed = false;
			unlock_queue();
			request = 0;
			attached = true;
			unlock_registry();
			enter();
			leave()
		fi
	:: skip /* sleeps for ever */
	fi;
	n_over++
}

proctype foreign(byte t)
{
	byte n;
	short s, next, l, old;
	bool done, taken, is_key;
	do
	:: n < OPS && held[t] -> n++; release_foreign()
	:: n < OPS && held[t] -> n++; atomic { shared = shared + ONE; held[t]++ }
	:: n < OPS && held[t] -> n++; atomic { held[t]--; held[OTHER]++ }
	:: n < OPS && !held[t] && published -> n++; try_retain_foreign()
	:: break
	od;
	n_over++
}

inline seize()
{
#ifdef MUT_NO_SEIZURE
	drain()
#else
	request = request | R_SEIZE;
#ifndef MUT_NO_MEMBARRIER
	atomic { empty_gate() };
#endif
	if
	:: gate == 0 -> drain()
	:: else
	fi;
	request = request & ~R_SEIZE
#endif
}

/* The tick, and in the end the question whether all is well. */
proctype collector()
{
	short s, next, l;
	bool done, taken, is_key;
	do
	:: queued && attached ->
		lock_registry();
		if
		:: attached -> seize()
		:: else
		fi;
		unlock_registry();
		if
		:: queued -> request = request | R_DRAIN /* it is inside: at its next operation */
		:: else
		fi
	:: n_over == 3 && (!queued || !attached) -> break
	od;
	assert(!reused || (own == KEY_ANOTHER && own_count == 1)); /* nobody wrote into the next life of the block */
	assert(!left_dead);
	assert(!queued);
	assert(died == nobody_holds);
	assert(died || !(shared & QUEUED));
	assert(died || (shared & MERGED -> 0 : own_count) + COUNT(shared) == held[0] + held[1] + held[2])
}

init
{
	atomic {
		if :: published = false :: published = true fi;
		held[1] = 1;
#ifndef ALONE
		if :: held[2] = 0 :: held[2] = 1 fi;
#endif
#ifndef VANISHED
		held[T] = 1;
		run owner();
#else
		closed = true;
		n_over++;
#endif
		own_count = held[0] + held[1] + held[2];
		run foreign(1);
#ifdef ALONE
		n_over++;
#else
		run foreign(2);
#endif
		run collector()
	}
}
