/* gctrace.c - one log line for each collection; gc.h has its form. */
#include "collect/gctrace.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/os.h"
#include "heap/tally.h"
#include "world/threads.h"

static uint64_t began_ns, n_lines; /* of this heap */

bool oi_gctrace_start(void)
{
	const char *s = getenv("OURO_GCTRACE");
	began_ns = oi_now_ns();
	oi_store_relaxed(&n_lines, UINT64_C(0)); /* count */
	bool on = s && !strcmp(s, "1");
	if (s && !on && strcmp(s, "0") != 0)
		oi_log("environment: OURO_GCTRACE=%s is not understood", s);
	return on;
}

/* Thousandths: not with %f, which writes what the program's locale has for a point. */
#define POINT "%llu.%03u"
#define OF(n, unit) (unsigned long long)((n) / (unit)), (unsigned)((n) % (unit) / ((unit) / 1000))
#define MS(ns) OF(ns, 1000000)
#define S(ns) OF(ns, 1000000000)
#define MB(bytes) OF(bytes, 1000000)

void oi_gctrace_line(const struct oi_garbage *g,
		     void (*say)(const char *format, ...) OI_PRINTF(1, 2))
{
	const struct oi_stops *s = &g->stops;
	struct oi_totals t;
	oi_tally_totals(&t);
	uint64_t n = oi_add_relaxed(&n_lines, UINT64_C(1)) + 1; /* count */
	say("gc %llu @" POINT "s gen %d: " POINT " ms; stops %u, " POINT " ms, longest " POINT
	    " ms, waited " POINT " ms for \"%s\"; examined %zu, unreachable %zu; objects %llu, "
	    POINT " MB of " POINT " MB; threads %zu; off " POINT " ms",
	    (unsigned long long)n, S(oi_now_ns() - began_ns), g->generation, MS(g->found_ns),
	    s->n, MS(s->ns), MS(s->max_ns), MS(s->waited_ns), s->waited_name, g->n_examined,
	    g->objects.n, (unsigned long long)(t.n_allocated - t.n_freed),
	    MB(t.bytes_allocated - t.bytes_freed), MB(oi_os_reserved()), oi_threads_count(),
	    MS(s->off_ns));
}
