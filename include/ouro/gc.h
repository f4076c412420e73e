/*
 * ouro/gc.h - the cycle collector: Python's gc module, for those who know it
 *
 * Three generations by age. An object is garbage when every reference counted on it comes from
 * other garbage: trial deletion as in CPython, which needs no roots and no write barrier, since the
 * counts include what threads hold.
 *
 * Most young garbage was made, tied and dropped by one thread. While automatic collection is on and
 * the threshold of generation 0 is -1, that thread collects it inside ouro_new, without a stop:
 * what no other thread has released or taken out of a slot, and what has no callback, no weak
 * reference and no traverse. No code of the program's runs there. All else is left to the library's
 * thread.
 *
 * Full collections look at all that is old. While automatic collection is on, the threshold of
 * generation 0 is -1, and there are 2^18 old objects or more, the library's thread also searches
 * for old garbage from where a reference in a slot was replaced, taken, or dropped with its object,
 * without a stop, at a cost that goes with the garbage. That is no collection: listeners do not
 * hear of it, and it does not count among them; what it finds counts as collected of generation 2,
 * and delays the next full collection. ouro_stats tells of it.
 */
#ifndef OURO_GC_H
#define OURO_GC_H

#include "base.h"
#include "holdup.h"

OURO_BEGIN_DECLS

/*
 * ouro_gc_collect - collect generations 0..@generation now, also while automatic collection is
 *                   disabled
 *
 * When it returns, the finalizers, watches and destroys of what it found have run, on this thread
 * (in manual mode they wait), and everything that was unreachable at the call is gone (generation
 * 2), whichever thread had it in hand. What it does not wait for: a callback that another thread
 * has been in for 100 ms keeps what it belongs to, and what that refers to, for the next
 * collection. Inside a finalizer it is allowed; there it does not wait for what other threads have
 * in hand.
 * Return:  how many traversable objects were unreachable and not resurrected; -1 with errno EINVAL
 *          (generation not 0..2) or EDEADLK (inside a pinned region, or in an event function
 *          between GC_START and GC_STOP).
 * Blocks:  for a time that depends on what was there at the call, whatever other threads go on
 *          doing; they go on meanwhile: README.md says what stops them, and for how long. If a
 *          collection of the same kind is running it waits for that one and then runs its own. It
 *          waits for pinned threads.
 * Runs:    callbacks, of what it found and of what was dead already; traverse and event functions;
 *          the log function, at its end and between.
 */
OURO_API ssize_t ouro_gc_collect(int generation);

/*
 * ouro_gc_collect_for - have all collected in the background, and wait for it at most @ns
 *                       nanoseconds; 0: do not wait
 *
 * For a quiet moment of the program. The library's thread does it, also while automatic collection
 * is disabled, beside the program, and goes on after this has returned. Unlike ouro_gc_collect it
 * does not wait for what other threads have in hand, and its callbacks run on a thread of the
 * library's (in manual mode they wait).
 * Return:  0: a full collection of all objects, begun after the call, is over: the unreachable ones
 *          that it found are gone, or wait for their callbacks. ETIMEDOUT: it goes on. EDEADLK:
 *          when pinned, on a thread of the library's, or in an event function between GC_START and
 *          GC_STOP.
 * Blocks:  so long, or until it is over; and as any call.
 */
OURO_API int ouro_gc_collect_for(uint64_t ns);

/*
 * ouro_run_finalizers - manual mode: run up to @max finalizers and watches that automatic
 *                       collections have left by now, here
 *
 * In an event function between GC_START and GC_STOP it works too, in a stop as long as the largest
 * set takes to look through.
 * Return:  how many ran; 0 in thread mode, inside a finalizer, and when pinned.
 * Blocks:  as long as what it runs; to look for resurrected objects it stops the world for a
 *          moment, or looks beside it, and waits for pinned threads.
 * Runs:    callbacks: those finalizers and watches, and the clears and destroys that follow.
 */
OURO_API size_t ouro_run_finalizers(size_t max);

/*
 * ouro_gc_enable, ouro_gc_disable - switch automatic collection on and off
 *
 * Return:  the previous state; ouro_gc_is_enabled: the state.
 * Blocks:  no.
 */
OURO_API bool ouro_gc_enable(void);
OURO_API bool ouro_gc_disable(void);
OURO_API bool ouro_gc_is_enabled(void);

