/*
 * flush.pml - a flush returns when what was dead at its call is gone, and what dies of it, beside
 * threads that go on for ever
 *
 * Models lib/collect/flush.c (begin_flush, work_off, is_settled), lib/count/ticket.h, and what
 * lib/count/death.c, backlog.c, merge.c and garbage.c do with stamps. The queues are one here, with
 * its place for what is old: to which something goes is decided under its lock.
 *
 * Two threads begin deaths for ever, of roots of their own and of what they take out of the queue;
 * a loop may end with something left, which goes to the queue. An object leaves one child, or none.
 * One thread flushes once. Of a hand: dying, stamp. now, since, n_ended: Note [TICKET]. Asserted:
 * when the flush is over, nothing is left, in a queue or in a hand, of what was dead at the call
 * and what died of it (due: a note of the model's; a release that is not as far as a stamp is not
 * earlier than the call); and what others began since goes to the old place only from loops that
 * began before the flush had counted up, so that there is an end to it. That the flush goes on
 * until then: no invalid end state; the threads may stop for good at any time outside a death. A
 * step is one load, store or read-modify-write; what is done under the lock is one, and so is what
 * the notes say of a step. Abstracted: the fence between two looks, as memory is that of one
 * processor here; patience; the limit; who leads.
 *
 * RUN:
 * MUT_FLIP_LEAVES: what the queue has is not made old when the flush begins
 * MUT_SINCE_LATE: since is set after that
 * MUT_MADE_OLD_FIRST: made_old is set before all is made old
 * MUT_NEW_STAMP: who takes something else keeps its own stamp, of after the flush counted up
 * MUT_NO_STAMP: who takes something old keeps its own stamp
 * MUT_STAMP_LATE: it says so after that has left the queue
 * MUT_TAKE_FIRST: it is dying only after that
 * MUT_HANDS_FIRST: the flush looks at the hands before the queue
 * MUT_ONE_LOOK: n_ended is not read again
 * MUT_ENDED_EARLY: a loop is counted before its rest is in the queue
 * MUT_END_FIRST: a thread is dying no more before its rest is in the queue
 */
#ifndef CAP
#define CAP 2 /* objects there are at a time, roots and their children */
#endif
#define T 2

byte now = 1, since, made_old;
bool ended_since; /* n_ended is another than at the last reading */
bool dying[T], stamped[T];
byte stamp[T];
bool has[T], due[T], child[T]; /* the hand: an object; due; it leaves a child */
/* The queue: by place, due, child. */
byte q[8];
#define at(old, d, c) q[4 * (old) + 2 * (d) + (c)]
#define n_at(old) (q[4 * (old)] + q[4 * (old) + 1] + q[4 * (old) + 2] + q[4 * (old) + 3])
#define n_due (q[2] + q[3] + q[6] + q[7] + (has[0] && due[0]) + (has[1] && due[1]) + flusher_has)
bool flusher_has; /* all it takes counts as due */
bool called, over;

#define is_old(s) ((s) < since)
/* The rest of a hand, under the lock. Others' goes to the old place only if the loop began before now was counted up. */
#define put(u, c) assert(due[u] || !is_old(stamp[u]) || stamp[u] < since); \
	at((is_old(stamp[u]) -> 1 : 0), (due[u] -> 1 : 0), (c -> 1 : 0))++

inline take(u, old)
{
	if
	:: at(old, 0, 0) -> at(old, 0, 0)--; due[u] = false; child[u] = false
	:: at(old, 0, 1) -> at(old, 0, 1)--; due[u] = false; child[u] = true
	:: at(old, 1, 0) -> at(old, 1, 0)--; due[u] = true; child[u] = false
	:: at(old, 1, 1) -> at(old, 1, 1)--; due[u] = true; child[u] = true
	fi;
	has[u] = true
}

#define ended(u) if :: stamp[u] < now -> ended_since = true :: else fi

/* What is done with the object in hand: gone, or its child, or it is left. Returns with a rest in the hand, or without. */
inline work(u)
{
	atomic {
		if
		:: child[u] -> child[u] = false     /* the object is gone, the child in hand */
		:: child[u]                         /* left as it is */
		:: !child[u] -> has[u] = false; due[u] = false
		:: !child[u]
		fi
	}
}

