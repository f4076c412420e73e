/*
 * Goal: a thread frees by itself the cycles that it alone has touched, and nothing else: without a
 * stop, without the collector, without a call of the program's code.
 * Method: garbage is made while another thread holds the collection lock, so that nobody else can
 * collect; other threads touch what the thread has found before it settles, as they are pinned
 * meanwhile.
 * A failure would mean: memory used that is freed, or young garbage that waits for the collector.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "fixture.h"

#include "base/perturb.h"
#include "base/runtime.h"
#include "collect/generation.h"
#include "collect/policy.h"
#include "collect/solo.h"
#include "collect/verify.h"
#include "heap/pace.h"
#include "world/gclock.h"
#include "world/thread.h"

#if !OURO_CHECKED
static void (*oi_point_hook)(const char *point);
static size_t oi_solo_stack_room;
#endif

struct link {
	struct link *other, *more;
	uint64_t id;
};

static const ouro_type link_type = {
	.name = "link", .size = sizeof(struct link), .slots = OURO_SLOTS(struct link, other, more),
};

static struct link *link_new(uint64_t id)
{
	struct link *l = ouro_new(&link_type);

	REQUIRE(l != NULL);
	l->id = id;
	return l;
}

static struct link *pair_new(void)
{
	struct link *a = link_new(1), *b = link_new(2);

	ouro_store(&a->other, b);
	ouro_store(&b->other, a);
	ouro_release(b);
	return a;
}

/* ---- nobody else collects ---- */

static atomic_bool locked, unlock;
static pthread_t holder;
static bool lock_is_held;

static void *hold_lock(void *arg)
{
	(void)arg;
	REQUIRE(ouro_thread_attach("holder") == 0);
	oi_collect_lock();
	atomic_store(&locked, true);
	while (!atomic_load(&unlock))
		sleep_ms(1);
	oi_collect_unlock();
	return NULL;
}

static void keep_others_out(void)
{
	atomic_store(&locked, false);
	atomic_store(&unlock, false);
	holder = thread_start(hold_lock, NULL);
	lock_is_held = true;
	assert_true(EVENTUALLY(atomic_load(&locked)));
}

static void let_others_in(void)
{
	atomic_store(&unlock, true);
	if (lock_is_held)
		pthread_join(holder, NULL);
	lock_is_held = false;
}

static struct oi_solo_statistics done(void)
{
	struct oi_solo_statistics s;

	oi_solo_statistics(&s);
	return s;
}

/* Makes pairs of garbage until this thread has begun so many collections more. */
static void look_times(uint64_t n)
{
	uint64_t until = done().collections + n;
	uint64_t end = now_ns() + PATIENCE_S * 1000000000ull;

	while (done().collections < until && now_ns() < end)
		for (int i = 0; i < 100; i++)
			ouro_release(pair_new());
	assert_true(done().collections >= until);
}

/* ---- what it frees ---- */

static void solo_pairs_die_without_a_stop(void **state)
{
	keep_others_out();
	uint64_t stops = stats().pauses, found = done().found;

	(void)state;
	look_times(20);
	assert_true(done().found - found >= 10 * 1000);
	assert_true(objects_live() < 3 * 4096);
	assert_int_equal(stats().pauses, stops);
	ouro_gc_stats s[3];
	ouro_gc_get_stats(s);
	assert_true(s[0].collections >= 20 && s[0].collected >= 10 * 1000);
	let_others_in();
}

/* What is held lives, and is older then; what garbage refers to loses a reference. */
static void solo_what_is_held_lives(void **state)
{
	keep_others_out();
	struct link *pair = pair_new(), *shared = link_new(7);

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct link *garbage = pair_new();

		ouro_store(&garbage->more, shared);
		ouro_release(garbage);
	}
	assert_int_equal(ouro_refcount(shared), 101);
	look_times(3);
	assert_int_equal(ouro_refcount(shared), 1);
	let_others_in();
	assert_int_equal(pair->id, 1);
	assert_int_equal(pair->other->id, 2);
	assert_ptr_equal(pair->other->other, pair);
	assert_int_equal(oi_generation_of(oi_header_of(pair)), 1);
	assert_int_equal(oi_generation_of(oi_header_of(shared)), 1);
	ouro_release(pair);
	ouro_release(shared);
}

/*
 * While next to nothing is garbage, most of it becomes older without a look; but when that changes,
 * it is noticed.
 */
