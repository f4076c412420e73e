/*
 * Goal: whatever holds a call up for longer than the pause budget is counted under its name, and
 * told to the listeners.
 * Method: a thread is held up for a known time by each cause in turn; what holds it up waits until
 * it is held up.
 * A failure would mean: a server whose requests take long, and figures that say everything is fine.
 */
#include "fixture.h"
#include "base/holdup.h"
#include "base/os.h"
#include "base/lock.h"
#include "process/attach.h"
#include "world/thread.h"
#include "world/world.h"

enum { HELD_MS = 3 };

static uint64_t holdups(ouro_holdup cause)
{
	ouro_stats s;

	ouro_stats_get(&s);
	assert_true(s.holdup_sum_ns[cause] >= s.holdup_max_ns[cause]);
	assert_true((s.holdups[cause] == 0) == (s.holdup_max_ns[cause] == 0));
	return s.holdups[cause];
}

static uint64_t longest(ouro_holdup cause)
{
	ouro_stats s;

	ouro_stats_get(&s);
	return s.holdup_max_ns[cause];
}

/* ---- a thread that runs operations until it is told to end ---- */

struct operator {
	pthread_t thread;
	atomic_bool end;
	atomic_uint rounds;
	struct oi_thread *_Atomic record;
};

static void *operate(void *arg)
{
	struct operator *o = arg;

	while (!atomic_load(&o->end)) {
		ouro_release(make(1));
		atomic_store(&o->record, oi_self);
		atomic_fetch_add(&o->rounds, 1);
	}
	return NULL;
}

static void operator_start(struct operator *o)
{
	memset(o, 0, sizeof(*o));
	o->thread = thread_start(operate, o);
	while (atomic_load(&o->rounds) < 10)
		sched_yield();
}

static void operator_stop(struct operator *o)
{
	atomic_store(&o->end, true);
	pthread_join(o->thread, NULL);
}

/* Returns when somebody has been waiting outside for a while. */
static void hold_somebody_up(void)
{
	while (!__atomic_load_n(&oi_world.n_waiting, __ATOMIC_SEQ_CST))
		sched_yield();
	sleep_ms(HELD_MS);
}

/* ---- events ---- */

struct heard {
	atomic_uint_fast64_t n[OURO_HOLDUPS], longest[OURO_HOLDUPS];
	atomic_bool wrong;
};

static void hear(const ouro_gc_event *event, void *arg)
{
	struct heard *h = arg;

	if (event->phase == OURO_PAUSE_START)
		hold_somebody_up();
	if (event->phase != OURO_HOLDUP)
		return;
	if (event->generation != -1 || event->cause >= OURO_HOLDUPS || event->holdups == 0) {
		atomic_store(&h->wrong, true);
		return;
	}
	ouro_release(make(1)); /* it may use the library */
	if (event->duration_ns > atomic_load(&h->longest[event->cause]))
		atomic_store(&h->longest[event->cause], event->duration_ns);
	atomic_fetch_add(&h->n[event->cause], event->holdups); /* last: it is waited for */
}

/* Counted as what it is, and as nothing else. A tick that has no processor may hold it up, too. */
static bool stop_holds_up(void)
{
	uint64_t seized = holdups(OURO_HOLDUP_SEIZE), before = holdups(OURO_HOLDUP_STOP);
	struct operator o;

	operator_start(&o);
	ouro_gc_collect(0);
	operator_stop(&o);
	assert_true(holdups(OURO_HOLDUP_STOP) > before);
	return holdups(OURO_HOLDUP_SEIZE) == seized;
}

static void holdup_by_a_stop(void **state)
{
	static struct heard h;

	(void)state;
	memset(&h, 0, sizeof(h));
	assert_int_equal(ouro_gc_on_event(hear, &h), 0);
	assert_true(EVENTUALLY(stop_holds_up()));
	assert_true(longest(OURO_HOLDUP_STOP) >= HELD_MS * 1000000);
	/* The collector thread tells, with no collection under way. */
	assert_true(EVENTUALLY(atomic_load(&h.n[OURO_HOLDUP_STOP]) == holdups(OURO_HOLDUP_STOP)));
	assert_int_equal(atomic_load(&h.longest[OURO_HOLDUP_STOP]), longest(OURO_HOLDUP_STOP));
	assert_false(atomic_load(&h.wrong));
	assert_int_equal(ouro_gc_off_event(hear, &h), 0);
}

static void seized(struct oi_thread *t, void *arg)
{
	(void)t;
	(void)arg;
	hold_somebody_up();
}

static void holdup_by_a_seizure(void **state)
{
	struct operator o;

	(void)state;
	operator_start(&o);
	while (!oi_world_seize(atomic_load(&o.record), seized, NULL))
		sched_yield();
	operator_stop(&o);
	assert_true(holdups(OURO_HOLDUP_SEIZE) >= 1);
	assert_true(longest(OURO_HOLDUP_SEIZE) >= HELD_MS * 1000000);
}

/* ---- its own merge queue ---- */

enum { LISTS = 200, LENGTH = 50 };

static void *drop_all(void *arg)
{
	struct node **list = arg;

	for (int i = 0; i < LISTS; i++)
		ouro_release(list[i]);
	return NULL;
}

