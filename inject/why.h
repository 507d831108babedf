/*
 * why.h: one clause that says why something was not done
 */
#ifndef VMT_WHY_H
#define VMT_WHY_H

#include "base/text.h"

#include <stdbool.h>

#define VMT_WHY_BYTES 512u

/* "WHAT (error N)"; error: negative errno, or 0. Returns false, as its callers do. */
static inline bool
vmt_why_put(char why[VMT_WHY_BYTES], const char *what, int error)
{
	struct vmt_text_out out = vmt_text_out_begin(why, VMT_WHY_BYTES);

	vmt_text_put(&out, what);
	if (error != 0) {
		vmt_text_put(&out, " (error ");
		vmt_text_put_decimal(&out, (uint64_t)-error);
		vmt_text_put(&out, ")");
	}
	return false;
}

#endif
