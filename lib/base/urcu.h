/*
 * urcu.h - liburcu's lists, and the structure of its lock-free stack
 *
 * The steps on the stack are our own. liburcu 0.13 has them in inline assembly that ThreadSanitizer does not see; and before it
 * takes all it looks whether there is any, with a plain load, which the handshake of foreign.c [H1] cannot do with.
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
 * Lock-free push (Treiber 1986) of a chain of nodes already linked from @first to @last. Sequentially consistent, as is taking
 * all, which is an exchange even of an empty stack: whoever then looks at another word, as the other side does before, sees it,
 * or is seen [H1].
 */
OI_INLINE void oi_stack_push_chain(struct __cds_lfs_stack *s, struct cds_lfs_node *first, struct cds_lfs_node *last)
{
	struct cds_lfs_head *old = oi_load_relaxed(&s->head); /* recheck */
	do
		last->next = (struct cds_lfs_node *)old;
	while (!__atomic_compare_exchange_n(&s->head, &old, (struct cds_lfs_head *)first, false, __ATOMIC_SEQ_CST, /* [H1] */
					    __ATOMIC_RELAXED));
}

OI_INLINE void oi_stack_push(struct __cds_lfs_stack *s, struct cds_lfs_node *node)
{
	oi_stack_push_chain(s, node, node);
}

/* Newest first; NULL if none. Wait-free. */
OI_INLINE struct cds_lfs_node *oi_stack_take_all(struct __cds_lfs_stack *s)
{
	return (struct cds_lfs_node *)oi_exchange_seq_cst(&s->head, NULL); /* [H1] */
}

#endif
