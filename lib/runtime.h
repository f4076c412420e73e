/* runtime.h - the one heap of the process: its configuration and its life. */
#ifndef OI_RUNTIME_H
#define OI_RUNTIME_H

#include "compiler.h"
#include "config.h"

struct oi_runtime {
	ouro_config config;
	uint32_t running;     /* release once everything is set up [L1] */
	uint32_t incarnation; /* counts starts */
	bool shutting_down;
};
extern struct oi_runtime oi_runtime;

struct oi_thread;
/* Is this thread, which asks, inside ouro_shutdown? */
bool oi_runtime_ends(const struct oi_thread *t);

/* Starts the heap with defaults if nothing has. False: no memory or no thread. */
bool oi_runtime_ensure(void);
/* For calls that cannot fail: without the library's threads if need be, which are started at the next need then. */
bool oi_runtime_ensure_anyhow(void);

/* In the child of a fork, last: what another thread had begun to end. */
void oi_runtime_fork_child(void);

#endif
