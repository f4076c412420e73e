/*
 * Goal: a trace says what the statistics say, whole, whoever notes, or reads, at once.
 * Method: traces of known collections, read line by line and added up; rings that overflow.
 * A failure would mean: a picture of a pause that shows another one.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

#include <ctype.h>
#include <unistd.h>

#include "base/flight.h"
#include "base/holdup.h"
#include "base/log.h"
#include "base/os.h"

/* ---- reading: each event is a line ---- */

struct span {
	char ph;
	unsigned tid;
	uint64_t began, ns;
	char name[64];
	char args[200];
};

struct spans {
	struct span *span;
	size_t n;
	unsigned long lost;
};

/* Microseconds with three decimals. */
static uint64_t ns_after(const char *line, const char *key)
{
	const char *p = strstr(line, key);
	unsigned long us;
	unsigned ns;

	if (p == NULL)
		return 0;
	assert_int_equal(sscanf(p + strlen(key), "%lu.%3u", &us, &ns), 2);
	return us * 1000 + ns;
}

static bool read_span(const char *line, struct span *s)
{
	const char *name = strstr(line, "\"name\": \""), *args = strstr(line, "\"args\": ");

	memset(s, 0, sizeof(*s));
	if (sscanf(line, "{\"ph\": \"%c\", \"pid\": %*d, \"tid\": %u", &s->ph, &s->tid) != 2)
		return false;
	s->began = ns_after(line, "\"ts\": ");
	s->ns = ns_after(line, "\"dur\": ");
	assert_int_equal(sscanf(name, "\"name\": \"%63[^\"]", s->name), 1);
	if (args)
		snprintf(s->args, sizeof(s->args), "%s", args + strlen("\"args\": "));
	return true;
}

static struct spans read_trace(char *text)
{
	struct spans all = { .n = 0 };
	const char *lost = strstr(text, "\"events_lost\": \"");

	assert_int_equal(strncmp(text, "{\"displayTimeUnit\": \"ns\", ", 25), 0);
	assert_non_null(lost);
	all.lost = strtoul(lost + strlen("\"events_lost\": \""), NULL, 10);
	assert_string_equal(text + strlen(text) - 5, "}\n]}\n");
	all.span = malloc((OI_FLIGHT_EVENTS + 1000) * sizeof(*all.span));
	for (char *line; (line = strsep(&text, "\n")) != NULL;)
		all.n += read_span(line, &all.span[all.n]);
	return all;
}

struct sum {
	uint64_t n, ns;
};

static struct sum sum_of(const struct spans *all, const char *name)
{
	struct sum sum = { 0, 0 };

	for (const struct span *s = all->span; s < all->span + all->n; s++)
		if (strncmp(s->name, name, strlen(name)) == 0) {
			sum.n++;
			sum.ns += s->ns;
		}
	return sum;
}

static bool is_on(const struct span *s, unsigned tid)
{
	return s->ph == 'X' && s->tid == tid;
}

/* On each thread one is over before the next begins, or lies within it. They come in order. */
static void assert_nested(const struct spans *all, size_t i)
{
	const struct span *s = &all->span[i];

	for (size_t k = i + 1; is_on(s, s->tid) && k < all->n; k++) {
		const struct span *later = &all->span[k];

		if (!is_on(later, s->tid))
			continue;
		assert_true(later->began >= s->began);
		if (later->began >= s->began + s->ns)
			return;
		if (later->began + later->ns > s->began + s->ns)
			fail_msg("\"%s\" ends after \"%s\" has", later->name, s->name);
	}
}

struct text {
	char *data;
	size_t size;
	FILE *f;
};

static void text_open(struct text *t)
{
	t->data = NULL;
	t->f = open_memstream(&t->data, &t->size);
}

/* What was written is read; its memory stays until free_spans. */
static struct spans text_read(struct text *t)
{
	fclose(t->f);
	struct spans all = read_trace(t->data);
	free(t->data);
	return all;
}

/* ---- what is in it ---- */

