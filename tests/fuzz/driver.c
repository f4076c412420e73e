/*
 * driver.c - runs a fuzzed target on files, each in turn, or on what stands in its input: for
 * compilers without libFuzzer, and for AFL++
 */
#include <stdio.h>
#include <stdlib.h>
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

int main(int argc, char **argv)
{
	size_t n = 0;
	if (argc == 1)
		run(stdin);
	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		if (!f) {
			perror(argv[i]);
			return 1;
		}
		fprintf(stderr, "%s\n", argv[i]); /* the last one is what an abort is about */
		n += run(f);
		fclose(f);
	}
	printf("%d inputs, %zu bytes: ok\n", argc - 1, n);
	return 0;
}
