/*
 * driver.c - runs a fuzzed target on files, each in turn, or on what stands in its input: for
 * compilers without libFuzzer, and for AFL++
 *
 * program [-s SECONDS] [FILE...]; with -s over and over until so much time has passed
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

enum {
	BYTES_MAX = 1 << 16,
	HANGS_S = 300, /* for one input: far more than a busy machine needs */
};

static size_t run(FILE *f)
{
	static uint8_t bytes[BYTES_MAX];
	size_t n = fread(bytes, 1, sizeof bytes, f);
	uint8_t *exact = malloc(n ? n : 1); /* so that AddressSanitizer sees its end */
	if (!exact)
		abort();
	for (size_t i = 0; i < n; i++)
		exact[i] = bytes[i];
	alarm(HANGS_S);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return n;
}

static size_t run_file(const char *name)
{
	FILE *f = fopen(name, "rb");
	if (!f) {
		perror(name);
		exit(1);
	}
	fprintf(stderr, "%s\n", name); /* the last one is what an abort is about */
	size_t n = run(f);
	fclose(f);
	return n;
}

int main(int argc, char **argv)
{
	bool over = argc > 2 && !strcmp(argv[1], "-s");
	time_t until = time(NULL) + (over ? atoi(argv[2]) : 0);
	size_t n = 0, bytes = 0;
	if (argc == 1)
		run(stdin);
	do
		for (int i = over ? 3 : 1; i < argc; i++, n++)
			bytes += run_file(argv[i]);
	while (time(NULL) < until);
	printf("%zu inputs, %zu bytes: ok\n", n, bytes);
	return 0;
}
