/*
 * callers.c - the stack as the unwinder of the C++ ABI sees it
 *
 * _Unwind_Backtrace of libgcc, which gcc and clang link with every program: it needs no frame
 * pointers, which few libraries are built with, and unlike glibc's backtrace() it loads nothing at
 * its first call and allocates nothing. It stops where a function has no unwind table.
 */
#include "base/callers.h"

#include <string.h>
#include <unwind.h>

#define OWN_MOST 8 /* frames of the library's, above the one that is asked for */

struct walk {
	void *pc[OI_CALLERS + OWN_MOST];
	unsigned n;
};

static _Unwind_Reason_Code look_at_frame(struct _Unwind_Context *context, void *arg)
{
	struct walk *w = arg;
	uintptr_t pc = _Unwind_GetIP(context);
	if (!pc || w->n == sizeof w->pc / sizeof *w->pc)
		return _URC_END_OF_STACK;
	w->pc[w->n++] = (void *)pc;
	return _URC_NO_REASON;
}

unsigned oi_callers(void **pc, unsigned max, const void *from)
{
	struct walk w = { .n = 0 };
	unsigned first = 0;
	_Unwind_Backtrace(look_at_frame, &w);
	while (first < w.n && first < OWN_MOST && w.pc[first] != from)
		first++;
	if (first == w.n || w.pc[first] != from)
		first = 0; /* all of it is better than nothing */
	unsigned n = w.n - first < max ? w.n - first : max;
	memcpy(pc, w.pc + first, n * sizeof *pc);
	return n;
}
