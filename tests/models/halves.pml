/*
 * halves.pml - the two halves of a count beside a collection, which reads, flags and declares
 * garbage while others merge
 *
 * Models lib/count/count.c (oi_references), lib/count/merge.c (merge, oi_merge_disown,
 * oi_merge_leave, drain_for), lib/collect/garbage.h (oi_garbage_declare), and the writers of own:
 * oi_commit_flag, take_flag, oi_merge_disown and oi_garbage_declare. commit.pml rests on this:
 * there a count is one number, and merging is nothing.
 *
 * One object, biased to a thread, to which IN_SLOTS references are, in slots of objects that nobody
 * touches: no mutation, so their number stays. The owner's merge queue may hold one more, which
 * whoever drains it drops. The owner, inside its gate, drains its queue, leaves, and merges its
 * objects as it does; a drainer does it on the owner's behalf while it keeps it out. Somebody may
 * rescue the object. The collector, at any time:
 *   flags it; reads the halves; if there are as many references as slots: commits, unless there was
 *   a rescue; declares it garbage, which merges it and adds the collector's reference; else takes
 *   its flag away
 *   own     MERGED, KEY (the owner's), with CANDIDATE or not
 *   local   here own_count; plain loads and stores: see merge.pml
 *   shared  count * ONE + MERGED, QUEUED as in lib/world/object.h
 * With -DONLY_READS it only reads. Asserted: the sum that the collector reads is the number of
 * references at an instant while it read; nobody but a rescue, and the collector, takes the flag
 * away; when the owner has left, own is not its key, with which the next thread to bear it would
 * count in local; in the end the halves are together what there is, in shared alone if it was
 * declared garbage, the collector's among them, and own is MERGED then.
 *
 * A step is one load, one store or one read-modify-write, in program order. Assumed: local's last
 * store before the owner left its gate is seen by whoever saw it outside, or its merge [G1] [C1].
 * The gate is a lock here: merge.pml has it whole. The commit is one step with the end of the
 * rescues: commit.pml.
 *
 * What declares garbage loads shared and stores it: of a committed object nothing but the owner's
 * merge is left, which it overwrites with the same sum, and which is not done again, as it finds
 * MERGED. As local stays when the halves are merged, one look at shared and then one at local will
 * do, for an object without mutations. A merge that clears local afterwards, -DCLEARED_LATE, would
 * need a reader that reads shared again, -DREAD_AGAIN, and an exchange to declare,
 * -DDECLARE_EXCHANGES; with one that clears it before, nothing helps.
 *
 * RUN:
 * RUN: -DREAD_AGAIN -DDECLARE_EXCHANGES
 * RUN: -DREAD_AGAIN -DDECLARE_EXCHANGES -DCLEARED_LATE
 * MUT_LOCAL_CLEARED -DONLY_READS: merging clears local before the exchange that makes it MERGED
 * MUT_CLEARED_LATE: merging clears local after the exchange
 * MUT_READ_ONCE -DCLEARED_LATE -DDECLARE_EXCHANGES: the same, and shared is not read again
 * MUT_DECLARE_STORES -DCLEARED_LATE -DREAD_AGAIN: the same, and what declares garbage loads and
 * stores
 * MUT_MERGED_LOCAL: whoever reads or merges adds local though it is MERGED
 * MUT_DRAIN_UNSEIZED: the queue is drained on behalf of an owner that is not kept out
 * MUT_DECLARE_ADDS: what declares garbage adds local though it is MERGED
 * MUT_DISOWN_STORES: a merge stores MERGED to own
 * MUT_FLAG_STORES: the collector loads own and stores it with the flag
 * MUT_UNFLAG_STORES: a rescue loads own and stores it without the flag
 */
#if defined(MUT_CLEARED_LATE)
#define CLEARED_LATE
#endif

#define OWN_MERGED 0
#define KEY 1
#define CANDIDATE 2

#define MERGED 1
#define QUEUED 2
#define ONE 8
#define COUNT(s) ((s) >> 3)

#define IN_SLOTS 2

byte own = KEY;
byte own_count;
short shared;
bool queued;          /* the merge queue has it */
bool gate;            /* the owner is inside, or kept out */
bool left;
bool rescued, committed;
byte references;      /* for the assertions */
byte n_over;

#define lock_gate() atomic { !gate -> gate = true }
#define unlock_gate() gate = false

/* ---- merge.c ---- */

inline disown()
{
#ifdef MUT_DISOWN_STORES
	own = OWN_MERGED
#else
	atomic { if :: (own & ~CANDIDATE) == KEY -> own = own & CANDIDATE :: else fi }
#endif
}

#ifdef MUT_MERGED_LOCAL
#define local_counts(s) true
#else
#define local_counts(s) !((s) & MERGED)
#endif

