/*
 * Goal: locks are taken in the order of their ranks, and never where a stop could wait for their
 * holder; what holds where a function runs is asserted, above all where it is the program's.
 * Method: children that break one rule each, in the library's own terms; SIGABRT, with a message
 * that names the locks. And the calls that once broke one.
 * A failure would mean: a deadlock that shows only under load is nobody's business again. Other
 * builds skip what checked ones see.
 */
#include "fixture.h"

#include "base/lock.h"
#include "collect/concurrent.h"
#include "collect/flush.h"
#include "collect/garbage.h"
#include "collect/generation.h"
#include "collect/linger.h"
#include "collect/pass.h"
#include "collect/policy.h"
#include "collect/trial.h"
#include "count/backlog.h"
#include "count/count.h"
#include "count/death.h"
#include "count/delay.h"
#include "count/merge.h"
#include "count/watch.h"
#include "count/weak.h"
#include "heap/empty.h"
#include "heap/heap.h"
#include "heap/limbo.h"
#include "heap/pace.h"
#include "heap/region.h"
#include "heap/type.h"
#include "process/servants.h"
#include "world/context.h"
#include "world/deliver.h"
#include "world/gate.h"
#include "world/gclock.h"
#include "world/park.h"
#include "world/world.h"

struct breach {
	void (*commit)(void);
	const char *message;
};

static int in_child(void *arg)
{
	struct breach *b = arg;
	ouro_config cfg = test_config();

	REQUIRE(ouro_init(&cfg) == 0);
	b->commit();
	dprintf(2, "nothing noticed it\n");
	return 1;
}

static void assert_noticed(void (*commit)(void), const char *message)
{
	struct breach b = { commit, message };

	if (!CHECKED_BUILD)
		skip();
	child_aborts(in_child, &b, message);
}

/* ---- order ---- */

static void take_in_wrong_order(void)
{
	oi_lock(OI_LOCK_HEAP);
	oi_lock(OI_LOCK_BACKLOG);
}

static void lock_out_of_order_is_noticed(void **state)
{
	(void)state;
	assert_noticed(take_in_wrong_order, "\"backlog\" is to be taken while \"heap\" is held");
}

static void take_twice(void)
{
	oi_lock(OI_LOCK_WATCHES);
	oi_lock(OI_LOCK_WATCHES);
}

static void lock_taken_twice_is_noticed(void **state)
{
	(void)state;
	assert_noticed(take_twice, "\"watches\" is to be taken while \"watches\" is held");
}

/* The service threads may hold a lock for a moment: whoever does not wait for it has to try again. */
static void take_by_trying(enum oi_rank r)
{
	while (!oi_trylock(r))
		sched_yield();
}

/* Who does not wait may take them in any order, and lets go of the first if there is no second. */
static bool take_both_by_trying(enum oi_rank first, enum oi_rank second)
{
	take_by_trying(first);
	if (oi_trylock(second))
		return true;
	oi_unlock(first);
	return false;
}

static void lock_in_order_is_fine(void **state)
{
	(void)state;
	for (unsigned r = 0; r < OI_LOCKS; r++)
		oi_lock((enum oi_rank)r);
	for (unsigned r = 0; r < OI_LOCKS; r++)
		oi_unlock((enum oi_rank)r);
	assert_true(EVENTUALLY(take_both_by_trying(OI_LOCK_HEAP, OI_LOCK_BACKLOG)));
	assert_false(oi_trylock(OI_LOCK_HEAP));
	oi_unlock(OI_LOCK_HEAP);
	oi_unlock(OI_LOCK_BACKLOG);
	for (unsigned r = 0; r < OI_LOCKS; r++) {
		take_by_trying((enum oi_rank)r);
		oi_unlock((enum oi_rank)r);
	}
}

/* ---- locks and gates ---- */

static void enter_with_a_lock(void)
{
	oi_lock(OI_LOCK_SAVED);
	oi_enter();
}