static void trace_says_what_the_statistics_say(void **state)
{
	struct text t;

	(void)state;
	text_open(&t);
	assert_int_equal(ouro_trace_start(t.f), 0);
	for (int i = 0; i < 30; i++) {
		ouro_release(make_ring(&node_type, 100));
		assert_int_equal(ouro_gc_collect(i % 3), 100);
	}
	ouro_stats s = stats();
	assert_int_equal(ouro_trace_stop(), 0);
	struct spans all = text_read(&t);
	struct sum stops = sum_of(&all, "stop: ");
	assert_int_equal(all.lost, 0);
	assert_int_equal(stops.n, s.pauses);
	assert_int_equal(stops.ns, s.pause_sum_ns);
	assert_int_equal(sum_of(&all, "wait for threads").n, s.pauses);
	for (int g = 0; g < 3; g++) {
		char name[] = "collection of generation 0";

		name[sizeof(name) - 2] = (char)('0' + g);
		assert_int_equal(sum_of(&all, name).n, s.collections[g]);
		assert_int_equal(sum_of(&all, name).ns, s.collection_ns[g]);
	}
	assert_int_equal(sum_of(&all, "scan").n, s.collections[2]);
	for (size_t i = 0; i < all.n; i++)
		assert_nested(&all, i);
	free(all.span);
}

static atomic_int n_pinned;

/* The log says so when a stop has napped for it. */
static bool is_waited_for(void)
{
	return oi_log_waiting() || book_count(&log_book, "has been pinned for more than") != 0;
}

static void *pin_until_asked(void *arg)
{
	pid_t *tid = arg;

	if (ouro_thread_attach("\"slow\"\\") != 0)
		abort();
	*tid = oi_gettid();
	ouro_pin();
	atomic_store(&n_pinned, 1);
	while (!is_waited_for())
		sleep_ms(1);
	ouro_unpin();
	ouro_thread_detach();
	return NULL;
}

static void hear_pause(const ouro_gc_event *event, void *arg)
{
	if (event->phase == OURO_PAUSE_STOP)
		*(ouro_gc_event *)arg = *event;
}

/* The stop waits for a thread that is pinned until that is in the log. */
static void trace_and_event_name_the_thread_that_was_waited_for(void **state)
{
	struct text t;
	ouro_config cfg = test_config();
	ouro_gc_event e = { .generation = -1 };
	char args[100];
	pid_t tid;
	bool found = false;

	(void)state;
	cfg.pin_warn_ns = 1;
	heap_start(&cfg);
	assert_int_equal(ouro_gc_on_event(hear_pause, &e), 0);
	text_open(&t);
	assert_int_equal(ouro_trace_start(t.f), 0);
	pthread_t slow = thread_start(pin_until_asked, &tid);
	while (!atomic_load(&n_pinned))
		sched_yield();
	uint64_t before = now_ns();
	assert_true(ouro_gc_collect(0) >= 0);
	uint64_t after = now_ns();
	pthread_join(slow, NULL);
	assert_int_equal(ouro_gc_off_event(hear_pause, &e), 0);
	assert_int_equal(ouro_trace_stop(), 0);
	assert_int_equal(e.stop, OURO_STOP_YOUNG);
	assert_true(e.at_ns >= before && e.at_ns + e.duration_ns <= after);
	assert_int_equal(e.waited_tid, tid);
	assert_string_equal(e.waited_name, "\"slow\"\\");
	assert_true(e.waited_ns > 0 && e.waited_ns <= e.stop_ns && e.stop_ns <= e.duration_ns);
	struct spans all = text_read(&t);
	snprintf(args, sizeof(args),
		 "{\"slowest\": \"\\u0022slow\\u0022\\u005c\", \"slowest_tid\": %d, ", (int)tid);
	for (size_t i = 0; i < all.n; i++)
		found |= strncmp(all.span[i].args, args, strlen(args)) == 0;
	assert_true(found);
	free(all.span);
}

