/*
 * stanza.h - reading a Debian package index, one stanza ("Field: value" lines up to a blank one) at
 * a time
 */
#ifndef DEPSERVER_STANZA_H
#define DEPSERVER_STANZA_H

#include "buffer.h"

#include <stdio.h>

enum stanza_field {
	FIELD_PACKAGE,
	FIELD_VERSION,
	FIELD_SECTION,
	FIELD_SIZE,
	FIELD_PROVIDES,
	FIELD_DEPENDS, /* from here on: relations to other packages */
	FIELD_PRE_DEPENDS,
	FIELD_RECOMMENDS,
	FIELD_SUGGESTS,
	FIELD_ENHANCES,
	FIELD_BREAKS,
	FIELD_COUNT,
};

/* Set @in, the rest to zero. */
struct stanza {
	FILE *in;
	char *line;
	size_t line_size;
	struct buffer value[FIELD_COUNT];
};

/* stanza_next - read the next stanza. Return: 1; 0 at the end; -1 with errno. */
int stanza_next(struct stanza *s);
/*
 * stanza_value - the value of a field, "" where the stanza has none; valid until the next
 * stanza_next
 */
const char *stanza_value(const struct stanza *s, enum stanza_field field);
void stanza_free(struct stanza *s);

/*
 * relation_next - the next package name in a relation field, alternatives too, without version and
 * architecture
 * @at:  in and out: where to go on
 * @len: out: bytes of the name
 *
 * Return:  the name, not terminated; NULL at the end.
 */
const char *relation_next(const char **at, size_t *len);

#endif
