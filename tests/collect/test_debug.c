/*
 * Goal: the debug flags log what they promise, and SAVEALL keeps garbage whole until it is let go.
 * Method: collect small cycles under each flag; read the log; visit and drop the garbage.
 * A failure would mean: the tools a program has for finding its cycles show nothing, or leak.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

static void debug_flags_are_kept(void **state)
{
	(void)state;
	assert_int_equal(ouro_gc_get_debug(), 0);
	ouro_gc_set_debug(OURO_DEBUG_STATS | OURO_DEBUG_SAVEALL);
	assert_int_equal(ouro_gc_get_debug(), OURO_DEBUG_STATS | OURO_DEBUG_SAVEALL);
	assert_int_equal(OURO_DEBUG_LEAK, OURO_DEBUG_COLLECTABLE | OURO_DEBUG_SAVEALL);
	ouro_gc_set_debug(0);
	assert_int_equal(ouro_gc_get_debug(), 0);
}

static size_t log_lines(void)
{
	return book_count(&log_book, "\n");
}

static void debug_nothing_is_logged_by_default(void **state)
{
	(void)state;
	ouro_release(make_pair(&loud_type, 1));
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(log_lines(), 0);
}

static void debug_stats_logs_each_collection(void **state)
{
	(void)state;
	ouro_gc_set_debug(OURO_DEBUG_STATS);
	for (int i = 1; i <= 3; i++) {
		size_t before = log_lines();

		ouro_gc_collect(i - 1);
		assert_int_equal(log_lines(), before + 1);
	}
	ouro_gc_set_debug(0);
}

/* The line in the log that begins with "gc N @", as its parts. */
struct line {
	int generation;
	unsigned stops, ms, us, examined, unreachable, objects;
};

static struct line gctrace_line(const char *number)
{
	struct line l = { .generation = -1 };
	char text[600];
	long at = book_find(&log_book, number);

	assert_true(at >= 0);
	snprintf(text, sizeof(text), "%s", log_book.text + at);
	assert_int_equal(sscanf(text + strlen(number), "%*u.%*3us gen %d: %u.%3u ms; stops %u,",
				&l.generation, &l.ms, &l.us, &l.stops), 4);
	const char *rest = strstr(text, "; examined ");
	assert_non_null(rest);
	assert_int_equal(sscanf(rest, "; examined %u, unreachable %u; objects %u, ", &l.examined,
				&l.unreachable, &l.objects), 3);
	return l;
}

static void debug_gctrace_logs_a_line_of_the_form_in_the_header(void **state)
{
	(void)state;
	ouro_gc_set_debug(OURO_DEBUG_GCTRACE);
	struct node *kept = make(1);
	for (int g = 0; g < 3; g++) {
		char number[] = "gc 1 @";

		number[3] = (char)('1' + g);
		ouro_release(make_pair(&node_type, 1));
		uint64_t before = log_lines(), ns = stats().collection_ns[g];
		assert_int_equal(ouro_gc_collect(g), 2);
		assert_int_equal(log_lines(), before + 1);
		struct line l = gctrace_line(number);
		ns = stats().collection_ns[g] - ns;
		assert_int_equal(l.generation, g);
		assert_int_equal(l.ms * 1000 + l.us, ns / 1000);
		assert_true(l.examined >= 2);
		assert_int_equal(l.unreachable, 2);
		assert_int_equal(l.objects, 3);
		assert_true(g == 2 || l.stops == 1);
	}
	ouro_release(kept);
	ouro_gc_set_debug(0);
}

static int gctrace_child(void *arg)
{
	REQUIRE(setenv("OURO_GCTRACE", arg, 1) == 0);
	REQUIRE(ouro_init(NULL) == 0);
	REQUIRE(ouro_gc_get_debug() == (strcmp(arg, "1") == 0 ? OURO_DEBUG_GCTRACE : 0));
	ouro_gc_set_debug(0);
	REQUIRE(ouro_shutdown(NULL) == 0);
	REQUIRE(ouro_gc_get_debug() == 0);
	return 0;
}

static void debug_gctrace_is_set_by_the_environment(void **state)
{
	(void)state;
	child_run(gctrace_child, (char[]){ "1" });
	child_run(gctrace_child, (char[]){ "0" });
	child_run(gctrace_child, (char[]){ "yes" });
}

static void debug_collectable_logs_each_object(void **state)
{
	struct node *n = make_pair(&loud_type, 1);
	char address[40];

	(void)state;
	ouro_gc_set_debug(OURO_DEBUG_COLLECTABLE);
	snprintf(address, sizeof(address), "%p", (void *)n);
	ouro_release(n);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_logged("loud", 2);
	assert_true(book_find(&log_book, address) >= 0);
	ouro_gc_set_debug(0);
}

/* ---- SAVEALL ---- */

struct seen {
	struct node *node[16];
	size_t n;
};

static bool see(void *obj, void *arg)
{
	struct seen *s = arg;

	if (s->n < 16)
		s->node[s->n] = obj;
	s->n++;
	return true;
}

static void watch_note(void *arg)
{
	note('w', (int)(intptr_t)arg);
}

