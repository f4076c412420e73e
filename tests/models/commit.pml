/*
 * commit.pml - a concurrent collection: from candidates to the dead
 *
 * Models lib/collect/commit.c and lib/heap/candidate.c from the handshake after the flags on, and
 * what lib/collect/concurrent.c does with the dead (bury). The mutations are in lib/count/count.c,
 * slot.c, weak.c and inspect.c; what the death of an object releases, and when, is in
 * lib/count/death.c; the release that is none, of a reference that waited in a merge queue, in
 * lib/count/merge.c.
 *
 * Two or three objects with one slot each, a global slot, a weak reference to object 1; threads
 * with handles (counted references), which they may pass on to each other outside any operation; a
 * reaper; the collector. By object:
 *   flag   it is a candidate: OI_OWN_CANDIDATE in the header
 *   open   a candidate that has not been dropped: the collector's own maps
 *   dead   its count reached 0, in the operation that took the last reference. What it refers to is released by the
 *          reaper, in a later operation, however late, after which it is gone. (Or by the same thread at once: that is
 *          nothing but a fast reaper.) Its slot keeps the pointer, which a pinned thread may still peek at.
 * The commit word: IDLE, OPEN, DIRTY, DEAD; see Note [CANDIDATE]. The log of rescues: an entry is
 * reserved, by adding to n_rescued, and written in a later step; what does not fit (-DLOG) is found
 * by looking at all candidates. What a collection does:
 *   candidates  here any objects: nothing rests on how they were found
 *   handshake; COUNT, CHECK, and what they drop with what it reaches
 *   commit      OPEN; handshake; what was rescued is dropped with what it reaches, and then OPEN again; else the
 *               compare-and-swap OPEN -> DEAD, or OPEN again
 *   bury        weak references expire; handshake; the dead are declared garbage and lose their
 *               flags; IDLE
 * Asserted: at the commit, and when they are declared garbage, no handle, no global slot and no
 * slot of an object outside that is not gone refers to one of the dead, and none of them has died
 * by count; nothing but an upgrade ever finds a flag and DEAD, and no upgrade gets one of the
 * garbage; no count falls below 0; a ring that was garbage from the start and that no upgrade
 * brought back is found. The collector does not wait for ever: that would be an invalid end state.
 *
 * A step is one load, one store or one read-modify-write; the flag is looked at in one step, the
 * count changed in a later one, as the owner's path does (compare the header word, then a plain
 * add). An operation is inside the gate from its first step to its last, and a handshake sees each
 * thread outside once: that it does so without stopping anybody rests on membarrier, or fences,
 * which are stop.pml's and limbo.pml's part. So are orders: what a thread did before it left its
 * gate is seen by whoever saw it outside. What a stop does for its stopper (inspect.c) is an
 * operation here: no handshake ends within a stop, as both take the registry lock. Atomic blocks:
 * one read-modify-write; a count and the handle that it is for, or whether that made it dead, which
 * is one exchange in the end; what is the collector's own. Abstracted: biased counts, whose halves
 * the collector reads without a mutation when they are merged (halves.pml); types with traverse,
 * and opaque ones; the memory of what died by count, which waits for a grace period (limbo.pml),
 * and what else is in the block after that; finalizers; the collector's reference where garbage is
 * looked through for the resurrected, which is one reference more on both sides of the exact check.
 *
 * -DOBJECTS, -DTHREADS, -DHANDLES each, -DOPS operations each, -DLOG entries. -DQUEUE: object 1
 * waits in a merge queue, which holds a reference; whoever drains it drops that, which is no
 * mutation.
 * -DRELEASE_NO_MUTATION: a program's own release is no mutation, which is sound as long as counting
 * up is one, and what the death of an object releases. -DRETAIN_NO_MUTATION: counting up is none,
 * of what one has a reference to or reads in a slot, which is sound as long as counting down is one
 * (dot.c counts up so). -DCOUNTS_FIRST: the exact check reads the counts before the slots, which is
 * as good: between its handshakes neither changes for what stays flagged.
 * -DSILENT: object 1 has no weak reference until a thread that comes upon it makes one. If the
 * exact check sees none, nothing expires, and the dead are declared without another handshake.
 * -DPARTS: each object is counted and checked by itself, in either order, though one refers to
 * itself and the other to that (near.c); what is dropped is followed afterwards.
 *
 * RUN: -DOPS=5
 * RUN: -DTHREADS=2 -DHANDLES=1 -DOPS=2
 * RUN: -DOBJECTS=3 -DOPS=3
 * RUN: -DQUEUE
 * RUN: -DLOG=1
 * RUN: -DRELEASE_NO_MUTATION
 * RUN: -DRETAIN_NO_MUTATION
 * RUN: -DCOUNTS_FIRST
 * RUN: -DSILENT -DOPS=5
 * RUN: -DSILENT -DTHREADS=2 -DHANDLES=1 -DOPS=2
 * RUN: -DPARTS -DOPS=5
 * MUT_NO_HANDSHAKE_FLAGS: no handshake after the flags
 * MUT_NO_HANDSHAKE_COMMIT: no handshake before the commit
 * MUT_NO_HANDSHAKE_BURY: no handshake between expiring and declaring
 * MUT_COMMIT_AFTER_DROP: what was rescued is dropped with what it reaches, and committed at once
 * MUT_OPEN_LATE: the commit word is set OPEN after the handshake
 * MUT_TAKE_NO_MUTATION: taking out of a slot does not look at the flag
 * MUT_DEATH_NO_MUTATION: what the death of an object releases is not looked at for its flag
 * MUT_RETAIN_NO_MUTATION -DRELEASE_NO_MUTATION -DOPS=5: neither counting up nor counting down looks
 * at the flag
 * MUT_UPGRADE_NO_MUTATION: an upgrade does not look at the flag
 * MUT_UNFLAG_FIRST: an upgrade clears the flag and logs before it turns the commit word
 * MUT_UPGRADE_ALWAYS: an upgrade does not look whether the commit word is DEAD
 * MUT_RESCUE_ALONE: a rescued object is not followed to what it reaches
 * MUT_DEAD_NOT_FOLLOWED: one that is dead, but not gone, is not followed to what it reaches
 * MUT_DEAD_COUNTED -DQUEUE: the exact check does not look whether a candidate has died
 * MUT_LOG_BLIND: the collector goes past an entry of the log that is not written yet
 * MUT_SILENT_BLIND -DSILENT: the exact check does not look for weak references
 * MUT_PARTS_NOT_FOLLOWED -DPARTS: what the check drops is not followed to what it reaches
 * MUT_LOG_ONLY -DLOG=0: it does not look at all candidates when the log has run over
 */
