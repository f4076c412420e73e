/*
 * siphash.c - SipHash-1-3 (Aumasson, Bernstein 2012), which Python and Rust use for their tables:
 * one round for each eight bytes, three at the end.
 */
#include "contain/siphash.h"

#include <string.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

OI_INLINE uint64_t rotate(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

OI_INLINE void mix(struct state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32) + s->v3;
	s->v2 += s->v1;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

OI_INLINE struct state begun(const struct oi_seed *seed)
{
	return (struct state){ seed->k0 ^ UINT64_C(0x736f6d6570736575),
			       seed->k1 ^ UINT64_C(0x646f72616e646f6d),
			       seed->k0 ^ UINT64_C(0x6c7967656e657261),
			       seed->k1 ^ UINT64_C(0x7465646279746573) };
}

OI_INLINE void absorb(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	mix(s);
	s->v0 ^= word;
}

OI_INLINE uint64_t finished(struct state *s, uint64_t last)
{
	absorb(s, last);
	s->v2 ^= 0xff;
	mix(s);
	mix(s);
	mix(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t oi_siphash(const struct oi_seed *seed, const void *bytes, size_t n)
{
	struct state s = begun(seed);
	const char *p = bytes;
	uint64_t word = 0, last = (uint64_t)n << 56;
	for (size_t left = n / 8; left; left--, p += 8) {
		memcpy(&word, p, 8);
		absorb(&s, word);
	}
	word = 0;
	if (n % 8)
		memcpy(&word, p, n % 8);
	return finished(&s, last | word);
}

uint64_t oi_siphash_number(const struct oi_seed *seed, uint64_t number)
{
	struct state s = begun(seed);
	absorb(&s, number);
	return finished(&s, UINT64_C(8) << 56);
}
