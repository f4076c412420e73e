/* job.h - requests that take long, run on libuv's pool; their client waits, nobody else does */
#ifndef DEPSERVER_JOB_H
#define DEPSERVER_JOB_H

#include "server.h"
#include "session.h"

struct job_result {
	int error;        /* 0 or an errno value */
	bool has_count;
	long long count;  /* the reply, if there is no error; else "OK" */
};

/*
 * job_start - run @run on the pool and answer @r (borrowed) when it is done; on the worker of its
 * session
 *
 * Return:  0 or ENOMEM: nothing was started.
 */
int job_start(struct request *r, struct job_result (*run)(struct server *server));

#endif