/*
 * ouro_gc_set_threshold - say when automatic collections start
 * @g0: generation 0, when allocations minus deallocations of traversable objects pass it; 0: never;
 *      -1: sized by pause_budget_ns, and threads collect what they alone have touched (see
 *      above) after 1024 objects or more; what of theirs grows older counts for @g1 as it would if
 *      it had been looked at in a collection of 0
 * @g1: generation 1, after that many collections of 0
 * @g2: generation 2, after that many of 1, and only when what became old since the last full
 *      collection exceeds 25 % of what was old then
 *
 * Each also starts when memory in use grew: by 3 MiB, or a sixteenth, since the last young
 * collection; by 8 MiB and a quarter since the last full one. And a full one starts once when none
 * of this has come for a while, a second or 16 times what the last took of a processor, longer
 * while the program is busy: so a program that makes nothing more does not keep what it dropped;
 * once more only when objects became old since, or old ones died, and later if it found little. A
 * threshold g0 of 0 or ouro_gc_disable keeps all of it away. ouro_gc_get_threshold gives what was
 * set.
 * Return:  0; EINVAL (g0 < -1, g1 or g2 < 0).
 * Blocks:  no.
 */
OURO_API int ouro_gc_set_threshold(int g0, int g1, int g2);
OURO_API void ouro_gc_get_threshold(int out[3]);

/*
 * ouro_external_bytes - say that an object came to own @delta bytes more outside of the heap
 *                       (malloc, a mapping, a file's cache), or, negative, fewer
 * @obj: borrowed, the owner; may be NULL: nobody in particular
 *
 * A small object may keep much memory, which the collector does not see. What is said here counts
 * for the pace of automatic collections as large objects do: a full one, which then looks at all
 * objects, comes when it grew by a quarter, and 16 MiB, since the last; threads that make objects
 * are delayed when it grows beyond that. Say the same with a minus where the memory is freed, as in
 * destroy. ouro_stats.external_bytes is the sum; ouro_type_stat has what was said of objects of a
 * type, and snapshots show it as nodes of their own. It is not kept by object.
 * Blocks:  as any call.
 */
OURO_API void ouro_external_bytes(const void *obj, int64_t delta);

/*
 * ouro_gc_get_count - the current counts that the thresholds are compared with
 *
 * Threads batch theirs; a count is never negative.
 * Blocks:  as any call.
 */
OURO_API void ouro_gc_get_count(int out[3]);

typedef struct ouro_gc_stats {
	uint64_t collections, collected, uncollectable, duration_ns;
} ouro_gc_stats;

/*
 * ouro_gc_get_stats - numbers of each generation, since the start; uncollectable is what
 *                     DEBUG_SAVEALL kept
 *
 * What threads collect by themselves counts into generation 0, the time that they take as well.
 * ouro_gc_get_stats_sized does the same; it fills three times @size bytes: sizeof *@out.
 * Blocks:  no.
 */
OURO_API void ouro_gc_get_stats_sized(ouro_gc_stats *out, size_t size);
#ifdef OURO_PLAIN
/* It handles the first published layout (ouro/base.h). */
OURO_API void ouro_gc_get_stats(ouro_gc_stats out[3]);
#else
static inline void ouro_gc_get_stats(ouro_gc_stats out[3])
{
	ouro_gc_get_stats_sized(out, sizeof(ouro_gc_stats));
}
#endif

/*
 * ouro_gc_freeze - all traversable objects of now leave every collection and listing, and the
 *                  counts begin anew; they can still die by count
 * ouro_gc_unfreeze - they come back as old ones; it does nothing where there are none
 * ouro_gc_freeze_count - how many there are
 *
 * When pinned, and in an event function between GC_START and GC_STOP, the first two do nothing, and
 * the log says so.
 * Return:  ouro_gc_freeze_count: the number of frozen objects.
 * Blocks:  the first two for a young collection that is under way, and for a stop of one walk over
 *          the heap, hence for pinned threads; ouro_gc_freeze_count does not.
 */
OURO_API void ouro_gc_freeze(void);
OURO_API void ouro_gc_unfreeze(void);
OURO_API size_t ouro_gc_freeze_count(void);

