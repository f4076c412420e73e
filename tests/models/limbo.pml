/*
 * limbo.pml - a block is used again only when nobody can hold its address any more
 *
 * Models lib/heap/limbo.c (seal, ripe, oi_limbo_reclaim), lib/world/world.c (try_finish_epoch,
 * oi_grace_try, the epoch of oi_world_start), lib/world/gate.h (the epoch in the gate).
 *
 * One slot names one of two blocks. The freer takes the block out and puts the other one in, seals
 * a batch of that one block, and frees it when its grace period is over; a freed block may go into
 * the slot again, as another object. A reader enters, reads the slot, looks at the block, leaves;
 * or it is pinned in between, and an operation stores to its gate what was there (rest). A helper
 * moves epochs on, by grace periods or by stopping the world. States of a block: shown (in
 * the slot) -> unlinked -> sealed at x -> freed, epoch_done > x -> shown: the freer. States of a
 * gate: 0, or the epoch at entry: its thread, through a store buffer. Asserted: a block that a
 * reader has found in the slot is not free, and is the same object for as long as the reader looks.
 *
 * Store buffers, of one entry (TSO): a thread's gate; the freer's store to the slot, which in the
 * library is a release store or an exchange, and here the weaker of the two. A thread's
 * read-modify-writes empty its slot buffer (they are releases), but not its gate buffer: that is
 * what membarrier is for. Other loads and stores are one step each, in program order; acquire on
 * epoch [G3], epoch_done [G4] and slot [S1] is what that assumes of weaker machines. Atomic blocks:
 * one read-modify-write; or a step of the memory; or a store or load and what the assertions note
 * of it. Abstracted: batches of many; the abandoned list, which has the same test; several freers
 * (the helper moves the epochs as they would) and readers (each gate is looked at for itself); a
 * reader that attaches or leaves (its gate is 0).
 *
 * RUN:
 * RUN: -DFENCE
 * MUT_NO_MEMBARRIER: the gates are looked at without a membarrier after the epoch
 * MUT_NO_ENTRY_FENCE -DFENCE: without membarrier in the kernel, a thread enters without a fence
 * MUT_SEAL_LOADS: the seal is a plain load of the epoch, which does not wait for the unlinking
 * MUT_UNLINK_LATE: the block is sealed before it is taken out of the slot
 * MUT_RIPE_EARLY: a batch counts as ripe when its own epoch is done, not the next
 * MUT_GATE_LATE: the slot is read before the gate is stored
 * MUT_NESTED_ENTRY: an operation in a pinned region stores the epoch of that moment into the gate
 * MUT_NESTED_LEAVE: an operation in a pinned region leaves as any other does
 * MUT_UNPIN_HALF: a thread that is pinned no more goes on entering by its own word
 * MUT_BUSY_IS_DONE: a gate with an older epoch does not hold the grace period up
 * MUT_SKIP_PINNED: the caller of a grace period skips its own gate although its program pinned it
 * MUT_START_PINNED: a thread that forks in a pinned region counts the restart as a grace period
 */
#define NT 2 /* the freer, the reader */
#define FREER 0
#define HELPER NT
#ifndef READS
#define READS 2
#endif
#ifndef FREES
#define FREES 2
#endif
#ifndef GRACES
#define GRACES 2 /* what the helper does */
#endif

byte epoch = 1;
byte epoch_done;
byte gate[NT];
byte rest[NT];       /* what leaving stores */
bool own_entry[NT];  /* entering stores rest, not the epoch */
byte gate_buffer[NT]; /* 0: empty; else 1 + value */
byte slot = 1;        /* block 1 or 2 */
byte slot_buffer;     /* of the freer */
bool stop_request[NT];
bool registry;
bool is_free[3];      /* by block */
byte object[3];       /* counts up when the block is used again */

#define empty_gate(u) if :: gate_buffer[u] -> gate[u] = gate_buffer[u] - 1; gate_buffer[u] = 0 :: else fi
#define empty_slot() if :: slot_buffer -> slot = slot_buffer; slot_buffer = 0 :: else fi
#define store_gate(v) atomic { empty_gate(t); gate_buffer[t] = 1 + (v) }
#define own_release() if :: t == FREER -> empty_slot() :: else fi

active proctype memory()
{
end:
	do
	:: atomic { gate_buffer[0] -> empty_gate(0) }
	:: atomic { gate_buffer[1] -> empty_gate(1) }
	:: atomic { slot_buffer -> empty_slot() }
	od
}

inline fence_all()
{
#if !defined(FENCE) && !defined(MUT_NO_MEMBARRIER)
	atomic { empty_gate(0); empty_slot() };
	atomic { empty_gate(1) }
#else
	skip
#endif
}

/* ---- the gate ---- */

inline enter()
{
	do
	:: e = (own_entry[t] -> rest[t] : epoch);
		store_gate(e);
#if defined(FENCE) && !defined(MUT_NO_ENTRY_FENCE)
		atomic { empty_gate(t); own_release() };
#endif
		if
		:: !stop_request[t] -> break
		:: else
		fi;
		store_gate(0);
		!stop_request[t]
	od;
	e = 0
}

#define leave() store_gate(rest[t])