static void lock_held_into_the_gate_is_noticed(void **state)
{
	(void)state;
	assert_noticed(enter_with_a_lock, "\"saved garbage\" is held");
}

static void retain_with_a_lock(void)
{
	struct node *n = make(1);

	oi_lock(OI_LOCK_GARBAGE);
	ouro_retain(n);
}

static void lock_held_into_a_short_call_is_noticed(void **state)
{
	(void)state;
	assert_noticed(retain_with_a_lock, "\"garbage\" is held");
}

static void enter_with_long_locks(void)
{
	oi_lock(OI_LOCK_CONCURRENT);
	oi_lock(OI_LOCK_COLLECT);
	oi_gate_leave(oi_enter());
	oi_lock(OI_LOCK_REGISTRY);
	oi_enter();
}

static void lock_that_is_long_may_be_held_into_the_gate(void **state)
{
	(void)state;
	assert_noticed(enter_with_long_locks, "\"registry\" is held");
}

static void wait_inside(void)
{
	ouro_pin();
	oi_lock(OI_LOCK_REGISTRY);
}

static void lock_of_stoppers_waited_for_inside_is_noticed(void **state)
{
	(void)state;
	assert_noticed(wait_inside, "\"registry\" is to be waited for inside the gate");
}

static void let_go_without(void)
{
	oi_assert_locked(OI_LOCK_LIMBO);
}

static void lock_not_held_is_noticed(void **state)
{
	(void)state;
	assert_noticed(let_go_without, "without the lock \"abandoned limbo\"");
}

/* ---- what holds where a function runs ---- */

static void outside_for_inside(void)
{
	oi_limbo_reclaim(oi_self, false);
}

static void context_outside_where_inside_is_needed_is_noticed(void **state)
{
	(void)state;
	assert_noticed(outside_for_inside, "oi_limbo_reclaim: outside the gate");
}

static void inside_for_outside(void)
{
	struct oi_thread *t = oi_enter();
	size_t budget = 1, n_dead;

	oi_garbage_work(t, oi_garbage_new(0), &budget, SIZE_MAX, &n_dead);
}

static void context_inside_where_outside_is_needed_is_noticed(void **state)
{
	(void)state;
	assert_noticed(inside_for_outside, "oi_garbage_work: inside the gate");
}

static void wait_while_pinned(void)
{
	ouro_pin();
	oi_grace_wait();
}

static void context_pinned_where_others_are_waited_for_is_noticed(void **state)
{
	(void)state;
	assert_noticed(wait_while_pinned, "oi_grace_wait: inside the gate");
}

static void anothers_at_work(void)
{
	oi_limbo_abandon(oi_thread_record(0) == oi_self ? oi_thread_record(1) : oi_thread_record(0));
}

static void context_of_a_thread_that_is_not_kept_outside_is_noticed(void **state)
{
	(void)state;
	assert_noticed(anothers_at_work, "oi_limbo_abandon: neither inside");
}

static void run_in_no_stop(void)
{
	struct oi_trial tr = { .collector_refs = 0 };

	oi_trial_run(&tr, 1);
}

static void context_without_a_stop_is_noticed(void **state)
{
	(void)state;
	assert_noticed(run_in_no_stop, "oi_trial_run: the world is not stopped");
}

/* Each in a child: it is called where it may not be. */
#define BREACH(name, call) \
	static void breach_##name(void) \
	{ \
		struct oi_thread *t = oi_self; \
		struct oi_header *h = oi_header_of(make(1)); \
		struct oi_pass p = { .t = t }; \
		(void)t, (void)h, (void)p; \
		call; \
	}
