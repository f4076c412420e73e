/*
 * Goal: a checked build stops a program that misuses references, and says with what, where and how.
 * Method: children that make one mistake each; SIGABRT, with type, address and operation on stderr.
 * A failure would mean: the one tool for finding such mistakes misses them. Other builds skip all
 * of this.
 */
#include "fixture.h"

/* What the child says before its mistake, so that the parent knows what to look for. */
static void announce(const void *obj)
{
	dprintf(2, "object %p\n", obj);
}

struct mistake {
	int (*make)(void *arg);
	const char *operation;
	bool has_object;
};

static int in_child(void *arg)
{
	struct mistake *m = arg;
	ouro_config cfg = test_config();

	REQUIRE(ouro_init(&cfg) == 0);
	m->make(NULL);
	dprintf(2, "nothing noticed it\n");
	return 1;
}

static void assert_names_object(const char *text)
{
	char address[40];

	if (sscanf(text, "object %39s", address) != 1 || strstr(strchr(text, '\n'), address) == NULL)
		fail_msg("no address in: %s", text);
	if (strstr(text, "fragile") == NULL)
		fail_msg("no type in: %s", text);
}

static void assert_stopped(int (*make_mistake)(void *), const char *operation, bool has_object)
{
	struct mistake m = { make_mistake, operation, has_object };
	char text[8192];

	if (!CHECKED_BUILD)
		skip();
	int status = child_status(in_child, &m, text, sizeof(text));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
		fail_msg("%s: status 0x%x: %s", operation, (unsigned)status, text);
	if (strstr(text, operation) == NULL)
		fail_msg("no %s in: %s", operation, text);
	if (has_object)
		assert_names_object(text);
}

static const ouro_type fragile_type = {
	.name = "fragile", .size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, left, right), .weaks = OURO_WEAKS(struct node, weak),
};

static struct node *fragile(void)
{
	return make_of(&fragile_type, 1);
}

/* An object that is dead already, its address announced. */
static struct node *dead(void)
{
	struct node *n = fragile();

	announce(n);
	ouro_release(n);
	return n;
}

/* ---- releases ---- */

static int release_twice(void *arg)
{
	(void)arg;
	ouro_release(dead());
	return 0;
}

static void checked_release_twice(void **state)
{
	(void)state;
	assert_stopped(release_twice, "release", true);
}

static void *release_elsewhere(void *obj)
{
	ouro_release(obj);
	return NULL;
}

static int release_twice_elsewhere(void *arg)
{
	(void)arg;
	thread_run(release_elsewhere, dead());
	return 0;
}

static void checked_release_twice_by_another_thread(void **state)
{
	(void)state;
	assert_stopped(release_twice_elsewhere, "release", true);
}

/* Three references, four releases, by owner and others in turn. */
static int release_once_too_often(void *arg)
{
	struct node *n = fragile();

	(void)arg;
	announce(n);
	ouro_retain(n);
	ouro_retain(n);
	thread_run(release_elsewhere, n);
	ouro_release(n);
	thread_run(release_elsewhere, n);
	ouro_flush();
	ouro_release(n);
	return 0;
}

static void checked_release_once_too_often(void **state)
{
	(void)state;
	assert_stopped(release_once_too_often, "release", true);
}

/* ---- use of a dead object ---- */

static int retain_dead(void *arg)
{
	(void)arg;
	ouro_retain(dead());
	return 0;
}

static void checked_retain_of_a_dead_object(void **state)
{
	(void)state;
	assert_stopped(retain_dead, "retain", true);
}

static int refcount_dead(void *arg)
{
	(void)arg;
	return (int)ouro_refcount(dead());
}

static void checked_refcount_of_a_dead_object(void **state)
{
	(void)state;
	assert_stopped(refcount_dead, "refcount", true);
}

static int weak_store_dead(void *arg)
{
	ouro_weak cell = { 0 };

	(void)arg;
	return ouro_weak_store(&cell, dead());
}

