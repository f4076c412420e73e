/*
 * fixture.h - what the test files share: a heap for each case, a captured log, a journal, threads,
 * children
 *
 * Every case starts with its own ouro_init and ends with an ouro_shutdown that must find nothing
 * left. A case that expects something left shuts down itself: the one of the teardown then finds
 * nothing running, which is fine. Automatic collection is off unless a case turns it on. cmocka's
 * assertions work in the main thread only: threads and children report through memory or an exit
 * code.
 */
#ifndef OURO_TESTS_FIXTURE_H
#define OURO_TESTS_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <ouro.h>

/* ---- loads and patience: cut and stretched here and nowhere else ---- */

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TEST_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define TEST_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) && !defined(TEST_TSAN)
#define TEST_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(TEST_ASAN)
#define TEST_ASAN 1
#endif

/* An emulator stands between program and machine as a sanitizer does. */
#if defined(TEST_TSAN) || defined(TEST_ASAN) || defined(TEST_EMULATED)
enum { SANITIZED = 1, LOAD_DIVISOR = 10, SMALL_STACK_BYTES = 512 << 10 };
#else
enum { SANITIZED = 0, LOAD_DIVISOR = 1, SMALL_STACK_BYTES = 64 << 10 };
#endif
/*
 * Seconds. Many mutants are noticed by what never comes: for them TEST_PATIENCE makes it shorter
 * (mutants/run.sh), though longer than what comes takes on a busy machine.
 */
static int patience_s = SANITIZED ? 300 : 200;
#define PATIENCE_S patience_s
#define CASE_LIMIT_S (3 * patience_s)
#define LOAD(n) ((n) / LOAD_DIVISOR)

#if defined(TEST_TSAN)
/*
 * The children of the fork tests start threads, which is what they are there for. There TSan knows a new thread by the address of
 * one of the parent's, if the system gives it the same stack, and says that it was never joined; test_lifecycle counts threads.
 */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "die_after_fork=0:report_thread_leaks=0";
}
#endif

#if defined(TEST_EMULATED)
enum { EMULATED = 1 };
#else
enum { EMULATED = 0 };
#endif

#if defined(TEST_TSAN)
enum { TSAN_BUILD = 1 };
#else
enum { TSAN_BUILD = 0 };
#endif

#if defined(TEST_ASAN)
enum { ASAN_BUILD = 1 };
#else
enum { ASAN_BUILD = 0 };
#endif

#if defined(OURO_CHECKED) && OURO_CHECKED /* lib/ makes it 0 where it is not set */
enum { CHECKED_BUILD = 1 };
#else
enum { CHECKED_BUILD = 0 };
#endif

/* For files whose cases count collections, or what these find: OURO_COLLECT_EVERY would add its own. */
#if defined(TEST_COUNTS_COLLECTIONS)
__attribute__((constructor)) static void force_no_collections(void)
{
	unsetenv("OURO_COLLECT_EVERY");
}
#endif

__attribute__((constructor)) static void choose_patience(void)
{
	const char *seconds = getenv("TEST_PATIENCE");

	if (seconds == NULL)
		return;
	patience_s = atoi(seconds);
	if (patience_s <= 0) {
		fprintf(stderr, "TEST_PATIENCE=%s: a number of seconds is wanted\n", seconds);
		exit(2);
	}
}

/* TEST_CASE='weak_*' runs only the cases whose names fit. */
__attribute__((constructor)) static void choose_cases(void)
{
	const char *pattern = getenv("TEST_CASE");

	if (pattern != NULL)
		cmocka_set_test_filter(pattern);
}

/* ---- time ---- */

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/* What the calling thread has worked. */
static inline uint64_t cpu_ns(void) { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }

static inline void sleep_ms(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

/* Does the condition become true within the patience we have? */
#define EVENTUALLY_EVERY(ms, condition) __extension__({ \
	uint64_t eventually_end_ = now_ns() + PATIENCE_S * 1000000000ull; \
	bool eventually_met_; \
	while (!(eventually_met_ = (condition)) && now_ns() < eventually_end_) \
		sleep_ms(ms); \
	eventually_met_; })
#define EVENTUALLY(condition) EVENTUALLY_EVERY(1, condition)