static void solo_looks_in_vain_are_left_out(void **state)
{
	enum { N = 100000 };
	struct link *all = NULL;
	uint64_t examined = done().examined;

	(void)state;
	keep_others_out();
	for (int i = 0; i < N; i++) {
		struct link *l = link_new(i);

		ouro_give(&l->other, all);
		all = l;
	}
	examined = done().examined - examined;
	assert_in_range(examined, 1, N * 2 / 3);
	assert_true(oi_pace_aged(0) < N / 4);
	uint64_t found = done().found;
	look_times(20);
	assert_true(done().found - found >= 10 * 1000);
	assert_true(objects_live() < N + 6 * 4096);
	let_others_in();
	ouro_release(all);
}

static const ouro_type large_link_type = {
	.name = "large link", .size = 200, .slots = OURO_SLOTS(struct link, other, more),
};

/* Makes objects into @all until there are @n, or so many of age 1 that more become old at once. */
static size_t make_held(const ouro_type *type, void **all, size_t n, bool until_full)
{
	size_t made = 0;

	for (; made < n && !(until_full && oi_policy_middle_full()); made++)
		REQUIRE((all[made] = ouro_new(type)) != NULL);
	return made;
}

/*
 * Some die at age 1, and others, who have their blocks then, become old at once: they are not of
 * age 1. The verifier counts.
 */
static void solo_what_becomes_old_at_once_is_so(void **state)
{
	enum { N = 200000 };
	static void *first[N], *large[N], *second[N];

	(void)state;
	keep_others_out();
	size_t n = make_held(&link_type, first, N, true);
	assert_true(oi_policy_middle_full());
	for (size_t i = 0; i < n / 2; i++)
		ouro_release(first[i]);
	assert_int_equal(ouro_flush(), 0); /* their blocks can be used again */
	size_t n_large = make_held(&large_link_type, large, N, true);
	assert_true(oi_policy_middle_full());
	uint64_t middle = oi_pace_aged(1);
	size_t n_second = make_held(&link_type, second, n, false);
	assert_true(oi_pace_aged(1) <= middle);
	let_others_in();
	assert_null(oi_verify_heap());
	for (size_t i = n / 2; i < n; i++)
		ouro_release(first[i]);
	for (size_t i = 0; i < n_large; i++)
		ouro_release(large[i]);
	for (size_t i = 0; i < n_second; i++)
		ouro_release(second[i]);
	assert_true(ouro_gc_collect(1) >= 0);
}

static const ouro_type items_type = {
	.name = "items", .size = 8, .item_size = sizeof(void *), .item_slots = OURO_ITEM_REFS,
};

static void solo_slots_in_items_count(void **state)
{
	keep_others_out();
	struct link *shared = link_new(7);

	(void)state;
	for (int i = 0; i < 50; i++) {
		void *items = ouro_new_items(&items_type, 10);
		struct link *l = link_new(i);

		ouro_store((void **)items + 1, l);
		ouro_store((void **)items + 2, shared);
		ouro_give(&l->other, items);
		ouro_release(l);
	}
	assert_int_equal(ouro_refcount(shared), 51);
	look_times(3);
	assert_int_equal(ouro_refcount(shared), 1);
	let_others_in();
	ouro_release(shared);
}

/* Slots that are not one after another, and more than the library has offsets of. */
struct apart {
	uint64_t before;
	void *slot[3];
};
struct row {
	void *slot[9];
};

static const ouro_type apart_type = {
	.name = "apart", .size = sizeof(struct apart),
	.slots = OURO_SLOTS(struct apart, slot[0], slot[2]),
};
static const ouro_type row_type = {
	.name = "row", .size = sizeof(struct row),
	.slots = OURO_SLOTS(struct row, slot[0], slot[1], slot[2], slot[4], slot[5], slot[6],
			    slot[7], slot[8]),
};

static void solo_slots_count_wherever_they_are(void **state)
{
	keep_others_out();
	struct link *shared = link_new(7);

	(void)state;
	for (int i = 0; i < 50; i++) {
		struct apart *a = ouro_new(&apart_type);
		struct row *r = ouro_new(&row_type);

		a->slot[1] = r->slot[3] = shared; /* not slots */
		ouro_store(&r->slot[0], shared);
		ouro_store(&a->slot[0], shared);
		ouro_store(&r->slot[8], a);
		ouro_give(&a->slot[2], r);
		ouro_release(a);
	}
	assert_int_equal(ouro_refcount(shared), 101);
	look_times(3);
	assert_int_equal(ouro_refcount(shared), 1);
	let_others_in();
	ouro_release(shared);
}

