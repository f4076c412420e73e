/*
 * Goal: several threads that find the garbage of a full collection find what one finds.
 * Method: the same graphs with 1 to 4 threads: large, of high in-degree, with traverse; mutators
 * beside them. In checked builds threads stand still at named points, so that helpers must do it
 * all, or are given something, or have no processor, or vanish in a fork in the middle of a phase;
 * and threads and memory are refused.
 * A failure would mean: garbage that stays, live objects that die, or collections that wait for a
 * thread that does not run, on machines with many processors.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "mutators.h"

#include "base/perturb.h"

#if !OURO_CHECKED
static void (*oi_point_hook)(const char *point);
#endif

enum { OBJECTS = 300000, CLUSTER = 100 };

struct item {
	struct item *a, *b;
	void *hidden;
};

static void traverse_item(void *obj, ouro_visitor *v)
{
	ouro_visit(v, ((struct item *)obj)->hidden);
}

static void clear_item(void *obj)
{
	struct item *i = obj;
	void *hidden = i->hidden;

	i->hidden = NULL;
	ouro_release(hidden);
}

static const ouro_type item_type = {
	.name = "item", .size = sizeof(struct item), .slots = OURO_SLOTS(struct item, a, b)
};
static const ouro_type opaque_type = {
	.name = "opaque", .size = sizeof(struct item), .slots = OURO_SLOTS(struct item, a, b),
	.traverse = traverse_item, .clear = clear_item
};

static void *made(void *obj)
{
	assert_non_null(obj);
	return obj;
}

static void start_with(size_t threads)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT;

	cfg.enabled = false;
	cfg.gc_threads = threads;
	heap_start(&cfg);
}

/*
 * Clusters around a hub that all members refer to, and which refers back by a list through all of
 * them; every seventh cluster has a member with a traverse. Every third is kept by a reference from
 * outside, the first fifth of them also by each other.
 */
static size_t make_clusters(struct item **kept, size_t n)
{
	size_t dead = 0;
	struct item *last = NULL;

	for (size_t c = 0; c < n; c++) {
		struct item *hub = made(ouro_new(&item_type)), *first = NULL;
		for (int i = 1; i < CLUSTER * (c % 50 ? 1 : 5); i++) {
			bool opaque = c % 7 == 0 && i == 1;
			struct item *m = made(ouro_new(opaque ? &opaque_type : &item_type));
			ouro_store(&m->a, hub);
			ouro_store(&m->b, first);
			if (opaque) {
				ouro_retain(hub);
				m->hidden = hub;
			}
			first = m;
			ouro_store(&hub->a, m);
			ouro_release(m);
			dead += c % 3 != 0;
		}
		dead += c % 3 != 0;
		if (c % 3 == 0 && last && c < n / 5)
			ouro_store(&last->b, hub);
		if (c % 3 == 0) {
			kept[c / 3] = hub;
			last = hub;
		} else {
			ouro_release(hub);
		}
	}
	return dead;
}

static void crew_finds_what_one_finds(void **state)
{
	size_t n = LOAD(OBJECTS) / CLUSTER;
	struct item **kept = calloc(n, sizeof *kept);

	(void)state;
	for (size_t threads = 1; threads <= 4; threads++) {
		ouro_stats s;
		start_with(threads);
		size_t dead = make_clusters(kept, n);
		assert_int_equal(ouro_gc_collect(2), dead);
		assert_int_equal(ouro_gc_collect(2), 0);
		for (size_t i = 0; i * 3 < n; i++)
			assert_non_null(kept[i]->a->a);
		ouro_stats_get(&s);
		assert_true(s.looked >= dead);
		assert_true(threads > 1 || s.looked_by_helpers == 0);
		size_t left = 0;
		for (size_t i = 0; i * 3 < n; i++)
			ouro_release(kept[i]);
		left = (size_t)ouro_gc_collect(2);
		assert_true(left > 0);
		assert_int_equal(heap_stop().objects, 0);
	}
	free(kept);
}

static void crew_spares_a_changing_graph(void **state)
{
	(void)state;
	start_with(3);
	mutators_start(NULL);
	for (int i = 0; i < LOAD(40) + 3; i++)
		assert_true(ouro_gc_collect(2) >= 0);
	mutators_stop();
}

/* ---- forced schedules ---- */

static atomic_int helped, given, taken, held;
static atomic_bool let_go;
/* The collecting thread takes no page before a helper has found that none is left. */
static bool first_waits;
static bool giver_waits;     /* whoever has given goes on when it was taken */
static const char *hold_at;  /* helpers wait there to be let go */
static void (*at_first)(void); /* what the collecting thread does with the next phase */
static pthread_t first_thread;