/* What a busy machine may spoil: is it so in one of several tries? A mistake shows in each. */
#define IN_ONE_OF_SEVERAL_TRIES(condition) __extension__({ \
	bool tries_met_ = false; \
	for (int tries_left_ = 8; tries_left_ > 0 && !tries_met_; tries_left_--) \
		tries_met_ = (condition); \
	tries_met_; })

/*
 * Collections leave out what a callback keeps that has lasted a tenth of a second, as one may whose thread gets no processor.
 * So one that took as long is no proof that what is left was missed.
 */
static inline bool took_too_long_to_prove(uint64_t began_ns)
{
	return now_ns() - began_ns >= 100000000;
}

/* ---- books: text that several threads write and a case reads ---- */

struct book {
	pthread_mutex_t lock;
	size_t length;
	char text[1 << 16];
};

static struct book log_book = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct book journal = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline void book_add(struct book *b, const char *text)
{
	size_t n = strlen(text);

	pthread_mutex_lock(&b->lock);
	if (b->length + n < sizeof(b->text)) {
		memcpy(b->text + b->length, text, n + 1);
		b->length += n;
	}
	pthread_mutex_unlock(&b->lock);
}

static inline void book_clear(struct book *b)
{
	pthread_mutex_lock(&b->lock);
	b->length = 0;
	b->text[0] = 0;
	pthread_mutex_unlock(&b->lock);
}

/* How often does the book say this? */
static inline size_t book_count(struct book *b, const char *needle)
{
	size_t n = 0;

	pthread_mutex_lock(&b->lock);
	for (const char *p = b->text; (p = strstr(p, needle)) != NULL; p += strlen(needle))
		n++;
	pthread_mutex_unlock(&b->lock);
	return n;
}

/* Where does the book say this first? -1: nowhere. */
static inline long book_find(struct book *b, const char *needle)
{
	pthread_mutex_lock(&b->lock);
	const char *p = strstr(b->text, needle);
	long at = p ? p - b->text : -1;
	pthread_mutex_unlock(&b->lock);
	return at;
}

/* The journal: a letter for what happened and a number for whom, in order: "f1 d1 ". */
static inline void note(char what, int who)
{
	char text[32];

	snprintf(text, sizeof(text), "%c%d ", what, who);
	book_add(&journal, text);
}

static inline void assert_journal(const char *expected)
{
	assert_string_equal(journal.text, expected);
}

/*
 * These wait. A thread that loses its processor for a tick inside a callback gets what waits behind
 * that taken off its hands, so what dies of one release is not always dead when that returns.
 */
static inline void assert_noted(const char *needle, size_t n)
{
	if (!EVENTUALLY(book_count(&journal, needle) == n))
		fail_msg("expected '%s' %zu times in: %s", needle, n, journal.text);
}

/* The library's messages are brought by whoever comes first, which may be the reaper. */
static inline void assert_logged(const char *needle, size_t n)
{
	if (!EVENTUALLY(book_count(&log_book, needle) == n))
		fail_msg("expected '%s' %zu times in: %s", needle, n, log_book.text);
}

/* Both happened, the first before the second. */
static inline void assert_before(const char *first, const char *second)
{
	long a = -1, b = -1;

	(void)EVENTUALLY((a = book_find(&journal, first)) >= 0 &&
			 (b = book_find(&journal, second)) >= 0);
	if (a < 0 || b < 0 || a >= b)
		fail_msg("expected '%s' before '%s' in: %s", first, second, journal.text);
}

static inline void log_to_book(const char *message, void *arg)
{
	book_add(arg, message);
	book_add(arg, "\n");
}

/* ---- the heap of a case ---- */

static inline ouro_config test_config(void)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT;

	cfg.enabled = false;
	return cfg;
}

static inline void books_clear(void)
{
	book_clear(&log_book);
	book_clear(&journal);
}

static inline void heap_start(const ouro_config *cfg)
{
	books_clear();
	assert_int_equal(ouro_init(cfg), 0);
	ouro_set_log(log_to_book, &log_book);
}

static inline ouro_report heap_stop(void)
{
	ouro_report report = { 99, 99 };

	assert_int_equal(ouro_shutdown(&report), 0);
	return report;
}

static inline int bare_setup(void **state)
{
	(void)state;
	alarm(CASE_LIMIT_S);
	books_clear();
	return 0;
}

