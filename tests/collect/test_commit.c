/*
 * Goal: nothing alive dies of a full collection beside it, and what dies of one dies at one
 * instant.
 * Method: references that move, upgrades of weak ones, deaths by count, all the time, beside
 * collect(2) in a loop.
 * A failure would mean: objects freed under a program's feet, or half-dead structures that it can
 * reach.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "mutators.h"

/* Until so many collections have been, or patience is over. */
static void let_collect(size_t n)
{
	collecting_start();
	assert_true(EVENTUALLY(collecting.n >= n));
	collecting_stop();
}

/* ---- one reference each, moving from container to container ---- */

enum { MOVED = 8, MAILBOXES = 16, CONTAINERS = LOAD(20000) };

static struct node *container[CONTAINERS], *mailbox[MAILBOXES];
static struct node **_Atomic place[MOVED]; /* where somebody has put one */

static struct node **any_place(uint64_t *seed)
{
	unsigned i = pick(seed, CONTAINERS + CONTAINERS / 4);

	return i < CONTAINERS ? &container[i]->left : &mailbox[i % MAILBOXES];
}

/* Puts it somewhere, and whatever was there somewhere else. */
static void put(struct node *x, uint64_t *seed)
{
	while (x != NULL) {
		struct node **to = any_place(seed);

		atomic_store(&place[pick(seed, MOVED)], to);
		if (pick(seed, 4)) {
			x = whole(ouro_exchange(to, x));
		} else if (ouro_compare_exchange(to, NULL, x)) {
			ouro_release(x);
			x = NULL;
		}
	}
}

static void *move_main(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	while (!atomic_load(&graph.stop)) {
		struct node **from = atomic_load(&place[pick(&seed, MOVED)]);
		struct node *x = whole(ouro_take(from));

		if (x != NULL && x->right->right != x)
			atomic_fetch_add(&graph.wrong, 1);
		if (x != NULL && pick(&seed, 4) == 0)
			ouro_release(ouro_retain(x));
		put(x, &seed);
	}
	return NULL;
}

static void make_containers(void)
{
	struct node *c = make_ring(&node_type, CONTAINERS);

	for (int i = 0; i < CONTAINERS; i++, c = c->right)
		container[i] = c; /* borrowed, but for the first */
}

static void commit_spares_what_moves_about(void **state)
{
	uint64_t seed = 1;
	int found = 0;

	(void)state;
	make_containers();
	for (int i = 0; i < MOVED; i++)
		atomic_store(&place[i], &mailbox[i]);
	for (int i = 0; i < MOVED; i++) {
		struct node *x = make_pair(&canary_type, ALIVE);

		x->right->id = ALIVE;
		put(x, &seed);
	}
	mutators_start(move_main);
	let_collect((size_t)LOAD(40) + 10);
	mutators_stop();
	for (int i = 0; i < CONTAINERS + MAILBOXES; i++) {
		struct node *x = ouro_take(i < CONTAINERS ? &container[i]->left : &mailbox[i - CONTAINERS]);

		found += x != NULL && whole(x)->right->id == ALIVE;
		ouro_release(x);
	}
	assert_int_equal(found, MOVED);
	assert_int_equal(graph.wrong, 0);
	ouro_release(container[0]);
	assert_all_is_collected(0);
}

/* ---- an object that becomes its own only holder: garbage without any event ---- */

enum { CELLS = 32 };

/* Saves one that is its own holder, perhaps, and perhaps for good. */
static void upgrade_one(uint64_t *seed)
{
	struct node *x = whole(ouro_weak_load(&graph.cell[pick(seed, CELLS)]));

	if (x != NULL && pick(seed, 2))
		x = whole(ouro_exchange(&container[pick(seed, CONTAINERS)]->left, x));
	ouro_release(x);
}

static void *give_to_itself(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (unsigned i = 0; !atomic_load(&graph.stop); i++) {
		struct node *x = ouro_exchange(&container[pick(&seed, CONTAINERS)]->left, make_of(&canary_type, ALIVE));

		if (i % 64 == 0 && objects_live() > 3 * CONTAINERS)
			sleep_ms(1);
		if (x == NULL)
			continue;
		if (pick(&seed, 8) == 0)
			ouro_weak_store(&graph.cell[pick(&seed, CELLS)], x);
		ouro_give(&x->left, whole(x));
		for (int k = 0; k < 4; k++)
			upgrade_one(&seed);
	}
	return NULL;
}

