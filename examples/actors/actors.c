/*
 * actors.c - actors on libuv loops that hand objects over
 *
 * An actor is a thread with a loop and an inbox, an ouro_queue. A message is an object; who sends
 * it puts it there, which wakes the loop. It is sent on, kept, dropped: nobody says who frees it.
 * An actor's connection is closed on its own loop, whoever drops the last reference to it.
 *
 *     cc actors.c $(pkg-config --cflags --libs ouro libuv) && ./a.out
 */
#include <ouro.h>
#include <stdio.h>
#include <uv.h>
enum { ACTORS = 3, MESSAGES = 99, HOPS = 30 };
struct actor {
	ouro_queue inbox;
	uv_loop_t loop;
	uv_async_t wake;
	uv_thread_t thread;
	int n_handled, n_closed, n_closed_elsewhere; /* its thread's */
};
/* What belongs to one actor's loop. */
struct connection {
	struct actor *home;
};
struct message {
	struct connection *from; /* a slot */
	int hops;
};
static struct actor actors[ACTORS];
static _Thread_local struct actor *me;

static void close_connection(void *obj)
{
	struct connection *c = obj;
	c->home->n_closed++;
	c->home->n_closed_elsewhere += c->home != me;
}

OURO_FINALIZE_ON(finalize_connection, &((struct connection *)obj)->home->inbox, close_connection)
static const ouro_type connection_type = {
	.name = "connection", .size = sizeof(struct connection), .finalize = finalize_connection,
};
static const ouro_type message_type = {
	.name = "message", .size = sizeof(struct message),
	.slots = OURO_SLOTS(struct message, from),
};

/* On the actor's loop. The last hop drops the message, and with it perhaps another's connection. */
static void handle(void *obj)
{
	struct message *m = obj;
	me->n_handled++;
	if (++m->hops < HOPS)
		ouro_queue_put(&actors[(size_t)(me - actors + 1) % ACTORS].inbox, m, handle);
}

static void wake(void *async)
{
	uv_async_send(async);
}

static void work(uv_async_t *async)
{
	ouro_queue_run(&me->inbox, SIZE_MAX);
	if (me->n_handled == MESSAGES * HOPS / ACTORS && me->n_closed == MESSAGES / ACTORS)
		uv_stop(async->loop);
}

static void run(void *arg)
{
	me = arg;
	uv_run(&me->loop, UV_RUN_DEFAULT);
}
/* When nobody sends any more: what was sent last may have woken the loop a moment later. */
static void close_loop(struct actor *a)
{
	uv_close((uv_handle_t *)&a->wake, NULL);
	uv_run(&a->loop, UV_RUN_DEFAULT);
	uv_loop_close(&a->loop);
}

static int send_first(int i)
{
	OURO_AUTO struct message *m = OURO_NEW(struct message, &message_type);
	OURO_AUTO struct connection *c = OURO_NEW(struct connection, &connection_type);
	if (!m || !c) /* no memory */
		return -1;
	c->home = &actors[i % ACTORS];
	ouro_store(&m->from, c);
	return ouro_queue_put(&actors[(i + 1) % ACTORS].inbox, m, handle);
}

int main(void)
{
	int handled = 0, closed = 0, elsewhere = 0;
	ouro_report report;
	for (struct actor *a = actors; a < actors + ACTORS; a++) {
		a->inbox = (ouro_queue)OURO_QUEUE_INIT(wake, &a->wake);
		if (uv_loop_init(&a->loop) || uv_async_init(&a->loop, &a->wake, work) ||
		    uv_thread_create(&a->thread, run, a))
			return 1;
	}
	for (int i = 0; i < MESSAGES; i++)
		if (send_first(i))
			return 1;
	for (struct actor *a = actors; a < actors + ACTORS; a++) {
		uv_thread_join(&a->thread);
		handled += a->n_handled, closed += a->n_closed;
		elsewhere += a->n_closed_elsewhere;
	}
	ouro_flush(); /* no finalizer is under way */
	for (struct actor *a = actors; a < actors + ACTORS; a++)
		close_loop(a);
	if (ouro_shutdown(&report))
		return 1;
	printf("%d handled, %d closed, %d on the wrong thread, %zu objects left\n", handled, closed,
	       elsewhere, report.objects);
	return 0;
}
