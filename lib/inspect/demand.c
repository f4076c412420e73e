/*
 * demand.c - snapshots that a signal asks for
 *
 * The handler sets a flag and wakes the collector, which does no more than start a thread for it
 * (servants.c), as a file takes as long as its disk likes. Signals that come before that thread
 * looks at the flag are one request; one that comes later gets a snapshot of its own.
 * [B7] The flag is set before the collector's word is counted up, and looked at after the word was
 * read, as in wake.c.
 * A snapshot is written under another name, and gets its own when it is whole. The name has a
 * number that is free, also where several processes of the same number (in containers) share the
 * folder: the other name belongs to who created it, and then looks whether the first is taken.
 */
#include "inspect/demand.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/log.h"
#include "base/wake.h"
#include "ouro.h"

#define PATH 4096
#define NAME 64 /* of a file, without its folder */

static uint32_t wanted; /* [B7] */
static char folder[PATH]; /* absolute, as a server changes its directory; written at starts */

/* ---- the signal ---- */

static void on_signal(int number)
{
	(void)number;
	__atomic_store_n(&wanted, 1u, __ATOMIC_SEQ_CST); /* [B7] */
	oi_wake(&oi_wanted.collector_word);
}

bool oi_demand_any(void)
{
	return unlikely(oi_load_seq_cst(&wanted)); /* [B7] */
}

void oi_demand_forget(void)
{
	oi_exchange_seq_cst(&wanted, 0u); /* [B7] */
}

/* Returns the number in "USR2", "SIGUSR2", "RTMIN+3" or "12"; 0 if it is none. */
static int signal_named(const char *name)
{
	char *end;
	if (!strncmp(name, "SIG", 3))
		name += 3;
	for (int i = 1; i < NSIG; i++)
		if (sigabbrev_np(i) && !strcmp(sigabbrev_np(i), name))
			return i;
	bool real_time = !strncmp(name, "RTMIN", 5);
	long n = strtol(real_time ? name + 5 : name, &end, 10);
	n += real_time ? SIGRTMIN : 0;
	return *end || n < 1 || n > SIGRTMAX ? 0 : (int)n;
}

/* Returns false for what says that a thread has failed: after the handler it would fail again. */
static bool may_ask(int number)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		if (faults[i] == number)
			return false;
	return number;
}

/* The handler stays for good: without it the next signal would end the program. */
static void catch_signal(const char *name)
{
	struct sigaction old, ours = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	int number = signal_named(name);
	bool may = may_ask(number) && !sigaction(number, NULL, &old);
	if (may && old.sa_handler != SIG_DFL && old.sa_handler != on_signal)
		oi_log("environment: OURO_SNAPSHOT_SIGNAL=%s: the program has it already", name);
	else if (!may || sigaction(number, &ours, NULL))
		oi_log("environment: OURO_SNAPSHOT_SIGNAL=%s is no signal for that", name);
}

/* Returns false if it is too long, or the directory has no name. */
static bool set_folder(const char *name)
{
	size_t n = 0;
	if (name[0] != '/' && getcwd(folder, PATH))
		n = strlen(folder);
	if ((name[0] != '/' && !n) || n + strlen(name) + 2 > PATH)
		return false;
	if (n)
		folder[n++] = '/';
	strcpy(folder + n, name);
	return true;
}

void oi_demand_begin(void)
{
	const char *name = getenv("OURO_SNAPSHOT_SIGNAL"), *where = getenv("OURO_SNAPSHOT_DIR");
	if (!name || !*name)
		return;
	if (!set_folder(where && *where ? where : "."))
		oi_log("environment: OURO_SNAPSHOT_DIR=%s is too long", where ? where : "");
	else
		catch_signal(name);
}

/* ---- the file ---- */

struct file {
	char name[PATH + NAME]; /* while it is written */
	char whole[PATH + NAME];
	FILE *f;
};

/* Returns 0; EEXIST if the number is taken; another error. */
static int open_number(struct file *file, unsigned number)
{
	int pid = (int)getpid();
	snprintf(file->whole, sizeof file->whole, "%s/ouro.%d.%u.heapsnapshot", folder, pid,
		 number);
	snprintf(file->name, sizeof file->name, "%s/.ouro.%d.%u.part", folder, pid, number);
	int fd = open(file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	int error = access(file->whole, F_OK) ? 0 : EEXIST;
	file->f = error ? NULL : fdopen(fd, "w");
	if (!file->f) {
		error = error ? error : errno;
		close(fd);
		unlink(file->name);
	}
	return error;
}

#define NUMBERS 100000

static int open_file(struct file *file)
{
	int error = EEXIST;
	for (unsigned i = 1; error == EEXIST && i < NUMBERS; i++)
		error = open_number(file, i);
	return error;
}

/* Gives it its name if it is whole, and takes it away if not. */
static int close_file(struct file *file, int error)
{
	if (fclose(file->f) && !error)
		error = errno;
	if (!error && rename(file->name, file->whole))
		error = errno;
	if (error)
		unlink(file->name);
	return error;
}

static void write_one(void)
{
	struct file file;
	int error = open_file(&file);
	if (!error)
		error = close_file(&file, ouro_snapshot_write(file.f));
	if (error)
		oi_log("no snapshot was written to %s: %s", folder, strerrordesc_np(error));
	else
		oi_log("a snapshot was written: %s", file.whole);
}

void oi_demand_serve(void)
{
	int cancel = oi_cancel_off();
	while (oi_exchange_seq_cst(&wanted, 0u)) /* [B7] */
		write_one();
	oi_cancel_back(cancel);
}