static void wait_for(atomic_int *n)
{
	REQUIRE(EVENTUALLY(atomic_load(n) > 0));
}

static void first_begins(void)
{
	void (*fn)(void) = at_first;

	at_first = NULL;
	if (first_waits)
		wait_for(&helped);
	if (fn != NULL)
		fn();
}

static void hold(const char *point)
{
	if (hold_at == NULL || strcmp(point, hold_at) != 0)
		return;
	if (pthread_equal(pthread_self(), first_thread))
		return;
	atomic_fetch_add(&held, 1);
	REQUIRE(EVENTUALLY(atomic_load(&let_go)));
}

static void at_point(const char *point)
{
	hold(point);
	if (strcmp(point, "scan: helped") == 0)
		atomic_fetch_add(&helped, 1);
	if (strcmp(point, "crew: taken") == 0)
		atomic_fetch_add(&taken, 1);
	if (strcmp(point, "crew: given") == 0 && atomic_fetch_add(&given, 1) == 0 && giver_waits)
		wait_for(&taken);
	if (strcmp(point, "scan: first") == 0)
		first_begins();
}

static void hook(const char *hold, void (*first)(void))
{
	hold_at = hold;
	at_first = first;
	first_thread = pthread_self();
	atomic_store(&helped, 0);
	atomic_store(&given, 0);
	atomic_store(&taken, 0);
	atomic_store(&held, 0);
	atomic_store(&let_go, false);
	oi_point_hook = at_point;
}

static void unhook(void)
{
	atomic_store(&let_go, true);
	oi_point_hook = NULL;
	first_waits = giver_waits = false;
}

static void needs_points(void)
{
	if (!CHECKED_BUILD)
		skip();
}

static void release_kept(struct item **kept, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ouro_release(kept[i]);
	ouro_gc_collect(2);
	assert_int_equal(heap_stop().objects, 0);
}

enum { FEW = 300, KEPT = 100 };

static void crew_helpers_do_it_all(void **state)
{
	struct item *kept[KEPT];
	ouro_stats s;

	(void)state;
	needs_points();
	start_with(3);
	size_t dead = make_clusters(kept, FEW);
	first_waits = true;
	hook(NULL, NULL);
	assert_int_equal(ouro_gc_collect(2), dead);
	unhook();
	ouro_stats_get(&s);
	assert_true(s.looked >= dead);
	assert_int_equal(s.looked_by_helpers, s.looked);
	release_kept(kept, KEPT);
}

/*
 * Helpers that have no processor, from their first step on or while they have nothing, are not
 * waited for.
 */
static void collect_without_those_at(const char *point, void (*first)(void))
{
	struct item *kept[KEPT];
	ouro_stats s;

	start_with(3);
	size_t dead = make_clusters(kept, FEW);
	hook(point, first);
	assert_int_equal(ouro_gc_collect(2), dead);
	ouro_stats_get(&s);
	assert_true(first != NULL || s.looked_by_helpers == 0);
	/* those of the first collection are still there: they may have seats in this one */
	assert_int_equal(ouro_gc_collect(2), 0);
	unhook();
	assert_int_equal(ouro_gc_collect(2), 0);
	release_kept(kept, KEPT);
}

static void until_held(void)
{
	wait_for(&held);
}

static void crew_waits_for_nobody_idle(void **state)
{
	(void)state;
	needs_points();
	collect_without_those_at("crew: helper", NULL);
	collect_without_those_at("crew: idle", until_held);
}

enum { FANOUT = 600 };

struct spoke {
	struct fan *hub;
};
struct fan {
	struct spoke *spoke[FANOUT];
};
static const ouro_type fan_type = {
	.name = "fan", .size = sizeof(struct fan), .slots = OURO_SLOTS(struct fan, spoke)
};
static const ouro_type spoke_type = {
	.name = "spoke", .size = sizeof(struct spoke), .slots = OURO_SLOTS(struct spoke, hub)
};

/* One root, and what is below it: a thread that has found no pages is given of that. */
static void crew_gives_to_the_hungry(void **state)
{
	struct fan *root;

	(void)state;
	needs_points();
	start_with(2);
	root = made(ouro_new(&fan_type));
	for (int i = 0; i < FANOUT; i++) {
		struct spoke *spoke = made(ouro_new(&spoke_type));
		ouro_store(&spoke->hub, root);
		ouro_store(&root->spoke[i], spoke);
		ouro_release(spoke);
	}
	giver_waits = true;
	hook(NULL, NULL);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_true(atomic_load(&given) > 0 && atomic_load(&taken) > 0);
	unhook();
	for (int i = 0; i < FANOUT; i++)
		assert_ptr_equal(root->spoke[i]->hub, root);
	ouro_release(root);
	assert_int_equal(ouro_gc_collect(2), FANOUT + 1);
	assert_int_equal(heap_stop().objects, 0);
}

