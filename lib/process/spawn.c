/*
 * spawn.c - creating a thread of the library's own
 *
 * The thread of the program that needs them first may be bound to a processor, have a real-time
 * policy, or block signals of its own. The library's threads inherit none of that. They get
 *   policy      SCHED_OTHER
 *   processors  those of the thread that loaded the library, at that time: as a rule, those of the
 *               process
 *   signals     all that can be sent to a process are blocked: they are the program's to receive.
 *               Those that say what a thread itself has done (SIGSEGV and its like) are not
 *               blocked: finalizers run here, and a program's handler is to see their faults
 * If the system refuses policy or processors, the thread is created without either.
 */
#include "process/spawn.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>

#include "base/perturb.h"

static cpu_set_t processors;
static bool processors_known;

__attribute__((constructor)) static void note_processors(void)
{
	processors_known = sched_getaffinity(0, sizeof processors, &processors) == 0;
}

static void block_signals(sigset_t *old)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
	sigset_t all;
	sigfillset(&all);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_SETMASK, &all, old);
}

static int describe_thread(pthread_attr_t *attr, size_t stack)
{
	int error = pthread_attr_setinheritsched(attr, PTHREAD_EXPLICIT_SCHED);
	if (!error)
		error = pthread_attr_setschedpolicy(attr, SCHED_OTHER);
	if (!error && processors_known)
		error = pthread_attr_setaffinity_np(attr, sizeof processors, &processors);
	if (!error && stack && !OI_ASAN && !OI_TSAN) /* their frames are larger */
		error = pthread_attr_setstacksize(attr, stack);
	return error;
}

static int create(pthread_t *out, void *(*main)(void *arg), void *arg, size_t stack)
{
	pthread_attr_t attr;
	int error = pthread_attr_init(&attr);
	if (error)
		return error;
	error = describe_thread(&attr, stack);
	if (!error)
		error = pthread_create(out, &attr, main, arg);
	pthread_attr_destroy(&attr);
	return error;
}

int oi_spawn(pthread_t *out, void *(*main)(void *arg), void *arg, size_t stack)
{
	sigset_t old;
	if (oi_fail(OI_FAIL_ALLOC) || oi_fail(OI_FAIL_PTHREAD_CREATE))
		return EAGAIN;
	block_signals(&old);
	int error = create(out, main, arg, stack);
	if (error == EINVAL || error == EPERM)
		error = pthread_create(out, NULL, main, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return error;
}