#ifndef THREADS
#define THREADS 1
#endif
#ifndef HANDLES
#define HANDLES 2
#endif
#ifndef OPS
#define OPS 4
#endif
#ifndef LOG
#define LOG 3
#endif
#ifndef OBJECTS
#define OBJECTS 2
#endif
#ifdef MUT_RETAIN_NO_MUTATION
#define RETAIN_NO_MUTATION
#endif

mtype = { IDLE, OPEN, DIRTY, DEAD };
mtype commit = IDLE;

/* By object, from 1. Slot 0 is the global one. */
#define N (OBJECTS + 1)
byte slot[N];
byte count[N];
bool flag[N];
bool dead[N], gone[N]; /* by count */
bool declared[N];
bool expired; /* the weak reference */
#ifdef SILENT
bool weak; /* there is one */
#else
#define weak true
#endif
byte n_rescued;
byte entry[3];
bool queued;
byte handle[2]; /* by thread, or both of the only one */
#define REAPER THREADS
bool busy[THREADS + 1];
bool garbage, upgraded; /* for the assertions */

#if OBJECTS == 2
#define each(f) f(1); f(2)
#define any(p) (p(1) || p(2))
#else
#define each(f) f(1); f(2); f(3)
#define any(p) (p(1) || p(2) || p(3))
#endif

#define H0 handle[t * HANDLES]
#if HANDLES == 2
#define H1 handle[t * HANDLES + 1]
#define FULL (H0 && H1)
#define put(o) if :: !H0 -> H0 = o :: else -> H1 = o fi
#define drop_handle() H0 = H1; H1 = 0
#else
#define H1 0
#define FULL H0
#define put(o) H0 = o
#define drop_handle() H0 = 0
#endif

/* ---- candidate.c ---- */

