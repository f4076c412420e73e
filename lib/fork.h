/* fork.h - a working heap in the child of a multi-threaded process. */
#ifndef OI_FORK_H
#define OI_FORK_H

/* What the locks of the modules are told. */
enum { OI_FORK_PREPARE, OI_FORK_PARENT, OI_FORK_CHILD };

/* Once; registers with pthread_atfork. */
void oi_fork_install(void);

#endif
