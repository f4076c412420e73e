/*
 * frames.pml - a wide object that is taken apart in slices, against the reuse of what it has released
 *
 * Models lib/count/death.c (release_children and its frames of object and cursor),
 * lib/count/backlog.c (merge_ahead_of, before what waits is handed over), lib/count/merge.c
 * (merge_child: a look at own, then a compare-and-swap into the block) and the grace period of
 * limbo.c as far as it matters: a block that was freed is used again only when nobody is in the
 * gate that was inside then.
 *
 * One dead object with a fixed slot and items, whose thread takes it apart: the slot with the first
 * slice, then items. What the slot names has one more holder, another thread, which lets go of it
 * at any time. Whoever drops the last reference frees the block, which somebody uses again for
 * something else. The batch may run out between any two slices: then what waits is merged ahead,
 * and handed over. Asserted: merging ahead looks at a block only while what the slot named lives
 * there; the block is freed once.
 *
 * A step is one load, one store or one read-modify-write, in program order.
 *
 * RUN:
 * MUT_ANY_FRAME: a frame is merged ahead whatever its cursor says
 */
#define SLICES 3

byte count = 2;   /* references to what the slot names: the slot's, the other thread's */
bool lives = true; /* in the block */
bool reused;      /* something else lives there */
bool in_gate;     /* the dismantling thread */
bool waits;       /* the freed block, for that thread to have been outside once */
byte n_freed;

inline drop()
{
	atomic {
		count--;
		if
		:: count == 0 -> lives = false; n_freed++; assert(n_freed == 1); waits = in_gate
		:: else
		fi
	}
}

inline merge_ahead()
{
	/* the look at own, and the exchange: the thread may be anywhere in between, but stays inside its gate */
	assert(lives && !reused);
	assert(lives && !reused)
}

active proctype dismantler()
{
	byte cursor = 0;
	do
	:: cursor < SLICES ->
		in_gate = true;
		if /* the batch has run out, or not */
		:: true ->
			if
#ifdef MUT_ANY_FRAME
			:: true -> merge_ahead()
#else
			:: cursor == 0 -> merge_ahead()
			:: else
#endif
			fi
		:: true
		fi;
		if
		:: cursor == 0 -> drop() /* the slot keeps its pointer */
		:: else
		fi;
		cursor++;
		atomic { in_gate = false; waits = false }
	:: else -> break
	od
}

active proctype other_holder()
{
	drop()
}

active proctype other_user()
{
	atomic { !lives && !waits -> reused = true }
}