/* ---- work and no work ---- */

#define IN_STOP_NS UINT64_C(20000000)

static void (*in_stop)(void);

static void spend_asleep(void)
{
	sleep_ms(IN_STOP_NS / 1000000);
}

static void spend_at_work(void)
{
	for (uint64_t until = cpu_ns() + IN_STOP_NS; cpu_ns() < until;)
		;
}

static void slow_traverse(void *obj, ouro_visitor *v)
{
	(void)obj;
	(void)v;
	in_stop();
}

static void nothing_to_clear(void *obj)
{
	(void)obj;
}

static const ouro_type slow_type = {
	.name = "slow", .size = 8, .traverse = slow_traverse, .clear = nothing_to_clear,
};

/* Returns what is told of a young collection whose stop lasts for as long as fn. */
static ouro_gc_event young_stop_with(void (*fn)(void), struct spans *all)
{
	ouro_gc_event e = { .generation = -1 };
	struct text t;

	in_stop = fn;
	void *slow = ouro_new(&slow_type);
	assert_non_null(slow);
	text_open(&t);
	assert_int_equal(ouro_gc_on_event(hear_pause, &e), 0);
	assert_int_equal(ouro_trace_start(t.f), 0);
	assert_int_equal(ouro_gc_collect(0), 0);
	assert_int_equal(ouro_gc_off_event(hear_pause, &e), 0);
	assert_int_equal(ouro_trace_stop(), 0);
	*all = text_read(&t);
	assert_int_equal(e.stop, OURO_STOP_YOUNG);
	ouro_release(slow);
	return e;
}

static uint64_t off_ns_in(const struct spans *all)
{
	for (const struct span *s = all->span; s < all->span + all->n; s++)
		if (strcmp(s->name, "stop: young collection") == 0)
			return ns_after(s->args, "\"off_us\": ");
	fail_msg("no stop in the trace");
	return 0;
}

/* As the last thing in a line of the log, in milliseconds. */
static uint64_t off_ns_logged(void)
{
	const char *off = strstr(log_book.text, "; off ");
	unsigned long ms;
	unsigned us;

	assert_non_null(off);
	assert_int_equal(sscanf(off, "; off %lu.%3u ms", &ms, &us), 2);
	return ms * 1000000 + us * 1000;
}

/* A sleep stands for a processor that another program has. */
static void trace_tells_a_stop_without_a_processor_from_one_with_work(void **state)
{
	struct spans all;

	(void)state;
	ouro_gc_set_debug(OURO_DEBUG_GCTRACE);
	ouro_gc_event asleep = young_stop_with(spend_asleep, &all);
	ouro_gc_set_debug(0);
	assert_true(asleep.off_ns >= IN_STOP_NS && asleep.off_ns <= asleep.duration_ns);
	assert_int_equal(off_ns_in(&all), asleep.off_ns);
	assert_int_equal(off_ns_logged() / 1000, asleep.off_ns / 1000);
	free(all.span);
	ouro_stats s = stats();
	assert_true(s.pause_off_max_ns >= asleep.off_ns && s.pause_off_sum_ns <= s.pause_sum_ns);
	assert_true(s.pause_off_sum_ns >= s.pause_off_max_ns);
	ouro_gc_event at_work = young_stop_with(spend_at_work, &all);
	assert_true(at_work.duration_ns - at_work.off_ns >= IN_STOP_NS);
	assert_int_equal(off_ns_in(&all), at_work.off_ns);
	free(all.span);
}

/* ---- the ring ---- */

static void note_pair(uint64_t i)
{
	oi_flight_span(OI_FLIGHT_SEARCH, 0, i + 1, i + 3, i, i);
}

static uint64_t examined(const struct span *s)
{
	unsigned long n;

	assert_int_equal(sscanf(s->args, "{\"examined\": %lu", &n), 1);
	return n;
}

