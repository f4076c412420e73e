/* json.h - writing much JSON to a FILE: numbers and strings, through a buffer. */
#ifndef OI_JSON_H
#define OI_JSON_H

#include "base/compiler.h"

#include <stdio.h>

/* Zeroed but for @f. What is written after an error is dropped. */
struct oi_json {
	FILE *f;
	bool failed;
	size_t n;
	char buffer[1 << 14];
};

void oi_json_text(struct oi_json *j, const char *s);
void oi_json_number(struct oi_json *j, uint64_t x);
/* As a JSON string; a byte that is not UTF-8 becomes U+FFFD. */
void oi_json_string(struct oi_json *j, const char *s);
/* Writes out what is left. Whether all was written oi_output_end knows. */
void oi_json_end(struct oi_json *j);

#endif
