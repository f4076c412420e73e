/*
 * Goal: locks are taken in the order of their ranks, and never where a stop could wait for their holder.
 * Method: children that break one rule each, in the library's own terms; SIGABRT, with a message that names the locks. And the
 * calls that once broke one.
 * A failure would mean: a deadlock that shows only under load is nobody's business again. Other builds skip what checked ones see.
 */
#include "fixture.h"

#include "gate.h"
#include "lock.h"

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
		HEAP_CASE(lock_of_every_rank_is_free_in_a_child),
		HEAP_CASE(lock_of_the_garbage_is_taken_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