static void debug_saveall_keeps_garbage_whole(void **state)
{
	struct node *n = make_pair(&loud_type, 1);
	ouro_weak cell = { 0 };
	ouro_gc_stats stats[3];
	struct seen s = { .n = 0 };

	(void)state;
	ouro_gc_set_debug(OURO_DEBUG_SAVEALL);
	assert_int_equal(ouro_weak_store(&cell, n), 0);
	assert_int_equal(ouro_watch(n, watch_note, (void *)1, NULL), 0);
	ouro_release(n);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_true(ouro_weak_expired(&cell));
	assert_int_equal(book_count(&journal, "f"), 2);
	assert_before("w1 ", "f1 ");
	assert_int_equal(book_count(&journal, "d"), 0);
	assert_int_equal(objects_live(), 2);
	ouro_gc_get_stats(stats);
	assert_int_equal(stats[2].uncollectable, 2);
	assert_int_equal(ouro_gc_garbage(see, &s), 2);
	assert_int_equal(s.n, 2);
	assert_ptr_equal(s.node[0]->right, s.node[1]);
	assert_ptr_equal(s.node[1]->right, s.node[0]);
	ouro_gc_set_debug(0);
	ouro_gc_garbage_clear();
	assert_int_equal(ouro_gc_garbage(see, &s), 0);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(book_count(&journal, "f"), 2);
	assert_int_equal(book_count(&journal, "d"), 2);
	ouro_weak_clear(&cell);
}

/* What is kept is kept over further collections, and not counted as found again. */
static void debug_saveall_garbage_stays(void **state)
{
	struct seen s = { .n = 0 };

	(void)state;
	ouro_gc_set_debug(OURO_DEBUG_SAVEALL);
	ouro_release(make_ring(&node_type, 5));
	assert_int_equal(ouro_gc_collect(2), 5);
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_release(make_ring(&node_type, 3));
	assert_int_equal(ouro_gc_collect(2), 3);
	assert_int_equal(ouro_gc_garbage(see, &s), 8);
	ouro_gc_set_debug(0);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(objects_live(), 8);
	ouro_gc_garbage_clear();
	assert_int_equal(ouro_gc_collect(2), 8);
	assert_int_equal(objects_live(), 0);
}

/* A program may take an object out of the garbage: it lives on. */
static void debug_saveall_garbage_may_be_taken_out(void **state)
{
	struct seen s = { .n = 0 };

	(void)state;
	ouro_gc_set_debug(OURO_DEBUG_SAVEALL);
	ouro_release(make_pair(&loud_type, 1));
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(ouro_gc_garbage(see, &s), 2);
	struct node *n = ouro_retain(s.node[0]);
	ouro_gc_set_debug(0);
	ouro_gc_garbage_clear();
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(objects_live(), 2);
	ouro_release(n);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(book_count(&journal, "f"), 2);
	assert_int_equal(book_count(&journal, "d"), 2);
}

/* Garbage that is kept does not count as held at shutdown, and is destroyed there. */
static void debug_saveall_garbage_is_destroyed_at_shutdown(void **state)
{
	(void)state;
	ouro_gc_set_debug(OURO_DEBUG_SAVEALL);
	ouro_release(make_pair(&loud_type, 1));
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(heap_stop().objects, 0);
	assert_int_equal(book_count(&journal, "f"), 2);
	assert_int_equal(book_count(&journal, "d"), 2);
}

static void debug_leak_logs_and_keeps(void **state)
{
	struct seen s = { .n = 0 };

	(void)state;
	ouro_gc_set_debug(OURO_DEBUG_LEAK);
	ouro_release(make_pair(&node_type, 1));
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_logged("node", 2);
	assert_int_equal(ouro_gc_garbage(see, &s), 2);
	ouro_gc_garbage_clear();
	ouro_gc_set_debug(0);
	assert_int_equal(ouro_gc_collect(2), 2);
}

static void debug_garbage_is_empty_without_saveall(void **state)
{
	struct seen s = { .n = 0 };

	(void)state;
	ouro_release(make_pair(&node_type, 1));
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(ouro_gc_garbage(see, &s), 0);
	ouro_gc_garbage_clear();
	assert_int_equal(s.n, 0);
}

static bool make_more(void *obj, void *arg)
{
	(void)obj;
	ouro_release(make_pair(&node_type, 1));
	ouro_gc_collect(2);
	return ++*(int *)arg < 100;
}

/* What is kept while it is visited is not visited: there may be no end to that. */
static void debug_garbage_of_now_is_visited(void **state)
{
	int n = 0;

	(void)state;
	ouro_gc_set_debug(OURO_DEBUG_SAVEALL);
	ouro_release(make_pair(&node_type, 1));
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(ouro_gc_garbage(make_more, &n), 2);
	assert_int_equal(objects_live(), 6);
	ouro_gc_set_debug(0);
	ouro_gc_garbage_clear();
	assert_int_equal(ouro_gc_collect(2), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(debug_flags_are_kept),
		HEAP_CASE(debug_nothing_is_logged_by_default),
		HEAP_CASE(debug_stats_logs_each_collection),
		HEAP_CASE(debug_gctrace_logs_a_line_of_the_form_in_the_header),
		BARE_CASE(debug_gctrace_is_set_by_the_environment),
		HEAP_CASE(debug_collectable_logs_each_object),
		HEAP_CASE(debug_saveall_keeps_garbage_whole),
		HEAP_CASE(debug_saveall_garbage_stays),
		HEAP_CASE(debug_saveall_garbage_may_be_taken_out),
		HEAP_CASE(debug_saveall_garbage_is_destroyed_at_shutdown),
		HEAP_CASE(debug_leak_logs_and_keeps),
		HEAP_CASE(debug_garbage_is_empty_without_saveall),
		HEAP_CASE(debug_garbage_of_now_is_visited),
	};

	return cmocka_run_group_tests_name("debug", tests, NULL, NULL);
}
