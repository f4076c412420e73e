/*
 * Goal: any call in any state answers as its header says.
 * Method: a table of all calls, and one of states. A state is forced, by a callback or by another
 *   thread that is known to be at its point; all calls are made there, in a child with a time
 *   limit. What hangs or crashes is named, and the rest goes on in the next child.
 * A failure would mean: a server hangs, or dies, in a call that its header allows.
 */
#include "fixture.h"

#include <sys/mman.h>

#include "base/holdup.h"
#include "base/wake.h"
#include "world/gate.h"

enum { CALL_LIMIT_S = SANITIZED ? 150 : 75 }; /* longer than anything is waited for */

/* ---- calls ---- */

/* What a call does, of which states refuse some. The last ones end the heap, or the thread's part in it. */
enum kind { ANY, COLLECTS, FLUSHES, ENDS };

static int pass(bool good)
{
	return good ? 0 : -1;
}

static int answer(ssize_t n)
{
	return n >= 0 ? 0 : errno;
}

static bool see(void *obj, void *arg)
{
	(void)obj;
	return ++*(int *)arg < 10;
}

static void hear(const ouro_gc_event *event, void *arg)
{
	(void)event;
	(void)arg;
}

static void run_watch(void *arg)
{
	(void)arg;
}

static void log_nothing(const char *message, void *arg)
{
	(void)message;
	(void)arg;
}

static int call_version(void) { return pass(strlen(ouro_version()) > 0); }

static int call_init(void)
{
	int error = ouro_init(NULL);

	return pass(error == 0 || error == EALREADY);
}

static int call_attach(void) { return ouro_thread_attach("states"); }

static int call_detach(void)
{
	ouro_thread_detach();
	return 0;
}

static int call_pin(void)
{
	ouro_pin();
	ouro_pin();
	ouro_safepoint();
	ouro_unpin();
	ouro_unpin();
	return 0;
}

static int call_safepoint(void)
{
	ouro_safepoint();
	return 0;
}

static int call_set_log(void)
{
	ouro_set_log(log_nothing, NULL);
	ouro_set_log(log_to_book, &log_book);
	return 0;
}

static int call_nothing(void) /* calls that take NULL */
{
	ouro_weak cell = { 0 };
	struct node *slot = NULL;

	ouro_release(NULL);
	ouro_weak_clear(&cell);
	return pass(ouro_retain(NULL) == NULL && ouro_try_retain(NULL) == NULL && ouro_load(&slot) == NULL &&
		    ouro_take(&slot) == NULL && ouro_weak_expired(&cell) && ouro_weak_load(&cell) == NULL);
}

static int call_new(void)
{
	for (int i = 0; i < 3000; i++) {
		struct node *n = ouro_new(&node_type);

		if (n == NULL)
			return -1;
		ouro_release(n);
	}
	return 0;
}

static int call_new_items(void)
{
	static const ouro_type row_type = {
		.name = "row", .size = 8, .item_size = sizeof(struct node *), .item_slots = OURO_ITEM_REFS,
	};
	void *small = ouro_new_items(&row_type, 3), *large = ouro_new_items(&row_type, 500000);
	bool good = small != NULL && large != NULL && ouro_items(small) == 3 &&
		    ouro_items(large) == 500000;

	ouro_release(small);
	ouro_release(large);
	return pass(good);
}

static int call_vec(void)
{
	ouro_vec *v = ouro_vec_new(10);
	struct node *n = make(1);
	size_t i = 1;
	int error = ouro_vec_push(v, n, NULL);

	if (error == 0)
		error = ouro_vec_push(v, n, &i);
	if (error == 0)
		error = ouro_vec_set(v, 0, n);
	if (error == 0)
		error = ouro_vec_compare_set(v, i, n, n);
	struct node *got = ouro_vec_get(v, 1), *popped = ouro_vec_pop(v);
	bool good = got == n && popped == n && ouro_vec_size(v) == 1 &&
		    ouro_vec_reserve(v, 100) == 0;

	ouro_vec_clear(v);
	ouro_release(got);
	ouro_release(popped);
	ouro_release(n);
	ouro_release(v);
	return error ? error : pass(good);
}

static int call_bytes(void)
{
	ouro_bytes *a = ouro_bytes_new("abc", 3), *b = ouro_bytes_new("abc", 3);
	bool good = a != NULL && b != NULL && ouro_bytes_hash(a) == ouro_bytes_hash(b) &&
		    ouro_bytes_equal(a, b) && ouro_bytes_size(a) == 3 &&
		    strcmp(ouro_bytes_data(b), "abc") == 0;

	ouro_release(a);
	ouro_release(b);
	return pass(good);
}

static int call_counts(void)
{
	struct node *n = make(1);
	bool good = ouro_retain(n) == n && ouro_try_retain(n) == n && ouro_refcount(n) == 3 && ouro_typeof(n) == &node_type &&
		    ouro_items(n) == 0 && ouro_gc_is_tracked(n) && !ouro_gc_is_finalized(n);

	for (int i = 0; i < 3; i++)
		ouro_release(n);
	return pass(good);
}

static int call_immortalize(void)
{
	struct node *n = make(1);

	ouro_immortalize(n);
	return pass(ouro_refcount(n) == SIZE_MAX);
}

static void *make_value(const ouro_map_item *item, void *arg)
{
	(void)arg;
	return make((int)item->number);
}

/* A value is made in all states but in a pinned region. */
static int call_map_once(void)
{
	bool pinned = oi_self != NULL && oi_self->pin_depth > 0;
	ouro_map *m = ouro_map_new();
	void *n = ouro_map_get_or_create_int(m, 1, make_value, NULL);
	bool good = n != NULL ? !pinned : pinned && errno == EDEADLK;

	ouro_release(n);
	ouro_release(m);
	return pass(good);
}