/* Outside the gate. */
BREACH(release_foreign, oi_release_foreign(t, h))
BREACH(retain_foreign, oi_retain_foreign(h))
BREACH(merge_zero, oi_merge_zero(t, h))
BREACH(release_leaving, oi_release_leaving(oi_object_of(h), t))
BREACH(block_alloc, oi_block_alloc(t, 64, 0, false))
BREACH(block_free, oi_block_free(t, h))
BREACH(delay_thread, oi_delay_thread(t, true))
BREACH(death_quietly, oi_death_quietly(t, NULL, 0, 0))
BREACH(drain_own, oi_merge_drain_own(t))
BREACH(merge_ahead, oi_merge_ahead(t, h, 1))
BREACH(pace_flush, oi_pace_flush(t))
BREACH(backlog_arm, oi_backlog_arm(t))
BREACH(backlog_keep, oi_backlog_keep(t, false))
BREACH(traverse_opaque, oi_pass_traverse_opaque(&p, NULL, NULL, NULL))
BREACH(linger_doubt, oi_linger_doubt(&p, h, 1))
BREACH(type_learn, oi_type_learn(t, &node_type))
BREACH(add_weak, oi_limbo_add_weak(t, 1))
BREACH(expire, oi_weak_expire(h))
/* Inside it. */
BREACH(need, oi_enter(); oi_servants_need())
BREACH(sever, struct oi_watch *w = NULL; oi_enter(); oi_weak_sever(t, h, &w))
BREACH(end_weak, struct oi_watch *w = NULL; oi_enter(); oi_death_expire(t, h, &w))
BREACH(run_watch, struct oi_watch *w = NULL; oi_enter(); oi_watch_run_one(t, &w))
BREACH(backlog_serve, oi_enter(); oi_backlog_serve(t, false, oi_work_of_release()))
BREACH(garbage_serve, size_t n = 1; oi_enter(); oi_garbage_serve(t, &n, 1, oi_work_of_release()))
BREACH(end_walk, oi_enter(); oi_heap_end_walk(t))
BREACH(await_traverse, oi_enter(); oi_await_traverse(h))
/* Where others' gates are waited for, even pinned. */
BREACH(fence, ouro_pin(); oi_world_fence())
BREACH(park_tick, ouro_pin(); oi_park_tick())
BREACH(make_all_old, ouro_pin(); oi_generation_make_all_old(&p.young, false))
BREACH(linger_note, ouro_pin(); oi_linger_note(&p))
/* In no stop, or without the lock. */
BREACH(population, int64_t n[2]; oi_generation_population(n))
BREACH(grow_older, oi_generation_grow_older(NULL, 0, false))
BREACH(recount, oi_generation_recount())
BREACH(frozen, oi_policy_frozen())
BREACH(trial_add, struct oi_trial tr = { .collector_refs = 0 }; oi_trial_add(&tr, h))
BREACH(merge_stray, oi_merge_stray(h))
BREACH(add_young, oi_heap_add_young(oi_page_of(h)))
BREACH(start, struct oi_stop s = { .nested = false }; oi_world_start(&s))
BREACH(full_begins, oi_policy_full_begins(true))
BREACH(concurrent_begin, oi_concurrent_begin(t, 2, OI_SCOPE_ALL, NULL))
BREACH(park, oi_park(t, 0))
BREACH(huge, oi_huge_alloc(1 << 20))
/* In a death, or in none. */
BREACH(resume, oi_enter(); oi_death_resume(t, h, 0))
BREACH(catch_up, oi_death_begin(t); oi_enter(); oi_death_catch_up(t, 1))
BREACH(flush, oi_death_begin(t); oi_flush(t))

