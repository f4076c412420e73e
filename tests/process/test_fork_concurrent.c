/*
 * Goal: a fork in the middle of a full collection leaves the child a whole heap, and the parent its
 * collection.
 * Method: many forks at random moments beside collections of large garbage of all kinds; the child
 * verifies its heap.
 * A failure would mean: workers that inherit half a collection: leaks, lost objects, crashes long
 * after the fork.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "mutators.h"

#include "collect/concurrent.h"
#include "collect/generation.h"
#include "collect/verify.h"
#include "heap/candidate.h"
#include "heap/region.h"

enum { LIVE = 8000, FORKS = LOAD(20) + 4 };

static struct node *live, *risen;
static ouro_weak live_cell, dead_cell;

/* ---- garbage of all kinds, large enough for a fork to come in the middle of it ---- */

static void rise(void *obj)
{
	ouro_store(&risen, (struct node *)obj);
}

static const ouro_type rising_type = {
	.name = "rising", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = rise, .destroy = counted_destroy,
};

static const ouro_type link_type = {
	.name = "link", .size = sizeof(struct link), .traverse = link_traverse, .clear = link_clear,
};

static void drop_links(int n)
{
	struct link *first = ouro_new(&link_type), *last = first;

	for (int i = 1; i < n; i++) {
		last->next = ouro_new(&link_type);
		last = last->next;
	}
	last->next = first;
}

static void drop_garbage(void)
{
	struct node *ring = make_ring(&counted_type, 6000), *rising = make_of(&rising_type, 1);

	ouro_weak_store(&dead_cell, ring->right);
	ouro_release(ring);
	ring = make_ring(&node_type, 6000);
	ouro_store(&rising->left, ring);
	ouro_give(&ring->left, rising);
	ouro_release(ring);
	drop_links(500);
	ouro_release(make_ring(&node_type, 3000));
}

/* ---- what a child must find ---- */

static bool nothing_is_left_of_the_collection(void)
{
	bool clean = !oi_candidates.walking && oi_candidates.commit == OI_COMMIT_IDLE;

	for (struct oi_region *r = oi_regions; r != NULL; r = r->next)
		clean &= r->map == NULL;
	oi_for_each_page(p) {
		clean &= p->graph[OI_GRAPH_CONCURRENT] == NULL;
		for (uint32_t i = 0; p->tracked && i < p->bump; i++)
			clean &= !oi_is_candidate(oi_block_at(p, i));
	}
	return clean;
}

static size_t ring_length(struct node *ring)
{
	size_t n = 1;

	for (struct node *x = ring->right; x != ring; x = x->right)
		n += x->id > 0;
	return n;
}

static void require_live(void)
{
	struct node *n = ouro_weak_load(&live_cell);

	REQUIRE(n == live);
	ouro_release(n);
	REQUIRE(ring_length(live) == LIVE);
	REQUIRE(ouro_refcount(live) == 2);
}

static void require_own_garbage_is_found(void)
{
	ouro_weak cell = { 0 };
	struct node *ring = make_ring(&node_type, 300);

	REQUIRE(ouro_weak_store(&cell, ring->right) == 0);
	REQUIRE(ouro_gc_collect(2) >= 0);
	REQUIRE(!ouro_weak_expired(&cell));
	struct node *n = ouro_load(&ring->right);
	ouro_release(ouro_exchange(&n->left, ring));
	ouro_release(n);
	REQUIRE(ouro_gc_collect(2) >= 0); /* none, if an automatic one has come first */
	REQUIRE(ouro_weak_expired(&cell));
}

/* The heap holds what was alive, and nothing else once the child has collected. */
static int child_of_collection(void *arg)
{
	ouro_report r;

	if (*(bool *)arg)
		ouro_unpin();
	REQUIRE(oi_verify_heap() == NULL);
	REQUIRE(nothing_is_left_of_the_collection());
	require_live();
	REQUIRE(ouro_gc_collect(2) >= 0);
	REQUIRE(ouro_flush() == 0); /* part of the garbage was in the hands of a thread that is gone */
	ouro_store(&risen, NULL);
	REQUIRE(ouro_gc_collect(2) >= 0);
	REQUIRE(ouro_flush() == 0);
	REQUIRE(ouro_weak_expired(&dead_cell));
	REQUIRE(objects_live() == LIVE);
	require_own_garbage_is_found();
	require_live();
	REQUIRE(oi_verify_heap() == NULL);
	ouro_release(live);
	REQUIRE(ouro_gc_collect(2) == LIVE);
	REQUIRE(ouro_shutdown(&r) == 0);
	REQUIRE(r.objects == 0);
	return 0;
}

