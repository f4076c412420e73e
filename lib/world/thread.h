/* thread.h - the record of a thread: its gate, its allocation buffers, its queues and counters. */
#ifndef OI_THREAD_H
#define OI_THREAD_H

#include "base/compiler.h"
#include "base/urcu.h"
#include "world/record.h"

#include <sys/types.h>

struct ouro_type;
struct oi_header;
struct oi_garbage;
struct oi_callback;
struct oi_watch;
struct oi_promise;

/* Bits of oi_thread.request: why an operation must take the slow way in. */
enum {
	OI_REQUEST_STOP = 1,   /* the world is, or is being, stopped */
	OI_REQUEST_SEIZE = 2,  /* somebody works on this thread's behalf */
	OI_REQUEST_DRAIN = 4,  /* the merge queue wants draining */
	OI_REQUEST_FENCE = 8,  /* no membarrier, or the heap ends: entering fences; permanent */
	OI_REQUEST_ATTACH = 16, /* the heap this record belonged to was shut down */
	OI_REQUEST_BACKLOG = 32, /* the reaper wants this thread's dead objects */
	OI_REQUEST_PARKED = 128, /* this thread is not on the list of active ones: park.c */
	OI_REQUEST_NOBODY = 256, /* the thread is not attached: Note [NOBODY] */
	OI_REQUEST_START = 64  /* a fork left work for the library's threads, not there yet */
};

/* One of the program's functions that the library calls. */
struct oi_called {
	void (*fn)(void *arg);
	const struct ouro_type *type; /* whose function it is; NULL: a watch's */
	const char *aside;            /* or the name of one that belongs to no object */
};

#define OI_NAME 16 /* bytes, with the zero */

struct oi_thread {
	/* ---- written by the owner on every operation, read by stoppers ---- */
	uint64_t gate;    /* 0: outside; else the grace period number at entry */
	/* What entering stores there, and what leaving does: Note [PINNED]. */
	const uint64_t *entry; /* the world's epoch; or rest, if it is pinned */
	uint64_t rest;         /* 0; or what gate has been since it was pinned */
	uint32_t request; /* OI_REQUEST_*: written by others */
	uint16_t key;     /* what the own field of its objects holds */
	uint8_t n_loose;  /* the place of the next in loose; the owner's */
	bool fenced;  /* its entries pass a fence: Note [CHANGEOVER] */
	/* owner: the object last seen to be others', and when: Note [SEEN], count.h */
	const void *seen;
	uint64_t seen_epoch;
	int64_t tracked_delta; /* allocations minus deaths of tracked objects, not yet in pace.c */
	uint32_t dying;        /* inside the outermost death loop; read by flush */
	uint32_t pin_depth;
	bool waiting; /* asleep until a stop or a seizure is over; a hint */

	/* ---- owner only ---- */
	bool forking; /* pinned, and about to fork: a stop that waits for it gives way */
	uint32_t in_finalizer;
	/* What it does was another thread's or a collection's; raised before that is unqueued. */
	uint32_t serving;
	/*
	 * Among the deaths in tracked_delta, those of objects of age 1, and of old ones.
	 * Large objects are born old: those that were made are subtracted.
	 */
	int64_t died[2];
	uint64_t stamp;        /* of the outermost death loop: Note [TICKET] */
	size_t n_dismantled;   /* objects, in that loop */
	uint32_t n_served;     /* times serving ended; both are read by flush */
	uint32_t n_callbacks;  /* outermost callbacks begun; read by flush */
	uint32_t in_callback;  /* inside a finalizer, watch, clear or destroy; read by flush */
	const struct oi_callback *callback; /* the innermost it is in: callback.c */
	uintptr_t callback_frame;           /* where the stack was when that was called */
	struct oi_called called;            /* which function that is */
	const struct ouro_type *traversed;  /* the type in whose traverse it is: type.c */
	bool queued_merges;    /* it left something in a merge queue; the reaper's own note */
	struct oi_tally allocated, freed;
	int64_t bytes_noted;   /* of allocated less freed, when last looked at: usage.c */
	/* Delays by the pacing of collections; read by statistics. */
	uint64_t n_delays, delay_ns, delay_max_ns;
	struct oi_death_stack deaths;
	struct oi_header *hand; /* dismantled outside the gate; for a fork's child: death.c */
	size_t hand_cursor;
	struct oi_watch *hand_watches; /* watches of hand still to run */
	struct oi_garbage *hand_garbage; /* what it works on, innermost first: garbage.c */
	struct oi_heap heap;
	struct oi_limbo limbo;
	struct oi_solo solo;
	uint32_t weak_cache[32];
	uint32_t n_weak_cache;
	struct oi_type_cache types[OI_TYPE_CACHE];
	struct oi_sampling sample;
	void *loose[OI_LOOSE]; /* loose.h */