static void commit_bears_objects_given_to_themselves(void **state)
{
	(void)state;
	make_containers();
	mutators_start(give_to_itself);
	let_collect((size_t)LOAD(25) + 5);
	mutators_stop();
	ouro_release(container[0]);
	assert_all_is_collected(0);
}

/* ---- a graph that changes in every way, under collections of all kinds ---- */

static void commit_spares_a_changing_graph(void **state)
{
	(void)state;
	mutators_start(NULL);
	let_collect((size_t)LOAD(50) + 10);
	mutators_stop();
	assert_all_is_collected(0);
}

static void commit_spares_a_changing_graph_of_automatic_ones(void **state)
{
	ouro_stats s;

	(void)state;
	assert_int_equal(ouro_gc_set_threshold(200, 1, 1), 0);
	ouro_gc_enable();
	mutators_start(NULL);
	let_collect((size_t)LOAD(30) + 5);
	assert_true(EVENTUALLY((ouro_stats_get(&s), s.collections[0] + s.collections[1] > 0)));
	ouro_gc_disable();
	mutators_stop();
	assert_all_is_collected(0);
}

/* ---- weak references to a ring that is dropped, round by round ---- */

enum { RING = 8 };

static ouro_weak ring_cell[RING];
static atomic_uint ring_round; /* odd: dropped, or about to be; even: it is made anew */

static void ring_make(void)
{
	struct node *n = make_ring(&counted_type, RING);

	counters_clear();
	for (int i = 0; i < RING; i++, n = n->right) {
		n->id = ALIVE;
		assert_int_equal(ouro_weak_store(&ring_cell[i], n), 0);
	}
	atomic_fetch_add(&ring_round, 1);
	ouro_release(n);
}

/* Are all members as this one is: there, or expired? What is asked in another round says nothing. */
static void all_as(bool there, unsigned round)
{
	for (int i = 0; i < RING; i++) {
		struct node *n = ouro_weak_load(&ring_cell[i]);
		bool as_expected = there ? n != NULL && n->id == ALIVE : n == NULL;

		if (!as_expected && atomic_load(&ring_round) == round)
			atomic_fetch_add(&graph.wrong, 1);
		ouro_release(n);
	}
}

static void *upgrade_main(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	while (!atomic_load(&graph.stop)) {
		unsigned round = atomic_load(&ring_round);

		if (round % 2 == 0)
			continue;
		struct node *n = ouro_weak_load(&ring_cell[pick(&seed, RING)]);
		all_as(n != NULL, round);
		ouro_release(n);
		usleep(pick(&seed, 200));
	}
	return NULL;
}

static void commit_lets_an_upgrade_save_all_or_nothing(void **state)
{
	size_t n_saved = 0;

	(void)state;
	mutators_start(upgrade_main);
	for (int i = 0; i < LOAD(1500); i++) {
		ring_make();
		ouro_gc_collect(2);
		size_t dead = n_destroyed;
		if (dead != 0)
			assert_int_equal(dead, RING);
		n_saved += dead == 0;
		for (int k = 0; k < 100 && n_destroyed == 0; k++)
			ouro_gc_collect(2);
		atomic_fetch_add(&ring_round, 1);
		assert_true(EVENTUALLY((ouro_gc_collect(2), n_destroyed != 0)));
		for (int k = 0; k < RING; k++)
			ouro_weak_clear(&ring_cell[k]);
	}
	mutators_stop();
	assert_all_is_collected(0);
	assert_true(n_saved < (size_t)LOAD(1500));
}

/* Looks only, which saves nothing. Expired before another one that lives: never. */
static void *look_main(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	while (!atomic_load(&graph.stop)) {
		unsigned round = atomic_load(&ring_round), i = pick(&seed, RING);

		if (round % 2 == 0)
			continue;
		if (!ouro_weak_expired(&ring_cell[i]))
			continue;
		for (int k = 0; k < RING; k++)
			if (!ouro_weak_expired(&ring_cell[k]) && atomic_load(&ring_round) == round)
				atomic_fetch_add(&graph.wrong, 1);
		while (atomic_load(&ring_round) == round && !atomic_load(&graph.stop))
			sched_yield();
	}
	return NULL;
}

