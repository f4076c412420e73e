/* events.h - telling listeners about collections and pauses. */
#ifndef OI_EVENTS_H
#define OI_EVENTS_H

#include "ouro.h"
#include "world/world.h"

void oi_event(ouro_gc_phase phase, int generation, uint64_t candidates, uint64_t collected,
	      uint64_t ns);
/* Of a pause, that a collection of @generation makes; @ns: of PAUSE_STOP. */
void oi_event_pause(ouro_gc_phase phase, int generation, const struct oi_stop *stop, uint64_t ns);
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