struct keyed {
	void *ouro_values;
};

static const ouro_type keyed_type = {
	.name = "keyed", .size = sizeof(struct keyed), .flags = OURO_KEY,
	.slots = OURO_SLOTS(struct keyed, ouro_values),
};

static int call_key_map(void)
{
	ouro_key_map *m = ouro_key_map_new();
	struct keyed *k = ouro_new(&keyed_type);
	struct node *n = make(1);
	bool good = ouro_key_map_put(m, k, n) == 0 && ouro_key_map_put_if_absent(m, k, n) == EEXIST;
	struct node *got = ouro_key_map_get(m, k);

	good = good && got == n && ouro_key_map_size(m) == 1 && ouro_key_map_remove(m, k);
	good = good && ouro_key_map_put(m, k, n) == 0;
	ouro_release(got);
	ouro_release(n);
	ouro_release(k);
	ouro_release(m);
	return pass(good);
}

static int call_weak_map(void)
{
	ouro_weak_map *m = ouro_weak_map_new();
	struct node *n = make(1);
	bool good = ouro_weak_map_put_int(m, 1, n) == 0 && ouro_weak_map_put_if_absent(m, "k", 1, n) == 0;
	struct node *got = ouro_weak_map_get_int(m, 1);

	good = good && got == n && ouro_weak_map_remove_int(m, 1) && ouro_weak_map_size(m) == 1;
	ouro_release(got);
	ouro_release(n);
	good = good && ouro_weak_map_get(m, "k", 1) == NULL;
	ouro_release(m);
	return pass(good);
}

static int call_slots(void)
{
	struct node *a = make(1), *b = make(2), *got;
	bool good;

	ouro_store(&a->left, b);
	got = ouro_load(&a->left);
	good = got == b && ouro_compare_exchange(&a->left, b, a) && !ouro_compare_exchange(&a->left, b, b);
	good &= !ouro_compare_give(&a->left, b, got) && ouro_compare_give(&a->left, a, got);
	ouro_release(ouro_exchange(&a->left, NULL));
	ouro_pin();
	good &= ouro_peek(&a->left) == NULL;
	ouro_unpin();
	ouro_release(ouro_take(&a->left));
	ouro_release(a);
	ouro_release(b);
	return pass(good);
}

static int call_weak(void)
{
	struct node *n = make(1), *got;
	ouro_weak cell = { 0 };
	bool good = ouro_weak_store(&cell, n) == 0 && !ouro_weak_expired(&cell);

	got = ouro_weak_load(&cell);
	good &= got == n && ouro_weak_is(&cell, n) && !ouro_weak_is(&cell, NULL);
	ouro_external_bytes(n, 1);
	ouro_external_bytes(n, -1);
	ouro_release(got);
	ouro_release(n);
	good &= ouro_weak_expired(&cell) && ouro_weak_load(&cell) == NULL;
	ouro_weak_clear(&cell);
	return pass(good);
}

static int call_watch(void)
{
	struct node *n = make(1);
	ouro_watch_id id = 0;
	bool good = ouro_watch(n, run_watch, NULL, &id) == 0 && id != 0 && ouro_unwatch(id) &&
		    !ouro_unwatch(id);

	good &= ouro_watch(n, run_watch, NULL, NULL) == 0;
	ouro_release(n);
	return pass(good);
}

static int call_finalizer(void)
{
	ouro_release(make_of(&loud_type, 7));
	return 0;
}

static int call_cycle(void)
{
	ouro_release(make_pair(&loud_type, 8));
	return 0;
}

static int call_collect_0(void) { return answer(ouro_gc_collect(0)); }
static int call_collect_1(void) { return answer(ouro_gc_collect(1)); }
static int call_collect_2(void) { return answer(ouro_gc_collect(2)); }
static int call_collect_bad(void) { return pass(ouro_gc_collect(3) == -1 && errno == EINVAL); }
static int call_run_finalizers(void) { return pass(ouro_run_finalizers(5) <= 5); }

static int call_enable(void)
{
	ouro_gc_enable();
	ouro_gc_is_enabled();
	ouro_gc_disable();
	return pass(!ouro_gc_is_enabled());
}

static int call_threshold(void)
{
	int was[3], counts[3];

	ouro_gc_get_threshold(was);
	ouro_gc_get_count(counts);
	return pass(ouro_gc_set_threshold(-2, 0, 0) == EINVAL && ouro_gc_set_threshold(was[0], was[1], was[2]) == 0 &&
		    counts[0] >= 0 && counts[1] >= 0 && counts[2] >= 0);
}

static int call_freeze(void)
{
	ouro_gc_freeze();
	ouro_gc_freeze_count();
	ouro_gc_unfreeze();
	return pass(ouro_gc_freeze_count() == 0);
}

static int call_objects(void)
{
	int n = 0;

	return answer(ouro_gc_objects(-1, see, &n));
}

static int call_referents(void)
{
	struct node *n = make(1);
	int seen = 0, error = answer(ouro_gc_referents(n, see, &seen));

	ouro_release(n);
	return error;
}

static int call_referrers(void)
{
	struct node *n = make(1);
	int seen = 0, error = answer(ouro_gc_referrers(n, see, &seen));

	ouro_release(n);
	return error;
}

static bool see_step(const ouro_path_step *step, void *arg)
{
	(void)step;
	++*(int *)arg;
	return true;
}

static int call_path(void)
{
	struct node *n = make(1);
	int seen = 0, error = answer(ouro_gc_path(n, see_step, &seen));

	ouro_release(n);
	return error;
}

static int call_snapshot(void)
{
	FILE *f = fopen("/dev/null", "w");
	int error = ouro_snapshot_write(f);

	fclose(f);
	return error;
}

