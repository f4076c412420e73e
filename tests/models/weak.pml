/*
 * weak.pml - weak references against death, and the reuse of side table entries
 *
 * Models lib/count/weak.c (oi_weak_entry_of, ouro_weak_store, ouro_weak_load, oi_weak_sever) and
 * lib/heap/entry.c (oi_entry_recycle), and of lib/count/count.c the attempt to retain and the last
 * release of a merged object.
 *
 * Objects are born one after the other into blocks that are used again, and weakly referenced
 * through entries that are. Two makers hold an object each at first, the same one, and store a weak
 * reference to it into a cell each; the last one to release it carries out its death, and makes the
 * next object, whose weak reference goes into a third cell. A reader upgrades the first and the
 * third.
 *   entry: free -> object set, index installed by compare-and-swap (the loser gives its entry back) -> expired: object
 *          0, index taken away -> a grace period -> version + 1 -> free. A version about to wrap
 *          retires the entry.
 *   count: ONE for each reference, DEAD as in lib/world/object.h, MERGED throughout.
 * Asserted: what an upgrade of a cell returns is the object the cell was made for, alive, and was
 * not dead when it was retained; two weak references to one object name the same entry.
 *
 * The grace period is what limbo.pml shows of it: whoever was inside its gate when the block or
 * entry was sealed has left. A reader that enters later does not hold it up, even if an old cell
 * leads it to the entry: that is the point of the version, and why ouro_weak_load must read it
 * after the object. (Read first, as in MUT_VERSION_FIRST, it may still be the old one, and the
 * object already that of the entry's next life.) In that order an upgrade does not even need the
 * entry's own grace period, only the block's: -DNO_GRACE_ENTRY does without. A step is one load,
 * store or read-modify-write, in program order: assumed are acquire and release on object [W1],
 * index [W3], cell [W4], and on the version. Atomic blocks are one read-modify-write, or add what
 * the assertions note. Abstracted: biased counts (merge.pml); caches of entries (one list here);
 * chunks, which never move; watches; expiry of all garbage in a stop, where no reader is inside.
 *
 * RUN:
 * RUN: -DNO_GRACE_ENTRY
 * MUT_VERSION_FIRST: the version is compared before the object is read
 * MUT_NO_VERSION: the version is not compared
 * MUT_NO_GRACE -DNO_GRACE_ENTRY: block and entry are used again without a grace period
 * MUT_VERSION_WRAPS: an entry whose version wraps is used again
 * MUT_NOT_SEVERED: the entry is not emptied at death
 * MUT_INDEX_STORED: the index is stored, not installed by compare-and-swap
 * MUT_TRY_BLIND: an attempt to retain does not look whether the count was DEAD
 * MUT_NO_STICKY_ZERO: whoever takes the count to 0 takes the object for dead, without the exchange 0 -> DEAD
 */
#define ENTRIES 3 /* 0 is no entry */
#define BLOCKS 2
#define VERSIONS 3 /* 1, 2, then it would wrap */

#define DEAD 1
#define ONE 2

/* Objects are numbered as they are born. By block: */
byte lives[BLOCKS];   /* which object is in it, for the assertions */
short count[BLOCKS];
byte index[BLOCKS];
bool free_block[BLOCKS];
/* By entry: */
byte entry_object[ENTRIES]; /* 0, or 1 + block */
byte version[ENTRIES];
bool free_entry[ENTRIES];
/* The cells, and for which object each was made. */
byte cell_entry[3], cell_version[3], cell_of[3];

byte born;
bool inside; /* the reader */
bit passed;  /* changes when it leaves */

/* ---- weak.c ---- */

/* Who holds a reference stores block b into cell c. */
inline weak_store(c, b)
{
	x = index[b];
	if
	:: !x ->
		atomic { /* under the table's lock, or from the thread's cache */
			if
			:: free_entry[1] -> x = 1
			:: else -> assert(free_entry[2]); x = 2
			fi;
			free_entry[x] = false
		};
		atomic { if :: !version[x] -> version[x] = 1 :: else fi }; /* its own as yet */
		entry_object[x] = 1 + b;
#ifdef MUT_INDEX_STORED
		index[b] = x
#else
		atomic { if :: !index[b] -> index[b] = x; y = 0 :: else -> y = index[b] fi };
		if
		:: y ->
			entry_object[x] = 0;
			free_entry[x] = true;
			x = y
		:: else
		fi
#endif
	:: else
	fi;
	atomic {
		assert(c == 2 || !cell_entry[1 - c] || cell_entry[1 - c] == x);
		cell_entry[c] = x;
		cell_version[c] = version[x];
		cell_of[c] = lives[b]
	};
	x = 0;
	y = 0
}