static inline int heap_setup(void **state)
{
	ouro_config cfg = test_config();

	bare_setup(state);
	heap_start(&cfg);
	return 0;
}

static inline int manual_setup(void **state)
{
	ouro_config cfg = test_config();

	bare_setup(state);
	cfg.finalizers = OURO_FINALIZERS_MANUAL;
	heap_start(&cfg);
	return 0;
}

static inline int heap_teardown(void **state)
{
	ouro_report report = heap_stop();

	(void)state;
	if (report.objects != 0)
		print_message("left at shutdown: %zu objects; log: %s\n", report.objects, log_book.text);
	assert_int_equal(report.objects, 0);
	assert_int_equal(report.bytes, 0);
	alarm(0);
	return 0;
}

/* In a heap that uses blocks again at once, as the shipped library does. */
static inline int recycling_setup(void **state)
{
	setenv("OURO_RECYCLE", "1", 1);
	return heap_setup(state);
}

static inline int recycling_teardown(void **state)
{
	unsetenv("OURO_RECYCLE");
	return heap_teardown(state);
}

/* A case on a fresh heap; on one that recycles; with finalizers in manual mode; one that starts the heap itself. */
#define HEAP_CASE(f) cmocka_unit_test_setup_teardown(f, heap_setup, heap_teardown)
#define RECYCLE_CASE(f) cmocka_unit_test_setup_teardown(f, recycling_setup, recycling_teardown)
#define MANUAL_CASE(f) cmocka_unit_test_setup_teardown(f, manual_setup, heap_teardown)
#define BARE_CASE(f) cmocka_unit_test_setup_teardown(f, bare_setup, heap_teardown)

/* ---- objects most files need ---- */

struct node {
	struct node *left, *right;
	ouro_weak weak;
	int id;
};

/* Quiet: dies without any call into the program. */
static const ouro_type node_type = {
	.name = "node", .size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, left, right), .weaks = OURO_WEAKS(struct node, weak),
};

static inline void loud_finalize(void *obj)
{
	note('f', ((struct node *)obj)->id);
}

static inline void loud_destroy(void *obj)
{
	note('d', ((struct node *)obj)->id);
}

/* Loud: its finalizer and its destroy write "f<id> " and "d<id> " to the journal. */
static const ouro_type loud_type = {
	.name = "loud", .size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, left, right), .weaks = OURO_WEAKS(struct node, weak),
	.finalize = loud_finalize, .destroy = loud_destroy,
};

/* Counted: the number of deaths, and of those on the thread that asked for them. */
static atomic_size_t n_destroyed, n_destroyed_here, n_finalized;
static _Thread_local bool here;

static inline void counted_destroy(void *obj)
{
	(void)obj;
	atomic_fetch_add(&n_destroyed, 1);
	if (here)
		atomic_fetch_add(&n_destroyed_here, 1);
}

static inline void counted_finalize(void *obj)
{
	(void)obj;
	atomic_fetch_add(&n_finalized, 1);
}

static const ouro_type counted_type = {
	.name = "counted", .size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, left, right), .weaks = OURO_WEAKS(struct node, weak),
	.destroy = counted_destroy,
};

static inline void counters_clear(void)
{
	atomic_store(&n_destroyed, 0);
	atomic_store(&n_destroyed_here, 0);
	atomic_store(&n_finalized, 0);
}

/* A leaf that no cycle can go through. */
struct leaf {
	int id;
};

static inline void leaf_destroy(void *obj)
{
	note('l', ((struct leaf *)obj)->id);
}

static const ouro_type leaf_type = {
	.name = "leaf", .size = sizeof(struct leaf), .destroy = leaf_destroy, .flags = OURO_ACYCLIC,
};

static inline struct leaf *leaf_new(int id)
{
	struct leaf *l = ouro_new(&leaf_type);

	if (l == NULL)
		abort();
	l->id = id;
	return l;
}

static inline struct node *make_of(const ouro_type *type, int id)
{
	struct node *n = ouro_new(type);

	if (n == NULL)
		abort();
	n->id = id;
	return n;
}

static inline struct node *make(int id)
{
	return make_of(&node_type, id);
}