/* Makes garbage that has @n references to one object, and one to @shared. */
static void tie_often(int n, struct link *shared)
{
	void *items = ouro_new_items(&items_type, n + 1);
	struct link *l = link_new(3);

	REQUIRE(items != NULL);
	for (int i = 0; i < n; i++)
		ouro_store((void **)items + 1 + i, l);
	ouro_store((void **)items + 1 + n, shared);
	ouro_give(&l->other, items);
	ouro_release(l);
}

/* More references than a side byte holds: left to others, who find it. */
static void solo_many_references_are_held(void **state)
{
	keep_others_out();
	struct link *few = link_new(7), *many = link_new(8);

	(void)state;
	tie_often(254, few);
	tie_often(255, few);
	tie_often(256, many);
	tie_often(300, many);
	look_times(3);
	assert_int_equal(ouro_refcount(few), 1);
	assert_int_equal(ouro_refcount(many), 3);
	let_others_in();
	ouro_gc_disable();
	ouro_gc_collect(2);
	assert_int_equal(ouro_refcount(many), 1);
	ouro_release(few);
	ouro_release(many);
}

enum { HELD = 8 };

/* A stack that does not hold all: what it leaves out holds what it refers to. */
static void solo_what_a_full_stack_leaves_out_holds(void **state)
{
	struct link *held[HELD];

	(void)state;
	if (!CHECKED_BUILD)
		skip();
	keep_others_out();
	for (int i = 0; i < HELD; i++) {
		held[i] = link_new(10 + i);
		ouro_give(&held[i]->other, link_new(20 + i));
		ouro_give(&held[i]->other->other, link_new(30 + i));
	}
	oi_solo_stack_room = 1;
	look_times(5);
	for (int i = 0; i < HELD; i++) {
		assert_int_equal(held[i]->other->id, 20 + i);
		assert_int_equal(held[i]->other->other->id, 30 + i);
		assert_int_equal(ouro_refcount(held[i]->other->other), 1);
		ouro_release(held[i]);
	}
	let_others_in();
}

/* ---- no code of the program's ---- */

static pthread_t maker;
static atomic_int n_told_destroyed, n_on_maker;

static void note_destroy(void *obj)
{
	(void)obj;
	atomic_fetch_add(&n_on_maker, pthread_equal(pthread_self(), maker));
	atomic_fetch_add(&n_told_destroyed, 1);
}

static const ouro_type told_type = { .name = "told", .size = 8, .destroy = note_destroy };

static void solo_runs_no_code_of_the_program(void **state)
{
	keep_others_out();

	(void)state;
	maker = pthread_self();
	atomic_store(&n_told_destroyed, 0);
	atomic_store(&n_on_maker, 0);
	for (int i = 0; i < 100; i++) {
		struct link *garbage = pair_new();

		ouro_give(&garbage->more, ouro_new(&told_type));
		ouro_release(garbage);
	}
	look_times(3);
	assert_true(EVENTUALLY(atomic_load(&n_told_destroyed) == 100));
	assert_int_equal(atomic_load(&n_on_maker), 0);
	let_others_in();
}

/* Whether or not it is a member that the references go to, and in whatever page. */
static void solo_leaves_no_side_bytes(void **state)
{
	keep_others_out();
	struct link *l[HELD];

	(void)state;
	for (int i = 0; i < HELD; i++) {
		l[i] = link_new(i);
		ouro_give(&l[i]->other, ouro_new_items(&items_type, 20));
		ouro_give(&l[i]->more, ouro_new(&told_type));
	}
	look_times(1);
	ouro_gc_disable();
	let_others_in();
	assert_null(oi_verify_heap());
	for (int i = 0; i < HELD; i++)
		ouro_release(l[i]);
}

/* ---- what others touch ---- */

/* A thread that has an address in a pinned region, and does something with it when told to. */
struct other {
	void (*act)(struct link *l, struct other *o);
	struct link *keep;
	atomic_int step;
	pthread_t thread;
	bool runs;
};
enum { LOOKS = 1, ACTS, HAS_ACTED, LETS_GO, ENDS };

static struct other other;
static struct link *global;

static bool comes_to(struct other *o, int step)
{
	return EVENTUALLY(atomic_load(&o->step) >= step);
}

static void step_to(struct other *o, int step)
{
	int was = atomic_load(&o->step);

	while (was < step && !atomic_compare_exchange_weak(&o->step, &was, step))
		;
}

