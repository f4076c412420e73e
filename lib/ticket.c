/* ticket.c - what died when: see ticket.h. */
#include "ticket.h"

struct oi_ticket oi_ticket = { .now = 1 };
