/* program.h - what the steps of a fuzzed program share: fuzz_program.c */
#ifndef FUZZ_PROGRAM_H
#define FUZZ_PROGRAM_H

#include "thing.h"

struct step {
	uint8_t what, who, a, b;
};

/* What the operand's handle of thread @t holds, borrowed; or NULL. */
struct thing *program_held(int t, uint8_t operand);
/* @x, a new reference or NULL, takes the place of what that handle holds. */
void program_keep(int t, uint8_t operand, struct thing *x);

#endif
