/* stanza.c - reading a Debian package index */
#include "stanza.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const stanza_names[FIELD_COUNT] = {
	[FIELD_PACKAGE] = "Package",         [FIELD_VERSION] = "Version",
	[FIELD_SECTION] = "Section",         [FIELD_SIZE] = "Size",
	[FIELD_PROVIDES] = "Provides",       [FIELD_DEPENDS] = "Depends",
	[FIELD_PRE_DEPENDS] = "Pre-Depends", [FIELD_RECOMMENDS] = "Recommends",
	[FIELD_SUGGESTS] = "Suggests",       [FIELD_ENHANCES] = "Enhances",
	[FIELD_BREAKS] = "Breaks",
};

/* The buffer that the field of this line goes to; NULL: one that nobody asks for. */
static struct buffer *stanza_field_of(struct stanza *s, const char *line, size_t len)
{
	for (int f = 0; f < FIELD_COUNT; f++)
		if (strlen(stanza_names[f]) == len && strncasecmp(stanza_names[f], line, len) == 0)
			return &s->value[f];
	return NULL;
}

/* One line that is not blank. @current: the field it may continue; in and out. */
static void stanza_line(struct stanza *s, const char *line, size_t len, struct buffer **current)
{
	const char *value = line;
	if (*line != ' ' && *line != '\t') {
		const char *colon = memchr(line, ':', len);
		*current = colon ? stanza_field_of(s, line, (size_t)(colon - line)) : NULL;
		if (!*current)
			return;
		(*current)->used = 0;
		value = colon + 1;
	}
	if (!*current)
		return;
	while (value < line + len && (*value == ' ' || *value == '\t'))
		value++;
	if ((*current)->used)
		buffer_append(*current, " ", 1);
	buffer_append(*current, value, (size_t)(line + len - value));
}

/* Every value gets its terminator, which does not count as used. */
static int stanza_finish(struct stanza *s)
{
	for (int f = 0; f < FIELD_COUNT; f++) {
		if (!buffer_reserve(&s->value[f], 1))
			return errno = ENOMEM, -1;
		s->value[f].data[s->value[f].used] = '\0';
	}
	return 1;
}

int stanza_next(struct stanza *s)
{
	struct buffer *current = NULL;
	bool any = false;
	ssize_t len;
	for (int f = 0; f < FIELD_COUNT; f++)
		s->value[f].used = 0;
	while (errno = 0, (len = getline(&s->line, &s->line_size, s->in)) >= 0) {
		while (len > 0 && (s->line[len - 1] == '\n' || s->line[len - 1] == '\r'))
			s->line[--len] = '\0';
		if (len == 0 && any)
			break;
		if (len == 0)
			continue;
		any = true;
		stanza_line(s, s->line, (size_t)len, &current);
	}
	if (len < 0 && !feof(s->in))
		return errno = errno ? errno : EIO, -1;
	return any ? stanza_finish(s) : 0;
}

const char *stanza_value(const struct stanza *s, enum stanza_field field)
{
	return s->value[field].data;
}

void stanza_free(struct stanza *s)
{
	free(s->line);
	for (int f = 0; f < FIELD_COUNT; f++)
		buffer_free(&s->value[f]);
}

const char *relation_next(const char **at, size_t *len)
{
	const char *name = *at + strspn(*at, " \t,|");
	*len = strcspn(name, " \t,|(:[<");
	*at = name + strcspn(name, ",|");
	return *name ? name : NULL;
}
