/*
 * slices.pml - a merge queue that is drained in slices, by its owner and on the owner's behalf
 *
 * Models lib/count/merge.c (oi_merge_queue, oi_merge_drain_own, drain_for, oi_merge_drain_all) with
 * slices of one object, the request DRAIN, and of lib/process/servants.c the tick and its flag,
 * which is cleared before the tick looks [B1].
 *
 * Two threads queue objects. Their owner does operations for as long as it likes, each of which may
 * drain a slice, then sleeps outside its gate for ever. The collector ticks while its flag is set;
 * it seizes the owner, if that is outside, for one slice. Asserted: an object is merged once; when
 * nobody can do anything any more, all have been.
 *
 * A step is one load, one store, one read-modify-write, or what happens under the queue's lock.
 *
 * RUN:
 * MUT_SLICE_ENDS: the tick does not look whether a slice left something
 * MUT_CLEAR_LATE: the tick's flag is cleared after it has looked
 * MUT_BUSY_IS_DONE: an owner that is inside its gate is not asked for again
 * MUT_SEIZE_INSIDE: the owner is seized though it is inside its gate, and both take without the lock
 */
#define OBJECTS 4
#define OPERATIONS 3

byte n;           /* in the queue */
byte n_queued, n_merged;
bool drain;       /* the request */
bool tick_wanted = false;
bool inside, seized;

inline queue_one()
{
	atomic { n++; n_queued++; one = (n == 1); many = (n == 2) };
	if
	:: many -> drain = true
	:: else
	fi;
	if
	:: one -> tick_wanted = true
	:: else
	fi
}

#ifdef MUT_SEIZE_INSIDE
inline take_one(seen)
{
	seen = n;
	if
	:: seen > 0 -> n = seen - 1; n_merged++
	:: else
	fi
}
#else
inline take_one(seen)
{
	atomic {
		seen = n;
		if
		:: seen > 0 -> n--; n_merged++
		:: else
		fi
	}
}
#endif

active [2] proctype releaser()
{
	bool one, many;
	queue_one();
	queue_one()
}

active proctype owner()
{
	byte seen, i = 0;
	do
	:: i < OPERATIONS ->
		i++;
		atomic { !seized -> inside = true };
		if
		:: drain ->
			drain = false;
			take_one(seen);
			if
			:: n > 0 -> drain = true
			:: else
			fi
		:: else
		fi;
		inside = false
	:: break
	od
}

active proctype collector()
{
	byte seen;
	bool left;
end:
	do
	:: tick_wanted ->
		left = false;
#ifndef MUT_CLEAR_LATE
		tick_wanted = false;
#endif
		if
		:: n > 0 ->
			if
#ifdef MUT_SEIZE_INSIDE
			:: true -> take_one(seen); left = (n > 0)
#else
			:: atomic { !inside -> seized = true };
				take_one(seen);
#ifndef MUT_SLICE_ENDS
				left = (n > 0);
#endif
				seized = false
			:: inside ->
				drain = true;
#ifndef MUT_BUSY_IS_DONE
				left = true
#endif
#endif
			fi
		:: else
		fi;
#ifdef MUT_CLEAR_LATE
		tick_wanted = false;
#endif
		if
		:: left -> tick_wanted = true
		:: else
		fi
	od
}

active proctype judge()
{
	timeout;
	assert(n == 0 && n_queued == OBJECTS && n_merged == OBJECTS)
}
