/*
 * Goal: the steps of a concurrent collection and those of a mutator in every order that ever
 * mattered.
 * Method: a second thread collects, and stands still at named points inside the library (checked
 * builds) while this one acts, or this one stands still inside an operation while the other goes on
 * as far as it may.
 * A failure would mean: a handshake or an event is missing, which stress finds once in a long
 * while. Other builds skip this.
 */
#define TEST_COUNTS_COLLECTIONS 1
#include "mutators.h"

#include "base/perturb.h"
#include "collect/policy.h"
#include "heap/foreign.h"
#include "heap/heap.h"
#include "heap/limbo.h"
#include "world/gate.h"
#include "world/object.h"

#if !OURO_CHECKED
static void (*oi_point_hook)(const char *point);
#endif

/* ---- the collecting thread, and where it is ---- */

enum step { START, COUNTED, FLAGGED, COUNTED_AGAIN, CHECKED_ALL, TRIES, CLOSED, OVER };

static const char *const point_of[] = {
	[COUNTED] = "scan: counted", [FLAGGED] = "scan: flagged", [COUNTED_AGAIN] = "commit: counted",
	[CHECKED_ALL] = "commit: checked", [TRIES] = "commit: try", [CLOSED] = "linger: closed",
};

static struct {
	pthread_t thread;
	atomic_int at;       /* enum step: the last it has reached */
	atomic_int go_on;    /* it may pass this one, and those before */
	atomic_bool entered; /* this thread stands inside an operation */
	bool needs_entry;    /* the collector waits for that before it flags anything */
	ssize_t found;
} schedule;
static _Thread_local bool collects;
static _Thread_local const char *stand_at; /* this thread, next time it comes by */

static void await_step(enum step s)
{
	assert_true(EVENTUALLY(atomic_load(&schedule.at) >= (int)s));
}

/* It may go on, past this one too. */
static void let_pass(enum step s)
{
	atomic_store(&schedule.go_on, s);
}

static void collector_passes(const char *point)
{
	for (enum step s = COUNTED; s < OVER; s++) {
		if (strcmp(point, point_of[s]) != 0)
			continue;
		atomic_store(&schedule.at, s);
		while (atomic_load(&schedule.go_on) < (int)s || (schedule.needs_entry && !atomic_load(&schedule.entered)))
			sleep_ms(1);
	}
}

enum { GRACE_MS = 100 }; /* for a mistake to show, where the collector must not come by */

/* Inside an operation: until all is checked, which can only be if nobody waits for this operation. */
static void stand_inside(void)
{
	atomic_store(&schedule.entered, true);
	for (int ms = 0; ms < GRACE_MS && atomic_load(&schedule.at) < CHECKED_ALL; ms++)
		sleep_ms(1);
}

static _Thread_local bool comes_late; /* its collection begins when the other one has closed the door */
static atomic_bool is_late;

static void at_point(const char *point)
{
	if (comes_late && strcmp(point, "collect: flushed") == 0) {
		atomic_store(&is_late, true);
		while (atomic_load(&schedule.at) < CLOSED)
			sleep_ms(1);
	} else if (collects) {
		collector_passes(point);
	} else if (stand_at != NULL && strcmp(point, stand_at) == 0) {
		stand_at = NULL;
		stand_inside();
	}
}

static void *collect_main(void *arg)
{
	(void)arg;
	collects = true;
	schedule.found = ouro_gc_collect(2);
	collects = false;
	atomic_store(&schedule.at, OVER);
	return NULL;
}

static void schedule_start(enum step may_pass, bool needs_entry)
{
	schedule.needs_entry = needs_entry;
	atomic_store(&schedule.at, START);
	atomic_store(&schedule.go_on, may_pass);
	atomic_store(&schedule.entered, false);
	oi_point_hook = at_point;
	schedule.thread = thread_start(collect_main, NULL);
}

static void schedule_end(void)
{
	atomic_store(&schedule.go_on, OVER);
	pthread_join(schedule.thread, NULL);
	oi_point_hook = NULL;
}

static void needs_points(void)
{
	if (!CHECKED_BUILD)
		skip();
}