/* As child_run, but threads run here: what is wrong is counted, and asserted when they have ended. */
static size_t n_failed;

static void fork_once(int (*fn)(void *), void *arg)
{
	char text[4096];
	int status = child_status(fn, arg, text, sizeof(text));

	if (status == 0)
		return;
	n_failed++;
	print_message("child: status 0x%x: %s\n", (unsigned)status, text);
}

static void fork_at_random(bool pinned)
{
	uint64_t seed = pinned;

	n_failed = 0;

	live = make_ring(&node_type, LIVE);
	for (struct node *n = live->right; n != live; n = n->right)
		n->id = 1;
	ouro_weak_store(&live_cell, live);
	collecting_start();
	for (int i = 0; i < FORKS; i++) {
		drop_garbage();
		usleep(pick(&seed, SANITIZED ? 30000 : 3000));
		if (pinned)
			ouro_pin();
		fork_once(child_of_collection, &pinned);
		if (pinned)
			ouro_unpin();
	}
	size_t n = collecting.n;
	bool goes_on = EVENTUALLY(collecting.n > n);
	collecting_stop();
	assert_true(goes_on);
	assert_int_equal(n_failed, 0);
	ouro_store(&risen, NULL);
	assert_all_is_collected(LIVE);
	ouro_release(live);
	assert_all_is_collected(0);
}

static void fork_concurrent_in_the_middle_of_a_collection(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	fork_at_random(false);
}

static void fork_concurrent_pinned_in_the_middle_of_a_collection(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	fork_at_random(true);
}

/* ---- with mutators, whose references stay counted in the child ---- */

static int child_of_mutators(void *arg)
{
	uint64_t seed = 1;

	(void)arg;
	REQUIRE(oi_verify_heap() == NULL);
	REQUIRE(nothing_is_left_of_the_collection());
	atomic_store(&graph.wrong, 0);
	for (int i = 0; i < 3000; i++)
		mutate(&seed);
	REQUIRE(ouro_gc_collect(2) >= 0);
	for (int i = 0; i < ROOTS; i++)
		ouro_release(walk(whole(ouro_load(&graph.root[i])), &seed));
	require_own_garbage_is_found();
	REQUIRE(graph.wrong == 0);
	REQUIRE(oi_verify_heap() == NULL);
	return ouro_shutdown(NULL);
}

static void fork_concurrent_beside_mutators(void **state)
{
	uint64_t seed = 7;

	(void)state;
	n_failed = 0;
	needs_threads_in_the_child();
	mutators_start(NULL);
	collecting_start();
	for (int i = 0; i < FORKS; i++) {
		usleep(pick(&seed, 3000));
		fork_once(child_of_mutators, NULL);
	}
	collecting_stop();
	mutators_stop();
	assert_int_equal(n_failed, 0);
	assert_all_is_collected(0);
}

/* Automatic ones, on the library's own thread, which the child starts anew. */
static void fork_concurrent_beside_automatic_collections(void **state)
{
	uint64_t seed = 9;

	(void)state;
	n_failed = 0;
	needs_threads_in_the_child();
	assert_int_equal(ouro_gc_set_threshold(300, 1, 1), 0);
	ouro_gc_enable();
	mutators_start(NULL);
	for (int i = 0; i < FORKS / 2; i++) {
		usleep(pick(&seed, 3000));
		fork_once(child_of_mutators, NULL);
	}
	ouro_gc_disable();
	mutators_stop();
	assert_int_equal(n_failed, 0);
	assert_all_is_collected(0);
}

/* ---- in a listener of the collection, which goes on in parent and child ---- */

static struct {
	int at, n; /* the pause after which to fork; so many there were */
	pid_t child;
} fork_in;