static void trace_that_overflows_has_the_last_events(void **state)
{
	struct text t;

	(void)state;
	text_open(&t);
	assert_int_equal(ouro_trace_start(t.f), 0);
	for (uint64_t i = 0; i < OI_FLIGHT_EVENTS + 100; i++)
		note_pair(i);
	assert_int_equal(ouro_trace_stop(), 0);
	struct spans all = text_read(&t);
	assert_true(all.lost >= 100); /* the library's threads may have some, too */
	uint64_t last = 0, n = 0;
	for (size_t i = 0; i < all.n; i++) {
		if (strcmp(all.span[i].name, "search") != 0)
			continue;
		last = examined(&all.span[i]);
		assert_true(last >= 100);
		n++;
	}
	assert_int_equal(last, OI_FLIGHT_EVENTS + 99);
	assert_true(n > 0 && n <= OI_FLIGHT_EVENTS);
	free(all.span);
}

static uint64_t n_of(const struct spans *all, const char *name, uint64_t ns)
{
	uint64_t n = 0;

	for (const struct span *s = all->span; s < all->span + all->n; s++)
		n += strcmp(s->name, name) == 0 && s->ns == ns;
	return n;
}

/* As a thread has them that fills a heap for a minute. */
static void trace_keeps_what_is_long_behind_many_short_calls(void **state)
{
	static const ouro_holdup short_ones[] = { OURO_HOLDUP_MEMORY, OURO_HOLDUP_PACE,
						  OURO_HOLDUP_LOCK, OURO_HOLDUP_MERGE };
	struct text t;

	(void)state;
	text_open(&t);
	assert_int_equal(ouro_trace_start(t.f), 0);
	oi_holdup_from(OURO_HOLDUP_STOP, 10000, 11000);
	oi_holdup_from(OURO_HOLDUP_SEIZE, 20000, 21000);
	oi_holdup_from(OURO_HOLDUP_MEMORY, 30000, 80000);
	for (uint64_t i = 0; i < OI_FLIGHT_EVENTS; i++)
		for (size_t k = 0; k < 4; k++)
			oi_holdup_from(short_ones[k], 100000, 149999);
	assert_int_equal(ouro_trace_stop(), 0);
	struct spans all = text_read(&t);
	assert_int_equal(all.lost, 0);
	assert_int_equal(n_of(&all, "held up: stop", 1000), 1);
	assert_int_equal(n_of(&all, "held up: seize", 1000), 1);
	assert_int_equal(n_of(&all, "held up: memory", 50000), 1);
	assert_int_equal(n_of(&all, "held up: memory", 49999), 0);
	free(all.span);
}

static atomic_bool noting;

static void *note_until_told(void *arg)
{
	uint64_t from = (uint64_t)(uintptr_t)arg << 32;

	if (ouro_thread_attach("noter") != 0)
		abort();
	for (uint64_t i = 0; atomic_load(&noting); i++)
		note_pair(from + i);
	ouro_thread_detach();
	return NULL;
}

/* Both numbers of an event are those of one thread's call, whoever else writes, or reads. */
static void check_pairs(struct text *t)
{
	struct spans all = text_read(t);

	for (size_t i = 0; i < all.n; i++) {
		unsigned long n, m;

		if (strcmp(all.span[i].name, "search") != 0)
			continue;
		assert_int_equal(sscanf(all.span[i].args,
					"{\"examined\": %lu, \"unreachable\": %lu", &n, &m), 2);
		assert_int_equal(n, m);
		assert_int_equal(all.span[i].ns, 2);
		assert_int_equal(all.span[i].began, n + 1);
	}
	free(all.span);
}

static void trace_is_whole_beside_threads_that_note(void **state)
{
	pthread_t noter[3];
	struct text t;

	(void)state;
	assert_int_equal(ouro_trace_start(NULL), 0);
	atomic_store(&noting, true);
	for (size_t i = 0; i < 3; i++)
		noter[i] = thread_start(note_until_told, (void *)(i + 1));
	for (int i = 0; i < 2; i++) {
		text_open(&t);
		assert_int_equal(ouro_trace_write(t.f), 0);
		check_pairs(&t);
	}
	atomic_store(&noting, false);
	for (size_t i = 0; i < 3; i++)
		pthread_join(noter[i], NULL);
	assert_int_equal(ouro_trace_stop(), 0);
}

