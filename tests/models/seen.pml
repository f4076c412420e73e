/*
 * seen.pml - a thread that remembers an object does not use what it remembers for too long
 *
 * Models Note [SEEN] of lib/count/count.h (oi_seen_holds, oi_see), lib/world/gate.h (the epoch in
 * the gate), lib/world/world.c (try_finish_epoch, the epoch of oi_world_start), lib/heap/limbo.c (a
 * block is used again after a grace period) and lib/collect/commit.c (flags, a handshake, then what
 * relies on them being seen).
 *
 * One address, at which there is an object of another thread, published. A user, again and again:
 * enters its gate, gets the address (through a slot that names it as long as it is shown, or
 * because it has a reference, which is the same here), counts, and leaves. If it remembers the
 * address, and that holds, it counts without a look at own; else it looks, and remembers what it
 * may. It is pinned, perhaps, for a few operations. The other side, once each, in either order:
 *   reuses  hides the object, waits for a grace period, and makes another one there: the user's own
 *           and never published
 *   flags   sets the flag of a candidate, waits for a grace period, and then relies on it
 * and waits by a grace period or by stopping the world.
 * States of what the user remembers: nothing; (address, epoch): the user.
 * Asserted: an operation that does not look at own finds the object that it was, and if a flag was
 * set before a grace period that is over, no operation that entered since then misses it.
 *
 * Store buffers as in limbo.pml: the user's gate has one of one entry. Loads are one step, in
 * program order, which is what acquire on the epoch [G3] and on the request [G2] gives. Atomic
 * blocks: a read-modify-write, a step of the memory, or a step and what the assertions note of it.
 *
 * RUN:
 * RUN: -DFENCE
 * MUT_NO_EPOCH: what is remembered holds for ever
 * MUT_GATE_EPOCH: it holds if the gate has that epoch, which is looked at once, in entering
 * MUT_PIN_EPOCH: a pinned thread looks at the epoch of its pin
 * MUT_SEE_LATE: it is remembered with the epoch after the look at own
 * MUT_SEE_FLAGGED: an object with a flag is remembered, too
 * MUT_NO_MEMBARRIER: the gates are looked at without a membarrier after the epoch
 * MUT_NO_HANDSHAKE: what relies on the flag does not wait
 * MUT_START_SILENT -DSTOPS: a stop does not count as a grace period
 */
#ifndef OPERATIONS
#define OPERATIONS 4
#endif

#define OTHERS 0 /* own */
#define MINE 1
#define FLAGGED 2

byte epoch = 1;
byte gate, gate_buffer; /* 0: empty; else 1 + value */
byte rest;
bool own_entry;
bool stopping;
byte own = OTHERS;
bool shown = true;
byte object;           /* counts up when the block is used again */
bool relied;           /* a handshake after the flag is over */
byte n_over;

#define empty_gate() if :: gate_buffer -> gate = gate_buffer - 1; gate_buffer = 0 :: else fi
#define store_gate(v) atomic { empty_gate(); gate_buffer = 1 + (v) }

active proctype memory()
{
end:
	do
	:: atomic { gate_buffer -> empty_gate() }
	od
}

inline fence_all()
{
#if !defined(FENCE) && !defined(MUT_NO_MEMBARRIER)
	atomic { empty_gate() }
#else
	skip
#endif
}

inline grace()
{
	if
#ifndef STOPS
	:: epoch++;
		fence_all();
		gate == 0 || gate >= epoch
#endif
	:: stopping = true;
		fence_all();
		gate == 0;
#ifndef MUT_START_SILENT
		epoch++;
#endif
		stopping = false
	fi
}

inline reuse()
{
	shown = false;
	grace();
	atomic { object++; own = MINE; shown = true }
}

/* The flag is not set on what is the user's own: that is another matter. */
inline flag()
{
	atomic { if :: own == OTHERS -> own = FLAGGED :: else fi };
#ifndef MUT_NO_HANDSHAKE
	grace();
#endif
	atomic { if :: own == FLAGGED -> relied = true :: else fi };
	atomic { if :: own == FLAGGED -> own = OTHERS :: else fi; relied = false }
}

active proctype other()
{
	if
	:: true -> reuse()
	:: true -> flag()
	:: true -> flag(); reuse()
	fi;
	n_over++
}

inline enter()
{
	do
	:: e = (own_entry -> rest : epoch);
		store_gate(e);
#ifdef FENCE
		atomic { empty_gate() };
#endif
		if
		:: !stopping || own_entry -> break
		:: else
		fi;
		store_gate(0);
		!stopping
	od
}

/* The flag is looked for before the count, and it is relied upon at a later moment or never. */
inline operation()
{
	enter();
	atomic { missable = !relied; was_shown = shown; found = object };
	if
	:: !was_shown /* nothing leads there */
	:: else ->
#ifdef MUT_NO_EPOCH
		holds = seen;
#else
#ifdef MUT_GATE_EPOCH
		holds = seen && seen_epoch == e;
#else
#ifdef MUT_PIN_EPOCH
		holds = seen && seen_epoch == (own_entry -> rest : epoch);
#else
		holds = seen && seen_epoch == epoch;
#endif
#endif
#endif
		if
		:: holds ->
			/* the count */
			atomic { assert(object == seen_object); assert(own != MINE); assert(missable || own != FLAGGED) }
		:: else ->
			seen = false;
#ifdef MUT_SEE_FLAGGED
			atomic { seen = own != MINE; seen_object = object };
#else
			atomic { seen = own == OTHERS; seen_object = object };
#endif
#ifdef MUT_SEE_LATE
			seen_epoch = (own_entry -> rest : epoch)
#else
			seen_epoch = e
#endif
		fi
	fi;
	holds = false;
	was_shown = false;
	found = 0;
	missable = false;
	store_gate(rest)
}

active proctype user()
{
	byte n, e, seen_epoch, seen_object, found;
	bool seen, holds, was_shown, missable;
	do
	:: n < OPERATIONS ->
		operation();
		n++;
		if
		:: !own_entry && n < OPERATIONS - 1 ->
			enter();
			atomic { rest = e; own_entry = true }
		:: own_entry ->
			own_entry = false;
			rest = 0;
			store_gate(0)
		:: true
		fi
	:: n == OPERATIONS -> break
	od;
	if
	:: own_entry ->
		own_entry = false;
		rest = 0;
		store_gate(0)
	:: else
	fi;
	n_over++
}