/* The owner stands in no gate meanwhile, so the tick may come first: then again. */
static bool merge_something(void)
{
	static struct node *list[LISTS], *slot;

	for (int i = 0; i < LISTS; i++) {
		list[i] = make_list(&node_type, LENGTH);
		ouro_store(&slot, list[i]); /* seen by others: a foreign release cannot know that it is the last */
	}
	ouro_store(&slot, NULL);
	ouro_pin(); /* nobody seizes a thread that is inside */
	thread_run(drop_all, list);
	ouro_unpin();
	ouro_release(make(1));
	return holdups(OURO_HOLDUP_MERGE) > 0;
}

static void holdup_by_merging(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	cfg.pause_budget_ns = 10000;
	heap_start(&cfg);
	assert_true(EVENTUALLY(merge_something()));
	assert_int_equal(ouro_flush(), 0);
}

/* ---- heap_limit ---- */

static void holdup_at_the_limit(void **state)
{
	ouro_config cfg = test_config();
	struct node *list = NULL, *n;

	(void)state;
	cfg.heap_limit = 4 << 20;
	cfg.pause_budget_ns = 10000;
	heap_start(&cfg);
	while ((n = ouro_new(&node_type)) != NULL) {
		ouro_give(&n->right, list);
		list = n;
	}
	assert_true(holdups(OURO_HOLDUP_LIMIT) >= 1);
	ouro_release(list);
}

/* ---- locks ---- */

static atomic_bool ask;

static void *take_lock(void *arg)
{
	(void)arg;
	ouro_release(make(1));
	atomic_store(&ask, true);
	oi_lock(OI_LOCK_SAVED);
	oi_unlock(OI_LOCK_SAVED);
	return NULL;
}

static bool hold_a_lock(void)
{
	atomic_store(&ask, false);
	oi_lock(OI_LOCK_SAVED);
	pthread_t t = thread_start(take_lock, NULL);
	while (!atomic_load(&ask))
		sched_yield();
	sleep_ms(HELD_MS);
	oi_unlock(OI_LOCK_SAVED);
	pthread_join(t, NULL);
	return holdups(OURO_HOLDUP_LOCK) > 0;
}

static void holdup_by_a_lock(void **state)
{
	(void)state;
	assert_true(EVENTUALLY(hold_a_lock()));
}

/* ---- by the system ---- */

/* Its pages were written, and are given back in one call. */
static void holdup_by_a_call_for_memory(void **state)
{
	enum { BYTES = 256 << 20 };
	ouro_config cfg = test_config();

	(void)state;
	cfg.pause_budget_ns = 10000;
	heap_start(&cfg);
	uint64_t before = holdups(OURO_HOLDUP_MEMORY);
	char *p = oi_os_reserve(BYTES, 4096);
	memset(p, 1, BYTES);
	assert_true(oi_os_purge(p, BYTES));
	assert_true(holdups(OURO_HOLDUP_MEMORY) > before);
	oi_os_unreserve(p, BYTES);
}

/* ---- what does not count ---- */

static void holdup_counts_what_is_longer_than_the_budget(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	cfg.pause_budget_ns = 20000;
	heap_start(&cfg);
	oi_holdup(OURO_HOLDUP_PACE, 20000);
	oi_holdup_ours = true;
	oi_holdup(OURO_HOLDUP_PACE, 1000000);
	oi_holdup_ours = false;
	assert_int_equal(holdups(OURO_HOLDUP_PACE), 0);
	oi_holdup(OURO_HOLDUP_PACE, 20001);
	oi_holdup(OURO_HOLDUP_PACE, 90001);
	assert_int_equal(holdups(OURO_HOLDUP_PACE), 2);
	assert_int_equal(longest(OURO_HOLDUP_PACE), 90001);
	heap_stop();
	heap_start(&cfg);
	assert_int_equal(holdups(OURO_HOLDUP_PACE), 0);
}

static void *held_up(void *arg)
{
	bool *ours = arg;

	if (oi_thread_attach("held up", *ours) != 0)
		abort();
	oi_holdup(OURO_HOLDUP_PACE, 1000000000);
	oi_thread_detach(oi_self);
	return NULL;
}

/* Nobody waits for one of the library's own threads. */
static void holdup_of_the_librarys_own_threads_does_not_count(void **state)
{
	bool ours = true, theirs = false;

	(void)state;
	thread_run(held_up, &ours);
	assert_int_equal(holdups(OURO_HOLDUP_PACE), 0);
	thread_run(held_up, &theirs);
	assert_int_equal(holdups(OURO_HOLDUP_PACE), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(holdup_by_a_stop),
		HEAP_CASE(holdup_by_a_seizure),
		BARE_CASE(holdup_by_merging),
		BARE_CASE(holdup_at_the_limit),
		HEAP_CASE(holdup_by_a_lock),
		BARE_CASE(holdup_by_a_call_for_memory),
		BARE_CASE(holdup_counts_what_is_longer_than_the_budget),
		HEAP_CASE(holdup_of_the_librarys_own_threads_does_not_count),
	};

	return cmocka_run_group_tests_name("holdup", tests, NULL, NULL);
}
