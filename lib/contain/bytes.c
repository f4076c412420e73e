/*
 * bytes.c - ouro_bytes: strings of bytes that are objects
 *
 * All but the hash is written before others know the object. The hash is computed when it is asked
 * for: threads that do so at once find the same, and each of them stores it.
 */
#include <errno.h>
#include <string.h>

#include "base/os.h"
#include "contain/siphash.h"
#include "heap/check.h"
#include "ouro.h"

struct ouro_bytes {
	size_t size;
	uint64_t hash; /* 0: not computed yet */
	char data[];   /* and a zero behind them */
};

static const ouro_type bytes_type = {
	.name = "ouro_bytes",
	.size = offsetof(struct ouro_bytes, data),
	.item_size = 1,
	.flags = OURO_ACYCLIC,
};

#define CHECK(b) oi_check_type(b, &bytes_type, __func__)

/* Each half is drawn once, by whoever is the first; until then it is 0. */
static struct oi_seed seed;

static uint64_t seed_half(uint64_t *half)
{
	uint64_t drawn = 0, expected = 0;
	if (likely(oi_load_relaxed(half))) /* elsewhere: the number is all there is to it */
		return oi_load_relaxed(half); /* elsewhere: likewise */
	while (!drawn)
		oi_os_random(&drawn, sizeof drawn);
	return oi_cas(half, &expected, drawn) ? drawn : expected; /* elsewhere: likewise */
}

ouro_bytes *ouro_bytes_new(const void *data, size_t size)
{
	if (!data && size) {
		errno = EINVAL;
		return NULL;
	}
	if (size == SIZE_MAX) {
		errno = EOVERFLOW;
		return NULL;
	}
	struct ouro_bytes *b = ouro_new_items(&bytes_type, size + 1);
	if (!b)
		return NULL;
	b->size = size;
	if (size)
		memcpy(b->data, data, size);
	return b;
}

const void *ouro_bytes_data(const ouro_bytes *b)
{
	CHECK(b);
	return b ? b->data : NULL;
}

size_t ouro_bytes_size(const ouro_bytes *b)
{
	CHECK(b);
	return b ? b->size : 0;
}

uint64_t ouro_bytes_hash(const ouro_bytes *b)
{
	CHECK(b);
	if (!b)
		return 0;
	uint64_t hash = oi_load_relaxed(&b->hash); /* recheck: by computing it */
	if (likely(hash))
		return hash;
	struct oi_seed keyed = { seed_half(&seed.k0), seed_half(&seed.k1) };
	hash = oi_siphash(&keyed, b->data, b->size);
	hash = hash ? hash : 1;
	oi_store_relaxed(&((struct ouro_bytes *)b)->hash, hash); /* recheck: all store the same */
	return hash;
}

bool ouro_bytes_equal(const ouro_bytes *a, const ouro_bytes *b)
{
	CHECK(a);
	CHECK(b);
	if (a == b || !a || !b)
		return a == b;
	uint64_t hash_a = oi_load_relaxed(&a->hash), hash_b = oi_load_relaxed(&b->hash); /* recheck */
	if (a->size != b->size || (hash_a && hash_b && hash_a != hash_b))
		return false;
	return !memcmp(a->data, b->data, a->size);
}
