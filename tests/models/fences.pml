/*
 * fences.pml - two threads that each write one word, then read the other's
 *
 * Models, without X1: a foreign free against its harvest [H1], lib/heap/foreign.h (oi_foreign_free),
 * lib/heap/foreign.c (heap_to_queue_at, harvest_page), lib/heap/heap.c (take_remote). With X1: a traverse beside the mutators against
 * the clear and destroy of its object [X1], lib/heap/type.c (oi_call_traverse_of_living,
 * oi_await_traverse).
 *
 * Such a pair needs a fence between the write and the read on both sides: else each may read what
 * was there before the other's write. On x86 every read-modify-write is one; elsewhere it is if it
 * is sequentially consistent, and not if it is only acquire and release: then the thread's next
 * load may come before its store is seen. So a read-modify-write is one step where the library has
 * it sequentially consistent; where a mutation has it weaker, it is begun (its word is reserved,
 * as others' read-modify-writes come before it or after it), the load is done, and it ends; or they
 * are done in order. Plain stores go through a buffer of one entry, which a fence empties.
 *
 * [H1] A page with two blocks, which two freers free: each pushes its block with its count, in one
 * word. The owner takes the page off its heap's stack, harvests its count, and when all is free may
 * give it back, blocks and all; then it takes it again, and makes a third object in it, which the
 * second freer frees. At any time it may take the blocks with their count, to use them. The first
 * freer may be late: a page without a heap is not queued. Asserted: a page is linked once at a time,
 * and only if it has a heap; nothing is pushed onto a page that was given back. All are counted at
 * last: else the owner waits for ever, which is found as a deadlock. Abstracted: stacks and counts
 * are sets; a page's way to another heap ([H3], leave.pml).
 *
 * [X1] A collection traverses an object, twice, unless it is dead; a thread kills it, waits until
 * it is not traversed, and destroys it. Asserted: it is not destroyed while it is read.
 *
 * RUN:
 * RUN: -DX1
 * MUT_PUSH_WEAK: the push of a block is no fence: the look at remote_queued may come first
 * MUT_TAKE_LOOKS: before it takes the count the owner looks at it, with a plain load
 * MUT_CLEAR_LOOKS: likewise a freer that finds a page without a heap, after it cleared the flag
 * MUT_LOOK_FIRST: a freer looks at remote_queued before it pushes
 * MUT_TAKE_FIRST: the owner takes the count before it clears remote_queued
 * MUT_USE_CLEARS: the owner that takes the blocks to use them clears remote_queued
 * MUT_SET_UNSEEN: remote_queued is looked at and set in two steps
 * MUT_HEAPLESS: a page that has no heap is left alone, whatever lies in it by then
 * MUT_NO_TRAVERSE_FENCE -DX1: no fence between the store of traversed and the look at the object
 * MUT_NO_DEATH_FENCE -DX1: no fence between the death and the look at traversed
 * MUT_DEAD_LATE -DX1: the object is marked dead only after the look at traversed
 * MUT_NOT_AWAITED -DX1: the look at traversed does not wait
 */

#ifndef X1

byte remote;        /* a bit for each block that others freed and used still counts */
byte reserved;      /* likewise of a push that is not seen yet: 1; of a clearing: 2 */
bool queued;        /* remote_queued */
bool linked;        /* the page is in its heap's stack */
bool heap = true;   /* it has one */
byte used = 2;
bool third;         /* the third object is made */
bool again;         /* the page was given back, and taken again */

/* Between the two halves of a read-modify-write comes no other of that word. */
#define no_push (!(reserved & 1))
#define no_clearing (!(reserved & 2))

inline push(block)
{
	atomic { no_push -> assert(block == 4 || !again); remote = remote | block }
}

/* Sets seen to what remote_queued was. */
inline push_and_look(block)
{
#ifdef MUT_PUSH_WEAK
	if
	:: atomic { no_push -> reserved = reserved | 1 };
		seen = queued;
		atomic { remote = remote | block; reserved = reserved & 2 }
	:: push(block);
		seen = queued
	fi
#elif defined(MUT_LOOK_FIRST)
	seen = queued;
	push(block)
#else
	push(block);
	seen = queued
#endif
}

inline set_queued()
{
#ifdef MUT_SET_UNSEEN
	seen = queued;
	queued = true
#else
	atomic { no_clearing -> seen = queued; queued = true }
#endif
}

