/* ouro/stats.h - seeing what the heap does. */
#ifndef OURO_STATS_H
#define OURO_STATS_H

#include "base.h"
#include "holdup.h"
#include "type.h"

OURO_BEGIN_DECLS

/*
 * All of it is since the start of the heap. Fields may be added at the end. Percentiles are upper
 * bounds within 4 %.
 */
typedef struct ouro_stats {
	uint64_t objects_live, bytes_live;         /* bytes include headers */
	uint64_t objects_allocated, objects_freed; /* freed: when destroyed */
	uint64_t bytes_reserved;                   /* from the system, without work lists */
	uint64_t weak_entries, threads;            /* attached threads, without the library's own */
	/* [0] with those that threads do by themselves, without a pause: ouro/gc.h */
	uint64_t collections[3], collected[3], collection_ns[3];
	uint64_t pauses, pause_sum_ns, pause_p50_ns, pause_p99_ns, pause_p999_ns, pause_max_ns;
	uint64_t stop_max_ns; /* longest wait from asking for a stop to having it */
	/*
	 * Allocations held up because the collector, or the reaper, lagged behind: waits of at most
	 * a millisecond each, and what the system takes to give the thread a processor again; up to
	 * 16 in a row when the backlog is large, 128 for a large object. They are not among the
	 * pauses.
	 */
	uint64_t delays, delay_sum_ns, delay_max_ns;
	/*
	 * Calls held up for longer than pause_budget_ns, by ouro_holdup: how often, for how long
	 * altogether, and the longest.
	 */
	uint64_t holdups[OURO_HOLDUPS_ROOM];
	uint64_t holdup_sum_ns[OURO_HOLDUPS_ROOM], holdup_max_ns[OURO_HOLDUPS_ROOM];
	/*
	 * Objects that collections beside the mutators looked at; how many of these the further
	 * threads of ouro_config.gc_threads did.
	 */
	uint64_t looked, looked_by_helpers;
	/*
	 * Searches for garbage among old objects (ouro/gc.h): objects they began at, objects they
	 * looked at, and objects they found. What of these is dead counts among collected[2].
	 */
	uint64_t searches, searched, search_found;
	/*
	 * Bytes of the heap that the system was asked to map by huge pages (ouro_config.huge_pages),
	 * and has.
	 */
	uint64_t bytes_huge;
	/* What objects own outside of the heap, as far as the program says: ouro_external_bytes. */
	uint64_t external_bytes;
	/*
	 * Live objects of which it is known where they were made (ouro/sites.h); objects that were
	 * sampled, and that there was no room to note.
	 */
	uint64_t samples, samples_dropped;
	/*
	 * Of the pauses: for how long the thread that had stopped the others did not run while they
	 * stood, without a processor or asleep in a system call; altogether, and in one pause at
	 * most. What is longer than pause_budget_ns for this reason no budget helps against.
	 */
	uint64_t pause_off_sum_ns, pause_off_max_ns;
	/*
	 * Live objects by generation: what collections of 0, and of 1, would look at, and what is
	 * old. The rest of objects_live is of types that refer to nothing.
	 */
	uint64_t generation_objects[3];
} ouro_stats;

/*
 * ouro_stats_get - look at the counters; they are exact when the program is quiet
 * @out: NULL: nothing is done
 *
 * ouro_stats_get_sized does the same; it fills @size bytes: sizeof *@out.
 * Blocks:  no: it takes no lock, and waits for no stop, pinned or not.
 */
OURO_API void ouro_stats_get_sized(ouro_stats *out, size_t size);
#ifdef OURO_PLAIN
/* It handles the first published layout (ouro/base.h). */
OURO_API void ouro_stats_get(ouro_stats *out);
#else
static inline void ouro_stats_get(ouro_stats *out)
{
	ouro_stats_get_sized(out, sizeof(ouro_stats));
}
#endif

typedef enum ouro_stats_format {
	OURO_STATS_TEXT,
	OURO_STATS_JSON,
	OURO_STATS_OPENMETRICS
} ouro_stats_format;

/* What an HTTP server that answers with OURO_STATS_OPENMETRICS says of it: its Content-Type. */
#define OURO_OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/*
 * ouro_stats_write - write all of ouro_stats to @f, and the last census by type
 *                    (ouro_type_stats), and flush that
 *
 * OURO_STATS_TEXT: a line for each field, its name and its values. OURO_STATS_JSON: an object whose
 * members are the fields. OURO_STATS_OPENMETRICS: the text format 1.0.0, complete with # EOF. Its
 * families are called as the fields, with ouro_ before, with these exceptions: times are in
 * seconds, and their names end in _seconds; pauses, delays and hold-ups are histograms
 * (pause_seconds, delay_seconds, holdup_seconds) with buckets from 10 us to 10 s; so there are no
 * percentiles. The label of what is by generation is generation, of what is by cause cause. The 100
 * types with the most bytes, external ones included, have rows; all others are one, "(other)".
 * Return:  0; EINVAL (f NULL, unknown format); or why a write failed, as ENOSPC, or EIO
 *          if that is not known.
 * Blocks:  for @f alone. Cancellation waits meanwhile.
 */
OURO_API int ouro_stats_write(FILE *f, ouro_stats_format format);

/* What there is of one type: objects that are not gone yet, bytes with their headers. */
typedef struct ouro_type_stat {
	const ouro_type *type; /* as ouro_typeof says; it may be gone with its plugin */
	const char *name;      /* the library's copy: valid for ever */
	uint64_t objects, bytes;
	uint64_t external_bytes; /* what they own outside of the heap: ouro_external_bytes */
} ouro_type_stat;

/*
 * ouro_type_stats - a census: how many objects there are of each type, and how many bytes
 * @out: gets a row for each type that has objects, as far as they fit; NULL with @n 0 is fine
 * @n:   rows that there is room for
 *
 * Types that no collection looks at are counted as well. It walks the heap, so it takes time, a few
 * ns for each object; what changes meanwhile may be counted or not. ouro_stats_write shows the last
 * census, and how old it is: take one now and then. ouro_type_stats_sized does the same; @size:
 * sizeof *@out.
 * Return:  how many types have objects; -1 with errno EINVAL (out NULL, and n > 0), ENOMEM, or
 *          EDEADLK when pinned, or in an event function between GC_START and GC_STOP.
 * Blocks:  for stops, each within half of pause_budget_ns, hence for pinned threads.
 */
OURO_API ssize_t ouro_type_stats_sized(ouro_type_stat *out, size_t n, size_t size);
static inline ssize_t ouro_type_stats(ouro_type_stat *out, size_t n)
{
	return ouro_type_stats_sized(out, n, sizeof(ouro_type_stat));
}

/*
 * ouro_dump_dot - write the graph below an object, for Graphviz
 * @root: borrowed
 * @max:  at most that many objects; the rest shows as one "..." node
 *
 * Edges bear the name of the slot, where its type was described with OURO_SLOTS and its like.
 * An object whose references are being released, as in its clear and destroy, has nothing below it.
 * Return:  0; EINVAL (f or root NULL); ENOMEM; EDEADLK when pinned, or in an event function
 *          between GC_START and GC_STOP; or why a write failed, as ENOSPC, or EIO if that is not
 *          known.
 * Blocks:  for a young collection that is under way and for a stop, hence for pinned threads; the
 *          graph is read in one stop, and written to @f afterwards, in which cancellation waits.
 * Runs:    traverse, in the stop; callbacks, if others dropped their last references meanwhile.
 */
OURO_API int ouro_dump_dot(FILE *f, const void *root, size_t max);

OURO_END_DECLS

#endif