static void fork_after_a_pause(const ouro_gc_event *e, void *arg)
{
	(void)arg;
	if (e->phase != OURO_PAUSE_STOP || fork_in.n++ != fork_in.at)
		return;
	fork_in.child = fork();
	if (fork_in.child == 0)
		alarm(CASE_LIMIT_S);
}

/* True: there was no such pause. */
static bool fork_after_pause(int at)
{
	struct node *ring = make_ring(&node_type, 300);
	ouro_weak cell = { 0 };
	int status = 0;

	drop_links(500);
	ouro_release(make_ring(&node_type, 3000));
	ouro_weak_store(&cell, ring->right);
	fork_in.at = at;
	fork_in.n = 0;
	fork_in.child = -1;
	ssize_t n = ouro_gc_collect(2);
	bool good = n == 3500 && objects_live() == 300 && oi_verify_heap() == NULL && nothing_is_left_of_the_collection() &&
		    !ouro_weak_expired(&cell);
	ouro_release(ring);
	good = good && ouro_gc_collect(2) == 300 && ouro_weak_expired(&cell) && objects_live() == 0;
	if (fork_in.child == 0)
		_exit(good ? 0 : 1);
	assert_true(good);
	if (fork_in.child > 0)
		assert_int_equal(waitpid(fork_in.child, &status, 0), fork_in.child);
	assert_int_equal(status, 0);
	ouro_weak_clear(&cell);
	return fork_in.child == -1;
}

static void fork_concurrent_by_its_own_listener(void **state)
{
	int at = 0;

	(void)state;
	needs_threads_in_the_child();
	assert_int_equal(ouro_gc_on_event(fork_after_a_pause, NULL), 0);
	while (!fork_after_pause(at))
		at++;
	assert_int_equal(ouro_gc_off_event(fork_after_a_pause, NULL), 0);
	assert_true(at >= 2); /* what is young becomes old; what only traverse tells of, twice */
}

/* ---- likewise while all that is young becomes old, of which a stop does so many pages ---- */

struct broad {
	struct broad *next;
	char bytes[30000]; /* two to a page */
};

static const ouro_type broad_type = {
	.name = "broad", .size = sizeof(struct broad), .slots = OURO_SLOTS(struct broad, next),
};

static size_t n_young(struct broad *list)
{
	size_t n = 0;

	for (struct broad *b = list; b != NULL; b = b->next)
		n += oi_generation_of(oi_header_of(b)) != 2;
	return n;
}

static void fork_concurrent_while_a_burst_is_promoted(void **state)
{
	struct broad *list = NULL;
	int status = 0;

	(void)state;
	needs_threads_in_the_child();
	for (int i = 0; i < 2500; i++) {
		struct broad *b = ouro_new(&broad_type);

		assert_non_null(b);
		ouro_give(&b->next, list);
		list = b;
	}
	fork_in.at = fork_in.n = 0;
	fork_in.child = -1;
	assert_int_equal(ouro_gc_on_event(fork_after_a_pause, NULL), 0);
	bool good = oi_concurrent_promote() && n_young(list) == 0 && oi_verify_heap() == NULL;
	good = good && ouro_gc_off_event(fork_after_a_pause, NULL) == 0;
	ouro_release(list);
	good = good && ouro_gc_collect(2) == 0 && objects_live() == 0;
	if (fork_in.child == 0)
		_exit(good ? 0 : 1);
	assert_true(good);
	assert_true(fork_in.n > 1); /* it was not over when the process forked */
	assert_int_equal(waitpid(fork_in.child, &status, 0), fork_in.child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(fork_concurrent_in_the_middle_of_a_collection),
		HEAP_CASE(fork_concurrent_pinned_in_the_middle_of_a_collection),
		HEAP_CASE(fork_concurrent_beside_mutators),
		HEAP_CASE(fork_concurrent_beside_automatic_collections),
		HEAP_CASE(fork_concurrent_by_its_own_listener),
		HEAP_CASE(fork_concurrent_while_a_burst_is_promoted),
	};

	return cmocka_run_group_tests_name("fork_concurrent", tests, NULL, NULL);
}
