/*
 * log.c - warnings to the program's log function, and aborts
 *
 * A message is formatted where it arises and put into a ring of fixed size; those that do not fit
 * are counted, and the count is told. deliver.c delivers; whoever notes a message asks for that.
 */
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "base/os.h"
#include "base/wake.h"

#define RING 64

/* All under the lock. */
static char ring[RING][OI_LOG_MESSAGE];
static uint32_t first;
static uint32_t n_waiting, n_lost; /* looked at without it, too */

static void keep_message(const char *message)
{
	oi_lock(OI_LOCK_LOG);
	if (n_waiting < RING) {
		memcpy(ring[(first + n_waiting) % RING], message, OI_LOG_MESSAGE);
		oi_store_relaxed(&n_waiting, n_waiting + 1); /* recheck: under the lock */
	} else {
		oi_store_relaxed(&n_lost, n_lost + 1); /* recheck: under the lock */
	}
	oi_unlock(OI_LOCK_LOG);
}

/* How many were lost is told when no other message waits. */
bool oi_log_next(char message[OI_LOG_MESSAGE])
{
	oi_assert_locked(OI_LOCK_LOG);
	if (n_waiting) {
		memcpy(message, ring[first], OI_LOG_MESSAGE);
		first = (first + 1) % RING;
		oi_store_relaxed(&n_waiting, n_waiting - 1); /* recheck: under the lock */
		return true;
	}
	if (!n_lost)
		return false;
	snprintf(message, OI_LOG_MESSAGE, "%u messages lost", n_lost);
	oi_store_relaxed(&n_lost, 0u); /* recheck: under the lock */
	return true;
}

bool oi_log_waiting(void)
{
	return oi_load_relaxed(&n_waiting) || oi_load_relaxed(&n_lost); /* recheck */
}

void oi_log_clear(void)
{
	oi_assert_locked(OI_LOCK_LOG);
	oi_store_relaxed(&n_waiting, 0u); /* recheck: under the lock */
	oi_store_relaxed(&n_lost, 0u);    /* recheck: under the lock */
}

void oi_log_write(const char *message)
{
	char line[OI_LOG_MESSAGE + 8];
	int n = snprintf(line, sizeof line, "ouro: %s\n", message);
	oi_write_stderr(line, (size_t)n);
}

/* ---- what is said ---- */

void oi_log_note(const char *format, va_list ap)
{
	char message[OI_LOG_MESSAGE];
	vsnprintf(message, sizeof message, format, ap);
	keep_message(message);
}

void oi_log(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	oi_log_note(format, ap);
	va_end(ap);
	oi_wake_reap();
}

void oi_abort(const char *format, ...)
{
	char message[OI_LOG_MESSAGE];
	va_list ap;
	va_start(ap, format);
	vsnprintf(message, sizeof message, format, ap);
	va_end(ap);
	oi_log_write(message);
	abort();
}