#define ROW(name, function, message) { breach_##name, function ": " message }
static const struct breach breaches[] = {
	ROW(release_foreign, "oi_release_foreign", "outside the gate"),
	ROW(retain_foreign, "oi_retain_foreign", "neither"),
	ROW(merge_zero, "oi_merge_zero", "outside the gate"),
	ROW(release_leaving, "oi_release_leaving", "outside the gate"),
	ROW(block_alloc, "oi_block_alloc", "outside the gate"), ROW(block_free, "oi_chain_free", "neither"),
	ROW(delay_thread, "oi_delay_thread", "outside the gate"),
	ROW(death_quietly, "oi_death_quietly", "outside the gate"),
	ROW(drain_own, "oi_merge_drain_own", "outside the gate"), ROW(merge_ahead, "oi_merge_ahead", "neither"),
	ROW(pace_flush, "oi_pace_flush", "neither"), ROW(backlog_arm, "oi_backlog_arm", "outside the gate"),
	ROW(backlog_keep, "oi_backlog_keep", "outside the gate"),
	ROW(traverse_opaque, "oi_pass_traverse_opaque", "outside the gate"),
	ROW(linger_doubt, "oi_linger_doubt", "outside the gate"), ROW(type_learn, "oi_type_learn", "outside the gate"),
	ROW(add_weak, "oi_limbo_add_weak", "outside the gate"), ROW(expire, "oi_weak_expire", "neither"),
	ROW(need, "oi_servants_need", "inside the gate"), ROW(sever, "oi_weak_sever", "inside the gate"),
	ROW(end_weak, "oi_death_expire", "inside the gate"), ROW(run_watch, "oi_watch_run_one", "inside the gate"),
	ROW(backlog_serve, "oi_backlog_serve", "inside the gate"),
	ROW(garbage_serve, "oi_garbage_serve", "inside the gate"),
	ROW(end_walk, "oi_heap_end_walk", "inside the gate"),
	ROW(await_traverse, "oi_await_traverse", "inside the gate"),
	ROW(fence, "oi_world_fence", "inside the gate"), ROW(park_tick, "oi_park_tick", "inside the gate"),
	ROW(make_all_old, "oi_generation_make_all_old", "inside the gate"),
	ROW(linger_note, "oi_linger_note", "inside the gate"),
	ROW(population, "oi_generation_population", "the world is not"),
	ROW(grow_older, "oi_generation_grow_older", "the world is not"),
	ROW(recount, "oi_generation_recount", "the world is not"), ROW(frozen, "oi_policy_frozen", "the world is not"),
	ROW(trial_add, "oi_trial_add", "the world is not"), ROW(merge_stray, "oi_merge_stray", "the world is not"),
	ROW(add_young, "oi_heap_add_young", "the world is not"), ROW(start, "oi_world_start", "the world is not"),
	ROW(full_begins, "oi_policy_full_begins", "without the lock"),
	ROW(concurrent_begin, "oi_concurrent_begin", "without the lock"),
	ROW(park, "oi_park", "without the lock"), ROW(huge, "oi_huge_alloc", "without the lock"),
	ROW(resume, "oi_death_resume", "outside a death"), ROW(catch_up, "oi_death_catch_up", "inside a death"),
	ROW(flush, "oi_flush", "inside a death"),
};

static void context_of_many_functions_is_noticed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(breaches) / sizeof(breaches[0]); i++)
		assert_noticed(breaches[i].commit, breaches[i].message);
}

/* ---- the program's code ---- */

static void say_nothing(const char *message, void *arg)
{
	(void)message;
	(void)arg;
}

static void log_with_a_lock(void)
{
	ouro_set_log(say_nothing, NULL);
	oi_lock(OI_LOCK_COLLECT);
	oi_say("x");
}

static void context_of_the_program_with_a_lock_is_noticed(void **state)
{
	(void)state;
	assert_noticed(log_with_a_lock, "the program's code is called while the lock \"collection\" is held");
}

static void log_in_a_stop(void)
{
	struct oi_stop stop;

	oi_world_stop(&stop, OURO_STOP_LISTING);
	oi_say("x");
}

static void context_of_the_program_in_a_stop_is_noticed(void **state)
{
	(void)state;
	assert_noticed(log_in_a_stop, "the program's code is called in a stop");
}

static void die_inside(void)
{
	struct node *n = make_of(&loud_type, 1);

	oi_call(oi_enter(), loud_finalize, oi_header_of(n));
}

static void context_of_the_program_in_a_gate_is_noticed(void **state)
{
	(void)state;
	assert_noticed(die_inside, ": inside the gate");
}

static void watch_with_a_lock(void *arg)
{
	(void)arg;
	oi_lock(OI_LOCK_GARBAGE);
	oi_call(oi_self, loud_finalize, oi_header_of(make(1)));
}

