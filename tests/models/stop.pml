/*
 * stop.pml - stopping the world, seizing one thread, attaching, leaving, forking
 *
 * Models lib/world/gate.h (enter, leave), lib/process/serve.c (oi_gate_slow, wait_outside),
 * lib/world/world.c (try_stop, let_go, wake_waiters, oi_world_stop, oi_world_start,
 * oi_world_seize), lib/process/attach.c (attach, detach), lib/process/fork.c (before, in_parent).
 *
 * Processes: two threads, each with a record; a collector that stops or seizes; the memory, which empties store
 * buffers.
 * States of a record, and who moves them:
 *   gate[t]     0 outside, 1 inside: its thread, through a store buffer of one entry (buffer[t], TSO): a store waits
 *               there until the memory process, a membarrier or a fence of the thread empties it, and a later load of
 *               the thread may come before that. A second store pushes the first one out.
 *   request[t]  STOP, SEIZE, FENCE: read-modify-writes of others, visible at once
 *   attached[t] under the registry lock, its thread
 *   mine        the thread has a record of its own to enter, else that of nobody, whose request is
 *               never 0, so that it attaches first (Note [NOBODY] in gate.h): its thread
 *   asleep[t]   in the kernel, on the sequence number: itself; woken by wake_waiters
 *   forking[t]  pinned and about to fork: its thread
 * Asserted: who believes the world stopped, or a thread seized, is alone: nobody else runs an operation, and the
 * registry lock is the stopper's. Deadlock, a sleeper that nobody wakes included, is an invalid end state.
 *
 * What one step is: a load, a store into the buffer, one read-modify-write, one system call
 * (futex_wait compares and sleeps in one; membarrier is one step for each thread). Code between
 * such steps is thread-local. Abstracted: the epoch in the gate word (limbo.pml); DRAIN
 * (merge.pml); let_waiters_in, which is fairness and bounded; naps; what the child of a fork does,
 * alone. Orders: release and acquire on gate and request [G1] [G2] come for free under TSO; on
 * weaker machines they are what keeps an operation between its two stores to gate.
 * Read-modify-writes of a thread do not empty its buffer here, so that nothing rests on their being
 * full fences, as they are on x86. A pinned fork waits here until no other thread is in one; the
 * library's takes that thread for stopped, and counts no grace period then.
 *
 * With REFUSED the system refuses membarrier from some stop or seizure on (Note [CHANGEOVER] in
 * gate.h): FENCE into all request words, then each thread has passed the fence of its slow way
 * (fenced[t]), or its buffer has been seen empty, which stands for what the time that is waited
 * gives: a store does not stay in a buffer for ever.
 *
 * RUN:
 * RUN: -DFENCE
 * RUN: -DREFUSED
 * MUT_NO_CHANGEOVER -DREFUSED: the answer of membarrier is ignored
 * MUT_NO_SETTLING -DREFUSED: once all have FENCE the gates are looked at, without waiting for who
 *   entered before that
 * MUT_SETTLE_FIRST -DREFUSED: it is waited first, then all get FENCE
 * MUT_NOT_ITSELF -DREFUSED -DOPS=2: who changes over forgets its own request word
 * MUT_NO_OWN_FENCE -DREFUSED: who changes over inside its gate does so without a fence of its own
 * MUT_ATTACH_STALE -DREFUSED: who attaches after the changeover gets no FENCE
 * MUT_NO_MEMBARRIER: the stopper looks at the gates without a membarrier
 * MUT_SEIZE_NO_MEMBARRIER: so does the seizer
 * MUT_NO_ENTRY_FENCE -DFENCE: without membarrier in the kernel, a thread enters without a fence
 * MUT_NO_RECHECK -DFENCE: the request is looked at before the fence only
 * MUT_NO_STEP_BACK: a thread that finds a request sleeps inside its gate
 * MUT_NO_SECOND_LOOK: a thread that was woken enters without looking for the next request
 * MUT_SEQ_LATE: the sequence number is read after the request
 * MUT_WAKE_FIRST: waiters are woken before the request is cleared
 * MUT_COUNT_LATE: waiters are woken before the sequence number counts up
 * MUT_STAYS_ITSELF -DOPS=2: a thread that detaches goes on entering the record that it had
 * MUT_NOBODY_LETS_IN: the request word of nobody is 0
 * MUT_ATTACH_UNLOCKED: attaching does not take the registry lock
 * MUT_UNLOCK_EARLY: the registry lock is given back once the world is stopped, not when it starts
 * MUT_PINNED_WAITS: an operation in a pinned region does what is asked of its thread
 * MUT_PINNED_LEAVES: an operation in a pinned region leaves as any other does
 * MUT_NO_GIVING_WAY: a stop does not give way to a thread that forks inside a pin
 * MUT_TWO_PINNED_FORKS -DSTOPS=0: two threads fork inside pins at the same time, and give way to each
 *   other for ever
 */
