/*
 * http.h - what a browser and Prometheus ask, on the port of RESP
 *
 * A connection begins with a worker like any other. Whoever speaks HTTP shows it with the first
 * bytes (http_begins): its socket, from which nothing has been read, then goes to libmicrohttpd,
 * whose one thread parses and answers. So whatever such clients do costs the workers nothing.
 */
#ifndef DEPSERVER_HTTP_H
#define DEPSERVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_CLIENTS_MAX = 64, HTTP_FIRST_BYTES = 9 };

struct http;
struct server;

/* http_open - Return: 0 or an errno value; then *out is NULL */
int http_open(struct http **out, struct server *server);
/* http_close - hang up on all clients; when no worker runs any more; NULL: nothing is done */
void http_close(struct http *http);

enum http_guess { HTTP_NO, HTTP_MAYBE, HTTP_YES };

/*
 * http_begins - is this how a request of HTTP begins?
 * @n: bytes at @first; HTTP_FIRST_BYTES decide it
 *
 * It is a method, a blank, and a slash. As a line of RESP that would be a command with an argument
 * that begins with a slash; there is none of that name.
 */
enum http_guess http_begins(const char *first, size_t n);
/* http_take - a connection that begins so; @fd is no longer the caller's; any thread */
void http_take(struct http *http, int fd);

/* http_second - to be called each second, on the main thread: samples; drops those who dawdle */
void http_second(struct http *http, uint64_t now_ns);

#endif
