/*
 * Goal: the figures are exact when the program is quiet, and the three formats can be read by
 * machines.
 * Method: known numbers of objects, cells, threads, collections; a JSON reader and an OpenMetrics
 * reader.
 * A failure would mean: dashboards that show nothing, or something wrong.
 */
#include <ctype.h>

#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

static void stats_of_a_fresh_heap(void **state)
{
	ouro_stats s = stats();

	(void)state;
	assert_int_equal(s.objects_live, 0);
	assert_int_equal(s.bytes_live, 0);
	assert_int_equal(s.objects_allocated, 0);
	assert_int_equal(s.objects_freed, 0);
	assert_int_equal(s.weak_entries, 0);
	assert_true(s.threads <= 1);
	for (int g = 0; g < 3; g++) {
		assert_int_equal(s.collections[g], 0);
		assert_int_equal(s.collected[g], 0);
		assert_int_equal(s.collection_ns[g], 0);
	}
	assert_int_equal(s.pause_max_ns, 0);
}

static void *make_and_release(void *arg)
{
	ouro_release(make_list(&node_type, 500));
	*(struct node **)arg = make_list(&node_type, 30);
	return NULL;
}

static void stats_count_objects(void **state)
{
	struct node *list = make_list(&node_type, 100), *foreign;
	struct leaf *leaf = leaf_new(1);
	ouro_stats s = stats();

	(void)state;
	assert_int_equal(s.objects_live, 101);
	assert_int_equal(s.objects_allocated, 101);
	assert_int_equal(s.objects_freed, 0);
	assert_true(s.bytes_live >= 100 * (sizeof(*list) + 16));
	assert_true(s.bytes_reserved >= s.bytes_live);
	ouro_release(list);
	thread_run(make_and_release, &foreign);
	s = stats();
	assert_int_equal(s.objects_live, 31);
	assert_int_equal(s.objects_allocated, 631);
	assert_int_equal(s.objects_freed, 600);
	ouro_release(foreign);
	ouro_release(leaf);
	assert_int_equal(ouro_flush(), 0);
	s = stats();
	assert_int_equal(s.objects_live, 0);
	assert_int_equal(s.bytes_live, 0);
	assert_int_equal(s.objects_freed, 631);
}

struct crowd {
	struct node *slot;
	char more[1 << 20];
};

static const ouro_type crowd_type = {
	.name = "crowd", .size = sizeof(struct crowd), .slots = OURO_SLOTS(struct crowd, slot),
};

static void assert_generations(uint64_t young, uint64_t middle, uint64_t old)
{
	ouro_stats s = stats();

	assert_int_equal(s.generation_objects[0], young);
	assert_int_equal(s.generation_objects[1], middle);
	assert_int_equal(s.generation_objects[2], old);
}

/* Large ones are born old; a leaf is of no generation. */
static void stats_count_live_objects_by_generation(void **state)
{
	struct node *list = make_list(&node_type, 10), *more, *foreign;
	struct leaf *leaf = leaf_new(1);
	struct crowd *crowd = ouro_new(&crowd_type);

	(void)state;
	assert_non_null(crowd);
	assert_generations(10, 0, 1);
	assert_int_equal(ouro_gc_collect(0), 0);
	assert_generations(0, 10, 1);
	more = make_list(&node_type, 3);
	assert_generations(3, 10, 1);
	assert_int_equal(ouro_gc_collect(1), 0);
	assert_generations(0, 3, 11);
	thread_run(make_and_release, &foreign);
	assert_generations(30, 3, 11);
	ouro_release(more);
	ouro_release(list);
	assert_int_equal(ouro_flush(), 0);
	assert_generations(30, 0, 1);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_generations(0, 0, 31);
	ouro_release(foreign);
	ouro_release(crowd);
	ouro_release(leaf);
	assert_int_equal(ouro_flush(), 0);
	assert_generations(0, 0, 0);
}

static void stats_count_weak_entries(void **state)
{
	struct node *n[10];
	ouro_weak cells[20] = { { 0 } };

	(void)state;
	for (int i = 0; i < 10; i++) {
		n[i] = make(i);
		assert_int_equal(ouro_weak_store(&cells[i], n[i]), 0);
		assert_int_equal(ouro_weak_store(&cells[10 + i], n[i]), 0);
	}
	assert_int_equal(stats().weak_entries, 10);
	for (int i = 0; i < 10; i++)
		ouro_release(n[i]);
	for (int i = 0; i < 20; i++)
		ouro_weak_clear(&cells[i]);
	assert_true(EVENTUALLY(stats().weak_entries == 0));
}