/*
 * ouro_gc_objects - visit the traversable objects of a generation; -1: of every one
 * ouro_gc_referents - visit what @obj (borrowed) refers to; nothing once its references are being
 *                     released, as in its clear and destroy
 * ouro_gc_referrers - visit the traversable objects that refer to @obj (borrowed)
 *
 * Dying and frozen objects are left out. The visitor is called outside every pause, and may call
 * the library (ouro/base.h). A thread may be cancelled or exit in it, and an exception may leave
 * it: the rest is not visited. longjmp may not.
 * Return:  how many objects were visited; -1 with errno EINVAL (fn or obj NULL, generation not
 *          -1..2), EDEADLK (when pinned, or in an event function between GC_START and GC_STOP) or
 *          ENOMEM.
 * Blocks:  for a stop, which lasts one walk over the heap (referents: over the object), hence for
 *          pinned threads; and as long as the visitors take.
 * Runs:    the visitor; callbacks, if others dropped the last references meanwhile; referents and
 *          referrers: traverse, in the stop.
 */
OURO_API ssize_t ouro_gc_objects(int generation, ouro_object_visitor fn, void *arg);
OURO_API ssize_t ouro_gc_referents(void *obj, ouro_object_visitor fn, void *arg);
OURO_API ssize_t ouro_gc_referrers(void *obj, ouro_object_visitor fn, void *arg);

/*
 * ouro_gc_is_tracked - does the collector traverse @obj (borrowed)?
 *
 * Return:  a property of its type; false for NULL.
 * Blocks:  no.
 */
OURO_API bool ouro_gc_is_tracked(const void *obj);

/*
 * ouro_gc_is_finalized - has the finalizer of @obj (borrowed) run?
 *
 * Return:  true also while it runs; false for NULL.
 * Blocks:  no.
 */
OURO_API bool ouro_gc_is_finalized(const void *obj);

typedef enum ouro_gc_phase {
	OURO_GC_START,
	OURO_GC_STOP,
	OURO_PAUSE_START,
	OURO_PAUSE_STOP,
	OURO_HOLDUP
} ouro_gc_phase;

/* What a stop of the world is for. */
typedef enum ouro_stop {
	OURO_STOP_YOUNG,     /* a young collection, of generation 0 or 1 */
	OURO_STOP_FULL,      /* a step of a collection that runs beside the program */
	OURO_STOP_RESURRECT, /* finalizers have run: what have they brought back? */
	OURO_STOP_WALK,      /* a look at a part of the heap */
	OURO_STOP_LISTING,   /* ouro_gc_objects and its like, ouro_dump_dot, ouro_gc_freeze */
	OURO_STOP_FORK,
	OURO_STOP_SHUTDOWN,
	OURO_STOP_CHECK,     /* a checked build verifies the heap */
	OURO_STOPS
} ouro_stop;

typedef struct ouro_gc_event {
	ouro_gc_phase phase;
	int generation;
	/* GC_STOP: objects examined; those found unreachable and not resurrected so far. */
	uint64_t candidates, collected;
	uint64_t duration_ns; /* GC_STOP, PAUSE_STOP; HOLDUP: of the longest */
	ouro_holdup cause;    /* HOLDUP */
	/* HOLDUP: how many threads were held up since the last event with this cause. */
	uint64_t holdups;
	uint64_t at_ns; /* CLOCK_MONOTONIC; PAUSE_START, PAUSE_STOP: when the stop was asked for */
	/*
	 * PAUSE_START, PAUSE_STOP: what the stop is for; how long it took until all threads stood;
	 * of that, how long for one of them, the slowest, its number for the system, and its name.
	 * All 0 if none had to be waited for.
	 */
	ouro_stop stop;
	uint64_t stop_ns, waited_ns;
	pid_t waited_tid;
	char waited_name[16];
	/*
	 * PAUSE_STOP: for how long, after all threads stood, the thread that had stopped them did
	 * not run: it had no processor, or slept in a system call. Of what is left it worked.
	 */
	uint64_t off_ns;
} ouro_gc_event;

typedef void (*ouro_gc_listener)(const ouro_gc_event *event, void *arg);