proctype thread(byte u)
{
	byte s;
end:
	do
	:: /* a root of its own, which begins to die now */
		atomic { n_at(0) + n_at(1) + has[0] + has[1] < CAP -> dying[u] = true; has[u] = true; due[u] = false; child[u] = true };
		s = now;
		atomic { stamp[u] = s; stamped[u] = true };
		goto loop
	:: /* of the queue, the old first */
#ifdef MUT_TAKE_FIRST
		atomic { n_at(1) -> take(u, 1); stamped[u] = true };
		dying[u] = true;
		stamp[u] = 0;
#else
#ifdef MUT_STAMP_LATE
		atomic { n_at(1) -> dying[u] = true; stamp[u] = now; take(u, 1); stamped[u] = true };
		stamp[u] = 0;
#else
#ifdef MUT_NO_STAMP
		atomic { n_at(1) -> dying[u] = true; stamp[u] = now; take(u, 1); stamped[u] = true };
#else
		atomic { n_at(1) -> dying[u] = true; stamp[u] = 0; take(u, 1); stamped[u] = true };
#endif
#endif
#endif
		goto loop
	:: /* what was put there since it was made old is no older than that */
#ifdef MUT_NEW_STAMP
		atomic { !n_at(1) && n_at(0) -> dying[u] = true; stamp[u] = now; take(u, 0); stamped[u] = true };
#else
		atomic { !n_at(1) && n_at(0) -> dying[u] = true; stamp[u] = made_old; take(u, 0); stamped[u] = true };
#endif
		goto loop
	od;
loop:
	work(u);
#ifdef MUT_ENDED_EARLY
	atomic { ended(u) };
#endif
#ifdef MUT_END_FIRST
	dying[u] = false;
#endif
	atomic {
		if
		:: has[u] -> put(u, child[u]); has[u] = false; due[u] = false; child[u] = false
		:: else
		fi
	};
#ifndef MUT_ENDED_EARLY
	atomic { ended(u) };
#endif
	atomic { dying[u] = false; stamped[u] = false };
	s = 0;
	goto end
}

inline look_at_hands()
{
	i = 0;
	do
	:: i < T ->
		if
		:: dying[i] && is_old(stamp[i]) -> settled = false
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

inline look_at_queue()
{
	if
	:: n_at(1) -> settled = false
	:: else
	fi
}

active proctype flusher()
{
	byte i, s;
	bool settled;
	/* The call: all there is is due. */
	atomic {
		called = true;
		at(0, 1, 0) = at(0, 1, 0) + at(0, 0, 0); at(0, 0, 0) = 0;
		at(0, 1, 1) = at(0, 1, 1) + at(0, 0, 1); at(0, 0, 1) = 0;
		due[0] = has[0] && stamped[0];
		due[1] = has[1] && stamped[1]
	};
	atomic { now++; s = now };
#ifndef MUT_SINCE_LATE
	since = s;
#endif
#ifndef MUT_FLIP_LEAVES
	/* In slices: at last all is moved that was there at first; perhaps some that came since. */
#ifdef MUT_MADE_OLD_FIRST
	made_old = s;
#endif
	do
	:: atomic { at(0, 0, 0) -> at(0, 0, 0)--; at(1, 0, 0)++ }
	:: atomic { at(0, 0, 1) -> at(0, 0, 1)--; at(1, 0, 1)++ }
	:: atomic { at(0, 1, 0) -> at(0, 1, 0)--; at(1, 1, 0)++ }
	:: atomic { at(0, 1, 1) -> at(0, 1, 1)--; at(1, 1, 1)++ }
	:: break
	od;
	atomic {
		made_old = s;
		at(1, 1, 0) = at(1, 1, 0) + at(0, 1, 0); at(0, 1, 0) = 0;
		at(1, 1, 1) = at(1, 1, 1) + at(0, 1, 1); at(0, 1, 1) = 0;
		if
		:: at(1, 0, 0) = at(1, 0, 0) + at(0, 0, 0); at(0, 0, 0) = 0;
			at(1, 0, 1) = at(1, 0, 1) + at(0, 0, 1); at(0, 0, 1) = 0
		:: skip
		fi
	};
#endif
#ifdef MUT_SINCE_LATE
	since = s;
#endif
	do
	:: atomic { n_at(1) -> /* takes one, and works it off to the end */
		if
		:: at(1, 0, 0) -> at(1, 0, 0)--
		:: at(1, 0, 1) -> at(1, 0, 1)--
		:: at(1, 1, 0) -> at(1, 1, 0)--
		:: at(1, 1, 1) -> at(1, 1, 1)--
		fi;
		flusher_has = true };
		flusher_has = false
	:: else ->
		settled = true;
		ended_since = false;
#ifdef MUT_HANDS_FIRST
		look_at_hands();
		look_at_queue();
#else
		look_at_queue();
		look_at_hands();
#endif
#ifndef MUT_ONE_LOOK
		if
		:: ended_since -> settled = false
		:: else
		fi;
#endif
		if
		:: settled -> break
		:: else
		fi
	od;
	atomic { over = true; assert(n_due == 0) };
	since = 0
}

init
{
	atomic {
		run thread(0);
		run thread(1)
	}
}