/* x -> v -> y, all old; the caller has x's reference. */
static struct node *make_chain(void)
{
	struct node *x = make_of(&canary_type, ALIVE), *v = make_of(&canary_type, ALIVE);

	ouro_give(&v->left, make_of(&canary_type, ALIVE));
	ouro_give(&x->left, v);
	assert_int_equal(ouro_gc_collect(2), 0);
	return x;
}

static struct node *take_out(struct node **slot)
{
	return ouro_take(slot);
}

static struct node *exchange(struct node **slot)
{
	return ouro_exchange(slot, make_of(&canary_type, ALIVE));
}

/*
 * v is taken out of x when the references have been counted, so nothing leads to it and y any more:
 * both are candidates. y leaves v when the candidates' references have been counted: only that very
 * event tells that y lives.
 */
static void check_rescue(struct node *(*leave)(struct node **slot))
{
	needs_points();
	struct node *x = make_chain();

	schedule_start(START, false);
	await_step(COUNTED);
	struct node *v = ouro_take(&x->left);
	let_pass(FLAGGED);
	await_step(COUNTED_AGAIN);
	struct node *y = leave(&v->left);
	schedule_end();
	assert_int_equal(schedule.found, 0);
	assert_int_equal(y->id, ALIVE);
	assert_int_equal(ouro_refcount(y), 1);
	ouro_release(y);
	ouro_release(v);
	ouro_release(x);
}

static void schedule_take_rescues(void **state)
{
	(void)state;
	check_rescue(take_out);
}

static void schedule_exchange_rescues(void **state)
{
	(void)state;
	check_rescue(exchange);
}

/*
 * An upgrade has seen that the object is its thread's own, and stands still before it counts: the
 * collector may flag the object, but it must not count before this operation is over.
 */
static void schedule_upgrade_delays_the_count(void **state)
{
	ouro_weak cell = { 0 };
	struct node *ring, *n;

	(void)state;
	needs_points();
	ring = make_pair(&canary_type, ALIVE);
	ring->right->id = ALIVE;
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(ouro_weak_store(&cell, ring), 0);
	ouro_release(ring);
	schedule_start(OVER, true);
	await_step(COUNTED);
	stand_at = "retain: owned";
	n = ouro_weak_load(&cell);
	schedule_end();
	if (n != NULL) {
		assert_int_equal(n->id, ALIVE);
		assert_int_equal(ouro_refcount(n), 2);
		ouro_release(n);
	}
	ouro_weak_clear(&cell);
	ouro_gc_collect(2);
}

/*
 * This thread remembers another's object from before it became a candidate. When all is counted, it
 * upgrades a reference to it: what it remembers must not hide the flag.
 */
static void *make_remembered(void *cell)
{
	struct node *ring = make_pair(&canary_type, ALIVE);

	ring->right->id = ALIVE;
	return ouro_weak_store(cell, ring) == 0 ? ring : NULL;
}

/* The collector is about to commit the ring's death when an upgrade of @cell rescues one of it. */
static void rescue_by_upgrade(ouro_weak *cell, void *ring)
{
	schedule_start(CHECKED_ALL, false);
	await_step(TRIES);
	struct node *n = ouro_weak_load(cell);
	schedule_end();
	assert_ptr_equal(n, ring);
	assert_int_equal(n->right->id, ALIVE);
	assert_int_equal(schedule.found, 0);
	ouro_release(n);
	ouro_weak_clear(cell);
	assert_int_equal(ouro_gc_collect(2), 2);
}

static void schedule_remembered_upgrade_rescues(void **state)
{
	ouro_weak cell = { 0 };
	pthread_t maker;
	void *ring;

	(void)state;
	needs_points();
	maker = thread_start(make_remembered, &cell);
	pthread_join(maker, &ring);
	assert_non_null(ring);
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_release(ouro_retain(ring));
	ouro_release(ouro_retain(ring));
	ouro_release(ring);
	rescue_by_upgrade(&cell, ring);
}

