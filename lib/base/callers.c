/*
 * callers.c - the stack as the unwinder of the C++ ABI sees it
 *
 * _Unwind_Backtrace of libgcc, which gcc and clang link with every program: it needs no frame
 * pointers, which few libraries are built with, and unlike glibc's backtrace() it loads nothing at
 * its first call and allocates nothing. It stops where a function has no unwind table.
 *
 * It takes 0.1 to 0.2 us for each frame. A program calls from the same places again and again, so
 * it is noted where the return addresses lay: on x86-64 each below what the unwinder calls the
 * frame's CFA, and where an address is not found there, nothing is noted. If all of them lie there
 * again, the callers are the same; but for a function with a stack frame of a changing size, in
 * which an address that was left over lies just there, and then they are callers of a moment ago.
 * Nothing else than the thread's own stack is read, from where it is to its end: that is there,
 * whatever has become of the rest of what was noted. Who runs on a stack of the program's making
 * is always asked the unwinder's way.
 */
#include "base/callers.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unwind.h>

#include "base/cancel.h"
#include "base/perturb.h"

#define OWN_MOST 8 /* frames of the library's, above the one that is asked for */

struct walk {
	void *pc[OI_CALLERS + OWN_MOST];
	uintptr_t at[OI_CALLERS + OWN_MOST]; /* 0: not known */
	unsigned n;
};

/* What lies in a frame, whether or not that is a variable of the program's. */
OI_UNSANITIZED static void *address_at(uintptr_t at)
{
	return *(void *volatile const *)at;
}

static _Unwind_Reason_Code look_at_frame(struct _Unwind_Context *context, void *arg)
{
	struct walk *w = arg;
	uintptr_t pc = _Unwind_GetIP(context), at = _Unwind_GetCFA(context) - sizeof(void *);
	if (!pc || w->n == sizeof w->pc / sizeof *w->pc)
		return _URC_END_OF_STACK;
	w->at[w->n] = address_at(at) == (void *)pc ? at : 0;
	w->pc[w->n++] = (void *)pc;
	return _URC_NO_REASON;
}

/* Notes where they lie, if each lies above the one before it. */
static void place(struct oi_callers *c, const uintptr_t *at)
{
	c->placed = c->n && at[0];
	for (unsigned i = 0; c->placed && i < c->n; i++) {
		c->above[i] = (uint32_t)(at[i] - at[0]);
		c->placed = !i || (at[i] > at[i - 1] && at[i] - at[0] <= UINT32_MAX);
	}
}

void oi_callers(struct oi_callers *c, const void *from, uintptr_t at)
{
	struct walk w = { .n = 0 };
	unsigned first = 0;
	oi_point("callers_walk");
	_Unwind_Backtrace(look_at_frame, &w);
	while (first < w.n && first < OWN_MOST && w.pc[first] != from)
		first++;
	if (first == w.n || w.pc[first] != from)
		first = 0; /* all of it is better than nothing */
	c->n = w.n - first < OI_CALLERS ? w.n - first : OI_CALLERS;
	memcpy(c->pc, w.pc + first, c->n * sizeof *c->pc);
	place(c, w.at + first);
	c->placed &= w.at[first] == at;
}

struct oi_stack oi_stack_of_thread(void)
{
	int cancel = oi_cancel_off(), error = errno;
	pthread_attr_t attr;
	void *from = NULL;
	size_t bytes = 0;
	if (!pthread_getattr_np(pthread_self(), &attr)) {
		pthread_attr_getstack(&attr, &from, &bytes);
		pthread_attr_destroy(&attr);
	}
	errno = error;
	oi_cancel_back(cancel);
	return (struct oi_stack){ (uintptr_t)from, (uintptr_t)from + bytes };
}

bool oi_callers_again(const struct oi_callers *c, uintptr_t at, const struct oi_stack *stack)
{
	if (!c->placed || at < stack->from || at >= stack->to ||
	    stack->to - at < c->above[c->n - 1] + sizeof(void *))
		return false;
	for (unsigned i = 0; i < c->n; i++)
		if (address_at(at + c->above[i]) != c->pc[i])
			return false;
	return true;
}