/*
 * ouro_gc_on_event, ouro_gc_off_event - listen to the start and stop of each collection and of each
 *                                       pause, and to hold-ups; no more
 *
 * What fn may do depends on what it is told of:
 *   OURO_PAUSE_START  It is told in the pause. It may not call the library, which would make the
 *                     pause longer, nor fork, nor wait for a thread that is kept outside. A checked
 *                     build stops the program; others answer as in the next case.
 *   OURO_GC_START, OURO_PAUSE_STOP, OURO_GC_STOP
 *                     It may do all but wait for a collection: ouro_gc_collect, ouro_flush,
 *                     ouro_shutdown and the listings answer EDEADLK, and ouro_gc_freeze does
 *                     nothing. Nor may it wait for a thread that may be in one of these calls, or
 *                     allocating at heap_limit.
 *                     What threads collected by themselves is told of later, by the collector
 *                     thread: a START and a STOP of generation 0 for all of it since the last
 *                     time, with no pause between; duration_ns is what it took these threads.
 *   OURO_HOLDUP       (generation -1) Threads were held up for longer than pause_budget_ns
 *                     (ouro/holdup.h). It is told afterwards, by the collector thread between two
 *                     collections: automatic ones wait until fn returns. It may do all but shut
 *                     down.
 * Three threads may call fn at once: young collections go on beside a full one, whose short pauses
 * bear generation 2, and hold-ups are told beside both. It must return. Cancellation is off while
 * it runs, and waits for the thread's next cancellation point after the call. If pthread_exit or an
 * exception leaves fn the program is stopped with a message; longjmp, likewise, at the next call
 * that shows it.
 * Return:  0; EINVAL (fn NULL); on: ENOMEM (64 are registered); off: ENOENT (it is not registered).
 * Blocks:  for a lock that is held for a moment. off also until no call of fn(arg) is running
 *          elsewhere; inside a callback (as ouro_shutdown), or when pinned, not at all, as that
 *          call may be waiting for this thread: then fn, and what it uses, must stay for a while.
 */
OURO_API int ouro_gc_on_event(ouro_gc_listener fn, void *arg);
OURO_API int ouro_gc_off_event(ouro_gc_listener fn, void *arg);

/* Debug flags, or-ed. */
enum {
	OURO_DEBUG_STATS = 1,       /* log a line for each collection */
	OURO_DEBUG_GCTRACE = 4, /* another line for each: below */
	OURO_DEBUG_COLLECTABLE = 2, /* log each object found unreachable */
	/* Weak references expire, watches and finalizers run; then garbage is kept, not cleared. */
	OURO_DEBUG_SAVEALL = 32,
	OURO_DEBUG_LEAK = 2 | 32,
};

/*
 * ouro_gc_set_debug, ouro_gc_get_debug - set them, and ask for them
 *
 * GCTRACE, which OURO_GCTRACE=1 in the environment sets when the heap starts, logs such a line for
 * each collection, in one piece:
 *   gc 7 @12.345s gen 2: 34.567 ms; stops 3, 0.123 ms, longest 0.067 ms, waited 0.045 ms for
 *   "worker-2"; examined 104857, unreachable 4096; objects 123456, 7.500 MB of 12.000 MB;
 *   threads 8; off 0.012 ms
 * That is: its number, the time since the heap's start, the generation, and how long it took; the
 * stops that it made, of all of them and of the longest, and the longest wait for one thread ("",
 * if for none); what it looked at and found; the objects alive, those it found included, their
 * bytes, and the bytes held from the system; the threads attached; the longest time that the
 * collecting thread, in one of the stops, all threads standing, did not run: it had no processor.
 * All fractions have three digits.
 * More may be added at the end. What threads collect by themselves, and searches, are not in it.
 * Return:  ouro_gc_get_debug: the flags.
 * Blocks:  no.
 */
OURO_API void ouro_gc_set_debug(unsigned flags);
OURO_API unsigned ouro_gc_get_debug(void);

/*
 * ouro_gc_garbage - visit what SAVEALL keeps, as the listings do; not what is kept meanwhile
 *
 * Return:  how many objects were visited; -1 with errno EINVAL (fn NULL).
 * Blocks:  as any call, and as long as the visitors take.
 * Runs:    the visitor; callbacks, if the list was cleared meanwhile.
 */
OURO_API ssize_t ouro_gc_garbage(ouro_object_visitor fn, void *arg);

/*
 * ouro_gc_garbage_clear - let go of it; the next full collection frees it
 *
 * Blocks:  as ouro_release.
 * Runs:    callbacks, of what dies by count.
 */
OURO_API void ouro_gc_garbage_clear(void);

OURO_END_DECLS

#endif