/*
 * The collector has looked at what was rescued, and is about to commit, when an upgrade rescues one
 * of the two: the commit must fail, since the other one is reached from it.
 */
static void schedule_rescue_fails_the_commit(void **state)
{
	ouro_weak cell = { 0 };

	(void)state;
	needs_points();
	struct node *ring = make_pair(&canary_type, ALIVE);
	ring->right->id = ALIVE;
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(ouro_weak_store(&cell, ring), 0);
	ouro_release(ring);
	rescue_by_upgrade(&cell, ring);
}

/* ---- counts ---- */

/* This thread stands still at the point until the other has got somewhere. */
static struct {
	const char *point;
	atomic_bool stands, go_on;
} held;

static void hold_here(const char *point)
{
	if (!collects || strcmp(point, held.point) != 0 || atomic_exchange(&held.stands, true))
		return;
	while (!atomic_load(&held.go_on))
		sleep_ms(1);
}

static void hold_by(void (*hook)(const char *), const char *point)
{
	held.point = point;
	atomic_store(&held.stands, false);
	atomic_store(&held.go_on, false);
	oi_point_hook = hook;
}

static void hold_at(const char *point)
{
	hold_by(hold_here, point);
}

/* Whoever comes there first: the reaper may do it for the owner. */
static void hold_anybody(const char *point)
{
	if (strcmp(point, held.point) != 0 || atomic_exchange(&held.stands, true))
		return;
	while (!atomic_load(&held.go_on))
		sleep_ms(1);
}

static void *release_main(void *arg)
{
	collects = true;
	ouro_release(ouro_take((struct node **)arg));
	return NULL;
}

static void *make_and_leave(void *arg)
{
	ouro_give((struct node **)arg, make_of(&counted_type, 0));
	atomic_store(&held.stands, false); /* made */
	while (!atomic_load(&held.stands))
		sleep_ms(1);
	ouro_thread_detach();
	atomic_store(&held.go_on, true);
	return NULL;
}

/* A foreign release is about to queue the object when the owner leaves, and merges it: the queue is closed then. */
static void schedule_owner_leaves_before_the_queue(void **state)
{
	struct node *slot = NULL;

	(void)state;
	needs_points();
	counters_clear();
	hold_at("queue: owner found");
	atomic_store(&held.stands, true);
	pthread_t owner = thread_start(make_and_leave, &slot);
	assert_true(EVENTUALLY(!atomic_load(&held.stands)));
	pthread_t other = thread_start(release_main, &slot);
	pthread_join(owner, NULL);
	pthread_join(other, NULL);
	oi_point_hook = NULL;
	assert_true(EVENTUALLY(atomic_load(&n_destroyed) == 1));
}

/* ---- a large object ---- */

static struct {
	int n;
	pthread_t collector;
	atomic_bool collected, in_time;
} zeroing;

static void *collect_young_main(void *arg)
{
	collects = true;
	ouro_gc_collect(0);
	atomic_store(&zeroing.collected, true);
	return arg;
}

/* A stop is asked for while memory that was in use before is zeroed; before the next step it is over. */
static void stop_in_between(const char *point)
{
	if (collects || strcmp(point, "zero") != 0 || ++zeroing.n > 2)
		return;
	if (zeroing.n == 1) {
		zeroing.collector = thread_start(collect_young_main, NULL);
		(void)EVENTUALLY(oi_load_acquire(&oi_world.stopping));
	} else {
		atomic_store(&zeroing.in_time, EVENTUALLY(atomic_load(&zeroing.collected)));
	}
}

static void schedule_large_object_is_zeroed_in_slices(void **state)
{
	static const ouro_type bytes_type = { .name = "bytes", .size = 16, .item_size = 1 };

	(void)state;
	needs_points();
	memset(&zeroing, 0, sizeof(zeroing));
	oi_point_hook = stop_in_between;
	for (int i = 0; i < 1000 && zeroing.n == 0; i++) { /* the tick may have given all of it back meanwhile */
		void *obj = ouro_new_items(&bytes_type, 8 << 20);

		assert_non_null(obj);
		memset(obj, 0xee, 8 << 20);
		ouro_release(obj);
	}
	oi_point_hook = NULL;
	assert_true(zeroing.n >= 2);
	pthread_join(zeroing.collector, NULL);
	assert_true(atomic_load(&zeroing.in_time));
}

