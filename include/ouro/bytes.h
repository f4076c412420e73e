/*
 * ouro/bytes.h - strings of bytes that are objects: counted, never changed
 *
 * One is an object like any other: slots hold it, the last release ends it. It refers to nothing,
 * so no collection looks at it. What it holds does not change, so any number of threads read it at
 * once. Hashes are keyed with a number that is drawn for each process (SipHash-1-3), so that who
 * chooses the bytes cannot make them collide; they mean nothing in another process.
 *
 * @b is borrowed everywhere, a counted reference or peeked, and may be NULL where that is said. In
 * a checked build a call stops the program if it is something else.
 */
#ifndef OURO_BYTES_H
#define OURO_BYTES_H

#include "base.h"

OURO_BEGIN_DECLS

typedef struct ouro_bytes ouro_bytes;

/*
 * ouro_bytes_new - make one with a copy of @size bytes
 * @data: may be NULL if @size is 0
 *
 * It takes 33 bytes more than @size, rounded up as any object is.
 * Return:  new reference; NULL with errno EINVAL (@data is NULL, @size is not 0), EOVERFLOW (there
 *          cannot be so many) or ENOMEM. It is released with ouro_release.
 * Blocks:  as ouro_new.
 */
OURO_API ouro_bytes *ouro_bytes_new(const void *data, size_t size)
	__attribute__((warn_unused_result));

/*
 * ouro_bytes_data - the bytes
 *
 * They are aligned to 16, and behind the last there is a zero byte, which does not count: what has
 * none inside is a string of C's.
 * Return:  where they are, for as long as the reference, or the pinned region, lasts; NULL for NULL.
 * Blocks:  no.
 */
OURO_API const void *ouro_bytes_data(const ouro_bytes *b) OURO_NOTHROW;

/*
 * ouro_bytes_size - how many bytes there are
 *
 * Return:  the number; 0 for NULL.
 * Blocks:  no.
 */
OURO_API size_t ouro_bytes_size(const ouro_bytes *b) OURO_NOTHROW;

/*
 * ouro_bytes_hash - a hash of the bytes
 *
 * It is computed once, by the first call, and kept.
 * Return:  the same for the same bytes, for as long as the process lasts, and in its forked
 *          children; never 0, but for NULL.
 * Blocks:  no.
 */
OURO_API uint64_t ouro_bytes_hash(const ouro_bytes *b) OURO_NOTHROW;

/*
 * ouro_bytes_equal - do both hold the same bytes?
 * @a: borrowed; may be NULL, as @b may
 *
 * Return:  true if so; NULL equals NULL alone.
 * Blocks:  no.
 */
OURO_API bool ouro_bytes_equal(const ouro_bytes *a, const ouro_bytes *b) OURO_NOTHROW;

OURO_END_DECLS

#endif
