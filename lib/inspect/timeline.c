/*
 * timeline.c - the last events in the trace event format
 *
 * JSON, as Perfetto and chrome://tracing open it: an object for each event, with its thread, when
 * it began and how long it took, in microseconds. Where two begin at once the longer one comes
 * first, since viewers take what follows within it for a part of it.
 */
#include "inspect/timeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/flight.h"
#include "base/holdup.h"
#include "inspect/output.h"
#include "world/thread.h"

struct timeline {
	struct oi_flight_event *event;
	size_t n;
	uint64_t lost;
};

static const char *const stops[OURO_STOPS] = {
	[OURO_STOP_YOUNG] = "young collection", [OURO_STOP_FULL] = "step of a collection",
	[OURO_STOP_RESURRECT] = "resurrection", [OURO_STOP_WALK] = "look at the heap",
	[OURO_STOP_LISTING] = "listing",        [OURO_STOP_FORK] = "fork",
	[OURO_STOP_SHUTDOWN] = "shutdown",      [OURO_STOP_CHECK] = "check",
};

static const char *const phases[OI_PHASES] = {
	[OI_PHASE_BEGIN] = "begin",   [OI_PHASE_SCAN] = "scan", [OI_PHASE_COMMIT] = "commit",
	[OI_PHASE_BURY] = "bury",     [OI_PHASE_LINGER] = "linger", [OI_PHASE_FREE] = "free",
};