static void commit_expires_all_weak_references_at_one_instant(void **state)
{
	(void)state;
	mutators_start(look_main);
	for (int i = 0; i < LOAD(2000); i++) {
		ring_make();
		assert_int_equal(ouro_gc_collect(2), RING);
		assert_int_equal(n_destroyed, RING);
		atomic_fetch_add(&ring_round, 1);
	}
	mutators_stop();
	for (int k = 0; k < RING; k++)
		ouro_weak_clear(&ring_cell[k]);
}

/* ---- candidates that die by count in the middle of it ---- */

struct array {
	struct node *owner;
	void *items[];
};

static const ouro_type array_type = {
	.name = "array", .size = offsetof(struct array, items), .slots = OURO_SLOTS(struct array, owner),
	.item_size = sizeof(void *), .item_slots = OURO_ITEM_REFS, .destroy = counted_destroy,
};

static const ouro_type dull_type = {
	.name = "dull", .size = sizeof(struct leaf), .flags = OURO_ACYCLIC,
};

static struct node *shared; /* all that dies refers to it */

/* A list whose nodes hold a leaf, or the shared one. */
static struct node *make_chain(size_t n)
{
	struct node *head = make_list(&counted_type, n);
	size_t i = 0;

	for (struct node *x = head; x != NULL; x = x->right)
		if (i++ % 2)
			ouro_store(&x->left, shared);
		else
			ouro_slot_give(&x->left, ouro_new(&dull_type));
	return head;
}

/* Items: short chains, leaves, and itself. */
static struct array *make_array(size_t n)
{
	struct array *a = ouro_new_items(&array_type, n);

	for (size_t i = 0; i < n; i++)
		if (i % 8 == 0)
			ouro_slot_give(&a->items[i], make_chain(2));
		else if (i % 8 == 1)
			ouro_slot_give(&a->items[i], ouro_new(&dull_type));
		else if (i % 64 == 2)
			ouro_slot_store(&a->items[i], a);
	return a;
}

/* From the third member a chain hangs, from the sixth an array. */
static void ring_with_appendages(void)
{
	struct node *n = make_ring(&counted_type, RING), *member[RING];

	for (int i = 0; i < RING; i++, n = n->right)
		member[i] = n;
	ouro_give(&member[3]->left, make_chain(400));
	ouro_slot_give(&member[6]->left, make_array(3000));
	for (int i = 0; i < RING; i++)
		ouro_retain(member[i]);
	for (int i = 0; i < RING; i++) /* from here on others tear at it */
		ouro_weak_store(&ring_cell[i], member[i]);
	for (int i = 0; i < RING; i++)
		ouro_release(member[i]);
	ouro_release(n);
}

/* Saves a member, and tears off what hangs there. */
static void *tear_main(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	while (!atomic_load(&graph.stop)) {
		struct node *n = ouro_weak_load(&ring_cell[pick(&seed, RING)]);

		if (n != NULL && pick(&seed, 3) == 0)
			ouro_store(&n->left, NULL);
		if (n != NULL && pick(&seed, 8) == 0)
			ouro_release(ouro_take(&n->right));
		ouro_release(n);
		usleep(pick(&seed, 300));
	}
	return NULL;
}

static void commit_follows_what_dies_by_count(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	cfg.release_batch = 3; /* what dies waits for the reaper, with all that it refers to */
	heap_start(&cfg);
	shared = make_of(&canary_type, ALIVE);
	mutators_start(tear_main);
	for (int i = 0; i < LOAD(300) + 10; i++) {
		ring_with_appendages();
		ouro_gc_collect(2);
		assert_int_equal(shared->id, ALIVE);
	}
	mutators_stop();
	for (int k = 0; k < RING; k++)
		ouro_weak_clear(&ring_cell[k]);
	ouro_flush();
	assert_all_is_collected(1);
	assert_int_equal(ouro_refcount(shared), 1);
	ouro_release(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(commit_spares_what_moves_about),
		HEAP_CASE(commit_bears_objects_given_to_themselves),
		HEAP_CASE(commit_spares_a_changing_graph),
		HEAP_CASE(commit_spares_a_changing_graph_of_automatic_ones),
		HEAP_CASE(commit_lets_an_upgrade_save_all_or_nothing),
		HEAP_CASE(commit_expires_all_weak_references_at_one_instant),
		BARE_CASE(commit_follows_what_dies_by_count),
	};

	return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