static int call_dump(void)
{
	struct node *n = make(1);
	FILE *f = fopen("/dev/null", "w");
	int error = ouro_dump_dot(f, n, 10);

	fclose(f);
	ouro_release(n);
	return error;
}

static int call_events(void)
{
	static int mark;

	return pass(ouro_gc_on_event(NULL, NULL) == EINVAL && ouro_gc_off_event(hear, &mark) == ENOENT &&
		    ouro_gc_on_event(hear, &mark) == 0 && ouro_gc_off_event(hear, &mark) == 0);
}

static int call_debug(void)
{
	unsigned was = ouro_gc_get_debug();

	ouro_gc_set_debug(OURO_DEBUG_SAVEALL);
	ouro_gc_set_debug(was);
	return pass(ouro_gc_get_debug() == was);
}

static int call_garbage(void)
{
	int n = 0;
	bool good = ouro_gc_garbage(see, &n) >= 0;

	ouro_gc_garbage_clear();
	return pass(good);
}

static int call_stats(void)
{
	ouro_stats stats;
	ouro_gc_stats gc[3];
	FILE *f = fopen("/dev/null", "w");
	bool good = ouro_stats_write(f, OURO_STATS_JSON) == 0 &&
		    ouro_stats_write(NULL, OURO_STATS_TEXT) == EINVAL;

	fclose(f);
	ouro_stats_get(&stats);
	ouro_gc_get_stats(gc);
	return pass(good && stats.objects_freed <= stats.objects_allocated);
}

static int call_trace(void)
{
	FILE *f = fopen("/dev/null", "w");
	bool good = ouro_trace_start(NULL) == 0;

	good = ouro_trace_write(f) == 0 && ouro_trace_stop() == 0 && good;
	fclose(f);
	return pass(good);
}

static int call_type_stats(void)
{
	ouro_type_stat rows[2];

	return answer(ouro_type_stats(rows, 2));
}

static int call_type_retire(void)
{
	static const ouro_type unused_type = { .name = "unused", .size = 8 };

	return ouro_type_retire(&unused_type);
}

/* It may be refused, too, or have nobody who does it. */
static int call_collect_for(void)
{
	int error = ouro_gc_collect_for(1000);

	return pass(error == 0 || error == ETIMEDOUT || error == EDEADLK);
}

static void do_nothing(void *obj)
{
	(void)obj;
}

static int call_queue(void)
{
	ouro_queue queue = OURO_QUEUE_INIT(NULL, NULL);
	struct node *n = make(1);
	bool good = ouro_queue_put(&queue, n, do_nothing) == 0 && ouro_queue_run(&queue, 9) == 1;

	ouro_release(n);
	return pass(good);
}

static int call_cache(void)
{
	const ouro_map_options o = { .max_entries = 1, .ttl_ns = OURO_MAP_FOR_EVER };
	ouro_map *m = ouro_map_new_with(&o);
	struct node *n = make(1);
	bool good = ouro_map_put_int(m, 1, n) == 0 && ouro_map_put_for_int(m, 2, n, 1) == 0 &&
		    ouro_map_get_int(m, 2) == NULL && ouro_map_size(m) == 1;

	ouro_map_clear(m);
	ouro_release(n);
	ouro_release(m);
	return pass(good);
}

static int call_flush(void) { return ouro_flush(); }
static int call_shutdown(void) { return ouro_shutdown(NULL); }

static const struct call {
	const char *name;
	int (*fn)(void);
	enum kind kind;
} calls[] = {
#define CALL(name, kind) { #name, call_##name, kind }
	CALL(nothing, ANY), CALL(version, ANY), CALL(init, ANY), CALL(attach, ANY), CALL(pin, ANY),
	CALL(safepoint, ANY), CALL(vec, ANY), CALL(bytes, ANY),
	CALL(set_log, ANY), CALL(new, ANY), CALL(new_items, ANY), CALL(counts, ANY),
	CALL(immortalize, ANY), CALL(slots, ANY),
	CALL(weak, ANY), CALL(watch, ANY), CALL(finalizer, ANY), CALL(cycle, ANY),
	CALL(collect_bad, ANY),
	CALL(run_finalizers, ANY), CALL(enable, ANY), CALL(threshold, ANY), CALL(freeze, ANY),
	CALL(events, ANY),
	CALL(debug, ANY), CALL(garbage, ANY), CALL(stats, ANY), CALL(trace, ANY),
	CALL(collect_for, ANY), CALL(queue, ANY), CALL(cache, ANY),
	CALL(collect_for, ANY), CALL(queue, ANY), CALL(map_once, ANY), CALL(weak_map, ANY), CALL(key_map, ANY),
	CALL(type_stats, COLLECTS), CALL(type_retire, FLUSHES),
	CALL(objects, COLLECTS), CALL(referents, COLLECTS),
	CALL(referrers, COLLECTS), CALL(dump, COLLECTS), CALL(collect_0, COLLECTS),
	CALL(collect_1, COLLECTS), CALL(collect_2, COLLECTS), CALL(flush, FLUSHES),
	CALL(detach, ANY), CALL(new, ANY), CALL(shutdown, ENDS),
	CALL(path, COLLECTS), CALL(snapshot, COLLECTS),
	CALL(referrers, COLLECTS), CALL(dump, COLLECTS), CALL(collect_0, COLLECTS), CALL(collect_1, COLLECTS),
	CALL(collect_2, COLLECTS), CALL(flush, FLUSHES), CALL(detach, ANY), CALL(new, ANY), CALL(shutdown, ENDS),
};
#define N_CALLS (sizeof calls / sizeof *calls)

/* ---- states ---- */

