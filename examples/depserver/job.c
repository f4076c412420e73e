/*
 * job.c - requests that take long
 *
 * The job object belongs to libuv until it is done. It holds the request, which holds the session:
 * if the client is gone meanwhile, the session is still there to say so. The worker lives as long
 * as its loop has a job under way.
 */
#include "job.h"
#include "commands.h"
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

struct job {
	struct request *request;
	struct server *server;
	job_run run;
	struct job_result result;
	uv_work_t work;
	size_t len;
	char key[]; /* what it is about */
};

static const ouro_type job_type = {
	.name = "job",
	.size = offsetof(struct job, key),
	.slots = OURO_SLOTS(struct job, request),
	.item_size = 1,
};

static void on_pool(uv_work_t *work)
{
	struct job *job = work->data;
	pthread_setname_np(pthread_self(), "pool");
	job->result = job->run(job->server, job->key, job->len);
}

static void reply_lines(struct buffer *out, const struct job_result *result)
{
	const char *line = result->lines.data, *end = line + result->lines.used;
	resp_array(out, result->n_lines);
	for (const char *newline; line < end; line = newline + 1) {
		newline = memchr(line, '\n', (size_t)(end - line));
		resp_bulk(out, line, (size_t)(newline - line));
	}
}

static void job_reply(struct buffer *out, const struct job_result *result)
{
	if (result->error == EBUSY)
		resp_error(out, "BUSY a reload is under way");
	else if (result->error == ENOMEM)
		resp_error(out, "OOM out of memory");
	else if (result->error)
		resp_error(out, "ERR %s", strerror(result->error));
	else if (result->has_count)
		resp_integer(out, result->count);
	else if (result->n_lines)
		reply_lines(out, result);
	else
		resp_status(out, "OK");
}

static void on_job_done(uv_work_t *work, int status)
{
	OURO_AUTO struct job *job = work->data; /* libuv's reference */
	OURO_AUTO struct request *r = ouro_load(&job->request);
	OURO_AUTO struct session *s = ouro_load(&r->session);
	if (status < 0)
		job->result.error = ECANCELED;
	command_done(s->worker, r->command, r->began_ns, job->result.error != 0);
	s->busy = false;
	if (!s->closing) {
		job_reply(&s->out, &job->result);
		session_advance(s);
	}
	buffer_free(&job->result.lines);
}

int job_start(struct request *r, job_run run, const struct resp_arg *about)
{
	struct job *job = ouro_new_items(&job_type, about ? about->len : 0);
	if (!job)
		return ENOMEM;
	if (about) {
		job->len = about->len;
		memcpy(job->key, about->data, about->len);
	}
	OURO_AUTO struct session *s = ouro_load(&r->session);
	job->server = s->worker->server;
	job->run = run;
	job->work.data = job;
	ouro_store(&job->request, r);
	if (uv_queue_work(&s->worker->loop, &job->work, on_pool, on_job_done) < 0) {
		ouro_release(job);
		return ENOMEM;
	}
	s->busy = true;
	return 0;
}
