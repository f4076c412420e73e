/* resident.h - what a process has in memory, as the system sees it */
#ifndef OURO_BENCH_RESIDENT_H
#define OURO_BENCH_RESIDENT_H

#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

/* resident_bytes - 0 when @pid is ending, or the system does not say */
static inline size_t resident_bytes(pid_t pid)
{
	char path[64];
	size_t pages = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	f = fopen(path, "r");
	if (f && fscanf(f, "%*u %zu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