/* Of another program's making: a name may hold any byte. */
static void write_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			fprintf(f, "\\u%04x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

static void write_us(FILE *f, const char *key, uint64_t ns)
{
	fprintf(f, ", \"%s\": %" PRIu64 ".%03u", key, ns / 1000, (unsigned)(ns % 1000));
}

/* What is before the time of each event. */
static void write_start(FILE *f, char ph, uint32_t tid)
{
	fprintf(f, ",\n{\"ph\": \"%c\", \"pid\": %d, \"tid\": %" PRIu32, ph, (int)getpid(), tid);
}

static void write_name(FILE *f, const char *category, const char *name, const char *detail)
{
	fprintf(f, ", \"cat\": \"%s\", \"name\": \"%s%s\"", category, name, detail);
}

static void write_counts(FILE *f, const struct oi_flight_event *e, const char *n, const char *m)
{
	fprintf(f, ", \"args\": {\"%s\": %" PRIu64, n, e->n);
	if (m)
		fprintf(f, ", \"%s\": %" PRIu64, m, e->m);
	fputc('}', f);
}

static void write_ask(FILE *f, const struct oi_flight_event *e)
{
	write_name(f, "stop", "wait for threads", "");
	if (!e->m)
		return;
	fprintf(f, ", \"args\": {\"slowest\": ");
	write_string(f, e->name);
	fprintf(f, ", \"slowest_tid\": %" PRIu64, e->m);
	write_us(f, "slowest_us", e->n);
	fputc('}', f);
}

static void write_collection(FILE *f, const struct oi_flight_event *e)
{
	char generation[2] = { (char)('0' + e->detail), 0 };
	write_name(f, "collection", "collection of generation ", generation);
	write_counts(f, e, "examined", "unreachable");
}

static void write_stop(FILE *f, const struct oi_flight_event *e)
{
	write_name(f, "stop", "stop: ", stops[e->detail]);
	fprintf(f, ", \"args\": {\"cause\": \"%s\"", stops[e->detail]);
	write_us(f, "asking_us", e->n);
	write_us(f, "off_us", e->m);
	fputc('}', f);
}

static void write_what(FILE *f, const struct oi_flight_event *e)
{
	switch ((enum oi_flight_kind)e->kind) {
	case OI_FLIGHT_COLLECTION:
		write_collection(f, e);
		break;
	case OI_FLIGHT_SOLO:
		write_name(f, "collection", "collected by threads themselves", "");
		write_counts(f, e, "examined", "unreachable");
		break;
	case OI_FLIGHT_SEARCH:
		write_name(f, "collection", "search", "");
		write_counts(f, e, "examined", "unreachable");
		break;
	case OI_FLIGHT_PHASE:
		write_name(f, "phase", phases[e->detail], "");
		break;
	case OI_FLIGHT_STOP:
		write_stop(f, e);
		break;
	case OI_FLIGHT_ASK:
		write_ask(f, e);
		break;
	case OI_FLIGHT_HOLDUP:
		write_name(f, "holdup", "held up: ", oi_holdup_name((ouro_holdup)e->detail));
		break;
	case OI_FLIGHT_HANDED:
		write_name(f, "death", "left to the reaper", "");
		write_counts(f, e, "objects", NULL);
		break;
	case OI_FLIGHT_REAP:
		write_name(f, "death", "reap", "");
		break;
	case OI_FLIGHT_KINDS:
		break;
	}
}

static void write_event(FILE *f, const struct oi_flight_event *e)
{
	bool instant = e->kind == OI_FLIGHT_HANDED || e->kind == OI_FLIGHT_SOLO;
	write_start(f, instant ? 'i' : 'X', e->tid);
	write_us(f, "ts", e->began_ns);
	if (instant)
		fprintf(f, ", \"s\": \"t\"");
	else
		write_us(f, "dur", e->ns);
	write_what(f, e);
	fputc('}', f);
}

/* Of records: a thread that is gone has its name there until the next takes it. */
static void write_threads(FILE *f)
{
	struct oi_thread *t;
	char name[OI_NAME];
	for (size_t i = 0; (t = oi_thread_record(i)); i++) {
		pid_t tid = oi_load_relaxed(&t->tid); /* recheck: it may be another's by now */
		oi_thread_get_name(t, name);
		if (tid <= 0 || !name[0])
			continue;
		write_start(f, 'M', (uint32_t)tid);
		fprintf(f, ", \"name\": \"thread_name\", \"args\": {\"name\": ");
		write_string(f, name);
		fprintf(f, "}}");
	}
}

static int earlier(const void *a, const void *b)
{
	const struct oi_flight_event *x = a, *y = b;
	if (x->began_ns != y->began_ns)
		return x->began_ns < y->began_ns ? -1 : 1;
	return x->ns > y->ns ? -1 : x->ns < y->ns;
}

static bool read_events(struct timeline *l)
{
	struct oi_flight_range r = oi_flight_range();
	l->lost = r.lost;
	l->event = malloc((size_t)(r.to - r.from + 1) * sizeof *l->event);
	if (!l->event)
		return false;
	for (uint64_t i = r.from; i < r.to; i++)
		if (oi_flight_read(i, &l->event[l->n]))
			l->n++;
	qsort(l->event, l->n, sizeof *l->event, earlier);
	return true;
}

static void write_all(FILE *f, const struct timeline *l)
{
	fprintf(f, "{\"displayTimeUnit\": \"ns\", \"otherData\": {\"version\": \"%s\", "
		"\"clock\": \"CLOCK_MONOTONIC\", \"events_lost\": \"%" PRIu64 "\"},\n"
		"\"traceEvents\": [\n{\"ph\": \"M\", \"pid\": %d, \"tid\": 0, "
		"\"name\": \"process_name\", \"args\": {\"name\": ",
		ouro_version(), l->lost, (int)getpid());
	write_string(f, program_invocation_short_name);
	fprintf(f, "}}");
	write_threads(f);
	for (size_t i = 0; i < l->n; i++)
		write_event(f, &l->event[i]);
	fprintf(f, "\n]}\n");
}

int oi_timeline_write(FILE *f)
{
	struct timeline l = { .n = 0 };
	if (!read_events(&l))
		return ENOMEM;
	struct oi_output out = oi_output_begin(f);
	write_all(f, &l);
	int error = oi_output_end(&out);
	free(l.event);
	return error;
}