/* ---- memory that waits ---- */

static void *load_main(void *arg)
{
	ouro_thread_attach(NULL);
	collects = true;
	ouro_release(ouro_load((struct node **)arg));
	return NULL;
}

/* A load has read the slot, and stands still: what it has read may die, but the block stays what it was. */
static void schedule_load_keeps_the_memory(void **state)
{
	struct node *slot = NULL;

	(void)state;
	needs_points();
	ouro_give(&slot, make(1));
	struct oi_header *h = oi_header_of(slot);
	struct node *neighbour = make(2); /* so that the page stays */
	assert_ptr_equal(oi_page_of(oi_header_of(neighbour)), oi_page_of(h));
	hold_at("load: another's");
	pthread_t other = thread_start(load_main, &slot);
	assert_true(EVENTUALLY(atomic_load(&held.stands)));
	ouro_release(ouro_take(&slot));
	for (int i = 0; i < 10; i++) {
		oi_gate_enter(oi_self);
		oi_limbo_reclaim(oi_self, true);
		oi_gate_leave(oi_self);
		assert_int_not_equal(h->own, OI_OWN_FREE);
	}
	atomic_store(&held.go_on, true);
	pthread_join(other, NULL);
	oi_point_hook = NULL;
	assert_true(EVENTUALLY((ouro_gc_collect(2), oi_load_acquire(&h->own) == OI_OWN_FREE)));
	ouro_release(neighbour);
}

struct large {
	struct large *next;
	char bytes[8000];
};

static const ouro_type large_type = {
	.name = "large", .size = sizeof(struct large), .slots = OURO_SLOTS(struct large, next),
};

/* Its last reference, and until the block is free. */
static void release_and_reclaim(struct large *l)
{
	struct oi_header *h = oi_header_of(l);

	ouro_release(l);
	while (oi_load_acquire(&h->own) != OI_OWN_FREE) {
		oi_gate_enter(oi_self);
		oi_limbo_reclaim(oi_self, true);
		oi_gate_leave(oi_self);
	}
}

/*
 * A page that becomes empty in the middle of a collection stays what it is: that may have addresses
 * of its blocks in its lists.
 */
static void schedule_pages_stay_while_walked(void **state)
{
	enum { N = 32 };
	struct large *l[N];

	(void)state;
	needs_points();
	for (int i = 0; i < N; i++)
		l[i] = ouro_new(&large_type);
	struct oi_page *page = oi_page_of(oi_header_of(l[N / 2]));
	assert_int_equal(ouro_gc_collect(2), 0);
	ouro_release(make_pair(&canary_type, ALIVE));
	schedule_start(COUNTED_AGAIN, false);
	await_step(CHECKED_ALL);
	for (int i = 0; i < N; i++)
		release_and_reclaim(l[i]);
	assert_int_equal(page->used, 0);
	assert_int_equal(page->state, OI_PAGE_SMALL);
	schedule_end();
	assert_int_equal(schedule.found, 2);
}

/*
 * Two objects of the owner's that another thread holds, and kills, one before the owner takes in
 * what was freed, one meanwhile.
 */
static struct {
	struct node *a, *b;
	atomic_int turn;
	bool empty;
} harvested;

static void await_turn(int turn)
{
	while (atomic_load(&harvested.turn) < turn)
		sleep_ms(1);
}

static void *owner_main(void *arg)
{
	(void)arg;
	harvested.a = make(1);
	harvested.b = make(2);
	struct oi_page *page = oi_page_of(oi_header_of(harvested.a));
	atomic_store(&harvested.turn, 1);
	await_turn(2);
	ouro_release(harvested.a);
	ouro_release(harvested.b);
	atomic_store(&harvested.turn, 3);
	await_turn(4);
	oi_heap_harvest_idle(oi_self);
	await_turn(5);
	oi_heap_harvest_idle(oi_self);
	harvested.empty = oi_remote_count(page->remote) == 0;
	return NULL;
}

