/* job.h - requests that take long, run on libuv's pool; their client waits, nobody else does */
#ifndef DEPSERVER_JOB_H
#define DEPSERVER_JOB_H

#include "resp.h"
#include "server.h"
#include "session.h"

struct job_result {
	int error;           /* 0 or an errno value */
	bool has_count;
	long long count;     /* the reply, if there is no error; else: */
	struct buffer lines; /* the reply, if there are any; else "OK" */
	size_t n_lines;
};

/* @key: what the request is about, @len bytes of it */
typedef struct job_result (*job_run)(struct server *server, const char *key, size_t len);

/*
 * job_start - run @run on the pool and answer @r (borrowed) when it is done; on the worker of its
 * session
 * @about: copied; NULL: nothing
 *
 * Return:  0 or ENOMEM: nothing was started.
 */
int job_start(struct request *r, job_run run, const struct resp_arg *about);

#endif
