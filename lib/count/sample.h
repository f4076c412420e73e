/*
 * sample.h - which objects are sampled, and where they were made
 *
 * An object is sampled with the probability 1 - exp(-bytes / ouro_config.sample_bytes). Its type in
 * the header is the twin of its type (typebook.c), whose description says so: a death looks at that
 * anyway, and nothing is to be looked at where nothing is sampled.
 */
#ifndef OI_SAMPLE_H
#define OI_SAMPLE_H

#include "base/callers.h"
#include "base/runtime.h"
#include "heap/type.h"
#include "world/object.h"
#include "world/thread.h"

/* Returns true if this heap samples. */
OI_INLINE bool oi_sampling(void)
{
	return unlikely(oi_runtime.config.sample_bytes != 0);
}

/*
 * Return true if the next object, of so many bytes, is not sampled; then it is counted. The first
 * is for what is small, while that is counted.
 */
OI_INLINE bool oi_sample_passes_small(struct oi_thread *t, size_t bytes)
{
	int64_t left = t->sample.left_small - (int64_t)bytes;
	if (unlikely(left < 0))
		return false;
	t->sample.left_small = left;
	return true;
}

OI_INLINE bool oi_sample_passes(struct oi_thread *t, size_t bytes)
{
	if (bytes <= OI_TYPE_COUNTED_FROM)
		return !t->sample.counts_small || oi_sample_passes_small(t, bytes);
	int64_t left = t->sample.left - (int64_t)bytes;
	if (unlikely(left < 0))
		return false;
	t->sample.left = left;
	return true;
}

/* One that is about to be made, and is noted once it is: see below. */
struct oi_sample {
	size_t bytes;   /* of its block */
	bool chosen;    /* by the draw */
	bool large;     /* noted even if it is not, for the shutdown's report */
	uint32_t era;   /* counts heaps */
	const void *from; /* where the program called: the address to return to, and where */
	uintptr_t at;     /* that lies */
};

/* The thread begins with a heap. */
void oi_sample_join(struct oi_thread *t);
/*
 * The thread comes the slow way through ouro_new, and not because of a sample: a stretch may end.
 */
void oi_sample_visit(struct oi_thread *t);
/*
 * This heap samples, and the thread is about to make an object of so many bytes. Returns false if
 * it is not to be noted; else fills in all but from and at.
 */
bool oi_sample_choose(struct oi_thread *t, struct oi_sample *s, size_t bytes, bool large);
/* Outside the gate. The object was made: notes where. Without room it is only counted. */
void oi_sample_note(struct oi_thread *t, const struct oi_sample *s, const struct oi_header *h);
/* Outside the gate. An object of a twin's type is gone for good. */
void oi_sample_died(const struct oi_header *h);
/* Nobody else uses the heap. Forgets all, and gives the memory back. */
void oi_sample_shutdown(void);

/* ---- reading ---- */

/* A site: a stack, and what was sampled there. */
struct oi_site {
	uint64_t live, live_bytes, made, made_bytes; /* of those that the draw chose */
	uint64_t held, held_bytes; /* at shutdown, large ones included; the bytes are estimated */
	uint32_t next, hash;
	struct oi_callers callers;
};

/* Copies the site of that number, from 0. Returns false if there is none. */
bool oi_sample_site(uint32_t number, struct oi_site *out);
struct oi_sample_counts {
	uint64_t live, dropped; /* sampled objects; those that there was no room to note */
};
struct oi_sample_counts oi_sample_counts(void);
/* At shutdown: an object of a twin's type is still held. */
void oi_sample_held(const struct oi_header *h);

#endif