inline take_flag(o)
{
	atomic { if :: flag[o] -> flag[o] = false; won = true :: else fi };
	if
	:: won ->
		atomic { won = false; i = n_rescued; n_rescued++ };
		atomic { if :: i < LOG -> entry[i] = o :: else fi; i = 0 }
	:: else
	fi
}

inline mutation(o)
{
	if
	:: flag[o] ->
		atomic { assert(commit != DEAD); if :: commit == OPEN -> commit = DIRTY :: else fi };
		take_flag(o)
	:: else
	fi
}

inline event_up(o)
{
#ifndef RETAIN_NO_MUTATION
	mutation(o)
#else
	skip
#endif
}

/* ---- mutators ---- */

#define count_down(o) \
	assert(count[o]); \
	count[o]--; \
	if :: !count[o] -> dead[o] = true :: else fi

inline try_count(o)
{
	atomic { assert(!declared[o]); if :: count[o] -> count[o]++; put(o) :: else fi }
}

/* Object 1, by its weak reference. */
inline upgrade()
{
	if
	:: expired || !weak
	:: else ->
		if
#ifndef MUT_UPGRADE_NO_MUTATION
		:: flag[1] ->
#ifdef MUT_UNFLAG_FIRST
			take_flag(1);
#endif
			atomic {
				if
#ifndef MUT_UPGRADE_ALWAYS
				:: commit == DEAD -> refused = true
#endif
				:: commit == OPEN -> commit = DIRTY
				:: else
				fi
			};
			if
			:: !refused -> take_flag(1); upgraded = true; try_count(1)
			:: else -> refused = false
			fi
#endif
		:: else -> upgraded = true; try_count(1)
		fi
	fi
}

#define begins(condition) atomic { n < OPS && (condition) -> n++; busy[t] = true }
#define ends() busy[t] = false

proctype mutator(byte t)
{
	byte n, o, x, k, i;
	bool won, refused;
end:
	do
	:: begins(H0 && !FULL) -> /* another reference to the same */
		event_up(H0);
		atomic { count[H0]++; put(H0) };
		ends()
	:: begins(H0) -> /* releases one */
		atomic { o = H0; drop_handle() };
#ifndef RELEASE_NO_MUTATION
		mutation(o);
#endif
		atomic { count_down(o); o = 0 };
		ends()
	:: begins(H0) -> /* into an empty slot of what H1 refers to, itself, or the global one: no mutation */
		atomic {
			if
			:: k = 0
			:: H1 -> k = H1
			fi;
			if
			:: !slot[k] -> slot[k] = H0; drop_handle()
			:: else
			fi;
			k = 0
		};
		ends()
	:: begins(!FULL) -> /* out of a slot */
		atomic {
			if
			:: k = 0
			:: H0 -> k = H0
			fi;
			x = slot[k];
			slot[k] = 0;
			if :: x -> put(x) :: else fi;
			k = 0
		};
		if
#ifndef MUT_TAKE_NO_MUTATION
		:: x -> mutation(x)
#endif
		:: else
		fi;
		x = 0;
		ends()
	:: begins(!FULL) -> /* reads a slot, then tries to count */
		atomic {
			if
			:: k = 0
			:: H0 -> k = H0
			fi;
			x = slot[k];
			k = 0
		};
		if
		:: x -> event_up(x); try_count(x)
		:: else
		fi;
		x = 0;
		ends()
	:: begins(!FULL) -> /* pinned: peeks, peeks into what that is, dying perhaps, and tries to count */
		atomic {
			if
			:: k = 0
			:: H0 -> k = H0
			fi;
			x = slot[k];
			k = 0
		};
		x = (x -> slot[x] : 0);
		if
		:: x -> event_up(x); try_count(x)
		:: else
		fi;
		x = 0;
		ends()
#ifdef SILENT
	:: begins(true) -> /* pinned: peeks, and makes a weak reference, unless that is dying */
		atomic {
			if
			:: k = 0
			:: H0 -> k = H0
			fi;
			x = slot[k];
			k = 0
		};
		atomic {
			if
			:: x == 1 && !dead[1] && !declared[1] && !(flag[1] && commit == DEAD) ->
				weak = true
			:: else
			fi;
			x = 0
		};
		ends()
	:: begins(H0 == 1) -> weak = true; ends()
#endif
#if THREADS == 2
	:: atomic { n < OPS && H0 && !busy[1 - t] && !handle[1 - t] -> n++; handle[1 - t] = H0; H0 = 0 } /* a message: no operation */
#endif
	:: begins(!FULL) ->
		upgrade();
		ends()
	od
}

