#!/bin/sh
# Goal: a C++ exception that leaves a callback, through ouro_release or ouro_gc_collect, leaves a whole heap behind.
# Method: a C++ program whose finalizers and destroys throw, with handlers outside, and inside a finalizer that collects or a listener;
# visitors and log functions that throw.
# A failure would mean: an exception in a destructor of the program's ends memory management on that thread for good.
. tests/common.sh

if ! have "$cxx"; then
	echo "skipped: no $cxx"
	exit 0
fi

cat >"$tmp/throws.cc" <<'END'
#include <ouro.h>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>

struct node { node *next; };
static std::atomic<int> n_finalized, n_destroyed, n_caught, to_throw;

/* Once: the rest is done on the library's own threads, where there is no handler. */
static void throw_if(int what)
{
	if (to_throw.compare_exchange_strong(what, 0))
		throw std::runtime_error("out of a callback");
}

static void finalize(void *)
{
	n_finalized++;
	throw_if(1);
}

static void destroy(void *)
{
	n_destroyed++;
	throw_if(2);
}

static ouro_type make_type(void (*finalizer)(void *), void (*destroyer)(void *))
{
	ouro_type t = {};
	t.name = "throwing";
	t.size = sizeof(node);
	t.slots.n = 1;
	t.slots.field[0].count = 1;
	t.finalize = finalizer;
	t.destroy = destroyer;
	return t;
}
static const ouro_type type = make_type(finalize, destroy);

static node *list(int n)
{
	node *head = nullptr;
	for (int i = 0; i < n; i++) {
		node *next = static_cast<node *>(ouro_new(&type));
		ouro_give(&next->next, head);
		head = next;
	}
	return head;
}

static void ring()
{
	node *a = list(2);
	ouro_store(&a->next->next, a);
	ouro_release(a);
}

template <typename F> static void guarded(int what, F f)
{
	to_throw = what;
	try {
		f();
	} catch (const std::runtime_error &) {
		n_caught++;
	}
}

static void finalize_outer(void *)
{
	guarded(1, [] { ring(); ouro_gc_collect(2); });
}
static const ouro_type outer_type = make_type(finalize_outer, nullptr);

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	ouro_stats s;
	ouro_stats_get(&s);
	std::printf("%s: caught %d, finalized %d, destroyed %d, live %lu\n", what, n_caught.load(), n_finalized.load(),
		    n_destroyed.load(), (unsigned long)s.objects_live);
	std::exit(1);
}

static void check(const char *what, int caught, int n)
{
	need(ouro_flush() == 0, "flush");
	need(ouro_gc_collect(2) >= 0, "collect");
	ouro_stats s;
	ouro_stats_get(&s);
	need(n_caught == caught && n_finalized == n && n_destroyed == n && s.objects_live == 0, what);
	n_caught = n_finalized = n_destroyed = 0;
}

static void all()
{
	for (int what = 1; what <= 2; what++) {
		guarded(what, [] { ouro_release(ouro_new(&type)); });
		check("release", 1, 1);
		guarded(what, [] { ring(); ouro_gc_collect(2); });
		check("collection", 1, 2);
	}
	ouro_release(ouro_new(&outer_type));
	check("inside a finalizer", 1, 2);
}

/* ---- what belongs to no object ---- */

static bool throwing_visitor(void *, void *)
{
	throw std::runtime_error("out of a visitor");
}

static thread_local bool throws_here;

static void throwing_log(const char *, void *)
{
	if (throws_here)
		throw std::runtime_error("out of the log function");
}

/* Now and then the message is told by the library's thread, which has no handler. */
static void log_throws()
{
	ouro_set_log(throwing_log, nullptr);
	int rounds = 0;
	for (; rounds < 1000 && !n_caught; rounds++) {
		ouro_gc_set_debug(OURO_DEBUG_STATS);
		throws_here = true;
		guarded(0, [] { ring(); ouro_gc_collect(2); });
		throws_here = false;
		ouro_gc_set_debug(0);
	}
	ouro_set_log(nullptr, nullptr);
	check("log function", 1, 2 * rounds);
}

/* Its pinned region ends with it. */
static void throw_pinned(void *)
{
	ouro_pin();
	throw std::runtime_error("out of a pinned finalizer");
}
static const ouro_type pinning_type = make_type(throw_pinned, nullptr);

static void pinned_throws()
{
	guarded(0, [] { ouro_release(ouro_new(&pinning_type)); });
	check("pinned finalizer", 1, 0);
}

static void visitor_throws()
{
	node *kept = list(5);
	guarded(0, [] { ouro_gc_objects(-1, throwing_visitor, nullptr); });
	ouro_release(kept);
	check("visitor", 1, 5);
}

/* A finalizer throws, and a listener catches it: the collection goes on behind both. */
static void catch_at_start(const ouro_gc_event *e, void *)
{
	if (e->phase == OURO_GC_START)
		guarded(1, [] { ouro_release(ouro_new(&type)); });
}

static void catch_at_stop(const ouro_gc_event *e, void *)
{
	if (e->phase == OURO_GC_STOP)
		guarded(1, [] { ouro_run_finalizers(1); });
}

static void listener_catches()
{
	ouro_gc_on_event(catch_at_start, nullptr);
	ring();
	need(ouro_gc_collect(2) == 2, "collection whose listener catches");
	ouro_gc_off_event(catch_at_start, nullptr);
	check("listener", 1, 3);
}

/* Automatic collections still begin. */
static void automatic()
{
	ouro_gc_set_threshold(10, 10, 10);
	ouro_gc_enable();
	for (int i = 0; i < 20000 && !n_destroyed; i++) {
		ring();
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
	}
	need(n_destroyed > 0, "automatic collection");
	ouro_gc_disable();
	ouro_gc_collect(2);
	need(ouro_flush() == 0, "flush"); /* the reaper, too, has done with what was found before */
	n_finalized = n_destroyed = 0;
}

static void manual()
{
	ring();
	need(ouro_gc_collect(2) == 2 && n_finalized == 0, "manual mode");
	ring();
	ouro_gc_on_event(catch_at_stop, nullptr);
	need(ouro_gc_collect(2) == 2, "collection whose listener runs finalizers");
	ouro_gc_off_event(catch_at_stop, nullptr);
	while (ouro_run_finalizers(SIZE_MAX))
		;
	check("finalizers in a listener", 1, 4);
}

static void start(ouro_finalizer_mode mode)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT;
	cfg.enabled = false;
	cfg.finalizers = mode;
	need(ouro_init(&cfg) == 0, "start");
}

static void stop()
{
	ouro_report r;
	need(ouro_shutdown(&r) == 0 && r.objects == 0, "shutdown");
}

int main()
{
	start(OURO_FINALIZERS_THREAD);
	all();
	std::thread(all).join();
	visitor_throws();
	pinned_throws();
	log_throws();
	listener_catches();
	automatic();
	stop();
	start(OURO_FINALIZERS_MANUAL);
	manual();
	stop();
	return 0;
}
END
"$cxx" -std=c++17 -O1 -g $sanitize -Iinclude -o "$tmp/throws" "$tmp/throws.cc" "$build/libouro.a" $private
timeout 600 "$tmp/throws" || fail "an exception out of a callback (status $?)"

echo "test_callbacks_cxx: passed"