static void *other_main(void *arg)
{
	struct other *o = arg;

	ouro_pin();
	struct link *l = ouro_peek(&global);
	step_to(o, LOOKS);
	REQUIRE(comes_to(o, ACTS));
	if (atomic_load(&o->step) == ACTS)
		o->act(l, o);
	ouro_unpin();
	step_to(o, HAS_ACTED);
	REQUIRE(comes_to(o, LETS_GO));
	ouro_release(o->keep);
	return NULL;
}

static void start_other(struct other *o, void (*act)(struct link *l, struct other *o))
{
	o->act = act;
	o->keep = NULL;
	atomic_store(&o->step, 0);
	o->thread = thread_start(other_main, o);
	o->runs = true;
	assert_true(comes_to(o, LOOKS));
}

/* Comes by meanwhile, so that what dies of it dies on this thread. */
static void have_it_act(struct other *o)
{
	struct link *l = link_new(0);

	step_to(o, ACTS);
	assert_true(EVENTUALLY_EVERY(0, (ouro_release(ouro_retain(l)),
					 atomic_load(&o->step) >= HAS_ACTED)));
	ouro_release(l);
}

static void end_other(struct other *o)
{
	if (!o->runs)
		return;
	step_to(o, ENDS);
	pthread_join(o->thread, NULL);
	o->runs = false;
}

static void release_it(struct link *l, struct other *o)
{
	(void)o;
	ouro_release(ouro_retain(l)); /* nobody has freed it yet */
}

static void retain_it(struct link *l, struct other *o)
{
	o->keep = ouro_retain(l);
}

static void take_out(struct link *l, struct other *o)
{
	o->keep = ouro_take(&l->other);
}

/* Drops a pair that another thread has in view, looks, lets that thread act, and settles. */
static void check_touched(void (*act)(struct link *l, struct other *o), uint64_t id, uint64_t live)
{
	keep_others_out();
	struct other *o = &other;

	ouro_give(&global, pair_new());
	start_other(o, act);
	uint64_t found = done().found;
	ouro_store(&global, (struct link *)NULL);
	/* It looks once, and from then on waits for the pinned region's end. */
	look_times(1);
	for (int i = 0; i < 5000; i++)
		ouro_release(pair_new());
	assert_int_equal(done().found, found);
	have_it_act(o);
	look_times(1);
	assert_int_equal(done().found, found); /* nothing of what it had found is believed */
	look_times(3);
	if (o->keep != NULL) {
		assert_int_equal(o->keep->id, id);
		assert_true(ouro_refcount(o->keep) >= 1);
		if (id == 1)
			assert_int_equal(o->keep->other->id, 2);
	}
	end_other(o);
	let_others_in();
	ouro_gc_disable();
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), live);
}

static uint64_t paced(void)
{
	return stats().holdups[OURO_HOLDUP_PACE];
}

/* Again and again it lets others run, for longer than a pause may be, so that it is told. */
static void solo_a_wait_for_others_is_a_holdup(void **state)
{
	(void)state;
	oi_runtime.config.pause_budget_ns = 10000;
	keep_others_out();
	start_other(&other, release_it);
	look_times(1);
	uint64_t before = paced();
	for (int i = 0; i < 5000; i++)
		ouro_release(pair_new());
	assert_true(paced() - before >= 2);
	end_other(&other);
	let_others_in();
}

static void solo_what_another_thread_releases_is_left_alone(void **state)
{
	(void)state;
	check_touched(release_it, 0, 0);
}

static void solo_what_another_thread_retains_lives(void **state)
{
	(void)state;
	check_touched(retain_it, 1, 0);
}

static void solo_what_another_thread_takes_lives(void **state)
{
	(void)state;
	check_touched(take_out, 2, 0);
}

/* So many waiting deaths have a thread see to them itself, if it comes by before the tick. */
enum { MANY_WAIT = 64 };

static struct link *waiting[MANY_WAIT];

/* Takes an object that refers to itself apart: it dies by count, when the owner comes by. */
static void untie(struct link *l, struct other *o)
{
	(void)o;
	REQUIRE(ouro_try_retain(l) != NULL);
	ouro_store(&l->other, (struct link *)NULL);
	ouro_release(l);
	for (int i = 0; i < MANY_WAIT; i++)
		ouro_release(waiting[i]);
}

/* Of a size of its own, so that few blocks have to be tried. */
struct wide {
	struct link l;
	char rest[1000];
};

