/*
 * Goal: old garbage is found from where something was let go of, at a cost that goes with it, and
 * nothing else is.
 * Method: known graphs of old objects, changed; rounds of searches made by this thread, so that
 * nothing depends on when the collector comes. The first round takes what was noted, the second
 * searches from it.
 * A failure would mean: old cycles left to full collections, searches without end, or objects freed
 * that live.
 */
#include "fixture.h"

#include <semaphore.h>

#include "base/vector.h"
#include "collect/collect.h"
#include "count/count.h"
#include "count/loose.h"
#include "heap/candidate.h"
#include "heap/pace.h"
#include "world/context.h"
#include "world/gate.h"

enum { HOLDERS = 100 };

static int near_setup(void **state)
{
	int error = heap_setup(state);

	oi_store_relaxed(&oi_pace.search_from, UINT64_C(0)); /* heaps here are small */
	ouro_gc_set_threshold(-1, 1000000, 1000000);
	ouro_gc_enable();
	return error;
}

#define NEAR_CASE(f) cmocka_unit_test_setup_teardown(f, near_setup, heap_teardown)

static void grow_old(void)
{
	ouro_gc_collect(0);
	ouro_gc_collect(1);
}

static void hand_over(void)
{
	oi_gate_enter(oi_self);
	oi_loose_hand_over(oi_self, oi_self->n_loose);
	oi_gate_leave(oi_self);
}

/* Returns how many were found dead. */
static size_t rounds(unsigned n)
{
	uint64_t before = stats().collected[2];

	for (; n; n--) {
		hand_over();
		oi_collect_near(NULL);
	}
	return (size_t)(stats().collected[2] - before);
}

/* ---- what is found ---- */

static void near_finds_replaced_pairs(void **state)
{
	struct node *holder[HOLDERS];

	(void)state;
	for (int i = 0; i < HOLDERS; i++)
		holder[i] = make(i);
	for (int turn = 0; turn < 3; turn++) { /* they lie where others lay */
		for (int i = 0; i < HOLDERS; i++)
			ouro_give(&holder[i]->left, make_pair(&node_type, i));
		rounds(2);
		grow_old();
		for (int i = 0; i < HOLDERS; i++)
			ouro_give(&holder[i]->left, make(i));
		assert_int_equal(rounds(1), 0);
		assert_int_equal(rounds(1), 2 * HOLDERS);
	}
	for (int i = 0; i < HOLDERS; i++) {
		assert_int_equal(holder[i]->left->id, i);
		ouro_release(holder[i]);
	}
	assert_int_equal(ouro_gc_collect(2), 0);
}

struct session {
	struct session *part[6], *owner;
};
static const ouro_type session_type = {
	.name = "session", .size = sizeof(struct session),
	.slots = OURO_SLOTS(struct session, part[0], part[1], part[2], part[3], part[4], part[5],
			    owner),
};

static struct session *make_session(void)
{
	struct session *s = ouro_new(&session_type);

	for (int i = 0; i < 6; i++) {
		struct session *part = ouro_new(&session_type);

		ouro_store(&part->owner, s);
		ouro_give(&s->part[i], part);
	}
	return s;
}

static void near_finds_sessions_and_not_those_that_change(void **state)
{
	struct session *holder = ouro_new(&session_type);

	(void)state;
	ouro_give(&holder->part[0], make_session());
	ouro_give(&holder->part[1], make_session());
	grow_old();
	ouro_store(&holder->part[0], NULL);
	struct session *live = ouro_load(&holder->part[1]);
	ouro_store(&live->part[3], NULL);
	ouro_release(live);
	assert_int_equal(rounds(4), 7);
	ouro_store(&holder->part[1], NULL);
	assert_int_equal(rounds(2), 6);
	ouro_release(holder);
}

static struct session *make_tree(struct session *parent, int depth)
{
	struct session *s = ouro_new(&session_type);

	ouro_store(&s->owner, parent);
	if (depth) {
		ouro_give(&s->part[0], make_tree(s, depth - 1));
		ouro_give(&s->part[1], make_tree(s, depth - 1));
	}
	return s;
}

static void near_guesses_its_way_through_trees(void **state)
{
	struct session *root = make_tree(NULL, 4);

	(void)state;
	grow_old();
	struct session *left = ouro_load(&root->part[0]);
	ouro_give(&left->part[1], make_tree(left, 1));
	ouro_release(left);
	assert_int_equal(rounds(2), 7);
	ouro_store(&root->part[1], NULL);
	assert_int_equal(rounds(2), 15);
	ouro_release(root);
	ouro_gc_collect(2);
}

/* ---- what lives ---- */

