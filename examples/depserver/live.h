/* live.h - the server's numbers, for the page and for Prometheus */
#ifndef DEPSERVER_LIVE_H
#define DEPSERVER_LIVE_H

#include "buffer.h"
#include "history.h"

#include <ouro.h>

enum { CENSUS_TYPES = 64 };

/* Objects by type; counted now and then, as a count walks the heap. Zero bytes: none yet. */
struct census {
	ouro_type_stat type[CENSUS_TYPES];
	unsigned n;
	uint64_t at_ns, took_ns;
};

struct server;

/* live_write - all of it as JSON, with the seconds from @since on */
void live_write(struct buffer *out, struct server *server, struct history *history,
		struct census *census, uint64_t since);
/* live_metrics - the library's metrics and the server's, in the format of OpenMetrics */
void live_metrics(struct buffer *out, struct server *server, uint64_t http_requests);
void live_sample(struct sample *sample, struct server *server);

#endif
