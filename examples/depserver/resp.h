/*
 * resp.h - the Redis protocol, version 2: requests in, replies out
 *
 * A request is an array of bulk strings, or one line of words (the "inline" form that a person
 * types). The parser keeps no state: it looks at the bytes that are there and says "more" until a
 * request is whole.
 */
#ifndef DEPSERVER_RESP_H
#define DEPSERVER_RESP_H

#include "buffer.h"

enum {
	RESP_ARGS_MAX = 1024,
	RESP_BULK_BYTES_MAX = 64 * 1024,
	RESP_INLINE_BYTES_MAX = 64 * 1024,
};

struct resp_arg {
	const char *data; /* into the input; not terminated */
	size_t len;
};

struct resp_request {
	size_t argc; /* 0: an empty line or array: nothing to do */
	struct resp_arg argv[RESP_ARGS_MAX];
};

enum resp_result { RESP_REQUEST, RESP_MORE, RESP_ERROR };

/*
 * resp_parse - read one request from the @len bytes at @in
 * @used:  out: how many bytes it took (RESP_REQUEST)
 * @error: out: what is wrong, a static string (RESP_ERROR); the stream is lost then
 */
enum resp_result resp_parse(const char *in, size_t len, struct resp_request *request, size_t *used,
			    const char **error);

/* resp_is - does @arg spell @word, whatever its case? */
bool resp_is(const struct resp_arg *arg, const char *word);

void resp_status(struct buffer *out, const char *text);
/* resp_error - a reply of its own: the first word is the code; line breaks inside become spaces */
void resp_error(struct buffer *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void resp_integer(struct buffer *out, long long value);
void resp_bulk(struct buffer *out, const char *data, size_t len);
void resp_array(struct buffer *out, size_t n);

#endif
