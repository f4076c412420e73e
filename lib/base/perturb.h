/*
 * perturb.h - making rare schedules and failures common, in checked builds only
 *
 * OURO_PERTURB=n       yields or spins at one in n of the marked places inside the library; for no
 *                      more than half of a thread's time, where yields are long
 * OURO_STALL=us        at every eighth of these the thread stands still for that long instead
 * OURO_COLLECT_EVERY=n asks for a young collection at every n-th allocation of a thread, whatever
 *                      the thresholds
 * OURO_RECYCLE=1       uses a block again at once where the shipped library does; otherwise it
 *                      waits, so that misuse is found
 * OURO_FAIL_*=n        the n-th call of a kind that the library makes fails, once
 * OURO_FAIL_*=n+       that call and all later ones fail: shortages last
 *
 * Kinds: ALLOC (any request for memory: mmap, mremap, a thread), MMAP, MUNMAP, MREMAP, MADVISE,
 * MEMBARRIER, FUTEX, PTHREAD_CREATE, SETSPECIFIC (of the key that detaches threads, and its
 * creation), TIMER (nanosleep, clock_gettime). A call that is to fail is not made. Tests arm and
 * disarm them with oi_fail_arm, from any thread, while others make such calls.
 */
#ifndef OI_PERTURB_H
#define OI_PERTURB_H

#include "base/compiler.h"

enum oi_fail {
	OI_FAIL_ALLOC,
	OI_FAIL_MMAP,
	OI_FAIL_MUNMAP,
	OI_FAIL_MREMAP,
	OI_FAIL_MADVISE,
	OI_FAIL_MEMBARRIER,
	OI_FAIL_FUTEX,
	OI_FAIL_PTHREAD_CREATE,
	OI_FAIL_SETSPECIFIC,
	OI_FAIL_TIMER,
	OI_FAIL_KINDS
};

#if OURO_CHECKED
void oi_perturb_init(void);
/*
 * A marked place: calls the hook, if there is one; yields, spins or stands still there, if
 * OURO_PERTURB asks for it. The hook may do what that of oi_point may.
 */
extern void (*_Atomic oi_perturb_hook)(void);
void oi_perturb(void);
/*
 * A place with a name, for tests that need a thread to stand still just there: they set the hook,
 * and every thread that passes calls it with the name; the library's pass at any time, so it is
 * atomic. It may wait for other threads; but the thread is still in whatever gate, and holds
 * whatever lock, the place is inside of.
 */
extern void (*_Atomic oi_point_hook)(const char *point);
void oi_point(const char *point);
/* Called before a call of that kind. Returns true if that must fail; then errno says why. */
bool oi_fail(enum oi_fail kind);
/*
 * Has the @n-th call from now on fail, with @forever all later ones, too; 0: none. Counting begins
 * anew.
 */
void oi_fail_arm(enum oi_fail kind, unsigned long n, bool forever);
/* Return how many calls were to be made since then, and how many of them failed. */
unsigned long oi_fail_calls(enum oi_fail kind);
unsigned long oi_fail_failed(enum oi_fail kind);
/* Returns true if OURO_COLLECT_EVERY asks for a collection at this allocation. */
bool oi_perturb_collect(void);
extern bool oi_recycle OI_HIDDEN;
OI_INLINE bool oi_recycles(void)
{
	return unlikely(oi_load_relaxed(&oi_recycle)); /* elsewhere: set before any object */
}
#else
OI_INLINE bool oi_recycles(void)
{
	return true;
}
OI_INLINE void oi_perturb_init(void)
{
}
OI_INLINE void oi_perturb(void)
{
}
OI_INLINE void oi_point(const char *point)
{
	(void)point;
}
OI_INLINE void oi_fail_arm(enum oi_fail kind, unsigned long n, bool forever)
{
	(void)kind;
	(void)n;
	(void)forever;
}
OI_INLINE bool oi_fail(enum oi_fail kind)
{
	(void)kind;
	return false;
}
OI_INLINE bool oi_perturb_collect(void)
{
	return false;
}
#endif

#endif
