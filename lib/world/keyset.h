/*
 * keyset.h - which threads have something to be looked at: a bit for each key
 *
 * The collector thread, or a stop, looks; so nobody walks thousands of records of which one has
 * something. A thread that leaves something adds the key after that; a thread that looks takes keys
 * out before it looks, and adds those that still have something. [B2] Both are read-modify-writes
 * of one word: either the taker sees what was left, or the key is there the next time.
 */
#ifndef OI_KEYSET_H
#define OI_KEYSET_H

#include "base/compiler.h"
#include "world/object.h"

struct oi_keyset {
	uint64_t word[(OI_OWN_KEY_MAX + 64) / 64];
};
#define OI_KEYSET_WORDS (sizeof(struct oi_keyset) / sizeof(uint64_t))

/* All sets, so that the child of a fork can put back what a walk that vanished had taken out. */
enum oi_keys {
	OI_KEYS_YOUNG,   /* threads whose heaps have young pages: generation.c, heap.c */
	OI_KEYS_REMOTE,  /* threads in whose pages others have freed: foreign.c */
	OI_KEYS_SEALED,  /* threads that have something sealed: limbo.c */
	OI_KEYS_QUEUED,  /* threads in whose merge queues something waits: merge.c */
	OI_KEYS_WAITING, /* threads on whose stacks something waits: backlog.c */
	OI_KEYS_ARMED,   /* threads on whose stacks something waits behind a callback: backlog.c */
	OI_KEYS
};
extern struct oi_keyset oi_keysets[OI_KEYS] OI_HIDDEN;

/* A walk of one set: it begins zeroed, and must be gone to its end, as it takes 64 keys at once. */
struct oi_key_walk {
	size_t word;
	uint64_t bits;
};

OI_INLINE void oi_keyset_add(enum oi_keys which, uint16_t key)
{
	oi_or_acq_rel(&oi_keysets[which].word[key / 64], UINT64_C(1) << (key % 64)); /* [B2] */
}

/* Takes a key out of the set and returns it, or 0 if the walk is over. */
static inline uint16_t oi_keyset_take(enum oi_keys which, struct oi_key_walk *w)
{
	struct oi_keyset *s = &oi_keysets[which];
	for (; !w->bits; w->word++) {
		if (w->word == OI_KEYSET_WORDS)
			return 0;
		if (oi_load_relaxed(&s->word[w->word])) /* recheck */
			w->bits = oi_exchange(&s->word[w->word], UINT64_C(0)); /* [B2] */
		if (w->bits) {
			w->word++;
			break;
		}
	}
	unsigned bit = (unsigned)__builtin_ctzll(w->bits);
	w->bits &= w->bits - 1;
	return (uint16_t)((w->word - 1) * 64 + bit);
}

/* Adds @key to every set: threads that look find out whether that one has something. */
void oi_keysets_add(uint16_t key);

#endif
