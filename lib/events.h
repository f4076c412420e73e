/* events.h - telling listeners about collections and pauses. */
#ifndef OI_EVENTS_H
#define OI_EVENTS_H

#include "ouro.h"

void oi_event(ouro_gc_phase phase, int generation, uint64_t candidates, uint64_t collected, uint64_t ns);
void oi_event_holdup(ouro_holdup cause, uint64_t n, uint64_t longest_ns);
bool oi_events_any(void); /* are there listeners? */
void oi_events_shutdown(void);
void oi_events_fork_child(void);

#endif
