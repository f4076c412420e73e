/*
 * Goal: a shortage that comes at any moment, and goes or stays, is answered; when it is over
 * nothing has been lost.
 * Method: a scenario that calls everything, in a child, with the n-th call of a kind failing, or it
 * and all later ones, for ever larger n until none fails any more. Then the failures end:
 * everything dies, the verifier agrees, the shutdown finds nothing.
 * A failure would mean: out of something for a while, and a crash, a hang or a leak for good. Needs
 * a checked build.
 */
#include "fixture.h"

#include "base/os.h"
#include "base/perturb.h"
#include "base/remnant.h"
#include "collect/verify.h"

#if OURO_CHECKED

enum { NO_FAILURE = 77, HARD_END = 100000, MANY = 60 };

static const struct {
	enum oi_fail kind;
	const char *name;
} kinds[] = {
	{ OI_FAIL_ALLOC, "alloc" }, { OI_FAIL_MMAP, "mmap" }, { OI_FAIL_MUNMAP, "munmap" }, { OI_FAIL_MREMAP, "mremap" },
	{ OI_FAIL_MADVISE, "madvise" }, { OI_FAIL_MEMBARRIER, "membarrier" }, { OI_FAIL_FUTEX, "futex" },
	{ OI_FAIL_PTHREAD_CREATE, "pthread_create" }, { OI_FAIL_SETSPECIFIC, "setspecific" }, { OI_FAIL_TIMER, "timer" },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

struct array {
	struct array *next;
	void *items[];
};

static const ouro_type array_type = {
	.name = "array", .size = offsetof(struct array, items), .slots = OURO_SLOTS(struct array, next),
	.item_size = sizeof(void *), .item_slots = OURO_ITEM_REFS,
};

static const ouro_type finalized_type = {
	.name = "finalized", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.weaks = OURO_WEAKS(struct node, weak), .finalize = counted_finalize, .destroy = counted_destroy,
};

/* An object, or the one answer there is. */
static void *made(void *obj)
{
	REQUIRE(obj != NULL || errno == ENOMEM);
	return obj;
}

static bool worked(int error)
{
	REQUIRE(error == 0 || error == ENOMEM);
	return error == 0;
}

/* How many, or no memory to tell. */
static void listed(ssize_t n)
{
	REQUIRE(n >= 0 || errno == ENOMEM);
}

/* ---- steps: each leaves nothing behind but garbage ---- */

static void step_sizes(void)
{
	struct array *head = NULL;

	for (size_t i = 0; i < MANY; i++) {
		struct array *a = made(ouro_new_items(&array_type, i * i * 4));

		if (a == NULL)
			continue;
		ouro_give(&a->next, head);
		head = a;
	}
	ouro_release(head);
	ouro_release(made(ouro_new_items(&array_type, 5 << 20)));
}

static void step_cycles(void)
{
	for (int i = 0; i < 4 * MANY; i++) {
		struct node *n = made(ouro_new(i % 3 ? &node_type : &finalized_type));

		if (n == NULL)
			continue;
		ouro_store(&n->left, n);
		worked(ouro_weak_store(&n->weak, n));
		ouro_release(n);
	}
	listed(ouro_gc_collect(0));
	listed(ouro_gc_collect(1));
	listed(ouro_gc_collect(2));
}

static void step_list(void)
{
	struct node *head = NULL;

	for (int i = 0; i < 40 * MANY; i++) {
		struct node *n = made(ouro_new(&counted_type));

		if (n == NULL)
			break;
		ouro_give(&n->right, head);
		head = n;
	}
	ouro_release(head); /* past release_batch the rest waits */
	REQUIRE(ouro_flush() == 0);
}

static atomic_int n_watched;

static void watched(void *arg)
{
	(void)arg;
	atomic_fetch_add(&n_watched, 1);
}

static void step_weak(void)
{
	struct node *n = made(ouro_new(&node_type));
	ouro_weak cell = { 0 };
	ouro_watch_id id;

	if (n == NULL)
		return;
	for (int i = 0; i < MANY; i++) {
		bool stored = worked(ouro_weak_store(&cell, n));
		struct node *got = ouro_weak_load(&cell);

		REQUIRE(stored ? got == n : got == NULL || got == n);
		ouro_release(got);
		if (i % 2 && worked(ouro_watch(n, watched, NULL, &id)))
			ouro_unwatch(id);
	}
	worked(ouro_watch(n, watched, NULL, NULL));
	ouro_release(n);
	REQUIRE(ouro_weak_expired(&cell));
	ouro_weak_clear(&cell);
}

/* ---- other threads ---- */

static struct node *shared[MANY];

/* Its first call cannot fail. It gives back what another made, and leaves what it made to others. */
static void *release_theirs(void *arg)
{
	struct node *mine = NULL;

	for (int i = 0; i < MANY; i++)
		ouro_release(shared[i]);
	for (int i = 0; i < MANY; i++) {
		struct node *n = made(ouro_new(&finalized_type));

		if (n == NULL)
			continue;
		ouro_give(&n->left, mine);
		mine = n;
	}
	ouro_pin();
	ouro_safepoint();
	ouro_unpin();
	*(struct node **)arg = mine;
	return NULL;
}

static void *attach(void *arg)
{
	int error = ouro_thread_attach("attached");

	REQUIRE(error == 0 || error == ENOMEM);
	ouro_thread_detach();
	ouro_release(made(ouro_new(&node_type)));
	return arg;
}

static void step_threads(void)
{
	struct node *theirs = NULL;

	for (int i = 0; i < MANY; i++) {
		shared[i] = made(ouro_new(i % 2 ? &counted_type : &finalized_type));
		ouro_retain(shared[i]);
	}
	pthread_t t = thread_start(release_theirs, &theirs);
	pthread_join(t, NULL);
	for (int i = 0; i < MANY; i++)
		ouro_release(shared[i]);
	ouro_release(theirs);
	thread_run(attach, NULL);
	REQUIRE(ouro_flush() == 0);
}

/* ---- looking at it ---- */

static bool see(void *obj, void *arg)
{
	(void)arg;
	return obj != NULL;
}

static void hear(const ouro_gc_event *event, void *arg)
{
	(void)event;
	(void)arg;
}

static void step_looks(void)
{
	struct node *n = made(ouro_new(&node_type));
	FILE *f = fopen("/dev/null", "w");
	ouro_stats s;
	ouro_gc_stats gs[3];

	if (worked(ouro_gc_on_event(hear, NULL)))
		REQUIRE(ouro_gc_off_event(hear, NULL) == 0);
	listed(ouro_gc_objects(-1, see, NULL));
	listed(ouro_gc_objects(2, see, NULL));
	if (n != NULL) {
		ouro_give(&n->left, made(ouro_new(&node_type)));
		listed(ouro_gc_referents(n, see, NULL));
		listed(ouro_gc_referrers(n, see, NULL));
		worked(ouro_dump_dot(f, n, 100));
		REQUIRE(ouro_refcount(n) == 1);
	}
	worked(ouro_stats_write(f, OURO_STATS_TEXT));
	worked(ouro_stats_write(f, OURO_STATS_JSON));
	worked(ouro_stats_write(f, OURO_STATS_OPENMETRICS));
	ouro_stats_get(&s);
	ouro_gc_get_stats(gs);
	fclose(f);
	ouro_release(n);
}

static void step_garbage(void)
{
	struct node *n = made(ouro_new(&node_type));

	if (n != NULL)
		ouro_store(&n->left, n);
	ouro_release(n);
	ouro_gc_set_debug(OURO_DEBUG_SAVEALL);
	listed(ouro_gc_collect(2));
	listed(ouro_gc_garbage(see, NULL));
	ouro_gc_garbage_clear();
	ouro_gc_set_debug(0);
	ouro_gc_freeze();
	ouro_gc_unfreeze();
}

static int fork_child(void)
{
	ouro_release(made(ouro_new(&node_type)));
	listed(ouro_gc_collect(2));
	REQUIRE(ouro_flush() == 0);
	return 0;
}

static void step_fork(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fork_child());
	REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
	REQUIRE(status == 0);
}

