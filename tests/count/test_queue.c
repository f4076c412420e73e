/*
 * Goal: what is put into a queue runs once, in order, on the thread that runs the queue, and lets
 * go of its objects.
 * Method: finalizers that hand objects on, of single objects, cycles, from many threads; one runs.
 * A failure would mean: connections closed on the wrong thread, twice, or never.
 */
#include "fixture.h"

static int n_woken, n_run;
static uint64_t order[4];
static pthread_t ran_on;

static void wake(void *arg)
{
	__atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED);
}

static ouro_queue queue = OURO_QUEUE_INIT(wake, &n_woken);

static void note_end(void *obj)
{
	order[n_run++ % 4] = (uint64_t)((struct node *)obj)->id;
	ran_on = pthread_self();
}

OURO_FINALIZE_ON(hand_on, &queue, note_end)

static const ouro_type handed_type = {
	.name = "handed", .size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, left, right), .weaks = OURO_WEAKS(struct node, weak),
	.finalize = hand_on,
};

static void begin(void)
{
	n_woken = n_run = 0;
}

static void queue_runs_in_order_and_lets_go(void **state)
{
	(void)state;
	begin();
	for (uint64_t id = 1; id <= 3; id++)
		ouro_release(make_of(&handed_type, id));
	assert_int_equal(n_run, 0);
	assert_int_equal(n_woken, 1);
	assert_int_equal(ouro_queue_run(&queue, 2), 2);
	assert_int_equal(ouro_queue_run(&queue, SIZE_MAX), 1);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(order[i], i + 1);
	assert_int_equal(ouro_queue_run(&queue, SIZE_MAX), 0);
	assert_int_equal(objects_live(), 0);
	ouro_release(make_of(&handed_type, 9));
	assert_int_equal(n_woken, 2);
	assert_int_equal(ouro_queue_run(&queue, SIZE_MAX), 1);
	assert_int_equal(objects_live(), 0);
}

static void *drop_some(void *arg)
{
	(void)arg;
	for (int i = 0; i < LOAD(2000); i++)
		ouro_release(make_of(&handed_type, 0));
	return NULL;
}

static void queue_runs_on_the_thread_that_runs_it(void **state)
{
	pthread_t t[3];
	size_t n = 0, all = 3 * (size_t)LOAD(2000);

	(void)state;
	begin();
	for (int i = 0; i < 3; i++)
		t[i] = thread_start(drop_some, NULL);
	while (n < all)
		n += ouro_queue_run(&queue, 100);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(n_run, all);
	assert_true(pthread_equal(ran_on, pthread_self()));
	assert_int_equal(ouro_queue_run(&queue, SIZE_MAX), 0);
	ouro_flush();
	assert_int_equal(objects_live(), 0);
}

static void queue_holds_a_cycle_until_it_is_run(void **state)
{
	struct node *n = make_of(&handed_type, 5);

	(void)state;
	begin();
	ouro_store(&n->left, n);
	ouro_release(n);
	ouro_gc_collect(2);
	assert_int_equal(n_run, 0);
	ouro_gc_collect(2);
	assert_int_equal(objects_live(), 2); /* it, and its entry */
	assert_int_equal(ouro_queue_run(&queue, SIZE_MAX), 1);
	assert_int_equal(n_run, 1);
	assert_int_equal(ouro_gc_collect(2), 1);
	assert_int_equal(n_run, 1);
	assert_int_equal(objects_live(), 0);
}

static void queue_refuses_nothing_at_all(void **state)
{
	struct node *n = make(1);

	(void)state;
	assert_int_equal(ouro_queue_put(NULL, n, note_end), EINVAL);
	assert_int_equal(ouro_queue_put(&queue, NULL, note_end), EINVAL);
	assert_int_equal(ouro_queue_put(&queue, n, NULL), EINVAL);
	assert_int_equal(ouro_queue_run(NULL, 1), 0);
	assert_int_equal(ouro_refcount(n), 1);
	ouro_release(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEAP_CASE(queue_runs_in_order_and_lets_go),
		HEAP_CASE(queue_runs_on_the_thread_that_runs_it),
		HEAP_CASE(queue_holds_a_cycle_until_it_is_run),
		HEAP_CASE(queue_refuses_nothing_at_all),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
