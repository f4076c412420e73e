/*
 * session.h - one client's connection and what it asked last
 *
 * A session is an ouro object with the libuv handle inside; the loop holds one counted reference to
 * it, from accept until the handle is closed. A request is an object too: it leads back to its
 * session, and the session to its last request. Nobody takes that cycle apart when the client goes
 * away: finding it is the collector's job.
 */
#ifndef DEPSERVER_SESSION_H
#define DEPSERVER_SESSION_H

#include "buffer.h"

#include <ouro.h>
#include <uv.h>

struct request {
	struct session *session;
	uint64_t began_ns;
	unsigned command;
};

struct session {
	struct request *request; /* the last one */
	struct worker *worker;   /* not an object: outlives every session */
	uv_tcp_t tcp;
	uv_write_t write;
	struct buffer in, out;
	struct buffer flight; /* what libuv is writing */
	/* In the worker's list of open sessions. Plain pointers: the loop holds each open one. */
	struct session *previous, *next;
	uint64_t heard_ms;   /* last input */
	uint64_t partial_ms; /* since when a request has been incomplete; 0: none is */
	uint64_t written_ms; /* last progress of the flight */
	size_t unwritten;    /* what was left of it then */
	bool reading;
	bool known; /* that it speaks RESP */
	bool given; /* it speaks HTTP, and its socket goes elsewhere */
	bool busy;    /* a job of this client runs on another thread: its next requests wait */
	bool ended;   /* the client will send no more */
	bool last;    /* closed as soon as all replies are written */
	bool yielded; /* has more to do, but it is the others' turn */
	bool closing;
};

/* All of these: on the session's worker only. */

/* session_accept - take the connection that waits at @listener */
void session_accept(struct worker *worker, uv_stream_t *listener);
void session_close(struct session *s);
/* session_advance - run what has been read, write what has been answered, as far as it goes now */
void session_advance(struct session *s);
/* session_check - drop @s if its client has been stalled or idle for too long */
void session_check(struct session *s);

/*
 * request_new - the object of one request, entered as the last of @s. Return: new reference; NULL:
 * ENOMEM.
 */
struct request *request_new(struct session *s, unsigned command, uint64_t began_ns);

#endif
