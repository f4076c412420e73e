/*
 * sites.c - where sampled objects were made: as a heap profile, and in the shutdown report
 *
 * The format is the one of gperftools ("heap_v2"), which its pprof reads, and Go's: a line for each
 * stack, with what is alive and what was made in all, as it was sampled. The reader multiplies; the
 * rate in the first line tells it by how much. The mappings of the process follow, by which it
 * finds the names. Sites are copied one at a time, under the lock; the file is written outside.
 */
#include "inspect/sites.h"

#include <errno.h>
#include <inttypes.h>

#include "base/loader.h"
#include "base/log.h"
#include "count/sample.h"
#include "inspect/output.h"
#include "ouro.h"
#include "world/deliver.h"
#include "world/gate.h"

static void write_row(FILE *f, const struct oi_site *s)
{
	fprintf(f, "%6" PRIu64 ": %8" PRIu64 " [%6" PRIu64 ": %8" PRIu64 "] @", s->live,
		s->live_bytes, s->made, s->made_bytes);
}

static void write_site(FILE *f, const struct oi_site *s)
{
	write_row(f, s);
	for (uint32_t i = 0; i < s->callers.n; i++)
		fprintf(f, " %#" PRIxPTR, (uintptr_t)s->callers.pc[i]);
	fputc('\n', f);
}

static void write_sum(FILE *f)
{
	struct oi_site s, sum = { 0 };
	for (uint32_t i = 0; oi_sample_site(i, &s); i++) {
		sum.live += s.live;
		sum.live_bytes += s.live_bytes;
		sum.made += s.made;
		sum.made_bytes += s.made_bytes;
	}
	fputs("heap profile: ", f);
	write_row(f, &sum);
	fprintf(f, " heap_v2/%zu\n", oi_runtime.config.sample_bytes);
}

/* Returns false if the system does not tell. */
static bool write_mappings(FILE *f)
{
	char buffer[4096];
	FILE *maps = fopen("/proc/self/maps", "re");
	if (!maps)
		return false;
	fputs("\nMAPPED_LIBRARIES:\n", f);
	for (size_t n; (n = fread(buffer, 1, sizeof buffer, maps)) != 0;)
		fwrite(buffer, 1, n, f);
	bool read = !ferror(maps);
	fclose(maps);
	return read;
}

int ouro_sites_write(FILE *f)
{
	struct oi_site s;
	if (!f)
		return EINVAL;
	oi_current();
	if (!oi_sampling())
		return ENODATA;
	struct oi_output out = oi_output_begin(f);
	write_sum(f);
	for (uint32_t i = 0; oi_sample_site(i, &s); i++)
		write_site(f, &s);
	bool mapped = write_mappings(f);
	int error = oi_output_end(&out);
	return error || mapped ? error : EIO;
}

/* ---- the report ---- */

#define SAID_MOST 10

/* Finds the site with the most bytes held among those that have fewer than @less, or came later. */
static bool next_held(struct oi_site *out, uint64_t *less, uint32_t *after)
{
	struct oi_site s;
	uint32_t found = 0;
	out->held_bytes = 0;
	for (uint32_t i = 0; oi_sample_site(i, &s); i++) {
		bool earlier = s.held_bytes > *less || (s.held_bytes == *less && i + 1 <= *after);
		if (s.held && !earlier && s.held_bytes > out->held_bytes) {
			*out = s;
			found = i + 1;
		}
	}
	*less = out->held_bytes;
	*after = found;
	return found;
}

/* As many callers as a message has room for, whole. */
static void say_site(const struct oi_site *s)
{
	char callers[OI_LOG_MESSAGE - 128] = "";
	size_t at = 0;
	for (uint32_t i = 0; i < s->callers.n; i++) {
		char place[256];
		int n = oi_loader_place(s->callers.pc[i], place, sizeof place);
		if (n <= 0 || (size_t)n >= sizeof place || at + (size_t)n + 4 > sizeof callers)
			break;
		at += (size_t)sprintf(callers + at, "%s%s", i ? " < " : "", place);
	}
	oi_say("still held at shutdown: %" PRIu64 " sampled, about %" PRIu64 " bytes, made at %s",
	       s->held, s->held_bytes, callers);
}

void oi_sites_say_held(void)
{
	struct oi_site s;
	uint64_t less = UINT64_MAX;
	uint32_t after = 0;
	for (unsigned n = 0; n < SAID_MOST && next_held(&s, &less, &after); n++)
		say_site(&s);
}