/* Clears remote_queued, then looks at the count with a load that is a fence as the clearing is. */
inline clear_and_look()
{
#ifdef MUT_CLEAR_LOOKS
	if
	:: atomic { no_clearing -> reserved = reserved | 2 };
		any = remote;
		atomic { queued = false; reserved = reserved & 1 }
	:: atomic { no_clearing -> queued = false };
		any = remote
	fi
#else
	atomic { no_clearing -> queued = false };
	any = remote
#endif
}

inline link()
{
	atomic { assert(!linked); linked = true }
}

/* heap_to_queue_at, and the push of the page. */
inline queue_page()
{
	do
	:: heap -> link(); break
	:: !heap ->
#ifdef MUT_HEAPLESS
		atomic { queued = false };
		break
#else
		clear_and_look();
		if
		:: any ->
			set_queued();
			if
			:: seen -> break
			:: else
			fi
		:: else -> break
		fi
#endif
	od
}

inline free(block)
{
	push_and_look(block);
	if
	:: !seen ->
		set_queued();
		if
		:: !seen -> queue_page()
		:: else
		fi
	:: else
	fi;
	atomic { seen = false; any = 0 }
}

proctype freer(byte id)
{
	bool seen;
	byte any;
	free(id);
	if
	:: id == 2 -> third; free(4)
	:: else
	fi
}

inline take()
{
	atomic {
		no_push -> got = remote;
		remote = 0;
		do
		:: got & 1 -> got = got & 6; used--
		:: got & 2 -> got = got & 5; used--
		:: got & 4 -> got = got & 3; used--
		:: else -> break
		od
	}
}

inline harvest()
{
	atomic { linked -> linked = false; assert(heap) };
#ifdef MUT_TAKE_FIRST
	take();
	atomic { no_clearing -> queued = false }
#elif defined(MUT_TAKE_LOOKS)
	if
	:: atomic { no_clearing -> reserved = reserved | 2 };
		any = remote;
		atomic { queued = false; reserved = reserved & 1 }
	:: atomic { no_clearing -> queued = false };
		any = remote
	fi;
	if
	:: any -> take()
	:: else
	fi;
	any = 0
#else
	atomic { no_clearing -> queued = false };
	take()
#endif
}

/* The owner takes the blocks, and their count with them. */
inline use()
{
	remote -> take();
#ifdef MUT_USE_CLEARS
	atomic { no_clearing -> queued = false }
#endif
}

/* As long as anything is in use the page must come back. */
inline harvest_all()
{
	do
	:: used -> use()
	:: used -> harvest()
	:: else -> break
	od
}

proctype owner()
{
	byte got, any;
	harvest_all();
	if
	:: !linked -> /* else it takes it off first */
		heap = false;
		again = true;
		atomic { used = 1; heap = true }
	:: linked -> used = 1
	:: used = 1
	fi;
	third = true;
	harvest_all();
	assert(remote == 0)
}

init
{
	atomic {
		run freer(1);
		run freer(2);
		run owner()
	}
}

#else

bool traversed;
byte buffer;        /* of the collector's store to it: 0: empty; else 1 + value */
bool dead, dying;   /* dying: the read-modify-write is begun */
bool reads;         /* traverse runs */

#define empty_buffer() if :: buffer -> traversed = buffer - 1; buffer = 0 :: else fi

active proctype memory()
{
end:
	do
	:: atomic { buffer -> empty_buffer() }
	od
}

proctype collector()
{
	byte n;
	do
	:: n < 2 ->
		n++;
		atomic { empty_buffer(); buffer = 2 };
#ifndef MUT_NO_TRAVERSE_FENCE
		atomic { empty_buffer() };
#endif
		if
		:: !dead ->
			reads = true;
			reads = false
		:: else
		fi;
		atomic { empty_buffer(); buffer = 1 }
	:: else -> break
	od
}

inline await()
{
#ifdef MUT_NOT_AWAITED
	skip
#else
	!traversed
#endif
}

proctype killer()
{
#ifdef MUT_NO_DEATH_FENCE
	if
	:: dying = true; await(); dead = true
	:: dead = true; await()
	fi;
#elif defined(MUT_DEAD_LATE)
	await();
	dead = true;
#else
	dead = true;
	await();
#endif
	assert(!reads)
}

init
{
	atomic {
		run collector();
		run killer()
	}
}

#endif
