/* world.h - stopping and restarting the world, seizing one thread, grace periods. */
#ifndef OI_WORLD_H
#define OI_WORLD_H

#include "base/buckets.h"
#include "base/compiler.h"
#include "base/histogram.h"
#include "ouro.h"

struct oi_thread;

struct oi_world {
	/* ---- written rarely, and read by nearly every call: a line of its own ---- */
	uint64_t epoch;      /* number of the newest grace period asked for; starts at 1 */
	bool membarrier;     /* the kernel has it; under the registry lock once the heap runs */
	/* ---- written by every stop ---- */
	uint64_t epoch_done __attribute__((aligned(OI_LINE))); /* newest one that is over */
	uint64_t n_stops;    /* that are over, or about to be */
	uint32_t seq;        /* futex: counts what may end a wait; waiting threads sleep on it */
	uint32_t n_waiting;  /* threads asleep on it, or on their way in */
	bool stopping;       /* from before a stop asks until it is over: arrivals look [Q1] */
	bool stopped;        /* under the registry lock */
	/* under the registry lock, read by statistics */
	struct oi_histogram pauses;
	struct oi_buckets times; /* of the same */
	uint64_t stop_max_ns;
	uint64_t off_sum_ns, off_max_ns; /* oi_stop.off_ns of them */
	/* For a debugger, under the registry lock: the newest stop's, and its last look at a gate. */
	uint64_t asked_ns, looked_ns;
	ouro_stop asked_for;
} __attribute__((aligned(OI_LINE)));

extern struct oi_world oi_world OI_HIDDEN;

void oi_world_init(void);

/* In the child of a fork, alone. Under the registry lock. */
void oi_world_fork_child(void);

/* What a stop is and when it began; filled by oi_world_stop and oi_world_stop_to_fork. */
struct oi_stop {
	uint64_t asked_ns, stopped_ns;
	ouro_stop cause;
	/* Of the thread that was waited for longest: how long; NULL, and all 0, if for none. */
	uint64_t waited_ns;
	struct oi_thread *waited_for;
	pid_t waited_tid;
	char waited_name[16];
	/*
	 * Since it was had, of the thread that has it: its CPU time then; from oi_world_start on,
	 * for how long it did not run: without a processor, or asleep in a system call.
	 */
	uint64_t had_cpu_ns, off_ns;
	bool fork;
	bool nested; /* within the stop of this thread's own fork */
};

/* Several stops: how many, how long, for whom they waited longest, the longest off_ns. */
struct oi_stops {
	unsigned n;
	uint64_t ns, max_ns, waited_ns, off_ns;
	char waited_name[16];
};
/* @ns: what oi_world_start has returned. */
void oi_stops_add(struct oi_stops *s, const struct oi_stop *stop, uint64_t ns);

/*
 * Stops the world: returns when every other thread is outside, and holds the registry lock until
 * oi_world_start. The caller is outside its own gate. Blocks for as long as a thread is pinned.
 */
void oi_world_stop(struct oi_stop *stop, ouro_stop cause);
/*
 * Like oi_world_stop, but for a fork: the caller may be pinned, and threads that wait to fork
 * inside a pinned region count as outside.
 */
void oi_world_stop_to_fork(struct oi_stop *stop);
/*
 * Restarts the world. Returns the ns from the request to the restart, which is the longest that
 * a mutator can have waited.
 */
uint64_t oi_world_start(struct oi_stop *stop);

/*
 * Runs fn(t, arg) on behalf of thread @t while it is kept outside its gate. Returns false if @t is
 * inside (it will serve its requests itself), gone, or the caller. The caller is outside its own
 * gate.
 */
bool oi_world_seize(struct oi_thread *t, void (*fn)(struct oi_thread *t, void *arg), void *arg);

/* A full fence in the middle of whatever the threads do. Outside the gate. */
void oi_world_fence(void);

/* Looks at up to @max active threads, and parks those that are outside. Outside the gate. */
void oi_world_park(unsigned max);

/*
 * Grace periods: one is over when every thread has been outside, or passed a safepoint, since it
 * was asked for.
 */

/*
 * Ends the grace period that is under way, if that needs no waiting; if none is under way, and
 * @begin, begins one. Does nothing while the registry lock is taken. Callable inside the gate.
 */
void oi_grace_try(bool begin);
void oi_grace_wait(void); /* waits for a whole one, begun after the call; outside the gate */

#endif
