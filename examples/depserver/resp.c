/*
 * resp.c - the Redis protocol, version 2
 *
 * Sizes are checked as soon as they are announced, before the bytes behind them are waited for, so
 * that a client cannot make the server keep more than its limits. A request is parsed again from
 * its start when more of it has come: at most RESP_ARGS_MAX headers, since the bulk strings
 * themselves are skipped by length.
 */
#include "resp.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { HEADER_BYTES_MAX = 24 }; /* type, sign, 19 digits, CR LF, rounded up */

struct cursor {
	const char *at, *end;
	const char *error;
};

static enum resp_result resp_wrong(struct cursor *c, const char *error)
{
	c->error = error;
	return RESP_ERROR;
}

/* An optional sign and digits up to @end, nothing else. */
static bool parse_integer(const char *at, const char *end, long long *value)
{
	bool negative = at < end && *at == '-';
	long long v = 0;
	at += negative;
	if (at == end || end - at > 18)
		return false;
	for (; at < end; at++) {
		if (*at < '0' || *at > '9')
			return false;
		v = v * 10 + (*at - '0');
	}
	*value = negative ? -v : v;
	return true;
}

/* The end of the line under the cursor, which must come within @max bytes; NULL: *result says why not. */
static const char *find_newline(struct cursor *c, size_t max, const char *too_long, enum resp_result *result)
{
	size_t there = (size_t)(c->end - c->at);
	const char *newline = memchr(c->at, '\n', there < max ? there : max);
	if (!newline)
		*result = there < max ? RESP_MORE : resp_wrong(c, too_long);
	return newline;
}

/* The header line under the cursor: a type byte, then a number. */
static enum resp_result parse_header(struct cursor *c, long long *value)
{
	enum resp_result result;
	const char *newline = find_newline(c, HEADER_BYTES_MAX, "number too long", &result);
	if (!newline)
		return result;
	if (newline[-1] != '\r' || !parse_integer(c->at + 1, newline - 1, value))
		return resp_wrong(c, "invalid number");
	c->at = newline + 1;
	return RESP_REQUEST;
}

static enum resp_result parse_bulk(struct cursor *c, struct resp_arg *arg)
{
	long long len;
	if (c->at == c->end)
		return RESP_MORE;
	if (*c->at != '$')
		return resp_wrong(c, "expected '$'");
	enum resp_result result = parse_header(c, &len);
	if (result != RESP_REQUEST)
		return result;
	if (len < 0 || len > RESP_BULK_BYTES_MAX)
		return resp_wrong(c, "invalid bulk length");
	if (c->end - c->at < len + 2)
		return RESP_MORE;
	if (memcmp(c->at + len, "\r\n", 2) != 0)
		return resp_wrong(c, "bulk string without CR LF");
	*arg = (struct resp_arg){ c->at, (size_t)len };
	c->at += len + 2;
	return RESP_REQUEST;
}

static enum resp_result parse_array(struct cursor *c, struct resp_request *request)
{
	long long n;
	enum resp_result result = parse_header(c, &n);
	if (result != RESP_REQUEST)
		return result;
	if (n > RESP_ARGS_MAX)
		return resp_wrong(c, "invalid multibulk length");
	for (long long i = 0; i < n; i++) {
		result = parse_bulk(c, &request->argv[i]);
		if (result != RESP_REQUEST)
			return result;
	}
	request->argc = n > 0 ? (size_t)n : 0;
	return RESP_REQUEST;
}

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r';
}

static enum resp_result parse_inline(struct cursor *c, struct resp_request *request)
{
	enum resp_result result;
	const char *newline = find_newline(c, RESP_INLINE_BYTES_MAX, "line too long", &result);
	if (!newline)
		return result;
	for (const char *p = c->at;;) {
		while (p < newline && is_blank(*p))
			p++;
		if (p == newline)
			break;
		if (request->argc == RESP_ARGS_MAX)
			return resp_wrong(c, "too many words");
		const char *word = p;
		while (p < newline && !is_blank(*p))
			p++;
		request->argv[request->argc++] = (struct resp_arg){ word, (size_t)(p - word) };
	}
	c->at = newline + 1;
	return RESP_REQUEST;
}

enum resp_result resp_parse(const char *in, size_t len, struct resp_request *request, size_t *used,
			    const char **error)
{
	struct cursor c = { in, in + len, NULL };
	request->argc = 0;
	if (len == 0)
		return RESP_MORE;
	enum resp_result result = *in == '*' ? parse_array(&c, request) : parse_inline(&c, request);
	*used = (size_t)(c.at - in);
	*error = c.error;
	return result;
}

bool resp_is(const struct resp_arg *arg, const char *word)
{
	return strlen(word) == arg->len && strncasecmp(arg->data, word, arg->len) == 0;
}

void resp_status(struct buffer *out, const char *text)
{
	buffer_printf(out, "+%s\r\n", text);
}

void resp_error(struct buffer *out, const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = ' ';
	buffer_printf(out, "-%s\r\n", text);
}

/*
 * The digits of @value, then CR LF, behind a type byte: the hot part of every array reply, hence
 * not printf.
 */
static void append_number(struct buffer *out, char type, unsigned long long value)
{
	char text[24], *p = text + sizeof text;
	*--p = '\n';
	*--p = '\r';
	do
		*--p = (char)('0' + value % 10);
	while (value /= 10);
	*--p = type;
	buffer_append(out, p, (size_t)(text + sizeof text - p));
}

void resp_integer(struct buffer *out, long long value)
{
	if (value < 0)
		buffer_printf(out, ":%lld\r\n", value);
	else
		append_number(out, ':', (unsigned long long)value);
}

void resp_bulk(struct buffer *out, const char *data, size_t len)
{
	append_number(out, '$', len);
	buffer_append(out, data, len);
	buffer_append(out, "\r\n", 2);
}

void resp_array(struct buffer *out, size_t n)
{
	append_number(out, '*', n);
}
