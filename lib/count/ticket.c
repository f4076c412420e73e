/* ticket.c - what died when: see ticket.h. */
#include "count/ticket.h"

struct oi_ticket oi_ticket = { .now = 1 };
