/*
 * usage.h - bytes of the blocks that objects take up until they are dismantled: what a collection
 * could win.
 */
#ifndef OI_USAGE_H
#define OI_USAGE_H

#include "base/compiler.h"

struct oi_thread;

/*
 * Returns about how many pages these bytes would fill. What threads made and freed since they began
 * their last page is not in it, unless it was counted anew.
 */
size_t oi_usage_pages(void);
/*
 * Takes in what @t made and freed since it was last looked at; called by @t when it begins a page,
 * or by any thread.
 */
void oi_usage_note(struct oi_thread *t);
/* Does so for all threads. */
void oi_usage_count(void);
/*
 * Like oi_usage_count, unless that has been done lately: it takes no more than a hundredth of the
 * time. Called by one thread at a time.
 */
void oi_usage_recount(void);
void oi_usage_shutdown(void);

#endif
