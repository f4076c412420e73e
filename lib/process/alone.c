/*
 * alone.c - the first thread of the process has ended: are the library's all that is left?
 *
 * A program may end its first thread with pthread_exit and leave the rest to others; when the last
 * of these has ended the process exits, with status 0. The library's threads must not keep it from
 * that: they block all signals, which are the program's to receive, so such a process could not
 * even be terminated. Nobody says when a thread that never used the library ends. So once the first
 * thread is gone, and not before, the collector looks at how many threads there are, and when it
 * and the reapers are all, they end (servants.c).
 */
#include "process/alone.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/wake.h"

static uint32_t first_gone;

void oi_alone_first_exits(void)
{
	oi_store_relaxed(&first_gone, 1u); /* recheck: every so often from then on */
	oi_wake_tick();
}

bool oi_alone_may_be(void)
{
	return oi_load_relaxed(&first_gone); /* recheck */
}

/*
 * The directory has a link for each thread, besides its own two; the first thread stays in it
 * while there are others.
 */
bool oi_alone(unsigned n)
{
	struct stat s;
	return oi_alone_may_be() && stat("/proc/self/task", &s) == 0 && s.st_nlink == 2 + 1 + n;
}

void oi_alone_take_signals(void)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_UNBLOCK, &all, NULL);
}

void oi_alone_fork_child(void)
{
	first_gone = 0;
}
