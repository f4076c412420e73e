/*
 * main.c - depserver: the Debian package graph, served over the Redis protocol, with its objects
 * managed by ouro
 *
 * The exit status is 0 only if ouro_shutdown found nothing that was still held: a lost reference
 * anywhere fails the run.
 */
#include "server.h"

#include <errno.h>
#include <getopt.h>
#include <ouro.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: depserver [option...]\n"
	"  --port N      listen on 127.0.0.1:N (default 6390; 0: any free port, printed)\n"
	"  --threads N   worker threads (default 4)\n"
	"  --index FILE  the package index (default: apt-cache dumpavail, else the sample)\n"
	"  --copies N    each package N times, to make the graph larger (default 1)\n"
	"  --no-gc       without ouro's automatic collections\n"
	"  --timeout S   seconds until a stalled client is dropped (default 10)\n"
	"  --idle S      seconds until an idle client is dropped (default 300)\n"
	"  --clients N   at most so many clients (default 4000)\n";

static const struct option long_options[] = {
	{ "port", required_argument, NULL, 'p' },    { "threads", required_argument, NULL, 't' },
	{ "index", required_argument, NULL, 'i' },   { "no-gc", no_argument, NULL, 'g' },
	{ "timeout", required_argument, NULL, 's' }, { "idle", required_argument, NULL, 'd' },
	{ "clients", required_argument, NULL, 'c' }, { "copies", required_argument, NULL, 'n' },
	{ "help", no_argument, NULL, 'h' },        { NULL, 0, NULL, 0 },
};

/* A decimal number from @min to @max; otherwise the program ends. */
static unsigned number(const char *text, unsigned long min, unsigned long max)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value < min || value > max) {
		fprintf(stderr, "depserver: '%s' is not a number from %lu to %lu\n", text, min,
			max);
		exit(2);
	}
	return (unsigned)value;
}

static void options_set(struct options *o, int option)
{
	switch (option) {
	case 'p': o->port = (int)number(optarg, 0, 65535); break;
	case 't': o->threads = number(optarg, 1, THREADS_MAX); break;
	case 'i': o->file = optarg; break;
	case 'n': o->copies = number(optarg, 1, 1000); break;
	case 'g': o->gc = false; break;
	case 's': o->timeout_s = number(optarg, 1, 86400); break;
	case 'd': o->idle_s = number(optarg, 1, 86400); break;
	case 'c': o->clients_max = number(optarg, 1, 1000000); break;
	default:
		fputs(usage, option == 'h' ? stdout : stderr);
		exit(option == 'h' ? 0 : 2);
	}
}

static struct options options_read(int argc, char **argv)
{
	struct options o = {
		.port = 6390, .threads = 4, .copies = 1, .gc = true, .timeout_s = 10, .idle_s = 300,
		.clients_max = 4000,
	};
	for (int option; (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1;)
		options_set(&o, option);
	if (optind < argc)
		options_set(&o, '?');
	return o;
}

static int print_report(void)
{
	ouro_report report;
	int error = ouro_shutdown(&report);
	if (error) {
		fprintf(stderr, "depserver: ouro_shutdown: %s\n", strerror(error));
		return 1;
	}
	printf("depserver: shut down, %zu objects left, %zu bytes left\n", report.objects,
	       report.bytes);
	return report.objects ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct options options = options_read(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	int error = ouro_init(NULL);
	if (error) {
		fprintf(stderr, "depserver: ouro_init: %s\n", strerror(error));
		return 1;
	}
	if (!options.gc)
		ouro_gc_disable();
	int status = server_run(&options);
	return print_report() || status;
}
