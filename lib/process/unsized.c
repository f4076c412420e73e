/*
 * unsized.c - the symbols of the first layouts
 *
 * Functions on the structs of sized.c that are not told a size stay, for programs that were built
 * before there was one, and for whoever looks them up by name. They know the first published layout
 * and no more.
 */
#define OURO_PLAIN 1
#include "ouro.h"

#include <stddef.h>

/* The sizes of the first published layouts; the structs begin with these for ever. */
#define FIRST_STATS 184
#define FIRST_CONFIG 56
#define FIRST_REPORT 16
#define FIRST_GC_STATS 32
_Static_assert(offsetof(ouro_stats, stop_max_ns) + sizeof(uint64_t) == FIRST_STATS,
	       "ends with stop_max_ns");
_Static_assert(offsetof(ouro_config, pin_warn_ns) + sizeof(uint64_t) == FIRST_CONFIG,
	       "ends with pin_warn_ns");
_Static_assert(offsetof(ouro_report, bytes) + sizeof(size_t) == FIRST_REPORT, "ends with bytes");
_Static_assert(offsetof(ouro_gc_stats, duration_ns) + sizeof(uint64_t) == FIRST_GC_STATS,
	       "ends with duration_ns");

void ouro_stats_get(ouro_stats *out)
{
	ouro_stats_get_sized(out, FIRST_STATS);
}

int ouro_init(const ouro_config *cfg)
{
	return ouro_init_sized(cfg, FIRST_CONFIG);
}

int ouro_shutdown(ouro_report *out)
{
	return ouro_shutdown_sized(out, FIRST_REPORT);
}

void ouro_gc_get_stats(ouro_gc_stats out[3])
{
	ouro_gc_get_stats_sized(out, FIRST_GC_STATS);
}
