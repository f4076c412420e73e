/*
 * remnant.h - address ranges that the system would not take back
 *
 * munmap can fail: a mapping that would be split in two needs one more than max_map_count allows, and a filter may refuse
 * it altogether. Such a range is not lost. Its first words hold it in a list, all else of it is given back page by page, and it is
 * handed out again to whoever asks for just as many bytes, or unmapped at a later try.
 */
#ifndef OI_REMNANT_H
#define OI_REMNANT_H

#include "compiler.h"

/* A range of whole pages, readable and writable, that this caller alone uses; @charge: bytes it stays counted for until it is gone. */
void oi_remnant_add(void *p, size_t bytes, int64_t charge);
/* One of @bytes, zeroed, or NULL; what it was counted for is not any more. */
void *oi_remnant_take(size_t bytes);
/* Tries a few again. From time to time. */
void oi_remnant_retry(void);
/* Tries all of them again, and returns how many are left. */
size_t oi_remnant_retry_all(void);
bool oi_remnant_any(void);

#endif