/* Two objects that refer to each other; the caller gets the first one's reference. */
static inline struct node *make_pair(const ouro_type *type, int id)
{
	struct node *a = make_of(type, id), *b = make_of(type, id + 1);

	ouro_store(&a->right, b);
	ouro_store(&b->right, a);
	ouro_release(b);
	return a;
}

/* A ring of n through right; the caller gets one reference to its first member. */
static inline struct node *make_ring(const ouro_type *type, size_t n)
{
	struct node *first = make_of(type, 0), *last = ouro_retain(first);

	for (size_t i = 1; i < n; i++) {
		struct node *next = make_of(type, (int)i);

		ouro_store(&last->right, next);
		ouro_release(last);
		last = next;
	}
	ouro_store(&last->right, first);
	ouro_release(last);
	return first;
}

/* A list of n through right; the caller gets the reference to its head. */
static inline struct node *make_list(const ouro_type *type, size_t n)
{
	struct node *head = NULL;

	for (size_t i = 0; i < n; i++) {
		struct node *next = make_of(type, (int)i);

		ouro_give(&next->right, head);
		head = next;
	}
	return head;
}

static inline ouro_stats stats(void)
{
	ouro_stats s;

	memset(&s, 0xff, sizeof(s));
	ouro_stats_get(&s);
	return s;
}

static inline uint64_t objects_live(void)
{
	return stats().objects_live;
}

static inline uint64_t bytes_reserved(void)
{
	return stats().bytes_reserved;
}

/* For loops that make garbage beside a collector: waits, for a while, if they are too far ahead of it. */
static inline void throttle(unsigned round)
{
	for (int i = 0; round % 256 == 0 && i < 100 && objects_live() > 20000; i++)
		sleep_ms(1);
}

/* ---- threads ---- */

struct start {
	void *(*fn)(void *);
	void *arg;
	atomic_bool over; /* past what the sanitizer does first */
};

static inline void *started_main(void *arg)
{
	struct start *s = arg;
	void *(*fn)(void *) = s->fn;
	void *fn_arg = s->arg;

	atomic_store(&s->over, true);
	return fn(fn_arg);
}

/* It runs when this returns: AddressSanitizer's part of its start takes locks that a fork does not wait for. */
static inline pthread_t thread_start(void *(*fn)(void *), void *arg)
{
	struct start s = { fn, arg, false };
	pthread_t t;

	if (pthread_create(&t, NULL, started_main, &s) != 0)
		abort();
	while (!atomic_load(&s.over))
		sched_yield();
	return t;
}

static inline void thread_run(void *(*fn)(void *), void *arg)
{
	pthread_join(thread_start(fn, arg), NULL);
}

/* Runs fn(arg) to its end on a thread with a stack of 64 KiB (a sanitizer needs more for itself). */
static inline void thread_run_on_small_stack(void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, SMALL_STACK_BYTES);
	if (pthread_create(&t, &attr, fn, arg) != 0)
		abort();
	pthread_attr_destroy(&attr);
	pthread_join(t, NULL);
}

/* Of this process: a sanitizer may have one, too. */
static inline size_t process_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	size_t n = 0;

	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* How often the library's threads whose names begin so have gone to sleep; *asleep: all of them are. */
static inline unsigned long library_sleeps(const char *name, bool *asleep)
{
	DIR *d = opendir("/proc/self/task");
	unsigned long all = 0;
	char its[64];

	snprintf(its, sizeof(its), "Name:\t%s", name);
	*asleep = true;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		char path[300], line[200], state = 'S';
		bool ours = false;
		unsigned long n = 0;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
		while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
			ours |= strncmp(line, its, strlen(its)) == 0;
			sscanf(line, "State: %c", &state);
			sscanf(line, "voluntary_ctxt_switches: %lu", &n);
		}
		if (f != NULL)
			fclose(f);
		all += ours ? n : 0;
		*asleep &= !ours || state == 'S';
	}
	closedir(d);
	return all;
}

/*
 * They have been asleep before, and are all the time. So they have done all that they were asked
 * for: who is woken is runnable, and not asleep, however long it waits for a processor.
 */
static inline bool library_asleep_for(const char *name, unsigned ms)
{
	bool then, now;
	unsigned long before = library_sleeps(name, &then);

	sleep_ms(ms); /* on a busy machine they may be awake for as long, and go to sleep once */
	return before != 0 && library_sleeps(name, &now) == before && then && now;
}

