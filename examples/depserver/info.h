/* info.h - the text of INFO */
#ifndef DEPSERVER_INFO_H
#define DEPSERVER_INFO_H

#include "resp.h"

struct server;

/* info_resident - memory the process has, and has had at most, in bytes; 0: unknown */
void info_resident(unsigned long long *now, unsigned long long *peak);

/* info_write - all sections, or the one called @section (NULL: all), in the form "name:value" */
void info_write(struct buffer *out, struct server *server, const struct resp_arg *section);

#endif
