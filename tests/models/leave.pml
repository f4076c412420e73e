/*
 * leave.pml - a thread that leaves walks its pages, which change under the walk
 *
 * Models lib/count/merge.c (oi_merge_leave: a page, then out of the gate and in again, then the
 * next page), lib/heap/empty.c (oi_page_emptied, which spares the pages of a heap that is
 * leaving), lib/heap/orphan.c (oi_heap_abandon, which gives the empty ones back) and who takes a
 * free page.
 *
 * The leaver has two pages, one object in each that bears its key. Between two pages its objects
 * may die, and a page that has none becomes empty: it goes back, and another thread, which has a
 * page already, takes it for an object of its own. The walk follows the links of the list.
 * Afterwards the leaver's key is given out again. Asserted: the walk is never in a page of another
 * thread, and when the key is given out no object bears it.
 *
 * A step is what happens within one stay inside a gate, or under the heap lock.
 *
 * RUN:
 * MUT_PAGES_GO: a page that becomes empty goes back, though its thread walks its pages
 */
#define NONE 9
#define LEAVER 1
#define OTHER 2

byte owner[3];   /* of a page; 0: free */
byte next[3];    /* in its owner's list */
bool live[3];    /* has an object */
bool mine[3];    /* which bears the leaver's key */
bool leaving;

init {
	atomic {
		owner[0] = LEAVER; next[0] = 1; live[0] = true; mine[0] = true;
		owner[1] = LEAVER; next[1] = NONE; live[1] = true; mine[1] = true;
		owner[2] = OTHER; next[2] = NONE; live[2] = true;
		leaving = true;
		run leaver(); run deaths(); run taker()
	}
}

inline give_back(p)
{
	owner[p] = 0;
	if
	:: p == 1 && next[0] == 1 -> next[0] = NONE
	:: else
	fi
}

inline merge_page(p)
{
	assert(owner[p] == LEAVER);
	mine[p] = false
}

proctype leaver()
{
	byte p = 0;
	do
	:: p != NONE ->
		atomic { merge_page(p) };
		/* the gate is left, and entered */
		p = next[p]
	:: else -> break
	od;
	atomic { /* oi_heap_abandon */
		leaving = false;
		assert(!(live[0] && mine[0]) && !(live[1] && mine[1]))
	}
}

/* Objects die at any time, merged or not. */
proctype deaths()
{
	byte p = 0;
	do
	:: p < 2 ->
		if
		:: atomic {
			live[p] && owner[p] == LEAVER ->
				live[p] = false;
				mine[p] = false;
				if
#ifdef MUT_PAGES_GO
				:: true -> give_back(p)
#else
				:: !leaving -> give_back(p)
				:: else
#endif
				fi
			}
		:: true
		fi;
		p++
	:: else -> break
	od
}

/* Takes a page that is free, and makes an object there; it goes in front of what it has. */
proctype taker()
{
	byte p = 0;
	do
	:: p < 2 ->
		atomic {
			if
			:: owner[p] == 0 -> owner[p] = OTHER; next[p] = 2; live[p] = true
			:: else
			fi
		};
		p++
	:: else -> break
	od
}
