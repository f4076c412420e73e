/* siphash.h - hashes that a client who chooses the keys cannot make collide. */
#ifndef OI_SIPHASH_H
#define OI_SIPHASH_H

#include "base/compiler.h"

struct oi_seed {
	uint64_t k0, k1;
};

/* SipHash-1-3 of @n bytes, and of a number, as of its eight bytes. */
uint64_t oi_siphash(const struct oi_seed *seed, const void *bytes, size_t n);
uint64_t oi_siphash_number(const struct oi_seed *seed, uint64_t number);

#endif