/* ---- beginning and ending ---- */

static void trace_answers_as_the_header_says(void **state)
{
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_int_equal(ouro_trace_stop(), ENOENT);
	assert_int_equal(ouro_trace_write(NULL), EINVAL);
	assert_int_equal(ouro_trace_start(full), 0);
	assert_int_equal(ouro_trace_start(NULL), EALREADY);
	assert_int_equal(ouro_trace_write(full), ENOSPC);
	assert_int_equal(ouro_trace_stop(), ENOSPC);
	assert_int_equal(ouro_trace_stop(), ENOENT);
	assert_int_equal(ouro_trace_write(full), ENOSPC);
	fclose(full);
}

/* Off, nothing is noted; and a trace begins without the last one's events. */
static void trace_has_no_events_from_before(void **state)
{
	struct text t;

	(void)state;
	assert_int_equal(ouro_trace_start(NULL), 0);
	note_pair(1);
	assert_int_equal(ouro_trace_stop(), 0);
	note_pair(2);
	text_open(&t);
	assert_int_equal(ouro_trace_start(t.f), 0);
	note_pair(3);
	assert_int_equal(ouro_trace_stop(), 0);
	struct spans all = text_read(&t);
	assert_int_equal(sum_of(&all, "search").n, 1);
	free(all.span);
}

static void trace_is_written_when_the_heap_ends(void **state)
{
	struct text t;

	(void)state;
	ouro_config cfg = test_config();

	heap_start(&cfg);
	text_open(&t);
	assert_int_equal(ouro_trace_start(t.f), 0);
	ouro_release(make_ring(&node_type, 10));
	heap_stop();
	heap_start(&cfg);
	assert_int_equal(ouro_trace_stop(), ENOENT);
	heap_stop();
	struct spans all = text_read(&t);
	assert_true(sum_of(&all, "stop: shutdown").n >= 1);
	free(all.span);
}

static int child_traces(void *arg)
{
	REQUIRE(ouro_trace_stop() == ENOENT);
	REQUIRE(ouro_trace_start(NULL) == 0);
	note_pair(2);
	REQUIRE(ouro_trace_write(arg) == 0);
	REQUIRE(ouro_trace_stop() == 0);
	return 0;
}

/* The child does not write what is its parent's to write, and has none of its events. */
static void trace_of_a_forked_child_is_its_own(void **state)
{
	struct text t;
	FILE *childs = tmpfile();
	char line[1000];
	int searches = 0;

	(void)state;
	text_open(&t);
	assert_int_equal(ouro_trace_start(t.f), 0);
	note_pair(1);
	child_run(child_traces, childs);
	assert_int_equal(ouro_trace_stop(), 0);
	struct spans all = text_read(&t);
	assert_int_equal(sum_of(&all, "search").n, 1);
	free(all.span);
	rewind(childs);
	while (fgets(line, sizeof(line), childs))
		searches += strstr(line, "\"search\"") != NULL;
	assert_int_equal(searches, 1);
	fclose(childs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(trace_answers_as_the_header_says),
		HEAP_CASE(trace_says_what_the_statistics_say),
		BARE_CASE(trace_and_event_name_the_thread_that_was_waited_for),
		HEAP_CASE(trace_tells_a_stop_without_a_processor_from_one_with_work),
		HEAP_CASE(trace_that_overflows_has_the_last_events),
		HEAP_CASE(trace_keeps_what_is_long_behind_many_short_calls),
		HEAP_CASE(trace_is_whole_beside_threads_that_note),
		HEAP_CASE(trace_has_no_events_from_before),
		BARE_CASE(trace_is_written_when_the_heap_ends),
		HEAP_CASE(trace_of_a_forked_child_is_its_own),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