#define NT 2
#define COLLECTOR NT
#ifndef OPS
#define OPS 1 /* operations of each thread, attaching not counted */
#endif
#ifndef STOPS
#define STOPS 2 /* stops and seizures of the collector */
#endif

#define R_STOP 1
#define R_SEIZE 2
#define R_FENCE 8
#ifdef FENCE
#define R_INITIAL R_FENCE
#else
#define R_INITIAL 0
#endif

bit gate[NT];
byte buffer[NT]; /* 0: empty; else 1 + the value on its way to gate */
byte request[NT];
bool attached[NT];
bool asleep[NT];
bool forking[NT];
bool operating[NT]; /* for the assertions: inside an operation, or pinned */
byte registry;      /* 0: free; else 1 + who holds it */
byte seq;
byte n_waiting;
bool pinned_fork;   /* somebody is in one */
#ifdef REFUSED
bool changed;       /* membarrier was refused once: under the registry lock */
bool fenced[NT];    /* has passed the fence of its slow way: itself */
#endif

/* ---- memory ---- */

#define empty(u) if :: buffer[u] -> gate[u] = buffer[u] - 1; buffer[u] = 0 :: else fi
#define store_gate(v) atomic { empty(t); buffer[t] = 1 + (v) }
#define own_fence() atomic { empty(t) }
#define lock() atomic { registry == 0 -> registry = 1 + t }
#define unlock() registry = 0

active proctype memory()
{
end:
	do
	:: atomic { buffer[0] -> empty(0) }
	:: atomic { buffer[1] -> empty(1) }
	od
}

/* One interrupt for each thread, in any order that matters: each is a full fence for that thread alone. */
inline membarrier()
{
	atomic { empty(0) };
	atomic { empty(1) }
}

/* ---- the stopper's side; t is the caller ---- */

/* The list changes under the registry lock only, which the caller holds. */
#define for_each_other(statement) \
	do \
	:: atomic { i < NT && i != t && attached[i] -> statement; i++ } \
	:: atomic { i < NT && (i == t || !attached[i]) -> i++ } \
	:: atomic { i == NT -> i = 0; break } \
	od

#define settle() (buffer[i] == 0 || fenced[i])

inline change_over()
{
	changed = true;
#ifdef MUT_SETTLE_FIRST
	for_each_other(settle());
#endif
	for_each_other(request[i] = request[i] | R_FENCE);
#ifndef MUT_NOT_ITSELF
	if
	:: t != COLLECTOR -> request[t] = request[t] | R_FENCE
	:: else
	fi;
#endif
#ifndef MUT_NO_OWN_FENCE
	if
	:: t != COLLECTOR -> own_fence() /* it may be pinned, and its entry in its buffer */
	:: else
	fi;
#endif
#if !defined(MUT_SETTLE_FIRST) && !defined(MUT_NO_SETTLING)
	for_each_other(settle())
#else
	skip
#endif
}

inline publish_requests()
{
#ifdef REFUSED
	if
	:: changed
	:: !changed -> membarrier()
#ifdef MUT_NO_CHANGEOVER
	:: !changed -> skip
#else
	:: !changed -> change_over()
#endif
	fi
#elif !defined(FENCE)
	membarrier()
#else
	skip /* the caller's fence: its own stores were read-modify-writes, visible already */
#endif
}

inline wake_waiters()
{
#ifndef MUT_COUNT_LATE
	seq++;
#endif
	if
	:: n_waiting -> atomic { asleep[0] = 0; asleep[1] = 0 } /* one system call */
	:: else
	fi;
#ifdef MUT_COUNT_LATE
	seq++
#else
	skip
#endif
}

inline let_go()
{
	for_each_other(request[i] = request[i] & ~R_STOP)
}

inline await_gate()
{
	if
	:: gate[i] == 0
#ifndef MUT_NO_GIVING_WAY
	:: forking[i] -> gave_way = true;
		assert(t == COLLECTOR || !forking[t]) /* else each waits for the other, however often they try */
#endif
	fi
}

inline world_stop()
{
	do
	:: lock();
		gave_way = false;
		for_each_other(request[i] = request[i] | R_STOP);
#ifndef MUT_NO_MEMBARRIER
		publish_requests();
#endif
		for_each_other(if :: !gave_way -> await_gate() :: else fi);
		if
		:: !gave_way -> break
		:: else
		fi;
		let_go();
		unlock();
		wake_waiters();
		!pinned_fork /* a nap: trying again before that only gives way again */
	od;
#ifdef MUT_UNLOCK_EARLY
	unlock();
#endif
	for_each_other(assert(!operating[i]))
}

