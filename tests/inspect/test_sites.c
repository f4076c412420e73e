/*
 * Goal: what is alive, by where it was made, is what the statistics say, however it lives and dies.
 * Method: every object sampled, profiles read back and compared; draws counted; memory refused.
 * A failure would mean: a profile that sends people to the wrong place.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

#include <alloca.h>
#include <math.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/os.h"
#include "base/perturb.h"

#if !OURO_CHECKED
static void (*oi_point_hook)(const char *point);
#endif

/* Where return addresses lie at a place that follows from the frame: callers.c. */
#if defined(__x86_64__)
enum { FINDS_CALLERS_AGAIN = 1 };
#else
enum { FINDS_CALLERS_AGAIN = 0 };
#endif

static void start_sampling(size_t sample_bytes)
{
	ouro_config cfg = test_config();

	cfg.sample_bytes = sample_bytes;
	heap_start(&cfg);
}

/* ---- reading a profile ---- */

struct row {
	unsigned long live, live_bytes, made, made_bytes;
};

struct profile {
	struct row sum, row[200];
	size_t n, rate;
	bool mapped;
};

static bool read_row(const char *line, struct row *r)
{
	return sscanf(line, "%lu: %lu [%lu: %lu] @", &r->live, &r->live_bytes, &r->made,
		      &r->made_bytes) == 4;
}

static struct profile profile(void)
{
	struct profile p = { .n = 0 };
	FILE *f = tmpfile();
	char line[2000], *head = line + strlen("heap profile: ");

	assert_non_null(f);
	assert_int_equal(ouro_sites_write(f), 0);
	rewind(f);
	assert_non_null(fgets(line, sizeof(line), f));
	assert_true(read_row(head, &p.sum));
	assert_int_equal(sscanf(strstr(head, "@"), "@ heap_v2/%zu", &p.rate), 1);
	while (fgets(line, sizeof(line), f) != NULL && line[0] != '\n') {
		assert_true(p.n < 200);
		assert_true(read_row(line, &p.row[p.n++]));
		assert_non_null(strstr(line, "@ 0x"));
	}
	while (fgets(line, sizeof(line), f) != NULL)
		p.mapped |= strstr(line, "r-xp") != NULL;
	fclose(f);
	return p;
}

/* The profile says what the statistics do; returns how many are alive. */
static size_t compare(void)
{
	struct profile p = profile();
	struct row sum = { 0 };
	ouro_stats s = stats();

	for (size_t i = 0; i < p.n; i++) {
		sum.live += p.row[i].live;
		sum.live_bytes += p.row[i].live_bytes;
		sum.made += p.row[i].made;
		sum.made_bytes += p.row[i].made_bytes;
	}
	assert_memory_equal(&sum, &p.sum, sizeof(sum));
	assert_int_equal(sum.live, s.objects_live);
	assert_int_equal(sum.live_bytes, s.bytes_live);
	assert_int_equal(sum.made, s.objects_allocated);
	assert_int_equal(s.samples, s.objects_live);
	assert_int_equal(s.samples_dropped, 0);
	assert_true(p.mapped);
	return sum.live;
}

/* Is there a site with so many alive? */
static bool some_site_has(size_t live)
{
	struct profile p = profile();

	for (size_t i = 0; i < p.n; i++)
		if (p.row[i].live == live)
			return true;
	return false;
}

/* ---- the cases ---- */

static void sites_answer_as_the_header_says(void **state)
{
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_int_equal(ouro_sites_write(NULL), EINVAL);
	assert_int_equal(ouro_sites_write(stderr), ENODATA);
	heap_stop();
	start_sampling(1);
	assert_int_equal(ouro_sites_write(full), ENOSPC);
	fclose(full);
	assert_int_equal(compare(), 0);
	assert_int_equal(profile().rate, 1);
	assert_int_equal(heap_stop().objects, 0);
	ouro_config cfg = test_config();
	cfg.sample_bytes = (size_t)1 << 41;
	assert_int_equal(ouro_init(&cfg), EINVAL);
}

static const ouro_type array_type = {
	.name = "array", .size = 8, .item_size = 8, .item_slots = OURO_ITEM_REFS,
};
static const ouro_type big_type = { .name = "big", .size = 100000, .flags = OURO_ACYCLIC };

