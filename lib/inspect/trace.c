/*
 * trace.c - traces: how they begin, and where they are written
 *
 * none -> TO_FILE or TO_NOWHERE (ouro_trace_start), TO_PATH (OURO_TRACE, at a heap's start) -> none
 * (ouro_trace_stop; for the first two also the end of the heap, and exit). A trace to a path
 * outlives its heap, and is written anew, whole, at each end of one. Under the lock, which nobody
 * holds while he writes. Events go to flight.c's ring throughout.
 */
#include "inspect/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/flight.h"
#include "base/lock.h"
#include "base/log.h"
#include "inspect/timeline.h"
#include "ouro.h"
#include "world/gate.h"

#define PATH 4096

static struct trace {
	enum { NONE, TO_NOWHERE, TO_FILE, TO_PATH } way;
	FILE *file;
	char path[PATH]; /* absolute, as a server changes its directory */
} trace;
static bool any; /* there was one */

/* Under the lock. */
static void begin_trace(unsigned way, FILE *f)
{
	trace.way = way;
	trace.file = f;
	any = true;
	oi_flight_start();
}

/* Ends the trace, unless @keep and it is one to a path. Returns what it was. */
static unsigned end(bool keep, FILE **f)
{
	oi_lock(OI_LOCK_TRACE);
	unsigned was = trace.way;
	*f = trace.file;
	if (was != NONE && !(keep && was == TO_PATH)) {
		trace.way = NONE;
		oi_flight_end();
	}
	oi_unlock(OI_LOCK_TRACE);
	return was;
}

static int write_path(void)
{
	FILE *f = fopen(trace.path, "we");
	if (!f)
		return errno == ENOENT ? ENOTDIR : errno; /* ENOENT: there is no trace */
	int error = oi_timeline_write(f);
	return fclose(f) && !error ? errno : error;
}

/* Ends it as @keep says. ENOENT: there was none. */
static int finish(bool keep)
{
	FILE *f;
	switch (end(keep, &f)) {
	case TO_FILE:
		return oi_timeline_write(f);
	case TO_PATH:
		return write_path();
	case TO_NOWHERE:
		return 0;
	default:
		return ENOENT;
	}
}

/* Returns false if it is too long, or the directory has no name. */
static bool set_path(const char *name)
{
	size_t n = 0;
	if (name[0] != '/' && getcwd(trace.path, PATH))
		n = strlen(trace.path);
	if ((name[0] != '/' && !n) || n + strlen(name) + 2 > PATH)
		return false;
	if (n)
		trace.path[n++] = '/';
	strcpy(trace.path + n, name);
	return true;
}

void oi_trace_begin(void)
{
	const char *name = getenv("OURO_TRACE");
	if (!name || !*name)
		return;
	oi_lock(OI_LOCK_TRACE);
	bool none = trace.way == NONE, fits = none && set_path(name);
	if (fits)
		begin_trace(TO_PATH, NULL);
	oi_unlock(OI_LOCK_TRACE);
	if (none && !fits)
		oi_log("environment: OURO_TRACE=%s is too long", name);
}

static void say(int error)
{
	if (error && error != ENOENT)
		oi_log("the trace was not written, or not all of it: %s", strerrordesc_np(error));
}

void oi_trace_shutdown(void)
{
	say(finish(true));
}

/* Threads may go on meanwhile; and the program's log function may be gone. */
__attribute__((destructor)) static void write_at_exit(void)
{
	finish(false);
}

/* One of OURO_TRACE gets a name of its own; others end, as their file is the parent's. */
void oi_trace_fork_child(void)
{
	oi_flight_fork_child();
	size_t n = strlen(trace.path);
	if (trace.way == TO_PATH && n + 12 < PATH) {
		snprintf(trace.path + n, PATH - n, ".%d", (int)getpid());
	} else if (trace.way != NONE) {
		trace.way = NONE;
		oi_flight_end();
	}
}

/* ---- public ---- */

int ouro_trace_start(FILE *f)
{
	oi_current();
	oi_lock(OI_LOCK_TRACE);
	bool none = trace.way == NONE;
	if (none)
		begin_trace(f ? TO_FILE : TO_NOWHERE, f);
	oi_unlock(OI_LOCK_TRACE);
	return none ? 0 : EALREADY;
}

int ouro_trace_stop(void)
{
	oi_current();
	return finish(false);
}

int ouro_trace_write(FILE *f)
{
	oi_current();
	if (!f)
		return EINVAL;
	oi_lock(OI_LOCK_TRACE);
	bool none = !any;
	oi_unlock(OI_LOCK_TRACE);
	return none ? ENOENT : oi_timeline_write(f);
}
