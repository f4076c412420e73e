/* pause_options.c - the command line of bench/pause and its peers */
#include "pause_run.h"
#include <getopt.h>
#include <string.h>

enum { THREADS_MAX = 256 };

struct pause_options pause_options = { .threads = 4, .seconds = 8, .acyclic = 1 };

static _Noreturn void usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: %s [--live N] [--threads N] [--seconds N] [--graph cycles|random]\n"
		"             [--acyclic N] [--window N] [--ring N] [--tsv FILE]\n"
		"default: 100000, 1000000 and 10000000 live nodes, 4 threads, 8 s, cycles, 1\n"
		"--window: operations replace only the first N cycles of each thread's table,\n"
		"so that what dies is young\n"
		"--ring: one thread more makes a ring of N nodes and drops it at half time\n"
		"--tsv: adds what was measured to FILE, for the table and the pictures\n",
		program_invocation_short_name);
	exit(status);
}

static size_t number(const char *s, size_t min, size_t max)
{
	char *end;
	unsigned long long n = strtoull(s, &end, 10);

	if (!*s || *s == '-' || *end || n < min || n > max) {
		fprintf(stderr, "%s: %s: not a number from %zu to %zu\n", program_invocation_short_name, s, min, max);
		exit(2);
	}
	return (size_t)n;
}

static double duration(const char *s)
{
	char *end;
	double seconds = strtod(s, &end);

	if (*end || !(seconds >= .01 && seconds <= 86400)) {
		fprintf(stderr, "%s: %s: not a number of seconds from 0.01 to 86400\n",
			program_invocation_short_name, s);
		exit(2);
	}
	return seconds;
}

static bool is_random(const char *graph)
{
	if (strcmp(graph, "random") && strcmp(graph, "cycles"))
		usage(2);
	return *graph == 'r';
}

void pause_parse(int argc, char **argv)
{
	static const struct option names[] = {
		{ "live", 1, NULL, 'l' }, { "threads", 1, NULL, 't' }, { "seconds", 1, NULL, 's' },
		{ "graph", 1, NULL, 'g' }, { "acyclic", 1, NULL, 'a' }, { "ring", 1, NULL, 'r' },
		{ "window", 1, NULL, 'w' }, { "tsv", 1, NULL, 'f' }, { "help", 0, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct pause_options *o = &pause_options;
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		switch (c) {
		case 'l': o->live = number(optarg, 2, (size_t)1 << 40); break;
		case 't': o->threads = (unsigned)number(optarg, 1, THREADS_MAX); break;
		case 's': o->seconds = duration(optarg); break;
		case 'g': o->random = is_random(optarg); break;
		case 'a': o->acyclic = (unsigned)number(optarg, 0, 1000); break;
		case 'r': o->ring = number(optarg, 2, (size_t)1 << 40); break;
		case 'w': o->window = number(optarg, 1, (size_t)1 << 40); break;
		case 'f': o->tsv = optarg; break;
		case 'h': usage(0);
		default: usage(2);
		}
	if (optind != argc)
		usage(2);
	if (o->live && o->live / 2 < o->threads)
		load_die("each thread needs two nodes");
}

size_t pause_cycles_each(void)
{
	return pause_options.live / 2 / pause_options.threads;
}

size_t pause_live(void)
{
	return 2 * pause_cycles_each() * pause_options.threads;
}