/* Sizes of the quick way and beyond, with items, large, tracked or not. */
static void sites_know_objects_of_all_kinds(void **state)
{
	void *kept[40];
	size_t n = 0;

	(void)state;
	start_sampling(1);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++) {
			assert_non_null(kept[n++] = ouro_new(&node_type));
			assert_non_null(kept[n++] = ouro_new(&leaf_type));
			assert_non_null(kept[n++] = ouro_new_items(&array_type, (size_t)i));
			assert_non_null(kept[n++] = ouro_new_items(&array_type, 1000));
			assert_non_null(kept[n++] = ouro_new_items(&array_type, 100000));
			assert_non_null(kept[n++] = ouro_new(&big_type));
		}
		assert_int_equal(compare(), n);
	}
	while (n > 0) {
		ouro_release(kept[--n]);
		assert_int_equal(compare(), n);
	}
	assert_int_equal(heap_stop().objects, 0);
}

__attribute__((noinline)) static struct node *make_here(size_t n)
{
	return make_list(&node_type, n);
}

__attribute__((noinline)) static struct node *make_there(size_t n)
{
	struct node *list = make_list(&loud_type, n);

	assert_non_null(list); /* no tail call */
	return list;
}

static void sites_tell_places_apart(void **state)
{
	(void)state;
	if (TSAN_BUILD) /* there the library's own calls are no jumps: its frames tell more apart */
		skip();
	start_sampling(1);
	struct node *a = make_here(70), *b = make_there(30), *c = make_here(11);
	compare();
	assert_true(some_site_has(70));
	assert_true(some_site_has(30));
	assert_true(some_site_has(11)); /* another call of the same */
	ouro_release(c);
	assert_false(some_site_has(11));
	ouro_release(a);
	ouro_release(b);
	assert_int_equal(compare(), 0);
	assert_int_equal(heap_stop().objects, 0);
}

/* ---- callers that are known again by their stack ---- */

static struct node *known;

__attribute__((noinline)) static void make_one(void)
{
	struct node *n = make(1);

	ouro_give(&n->right, known);
	known = n;
}

/* Both have the same frame, in which only the address to return to differs. */
__attribute__((noinline)) static void by_one(void)
{
	make_one();
	__asm__ volatile("nop");
}

__attribute__((noinline)) static void by_other(void)
{
	make_one();
	__asm__ volatile("nop; nop");
}

/* Nothing but a frame further out tells them apart, and they take turns. */
static void sites_are_told_apart_by_outer_frames(void **state)
{
	(void)state;
	if (TSAN_BUILD)
		skip();
	start_sampling(1);
	for (int i = 0; i < 100; i++)
		(i % 10 < 7 ? by_one : by_other)();
	assert_int_equal(compare(), 100);
	assert_true(some_site_has(70));
	assert_true(some_site_has(30));
	ouro_store(&known, NULL);
	assert_int_equal(heap_stop().objects, 0);
}

static atomic_ulong n_walks;

static void count_walks(const char *point)
{
	if (strcmp(point, "callers_walk") == 0)
		atomic_fetch_add(&n_walks, 1);
}

static void *make_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++)
		make_one();
	return NULL;
}

/* Also by a thread that has the record of one that is gone, and a stack elsewhere. */
static void sites_ask_the_unwinder_once(void **state)
{
	pthread_t older, thread;

	(void)state;
	if (!CHECKED_BUILD || TSAN_BUILD || !FINDS_CALLERS_AGAIN)
		skip(); /* a sanitizer's frames differ from call to call */
	start_sampling(1);
	make_many(NULL);
	older = thread_start(make_many, NULL);
	pthread_join(older, NULL);
	oi_point_hook = count_walks;
	make_many(NULL);
	assert_in_range(atomic_exchange(&n_walks, 0), 1, 10); /* called from elsewhere now */
	thread = thread_start(make_many, NULL);
	pthread_join(thread, NULL);
	assert_in_range(atomic_exchange(&n_walks, 0), 0, 10);
	oi_point_hook = NULL;
	assert_int_equal(compare(), 4000);
	ouro_store(&known, NULL);
	assert_int_equal(heap_stop().objects, 0);
}

static ucontext_t home, away;
static size_t frame;
static volatile char *in_frame;

/* Its frame has the size it is asked for; its own callers lie above that. */
__attribute__((noinline)) static void make_below(void)
{
	volatile char *room = alloca(frame);

	room[0] = room[frame - 1] = 1;
	in_frame = room;
	make_one();
	__asm__ volatile("nop");
}

