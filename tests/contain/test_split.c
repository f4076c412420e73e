/*
 * Goal: each node in the table is found from every entrance, and each bucket is linked once.
 * Method: the table of split.c by itself, with hashes that are chosen; a thread that stands still
 * between claiming a bucket and linking it; threads that put and remove in few buckets.
 * A failure would mean: a key is lost, found after it was removed, or a search runs in a circle.
 */
#include "base/perturb.h"
#include "contain/split.h"
#include "fixture.h"

struct twig {
	struct oi_node node;
	uint64_t id;
};

static const ouro_type twig_type = {
	.name = "twig", .size = sizeof(struct twig), .flags = OURO_ACYCLIC,
};

/* Roots: the table's own slots. */
static struct oi_split split;

static void split_start(void)
{
	if (!oi_split_init(&split))
		abort();
}

static void split_end(void)
{
	for (int i = 0; i < OI_SPLIT_TABLES; i++)
		ouro_slot_store(&split.table[i], NULL);
	split.n_buckets = 0;
}

static struct twig *twig_make(uint64_t hash, uint64_t id)
{
	struct twig *l = ouro_new(&twig_type);

	if (l == NULL)
		abort();
	l->node.order = oi_split_order(hash);
	l->id = id;
	return l;
}

static bool same_id(const struct oi_node *node, const void *key)
{
	return ((const struct twig *)node)->id == *(const uint64_t *)key;
}

/*
 * Who is unlinked may be stood at until those unpin who came before. So a twig has to be published
 * before it is put, as an entry of a map is by its place.
 */
static bool insert(struct twig *l)
{
	bool crowded;

	ouro_pin();
	bool in = oi_split_insert(&split, &l->node, same_id, &l->id, &crowded) == NULL;
	ouro_unpin();
	return in;
}

static bool has(uint64_t hash, uint64_t id)
{
	ouro_pin();
	bool found = oi_split_find(&split, oi_split_order(hash), same_id, &id) != NULL;
	ouro_unpin();
	return found;
}

static void take_out(struct twig *l)
{
	ouro_pin();
	oi_split_remove(&split, &l->node);
	ouro_unpin();
}

static void split_finds_what_is_in(void **state)
{
	enum { TWIGS = 2000 };
	static struct twig *twig[TWIGS];

	(void)state;
	split_start();
	for (uint64_t i = 0; i < TWIGS; i++) {
		twig[i] = twig_make(i % 700, i);
		assert_true(insert(twig[i]));
		assert_false(insert(twig[i]));
		if (i % 100 == 0)
			oi_split_grow(&split);
	}
	for (uint64_t i = 0; i < TWIGS; i += 2)
		take_out(twig[i]);
	for (uint64_t i = 0; i < TWIGS; i++)
		assert_int_equal(has(i % 700, i), i % 2);
	for (uint64_t i = 0; i < TWIGS; i++)
		ouro_release(twig[i]);
	split_end();
}

/*
 * What comes after a removal must not meet the node, whose memory may soon be another's. Where that
 * fails searches may not end: so it ends the program.
 */
static void split_removed_is_unlinked(void **state)
{
	struct twig *l[3];

	(void)state;
	split_start();
	for (uint64_t i = 0; i < 3; i++) {
		l[i] = twig_make(7, i);
		assert_true(insert(l[i]));
	}
	assert_ptr_equal((void *)l[0]->node.next, &l[1]->node);
	take_out(l[1]);
	if (l[0]->node.next != (uintptr_t)&l[2]->node) {
		fprintf(stderr, "a removed node is in the table\n");
		abort();
	}
	for (int i = 0; i < 3; i++)
		ouro_release(l[i]);
	split_end();
}

/* ---- steps in chosen orders ---- */

/* Bucket 5 is entered by way of bucket 1. These hashes lead to it, and to its parent. */
enum { CHILD = 5, PARENT = 1, BUCKETS = 16 };

#if OURO_CHECKED
static _Thread_local bool acts;
static atomic_int n_claims; /* by other threads than the one that stands still */
static struct twig *theirs;

