/*
 * fuzz_resp.c - bytes as what a client sends to examples/depserver
 *
 * A request that is whole is the same however many bytes follow, and no part of it is one; what is
 * wrong stays wrong, whatever follows; and written out as an array it is read again as what it was.
 */
#include "resp.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static void require(int ok)
{
	if (!ok)
		abort();
}

static void check_arguments(const struct resp_request *r, const char *in, size_t used)
{
	require(r->argc <= RESP_ARGS_MAX);
	for (size_t i = 0; i < r->argc; i++)
		require(r->argv[i].data >= in && r->argv[i].data + r->argv[i].len <= in + used);
}

/* Shorter inputs, each in memory of its own: nothing is read behind the end. */
static void check_prefix(const char *in, size_t n, enum resp_result whole, size_t whole_used)
{
	static struct resp_request r;
	const char *error;
	size_t used = 0;
	char *copy = malloc(n ? n : 1);
	require(copy != NULL);
	memcpy(copy, in, n);
	enum resp_result result = resp_parse(copy, n, &r, &used, &error);
	if (result == RESP_REQUEST)
		require(whole == RESP_REQUEST && used == whole_used && used <= n);
	if (result == RESP_ERROR)
		require(whole == RESP_ERROR && error != NULL);
	free(copy);
}

static void check_again(const struct resp_request *r)
{
	static struct resp_request again;
	struct buffer out = { 0 };
	const char *error;
	size_t used = 0;
	resp_array(&out, r->argc);
	for (size_t i = 0; i < r->argc; i++)
		resp_bulk(&out, r->argv[i].data, r->argv[i].len);
	require(!out.failed);
	require(resp_parse(out.data, out.used, &again, &used, &error) == RESP_REQUEST);
	require(used == out.used && again.argc == r->argc);
	for (size_t i = 0; i < r->argc; i++)
		require(again.argv[i].len == r->argv[i].len &&
			!memcmp(again.argv[i].data, r->argv[i].data, r->argv[i].len));
	buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct resp_request r;
	const char *in = (const char *)data, *error = NULL;
	size_t used = 0;
	enum resp_result result = resp_parse(in, size, &r, &used, &error);
	for (size_t n = 0; n < size && n < 512; n++)
		check_prefix(in, n, result, used);
	if (result == RESP_REQUEST) {
		require(used > 0 && used <= size);
		check_arguments(&r, in, used);
		/* A long word of an inline request is no bulk string. */
		for (size_t i = 0; i < r.argc; i++)
			if (r.argv[i].len > RESP_BULK_BYTES_MAX)
				return 0;
		check_again(&r);
	}
	return 0;
}