static void near_looks_at_little_of_an_edited_ring(void **state)
{
	enum { N = 1000 };
	struct node *ring = make_ring(&node_type, N), *n = ring;

	(void)state;
	do
		ouro_store(&n->right->left, n);
	while ((n = n->right) != ring);
	grow_old();
	do
		ouro_store(&n->right->left, n);
	while ((n = n->right) != ring);
	hand_over();
	assert_in_range(oi_loose_waiting(), N / 2, N);
	assert_int_equal(rounds(4), 0);
	assert_in_range(stats().searched, N / 2, 40 * N);
	ouro_release(ring);
	assert_int_equal(ouro_gc_collect(2), N);
}

static void near_leaves_alone_what_a_thread_has(void **state)
{
	struct node *holder = make(0);

	(void)state;
	ouro_give(&holder->left, make_pair(&node_type, 1));
	grow_old();
	struct node *taken = ouro_take(&holder->left);
	assert_int_equal(rounds(2), 0);
	assert_int_equal(taken->id, 1);
	ouro_release(taken); /* no event, and yet it is found */
	assert_int_equal(rounds(1), 2);
	ouro_release(holder);
}

static void near_waits_while_it_is_touched(void **state)
{
	struct node *holder = make(0), *pair = make_pair(&node_type, 1);

	(void)state;
	grow_old();
	for (int i = 0; i < 5; i++) {
		ouro_store(&holder->left, pair);
		ouro_store(&holder->left, NULL);
		assert_int_equal(rounds(1), 0);
	}
	assert_int_equal(stats().searches, 0);
	ouro_release(pair);
	assert_int_equal(rounds(1), 2);
	ouro_release(holder);
}

/* The notes are of what is gone, and of what came to lie there. */
static void near_survives_reuse(void **state)
{
	struct node *holder[HOLDERS];

	(void)state;
	for (int i = 0; i < HOLDERS; i++) {
		holder[i] = make(i);
		ouro_give(&holder[i]->left, make_pair(&node_type, i));
	}
	grow_old();
	for (int i = 0; i < HOLDERS; i++) {
		struct node *a = ouro_take(&holder[i]->left);

		ouro_store(&a->left, NULL);
		ouro_store(&a->right, NULL);
		ouro_release(a);
	}
	rounds(1);
	for (int i = 0; i < HOLDERS; i++)
		ouro_give(&holder[i]->left, make_pair(&node_type, i));
	grow_old();
	rounds(3);
	for (int i = 0; i < HOLDERS; i++) {
		assert_int_equal(holder[i]->left->id, i);
		ouro_release(holder[i]);
	}
	ouro_gc_collect(2);
	assert_int_equal(stats().objects_live, 0);
}

/* ---- code of the program's ---- */

static void near_calls_finalizers_and_expires_weak_references(void **state)
{
	struct node *holder = make(0), *pair = make_pair(&loud_type, 1);
	ouro_weak weak = { 0 };

	(void)state;
	book_clear(&journal);
	assert_int_equal(ouro_weak_store(&weak, pair), 0);
	ouro_give(&holder->left, pair);
	grow_old();
	ouro_store(&holder->left, NULL);
	rounds(2);
	assert_null(ouro_weak_load(&weak));
	assert_int_equal(ouro_flush(), 0);
	assert_int_equal(stats().collected[2], 2);
	assert_int_equal(book_count(&journal, "f1 "), 1);
	assert_int_equal(book_count(&journal, "d1 "), 1);
	ouro_weak_clear(&weak);
	ouro_release(holder);
}

/* What the dead refer to, and is not of them, loses those references, once. */
static void near_drops_what_the_dead_have(void **state)
{
	struct session *holder = ouro_new(&session_type), *shared = ouro_new(&session_type);

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct session *s = make_session();

		ouro_store(&s->part[i]->part[0], shared);
		ouro_give(&s->part[i]->part[1], ouro_new(&session_type));
		ouro_give(&holder->part[i], s);
	}
	grow_old();
	assert_int_equal(oi_references(oi_header_of(shared)), 4);
	for (int i = 0; i < 3; i++)
		ouro_store(&holder->part[i], NULL);
	assert_int_equal(rounds(2), 3 * 8);
	assert_int_equal(oi_references(oi_header_of(shared)), 1);
	assert_int_equal(stats().objects_live, 2);
	ouro_release(shared);
	ouro_release(holder);
}

/* ---- notes ---- */

static void near_does_nothing_while_disabled(void **state)
{
	struct node *holder = make(0);

	(void)state;
	ouro_gc_disable();
	for (int i = 0; i < HOLDERS; i++)
		ouro_give(&holder->left, make_pair(&node_type, i));
	hand_over();
	assert_int_equal(oi_loose_waiting(), 0);
	ouro_gc_enable();
	ouro_gc_set_threshold(700, 10, 10);
	for (int i = 0; i < HOLDERS; i++)
		ouro_give(&holder->left, make_pair(&node_type, i));
	hand_over();
	assert_int_equal(oi_loose_waiting(), 0);
	assert_int_equal(stats().searches, 0);
	ouro_release(holder);
	ouro_gc_disable();
	ouro_gc_collect(2);
}

