/*
 * perturb.h - making rare schedules and failures common, in checked builds only
 *
 * OURO_PERTURB=n       yield or spin at one in n of the marked places inside the library
 * OURO_STALL=us        at every eighth of these the thread stands still for that long instead
 * OURO_COLLECT_EVERY=n ask for a young collection at every n-th allocation of a thread, whatever the thresholds
 * OURO_FAIL_ALLOC=n    the library's own n-th allocation (memory mapping or malloc) fails, once
 */
#ifndef OI_PERTURB_H
#define OI_PERTURB_H

#include "compiler.h"

#if OURO_CHECKED
void oi_perturb_init(void);
void oi_perturb(void);
/*
 * A place with a name, for tests that need a thread to stand still just there: they set the hook, which is called with the name
 * by every thread that passes. It may wait for other threads; what the place is inside of (a gate, a lock) still holds.
 */
extern void (*oi_point_hook)(const char *point);
void oi_point(const char *point);
bool oi_perturb_fail(void);
bool oi_perturb_collect(void);
#else
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
OI_INLINE bool oi_perturb_fail(void)
{
	return false;
}
OI_INLINE bool oi_perturb_collect(void)
{
	return false;
}
#endif

#endif