#define STACK ((size_t)512 << 10)
#define CUT ((size_t)256 << 10)

/* Runs it on the program's own stack, of @bytes from @base on. */
static void run_on(void *base, size_t bytes, size_t room)
{
	frame = room;
	assert_int_equal(getcontext(&away), 0);
	away.uc_stack.ss_sp = base;
	away.uc_stack.ss_size = bytes;
	away.uc_link = &home;
	makecontext(&away, make_below, 0);
	assert_int_equal(swapcontext(&home, &away), 0);
}

/*
 * The innermost frames lie where they did, those further out where there is no memory any more: on
 * a stack that is not the thread's, what was once seen there is nothing to go by.
 */
static void sites_on_a_stack_of_the_programs(void **state)
{
	char *base;
	volatile char *first;

	(void)state;
	if (TSAN_BUILD || ASAN_BUILD) /* which have to be told of such stacks */
		skip();
	start_sampling(1);
	base = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(base, MAP_FAILED);
	for (int i = 0; i < 3; i++)
		run_on(base, STACK, CUT + 8192);
	first = in_frame;
	assert_int_equal(munmap(base + STACK - CUT, CUT), 0);
	for (int i = 0; i < 3; i++)
		run_on(base, STACK - CUT, 8192);
	assert_ptr_equal(in_frame, first);
	assert_int_equal(compare(), 6);
	munmap(base, STACK - CUT);
	ouro_store(&known, NULL);
	assert_int_equal(heap_stop().objects, 0);
}

/* A census has one row for a type; one that has only sampled objects is in use. */
static void sites_leave_types_as_they_are(void **state)
{
	ouro_type_stat rows[10];
	struct node *list;

	(void)state;
	start_sampling(1000);
	list = make_list(&node_type, 500);
	assert_true(stats().samples > 0 && stats().samples < 500);
	assert_int_equal(ouro_type_stats(rows, 10), 1);
	assert_int_equal(rows[0].objects, 500);
	assert_ptr_equal(rows[0].type, &node_type);
	for (struct node *n = list; n != NULL; n = n->right)
		assert_ptr_equal(ouro_typeof(n), &node_type);
	ouro_release(list);
	assert_int_equal(heap_stop().objects, 0);
	start_sampling(1);
	list = make_list(&node_type, 1);
	ouro_external_bytes(list, 800);
	assert_int_equal(ouro_type_stats(rows, 10), 1);
	assert_int_equal(rows[0].external_bytes, 800);
	ouro_external_bytes(list, -800);
	assert_int_equal(ouro_type_retire(&node_type), EBUSY);
	ouro_release(list);
	assert_int_equal(ouro_type_retire(&node_type), 0);
	assert_int_equal(heap_stop().objects, 0);
}

/* Of a plugin, as far as the library can tell. */
static void sites_know_types_that_may_go(void **state)
{
	ouro_type *type = malloc(sizeof(*type));
	void *kept[50];

	(void)state;
	*type = node_type;
	start_sampling(1);
	for (int i = 0; i < 50; i++)
		assert_non_null(kept[i] = ouro_new(type));
	assert_int_equal(compare(), 50);
	for (int i = 0; i < 50; i++)
		ouro_release(kept[i]);
	assert_int_equal(compare(), 0);
	assert_int_equal(heap_stop().objects, 0);
	free(type);
}

static void sites_follow_collections(void **state)
{
	struct node *kept, *pair;

	(void)state;
	start_sampling(1);
	kept = make_ring(&node_type, 100);
	for (int generation = 0; generation < 3; generation++) {
		ouro_release(make_ring(&node_type, 300));
		pair = make_pair(&loud_type, 1);
		ouro_release(pair);
		assert_int_equal(ouro_gc_collect(generation), 302);
		assert_int_equal(compare(), 100);
	}
	ouro_release(kept);
	assert_int_equal(ouro_gc_collect(2), 100);
	assert_int_equal(compare(), 0);
	assert_int_equal(heap_stop().objects, 0);
}

static struct node *risen;

static void rise(void *obj)
{
	ouro_store(&risen, obj);
}

static const ouro_type rising_type = {
	.name = "rising", .size = sizeof(struct node), .finalize = rise,
	.slots = OURO_SLOTS(struct node, left, right), .weaks = OURO_WEAKS(struct node, weak),
};