static const ouro_type wide_type = {
	.name = "wide", .size = sizeof(struct wide),
	.slots = OURO_SLOTS(struct wide, l.other, l.more),
};

static struct link *wide_new(uint64_t id)
{
	struct wide *w = ouro_new(&wide_type);

	REQUIRE(w != NULL);
	w->l.id = id;
	return &w->l;
}

enum { AT_A_TIME = 128, TURNS = 20 };

/*
 * Makes objects, @n at a time, that die by count after they have been in a slot, until one has the
 * block at @at; returns that. NULL: none had, or this thread has looked meanwhile.
 */
static struct link *make_at(const void *at, int n, uint64_t looks)
{
	struct link *some[AT_A_TIME], *root = wide_new(0), *found = NULL;

	for (int turn = 0; turn < TURNS && !found && done().collections == looks; turn++) {
		for (int i = 0; i < n; i++) {
			some[i] = wide_new(5);
			ouro_store(&root->other, some[i]);
			if (some[i] == at)
				found = ouro_retain(some[i]);
		}
		ouro_store(&root->other, (struct link *)NULL);
		for (int i = 0; i < n; i++)
			ouro_release(some[i]);
	}
	ouro_release(root);
	return found;
}

/* Returns false if nobody had the block of what it had noted before it looked again. */
static bool try_reuse(int n)
{
	struct link *neighbour = wide_new(4), *a = wide_new(3); /* so that the page stays */

	for (int i = 0; i < MANY_WAIT; i++)
		waiting[i] = link_new(6);
	ouro_store(&a->other, a);
	ouro_give(&global, a);
	start_other(&other, untie);
	ouro_store(&global, (struct link *)NULL);
	look_times(1);
	uint64_t looks = done().collections, found = done().found;
	have_it_act(&other);
	end_other(&other);
	struct link *l = make_at(a, n, looks);
	bool reused = l != NULL && done().collections == looks;
	if (reused) {
		look_times(1);
		assert_int_equal(done().found, found);
		assert_int_equal(l->id, 5);
	}
	ouro_release(l);
	ouro_release(neighbour);
	return reused;
}

/* What was found garbage dies by count, and another lives in its block when the thread settles. */
static void solo_what_has_the_block_of_garbage_lives(void **state)
{
	keep_others_out();
	bool reused = false;

	(void)state;
	for (int i = 0; i < 20 && !reused; i++)
		reused = try_reuse(AT_A_TIME / (i % 3 + 1));
	let_others_in();
	if (!reused)
		print_message("nobody had that block: shows nothing\n");
}

/* ---- stops, forks, ends ---- */

static bool keep_link(void *obj, void *arg)
{
	struct link *l = obj;

	if (l->id == 99)
		*(struct link **)arg = ouro_retain(obj);
	return true;
}

/* The collector may be there first: so it is tried again. */
static void solo_what_a_walk_hands_out_lives(void **state)
{
	struct link *kept = NULL;

	(void)state;
	for (int i = 0; i < 100 && kept == NULL; i++) {
		struct link *pair = pair_new();

		pair->id = 99;
		ouro_release(pair);
		look_times(1);
		ouro_gc_objects(-1, keep_link, &kept);
	}
	assert_non_null(kept);
	look_times(4);
	assert_int_equal(kept->id, 99);
	assert_int_equal(kept->other->id, 2);
	ouro_release(kept);
}

static int child_of_a_pause(void *arg)
{
	(void)arg;
	look_times(5);
	ouro_gc_disable();
	REQUIRE(ouro_gc_collect(2) >= 0);
	REQUIRE(oi_verify_heap() == NULL);
	REQUIRE(objects_live() == 0);
	return 0;
}

static void solo_goes_on_in_the_child_of_a_fork(void **state)
{
	(void)state;
	needs_fork();
	look_times(3);
	child_run(child_of_a_pause, NULL);
}

static void *make_and_end(void *arg)
{
	(void)arg;
	look_times(3);
	return NULL;
}

static void solo_what_a_thread_leaves_is_found(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		thread_run(make_and_end, NULL);
	ouro_gc_disable();
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
	assert_null(oi_verify_heap());
}

static void solo_ends_with_the_heap(void **state)
{
	(void)state;
	look_times(3);
	ouro_gc_disable();
	ouro_gc_collect(2);
	heap_stop();
	ouro_config cfg = test_config();
	cfg.enabled = true;
	heap_start(&cfg);
	look_times(3);
}

