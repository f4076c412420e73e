/*
 * split.pml - nodes that come into a list in order, leave it and are looked for, and a bucket that
 * is linked meanwhile [J1] [J3]
 *
 * Models lib/contain/split.c (make_ready, entrance, seek, pass, oi_split_insert, oi_split_remove,
 * oi_split_find): a first bucket, a second one, and behind that nodes of three orders. With
 * UNTOUCHED a thread inserts a node and looks for it, one removes a node that is there from the
 * beginning, and one looks for a key that stays, while the second bucket, by which all go in, is
 * linked by whoever comes first. Without, it is linked already; two threads insert nodes of one
 * key, of which one removes its own again, beside the one that removes. Asserted: a key is not in
 * the list twice; who has begun after a removal ended does not meet the node (its block may be
 * another's when those are gone who had begun before); what stays is found; a bucket is linked
 * once; a walk ends. Each access to a link is a step. Left out: growing, nodes whose orders are
 * equal and keys are not.
 *
 * RUN: -DUNTOUCHED
 * RUN:
 * MUT_CLAIMED_TWICE -DUNTOUCHED: a bucket is claimed by a look and a store
 * MUT_READY_EARLY -DUNTOUCHED: a bucket may be entered by before it is linked
 * MUT_UNMARKED: a node is unlinked without having been marked
 * MUT_LEFT_IN: a removal does not wait until the node is unlinked
 * MUT_LINK_BLIND: a node is linked by a store
 * MUT_MET_EARLIER: who fails to link a node does not look again for one of the same key
 */
#define HEAD 0   /* the first bucket */
#define BUCKET 1 /* the second */
#define OLD 2    /* of order 2; removed */
#define A 3      /* of order 3, both of one key */
#define B 4
#define STAYS 5  /* of order 4 */
#define NODES 6
#define END 7

#define NEW 0
#define CLAIMED 1
#define READY 2

byte next[NODES];
bool removed[NODES]; /* the lowest bit of the link */
byte order[NODES];
byte state; /* of the second bucket */
bool gone[NODES];       /* the removal has ended */
byte n_key;             /* nodes of A's and B's key that are linked and not removed */
bool linked_once;

/* A walk: the node whose link is looked at, what that says, and what had gone when it began. */
#define WALK_STATE byte at, to, then; bool ok, dead, was[NODES]; byte steps

inline begin_walk()
{
	atomic {
		was[OLD] = gone[OLD];
		was[A] = gone[A];
		was[B] = gone[B]
	}
}

inline meet(n)
{
	assert(n == END || !was[n]);
	steps++;
	assert(steps < 40)
}

/* A step that is one compare-and-swap of node p's link, from x to y. */
inline cas_link(p, x, y)
{
	atomic {
		ok = (next[p] == x && !removed[p]);
		if
		:: ok -> next[p] = y
		:: else
		fi
	}
}

/*
 * From @from to the end of @o's run: at is the node whose link is to be changed, to what it holds.
 * found: a node of order @o is there, if @match.
 */
inline seek(from, o, match)
{
	do
	:: /* again */
		at = from;
		to = next[at];
		found = false;
		ok = true;
		do
		:: to == END || order[to] > o -> break
		:: else ->
			meet(to);
			atomic { then = next[to]; dead = removed[to] }
			if
			:: !dead && match && order[to] == o -> found = true; break
			:: !dead && !(match && order[to] == o) -> at = to
			:: dead ->
				cas_link(at, to, then);
				if
				:: !ok -> break
				:: else
				fi
			fi;
			to = then
		od;
		if
		:: ok -> break
		:: else
		fi
	od
}

inline link_bucket()
{
	do
	::
		seek(HEAD, order[BUCKET], false);
		next[BUCKET] = to;
		atomic {
			cas_link(at, to, BUCKET);
			if
			:: ok -> assert(!linked_once); linked_once = true; break
			:: else
			fi
		}
	od;
	state = READY
}

/* Sets enter to the bucket by which this thread goes in. */
inline entrance()
{
	if
	:: state == READY -> enter = BUCKET
	:: else ->
#ifdef MUT_CLAIMED_TWICE
		ok = (state == NEW);
		if
		:: ok -> state = CLAIMED
		:: else
		fi;
#else
		atomic {
			ok = (state == NEW);
			if
			:: ok -> state = CLAIMED
			:: else
			fi
		}
#endif
#ifdef MUT_READY_EARLY
		if
		:: ok -> state = READY; enter = BUCKET; link_bucket()
		:: else -> enter = HEAD
		fi
#else
		if
		:: ok -> link_bucket(); enter = BUCKET
		:: else -> enter = HEAD
		fi
#endif
	fi
}

inline insert(n)
{
	entrance();
	do
	::
#ifdef MUT_MET_EARLIER
		seek(enter, order[n], !again);
		again = true;
#else
		seek(enter, order[n], true);
#endif
		if
		:: found -> break
		:: else
		fi;
		next[n] = to;
#ifdef MUT_LINK_BLIND
		atomic { next[at] = n; ok = true; n_key++ }
#else
		atomic {
			cas_link(at, to, n);
			if
			:: ok -> n_key++
			:: else
			fi
		}
#endif
		assert(n_key <= 1);
		if
		:: ok -> break
		:: else
		fi
	od
}

inline remove(n)
{
#ifdef MUT_UNMARKED
	entrance();
	seek(enter, order[n] - 1, false);
	if
	:: to == n -> then = next[n]; cas_link(at, n, then)
	:: else
	fi;
	if
	:: n != OLD -> n_key--
	:: else
	fi;
#else
	atomic {
		removed[n] = true;
		if
		:: n != OLD -> n_key--
		:: else
		fi
	}
#ifndef MUT_LEFT_IN
	entrance();
	seek(enter, order[n], false);
#endif
#endif
	gone[n] = true
}

inline find(o)
{
	entrance();
	at = enter;
	found = false;
	do
	:: at == END || order[at] > o -> break
	:: else ->
		if
		:: at > BUCKET -> meet(at)
		:: else
		fi;
		if
		:: at > BUCKET && order[at] == o && !removed[at] -> found = true; break
		:: else -> at = next[at]
		fi
	od
}

proctype inserter(byte n; bool leaves)
{
	WALK_STATE;
	byte enter;
	bool found, again;
	begin_walk();
	insert(n);
	if
	:: !found && leaves -> remove(n)
	:: !found && !leaves ->
		steps = 0;
		find(order[n]);
		assert(found)
	:: else
	fi
}

proctype remover()
{
	WALK_STATE;
	byte enter;
	bool found;
	begin_walk();
	remove(OLD);
	begin_walk();
	steps = 0;
	find(order[OLD]);
	assert(!found)
}

proctype finder()
{
	WALK_STATE;
	byte enter;
	bool found;
	begin_walk();
	find(order[STAYS]);
	assert(found)
}

init
{
	atomic {
		order[HEAD] = 0;
		order[BUCKET] = 1;
		order[OLD] = 2;
		order[A] = 3;
		order[B] = 3;
		order[STAYS] = 4;
		next[OLD] = STAYS;
		next[STAYS] = END;
		next[A] = END;
		next[B] = END;
#ifdef UNTOUCHED
		next[HEAD] = OLD;
		next[BUCKET] = END;
		run inserter(A, false);
		run finder();
#else
		next[HEAD] = BUCKET;
		next[BUCKET] = OLD;
		state = READY;
		run inserter(A, true);
		run inserter(B, false);
#endif
		run remover()
	}
}