static void sites_keep_what_rises(void **state)
{
	(void)state;
	start_sampling(1);
	ouro_release(make_of(&rising_type, 1));
	assert_int_equal(ouro_flush(), 0);
	assert_non_null(risen);
	assert_int_equal(compare(), 1);
	ouro_store(&risen, NULL);
	assert_int_equal(compare(), 0);
	ouro_release(make_pair(&rising_type, 1));
	ouro_gc_collect(2);
	assert_non_null(risen);
	assert_int_equal(compare(), 2);
	ouro_store(&risen, NULL);
	ouro_gc_collect(2);
	assert_int_equal(compare(), 0);
	assert_int_equal(heap_stop().objects, 0);
}

static int child_goes_on(void *arg)
{
	struct profile p = profile();

	REQUIRE(p.sum.live == 50);
	ouro_release(arg);
	struct node *mine = make_list(&node_type, 7);
	REQUIRE(ouro_flush() == 0);
	REQUIRE(profile().sum.live == 7);
	ouro_release(mine);
	REQUIRE(profile().sum.live == 0);
	return 0;
}

static void sites_of_a_forked_child(void **state)
{
	struct node *list;

	(void)state;
	start_sampling(1);
	list = make_list(&node_type, 50);
	child_run(child_goes_on, list);
	assert_int_equal(compare(), 50);
	ouro_release(list);
	assert_int_equal(heap_stop().objects, 0);
}

static void sites_are_named_at_shutdown(void **state)
{
	struct node *list, *more;
	void *big;

	(void)state;
	start_sampling(1000);
	list = make_here(2000);
	more = make_there(1000);
	big = ouro_new(&big_type); /* all of these are known */
	assert_true(list && more && big);
	assert_int_equal(heap_stop().objects, 3001);
	assert_logged("still held at shutdown: 1 sampled, about 100016 bytes", 1);
	assert_true(EVENTUALLY(book_count(&log_book, " sampled, about ") >= 3));
	assert_true(book_count(&log_book, "test_sites+0x") >= 3);
	start_sampling(1000);
	assert_int_equal(heap_stop().objects, 0);
	assert_logged(" sampled, about ", 0);
}

/* Each heap has its own, whatever threads and types there were before. */
static void sites_begin_anew_with_a_heap(void **state)
{
	struct node *list;

	(void)state;
	for (int round = 0; round < 4; round++) {
		start_sampling(round % 2);
		list = make_list(&node_type, 100);
		if (round % 2) {
			assert_int_equal(compare(), 100);
		} else {
			assert_int_equal(stats().samples, 0);
			assert_int_equal(ouro_sites_write(stderr), ENODATA);
		}
		ouro_release(list);
		assert_int_equal(heap_stop().objects, 0);
	}
}

/* ---- the draw ---- */

/* The chance of a mistake is that of seven standard deviations. */
static void assert_about(double n, double expected, double relative)
{
	double deviation = 7 * (sqrt(expected) + relative * expected);

	if (n == 0 || fabs(n - expected) > deviation)
		fail_msg("%.0f, expected %.0f, give or take %.0f", n, expected, deviation);
}

/*
 * Each byte is as likely as any other: small objects do not hide behind large ones, nor those that
 * stay behind what dies at once, in the same blocks. @relative: the deviation that stretches add.
 */
static void draw_and_count(size_t rate, size_t n, double relative)
{
	struct node *first = NULL;
	double small = 0, large = 0;
	ouro_type_stat rows[10];

	start_sampling(rate);
	for (size_t i = 0; i < n; i++) {
		for (int k = 0; k < 3; k++)
			ouro_release(make(0));
		struct node *next = make(0);
		ouro_give(&next->right, first);
		first = next;
		if (i % 8 == 0) {
			void *array = ouro_new_items(&array_type, 200);
			ouro_give(&next->left, array);
		}
	}
	assert_int_equal(ouro_type_stats(rows, 10), 2);
	struct profile p = profile();
	for (size_t i = 0; i < p.n; i++)
		if (p.row[i].live && p.row[i].live_bytes / p.row[i].live > 1000)
			large += (double)p.row[i].live;
		else
			small += (double)p.row[i].live;
	for (int i = 0; i < 2; i++) {
		double bytes = (double)rows[i].bytes / (double)rows[i].objects;
		double expected = (double)rows[i].objects * -expm1(-bytes / (double)rate);
		if (rows[i].type == &node_type)
			assert_about(small, expected, relative);
		else
			assert_about(large, expected, 0);
	}
	ouro_release(first);
	assert_true(EVENTUALLY(stats().samples == 0));
	assert_int_equal(heap_stop().objects, 0);
}

