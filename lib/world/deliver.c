/*
 * deliver.c - the program's log function is called
 *
 * Of the ring of log.c:
 *   idle    -> calling  a thread that has nothing of the library's in hand takes the first message,
 *                       and the function to call
 *   calling -> idle     the call is over: it returned, or its thread exits or was cancelled in it,
 *                       or an exception left it; in these cases the reaper delivers what waits
 * One thread at a time calls the function, without the lock. Whoever comes meanwhile leaves; the
 * one that delivers looks again after each call, so no message is left behind. The state changes
 * under the lock, which is held for a copy of a message and nothing else: so whoever has set
 * another function waits until the call that is under way is over, and no lock stands in its way.
 * A thread that is in a callback, or pinned, does not wait: the function may be waiting for it.
 * The function may itself call the library, set another one, or never return: then messages are
 * lost, and nothing else is.
 */
#include "world/deliver.h"

#include <pthread.h>
#include <stdarg.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/os.h"
#include "base/wake.h"
#include "world/callback.h"
#include "world/thread.h"
#include "ouro.h"

typedef void log_fn(const char *message, void *arg);

/* All under the lock. */
static log_fn *log_function;
static void *log_arg;
static bool calling;
static uint32_t n_calls; /* how many are over */

static __thread bool in_call;

struct call {
	log_fn *fn;
	void *arg;
	char message[OI_LOG_MESSAGE];
};

static bool begin_delivery(struct call *c)
{
	oi_lock(OI_LOCK_LOG);
	bool mine = !calling && oi_log_next(c->message);
	if (mine) {
		calling = true;
		c->fn = log_function;
		c->arg = log_arg;
	}
	oi_unlock(OI_LOCK_LOG);
	return mine;
}

static void end_delivery(void *unused)
{
	(void)unused;
	in_call = false;
	oi_lock(OI_LOCK_LOG);
	calling = false;
	n_calls++;
	oi_unlock(OI_LOCK_LOG);
}

/* The function was left, and the thread that delivered does not look again. */
static void leave_call(void *unused)
{
	end_delivery(unused);
	if (oi_log_waiting())
		oi_wake_reap();
}

static void call_function(void *arg)
{
	struct call *c = arg;
	if (c->fn)
		c->fn(c->message, c->arg);
	else
		oi_log_write(c->message);
}

static void deliver_one(struct call *c)
{
	in_call = true;
	pthread_cleanup_push(leave_call, NULL);
	oi_callback_aside(oi_self, call_function, c, "log function");
	pthread_cleanup_pop(0);
	end_delivery(NULL);
}

void oi_log_deliver(void)
{
	struct call c;
	if (likely(!oi_log_waiting()) || in_call)
		return;
	while (begin_delivery(&c))
		deliver_one(&c);
}

void oi_log_leave(void)
{
	if (in_call)
		leave_call(NULL);
}

bool oi_log_any(void)
{
	if (likely(!oi_log_waiting()))
		return false;
	oi_lock(OI_LOCK_LOG);
	bool any = oi_log_waiting() && !calling;
	oi_unlock(OI_LOCK_LOG);
	return any;
}

void oi_say(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	oi_log_note(format, ap);
	va_end(ap);
	oi_log_deliver();
}

void oi_log_fork_child(void)
{
	oi_lock(OI_LOCK_LOG);
	calling = in_call;
	oi_log_clear();
	oi_unlock(OI_LOCK_LOG);
}

/* Returns true if the call that was under way when @n were over still is. */
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