struct state {
	const char *name;
	void (*enter)(void);           /* makes it so, and calls make_calls there */
	enum kind refused;             /* EDEADLK, and what is after it */
	void (*before_each)(void);
	bool one_by_one;               /* a child for each call */
	const char *checked_message;   /* with which checked builds stop the program instead */
	bool others_run;               /* threads that use the heap, which may not be shut down beside them */
};
#define NOTHING_REFUSED (ENDS + 1)

/* Between a child and its parent. */
static struct progress {
	atomic_size_t at, n_made;
	size_t only; /* this call; N_CALLS: from at on */
	atomic_bool entered, wrong;
	char text[8192];
} *progress;

static const struct state *state_now;

static void complain(const struct call *c, const char *what, int n)
{
	size_t length = strlen(progress->text);

	progress->wrong = true;
	snprintf(progress->text + length, sizeof(progress->text) - length, "\n  %s: ouro_%s: %s %d",
		 state_now->name, c->name, what, n);
}

static void make_call(size_t i)
{
	const struct call *c = &calls[i];
	int expected = c->kind >= state_now->refused && c->kind != ANY ? EDEADLK : 0, got;

	progress->at = i;
	if (state_now->before_each != NULL)
		state_now->before_each();
	got = c->fn();
	progress->n_made++;
	if (got != expected)
		complain(c, "answers", got);
}

/* Once in a child. */
static void make_calls(void)
{
	if (atomic_exchange(&progress->entered, true))
		return;
	for (size_t i = progress->only < N_CALLS ? progress->only : progress->at; i < N_CALLS; i++) {
		if (!state_now->others_run || calls[i].kind != ENDS)
			make_call(i);
		if (progress->only < N_CALLS)
			break;
	}
	if (progress->only == N_CALLS)
		progress->at = N_CALLS;
}

static void start(ouro_finalizer_mode mode)
{
	ouro_config cfg = test_config();

	cfg.finalizers = mode;
	REQUIRE(ouro_init(&cfg) == 0);
	ouro_set_log(log_to_book, &log_book);
}

static void started(void)
{
	start(OURO_FINALIZERS_THREAD);
}

static void plain(void)
{
	started();
	make_calls();
}

static void before_start(void)
{
	make_calls();
}

static void after_shutdown(void)
{
	started();
	call_cycle();
	REQUIRE(ouro_shutdown(NULL) == 0);
	make_calls();
}

static void manual(void)
{
	start(OURO_FINALIZERS_MANUAL);
	call_cycle();
	REQUIRE(ouro_gc_collect(2) >= 0);
	make_calls();
}

static void pinned(void)
{
	started();
	ouro_pin();
	make_calls();
}

/* ---- pinned, while others stop the world ---- */

static void *collect_for_ever(void *arg)
{
	for (;;)
		ouro_gc_collect(*(int *)arg);
	return NULL;
}

/* Another thread has asked this one for its gate, and holds what it holds meanwhile. */
static bool stop_waits_for_me(void)
{
	return EVENTUALLY(oi_load_acquire(&oi_self->request) & OI_REQUEST_STOP);
}

static void wait_for_a_stop(void)
{
	REQUIRE(stop_waits_for_me());
}

static void pinned_beside(int generation)
{
	started();
	ouro_pin();
	thread_start(collect_for_ever, &generation);
	make_calls();
	ouro_unpin();
}

static void pinned_in_stop(void) { pinned_beside(0); }
static void pinned_in_full(void) { pinned_beside(2); }

static void plain_beside_stops(void)
{
	int generation = 0;

	started();
	thread_start(collect_for_ever, &generation);
	make_calls();
}

/* ---- inside callbacks ---- */

static void in_callback(void *arg)
{
	(void)arg;
	make_calls();
}

static void die_of(const ouro_type *type)
{
	started();
	ouro_release(make_of(type, 1));
}

static void collect_of(const ouro_type *type)
{
	started();
	ouro_release(make_pair(type, 1));
	REQUIRE(ouro_gc_collect(2) >= 0);
}

static const ouro_type finalize_type = {
	.name = "calls", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right), .finalize = in_callback,
};
static const ouro_type clear_type = {
	.name = "calls", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right), .clear = in_callback,
};
static const ouro_type destroy_type = {
	.name = "calls", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right), .destroy = in_callback,
};

static void finalizer(void) { die_of(&finalize_type); }
static void clear(void) { die_of(&clear_type); }
static void destroy(void) { die_of(&destroy_type); }
static void set_finalizer(void) { collect_of(&finalize_type); }
static void set_clear(void) { collect_of(&clear_type); }
static void set_destroy(void) { collect_of(&destroy_type); }

static void watch(void)
{
	started();
	struct node *n = make(1);
	REQUIRE(ouro_watch(n, in_callback, NULL, NULL) == 0);
	ouro_release(n);
}

static void manual_finalizer(void)
{
	start(OURO_FINALIZERS_MANUAL);
	call_cycle();
	ouro_release(make_pair(&finalize_type, 1));
	REQUIRE(ouro_gc_collect(2) >= 0);
	REQUIRE(ouro_run_finalizers(100) > 0);
}

static void shutdown_finalizer(void)
{
	started();
	make_of(&finalize_type, 1);
	REQUIRE(ouro_shutdown(NULL) == 0);
}

static void shutdown_destroy(void)
{
	started();
	make_of(&destroy_type, 1);
	REQUIRE(ouro_shutdown(NULL) == 0);
}

/* Pinned, and a release of its own runs the finalizer. */
static void pinned_finalizer(void)
{
	started();
	ouro_pin();
	ouro_release(make_of(&finalize_type, 1));
	ouro_unpin();
}

/* ---- inside the log function ---- */

static void log_calls(const char *message, void *arg)
{
	(void)message;
	(void)arg;
	make_calls();
}

static bool all_made(void)
{
	return progress->only < N_CALLS ? progress->n_made > 0 : progress->at == N_CALLS;
}

