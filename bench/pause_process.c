/*
 * pause_process.c - each size runs in a process of its own, so that its peak of resident memory is
 * its own
 *
 * The parent looks at the child's resident memory from outside: in the child it would be one thread
 * more, that the heap stops or does not.
 */
#include "pause_run.h"
#include "resident.h"
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVERY_MS = 20 };

struct samples {
	size_t n, room;
	struct sample {
		uint64_t ns;
		size_t bytes;
	} *at;
};

static void sample(struct samples *s, pid_t pid)
{
	size_t bytes = resident_bytes(pid);

	if (!bytes)
		return;
	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 1024;
		s->at = load_must(realloc(s->at, s->room * sizeof *s->at));
	}
	s->at[s->n++] = (struct sample){ latency_ns(CLOCK_MONOTONIC), bytes };
}

static int watch(pid_t child, struct samples *s)
{
	struct timespec nap = { 0, EVERY_MS * 1000000L };
	int status;
	pid_t ended;

	while ((ended = waitpid(child, &status, WNOHANG)) == 0) {
		sample(s, child);
		nanosleep(&nap, NULL);
	}
	if (ended < 0)
		load_die("no process");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void write_samples(const struct pause_heap *heap, const struct samples *s, uint64_t from_ns)
{
	FILE *f = pause_tsv_open();

	for (size_t i = 0; i < s->n; i++)
		pause_tsv_memory(f, heap->name, ((double)s->at[i].ns - (double)from_ns) / 1e9,
				 (double)s->at[i].bytes / (1 << 20));
	if (fclose(f))
		load_die("the lines cannot be written");
}

static int run_in_a_process(const struct pause_heap *heap)
{
	struct samples samples = { 0, 0, NULL };
	atomic_uint_least64_t *from_ns =
		mmap(NULL, sizeof *from_ns, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t child;

	if (from_ns == MAP_FAILED)
		load_die("out of memory");
	fflush(stdout);
	child = fork();
	if (child == 0)
		exit(pause_run(heap, from_ns));
	if (child < 0)
		load_die("no process");
	status = watch(child, &samples);
	if (pause_options.tsv && *from_ns)
		write_samples(heap, &samples, *from_ns);
	free(samples.at);
	munmap(from_ns, sizeof *from_ns);
	return status;
}

static double available_bytes(void)
{
	char line[256];
	double kb = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, "MemAvailable:", 13))
			kb = strtod(line + 13, NULL);
	if (f)
		fclose(f);
	return 1024 * kb;
}

static bool is_room(const struct pause_heap *heap)
{
	double need = (double)(pause_options.live + pause_options.ring) * (double)heap->node_bytes;
	double have = available_bytes();

	if (!have || need < have)
		return true;
	printf("skipped: %s with %zu live nodes may need %.1f GB, %.1f GB are available\n", heap->name,
	       pause_options.live, need / 1e9, have / 1e9);
	return false;
}

static int run_size(const struct pause_heap *heap, size_t live)
{
	pause_options.live = live;
	return is_room(heap) ? run_in_a_process(heap) : 0;
}

int pause_main(int argc, char **argv, const struct pause_heap *heap)
{
	static const size_t sizes[] = { 100000, 1000000, 10000000 };
	int status = 0;

	pause_parse(argc, argv);
	if (pause_options.live)
		return run_size(heap, pause_options.live);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		status |= run_size(heap, sizes[i]);
	return status;
}
