/* json.c - writing much JSON to a FILE: numbers and strings, through a buffer. See json.h. */
#include "inspect/json.h"

#include <string.h>

static void write_out(struct oi_json *j)
{
	if (!j->failed && fwrite(j->buffer, 1, j->n, j->f) != j->n)
		j->failed = true;
	j->n = 0;
}

static void put_bytes(struct oi_json *j, const char *s, size_t n)
{
	if (j->n + n > sizeof j->buffer)
		write_out(j);
	memcpy(j->buffer + j->n, s, n);
	j->n += n;
}

void oi_json_text(struct oi_json *j, const char *s)
{
	put_bytes(j, s, strlen(s));
}

void oi_json_number(struct oi_json *j, uint64_t x)
{
	char digits[20];
	size_t at = sizeof digits;
	do
		digits[--at] = (char)('0' + x % 10);
	while (x /= 10);
	put_bytes(j, digits + at, sizeof digits - at);
}

static bool is_more(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* Returns how many bytes the character has that @s begins with; 0 if it is not UTF-8. */
static size_t character(const unsigned char *s)
{
	unsigned char c = s[0];
	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c < 0xe0)
		return is_more(s[1]) ? 2 : 0;
	if (c >= 0xe0 && c < 0xf0) {
		bool too_long = c == 0xe0 && s[1] < 0xa0, half = c == 0xed && s[1] >= 0xa0;
		return is_more(s[1]) && is_more(s[2]) && !too_long && !half ? 3 : 0;
	}
	if (c >= 0xf0 && c < 0xf5) {
		bool too_long = c == 0xf0 && s[1] < 0x90, beyond = c == 0xf4 && s[1] >= 0x90;
		bool more = is_more(s[1]) && is_more(s[2]) && is_more(s[3]);
		return more && !too_long && !beyond ? 4 : 0;
	}
	return 0;
}

void oi_json_string(struct oi_json *j, const char *s)
{
	char text[8];
	put_bytes(j, "\"", 1);
	while (*s) {
		size_t n = character((const unsigned char *)s);
		if (!n)
			oi_json_text(j, "\\ufffd");
		else if (*s == '"' || *s == '\\')
			put_bytes(j, text, (size_t)sprintf(text, "\\%c", *s));
		else if ((unsigned char)*s < ' ' || *s == 0x7f)
			put_bytes(j, text, (size_t)sprintf(text, "\\u%04x", (unsigned char)*s));
		else
			put_bytes(j, s, n);
		s += n ? n : 1;
	}
	put_bytes(j, "\"", 1);
}

void oi_json_end(struct oi_json *j)
{
	write_out(j);
}