static void stats_pauses_fit_together(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		ouro_release(make_ring(&node_type, 1000));
		assert_int_equal(ouro_gc_collect(0), 1000);
	}
	ouro_stats s = stats();
	assert_int_equal(s.collections[0], 100);
	assert_int_equal(s.collected[0], 100000);
	assert_true(s.collection_ns[0] > 0);
	assert_true(s.pauses >= 100);
	assert_true(s.pause_p50_ns > 0);
	assert_true(s.pause_p50_ns <= s.pause_p99_ns);
	assert_true(s.pause_p99_ns <= s.pause_p999_ns);
	assert_true(s.pause_p999_ns <= s.pause_max_ns + s.pause_max_ns / 20);
	assert_true(s.pause_sum_ns >= s.pause_max_ns);
	assert_true(s.pause_sum_ns <= s.collection_ns[0] + s.collection_ns[1] + s.collection_ns[2]);
	assert_true(s.stop_max_ns > 0);
}

/* ---- the formats ---- */

static char *written(ouro_stats_format format)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	assert_int_equal(ouro_stats_write(f, format), 0);
	assert_int_equal(fclose(f), 0);
	assert_true(size > 0);
	assert_int_equal(text[size - 1], '\n');
	return text;
}

static void assert_written(ouro_stats_format format, const char *part)
{
	char *text = written(format);

	assert_non_null(strstr(text, part));
	free(text);
}

static const char *const names[] = {
	"objects_live", "bytes_live", "objects_allocated", "objects_freed", "bytes_reserved", "weak_entries",
	"threads", "collections", "collected", "pauses", "stop_max", "holdups", "holdup_max_ns", "seize", "memory",
	"bytes_huge", "generation_objects", "pause_off",
};
enum { N_NAMES = sizeof(names) / sizeof(names[0]) };

static void assert_has_names(const char *text, const char *const name[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strstr(text, name[i]) == NULL)
			fail_msg("no %s in: %s", name[i], text);
}

static void assert_has_all_names(const char *text)
{
	assert_has_names(text, names, N_NAMES);
}

static void stats_text_names_everything(void **state)
{
	char *text = written(OURO_STATS_TEXT);

	(void)state;
	assert_has_all_names(text);
	free(text);
}

/* A reader for JSON, as RFC 8259 has it: each function returns where it stopped, or NULL. */
static const char *json_value(const char *p);

static const char *json_space(const char *p)
{
	return p ? p + strspn(p, " \t\r\n") : NULL;
}

static const char *json_string(const char *p)
{
	if (*p++ != '"')
		return NULL;
	for (; *p != '"'; p++)
		if ((unsigned char)*p < 0x20 || (*p == '\\' && *++p == 0))
			return NULL;
	return p + 1;
}

static const char *json_number(const char *p)
{
	char *end;

	if (*p != '-' && !isdigit((unsigned char)*p))
		return NULL;
	if (*p == '0' && isdigit((unsigned char)p[1]))
		return NULL;
	strtod(p, &end);
	return end;
}

/* The members of an object or the elements of an array, up to the closing bracket. */
static const char *json_list(const char *p, char close, bool named)
{
	p = json_space(p);
	if (*p == close)
		return p + 1;
	for (;; p++) {
		p = json_space(p);
		if (named) {
			p = json_space(json_string(p));
			if (p == NULL || *p++ != ':')
				return NULL;
		}
		p = json_space(json_value(json_space(p)));
		if (p == NULL || (*p != ',' && *p != close))
			return NULL;
		if (*p == close)
			return p + 1;
	}
}

static const char *json_value(const char *p)
{
	switch (*p) {
	case '{': return json_list(p + 1, '}', true);
	case '[': return json_list(p + 1, ']', false);
	case '"': return json_string(p);
	case 't': return strncmp(p, "true", 4) == 0 ? p + 4 : NULL;
	case 'f': return strncmp(p, "false", 5) == 0 ? p + 5 : NULL;
	case 'n': return strncmp(p, "null", 4) == 0 ? p + 4 : NULL;
	default: return json_number(p);
	}
}

