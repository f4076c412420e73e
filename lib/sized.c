/*
 * sized.c - structs that grow
 *
 * Fields are added at the end of the structs that a program fills or receives, under the same soname. So that a program built
 * against an older header has no memory overwritten, the inline functions of the headers pass the size of the struct that they
 * were compiled with (ouro_stats_get calls ouro_stats_get_sized). The symbols without a size stay, for programs that were
 * built before there was one, and for who looks them up by name: they know the first published layout and no more.
 * Other structs: ouro_gc_event is made by the library and passed by address, so an older listener sees its beginning;
 * ouro_type is the program's and read by the library: a field behind flags may only be read if a new bit of flags says that it
 * is there.
 */
#define OURO_PLAIN 1
#include "sized.h"

#include <string.h>

#include "ouro.h"

/* The sizes of the first published layouts; the headers' structs begin with these for ever. */
#define FIRST_STATS 184
#define FIRST_CONFIG 56
#define FIRST_REPORT 16
#define FIRST_GC_STATS 32
_Static_assert(offsetof(ouro_stats, stop_max_ns) + sizeof(uint64_t) == FIRST_STATS, "ends with stop_max_ns");
_Static_assert(offsetof(ouro_config, pin_warn_ns) + sizeof(uint64_t) == FIRST_CONFIG, "ends with pin_warn_ns");
_Static_assert(offsetof(ouro_report, bytes) + sizeof(size_t) == FIRST_REPORT, "ends with bytes");
_Static_assert(offsetof(ouro_gc_stats, duration_ns) + sizeof(uint64_t) == FIRST_GC_STATS, "ends with duration_ns");

void oi_sized_out(void *out, size_t size, const void *full, size_t known)
{
	size_t n = size < known ? size : known;
	memcpy(out, full, n);
	memset((char *)out + n, 0, size - n);
}

bool oi_sized_in(void *full, size_t known, const void *in, size_t size)
{
	for (size_t i = known; i < size; i++)
		if (((const char *)in)[i])
			return false;
	memcpy(full, in, size < known ? size : known);
	return true;
}

/* ---- the symbols of the first layouts ---- */

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
