/*
 * remnant.h - address ranges to be given back later
 *
 * munmap takes long for much memory (40 ms for a GiB), and threads that let go of memory are inside
 * a gate, hold a lock, or have stopped the world. So ranges of a MiB and more are only noted, and
 * the tick unmaps them; a call that needs memory, or is to give back what it can, does it itself.
 * And munmap can fail: a mapping that would be split in two needs one more than max_map_count
 * allows, and a filter may refuse it altogether. Such a range stays here: its memory is given back
 * page by page, and it is handed out again to a caller that asks for just as many bytes.
 */
#ifndef OI_REMNANT_H
#define OI_REMNANT_H

#include "base/compiler.h"

/* Bytes from which on nobody waits for munmap in a gate. */
#define OI_REMNANT_LONG ((size_t)1 << 20)

/*
 * Adds a range of whole pages, readable and writable, that this caller alone uses. @charge: the
 * bytes it is counted for until it is gone.
 */
void oi_remnant_add(void *p, size_t bytes, int64_t charge);
/*
 * Returns a range of @bytes, zeroed, that was refused, or is short; NULL if there is none. What it
 * was counted for no longer counts.
 */
void *oi_remnant_take(size_t bytes);
/*
 * Outside the gate. Unmaps up to @budget bytes, a multiple of the page size, unless another thread
 * is at it. SIZE_MAX: unmaps all, and waits for its turn. Returns true if some went, or are left
 * that nobody has tried.
 */
bool oi_remnant_retry(size_t budget);
#define OI_REMNANT_SLICE ((size_t)64 << 20) /* 3 ms: the tick has other things to do */
bool oi_remnant_any(void);
/* In the child of a fork: puts back what a thread that is gone had in hand. */
void oi_remnant_fork_child(void);

#endif
