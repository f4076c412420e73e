/* exchange.h - one request of HTTP and its answer */
#ifndef DEPSERVER_EXCHANGE_H
#define DEPSERVER_EXCHANGE_H

#include "buffer.h"
#include "errand.h"
#include "history.h"
#include "live.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>

enum { FILES_MAX = 2 }; /* answers out of files, at a time */

/* What all exchanges share. */
struct desk {
	struct server *server;
	struct errands errands;
	struct history history;
	struct census census; /* of the thread that speaks HTTP */
	_Atomic unsigned files;
	_Atomic uint64_t requests;
};

/* It lives from the request's header until the answer is out, or the client gone. */
struct exchange {
	struct errand errand;
	struct desk *desk;
	struct MHD_Connection *connection;
	/* Of an errand: */
	void (*work)(struct exchange *e); /* what is done, on the thread of errands */
	int (*write)(FILE *f);            /* what it writes, of work_file */
	const char *type, *name; /* content type, name for the browser to keep the file under */
	char *key;               /* what is asked for: a copy */
	bool has_file;           /* it counts among the files */
	bool started, refused;
	/* What came of it: 0 or an errno value; a file, or -1; a text. */
	int error, fd;
	struct buffer text;
};

/*
 * exchange_run - answer a request, or begin an errand and suspend the connection; called again when
 * that is done
 */
enum MHD_Result exchange_run(struct exchange *e, const char *method, const char *path);
/* exchange_end - free it */
void exchange_end(struct exchange *e);

#endif