inline pin()
{
	atomic { rest[t] = (gate_buffer[t] -> gate_buffer[t] - 1 : gate[t]); own_entry[t] = true }
}

inline unpin()
{
#ifndef MUT_UNPIN_HALF
	own_entry[t] = false;
#endif
	rest[t] = 0;
	store_gate(0)
}

/* In a pinned region. What is asked of the thread it does not do. */
inline operation()
{
#ifdef MUT_NESTED_ENTRY
	e = epoch;
#else
	e = rest[t];
#endif
	store_gate(e);
	atomic { assert(!is_free[p] && object[p] == v); e = 0 };
#ifdef MUT_NESTED_LEAVE
	store_gate(0)
#else
	leave()
#endif
}

/* ---- grace periods ---- */

/* gate_skipped: 1 + the thread whose gate does not count, the caller's. */
inline grace_try()
{
	if
	:: atomic { !registry -> registry = true };
		e = epoch;
		if
		:: epoch_done == e ->
			atomic { own_release(); epoch++; e = epoch };
			fence_all()
		:: else
		fi;
		i = 0;
		do
		:: i < NT ->
			if
			:: i + 1 == gate_skipped -> i++
			:: else ->
				g = gate[i];
				if
#ifdef MUT_BUSY_IS_DONE
				:: g && g + 1 < e -> break
#else
				:: g && g < e -> break
#endif
				:: else -> i++
				fi
			fi
		:: else -> break
		od;
		if
		:: i == NT -> epoch_done = e
		:: else
		fi;
		atomic { registry = false; e = 0; i = 0; g = 0 }
	:: registry
	fi
}

/* Stops the world and starts it, the registry lock held; others only, as the caller runs no operation, or forks. */
inline stop_and_start(count)
{
	do
	:: i < NT -> if :: i != t -> stop_request[i] = true :: else fi; i++
	:: else -> break
	od;
	i = 0;
	fence_all();
	do
	:: i < NT -> if :: i != t -> gate[i] == 0 :: else fi; i++
	:: else -> break
	od;
	i = 0;
	if
	:: count ->
		atomic { own_release(); epoch++; e = epoch };
		epoch_done = e
	:: else
	fi;
	do
	:: i < NT -> if :: i != t -> stop_request[i] = false :: else fi; i++
	:: else -> break
	od;
	atomic { registry = false; e = 0; i = 0 }
}

/* ---- processes ---- */

inline look()
{
	atomic { p = slot; v = object[p]; assert(!is_free[p]) }
}

inline sort_doubts()
{
	atomic { assert(!is_free[p] && object[p] == v); p = 0; v = 0 }
}

proctype reader(byte t)
{
	byte n, e, p, v;
	do
	:: n < READS ->
		n++;
#ifdef MUT_GATE_LATE
		look();
		enter();
#else
		enter();
		look();
#endif
		if
		:: pin(); operation(); sort_doubts(); unpin()
		:: sort_doubts(); leave()
		fi
	:: else -> break
	od
}

/* The block in the slot goes out, the other comes in. */
inline unlink()
{
	atomic { b = (slot_buffer -> slot_buffer : slot) };
	atomic {
		empty_slot();
		if :: is_free[3 - b] -> is_free[3 - b] = false; object[3 - b]++ :: else fi;
		slot_buffer = 3 - b
	}
}

inline seal()
{
#ifdef MUT_SEAL_LOADS
	x = epoch
#else
	atomic { own_release(); x = epoch }
#endif
}

proctype freer()
{
	byte t = FREER, n, b, x, e, i, g, p, v, gate_skipped;
	bool pinned;
	is_free[2] = true;
	do
	:: n < FREES ->
		n++;
		enter();
		if
		:: pinned = true; gate_skipped = 0; look()
		:: gate_skipped = 1 + FREER
		fi;
#ifdef MUT_SKIP_PINNED
		gate_skipped = 1 + FREER;
#endif
#ifdef MUT_UNLINK_LATE
		seal();
		unlink();
#else
		unlink();
		seal();
#endif
		if
		:: grace_try()
		:: atomic { pinned && !registry -> registry = true }; /* a fork; stop.pml is about its waiting */
#ifdef MUT_START_PINNED
			stop_and_start(true)
#else
			stop_and_start(false)
#endif
		:: skip
		fi;
		/* Reclaims, at once or at some later operation. */
		do
#ifdef MUT_RIPE_EARLY
		:: epoch_done >= x -> break
#else
		:: epoch_done > x -> break
#endif
		:: else ->
			if
			:: pinned -> sort_doubts(); pinned = false; gate_skipped = 1 + FREER
			:: else
			fi;
			leave();
			enter();
			grace_try()
		od;
		atomic { is_free[b] = true; x = 0; b = 0 };
		if
		:: pinned -> sort_doubts(); pinned = false
		:: else
		fi;
		leave()
	:: else -> break
	od
}

proctype helper()
{
	byte t = HELPER, n, e, i, g, gate_skipped;
	do
	:: n < GRACES ->
		n++;
		if
		:: grace_try()
		:: atomic { !registry -> registry = true };
			stop_and_start(true)
		fi
	:: else -> break
	od
}

init
{
	atomic {
		run freer();
		run reader(1);
		run helper()
	}
}