inline merge(drop)
{
	s = shared;
	key = own & ~CANDIDATE;
	do
	:: if
		:: local_counts(s) -> l = own_count
		:: else -> l = 0
		fi;
#ifdef MUT_LOCAL_CLEARED
		if
		:: !(s & MERGED) && l -> folded = l; own_count = 0
		:: else
		fi;
		if
		:: !(s & MERGED) -> l = folded
		:: else
		fi;
#endif
		next = ((s & ~(drop * QUEUED)) + (l - drop) * ONE) | MERGED;
		atomic {
			if
			:: shared == s -> shared = next; references = references - drop; done = true
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
#ifdef CLEARED_LATE
		own_count = 0;
#endif
		if
		:: key == KEY -> disown()
		:: else
		fi
	:: else
	fi;
	atomic { s = 0; next = 0; l = 0; key = 0; folded = 0 }
}

inline drain()
{
	atomic { taken = queued; queued = false };
	if
	:: taken -> merge(1)
	:: else
	fi;
	taken = false
}

proctype owner()
{
	short s, next;
	byte l, key, folded;
	bool done, taken;
	if
	:: lock_gate();
		drain();
		unlock_gate()
	:: skip
	fi;
	if
	:: lock_gate();
		drain();
		if
		:: (own & ~CANDIDATE) == KEY -> merge(0)
		:: else
		fi;
		unlock_gate();
		atomic { left = true; assert(own != KEY) }
	:: skip /* sleeps for ever */
	fi;
	n_over++
}

proctype drainer()
{
	short s, next;
	byte l, key, folded;
	bool done, taken;
#ifndef MUT_DRAIN_UNSEIZED
	lock_gate();
#endif
	drain();
#ifndef MUT_DRAIN_UNSEIZED
	unlock_gate();
#endif
	n_over++
}

/* ---- candidate.c ---- */

inline take_flag()
{
#ifdef MUT_UNFLAG_STORES
	l = own;
	own = l & ~CANDIDATE;
	l = 0
#else
	own = own & ~CANDIDATE
#endif
}

proctype rescuer()
{
	byte l;
	if
	:: atomic { own & CANDIDATE -> if :: !committed -> rescued = true :: else fi };
		if
		:: rescued -> take_flag()
		:: else
		fi
	:: skip
	fi;
	n_over++
}

/* ---- count.c ---- */

inline read_halves()
{
	before = references;
	s = shared;
	do
	:: l = own_count;
#ifdef READ_AGAIN
		again = shared;
		if
		:: again == s -> break
		:: else -> s = again
		fi
#else
		break
#endif
	od;
	atomic {
		sum = COUNT(s) + (local_counts(s) -> l : 0);
		assert(sum == before || sum == references);
		again = 0; s = 0; l = 0; before = 0
	}
}

/* ---- commit.c, garbage.c ---- */

inline flag()
{
#ifdef MUT_FLAG_STORES
	l = own;
	own = l | CANDIDATE;
	l = 0
#else
	own = own | CANDIDATE
#endif
}

inline declare()
{
	s = shared;
	do
	:: if
#ifdef MUT_DECLARE_ADDS
		:: l = own_count
#else
		:: s & MERGED -> l = 0
		:: else -> l = own_count
#endif
		fi;
#ifdef DECLARE_EXCHANGES
		atomic {
			if
			:: shared == s -> shared = (s + (l + 1) * ONE) | MERGED; done = true
			:: else -> s = shared
			fi
		};
		if
		:: done -> break
		:: else
		fi
#else
		shared = (s + (l + 1) * ONE) | MERGED;
		break
#endif
	od;
	done = false;
	atomic { s = 0; l = 0 };
	references++;
	own = OWN_MERGED
}

proctype collector()
{
	short s, again, sum;
	byte l, before;
	bool done;
	flag();
	read_halves();
	atomic {
		assert(own & CANDIDATE || rescued);
		if
#ifndef ONLY_READS
		:: sum == IN_SLOTS && !rescued -> committed = true
#endif
		:: else
		fi
	};
	if
	:: committed ->
		read_halves(); /* concurrent.c is not the only one to look */
		assert(own & CANDIDATE);
		declare()
	:: else -> take_flag()
	fi;
	n_over == 3;
	assert(!(own & CANDIDATE));
	assert(!left || (own == OWN_MERGED && (shared & MERGED)));
	assert(!committed || (own == OWN_MERGED && shared == ((IN_SLOTS + 1) * ONE | MERGED)));
	assert(references == COUNT(shared) + (shared & MERGED -> 0 : own_count))
}

init
{
	atomic {
		if
		:: own_count = IN_SLOTS
		:: own_count = IN_SLOTS - 1; shared = ONE
		:: own_count = IN_SLOTS + 1; shared = QUEUED; queued = true
		:: own_count = IN_SLOTS + 2; shared = QUEUED - ONE; queued = true
		fi;
		references = IN_SLOTS + queued;
		run owner();
		run drainer();
		run rescuer();
		run collector()
	}
}