static void log_on_the_reaper(void)
{
	started();
	ouro_set_log(log_calls, NULL);
	ouro_pin();
	ouro_gc_freeze();
	ouro_unpin();
	REQUIRE(EVENTUALLY(all_made()));
}

static void log_in_a_collection(void)
{
	started();
	ouro_set_log(log_calls, NULL);
	ouro_gc_set_debug(OURO_DEBUG_COLLECTABLE);
	call_cycle();
	REQUIRE(ouro_gc_collect(2) >= 0);
	REQUIRE(EVENTUALLY(all_made()));
}

static void log_in_a_shutdown(void)
{
	started();
	make(1);
	ouro_set_log(log_calls, NULL);
	REQUIRE(ouro_shutdown(NULL) == 0);
	REQUIRE(EVENTUALLY(all_made()));
}

static void *exit_pinned(void *arg)
{
	ouro_pin();
	return arg;
}

static void log_at_a_threads_end(void)
{
	started();
	ouro_set_log(log_calls, NULL);
	thread_run(exit_pinned, NULL);
	REQUIRE(EVENTUALLY(all_made()));
}

/* ---- inside event functions ---- */

static void call_at(const ouro_gc_event *event, void *arg)
{
	if (event->phase == *(ouro_gc_phase *)arg)
		make_calls();
}

static void listener(ouro_gc_phase phase, int generation)
{
	static ouro_gc_phase at;

	at = phase;
	started();
	REQUIRE(ouro_gc_on_event(call_at, &at) == 0);
	call_cycle();
	REQUIRE(ouro_gc_collect(generation) >= 0);
	REQUIRE(all_made());
	REQUIRE(ouro_gc_collect(2) >= 0);
}

static void start_young(void) { listener(OURO_GC_START, 0); }
static void start_full(void) { listener(OURO_GC_START, 2); }
static void stop_young(void) { listener(OURO_GC_STOP, 0); }
static void stop_full(void) { listener(OURO_GC_STOP, 2); }
static void pause_start_young(void) { listener(OURO_PAUSE_START, 0); }
static void pause_start_full(void) { listener(OURO_PAUSE_START, 2); }
static void pause_stop_young(void) { listener(OURO_PAUSE_STOP, 0); }
static void pause_stop_full(void) { listener(OURO_PAUSE_STOP, 2); }

static void holdup_listener(void)
{
	static ouro_gc_phase at = OURO_HOLDUP;

	started();
	REQUIRE(ouro_gc_on_event(call_at, &at) == 0);
	call_new();
	oi_holdup(OURO_HOLDUP_LOCK, 1000000000);
	REQUIRE(EVENTUALLY(all_made()));
}

static void listener_of_an_automatic_one(void)
{
	static ouro_gc_phase at = OURO_GC_STOP;

	started();
	REQUIRE(ouro_gc_on_event(call_at, &at) == 0);
	REQUIRE(ouro_gc_set_threshold(100, 10, 10) == 0);
	ouro_gc_enable();
	for (int i = 0; i < 20000 && !all_made(); i++) {
		call_cycle();
		sleep_ms(i % 100 == 99);
	}
	REQUIRE(EVENTUALLY(all_made()));
}

/* ---- inside a visitor ---- */

static bool visit_calls(void *obj, void *arg)
{
	(void)obj;
	(void)arg;
	make_calls();
	return true;
}

static void visitor(void)
{
	started();
	struct node *n = make_pair(&node_type, 1);
	REQUIRE(ouro_gc_objects(-1, visit_calls, NULL) == 2);
	ouro_release(n);
}

static void visitor_of_referents(void)
{
	started();
	struct node *n = make_pair(&node_type, 1);
	REQUIRE(ouro_gc_referents(n, visit_calls, NULL) == 1);
	ouro_release(n);
}

static void visitor_of_garbage(void)
{
	started();
	ouro_gc_set_debug(OURO_DEBUG_SAVEALL);
	call_cycle();
	REQUIRE(ouro_gc_collect(2) >= 0);
	REQUIRE(ouro_gc_garbage(visit_calls, NULL) >= 1);
}

/* ---- in a fork's child, and at a thread's end ---- */

static void run_in_a_fork(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		alarm(CALL_LIMIT_S);
		make_calls();
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	REQUIRE(status == 0);
}

static void forked(void)
{
	int generation = 0;

	started();
	thread_start(collect_for_ever, &generation);
	run_in_a_fork();
}

static void forked_pinned(void)
{
	started();
	ouro_pin();
	run_in_a_fork();
}

static pthread_key_t late_key;

static void late(void *arg)
{
	static _Thread_local int rounds;

	if (++rounds < 3) /* the library's own destructor has run meanwhile */
		pthread_setspecific(late_key, arg);
	else
		make_calls();
}

static void *exit_late(void *arg)
{
	call_counts();
	pthread_setspecific(late_key, &late_key);
	return arg;
}

static void thread_destructor(void)
{
	started();
	REQUIRE(pthread_key_create(&late_key, late) == 0);
	thread_run(exit_late, NULL);
}

#define PAUSED .one_by_one = CHECKED_BUILD, .checked_message = "during a pause"