static void schedule_free_beside_a_harvest(void **state)
{
	(void)state;
	needs_points();
#if OURO_CHECKED
	oi_recycle = true; /* blocks nobody else can know of go back at once, as in other builds */
#endif
	atomic_store(&harvested.turn, 0);
	pthread_t owner = thread_start(owner_main, NULL);
	await_turn(1);
	ouro_retain(harvested.a);
	ouro_retain(harvested.b);
	atomic_store(&harvested.turn, 2);
	await_turn(3);
	hold_by(hold_anybody, "harvest");
	ouro_release(harvested.a);
	atomic_store(&harvested.turn, 4);
	assert_true(EVENTUALLY(atomic_load(&held.stands)));
	ouro_release(harvested.b);
	atomic_store(&held.go_on, true);
	atomic_store(&harvested.turn, 5);
	pthread_join(owner, NULL);
	oi_point_hook = NULL;
#if OURO_CHECKED
	oi_recycle = false;
#endif
	assert_true(harvested.empty);
}

static void note_seized(struct oi_thread *t, void *arg)
{
	(void)t;
	*(bool *)arg = true;
}

static struct oi_thread *_Atomic pinned_thread;

static void *pinned_main(void *arg)
{
	ouro_pin();
	atomic_store(&pinned_thread, oi_self);
	while (!atomic_load((atomic_bool *)arg))
		sleep_ms(1);
	ouro_unpin();
	return NULL;
}

/* A thread inside its gate is nobody else's to act for. */
static void schedule_nobody_is_seized_inside(void **state)
{
	atomic_bool over = false;
	bool seized = false;

	(void)state;
	atomic_store(&pinned_thread, NULL);
	pthread_t t = thread_start(pinned_main, &over);
	assert_true(EVENTUALLY(atomic_load(&pinned_thread) != NULL));
	for (int i = 0; i < 10; i++)
		assert_false(oi_world_seize(atomic_load(&pinned_thread), note_seized, &seized));
	assert_false(seized);
	atomic_store(&over, true);
	pthread_join(t, NULL);
}

/* ---- attempts to retain what is being finalized ---- */

static atomic_bool peeked, finalizing, tried_it;
static void *tried_result;

static void wait_for_the_try(void *obj)
{
	(void)obj;
	atomic_store(&finalizing, true);
	while (!atomic_load(&tried_it))
		sleep_ms(1);
}

static const ouro_type slow_to_die_type = {
	.name = "slow to die", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = wait_for_the_try, .destroy = counted_destroy,
};

static void *try_main(void *arg)
{
	ouro_pin();
	struct node *n = ouro_peek((struct node **)arg);
	atomic_store(&peeked, true);
	while (!atomic_load(&finalizing))
		sleep_ms(1);
	tried_result = ouro_try_retain(n);
	ouro_unpin();
	atomic_store(&tried_it, true);
	return NULL;
}

/* It fails, and leaves no reference behind that would look like a resurrection. */
static void schedule_try_leaves_nothing(void **state)
{
	struct node *slot = NULL;

	(void)state;
	counters_clear();
	atomic_store(&peeked, false);
	atomic_store(&finalizing, false);
	atomic_store(&tried_it, false);
	ouro_give(&slot, make_of(&slow_to_die_type, 0));
	pthread_t other = thread_start(try_main, &slot);
	assert_true(EVENTUALLY(atomic_load(&peeked)));
	ouro_release(ouro_take(&slot));
	pthread_join(other, NULL);
	assert_null(tried_result);
	assert_int_equal(atomic_load(&n_destroyed), 1);
}

/* ---- the door of garbage that only upgrades keep, and who may not wait at it ---- */

static struct {
	ouro_weak cell;
	atomic_bool listening, upgraded;
	bool by_another; /* thread, for which the listener waits */
} at_door;

static void *upgrade(void *arg)
{
	ouro_release(ouro_weak_load(&at_door.cell));
	atomic_store(&at_door.upgraded, true);
	return arg;
}