static void sites_are_drawn_by_bytes(void **state)
{
	(void)state;
	draw_and_count(32768, LOAD(200000), 0);
}

/* A stretch is of some 16 KiB: one of eight counts. */
static void sites_are_drawn_by_bytes_in_stretches(void **state)
{
	size_t n = LOAD(600000);

	(void)state;
	draw_and_count(65536, n, sqrt(8 / ((double)n * 48 / 16384)));
}

/* ---- threads ---- */

struct exchange {
	struct node *slot;
	atomic_bool stop;
};

static void *exchange_objects(void *arg)
{
	struct exchange *x = arg;

	for (int i = 0; !atomic_load(&x->stop); i++) {
		struct node *n = make_of(i % 3 ? &node_type : &counted_type, i);
		struct node *other = ouro_load(&x->slot);
		ouro_store(&n->left, other);
		ouro_store(&n->right, n);
		ouro_release(other);
		ouro_store(&x->slot, i % 50 ? n : NULL);
		ouro_release(n);
	}
	return NULL;
}

static void sites_beside_threads(void **state)
{
	struct exchange x = { NULL, false };
	pthread_t thread[3];
	ouro_config cfg = test_config();

	(void)state;
	cfg.sample_bytes = 256;
	cfg.enabled = true;
	heap_start(&cfg);
	for (int i = 0; i < 3; i++)
		thread[i] = thread_start(exchange_objects, &x);
	for (int i = 0; i < 20; i++) {
		struct profile p = profile();
		assert_true(p.n < 200);
		sleep_ms(10);
	}
	atomic_store(&x.stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	ouro_store(&x.slot, NULL);
	for (int i = 0; i < 3; i++)
		ouro_gc_collect(2);
	assert_true(EVENTUALLY(objects_live() == 0));
	assert_int_equal(stats().samples, 0);
	assert_true(profile().sum.made > 0);
	assert_int_equal(heap_stop().objects, 0);
}

/* ---- without memory ---- */

static void sites_are_dropped_without_memory(void **state)
{
	struct node *list;

	(void)state;
	if (!CHECKED_BUILD)
		skip();
	start_sampling(1);
	list = make(1);
	ouro_release(list); /* the first page is there, and room for 4096 samples */
	list = make_list(&node_type, 4096);
	assert_int_equal(compare(), 4096);
	oi_fail_arm(OI_FAIL_MMAP, 1, true);
	struct node *one = ouro_new(&node_type);
	oi_fail_arm(OI_FAIL_MMAP, 0, false);
	assert_non_null(one);
	assert_int_equal(stats().samples_dropped, 1);
	assert_int_equal(stats().samples, 4096);
	ouro_release(one); /* of which nobody knows */
	assert_int_equal(stats().samples, 4096);
	ouro_release(list);
	assert_int_equal(stats().samples, 0);
	assert_int_equal(heap_stop().objects, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(sites_answer_as_the_header_says),
		BARE_CASE(sites_know_objects_of_all_kinds),
		BARE_CASE(sites_tell_places_apart),
		BARE_CASE(sites_are_told_apart_by_outer_frames),
		BARE_CASE(sites_ask_the_unwinder_once),
		BARE_CASE(sites_on_a_stack_of_the_programs),
		BARE_CASE(sites_leave_types_as_they_are),
		BARE_CASE(sites_know_types_that_may_go),
		BARE_CASE(sites_follow_collections),
		BARE_CASE(sites_keep_what_rises),
		BARE_CASE(sites_of_a_forked_child),
		BARE_CASE(sites_are_named_at_shutdown),
		BARE_CASE(sites_begin_anew_with_a_heap),
		BARE_CASE(sites_are_drawn_by_bytes),
		BARE_CASE(sites_are_drawn_by_bytes_in_stretches),
		BARE_CASE(sites_beside_threads),
		BARE_CASE(sites_are_dropped_without_memory),
	};

	return cmocka_run_group_tests_name("sites", tests, NULL, NULL);
}
