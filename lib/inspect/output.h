/* output.h - writing to a FILE of the program's, and how that went. */
#ifndef OI_OUTPUT_H
#define OI_OUTPUT_H

#include <errno.h>
#include <stdio.h>

#include "base/cancel.h"

struct oi_output {
	FILE *f;
	int cancel, error; /* as they were before */
};

/* Before the first write. To oi_output_end nothing but writes may change errno. */
OI_INLINE struct oi_output oi_output_begin(FILE *f)
{
	struct oi_output o = { f, oi_cancel_off(), errno };
	errno = 0; /* stdio forgets why a write failed, and goes on with the next */
	return o;
}

/* Flushes it. Returns 0, or why a write failed: EIO if that is not known. */
OI_INLINE int oi_output_end(const struct oi_output *o)
{
	bool failed = fflush(o->f) || ferror(o->f);
	int error = !failed ? 0 : errno ? errno : EIO;
	errno = o->error;
	oi_cancel_back(o->cancel);
	return error;
}

#endif