static void near_leaves_small_heaps_to_full_collections(void **state)
{
	struct node *holder = make(0);

	(void)state;
	oi_store_relaxed(&oi_pace.search_from, UINT64_C(1000));
	ouro_gc_collect(2); /* it counts what is old */
	for (int i = 0; i < HOLDERS; i++)
		ouro_give(&holder->left, make_pair(&node_type, i));
	hand_over();
	assert_int_equal(oi_loose_waiting(), 0);
	ouro_release(holder);
	ouro_gc_collect(2);
}

static void near_notes_no_reading(void **state)
{
	struct node *holder = make(0);

	(void)state;
	ouro_give(&holder->left, make_pair(&node_type, 1));
	for (int i = 0; i < 1000; i++)
		ouro_release(ouro_load(&holder->left));
	hand_over();
	assert_int_equal(oi_loose_waiting(), 0);
	ouro_release(holder);
	ouro_gc_collect(2);
}

static void near_notes_once_what_is_touched_often(void **state)
{
	struct node *holder = make(0), *pair = make_pair(&node_type, 1);

	(void)state;
	for (int i = 0; i < 10000; i++)
		ouro_store(&holder->left, pair);
	hand_over();
	assert_int_equal(oi_loose_waiting(), 1);
	ouro_release(pair);
	ouro_release(holder);
	ouro_gc_collect(2);
}

/* The 256th is the last that the record of a thread has room for. */
static void near_hands_over_when_the_record_is_full(void **state)
{
	static char object[2 * OI_LOOSE + 1][64];
	struct oi_thread *t = oi_self;

	(void)state;
	oi_gate_enter(t);
	oi_loose_hand_over(t, t->n_loose); /* what the case before has left */
	oi_loose_forget();
	for (int i = 0; i < 2 * OI_LOOSE + 1; i++) {
		assert_int_equal(oi_loose_waiting(), i / OI_LOOSE * OI_LOOSE);
		oi_loose(t, object[i]);
	}
	assert_int_equal(oi_loose_waiting(), 2 * OI_LOOSE);
	assert_int_equal(t->n_loose, 1);
	oi_loose_hand_over(t, t->n_loose);
	assert_int_equal(oi_loose_waiting(), 2 * OI_LOOSE + 1);
	oi_gate_leave(t);
	assert_int_equal(rounds(2), 0); /* they were nothing */
}

/* Threads do not make room without end: what has none is lost, and full collections find it. */
static void near_loses_what_has_no_room(void **state)
{
	enum { N = OI_LOOSE_FIRST + 5000 };
	static struct node *holder[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		holder[i] = make(i);
		ouro_give(&holder[i]->left, make_pair(&node_type, i));
	}
	grow_old();
	oi_loose_set_due(SIZE_MAX); /* else the collector may come */
	for (int i = 0; i < N; i++)
		ouro_store(&holder[i]->left, NULL);
	hand_over();
	assert_true(oi_loose_waiting() <= OI_LOOSE_FIRST); /* fewer, if the collector came */
	rounds(2);
	ouro_gc_collect(2);
	assert_int_equal(stats().objects_live, N);
	for (int i = 0; i < N; i++)
		ouro_release(holder[i]);
}

static void *drop_left(void *arg)
{
	struct node *holder = arg;

	ouro_store(&holder->left, NULL);
	return NULL;
}

static void near_takes_notes_of_a_thread_that_ends(void **state)
{
	struct node *holder = make(0);
	pthread_t thread;

	(void)state;
	ouro_give(&holder->left, make_pair(&node_type, 1));
	grow_old();
	assert_int_equal(pthread_create(&thread, NULL, drop_left, holder), 0);
	pthread_join(thread, NULL);
	assert_int_equal(rounds(2), 2);
	ouro_release(holder);
}

static void near_forgets_before_a_full_collection(void **state)
{
	struct node *holder = make(0);

	(void)state;
	ouro_give(&holder->left, make_pair(&node_type, 1));
	grow_old();
	ouro_store(&holder->left, NULL);
	hand_over();
	assert_int_equal(oi_loose_waiting(), 1);
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(oi_loose_waiting(), 0);
	assert_int_equal(rounds(2), 0);
	ouro_release(holder);
}

static int collect_in_child(void *arg)
{
	struct node *holder = arg;

	if (oi_loose_waiting())
		return 1;
	if (rounds(3))
		return 2;
	return holder->id != 7 || ouro_gc_collect(2) != 2 ? 3 : 0;
}

