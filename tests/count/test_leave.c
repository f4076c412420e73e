/*
 * Goal: a thread that leaves merges every object it owns and leaves no memory behind, whatever
 * others do meanwhile.
 * Method: threads leave while their objects die under them and others take the pages; in checked
 * builds the thread is held at the points where that hurts, in a heap that uses blocks again at
 * once, as the shipped library does.
 * A failure would mean: objects that name a thread that is gone, whose key the next one gets:
 * counts that two threads change without atomics, memory that is used after it was freed.
 */
#include "fixture.h"

#include "base/perturb.h"
#include "collect/verify.h"
#include "heap/heap.h"
#include "world/thread.h"
#include "world/world.h"

struct block {
	char bytes[1008];
};

static const ouro_type block_type = { .name = "block", .size = sizeof(struct block) };

enum { IN_A_PAGE = 64, PAGES = 5, BLOCKS = (PAGES - 1) * IN_A_PAGE + 1 };

static void fill(struct block **b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((b[i] = ouro_new(&block_type)) == NULL)
			abort();
}

static void release_all(struct block **b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (b[i] != NULL)
			ouro_release(b[i]);
		b[i] = NULL;
	}
}

static void assert_whole(void)
{
	const char *error = oi_verify_heap();

	if (error != NULL)
		fail_msg("%s", error);
}

/* ---- a page that dies under the walk ---- */

#if OURO_CHECKED
static struct block *owned[BLOCKS], *stolen[4 * IN_A_PAGE];
static _Thread_local bool leaver;
static int n_leave, n_drained;

static void *release_last_but_one(void *arg)
{
	(void)arg;
	release_all(owned + (PAGES - 2) * IN_A_PAGE, IN_A_PAGE);
	return NULL;
}

static void *release_one(void *arg)
{
	(void)arg;
	release_all(owned, 1);
	return NULL;
}

static void *steal(void *arg)
{
	fill(stolen, sizeof(stolen) / sizeof(stolen[0]));
	return arg;
}

/*
 * Its newest page is the one it allocates from, and walked first. Then all of the next one's
 * objects go into its queue; when that page has been walked, one object more makes it drain the
 * queue; and when they are dead somebody else takes the page.
 */
static void kill_page_under_the_walk(const char *point)
{
	if (!leaver)
		return;
	if (strcmp(point, "leave") == 0 && ++n_leave == 1)
		thread_run(release_last_but_one, NULL);
	else if (strcmp(point, "leave") == 0 && n_leave == 2)
		thread_run(release_one, NULL);
	else if (strcmp(point, "drained") == 0 && ++n_drained == 1)
		thread_run(steal, NULL);
}

static void *own_and_leave(void *arg)
{
	(void)arg;
	fill(owned, BLOCKS);
	ouro_release(owned[(PAGES - 2) * IN_A_PAGE]); /* 63 are not enough to have the queue drained */
	owned[(PAGES - 2) * IN_A_PAGE] = NULL;
	leaver = true;
	ouro_thread_detach();
	leaver = false;
	return NULL;
}

static bool leave_under_attack(void)
{
	n_leave = n_drained = 0;
	oi_point_hook = kill_page_under_the_walk;
	thread_run(own_and_leave, NULL);
	oi_point_hook = NULL;
	return n_drained == 1;
}

/* The collector's tick may come in between, and drain the queue: hence several rounds, and at least one of the kind. */
static void leave_walks_on_when_its_page_is_taken(void **state)
{
	int n = 0;

	(void)state;
	for (int i = 0; i < 50 || (n == 0 && i < 5000); i++) {
		n += leave_under_attack();
		assert_whole();
		release_all(owned, BLOCKS);
		release_all(stolen, sizeof(stolen) / sizeof(stolen[0]));
		assert_int_equal(ouro_flush(), 0);
	}
	assert_true(n > 0);
}

/* ---- a page that is queued at the heap of a thread that has gone meanwhile ---- */

static struct oi_thread *gone_record;
static atomic_bool ready, may_leave, has_left, was_late;

static void *own_and_leave_when_told(void *arg)
{
	fill(arg, IN_A_PAGE);
	gone_record = oi_self;
	leaver = true;
	atomic_store(&ready, true);
	while (!atomic_load(&may_leave))
		sched_yield();
	ouro_thread_detach();
	atomic_store(&has_left, true);
	return NULL;
}

