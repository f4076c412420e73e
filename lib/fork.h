/* fork.h - a working heap in the child of a multi-threaded process. */
#ifndef OI_FORK_H
#define OI_FORK_H

/* Once; registers with pthread_atfork. */
void oi_fork_install(void);

#endif
