/*
 * Goal: a signal has a snapshot written, whole or not at all, whatever the program does meanwhile.
 * Method: signals sent to this process; folders that are there, missing, full, used by others.
 * A failure would mean: who asks a server in production for a snapshot ends it, or gets half a one.
 */
#include "fixture.h"

#include <sys/stat.h>

#include "base/perturb.h"

#if !OURO_CHECKED
static void (*oi_point_hook)(const char *point);
#endif

static char dir[64];

static void use(const char *signal_name, const char *folder)
{
	setenv("OURO_SNAPSHOT_SIGNAL", signal_name, 1);
	setenv("OURO_SNAPSHOT_DIR", folder, 1);
}

/* Of the files in the folder: how many there are, and one that is whole. */
static size_t files(char whole[400])
{
	DIR *d = opendir(dir);
	size_t n = 0;

	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
		if (whole != NULL && strstr(e->d_name, ".heapsnapshot") != NULL)
			snprintf(whole, 400, "%s/%s", dir, e->d_name);
	}
	closedir(d);
	return n;
}

/* Ends in the list of strings; 0600, as keys are in it. */
static void assert_whole(const char *path)
{
	char end[5] = "";
	struct stat s;
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_int_equal(fseek(f, -4, SEEK_END), 0);
	assert_int_equal(fread(end, 1, 4, f), 4);
	assert_string_equal(end, "\"]}\n");
	assert_int_equal(fstat(fileno(f), &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	fclose(f);
}

static void remove_all(void)
{
	DIR *d = opendir(dir);
	char path[400];

	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		unlink(path);
	}
	closedir(d);
	rmdir(dir);
}

static int signal_setup(void **state)
{
	strcpy(dir, "/tmp/ouro-demand.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	use("SIGUSR2", dir);
	return heap_setup(state);
}

static int signal_teardown(void **state)
{
	int error = heap_teardown(state);

	remove_all();
	return error;
}

static bool written(size_t n)
{
	return book_count(&log_book, "a snapshot was written: ") == n;
}

static void demand_writes_a_whole_file(void **state)
{
	struct node *list = make_list(&node_type, 1000);
	char path[400], name[100];

	(void)state;
	assert_int_equal(kill(getpid(), SIGUSR2), 0);
	assert_logged("a snapshot was written: ", 1);
	assert_int_equal(files(path), 1);
	snprintf(name, sizeof(name), "/ouro.%d.1.heapsnapshot", (int)getpid());
	assert_non_null(strstr(path, name));
	assert_whole(path);
	ouro_release(list);
}

/* What comes while one is asked for may be one with it; what comes after it is another. */
static void demand_of_every_signal_is_met(void **state)
{
	(void)state;
	for (size_t i = 1; i <= 3; i++) {
		assert_int_equal(raise(SIGUSR2), 0);
		assert_int_equal(raise(SIGUSR2), 0);
		assert_true(EVENTUALLY(book_count(&log_book, "a snapshot was written: ") >= i));
		assert_true(EVENTUALLY(files(NULL) == book_count(&log_book, "was written: ")));
	}
	assert_in_range(files(NULL), 3, 6);
}

static atomic_bool asked_meanwhile;

static void ask_meanwhile(const char *point)
{
	if (strcmp(point, "snapshot: picture") == 0 && !atomic_exchange(&asked_meanwhile, true))
		kill(getpid(), SIGUSR2); /* this thread, the library's, has it blocked */
}

/* Just after the first snapshot's picture was taken, so that it does not show what comes then. */
static void demand_while_one_is_written_is_another(void **state)
{
	size_t threads = process_threads();

	(void)state;
	if (!CHECKED_BUILD)
		skip();
	atomic_store(&asked_meanwhile, false);
	oi_point_hook = ask_meanwhile;
	raise(SIGUSR2);
	/* Or the thread that writes them is gone, after the first. */
	assert_true(EVENTUALLY(written(2) || (written(1) && process_threads() <= threads)));
	oi_point_hook = NULL;
	assert_int_equal(files(NULL), 2);
}

static void demand_goes_on_after_a_restart(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	assert_int_equal(heap_stop().objects, 0);
	raise(SIGUSR2); /* without a heap: nobody hears it, and it ends nothing */
	heap_start(&cfg);
	raise(SIGUSR2);
	assert_true(EVENTUALLY(written(1)));
}

static void demand_overwrites_nothing(void **state)
{
	char path[100], part[100];
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/ouro.%d.1.heapsnapshot", dir, (int)getpid());
	snprintf(part, sizeof(part), "%s/.ouro.%d.2.part", dir, (int)getpid());
	fclose(fopen(path, "w"));
	fclose(fopen(part, "w"));
	raise(SIGUSR2);
	assert_true(EVENTUALLY(written(1)));
	assert_int_equal(files(NULL), 3);
	f = fopen(path, "r");
	assert_int_equal(fgetc(f), EOF);
	fclose(f);
	snprintf(path, sizeof(path), "%s/ouro.%d.3.heapsnapshot", dir, (int)getpid());
	assert_whole(path);
}

static void demand_without_a_folder_is_said(void **state)
{
	(void)state;
	assert_int_equal(rmdir(dir), 0);
	raise(SIGUSR2);
	assert_logged("no snapshot was written to ", 1);
	assert_logged("No such file", 1);
	assert_int_equal(mkdir(dir, 0700), 0);
	raise(SIGUSR2);
	assert_logged("a snapshot was written: ", 1);
}

/* In a child, whose files may not grow. */
static int write_too_much(void *arg)
{
	struct rlimit limit = { 1000, 1000 };
	struct node *list;

	(void)arg;
	signal(SIGXFSZ, SIG_IGN);
	REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	list = make_list(&node_type, 1000);
	ouro_gc_collect(2);
	ouro_gc_collect_for(1000); /* a need, with which a child starts the library's threads */
	raise(SIGUSR2);
	REQUIRE(EVENTUALLY(book_count(&log_book, "no snapshot was written") == 1));
	REQUIRE(book_count(&log_book, "File too large") == 1); /* EFBIG; a full disk has ENOSPC */
	ouro_release(list);
	return 0;
}

static void demand_leaves_no_half_file_on_a_full_disk(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	child_run(write_too_much, NULL);
	assert_int_equal(files(NULL), 0);
}

static int write_in_child(void *arg)
{
	char path[100];

	(void)arg;
	ouro_gc_collect_for(1000);
	raise(SIGUSR2);
	snprintf(path, sizeof(path), "%s/ouro.%d.1.heapsnapshot", dir, (int)getpid());
	REQUIRE(EVENTUALLY(access(path, F_OK) == 0));
	return 0;
}

static void demand_of_a_forked_child_is_its_own(void **state)
{
	(void)state;
	needs_threads_in_the_child();
	child_run(write_in_child, NULL);
	assert_int_equal(files(NULL), 1);
	assert_true(written(0));
}

static atomic_bool over;

static void *use_heap(void *arg)
{
	for (unsigned i = 0; !atomic_load(&over); i++) {
		ouro_release(make_ring(&node_type, 3));
		if (arg != NULL && i % 64 == 0)
			raise(SIGUSR2);
		throttle(i);
	}
	return NULL;
}

/* It may come within any step of the library's. */
static void demand_beside_threads_that_get_the_signal(void **state)
{
	pthread_t t[2];

	(void)state;
	atomic_store(&over, false);
	ouro_gc_enable();
	for (int i = 0; i < 2; i++)
		t[i] = thread_start(use_heap, i == 0 ? NULL : &over);
	assert_true(EVENTUALLY(book_count(&log_book, "a snapshot was written: ") >= 3));
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	ouro_gc_disable();
	ouro_gc_collect(2);
}

/* ---- what is no signal for it: in children, as a handler stays for good ---- */

static void program_has_it(int number)
{
	(void)number;
}

static int refuse_signals(void *arg)
{
	static const char *const bad[] = {
		"SIGKILL", "STOP", "SIGSEGV", "nonsense", "99999", "0", "-1", "12x",
	};
	ouro_config cfg = test_config();

	(void)arg;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		use(bad[i], dir);
		REQUIRE(ouro_init(&cfg) == 0);
		REQUIRE(ouro_shutdown(NULL) == 0);
	}
	signal(SIGUSR1, program_has_it);
	use("SIGUSR1", dir);
	REQUIRE(ouro_init(&cfg) == 0);
	raise(SIGUSR1);
	REQUIRE(ouro_shutdown(NULL) == 0);
	return 0;
}

static int accept_signals(void *arg)
{
	ouro_config cfg = test_config();

	use(arg, dir);
	REQUIRE(ouro_init(&cfg) == 0);
	ouro_set_log(log_to_book, &log_book);
	raise(strcmp(arg, "RTMIN+2") == 0 ? SIGRTMIN + 2 : SIGUSR1);
	REQUIRE(EVENTUALLY(written(1)));
	REQUIRE(ouro_shutdown(NULL) == 0);
	return 0;
}

static struct book said = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void demand_takes_signals_that_may_ask(void **state)
{
	static const char *const good[] = { "SIGUSR1", "USR1", "10", "RTMIN+2" };

	(void)state;
	needs_fork();
	strcpy(dir, "/tmp/ouro-demand.XXXXXX");
	assert_non_null(mkdtemp(dir));
	int status = child_status(refuse_signals, NULL, said.text, sizeof(said.text));
	if (status != 0)
		fail_msg("child: status 0x%x: %s", (unsigned)status, said.text);
	assert_int_equal(book_count(&said, "is no signal for that"), 8);
	assert_int_equal(book_count(&said, "the program has it already"), 1);
	assert_int_equal(files(NULL), 0);
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		child_run(accept_signals, (void *)(uintptr_t)good[i]);
	assert_int_equal(files(NULL), 4);
	remove_all();
}

#define SIGNAL_CASE(f) cmocka_unit_test_setup_teardown(f, signal_setup, signal_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(demand_takes_signals_that_may_ask), /* before there is a heap */
		SIGNAL_CASE(demand_writes_a_whole_file),
		SIGNAL_CASE(demand_of_every_signal_is_met),
		SIGNAL_CASE(demand_while_one_is_written_is_another),
		SIGNAL_CASE(demand_goes_on_after_a_restart),
		SIGNAL_CASE(demand_overwrites_nothing),
		SIGNAL_CASE(demand_without_a_folder_is_said),
		SIGNAL_CASE(demand_leaves_no_half_file_on_a_full_disk),
		SIGNAL_CASE(demand_of_a_forked_child_is_its_own),
		SIGNAL_CASE(demand_beside_threads_that_get_the_signal),
	};

	return cmocka_run_group_tests_name("demand", tests, NULL, NULL);
}
