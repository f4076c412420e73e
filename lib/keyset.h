/*
 * keyset.h - which threads have something for the collector thread, or for a stop, to look at: a bit for each key
 *
 * So that nobody walks thousands of records of which one has something. Whoever leaves something adds the key after that; who
 * looks takes keys out before it looks, and adds those that still have something. [B2] Both are read-modify-writes of one word:
 * either the taker sees what was left, or the key is there the next time.
 */
#ifndef OI_KEYSET_H
#define OI_KEYSET_H

#include "compiler.h"
#include "object.h"

struct oi_keyset {
	uint64_t word[(OI_OWN_KEY_MAX + 64) / 64];
};
#define OI_KEYSET_WORDS (sizeof(struct oi_keyset) / sizeof(uint64_t))

/* A walk of one; begins zeroed. To be gone to the end. */
struct oi_key_walk {
	size_t word;
	uint64_t bits;
};

OI_INLINE void oi_keyset_add(struct oi_keyset *s, uint16_t key)
{
	oi_or_acq_rel(&s->word[key / 64], UINT64_C(1) << (key % 64)); /* [B2] */
}

/* Takes one out; 0: the walk is over. */
static inline uint16_t oi_keyset_take(struct oi_keyset *s, struct oi_key_walk *w)
{
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

#endif