/* ---- a fork in the middle of a phase ---- */

static void *collect_main(void *arg)
{
	first_thread = pthread_self();
	*(ssize_t *)arg = ouro_gc_collect(2);
	return NULL;
}

static int collect_in_child(void *arg)
{
	oi_point_hook = NULL;
	for (int i = 0; i < 2; i++)
		REQUIRE(ouro_gc_collect(2) == (i ? 0 : *(ssize_t *)arg));
	return 0;
}

/* Who is held is busy: the phase, and with it the collection, does not end before the fork. */
static void fork_while_held(const char *point)
{
	struct item *kept[KEPT];
	char text[2000];
	ssize_t dead, found = -1;

	start_with(3);
	dead = (ssize_t)make_clusters(kept, FEW);
	hook(point, until_held);
	pthread_t collector = thread_start(collect_main, &found);
	wait_for(&held);
	assert_int_equal(child_status(collect_in_child, &dead, text, sizeof text), 0);
	unhook();
	pthread_join(collector, NULL);
	assert_int_equal(found, dead);
	release_kept(kept, KEPT);
}

static void crew_vanishes_in_a_fork(void **state)
{
	(void)state;
	needs_points();
	needs_threads_in_the_child();
	fork_while_held("scan: helper");
	fork_while_held("scan: helped");
}

/* The collecting thread itself forks, and goes on with its collection in the child. */
static pid_t forked;

static void fork_when_held(void)
{
	wait_for(&held);
	forked = fork();
	REQUIRE(forked >= 0);
	if (forked == 0)
		oi_point_hook = NULL;
	else
		atomic_store(&let_go, true);
}

/* @lost: who is held has work in hand; in the child nothing is found, until the next time. */
static void collect_and_fork(const char *point, bool lost)
{
	struct item *kept[KEPT];
	int status;

	start_with(2); /* one helper: where it is, is all there is to know */
	ssize_t dead = (ssize_t)make_clusters(kept, FEW);
	hook(point, fork_when_held);
	ssize_t found = ouro_gc_collect(2);
	if (forked == 0) {
		REQUIRE(lost ? found <= 0 : found == dead);
		REQUIRE(ouro_gc_collect(2) == (lost ? dead : 0));
		_exit(0);
	}
	unhook();
	assert_int_equal(waitpid(forked, &status, 0), forked);
	assert_int_equal(status, 0);
	assert_int_equal(found, dead);
	release_kept(kept, KEPT);
}

static void crew_is_left_behind_by_a_fork(void **state)
{
	(void)state;
	needs_points();
	needs_threads_in_the_child();
	collect_and_fork("crew: helper", false);
	collect_and_fork("scan: helper", true);
	collect_and_fork("crew: idle", false);
}

/* ---- shortages ---- */

/* The n-th thread, list or map is refused: fewer look, or nothing is found, and later all is. */
static void refuse(enum oi_fail kind, unsigned long n, bool forever)
{
	struct item *kept[KEPT];

	start_with(3);
	size_t dead = make_clusters(kept, FEW);
	oi_fail_arm(kind, n, forever);
	ssize_t found = ouro_gc_collect(2);
	oi_fail_arm(kind, 0, false);
	assert_true(found <= (ssize_t)dead);
	assert_true(found == (ssize_t)dead || kind != OI_FAIL_PTHREAD_CREATE);
	if (found != (ssize_t)dead)
		assert_int_equal(ouro_gc_collect(2), (ssize_t)dead - (found > 0 ? found : 0));
	release_kept(kept, KEPT);
}

static void crew_is_refused_something(void **state)
{
	(void)state;
	needs_points();
	for (unsigned long n = 1; n <= 5; n++) {
		refuse(OI_FAIL_PTHREAD_CREATE, n, false);
		refuse(OI_FAIL_PTHREAD_CREATE, n, true);
	}
	for (unsigned long n = 1; n <= 24; n++) {
		refuse(OI_FAIL_MMAP, n, false);
		refuse(OI_FAIL_MMAP, n, true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(crew_finds_what_one_finds),
		BARE_CASE(crew_spares_a_changing_graph),
		BARE_CASE(crew_helpers_do_it_all),
		BARE_CASE(crew_waits_for_nobody_idle),
		BARE_CASE(crew_gives_to_the_hungry),
		BARE_CASE(crew_vanishes_in_a_fork),
		BARE_CASE(crew_is_left_behind_by_a_fork),
		BARE_CASE(crew_is_refused_something),
	};
	return cmocka_run_group_tests_name("crew", tests, NULL, NULL);
}
