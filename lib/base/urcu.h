/*
 * urcu.h - liburcu's lists, and the structure of its lock-free stack
 *
 * The steps on the stack are our own. liburcu 0.13 has them in inline assembly, which
 * ThreadSanitizer does not see; and before it takes all, it looks with a plain load whether there
 * is anything, which the handshake of foreign.c [H3] does not allow.
 */
#ifndef OI_URCU_H
#define OI_URCU_H

#include "base/compiler.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wpointer-arith"
#include <urcu/compiler.h>
#include <urcu/list.h>
#include <urcu/lfstack.h>
#pragma GCC diagnostic pop

/*
 * Pushes a chain of nodes that are linked from @first to @last; lock-free (Treiber 1986). Pushing
 * is sequentially consistent, and so is taking all, which is an exchange even if the stack is
 * empty. So of a thread that pushes and then looks at another word, and one that writes that word
 * and then takes all, one at least sees what the other did [H3].
 */
OI_INLINE void oi_stack_push_chain(struct __cds_lfs_stack *s, struct cds_lfs_node *first,
				   struct cds_lfs_node *last)
{
	struct cds_lfs_head *old = oi_load_relaxed(&s->head); /* recheck */
	do
		last->next = (struct cds_lfs_node *)old;
	/* [H3] */
	while (!__atomic_compare_exchange_n(&s->head, &old, (struct cds_lfs_head *)first, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

OI_INLINE void oi_stack_push(struct __cds_lfs_stack *s, struct cds_lfs_node *node)
{
	oi_stack_push_chain(s, node, node);
}

/* Takes all nodes; returns the newest, which leads to the others, or NULL. Wait-free. */
OI_INLINE struct cds_lfs_node *oi_stack_take_all(struct __cds_lfs_stack *s)
{
	return (struct cds_lfs_node *)oi_exchange_seq_cst(&s->head, NULL); /* [H3] */
}

#endif
