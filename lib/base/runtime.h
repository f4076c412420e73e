/* runtime.h - the one heap of the process: its configuration, and its state (lifecycle.c). */
#ifndef OI_RUNTIME_H
#define OI_RUNTIME_H

#include "base/compiler.h"
#include "ouro.h"

struct oi_thread;

struct oi_runtime {
	ouro_config config;
	uint32_t running;     /* stored, with release, once everything is set up [L1] */
	uint32_t incarnation; /* counts starts */
	bool shutting_down;
	const struct oi_thread *ender; /* the thread inside ouro_shutdown; written under the lock */
};
extern struct oi_runtime oi_runtime;

/* Returns true if @t, the caller's record, is inside ouro_shutdown. */
OI_INLINE bool oi_runtime_ends(const struct oi_thread *t)
{
	return oi_load_relaxed(&oi_runtime.ender) == t; /* owner */
}

#endif