/* Whoever frees a block of the leaver's knows whose page it is, and is late in saying so. */
static void be_late(const char *point)
{
	if (strcmp(point, "queue a page") != 0 || leaver || atomic_exchange(&was_late, true))
		return;
	atomic_store(&may_leave, true);
	while (!atomic_load(&has_left))
		sched_yield();
}

static void leave_strands_no_page(void **state)
{
	static struct block *b[IN_A_PAGE];

	(void)state;
	gone_record = NULL;
	oi_point_hook = be_late;
	pthread_t t = thread_start(own_and_leave_when_told, b);
	while (!atomic_load(&ready))
		sched_yield();
	release_all(b, 1); /* it is merged on behalf of its owner, who sleeps, and freed by the reaper */
	pthread_join(t, NULL);
	oi_grace_wait(); /* whoever was late has left its gate */
	oi_point_hook = NULL;
	assert_null(__atomic_load_n(&gone_record->heap.remote.head, __ATOMIC_ACQUIRE));
	release_all(b, IN_A_PAGE);
	assert_int_equal(ouro_flush(), 0);
}

/* ---- many pages ---- */

enum { MANY_PAGES = 300, MANY_BLOCKS = MANY_PAGES * IN_A_PAGE };

static struct block *inherited[MANY_BLOCKS];
static int n_passes;
static const char *broken; /* what the verifier said first */

/*
 * The leaver has moved some of its pages, and is outside its gate: others stop the world, and go on
 * with what it has left.
 */
static void use_what_is_left(const char *point)
{
	if (!leaver || strcmp(point, "abandon") != 0)
		return;
	n_passes++;
	if (broken == NULL)
		broken = oi_verify_heap();
	thread_run(steal, NULL);
	release_all(stolen, sizeof(stolen) / sizeof(stolen[0]));
}

static void *own_many_and_leave(void *arg)
{
	fill(inherited, MANY_BLOCKS);
	leaver = true;
	ouro_thread_detach();
	leaver = false;
	return arg;
}

static void leave_lets_others_in_between_its_pages(void **state)
{
	(void)state;
	n_passes = 0;
	broken = NULL;
	oi_point_hook = use_what_is_left;
	thread_run(own_many_and_leave, NULL);
	oi_point_hook = NULL;
	if (broken != NULL)
		fail_msg("%s", broken);
	assert_true(n_passes >= 4); /* 64 pages at a time */
	assert_whole();
	release_all(inherited, MANY_BLOCKS);
	assert_int_equal(ouro_flush(), 0);
}
#endif

/* ---- the same by chance ---- */

enum { MANY = 32 * IN_A_PAGE };

struct hand_over {
	struct block *b[MANY];
	atomic_bool ready;
};

static void *make_and_leave(void *arg)
{
	struct hand_over *h = arg;

	fill(h->b, MANY);
	atomic_store(&h->ready, true);
	return NULL;
}

/* The one releases what the other makes and leaves, and makes its own in the pages that become free. */
static void leave_beside_releases_and_allocations(void **state)
{
	static struct hand_over h;
	static struct block *mine[MANY];

	(void)state;
	for (int i = 0; i < LOAD(300); i++) {
		atomic_store(&h.ready, false);
		pthread_t t = thread_start(make_and_leave, &h);
		while (!atomic_load(&h.ready))
			sched_yield();
		for (size_t k = MANY; k-- > 0;)
			release_all(h.b + k, 1);
		fill(mine, MANY / 4);
		pthread_join(t, NULL);
		release_all(mine, MANY / 4);
		if (i % 16 == 0)
			assert_whole();
	}
	assert_whole();
	assert_int_equal(ouro_flush(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#if OURO_CHECKED
		RECYCLE_CASE(leave_walks_on_when_its_page_is_taken),
		RECYCLE_CASE(leave_strands_no_page),
		RECYCLE_CASE(leave_lets_others_in_between_its_pages),
#endif
		RECYCLE_CASE(leave_beside_releases_and_allocations),
	};

	return cmocka_run_group_tests_name("leave", tests, NULL, NULL);
}
