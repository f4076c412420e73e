/* load.c - reading, building and publishing a graph */
#include "load.h"
#include "graph.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char load_command[] = "LC_ALL=C apt-cache dumpavail 2>/dev/null";

/*
 * Where the sample may be, seen from the program's folder: beside it, or in the source tree it was
 * built in.
 */
static const char *const load_samples[] = {
	"sample-packages",
	"../../../../examples/depserver/sample-packages",
};

static uint64_t load_clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What is loaded, and since when. */
struct load {
	unsigned copies;
	uint64_t began_ns;
};

static int load_finish(struct draft *d, int error, const char *source, const struct load *load)
{
	if (!error && !d->n_packages)
		error = ENODATA;
	if (!error)
		error = draft_link(d);
	if (error)
		return error;
	OURO_AUTO struct index *x = graph_build(d, load->copies);
	if (!x)
		return errno;
	snprintf(x->source, sizeof x->source, "%s", source);
	x->load_ns = load_clock_ns() - load->began_ns;
	graph_publish(x);
	return 0;
}

static int load_file(const char *file, const struct load *load)
{
	struct draft d = { 0 };
	FILE *in = fopen(file, "re");
	if (!in)
		return errno;
	const char *slash = strrchr(file, '/');
	int error = load_finish(&d, draft_read(&d, in), slash ? slash + 1 : file, load);
	fclose(in);
	draft_free(&d);
	return error;
}

static int load_apt(const struct load *load)
{
	struct draft d = { 0 };
	FILE *in = popen(load_command, "re");
	if (!in)
		return errno;
	int error = draft_read(&d, in);
	if (pclose(in) != 0 && !error)
		error = ENODATA;
	error = load_finish(&d, error, "apt-cache dumpavail", load);
	draft_free(&d);
	return error;
}

static int load_sample(const struct load *load)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
	char *slash = len > 0 ? memrchr(path, '/', (size_t)len) : NULL;
	int error = ENOENT;
	if (!slash)
		return error;
	size_t room = sizeof path - (size_t)(slash + 1 - path);
	for (size_t i = 0; i < 2 && error == ENOENT; i++) {
		snprintf(slash + 1, room, "%s", load_samples[i]);
		error = load_file(path, load);
	}
	return error;
}

static int load_any(const char *file, const struct load *load)
{
	if (file)
		return load_file(file, load);
	int error = load_apt(load);
	return error == ENOMEM ? error : error ? load_sample(load) : 0;
}

int load_graph(const char *file, unsigned copies)
{
	struct load load = { .copies = copies, .began_ns = load_clock_ns() };
	int error = load_any(file, &load);
	malloc_trim(0); /* the draft's arrays: else each pool thread keeps its own */
	return error;
}
