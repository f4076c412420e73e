/*
 * Goal: locks are taken in the order of their ranks, and never where a stop could wait for their holder; what holds where a function
 * runs is asserted, above all where it is the program's.
 * Method: children that break one rule each, in the library's own terms; SIGABRT, with a message that names the locks. And the
 * calls that once broke one.
 * A failure would mean: a deadlock that shows only under load is nobody's business again. Other builds skip what checked ones see.
 */
#include "fixture.h"

#include "context.h"
#include "death.h"
#include "gate.h"
#include "lock.h"
#include "log.h"
#include "set.h"
#include "trial.h"
#include "world.h"

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
	char text[8192];

	if (!CHECKED_BUILD)
		skip();
	int status = child_status(in_child, &b, text, sizeof(text));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
		fail_msg("status 0x%x: %s", (unsigned)status, text);
	if (strstr(text, message) == NULL)
		fail_msg("no '%s' in: %s", message, text);
}

/* ---- order ---- */

static void take_in_wrong_order(void)
{
	oi_lock(OI_LOCK_HEAP);
	oi_lock(OI_LOCK_PILE);
}

static void lock_out_of_order_is_noticed(void **state)
{
	(void)state;
	assert_noticed(take_in_wrong_order, "\"pile\" is to be taken while \"heap\" is held");
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

static void lock_in_order_is_fine(void **state)
{
	(void)state;
	for (unsigned r = 0; r < OI_LOCKS; r++)
		oi_lock((enum oi_rank)r);
	for (unsigned r = 0; r < OI_LOCKS; r++)
		oi_unlock((enum oi_rank)r);
	assert_true(oi_trylock(OI_LOCK_HEAP));
	assert_true(oi_trylock(OI_LOCK_PILE)); /* who does not wait may take them in any order */
	assert_false(oi_trylock(OI_LOCK_HEAP));
	oi_unlock(OI_LOCK_HEAP);
	oi_unlock(OI_LOCK_PILE);
	for (unsigned r = 0; r < OI_LOCKS; r++) {
		assert_true(oi_trylock((enum oi_rank)r));
		oi_unlock((enum oi_rank)r);
	}
}

/* ---- locks and gates ---- */

static void enter_with_a_lock(void)
{
	oi_lock(OI_LOCK_GARBAGE);
	oi_enter();
}

static void lock_held_into_the_gate_is_noticed(void **state)
{
	(void)state;
	assert_noticed(enter_with_a_lock, "\"garbage list\" is held");
}

static void retain_with_a_lock(void)
{
	struct node *n = make(1);

	oi_lock(OI_LOCK_SETS);
	ouro_retain(n);
}

static void lock_held_into_a_short_call_is_noticed(void **state)
{
	(void)state;
	assert_noticed(retain_with_a_lock, "\"dead sets\" is held");
}

static void enter_with_long_locks(void)
{
	oi_lock(OI_LOCK_FULL);
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

	oi_set_work(t, oi_set_new(0), &budget, &n_dead);
}

static void context_inside_where_outside_is_needed_is_noticed(void **state)
{
	(void)state;
	assert_noticed(inside_for_outside, "oi_set_work: inside the gate");
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
	struct oi_trial tr = { .hold = 0 };

	oi_trial_run(&tr, 1);
}

static void context_without_a_stop_is_noticed(void **state)
{
	(void)state;
	assert_noticed(run_in_no_stop, "oi_trial_run: the world is not stopped");
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

	oi_world_stop(&stop);
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
	oi_lock(OI_LOCK_SETS);
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
	assert_noticed(die_with_a_lock, "\"dead sets\" is held");
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
		REQUIRE(oi_trylock((enum oi_rank)r));
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