static void checked_weak_store_of_a_dead_object(void **state)
{
	(void)state;
	assert_stopped(weak_store_dead, "weak_store", true);
}

static void do_nothing(void *arg)
{
	(void)arg;
}

static int watch_dead(void *arg)
{
	(void)arg;
	return ouro_watch(dead(), do_nothing, NULL, NULL);
}

static void checked_watch_of_a_dead_object(void **state)
{
	(void)state;
	assert_stopped(watch_dead, "watch", true);
}

static int immortalize_dead(void *arg)
{
	(void)arg;
	ouro_immortalize(dead());
	return 0;
}

static void checked_immortalize_of_a_dead_object(void **state)
{
	(void)state;
	assert_stopped(immortalize_dead, "immortalize", true);
}

static int store_dead(void *arg)
{
	struct node *holder = make(1);

	(void)arg;
	ouro_store(&holder->left, dead());
	return 0;
}

static void checked_store_of_a_dead_object(void **state)
{
	(void)state;
	assert_stopped(store_dead, "store", true);
}

static int load_from_dead(void *arg)
{
	(void)arg;
	return ouro_load(&dead()->left) != NULL;
}

static void checked_load_from_a_dead_object(void **state)
{
	(void)state;
	assert_stopped(load_from_dead, "load", true);
}

/* ---- writing to the slots of a dying object that was only peeked ---- */

static struct node *dying(void)
{
	static struct node *root;
	struct node *seen;

	ouro_give(&root, fragile());
	ouro_pin();
	seen = ouro_peek(&root);
	announce(seen);
	ouro_store(&root, NULL);
	return seen;
}

static int store_into_dying(void *arg)
{
	struct node *x = make(1);

	(void)arg;
	ouro_store(&dying()->left, x);
	return 0;
}

static void checked_store_into_a_dead_object(void **state)
{
	(void)state;
	assert_stopped(store_into_dying, "store", true);
}

static int give_into_dying(void *arg)
{
	(void)arg;
	ouro_give(&dying()->left, make(1));
	return 0;
}

static void checked_give_into_a_dead_object(void **state)
{
	(void)state;
	assert_stopped(give_into_dying, "give", true);
}

static int take_from_dying(void *arg)
{
	(void)arg;
	return ouro_take(&dying()->left) != NULL;
}

static void checked_take_from_a_dead_object(void **state)
{
	(void)state;
	assert_stopped(take_from_dying, "take", true);
}

static int exchange_in_dying(void *arg)
{
	(void)arg;
	return ouro_exchange(&dying()->left, make(1)) != NULL;
}

static void checked_exchange_in_a_dead_object(void **state)
{
	(void)state;
	assert_stopped(exchange_in_dying, "exchange", true);
}

static int compare_exchange_in_dying(void *arg)
{
	(void)arg;
	return ouro_compare_exchange(&dying()->left, NULL, make(1));
}

static int compare_give_in_dying(void *arg)
{
	(void)arg;
	return ouro_compare_give(&dying()->left, NULL, make(1));
}

static void checked_compare_give_in_a_dead_object(void **state)
{
	(void)state;
	assert_stopped(compare_give_in_dying, "compare_give", true);
}

static void checked_compare_exchange_in_a_dead_object(void **state)
{
	(void)state;
	assert_stopped(compare_exchange_in_dying, "compare_exchange", true);
}

/* ---- pins ---- */

static int unpin_unpinned(void *arg)
{
	(void)arg;
	ouro_release(make(1));
	ouro_unpin();
	return 0;
}

static void checked_unpin_without_a_pin(void **state)
{
	(void)state;
	assert_stopped(unpin_unpinned, "unpin", false);
}

static int unpin_once_too_often(void *arg)
{
	(void)arg;
	ouro_pin();
	ouro_pin();
	ouro_unpin();
	ouro_unpin();
	ouro_unpin();
	return 0;
}