static const struct state states[] = {
	{ "plain", plain, .refused = NOTHING_REFUSED },
	{ "before the start", before_start, .refused = NOTHING_REFUSED, .one_by_one = true },
	{ "after a shutdown", after_shutdown, .refused = NOTHING_REFUSED },
	{ "in manual mode", manual, .refused = NOTHING_REFUSED },
	{ "beside stops", plain_beside_stops, .refused = NOTHING_REFUSED, .others_run = true },
	{ "pinned", pinned, .refused = COLLECTS },
	{ "pinned in a stop", pinned_in_stop, .refused = COLLECTS, .before_each = wait_for_a_stop },
	{ "pinned in a full collection", pinned_in_full, .refused = COLLECTS },
	{ "in a finalizer", finalizer, .refused = FLUSHES },
	{ "in clear", clear, .refused = FLUSHES },
	{ "in destroy", destroy, .refused = FLUSHES },
	{ "in a watch", watch, .refused = FLUSHES },
	{ "in a dead set's finalizer", set_finalizer, .refused = FLUSHES },
	{ "in a dead set's clear", set_clear, .refused = FLUSHES },
	{ "in a dead set's destroy", set_destroy, .refused = FLUSHES },
	{ "in a finalizer in manual mode", manual_finalizer, .refused = FLUSHES },
	{ "in a finalizer at shutdown", shutdown_finalizer, .refused = FLUSHES },
	{ "in destroy at shutdown", shutdown_destroy, .refused = FLUSHES },
	{ "in a finalizer, pinned", pinned_finalizer, .refused = COLLECTS },
	{ "in the log function", log_on_the_reaper, .refused = ENDS },
	{ "in the log function in a collection", log_in_a_collection, .refused = FLUSHES },
	{ "in the log function in a shutdown", log_in_a_shutdown, .refused = ENDS },
	{ "in the log function at a thread's end", log_at_a_threads_end, .refused = ENDS },
	{ "at GC_START", start_young, .refused = COLLECTS },
	{ "at GC_START of a full one", start_full, .refused = COLLECTS },
	{ "at GC_STOP", stop_young, .refused = COLLECTS },
	{ "at GC_STOP of a full one", stop_full, .refused = COLLECTS },
	{ "at PAUSE_START", pause_start_young, .refused = COLLECTS, PAUSED },
	{ "at PAUSE_START of a full one", pause_start_full, .refused = COLLECTS, PAUSED },
	{ "at PAUSE_STOP", pause_stop_young, .refused = COLLECTS },
	{ "at PAUSE_STOP of a full one", pause_stop_full, .refused = COLLECTS },
	{ "at HOLDUP", holdup_listener, .refused = ENDS },
	{ "at GC_STOP of an automatic one", listener_of_an_automatic_one, .refused = COLLECTS },
	{ "in a visitor", visitor, .refused = ENDS },
	{ "in a visitor of referents", visitor_of_referents, .refused = ENDS },
	{ "in a visitor of garbage", visitor_of_garbage, .refused = ENDS },
	{ "in a fork's child", forked, .refused = NOTHING_REFUSED },
	{ "in a pinned fork's child", forked_pinned, .refused = COLLECTS },
	{ "in a thread's last destructor", thread_destructor, .refused = NOTHING_REFUSED },
};

/* ---- the matrix ---- */

static int enter(void *arg)
{
	(void)arg;
	alarm(CALL_LIMIT_S);
	state_now->enter();
	return 0;
}

/* In a checked build some calls stop the program, with a message; those that touch nothing do not. */
static bool ended_well(int status, const char *text)
{
	bool told = CHECKED_BUILD && state_now->checked_message != NULL && strstr(text, state_now->checked_message) != NULL;

	return status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && told);
}

static void run_child(void)
{
	char text[8192];
	int status;

	progress->entered = false;
	progress->n_made = 0;
	status = child_status(enter, NULL, text, sizeof(text));
	if (!ended_well(status, text)) {
		complain(&calls[progress->at < N_CALLS ? progress->at : N_CALLS - 1], text, status);
		progress->at++;
	} else if (!progress->entered) {
		complain(&calls[0], "never made", 0);
	}
}

static void run_state(const struct state *s)
{
	state_now = s;
	progress->at = 0;
	progress->only = N_CALLS;
	while (!s->one_by_one && progress->at < N_CALLS)
		run_child();
	for (size_t i = 0; s->one_by_one && i < N_CALLS; i++) {
		progress->only = i;
		run_child();
	}
}

static void states_every_call_answers(void **state)
{
	const char *only = getenv("TEST_STATE");

	(void)state;
	if (EMULATED)
		skip(); /* one of the states is a fork's child: needs_fork */
	needs_threads_in_the_child();
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(progress, MAP_FAILED);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (only == NULL || strcmp(only, states[i].name) == 0)
			run_state(&states[i]);
	if (progress->wrong)
		fail_msg("%s", progress->text);
	munmap(progress, sizeof(*progress));
}

/* ---- callbacks that would be waited for ---- */

static atomic_bool heard, go;
static atomic_int n_answers;

static void await(atomic_bool *flag)
{
	REQUIRE(EVENTUALLY(atomic_load(flag)));
}

static void first_warning(void (*fn)(const char *message, void *arg))
{
	started();
	ouro_set_log(fn, NULL);
	ouro_pin();
	ouro_gc_freeze();
	ouro_unpin();
	await(&heard);
}

static void log_that_collects(const char *message, void *arg)
{
	(void)message;
	(void)arg;
	heard = true;
	await(&go);
	ouro_gc_collect(0);
}

static void log_that_flushes(const char *message, void *arg)
{
	(void)message;
	(void)arg;
	heard = true;
	await(&go);
	ouro_flush();
}

/* What the log function waits for is the caller's: the call is to return before that, so it is let go afterwards. */
static void replace_log(void)
{
	ouro_set_log(log_nothing, NULL);
	n_answers++;
	go = true;
}

static void listener_replaces_log(const ouro_gc_event *event, void *arg)
{
	(void)arg;
	if (event->phase == OURO_GC_START && !n_answers)
		replace_log();
}

static void set_log_in_a_listener(void)
{
	first_warning(log_that_collects);
	REQUIRE(ouro_gc_on_event(listener_replaces_log, NULL) == 0);
	REQUIRE(ouro_gc_collect(0) >= 0);
}

static void finalizer_replaces_log(void *obj)
{
	(void)obj;
	replace_log();
}

