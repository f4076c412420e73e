/* events.h - telling listeners about collections and pauses. */
#ifndef OI_EVENTS_H
#define OI_EVENTS_H

#include "ouro.h"

void oi_event(ouro_gc_phase phase, int generation, uint64_t candidates, uint64_t collected,
	      uint64_t ns);
/*
 * By the collector thread, outside its gate and with no lock held: tells what holdup.c has noted
 * since the last time.
 */
void oi_events_holdups(void);
/* Returns true if somebody listens. */
bool oi_events_any(void);
void oi_events_shutdown(void);
void oi_events_fork_child(void);

#endif