static void die_with_a_lock(void)
{
	struct node *n = make(1);

	ouro_watch(n, watch_with_a_lock, NULL, NULL);
	ouro_release(n);
}

static void context_of_a_callback_with_a_lock_is_noticed(void **state)
{
	(void)state;
	assert_noticed(die_with_a_lock, "\"garbage\" is held");
}

static void make_in_pause(const ouro_gc_event *e, void *arg)
{
	(void)arg;
	if (e->phase == OURO_PAUSE_START)
		ouro_release(make(1));
}

static void call_in_a_pause(void)
{
	ouro_gc_on_event(make_in_pause, NULL);
	ouro_gc_collect(0);
}

static void context_of_a_listener_that_calls_in_a_pause_is_noticed(void **state)
{
	(void)state;
	assert_noticed(call_in_a_pause, "a listener called the library during a pause");
}

/* ---- the child of a fork ---- */

static int all_free_in_child(void *arg)
{
	(void)arg;
	for (unsigned r = 0; r < OI_LOCKS; r++) {
		take_by_trying((enum oi_rank)r); /* never, where the parent's thread had it */
		oi_unlock((enum oi_rank)r);
	}
	return 0;
}

static void lock_of_every_rank_is_free_in_a_child(void **state)
{
	char text[4096];

	(void)state;
	int status = child_status(all_free_in_child, NULL, text, sizeof(text));
	if (status != 0)
		fail_msg("status 0x%x: %s", (unsigned)status, text);
}

/* ---- what once took a lock and then waited at its gate ---- */

static bool see(void *obj, void *arg)
{
	(void)obj;
	(*(int *)arg)++;
	return true;
}

static void lock_of_the_garbage_is_taken_inside(void **state)
{
	int n = 0;

	(void)state;
	ouro_gc_set_debug(OURO_DEBUG_SAVEALL);
	ouro_release(make_pair(&node_type, 1));
	assert_int_equal(ouro_gc_collect(2), 2);
	assert_int_equal(ouro_gc_garbage(see, &n), 2);
	ouro_pin();
	assert_int_equal(ouro_gc_garbage(see, &n), 2);
	ouro_unpin();
	assert_int_equal(n, 4);
	ouro_gc_set_debug(0);
	ouro_gc_garbage_clear();
	assert_int_equal(ouro_gc_collect(2), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lock_out_of_order_is_noticed),
		cmocka_unit_test(lock_taken_twice_is_noticed),
		HEAP_CASE(lock_in_order_is_fine),
		cmocka_unit_test(lock_held_into_the_gate_is_noticed),
		cmocka_unit_test(lock_held_into_a_short_call_is_noticed),
		cmocka_unit_test(lock_that_is_long_may_be_held_into_the_gate),
		cmocka_unit_test(lock_of_stoppers_waited_for_inside_is_noticed),
		cmocka_unit_test(lock_not_held_is_noticed),
		cmocka_unit_test(context_outside_where_inside_is_needed_is_noticed),
		cmocka_unit_test(context_inside_where_outside_is_needed_is_noticed),
		cmocka_unit_test(context_pinned_where_others_are_waited_for_is_noticed),
		cmocka_unit_test(context_of_a_thread_that_is_not_kept_outside_is_noticed),
		cmocka_unit_test(context_without_a_stop_is_noticed),
		cmocka_unit_test(context_of_many_functions_is_noticed),
		cmocka_unit_test(context_of_the_program_with_a_lock_is_noticed),
		cmocka_unit_test(context_of_the_program_in_a_stop_is_noticed),
		cmocka_unit_test(context_of_the_program_in_a_gate_is_noticed),
		cmocka_unit_test(context_of_a_callback_with_a_lock_is_noticed),
		cmocka_unit_test(context_of_a_listener_that_calls_in_a_pause_is_noticed),
		HEAP_CASE(lock_of_every_rank_is_free_in_a_child),
		HEAP_CASE(lock_of_the_garbage_is_taken_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