/* The collection holds its lock meanwhile, for which the one that has closed the door waits. */
static void listener_upgrades(const ouro_gc_event *event, void *arg)
{
	if (event->phase != OURO_GC_START || event->generation != 0)
		return;
	atomic_store(&at_door.listening, true);
	if (at_door.by_another)
		thread_run(upgrade, arg);
	else
		upgrade(arg);
}

static void *collect_young(void *arg)
{
	comes_late = true;
	ouro_gc_collect(0);
	return arg;
}

static void check_door(bool by_another)
{
	struct node *n = make_pair(&node_type, 1);

	at_door.by_another = by_another;
	atomic_store(&at_door.listening, false);
	atomic_store(&at_door.upgraded, false);
	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(ouro_weak_store(&at_door.cell, n), 0);
	ouro_release(n);
	atomic_store(&schedule.at, START);
	atomic_store(&is_late, false);
	oi_point_hook = at_point;
	pthread_t young = thread_start(collect_young, NULL);
	assert_true(EVENTUALLY(atomic_load(&is_late)));
	schedule_start(COUNTED, false);
	await_step(FLAGGED);
	ouro_release(ouro_weak_load(&at_door.cell)); /* rescued */
	assert_int_equal(ouro_gc_on_event(listener_upgrades, NULL), 0);
	let_pass(TRIES);
	assert_true(EVENTUALLY(atomic_load(&at_door.listening)));
	let_pass(CLOSED);
	assert_true(EVENTUALLY(atomic_load(&at_door.upgraded)));
	pthread_join(young, NULL);
	schedule_end();
	assert_int_equal(ouro_gc_off_event(listener_upgrades, NULL), 0);
	ouro_weak_clear(&at_door.cell);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 0);
}

static void schedule_listener_does_not_wait_at_the_door(void **state)
{
	(void)state;
	needs_points();
	check_door(false);
	check_door(true);
}

/* ---- how much of such garbage a stop looks at ---- */

static atomic_bool counts;
static atomic_size_t n_counted;

static void count_traversed(void *obj, ouro_visitor *v)
{
	(void)obj;
	(void)v;
	if (atomic_load(&counts))
		atomic_fetch_add(&n_counted, 1);
}

static void clear_nothing(void *obj)
{
	(void)obj;
}

static const ouro_type traversed_type = {
	.name = "traversed", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.traverse = count_traversed, .clear = clear_nothing,
};

/*
 * An upgrade rescues a ring of @n. Returns how many of it died; *looked: how often one was
 * traversed once the door was closed.
 */
static ssize_t rescue_ring(size_t n, size_t *looked)
{
	ouro_weak cell = { 0 };
	struct node *ring = make_ring(&traversed_type, n);

	assert_int_equal(ouro_gc_collect(2), 0);
	assert_int_equal(ouro_weak_store(&cell, ring), 0);
	ouro_release(ring);
	atomic_store(&counts, false);
	atomic_store(&n_counted, 0);
	schedule_start(COUNTED, false);
	await_step(FLAGGED);
	ouro_release(ouro_weak_load(&cell));
	let_pass(TRIES);
	await_step(CLOSED);
	atomic_store(&counts, true);
	schedule_end();
	ouro_weak_clear(&cell);
	*looked = atomic_load(&n_counted);
	return schedule.found;
}

/*
 * What fits is decided in the stop, and of what does not fit nothing is looked at: it is the next
 * collection's.
 */
static void schedule_stop_decides_what_fits_the_budget(void **state)
{
	ouro_config cfg = test_config();
	size_t looked;

	(void)state;
	needs_points();
	cfg.pause_budget_ns = 10000;
	heap_start(&cfg);
	size_t fits = oi_policy_cap() / 2;
	assert_int_equal(rescue_ring(fits - 10, &looked), fits - 10);
	assert_in_range(looked, fits - 10, 5 * fits);
	assert_int_equal(rescue_ring(fits + 10, &looked), 0);
	assert_int_equal(looked, 0);
	assert_int_equal(ouro_gc_collect(2), fits + 10);
}

static struct node *shown;