/* A thread that lends its processor meanwhile may be parked, and what it has free taken from it. */
static atomic_int n_tidied;

static void tidy_at(const char *point)
{
	if (strcmp(point, "solo: freed") != 0 && strcmp(point, "solo: judged") != 0)
		return;
	oi_solo_tidy(oi_self);
	atomic_fetch_add(&n_tidied, 1);
}

static void solo_survives_being_tidied(void **state)
{
	(void)state;
	if (!CHECKED_BUILD)
		skip();
	atomic_store(&n_tidied, 0);
	oi_point_hook = tidy_at;
	look_times(20);
	assert_true(atomic_load(&n_tidied) > 0);
}

/* ---- when it may not ---- */

static void make_garbage(int n)
{
	for (int i = 0; i < n; i++)
		ouro_release(pair_new());
}

static void solo_is_automatic_collection(void **state)
{
	(void)state;
	ouro_gc_disable();
	make_garbage(5000);
	assert_int_equal(done().collections, 0);
	assert_int_equal(objects_live(), 10000);
	ouro_gc_enable();
	assert_int_equal(ouro_gc_set_threshold(1000000, 10, 10), 0);
	make_garbage(5000);
	assert_int_equal(done().collections, 0); /* a number is when the collector looks */
	assert_int_equal(ouro_gc_set_threshold(-1, 10, 10), 0);
	ouro_gc_set_debug(OURO_DEBUG_SAVEALL);
	make_garbage(1000);
	assert_int_equal(done().collections, 0);
	ouro_gc_set_debug(0);
	look_times(2);
}

/* ---- events ---- */

static atomic_ulong n_told, n_told_dead;

static void listen(const ouro_gc_event *event, void *arg)
{
	(void)arg;
	if (event->phase == OURO_GC_STOP && event->generation == 0) {
		atomic_fetch_add(&n_told, 1);
		atomic_fetch_add(&n_told_dead, event->collected);
	}
}

static void solo_is_told_to_listeners(void **state)
{
	(void)state;
	assert_int_equal(ouro_gc_on_event(listen, NULL), 0);
	uint64_t found = done().found;
	look_times(10);
	found = done().found - found;
	assert_true(EVENTUALLY(atomic_load(&n_told_dead) >= found));
	assert_true(atomic_load(&n_told) >= 1);
	assert_int_equal(ouro_gc_off_event(listen, NULL), 0);
}

/* A case that failed has left its threads. */
static int solo_setup(void **state)
{
	heap_setup(state);
	ouro_gc_enable();
	return 0;
}

static int solo_teardown(void **state)
{
	oi_point_hook = NULL;
	oi_solo_stack_room = OI_SOLO_MOST;
	end_other(&other);
	let_others_in();
	ouro_gc_disable();
	ouro_gc_collect(2);
	return heap_teardown(state);
}

#define SOLO_CASE(f) cmocka_unit_test_setup_teardown(f, solo_setup, solo_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SOLO_CASE(solo_pairs_die_without_a_stop),
		SOLO_CASE(solo_what_is_held_lives),
		SOLO_CASE(solo_looks_in_vain_are_left_out),
		SOLO_CASE(solo_what_becomes_old_at_once_is_so),
		SOLO_CASE(solo_slots_in_items_count),
		SOLO_CASE(solo_slots_count_wherever_they_are),
		SOLO_CASE(solo_many_references_are_held),
		SOLO_CASE(solo_what_a_full_stack_leaves_out_holds),
		SOLO_CASE(solo_runs_no_code_of_the_program),
		SOLO_CASE(solo_leaves_no_side_bytes),
		SOLO_CASE(solo_a_wait_for_others_is_a_holdup),
		SOLO_CASE(solo_what_another_thread_releases_is_left_alone),
		SOLO_CASE(solo_what_another_thread_retains_lives),
		SOLO_CASE(solo_what_another_thread_takes_lives),
		SOLO_CASE(solo_what_has_the_block_of_garbage_lives),
		SOLO_CASE(solo_what_a_walk_hands_out_lives),
		SOLO_CASE(solo_goes_on_in_the_child_of_a_fork),
		SOLO_CASE(solo_what_a_thread_leaves_is_found),
		SOLO_CASE(solo_ends_with_the_heap),
		SOLO_CASE(solo_survives_being_tidied),
		SOLO_CASE(solo_is_automatic_collection),
		SOLO_CASE(solo_is_told_to_listeners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