static const ouro_type replaces_type = {
	.name = "replaces", .size = sizeof(struct node), .finalize = finalizer_replaces_log,
};

static void set_log_in_a_finalizer(void)
{
	first_warning(log_that_flushes);
	ouro_release(make_of(&replaces_type, 1));
}

static void slow_listener(const ouro_gc_event *event, void *arg)
{
	(void)arg;
	if (event->phase != OURO_GC_STOP || heard)
		return;
	heard = true;
	await(&go);
	call_counts(); /* a stop that waits for the pinned thread keeps it */
}

static void *collect_all(void *arg)
{
	ouro_gc_collect(2);
	return arg;
}

static void *list_all(void *arg)
{
	int n = 0;

	ouro_gc_objects(-1, see, &n);
	return arg;
}

static void off_while_pinned(void)
{
	started();
	REQUIRE(ouro_gc_on_event(slow_listener, NULL) == 0);
	pthread_t collector = thread_start(collect_all, NULL);
	await(&heard);
	ouro_pin();
	pthread_t lister = thread_start(list_all, NULL);
	wait_for_a_stop();
	REQUIRE(ouro_gc_off_event(slow_listener, NULL) == 0);
	n_answers++;
	go = true;
	ouro_unpin();
	pthread_join(collector, NULL);
	pthread_join(lister, NULL);
}

/* Its collection has events of its own meanwhile. */
static void listener_leaves(const ouro_gc_event *event, void *arg)
{
	if (event->phase != OURO_HOLDUP || n_answers)
		return;
	ouro_gc_collect(0);
	REQUIRE(ouro_gc_off_event(listener_leaves, arg) == 0);
	n_answers++;
}

static void off_in_a_nested_listener(void)
{
	started();
	REQUIRE(ouro_gc_on_event(listener_leaves, NULL) == 0);
	call_new();
	oi_holdup(OURO_HOLDUP_LOCK, 1000000000);
	REQUIRE(EVENTUALLY(n_answers));
}

static void listener_flushes(const ouro_gc_event *event, void *arg)
{
	(void)arg;
	if (event->phase != OURO_HOLDUP || heard)
		return;
	heard = true;
	REQUIRE(ouro_flush() == 0); /* waits for the finalizer */
	go = true;
}

static void finalizer_takes_listener_off(void *obj)
{
	(void)obj;
	oi_holdup(OURO_HOLDUP_LOCK, 1000000000);
	oi_wake_tick();
	await(&heard);
	REQUIRE(ouro_gc_off_event(listener_flushes, NULL) == 0);
	n_answers++;
}

static const ouro_type takes_off_type = {
	.name = "takes off", .size = sizeof(struct node), .finalize = finalizer_takes_listener_off,
};

static void off_in_a_finalizer(void)
{
	started();
	REQUIRE(ouro_gc_on_event(listener_flushes, NULL) == 0);
	ouro_release(make_of(&takes_off_type, 1));
	await(&go);
}

/* ---- callbacks that return pinned ---- */

static void leave_pinned(void *arg)
{
	(void)arg;
	n_answers++;
	ouro_pin();
}

static const ouro_type leaves_pinned_type = {
	.name = "leaves pinned", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = leave_pinned, .clear = leave_pinned, .destroy = leave_pinned,
};

static void *can_collect(void *arg)
{
	*(bool *)arg = ouro_gc_collect(2) >= 0;
	return NULL;
}

/* Nobody is pinned: neither this thread nor, for another one, it. */
static void require_unpinned(void)
{
	bool could = false;

	REQUIRE(n_answers > 0);
	REQUIRE(ouro_gc_collect(2) >= 0);
	thread_run(can_collect, &could);
	REQUIRE(could);
}

static void callbacks_leave_pinned(void)
{
	started();
	ouro_release(make_pair(&leaves_pinned_type, 1));
	REQUIRE(ouro_gc_collect(2) == 2);
	struct node *n = make_of(&leaves_pinned_type, 3);
	REQUIRE(ouro_watch(n, leave_pinned, NULL, NULL) == 0);
	ouro_release(n);
	REQUIRE(n_answers == 10);
	require_unpinned();
}

static void pin_at_start(const ouro_gc_event *event, void *arg)
{
	if (event->phase == OURO_GC_START)
		leave_pinned(arg);
}

static void listener_leaves_pinned(void)
{
	started();
	REQUIRE(ouro_gc_on_event(pin_at_start, NULL) == 0);
	REQUIRE(ouro_gc_collect(0) >= 0);
	require_unpinned();
}

static bool visit_and_pin(void *obj, void *arg)
{
	(void)obj;
	leave_pinned(arg);
	return true;
}

static void visitor_leaves_pinned(void)
{
	started();
	struct node *n = make(1);
	REQUIRE(ouro_gc_objects(-1, visit_and_pin, NULL) == 1);
	ouro_release(n);
	require_unpinned();
}

static void log_and_pin(const char *message, void *arg)
{
	(void)message;
	leave_pinned(arg);
	heard = true;
}

static void log_leaves_pinned(void)
{
	first_warning(log_and_pin);
	require_unpinned();
}

static const struct state tangles[] = {
	{ .name = "set_log in a listener", .enter = set_log_in_a_listener },
	{ .name = "set_log in a finalizer", .enter = set_log_in_a_finalizer },
	{ .name = "off_event while pinned", .enter = off_while_pinned },
	{ .name = "off_event in a nested listener", .enter = off_in_a_nested_listener },
	{ .name = "off_event in a finalizer", .enter = off_in_a_finalizer },
	{ .name = "callbacks leave pinned", .enter = callbacks_leave_pinned,
	  .checked_message = "the finalizer of a \"leaves pinned\" returned inside a pinned region" },
	{ .name = "a listener leaves pinned", .enter = listener_leaves_pinned,
	  .checked_message = "the event function returned inside a pinned region" },
	{ .name = "a visitor leaves pinned", .enter = visitor_leaves_pinned,
	  .checked_message = "the visitor returned inside a pinned region" },
	{ .name = "the log function leaves pinned", .enter = log_leaves_pinned,
	  .checked_message = "the log function returned inside a pinned region" },
};

