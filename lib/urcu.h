/*
 * urcu.h - liburcu's lists and its lock-free stack; its hash table (rculfhash) serves report.c
 *
 * Debian's liburcu 0.13 uses inline assembly that ThreadSanitizer does not see; what is lock-free goes through the two
 * functions here, so that no suppression is needed.
 */
#ifndef OI_URCU_H
#define OI_URCU_H

#include "compiler.h"

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
 * Lock-free push (Treiber 1986), and taking all. Under the sanitizers the same steps in builtins, on the same structure:
 * ThreadSanitizer does not see liburcu's assembly, and UBSan objects to its address of a member of NULL.
 */
#if OI_TSAN || OI_ASAN
OI_INLINE void oi_stack_push(struct __cds_lfs_stack *s, struct cds_lfs_node *node)
{
	struct cds_lfs_head *old = __atomic_load_n(&s->head, __ATOMIC_RELAXED);
	do
		node->next = (struct cds_lfs_node *)old;
	while (!__atomic_compare_exchange_n(&s->head, &old, (struct cds_lfs_head *)node, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED));
}

OI_INLINE struct cds_lfs_node *oi_stack_take_all(struct __cds_lfs_stack *s)
{
	return (struct cds_lfs_node *)__atomic_exchange_n(&s->head, NULL, __ATOMIC_SEQ_CST);
}
#else
OI_INLINE void oi_stack_push(struct __cds_lfs_stack *s, struct cds_lfs_node *node)
{
	cds_lfs_push(s, node);
}

/* Newest first; NULL if none. Wait-free. */
OI_INLINE struct cds_lfs_node *oi_stack_take_all(struct __cds_lfs_stack *s)
{
	if (!CMM_LOAD_SHARED(s->head))
		return NULL;
	return (struct cds_lfs_node *)__cds_lfs_pop_all(s);
}
#endif

/* A chain of nodes already linked from @first to @last, in one step, which liburcu does not offer. */
OI_INLINE void oi_stack_push_chain(struct __cds_lfs_stack *s, struct cds_lfs_node *first, struct cds_lfs_node *last)
{
	struct cds_lfs_head *old = __atomic_load_n(&s->head, __ATOMIC_RELAXED);
	do
		last->next = (struct cds_lfs_node *)old;
	while (!__atomic_compare_exchange_n(&s->head, &old, (struct cds_lfs_head *)first, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED));
}

#endif