#define grace_begins() atomic { was_inside = inside; had_passed = passed }
#define grace_over (!was_inside || !inside || had_passed != passed)

/* This thread won the death of block b. */
inline death(b)
{
	x = index[b];
	if
	:: x ->
#ifndef MUT_NOT_SEVERED
		entry_object[x] = 0;
#endif
		index[b] = 0
	:: else
	fi;
	grace_begins();
#ifndef NO_GRACE_ENTRY
	grace_over;
#endif
	if
	:: x ->
		y = version[x] + 1;
		if
#ifdef MUT_VERSION_WRAPS
		:: y == VERSIONS -> version[x] = 1; free_entry[x] = true
#else
		:: y == VERSIONS /* retired */
#endif
		:: else -> version[x] = y; free_entry[x] = true
		fi
	:: else
	fi;
#ifndef MUT_NO_GRACE
	grace_over;
#endif
	free_block[b] = true;
	x = 0;
	y = 0
}

/* A new object, its only reference this thread's. */
inline new(b)
{
	atomic {
		if
		:: free_block[0] -> b = 0
		:: else -> assert(free_block[1]); b = 1
		fi;
		free_block[b] = false
	};
	atomic { born++; lives[b] = born; count[b] = ONE } /* published by the weak store only */
}

/* last: this thread won the death. */
inline release(b)
{
	atomic { s = count[b]; count[b] = count[b] - ONE };
	if
	:: s == ONE ->
#ifdef MUT_NO_STICKY_ZERO
		last = true
#else
		atomic { if :: count[b] == 0 -> count[b] = DEAD; last = true :: else fi }
#endif
	:: else
	fi;
	s = 0
}

inline try_retain(b)
{
	atomic { s = count[b]; count[b] = count[b] + ONE };
#ifndef MUT_TRY_BLIND
	if
	:: s & DEAD ->
		atomic { count[b] = count[b] - ONE };
		got = false
	:: else -> got = true
	fi;
#else
	got = true;
#endif
	s = 0
}

inline load_object()
{
	o = entry_object[w_entry]
}

inline compare_generation()
{
#ifndef MUT_NO_VERSION
	same = (version[w_entry] == w_version)
#else
	same = true
#endif
}

inline weak_load()
{
	atomic { w_entry = cell_entry[c]; w_version = cell_version[c]; w_of = cell_of[c] }; /* one word */
#ifdef MUT_VERSION_FIRST
	compare_generation();
	load_object();
#else
	load_object();
	compare_generation();
#endif
	if
	:: same && o -> try_retain(o - 1)
	:: else
	fi;
	atomic { if :: got -> assert(lives[o - 1] == w_of && !free_block[o - 1]) :: else fi }
}

/* ---- processes ---- */

proctype maker(byte t)
{
	byte b, x, y, n;
	bit had_passed;
	short s;
	bool last, was_inside;
	weak_store(t, 0);
	release(0);
	do
	:: last ->
		last = false;
		death(b);
		if
		:: n == 2 -> break
		:: else
		fi;
		n++;
		new(b);
		weak_store(2, b);
		release(b)
	:: else -> break
	od
}

proctype reader()
{
	byte c, w_entry, w_version, w_of, o, x, y;
	bit had_passed;
	short s;
	bool same, got, last, was_inside;
	do
	:: if
		:: cell_entry[0] -> c = 0
		:: cell_entry[2] -> c = 2
		:: break
		fi;
		inside = true;
		weak_load();
		atomic { inside = false; passed = 1 - passed; same = false };
		if
		:: got ->
			atomic { got = false; assert(!free_block[o - 1]) };
			release(o - 1);
			if
			:: last -> last = false; death(o - 1)
			:: else
			fi
		:: else
		fi;
		atomic { c = 0; o = 0; w_entry = 0; w_version = 0; w_of = 0 }
	od
}

init
{
	atomic {
		free_block[1] = true;
		free_entry[1] = true;
		free_entry[2] = true;
		born = 1;
		lives[0] = 1;
		count[0] = 2 * ONE;
		run maker(0);
		run maker(1);
		run reader()
	}
}