static void checked_unpin_once_too_often(void **state)
{
	(void)state;
	assert_stopped(unpin_once_too_often, "unpin", false);
}

static int peek_unpinned(void *arg)
{
	struct node *n = make(1);

	(void)arg;
	return ouro_peek(&n->left) != NULL;
}

static void checked_peek_outside_a_pin(void **state)
{
	(void)state;
	assert_stopped(peek_unpinned, "peek", false);
}

static int peek_after_unpin(void *arg)
{
	(void)arg;
	ouro_pin();
	ouro_unpin();
	return peek_unpinned(arg);
}

static void checked_peek_after_the_unpin(void **state)
{
	(void)state;
	assert_stopped(peek_after_unpin, "peek", false);
}

/* ---- a traverse that reports what is not counted ---- */

static void traverse_too_much(void *obj, ouro_visitor *v)
{
	struct node *n = obj;

	ouro_visit(v, n->left);
	ouro_visit(v, n->left);
}

static const ouro_type liar_type = {
	.name = "liar", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left),
	.traverse = traverse_too_much, .clear = do_nothing,
};

static int collect_liar(void *arg)
{
	(void)arg;
	unsetenv("OURO_VERIFY"); /* which would find the lie first, in its own words */
	struct node *n = make_of(&liar_type, 1);

	ouro_give(&n->left, fragile());
	announce(n->left);
	return (int)ouro_gc_collect(2);
}

static void checked_traverse_that_reports_too_much(void **state)
{
	(void)state;
	assert_stopped(collect_liar, "traverse", true);
}

/* ---- and what is right is not stopped ---- */

static int use_properly(void *arg)
{
	static struct node *root;

	(void)arg;
	ouro_give(&root, fragile());
	ouro_pin();
	struct node *seen = ouro_try_retain(ouro_peek(&root));
	ouro_store(&root, NULL);
	ouro_give(&seen->left, make(1));
	ouro_unpin();
	ouro_release(seen);
	ouro_release(ouro_retain(NULL));
	ouro_give(&root, fragile());
	ouro_pin();
	seen = ouro_peek(&root);
	ouro_store(&root, NULL);
	REQUIRE(ouro_try_retain(seen) == NULL);
	REQUIRE(ouro_typeof(seen) == &fragile_type);
	REQUIRE(ouro_peek(&seen->left) == NULL);
	ouro_unpin();
	return ouro_shutdown(NULL);
}

static void checked_proper_use_is_not_stopped(void **state)
{
	(void)state;
	child_run(use_properly, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(checked_release_twice),
		BARE_CASE(checked_release_twice_by_another_thread),
		BARE_CASE(checked_release_once_too_often),
		BARE_CASE(checked_retain_of_a_dead_object),
		BARE_CASE(checked_refcount_of_a_dead_object),
		BARE_CASE(checked_weak_store_of_a_dead_object),
		BARE_CASE(checked_watch_of_a_dead_object),
		BARE_CASE(checked_immortalize_of_a_dead_object),
		BARE_CASE(checked_store_of_a_dead_object),
		BARE_CASE(checked_load_from_a_dead_object),
		BARE_CASE(checked_store_into_a_dead_object),
		BARE_CASE(checked_give_into_a_dead_object),
		BARE_CASE(checked_take_from_a_dead_object),
		BARE_CASE(checked_exchange_in_a_dead_object),
		BARE_CASE(checked_compare_exchange_in_a_dead_object),
		BARE_CASE(checked_compare_give_in_a_dead_object),
		BARE_CASE(checked_unpin_without_a_pin),
		BARE_CASE(checked_unpin_once_too_often),
		BARE_CASE(checked_peek_outside_a_pin),
		BARE_CASE(checked_peek_after_the_unpin),
		BARE_CASE(checked_traverse_that_reports_too_much),
		BARE_CASE(checked_proper_use_is_not_stopped),
	};

	return cmocka_run_group_tests_name("checked", tests, NULL, NULL);
}