/* ---- death.c, merge.c ---- */

inline dismantle(d)
{
	x = slot[d];
	if
	:: x ->
#ifndef MUT_DEATH_NO_MUTATION
		mutation(x);
#endif
		atomic { count_down(x); gone[d] = true; x = 0 }
	:: else -> gone[d] = true
	fi;
	busy[REAPER] = false
}

proctype reaper()
{
	byte x, i;
	bool won;
end:
	do
	:: atomic { dead[1] && !gone[1] -> busy[REAPER] = true }; dismantle(1)
	:: atomic { dead[2] && !gone[2] -> busy[REAPER] = true }; dismantle(2)
#if OBJECTS == 3
	:: atomic { dead[3] && !gone[3] -> busy[REAPER] = true }; dismantle(3)
#endif
#ifdef QUEUE
	:: atomic { queued -> queued = false; count_down(1) }
#endif
	od
}

/* ---- the collector ---- */

inline handshake()
{
	!busy[0];
#if THREADS == 2
	!busy[1];
#endif
	!busy[REAPER]
}

inline drop(o)
{
	atomic { open[o] = false; flag[o] = false; todo[o] = true }
}

#ifdef MUT_DEAD_NOT_FOLLOWED
#define reached(o) (dead[o] -> 0 : slot[o])
#else
#define reached(o) (gone[o] -> 0 : slot[o])
#endif

inline follow(o)
{
	atomic { x = reached(o); todo[o] = false };
	if
	:: x && open[x] -> drop(x)
	:: else
	fi;
	x = 0
}

inline drop_reached()
{
	do
	:: todo[1] -> follow(1)
	:: !todo[1] && todo[2] -> follow(2)
#if OBJECTS == 3
	:: !todo[1] && !todo[2] && todo[3] -> follow(3)
#endif
	:: else -> break
	od
}

#ifdef MUT_DEAD_COUNTED
#define lives(o) flag[o]
#else
#define lives(o) (flag[o] && !dead[o])
#endif

#define see_count(o) seen[o] = count[o]
#define forget(o) internal[o] = 0; seen[o] = 0
#define is_open(o) open[o]
#define is_todo(o) todo[o]
#define not_todo(o) todo[o] = false

inline count_slot(o)
{
	if
	:: open[o] && lives(o) ->
		x = slot[o];
		if
		:: x && open[x] -> internal[x]++
		:: else
		fi;
		x = 0
	:: else
	fi
}

inline check(o)
{
	if
	:: open[o] ->
		if
		:: !lives(o) -> drop(o)
		:: else ->
#ifndef COUNTS_FIRST
			see_count(o);
#endif
			if
			:: seen[o] != internal[o] -> drop(o)
#ifndef MUT_DEAD_COUNTED
			:: seen[o] == internal[o] && !seen[o] -> drop(o)
#endif
			:: else
			fi
		fi
	:: else
	fi
}

inline drop_if_rescued(o)
{
	if
	:: open[o] && !flag[o] -> drop(o)
	:: else
	fi
}

#ifdef MUT_LOG_BLIND
#define written(e) true
#else
#define written(e) e
#endif
#ifdef MUT_LOG_ONLY
#define ran_over(end) false
#else
#define ran_over(end) ((end) > LOG)
#endif

inline drop_rescued()
{
	last = n_rescued;
	if
	:: ran_over(last) -> each(drop_if_rescued)
	:: else ->
		do
		:: cursor < last && cursor < LOG && written(entry[cursor]) ->
			x = entry[cursor];
			cursor++;
			if
			:: x && open[x] -> drop(x)
			:: else
			fi;
			x = 0
		:: else -> break
		od
	fi;
	last = 0;
	dropped = any(is_todo);
#ifdef MUT_RESCUE_ALONE
	each(not_todo);
#endif
	drop_reached()
}

