/* trace.h - traces: begun by OURO_TRACE, ended with the heap. */
#ifndef OI_TRACE_H
#define OI_TRACE_H

#include "base/compiler.h"

/* The heap starts: OURO_TRACE begins a trace. */
void oi_trace_begin(void);
/* The heap is gone. With no lock held: a trace is written; one of OURO_TRACE goes on. */
void oi_trace_shutdown(void);
void oi_trace_fork_child(void);

#endif