static size_t threads_at_start;

__attribute__((constructor)) static void count_threads(void)
{
	threads_at_start = process_threads(); /* an emulator's own among them */
}

/* The child of a process with threads ends in an assertion of qemu-user's when it creates one: 7.2, in ten lines of C. */
static inline void needs_fork(void)
{
	if (EMULATED && process_threads() > threads_at_start)
		skip();
}

/* A thread that does some work and then sleeps in read(2), attached, until it is told to go on and exit. */
struct sleeper {
	pthread_t thread;
	int pipe[2];
	void (*work)(void *arg);
	void *arg;
	atomic_bool asleep;
};

static inline void *sleeper_main(void *arg)
{
	struct sleeper *s = arg;
	char byte;

	if (s->work != NULL)
		s->work(s->arg);
	atomic_store(&s->asleep, true);
	while (read(s->pipe[0], &byte, 1) < 0 && errno == EINTR)
		;
	return NULL;
}

/* Returns when the work is done and the thread is asleep, or a few instructions from it. */
static inline void sleeper_start(struct sleeper *s, void (*work)(void *), void *arg)
{
	memset(s, 0, sizeof(*s));
	s->work = work;
	s->arg = arg;
	if (pipe(s->pipe) != 0)
		abort();
	s->thread = thread_start(sleeper_main, s);
	assert_true(EVENTUALLY(atomic_load(&s->asleep)));
	sleep_ms(5);
}

static inline void sleeper_stop(struct sleeper *s)
{
	if (write(s->pipe[1], "x", 1) != 1)
		abort();
	pthread_join(s->thread, NULL);
	close(s->pipe[0]);
	close(s->pipe[1]);
}

/* ---- children ---- */

/* Inside a child, where cmocka's assertions do not work: says what is wrong and ends the child. */
#define REQUIRE(condition) \
	do { \
		if (!(condition)) { \
			dprintf(2, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
			_exit(99); \
		} \
	} while (0)

static inline void child_prepare(void)
{
	static const int signals[] = { SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	struct rlimit no_core = { 0, 0 };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
	setrlimit(RLIMIT_CORE, &no_core);
	alarm(CASE_LIMIT_S / 2);
}

static inline void child_listen(int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t n;
	char sink[512];

	while ((n = read(fd, sink, sizeof(sink))) > 0 || (n < 0 && errno == EINTR)) {
		for (ssize_t i = 0; i < n; i++)
			if (length + 1 < size)
				text[length++] = sink[i];
	}
	text[length] = 0;
}

/* Runs fn(arg) in a forked child. Return: as of waitpid; text: what it wrote to its stderr. */
static inline int child_status(int (*fn)(void *), void *arg, char *text, size_t size)
{
	int fds[2], status = -1;

	needs_fork();
	fflush(NULL);
	if (pipe(fds) != 0)
		abort();
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fds[1], 2);
		close(fds[0]);
		close(fds[1]);
		child_prepare();
		_exit(fn(arg));
	}
	close(fds[1]);
	child_listen(fds[0], text, size);
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (alarm(0) != 0)
		alarm(CASE_LIMIT_S); /* a case gets on with each child */
	return status;
}

/* The AddressSanitizer of gcc 12 takes the stack that a forced unwind has left for poisoned, and dies in its own report. */
static inline void needs_forced_unwinds(void)
{
#if defined(TEST_ASAN)
	skip();
#endif
}

static inline void needs_threads_in_the_child(void)
{
	if (TSAN_BUILD || EMULATED)
		skip(); /* test_fork.c; needs_fork */
}

/* The child must return 0. */
static inline void child_run(int (*fn)(void *), void *arg)
{
	char text[8192];
	int status = child_status(fn, arg, text, sizeof(text));

	if (status != 0)
		fail_msg("child: status 0x%x: %s", (unsigned)status, text);
}

/* The child must abort, and say @message before. */
static inline void child_aborts(int (*fn)(void *), void *arg, const char *message)
{
	char text[8192];
	int status = child_status(fn, arg, text, sizeof(text));

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || strstr(text, message) == NULL)
		fail_msg("'%s': status 0x%x: %s", message, (unsigned)status, text);
}

#endif
