/* log.c - warnings to the program's log function, and aborts. */
#include "log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ouro.h"

/* The pair is set and called under the lock, so that a function and its argument are never mixed up. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*log_function)(const char *message, void *arg);
static void *log_arg;

void ouro_set_log(void (*fn)(const char *message, void *arg), void *arg)
{
	pthread_mutex_lock(&log_lock);
	log_function = fn;
	log_arg = arg;
	pthread_mutex_unlock(&log_lock);
}

void oi_log_fork(int phase)
{
	if (phase == 0)
		pthread_mutex_lock(&log_lock);
	else
		pthread_mutex_unlock(&log_lock);
}

static void deliver(const char *message)
{
	pthread_mutex_lock(&log_lock);
	if (log_function)
		log_function(message, log_arg);
	else
		fprintf(stderr, "ouro: %s\n", message);
	pthread_mutex_unlock(&log_lock);
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