	/* ---- any thread ---- */
	struct oi_merge_queue merges;
	struct cds_lfs_node arrival; /* its own push, park.c */

	/* under the lock of promises: what it makes, and what it waits for; promise.c */
	struct oi_promise *promises, *waits_for;

	uint64_t seen_ns;       /* since when flushes have seen it in the callback of that number */
	uint32_t seen_callback;

	/* ---- under the registry lock ---- */
	struct cds_list_head link;
	struct cds_list_head active; /* in the active list, the untidy one, or none: park.c */
	uint32_t parked_at;
	bool parked;
	bool attached, internal; /* internal: one of the library's own */
	bool dead, inherited;    /* it vanished in a fork; what it had was taken over */
	bool late;               /* attached by a destructor of its exiting thread */
	pid_t tid;
	char name[OI_NAME]; /* under the lock of names */
} __attribute__((aligned(OI_LINE)));

/*
 * The calling thread's record, twice, for oi_thread_become alone to set: oi_self is NULL while the
 * thread is not attached; oi_mine is oi_nobody then, for those who enter: Note [NOBODY].
 */
extern __thread struct oi_thread *oi_self OI_HIDDEN;
extern __thread struct oi_thread *oi_mine OI_HIDDEN;
extern struct oi_thread oi_nobody OI_HIDDEN;
void oi_thread_become(struct oi_thread *t);

/* All records that are attached, under the registry lock (which is held throughout a stop). */
extern struct cds_list_head oi_threads;
/*
 * Under the registry lock. This forms no record's address from the head of the list, which is not
 * in a record.
 */
#define oi_for_each_thread(t) \
	for (struct cds_list_head *n_ = oi_threads.next, *next_; \
	     n_ != &oi_threads && \
	     (next_ = n_->next, (t) = caa_container_of(n_, struct oi_thread, link), true); \
	     n_ = next_)
void oi_registry_lock(void);
bool oi_registry_trylock(void);
void oi_registry_unlock(void);

/* The record of a key; stays valid (type-stable) when the thread leaves. */
struct oi_thread *oi_thread_of_key(uint16_t key);
/* Every record there ever was, attached or not: i = 0.. until NULL. */
struct oi_thread *oi_thread_record(size_t i);

/*
 * Under the registry lock. Returns a record that nobody uses, or a new one; NULL if there is none.
 * @anyhow: if there is no memory, takes one from a store that needs none.
 */
struct oi_thread *oi_thread_find(bool anyhow);
/* Under the registry lock: @t belongs to no thread any more. */
void oi_thread_give_back(struct oi_thread *t);
/* Under the registry lock: puts @t on the list of attached ones, as the caller's; takes it off. */
void oi_thread_link(struct oi_thread *t, bool internal);
void oi_thread_unlink(struct oi_thread *t);
/*
 * Under the registry lock. If the thread is gone, and had no destructor to say so, its record
 * leaves the gate.
 */
void oi_thread_unpin_gone(struct oi_thread *t);
/* Called by the thread itself. @name NULL: the name that the system knows. */
void oi_thread_set_name(struct oi_thread *t, const char *name);
void oi_thread_get_name(struct oi_thread *t, char name[OI_NAME]);

#endif