static void near_is_forgotten_in_the_child_of_a_fork(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	struct node *holder = make(7);
	ouro_give(&holder->left, make_pair(&node_type, 1));
	grow_old();
	ouro_store(&holder->left, NULL);
	hand_over();
	child_run(collect_in_child, holder);
	assert_int_equal(rounds(2), 2);
	ouro_release(holder);
}

/* ---- a fork beside it ---- */

static struct {
	sem_t begin, over;
	int status;
	char text[8192];
} forker;

static int count_in_child(void *arg)
{
	(void)arg;
	ouro_gc_collect(2);
	if (ouro_flush() == 0 && stats().objects_live == 2)
		return 0;
	fprintf(stderr, "%llu live", (unsigned long long)stats().objects_live);
	return 1;
}

static void *fork_once(void *arg)
{
	sem_wait(&forker.begin);
	forker.status = child_status(count_in_child, NULL, forker.text, sizeof forker.text);
	sem_post(&forker.over);
	return arg;
}

static void fork_among_the_dead(void)
{
	static bool done;

	if (oi_load_acquire(&oi_candidates.commit) != OI_COMMIT_DEAD || done)
		return;
	done = true;
	sem_post(&forker.begin);
	sem_wait(&forker.over);
}

/* Some of the dead are declared and cleared by then, and some are not. */
static void near_is_left_in_the_middle_by_a_fork(void **state)
{
	enum { N = 2000 };
	static struct session *kept[N];
	pthread_t thread;

	(void)state;
	needs_threads_in_the_child();
	sem_init(&forker.begin, 0, 0);
	sem_init(&forker.over, 0, 0);
	forker.status = -1;
	struct session *holder = ouro_new(&session_type);
	assert_int_equal(pthread_create(&thread, NULL, fork_once, NULL), 0);
	for (int i = 0; i < N; i++) {
		kept[i] = make_session();
		ouro_give(&holder->part[1], ouro_new(&session_type));
		ouro_store(&kept[i]->part[2]->part[0], holder->part[1]); /* dies with it */
	}
	grow_old();
	for (int i = 0; i < N; i++)
		ouro_give(&holder->part[0], kept[i]);
	ouro_store(&holder->part[0], NULL);
	hand_over();
	oi_collect_near(NULL);
	oi_collect_near(fork_among_the_dead);
	sem_post(&forker.begin); /* if it was not found in the middle */
	pthread_join(thread, NULL);
	if (forker.status != 0)
		fail_msg("child: status 0x%x: %s", (unsigned)forker.status, forker.text);
	ouro_store(&holder->part[1], NULL);
	ouro_gc_collect(2);
	assert_int_equal(stats().objects_live, 1);
	ouro_release(holder);
	sem_destroy(&forker.begin);
	sem_destroy(&forker.over);
}

/* ---- by itself ---- */

static bool replace_many(struct node **holder, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ouro_give(&holder[i]->left, make_pair(&node_type, (int)i));
	return stats().search_found;
}

static void near_comes_by_itself(void **state)
{
	enum { N = LOAD(20000) };
	static struct node *holder[N];

	(void)state;
	for (int i = 0; i < N; i++)
		holder[i] = make(i);
	assert_true(EVENTUALLY(replace_many(holder, N)));
	for (int i = 0; i < N; i++) {
		assert_int_equal(holder[i]->left->id, i);
		ouro_release(holder[i]);
	}
	ouro_gc_collect(2);
	assert_int_equal(stats().objects_live, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NEAR_CASE(near_finds_replaced_pairs),
		NEAR_CASE(near_finds_sessions_and_not_those_that_change),
		NEAR_CASE(near_guesses_its_way_through_trees),
		NEAR_CASE(near_looks_at_little_of_an_edited_ring),
		NEAR_CASE(near_leaves_alone_what_a_thread_has),
		NEAR_CASE(near_waits_while_it_is_touched),
		NEAR_CASE(near_survives_reuse),
		NEAR_CASE(near_does_nothing_while_disabled),
		NEAR_CASE(near_leaves_small_heaps_to_full_collections),
		NEAR_CASE(near_notes_no_reading),
		NEAR_CASE(near_notes_once_what_is_touched_often),
		NEAR_CASE(near_calls_finalizers_and_expires_weak_references),
		NEAR_CASE(near_drops_what_the_dead_have),
		NEAR_CASE(near_hands_over_when_the_record_is_full),
		NEAR_CASE(near_loses_what_has_no_room),
		NEAR_CASE(near_is_left_in_the_middle_by_a_fork),
		NEAR_CASE(near_takes_notes_of_a_thread_that_ends),
		NEAR_CASE(near_forgets_before_a_full_collection),
		NEAR_CASE(near_is_forgotten_in_the_child_of_a_fork),
		NEAR_CASE(near_comes_by_itself),
	};

	return cmocka_run_group_tests_name("near", tests, NULL, NULL);
}
