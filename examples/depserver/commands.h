/* commands.h - what clients can ask */
#ifndef DEPSERVER_COMMANDS_H
#define DEPSERVER_COMMANDS_H

#include "resp.h"

#include <stdint.h>

enum { COMMANDS_MAX = 16 };

struct session;
struct worker;

/*
 * command_run - answer one request of @s: the reply is in s->out, or s->busy says that it comes
 * later
 */
void command_run(struct session *s, const struct resp_request *in);
/* command_done - count a request of @w, for command @i, that has been answered */
void command_done(struct worker *w, unsigned i, uint64_t began_ns, bool failed);
/* command_name - the name of command @i; NULL: there is none */
const char *command_name(unsigned i);

#endif
