/* callers.h - who called: the addresses on a thread's stack. */
#ifndef OI_CALLERS_H
#define OI_CALLERS_H

#include "base/compiler.h"

/* Return addresses, innermost first, and where each lies: so many bytes above the first. */
#define OI_CALLERS 32
struct oi_callers {
	uint32_t n;
	bool placed; /* it is known of each where it lies */
	uint32_t above[OI_CALLERS];
	void *pc[OI_CALLERS];
};

/*
 * Fills in who called: the first return address is @from, which lies at @at, if that is on the
 * stack. Outside the gate, and with no lock held: where the C library is older than 2.35, the
 * unwinder takes the loader's lock.
 */
void oi_callers(struct oi_callers *c, const void *from, uintptr_t at);

/* Where the address lies that this function returns to, on x86-64; anywhere else nothing of use. */
#define OI_RETURN_ADDRESS_AT ((uintptr_t)__builtin_dwarf_cfa() - sizeof(void *))

/* The calling thread's stack, as the system has made it. */
struct oi_stack {
	uintptr_t from, to; /* 0, 0: not known */
};
struct oi_stack oi_stack_of_thread(void);

/*
 * Returns true if the calling thread, whose stack that is, has the same callers again, the first at
 * @at, which it is inside of. That takes a look at each, and no unwinder.
 */
bool oi_callers_again(const struct oi_callers *c, uintptr_t at, const struct oi_stack *stack);

#endif