static void assert_json_has(const char *text, const char *name, uint64_t value)
{
	char key[64];

	snprintf(key, sizeof(key), "\"%s\"", name);
	const char *p = strstr(text, key);
	if (p == NULL)
		fail_msg("no %s in: %s", key, text);
	p = json_space(p + strlen(key));
	assert_int_equal(*p, ':');
	assert_int_equal(strtoull(json_space(p + 1), NULL, 10), value);
}

static void stats_json_is_one_value(void **state)
{
	struct node *list = make_list(&node_type, 77);

	(void)state;
	ouro_gc_collect(2);
	char *text = written(OURO_STATS_JSON);
	assert_int_equal(text[0], '{');
	const char *end = json_space(json_value(text));
	assert_non_null(end);
	assert_int_equal(*end, 0);
	assert_has_all_names(text);
	assert_json_has(text, "objects_live", 77);
	assert_json_has(text, "objects_allocated", 77);
	assert_json_has(text, "objects_freed", 0);
	assert_json_has(text, "weak_entries", 0);
	free(text);
	ouro_release(list);
}

/* ---- OpenMetrics: each sample belongs to a family that a TYPE line has announced ---- */

struct metrics {
	char family[64];
	char type[16];
	int samples, families;
	bool ended;
};

static bool metric_name_is_legal(const char *name, size_t n)
{
	if (n == 0 || isdigit((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != ':')
			return false;
	return true;
}

/* A counter's samples end in _total, a summary's may in _sum and _count, a gauge's are the family's name. */
static bool suffix_fits(const char *type, const char *suffix, size_t n)
{
	static const char *const fits[][5] = {
		{ "counter", "_total", "_created", NULL, NULL },
		{ "gauge", "", NULL, NULL, NULL },
		{ "summary", "", "_sum", "_count", "_created" },
		{ "histogram", "_bucket", "_sum", "_count", "_created" },
		{ "info", "_info", NULL, NULL, NULL },
	};

	for (size_t i = 0; i < 5; i++)
		for (int k = 1; k < 5 && strcmp(fits[i][0], type) == 0; k++)
			if (fits[i][k] && strlen(fits[i][k]) == n && strncmp(fits[i][k], suffix, n) == 0)
				return true;
	return false;
}

static void read_sample(struct metrics *m, const char *line)
{
	size_t name = strcspn(line, "{ "), family = strlen(m->family);
	const char *p = line + name;
	char *end;

	assert_true(metric_name_is_legal(line, name));
	if (name < family || strncmp(line, m->family, family) != 0 ||
	    !suffix_fits(m->type, line + family, name - family))
		fail_msg("sample outside its family %s %s: %s", m->family, m->type, line);
	if (*p == '{') {
		p = strchr(p, '}');
		assert_non_null(p);
		p++;
	}
	assert_int_equal(*p, ' ');
	assert_true(strtod(p + 1, &end) >= 0);
	assert_int_equal(*end, 0);
	m->samples++;
}

static void read_line(struct metrics *m, const char *line)
{
	char name[64], type[16];

	assert_false(m->ended);
	if (strcmp(line, "# EOF") == 0) {
		m->ended = true;
	} else if (sscanf(line, "# TYPE %63s %15s", name, type) == 2) {
		assert_true(metric_name_is_legal(name, strlen(name)));
		assert_int_equal(strncmp(name, "ouro_", 5), 0);
		strcpy(m->family, name);
		strcpy(m->type, type);
		m->families++;
	} else if (strncmp(line, "# HELP ", 7) != 0 && strncmp(line, "# UNIT ", 7) != 0) {
		read_sample(m, line);
	}
}

static const char *const metric_names[] = {
	"ouro_objects_live ",
	"ouro_bytes_live ",
	"ouro_bytes_reserved ",
	"ouro_objects_freed_total ",
	"ouro_weak_entries ",
	"ouro_collections_total{generation=\"2\"} ",
	"ouro_generation_objects{generation=\"1\"} ",
	"ouro_collection_seconds_total{generation=\"0\"} ",
	"ouro_pause_seconds_bucket{le=\"0.001\"} ",
	"ouro_pause_seconds_bucket{le=\"+Inf\"} ",
	"ouro_pause_seconds_sum ",
	"# UNIT ouro_pause_seconds seconds\n",
	"ouro_delay_seconds_count ",
	"ouro_pause_max_seconds ",
	"ouro_holdup_seconds_bucket{cause=\"seize\",le=\"1e-05\"} ",
	"ouro_holdup_max_seconds{cause=\"memory\"} ",
};
enum { N_METRICS = sizeof(metric_names) / sizeof(metric_names[0]) };

static void stats_openmetrics_is_well_formed(void **state)
{
	struct node *list = make_list(&node_type, 77);
	struct metrics m = { .ended = false };

	(void)state;
	ouro_gc_collect(1);
	char *text = written(OURO_STATS_OPENMETRICS), *rest = text;
	assert_has_names(text, metric_names, N_METRICS);
	assert_non_null(strstr(text, "objects_live 77\n"));
	for (char *line; (line = strsep(&rest, "\n")) != NULL && (rest != NULL || *line != 0);)
		read_line(&m, line);
	assert_true(m.ended);
	assert_true(m.families >= N_METRICS);
	assert_true(m.samples >= m.families);
	free(text);
	ouro_release(list);
}

static void stats_write_refuses_bad_arguments(void **state)
{
	(void)state;
	assert_int_equal(ouro_stats_write(NULL, OURO_STATS_TEXT), EINVAL);
	assert_int_equal(ouro_stats_write(stdout, (ouro_stats_format)3), EINVAL);
	assert_int_equal(ouro_stats_write(stdout, (ouro_stats_format)-1), EINVAL);
}

static void stats_write_says_when_writing_fails(void **state)
{
	(void)state;
	for (int format = OURO_STATS_TEXT; format <= OURO_STATS_OPENMETRICS; format++) {
		FILE *full = fopen("/dev/full", "w");

		assert_non_null(full);
		assert_int_equal(ouro_stats_write(full, (ouro_stats_format)format), ENOSPC);
		fclose(full);
	}
}

/* ---- by type ---- */

static uint64_t counted(const ouro_type *type, uint64_t *bytes)
{
	ouro_type_stat rows[16];
	ssize_t n = ouro_type_stats(rows, 16);

	assert_true(n >= 0 && n <= 16);
	for (ssize_t i = 0; i < n; i++)
		if (rows[i].type == type) {
			assert_string_equal(rows[i].name, type->name);
			*bytes = rows[i].bytes;
			return rows[i].objects;
		}
	*bytes = 0;
	return 0;
}

/* A leaf cannot be traversed: no listing knows it. */
static void stats_count_types_of_every_kind(void **state)
{
	static const ouro_type large_type = { .name = "a \"large\" one", .size = 1 << 20 };
	struct node *list = make_list(&node_type, 40);
	struct leaf *leaf = leaf_new(1);
	void *large = ouro_new(&large_type);
	uint64_t bytes;

	(void)state;
	assert_int_equal(counted(&node_type, &bytes), 40);
	assert_true(bytes >= 40 * (sizeof(struct node) + 16));
	assert_int_equal(counted(&leaf_type, &bytes), 1);
	assert_int_equal(counted(&large_type, &bytes), 1);
	assert_true(bytes > 1 << 20);
	assert_int_equal(ouro_type_stats(NULL, 0), 3);
	char *text = written(OURO_STATS_JSON);
	assert_int_equal(*json_space(json_value(text)), 0);
	assert_non_null(strstr(text, "{\"name\": \"node\", \"objects\": 40, "));
	assert_non_null(strstr(text, "{\"name\": \"a \\\"large\\\" one\", \"objects\": 1, "));
	free(text);
	text = written(OURO_STATS_OPENMETRICS);
	assert_non_null(strstr(text, "ouro_type_objects{type=\"node\",number="));
	assert_non_null(strstr(text, "ouro_type_bytes{type=\"a \\\"large\\\" one\",number="));
	free(text);
	assert_written(OURO_STATS_TEXT, " 40 objects, ");
	ouro_release(list);
	ouro_release(leaf);
	ouro_release(large);
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(ouro_type_stats(NULL, 0), 0);
	text = written(OURO_STATS_OPENMETRICS);
	assert_null(strstr(text, "ouro_type_objects{"));
	free(text);
}

static void disown(void *obj)
{
	ouro_external_bytes(obj, -3000);
}

static const ouro_type owner_type = {
	.name = "owner", .size = sizeof(struct node), .destroy = disown,
	.slots = OURO_SLOTS(struct node, left, right),
};

static uint64_t owned(const ouro_type *type)
{
	ouro_type_stat rows[16];
	ssize_t n = ouro_type_stats(rows, 16);

	for (ssize_t i = 0; i < n; i++)
		if (rows[i].type == type)
			return rows[i].external_bytes;
	return 0;
}

/* As a destroy says, in whatever way its object dies. */
static void stats_of_types_have_what_they_own(void **state)
{
	struct node *a = make_of(&owner_type, 1), *b = make_pair(&owner_type, 2);
	struct node *other = make_list(&node_type, 3);

	(void)state;
	ouro_external_bytes(a, 3000);
	ouro_external_bytes(b, 3000);
	ouro_external_bytes(b->right, 3000);
	ouro_external_bytes(other, 500);
	ouro_external_bytes(NULL, 70);
	assert_int_equal(owned(&owner_type), 9000);
	assert_int_equal(owned(&node_type), 500);
	assert_int_equal(stats().external_bytes, 9570);
	assert_written(OURO_STATS_OPENMETRICS, "ouro_type_external_bytes{type=\"owner\",number=");
	assert_written(OURO_STATS_JSON, "\"external_bytes\": 9000}");
	assert_written(OURO_STATS_TEXT, " 9000 outside, \"owner\"");
	ouro_release(b);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(owned(&owner_type), 3000);
	ouro_external_bytes(other, -600); /* a mistake of the program's */
	assert_int_equal(owned(&node_type), 0);
	ouro_release(a);
	ouro_release(other);
	assert_int_equal(ouro_flush(), 0);
}

enum { MANY_TYPES = 300, MOST_TYPES = 100 };

static size_t times(const char *text, const char *s)
{
	size_t n = 0;

	for (; (text = strstr(text, s)) != NULL; text += strlen(s))
		n++;
	return n;
}

/* Each has more objects than that of the number before; but of few one owns more than all. */
static void stats_show_the_largest_types(void **state)
{
	static ouro_type many[MANY_TYPES];
	static char name[MANY_TYPES][20];
	struct node *kept[MANY_TYPES];
	char *text;

	(void)state;
	for (size_t i = 0; i < MANY_TYPES; i++) {
		size_t n = i * 7 % MANY_TYPES; /* each once, not in order */
		snprintf(name[i], sizeof(name[i]), "many%zu", n);
		many[i] = node_type;
		many[i].name = name[i];
		kept[i] = make_list(&many[i], n + 1);
	}
	ouro_external_bytes(kept[1], 1 << 20); /* many7 */
	assert_int_equal(ouro_type_stats(NULL, 0), MANY_TYPES);
	text = written(OURO_STATS_OPENMETRICS);
	assert_int_equal(times(text, "ouro_type_objects{"), MOST_TYPES + 1);
	assert_int_equal(times(text, "ouro_type_bytes{"), MOST_TYPES + 1);
	/* 1 to 201, less the 8 of many7 */
	assert_non_null(strstr(text, "ouro_type_objects{type=\"(other)\",number=\"0\"} 20293\n"));
	assert_int_equal(times(text, "_external_bytes{type=\"(other)\",number=\"0\"} 0\n"), 1);
	assert_true(strstr(text, "{type=\"many7\"") < strstr(text, "{type=\"many299\""));
	assert_non_null(strstr(text, "{type=\"many201\""));
	assert_null(strstr(text, "{type=\"many200\""));
	assert_null(strstr(text, "{type=\"many8\""));
	free(text);
	ouro_external_bytes(kept[1], -(1 << 20));
	for (size_t i = 0; i < MANY_TYPES; i++)
		ouro_release(kept[i]);
}

static void stats_of_types_refuse(void **state)
{
	(void)state;
	errno = 0;
	assert_int_equal(ouro_type_stats(NULL, 1), -1);
	assert_int_equal(errno, EINVAL);
	ouro_pin();
	assert_int_equal(ouro_type_stats(NULL, 0), -1);
	assert_int_equal(errno, EDEADLK);
	ouro_unpin();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(stats_of_a_fresh_heap),
		HEAP_CASE(stats_count_objects),
		HEAP_CASE(stats_count_live_objects_by_generation),
		HEAP_CASE(stats_count_types_of_every_kind),
		HEAP_CASE(stats_of_types_have_what_they_own),
		HEAP_CASE(stats_show_the_largest_types),
		HEAP_CASE(stats_of_types_refuse),
		HEAP_CASE(stats_count_weak_entries),
		HEAP_CASE(stats_pauses_fit_together),
		HEAP_CASE(stats_text_names_everything),
		HEAP_CASE(stats_json_is_one_value),
		HEAP_CASE(stats_openmetrics_is_well_formed),
		HEAP_CASE(stats_write_refuses_bad_arguments),
		HEAP_CASE(stats_write_says_when_writing_fails),
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
