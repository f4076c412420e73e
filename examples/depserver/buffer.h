/*
 * buffer.h - a growing run of bytes; a failed allocation is remembered, so that writers need not
 * check each step
 */
#ifndef DEPSERVER_BUFFER_H
#define DEPSERVER_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/* Zero bytes are an empty buffer. Once failed, appends do nothing until buffer_free. */
struct buffer {
	char *data;
	size_t used, size;
	bool failed;
};

/*
 * buffer_reserve - room for @more bytes behind the used ones. Return: false: out of memory, failed
 * is set.
 */
bool buffer_reserve(struct buffer *b, size_t more);
void buffer_append(struct buffer *b, const void *data, size_t len);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* buffer_consume - drop the first @len bytes */
void buffer_consume(struct buffer *b, size_t len);
/* buffer_empty - forget the content, and the memory too if it is more than @keep bytes */
void buffer_empty(struct buffer *b, size_t keep);
void buffer_free(struct buffer *b);

#endif