/* Nothing outside the dead refers to them. */
#define outside(p, o) (slot[p] == o && !flag[p] && !gone[p])
#if OBJECTS == 2
#define held(o) (slot[0] == o || outside(1, o) || outside(2, o) || handle[0] == o || handle[1] == o)
#else
#define held(o) (slot[0] == o || outside(1, o) || outside(2, o) || outside(3, o) || handle[0] == o || handle[1] == o)
#endif
#define assert_closed(o) assert(!flag[o] || (!dead[o] && !held(o)))
#ifdef PARTS
#define lost(o) false
#else
#define lost(o) (garbage && all && !upgraded && !flag[o])
#endif

inline make_candidate(o)
{
	if
	:: atomic { !dead[o] -> flag[o] = true; open[o] = true }
	:: all = false
	fi
}

inline declare(o)
{
	if
	:: flag[o] -> declared[o] = true; flag[o] = false
	:: else
	fi
}

proctype collector()
{
	byte x, cursor, last;
	byte internal[N], seen[N];
	bool open[N], todo[N];
	bool dropped, done, all = true;
#ifdef SILENT
	bool loud;
#else
#define loud true
#endif
	each(make_candidate);
#ifndef MUT_NO_HANDSHAKE_FLAGS
	handshake();
#endif
	/* COUNT and CHECK. */
#ifdef COUNTS_FIRST
	each(see_count);
#endif
#ifdef PARTS
	if
	:: true -> count_slot(1); check(1); count_slot(2); check(2)
	:: true -> count_slot(2); check(2); count_slot(1); check(1)
	fi;
#else
	each(count_slot);
	each(check);
#endif
#ifdef SILENT
#ifndef MUT_SILENT_BLIND
	loud = weak;
#endif
#endif
	atomic { each(forget) };
#ifdef MUT_PARTS_NOT_FOLLOWED
	each(not_todo);
#endif
	drop_reached();
	/* The commit. */
	do
	::
#ifndef MUT_OPEN_LATE
		commit = OPEN;
#endif
#ifndef MUT_NO_HANDSHAKE_COMMIT
		handshake();
#endif
#ifdef MUT_OPEN_LATE
		commit = OPEN;
#endif
		drop_rescued();
#ifdef MUT_COMMIT_AFTER_DROP
		dropped = false;
#endif
		if
		:: dropped -> dropped = false
		:: !dropped && !any(is_open) -> break
		:: else ->
			atomic {
				if
				:: commit == OPEN ->
					commit = DEAD;
					done = true;
					each(assert_closed)
				:: else
				fi
			};
			if
			:: done -> break
			:: else
			fi
		fi
	od;
	/* The dead are buried. */
	if
	:: done ->
		if
		:: loud ->
			if
			:: flag[1] -> expired = true
			:: else
			fi;
#ifndef MUT_NO_HANDSHAKE_BURY
			handshake();
#endif
		:: !loud
		fi;
		atomic { each(assert_closed); assert(!any(lost)) };
		each(declare)
	:: else -> assert(!any(lost))
	fi;
	commit = IDLE
}

init
{
	atomic {
#ifdef PARTS
		slot[1] = 1;
		slot[2] = 1;
		count[1] = 2;
		if
		:: handle[0] = 2; count[2] = 1
		:: slot[0] = 2; count[2] = 1
		:: handle[0] = 1; handle[1] = 2; count[1] = 3; count[2] = 1
		fi;
#else
		slot[1] = 2;
		count[2] = 1;
#if OBJECTS == 3
		slot[2] = 3;
		count[3] = 1;
#endif
		if
#ifdef QUEUE
		:: slot[OBJECTS] = 1; count[1] = 2; queued = true /* a ring */
		:: count[1] = 1; queued = true                    /* a chain */
		:: handle[0] = 1; count[1] = 2; queued = true
#else
		:: slot[OBJECTS] = 1; handle[0] = 1; count[1] = 2 /* a ring, held by a thread */
		:: slot[OBJECTS] = 1; slot[0] = 1; count[1] = 2   /* a ring, held by the global slot */
		:: slot[OBJECTS] = 1; count[1] = 1; garbage = true
		:: handle[0] = 1; count[1] = 1                    /* a chain, held, the second one too */
#if THREADS * HANDLES == 2
			; handle[1] = 2; count[2] = 2
#endif
#endif
		fi;
#endif
		run mutator(0);
#if THREADS == 2
		run mutator(1);
#endif
		run reaper();
		run collector()
	}
}