inline world_start()
{
	for_each_other(assert(!operating[i]));
	assert(!(t != 0 && operating[0]) && !(t != 1 && operating[1])); /* whoever attached meanwhile, too */
#ifdef MUT_WAKE_FIRST
	wake_waiters();
#endif
	let_go();
#ifndef MUT_UNLOCK_EARLY
	assert(registry == 1 + t);
	unlock();
#endif
#ifndef MUT_WAKE_FIRST
	wake_waiters()
#endif
}

inline seize(u)
{
	lock();
	if
	:: attached[u] ->
		request[u] = request[u] | R_SEIZE;
#ifndef MUT_SEIZE_NO_MEMBARRIER
		publish_requests();
#endif
		if
		:: gate[u] == 0 -> assert(!operating[u]); skip; assert(!operating[u])
		:: else
		fi;
		request[u] = request[u] & ~R_SEIZE;
		wake_waiters()
	:: else
	fi;
	unlock()
}

/* ---- a thread's side ---- */

inline wait_outside()
{
	do
	::
#ifndef MUT_SEQ_LATE
		g = seq;
#endif
		if
		:: !(request[t] & (R_STOP | R_SEIZE)) -> break
		:: else
		fi;
#ifdef MUT_SEQ_LATE
		g = seq;
#endif
		atomic { if :: seq == g -> asleep[t] = 1 :: else fi };
		!asleep[t]
	od
}

inline gate_slow()
{
	do
	:: r = request[t];
#ifndef MUT_NO_ENTRY_FENCE
		if
		:: r & R_FENCE ->
			own_fence();
#ifdef REFUSED
			fenced[t] = true;
#endif
#ifndef MUT_NO_RECHECK
			r = request[t]
#endif
		:: else
		fi;
#endif
		if
		:: !(r & ~R_FENCE) -> break
		:: else
		fi;
#ifndef MUT_NO_STEP_BACK
		store_gate(0);
#endif
		if
		:: !waiting -> n_waiting++; waiting = true
		:: else
		fi;
		wait_outside();
		store_gate(1);
#ifdef MUT_NO_SECOND_LOOK
		break
#endif
	od;
	if
	:: waiting -> n_waiting--; waiting = false
	:: else
	fi;
	r = 0;
	g = 0
}

inline enter()
{
	store_gate(1);
	if
	:: request[t] -> gate_slow()
	:: else
	fi;
	operating[t] = true
}

inline leave()
{
	operating[t] = false;
	store_gate(0)
}

/* In a pinned region: entering and leaving store what is in the gate, and nobody is waited for. */
inline operation()
{
	store_gate(1);
#ifdef MUT_PINNED_WAITS
	if
	:: request[t] -> gate_slow()
	:: else
	fi;
#endif
#ifdef MUT_PINNED_LEAVES
	store_gate(0)
#else
	store_gate(1)
#endif
}

inline attach()
{
#ifndef MUT_ATTACH_UNLOCKED
	lock();
#endif
#if defined(REFUSED) && !defined(MUT_ATTACH_STALE)
	request[t] = (changed -> R_FENCE : 0);
#else
	request[t] = R_INITIAL;
#endif
	attached[t] = true;
	mine = true;
#ifndef MUT_ATTACH_UNLOCKED
	unlock()
#endif
}

inline detach()
{
	lock();
	attached[t] = false;
	unlock();
#ifndef MUT_STAYS_ITSELF
	mine = false
#endif
}

proctype thread(byte t)
{
	byte n, i, r, g;
	bool waiting, gave_way, mine = attached[t];
	do
	:: n < OPS && mine ->
		n++;
		enter();
		leave()
#ifdef MUT_TWO_PINNED_FORKS
	:: n < OPS && mine ->
#else
	:: atomic { n < OPS && mine && !pinned_fork -> pinned_fork = true };
#endif
		n++;
		enter();
		if
		:: operation()
		:: skip /* its entry may be in its buffer still */
		fi;
		forking[t] = true;
		world_stop();
		forking[t] = false; /* between the two the process is copied */
		world_start();
		leave();
		pinned_fork = false
	:: n < OPS && mine ->
		n++;
		world_stop();
		world_start()
	:: n < OPS && mine ->
		n++;
		detach()
	:: n < OPS && !mine ->
#ifdef MUT_NOBODY_LETS_IN
		operating[t] = true;
		operating[t] = false;
#endif
		attach()
	:: n == OPS -> break
	od
}

proctype collector()
{
	byte t = COLLECTOR, n, i;
	bool gave_way;
	do
	:: n < STOPS ->
		n++;
		if
		:: world_stop(); world_start()
		:: seize(0)
		:: seize(1)
		fi
	:: else -> break
	od
}

init
{
	atomic {
		request[0] = R_INITIAL;
		request[1] = R_INITIAL;
		attached[0] = true; /* thread 1 comes later */
		run thread(0);
		run thread(1);
		run collector()
	}
}
