/* log.c - warnings to the program's log function, and aborts. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lock.h"
#include "ouro.h"

/* The pair is set and called under the lock, so that a function and its argument are never mixed up. */
static void (*log_function)(const char *message, void *arg);
static void *log_arg;

void ouro_set_log(void (*fn)(const char *message, void *arg), void *arg)
{
	oi_lock(OI_LOCK_LOG);
	log_function = fn;
	log_arg = arg;
	oi_unlock(OI_LOCK_LOG);
}

static void deliver(const char *message)
{
	oi_lock(OI_LOCK_LOG);
	if (log_function)
		log_function(message, log_arg);
	else
		fprintf(stderr, "ouro: %s\n", message);
	oi_unlock(OI_LOCK_LOG);
}

void oi_log(const char *format, ...)
{
	char message[512];
	va_list ap;
	va_start(ap, format);
	vsnprintf(message, sizeof message, format, ap);
	va_end(ap);
	deliver(message);
}

void oi_abort(const char *format, ...)
{
	char message[512];
	va_list ap;
	va_start(ap, format);
	vsnprintf(message, sizeof message, format, ap);
	va_end(ap);
	fprintf(stderr, "ouro: %s\n", message);
	abort();
}
