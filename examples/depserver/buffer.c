/* buffer.c - a growing run of bytes */
#include "buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 256 };

bool buffer_reserve(struct buffer *b, size_t more)
{
	if (b->failed || more > SIZE_MAX / 2 - b->used)
		return b->failed = true, false;
	if (b->size - b->used >= more)
		return true;
	size_t size = b->size ? b->size : FIRST_BYTES;
	while (size - b->used < more)
		size *= 2;
	char *data = realloc(b->data, size);
	if (!data)
		return b->failed = true, false;
	b->data = data;
	b->size = size;
	return true;
}

void buffer_append(struct buffer *b, const void *data, size_t len)
{
	if (!len || !buffer_reserve(b, len))
		return;
	memcpy(b->data + b->used, data, len);
	b->used += len;
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0 || !buffer_reserve(b, (size_t)len + 1))
		return;
	va_start(args, format);
	vsnprintf(b->data + b->used, (size_t)len + 1, format, args);
	va_end(args);
	b->used += (size_t)len;
}

void buffer_consume(struct buffer *b, size_t len)
{
	b->used -= len;
	if (b->used && len)
		memmove(b->data, b->data + len, b->used);
}

void buffer_empty(struct buffer *b, size_t keep)
{
	if (b->size > keep)
		buffer_free(b);
	b->used = 0;
}

void buffer_free(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){ 0 };
}
