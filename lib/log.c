/*
 * log.c - warnings to the program's log function, and aborts
 *
 * A message is formatted where it arises and put into a ring of fixed size; what does not fit is counted and said so. Delivery:
 *   idle    -> calling  a thread that has nothing of the library's in hand takes the first message, and the function to call
 *   calling -> idle     the call is over, however: returned, or its thread exits, was cancelled in it, or an exception left it. Then what
 *                       waits is the reaper's
 * One thread at a time calls the function, without the lock. Who comes meanwhile leaves; who delivers looks again after each call,
 * so no message is left behind. The state changes under the lock, which is held for a copy of a message and nothing else:
 * so whoever has set another function waits until the call that is under way is over, and no lock stands in its way.
 * Who is in a callback, or pinned, does not wait: the function may be waiting for that very thread.
 * The function may itself call the library, set another one, or never return: then messages are lost, and nothing else is.
 */
#include "log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wake.h"
#include "callback.h"
#include "context.h"
#include "lock.h"
#include "os.h"
#include "ouro.h"
#include "thread.h"

#define MESSAGE 512 /* bytes, with the zero */
#define RING 64

typedef void log_fn(const char *message, void *arg);

/* All under the lock. */
static char ring[RING][MESSAGE];
static uint32_t first;
static uint32_t n_waiting, n_lost; /* to look at without, too */
static log_fn *log_function;
static void *log_arg;
static bool calling;
static uint32_t n_calls; /* that are over */

static __thread bool in_call;

static void note(const char *message)
{
	oi_lock(OI_LOCK_LOG);
	if (n_waiting < RING) {
		memcpy(ring[(first + n_waiting) % RING], message, MESSAGE);
		oi_store_relaxed(&n_waiting, n_waiting + 1); /* recheck: under the lock */
	} else {
		oi_store_relaxed(&n_lost, n_lost + 1); /* likewise */
	}
	oi_unlock(OI_LOCK_LOG);
}

/* ---- delivery ---- */

struct call {
	log_fn *fn;
	void *arg;
	char message[MESSAGE];
};

/* Under the lock. False: there is none. Those that were lost came after all that wait. */
static bool next_message(char *message)
{
	oi_assert_locked(OI_LOCK_LOG);
	if (n_waiting) {
		memcpy(message, ring[first], MESSAGE);
		first = (first + 1) % RING;
		oi_store_relaxed(&n_waiting, n_waiting - 1);
		return true;
	}
	if (!n_lost)
		return false;
	snprintf(message, MESSAGE, "%u messages lost", n_lost);
	oi_store_relaxed(&n_lost, 0u);
	return true;
}

static bool begin_call(struct call *c)
{
	oi_lock(OI_LOCK_LOG);
	bool mine = !calling && next_message(c->message);
	if (mine) {
		calling = true;
		c->fn = log_function;
		c->arg = log_arg;
	}
	oi_unlock(OI_LOCK_LOG);
	return mine;
}

static void end_call(void *unused)
{
	(void)unused;
	in_call = false;
	oi_lock(OI_LOCK_LOG);
	calling = false;
	n_calls++;
	oi_unlock(OI_LOCK_LOG);
}

static bool any_waiting(void)
{
	return oi_load_relaxed(&n_waiting) || oi_load_relaxed(&n_lost); /* recheck: whoever noted it delivers it, or asks for that */
}

/* The function was left: who delivered does not look again. */
static void leave_call(void *unused)
{
	end_call(unused);
	if (any_waiting())
		oi_wake_reap();
}

static void write_to_stderr(const char *message)
{
	char line[MESSAGE + 8];
	int n = snprintf(line, sizeof line, "ouro: %s\n", message);
	oi_write_stderr(line, (size_t)n);
}

static void call_function(void *arg)
{
	struct call *c = arg;
	if (c->fn)
		c->fn(c->message, c->arg);
	else
		write_to_stderr(c->message);
}

static void call(struct call *c)
{
	in_call = true;
	pthread_cleanup_push(leave_call, NULL);
	oi_callback_aside(oi_self, call_function, c, "log function");
	pthread_cleanup_pop(0);
	end_call(NULL);
}

void oi_log_deliver(void)
{
	struct call c;
	if (likely(!any_waiting()) || in_call)
		return;
	while (begin_call(&c))
		call(&c);
}

void oi_log_leave(void)
{
	if (in_call)
		leave_call(NULL);
}

bool oi_log_any(void)
{
	if (likely(!any_waiting()))
		return false;
	oi_lock(OI_LOCK_LOG);
	bool any = any_waiting() && !calling;
	oi_unlock(OI_LOCK_LOG);
	return any;
}

/* ---- what is said ---- */

static void note_formatted(const char *format, va_list ap)
{
	char message[MESSAGE];
	vsnprintf(message, sizeof message, format, ap);
	note(message);
}

void oi_log(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	note_formatted(format, ap);
	va_end(ap);
	oi_wake_reap();
}

void oi_say(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	note_formatted(format, ap);
	va_end(ap);
	oi_log_deliver();
}

void oi_log_fork_child(void)
{
	oi_lock(OI_LOCK_LOG);
	calling = in_call;
	oi_store_relaxed(&n_waiting, 0u);
	oi_store_relaxed(&n_lost, 0u);
	oi_unlock(OI_LOCK_LOG);
}

void oi_abort(const char *format, ...)
{
	char message[MESSAGE];
	va_list ap;
	va_start(ap, format);
	vsnprintf(message, sizeof message, format, ap);
	va_end(ap);
	write_to_stderr(message);
	abort();
}

/* ---- public ---- */

/* True: a call by another thread, which began before now, the n-th, is under way. */
static bool still_calling(uint32_t n)
{
	oi_lock(OI_LOCK_LOG);
	bool still = calling && n_calls == n;
	oi_unlock(OI_LOCK_LOG);
	return still;
}

void ouro_set_log(void (*fn)(const char *message, void *arg), void *arg)
{
	oi_lock(OI_LOCK_LOG);
	bool had_one = log_function != NULL;
	log_function = fn;
	log_arg = arg;
	uint32_t n = n_calls;
	oi_unlock(OI_LOCK_LOG);
	if (!had_one || oi_callback_keeps_others())
		return;
	while (still_calling(n))
		oi_sleep_ns(20000);
}