/* ---- the scenario ---- */

struct shortage {
	enum oi_fail kind;
	unsigned long n;
	bool forever;
};

static void start(void)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT;

	cfg.release_batch = 50;
	cfg.threshold[0] = 100;
	REQUIRE(ouro_init(&cfg) == 0);
	ouro_set_log(log_to_book, &log_book);
}

/* It is over: what died meanwhile is gone, and everything works. */
static void finish(void)
{
	ouro_report r = { 9, 9 };

	for (int i = 0; i < 3; i++) {
		REQUIRE(ouro_flush() == 0);
		REQUIRE(ouro_gc_collect(2) >= 0);
	}
	REQUIRE(ouro_flush() == 0);
	const char *wrong = oi_verify_heap();
	if (wrong != NULL)
		dprintf(2, "%s\n", wrong);
	REQUIRE(wrong == NULL);
	if (objects_live() != 0)
		dprintf(2, "%d objects; log: %s\n", (int)objects_live(), log_book.text);
	REQUIRE(objects_live() == 0);
	step_cycles();
	step_threads();
	REQUIRE(ouro_shutdown(&r) == 0);
	REQUIRE(r.objects == 0 && r.bytes == 0);
	REQUIRE(!oi_remnant_any());
}

static int scenario(void *arg)
{
	const struct shortage *s = arg;

	start();
	oi_fail_arm(s->kind, s->n, s->forever);
	step_sizes();
	step_cycles();
	step_list();
	step_weak();
	step_threads();
	step_looks();
	step_garbage();
	if (!TSAN_BUILD)
		step_fork();
	bool failed = oi_fail_failed(s->kind) != 0;
	oi_fail_arm(s->kind, 0, false);
	finish();
	return failed ? 0 : NO_FAILURE;
}

static void run_through(enum oi_fail kind, const char *name, bool forever)
{
	struct shortage s = { kind, 1, forever };
	char text[8192];

	for (;; s.n += 1 + s.n / (SANITIZED ? 1 : 2)) {
		int status = child_status(scenario, &s, text, sizeof(text));

		if (WIFEXITED(status) && WEXITSTATUS(status) == NO_FAILURE)
			return;
		if (status != 0)
			fail_msg("%s %lu%s: status 0x%x: %s", name, s.n, forever ? "+" : "", (unsigned)status, text);
		assert_true(s.n < HARD_END);
	}
}

static void shortage_once_is_answered(void **state)
{
	(void)state;
	for (int i = 0; i < KINDS; i++)
		run_through(kinds[i].kind, kinds[i].name, false);
}

static void shortage_that_lasts_is_answered(void **state)
{
	(void)state;
	for (int i = 0; i < KINDS; i++)
		run_through(kinds[i].kind, kinds[i].name, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(shortage_once_is_answered),
		BARE_CASE(shortage_that_lasts_is_answered),
	};

	return cmocka_run_group_tests_name("shortage", tests, NULL, NULL);
}

#else

int main(void)
{
	puts("skipped: failures are injected in checked builds only");
	return 0;
}

#endif
