/*
 * Goal: the library's threads are nobody's heirs, and keep neither signals nor the process from the
 * program.
 * Method: start the heap from a thread with habits of its own; look at the threads in /proc; end
 * first threads in children.
 * A failure would mean: a collector bound to one busy processor, a crash handler that is not
 * called, a process that never ends.
 */
#include "fixture.h"

#include <dirent.h>

/* ---- what they are ---- */

static char *read_task(pid_t tid, const char *file, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", (int)tid, file);
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);
	text[n > 0 ? n : 0] = 0;
	close(fd);
	return text;
}

/* The tid of the thread of that name, or 0. */
static pid_t task_named(const char *name)
{
	DIR *d = opendir("/proc/self/task");
	char text[64], line[64];
	pid_t found = 0;

	snprintf(line, sizeof(line), "%s\n", name);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		if (e->d_name[0] != '.' && strcmp(read_task(atoi(e->d_name), "comm", text, sizeof(text)), line) == 0)
			found = atoi(e->d_name);
	closedir(d);
	return found;
}

static cpu_set_t processors;

static void *start_with_habits(void *arg)
{
	struct sched_param none = { 0 };
	cpu_set_t one;

	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
		if (CPU_ISSET(i, &processors))
			CPU_SET(i, &one);
	if (pthread_setaffinity_np(pthread_self(), sizeof(one), &one) != 0 ||
	    pthread_setschedparam(pthread_self(), SCHED_BATCH, &none) != 0)
		abort();
	*(int *)arg = ouro_init(NULL);
	return NULL;
}

static void check_task(const char *name)
{
	char status[4096];
	cpu_set_t its;
	pid_t tid = 0;

	assert_true(EVENTUALLY((tid = task_named(name)) != 0));
	assert_int_equal(sched_getscheduler(tid), SCHED_OTHER);
	assert_int_equal(sched_getaffinity(tid, sizeof(its), &its), 0);
	assert_true(CPU_EQUAL(&its, &processors));
	const char *blocked = strstr(read_task(tid, "status", status, sizeof(status)), "SigBlk:");
	assert_non_null(blocked);
	unsigned long long mask = strtoull(blocked + 7, NULL, 16);
	assert_true(mask >> (SIGTERM - 1) & 1);
	assert_true(mask >> (SIGCHLD - 1) & 1);
	assert_false(mask >> (SIGSEGV - 1) & 1);
	assert_false(mask >> (SIGABRT - 1) & 1);
}

static void background_threads_inherit_nothing(void **state)
{
	int error = -1;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(processors), &processors), 0);
	thread_run(start_with_habits, &error);
	assert_int_equal(error, 0);
	check_task("ouro-gc");
	check_task("ouro-reaper");
}

/* ---- a first thread that ends before the others ---- */

static void needs_plain_threads(void)
{
	if (SANITIZED)
		skip(); /* they have threads of their own */
}

static int end_first_thread(void *arg)
{
	if (arg != NULL)
		ouro_release(make_pair(&node_type, 1));
	pthread_exit(NULL);
}

static void background_ends_with_the_program(void **state)
{
	(void)state;
	needs_plain_threads();
	child_run(end_first_thread, &(int){ 0 });
	child_run(end_first_thread, NULL);
}

static void *work_for_a_while(void *arg)
{
	for (int i = 0; i < 50; i++) {
		ouro_release(make_pair(&loud_type, i));
		sleep_ms(10);
	}
	return arg;
}

/* With another thread, which needs no collector to go on with; and a handler that uses the library at the very end. */
static void work_at_exit(void)
{
	REQUIRE(book_count(&journal, "x") == 0);
	ouro_release(make_pair(&node_type, 1));
	REQUIRE(ouro_gc_collect(2) >= 1);
	REQUIRE(ouro_shutdown(NULL) == 0);
	REQUIRE(book_count(&journal, "d") == 100);
	dprintf(2, "at exit");
}

static int leave_it_to_another(void *arg)
{
	REQUIRE(atexit(work_at_exit) == 0);
	ouro_release(make_pair(&node_type, 1));
	thread_start(work_for_a_while, NULL);
	pthread_exit(arg);
}

static void background_ends_with_the_last_thread(void **state)
{
	char text[4096];

	(void)state;
	needs_plain_threads();
	assert_int_equal(child_status(leave_it_to_another, NULL, text, sizeof(text)), 0);
	assert_string_equal(text, "at exit");
}

/*
 * A finalizer that does not end keeps the process, and a signal ends that, though no thread of the
 * program is there to take it.
 */
static atomic_bool sleeping;

static void sleep_for_ever(void *obj)
{
	(void)obj;
	atomic_store(&sleeping, true);
	for (;;)
		pause();
}

static const ouro_type sleepy_type = {
	.name = "sleepy", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right),
	.finalize = sleep_for_ever,
};

static void end_with_a_finalizer(void)
{
	sigset_t term;

	child_prepare();
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	ouro_gc_set_threshold(1, 1, 1);
	ouro_gc_enable();
	REQUIRE(EVENTUALLY((ouro_release(make_pair(&sleepy_type, 1)), atomic_load(&sleeping))));
	kill(getpid(), SIGTERM);
	pthread_exit(NULL);
}

static void background_lets_a_last_signal_in(void **state)
{
	int status = -1;

	(void)state;
	needs_plain_threads();
	needs_fork();
	pid_t pid = fork();
	if (pid == 0)
		end_with_a_finalizer();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(background_threads_inherit_nothing),
		HEAP_CASE(background_ends_with_the_program),
		HEAP_CASE(background_ends_with_the_last_thread),
		HEAP_CASE(background_lets_a_last_signal_in),
	};

	return cmocka_run_group_tests_name("background", tests, NULL, NULL);
}