static int entangle(void *arg)
{
	(void)arg;
	alarm(CALL_LIMIT_S);
	state_now->enter();
	return n_answers ? 0 : 98;
}

static void states_nobody_is_waited_for_who_waits(void **state)
{
	char text[8192];
	int n_wrong = 0;

	(void)state;
	needs_threads_in_the_child();
	for (size_t i = 0; i < sizeof(tangles) / sizeof(tangles[0]); i++) {
		state_now = &tangles[i];
		int status = child_status(entangle, NULL, text, sizeof(text));
		bool stops = CHECKED_BUILD && state_now->checked_message != NULL;
		if (!ended_well(status, text) || (stops && status == 0)) {
			print_message("%s: status 0x%x: %s\n", state_now->name, (unsigned)status, text);
			n_wrong++;
		}
	}
	assert_int_equal(n_wrong, 0);
}

/* ---- traverse has no way out but its return ---- */

static jmp_buf out_of_traverse;
static enum { TRAVERSE_RETURNS, TRAVERSE_EXITS, TRAVERSE_JUMPS, TRAVERSE_CALLS } misdeed;

static void traverse_badly(void *obj, ouro_visitor *v)
{
	(void)obj;
	(void)v;
	if (misdeed == TRAVERSE_EXITS)
		pthread_exit(NULL);
	if (misdeed == TRAVERSE_JUMPS)
		longjmp(out_of_traverse, 1);
	if (misdeed == TRAVERSE_CALLS)
		ouro_gc_collect(0);
}

static void clear_nothing(void *obj)
{
	(void)obj;
}

static const ouro_type badly_type = {
	.name = "badly", .size = sizeof(struct node), .traverse = traverse_badly, .clear = clear_nothing,
};

static int child_traverses(void *how)
{
	int n = 0;

	alarm(CALL_LIMIT_S);
	started();
	struct node *obj = make_of(&badly_type, 1);
	misdeed = *(int *)how;
	if (setjmp(out_of_traverse) == 0)
		ouro_gc_referents(obj, see, &n);
	ouro_gc_objects(-1, see, &n);
	return 0;
}

static int child_collects(void *how)
{
	alarm(CALL_LIMIT_S);
	started();
	ouro_release(ouro_retain(make_of(&badly_type, 1)));
	misdeed = *(int *)how;
	if (setjmp(out_of_traverse) == 0)
		ouro_gc_collect(2);
	ouro_flush();
	return 0;
}

static void assert_traverse_is_named(int (*child)(void *), int how, const char *message)
{
	char text[8192];
	int status = child_status(child, &how, text, sizeof(text));

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || strstr(text, message) == NULL)
		fail_msg("%d: status 0x%x: %s", how, (unsigned)status, text);
}

static void states_traverse_that_does_not_return_is_named(void **state)
{
	const char *left = "the traverse of a \"badly\" called the library, or was left by longjmp";

	(void)state;
	needs_threads_in_the_child();
	assert_traverse_is_named(child_traverses, TRAVERSE_JUMPS, left);
	assert_traverse_is_named(child_traverses, TRAVERSE_CALLS, left);
	assert_traverse_is_named(child_collects, TRAVERSE_JUMPS, left);
	assert_traverse_is_named(child_collects, TRAVERSE_CALLS, left);
	needs_forced_unwinds();
	assert_traverse_is_named(child_traverses, TRAVERSE_EXITS, "the traverse of a \"badly\" did not return");
	assert_traverse_is_named(child_collects, TRAVERSE_EXITS, "the traverse of a \"badly\" did not return");
}

/* ---- pinned, while another thread stops the world ---- */

static void *collect_young(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)ouro_gc_collect(0);
}

/* The reaper brings the message, unless the stop has caught it in the middle of something: then the next time. */
static bool logged_while_pinned(const char *needle)
{
	bool logged = false;
	pthread_t stopper;

	for (int i = 0; i < 100 && !logged; i++) {
		ouro_pin();
		assert_int_equal(pthread_create(&stopper, NULL, collect_young, NULL), 0);
		assert_true(stop_waits_for_me());
		assert_int_equal(ouro_thread_attach("renamed"), 0);
		for (int ms = 0; ms < 50 + 5 * i && !logged; ms++, sleep_ms(1))
			logged = book_count(&log_book, needle) > 0;
		ouro_unpin();
		assert_int_equal(pthread_join(stopper, NULL), 0);
	}
	return logged;
}

static void states_pinned_thread_is_renamed_during_a_stop(void **state)
{
	(void)state;
	assert_true(logged_while_pinned("\"renamed\"")); /* it has been pinned for long */
}

static void states_pinned_thread_reads_statistics_during_a_stop(void **state)
{
	ouro_stats stats;
	pthread_t stopper;

	(void)state;
	ouro_pin();
	assert_int_equal(pthread_create(&stopper, NULL, collect_young, NULL), 0);
	assert_true(stop_waits_for_me());
	ouro_stats_get(&stats);
	assert_int_equal(stats.threads, 2);
	ouro_unpin();
	assert_int_equal(pthread_join(stopper, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_every_call_answers),
		cmocka_unit_test(states_nobody_is_waited_for_who_waits),
		cmocka_unit_test(states_traverse_that_does_not_return_is_named),
		HEAP_CASE(states_pinned_thread_reads_statistics_during_a_stop),
		HEAP_CASE(states_pinned_thread_is_renamed_during_a_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