static void show_and_wait(void *obj)
{
	ouro_store(&shown, obj);
	wait_for_the_try(obj);
}

static const ouro_type shown_type = {
	.name = "shown", .size = sizeof(struct node), .finalize = show_and_wait,
};

static void *load_shown(void *arg)
{
	collects = true;
	*(struct node **)arg = ouro_load(&shown);
	return NULL;
}

static void *release_shown(void *obj)
{
	ouro_release(obj);
	return NULL;
}

struct meeting {
	pthread_t dying, other;
};

/*
 * While an object is finalized, fn(arg) comes to @point and stands there; then the finalizer ends,
 * and the object lives. Returns it.
 */
static struct node *meet(struct meeting *m, const char *point, void *(*fn)(void *), void *arg)
{
	struct node *n = make_of(&shown_type, 1);
	struct oi_header *h = oi_header_of(n);

	atomic_store(&finalizing, false);
	atomic_store(&tried_it, false);
	m->dying = thread_start(release_shown, n);
	assert_true(EVENTUALLY(atomic_load(&finalizing)));
	hold_at(point);
	m->other = thread_start(fn, arg);
	assert_true(EVENTUALLY(atomic_load(&held.stands)));
	atomic_store(&tried_it, true);
	assert_true(EVENTUALLY(!oi_is_dead(h)));
	return n;
}

static void part(const struct meeting *m)
{
	atomic_store(&held.go_on, true);
	pthread_join(m->other, NULL);
	pthread_join(m->dying, NULL);
	oi_point_hook = NULL;
}

/* A load finds it dying; before it looks why, the finalizer has ended, and it lives. The slot was never empty. */
static void schedule_load_beside_a_resurrection(void **state)
{
	struct node *got = NULL;
	struct meeting m;

	(void)state;
	needs_points();
	struct node *n = meet(&m, "load: tried", load_shown, &got);
	part(&m);
	assert_ptr_equal(got, n);
	ouro_release(got);
	ouro_store(&shown, NULL);
}

static void wait_for_nothing(void *arg)
{
	(void)arg;
}

static void *watch_shown(void *arg)
{
	struct node *n = ouro_load(&shown);

	collects = true;
	*(int *)arg = ouro_watch(n, wait_for_nothing, NULL, NULL);
	ouro_release(n);
	return NULL;
}

/* Watched while it is finalized; before the watch is there it lives again, and has weak references. These stay. */
static void schedule_watch_beside_a_resurrection(void **state)
{
	ouro_weak cell = { 0 };
	int error = -1;
	struct meeting m;

	(void)state;
	needs_points();
	struct node *n = meet(&m, "weak: entry made", watch_shown, &error);
	assert_int_equal(ouro_weak_store(&cell, n), 0);
	part(&m);
	assert_int_equal(error, 0);
	struct node *got = ouro_weak_load(&cell);
	assert_ptr_equal(got, n);
	ouro_release(got);
	ouro_store(&shown, NULL);
	assert_null(ouro_weak_load(&cell));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(schedule_take_rescues),
		HEAP_CASE(schedule_exchange_rescues),
		HEAP_CASE(schedule_upgrade_delays_the_count),
		HEAP_CASE(schedule_remembered_upgrade_rescues),
		HEAP_CASE(schedule_rescue_fails_the_commit),
		HEAP_CASE(schedule_owner_leaves_before_the_queue),
		HEAP_CASE(schedule_large_object_is_zeroed_in_slices),
		HEAP_CASE(schedule_load_keeps_the_memory),
		HEAP_CASE(schedule_pages_stay_while_walked),
		HEAP_CASE(schedule_free_beside_a_harvest),
		HEAP_CASE(schedule_nobody_is_seized_inside),
		HEAP_CASE(schedule_try_leaves_nothing),
		HEAP_CASE(schedule_listener_does_not_wait_at_the_door),
		BARE_CASE(schedule_stop_decides_what_fits_the_budget),
		HEAP_CASE(schedule_load_beside_a_resurrection),
		HEAP_CASE(schedule_watch_beside_a_resurrection),
	};

	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