static void *use_bucket(void *arg)
{
	bool *good = arg;

	*good = insert(theirs) && has(CHILD + BUCKETS, 2) && has(CHILD, 1) && !has(CHILD, 2);
	return NULL;
}

/*
 * A thread that came here a second time would tie the list into a circle, in which whatever comes
 * then would never end: so that ends the program.
 */
static void stand_still(const char *point)
{
	bool good = false;

	if (strcmp(point, "split: claimed") != 0)
		return;
	if (!acts) {
		fprintf(stderr, "a bucket was claimed twice\n");
		abort();
	}
	acts = false;
	pthread_t t = thread_start(use_bucket, &good);
	pthread_join(t, NULL);
	if (!good)
		abort();
	atomic_fetch_add(&n_claims, 1);
}
#endif

static void split_bucket_is_linked_once(void **state)
{
	(void)state;
#if OURO_CHECKED
	struct twig *l = twig_make(CHILD, 1), *late = twig_make(CHILD, 3);

	atomic_store(&n_claims, 0);
	theirs = twig_make(CHILD + BUCKETS, 2);
	split_start();
	assert_false(has(PARENT, 0)); /* links bucket 1 */
	/* A node of bucket 5 that is linked by way of bucket 1, as that is not split yet. */
	split.n_buckets = 2;
	assert_true(insert(l));
	split.n_buckets = BUCKETS;
	oi_point_hook = stand_still;
	acts = true;
	assert_false(has(CHILD, 3));
	assert_int_equal(n_claims, 1);
	assert_false(acts);
	/* From now on through the bucket; none of this claims it again. */
	assert_true(has(CHILD, 1));
	assert_true(has(CHILD + BUCKETS, 2));
	assert_true(insert(late));
	take_out(l);
	assert_false(has(CHILD, 1));
	assert_true(has(CHILD, 3));
	take_out(theirs);
	assert_false(has(CHILD + BUCKETS, 2));
	oi_point_hook = NULL;
	ouro_release(l);
	ouro_release(late);
	ouro_release(theirs);
	split_end();
#else
	skip();
#endif
}

/* ---- several threads ---- */

enum { THREADS = 4, HASHES = 40, ROUNDS = LOAD(30000) };

static atomic_int n_wrong;

/* Each thread has nodes of its own under hashes of all, and sees its own come and go. */
static void *come_and_go(void *arg)
{
	uint64_t me = (uint64_t)(uintptr_t)arg;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		uint64_t hash = i % HASHES, id = i * THREADS + me;
		struct twig *l = twig_make(hash, id);
		struct twig *shown = NULL; /* a slot: publishes it */

		ouro_slot_store(&shown, l);
		bool good = insert(l) && has(hash, id);
		take_out(l);
		good = good && !has(hash, id);
		if (!good)
			atomic_fetch_add(&n_wrong, 1);
		ouro_slot_store(&shown, NULL);
		ouro_release(l);
		if (me == 0 && i % (ROUNDS / 6 + 1) == 0)
			oi_split_grow(&split);
	}
	return NULL;
}

static void split_of_many_threads_loses_nothing(void **state)
{
	pthread_t t[THREADS];
	struct twig *stays[HASHES];

	(void)state;
	atomic_store(&n_wrong, 0);
	split_start();
	for (uint64_t i = 0; i < HASHES; i++) {
		stays[i] = twig_make(i, UINT64_MAX - i);
		assert_true(insert(stays[i]));
	}
	for (uintptr_t i = 0; i < THREADS; i++)
		t[i] = thread_start(come_and_go, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(n_wrong, 0);
	for (uint64_t i = 0; i < HASHES; i++)
		assert_true(has(i, UINT64_MAX - i));
	for (uint64_t i = 0; i < HASHES; i++)
		ouro_release(stays[i]);
	split_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(split_removed_is_unlinked),
		HEAP_CASE(split_finds_what_is_in),
		HEAP_CASE(split_bucket_is_linked_once),
		HEAP_CASE(split_of_many_threads_loses_nothing),
	};

	return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
